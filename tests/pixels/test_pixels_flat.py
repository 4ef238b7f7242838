"""Background made flat: one value a region, the same whatever faint thing was written there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from pixel_kit import BASE, frame, level

from server.model import Region, RegionKind, RegionStyle
from server.pixels.redact import redact

FORM = replace(BASE, rows=256, columns=256)
BACKGROUND = Region(kind=RegionKind.BACKGROUND, top_row=0, left_column=0, row_count=128, column_count=256)


def film(seed: int = 1) -> NDArray[np.uint16]:
    """Air of noise around an anatomy of middling values, 12 bits."""
    chance = np.random.default_rng(seed)
    samples = np.clip(chance.normal(60, 6, (256, 256, 1)), 0, 4095)
    samples[128:] = chance.integers(500, 3500, (128, 256, 1))
    return samples.astype(np.uint16)


def shown(
    samples: NDArray[np.uint16], *regions: Region, style: RegionStyle = RegionStyle.FLATTEN
) -> NDArray[np.uint16]:
    masked = level(regions={**level().regions, RegionKind.BACKGROUND: style})
    return np.asarray(redact(frame(samples, FORM), [*regions], masked, screened=True, frame_number=1).samples)


def test_background_becomes_one_value_near_its_own_and_the_rest_stays() -> None:
    samples = film()
    out = shown(samples, BACKGROUND)
    assert len(np.unique(out[:128])) == 1
    assert abs(int(out[0, 0, 0]) - 60) <= 4096 / 256
    assert np.array_equal(out[128:], samples[128:])


@pytest.mark.parametrize("amplitude", [2, 4, 8, 40, 120])
def test_nothing_faint_is_left_at_any_window(amplitude: int) -> None:
    """A text of some grey levels of 4096, here a block that covers a quarter of the background."""
    samples = film()
    written = samples.copy()
    written[20:84, 40:168] += amplitude
    assert np.array_equal(shown(samples, BACKGROUND), shown(written, BACKGROUND))


def test_a_mask_beside_it_is_drawn_from_what_is_shown() -> None:
    """What is faint beside a mask must not come back in the mosaic either."""
    text = Region(kind=RegionKind.TEXT, top_row=32, left_column=64, row_count=32, column_count=64)
    samples = film()
    written = samples.copy()
    written[8:28, 8:60] += 9
    assert np.array_equal(shown(samples, BACKGROUND, text), shown(written, BACKGROUND, text))


def test_a_background_beyond_the_frame_hides_all_of_it() -> None:
    beyond = replace(BACKGROUND, column_count=257)
    assert len(np.unique(shown(film(), beyond))) <= 2


def test_a_level_that_keeps_it_keeps_it() -> None:
    samples = film()
    assert np.array_equal(shown(samples, BACKGROUND, style=RegionStyle.KEEP), samples)


def test_a_marker_on_the_background_may_stay() -> None:
    marker = Region(kind=RegionKind.TEXT, top_row=160, left_column=64, row_count=16, column_count=16, content="marker")
    keeping = level(keep_markers=True, regions={**level().regions, RegionKind.BACKGROUND: RegionStyle.FLATTEN})
    out = redact(frame(film(), FORM), [BACKGROUND, marker], keeping, screened=True, frame_number=1)
    assert out.areas == ()
