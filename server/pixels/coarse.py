"""A whole frame as a mosaic of a few blocks: what somebody may know who needs the outline of a film, not the film."""

from __future__ import annotations

import hashlib
import hmac

import numpy as np

from server.pixels.canvas import Canvas, Numbers, neutral
from server.pixels.frame import values

_LEVELS = 16


def coarse(canvas: Canvas, blocks: int, key: bytes) -> None:
    """Draw the frame anew as at most `blocks` blocks along its longer side, each of one of 16 levels.

    The frame is already masked, so a block knows nothing of what is hidden. The mean of a block is rounded up or down
    by a threshold that follows from `key` alone: asked a thousand times, in whatever form, it is the same; and twins of
    a film under other keys are rounded elsewhere, so nobody who lacks the key learns the thresholds from them.
    Indices become the constant 0. Raises ValueError for an empty key or fewer than one block.
    """
    if not key or blocks < 1:
        raise ValueError("a coarse frame needs a key and a number of blocks")
    rows, columns, count = canvas.samples.shape
    if canvas.indexed:
        canvas.samples[...] = 0
        return
    size = -(-max(rows, columns) // blocks)
    down, across = np.arange(0, rows, size), np.arange(0, columns, size)
    known = values(canvas.samples, canvas.description)
    means = np.empty((len(down), len(across), count))
    with np.errstate(all="ignore"):
        for place, start in enumerate(down):
            strip = known[start : start + size]
            if canvas.description.data_kind != "integer":
                strip = np.nan_to_num(strip.astype(np.float64), posinf=0.0, neginf=0.0)
            widths = np.diff([*across, columns])[:, np.newaxis]
            means[place] = np.add.reduceat(strip.mean(axis=0, dtype=np.float64), across, axis=0) / widths
        low, high = canvas.ends
        step = (high / _LEVELS - low / _LEVELS) or 1.0
        level = np.floor(np.nan_to_num((means - low) / step) + _thresholds(key, means.shape))
        drawn = low + np.clip(level, 0, _LEVELS) * step
    if canvas.luma_chroma:
        drawn[:, :, 1:] = neutral(canvas)
    wide = np.repeat(canvas.stored(drawn), size, axis=1)[:, :columns]
    canvas.samples[...] = np.repeat(wide, size, axis=0)[:rows]


def _thresholds(key: bytes, shape: tuple[int, ...]) -> Numbers:
    """Numbers from 0 to below 1 that follow from the key and the block (SHAKE-256 of an HMAC)."""
    seed = hmac.digest(key, b"safelight coarse" + repr(shape).encode(), hashlib.sha256)
    drawn = hashlib.shake_256(seed).digest(2 * int(np.prod(shape)))
    return np.frombuffer(drawn, "<u2").reshape(shape) / 65536.0
