"""What Table E.1-1 leaves to others: Types, ages, times, codes, content items, private elements; and the marks."""

from __future__ import annotations

import dataclasses
import struct
from typing import Any

import pytest
from metadata_films import film, names, stored
from ps315_kit import CANARY, PARENT, level_of, masked
from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset
from pydicom.sr._cid_dict import cid_concepts
from pydicom.sr._concepts_dict import concepts

from server.metadata.codes import CODES, known_code, meaning
from server.metadata.deidentify import deidentify
from server.metadata.elements import Element, Elements, first_text, in_order, sequence_element, string_element
from server.metadata.iod_types import EVERYWHERE, IODS, SOP_CLASSES
from server.metadata.marks import BASIC, OPTIONS
from server.metadata.required import NEEDS_PRESENCE, NEEDS_VALUE, OPTIONAL, chosen, need
from server.metadata.values import capped, offset, shifted
from server.model import ElementAction, MaskingLevel, ProfileOption, RegionKind, RegionStyle, SafePrivate
from server.model.ps315_2026d import ATTRIBUTES, CONTENT_ITEMS

COMPUTED_RADIOGRAPHY = "1.2.840.10008.5.1.4.1.1.1"
ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2.1"
PET = "1.2.840.10008.5.1.4.1.1.128"
WHOLE_SLIDE = "1.2.840.10008.5.1.4.1.1.77.1.6"
X, Z, D, K, C, U = (ElementAction(letter) for letter in "XZDKCU")
STRUCTURED, DESCRIPTORS, MODIFIED = "clean-structured-content", "clean-descriptors", "retain-long-modified-dates"
CHARACTERISTICS = "retain-patient-characteristics"


def one(element: Element, *options: str, sop_class: str = COMPUTED_RADIOGRAPHY, more: str = "") -> Element | None:
    base = stored(film(SOPClassUID=sop_class)).elements
    out, _ = masked(in_order({**base, element.tag: element}.values()), level_of(*options, more=more))
    return out.get(element.tag)


@pytest.mark.parametrize(
    ("tag", "vr", "sop_class", "expected"),
    [
        (0x00181000, "LO", COMPUTED_RADIOGRAPHY, X),  # DeviceSerialNumber: Type 3
        (0x00181000, "LO", ENHANCED_CT, D),  # Type 1
        (0x0008002A, "DT", COMPUTED_RADIOGRAPHY, X),  # AcquisitionDateTime
        (0x0008002A, "DT", ENHANCED_CT, D),  # Type 1C
        (0x00080022, "DA", PET, Z),  # AcquisitionDate: Type 2
        (0x00080022, "DA", COMPUTED_RADIOGRAPHY, X),
        (0x00080023, "DA", ENHANCED_CT, D),  # ContentDate: Type 1
        (0x00080023, "DA", "1.2.840.10008.1.1", Z),  # no object of this class: the stricter
        (0x22000002, "UT", WHOLE_SLIDE, Z),  # LabelText: Type 2
        (0x00181030, "LO", ENHANCED_CT, X),  # ProtocolName: Type 3
    ],
)
def test_the_type_decides_where_the_row_offers_several(
    tag: int, vr: str, sop_class: str, expected: ElementAction
) -> None:
    values = {"DA": "20200229", "DT": "20200229101112"}
    done = one(string_element(tag, vr, values.get(vr, CANARY)), sop_class=sop_class)
    if expected is X:
        assert done is None
    else:
        assert done is not None
        assert bool(done.value) is (expected is D)
        assert CANARY.encode() not in done.value


def test_references_stay_only_where_the_object_needs_them() -> None:
    """X/Z/U*: a presentation state is nothing without its images, a film keeps its meaning without."""
    item = in_order([string_element(0x00081155, "UI", "1.2.3.77")])
    references = sequence_element(0x00081140, [item])
    assert one(references) is None
    softcopy = "1.2.840.10008.5.1.4.1.1.11.1"
    base = stored(film(SOPClassUID=softcopy)).elements
    nested = sequence_element(PARENT, [in_order([references])])
    out, _ = masked(in_order({**base, PARENT: nested}.values()), level_of())
    items = out[PARENT].items
    assert items is not None
    inside = items[0][0x00081140].items
    assert inside is not None
    assert first_text(inside[0], 0x00081155).startswith("2.25.")


OTHERS = (0x00280301, 0x00282000, 0x00282112)


def text_without_row(tag: int) -> bool:
    """Texts that Table E.1-1 says nothing of, but for codes and content items, which are judged as a whole."""
    texts = ("LO", "SH", "ST", "LT", "UC", "UT")
    return dictionary_VR(tag) in texts and tag not in (*CODES, 0x00080103, 0x00080119, 0x0040A160)


def test_every_conditional_row_of_every_object_has_a_valid_choice() -> None:
    """Where an IOD requires a value, the row has an action that leaves one, and so for presence."""
    rows = {int(tag, 16): basic for tag, _, basic, _ in ATTRIBUTES if tag != "PRIVATE" and "x" not in tag}
    seen = 0
    for sop_class, iod in SOP_CLASSES.items():
        for rank, entries in enumerate((IODS.get(iod, ("", "")), EVERYWHERE), start=1):
            for needed, words in enumerate(entries, start=1):
                for entry in words.split():
                    tag, _, parent = entry.partition("@")
                    assert need(sop_class, int(parent or "0", 16), int(tag, 16)) <= needed + rank - 1
                    seen += 1
                    number = int(tag, 16)
                    depends = number in OTHERS or text_without_row(number)
                    assert "/" in rows[number] if number in rows else depends
    assert seen > 10_000
    assert need("1.2.3", 0, 0x00080023) == OPTIONAL


@pytest.mark.parametrize(
    ("choices", "needed", "expected"),
    [
        ((X, Z, D), NEEDS_VALUE, D),
        ((X, Z, D), NEEDS_PRESENCE, Z),
        ((X, Z, D), OPTIONAL, X),
        ((X, D), NEEDS_PRESENCE, D),
        ((X, Z), NEEDS_VALUE, Z),
        ((Z, D), NEEDS_PRESENCE, Z),
        ((Z, D), NEEDS_VALUE, D),
        ((X, Z, K), NEEDS_VALUE, K),
    ],
)
def test_the_strictest_that_keeps_the_object_valid(
    choices: tuple[ElementAction, ...], needed: int, expected: ElementAction
) -> None:
    assert chosen(choices, needed) is expected


@pytest.mark.parametrize(
    ("age", "told"),
    [("047Y", "047Y"), ("089Y", "089Y"), ("090Y", "090Y"), ("091Y", "090Y"), ("107Y", "090Y"), ("999M", "999M")],
)
def test_ages_over_89_are_capped(age: str, told: str) -> None:
    done = one(string_element(0x00101010, "AS", age), CHARACTERISTICS)
    assert done is not None
    assert done.value.decode() == told
    assert capped(age) == told


def test_ages_are_not_told_without_the_option() -> None:
    assert one(string_element(0x00101010, "AS", "047Y")) is None


@pytest.mark.parametrize(
    ("value", "zone", "told"),
    [
        ("20200229233000", None, "20200301233000"),
        ("20200229233000+0100", None, "20200301233000"),
        ("20200229233000+0100", 60, "20200301233000"),
        ("20200229233000.25+0000", 60, "20200302003000.25"),
        ("20200301003000+0200", 60, "20200301233000"),
        ("20200229233000-0330", 0, "20200302030000"),
        ("20200229+0100", 600, "20200301"),
    ],
)
def test_moments_are_told_in_the_objects_own_zone(value: str, zone: int | None, told: str) -> None:
    assert shifted("DT", value, 1, zone) == told


@pytest.mark.parametrize(
    ("text", "minutes"), [("+0100", 60), ("-0330", -210), ("20200229+1400", 840), ("0100", None), ("", None)]
)
def test_offsets(text: str, minutes: int | None) -> None:
    assert offset(text) == minutes


def test_intervals_stay_over_midnight_and_zones() -> None:
    """Two moments half an hour apart, on either side of midnight and told in different zones."""
    made = film(
        TimezoneOffsetFromUTC="+0100",
        AcquisitionDateTime="20200229234500+0100",
        FrameReferenceDateTime="20200229231500+0000",
        StudyDate="20200229",
        StudyTime="234500",
    )
    out, days = masked(stored(made).elements, level_of(MODIFIED))
    acquired, referenced = first_text(out, 0x0008002A), first_text(out, 0x00189151)
    day = first_text(out, 0x00080020)
    assert days
    assert acquired == f"{day}234500"
    assert referenced[8:] == "001500"
    assert int(referenced[:8]) != int(day)
    assert 0x00080201 not in out


@pytest.mark.parametrize("option", ["retain-long-full-dates", MODIFIED, "basic"])
def test_longitudinal_information_is_said_as_it_is(option: str) -> None:
    options = () if option == "basic" else (option,)
    out, _ = masked(stored(film()).elements, level_of(*options))
    told = {"retain-long-full-dates": "UNMODIFIED", MODIFIED: "MODIFIED", "basic": "REMOVED"}[option]
    assert first_text(out, 0x00280303) == told


def claimed(level: MaskingLevel, **said: bool) -> set[str]:
    elements = stored(film()).elements
    known: dict[str, Any] = {"pixels_masked": True, **said}
    done = deidentify(elements, level, names(elements, level_name=level.name), **known)
    items = done.elements[0x00120064].items
    assert items is not None
    return {first_text(item, 0x00080100) for item in items}


def test_the_codes_are_those_of_the_standard() -> None:
    """CID 7050 whole, each with the meaning that PS3.16 prints."""
    printed: dict[str, Any] = concepts["DCM"]
    codes = {code: said for keyword in cid_concepts[7050]["DCM"] for code, (said, _) in printed[keyword].items()}
    assert dict([BASIC, *OPTIONS.values()]) == codes
    assert set(OPTIONS) == set(ProfileOption)
    assert list(OPTIONS.values()) == sorted(OPTIONS.values())


@pytest.mark.parametrize(
    "option", [option.value for option in ProfileOption if option.value.startswith(("retain-l", "retain-p"))]
)
def test_an_option_is_claimed_exactly_where_it_is_in_force(option: str) -> None:
    code = OPTIONS[ProfileOption(option)][0]
    assert claimed(level_of(option)) == {"113100", code}
    assert claimed(level_of()) == {"113100"}


def test_pixel_options_are_claimed_only_for_what_was_done() -> None:
    options = frozenset({ProfileOption.CLEAN_PIXEL_DATA, ProfileOption.CLEAN_RECOGNIZABLE_VISUAL_FEATURES})
    base = level_of()
    assert base.elements.profile is not None
    rules = dataclasses.replace(base.elements, profile=dataclasses.replace(base.elements.profile, options=options))
    hiding = dataclasses.replace(
        base,
        elements=rules,
        regions=dict.fromkeys(RegionKind, RegionStyle.MOSAIC),
        unscreened=RegionStyle.MOSAIC,
        keep_unused_bits=False,
    )
    assert claimed(hiding) == {"113100", "113101"}
    assert claimed(hiding, faces_masked=True) == {"113100", "113101", "113102"}
    assert claimed(hiding, pixels_masked=False) == {"113100"}
    seen = dataclasses.replace(hiding, regions={**hiding.regions, RegionKind.FACE: RegionStyle.KEEP})
    assert claimed(seen, faces_masked=True) == {"113100", "113101"}


def test_a_stored_claim_about_faces_is_not_repeated() -> None:
    made = film()
    made.RecognizableVisualFeatures = "NO"
    out, _ = masked(stored(made).elements, level_of(more=', "RecognizableVisualFeatures"'))
    assert 0x00280302 not in out


def code(value: str, scheme: str, said: str) -> Elements:
    return in_order(
        [
            string_element(0x00080100, "SH", value),
            string_element(0x00080102, "SH", scheme),
            string_element(0x00080104, "LO", said),
        ]
    )


@pytest.mark.parametrize(
    ("value", "scheme", "told"),
    [
        ("399067008", "SCT", "lateral"),
        ("T-D3000", "SRT", "Thoracic structure (body structure)"),
        ("121071", "DCM", "Finding"),
        ("121071", "99LOCAL", None),
        (CANARY, "SCT", None),
        ("121071", "", None),
    ],
)
def test_codes_stay_with_the_words_of_the_vocabulary(value: str, scheme: str, told: str | None) -> None:
    found = known_code(code(value, scheme, CANARY), ("",))
    if told is None:
        assert found == {}
    else:
        assert first_text(found, 0x00080104).lower() == told.lower()
        assert CANARY.encode() not in b"".join(element.value for element in found.values())


def test_every_listed_content_item_is_known_or_retired() -> None:
    assert sum(meaning(scheme, value) is not None for value, scheme, *_ in CONTENT_ITEMS) > 190


def item(value_type: str, name: Elements, *values: Element) -> Elements:
    return in_order([string_element(0x0040A040, "CS", value_type), sequence_element(0x0040A043, [name]), *values])


SR_KEPT = ', "ValueType", "ConceptNameCodeSequence", "MeasuredValueSequence", "MeasurementUnitsCodeSequence"'


def report(*items: Elements, options: tuple[str, ...] = (STRUCTURED,)) -> list[Elements]:
    """The content items that are left, with codes cleaned by vocabulary."""
    base = stored(film()).elements
    level = level_of(*options, more=SR_KEPT)
    by_tag = {**level.elements.by_tag, 0x00080100: C, 0x00080102: C, 0x00080104: C}
    level = dataclasses.replace(level, elements=dataclasses.replace(level.elements, by_tag=by_tag))
    out, _ = masked(in_order({**base, 0x0040A730: sequence_element(0x0040A730, items)}.values()), level)
    content = out.get(0x0040A730)
    assert content is None or content.items  # never empty
    return list(content.items or ()) if content is not None else []


FINDING = code("121071", "DCM", "Finding")
AGE = code("121033", "DCM", "Subject Age")


def age(number: str, unit: str = "a") -> Elements:
    units = sequence_element(0x004008EA, [code(unit, "UCUM", "unit")])
    measured = in_order([string_element(0x0040A30A, "DS", number), units])
    return item("NUM", AGE, sequence_element(0x0040A300, [measured]))


def test_structured_content() -> None:
    text = string_element(0x0040A160, "UT", f"CHEST {CANARY}")
    assert report(item("TEXT", FINDING, text)) == []
    (cleaned,) = report(item("TEXT", FINDING, text), options=(STRUCTURED, DESCRIPTORS))
    assert first_text(cleaned, 0x0040A160) == "CHEST"
    observer = code("121008", "DCM", "Person Observer Name")
    assert report(item("PNAME", observer, string_element(0x0040A123, "PN", CANARY)))  # the row's D
    assert CANARY not in str(report(item("PNAME", observer, string_element(0x0040A123, "PN", CANARY))))
    assert report(item("PNAME", FINDING, string_element(0x0040A123, "PN", CANARY))) == []
    local = code("1", "99LOCAL", CANARY)
    assert report(item("TEXT", local, text), options=(STRUCTURED, DESCRIPTORS)) == []
    day = item("DATE", code("111060", "DCM", "Study Date"), string_element(0x0040A121, "DA", "20200229"))
    assert report(day) == []
    (moved,) = report(day, options=(STRUCTURED, MODIFIED))
    assert first_text(moved, 0x0040A121) not in ("", "20200229")
    by_reference = {**item("TEXT", FINDING, text), 0x0040DB73: Element(0x0040DB73, "UL", b"\x01\0\0\0")}
    assert report(in_order(by_reference.values()), options=(STRUCTURED, DESCRIPTORS)) == []
    assert report(item(CANARY, FINDING, text)) == []


@pytest.mark.parametrize(
    ("number", "unit", "shown"),
    [
        ("47", "a", True),
        ("89.5", "a", True),
        ("90", "a", False),
        ("1090", "mo", False),
        ("10", "mo", True),
        ("x", "a", False),
        ("5", "h", False),
    ],
)
def test_old_ages_are_not_in_reports(number: str, unit: str, shown: bool) -> None:
    assert bool(report(age(number, unit), options=(STRUCTURED, CHARACTERISTICS))) is shown
    assert report(age("47")) == []


def private(value: Element, *, creator: str = "SITE 1", listed: bool = True) -> Elements:
    base = stored(film()).elements
    level = level_of("retain-safe-private")
    place: Any = {"creator": "SITE 1", "group": 0x0019, "multiplicity": "1-n"}
    entries = (
        SafePrivate(element=0x0C, vr="FD", terms=frozenset(), **place),
        SafePrivate(element=0x0D, vr="CS", terms=frozenset({"NONE", "BOTH"}), **place),
        SafePrivate(element=0x0E, vr="IS", terms=frozenset(), **place),
    )
    assert level.elements.profile is not None
    profile = dataclasses.replace(level.elements.profile, safe_private=entries if listed else ())
    level = dataclasses.replace(level, elements=dataclasses.replace(level.elements, profile=profile))
    block = {0x00190011: string_element(0x00190011, "LO", creator), value.tag: value}
    out, _ = masked(in_order({**base, **block}.values()), level)
    return {tag: element for tag, element in out.items() if tag & 0x10000}


NUMBER = Element(0x0019110C, "FD", struct.pack("<d", 1000.0))


def test_private_elements_that_are_proven_safe_stay() -> None:
    assert private(NUMBER) == {0x00190011: string_element(0x00190011, "LO", "SITE 1"), NUMBER.tag: NUMBER}
    term = string_element(0x0019110D, "CS", "NONE")
    assert private(term)[term.tag] == term


@pytest.mark.parametrize(
    ("value", "creator"),
    [
        (NUMBER, "SITE 2"),
        (NUMBER._replace(tag=0x0019120C), "SITE 1"),
        (NUMBER._replace(tag=0x0019110F), "SITE 1"),
        (NUMBER._replace(vr="UN"), "SITE 1"),
        (NUMBER._replace(value=CANARY.encode()), "SITE 1"),
        (NUMBER._replace(value=b"CANARY"), "SITE 1"),
        (string_element(0x0019110D, "CS", "CANARY"), "SITE 1"),
        (string_element(0x0019110D, "CS", "NONE", "CANARY"), "SITE 1"),
        (string_element(0x0019110D, "LO", "NONE"), "SITE 1"),
        (string_element(0x0019110E, "IS", "7 CANARY"), "SITE 1"),
        (sequence_element(0x0019110C, [in_order([string_element(0x00100010, "PN", CANARY)])]), "SITE 1"),
    ],
)
def test_all_other_private_elements_go(value: Element, creator: str) -> None:
    assert private(value, creator=creator) == {}


def test_without_a_list_nothing_private_is_safe() -> None:
    assert private(NUMBER, listed=False) == {}


def test_overlays_and_curves_go_with_clean_graphics_too() -> None:
    made = Dataset()
    made.add_new(0x601E3000, "OW", b"CANARY")
    made.add_new(0x501E3000, "OW", b"CANARY")
    base = stored(film()).elements
    overlay = {tag: Element(tag, "OW", b"CANARY") for tag in (0x501E3000, 0x601E3000)}
    out, _ = masked(in_order({**base, **overlay}.values()), level_of("clean-graphics"))
    assert not overlay.keys() & out.keys()


def test_texts_of_a_part_of_an_object_are_not_cleaned_but_removed() -> None:
    elements = stored(film(StudyDescription="CHEST PA")).elements
    level = level_of(DESCRIPTORS)
    mapping = names(elements, level_name=level.name)
    whole = deidentify(elements, level, mapping, pixels_masked=False)
    part = deidentify(elements, level, mapping, pixels_masked=False, partial=True)
    assert first_text(whole.elements, 0x00081030) == "CHEST PA"
    assert 0x00081030 not in part.elements


def test_a_code_sequence_without_a_known_code_goes() -> None:
    level = level_of(more=', "ViewCodeSequence"')
    by_tag = {**level.elements.by_tag, 0x00080100: C, 0x00080102: C, 0x00080104: C}
    level = dataclasses.replace(level, elements=dataclasses.replace(level.elements, by_tag=by_tag))
    base = stored(film()).elements
    for value, left in (("399067008", True), (CANARY, False)):
        codes = sequence_element(0x00540220, [code(value, "SCT", CANARY)])
        out, _ = masked(in_order({**base, codes.tag: codes}.values()), level)
        assert (codes.tag in out) is left
        assert CANARY not in str(out.get(codes.tag))
