"""Masked objects stay valid: what an IOD demands is there and says nothing; code strings are terms, not words."""

from __future__ import annotations

import dataclasses
import struct
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from metadata_films import film, names, stored

from server.metadata.code_strings import known, terms
from server.metadata.colour_profile import ICC_PROFILE, SRGB
from server.metadata.deidentify import deidentify
from server.metadata.demanded import burned_in, demanded
from server.metadata.elements import Element, Elements, first_text, in_order, sequence_element, string_element
from server.metadata.encode import encode_elements
from server.metadata.statistics import rough
from server.model import MaskingLevel, RegionStyle
from server.policy.levels import read_level

POLICIES = Path(__file__).resolve().parents[2] / "policies"
SEGMENTATION, SLIDE, REPORT = (f"1.2.840.10008.5.1.4.1.1.{last}" for last in ("66.4", "77.1.6", "88.33"))
CT, DX, ULTRASOUND = (f"1.2.840.10008.5.1.4.1.1.{last}" for last in ("2", "1.1", "6.1"))
SECRET = "CANARY"


@cache
def deidentified() -> MaskingLevel:
    return read_level("deidentified", (POLICIES / "levels" / "deidentified.toml").read_bytes())


def sent(sop_class: str, *more: Element, screened: bool = True, level: MaskingLevel | None = None) -> Elements:
    """A made film of this class with more elements, as it leaves."""
    base = {**stored(film(SOPClassUID=sop_class)).elements, **{one.tag: one for one in more}}
    elements = in_order(base.values())
    chosen = level or deidentified()
    return deidentify(elements, chosen, names(elements, level_name=chosen.name), pixels_masked=screened).elements


def text(tag: int, vr: str, value: str = SECRET) -> Element:
    return string_element(tag, vr, value)


@pytest.mark.parametrize("value", [SECRET, "", "X" * 60])
def test_texts_that_an_iod_demands_are_there_and_say_nothing(value: str) -> None:
    out = sent(
        SEGMENTATION, text(0x00181020, "LO", value), text(0x00081090, "LO", value), text(0x00700081, "LO", value)
    )
    assert [out[tag].value for tag in (0x00081090, 0x00181020, 0x00700081)] == [b"REMOVED ", b"REMOVED ", b""]
    assert out[0x00080070].value == b"REMOVED "  # Manufacturer: Type 1 here, Type 2 elsewhere
    elsewhere = sent(CT, text(0x00181020, "LO", value), text(0x00081090, "LO", value))
    assert {0x00181020, 0x00081090}.isdisjoint(elsewhere)
    assert elsewhere[0x00080070].value == b""


def test_nothing_is_demanded_of_rows_codes_and_wrong_vrs() -> None:
    assert demanded(text(0x00181020, "UN"), SEGMENTATION, 0) is None
    assert demanded(text(0x00181020, "LO"), "1.2.3", 0) is None
    assert demanded(text(0x00080100, "SH"), SEGMENTATION, 0x00620003) is None
    out = sent(SEGMENTATION, Element(0x00181020, "UN", SECRET.encode()))
    assert 0x00181020 not in out


def test_a_modality_lut_says_that_its_unit_is_not_specified() -> None:
    assert sent(CT, text(0x00281054, "LO", "SMITH"))[0x00281054].value == b"US"


def test_burned_in_annotation_where_it_is_demanded() -> None:
    assert burned_in(CT, left=True) is None
    shows = dataclasses.replace(
        deidentified(), regions=dict.fromkeys(deidentified().regions, RegionStyle.KEEP), whole_frame=RegionStyle.KEEP
    )
    assert sent(DX, screened=True)[0x00280301].value == b"NO"
    assert sent(DX, screened=False)[0x00280301].value == b"NO"  # nothing of the frame is shown before
    assert sent(DX, screened=True, level=shows)[0x00280301].value == b"YES "
    assert 0x00280301 not in sent(CT, screened=False)


def report(title: Elements, *content: Elements) -> Elements:
    return sent(
        REPORT,
        string_element(0x0040A040, "CS", "CONTAINER"),
        sequence_element(0x0040A043, [title]),
        sequence_element(0x0040A730, content),
    )


def code(value: str, scheme: str, meaning: str) -> Elements:
    return {
        0x00080100: string_element(0x00080100, "SH", value),
        0x00080102: string_element(0x00080102, "SH", scheme),
        0x00080104: string_element(0x00080104, "LO", meaning),
    }


def test_a_report_whose_title_may_not_be_told_has_a_general_one() -> None:
    out = report(code("1", "99SMITH", SECRET))
    title = (out[0x0040A043].items or ({},))[0]
    assert first_text(title, 0x00080104) == "Diagnostic Imaging Report"
    assert 0x0040A730 not in out
    kept = report(code("126000", "DCM", SECRET))
    assert first_text((kept[0x0040A043].items or ({},))[0], 0x00080100) == "126000"


def outline(*points: tuple[float, float], shape: str = "POLYLINE") -> Elements:
    data = b"".join(struct.pack("<2f", *point) for point in points)
    items = [
        string_element(0x0040A010, "CS", "CONTAINS"),
        string_element(0x0040A040, "CS", "SCOORD"),
        sequence_element(0x0040A043, [code("111030", "DCM", "Image Region")]),
        Element(0x00700022, "FL", data),
        string_element(0x00700023, "CS", shape),
    ]
    return in_order(items)


@pytest.mark.parametrize(
    ("item", "shown"),
    [
        (outline((1, 1), (2, 1), (2, 2), (1, 1)), True),
        (outline((1, 1), shape="POINT"), True),
        (outline((1, 1), (2, 1), (2, 2), (1, 2)), False),
        (outline((1, 1), (2, 1), (1, 1)), False),
        (outline(shape="POINT"), False),
    ],
)
def test_coordinates_stay_where_they_enclose_something(item: Elements, shown: bool) -> None:
    out = report(code("126000", "DCM", "x"), item)
    assert (0x0040A730 in out) is shown
    if shown:
        assert (out[0x0040A730].items or ({},))[0][0x00700022].value == item[0x00700022].value


def test_a_slide_has_a_colour_profile_of_nobody() -> None:
    path = {ICC_PROFILE: Element(ICC_PROFILE, "OB", SECRET.encode())}
    out = sent(SLIDE, sequence_element(0x00480105, [path]))
    assert (out[0x00480105].items or ({},))[0][ICC_PROFILE].value == SRGB
    assert len(SRGB) == int.from_bytes(SRGB[:4])
    assert len(SRGB) % 2 == 0
    assert ICC_PROFILE not in sent(CT, Element(ICC_PROFILE, "OB", SECRET.encode()))


def nothing(value: str, vr: str) -> str | None:
    return None


@pytest.mark.parametrize(
    ("tag", "value", "shown"),
    [
        (0x00180015, "CHEST", True),
        (0x00180015, "PANCREAS", True),
        (0x00180015, "SMITH", False),
        (0x00080060, "CT", True),
        (0x00080060, "SMITH", False),
        (0x00080061, "MR", True),
        (0x00185100, "HFS", True),
        (0x00185100, "BETTY", False),
        (0x00185101, "MLO", True),
        (0x00185101, "JONES", False),
        (0x00200020, "LPH", True),
        (0x00200020, "LPP", False),
        (0x00200020, "PAL", True),
        (0x00200020, "RALPH", False),
        (0x00200062, "L", True),
        (0x00080008, "0011", True),
        (0x00080008, "19550317", False),
        (0x00080008, "CSA MPR", True),
    ],
)
def test_a_code_string_is_a_term(tag: int, value: str, shown: bool) -> None:
    assert known(tag, value, nothing) is shown


@pytest.mark.parametrize("tag", [0x00080060, 0x00180015, 0x00185100, 0x00185101, 0x00200060, 0x00280004, 0x00080068])
def test_a_name_in_a_code_string_does_not_leave(tag: int) -> None:
    assert SECRET.encode() not in b"".join(encode_elements(sent(CT, text(tag, "CS"))))


def test_of_several_code_strings_the_places_stay() -> None:
    assert sent(CT, text(0x00080008, "CS", "ORIGINAL\\PRIMARY\\SMITH\\NORM"))[0x00080008].value == (
        b"DERIVED\\PRIMARY\\\\NORM "
    )


@given(st.text(alphabet="ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 _", min_size=1, max_size=16))
def test_no_code_string_passes_without_a_list(value: str) -> None:
    """Where the cleaner of texts lets nothing pass, only listed terms do."""
    assert known(0x00180015, value, nothing) is (value in terms(0x00180015))


@pytest.mark.parametrize("agent", ["", "OMNIPAQUE", None])
@pytest.mark.parametrize("told", [True, False])
def test_the_contrast_agent_is_there_by_what_else_is_told(agent: str | None, told: bool) -> None:
    """Type 2 of its module, and hidden: whether the object named one must not show."""
    named = [] if agent is None else [text(0x00180010, "LO", agent)]
    out = sent(CT, *named, *([text(0x00181041, "DS", "100")] if told else []))
    assert (0x00180010 in out) is told
    assert not told or out[0x00180010].value == b""


PAIRS: list[tuple[int, str, Any, Any]] = [
    (0x00282112, "DS", "12.37", "9.01"),
    (0x00280106, "US", b"\x01\x00", b"\x02\x00"),
    (0x00280107, "US", b"\x01\x00", b"\x02\x00"),
]


@pytest.mark.parametrize(("tag", "vr", "one", "other"), PAIRS)
@pytest.mark.parametrize("sop_class", [CT, DX, ULTRASOUND, SEGMENTATION])
def test_a_M20_what_was_computed_of_hidden_samples_is_not_told(
    tag: int, vr: str, one: Any, other: Any, sop_class: str
) -> None:
    made = [string_element(tag, vr, value) if vr == "DS" else Element(tag, vr, value) for value in (one, other)]
    left, right = (b"".join(encode_elements(sent(sop_class, element))) for element in made)
    assert left == right


def test_a_M20_no_compression_ratio_where_none_is_demanded() -> None:
    assert 0x00282112 not in sent(CT, text(0x00282112, "DS", "12.37"))


def test_a_M20_the_window_stays_since_no_viewer_shows_a_film_without_it() -> None:
    out = sent(CT, text(0x00281050, "DS", "40"), text(0x00281051, "DS", "400"))
    assert (out[0x00281050].value, out[0x00281051].value) == (b"40", b"400 ")


@pytest.mark.parametrize(
    ("value", "told"), [("1", "1"), ("9.01", "8"), ("15.9", "8"), ("16", "16"), ("0.5", "1"), ("", "1")]
)
def test_a_ratio_tells_a_magnitude(value: str, told: str) -> None:
    assert rough(value) == told
