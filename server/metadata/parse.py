"""Bytes to elements: a strict reader of PS3.5 section 7 that never looks past its bounds and never guesses.

What it cannot be sure of (an unknown VR, a tag twice, a length beyond the end, group 0000, 0002 or FFFE where
none can be) is refused, since two readers that guess differently are how an attribute slips past a masker.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import NamedTuple

from server.errors import TooLarge, UnreadableObject
from server.metadata.elements import (
    LONG_VRS,
    PIXEL_KEYWORDS,
    UNDEFINED,
    VRS,
    Element,
    Elements,
    definition,
    first_number,
    in_order,
)
from server.model.readable import Readable

ITEM = 0xFFFEE000
ITEM_END = 0xFFFEE00D
SEQUENCE_END = 0xFFFEE0DD
_PIXEL_REPRESENTATION = 0x00280103
_SWAPS = {"US": 2, "SS": 2, "OW": 2, "AT": 2} | dict.fromkeys(("UL", "SL", "FL", "OF", "OL"), 4)
_SWAPS |= dict.fromkeys(("FD", "OD", "SV", "UV", "OV"), 8)


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much one object may ask for: nesting of sequences, number of elements, bytes after inflation, bytes of
    values beside the pixel data."""

    depth: int = 32
    elements: int = 500_000
    inflated: int = 1 << 30
    held: int = 1 << 29


class PixelSpan(NamedTuple):
    """Where the top-level pixel data element lies: from its tag to the first byte behind it."""

    tag: int
    offset: int
    end: int
    encapsulated: bool


class Coding(NamedTuple):
    """How elements are written: implicit or explicit VR, little or big endian."""

    implicit: bool
    big: bool


class _Header(NamedTuple):
    tag: int
    vr: str
    length: int
    start: int


@dataclass(kw_only=True)
class Parser:
    """Reads the data set in `data[position:]`. With `stop_at_pixels` nothing behind the pixel data's tag is read."""

    data: Readable
    coding: Coding
    limits: Limits
    stop_at_pixels: bool = False
    pixels: PixelSpan | None = None
    _left: int = field(init=False)
    _room: int = field(init=False)

    def __post_init__(self) -> None:
        self._left = self.limits.elements
        self._room = self.limits.held

    def data_set(self, position: int) -> Elements:
        """The elements from `position` to the end. Raises `UnreadableObject`; sets `pixels`."""
        elements, _ = self._elements(position, len(self.data), self.coding, depth=0, signed=False, closed=True)
        return elements

    def _elements(
        self, position: int, stop: int, coding: Coding, *, depth: int, signed: bool, closed: bool
    ) -> tuple[Elements, int]:
        """Elements up to `stop`, or (not `closed`) up to the item delimiter, and the offset behind them."""
        found: dict[int, Element] = {}
        while position < stop or not closed:
            header = self._header(position, stop, coding, signed=signed)
            if header.tag == ITEM_END and not closed:
                return in_order(found.values()), header.start
            if header.tag >> 16 in (0x0000, 0x0002, 0xFFFE) or header.tag in found:
                raise UnreadableObject("an element stands where it cannot be, or twice")
            if depth == 0 and header.tag in PIXEL_KEYWORDS:
                position = self._pixels(position, header, stop)
                if self.stop_at_pixels:
                    break
                continue
            element, position = self._element(header, stop, coding, depth=depth, signed=signed)
            found[element.tag] = element
            if header.tag == _PIXEL_REPRESENTATION:
                signed = first_number(found, _PIXEL_REPRESENTATION) == 1
        return in_order(found.values()), position

    def _header(self, position: int, stop: int, coding: Coding, *, signed: bool) -> _Header:
        self._left -= 1
        if self._left < 0:
            raise UnreadableObject("too many elements")
        if stop - position < 8:
            raise UnreadableObject("the data set ends inside an element")
        order = ">" if coding.big else "<"
        group, number = struct.unpack(order + "HH", self.data[position : position + 4])
        tag = group << 16 | number
        if coding.implicit or group == 0xFFFE:
            (length,) = struct.unpack(order + "L", self.data[position + 4 : position + 8])
            return _Header(tag, _dictionary_vr(tag, signed=signed), length, position + 8)
        vr = self.data[position + 4 : position + 6].decode("latin-1")
        if vr not in VRS:
            raise UnreadableObject("an element has an unknown VR")
        if vr not in LONG_VRS:
            return _Header(tag, vr, struct.unpack(order + "H", self.data[position + 6 : position + 8])[0], position + 8)
        if stop - position < 12:
            raise UnreadableObject("the data set ends inside an element")
        return _Header(tag, vr, struct.unpack(order + "L", self.data[position + 8 : position + 12])[0], position + 12)

    def _element(self, header: _Header, stop: int, coding: Coding, *, depth: int, signed: bool) -> tuple[Element, int]:
        tag, vr, length, start = header
        if length == UNDEFINED:
            if vr in ("OB", "OW") and not coding.implicit:
                end = self._fragments(start, stop, coding)
                return Element(tag, vr, self._value(start, end - 8), encapsulated=True), end
            if vr not in ("SQ", "UN"):
                raise UnreadableObject("an element that needs a length has none")
            # PS3.5 section 6.2.2: a UN of undefined length holds a sequence in Implicit VR Little Endian.
            inner = Coding(implicit=True, big=False) if vr == "UN" else coding
            items, end = self._items(start, stop, inner, depth=depth + 1, signed=signed, closed=False)
            return Element(tag, "SQ", b"", items), end
        end = start + length
        if end > stop:
            raise UnreadableObject("an element's length goes beyond the end")
        if vr == "UN" and not coding.big:
            vr = _dictionary_vr(tag, signed=signed)
            coding = Coding(implicit=True, big=False)
        if vr == "SQ":
            items, _ = self._items(start, end, coding, depth=depth + 1, signed=signed, closed=True)
            return Element(tag, "SQ", b"", items), end
        value = self._value(start, end)
        return Element(tag, vr, _swapped(value, _SWAPS.get(vr, 1)) if coding.big else value), end

    def _value(self, start: int, end: int) -> bytes:
        self._room -= end - start
        if self._room < 0:
            raise TooLarge
        return self.data[start:end]

    def _items(
        self, position: int, stop: int, coding: Coding, *, depth: int, signed: bool, closed: bool
    ) -> tuple[tuple[Elements, ...], int]:
        if depth > self.limits.depth:
            raise UnreadableObject("sequences are nested too deeply")
        items: list[Elements] = []
        while position < stop or not closed:
            header = self._header(position, stop, coding, signed=signed)
            if header.tag == SEQUENCE_END and not closed:
                return tuple(items), header.start
            if header.tag != ITEM:
                raise UnreadableObject("a sequence holds something that is no item")
            defined = header.length != UNDEFINED
            end = header.start + header.length if defined else stop
            if end > stop:
                raise UnreadableObject("an item's length goes beyond the end")
            item, position = self._elements(header.start, end, coding, depth=depth, signed=signed, closed=defined)
            items.append(item)
        return tuple(items), position

    def _fragments(self, position: int, stop: int, coding: Coding) -> int:
        """Walk a run of fragment items (PS3.5 section A.4); the offset behind its sequence delimiter."""
        while True:
            header = self._header(position, stop, coding, signed=False)
            if header.tag == SEQUENCE_END and header.length == 0:
                return header.start
            if header.tag != ITEM or header.start + header.length > stop:
                raise UnreadableObject("the fragments of the pixel data are broken")
            position = header.start + header.length

    def _pixels(self, position: int, header: _Header, stop: int) -> int:
        if self.pixels is not None:
            raise UnreadableObject("there is more than one pixel data element")
        encapsulated = header.length == UNDEFINED
        if self.stop_at_pixels:
            end = stop
        elif encapsulated:
            end = self._fragments(header.start, stop, self.coding)
        else:
            end = header.start + header.length
        if end > stop:
            raise UnreadableObject("the pixel data goes beyond the end")
        self.pixels = PixelSpan(header.tag, position, end, encapsulated)
        return end


def _dictionary_vr(tag: int, *, signed: bool) -> str:
    """The VR of an element written without one: PS3.6's; where that leaves a choice, the one of PS3.5 annex A.1."""
    if tag & 0x00010000:
        return "LO" if 0x10 <= tag & 0xFFFF <= 0xFF else "UN"
    known = definition(tag)
    if known is None or not set(known.vrs) <= VRS:
        return "UN"
    if "OW" in known.vrs:
        return "OW"
    if known.vrs == ("US", "SS"):
        return "SS" if signed else "US"
    return known.vrs[0]


def _swapped(value: bytes, size: int) -> bytes:
    if size == 1:
        return value
    if len(value) % size:
        raise UnreadableObject("a value is not a whole number of words")
    swapped = bytearray(len(value))
    for offset in range(size):
        swapped[offset::size] = value[size - 1 - offset :: size]
    return bytes(swapped)
