"""A level that keeps machine text shows lines of technique to their edge, and nothing of what is hidden beside them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pixel_kit import BASE, frame, level, noise

from server.model import MaskingLevel, Region, RegionKind, RegionStyle
from server.pixels.redact import redact

FORM = replace(BASE, rows=256, columns=256)
LINE = Region(kind=RegionKind.TEXT, top_row=72, left_column=40, row_count=20, column_count=90, content="technique")
NAME = replace(LINE, top_row=44, content="")
KEEPING = level(keep_machine_text=True)


def shown(samples: NDArray[Any], *regions: Region, at: MaskingLevel = KEEPING, **form: Any) -> NDArray[Any]:
    described = replace(FORM, **form)
    return redact(frame(samples, described), list(regions), at, screened=True, frame_number=1).samples


def place(region: Region, more: int = 0) -> tuple[slice, slice]:
    top, left = region.top_row - more, region.left_column - more
    return slice(top, top + region.row_count + 2 * more), slice(left, left + region.column_count + 2 * more)


def film(seed: int = 5) -> NDArray[Any]:
    return noise(FORM, seed) & 0xFFF


def test_technique_stays_only_where_the_level_says_so() -> None:
    samples = film()
    assert np.array_equal(shown(samples, LINE), samples)
    for strict in (level(), level(keep_markers=True)):
        assert not np.array_equal(shown(samples, LINE, at=strict)[place(LINE)], samples[place(LINE)])


@pytest.mark.parametrize("content", ["", "unread", "marker"])
def test_nothing_else_stays(content: str) -> None:
    samples, other = film(), replace(LINE, content=content)
    assert not np.array_equal(shown(samples, other)[place(other)], samples[place(other)])


@pytest.mark.parametrize("kind", [one for one in RegionKind if one is not RegionKind.TEXT])
def test_no_other_kind_of_region_stays(kind: RegionKind) -> None:
    samples, other = film(), replace(LINE, kind=kind)
    assert not np.array_equal(shown(samples, other)[place(other)], samples[place(other)])


@pytest.mark.parametrize(("lossy", "margin"), [(False, 4), (True, 16)])
@pytest.mark.parametrize("style", [RegionStyle.MOSAIC, RegionStyle.FILL])
def test_what_is_hidden_beside_a_line_has_no_effect(lossy: bool, margin: int, style: RegionStyle) -> None:
    one, hidden = film(), place(NAME, margin)
    mixed = one.copy()
    mixed[hidden] = film(6)[hidden]
    at = replace(KEEPING, regions={**KEEPING.regions, RegionKind.TEXT: style})
    first, second = (shown(each, NAME, LINE, at=at, lossy_history=lossy) for each in (one, mixed))
    assert np.array_equal(first, second)
    # The line is there as far as the margin leaves it.
    row = max(LINE.top_row, NAME.top_row + NAME.row_count + margin)
    free = (slice(row, LINE.top_row + LINE.row_count), place(LINE)[1])
    assert np.array_equal(first[free], one[free])
    assert not np.array_equal(first[place(NAME)], one[place(NAME)])


def test_a_line_under_something_hidden_is_hidden() -> None:
    samples = film()
    for over in (replace(LINE, content=""), replace(NAME, kind=RegionKind.BANNER, row_count=80)):
        assert not (shown(samples, over, LINE)[place(LINE)] == samples[place(LINE)]).mean() > 0.01


def test_a_frame_that_is_hidden_whole_has_no_window() -> None:
    beyond = replace(NAME, column_count=300)
    samples = film()
    for regions, at in (
        ((beyond, LINE), KEEPING),
        ((LINE,), replace(KEEPING, whole_frame=RegionStyle.MOSAIC)),
        ((LINE, NAME), replace(KEEPING, whole_frame=RegionStyle.COARSE)),
    ):
        assert (shown(samples, *regions, at=at)[place(LINE)] == samples[place(LINE)]).mean() < 0.01
