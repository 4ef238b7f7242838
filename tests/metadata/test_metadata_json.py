"""DICOM JSON, bulk values, the catalogue's attributes, and text in every character set."""

from __future__ import annotations

import json
import struct
import warnings
from pathlib import Path

import pydicom
import pytest
from metadata_films import DEIDENTIFIED, ORIGINAL, WHEEL, K, film, level, names, stored, wheel_files
from pydicom.dataset import Dataset

from server.errors import NotFound, SafelightError, SealBroken
from server.metadata.attributes import dataset_from_attributes, level_attributes
from server.metadata.charset import decode
from server.metadata.deidentify import deidentify
from server.metadata.elements import Element, Elements, character_sets, sequence_element, text
from server.metadata.json_model import bulk_value, to_json
from server.metadata.masked import MaskedDataset
from server.metadata.part10 import read
from server.metadata.pseudonyms import IdentityMapping

CHARSETS = sorted((WHEEL / "charset_files").glob("*.dcm"))


def shown(elements: Elements) -> MaskedDataset:
    return deidentify(elements, ORIGINAL, IdentityMapping(), pixels_masked=False)


def written(*elements: Element) -> dict[str, dict[str, object]]:
    return to_json(shown({element.tag: element for element in elements}), lambda _path, _element: None)


@pytest.mark.parametrize(
    ("vr", "value", "expected"),
    [
        ("LO", b"", {"vr": "LO"}),
        ("LO", b"   ", {"vr": "LO"}),
        ("LO", b"A\\\\B ", {"vr": "LO", "Value": ["A", None, "B"]}),
        ("LT", b"A\\B", {"vr": "LT", "Value": ["A\\B"]}),
        ("PN", b"A^B=C=D ", {"vr": "PN", "Value": [{"Alphabetic": "A^B", "Ideographic": "C", "Phonetic": "D"}]}),
        ("PN", b"=C", {"vr": "PN", "Value": [{"Ideographic": "C"}]}),
        ("PN", b"A\\", {"vr": "PN", "Value": [{"Alphabetic": "A"}, None]}),
        ("DS", b"1.50\\-2", {"vr": "DS", "Value": [1.5, -2]}),
        ("DS", b"abc", None),
        ("DS", b"1e999", None),
        ("DS", b"NaN", None),
        ("IS", b" 12 ", {"vr": "IS", "Value": [12]}),
        ("IS", b"1.5", None),
        ("US", b"\x01\x00\x02\x00", {"vr": "US", "Value": [1, 2]}),
        ("US", b"\x01", None),
        ("SS", b"\xff\xff", {"vr": "SS", "Value": [-1]}),
        ("FD", struct.pack("<2d", 0.5, float("nan")), {"vr": "FD", "Value": [0.5, None]}),
        ("AT", b"\x08\x00\x18\x00", {"vr": "AT", "Value": ["00080018"]}),
        ("UV", b"\xff" * 8, {"vr": "UV", "Value": [2**64 - 1]}),
        ("UN", b"\x00\x01", {"vr": "UN", "InlineBinary": "AAE="}),
        ("OB", b"", {"vr": "OB"}),
        ("UI", b"1.2.3\x00", {"vr": "UI", "Value": ["1.2.3"]}),
    ],
)
def test_values(vr: str, value: bytes, expected: dict[str, object] | None) -> None:
    assert written(Element(0x00091001, vr, value)).get("00091001") == expected


def test_sequences() -> None:
    inner = {0x00100010: Element(0x00100010, "PN", b"A")}
    assert written(sequence_element(0x00081115, [inner, {}])) == {
        "00081115": {"vr": "SQ", "Value": [{"00100010": {"vr": "PN", "Value": [{"Alphabetic": "A"}]}}, {}]}
    }
    assert written(sequence_element(0x00081115, [])) == {"00081115": {"vr": "SQ"}}


@pytest.mark.parametrize("size", [1, 1024, 1026, 10_000_000])
def test_a_M16_inline_or_bulk_the_masked_value_alone(size: int) -> None:
    value = (b"CANARY" * (size // 6 + 1))[:size]
    made = {
        **stored(film()).elements,
        0x00091001: Element(0x00091001, "OB", value),
        0x00281201: Element(0x00281201, "OW", value),
        0x00081115: sequence_element(0x00081115, [{0x00420011: Element(0x00420011, "OB", value)}]),
    }
    paths: list[str] = []

    def bulk(path: str, _element: Element) -> str:
        paths.append(path)
        return f"bulk/{path}"

    masked = deidentify(made, DEIDENTIFIED, names(made), pixels_masked=True)
    assert "Q0FOQV" not in json.dumps(to_json(masked, bulk))
    assert paths == []
    for path in ("00091001", "00281201", "00081115/0/00420011"):
        with pytest.raises(NotFound):
            bulk_value(masked, path)
    original = shown(made)
    assert ("InlineBinary" in json.dumps(to_json(original, bulk))) == (size <= 1024)
    assert len(paths) == (3 if size > 1024 else 0)
    for path in paths:
        assert bulk_value(original, path)[1] == value


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "00081115",
        "00081115/0",
        "00081115/1/00420011",
        "00081115/-1/00420011",
        "00081115/٠/00420011",
        "00081115/0/00420011/",
        "x",
        "00080018",
        "0008115g",
        "00081115/99999999999/00420011",
        "00420011/0/00420011",
    ],
)
def test_paths_that_lead_nowhere(path: str) -> None:
    item = {0x00420011: Element(0x00420011, "OB", b"ab")}
    masked = shown({**stored(film()).elements, 0x00081115: sequence_element(0x00081115, [item])})
    assert bulk_value(masked, "00081115/0/00420011") == ("OB", b"ab")
    with pytest.raises(NotFound):
        bulk_value(masked, path)


@pytest.mark.parametrize("path", wheel_files(), ids=lambda path: path.name)
def test_wheel_files_as_json_that_pydicom_reads(path: Path) -> None:
    try:
        found = read(path.read_bytes())
    except SafelightError:
        return
    text_form = json.dumps(to_json(shown(found.elements), lambda _path, _element: None), allow_nan=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = Dataset.from_json(text_form)
        assert theirs.SOPInstanceUID == found.path.instance
        assert theirs.get("PatientName", "") == found.dataset.get("PatientName", "")


def _texts(theirs: Dataset) -> list[str]:
    vrs = ("PN", "LO", "SH", "LT", "ST", "UT")
    return [str(one.value) for one in theirs.iterall() if one.VR in vrs and not one.tag.is_private]


def _ours(elements: Elements, inherited: tuple[str, ...] = ("",)) -> list[str]:
    sets = character_sets(elements, inherited)
    out: list[str] = []
    for element in elements.values():
        if element.items is not None:
            for item in element.items:
                out += _ours(item, sets)
        elif element.vr in ("PN", "LO", "SH", "LT", "ST", "UT") and "\\" not in text(element, sets):
            out.append(text(element, sets).rstrip("=" if element.vr == "PN" else ""))
    return out


@pytest.mark.parametrize("path", CHARSETS, ids=lambda path: path.name)
def test_a_M6_every_character_set_of_the_wheel_reads_as_pydicom_reads_it(path: Path) -> None:
    try:
        found = read(path.read_bytes())
    except SafelightError:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = {value for value in _texts(pydicom.dcmread(path)) if not value.startswith("[")}
    assert theirs <= set(_ours(found.elements)) | {""}
    rules = {0x00100010: K, 0x00100020: K}
    at = level("l", rules, pseudonyms=False, shift_dates=False)
    masked = deidentify(found.elements, at, IdentityMapping(), pixels_masked=False)
    assert masked.elements[0x00100010].value.decode("utf-8")


@pytest.mark.parametrize(
    ("sets", "value", "expected"),
    [
        (("GB18030",), "Wang^XiaoDong=王^小东".encode("gb18030"), "Wang^XiaoDong=王^小东"),
        (("GB18030",), "誠\\用".encode("gb18030"), "誠\\用"),
        (("", "ISO 2022 IR 149"), b"Hong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce", "Hong=洪^吉"),
        (("", "ISO 2022 IR 87"), b"Yamada=\x1b$B;3ED\x1b(B^A", "Yamada=山田^A"),
        (("", "ISO 2022 IR 58"), b"Zhang=\x1b$)A\xd5\xc5", "Zhang=张"),
        (("ISO_IR 13",), b"\xd4\xcf\xc0\xde", "ﾔﾏﾀﾞ"),
        (("ISO_IR 192",), b"a\xff\x00\x1fb\r\n", "a\ufffdb\r\n"),
        (("nonsense",), b"\xe9", "é"),
        (("",), b"\x1bqA", "\ufffd"),
    ],
)
def test_text(sets: tuple[str, ...], value: bytes, expected: str) -> None:
    assert decode(value, sets) == expected


def test_attributes_of_each_level_and_the_way_back() -> None:
    request = Dataset()
    request.RequestedProcedureID = "R1"
    request.ScheduledProcedureStepID = "S1"
    request.RequestedProcedureDescription = "CANARY"
    made = film(
        SpecificCharacterSet="ISO_IR 100",
        PatientName="MÜSTER^MAXIMA",
        RequestAttributesSequence=[request],
        SeriesDescription="",
        PatientComments="CANARY",
    )
    elements = stored(made).elements
    study, series, instance = level_attributes(elements)
    assert study["00100010"] == {"vr": "PN", "Value": [{"Alphabetic": "MÜSTER^MAXIMA"}]}
    assert series["00400275"]["Value"] == [
        {"00400009": {"vr": "SH", "Value": ["S1"]}, "00401001": {"vr": "SH", "Value": ["R1"]}}
    ]
    assert instance["00280010"] == {"vr": "US", "Value": [2]}
    assert "00104000" not in study
    again = dataset_from_attributes(study, series, instance)
    assert level_attributes(again) == (study, series, instance)
    mapping = names(elements)
    whole = deidentify(elements, DEIDENTIFIED, mapping, pixels_masked=True)
    from_row = deidentify(again, DEIDENTIFIED, mapping, pixels_masked=True)
    assert {tag: from_row.elements[tag] for tag in from_row.elements} == {
        tag: whole.elements[tag] for tag in from_row.elements
    }


@pytest.mark.parametrize(
    "attributes",
    [
        {"x": {"vr": "LO"}},
        {"00100010": {}},
        {"00100010": []},
        {"00280010": {"vr": "US", "Value": ["a"]}},
        {"00280010": {"vr": "ZZ", "Value": [1]}},
        {"00280010": {"vr": "US", "Value": [70000]}},
    ],
)
def test_attributes_that_are_none(attributes: dict[str, dict[str, object]]) -> None:
    with pytest.raises(SealBroken):
        dataset_from_attributes(attributes)


@pytest.mark.parametrize("path", wheel_files(), ids=lambda path: path.name)
def test_attributes_of_the_wheels_films_survive_the_way_back(path: Path) -> None:
    try:
        found = read(path.read_bytes())
    except SafelightError:
        return
    levels = level_attributes(found.elements)
    assert level_attributes(dataset_from_attributes(*levels)) == levels
