"""From the DICOM JSON model (PS3.18 annex F) and the Native DICOM Model (PS3.19 annex A) to elements.

What a sender writes is refused where two readers could take it differently: a backslash inside of one of several
values, a value of another kind than its VR, an entity or a document type in XML.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast
from xml.etree import ElementTree as ET

from server.errors import UnreadableObject
from server.metadata.elements import (
    BINARY_VRS,
    SINGLE_VALUED,
    STRING_VRS,
    VRS,
    Element,
    Elements,
    in_order,
    sequence_element,
    string_element,
)

BulkOf = Callable[[str], bytes]
"""From a BulkDataURI to its bytes; raises `UnreadableObject` for all that is not in the request."""

Model = Mapping[str, Any]

_DEEPEST = 32
_NAMESPACE = "{http://dicom.nema.org/PS3.19/models/NativeDICOM}"
_NUMBERS = {"US": "H", "SS": "h", "UL": "L", "SL": "l", "FL": "f", "FD": "d", "UV": "Q", "SV": "q"}
_REAL = frozenset({"FL", "FD"})
_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
_COMPONENTS = ("FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix")


def elements_of(model: Model, bulk: BulkOf) -> Elements:
    """The elements of a data set in the JSON model, text in UTF-8. Raises `UnreadableObject`."""
    try:
        return _data_set(model, bulk, 0)
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError, struct.error) as error:
        raise UnreadableObject("the metadata is not a data set in the model") from error


def model_of_xml(document: bytes) -> dict[str, Any]:
    """The JSON model of one XML document. Raises `UnreadableObject` for what is not well formed, has a document type
    (and with it could have entities, a.S7), or is no Native DICOM Model."""
    parser = ET.XMLParser(target=_Strict())  # noqa: S314 (no document type, so no entity is ever defined)
    try:
        parser.feed(document)
        root = parser.close()
        if root.tag.removeprefix(_NAMESPACE) != "NativeDicomModel":
            raise UnreadableObject("the document is no Native DICOM Model")
        return _model(root, 0)
    except (ET.ParseError, AttributeError, KeyError, LookupError, TypeError, ValueError) as error:
        raise UnreadableObject("the document is no Native DICOM Model") from error


class _Strict(ET.TreeBuilder):
    def doctype(self, *_: str | None) -> None:
        raise UnreadableObject("a document with a document type is not taken")


def _data_set(model: Model, bulk: BulkOf, depth: int) -> Elements:
    if depth > _DEEPEST:
        raise UnreadableObject("the sequences are nested too deeply")
    found = [_element(_tag(key), attribute, bulk, depth) for key, attribute in model.items()]
    if len({element.tag for element in found}) != len(found):
        raise UnreadableObject("an element is there twice")
    return in_order(found)


def _tag(key: str) -> int:
    if len(key) != 8 or not key.isalnum() or not key.isascii():
        raise ValueError("no tag")
    return int(key, 16)


def _element(tag: int, attribute: Mapping[str, Any], bulk: BulkOf, depth: int) -> Element:
    vr = attribute["vr"]
    forms = [name for name in ("Value", "InlineBinary", "BulkDataURI") if name in attribute]
    if vr not in VRS or len(forms) > 1:
        raise ValueError("no VR, or a value in two forms")
    if "BulkDataURI" in attribute and vr != "SQ":
        return Element(tag, vr, bulk(attribute["BulkDataURI"]))
    if "InlineBinary" in attribute or vr in BINARY_VRS:
        if vr not in BINARY_VRS or "Value" in attribute:
            raise ValueError("a value of another kind than its VR")
        return Element(tag, vr, base64.b64decode(attribute.get("InlineBinary", ""), validate=True))
    values = cast(Sequence[Any], attribute.get("Value", []))
    if not isinstance(values, list):
        raise TypeError("a value that is no list")
    if vr == "SQ":
        return sequence_element(tag, [_data_set(item or {}, bulk, depth + 1) for item in values])
    if vr in STRING_VRS:
        return string_element(tag, vr, *(_string(vr, value) for value in values))
    if vr == "AT":
        return Element(tag, vr, b"".join(struct.pack("<HH", _tag(one) >> 16, _tag(one) & 0xFFFF) for one in values))
    number = float if vr in _REAL else int
    return Element(tag, vr, b"".join(struct.pack(f"<{_NUMBERS[vr]}", number(value)) for value in values))


def _string(vr: str, value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool) or (isinstance(value, int | float) and vr not in ("IS", "DS")):
        raise TypeError("a number for a text")
    if isinstance(value, float):
        short = repr(value)
        return short if len(short) <= 16 else f"{value:.10g}"
    if vr == "PN" and isinstance(value, Mapping):
        groups = [value.get(group, "") for group in _GROUPS]
        if not all(isinstance(one, str) and "=" not in one for one in groups):
            raise ValueError("a name with a delimiter in it")
        value = "=".join(groups).rstrip("=")
    text = str(value) if isinstance(value, int) else value
    if not isinstance(text, str) or ("\\" in text and vr not in SINGLE_VALUED):
        raise ValueError("one value that would become several")
    return text


def _model(node: ET.Element, depth: int) -> dict[str, Any]:
    if depth > _DEEPEST:
        raise UnreadableObject("the sequences are nested too deeply")
    model: dict[str, Any] = {}
    blocks: dict[tuple[str, str], str] = {}
    for child in node:
        if _name(child) != "DicomAttribute":
            raise ValueError("no attribute")
        tag, creator = child.attrib["tag"].upper(), child.attrib.get("privateCreator")
        if creator is not None:
            # A block of its own for each creator: the model names the creator and not the block.
            block = blocks.setdefault((tag[:4], creator), f"{0x10 + len(blocks):02X}")
            model[f"{tag[:4]}00{block}"] = {"vr": "LO", "Value": [creator]}
            tag = f"{tag[:4]}{block}{tag[6:]}"
        if tag in model:
            raise ValueError("an element is there twice")
        model[tag] = _attribute(child, child.attrib["vr"], depth)
    return model


def _attribute(node: ET.Element, vr: str, depth: int) -> dict[str, Any]:
    found: dict[str, Any] = {"vr": vr}
    values: list[Any] = []
    for child in node:
        match _name(child):
            case "BulkData":
                found["BulkDataURI"] = child.attrib["uri"]
                continue
            case "InlineBinary":
                found["InlineBinary"] = "".join((child.text or "").split())
                continue
            case "Value":
                value: Any = child.text
            case "Item":
                value = _model(child, depth + 1)
            case "PersonName":
                value = {_name(group): _person(group) for group in child} or None
            case _:
                raise ValueError("no value")
        if int(child.attrib["number"]) != len(values) + 1:
            raise ValueError("values that are not in order")
        values.append(value)
    return {**found, "Value": values} if values else found


def _person(group: ET.Element) -> str:
    parts = {_name(part): part.text or "" for part in group}
    if set(parts) - set(_COMPONENTS) or any("^" in part for part in parts.values()):
        raise ValueError("no name")
    return "^".join(parts.get(component, "") for component in _COMPONENTS).rstrip("^")


def _name(node: ET.Element) -> str:
    return node.tag.removeprefix(_NAMESPACE)
