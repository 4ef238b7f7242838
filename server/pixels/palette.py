"""Palette frames as colours: what a mask hides must not stay in a table of colours either (PS3.3 C.7.6.3.1.5)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from server.errors import UnsupportedPixels
from server.model import MaskingLevel, RegionStyle
from server.pixels.description import PixelDescription
from server.pixels.display import Table
from server.pixels.frame import Frame, values

_INDEXED = "PALETTE COLOR"


def as_colors(description: PixelDescription, photometric: str, level: MaskingLevel) -> tuple[PixelDescription, str]:
    """The form of what is sent at `level` of frames of this form.

    A table of colours may hold colours that only hidden samples have, and anything else that somebody wrote into it. So
    wherever a level hides anything, indices leave as the colours they stand for, 8 bits a channel, and no table does.
    """
    hides = {*level.regions.values(), level.unscreened, level.whole_frame} != {RegionStyle.KEEP}
    if photometric != _INDEXED or not hides:
        return description, photometric
    colors = replace(
        description,
        samples_per_pixel=3,
        bits_allocated=8,
        bits_stored=8,
        high_bit=7,
        signed=False,
        photometric_interpretation="RGB",
        planar_configuration=0,
        padding=None,
    )
    return colors, "RGB"


def colored(frame: Frame, level: MaskingLevel, palette: Table | None) -> Frame:
    """The frame in the form that `as_colors` tells, its indices looked up in `palette` (8 or 16 bits a channel).

    Raises `UnsupportedPixels` if there is no palette.
    """
    description, photometric = as_colors(frame.description, frame.photometric_interpretation, level)
    if photometric == frame.photometric_interpretation:
        return frame
    if palette is None:
        raise UnsupportedPixels("a palette frame without its palette")
    entries = looked_up(palette)
    stored = values(frame.samples, frame.description)[:, :, 0].astype(np.intp)
    samples = entries[np.clip(stored - palette.first, 0, len(entries) - 1)]
    return Frame(samples=samples, photometric_interpretation=photometric, description=description)


def looked_up(palette: Table) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """The colours of a palette, (entries, 3) of 8 bits."""
    entries = palette.entries
    if entries.dtype.itemsize > 1:
        entries = entries >> 8
    return entries.astype(np.uint8)
