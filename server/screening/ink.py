"""Where the ink of one line stands, and what is empty around it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from server.screening.lines import Box
from server.screening.picture import Grey

# What differs so much from the box's usual grey is ink (letters differ by a hundred and more, backgrounds by twenty).
_INK = 30
# Empty rows and columns around the ink that belong to a window at most: a little more than masks reach further than
# what they hide, so that only the ink's own surroundings are left of them beside a mask.
_AROUND = 8
# Words stand apart by so many heights at most; columns of a table by more.
APART, ANY = 1.2, 1000.0

Place = tuple[int, int, int, int]


def middle(box: Box) -> tuple[int, int, int, int]:
    """The box (top, left, bottom, right) without what was grown around its line."""
    inward = min(box.bottom - box.top, box.right - box.left) // 4
    return box.top + inward, box.left + inward, box.bottom - inward, box.right - inward


def clear(box: Box, pictures: Sequence[Grey], apart: float) -> Place | None:
    """The ink (top, left, bottom, right) in the middle of a box and what is empty around it; None where it is not."""
    cuts = [picture[box.top : box.bottom, box.left : box.right].astype(np.int16) for picture in pictures]
    ink = np.any([np.abs(cut - np.median(cut)) > _INK for cut in cuts], axis=0)
    rows, columns = pictures[0].shape
    top, left, bottom, right = middle(box)
    across = _run(
        ink[top - box.top : bottom - box.top].any(axis=0), (left - box.left, right - box.left), apart * (bottom - top)
    )
    if across is None:
        return None
    down = _run(ink[:, slice(*across)].any(axis=1), (top - box.top, bottom - box.top), 1)
    if down is None:
        return None
    across = _run(ink[slice(*down)].any(axis=0), across, apart * (down[1] - down[0]))
    if across is None:
        return None
    outer_left, outer_right = _grown(ink[slice(*down)].any(axis=0), across)
    outer_top, outer_bottom = _grown(ink[:, outer_left:outer_right].any(axis=1), down)
    place = box.top + outer_top, box.left + outer_left, box.top + outer_bottom, box.left + outer_right
    free = (
        outer_top < down[0] or place[0] == 0,
        outer_left < across[0] or place[1] == 0,
        outer_bottom > down[1] or place[2] == rows,
        outer_right > across[1] or place[3] == columns,
    )
    return place if all(free) else None


def _run(filled: NDArray[np.bool_], within: tuple[int, int], gap: float) -> tuple[int, int] | None:
    """The part, half-open, of a profile that holds most of `within` and no more than `gap` empty places in a row."""
    places = np.flatnonzero(filled)
    if places.size == 0:
        return None
    runs = np.split(places, np.flatnonzero(np.diff(places) > max(1, gap)) + 1)
    run = max(runs, key=lambda one: int(np.sum((one >= within[0]) & (one < within[1]))))
    return int(run[0]), int(run[-1]) + 1


def _grown(filled: NDArray[np.bool_], run: tuple[int, int]) -> tuple[int, int]:
    """The run with the empty places next to it, `_AROUND` on each side at most."""
    first, last = run
    while first > 0 and run[0] - first < _AROUND and not filled[first - 1]:
        first -= 1
    while last < len(filled) and last - run[1] < _AROUND and not filled[last]:
        last += 1
    return first, last
