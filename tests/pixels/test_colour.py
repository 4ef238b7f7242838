"""Frames of ultrasound leave altered levels in RGB, all others as they were decoded."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pixel_kit import FORMATS, frame

from server.pixels.colour import in_photometric, sent_photometric

ULTRASOUND, SECONDARY = "1.2.840.10008.5.1.4.1.1.6.1", "1.2.840.10008.5.1.4.1.1.7"


def test_only_eight_bit_luma_and_chroma_of_ultrasound_becomes_rgb() -> None:
    assert sent_photometric("YBR_FULL", 8, ULTRASOUND) == "RGB"
    assert sent_photometric("YBR_FULL", 16, ULTRASOUND) == "YBR_FULL"
    assert sent_photometric("YBR_FULL", 8, SECONDARY) == "YBR_FULL"
    assert sent_photometric("MONOCHROME2", 8, ULTRASOUND) == "MONOCHROME2"


def test_rgb_is_that_of_the_standards_equations() -> None:
    """PS3.3 section C.7.6.3.1.2, within rounding; a pixel follows from itself alone."""
    description = replace(FORMATS["ybr 8"], rows=2, columns=2)
    triples = np.array([[[128, 128, 128], [76, 85, 255]], [[150, 44, 21], [29, 255, 107]]], np.uint8)
    made = in_photometric(frame(triples, description), "RGB")
    expected = [[[128, 128, 128], [254, 0, 0]], [[0, 255, 1], [0, 0, 254]]]
    assert made.photometric_interpretation == "RGB"
    assert np.abs(made.samples.astype(int) - expected).max() <= 2
    other = triples.copy()
    other[0, 1] = 7
    assert np.array_equal(in_photometric(frame(other, description), "RGB").samples[1], made.samples[1])


def test_nothing_else_is_converted() -> None:
    grey = frame(np.zeros((96, 128, 1), np.uint8), FORMATS["grey 8"])
    assert in_photometric(grey, "MONOCHROME2") is grey
    with pytest.raises(ValueError, match="no such conversion"):
        in_photometric(grey, "RGB")
