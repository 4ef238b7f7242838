"""The DICOM JSON Model (PS3.18 annex F.2) of a masked data set, and the bulk values that it points to."""

from __future__ import annotations

import base64
import math
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import orjson

from server.errors import NotFound
from server.metadata.charset import DEFAULT
from server.metadata.elements import (
    BINARY_VRS,
    SPECIFIC_CHARACTER_SET,
    STRING_VRS,
    Element,
    Elements,
    character_sets,
    text,
    texts,
)
from server.metadata.masked import MaskedDataset
from server.metadata.values import kept

Bulk = Callable[[str, Element], str | None]
"""From the path of a value (as for `bulk_value`) and its element to the URI it can be fetched from, None: inline."""

INLINE_MOST = 1024
_FORMATS = {"US": "H", "SS": "h", "UL": "L", "SL": "l", "FL": "f", "FD": "d", "UV": "Q", "SV": "q"}
_PN_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")


def to_json(masked: MaskedDataset, bulk: Bulk) -> dict[str, dict[str, object]]:
    """The whole data set as JSON-able values. Values that JSON cannot carry truthfully (a decimal string that is no
    number, half a word) leave their element out. `bulk` is asked for binary values of more than 1024 bytes."""
    return _data_set(masked.elements, DEFAULT, "", bulk)


@dataclass(frozen=True, kw_only=True)
class Writer:
    """Writes masked data sets as JSON text. How an element is written is worked out once for as long as it is the same
    object, as in what `forms.unpack` gives; it ends with the answer that it was made for."""

    _written: dict[tuple[int, tuple[str, ...]], tuple[Element, bytes | None]] = field(default_factory=dict)

    def attributes(self, masked: MaskedDataset, bulk: Bulk, more: Mapping[str, object]) -> list[bytes]:
        """What `to_json` gives, and `more` attributes behind it, as UTF-8: each attribute by itself."""
        sets = character_sets(masked.elements, DEFAULT)
        found = [self._element(element, sets, bulk) for element in masked.elements.values()]
        return [*filter(None, found), *(f'"{tag}":'.encode() + orjson.dumps(value) for tag, value in more.items())]

    def _element(self, element: Element, sets: tuple[str, ...], bulk: Bulk) -> bytes | None:
        known = self._written.get((id(element), sets))
        if known is not None:
            return known[1]
        asked: list[str] = []

        def noting(path: str, one: Element) -> str | None:
            asked.append(path)
            return bulk(path, one)

        written = _element(element, sets, f"{element.tag:08X}", noting)
        text = f'"{element.tag:08X}":'.encode() + orjson.dumps(written) if written is not None else None
        if not asked:
            # An address is one object's alone.
            self._written[id(element), sets] = element, text
        return text


def elements_to_json(elements: Elements, inherited: tuple[str, ...] = DEFAULT) -> dict[str, dict[str, object]]:
    """As `to_json`, with all binary values inline; for rows of the catalogue, which never leave unmasked."""
    return _data_set(elements, inherited, "", lambda _path, _element: None)


def bulk_value(masked: MaskedDataset, path: str) -> tuple[str, bytes]:
    """VR and bytes of the binary value at `path`: tags and item numbers from 0 (`00081115/0/00420011`).

    Raises `NotFound` for everything that is not the path of a binary value of this masked data set.
    """
    *steps, last = path.split("/")
    if len(steps) % 2:
        raise NotFound
    elements = masked.elements
    for tag, number in zip(steps[::2], steps[1::2], strict=True):
        sequence = elements.get(_tag(tag))
        items = () if sequence is None or sequence.items is None else sequence.items
        if not (number.isascii() and number.isdecimal() and len(number) < 8 and int(number) < len(items)):
            raise NotFound
        elements = items[int(number)]
    element = elements.get(_tag(last))
    if element is None or element.vr not in BINARY_VRS:
        raise NotFound
    return element.vr, element.value


def _tag(written: str) -> int:
    if len(written) != 8 or not set(written) <= set("0123456789ABCDEF"):
        raise NotFound
    return int(written, 16)


def _data_set(elements: Elements, inherited: tuple[str, ...], path: str, bulk: Bulk) -> dict[str, dict[str, object]]:
    sets = character_sets(elements, inherited)
    out: dict[str, dict[str, object]] = {}
    for tag, element in elements.items():
        written = _element(element, sets, f"{path}{tag:08X}", bulk)
        if written is not None:
            out[f"{tag:08X}"] = written
    return out


def _element(element: Element, sets: tuple[str, ...], path: str, bulk: Bulk) -> dict[str, object] | None:
    vr = element.vr
    if element.tag == SPECIFIC_CHARACTER_SET:
        return {"vr": "CS", "Value": ["ISO_IR 192"]}
    if vr in BINARY_VRS:
        return _binary(element, path, bulk)
    values: list[object] | None
    if element.items is not None:
        values = [_data_set(item, sets, f"{path}/{number}/", bulk) for number, item in enumerate(element.items)]
    else:
        values = _strings(element, sets) if vr in STRING_VRS else _numbers(element)
    if values is None:
        return None
    return {"vr": vr, "Value": values} if values else {"vr": vr}


def _binary(element: Element, path: str, bulk: Bulk) -> dict[str, object]:
    vr, value = element.vr, element.value
    if not value:
        return {"vr": vr}
    uri = bulk(path, element) if len(value) > INLINE_MOST else None
    if uri is not None:
        return {"vr": vr, "BulkDataURI": uri}
    return {"vr": vr, "InlineBinary": base64.b64encode(value).decode("ascii")}


def _strings(element: Element, sets: tuple[str, ...]) -> list[object] | None:
    # A whole value of blanks is no value, but one empty value among others holds its place (F.2.5).
    found = texts(element, sets) if text(element, sets) else []
    if element.vr == "PN":
        return [_name(value) for value in found]
    if element.vr not in ("DS", "IS"):
        return [value or None for value in found]
    if any(kept(element.vr, value) is None for value in found):
        return None
    number = int if element.vr == "IS" else _decimal
    numbers = [number(value) if value else None for value in found]
    return None if any(isinstance(one, float) and not math.isfinite(one) for one in numbers) else [*numbers]


def _decimal(value: str) -> float | int:
    return int(value) if value.lstrip("+-").isdecimal() else float(value)


def _name(value: str) -> Mapping[str, str] | None:
    groups = zip(_PN_GROUPS, value.split("=", 2), strict=False)
    return {group: name.strip() for group, name in groups if name.strip()} or None


def _numbers(element: Element) -> list[object] | None:
    value = element.value
    if element.vr == "AT":
        if len(value) % 4:
            return None
        return [f"{group:04X}{number:04X}" for group, number in struct.iter_unpack("<HH", value)]
    letter = _FORMATS[element.vr]
    if len(value) % struct.calcsize("<" + letter):
        return None
    numbers = [number for (number,) in struct.iter_unpack("<" + letter, value)]
    # JSON has no word for NaN and the infinities.
    return [None if isinstance(one, float) and not math.isfinite(one) else one for one in numbers]
