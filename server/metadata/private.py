"""Retain Safe Private (PS3.15 section E.3.10): a private element stays only where its creator, place, VR and value are
those that the standard's list or the site vouches for."""

from __future__ import annotations

import struct

from server.metadata.elements import Definition, Element, Elements, string_element, texts
from server.metadata.values import allowed_count, count, kept, whole
from server.model import SafePrivate

_NUMBERS = frozenset({"US", "SS", "UL", "SL", "FL", "FD"})
_MOST = 64
_SHORTEST_WORD = 4


def safe_private(
    elements: Elements, element: Element, sets: tuple[str, ...], listed: tuple[SafePrivate, ...]
) -> Element | None:
    """`element` (of the data set or item `elements`) if it is safe, else None; block reservations are, where used."""
    group, number = element.tag >> 16, element.tag & 0xFFFF
    if 0x10 <= number <= 0xFF:
        members = (one for tag, one in elements.items() if tag >> 16 == group and (tag & 0xFFFF) >> 8 == number)
        used = any(safe_private(elements, member, sets, listed) for member in members)
        return string_element(element.tag, "LO", _creator(element, sets)) if used else None
    reservation = elements.get(group << 16 | number >> 8)
    if number < 0x1000 or reservation is None:
        return None
    low = number & 0xFF
    here = [one for one in listed if one.element == low and one.group == group and one.vr == element.vr]
    creator = _creator(reservation, sets) if here else ""
    entry = next((one for one in here if one.creator == creator), None)
    return None if entry is None else _valued(element, sets, entry)


def _creator(reservation: Element, sets: tuple[str, ...]) -> str:
    values = texts(reservation, sets) if reservation.vr == "LO" else []
    return values[0] if len(values) == 1 else ""


def _valued(element: Element, sets: tuple[str, ...], entry: SafePrivate) -> Element | None:
    expected = Definition((entry.vr,), entry.multiplicity)
    if element.vr in _NUMBERS:
        number = count(element)
        fits = whole(element) and number <= _MOST and allowed_count(expected, number)
        return element if fits and _finite(element) and not _spells(element.value) else None
    values = texts(element, sets)
    if len(values) > _MOST or not allowed_count(expected, len(values)):
        return None
    if entry.terms:
        return string_element(element.tag, element.vr, *values) if entry.terms.issuperset(values) else None
    checked = [valid for value in values if (valid := kept(element.vr, value)) is not None]
    return string_element(element.tag, element.vr, *checked) if len(checked) == len(values) else None


def _spells(value: bytes) -> bool:
    """Whether the bytes of binary numbers are letters and digits one after the other."""
    word = value.rstrip(b" \x00")
    return len(word) >= _SHORTEST_WORD and word.isascii() and word.decode("ascii").isprintable()


def _finite(element: Element) -> bool:
    """Floating point numbers that are numbers: the others have room for letters."""
    code = {"FL": "f", "FD": "d"}.get(element.vr)
    if code is None:
        return True
    numbers = struct.unpack(f"<{len(element.value) // struct.calcsize(code)}{code}", element.value)
    return all(abs(number) < 1e30 for number in numbers)
