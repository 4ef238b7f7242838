"""Attributes that a device computed of all samples, so that they tell of those that a level hides.

Smallest and largest pixel values and the histogram go. How much a frame was compressed depends on the text burned into
it too: the ratio goes, and where the IOD demands it, a magnitude stays. Window Center and Width stay, although a device
may have set them by what it saw: no viewer shows a film without them, they are read from the header and never computed
here, and of a million samples they tell two numbers.
"""

from __future__ import annotations

import math

STATISTICS = frozenset({*range(0x00280104, 0x00280112), 0x00603000})
COMPRESSION_RATIO, _PIXEL_PRESENTATION = 0x00282112, 0x00089205
_MOST = 65_536


def rough(ratio: str) -> str:
    """A valid DS as the power of two that it reaches, from 1 to 65536."""
    number = float(ratio) if ratio else 1.0
    return str(2 ** (math.frexp(number)[1] - 1)) if 1 <= number < _MOST else "1" if number < 1 else str(_MOST)


def as_masked(tag: int, value: str) -> str:
    """What a valid value says of samples that a level may have changed.

    Pixel Presentation COLOR or MIXED stands for a supplemental table of colours (PS3.3 section C.8.16.2.1.2), which
    does not leave such a level.
    """
    if tag == COMPRESSION_RATIO:
        return rough(value)
    return "MONOCHROME" if tag == _PIXEL_PRESENTATION and value in ("COLOR", "MIXED") else value
