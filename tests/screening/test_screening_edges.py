from __future__ import annotations

import cv2
import numpy as np
import pytest
from test_screening_text import Picture, burned, glyphs

from server.screening.edges import sharp_places
from server.screening.picture import Grey, normalised


def speckle(seed: int) -> Picture:
    chance = np.random.default_rng(seed)
    wide = cv2.GaussianBlur(chance.normal(0, 6, (512, 640)), (0, 0), 3)
    return np.clip(1200 + 500 * wide, 0, 4095).astype(np.uint16)


def seen(film: Picture) -> Grey:
    picture = normalised(film)
    assert picture is not None
    return picture


def marked(film: Picture, before: Picture) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    place = np.zeros(film.shape, bool)
    for top, left, bottom, right in sharp_places(seen(film), seen(before)):
        place[top:bottom, left:right] = True
    return place


def test_speckle_that_moves_is_hardly_looked_at() -> None:
    assert marked(speckle(2), speckle(1)).mean() < 0.1


@pytest.mark.parametrize("contrast", [0.1, 0.5, -0.3])
def test_text_that_has_come_is_looked_at(contrast: float) -> None:
    film, place = burned(speckle(2), glyphs("NOBODY", 20), 200, 300, contrast)
    assert marked(film, speckle(1))[place].all()


def test_edges_that_stay_are_not_looked_at() -> None:
    films = [speckle(1), speckle(2)]
    for film in films:
        film[:100] = 0
        film[:, :50] = 4095
    assert marked(films[1], films[0]).mean() < 0.1


def test_text_in_noise_is_looked_at_with_the_noise() -> None:
    chance = np.random.default_rng(3)
    films = [np.clip(chance.normal(2000, 300, (300, 300)), 0, 4095).astype(np.uint16) for _ in range(2)]
    assert marked(films[1], films[0]).all()


def test_of_what_was_constant_all_edges_are_new() -> None:
    film, place = burned(np.zeros((300, 300), np.uint16), glyphs("NOBODY", 20), 100, 100, 0.5)
    found = np.zeros(film.shape, bool)
    for top, left, bottom, right in sharp_places(seen(film), None):
        found[top:bottom, left:right] = True
    assert found[place].all()
