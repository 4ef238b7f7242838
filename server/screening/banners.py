"""Banners of ultrasound: what lies outside of the regions that the device says are image, and never changes.

The device's word can only add: regions that do not fit the frame (a picture made smaller after they were written) say
nothing, and without any the text detector is alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from server.model import Region, RegionKind
from server.screening.cells import rectangles
from server.screening.picture import Samples

# The largest side of a cell in samples, and more rectangles than this are taken as the whole outside.
_CELL = 16
_MOST = 200

Rectangle = tuple[int, int, int, int]


class Banners:
    """Takes the frames of one object one after the other; afterwards knows what to hide on all of them."""

    def __init__(self, regions: Sequence[Rectangle] | None, rows: int, columns: int) -> None:
        """`regions` as in `Facts`: (top, left, bottom, right), half-open."""
        self._regions = fitting(regions, rows, columns)
        self._rows, self._columns = rows, columns
        self._first: Samples | None = None
        self._still: NDArray[np.bool_] = np.ones((rows, columns), bool)
        self._frames = 0

    def add(self, samples: Samples) -> None:
        """The next decoded frame (rows, columns, samples); looked at only, and copied once."""
        if not self._regions:
            return
        self._frames += 1
        if self._first is None:
            self._first = samples.copy()
        else:
            self._still &= (samples == self._first).all(axis=2)

    def found(self) -> list[Region]:
        """The regions of every frame; none where no usable region was declared or no frame was seen."""
        if not self._regions or self._first is None:
            return []
        # A sample shows nothing new after one frame, so all of it is outside; of several, what stands still.
        hidden = self._still if self._frames > 1 else np.ones_like(self._still)
        cuts = [
            _cuts(length, [edge for region in self._regions for edge in (region[axis], region[axis + 2])])
            for axis, length in ((0, self._rows), (1, self._columns))
        ]
        outside = _outside(self._regions, *cuts)
        still = np.logical_or.reduceat(np.logical_or.reduceat(hidden, cuts[0][:-1], axis=0), cuts[1][:-1], axis=1)
        places = list(rectangles(outside & still))
        if len(places) > _MOST:
            places = list(rectangles(outside))
        return [_region(place, *cuts) for place in places]


def fitting(regions: Sequence[Rectangle] | None, rows: int, columns: int) -> tuple[Rectangle, ...]:
    """The regions, or none at all if one of them does not fit the frame: then the others are not to be believed."""
    if not regions:
        return ()
    fit = all(0 <= top < bottom <= rows and 0 <= left < right <= columns for top, left, bottom, right in regions)
    return tuple(regions) if fit else ()


def _cuts(length: int, edges: Sequence[int]) -> NDArray[np.int_]:
    """Where cells begin and end: at the edges of all regions, and at least every `_CELL` samples."""
    return np.unique([*edges, *range(0, length, _CELL), length])


def _outside(regions: Sequence[Rectangle], rows: NDArray[np.int_], columns: NDArray[np.int_]) -> NDArray[np.bool_]:
    result = np.ones((len(rows) - 1, len(columns) - 1), bool)
    for top, left, bottom, right in regions:
        within = (rows[:-1] >= top) & (rows[:-1] < bottom)
        result[np.ix_(within, (columns[:-1] >= left) & (columns[:-1] < right))] = False
    return result


def _region(place: Rectangle, rows: NDArray[np.int_], columns: NDArray[np.int_]) -> Region:
    top, left, bottom, right = place
    return Region(
        kind=RegionKind.BANNER,
        top_row=int(rows[top]),
        left_column=int(columns[left]),
        row_count=int(rows[bottom] - rows[top]),
        column_count=int(columns[right] - columns[left]),
    )
