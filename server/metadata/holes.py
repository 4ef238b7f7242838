"""Names that leave holes: what a level makes of an object, but for what differs from world to world.

Two worlds of a level differ in nothing but the names that the masker asks for and the days by which it moves dates. So
an object is masked once with holes in their place, and every world fills the holes with its own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from server.metadata.pseudonyms import Names
from server.metadata.values import shifted
from server.model import IdentifierKind

_DATES = ("DA", "DT")


class Hole(NamedTuple):
    """What is asked for: the name of a `value` that identifies, where `kind` is an `IdentifierKind`; or, where it is a
    VR, the moved date, from the offset `zone` from UTC in minutes."""

    kind: str
    value: str
    zone: int | None = None

    def filled(self, names: Names) -> str | None:
        """What this world writes; None where a date cannot be moved. Raises `SealBroken` as the names do."""
        if self.kind in _DATES:
            return names.moved(self.kind, self.value, self.zone)
        kind = IdentifierKind(self.kind)
        return names.uid(self.value) if kind is IdentifierKind.UID else names.identifier(kind, self.value)


Pieces = list[str | int]
"""A text that is cut at its holes, each by its number; neighbours are never both texts."""


class Holes:
    """The names of a world that is not known yet. `mark` is at least 32 hexadecimal digits that were drawn after the
    objects were stored, so that none of them can hold it."""

    replaces = True
    moves_dates = True

    def __init__(self, mark: str) -> None:
        if len(mark) < 32 or not set(mark) <= set("0123456789abcdef"):
            raise ValueError("a mark has 32 hexadecimal digits")
        self._mark = mark
        self._numbers: dict[Hole, int] = {}
        self._cut = re.compile(mark + r"\.([0-9]+)\.")

    @property
    def found(self) -> Sequence[Hole]:
        """By number."""
        return list(self._numbers)

    def uid(self, value: str) -> str:
        return self._hole(Hole(IdentifierKind.UID.value, value))

    def identifier(self, kind: IdentifierKind, value: str) -> str:
        return self._hole(Hole(kind.value, value))

    def moved(self, vr: str, value: str, zone: int | None) -> str | None:
        # Whether it is a date at all is the same in every world, and times of day are.
        told = shifted(vr, value, 0, zone)
        return self._hole(Hole(vr, value, zone)) if told is not None and vr in _DATES else told

    def cut(self, text: str) -> Pieces:
        """A text that holds marks, cut at them."""
        parts = self._cut.split(text)
        pieces: Pieces = []
        for at, part in enumerate(parts):
            if at % 2:
                pieces.append(int(part))
            elif part:
                pieces.append(part)
        return pieces

    def _hole(self, hole: Hole) -> str:
        return f"{self._mark}.{self._numbers.setdefault(hole, len(self._numbers))}."
