"""The lines of a frame that are read for certain, and are views, sides or technique and nothing else.

A line counts only as a whole: two cuts of it have to say the same, one of them reaching far beyond both of its ends, so
that nothing stands beside it but what is such a line, too; and every plane of the frame has to say it. Whatever does
not hold says nothing, and stays hidden at every level.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

from server.screening.company import Line, company
from server.screening.ink import APART, clear, middle
from server.screening.lines import Box
from server.screening.picture import Grey
from server.screening.reader import Reader, Reading
from server.screening.terms import TECHNIQUE, begins, kind_of

# The least certain character of a reading: of words, of a letter alone, of the patterns of technique (which a misread
# name does not become), of a second reading that has to say the same.
CERTAIN, ALONE, PATTERN, AGREED = 0.9, 0.95, 0.5, 0.4
# What a look is less sure of than this is not read.
_SEEN = 0.6
# More lines than this on one frame are a page of text.
_MOST = 120
# Longer than so many heights is a sentence.
_LONGEST = 14
# A box is grown by so much of its height around its line.
_GROWN = 0.2
# Within so many heights on both sides of a line there has to be nothing else, or, where there is, technique only.
_BESIDE = (1.5, 3.0, 6.0)
# Where no more than this part of what is left of a box differs so much from its surroundings, there is nothing.
_EMPTY, _PLAIN = 0.02, 40
# What lies in the rest of a box by more than this part of it is text there.
_PART = 0.1
# What is read with less certainty is no text.
_LEGIBLE = 0.3
# The ways round that are tried: turned by so many right angles, and seen from behind.
_WAYS = ((0, False), (0, True), (1, False), (3, False))
_SIDES = frozenset({"L", "R"})
_ALIKE_LETTERS = str.maketrans("il|o", "1110")


def certain_lines(seen: Sequence[Box], pictures: Sequence[Grey], reader: Reader) -> list[Line]:
    """The lines of a frame that may be shown where a level shows them; `kind` is `MARKER` or `TECHNIQUE`.

    `seen` are the boxes of every look, of whatever confidence; `pictures` the normalised planes (rows, columns).
    """
    lines: list[Line] = []
    tried: list[Box] = []
    for box in sorted(seen, key=attrgetter("confidence"), reverse=True):
        if box.confidence < _SEEN or box.slanted or any(_same(box, one) for one in tried):
            continue
        if len(tried) == _MOST:
            return []
        tried.append(box)
        line = _read(box, pictures, reader)
        if line is not None and not any(_holds(one, line) for one in lines):
            lines.append(line)
    return company(lines)


def explained(box: Box, lines: Iterable[Line], pictures: Sequence[Grey]) -> bool:
    """Whether the middle of a box, where its text lies, is nothing but what was read of these lines, or empty space."""
    place = covered(box, lines)
    if place.size == 0 or not place.any():
        return False
    if place.mean() >= 0.9:
        return True
    top, left, bottom, right = middle(box)
    return all(plain(picture[top:bottom, left:right][~place]) for picture in pictures)


def about(box: Box, line: Line, window: Box | None) -> bool:
    """Whether a box can have been found for a line: its middle is the line's, or lies in the line's `window`, or the
    box holds the line.

    Boxes of lines reach over what is above and below; small type there is covered by them, and is another line.
    """
    side = int(_tall(line.box))
    first, last = (line.box.top, line.box.bottom) if not side else (line.box.left, line.box.right)
    low, high = (box.top, box.bottom) if not side else (box.left, box.right)
    near = (last - first) / 6
    core = (first + last) / 2 - near, (first + last) / 2 + near
    if window is not None and not side:
        core = window.top, window.bottom
    inner = middle(line.box)[side], middle(line.box)[side + 2]
    return core[0] <= (low + high) / 2 < core[1] or (low <= inner[0] and inner[1] <= high)


def covered(box: Box, lines: Iterable[Line]) -> NDArray[np.bool_]:
    """Where the middle of a box is what was read of these lines."""
    top, left, bottom, right = middle(box)
    place = np.zeros((max(0, bottom - top), max(0, right - left)), bool)
    for line in lines:
        rows = slice(max(0, line.top - top), max(0, line.bottom - top))
        place[rows, max(0, line.left - left) : max(0, line.right - left)] = True
    return place


def says_nothing(box: Box, strange: Iterable[Box], pictures: Sequence[Grey], reader: Reader) -> bool:
    """Whether the rest of a box that is certain lines for the most part shows nothing, or nothing that can be read.

    `strange` is what was seen and is no certain line.
    """
    if any(_lies_in(one, box) for one in strange):
        return False
    cuts_of = [picture[box.top : box.bottom, box.left : box.right] for picture in pictures]
    if all(map(plain, cuts_of)):
        return True
    upright = (turned for cut in cuts_of for turned in ((cut, np.rot90(cut)) if _tall(box) else (cut,)))
    return all(reader.read(np.ascontiguousarray(cut)).certainty < _LEGIBLE for cut in upright)


def _lies_in(one: Box, box: Box) -> bool:
    """Whether a part of what was seen lies in a box, and is not just what was grown around it."""
    top, left, bottom, right = middle(one)
    down = min(bottom, box.bottom) - max(top, box.top)
    across = min(right, box.right) - max(left, box.left)
    return down > 0 and across > 0 and down * across >= _PART * (bottom - top) * (right - left)


def _tall(box: Box) -> bool:
    return box.bottom - box.top >= 1.5 * (box.right - box.left)


def plain(cut: Grey) -> bool:
    """Whether a cut of a normalised picture shows nothing."""
    return float(np.mean(np.abs(cut.astype(np.int16) - 128) > _PLAIN)) <= _EMPTY


def cuts(box: Box, picture: Grey) -> Iterator[Grey]:
    """The line without what was grown around it, upright, then turned where it stands on end."""
    for turn in (0, 1, 3) if _tall(box) else (0,):
        cut = _cut(box, picture, 0.0, turn, mirrored=False)
        if cut is not None:
            yield cut


def _cut(box: Box, picture: Grey, beyond: float, turn: int, *, mirrored: bool) -> Grey | None:
    """The line as it is read one way round, with so many of its heights more at both ends; None of none or a page."""
    height, width = box.bottom - box.top, box.right - box.left
    if max(height, width) > _LONGEST * min(height, width):
        return None
    top, left, bottom, right = _inner(box)
    more = round(beyond * (right - left if turn else bottom - top))
    down, across = (more, 0) if turn else (0, more)
    cut = picture[max(0, top - down) : bottom + down, max(0, left - across) : right + across]
    cut = np.rot90(cut[:, ::-1] if mirrored else cut, turn)
    return None if 0 in cut.shape else np.ascontiguousarray(cut)


def _inner(box: Box, part: float = _GROWN) -> tuple[int, int, int, int]:
    inward = round(min(box.bottom - box.top, box.right - box.left) * part)
    return box.top + inward, box.left + inward, box.bottom - inward, box.right - inward


def _read(box: Box, pictures: Sequence[Grey], reader: Reader) -> Line | None:
    """The line of a box, where it says for certain that it is one of those, in every plane; else None."""
    text, (turn, mirrored), beyond = _text(box, pictures[0], reader)
    kind = kind_of(text)
    if not kind:
        return None
    box = _widened(box, beyond, turn, pictures[0].shape)
    for picture in pictures[1:]:
        cut = _cut(box, picture, 0.0, turn, mirrored=mirrored)
        again = Reading(text="", certainty=0) if cut is None else reader.read(cut)
        if again.certainty < AGREED or _letters(again.text) != _letters(text):
            return None
        # What stands beside it may stand there in one plane alone.
        if not beyond and _row(text, kind, box, picture, (turn, mirrored), reader) != (text, 0.0):
            return None
    top, left, bottom, right = _inner(box, _GROWN / 2)
    return Line(
        box=box, top=top, left=left, bottom=bottom, right=right, text=text, kind=kind, upright=not (turn or mirrored)
    )


def _text(box: Box, picture: Grey, reader: Reader) -> tuple[str, tuple[int, bool], float]:
    """What the row of a box says, the first way round that is certain; "" where nothing is certain.

    Also how often it was turned for that, and whether it was seen from behind, as a side's letter is on a film lying
    face down; and how many heights beyond both ends of the box the row reaches.
    """
    for way in _WAYS:
        turn, mirrored = way
        if turn and not _tall(box):
            break
        cut = _cut(box, picture, 0.0, turn, mirrored=mirrored)
        if cut is None:
            break
        first = reader.read(cut)
        if way == _WAYS[0] and first.certainty < CERTAIN:
            first = _cleared(box, picture, reader) or first
        kind = kind_of(first.text)
        if first.certainty < _needed(first.text, kind) or (mirrored and first.text not in _SIDES):
            continue
        row = _row(first.text, kind, box, picture, way, reader)
        if row is None:
            break
        return row[0], way, row[1]
    return "", (0, False), 0.0


def _cleared(box: Box, picture: Grey, reader: Reader) -> Reading | None:
    """What the ink in the middle of a box says where it stands clear: a line close above or below spoils a reading."""
    place = clear(box, (picture,), APART)
    return (
        None if place is None else reader.read(np.ascontiguousarray(picture[place[0] : place[2], place[1] : place[3]]))
    )


def _needed(text: str, kind: str) -> float:
    if len(text) <= 1:
        return ALONE
    return PATTERN if kind == TECHNIQUE else CERTAIN


def _row(
    text: str, kind: str, box: Box, picture: Grey, way: tuple[int, bool], reader: Reader
) -> tuple[str, float] | None:
    """What a cut that reaches further on both sides says, where that is the same, or more of the same kind; and how
    far the text that it says reaches.
    """
    if not kind and not begins(text):
        return None
    said = Reading(text="", certainty=0)
    for beyond in _BESIDE:
        cut = _cut(box, picture, beyond, way[0], mirrored=way[1])
        if cut is None:
            return None
        said = reader.read(cut)
        if kind and said.certainty >= AGREED and _letters(said.text) == _letters(text):
            return text, 0.0
    whole = kind_of(said.text) == TECHNIQUE and kind in {"", TECHNIQUE} and _letters(text) in _letters(said.text)
    return (said.text, _BESIDE[-1]) if whole and said.certainty >= PATTERN else None


def _widened(box: Box, beyond: float, turn: int, shape: tuple[int, ...]) -> Box:
    top, left, bottom, right = _inner(box)
    more = round(beyond * (right - left if turn else bottom - top))
    if turn:
        return replace(box, top=max(0, box.top - more), bottom=min(shape[0], box.bottom + more))
    return replace(box, left=max(0, box.left - more), right=min(shape[1], box.right + more))


def same_letters(one: str, other: str) -> bool:
    """Whether two readings of one line are the same, whatever readings differ in."""
    return _letters(one) == _letters(other)


def _letters(text: str) -> str:
    """A reading without what two readings of one line differ in: spaces, rulers, letters drawn alike."""
    return text.replace(" ", "").strip("-–⁻_.,").lower().translate(_ALIKE_LETTERS)


def _holds(line: Line, other: Line) -> bool:
    """Whether one line is the other one read from another box."""
    down = min(line.bottom, other.bottom) - max(line.top, other.top)
    across = min(line.right, other.right) - max(line.left, other.left)
    area = (other.bottom - other.top) * (other.right - other.left)
    return down > 0 and across > 0 and down * across >= 0.7 * area


def _same(one: Box, other: Box) -> bool:
    down = min(one.bottom, other.bottom) - max(one.top, other.top)
    across = min(one.right, other.right) - max(one.left, other.left)
    if down <= 0 or across <= 0:
        return False
    shared = down * across
    both = (one.bottom - one.top) * (one.right - one.left) + (other.bottom - other.top) * (other.right - other.left)
    return shared >= 0.85 * (both - shared)
