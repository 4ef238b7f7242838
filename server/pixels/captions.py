"""What a request wants to be written into a picture (PS3.18 section 8.3.5.1.1), in words of a masked data set."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Picture = NDArray[np.uint8]
_SMALLEST, _LARGEST, _LONGEST = 9, 28, 64


@dataclass(frozen=True, kw_only=True)
class Captions:
    """Lines for the upper left and for the upper right corner; of each the first 64 letters are written."""

    left: tuple[str, ...] = ()
    right: tuple[str, ...] = ()


NO_CAPTIONS = Captions()


def captioned(picture: Picture, captions: Captions) -> Picture:
    """A copy of a picture (rows, columns, channels) with the lines, white on black, in letters of 9 to 28 pixels.

    What does not fit into the picture is cut off at its edge.
    """
    if not captions.left and not captions.right:
        return picture
    noted = picture.copy()
    rows, columns = picture.shape[:2]
    size = min(max(columns // 50, _SMALLEST), _LARGEST)
    for lines, right in ((captions.left, False), (captions.right, True)):
        if lines:
            block = _block("\n".join(line[:_LONGEST] for line in lines), size)[:rows, :columns]
            first = columns - block.shape[1] if right else 0
            noted[: block.shape[0], first : first + block.shape[1]] = block[:, :, np.newaxis]
    return noted


def _block(text: str, size: int) -> Picture:
    font = ImageFont.load_default(size)
    gap = max(2, size // 4)
    box = ImageDraw.Draw(Image.new("L", (1, 1))).multiline_textbbox((0, 0), text, font=font)
    left, top, right, bottom = (round(one) for one in box)
    image = Image.new("L", (right - left + 2 * gap, bottom - top + 2 * gap), 0)
    ImageDraw.Draw(image).multiline_text((gap - left, gap - top), text, fill=255, font=font)
    return np.where(np.asarray(image) > 127, 255, 0).astype(np.uint8)
