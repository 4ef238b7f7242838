"""The Native DICOM Model: well-formed whatever the values are, and of the masked data set alone."""

from __future__ import annotations

import base64
import struct
from xml.etree import ElementTree

import pytest
from metadata_films import DEIDENTIFIED, ORIGINAL, film, names, stored
from pydicom.dataset import Dataset

from server.metadata.deidentify import deidentify
from server.metadata.elements import Element, sequence_element
from server.metadata.json_model import to_json
from server.metadata.masked import MaskedDataset
from server.metadata.pseudonyms import IdentityMapping
from server.metadata.xml_model import NAMESPACE, from_json, to_xml

SPACE = "{http://www.w3.org/XML/1998/namespace}space"


def shown(*elements: Element) -> MaskedDataset:
    return deidentify({one.tag: one for one in elements}, ORIGINAL, IdentityMapping(), pixels_masked=False)


def no_uri(_path: str, _element: Element) -> None:
    return None


def document(*elements: Element) -> ElementTree.Element:
    return ElementTree.fromstring(to_xml(shown(*elements), no_uri, {}))


def named(kind: str) -> str:
    return f"{{{NAMESPACE}}}{kind}"


def told(*elements: Element) -> list[tuple[dict[str, str], list[tuple[str, dict[str, str], str | None]]]]:
    """The attributes of each element, and the kind, attributes and text of what is in it."""
    return [
        (one.attrib, [(value.tag.rpartition("}")[2], value.attrib, value.text) for value in one])
        for one in document(*elements)
    ]


CREATOR = Element(0x00090010, "LO", b"SAFE & SOUND")


@pytest.mark.parametrize(
    ("element", "expected"),
    [
        (Element(0x00100020, "LO", b"A\\\\B "), ["A", None, "B"]),
        (Element(0x00204000, "LT", b"one\r\ntwo\tthree"), ["one\r\ntwo\tthree"]),
        (Element(0x00204000, "LT", b"page\x0cpage"), ["page\ufffdpage"]),
        (Element(0x00204000, "LT", b"]]><Value number='2'>&amp;<!--"), ["]]><Value number='2'>&amp;<!--"]),
        (Element(0x00181160, "DS", b"1.50\\-2"), ["1.5", "-2"]),
        (Element(0x00200013, "IS", b" 12 "), ["12"]),
        (Element(0x00280010, "US", b"\x01\x00\x02\x00"), ["1", "2"]),
        (Element(0x00280009, "AT", b"\x18\x00\x63\x10"), ["00181063"]),
        (Element(0x00189073, "FD", struct.pack("<2d", 0.5, float("inf"))), ["0.5", None]),
        (Element(0x00080018, "UI", b"1.2.3\x00"), ["1.2.3"]),
        (Element(0x00204000, "LT", b"  "), []),
    ],
)
def test_values(element: Element, expected: list[str | None]) -> None:
    ((attributes, values),) = told(element)
    assert attributes["tag"] == f"{element.tag:08X}"
    assert attributes["vr"] == element.vr
    assert values == [("Value", {"number": str(at)}, text) for at, text in enumerate(expected, 1)]


@pytest.mark.parametrize("character", ["\x00", "\x01", "\x0b", "\x1b", "\x1f", "\ud800", "\ufffe", "\uffff"])
def test_what_xml_cannot_write_is_marked(character: str) -> None:
    text = f"a{character}b"
    root = ElementTree.fromstring(
        from_json({
            "00100020": {"vr": "LO", "Value": [text]},
            "00100010": {"vr": "PN", "Value": [{"Alphabetic": text}]},
            "00282000": {"vr": "OB", "BulkDataURI": text},
            "00090010": {"vr": "LO", "Value": [text]},
            "00091001": {"vr": "LO", "Value": [text]},
        })
    )  # fmt: skip
    found = [one.text or one.attrib.get("uri") or one.attrib.get("privateCreator") for one in root.iter()]
    assert [one for one in found if one] == ["a\ufffdb"] * 5
    for kept in ("\t", "\n", "\r", "\x7f", "\x85", "\ue000", "\U0001f600"):
        (one,) = ElementTree.fromstring(from_json({"00282000": {"vr": "OB", "BulkDataURI": f"a{kept}b"}}))
        assert one[0].attrib["uri"] == f"a{kept}b"


def test_the_head_of_a_document() -> None:
    text = to_xml(shown(), no_uri, {})
    assert text.startswith(b'<?xml version="1.0" encoding="UTF-8"?>\n<NativeDicomModel ')
    root = ElementTree.fromstring(text)
    assert (root.tag, root.attrib) == (named("NativeDicomModel"), {SPACE: "preserve"})


def test_names_by_group_and_component() -> None:
    sets = Element(0x00080005, "CS", b"\\ISO 2022 IR 87")
    value = "MUSTER^MAXIMA^^DR=山田^太郎=x^y^z^a^b^c".encode("iso2022_jp")
    _, name = document(sets, Element(0x00100010, "PN", value + b"\\\\B"))
    assert name.attrib == {"tag": "00100010", "keyword": "PatientName", "vr": "PN"}
    assert [(one.tag, one.attrib) for one in name] == [(named("PersonName"), {"number": str(at)}) for at in range(1, 4)]
    first, second, third = (
        {group.tag.rpartition("}")[2]: [(part.tag.rpartition("}")[2], part.text) for part in group] for group in one}
        for one in name
    )
    assert first == {
        "Alphabetic": [("FamilyName", "MUSTER"), ("GivenName", "MAXIMA"), ("NamePrefix", "DR")],
        "Ideographic": [("FamilyName", "山田"), ("GivenName", "太郎")],
        "Phonetic": [
            ("FamilyName", "x"), ("GivenName", "y"), ("MiddleName", "z"), ("NamePrefix", "a"), ("NameSuffix", "b^c"),
        ],
    }  # fmt: skip
    assert (second, third) == ({}, {"Alphabetic": [("FamilyName", "B")]})


def test_private_elements_are_named_by_their_creator() -> None:
    private, homeless = Element(0x0009107F, "LO", b"x"), Element(0x000B1001, "LO", b"lost")
    assert told(CREATOR, private, homeless) == [
        ({"tag": "0009007F", "privateCreator": "SAFE & SOUND", "vr": "LO"}, [("Value", {"number": "1"}, "x")])
    ]
    # A creator in another item is not this one's.
    assert told(CREATOR, sequence_element(0x00081115, [{private.tag: private}]))[0][1] == [
        ("Item", {"number": "1"}, None)
    ]


def test_sequences_and_binary_values() -> None:
    inner = {0x00100020: Element(0x00100020, "LO", b"A")}
    (sequence,) = document(sequence_element(0x00081115, [inner, {}]))
    assert [(one.tag, one.attrib, len(one)) for one in sequence] == [
        (named("Item"), {"number": "1"}, 1),
        (named("Item"), {"number": "2"}, 0),
    ]
    assert sequence[0][0].attrib == {"tag": "00100020", "keyword": "PatientID", "vr": "LO"}
    assert told(Element(0x00282000, "OB", b"\x00\x01"))[0][1] == [
        ("InlineBinary", {}, base64.b64encode(b"\x00\x01").decode())
    ]
    long = shown(Element(0x00282000, "OB", bytes(2000)))
    text = to_xml(long, lambda path, _: f'http://here/?a="&{path}', {"7FE00010": {"vr": "OW", "BulkDataURI": "u"}})
    first, second = ElementTree.fromstring(text)
    assert [(one.tag, one.attrib) for one in first] == [(named("BulkData"), {"uri": 'http://here/?a="&00282000'})]
    assert second.attrib == {"tag": "7FE00010", "keyword": "PixelData", "vr": "OW"}
    assert second[0].attrib == {"uri": "u"}


def test_a_whole_film_says_what_json_says() -> None:
    for masked in (
        deidentify(stored(film()).elements, ORIGINAL, IdentityMapping(), pixels_masked=False),
        deidentify(stored(film()).elements, DEIDENTIFIED, names(stored(film()).elements), pixels_masked=True),
    ):
        model = to_json(masked, no_uri)
        root = ElementTree.fromstring(to_xml(masked, no_uri, {}))
        public = [tag for tag in model if int(tag[:4], 16) % 2 == 0]
        assert [one.attrib["tag"] for one in root if "privateCreator" not in one.attrib] == public
        assert len(public) > 10
        assert ElementTree.fromstring(from_json(model)).attrib == root.attrib
        texts = {one.text for one in root.iter() if one.text}
        for tag in public:
            values = model[tag].get("Value", [])
            assert isinstance(values, list)
            assert {one for one in values if isinstance(one, str)} <= texts


def test_only_masked_data_sets_are_written() -> None:
    strangers: tuple[object, ...] = (Dataset(), {}, None)
    for stranger in strangers:
        with pytest.raises((TypeError, AttributeError)):
            to_xml(stranger, no_uri, {})  # type: ignore[arg-type]
