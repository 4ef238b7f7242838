"""Where edges as sharp as letters have come into a picture that was looked at: what changes smoothly needs no network.

What moves in a cine is mostly speckle as wide as the beam, many samples; letters are drawn sample by sample. On
normalised pictures, where contrast counts against the surroundings, the second differences of drawn letters are several
times as large, faint letters' too. What edges stood there before cancels out.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from server.screening.picture import Grey
from server.screening.places import Place, around, gathered

# Second differences beyond the first number that are new by as much, and of how many such samples in a window of four
# cells a network has to see: few sharp ones, or many blurred ones. Moving speckle has next to none; of drawn lines
# of 10 to 80 per cent contrast on it all pass, blurred by a sample as good as all, by 1.3 samples 86 in 100.
SHARP = ((30, 12), (20, 20), (16, 48))
_CELL = 16
# With so many samples around them, in places of so many a side where they are near to one another.
_AROUND, _SIDE = 32, 256


Sharpness = tuple[tuple[int, float], ...]


def sharp(cut: Grey, wanted: Sharpness) -> bool:
    """Whether a part of a normalised picture (rows, columns) has edges: for every pair `wanted`, grey values between
    neighbours of a sample, once noise is evened out, that differ by more than the first number in at least so large a
    part, 0 to 1, of it.
    """
    even = cv2.blur(cut, (3, 3))
    steps = cv2.morphologyEx(even, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    return all(float(np.mean(steps > least)) >= part for least, part in wanted)


def sharp_places(picture: Grey, before: Grey | None) -> list[Place]:
    """The places of a normalised picture (rows, columns) that a network has to see, given the one of the same size that
    it has seen, None if that was constant; they may overlap. Where they would be as much as the whole, the whole.
    """
    second = _second_difference(picture)
    strength = np.abs(second)
    if before is not None:
        former = _second_difference(before)
        change = np.abs(second - former)
        # An edge that stays grows and fades with what moves beside it.
        known = cv2.dilate(np.abs(former), np.ones((3, 3), np.uint8))
        strength = np.where(change > known, np.minimum(strength, change), 0)
    marked = np.any([_windows(strength > least) >= count for least, count in SHARP], axis=0)
    found = [
        (int(row) * _CELL, int(column) * _CELL, (int(row) + 2) * _CELL, (int(column) + 2) * _CELL)
        for row, column in np.argwhere(marked)
    ]
    places = [around(place, picture.shape, _AROUND) for place in gathered(found, _SIDE - 2 * _AROUND)]
    # Networks look at squares.
    cost = sum(max(bottom - top, right - left) ** 2 for top, left, bottom, right in places)
    return places if cost < picture.size else [(0, 0, *picture.shape)]


def _windows(sharp: NDArray[np.bool_]) -> NDArray[np.uint16]:
    """How many samples are True in every window of two cells by two."""
    down, across = (np.arange(0, length, _CELL) for length in sharp.shape)
    rows = np.add.reduceat(sharp.view(np.uint8), down, axis=0, dtype=np.uint16)
    padded = np.pad(np.add.reduceat(rows, across, axis=1), ((0, 1), (0, 1)))
    return np.asarray(padded[:-1, :-1] + padded[1:, :-1] + padded[:-1, 1:] + padded[1:, 1:], np.uint16)


def _second_difference(picture: Grey) -> NDArray[np.int16]:
    return np.asarray(cv2.Laplacian(picture, cv2.CV_16S, ksize=1), np.int16)
