"""What the text of a region is, where that is certain: a view or laterality marker, or the technique of the picture.

A region is one or the other only if every piece of text that any look saw in it, however faintly, was read as such
with certainty. Everything else, what cannot be read above all, says nothing and stays hidden at every level.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from operator import attrgetter

import numpy as np

from server.model import Region
from server.screening.lines import Box
from server.screening.picture import Grey
from server.screening.reader import Reader

MARKER, TECHNIQUE = "marker", "technique"
# The least certain character of a reading.
CERTAIN = 0.9
# So many pieces of one region at most are read: where there are more, it is a page and no marker.
_MOST_PIECES = 12
# So many of them may be unreadable as they were cut, if their text was read in another's cut.
_MOST_FAILED = 2
# Longer than so many heights is a sentence.
_LONGEST = 14
# Samples between two lines of one marker at most.
NEAR = 48
# A box is grown by so much of its height around its line.
_GROWN = 0.2
_MARKERS = frozenset({
    "L", "R", "LT", "RT", "LEFT", "RIGHT", "AP", "PA", "LAT", "LATERAL", "OBL", "OBLIQUE", "RAO", "LAO", "RPO", "LPO",
    "LLD", "RLD", "DECUB", "DECUBITUS", "ERECT", "SUPINE", "PRONE", "UPRIGHT", "STANDING", "SITTING", "PORTABLE",
    "SEMI", "SEMIUPRIGHT", "SEMIERECT", "MOBILE", "CC", "MLO", "RCC", "LCC", "RMLO", "LMLO",
})  # fmt: skip
_NUMBER = r"\d{1,4}(\.\d{1,2})?"
_UNIT = r"(Hz|MHz|kHz|cm|mm|cm/s|m/s|dB|%|kVp?|mAs?|ms|fps|bpm|[xX])"
_TECHNIQUE = re.compile(
    "("
    rf"{_NUMBER}{_UNIT}"
    rf"|(TIS|TIB|TIC|MI|AO)[<=]?{_NUMBER}%?"
    rf"|(DynR|Dyn|Gn|Gain|Zoom|Mag|Fr|Se|Im|W|L|WW|WL|C|G|DR)[:#.]?{_NUMBER}(/\d{{1,4}})?"
    r"|[CLSPXV]\d{1,2}-\d{1,2}"
    r"|[23]D|M[2-5]|X[1-5]|RS|H?Res|H?Gen|H?Pen|P(Low|Med|High)|TAC\d|PWR|CINE|Fit|Unit:?|,"
    ")+"
)


def said(region: Region, seen: Sequence[Box], pictures: Sequence[Grey], reader: Reader) -> str:
    """`MARKER`, `TECHNIQUE` (markers may be among it) or "".

    `seen` are the boxes of every look, of whatever confidence; `pictures` the normalised planes (rows, columns) of the
    frame. A frame of several planes may show different text in each: nothing is certain then.
    """
    pieces = [box for box in seen if _shared(box, region) >= 0.5 * _area(box)]
    if len(pictures) != 1 or not 0 < len(pieces) <= _MOST_PIECES or any(box.slanted for box in pieces):
        return ""
    read: list[Box] = []
    found: set[str] = set()
    failed = 0
    # The surest first: where these cannot be read, nothing is said. A large box around several lines cannot be.
    for box in sorted(pieces, key=attrgetter("confidence"), reverse=True):
        if failed < _MOST_FAILED and not _covered(box, read):
            text = _text(box, pictures[0], reader)
            if not text:
                failed += 1
                continue
            kind = kind_of(text)
            if not kind:
                return ""
            read.append(box)
            found.add(kind)
    if not found or not all(_covered(box, read) for box in pieces):
        return ""
    return MARKER if found == {MARKER} else TECHNIQUE


def joined_markers(regions: Sequence[Region]) -> list[Region]:
    """The regions, where markers nearer to one another than `NEAR` have become one, if nothing else lies in it.

    A marker stays visible only where it touches nothing else; the lines of one marker do touch.
    """
    others = [region for region in regions if region.content != MARKER]
    result: list[Region] = []
    for region in regions:
        if region.content != MARKER:
            continue
        candidate, index = region, 0
        while index < len(result):
            union = _union(candidate, result[index])
            if _distance(candidate, result[index]) < NEAR and all(_distance(union, other) > 0 for other in others):
                candidate, index = union, 0
                result = [one for one in result if _distance(one, union) > 0]
            else:
                index += 1
        result.append(candidate)
    place = attrgetter("top_row", "left_column", "row_count", "column_count")
    return sorted([*others, *result], key=place)


def kind_of(text: str) -> str:
    """What a line of text is: `MARKER`, `TECHNIQUE` or ""."""
    line = text.strip(" -.").upper()
    words = re.split(r"[\s\-.]+", line)
    if 0 < len(words) <= 3 and all(word in _MARKERS for word in words):
        return MARKER
    # A reading loses spaces; two short words without one could be a name.
    if any(
        line[:cut] in _MARKERS and line[cut:] in _MARKERS and max(cut, len(line) - cut) >= 5 for cut in range(len(line))
    ):
        return MARKER
    return TECHNIQUE if _TECHNIQUE.fullmatch(text.replace(" ", "")) else ""


def _text(box: Box, picture: Grey, reader: Reader) -> str:
    """What is read for certain, the first way round that can be read; "" where none can."""
    for line in cuts(box, picture):
        reading = reader.read(line)
        if reading.certainty >= CERTAIN:
            return reading.text
    return ""


def cuts(box: Box, picture: Grey) -> Iterator[Grey]:
    """The line without what was grown around it, upright, then turned where it stands on end."""
    height, width = box.bottom - box.top, box.right - box.left
    if max(height, width) > _LONGEST * min(height, width):
        return
    inward = round(min(height, width) * _GROWN)
    cut = picture[box.top + inward : box.bottom - inward, box.left + inward : box.right - inward]
    if 0 in cut.shape:
        return
    turns = (0,) if height < 1.5 * width else (0, 1, 3)
    for turn in turns:
        yield np.ascontiguousarray(np.rot90(cut, turn))


def _covered(box: Box, read: Sequence[Box]) -> bool:
    """Whether the middle of a box, where its text lies, is text that was read."""
    inward = (min(box.bottom - box.top, box.right - box.left)) // 4
    top, bottom, left, right = box.top + inward, box.bottom - inward, box.left + inward, box.right - inward
    if bottom <= top or right <= left:
        return False
    place = np.zeros((bottom - top, right - left), bool)
    for one in read:
        rows = slice(max(0, one.top - top), max(0, one.bottom - top))
        place[rows, max(0, one.left - left) : max(0, one.right - left)] = True
    return float(place.mean()) >= 0.9


def _union(one: Region, other: Region) -> Region:
    top, left = min(one.top_row, other.top_row), min(one.left_column, other.left_column)
    return replace(
        one,
        top_row=top,
        left_column=left,
        row_count=max(one.top_row + one.row_count, other.top_row + other.row_count) - top,
        column_count=max(one.left_column + one.column_count, other.left_column + other.column_count) - left,
        confidence=min(one.confidence, other.confidence),
    )


def _distance(one: Region, other: Region) -> int:
    """How many samples lie between two rectangles, the larger of both directions; 0 where they touch or overlap."""
    down = max(one.top_row - other.top_row - other.row_count, other.top_row - one.top_row - one.row_count)
    across = max(
        one.left_column - other.left_column - other.column_count, other.left_column - one.left_column - one.column_count
    )
    return max(0, down, across)


def _area(box: Box) -> int:
    return (box.bottom - box.top) * (box.right - box.left)


def _shared(box: Box, region: Region) -> int:
    rows = min(box.bottom, region.top_row + region.row_count) - max(box.top, region.top_row)
    columns = min(box.right, region.left_column + region.column_count) - max(box.left, region.left_column)
    return max(0, rows) * max(0, columns)
