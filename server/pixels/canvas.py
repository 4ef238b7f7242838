"""What a mask is painted on, and what all masks share: black, the edge of dashes, values that are never padding."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from server.pixels.description import PixelDescription
from server.pixels.frame import Samples, value_bounds, values

GRID = 32
EDGE = 2
_DASH = 8
# So many samples of a frame tell its range well enough.
_LOOKED_AT = 4096

Box = tuple[int, int, int, int]
Cells = NDArray[np.bool_]
Numbers = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Canvas:
    """A writable array (rows, columns, samples) of stored values and what they mean.

    `boxes` are the hidden boxes; nothing that is painted depends on a sample inside any of them. Each begins on the
    grid and ends on it or at the frame's edge. `padding` are the least and largest value that viewers take for padding.
    Where the array is only some rows of a frame, the frame told `range` (as `ends`).
    """

    samples: Samples
    photometric_interpretation: str
    description: PixelDescription
    boxes: tuple[Box, ...]
    padding: tuple[int, int] | None
    range: tuple[float, float] | None = None

    @cached_property
    def luma_chroma(self) -> bool:
        return self.photometric_interpretation.startswith("YBR")

    @property
    def inverted(self) -> bool:
        """Whether small values are bright."""
        return self.photometric_interpretation == "MONOCHROME1"

    @property
    def indexed(self) -> bool:
        """Whether values are names of colours, which have no neighbours in meaning."""
        return self.photometric_interpretation == "PALETTE COLOR"

    @cached_property
    def bounds(self) -> tuple[float, float]:
        """Least and largest stored value; for floats, whose values have no bounds, minus one and one."""
        if self.description.data_kind != "integer":
            return -1.0, 1.0
        least, most = value_bounds(self.description)
        return float(least), float(most)

    @cached_property
    def shown(self) -> Cells:
        """Which cells of the grid are shown, shape (ceil(rows / 32) + 2, ceil(columns / 32) + 2).

        The outermost cells lie beyond the frame, where nothing is shown.
        """
        rows, columns = self.samples.shape[:2]
        return shown_cells(rows, columns, self.boxes)

    @cached_property
    def ends(self) -> tuple[float, float]:
        """Between which values nearly all shown samples lie (1 and 99 per cent of a few thousand of them).

        The bounds of the sample type where nothing, or nothing but one value, is shown. Luma alone counts where there
        is chroma.
        """
        if self.range is not None:
            return self.range
        rows, columns = self.samples.shape[:2]
        picked = looked_at(self.samples)
        return self.ends_among(picked[:, :, :1] if self.luma_chroma else picked, rows, columns, self.shown)

    def ends_among(self, picked: Samples, rows: int, columns: int, shown: Cells) -> tuple[float, float]:
        """As `ends`, of a frame of so many rows and columns, of which `looked_at` picked these samples."""
        step = _step(rows, columns)
        down, across = np.arange(step // 2, rows, step), np.arange(step // 2, columns, step)
        seen = shown[np.ix_(down // GRID + 1, across // GRID + 1)]
        known = values(picked, self.description)
        known = known.reshape(-1, known.shape[2])[np.flatnonzero(seen)].reshape(-1)
        if self.description.data_kind != "integer":
            known = known[np.isfinite(known)]
        if not known.size:
            return self.bounds
        places = known.size // 100, known.size - 1 - known.size // 100
        # All are put in order only where two zeros of different signs could change places.
        known = np.partition(known, places) if self.description.data_kind == "integer" else np.sort(known)
        low, high = (float(known[place]) for place in places)
        return (low, high) if low < high else self.bounds

    def stored(self, numbers: Numbers) -> Samples:
        """Return numbers as stored values: bounded, rounded, not padding, in their place; all other bits are clear."""
        kind = self.samples.dtype
        if self.description.data_kind != "integer":
            limits = np.finfo(kind)
            return np.clip(np.nan_to_num(numbers), limits.min, limits.max).astype(kind)
        least, most = self.bounds
        whole = np.rint(np.minimum(np.maximum(numbers, least), most)).astype(np.int64)
        if self.padding is not None:
            low, high = self.padding
            beside = high + 1 if high < most else low - 1
            whole[(whole >= low) & (whole <= high)] = beside if beside >= least else 0
        return (whole << self.description.shift).astype(kind)

    @cached_property
    def dashes(self) -> Samples:
        """One line of dashes, dark and bright by turns, as long as the frame's longer side; (length, samples)."""
        length, count = max(self.samples.shape[:2]), self.samples.shape[2]
        numbers = np.repeat(np.array(self.ends)[:, np.newaxis], count, axis=1)
        if self.luma_chroma:
            numbers[:, 1:] = neutral(self)
        pair = np.repeat(self.stored(numbers), _DASH, axis=0)
        return np.concatenate([pair] * -(-length // len(pair)))[:length]


def looked_at(samples: Samples) -> Samples:
    """The few thousand samples of a whole frame that tell its range."""
    step = _step(*samples.shape[:2])
    return samples[step // 2 :: step, step // 2 :: step]


def _step(rows: int, columns: int) -> int:
    return max(1, int((rows * columns / _LOOKED_AT) ** 0.5))


def shown_cells(rows: int, columns: int, boxes: Iterable[Box]) -> Cells:
    """As `Canvas.shown`."""
    cells = np.zeros((-(-rows // GRID) + 2, -(-columns // GRID) + 2), np.bool_)
    cells[1:-1, 1:-1] = True
    for top, left, bottom, right in boxes:
        cells[top // GRID + 1 : -(-bottom // GRID) + 1, left // GRID + 1 : -(-right // GRID) + 1] = False
    return cells


def neutral(canvas: Canvas) -> float:
    """The chroma of grey."""
    return float(1 << (canvas.description.bits_stored - 1))


def fill(canvas: Canvas, box: Box) -> None:
    """Draw black: the darkest value that the photometric interpretation has, neutral in chroma, 0 for floats."""
    top, left, bottom, right = box
    least, most = canvas.bounds
    dark = np.full(canvas.samples.shape[2], most if canvas.inverted else least)
    if canvas.description.data_kind != "integer" or canvas.indexed:
        dark[:] = 0
    if canvas.luma_chroma:
        dark[1:] = neutral(canvas)
    # A whole row at a time: three channels at a time take ten times as long.
    canvas.samples[top:bottom, left:right] = np.repeat(canvas.stored(dark)[np.newaxis], right - left, axis=0)


def edge(canvas: Canvas, box: Box) -> None:
    """Draw a line of dashes inside each side of the box where something is shown beyond it.

    The dashes lie on what the box was grown by, and depend on nothing but the range of what is shown, so that nobody
    takes any mask for anatomy. Indices have no dark and bright: there it is the plain constant that tells.
    """
    if canvas.indexed:
        return
    top, left, bottom, right = box
    shown, samples = canvas.shown, canvas.samples
    along, down = slice(left // GRID + 1, -(-right // GRID) + 1), slice(top // GRID + 1, -(-bottom // GRID) + 1)
    across, beside = canvas.dashes[left:right], canvas.dashes[top:bottom]
    sides = (
        (samples[top : top + EDGE, left:right], across, shown[top // GRID, along]),
        (samples[bottom - EDGE : bottom, left:right], across, shown[-(-bottom // GRID) + 1, along]),
        (samples[top:bottom, left : left + EDGE].transpose(1, 0, 2), beside, shown[down, left // GRID]),
        (samples[top:bottom, right - EDGE : right].transpose(1, 0, 2), beside, shown[down, -(-right // GRID) + 1]),
    )
    for strip, dashes, cells in sides:
        if cells.all():
            strip[...] = dashes
        elif cells.any():
            here = np.repeat(cells, GRID)[: strip.shape[1]]
            strip[:, here] = dashes[here]
