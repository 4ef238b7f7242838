"""The words in the corner of a rendered picture that something in it is hidden."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

NOTICE = "masked, not for primary diagnosis"
_SHORT = "masked"
_SMALLEST, _LARGEST = 9, 32

Picture = NDArray[np.uint8]


def with_notice(picture: Picture) -> Picture:
    """A picture (rows, columns, channels) with the notice in its lower left corner, white on black: the very one, or a
    copy of one that is not to be written to.

    About a third of the width, in letters of 9 to 32 pixels; where these do not fit, one word; where that does not,
    nothing: nobody diagnoses on a picture of forty pixels. The words are the same whatever the picture shows.
    """
    strip = notice_in(*picture.shape[:2])
    if not strip.size:
        return picture
    noted = picture if picture.flags.writeable else picture.copy()
    noted[-strip.shape[0] :, : strip.shape[1]] = strip[:, :, np.newaxis]
    return noted


def notice_in(rows: int, columns: int) -> Picture:
    """What stands in the lower left corner of a picture of so many rows and columns; of no size where nothing does."""
    for words in (NOTICE, _SHORT):
        strip = _strip(words, min(max(columns // 50, _SMALLEST), _LARGEST))
        if strip.shape[1] <= columns // 2 + columns // 4 and strip.shape[0] * 4 <= rows:
            return strip
    return np.empty((0, 0), np.uint8)


@lru_cache(maxsize=64)
def _strip(words: str, size: int) -> Picture:
    font = ImageFont.load_default(size)
    left, top, right, bottom = (round(one) for one in font.getbbox(words))
    gap = max(2, size // 4)
    image = Image.new("L", (right - left + 2 * gap, bottom - top + 2 * gap), 0)
    ImageDraw.Draw(image).text((gap - left, gap - top), words, fill=255, font=font)
    # Two values alone, so that a palette of 256 loses nothing and no codec has much to do.
    strip = np.where(np.asarray(image) > 127, 255, 0).astype(np.uint8)
    strip.setflags(write=False)
    return strip
