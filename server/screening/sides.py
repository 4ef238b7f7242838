"""The letter of a side on a plate that carries smaller letters too, which are somebody's initials.

One box is found for such a plate, and initials identify. The letter is shown where it is certain by itself: a piece of
ink of its own, much larger than all other ink of the plate, read alone; with empty space all around it, wide enough for
the mask of the rest; and nothing on its line, far to both sides: an initial before a name is none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from server.screening.lines import Box
from server.screening.picture import Grey
from server.screening.reader import Reader

# A marker nearer to something hidden is hidden with it.
NEAR = 32
# As of a letter alone.
_CERTAIN = 0.95
# What differs so much from a plate's usual grey is ink.
_INK = 30
# A letter is so many samples high at least, and so many times as high as any other piece of ink of its plate.
_LEAST, _LARGER = 16, 1.6
# Pieces of ink are letters of one line where they are so much alike in height, and may be letters where they are so
# many times as high as the highest; what is lower is read, and is text where it is so certain.
_ALIKE, _SMALLER, _LOWEST, _LEGIBLE, _NARROW = 0.6, 0.2, 6, 0.5, 0.12
# Samples around a letter that are empty. The inner ones are nobody's: masks reach so far beyond what they hide.
_CLEAR, _MARGIN = 10, 4
# So many of its heights to both sides of a letter there is nothing.
_BESIDE, _EVEN = 6, 5
# Of fewer samples a piece of ink is a speck; with more pieces a place is a page, or anatomy.
_SPECK, _MOST = 6, 60


@dataclass(frozen=True, kw_only=True)
class Side:
    """A letter's own box, and the place around it that is empty."""

    letter: Box
    moat: Box


def sides(uncertain: Sequence[Box], pictures: Sequence[Grey], reader: Reader) -> list[Side]:
    """The letters L and R among boxes that otherwise stay hidden, if all normalised planes (rows, columns) agree."""
    found = []
    for plate in _plates(uncertain):
        for letter in _letters(plate, pictures[0]):
            if all(_certain(letter, plate, picture, reader) for picture in pictures):
                found.append(Side(letter=letter, moat=_grown(letter, _MARGIN, pictures[0].shape)))
    return found


def by_itself(box: Box, text: str, pictures: Sequence[Grey], reader: Reader) -> bool:
    """Whether the box that was read as this marker holds nothing else: a reading passes over what is much smaller, and
    over what it does not know.

    `pictures` are the normalised planes (rows, columns).
    """
    return not any(_more(box, text, picture, reader) for picture in pictures)


def _more(box: Box, text: str, picture: Grey, reader: Reader) -> bool:
    """Whether smaller letters stand in the box above, below or beside those that were read, or another beside one."""
    # What is very narrow is the edge of a plate or of the film.
    pieces = [
        one
        for one in _pieces(box, picture)
        if not _at_edge(one, box) and one.right - one.left >= _NARROW * _height(one)
    ]
    if not pieces:
        return False
    largest = max(map(_height, pieces))
    alike = [one for one in pieces if _height(one) >= _ALIKE * largest]
    if len(text) == 1 and len(alike) > 1:
        return True
    core = _around(alike)
    if any(_height(one) >= _SMALLER * largest and not _meet(one, core) for one in pieces):
        return True
    strips = (
        replace(box, bottom=core.top),
        replace(box, top=core.bottom),
        replace(box, right=core.left),
        replace(box, left=core.right),
    )
    return any(_says(strip, picture, reader) for strip in strips)


def _says(strip: Box, picture: Grey, reader: Reader) -> bool:
    cut = picture[strip.top : strip.bottom, strip.left : strip.right]
    if min(cut.shape) < _LOWEST:
        return False
    reading = reader.read(np.ascontiguousarray(cut if cut.shape[1] >= cut.shape[0] else np.rot90(cut)))
    # A single one is the edge of a plate as often as not.
    return len(reading.text) > 1 and reading.certainty >= _LEGIBLE


def _at_edge(one: Box, box: Box) -> bool:
    return one.top == box.top or one.left == box.left or one.bottom == box.bottom or one.right == box.right


def _plates(boxes: Sequence[Box]) -> list[Box]:
    """Boxes that lie so near to one another that they are of one plate as one, around them all."""
    plates: list[Box] = []
    for box in boxes:
        one = box
        while meeting := [other for other in plates if near(one, other)]:
            plates = [other for other in plates if other not in meeting]
            one = _around([one, *meeting])
        plates.append(one)
    return plates


def _letters(plate: Box, picture: Grey) -> Iterator[Box]:
    """The one piece of ink of a plate that is much higher than all the others, of which there is one at least."""
    pieces = _pieces(plate, picture)
    if not 2 <= len(pieces) <= _MOST:
        return
    first, second = sorted(pieces, key=_height, reverse=True)[:2]
    high = _height(first)
    if high >= max(_LEAST, _LARGER * _height(second)) and high > first.right - first.left:
        yield first


def _certain(letter: Box, plate: Box, picture: Grey, reader: Reader) -> bool:
    columns = picture.shape[1]
    around = _grown(letter, _CLEAR, picture.shape)
    if (
        around.bottom - around.top < _height(letter) + 2 * _CLEAR
        or letter.left < _CLEAR
        or letter.right > columns - _CLEAR
    ):
        return False
    usual = _usual(plate, picture)
    if not _reads(letter, picture, usual, reader):
        return False
    # Noise is evened out, of which there is much where nothing else is; so are the letter's own edges.
    even = cv2.blur(picture, (_EVEN, _EVEN)).astype(np.uint8, copy=False)
    far = _BESIDE * _height(letter)
    beside = replace(around, left=max(0, letter.left - far), right=min(columns, letter.right + far))
    return _empty(beside, _grown(letter, _EVEN // 2 + 1, picture.shape), even, usual)


def _empty(place: Box, but: Box, picture: Grey, usual: float) -> bool:
    """Whether a place shows nothing but what lies in another box."""
    cut = np.abs(picture[place.top : place.bottom, place.left : place.right].astype(np.int16) - usual)
    cut[but.top - place.top : but.bottom - place.top, but.left - place.left : but.right - place.left] = 0
    return not bool((cut > _INK).any())


def _reads(letter: Box, picture: Grey, usual: float, reader: Reader) -> bool:
    """Whether the letter alone says a side: as it stands or from behind; an L also upside down from behind."""
    room = _height(letter) // 3
    alone = np.full((_height(letter) + 2 * room, letter.right - letter.left + 2 * room), usual, np.uint8)
    cut = picture[letter.top : letter.bottom, letter.left : letter.right]
    alone[room : room + cut.shape[0], room : room + cut.shape[1]] = cut
    for turned, said in ((alone, {"L", "R"}), (alone[:, ::-1], {"L", "R"}), (alone[::-1], {"L"})):
        reading = reader.read(np.ascontiguousarray(turned))
        if reading.text in said and reading.certainty >= _CERTAIN:
            return True
    return False


def _pieces(plate: Box, picture: Grey) -> list[Box]:
    cut = cv2.blur(picture[plate.top : plate.bottom, plate.left : plate.right], (3, 3)).astype(np.int16)
    ink: NDArray[np.uint8] = (np.abs(cut - _usual(plate, picture)) > _INK).astype(np.uint8)
    _, _, stats, _ = cv2.connectedComponentsWithStats(ink, connectivity=8)
    return [
        replace(
            plate, top=plate.top + int(top), left=plate.left + int(left),
            bottom=plate.top + int(top + height), right=plate.left + int(left + width), slanted=False,
        )
        for left, top, width, height, area in stats[1:]
        if area >= _SPECK
    ]  # fmt: skip


def _usual(plate: Box, picture: Grey) -> float:
    return float(np.median(picture[plate.top : plate.bottom, plate.left : plate.right]))


def _grown(box: Box, by: int, shape: tuple[int, ...]) -> Box:
    return replace(
        box,
        top=max(0, box.top - by),
        left=max(0, box.left - by),
        bottom=min(shape[0], box.bottom + by),
        right=min(shape[1], box.right + by),
    )


def _around(boxes: Sequence[Box]) -> Box:
    return replace(
        boxes[0],
        top=min(one.top for one in boxes),
        left=min(one.left for one in boxes),
        bottom=max(one.bottom for one in boxes),
        right=max(one.right for one in boxes),
    )


def _meet(one: Box, other: Box) -> bool:
    return near(one, other, 0)


def near(one: Box, other: Box, distance: int = NEAR) -> bool:
    """Whether fewer samples than the distance lie between two boxes; with 0, whether they share any."""
    return (
        one.top - distance < other.bottom
        and other.top - distance < one.bottom
        and one.left - distance < other.right
        and other.left - distance < one.right
    )


def _height(box: Box) -> int:
    return box.bottom - box.top
