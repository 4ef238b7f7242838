"""A mosaic that carries nothing of what it covers.

Its blocks are interpolated between the samples just outside the box; hidden samples enter neither the interpolation
nor anything else, those of a neighbouring hidden box included.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from server.pixels.canvas import GRID, Box, Canvas, Cells, Numbers, fill, neutral
from server.pixels.frame import Samples, values

_RING = 3
_LEAST_BLOCK = 8
# Surroundings are drawn darker than they are, in parts of the range: dark ones by half, the brightest still clearly
# below white. White ink on anatomy is hardly brighter than it, and a mosaic as bright as the ink would repeat it; black
# ink needs bright surroundings to be seen, which stay far above black.
_HALF, _DARKENED, _WHITE = 0.5, 0.25, 0.7

Side = Numbers | None


def mosaic(canvas: Canvas, box: Box) -> None:
    """Draw blocks interpolated from the ring of shown samples around the box, or mid-range if there is none.

    Alternate blocks are lighter and darker by a sixteenth of `Canvas.ends`, so that nobody takes the mosaic for
    anatomy, and all are darker than the surroundings. A palette index has no neighbours in
    meaning: there it is a constant.
    """
    top, left, bottom, right = box
    if canvas.indexed:
        fill(canvas, box)
        return
    block = max(_LEAST_BLOCK, min(bottom - top, right - left) // 8)
    down, across = -(-(bottom - top) // block), -(-(right - left) // block)
    low, high = canvas.ends
    if canvas.description.data_kind == "integer" and canvas.description.bits_stored == 1:
        blocks = (_checker(down, across) > 0).astype(np.float64)
    else:
        # Floating point samples may be anything; what overflows is bounded when it is stored.
        with np.errstate(all="ignore"):
            blocks = _darkened(_blend(_sides(canvas, box, block), down, across, low / 2 + high / 2), canvas)
            blocks += _checker(down, across) * (high / 16 - low / 16)
        if canvas.luma_chroma:
            # Where nothing is shown one number stands for all channels, and only luma may have it.
            blocks = np.broadcast_to(blocks, (down, across, canvas.samples.shape[2])).copy()
            blocks[:, :, 1:] = neutral(canvas)
    drawn = np.repeat(canvas.stored(blocks), block, axis=1)[:, : right - left]
    for place, row in enumerate(drawn):
        start = top + place * block
        canvas.samples[start : min(start + block, bottom), left:right] = row


def _darkened(blocks: Numbers, canvas: Canvas) -> Numbers:
    """Return the values of what is drawn for surroundings of these values."""
    low, high = canvas.ends
    black, white = (high, low) if canvas.inverted else (low, high)
    # Quarters, so that the extremes of floating point do not overflow.
    span = white / 4 - black / 4
    slope = (_WHITE - _DARKENED) / (1 - _HALF)
    bright: Numbers = blocks / 4
    bright -= black / 4
    bright /= span
    drawn: Numbers = bright - _HALF
    drawn *= slope
    drawn += _DARKENED
    bright *= _DARKENED / _HALF
    np.maximum(bright, drawn, out=drawn)
    np.maximum(drawn, 0.0, out=drawn)
    np.minimum(drawn, _WHITE, out=drawn)
    drawn *= span
    drawn *= 4
    drawn += black
    return drawn


@lru_cache(maxsize=256)
def _checker(down: int, across: int) -> Numbers:
    """One and minus one by turns, (down, across, 1)."""
    odd = np.add.outer(np.arange(down), np.arange(across)) % 2
    return np.where(odd == 0, 1.0, -1.0)[:, :, np.newaxis]


@lru_cache(maxsize=256)
def _steps(count: int) -> Numbers:
    """How far along a side the middle of each block lies, 0 to 1."""
    steps: Numbers = (np.arange(count) + 0.5) / count
    return steps


@lru_cache(maxsize=256)
def _starts(length: int, block: int) -> tuple[NDArray[np.int64], Numbers]:
    """Where along a side each block begins, and how long it is, (blocks, 1)."""
    starts = np.arange(0, length, block)
    lengths = np.full((len(starts), 1), float(block))
    lengths[-1] = length - starts[-1]
    return starts, lengths


def _sides(canvas: Canvas, box: Box, block: int) -> list[Side]:
    """Return top, bottom, left and right profile, (blocks, samples) each; None where nothing is shown."""
    top, left, bottom, right = box
    samples, shown = canvas.samples, canvas.shown
    above, before = top // GRID, left // GRID
    below, after = -(-bottom // GRID) + 1, -(-right // GRID) + 1
    along, beside = slice(before + 1, after), slice(above + 1, below)
    return [
        _profile(canvas, samples[max(top - _RING, 0) : top, left:right], shown[above, along], block),
        _profile(canvas, samples[bottom : bottom + _RING, left:right], shown[below, along], block),
        _profile(canvas, _turned(samples[top:bottom, max(left - _RING, 0) : left]), shown[beside, before], block),
        _profile(canvas, _turned(samples[top:bottom, right : right + _RING]), shown[beside, after], block),
    ]


def _turned(strip: Samples) -> Samples:
    return strip.transpose(1, 0, 2)


def _profile(canvas: Canvas, strip: Samples, cells: Cells, block: int) -> Side:
    """Return the mean of a strip (ring depth, length, samples) per block of its length, over shown samples only.

    A block beside which nothing is shown has the mean of the whole strip.
    """
    depth, length, _ = strip.shape
    # Counting is much quicker than asking whether any, or all, of so few are true.
    count = np.count_nonzero(cells)
    if depth == 0 or count == 0:
        return None
    known = values(strip, canvas.description)
    if canvas.description.data_kind == "integer":
        line = known.sum(axis=0, dtype=np.float64)
        line /= depth
    else:
        line = (np.nan_to_num(known.astype(np.float64), posinf=0.0, neginf=0.0) / depth).sum(axis=0)
    starts, lengths = _starts(length, block)
    if count == cells.size:
        sums: Numbers = np.add.reduceat(line, starts, axis=0)
        sums /= lengths
        return sums
    shown = np.repeat(cells, GRID)[:length]
    # Hidden samples are taken out, not multiplied by nought: whatever they hold has no part in the sums.
    line[~shown] = 0.0
    sums = np.add.reduceat(line, starts, axis=0)
    counts = np.add.reduceat(shown.astype(np.int64), starts)[:, np.newaxis]
    return np.where(counts > 0, sums / np.maximum(counts, 1), sums.sum(axis=0) / counts.sum())


def _blend(sides: list[Side], down: int, across: int, middle: float) -> Numbers:
    """Return the mean of what each pair of opposite sides says, shape (down, across, samples), within their range."""
    top, bottom, left, right = _completed(sides, middle)
    v, u = _steps(down)[:, np.newaxis, np.newaxis], _steps(across)[np.newaxis, :, np.newaxis]
    # In place and in this order, as every step rounds.
    blocks: Numbers = v * (bottom - top)[np.newaxis] + u * (right - left)[:, np.newaxis]
    blocks += top[np.newaxis]
    blocks += left[:, np.newaxis]
    blocks /= 2
    return blocks


def _completed(sides: list[Side], middle: float) -> list[Numbers]:
    """Give an unknown side what the opposite one says, or the mean of the others, or mid-range."""
    completed: list[Numbers] = []
    for side, opposite in zip(sides, (sides[1], sides[0], sides[3], sides[2]), strict=True):
        if side is not None:
            completed.append(side)
        elif opposite is not None:
            completed.append(opposite)
        else:
            known = [one.mean(axis=0) for one in sides if one is not None]
            completed.append((np.mean(known, axis=0) if known else np.array([middle]))[np.newaxis])
    return completed
