"""Stored values as grey levels of 8 bits: modality, window or table, presentation (PS3.3 C.11), sample by sample."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from server.model import Window
from server.pixels.description import MONOCHROME, PixelDescription, padding_range
from server.pixels.display import DisplayAttributes
from server.pixels.frame import Samples, values
from server.pixels.redact import MaskedFrame

Picture = NDArray[np.uint8]


def grey_table(masked: MaskedFrame, display: DisplayAttributes) -> Picture | None:
    """The grey level of every bit pattern that a sample of the frame can have, by the data set's window or table.

    None where the picture does not follow from such a table: for other pictures than grey ones of up to 16 bits, and
    where the range of the samples would be the window.
    """
    described, window = masked.description, next(iter(display.windows), None)
    if masked.photometric_interpretation not in MONOCHROME or (window is None and display.voi_lut is None):
        return None
    if described.data_kind != "integer" or described.bits_allocated > 16:
        return None
    return table_of(masked, window, display)


def table_of(masked: MaskedFrame, window: Window | None, display: DisplayAttributes) -> Picture:
    """The grey level of every bit pattern of a sample of up to 16 bits; without a window by the VOI lookup table."""
    padding, inverse = padding_of(masked, display), inverse_of(masked, display)
    if window is not None and display.modality_lut is None and display.presentation_lut is None:
        return _line(masked.description, window, (display.slope, display.intercept), padding, inverse)
    return levels(every_value(masked.description), window, display, padding=padding, inverse=inverse)


@lru_cache(maxsize=32)
def _line(
    described: PixelDescription,
    window: Window,
    rescale: tuple[float, float],
    padding: tuple[int, int] | None,
    inverse: bool,
) -> Picture:
    """The table where no other table has a part in it: then a few numbers tell all of it."""
    display = DisplayAttributes(slope=rescale[0], intercept=rescale[1])
    table = levels(every_value(described), window, display, padding=padding, inverse=inverse)
    table.setflags(write=False)
    return table


def inverse_of(masked: MaskedFrame, display: DisplayAttributes) -> bool:
    """Whether small values are bright."""
    return masked.photometric_interpretation == "MONOCHROME1" if display.inverse is None else display.inverse


def padding_of(masked: MaskedFrame, display: DisplayAttributes) -> tuple[int, int] | None:
    """Least and largest stored value that stand for no sample; None where none does."""
    described = masked.description
    if described.data_kind != "integer":
        return None
    return padding_range(display.padding, described.bits_allocated, signed=described.signed)


def every_value(described: PixelDescription) -> Samples:
    """The stored value of every possible bit pattern of a sample of up to 16 bits, in order of the patterns."""
    bits = np.dtype(described.dtype).itemsize * 8
    patterns: Samples = np.arange(1 << bits, dtype=f"u{bits // 8}")
    return values(patterns.view(described.dtype), described)


def looked_up_grey(samples: Samples, table: Picture) -> Picture:
    """The entries of a table of 8 bits, one for each bit pattern of a sample, in the shape of the samples."""
    patterns = samples.view(f"u{samples.dtype.itemsize}")
    looked_up = cv2.LUT(np.ascontiguousarray(patterns), table)
    return looked_up.reshape(samples.shape).astype(np.uint8, copy=False)


def levels(
    stored: Samples,
    window: Window | None,
    display: DisplayAttributes,
    *,
    padding: tuple[int, int] | None,
    inverse: bool,
) -> Picture:
    """Return grey levels 0 to 255 of stored values; without a window the VOI lookup table decides.

    Padding is taken out before the modality transform (PS3.3 C.7.5.1.1.2) and shown as black.
    """
    with np.errstate(all="ignore"):
        grey = modality(stored, display)
        if window is not None:
            grey = _windowed(grey, window)
        else:
            assert display.voi_lut is not None
            grey = display.voi_lut.at(grey).astype(np.float64) / display.voi_output
        grey = np.nan_to_num(np.clip(grey, 0.0, 1.0))
    if display.presentation_lut is not None:
        entries = display.presentation_lut
        grey = entries[np.rint(grey * (len(entries) - 1)).astype(np.intp)]
    if inverse:
        grey = 1.0 - grey
    if padding is not None:
        grey = np.where((stored >= padding[0]) & (stored <= padding[1]), 0.0, grey)
    return np.rint(grey * 255.0).astype(np.uint8)


def modality(stored: Samples, display: DisplayAttributes) -> NDArray[np.float64]:
    """What the modality transform makes of stored values (PS3.3 C.11.1)."""
    if display.modality_lut is not None:
        return display.modality_lut.at(stored).astype(np.float64)
    return stored.astype(np.float64) * display.slope + display.intercept


def _windowed(grey: NDArray[np.float64], window: Window) -> NDArray[np.float64]:
    """PS3.3 C.11.2.1.2.1 and C.11.2.1.3, to 0.0 (or less) to 1.0 (or more)."""
    if window.function == "SIGMOID":
        sigmoid: NDArray[np.float64] = 1.0 / (1.0 + np.exp(-4.0 * (grey - window.center) / window.width))
        return sigmoid
    if window.function == "LINEAR_EXACT":
        return (grey - window.center) / window.width + 0.5
    if window.width == 1:
        return (grey > window.center - 0.5).astype(np.float64)
    return (grey - (window.center - 0.5)) / (window.width - 1.0) + 0.5
