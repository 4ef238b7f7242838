"""From the network's probability map to rectangles: connected pieces, grown to whole lines.

The network marks the core of a line; growing gives back its letters, their ends and accents. A piece that fills its
rectangle badly (a slanted line, a curve along a rib) becomes a staircase of cells instead of one large rectangle.

What is too thick for a line is anatomy, but small type close to it, or to a large letter, hangs together with it in one
piece. So of thick pieces all is kept that is thinner, or surer, than the rest, and the whole of one that is not much
too thick: where the picture has edges as sharp as letters have. Anatomy has none.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from server.model import Region, RegionKind
from server.screening.edges import Sharpness, sharp
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
# What hangs together by less than these is looked at apart, too.
_SURER = (_SEED, 128, 204)
# A letter's core is so many times as thick as that of a line at most.
_LETTER = 3
# Grey values between neighbours, and in what part of a place they differ by more: where letters are drawn, and where
# all is small type. With these none of 200 films with small type close to a large letter is missed (12 were without),
# and two hundredths of a per cent more of clean radiographs is hidden.
_LETTERS: Sharpness = ((40, 0.08), (60, 0.03))
_SMALL_TYPE: Sharpness = ((40, 0.12), (60, 0.03))


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


def boxes(probability: Grey, picture: Grey | None, *, thickest: float) -> Iterator[Box]:
    """The rectangles that cover the text of a probability map (rows, columns), clipped to it.

    `picture` is the normalised picture of the same place and shape. A piece whose core is thicker than `thickest`
    samples, or than a sixth of the frame, is no line of text; of such a one, what is as sharp as text,
    or nothing where there is no picture.
    """
    thickest = min(thickest, max(_SLIGHT, min(probability.shape) / 6))
    shape = probability.shape
    for core, piece, area in _pieces(probability, probability >= _SEED):
        full = area / piece.size >= _FULL
        short = min(piece.shape) if full else _thickness(piece)
        if short <= thickest:
            yield from _lines(core, piece, full=full, short=short, shape=shape)
            continue
        if picture is None:
            continue
        thickness = _thickness(piece)
        if thickness < _LETTER * thickest and _sharp(core, picture, _LETTERS):
            yield from _lines(core, piece, full=full, short=thickness, shape=shape)
        seen = np.where(piece, probability[core.top : core.bottom, core.left : core.right], 0)
        for part, within, size in _thin_parts(seen, thickest):
            one = moved(part, core.top, core.left)
            if _sharp(one, picture, _SMALL_TYPE):
                slim = min(within.shape) <= thickest and size / within.size >= _FULL
                yield from _lines(one, within, full=slim, short=_thickness(within), shape=shape)


Piece = tuple[Box, NDArray[np.bool_], int]


def _pieces(probability: Grey, mask: NDArray[np.bool_]) -> Iterator[Piece]:
    """What hangs together and may be text: where, which samples of that place, and how many."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
    for label in range(1, count):
        left, top, width, height, area = (int(value) for value in stats[label])
        if area < _SMALLEST_AREA:
            continue
        place = np.s_[top : top + height, left : left + width]
        piece = labels[place] == label
        mean = float(probability[place][piece].mean())
        if mean >= _MEAN:
            core = Box(top=top, left=left, bottom=top + height, right=left + width, confidence=mean / 255)
            yield core, piece, area


def _thin_parts(probability: Grey, thickest: float) -> Iterator[Piece]:
    """The parts of one piece, 0 around it, that are no thicker than this, as it is and where it is surer."""
    side = int(thickest) + 1
    square = np.ones((side, side), np.uint8)
    for least in _SURER:
        mask = probability >= least
        thick = cv2.morphologyEx(
            mask.view(np.uint8), cv2.MORPH_OPEN, square, borderType=cv2.BORDER_CONSTANT, borderValue=(0,)
        )
        yield from _pieces(probability, mask & (thick == 0))


def _lines(core: Box, piece: NDArray[np.bool_], *, full: bool, short: float, shape: tuple[int, ...]) -> Iterator[Box]:
    if full:
        yield _grown(core, shape)
    else:
        yield from _staircase(piece, core, short, shape)


def _sharp(box: Box, picture: Grey, wanted: Sharpness) -> bool:
    return sharp(picture[box.top : box.bottom, box.left : box.right], wanted)


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
