"""The lines that say technique only beside others that do: vocabulary and place have to agree."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from server.screening.lines import Box
from server.screening.terms import MARKER, TECHNIQUE, WEAK

# Lines of a column begin in one place, are alike in height, and follow one another within so many heights.
_ALIGNED, _ALIKE, _BELOW = 1.5, 1.7, 6
_COMPANY = 2
# The grey map's number stands under the output indices, the two frequencies of harmonic imaging under the triangle's
# letters; both end where those end, within so many heights.
_MAP, _INDICES, _PAIR, _ENDS = (
    re.compile(r"M[1-5]"),
    re.compile(r"TI[SBC]? ?\d|MI ?\d"),
    re.compile(r"[\d.]{3} [\d.]{3}"),
    0.6,
)


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line's box, the rows and columns that its text takes up, half-open, and what it says; `kind` as of `terms`.

    `upright`: it was read as it stands.
    """

    box: Box
    top: int
    left: int
    bottom: int
    right: int
    text: str
    kind: str
    upright: bool = True

    @property
    def height(self) -> int:
        return min(self.bottom - self.top, self.right - self.left)


def company(lines: Sequence[Line]) -> list[Line]:
    """The lines without those that are technique only in the company of technique, and stand in none."""
    sure = [line for line in lines if line.kind == TECHNIQUE]
    sides = [line for line in lines if line.kind == MARKER]
    return [
        line
        for line in lines
        if line.kind in {MARKER, TECHNIQUE}
        or _stands_with(line, sure)
        or (_MAP.fullmatch(line.text) and any(_below(line, one) for one in sure if _INDICES.match(one.text)))
        or (_PAIR.fullmatch(line.text) and any(_below(line, one) for one in sides if one.text == "R"))
    ]


def _stands_with(line: Line, sure: Sequence[Line]) -> bool:
    def near(other: Line) -> bool:
        height = max(_height(line), _height(other))
        return (
            line.kind == WEAK
            and abs(line.box.left - other.box.left) <= _ALIGNED * height
            and height <= _ALIKE * min(_height(line), _height(other))
            and max(other.box.top - line.box.bottom, line.box.top - other.box.bottom) <= _BELOW * height
        )

    return sum(near(other) for other in sure) >= _COMPANY


def _below(line: Line, other: Line) -> bool:
    """Whether a line of any kind of small type ends where one above it ends."""
    height = max(_height(line), _height(other))
    return (
        abs(line.box.right - other.box.right) <= _ENDS * height and -height < line.box.top - other.box.bottom <= height
    )


def _height(line: Line) -> int:
    return min(line.box.bottom - line.box.top, line.box.right - line.box.left)
