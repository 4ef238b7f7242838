"""JPEG lossless (ITU-T T.81 process 14, selection value 1): what `encode` hands on to it, masked samples alone."""

from __future__ import annotations

import imagecodecs
import numpy as np

from server.errors import NotAcceptable
from server.pixels.description import PixelDescription
from server.pixels.frame import Samples

# libjpeg's own limit, a little below the format's.
_LONGEST_SIDE = 65_500


def encode_jpeg_lossless(
    samples: Samples, description: PixelDescription, photometric_interpretation: str, precision: int
) -> bytes:
    """One frame of (rows, columns, 1 or 3) samples of at most 16 bits as a stream of `precision` bits a sample.

    JPEG knows no sign: signed samples go as the bits that are stored (PS3.5 section 8.2.1). The stream's own marks say
    of the colours what the data set says; nothing is transformed. Raises `NotAcceptable` for frames above 65500.
    """
    if max(description.rows, description.columns) > _LONGEST_SIDE:
        raise NotAcceptable("the frame does not fit into a JPEG stream")
    cells = samples.view(f"u{samples.dtype.itemsize}")
    if description.signed:
        cells = cells & cells.dtype.type((1 << precision) - 1)
    least = 8 if cells.dtype.itemsize == 1 else 9
    colours = None
    if description.samples_per_pixel == 3:
        colours = "RGB" if photometric_interpretation == "RGB" else "YCBCR"
    return bytes(
        imagecodecs.jpeg8_encode(
            np.ascontiguousarray(cells.squeeze(axis=2) if cells.shape[2] == 1 else cells),
            lossless=True,
            predictor=1,
            bitspersample=max(precision, least),
            colorspace=colours,
            outcolorspace=colours,
        )
    )
