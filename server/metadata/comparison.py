"""A data set before and after the mask, element by element, for a person who wants to see what a level does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from server.metadata.charset import DEFAULT
from server.metadata.elements import STRING_VRS, Element, Elements, character_sets, texts

_LONGEST = 48


class Line(NamedTuple):
    """One element: the path of items to it, its tag, its value before and after ("" where it is not there)."""

    path: str
    tag: int
    before: str
    after: str


def compared(before: Elements, after: Elements) -> Iterator[Line]:
    """A line for each element of either; those in a sequence's items follow it, as far as items pair up."""
    yield from _compared(before, after, "", DEFAULT, DEFAULT)


def _compared(
    before: Elements, after: Elements, path: str, old: tuple[str, ...], new: tuple[str, ...]
) -> Iterator[Line]:
    old, new = character_sets(before, old), character_sets(after, new)
    for tag in sorted({*before, *after}):
        was, becomes = before.get(tag), after.get(tag)
        yield Line(path, tag, _shown(was, old), _shown(becomes, new))
        was_items = was.items if was is not None and was.items else ()
        items = becomes.items if becomes is not None and becomes.items else ()
        if len(items) == len(was_items):
            for number, (item, masked) in enumerate(zip(was_items, items, strict=True), start=1):
                yield from _compared(item, masked, f"{path}{tag:08X}[{number}].", old, new)


def _shown(element: Element | None, sets: tuple[str, ...]) -> str:
    if element is None:
        return ""
    if element.items is not None:
        return f"<{len(element.items)} items>"
    if element.vr not in STRING_VRS:
        short = element.vr in ("US", "SS", "UL", "SL") and len(element.value) <= 8
        return f"<{element.value.hex()}>" if short else f"<{len(element.value)} bytes>"
    text = "\\".join(texts(element, sets))
    text = "".join(character if character.isprintable() else "?" for character in text) or "<empty>"
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
