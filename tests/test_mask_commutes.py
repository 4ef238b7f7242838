"""Mask commutes with geometry: `mask(viewport(x))` never shows a pixel that `viewport(mask(x))` hides.

Over any crop, scale, mirror, turn, shape of pixels and bound of a level: what is hidden has no effect on any pixel of
the picture, and a pixel on which no hidden sample has any effect is that of the picture without a mask.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pixel_table import MASKED, OPEN

from server.errors import BadRequest
from server.model import MaskingLevel, Region, RegionKind, RegionStyle, RenderParameters, Viewport, Window
from server.pixels.description import EXPLICIT_LITTLE, PixelDescription
from server.pixels.display import DisplayAttributes
from server.pixels.frame import Frame
from server.pixels.presentation import Presentation
from server.pixels.redact import redact
from server.pixels.render import render

Picture = NDArray[np.uint8]
BOTH = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
AS_STORED = Window(center=127.5, width=255, function="LINEAR_EXACT")


@dataclass(frozen=True, kw_only=True)
class Case:
    """A film's size and form, where something is hidden, and how the picture is looked at."""

    rows: int
    columns: int
    colour: bool
    region: Region
    style: RegionStyle
    parameters: RenderParameters
    aspect: float
    longest_side: int | None
    state: Presentation | None

    def description(self) -> PixelDescription:
        return PixelDescription(
            rows=self.rows,
            columns=self.columns,
            samples_per_pixel=3 if self.colour else 1,
            bits_allocated=8,
            bits_stored=8,
            high_bit=7,
            signed=False,
            photometric_interpretation="RGB" if self.colour else "MONOCHROME2",
            planar_configuration=0,
            number_of_frames=1,
            transfer_syntax_uid=EXPLICIT_LITTLE,
            data_kind="integer",
            lossy_history=False,
        )

    def frame(self, samples: Picture) -> Frame:
        described = self.description()
        return Frame(
            samples=samples, photometric_interpretation=described.photometric_interpretation, description=described
        )

    def noise(self, seed: int) -> Picture:
        shape = (self.rows, self.columns, 3 if self.colour else 1)
        return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)

    def picture(self, samples: Picture, level: MaskingLevel) -> Picture:
        masked = redact(
            self.frame(samples),
            [self.region],
            replace(level, longest_side=self.longest_side),
            screened=True,
            frame_number=1,
        )
        display = DisplayAttributes(windows=(AS_STORED,), pixel_aspect=self.aspect)
        return render(masked, self.parameters, display, state=self.state).pixels

    def hidden(self) -> NDArray[np.bool_]:
        """Where the mask lies in the frame, (rows, columns)."""
        masked = redact(self.frame(self.noise(0)), [self.region], MASKED, screened=True, frame_number=1)
        where = np.zeros((self.rows, self.columns), np.bool_)
        for top, left, bottom, right in masked.areas:
            where[top:bottom, left:right] = True
        return where


@st.composite
def cases(draw: st.DrawFn) -> Case:
    rows, columns = draw(st.integers(40, 140)), draw(st.integers(40, 140))
    top, left = draw(st.integers(0, rows - 1)), draw(st.integers(0, columns - 1))
    region = Region(
        kind=draw(st.sampled_from([RegionKind.TEXT, RegionKind.FACE])),
        top_row=top,
        left_column=left,
        row_count=draw(st.integers(1, rows - top)),
        column_count=draw(st.integers(1, columns - left)),
    )
    viewport, state = None, None
    if draw(st.booleans()):
        first_row, first_column = draw(st.integers(-6, rows - 20)), draw(st.integers(-6, columns - 20))
        state = Presentation(
            turns=draw(st.integers(0, 3)),
            mirrored=draw(st.booleans()),
            area=draw(
                st.sampled_from([None, (first_row, first_column, first_row + draw(st.integers(20, 90)), columns)])
            ),
        )
    if draw(st.integers(0, 5)):
        part = draw(st.booleans())
        mirrored = st.sampled_from([-1, 1])
        viewport = Viewport(
            width=draw(st.integers(1, 200)),
            height=draw(st.integers(1, 200)),
            left=draw(st.integers(-8, 12 if state else columns - 1)) if part else 0,
            top=draw(st.integers(-8, 12 if state else rows - 1)) if part else 0,
            source_width=draw(st.integers(9, 200)) * draw(mirrored) if part else None,
            source_height=draw(st.integers(9, 200)) * draw(mirrored) if part else None,
        )
    return Case(
        rows=rows,
        columns=columns,
        colour=draw(st.booleans()),
        region=region,
        style=draw(st.sampled_from([RegionStyle.FILL, RegionStyle.MOSAIC])),
        parameters=RenderParameters(viewport=viewport),
        aspect=draw(st.sampled_from([1.0, 1.0, 0.5, 1.7, 3.0])),
        longest_side=draw(st.sampled_from([None, None, 30, 77])),
        state=state,
    )


@given(case=cases(), seed=st.integers(1, 1000))
@BOTH
def test_no_pixel_depends_on_what_is_hidden(case: Case, seed: int) -> None:
    level = replace(MASKED, regions=dict.fromkeys(RegionKind, case.style))
    one, hidden = case.noise(seed), case.hidden()
    other = np.where(hidden[:, :, np.newaxis], case.noise(seed + 1), one)
    assert np.array_equal(case.picture(one, level), case.picture(other, level))


@given(case=cases(), seed=st.integers(1, 1000))
@BOTH
def test_a_pixel_that_owes_nothing_to_the_hidden_is_the_same_without_a_mask(case: Case, seed: int) -> None:
    samples, hidden = case.noise(seed), case.hidden()
    # The same samples but for the hidden ones, which lie at one end and then at the other of what they may be: a pixel
    # that stays the same owes nothing to any of them.
    ends = [
        case.picture(np.where(hidden[:, :, np.newaxis], np.uint8(end), samples), OPEN).astype(int) for end in (0, 255)
    ]
    owes_nothing = (ends[0] == ends[1]).all(axis=2)
    masked, plain = case.picture(samples, MASKED), case.picture(samples, OPEN)
    assert masked.shape == plain.shape
    assert np.array_equal(masked[owes_nothing], plain[owes_nothing])


@given(case=cases(), seed=st.integers(1, 1000))
@BOTH
def test_a_mask_drawn_last_hides_no_less(case: Case, seed: int) -> None:
    """Every pixel of `mask(viewport(x))` that shows anything is that of `viewport(mask(x))`: nothing is seen through
    the geometry that the mask would have covered, if the mask drawn last covers whatever a hidden sample touches."""
    samples, hidden = case.noise(seed), case.hidden()
    indicator = np.where(hidden[:, :, np.newaxis], np.uint8(255), np.zeros_like(samples))
    opposite = np.where(hidden[:, :, np.newaxis], np.uint8(0), np.full_like(samples, 255))
    touched: NDArray[np.bool_] = np.any(case.picture(indicator, OPEN) > 0, axis=2)
    touched |= np.any(case.picture(opposite, OPEN) < 255, axis=2)
    last = np.where(touched[:, :, np.newaxis], np.uint8(0), case.picture(samples, OPEN))
    first = case.picture(samples, MASKED)
    # A share of less than half a grey level is rounded away at each of the scalings, and nothing is seen by it.
    scalings = (case.aspect != 1.0) + (case.longest_side is not None) + 2 * (case.parameters.viewport is not None)
    assert np.abs(last.astype(int) - first)[~touched].max(initial=0) <= scalings


def test_the_property_sees_a_mask_that_comes_too_late() -> None:
    """Halving first and hiding only whole pixels leaves a seam; grown to the grid it does not."""
    region = Region(kind=RegionKind.TEXT, top_row=5, left_column=5, row_count=6, column_count=6)
    small = RenderParameters(viewport=Viewport(width=32, height=32))
    case = Case(
        rows=64, columns=64, colour=False, region=region, style=RegionStyle.FILL, parameters=small, aspect=1.0,
        longest_side=None, state=None,
    )  # fmt: skip
    samples, exact = case.noise(1), np.zeros((64, 64), np.bool_)
    exact[5:11, 5:11] = True
    late = [case.picture(np.where(exact[:, :, np.newaxis], np.uint8(end), samples), OPEN) for end in (0, 255)]
    for one in late:
        one.setflags(write=True)
        one[3:5, 3:5] = 0
    assert not np.array_equal(late[0], late[1])
    hidden = case.hidden()
    assert hidden[:32, :32].all()
    grown = [case.picture(np.where(hidden[:, :, np.newaxis], np.uint8(end), samples), OPEN) for end in (0, 255)]
    for one in grown:
        one.setflags(write=True)
        one[:16, :16] = 0
    assert np.array_equal(grown[0], grown[1])


def test_a_viewport_beside_the_picture_is_refused_masked_or_not() -> None:
    region = Region(kind=RegionKind.TEXT, top_row=0, left_column=0, row_count=4, column_count=4)
    view = RenderParameters(viewport=Viewport(width=8, height=8, left=64))
    case = Case(
        rows=64, columns=64, colour=False, region=region, style=RegionStyle.FILL, parameters=view, aspect=1.0,
        longest_side=None, state=None,
    )  # fmt: skip
    for level in (MASKED, OPEN):
        with pytest.raises(BadRequest):
            case.picture(case.noise(1), level)


@pytest.mark.parametrize("turns", [0, 1])
def test_a_part_of_a_bounded_picture_is_no_larger_through_a_state(turns: int) -> None:
    region = Region(kind=RegionKind.TEXT, top_row=0, left_column=0, row_count=4, column_count=4)
    quarter = Presentation(area=(32, 32, 64, 64), turns=turns)
    case = Case(
        rows=64, columns=64, colour=False, region=region, style=RegionStyle.FILL, parameters=RenderParameters(),
        aspect=1.0, longest_side=16, state=quarter,
    )  # fmt: skip
    assert case.picture(case.noise(1), MASKED).shape == (8, 8, 1)
