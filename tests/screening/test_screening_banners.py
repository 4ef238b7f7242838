from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from server.model import Region, RegionKind
from server.screening.banners import Banners, Rectangle
from server.screening.facts import facts_of

ROWS, COLUMNS = 120, 160
IMAGE = (20, 10, 110, 150)


def covered(regions: list[Region], rows: int = ROWS, columns: int = COLUMNS) -> NDArray[np.bool_]:
    result = np.zeros((rows, columns), bool)
    for one in regions:
        assert one.frames is None
        assert one.kind is RegionKind.BANNER
        result[one.top_row : one.top_row + one.row_count, one.left_column : one.left_column + one.column_count] = True
    return result


def inside(regions: tuple[Rectangle, ...], rows: int = ROWS, columns: int = COLUMNS) -> NDArray[np.bool_]:
    result = np.zeros((rows, columns), bool)
    for top, left, bottom, right in regions:
        result[top:bottom, left:right] = True
    return result


def of(frames: list[NDArray[np.uint8]], regions: tuple[Rectangle, ...] | None) -> NDArray[np.bool_]:
    banners = Banners(regions, *frames[0].shape[:2])
    for frame in frames:
        banners.add(frame)
    return covered(banners.found(), *frames[0].shape[:2])


def test_a_single_frame_is_hidden_outside_of_its_regions() -> None:
    frame = np.zeros((ROWS, COLUMNS, 1), np.uint8)
    assert np.array_equal(of([frame], (IMAGE,)), ~inside((IMAGE,)))


def test_of_a_cine_what_changes_outside_of_the_regions_stays() -> None:
    frames = [np.zeros((ROWS, COLUMNS, 3), np.uint8) for _ in range(4)]
    for number, frame in enumerate(frames):
        frame[112:, :, 1] = number
    hidden = of(frames, (IMAGE,))
    assert not hidden[112:].any()
    assert hidden[:20].all()
    assert not hidden[20:110, 10:150].any()


def test_a_still_sample_beside_changing_ones_is_hidden() -> None:
    frames = [np.full((ROWS, COLUMNS, 1), number, np.uint8) for number in range(3)]
    for frame in frames:
        frame[5, 7] = 200
    assert of(frames, (IMAGE,))[5, 7]


@pytest.mark.parametrize(
    "wrong", [(84, 31, 596, 415), (-1, 0, 5, 5), (5, 5, 5, 9), (9, 9, 4, 4), (0, 0, 0, 0), (0, 0, ROWS, COLUMNS + 1)]
)
def test_regions_that_do_not_fit_are_not_believed(wrong: Rectangle) -> None:
    frame = np.zeros((ROWS, COLUMNS, 1), np.uint8)
    assert not of([frame], (IMAGE, wrong)).any()


@pytest.mark.parametrize("regions", [None, ()])
def test_without_regions_nothing_is_added(regions: tuple[Rectangle, ...] | None) -> None:
    assert not of([np.zeros((ROWS, COLUMNS, 1), np.uint8)], regions).any()


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_exactly_the_outside_of_any_regions(data: st.DataObject) -> None:
    rows, columns = data.draw(st.integers(1, 70)), data.draw(st.integers(1, 70))
    regions = []
    for _ in range(data.draw(st.integers(1, 4))):
        top, left = data.draw(st.integers(0, rows - 1)), data.draw(st.integers(0, columns - 1))
        regions.append((top, left, data.draw(st.integers(top + 1, rows)), data.draw(st.integers(left + 1, columns))))
    expected = ~inside(tuple(regions), rows, columns)
    assert np.array_equal(of([np.zeros((rows, columns, 1), np.uint8)], tuple(regions)), expected)


def test_many_changing_specks_become_the_whole_outside() -> None:
    chance = np.random.default_rng(3)
    frames = [np.zeros((1600, 1600, 1), np.uint8) for _ in range(2)]
    for row in range(0, 1600, 16):
        for column in range(0, 1600, 16):
            if chance.random() < 0.5:
                frames[1][row : row + 16, column : column + 16] = 1
    regions = ((800, 800, 816, 816),)
    assert np.array_equal(of(frames, regions), ~inside(regions, 1600, 1600))


def test_regions_are_read_from_a_header_as_the_standard_has_them() -> None:
    item = Dataset()
    item.RegionLocationMinX0, item.RegionLocationMinY0 = 10, 20
    item.RegionLocationMaxX1, item.RegionLocationMaxY1 = 149, 109
    dataset = Dataset()
    dataset.SequenceOfUltrasoundRegions = [item, Dataset()]
    assert facts_of(dataset).regions == (IMAGE, (0, 0, 0, 0))
    assert facts_of(Dataset()).regions is None
