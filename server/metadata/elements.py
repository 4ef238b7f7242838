"""The data set as this room holds it: an immutable tree of elements with their bytes, little endian.

Keeping bytes, and not converted values, is what makes the level that masks nothing exact: an odd number string or an
undeclared character set goes out as it came in, and nothing on the way can stumble over it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import NamedTuple

from pydicom.datadict import get_entry

from server.metadata import charset

UNDEFINED = 0xFFFFFFFF
SPECIFIC_CHARACTER_SET = 0x00080005
PIXEL_KEYWORDS: Mapping[int, str] = {
    0x7FE00008: "FloatPixelData",
    0x7FE00009: "DoubleFloatPixelData",
    0x7FE00010: "PixelData",
}
LONG_VRS = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"})
VRS = LONG_VRS | frozenset(
    "AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split()  # noqa: SIM905
)
TEXT_VRS = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})
STRING_VRS = TEXT_VRS | frozenset({"AE", "AS", "CS", "DA", "DS", "DT", "IS", "TM", "UI", "UR"})
SINGLE_VALUED = frozenset({"LT", "ST", "UR", "UT"})
BINARY_VRS = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})


class Element(NamedTuple):
    """One data element (a tuple, since a film has hundreds and a retrieve makes them anew).

    `tag` is the 32-bit tag, `vr` two letters, `value` the little-endian bytes (padding as stored; empty for a
    sequence), `items` the items of a sequence, `encapsulated` whether `value` is a run of fragment items.
    """

    tag: int
    vr: str
    value: bytes
    items: tuple[Mapping[int, Element], ...] | None = None
    encapsulated: bool = False

    @property
    def empty(self) -> bool:
        return not self.items if self.items is not None else not self.value.strip(b" \x00")


Elements = Mapping[int, Element]
"""A data set or an item: elements by tag, ascending."""


class Definition(NamedTuple):
    """What PS3.6 says of a public element: the VRs it may have, and its multiplicity as written there."""

    vrs: tuple[str, ...]
    multiplicity: str


@lru_cache(maxsize=8192)
def definition(tag: int) -> Definition | None:
    """PS3.6's entry for a public `tag` (repeating groups included), None when there is none."""
    if tag & 0xFFFF == 0:
        return Definition(("UL",), "1")
    try:
        vr, multiplicity, *_ = get_entry(tag)
    except KeyError:
        return None
    return Definition(tuple(vr.split(" or ")), multiplicity)


def character_sets(elements: Elements, inherited: tuple[str, ...] = charset.DEFAULT) -> tuple[str, ...]:
    """The character sets in force in `elements`: its own, else those of what it lies in (PS3.3 C.12.1.1.2)."""
    own = elements.get(SPECIFIC_CHARACTER_SET)
    return inherited if own is None else charset.terms(own.value)


def text(element: Element, sets: tuple[str, ...]) -> str:
    """The whole string value, decoded and without padding, not split at backslashes."""
    if element.vr not in TEXT_VRS:
        # Only padding may be taken off here: a value cut together around a NUL could pass for a valid one.
        return element.value.rstrip(b" \x00").decode("utf-8", "replace").lstrip(" ")
    decoded = charset.decode(element.value, sets)
    return decoded.rstrip(" ") if element.vr in SINGLE_VALUED else decoded.strip(" ")


def texts(element: Element, sets: tuple[str, ...]) -> list[str]:
    """The values of a string element, each without padding; [] when there is none."""
    whole = text(element, sets)
    if not whole:
        return []
    if element.vr in SINGLE_VALUED:
        return [whole]
    return [part.strip(" ") for part in whole.split("\\")]


def first_text(elements: Elements, tag: int, sets: tuple[str, ...] | None = None) -> str:
    """The first value of a string element, "" when it is absent, empty or no string."""
    element = elements.get(tag)
    if element is None or element.vr not in STRING_VRS:
        return ""
    values = texts(element, character_sets(elements) if sets is None else sets)
    return values[0] if values else ""


def first_number(elements: Elements, tag: int) -> int | None:
    """The first value of a US element, None when there is none."""
    element = elements.get(tag)
    if element is None or element.vr != "US" or len(element.value) < 2:
        return None
    return int.from_bytes(element.value[:2], "little")


def string_element(tag: int, vr: str, *values: str) -> Element:
    """An element with these string values in UTF-8, padded to even length."""
    value = "\\".join(values).encode()
    return Element(tag, vr, value + (b"\x00" if vr == "UI" else b" ") * (len(value) % 2))


def sequence_element(tag: int, items: Iterable[Elements]) -> Element:
    return Element(tag, "SQ", b"", tuple(items))


def in_order(elements: Iterable[Element]) -> Elements:
    """A data set of these elements, ascending by tag."""
    return {element.tag: element for element in sorted(elements, key=lambda element: element.tag)}
