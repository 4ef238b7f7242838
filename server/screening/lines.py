"""From the network's probability map to rectangles: connected pieces, grown to whole lines.

The network marks the core of a line; growing gives back its letters, their ends and accents. A piece that fills its
rectangle badly (a slanted line, a curve along a rib) becomes a staircase of cells instead of one large rectangle.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from server.model import Region, RegionKind
from server.screening.picture import Grey

# Where a sample belongs to a piece, and what a piece's mean must reach (of 255).
_SEED, _MEAN = 51, 76
_SMALLEST_AREA = 6
_UNCLIP = 2.0
# A slanted piece fills less of its rectangle than this.
_FULL = 0.45
_CELL = 16
# A core of so few samples may be a line in the smallest frame.
_SLIGHT = 16


@dataclass(frozen=True, kw_only=True)
class Box:
    """A half-open rectangle in samples of the stored frame; `confidence` 0 to 1.

    `slanted`: one cell of several that cover a piece which fills its rectangle badly.
    """

    top: int
    left: int
    bottom: int
    right: int
    confidence: float
    slanted: bool = False

    def region(self, kind: RegionKind, frame_number: int) -> Region:
        """The box as what was found on one frame, counted from 1. Raises `ValueError` for an empty one."""
        return Region(
            kind=kind,
            top_row=self.top,
            left_column=self.left,
            row_count=self.bottom - self.top,
            column_count=self.right - self.left,
            frames=frozenset({frame_number}),
            confidence=self.confidence,
        )


def boxes(probability: Grey, *, thickest: float) -> Iterator[Box]:
    """The rectangles that cover the text of a probability map (rows, columns), clipped to it.

    A piece whose core is thicker than `thickest` samples, or than a sixth of the frame, is no line of text but anatomy.
    """
    thickest = min(thickest, max(_SLIGHT, min(probability.shape) / 6))
    mask = (probability >= _SEED).view(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    for label in range(1, count):
        left, top, width, height, area = (int(value) for value in stats[label])
        if area < _SMALLEST_AREA:
            continue
        place = np.s_[top : top + height, left : left + width]
        piece = labels[place] == label
        mean = float(probability[place][piece].mean())
        if mean < _MEAN:
            continue
        core = Box(top=top, left=left, bottom=top + height, right=left + width, confidence=mean / 255)
        full = area / (width * height) >= _FULL
        short = min(width, height) if full else _thickness(piece)
        if short > thickest:
            continue
        if full:
            yield _grown(core, mask.shape)
        else:
            yield from _staircase(piece, core, short, mask.shape)


def moved(box: Box, down: int, across: int) -> Box:
    """The box of a part that begins so many samples further down and to the right, on the whole."""
    return replace(box, top=box.top + down, left=box.left + across, bottom=box.bottom + down, right=box.right + across)


def enlarged(box: Box, factor: int, shape: tuple[int, ...]) -> Box:
    """The box of a picture `factor` times smaller, in samples of the frame of this shape and clipped to it."""
    return replace(
        box,
        top=box.top * factor,
        left=box.left * factor,
        bottom=min(shape[0], (box.bottom + 1) * factor),
        right=min(shape[1], (box.right + 1) * factor),
    )


def turned_back(box: Box, columns: int) -> Box:
    """The box of a picture turned by 90 degrees against the clock, where it lies on the picture of so many columns."""
    return replace(box, top=box.left, left=columns - box.bottom, bottom=box.right, right=columns - box.top)


def _grown(core: Box, shape: tuple[int, ...]) -> Box:
    height, width = core.bottom - core.top, core.right - core.left
    distance = int(np.ceil(_UNCLIP * width * height / (2 * (width + height)))) + 2
    end = (min(width, height) + 2 * distance) // 2
    down, across = (distance, distance + end) if width >= height else (distance + end, distance)
    return Box(
        top=max(0, core.top - down),
        left=max(0, core.left - across),
        bottom=min(shape[0], core.bottom + down),
        right=min(shape[1], core.right + across),
        confidence=core.confidence,
    )


def _thickness(piece: NDArray[np.bool_]) -> float:
    padded = np.pad(piece.astype(np.uint8), 1)
    return float(cv2.distanceTransform(padded, cv2.DIST_L2, 3).max()) * 2


def _staircase(piece: NDArray[np.bool_], core: Box, short: float, shape: tuple[int, ...]) -> Iterator[Box]:
    grow = int(np.ceil(_UNCLIP * short / 2)) + 4
    padded = np.pad(piece.astype(np.uint8), grow)
    cells = np.asarray(cv2.dilate(padded, np.ones((2 * grow + 1, 2 * grow + 1), np.uint8)))
    first_row, first_column = core.top - grow, core.left - grow
    for row in range(0, cells.shape[0], _CELL):
        filled = np.flatnonzero(cells[row : row + _CELL].any(axis=0))
        for run in np.split(filled, np.flatnonzero(np.diff(filled) > _CELL) + 1):
            if run.size == 0:
                continue
            box = Box(
                top=max(0, first_row + row),
                left=max(0, first_column + int(run[0])),
                bottom=min(shape[0], first_row + row + _CELL),
                right=min(shape[1], first_column + int(run[-1]) + 1),
                confidence=core.confidence,
                slanted=True,
            )
            if box.bottom > box.top and box.right > box.left:
                yield box
