"""Small type close to something large, in one piece with which the network sees it: somebody's initials on a plate."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from server.demo.films import chest_picture
from server.screening.lines import boxes
from server.screening.text import TextDetector

Picture = NDArray[Any]
SMALL = ("R.L.", "HSA", "MS", "KL", "J.M.", "NN", "12.04.61", "MUSTER")
LARGE = "LRMAEHSKBX8"
# Sides of films and numbers of such; of 60 each these were missed when thick pieces were anatomy and nothing else.
FILMS = {
    256: (14, 44, 50),
    320: (4, 11),
    384: (5, 13, 16, 26, 49, 52, 55, 59),
    480: (2, 7, 39, 53),
    512: (14, 23, 55),
    640: (8, 20, 22, 29, 30, 34, 41, 43),
    768: (35,),
}


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A film of 12 bits (rows, columns) and where its small type has ink."""

    film: Picture
    small: Picture


@cache
def chest(side: int) -> Picture:
    return np.asarray(cv2.resize(chest_picture(), (side, side), interpolation=cv2.INTER_AREA)) * 0.7


def cut(text: str, high: int) -> Picture:
    """A text cropped to its ink, of about this height."""
    font = ImageFont.load_default(round(1.4 * high))
    image = Image.new("L", ((len(text) + 2) * 2 * high, 4 * high))
    ImageDraw.Draw(image).text((high, high), text, fill=255, font=font)
    ink = np.asarray(image) > 100
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def beside(large: Picture, small: Picture, where: str, gap: int, share: float) -> tuple[Picture, Picture]:
    """Both on one plate (rows, columns), the small type above, below, left or right of the large letter."""
    if where in {"left", "right"}:
        turned = beside(large.T, small.T, {"left": "above", "right": "below"}[where], gap, share)
        return turned[0].T, turned[1].T
    shape = large.shape[0] + gap + small.shape[0], max(large.shape[1], small.shape[1])
    first, second = np.zeros(shape, bool), np.zeros(shape, bool)
    top = small.shape[0] + gap if where == "above" else 0
    first[top : top + large.shape[0], : large.shape[1]] = large
    row, column = (0 if where == "above" else large.shape[0] + gap), round(share * (shape[1] - small.shape[1]))
    second[row : row + small.shape[0], column : column + small.shape[1]] = small
    return first, second


def drawn(side: int, number: int) -> Drawn:
    chance = np.random.default_rng([side, number])
    large = cut(LARGE[chance.integers(len(LARGE))], int(side * chance.uniform(0.12, 0.3)))
    high = int(chance.integers(12, max(14, min(44, large.shape[0] // 2))))
    # What is longer has no room on the smallest films.
    small = cut(SMALL[chance.integers(len(SMALL) if side > 400 else 6)], high)
    where = ("above", "below", "left", "right")[chance.integers(4)]
    plate = beside(large, small, where, int(chance.integers(3, 24)), float(chance.random()))
    down, across = (side - length - 4 for length in plate[0].shape)
    assert min(down, across) > 0
    top, left = int(chance.integers(2, 2 + down)), int(chance.integers(2, 2 + across))
    behind = chest(side) if number % 3 == 0 else np.full((side, side), chance.uniform(0.05, 0.4))
    film = behind + (chance.normal(0, chance.uniform(0, 0.02), behind.shape) if number % 3 else 0)
    ink, kept = np.zeros(film.shape, bool), np.zeros(film.shape, bool)
    window = np.s_[top : top + plate[0].shape[0], left : left + plate[0].shape[1]]
    ink[window], kept[window] = plate[0] | plate[1], plate[1]
    film[ink] += chance.uniform(0.4, 1) * (chance.uniform(0.7, 1) - film[ink])
    return Drawn(film=np.round(film.clip(0, 1) * 4095).astype(np.uint16), small=kept)


def covered(detector: TextDetector, one: Drawn) -> float:
    """The part of the small type's ink that is in some region."""
    place = np.zeros(one.film.shape, bool)
    for region in detector.find(one.film[:, :, None], frame_number=1):
        rows = slice(region.top_row, region.top_row + region.row_count)
        place[rows, region.left_column : region.left_column + region.column_count] = True
    return float(place[one.small].mean())


@pytest.mark.parametrize("side", FILMS)
def test_small_type_beside_a_large_letter_is_covered(detector: TextDetector, side: int) -> None:
    shares = {number: covered(detector, drawn(side, number)) for number in {*FILMS[side], *range(4)}}
    assert {number: share for number, share in shares.items() if share < 0.95} == {}


def written(*places: tuple[int, int, int, int], side: int = 480, even: bool = False) -> tuple[Picture, Picture]:
    """An answer of the network that is sure of these places (top, left, bottom, right), and a picture with letters, or
    `even` nothing, in them.
    """
    probability, picture = np.zeros((side, side), np.uint8), np.full((side, side), 128, np.uint8)
    for top, left, bottom, right in places:
        probability[top:bottom, left:right] = 240
        if not even:
            # Strokes of four samples.
            picture[top:bottom, left:right][:, np.arange(right - left) % 8 < 4] = 255
    return probability, picture


def within(answer: tuple[Picture, Picture], thickest: float = 48) -> Picture:
    place = np.zeros(answer[0].shape, bool)
    for box in boxes(*answer, thickest=thickest):
        place[box.top : box.bottom, box.left : box.right] = True
    return place


LETTER, INITIALS = (100, 100, 180, 170), (130, 170, 150, 230)
ANATOMY = (20, 20, 240, 300)


def test_what_hangs_together_with_a_letter_is_a_line_and_so_is_the_letter() -> None:
    place = within(written(LETTER, INITIALS))
    assert place[100:180, 100:230].all()


def test_what_hangs_together_with_anatomy_is_a_line_and_the_anatomy_is_not() -> None:
    probability, picture = written((150, 300, 170, 360))
    probability[20:240, 20:300] = 240
    place = within((probability, picture))
    assert place[145:175, 295:365].all()
    assert not place[:, :250].any()


def test_what_hangs_together_by_what_is_unsure_is_looked_at_apart() -> None:
    probability, picture = written((150, 150, 170, 220))
    probability[60:260, 60:300] = np.maximum(probability[60:260, 60:300], 110)
    assert within((probability, picture))[145:175, 145:225].all()


@pytest.mark.parametrize("places", [(LETTER, INITIALS), (ANATOMY,), (ANATOMY, (150, 300, 170, 360))])
def test_what_is_thick_and_has_no_sharp_edges_is_anatomy(places: tuple[tuple[int, int, int, int], ...]) -> None:
    assert not within(written(*places, even=True)).any()


def test_what_is_slim_needs_no_sharp_edges() -> None:
    assert within(written(INITIALS, even=True))[130:150, 170:230].all()
