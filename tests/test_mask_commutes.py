"""Mask commutes with geometry: `mask(viewport(x))` never shows a pixel that `viewport(mask(x))` hides.

Over any crop, scale, mirror, turn, shape of pixels and bound of a level: what is hidden has no effect on any pixel of
the picture, and a pixel on which no hidden sample has any effect is that of the picture without a mask.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pixel_table import MASKED, OPEN

from server.errors import BadRequest
from server.model import (
    MaskingLevel,
    Region,
    RegionKind,
    RegionStyle,
    RenderParameters,
    Viewport,
    Window,
)
from server.pixels import render as render_module
from server.pixels.description import EXPLICIT_LITTLE, PixelDescription
from server.pixels.display import DisplayAttributes
from server.pixels.frame import Frame, value_bounds
from server.pixels.geometry import sized
from server.pixels.levels import looked_up_grey
from server.pixels.presentation import Presentation
from server.pixels.redact import redact
from server.pixels.render import render

Picture = NDArray[np.uint8]
Samples = NDArray[Any]
# Bits allocated, bits stored, high bit, signed.
FORMS = {
    "12 bits": (16, 12, 11, False),
    "12 bits, signed": (16, 12, 11, True),
    "12 bits, raised": (16, 12, 15, False),
    "16 bits": (16, 16, 15, False),
    "16 bits, signed": (16, 16, 15, True),
    "8 bits": (8, 8, 7, False),
    "32 bits": (32, 32, 31, False),
}
PLAIN = replace(MASKED, masked_notice=False)
BOTH = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
# Every stored value a grey level of its own, and sixteen of them: then what is much smaller is averaged first.
AS_STORED = Window(center=127.5, width=255, function="LINEAR_EXACT")
DEEP = Window(center=2047.5, width=4095, function="LINEAR_EXACT")


def described(
    rows: int, columns: int, form: tuple[int, int, int, bool] = FORMS["8 bits"], photometric: str = "MONOCHROME2"
) -> PixelDescription:
    return PixelDescription(
        rows=rows,
        columns=columns,
        samples_per_pixel=3 if photometric == "RGB" else 1,
        bits_allocated=form[0],
        bits_stored=form[1],
        high_bit=form[2],
        signed=form[3],
        photometric_interpretation=photometric,
        planar_configuration=0,
        number_of_frames=1,
        transfer_syntax_uid=EXPLICIT_LITTLE,
        data_kind="integer",
        lossy_history=False,
    )


def framed(samples: Samples, form: PixelDescription) -> Frame:
    return Frame(samples=samples, photometric_interpretation=form.photometric_interpretation, description=form)


@dataclass(frozen=True, kw_only=True)
class Case:
    """A film's size and form, where something is hidden, and how the picture is looked at."""

    rows: int
    columns: int
    colour: bool
    deep: bool
    region: Region
    style: RegionStyle
    parameters: RenderParameters
    aspect: float
    longest_side: int | None
    state: Presentation | None

    def description(self) -> PixelDescription:
        form = FORMS["12 bits" if self.deep else "8 bits"]
        return described(self.rows, self.columns, form, "RGB" if self.colour else "MONOCHROME2")

    @property
    def most(self) -> int:
        return 4095 if self.deep else 255

    def frame(self, samples: Samples) -> Frame:
        return framed(samples, self.description())

    def noise(self, seed: int) -> Samples:
        shape = (self.rows, self.columns, 3 if self.colour else 1)
        return np.random.default_rng(seed).integers(0, self.most, shape, self.description().dtype, endpoint=True)

    def with_hidden(self, samples: Samples, value: int) -> Samples:
        """The samples with one value wherever something is hidden."""
        return np.where(self.hidden()[:, :, np.newaxis], samples.dtype.type(value), samples)

    def picture(self, samples: Samples, level: MaskingLevel) -> Picture:
        masked = redact(
            self.frame(samples),
            [self.region],
            replace(level, longest_side=self.longest_side),
            screened=True,
            frame_number=1,
        )
        display = DisplayAttributes(windows=(DEEP if self.deep else AS_STORED,), pixel_aspect=self.aspect)
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
    viewport, state, colour = None, None, draw(st.integers(0, 2)) == 0
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
        colour=colour,
        deep=not colour and draw(st.booleans()),
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
    samples = case.noise(seed)
    # The same samples but for the hidden ones, which lie at one end and then at the other of what they may be: a pixel
    # that stays the same owes nothing to any of them.
    ends = [case.picture(case.with_hidden(samples, end), OPEN).astype(int) for end in (0, case.most)]
    owes_nothing = (ends[0] == ends[1]).all(axis=2)
    masked, plain = case.picture(samples, MASKED), case.picture(samples, OPEN)
    assert masked.shape == plain.shape
    assert np.array_equal(masked[owes_nothing], plain[owes_nothing])


@given(case=cases(), seed=st.integers(1, 1000))
@BOTH
def test_a_mask_drawn_last_hides_no_less(case: Case, seed: int) -> None:
    """Every pixel of `mask(viewport(x))` that shows anything is that of `viewport(mask(x))`: nothing is seen through
    the geometry that the mask would have covered, if the mask drawn last covers whatever a hidden sample touches."""
    samples = case.noise(seed)
    indicator = case.with_hidden(np.zeros_like(samples), case.most)
    opposite = case.with_hidden(np.full_like(samples, case.most), 0)
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
        rows=64, columns=64, colour=False, deep=False, region=region, style=RegionStyle.FILL, parameters=small,
        aspect=1.0, longest_side=None, state=None,
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
        rows=64, columns=64, colour=False, deep=False, region=region, style=RegionStyle.FILL, parameters=view,
        aspect=1.0, longest_side=None, state=None,
    )  # fmt: skip
    for level in (MASKED, OPEN):
        with pytest.raises(BadRequest):
            case.picture(case.noise(1), level)


@pytest.mark.parametrize("turns", [0, 1])
def test_a_part_of_a_bounded_picture_is_no_larger_through_a_state(turns: int) -> None:
    region = Region(kind=RegionKind.TEXT, top_row=0, left_column=0, row_count=4, column_count=4)
    quarter = Presentation(area=(32, 32, 64, 64), turns=turns)
    case = Case(
        rows=64, columns=64, colour=False, deep=False, region=region, style=RegionStyle.FILL,
        parameters=RenderParameters(), aspect=1.0, longest_side=16, state=quarter,
    )  # fmt: skip
    assert case.picture(case.noise(1), MASKED).shape == (8, 8, 1)


@given(
    size=st.tuples(st.integers(64, 300), st.integers(64, 300)),
    box=st.tuples(st.integers(1, 50), st.integers(1, 50)),
    window=st.builds(
        Window,
        center=st.integers(-500, 4500),
        width=st.integers(1025, 9000),
        function=st.sampled_from(["LINEAR", "LINEAR_EXACT"]),
    ),
    form=st.sampled_from(["12 bits", "12 bits, signed", "16 bits", "16 bits, signed"]),
    photometric=st.sampled_from(["MONOCHROME1", "MONOCHROME2"]),
    seed=st.integers(1, 1000),
)
@BOTH
def test_what_is_averaged_first_is_the_window_of_the_mean_of_what_is_shown(
    size: tuple[int, int], box: tuple[int, int], window: Window, form: str, photometric: str, seed: int
) -> None:
    """Within a grey level of floats: the mean over what a pixel covers of the masked samples, and then the window."""
    told = described(*size, FORMS[form], photometric)
    samples = np.random.default_rng(seed).integers(*value_bounds(told), (*size, 1), told.dtype, endpoint=True)
    region = Region(kind=RegionKind.TEXT, top_row=5, left_column=7, row_count=box[0], column_count=box[1])
    masked = redact(framed(samples, told), [region], PLAIN, screened=True, frame_number=1)
    asked = RenderParameters(window=window, viewport=Viewport(width=31, height=31))
    looked_up: list[tuple[int, ...]] = []

    def watched(stored: Samples, table: Picture) -> Picture:
        looked_up.append(stored.shape)
        return looked_up_grey(stored, table)

    with patch.object(render_module, "looked_up_grey", watched):
        picture = render(masked, asked, DisplayAttributes()).pixels
    assert looked_up == [picture.shape], "it was looked up before it was made small"
    mean = _mean(masked.samples[:, :, 0].astype(float), picture.shape[0], picture.shape[1])
    if window.function == "LINEAR_EXACT":
        grey = (mean - window.center) / window.width + 0.5
    else:
        grey = (mean - (window.center - 0.5)) / (window.width - 1) + 0.5
    wanted = np.clip(1 - grey if photometric == "MONOCHROME1" else grey, 0, 1) * 255
    assert np.abs(picture[:, :, 0] - wanted).max() <= 1.0


def _mean(samples: NDArray[np.float64], rows: int, columns: int) -> NDArray[np.float64]:
    """The mean of what each of so many rows and columns covers, parts by their share; halves are taken first."""
    while samples.shape[0] >= 2 * rows and samples.shape[1] >= 2 * columns:
        height, width = samples.shape
        if height % 2 or width % 2:
            break
        samples = samples.reshape(height // 2, 2, width // 2, 2).mean(axis=(1, 3))
    mean: NDArray[np.float64] = _shares(rows, samples.shape[0]) @ samples @ _shares(columns, samples.shape[1]).T
    return mean


def _shares(count: int, length: int) -> NDArray[np.float64]:
    edges = np.linspace(0, length, count + 1)
    covered = np.minimum(edges[1:, np.newaxis], np.arange(1, length + 1))
    covered -= np.maximum(edges[:-1, np.newaxis], np.arange(length))
    return np.maximum(covered, 0) * count / length


@pytest.mark.parametrize(
    ("form", "window", "display"),
    [
        ("12 bits", Window(center=500, width=1000), DisplayAttributes()),
        ("12 bits", Window(center=500, width=2000), DisplayAttributes(slope=-3.0)),
        ("12 bits", Window(center=500, width=2000, function="SIGMOID"), DisplayAttributes()),
        ("12 bits", Window(center=500, width=2000), DisplayAttributes(padding=(3,))),
        ("12 bits", Window(center=500, width=2000), DisplayAttributes(presentation_lut=np.linspace(0, 1, 9))),
        ("12 bits, raised", Window(center=500, width=2000), DisplayAttributes()),
        ("8 bits", Window(center=128, width=2000), DisplayAttributes()),
        ("32 bits", Window(center=500, width=2000), DisplayAttributes()),
    ],
)
def test_where_the_order_would_show_every_sample_is_looked_up(
    form: str, window: Window, display: DisplayAttributes
) -> None:
    told = described(128, 128, FORMS[form])
    samples = np.random.default_rng(1).integers(0, 200, (128, 128, 1)).astype(told.dtype)
    masked = redact(framed(samples, told), (), PLAIN, screened=True, frame_number=1)
    view = Viewport(width=32, height=32)
    whole = render(masked, RenderParameters(window=window), display).pixels
    small = render(masked, RenderParameters(window=window, viewport=view), display).pixels
    assert np.array_equal(small, sized(whole, 1.0, None, view))


def test_bits_beside_the_stored_ones_have_no_part_in_a_mean() -> None:
    """At levels that keep them they lie in the masked frame."""
    told = described(128, 128, FORMS["12 bits"])
    generator = np.random.default_rng(1)
    clean, beside = (generator.integers(0, most, (128, 128, 1)).astype("u2") for most in (4096, 16))
    small = RenderParameters(window=DEEP, viewport=Viewport(width=32, height=32))
    without, with_them = (
        render(redact(framed(one, told), (), OPEN, screened=True, frame_number=1), small, DisplayAttributes()).pixels
        for one in (clean, clean | beside << np.uint16(12))
    )
    assert np.array_equal(without, with_them)
