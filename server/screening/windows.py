"""Where exactly a certain line stands, so that it can be shown beside something that is hidden.

Boxes are grown around what they were found for and reach over the lines above and below. A window is the opposite: no
larger than the ink of its line, with empty rows and columns all around, and it says by itself what the line says.
So nothing else lies in it, whatever box reaches over it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from server.model import Region
from server.screening.company import Line
from server.screening.ink import ANY, APART, Place, clear
from server.screening.lines import Box
from server.screening.picture import Grey
from server.screening.reader import Reader
from server.screening.readings import AGREED, same_letters
from server.screening.terms import MARKER, kind_of

# Between two windows so near to one another is no room for a line of text, but for one drawn under a heading.
_THIN = 4


def windows(lines: Sequence[Line], pictures: Sequence[Grey], reader: Reader) -> dict[Line, Box]:
    """The windows of those lines that are technique, upright, and stand clear; of the others there are none.

    `pictures` are the normalised planes (rows, columns); a line has to stand clear in every one, and to say the same.
    """
    found: dict[Line, Box] = {}
    for line in lines:
        if line.kind == MARKER or not line.upright:
            continue
        for apart in (APART, ANY):
            place = clear(line.box, pictures, apart)
            if place is not None and all(_says(place, line, picture, reader) for picture in pictures):
                top, left, bottom, right = place
                found[line] = replace(line.box, top=top, left=left, bottom=bottom, right=right)
                break
    return found


def without(region: Region, holes: Sequence[Box]) -> list[Region]:
    """What is left of a rectangle without the windows: rectangles that do not overlap."""
    pieces = [region]
    for hole in holes:
        pieces = [piece for one in pieces for piece in _cut(one, hole)]
    return pieces


def between(found: Sequence[Box]) -> Iterator[Box]:
    """What lies between two windows one below the other, where that is too thin for a line."""
    for one in found:
        for other in found:
            left, right = max(one.left, other.left), min(one.right, other.right)
            if 0 < other.top - one.bottom <= _THIN and left < right:
                yield replace(one, top=one.bottom, left=left, bottom=other.top, right=right)


def _says(place: Place, line: Line, picture: Grey, reader: Reader) -> bool:
    top, left, bottom, right = place
    reading = reader.read(np.ascontiguousarray(picture[top:bottom, left:right]))
    alike = same_letters(reading.text, line.text) and kind_of(reading.text) == line.kind
    return alike and reading.certainty >= AGREED


def _cut(region: Region, hole: Box) -> Iterator[Region]:
    """A rectangle without another one: up to four."""
    top, left = region.top_row, region.left_column
    bottom, right = top + region.row_count, left + region.column_count
    first, last = max(top, hole.top), min(bottom, hole.bottom)
    start, stop = max(left, hole.left), min(right, hole.right)
    if first >= last or start >= stop:
        yield region
        return
    for one, low, two, high in (
        (top, left, first, right),
        (last, left, bottom, right),
        (first, left, last, start),
        (first, stop, last, right),
    ):
        if one < two and low < high:
            yield replace(region, top_row=one, left_column=low, row_count=two - one, column_count=high - low)
