"""Colour frames in the colour space that their SOP class allows once they are no longer encoded as they came."""

from __future__ import annotations

import cv2
import numpy as np

from server.pixels.frame import Frame

# PS3.3 section C.8.5.6.1.2: in the US Image module YBR_FULL is for RLE alone, which nothing is sent in.
_RGB_FOR = frozenset(
    {
        "1.2.840.10008.5.1.4.1.1.6.1",
        "1.2.840.10008.5.1.4.1.1.3.1",
        "1.2.840.10008.5.1.4.1.1.6",
        "1.2.840.10008.5.1.4.1.1.3",
    }
)


def sent_photometric(photometric_interpretation: str, bits_allocated: int, sop_class_uid: str) -> str:
    """The photometric interpretation in which decoded frames of a SOP class leave a level that alters samples."""
    fits = photometric_interpretation == "YBR_FULL" and bits_allocated == 8 and sop_class_uid in _RGB_FOR
    return "RGB" if fits else photometric_interpretation


def in_photometric(frame: Frame, photometric_interpretation: str) -> Frame:
    """The frame in RGB where that is asked for and it is YBR_FULL (PS3.3 section C.7.6.3.1.2), else as it is.

    Each sample of the new frame follows from the three samples of its own pixel alone.
    """
    if photometric_interpretation == frame.photometric_interpretation:
        return frame
    if (frame.photometric_interpretation, photometric_interpretation) != ("YBR_FULL", "RGB"):
        raise ValueError("no such conversion")
    # OpenCV orders luma, red difference, blue difference; DICOM has blue before red.
    swapped = np.ascontiguousarray(frame.samples[:, :, [0, 2, 1]])
    samples = cv2.cvtColor(swapped, cv2.COLOR_YCrCb2RGB).astype(np.uint8, copy=False)
    return Frame(samples=samples, photometric_interpretation="RGB", description=frame.description)
