from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pixel_kit import BASE, FORMATS, level, noise

from server.model import Region, RegionKind, RegionStyle
from server.pixels.description import PixelDescription
from server.pixels.frame import Frame
from server.pixels.redact import MaskedFrame, hides_all, redact

NO_BODY = level(
    regions={**dict.fromkeys(RegionKind, RegionStyle.MOSAIC), RegionKind.BODY: RegionStyle.BLANK_FRAME},
    name="no-body",
)
LINE = Region(kind=RegionKind.TEXT, top_row=8, left_column=8, row_count=8, column_count=16)


def shown(description: PixelDescription, seed: int, regions: list[Region], *, screened: bool = True) -> MaskedFrame:
    samples = noise(description, seed)
    photometric = description.photometric_interpretation
    frame = Frame(samples=samples, photometric_interpretation=photometric, description=description)
    return redact(frame, regions, NO_BODY, screened=screened, frame_number=1)


@pytest.mark.parametrize("name", FORMATS)
def test_a_level_without_bodies_shows_nothing_of_any_film(name: str) -> None:
    description = FORMATS[name]
    answers = [
        shown(description, seed, regions, screened=screened).samples.tobytes()
        for seed in (1, 2)
        for regions in ([], [LINE], [replace(LINE, kind=RegionKind.BODY)])
        for screened in (True, False)
    ]
    assert len(set(answers)) == 1


def test_whatever_was_found_the_whole_frame_is_told_as_hidden() -> None:
    assert shown(BASE, 1, []).areas == ((0, 0, BASE.rows, BASE.columns),)
    assert hides_all(NO_BODY, screened=True)


def test_a_level_that_only_masks_what_was_found_of_a_body_shows_the_rest() -> None:
    samples = noise(BASE, 1)
    frame = Frame(samples=samples, photometric_interpretation=BASE.photometric_interpretation, description=BASE)
    assert not hides_all(level(), screened=True)
    masked = redact(frame, [], level(keep_unused_bits=True), screened=True, frame_number=1)
    assert np.array_equal(masked.samples, samples)
