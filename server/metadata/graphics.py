"""Clean Graphics (PS3.15 section E.3.3): what stays of the annotations of a presentation state (PS3.3 section C.10.5).

Figures stay as numbers, texts as far as they are proven clean, layers under one name that nobody chose. A line of many
points can be somebody's hand and goes, as do curves through points and compound graphics.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Iterator
from typing import Protocol

from server.metadata.elements import (
    Element,
    Elements,
    character_sets,
    first_text,
    in_order,
    sequence_element,
    string_element,
)
from server.metadata.values import dummy
from server.model import MaskingLevel, ProfileOption

ANNOTATIONS, LAYERS = 0x00700001, 0x00700060
_LAYER, _TEXTS, _GRAPHICS, _COMPOUND = 0x00700002, 0x00700008, 0x00700009, 0x00700209
_TEXT, _DATA, _TYPE, _FILLED = 0x00700006, 0x00700022, 0x00700023, 0x00700024
_DIMENSIONS, _POINTS = 0x00700020, 0x00700021
_UNITS = {0x00700003, 0x00700004, 0x00700005}
_CORNERS = {0x00700010, 0x00700011, 0x00700014}
_CHOSEN = {
    **dict.fromkeys(_UNITS, frozenset({"PIXEL", "DISPLAY", "MATRIX"})),
    0x00700012: frozenset({"LEFT", "RIGHT", "CENTER"}),
    0x00700015: frozenset({"Y", "N"}),
}
# How many points each figure may have: a line may turn as often as the outline of a box or an arrow does.
_FIGURES = {"POINT": {1}, "CIRCLE": {2}, "ELLIPSE": {4}, "POLYLINE": {2, 3, 4, 5}}
_POINT_BYTES = 8
_NOTHING = dummy(_TEXT, "ST")
_NAME = string_element(_LAYER, "CS", "REMOVED")

LAYER = sequence_element(LAYERS, [{_LAYER: _NAME, 0x00700062: string_element(0x00700062, "IS", "1")}])
"""The one layer that everything is drawn in."""


class Masked(Protocol):
    """An item by the level's rules, given with the character sets around it and the sequence that it lies in."""

    def __call__(self, item: Elements, inherited: tuple[str, ...], /, *, parent: int) -> Elements: ...


def cleans(level: MaskingLevel) -> bool:
    """Whether a level has the option."""
    profile = level.elements.profile
    return profile is not None and ProfileOption.CLEAN_GRAPHICS in profile.options


def cleaned(items: Iterable[Elements], sets: tuple[str, ...], masked: Masked) -> Element | None:
    """The Graphic Annotation Sequence with what stays of its items; None where neither figure nor text is left."""
    kept = [left for item in items if (left := _annotation(item, sets, masked)) is not None]
    return sequence_element(ANNOTATIONS, kept) if kept else None


def _annotation(item: Elements, sets: tuple[str, ...], masked: Masked) -> Elements | None:
    inside = character_sets(item, sets)
    figures = [one for one in map(_figure, _items(item, _GRAPHICS)) if one is not None]
    said = ((one, masked(one, inside, parent=_TEXTS).get(_TEXT)) for one in _items(item, _TEXTS))
    texts = [_text(one, left) for one, left in said if left is not None and left != _NOTHING and not left.empty]
    if not figures and not texts:
        return None
    ruled = masked(item, sets, parent=ANNOTATIONS)
    rest = {tag: one for tag, one in ruled.items() if tag not in {_LAYER, _TEXTS, _GRAPHICS, _COMPOUND}}
    drawn = [sequence_element(_GRAPHICS, figures)] if figures else []
    written = [sequence_element(_TEXTS, texts)] if texts else []
    return in_order([*rest.values(), _NAME, *drawn, *written])


def _items(item: Elements, tag: int) -> tuple[Elements, ...]:
    found = item.get(tag)
    return (found.items or ()) if found is not None else ()


def _figure(item: Elements) -> Elements | None:
    shape, data = first_text(item, _TYPE), item.get(_DATA)
    if data is None or data.vr != "FL" or len(data.value) % _POINT_BYTES or not _finite(data):
        return None
    points = len(data.value) // _POINT_BYTES
    if points not in _FIGURES.get(shape, ()):
        return None
    filled = "Y" if first_text(item, _FILLED) == "Y" else "N"
    return in_order(
        [
            *_words(item),
            Element(_DIMENSIONS, "US", b"\x02\x00"),
            Element(_POINTS, "US", points.to_bytes(2, "little")),
            data,
            string_element(_TYPE, "CS", shape),
            string_element(_FILLED, "CS", filled),
        ]
    )


def _text(item: Elements, left: Element) -> Elements:
    corners = [one for tag in _CORNERS if (one := item.get(tag)) is not None and one.vr == "FL" and _corner(one)]
    return in_order([*_words(item), *corners, left])


def _words(item: Elements) -> Iterator[Element]:
    """The coded words of an item, where they are those of PS3.3."""
    for tag, allowed in _CHOSEN.items():
        if (word := first_text(item, tag)) in allowed:
            yield string_element(tag, "CS", word)


def _corner(element: Element) -> bool:
    return len(element.value) == _POINT_BYTES and _finite(element)


def _finite(element: Element) -> bool:
    """Whether all coordinates are numbers: what is none has room for other things."""
    return len(element.value) % 4 == 0 and all(math.isfinite(one) for (one,) in struct.iter_unpack("<f", element.value))
