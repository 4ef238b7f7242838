from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.model import Region, RegionKind
from server.pixels.outline import outlined, outlines

ROWS, COLUMNS = 40, 60
boxes = st.tuples(st.integers(0, 30), st.integers(0, 50), st.integers(1, 10), st.integers(1, 10)).map(
    lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3])
)


def region(top: int, left: int, rows: int, columns: int, frames: frozenset[int] | None = None) -> Region:
    return Region(
        kind=RegionKind.TEXT, top_row=top, left_column=left, row_count=rows, column_count=columns, frames=frames
    )


@given(boxes)
def test_what_is_outlined_stays_as_it_is(box: tuple[int, int, int, int]) -> None:
    picture = np.random.default_rng(1).integers(1, 255, (ROWS, COLUMNS, 1), np.uint8)
    drawn = outlined(picture, [box])
    top, left, bottom, right = box
    assert np.array_equal(drawn[top:bottom, left:right], picture[top:bottom, left:right])
    changed = np.argwhere((drawn != picture).any(axis=2))
    assert changed[:, 0].min() >= top - 1
    assert changed[:, 0].max() <= bottom
    assert changed[:, 1].min() >= left - 1
    assert changed[:, 1].max() <= right


def test_the_line_is_seen_on_any_ground() -> None:
    for ground in (0, 255):
        drawn = outlined(np.full((ROWS, COLUMNS, 3), ground, np.uint8), [(10, 10, 20, 40)])
        line = drawn[9, 9:41]
        assert set(np.unique(line)) == {0, 255}
        assert 0.3 < (line == 0).mean() < 0.7


def test_the_line_grows_with_the_picture() -> None:
    picture = np.full((2000, 2000, 1), 128, np.uint8)
    drawn = outlined(picture, [(100, 100, 200, 200)])
    assert (drawn[100:200, 95:100] != 128).all()
    assert (drawn[100:200, 94] == 128).all()


def test_without_regions_nothing_is_drawn() -> None:
    picture = np.zeros((4, 4, 1), np.uint8)
    assert outlined(picture, []) is picture


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (region(1, 2, 3, 4), [(1, 2, 4, 6)]),
        (region(1, 2, 3, 4, frozenset({2})), []),
        (region(1, 2, 3, 4, frozenset({1, 2})), [(1, 2, 4, 6)]),
        (region(30, 50, 100, 100), [(30, 50, 40, 60)]),
        (region(45, 0, 4, 4), []),
    ],
)
def test_boxes_of_one_frame_are_clipped_to_it(found: Region, expected: list[tuple[int, int, int, int]]) -> None:
    assert list(outlines([found], ROWS, COLUMNS, 1)) == expected
