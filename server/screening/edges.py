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

# A second difference beyond this where there was none as large is sharp. Of lines of 3 to 80 per cent contrast that a
# network sees every one has six of 43 and more, one blurred by 0.7 of a sample six of 38.
SHARP = 30
# So many sharp samples within one window of four cells are looked at.
_FEW, _CELL = 6, 16
# With so many samples around them, in places of so many a side where they are near to one another.
_AROUND, _SIDE = 32, 256


def sharp_places(picture: Grey, before: Grey | None) -> list[Place]:
    """The places of a normalised picture (rows, columns) that a network has to see, given the one of the same size that
    it has seen, None if that was constant; they may overlap. Where they would be as much as the whole, the whole.
    """
    second = _second_difference(picture)
    edged = np.abs(second) > SHARP
    if before is not None:
        former = _second_difference(before)
        # An edge that stays grows and fades with what moves beside it.
        known = cv2.dilate(np.abs(former), np.ones((3, 3), np.uint8))
        edged &= np.abs(second - former) > np.maximum(SHARP, known)
    sharp = edged.view(np.uint8)
    down, across = (np.arange(0, length, _CELL) for length in picture.shape)
    counts = np.add.reduceat(np.add.reduceat(sharp, down, axis=0, dtype=np.uint16), across, axis=1)
    # Every window of two cells by two.
    padded = np.pad(counts, ((0, 1), (0, 1)))
    windows = padded[:-1, :-1] + padded[1:, :-1] + padded[:-1, 1:] + padded[1:, 1:]
    found = [
        (int(row) * _CELL, int(column) * _CELL, (int(row) + 2) * _CELL, (int(column) + 2) * _CELL)
        for row, column in np.argwhere(windows >= _FEW)
    ]
    places = [around(place, picture.shape, _AROUND) for place in gathered(found, _SIDE - 2 * _AROUND)]
    # Networks look at squares.
    cost = sum(max(bottom - top, right - left) ** 2 for top, left, bottom, right in places)
    return places if cost < picture.size else [(0, 0, *picture.shape)]


def _second_difference(picture: Grey) -> NDArray[np.int16]:
    return np.asarray(cv2.Laplacian(picture, cv2.CV_16S, ksize=1), np.int16)
