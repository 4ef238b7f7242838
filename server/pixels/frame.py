"""A decoded frame before masking."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from server.pixels.description import PixelDescription

Samples = NDArray[Any]


@dataclass(frozen=True, kw_only=True, eq=False)
class Frame:
    """One decoded frame: stored values, never shown to anybody before `redact`.

    `samples` has the shape (rows, columns, samples) of the description and its dtype in native byte order, and is made
    read-only; `photometric_interpretation` is what the samples are now (4:2:2 expanded is YBR_FULL, an undone
    wavelet colour transform is RGB). Raises ValueError if shape or type differ from the description.
    """

    samples: Samples
    photometric_interpretation: str
    description: PixelDescription

    def __post_init__(self) -> None:
        described = self.description
        if self.samples.shape != (described.rows, described.columns, described.samples_per_pixel):
            raise ValueError("the samples do not have the described shape")
        if self.samples.dtype != np.dtype(described.dtype):
            raise ValueError("the samples do not have the described type")
        self.samples.setflags(write=False)


def blank(description: PixelDescription, photometric_interpretation: str) -> Frame:
    """A frame of this form with every sample 0, in place of one whose samples must not matter."""
    shape = (description.rows, description.columns, description.samples_per_pixel)
    samples = np.zeros(shape, np.dtype(description.dtype))
    return Frame(samples=samples, photometric_interpretation=photometric_interpretation, description=description)


def cleaned(samples: Samples, description: PixelDescription, *, into: Samples | None = None) -> Samples:
    """Return the samples with every bit outside the stored ones cleared, or sign-extended above for signed values.

    A new array of the same shape and type, or `into`, unless there is nothing to clear (PS3.5 section 8.1.1).
    """
    if description.data_kind != "integer" or description.bits_stored == max(description.bits_allocated, 8):
        return samples
    shift = description.shift
    if not description.signed:
        mask = ((1 << description.bits_stored) - 1) << shift
        masked: Samples = np.bitwise_and(samples, samples.dtype.type(mask), out=into)
        return masked
    above = description.bits_allocated - 1 - description.high_bit
    result: Samples = np.left_shift(samples, above, out=into)
    np.right_shift(result, above + shift, out=result)
    if shift:
        np.left_shift(result, shift, out=result)
    return result


def values(samples: Samples, description: PixelDescription) -> Samples:
    """Return the stored values themselves (bits_stored wide, unused bits gone, shifted down), same shape and type."""
    result = cleaned(samples, description)
    if description.data_kind == "integer" and description.shift:
        result = np.right_shift(result, description.shift)
    return result


def value_bounds(description: PixelDescription) -> tuple[int, int]:
    """Least and largest stored value that integer samples of this description can take."""
    if description.signed:
        return -(1 << (description.bits_stored - 1)), (1 << (description.bits_stored - 1)) - 1
    return 0, (1 << description.bits_stored) - 1
