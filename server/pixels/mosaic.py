"""What is drawn over a hidden box: a constant, or a mosaic that carries nothing of what it covers.

The mosaic's blocks are interpolated between the samples just outside the box (a Coons patch); hidden samples enter
neither the interpolation nor anything else, those of a neighbouring hidden box included.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from server.pixels.description import PixelDescription
from server.pixels.frame import Samples, value_bounds, values

GRID = 32
_RING = 3
_LEAST_BLOCK = 8
_STEP = 8

Box = tuple[int, int, int, int]
Cells = NDArray[np.bool_]
Numbers = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Canvas:
    """A writable array (rows, columns, samples) of stored values and what they mean."""

    samples: Samples
    photometric_interpretation: str
    description: PixelDescription

    @property
    def luma_chroma(self) -> bool:
        return self.photometric_interpretation.startswith("YBR")

    @property
    def bounds(self) -> tuple[float, float]:
        """Least and largest stored value; for floats, whose values have no bounds, minus one and one."""
        if self.description.data_kind != "integer":
            return -1.0, 1.0
        least, most = value_bounds(self.description)
        return float(least), float(most)


def shown_cells(rows: int, columns: int, boxes: Iterable[Box]) -> Cells:
    """Return which cells of the grid are shown, shape (ceil(rows / 32) + 2, ceil(columns / 32) + 2).

    Every box begins on the grid and ends on it or at the frame's edge, so a cell is hidden wholly or not at all. The
    outermost cells lie beyond the frame, where nothing is shown.
    """
    cells = np.zeros((-(-rows // GRID) + 2, -(-columns // GRID) + 2), np.bool_)
    cells[1:-1, 1:-1] = True
    for top, left, bottom, right in boxes:
        cells[top // GRID + 1 : -(-bottom // GRID) + 1, left // GRID + 1 : -(-right // GRID) + 1] = False
    return cells


def fill(canvas: Canvas, box: Box) -> None:
    """Draw black: the darkest value that the photometric interpretation has, neutral in chroma, 0 for floats."""
    top, left, bottom, right = box
    least, most = canvas.bounds
    dark = np.full(canvas.samples.shape[2], most if canvas.photometric_interpretation == "MONOCHROME1" else least)
    if canvas.description.data_kind != "integer" or canvas.photometric_interpretation == "PALETTE COLOR":
        dark[:] = 0
    if canvas.luma_chroma:
        dark[1:] = _neutral(canvas)
    canvas.samples[top:bottom, left:right] = _stored(dark, canvas)


def shown_range(canvas: Canvas, shown: Cells) -> tuple[float, float]:
    """Return between which values nearly all shown samples lie (1 and 99 per cent, of every eighth row and column).

    The bounds of the sample type where nothing is shown. Luma alone counts where there is chroma.
    """
    rows, columns = (np.arange(0, length, _STEP) for length in canvas.samples.shape[:2])
    picked = canvas.samples[::_STEP, ::_STEP][shown[np.ix_(rows // GRID + 1, columns // GRID + 1)]]
    known = values(picked[:, :1] if canvas.luma_chroma else picked, canvas.description).astype(np.float64)
    known = known[np.isfinite(known)]
    if not known.size:
        return canvas.bounds
    low, high = np.percentile(known, (1, 99))
    return float(low), float(high)


def mosaic(canvas: Canvas, box: Box, shown: Cells, ends: tuple[float, float]) -> None:
    """Draw blocks interpolated from the ring of shown samples around the box, or mid-range if there is none.

    Alternate blocks are lighter and darker by a sixteenth of `ends`, the `shown_range`, so that nobody takes the mosaic
    for anatomy, and yet it stays far from the ink, which stands out of its surroundings. A palette index has no
    neighbours in meaning: there it is a constant.
    """
    top, left, bottom, right = box
    if canvas.photometric_interpretation == "PALETTE COLOR":
        fill(canvas, box)
        return
    block = max(_LEAST_BLOCK, min(bottom - top, right - left) // 8)
    down, across = -(-(bottom - top) // block), -(-(right - left) // block)
    checker = np.where(np.add.outer(np.arange(down), np.arange(across)) % 2 == 0, 1.0, -1.0)
    least, most = canvas.bounds
    if canvas.description.data_kind == "integer" and canvas.description.bits_stored == 1:
        blocks = np.repeat((checker[:, :, np.newaxis] > 0).astype(np.float64), canvas.samples.shape[2], axis=2)
    else:
        # Floating point samples may be anything; what overflows is bounded when it is stored.
        with np.errstate(all="ignore"):
            middle = ends[0] / 2 + ends[1] / 2
            contrast = (ends[1] / 16 - ends[0] / 16) or (most - least) / 64
            blocks = _patch(_sides(canvas, box, shown, block), down, across, middle)
        tinted = slice(0, 1) if canvas.luma_chroma else slice(None)
        blocks[:, :, tinted] += checker[:, :, np.newaxis] * contrast
        if canvas.luma_chroma:
            blocks[:, :, 1:] = _neutral(canvas)
    drawn = _stored(blocks, canvas)
    drawn = np.repeat(np.repeat(drawn, block, axis=0)[: bottom - top], block, axis=1)[:, : right - left]
    canvas.samples[top:bottom, left:right] = drawn


def _neutral(canvas: Canvas) -> float:
    return float(1 << (canvas.description.bits_stored - 1))


def _stored(numbers: Numbers, canvas: Canvas) -> Samples:
    """Return numbers as stored values: bounded, rounded, shifted to their place; all other bits are clear."""
    kind = canvas.samples.dtype
    if canvas.description.data_kind != "integer":
        limits = np.finfo(kind)
        return np.clip(np.nan_to_num(numbers), limits.min, limits.max).astype(kind)
    least, most = canvas.bounds
    whole = np.rint(np.clip(numbers, least, most)).astype(np.int64) << canvas.description.shift
    return whole.astype(kind)


def _sides(canvas: Canvas, box: Box, shown: Cells, block: int) -> tuple[Numbers, Numbers, Numbers, Numbers]:
    """Return top, bottom, left and right profile, (blocks, samples) each, NaN where nothing is shown."""
    top, left, bottom, right = box
    samples = canvas.samples
    above, before = top // GRID, left // GRID
    below, after = -(-bottom // GRID) + 1, -(-right // GRID) + 1
    along, beside = slice(before + 1, after), slice(above + 1, below)
    return (
        _profile(canvas, samples[max(top - _RING, 0) : top, left:right], shown[above, along], block),
        _profile(canvas, samples[bottom : bottom + _RING, left:right], shown[below, along], block),
        _profile(canvas, _turned(samples[top:bottom, max(left - _RING, 0) : left]), shown[beside, before], block),
        _profile(canvas, _turned(samples[top:bottom, right : right + _RING]), shown[beside, after], block),
    )


def _turned(strip: Samples) -> Samples:
    return strip.transpose(1, 0, 2)


def _profile(canvas: Canvas, strip: Samples, cells: Cells, block: int) -> Numbers:
    """Return the mean of a strip (ring depth, length, samples) per block of its length, over shown samples only."""
    depth, length, count = strip.shape
    starts = np.arange(0, length, block)
    if depth == 0 or not cells.any():
        return np.full((len(starts), count), np.nan)
    shown = np.repeat(cells, GRID)[:length]
    known = np.nan_to_num(values(strip, canvas.description).astype(np.float64), posinf=0.0, neginf=0.0)
    # Hidden samples are taken out, not multiplied by nought: whatever they hold has no part in the sums.
    known[:, ~shown] = 0.0
    sums = np.add.reduceat((known / depth).sum(axis=0), starts, axis=0)
    counts = np.add.reduceat(shown.astype(np.int64), starts)[:, np.newaxis]
    means: Numbers = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    return means


def _patch(sides: tuple[Numbers, Numbers, Numbers, Numbers], down: int, across: int, middle: float) -> Numbers:
    """Return the Coons patch between four profiles, shape (down, across, samples), within the profiles' range."""
    top, bottom, left, right = _completed(sides, middle)
    v = ((np.arange(down) + 0.5) / down)[:, np.newaxis, np.newaxis]
    u = ((np.arange(across) + 0.5) / across)[np.newaxis, :, np.newaxis]
    corners = [(side[0] + other[end]) / 2 for side, other, end in ((top, left, 0), (bottom, left, -1))]
    corners += [(side[-1] + other[end]) / 2 for side, other, end in ((top, right, 0), (bottom, right, -1))]
    upper_left, lower_left, upper_right, lower_right = corners
    ruled = (1 - v) * top[np.newaxis] + v * bottom[np.newaxis]
    ruled = ruled + (1 - u) * left[:, np.newaxis] + u * right[:, np.newaxis]
    bilinear = (1 - v) * ((1 - u) * upper_left + u * upper_right) + v * ((1 - u) * lower_left + u * lower_right)
    edges = np.concatenate([top, bottom, left, right])
    patch: Numbers = np.clip(ruled - bilinear, edges.min(axis=0), edges.max(axis=0))
    return patch


def _completed(sides: tuple[Numbers, Numbers, Numbers, Numbers], middle: float) -> list[Numbers]:
    """Give every unknown block of a profile the mean of its side, of the opposite side, of all, or mid-range."""
    means = [_mean(side) for side in sides]
    every = _mean(np.concatenate(sides))
    every = np.where(np.isnan(every), middle, every)
    completed = []
    for side, mean, opposite in zip(sides, means, (means[1], means[0], means[3], means[2]), strict=True):
        substitute = np.where(np.isnan(mean), np.where(np.isnan(opposite), every, opposite), mean)
        completed.append(np.where(np.isnan(side), substitute, side))
    return completed


def _mean(side: Numbers) -> Numbers:
    known = ~np.isnan(side)
    counts = known.sum(axis=0)
    sums = np.where(known, side, 0.0).sum(axis=0)
    mean: Numbers = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    return mean
