"""From stored values to the pictures that the network looks at: grey, 8 bits, normalised to the neighbourhood.

Local normalisation, (a - mean) / (standard deviation + 0.01) over about 24 samples, makes faint text on a bright lung
as plain as white text on black; a window would hide whatever lies outside it. Nothing here takes a header's word:
what counts as padding follows from the values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Samples = NDArray[Any]
Grey = NDArray[np.uint8]

# The neighbourhood's standard deviation in samples and the contrast (of the whole range) below which all is noise.
SIGMA = 24
NOISE = 0.01
# Statistics of a neighbourhood vary slowly: they are computed on a picture this many times smaller.
_STEP = 4
# Rows normalised at a time, and how far rows influence one another.
_STRIP, _MARGIN = 1536, 96
# A normalised value of this many standard deviations is white (or black).
_REACH = 3.0
# The residue: what an edge-preserving filter of this reach takes off; contrasts far above `_KEPT` stay in its base.
_REACH_RESIDUE, _KEPT, _RESIDUE_SCALE = 12, 0.003, 0.03
# Channels that differ by less than this part of the range show the same.
_SAME = 0.02


def planes(samples: Samples, palette: Samples | None = None, palette_first: int = 0) -> Iterator[Samples]:
    """The grey pictures (rows, columns) of a frame (rows, columns, samples) that need a look of their own.

    A colour frame gives every channel that differs from those before it, since text may stand out in one alone; a
    frame of palette indices (`palette`: (entries, 3), the first for the value `palette_first`) its indices too.
    """
    if palette is not None and samples.shape[2] == 1:
        yield samples[:, :, 0]
        index = np.clip(samples[:, :, 0].astype(np.int64) - palette_first, 0, len(palette) - 1)
        samples = palette[index]
    seen: list[Samples] = []
    for channel in range(samples.shape[2]):
        plane = samples[:, :, channel]
        if not any(_alike(plane, other) for other in seen):
            seen.append(plane)
            yield plane


def value_range(plane: Samples) -> tuple[float, float]:
    """The values between which nearly all samples lie (0.1 and 99.9 per cent), the padding left out.

    Padding is an extreme value that fills more than one per cent of the frame; it does not stretch the range.
    """
    values = plane[:: max(1, plane.shape[0] // 1024), :: max(1, plane.shape[1] // 1024)].ravel()
    if plane.dtype.kind in "ui" and plane.itemsize <= 2:
        return _range_of_few(values)
    values = values.astype(np.float64)
    values = values[np.isfinite(values)]
    for _ in range(2):
        if values.size == 0:
            return 0.0, 0.0
        low, high = values.min(), values.max()
        inner = values[(values > low) | (np.count_nonzero(values == low) <= 0.01 * values.size)]
        inner = inner[(inner < high) | (np.count_nonzero(values == high) <= 0.01 * values.size)]
        if inner.size < 0.1 * values.size:
            break
        values = inner
    low, high = np.percentile(values, (0.1, 99.9))
    return float(low), float(high)


def _range_of_few(values: Samples) -> tuple[float, float]:
    """The same for integers of 16 bits at most, counted instead of sorted: to the last bit what sorting gives."""
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    least = int(values.min())
    # As unsigned, which keeps the differences; the counts are small enough to be exact in 32 bits.
    shifted = np.subtract(values, values.min(), dtype=values.dtype).view(f"u{values.itemsize}")
    size = int(shifted.max()) + 1
    counts = cv2.calcHist([np.ascontiguousarray(shifted)], [0], None, [size], [0, size]).ravel().astype(np.int64)
    first, last = 0, len(counts) - 1
    for _ in range(2):
        held = np.flatnonzero(counts[first : last + 1])
        low, high = first + int(held[0]), first + int(held[-1])
        size = int(counts[low : high + 1].sum())
        inner = low + (counts[low] > 0.01 * size), high - (counts[high] > 0.01 * size)
        if int(counts[inner[0] : inner[1] + 1].sum()) < 0.1 * size:
            break
        first, last = inner
    upto = np.cumsum(counts[first : last + 1])
    return _percentile(upto, 0.1 / 100, first + least), _percentile(upto, 99.9 / 100, first + least)


def _percentile(upto: NDArray[np.int64], part: float, least: int) -> float:
    """The value below which a part of the values lies, between neighbours as `np.percentile` does it.

    `upto`: how many values there are up to every one, from `least` on.
    """
    last = int(upto[-1]) - 1
    place = last * part
    before = int(place)
    low, high = (float(least + int(np.searchsorted(upto, min(at, last), side="right"))) for at in (before, before + 1))
    share = place - before
    return low + (high - low) * share if share < 0.5 else high - (high - low) * (1 - share)


def normalised(plane: Samples) -> Grey | None:
    """The picture (rows, columns) normalised to its neighbourhood as 8 bits, 128 the mean; None if constant.

    Values beyond the range by half its width still count, so that text brighter than the film is seen.
    """
    finite = plane[np.isfinite(plane)] if plane.dtype.kind == "f" else plane
    if finite.size == 0 or finite.min() == finite.max():
        return None
    return _striped(plane, finite, _normalise)


def residue(plane: Samples) -> Grey | None:
    """What is left of the picture (rows, columns) when an edge-preserving mean is taken off, 8 bits; None if constant.

    Next to a strong edge, where `normalised` turns faint text into nothing, it stays plain. The filter is the guided
    filter with the picture as its own guide (He, Sun and Tang, "Guided image filtering", 2013).
    """
    finite = plane[np.isfinite(plane)] if plane.dtype.kind == "f" else plane
    if finite.size == 0 or finite.min() == finite.max():
        return None
    return _striped(plane, finite, _residue)


def _striped(plane: Samples, finite: Samples, look: Callable[[Samples], Grey]) -> Grey:
    if plane.dtype.kind == "f":
        # Differences of the largest doubles overflow.
        plane = plane / float(np.abs(finite).max())
        finite = plane[np.isfinite(plane)]
    low, high = value_range(plane)
    if not high > low:
        low, high = float(finite.min()), float(finite.max())
    rows = plane.shape[0]
    picture = np.empty(plane.shape, np.uint8)
    for top in range(0, rows, _STRIP):
        stop = min(rows, top + _STRIP)
        first, last = max(0, top - _MARGIN), min(rows, stop + _MARGIN)
        strip = look(_unit(plane[first:last], low, high))
        picture[top:stop] = strip[top - first : stop - first]
    return picture


def logarithm(samples: Samples) -> Samples:
    """The samples of a film that is FOR PROCESSING as optical density would show them: the logarithm of what arrived.

    On the values as stored, text over the dense parts of the body is a thousandth of the range. 32 bits, same shape.
    """
    values = np.asarray(samples, np.float64)
    finite = np.isfinite(values)
    if not finite.any():
        return np.zeros(samples.shape, np.float32)
    values = np.where(finite, values, values[finite].min())
    low = values.min()
    # A hundred-thousandth of the range away from nothing, so that empty samples do not take up all of the scale.
    values = np.log((values - low) + max(1.0, (values.max() - low) / 100_000))
    return np.asarray(values, np.float32)


def halved(plane: Samples) -> Samples:
    """The plane (rows, columns) at half its size, each sample the mean of four; as floats."""
    rows, columns = plane.shape
    size = max(1, columns // 2), max(1, rows // 2)
    return np.asarray(cv2.resize(_floats(plane), size, interpolation=cv2.INTER_AREA))


def _floats(plane: Samples) -> Samples:
    # In 64 bits where 32 do not hold the values: large integers that differ little, doubles.
    return plane.astype(np.float32 if plane.itemsize <= 2 or plane.dtype == np.float32 else np.float64)


def _unit(plane: Samples, low: float, high: float) -> Samples:
    values = _floats(plane)
    if plane.dtype.kind == "f":
        values = np.nan_to_num(values, nan=low, posinf=high, neginf=low)
    values = np.asarray((values - low) / (high - low), np.float32)
    np.clip(values, -0.5, 1.5, out=values)
    return values


def _normalise(values: Samples) -> Grey:
    rows, columns = values.shape
    small = (max(1, columns // _STEP), max(1, rows // _STEP))
    mean = _blur(cv2.resize(values, small, interpolation=cv2.INTER_AREA))
    square = _blur(cv2.resize(values * values, small, interpolation=cv2.INTER_AREA))
    gain = 1 / (np.sqrt(np.maximum(square - mean * mean, 0)) + NOISE)
    values -= cv2.resize(mean, (columns, rows), interpolation=cv2.INTER_LINEAR)
    values *= cv2.resize(gain * np.float32(127 / _REACH), (columns, rows), interpolation=cv2.INTER_LINEAR)
    values += 128
    np.clip(values, 0, 255, out=values)
    return np.asarray(values, np.uint8)


def _residue(values: Samples) -> Grey:
    mean = _box(values)
    variance = _box(values * values)
    variance -= mean * mean
    slope = variance / (variance + np.float32(_KEPT))
    # The base is slope * value + offset, both averaged over the neighbourhood.
    offset = _box(mean * (1 - slope))
    values -= _box(slope) * values + offset
    values *= np.float32(1 / _RESIDUE_SCALE)
    return np.asarray(np.tanh(values) * 127 + 128, np.uint8)


def _box(picture: Samples) -> Samples:
    side = 2 * _REACH_RESIDUE + 1
    return np.asarray(cv2.boxFilter(picture, -1, (side, side)), np.float32)


def _blur(picture: Samples) -> Samples:
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), SIGMA / _STEP, borderType=cv2.BORDER_REPLICATE))


def _alike(one: Samples, other: Samples) -> bool:
    if np.array_equal(one, other):
        return True
    low, high = value_range(one)
    if one.dtype.kind in "ui":
        return bool(
            np.max(cv2.absdiff(one, other) if one.itemsize < 4 else abs(one - other.astype(float)))
            <= _SAME * (high - low)
        )
    return False
