"""The attribute masker: what no rule keeps is gone, wherever it hides; what is said of the masking is true."""

from __future__ import annotations

import base64
import dataclasses
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from metadata_films import DEIDENTIFIED, FRONT_DESK, ORIGINAL, RULES, C, D, K, Z, film, joined, level, names, stored
from pydicom._dicom_dict import DicomDictionary
from pydicom.dataset import Dataset

from server.errors import PolicyError, SealBroken
from server.metadata.deidentify import ORIGINAL_EXCEPTIONS, deidentify
from server.metadata.elements import BINARY_VRS, STRING_VRS, Element, Elements, first_text, in_order, sequence_element
from server.metadata.encode import encode_elements
from server.metadata.json_model import to_json
from server.metadata.masked import MaskedDataset, PixelForm, with_pixel_form
from server.metadata.pseudonyms import IdentityMapping
from server.model import MaskingLevel, RegionStyle

CANARY = "CANARYZZ"


def leaks(masked: MaskedDataset, canary: str = "CANARY") -> bool:
    """Whether the canary is anywhere in the encoded elements or the JSON, plain, in UTF-16 or base64."""
    written = joined(encode_elements(masked.elements)) + repr(to_json(masked, lambda _p, _e: None)).encode()
    forms = [canary.encode(), canary.encode("utf-16-le"), canary.encode("utf-16-be")]
    for skip, start in enumerate((0, 2, 3)):
        encoded = base64.b64encode(bytes(skip) + canary.encode())
        forms.append(encoded[start : (skip + len(canary.encode())) * 8 // 6])
    return any(form in written for form in forms)


def masked(made: Dataset, at: MaskingLevel = DEIDENTIFIED, *, pixels_masked: bool = True) -> MaskedDataset:
    elements = stored(made).elements
    return mask(elements, at, pixels_masked=pixels_masked)


def mask(elements: Elements, at: MaskingLevel = DEIDENTIFIED, *, pixels_masked: bool = True) -> MaskedDataset:
    mapping = names(elements, level_name=at.name) if at.pseudonyms else IdentityMapping()
    return deidentify(elements, at, mapping, pixels_masked=pixels_masked)


def test_film_at_deidentified() -> None:
    found = masked(film()).dataset
    assert found.Rows == 2
    assert found.PatientSex == "F"
    assert found.PatientBirthDate == ""
    assert found.PatientName == found.PatientID
    assert len(found.PatientID) == 26
    assert len(found.AccessionNumber) == len(found.StudyID) == 16
    assert found.ReferringPhysicianName == "REMOVED"
    assert found.StudyInstanceUID.startswith("2.25.")
    assert found.SOPClassUID == "1.2.840.10008.5.1.4.1.1.7"
    assert "StudyDescription" not in found
    assert "IssuerOfPatientID" not in found
    assert found.StudyTime == "235959.5"
    assert found.StudyDate != "20200229"
    assert found.ImageType == ["DERIVED", "PRIMARY"]
    assert found.SpecificCharacterSet == "ISO_IR 192"
    assert not leaks(masked(film()))


def test_input_is_untouched_and_answer_is_stable() -> None:
    elements = stored(film()).elements
    before = joined(encode_elements(elements))
    assert mask(elements).elements == mask(elements).elements
    assert joined(encode_elements(elements)) == before


@pytest.mark.parametrize("depth", [1, 2, 3, 4, 5])
def test_a_M1_nested_sequences(depth: int) -> None:
    made = film(PatientName=CANARY, StudyDate=None)
    for _ in range(depth):
        made = film(ReferencedSeriesSequence=[made], RequestAttributesSequence=[made])
    result = masked(made)
    assert not leaks(result)
    assert 0x00081115 in result.elements
    assert 0x00400275 not in result.elements


def _private(group: int = 0x0009) -> Dataset:
    made = Dataset()
    block = made.private_block(group, f"{CANARY} CREATOR", create=True)
    block.add_new(0x01, "LO", CANARY)
    block.add_new(0x02, "SQ", [film(PatientName=CANARY)])
    block.add_new(0x03, "UN", CANARY.encode())
    return made


@pytest.mark.parametrize("group", [0x0009, 0x0011, 0x0019, 0x0029, 0x0043, 0x2005, 0x7FE1])
def test_a_M2_private_elements(group: int) -> None:
    made = film(ReferencedSeriesSequence=[film()])
    made.update(_private(group))
    made.ReferencedSeriesSequence[0].update(_private(group))
    result = masked(made)
    assert not leaks(result)
    assert not any(tag & 0x10000 for tag in result.elements)


def test_a_M3_original_and_encrypted_attributes() -> None:
    made = film(OriginalAttributesSequence=[Dataset()], EncryptedAttributesSequence=[Dataset()])
    made.OriginalAttributesSequence[0].ModifiedAttributesSequence = [film(PatientName=CANARY)]
    made.EncryptedAttributesSequence[0].EncryptedContent = CANARY.encode()
    assert not leaks(masked(made))


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0x0008_0000, 0xFFFC_FFFF).filter(lambda tag: tag not in RULES and tag >> 16 not in (0xFFFE, 0x7FE0)),
    st.sampled_from(sorted(STRING_VRS | BINARY_VRS)),
)
def test_a_M4_unlisted_and_unknown_tags(tag: int, vr: str) -> None:
    elements = {**stored(film()).elements, tag: Element(tag, vr, CANARY.encode())}
    nested = {**elements, 0x00081115: sequence_element(0x00081115, [elements])}
    assert not leaks(mask(in_order(nested.values())))


@pytest.mark.parametrize("tag", sorted(RULES))
@pytest.mark.parametrize("vr", sorted(STRING_VRS | BINARY_VRS))
def test_a_M4_wrong_vr_or_value_under_a_listed_tag(tag: int, vr: str) -> None:
    """No rule of this level keeps free text, so a canary in any VR under any listed tag has to go (CS: see below)."""
    if vr == "CS":
        canary, value = "canaryzz", b"canaryzz"
    else:
        canary, value = CANARY, CANARY.encode()
    elements = {**stored(film()).elements, tag: Element(tag, vr, value)}
    assert not leaks(mask(elements), canary)


def test_a_M4_curves_overlays_and_group_0004() -> None:
    made = film()
    made.add_new(0x50023000, "OW", CANARY.encode())
    made.add_new(0x60023000, "OW", CANARY.encode())
    made.add_new(0x60024000, "LT", CANARY)
    made.add_new(0x00041500, "CS", CANARY)
    assert not leaks(masked(made))
    at_original = masked(made, ORIGINAL)
    assert 0x00041500 not in at_original.elements
    assert 0x60023000 in at_original.elements


def test_repeating_groups_follow_the_rule_of_their_first() -> None:
    at = level("l", {**RULES, 0x60000010: K, 0x60003000: C})
    made = film(OverlayRows=None)
    made.add_new(0x60020010, "US", 7)
    made.add_new(0x60023000, "OW", CANARY.encode())
    found = masked(made, at).elements
    assert 0x60020010 in found
    assert 0x60023000 not in found


@pytest.mark.parametrize(
    "said",
    ["MAXIMA MUSTER", "Muster, Maxima", "muster maxima", "MUSTER", "MAXIMA", "李小明", "Lǐ Xiǎomíng", "CANARY-1"],
)
def test_a_M5_free_text(said: str) -> None:
    keywords = ("StudyDescription", "SeriesDescription", "ImageComments", "PatientComments", "RequestingPhysician")
    made = film(SpecificCharacterSet="ISO_IR 192", **dict.fromkeys(keywords, said))
    made.ContentSequence = [Dataset()]
    made.ContentSequence[0].TextValue = said
    assert not leaks(masked(made), said)


@pytest.mark.parametrize(
    ("sets", "encoded"),
    [
        ("GB18030", "张^三=張^三=CANARY".encode("gb18030")),
        ("ISO 2022 IR 6\\ISO 2022 IR 58", b"Zhang^SanCANARY=\x1b$)A\xd5\xc5^\x1b$)A\xc8\xfd"),
        ("ISO_IR 192", "张^三=CANARY".encode()),
        ("ISO_IR 192", b"\xff\xfe\x80CANARY"),
        ("NO_SUCH_SET", b"\xd5\xc5CANARY"),
        ("ISO 2022 IR 6\\ISO 2022 IR 87", b"\x1b$BCANARY\x1bXYCANARY"),
        ("", b"\x80\x81CANARY"),
    ],
)
def test_a_M6_names_in_any_character_set(sets: str, encoded: bytes) -> None:
    elements = {
        **stored(film()).elements,
        0x00080005: Element(0x00080005, "CS", sets.encode()),
        0x00100010: Element(0x00100010, "PN", encoded),
    }
    result = mask(in_order(elements.values()))
    assert not leaks(result)
    shown = deidentify(in_order(elements.values()), FRONT_DESK, IdentityMapping(), pixels_masked=False)
    assert shown.elements[0x00100010].value.decode("utf-8")
    assert first_text(shown.elements, 0x00080005) == "ISO_IR 192"


def test_a_M8_padding_and_group_lengths() -> None:
    elements = {
        **stored(film()).elements,
        0xFFFCFFFC: Element(0xFFFCFFFC, "OB", CANARY.encode()),
        0x00100000: Element(0x00100000, "UL", b"\x01\x00\x00\x00"),
    }
    assert not leaks(mask(elements))
    assert not leaks(mask(elements, level("l", {**RULES, 0xFFFCFFFC: K})))
    at_original = mask(elements, ORIGINAL)
    assert 0xFFFCFFFC in at_original.elements
    assert 0x00100000 not in at_original.elements


@pytest.mark.parametrize(
    ("tag", "vr", "value"),
    [
        (0x00080060, "CS", b"CT\x00CANARY"),
        (0x00080020, "DA", b"20200101\x00CANARY"),
        (0x00080018, "UI", b"1.2.3.4.1\x00CANARY"),
        (0x00200013, "IS", b"1 CANARY"),
        (0x00281050, "DS", b"40\\CANARY"),
        (0x00280010, "US", b"CANARY"),
        (0x00280010, "US", b"CANAR"),
        (0x00281053, "DS", b"1\\1234567890123"),
    ],
)
def test_values_that_hide_something_behind_a_valid_one(tag: int, vr: str, value: bytes) -> None:
    result = mask({**stored(film()).elements, tag: Element(tag, vr, value)})
    assert not leaks(result)
    assert not leaks(result, "canary")
    assert tag not in result.elements


def test_a_M9_no_original_uid_in_references() -> None:
    made = film(
        ReferencedSeriesSequence=[film(ReferencedSOPInstanceUID="1.2.3.4.77", FrameOfReferenceUID="1.2.3.4.78")]
    )
    result = masked(made)
    assert not leaks(result, "1.2.3.4")
    item = result.elements[0x00081115].items
    assert item is not None
    assert first_text(item[0], 0x00081155).startswith("2.25.")


def test_same_identifier_same_pseudonym_and_registered_uids_stay() -> None:
    reference = film(ReferencedSOPInstanceUID="1.2.3.4.1", FrameOfReferenceUID="1.2.840.10008.1.4.1.1")
    found = masked(film(ReferencedSeriesSequence=[reference])).dataset
    assert found.ReferencedSeriesSequence[0].ReferencedSOPInstanceUID == found.SOPInstanceUID
    assert found.ReferencedSeriesSequence[0].FrameOfReferenceUID == "1.2.840.10008.1.4.1.1"


def test_a_uid_that_is_kept_as_a_class_must_be_registered() -> None:
    elements = {**stored(film()).elements, 0x00080016: Element(0x00080016, "UI", b"1.2.3.4.1\x00")}
    assert not leaks(mask(elements), "1.2.3.4.1")


def test_missing_row_key_is_no_answer() -> None:
    elements = stored(film()).elements
    mapping = names(elements)
    other = stored(film(SeriesInstanceUID="1.2.3.99")).elements
    with pytest.raises(SealBroken):
        deidentify(other, DEIDENTIFIED, mapping, pixels_masked=True)


@pytest.mark.parametrize("at", [DEIDENTIFIED, ORIGINAL])
def test_level_and_names_must_belong_together(at: MaskingLevel) -> None:
    elements = stored(film()).elements
    wrong = IdentityMapping() if at.pseudonyms else names(elements)
    with pytest.raises(PolicyError):
        deidentify(elements, at, wrong, pixels_masked=True)
    shifting = dataclasses.replace(ORIGINAL, shift_dates=True)
    with pytest.raises(PolicyError):
        deidentify(elements, shifting, IdentityMapping(), pixels_masked=True)


def test_a_M13_all_dates_move_together() -> None:
    made = film(AcquisitionDateTime="20200302101112.123456+0100", ReferencedSeriesSequence=[film(StudyDate="20200307")])
    made.AcquisitionDateTime = "20200302101112.123456+0100"
    mapping = names(stored(made).elements)
    result = masked(made)
    found = result.dataset
    days = mapping.shift_days
    assert days != 0
    from datetime import datetime, timedelta

    def moved(day: str) -> str:
        return (datetime.strptime(day, "%Y%m%d") + timedelta(days=days)).strftime("%Y%m%d")  # noqa: DTZ007

    assert found.StudyDate == moved("20200229")
    assert found.ReferencedSeriesSequence[0].StudyDate == moved("20200307")
    assert found.AcquisitionDateTime == moved("20200302") + "101112.123456"
    assert not leaks(result, "20200229")
    for level_name in ("deidentified", "teaching"):
        for project in (bytes(32), b"\x01" * 32):
            assert names(stored(made).elements, project=project, level_name=level_name).shift_days in range(-365, 366)


@pytest.mark.parametrize("value", ["2020.02.29", "20200231", "2020", "99991231", "00010101", "20200101-20200102", "x"])
def test_dates_that_cannot_move_go(value: str) -> None:
    elements = {**stored(film()).elements, 0x00080020: Element(0x00080020, "DA", value.encode())}
    result = mask(elements)
    if 0x00080020 in result.elements:  # a shift towards the middle of the calendar
        assert first_text(result.elements, 0x00080020) != value
    else:
        assert not leaks(result, value) or value == "x"


@pytest.mark.parametrize("length", range(3, 31))
def test_a_M15_no_trace_of_lengths(length: int) -> None:
    expected = masked(film(PatientName="M" * 3, PatientBirthDate="19600607", ReferringPhysicianName=""))
    result = masked(film(PatientName="M" * length, PatientBirthDate="", ReferringPhysicianName="P" * length))
    assert result.elements == expected.elements


def test_noninterference_of_hidden_values() -> None:
    """Two films that differ in everything this level hides; the row keys come from paths, as at ingest."""
    one = film(PatientComments="CANARY")
    other = film(
        PatientName="BEISPIEL^ANNA",
        PatientID="2",
        IssuerOfPatientID="OTHER",
        AccessionNumber="9",
        StudyID="8",
        StudyDescription="X",
        ReferringPhysicianName="A^B",
        PatientBirthDate="19991231",
        SOPInstanceUID="1.2.3.4.1",
        StudyInstanceUID="1.9.2",
        SeriesInstanceUID="1.9.3",
        OtherPatientNames="N",
    )
    assert masked(one).elements == masked(other).elements


def test_a_M19_marks_are_true() -> None:
    found = masked(film()).dataset
    assert found.PatientIdentityRemoved == "YES"
    assert found.DeidentificationMethod == "Safelight deidentified"
    codes = [item.CodeValue for item in found.DeidentificationMethodCodeSequence]
    assert codes == ["113100", "113101", "113107"]
    assert found.LongitudinalTemporalInformationModified == "MODIFIED"
    assert found.BurnedInAnnotation == "NO"


def test_a_M19_nothing_is_claimed_of_pixels_that_were_not_masked() -> None:
    found = masked(film(), pixels_masked=False).dataset
    assert "BurnedInAnnotation" not in found
    assert [item.CodeValue for item in found.DeidentificationMethodCodeSequence] == ["113100", "113107"]


def test_a_M19_text_that_a_level_shows_is_not_claimed_hidden() -> None:
    shown = dict.fromkeys(DEIDENTIFIED.regions, RegionStyle.KEEP)
    at = dataclasses.replace(DEIDENTIFIED, regions=shown)
    found = masked(film(), at).dataset
    assert "BurnedInAnnotation" not in found
    assert "113101" not in [item.CodeValue for item in found.DeidentificationMethodCodeSequence]


@pytest.mark.parametrize("tag", [0x00100010, 0x00100020, 0x00100030])
def test_a_M19_a_level_that_keeps_identity_claims_nothing(tag: int) -> None:
    at = level("l", {**RULES, tag: K})
    assert "PatientIdentityRemoved" not in masked(film(), at).dataset


def test_a_M19_dates_kept_or_removed() -> None:
    rules = {tag: action for tag, action in RULES.items() if action is not C}
    assert (
        masked(film(), level("l", rules, shift_dates=False)).dataset.LongitudinalTemporalInformationModified
        == "REMOVED"
    )
    kept_dates = level("l", {**rules, 0x00080020: K}, shift_dates=False)
    assert masked(film(), kept_dates).dataset.LongitudinalTemporalInformationModified == "UNMODIFIED"


def test_stored_marks_do_not_speak_for_us() -> None:
    made = film(PatientIdentityRemoved="YES", DeidentificationMethod=CANARY)
    assert not leaks(masked(made))
    at = level("l", {**RULES, 0x00120062: K, 0x00120063: K, 0x00100010: K})
    assert not {0x00120062, 0x00120063} & masked(made, at).elements.keys()
    at = level("l", {**RULES, 0x00120063: K})
    assert masked(made, at).dataset.DeidentificationMethod == "Safelight l"


def test_a_M20_statistics_and_nested_pixels_go_with_altered_samples() -> None:
    rules = {**RULES, 0x00280106: K, 0x00280107: K, 0x00880200: K, 0x7FE00010: K, 0x00089007: K}
    made = film(SmallestImagePixelValue=1, LargestImagePixelValue=2)
    icon = Dataset()
    icon.FrameType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    icon.add_new(0x7FE00010, "OB", CANARY.encode())
    made.IconImageSequence = [icon]
    result = masked(made, level("l", rules))
    assert not leaks(result)
    assert {0x00280106, 0x00280107}.isdisjoint(result.elements)
    assert result.dataset.IconImageSequence[0].FrameType == ["DERIVED", "PRIMARY", "VOLUME", "NONE"]


def test_only_the_masker_makes_a_masked_dataset() -> None:
    with pytest.raises(TypeError):
        MaskedDataset(elements={}, level=DEIDENTIFIED, workshop=object())
    with pytest.raises((TypeError, ValueError)):
        dataclasses.replace(masked(film()), elements={})  # type: ignore[call-arg]


def test_pixel_form_changes_the_form_and_nothing_else() -> None:
    form = PixelForm(
        photometric_interpretation="RGB",
        samples_per_pixel=3,
        bits_allocated=16,
        bits_stored=12,
        high_bit=11,
        signed=True,
    )
    before = masked(film())
    after = with_pixel_form(before, form)
    found = after.dataset
    assert (found.PhotometricInterpretation, found.SamplesPerPixel, found.PlanarConfiguration) == ("RGB", 3, 0)
    assert (found.BitsAllocated, found.BitsStored, found.HighBit, found.PixelRepresentation) == (16, 12, 11, 1)
    changed = {tag for tag in after.elements if after.elements[tag] != before.elements.get(tag)}
    assert changed == {0x00280002, 0x00280004, 0x00280006, 0x00280100, 0x00280101, 0x00280102, 0x00280103}


@pytest.mark.parametrize("value", ["20200302x", "20200302101112 CANARY", "20200302+9900", "202003", "20200302256060"])
def test_moments_that_are_none_go(value: str) -> None:
    elements = {**stored(film()).elements, 0x0008002A: Element(0x0008002A, "DT", value.encode())}
    assert 0x0008002A not in mask(elements).elements


def test_half_a_word_goes() -> None:
    elements = {**stored(film()).elements, 0x00281201: Element(0x00281201, "OW", b"odd")}
    assert 0x00281201 not in mask(elements, level("l", {**RULES, 0x00281201: K})).elements


def test_zero_and_dummy_by_vr() -> None:
    rules = {tag: (Z if number % 2 else D) for number, tag in enumerate(sorted(DicomDictionary))}
    elements = {
        tag: Element(tag, vr, CANARY.encode())
        for tag, (vr, *_) in sorted(DicomDictionary.items())
        if vr in STRING_VRS | BINARY_VRS and vr != "UI" and tag >> 16 not in (0x0000, 0x0002, 0x7FE0)
    }
    assert not leaks(mask(elements, level("l", rules)))


def test_front_desk_keeps_identity_in_utf8_and_no_more() -> None:
    made = film(SpecificCharacterSet="ISO_IR 100", PatientName="MÜSTER^MAXIMA")
    found = masked(made, FRONT_DESK)
    assert found.elements[0x00100010].value == "MÜSTER^MAXIMA".encode()
    assert found.dataset.PatientName == "MÜSTER^MAXIMA"
    assert found.dataset.StudyInstanceUID == "1.2.3.4.2"
    assert "PatientIdentityRemoved" not in found.dataset
    assert 0x00100030 not in found.elements


def test_original_says_what_it_leaves_out() -> None:
    elements = dict(stored(film()).elements)
    for tag in ORIGINAL_EXCEPTIONS:
        elements[tag] = Element(tag, "OB", struct.pack("<L", 1))
    assert mask(elements, ORIGINAL).elements == stored(film()).elements
