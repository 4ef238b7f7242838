from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pixel_kit import BASE, FORMATS, OPEN, frame, level, noise

from server.model import ElementAction, MaskingLevel, Region, RegionKind, RegionStyle, RenderParameters, Viewport
from server.pixels.description import PixelDescription
from server.pixels.display import DisplayAttributes
from server.pixels.encode import encode_native, encode_png
from server.pixels.redact import MaskedFrame, hides_all, redact
from server.pixels.render import render

FILL = level(regions=dict.fromkeys(RegionKind, RegionStyle.FILL))


def box(top: int, left: int, rows: int, columns: int, **others: Any) -> Region:
    return Region(
        kind=others.pop("kind", RegionKind.TEXT),
        top_row=top,
        left_column=left,
        row_count=rows,
        column_count=columns,
        **others,
    )


def mask(
    samples: NDArray[Any],
    description: PixelDescription,
    regions: Sequence[Region],
    at: MaskingLevel,
    *,
    screened: bool = True,
    number: int = 1,
) -> MaskedFrame:
    return redact(frame(samples, description), regions, at, screened=screened, frame_number=number)


def altered(samples: NDArray[Any], description: PixelDescription, regions: Sequence[Region], seed: int) -> NDArray[Any]:
    """The same frame with other samples inside the regions."""
    other = noise(description, seed)
    result = samples.copy()
    for region in regions:
        place = (
            slice(region.top_row, region.top_row + region.row_count),
            slice(region.left_column, region.left_column + region.column_count),
        )
        result[place] = other[place]
    return result


@st.composite
def boxes(draw: st.DrawFn) -> list[Region]:
    """One to five regions anywhere in the frame, edges and corners and neighbours included."""
    found = []
    for _ in range(draw(st.integers(1, 5))):
        top, left = draw(st.integers(0, BASE.rows - 1)), draw(st.integers(0, BASE.columns - 1))
        rows = draw(st.integers(1, BASE.rows - top))
        columns = draw(st.integers(1, BASE.columns - left))
        found.append(box(top, left, rows, columns, kind=draw(st.sampled_from(list(RegionKind)))))
    return found


MIXED = level(regions=dict(zip(RegionKind, [RegionStyle.MOSAIC, RegionStyle.FILL] * 4, strict=False)))


@settings(max_examples=120, deadline=None)
@given(name=st.sampled_from(list(FORMATS)), regions=boxes(), at=st.sampled_from([level(), FILL, MIXED]), data=st.data())
def test_a_X10_what_is_hidden_changes_nothing(
    name: str, regions: list[Region], at: MaskingLevel, data: st.DataObject
) -> None:
    description = FORMATS[name]
    rows, columns = data.draw(st.sampled_from([(96, 128), (95, 127), (64, 64)]))
    description = replace(description, rows=rows, columns=columns)
    regions = [r for r in regions if r.top_row + r.row_count <= rows and r.left_column + r.column_count <= columns]
    samples = noise(description, 1)
    first = mask(samples, description, regions, at)
    # More than the promise: not only the regions but everything drawn over may differ.
    covered = [box(t, left, b - t, r - left) for t, left, b, r in first.areas]
    second = mask(altered(samples, description, covered, 2), description, regions, at)
    assert encode_native(first) == encode_native(second)
    assert first.areas == second.areas
    if description.photometric_interpretation != "PALETTE COLOR":
        for parameters in (RenderParameters(), RenderParameters(viewport=Viewport(width=40, height=40, left=3))):
            pictures = [render(m, parameters, DisplayAttributes()) for m in (first, second)]
            assert encode_png(pictures[0]) == encode_png(pictures[1])


def test_a_X10_no_ring_touches_a_neighbouring_region() -> None:
    description = replace(BASE, rows=256, columns=256)
    large, neighbours = box(36, 36, 88, 88), [box(132, 36, 20, 20), box(68, 132, 20, 20), box(4, 68, 20, 20)]
    samples = noise(description, 1)
    # The large mosaic has blocks of twelve samples, so some lie beside hidden and shown cells at once.
    first = mask(samples, description, [large, *neighbours], level())
    covered = [box(t, left, b - t, r - left) for t, left, b, r in first.areas]
    second = mask(altered(samples, description, covered, 2), description, [large, *neighbours], level())
    assert first.samples.tobytes() == second.samples.tobytes()


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("style", [RegionStyle.MOSAIC, RegionStyle.FILL])
def test_a_X15_every_format_is_masked(name: str, style: RegionStyle) -> None:
    description = replace(FORMATS[name], lossy_history=False)
    samples = noise(description, 3)
    region = box(40, 50, 10, 20)
    masked = mask(
        samples, description, [region], level(regions=dict.fromkeys(RegionKind, style), keep_unused_bits=True)
    )
    ((top, left, bottom, right),) = masked.areas
    assert (top, left, bottom, right) == (32, 32, 64, 96)
    inside = masked.samples[top:bottom, left:right]
    if description.photometric_interpretation == "PALETTE COLOR":
        assert len(np.unique(inside)) == 1
    if description.photometric_interpretation.startswith("YBR"):
        assert np.all(inside[:, :, 1:] == 128)
    # Blocks of eight samples or more, and dashes of two values: hardly a distinct value is left of a thousand.
    assert len(np.unique(inside.reshape(-1, inside.shape[2]), axis=0)) <= (3 if style is RegionStyle.FILL else 34)
    interior = masked.samples[top + 2 : bottom - 2, left + 2 : right - 2]
    assert style is RegionStyle.MOSAIC or len(np.unique(interior.reshape(-1, inside.shape[2]), axis=0)) == 1
    outside = np.ones(samples.shape[:2], bool)
    outside[top:bottom, left:right] = False
    assert np.array_equal(masked.samples[outside].view(np.uint8), samples[outside].view(np.uint8)), (
        "nothing else may change"
    )


@pytest.mark.parametrize("name", FORMATS)
def test_a_whole_frame_is_a_constant_pattern(name: str) -> None:
    description = FORMATS[name]
    for at in (level(whole_frame=RegionStyle.MOSAIC), level(whole_frame=RegionStyle.FILL)):
        one, two = (mask(noise(description, seed), description, (), at) for seed in (1, 2))
        assert one.samples.tobytes() == two.samples.tobytes()
        assert one.areas == ((0, 0, 96, 128),)


@pytest.mark.parametrize("style", [RegionStyle.MOSAIC, RegionStyle.FILL])
def test_an_unscreened_frame_is_masked_whole(style: RegionStyle) -> None:
    one, two = (mask(noise(BASE, seed), BASE, (), level(unscreened=style), screened=False) for seed in (1, 2))
    assert one.samples.tobytes() == two.samples.tobytes()
    # Regions known so far do not make it less.
    three = mask(noise(BASE, 3), BASE, [box(1, 1, 2, 2)], level(unscreened=style), screened=False)
    assert three.samples.tobytes() == one.samples.tobytes()


@pytest.mark.parametrize(
    "region",
    [
        box(90, 10, 7, 5),
        box(10, 125, 5, 4),
        box(-1, 10, 5, 5),
        box(10, -1, 5, 5),
        box(96, 0, 1, 1),
        box(10, 10, 5, 5, frames=frozenset({1, 3})),
    ],
)
def test_a_region_of_something_else_masks_everything(region: Region) -> None:
    description = replace(BASE, number_of_frames=2)
    masked = mask(noise(BASE, 1), description, [region], level())
    assert masked.areas == ((0, 0, 96, 128),)
    kept = mask(noise(BASE, 1), description, [region], OPEN)
    assert kept.areas == ()


def test_a_X15_every_frame_that_a_region_names_is_masked() -> None:
    description = replace(BASE, number_of_frames=3)
    samples = noise(BASE, 1)
    for number, masked in product((1, 2, 3), (None, frozenset({2}), frozenset({2, 3}))):
        areas = mask(samples, description, [box(5, 5, 5, 5, frames=masked)], level(), number=number).areas
        assert bool(areas) == (masked is None or number in masked)
    for number in (0, 4):
        with pytest.raises(ValueError):
            mask(samples, description, (), level(), number=number)


def test_a_kind_that_the_level_does_not_name_is_filled() -> None:
    masked = mask(noise(BASE, 1), BASE, [box(40, 40, 4, 4)], level(regions={}))
    assert not masked.samples[34:62, 34:62].any()


def test_lossy_history_grows_the_mask() -> None:
    region = box(40, 52, 6, 6)
    near = mask(noise(BASE, 1), BASE, [region], level()).areas
    far = mask(noise(BASE, 1), replace(BASE, lossy_history=True), [region], level()).areas
    assert near == ((32, 32, 64, 64),)
    assert far == ((0, 32, 64, 96),)


def test_where_styles_meet_the_stricter_stays() -> None:
    styles = {**dict.fromkeys(RegionKind, RegionStyle.MOSAIC), RegionKind.FACE: RegionStyle.FILL}
    regions = [box(40, 40, 4, 4, kind=RegionKind.FACE), box(40, 40, 5, 5), box(10, 10, 60, 60)]
    masked = mask(noise(BASE, 1), BASE, regions, level(regions=styles))
    assert not masked.samples[34:62, 34:62].any()


def test_a_X6_unused_bits_are_cleared_unless_the_level_keeps_them() -> None:
    samples = np.full((96, 128, 1), 0xF123, np.uint16)
    assert np.all(mask(samples, BASE, (), level()).samples == 0x0123)
    assert np.all(mask(samples, BASE, (), OPEN).samples == 0xF123)
    low = replace(BASE, bits_stored=12, high_bit=15)
    assert np.all(mask(samples, low, (), level()).samples == 0xF120)
    signed = replace(BASE, signed=True)
    negative = np.full((96, 128, 1), 0x7800, np.uint16).view(np.int16)
    assert np.all(mask(negative, signed, (), level()).samples == -2048)
    shifted = FORMATS["grey 12 in 16 signed, high bit 13"]
    assert np.all(mask(np.full((96, 128, 1), 0x2003, np.int16), shifted, (), level()).samples == np.int16(-0x2000))


def test_a_X6_kept_unused_bits_vanish_under_the_mask() -> None:
    samples = np.full((96, 128, 1), 0xF123, np.uint16)
    masked = mask(samples, BASE, [box(40, 40, 4, 4)], level(keep_unused_bits=True))
    assert np.all(masked.samples[32:64, 32:64] < 0x1000)


def test_the_level_that_masks_nothing_returns_every_bit_and_the_input_is_never_changed() -> None:
    for name, description in FORMATS.items():
        samples = noise(description, 4)
        before = samples.tobytes()
        assert mask(samples, description, [box(1, 1, 9, 9)], OPEN).samples.tobytes() == before, name
        mask(samples, description, [box(1, 1, 9, 9)], level())
        mask(samples, description, (), level(whole_frame=RegionStyle.FILL))
        assert samples.tobytes() == before, name


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("keep_unused_bits", [False, True])
def test_a_frame_that_is_consumed_is_masked_to_the_bit_as_one_that_is_not(name: str, keep_unused_bits: bool) -> None:
    description = FORMATS[name]
    regions = [box(40, 40, 9, 30), box(3, 100, 20, 20, kind=RegionKind.BACKGROUND), box(60, 0, 9, 9)]
    flat = {**dict.fromkeys(RegionKind, RegionStyle.MOSAIC), RegionKind.BACKGROUND: RegionStyle.FLATTEN}
    for drawn in (level(), FILL, level(regions=flat), level(whole_frame=RegionStyle.COARSE), OPEN):
        at = replace(drawn, keep_unused_bits=keep_unused_bits)
        named: dict[str, Any] = {"screened": True, "frame_number": 1, "key": b"key"}
        samples = noise(description, 4)
        wanted = redact(frame(samples.copy(), description), regions, at, **named).samples.tobytes()
        # Once more in memory that belongs to an immutable value, as what is opened into bytes does: that stays.
        content = samples.tobytes()
        fixed = np.frombuffer(content, samples.dtype).reshape(samples.shape)
        for one in (samples.copy(), fixed):
            found = redact(frame(one, description), regions, at, consumed=True, **named)
            assert found.samples.tobytes() == wanted
            assert not found.samples.flags.writeable
        assert content == samples.tobytes()


def test_a_frame_that_is_consumed_is_not_copied() -> None:
    one = frame(noise(BASE, 1))
    assert redact(one, [box(1, 1, 9, 9)], level(), screened=True, frame_number=1, consumed=True).samples is one.samples


def test_a_mosaic_follows_its_surroundings_and_can_be_seen() -> None:
    description = replace(FORMATS["grey 8"], rows=128)
    samples = np.full((128, 128, 1), 60, np.uint8)
    samples[96:] = 220
    samples[40:60, 40:60] = 0
    inside = mask(samples, description, [box(40, 40, 20, 20)], level()).samples[34:62, 34:62]
    assert 55 < inside.mean() < 65
    assert inside.max() - inside.min() >= 16
    # Ink on what is bright is bright: there the mosaic keeps away from both.
    bright = np.where(samples == 60, 220, 60).astype(np.uint8)
    inside = mask(bright, description, [box(40, 40, 20, 20)], level()).samples[34:62, 34:62]
    assert inside.min() > 140
    assert inside.max() < 190
    inverted = replace(description, photometric_interpretation="MONOCHROME1")
    inside = mask(255 - bright, inverted, [box(40, 40, 20, 20)], level()).samples[34:62, 34:62]
    assert inside.min() > 255 - 190
    assert inside.max() < 255 - 140


def test_float_extremes_are_masked_quietly() -> None:
    for name in ("float", "double"):
        description = FORMATS[name]
        for value in (np.nan, np.inf, -np.inf, np.finfo(description.dtype).max, np.finfo(description.dtype).min):
            samples = np.full((96, 128, 1), value, description.dtype)
            masked = mask(samples, description, [box(40, 40, 4, 4)], level())
            assert np.isfinite(masked.samples[32:64, 32:64]).all()
            render(masked, RenderParameters(), DisplayAttributes())


def test_only_redact_makes_a_masked_frame() -> None:
    made = mask(noise(BASE, 1), BASE, (), level())
    with pytest.raises(TypeError):
        MaskedFrame(
            samples=noise(BASE, 1),
            photometric_interpretation="MONOCHROME2",
            description=BASE,
            frame_number=1,
            areas=(),
            longest_side=None,
            notice=False,
            outlines=(),
            unused_bits=False,
            maker=object(),
        )
    with pytest.raises((TypeError, ValueError)):
        replace(made, samples=noise(BASE, 2))  # type: ignore[call-arg]
    with pytest.raises(ValueError):
        made.samples[0, 0, 0] = 1


@pytest.mark.parametrize("style", [RegionStyle.MOSAIC, RegionStyle.FILL])
@pytest.mark.parametrize("ground", [0, 4095])
def test_every_mask_has_an_edge_that_no_anatomy_has(style: RegionStyle, ground: int) -> None:
    samples = np.full((96, 128, 1), ground, np.uint16)
    samples[80:] = 2000
    masked = mask(samples, BASE, [box(40, 40, 10, 20)], level(regions=dict.fromkeys(RegionKind, style))).samples
    line = masked[32, 32:64, 0]
    assert len(set(line[::8])) == 2
    assert len(set(line[:8])) == 1
    assert int(line.max()) - int(line.min()) > 1000
    # The dashes are on what the box was grown by, and on no side that is the frame's own.
    assert np.array_equal(masked[32, 34:62], masked[63, 34:62])
    corner = mask(samples, BASE, [box(0, 0, 10, 20)], FILL).samples
    assert not corner[0, :30].any()
    assert corner[31, :30].any()


def test_no_mask_is_drawn_in_the_value_of_padding() -> None:
    described = replace(BASE, padding=(0, 60))
    told = replace(level().elements, by_tag={0x00280120: ElementAction.KEEP})
    for style in (RegionStyle.MOSAIC, RegionStyle.FILL):
        styles = dict.fromkeys(RegionKind, style)
        samples = np.zeros((96, 128, 1), np.uint16)
        samples[0, ::2] = 4000
        at = level(regions=styles, elements=told)
        masked = mask(samples, described, [box(40, 40, 10, 20)], at).samples[32:64, 32:64]
        assert masked.min() == 61
        # Who is not told of the padding takes nothing for it, and learns nothing of it here.
        untold = [mask(samples, one, [box(40, 40, 10, 20)], level(regions=styles)) for one in (described, BASE)]
        assert untold[0].samples.tobytes() == untold[1].samples.tobytes()
    whole = replace(described, padding=(0, 4095))
    assert mask(samples, whole, [box(40, 40, 10, 20)], at).samples[40, 40] == 0


def test_a_blank_frame_is_blank_in_the_frames_that_show_the_region() -> None:
    described = replace(BASE, number_of_frames=2)
    at = level(regions={**dict.fromkeys(RegionKind, RegionStyle.MOSAIC), RegionKind.FACE: RegionStyle.BLANK_FRAME})
    region = box(40, 40, 4, 4, kind=RegionKind.FACE, frames=frozenset({2}))
    assert not mask(noise(BASE, 1), described, [region], at, number=1).areas
    blank = mask(noise(BASE, 1), described, [region], at, number=2)
    assert blank.areas == ((0, 0, 96, 128),)
    assert not blank.samples.any()


def test_coarse_is_no_way_to_show_what_nobody_has_looked_at() -> None:
    at = level(unscreened=RegionStyle.COARSE, whole_frame=RegionStyle.COARSE)
    one, two = (mask(noise(BASE, seed), BASE, (), at, screened=False) for seed in (1, 2))
    assert one.samples.tobytes() == two.samples.tobytes()
    assert hides_all(at, screened=False)
    assert not hides_all(at, screened=True)
