"""Background made flat: where nothing is shown, nothing faint may be left to be found with a narrow window."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from server.pixels.canvas import Box, Canvas, Numbers
from server.pixels.frame import values

# Every eighth sample of every eighth row: the middle of so many does not hear a few that differ.
_EVERY = 8
_STEPS = 256


def flatten(canvas: Canvas, boxes: Sequence[Box]) -> None:
    """Give every box the value of the dark or of the bright background of the whole frame, whichever it belongs to.

    Each of the two is the median of all samples looked at that belong to it, rounded to a 256th of what a sample can
    hold (floats: to an eighth of its power of two), so that what is written into less than half of the background, and
    fainter than that, has no part in it.
    """
    seen = [_middle(canvas, box) for box in boxes]
    if not seen:
        return
    everything = np.concatenate([samples for _, samples in seen])
    divide = (float(everything.min()) + float(everything.max())) / 2
    for dark in (True, False):
        here = everything[everything <= divide] if dark else everything[everything > divide]
        if here.size:
            drawn = canvas.stored(np.array([_rounded(canvas, float(np.median(here)))]))
            for box, (middle, _) in zip(boxes, seen, strict=True):
                if (middle <= divide) is dark:
                    top, left, bottom, right = box
                    canvas.samples[top:bottom, left:right] = drawn


def _middle(canvas: Canvas, box: Box) -> tuple[float, Numbers]:
    top, left, bottom, right = box
    seen = values(canvas.samples[top:bottom:_EVERY, left:right:_EVERY], canvas.description).astype(np.float64)
    finite = np.nan_to_num(seen.reshape(-1), posinf=0.0, neginf=0.0)
    return float(np.median(finite)), finite


def _rounded(canvas: Canvas, value: float) -> float:
    least, most = canvas.bounds
    if canvas.description.data_kind != "integer":
        power = float(np.exp2(np.floor(np.log2(abs(value))))) if value else 1.0
        return round(value / power * 8) * power / 8
    step = (most - least) / _STEPS
    return float(least + np.rint((value - least) / step) * step)
