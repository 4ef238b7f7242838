"""The background is found where nothing is shown, and not where anything is."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from server.model import RegionKind
from server.screening.faint import background

ROWS, COLUMNS = 512, 480


def film(bits: int = 12, *, inverted: bool = False) -> NDArray[np.uint16]:
    """Air with noise around a body of structure."""
    chance = np.random.default_rng(3)
    top = (1 << bits) - 1
    samples = np.clip(chance.normal(0.02 * top, 0.004 * top, (ROWS, COLUMNS, 1)), 0, top)
    samples[128:, 96:384] = chance.integers(int(0.2 * top), int(0.9 * top), (ROWS - 128, 288, 1))
    return (top - samples if inverted else samples).astype(np.uint16)


def covered(samples: NDArray[np.uint16]) -> NDArray[np.bool_]:
    cover = np.zeros(samples.shape[:2], np.bool_)
    for region in background(samples, 1):
        assert region.kind is RegionKind.BACKGROUND
        assert region.frames == frozenset({1})
        part = cover[region.top_row : region.top_row + region.row_count,
                     region.left_column : region.left_column + region.column_count]  # fmt: skip
        assert not part.any(), "regions overlap"
        part[...] = True
    return cover


@pytest.mark.parametrize("inverted", [True, False])
@pytest.mark.parametrize("bits", [8, 12, 16])
def test_air_is_background_and_the_body_is_not(bits: int, inverted: bool) -> None:
    cover = covered(film(bits, inverted=inverted))
    assert cover[:96].all()
    assert cover[160:, :64].all()
    assert not cover[128:, 96:384].any()


@pytest.mark.parametrize("amplitude", [0.0005, 0.002, 0.01, 0.03, 0.05])
def test_faint_text_does_not_make_it_anything_else(amplitude: float) -> None:
    samples = film()
    samples[20:60, 40:200:3] += np.uint16(amplitude * 4095)
    assert np.array_equal(covered(samples), covered(film()))


def test_a_dark_lung_is_not_reached_from_the_edge() -> None:
    samples = film()
    samples[224:352, 160:256] = film()[0:128, 0:96]
    assert not covered(samples)[224:352, 160:256].any()


@pytest.mark.parametrize(
    "samples",
    [
        np.zeros((512, 512, 1), np.uint16),
        np.full((512, 512, 1), 7, np.int16),
        np.zeros((100, 512, 1), np.uint8),
        np.zeros((512, 512, 3), np.uint8),
        np.full((300, 300, 1), np.nan, np.float32),
    ],
    ids=["constant", "signed", "small", "colour", "nan"],
)
def test_of_nothing_no_background(samples: NDArray[np.uint16]) -> None:
    assert background(samples, 1) == []


def test_patches_too_many_to_list_are_left_to_the_detectors() -> None:
    samples = film()
    big = np.tile(samples[:96], (24, 5, 1))
    big[::64, :] = 4000
    big[:, ::64] = 4000
    assert len(background(big, 1)) <= 400
