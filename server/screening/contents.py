"""The regions of a frame's text, and what the text of each is, where that is certain.

What certain lines make up is a region of its own, so that a level that shows it need not show anything else; all that
any look found is in some region, whatever it is taken for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from operator import attrgetter

import numpy as np

from server.model import Region, RegionKind
from server.screening.cells import rectangles
from server.screening.company import Line
from server.screening.lines import Box
from server.screening.picture import Grey
from server.screening.reader import Reader
from server.screening.readings import about, certain_lines, covered, explained, plain, says_nothing
from server.screening.regions import SIDE, merged
from server.screening.sides import by_itself, near, sides
from server.screening.terms import MARKER, TECHNIQUE
from server.screening.windows import between, windows, without

# Samples between two lines of one marker at most.
NEAR = 48
# Of a box of which so much is certain lines only the rest is uncertain; slivers between lines hold no text.
_MOSTLY, _SLIVER = 0.5, 8


def text_regions(
    found: Sequence[Box], seen: Sequence[Box], pictures: Sequence[Grey], reader: Reader, frame_number: int
) -> list[Region]:
    """The boxes that were `found` as regions of one frame, sorted by place; `content` says `MARKER` or `TECHNIQUE`
    (markers may be among it) of what is certain to be nothing else, `SIDE` of a marker's letter beside what is hidden.

    `seen` are the boxes of every look, of whatever confidence; `pictures` the normalised planes (rows, columns).
    """
    if not found:
        return []
    lines = [
        line
        for line in certain_lines(seen, pictures, reader)
        if line.kind != MARKER or by_itself(line.box, line.text, pictures, reader)
    ]
    own = windows(lines, pictures, reader)
    clear = [*own.values(), *between(list(own.values()))]

    def concerned(box: Box) -> list[Line]:
        return [line for line in lines if about(box, line, own.get(line))]

    strange = [box for box in seen if not explained(box, concerned(box), pictures)] if lines else []
    uncertain: list[Box] = []
    certain: dict[str, list[Box]] = {MARKER: [], TECHNIQUE: []}
    for box in found:
        inside = [line for line in concerned(box) if _shared(line.box, box)]
        content = MARKER if all(line.kind == MARKER for line in inside) else TECHNIQUE
        if inside and explained(box, inside, pictures):
            bare, rest = _bared(box, clear, pictures) if all(line in own for line in inside) else ([box], [])
            certain[content] += bare
            uncertain += rest
        elif not inside or box.slanted or all(line in own for line in inside) or covered(box, inside).mean() < _MOSTLY:
            uncertain.append(box)
        else:
            certain[content] += [line.box for line in inside]
            sliver = max(_SLIVER, min(line.height for line in inside) // 3)
            for piece in _rest(box, inside):
                thin = min(piece.bottom - piece.top, piece.right - piece.left) < sliver
                known = thin or says_nothing(piece, strange, pictures, reader)
                (certain[content] if known else uncertain).append(piece)
    # A marker so near to something hidden would be hidden with it.
    close = [box for box in certain[MARKER] if any(near(box, other) for other in uncertain)]
    letters = sides([*uncertain, *close], pictures, reader)
    cut = [box for box in close if any(_shared(box, one.letter) for one in letters)]
    certain[MARKER] = [box for box in certain[MARKER] if box not in cut]
    uncertain += cut
    rows, columns = pictures[0].shape

    def joined(boxes: Sequence[Box]) -> list[Region]:
        return merged([box.region(RegionKind.TEXT, frame_number) for box in boxes], rows, columns, frame_number)

    certain[TECHNIQUE] += clear
    hidden = joined(uncertain)
    # With more than can be listed the frame is hidden whole.
    whole = any((one.row_count, one.column_count) == (rows, columns) for one in hidden)
    letters = [] if whole else letters
    holes = [*clear, *(one.moat for one in letters)]
    regions = hidden if whole else [piece for one in hidden for piece in without(one, holes)]
    for content, boxes in certain.items():
        regions += [replace(region, content=content) for region in joined(boxes)]
    regions += [replace(one.letter.region(RegionKind.TEXT, frame_number), content=SIDE) for one in letters]
    return joined_markers(regions)


def _bared(box: Box, clear: Sequence[Box], pictures: Sequence[Grey]) -> tuple[list[Box], list[Box]]:
    """What a box reaches over besides windows: where there is nothing, and what may be a line not found by itself."""
    pieces: tuple[list[Box], list[Box]] = [], []
    for piece in _rest(box, clear):
        empty = all(plain(picture[piece.top : piece.bottom, piece.left : piece.right]) for picture in pictures)
        pieces[not empty].append(piece)
    return pieces


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


def _rest(box: Box, lines: Sequence[Line | Box]) -> Iterator[Box]:
    """What is left of a box without what was read of these lines."""
    place = np.ones((box.bottom - box.top, box.right - box.left), bool)
    for line in lines:
        rows = slice(max(0, line.top - box.top), max(0, line.bottom - box.top))
        place[rows, max(0, line.left - box.left) : max(0, line.right - box.left)] = False
    for top, left, bottom, right in rectangles(place):
        yield replace(box, top=box.top + top, left=box.left + left, bottom=box.top + bottom, right=box.left + right)


def _area(box: Box) -> int:
    return (box.bottom - box.top) * (box.right - box.left)


def _shared(one: Box, other: Box) -> bool:
    return one.top < other.bottom and other.top < one.bottom and one.left < other.right and other.left < one.right
