"""Base renditions: whatever is drawn over them comes out as the masker, the window and the encoder make it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from numpy.typing import NDArray
from pixel_kit import BASE, FORMATS, level

from server.errors import DecodeFailed
from server.model import ElementAction, MaskingLevel, Region, RegionKind, RegionStyle, RenderParameters, Window
from server.pixels import base as bases
from server.pixels.base import FACTS, FIRST_BAND, NUMBERS, SEGMENTS, STREAM, Base, Needs, base_of, flat_alone, read
from server.pixels.description import PixelDescription
from server.pixels.display import DisplayAttributes, Table
from server.pixels.encode import encode_jpeg
from server.pixels.frame import Frame
from server.pixels.redact import redact
from server.pixels.render import MaskedPicture, render
from server.pixels.rows import FlatRows, MaskedRows, redact_rows

FORM = replace(BASE, rows=300, columns=600, padding=(0, 400))
DISPLAY = DisplayAttributes(windows=(Window(center=2048, width=4096),))
KEPT = dict.fromkeys(RegionKind, RegionStyle.KEEP)
MASKED = {**dict.fromkeys(RegionKind, RegionStyle.MOSAIC), RegionKind.BACKGROUND: RegionStyle.FLATTEN}
LEVELS = {
    "mosaic": level(regions=MASKED),
    "filled": level(regions={**MASKED, RegionKind.TEXT: RegionStyle.FILL}, masked_notice=True),
    "noticed": level(regions=MASKED, masked_notice=True),
    "unflattened": level(regions={**MASKED, RegionKind.BACKGROUND: RegionStyle.KEEP}, keep_markers=True),
    "all bits": level(regions=MASKED, keep_unused_bits=True),
    "padding told": level(
        regions=MASKED,
        elements=replace(level().elements, by_tag={0x00280120: ElementAction.KEEP}),
    ),
    "faces alone": level(regions={**KEPT, RegionKind.FACE: RegionStyle.MOSAIC}),
}
OPEN = level(regions=KEPT, unscreened=RegionStyle.KEEP, keep_unused_bits=True)
LEFT = Region(kind=RegionKind.BACKGROUND, top_row=0, left_column=0, row_count=300, column_count=96)
TOP = Region(kind=RegionKind.BACKGROUND, top_row=0, left_column=96, row_count=64, column_count=504)


def text(top: int, left: int, rows: int, columns: int, **others: Any) -> Region:
    named = {"kind": RegionKind.TEXT, **others}
    return Region(top_row=top, left_column=left, row_count=rows, column_count=columns, **named)


@pytest.fixture(autouse=True, scope="module")
def _of_any_size() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bases, "LEAST_PIXELS", 1)
        patch.setattr(bases, "_MOST", 1.0)
        yield


def frame_of(form: PixelDescription, seed: int = 1) -> Frame:
    """Grain around a slope, dark at the left and at the top, every bit of a cell in use."""
    chance = np.random.default_rng(seed)
    slope = np.add.outer(np.arange(form.rows), np.arange(form.columns)) / (form.rows + form.columns)
    slope[:, :96] = slope[:64] = 0.02
    bits = (slope * 0.9 + chance.normal(0.04, 0.01, slope.shape)).clip(0, 1) * ((1 << form.bits_stored) - 1)
    whole = bits.astype(np.int64) << form.shift
    cells = whole.astype(f"u{form.bits_allocated // 8}").view(form.dtype)[:, :, np.newaxis]
    return Frame(samples=cells, photometric_interpretation=form.photometric_interpretation, description=form)


def direct(frame: Frame, regions: Sequence[Region], shown: MaskingLevel, display: DisplayAttributes) -> MaskedPicture:
    masked = redact(frame, regions, shown, screened=True, frame_number=1)
    return render(masked, RenderParameters(), display)


def made(
    frame: Frame, regions: Sequence[Region], shown: MaskingLevel, display: DisplayAttributes = DISPLAY
) -> list[bytes] | None:
    kept = flat_alone(regions, shown, frame.description)
    if kept is None:
        return None
    flat = redact(frame, kept, shown, screened=True, frame_number=1)
    return base_of(flat, render(flat, RenderParameters(), display), display, shown, regions)


def drawn(parts: list[bytes], regions: Sequence[Region], shown: MaskingLevel) -> bytes | None:
    base = read(parts[FACTS], parts[NUMBERS])
    needs = bases.needs(base, regions, shown)
    if needs is None:
        return None
    bands = [parts[FIRST_BAND + band] for band in needs.bands]
    return bases.masked_stream(base, parts[STREAM], bands, needs, regions, shown)


CASES: dict[str, list[Region]] = {
    "none": [],
    "one row": [text(100, 200, 1, 200)],
    "first and last row": [text(0, 300, 1, 40), text(299, 300, 1, 40)],
    "corners": [text(0, 0, 5, 5), text(295, 595, 5, 5), text(0, 595, 5, 5), text(295, 0, 5, 5)],
    "all rows": [text(0, 250, 300, 20)],
    "all of it": [text(0, 0, 300, 600)],
    "under the notice": [text(270, 10, 25, 80)],
    "beside each other": [text(100, 100, 30, 60), text(100, 200, 30, 60), text(140, 150, 20, 20)],
    "over each other": [text(100, 100, 60, 60), text(130, 120, 60, 100, kind=RegionKind.FACE)],
    "a marker": [text(150, 300, 40, 40, content="marker")],
    "an odd size": [text(77, 333, 91, 113)],
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", LEVELS)
@pytest.mark.parametrize("backgrounds", [(), (LEFT,), (LEFT, TOP)])
def test_the_stream_is_that_of_the_picture_masked_as_a_whole(
    case: str, name: str, backgrounds: tuple[Region, ...]
) -> None:
    """Made under other regions than those that are in force when it is asked for."""
    frame, shown = frame_of(FORM), LEVELS[name]
    parts = made(frame, [*backgrounds, text(200, 500, 10, 10)], shown)
    assert parts is not None
    assert len(parts) == SEGMENTS
    regions = [*CASES[case], *backgrounds]
    assert drawn(parts, regions, shown) == encode_jpeg(direct(frame, regions, shown, DISPLAY), 90)


GREY = {name: form for name, form in FORMATS.items() if form.photometric_interpretation.startswith("MONO")}


@pytest.mark.parametrize("name", [name for name, form in GREY.items() if form.bits_allocated in (8, 16)])
@pytest.mark.parametrize("size", [(300, 600), (257, 301), (100, 50)])
def test_every_form_of_samples(name: str, size: tuple[int, int]) -> None:
    form = replace(FORMATS[name], rows=size[0], columns=size[1])
    frame = frame_of(form)
    for display in (
        DISPLAY,
        replace(DISPLAY, inverse=True, slope=2.0, intercept=-10.0, padding=(0,)),
        DisplayAttributes(voi_lut=Table(first=0, entries=np.arange(256) ** 2), voi_output=65_535),
    ):
        parts = made(frame, [], LEVELS["noticed"], display)
        assert parts is not None
        regions = [text(10, 10, 30, 20), text(size[0] - 9, size[1] - 9, 9, 9)]
        whole = encode_jpeg(direct(frame, regions, LEVELS["noticed"], display), 90)
        assert drawn(parts, regions, LEVELS["noticed"]) == whole


_SIDES = some.tuples(some.integers(0, 299), some.integers(0, 599), some.integers(1, 120), some.integers(1, 300))


@settings(max_examples=60)
@given(
    sides=some.lists(_SIDES, max_size=5),
    kinds=some.lists(some.sampled_from([RegionKind.TEXT, RegionKind.FACE, RegionKind.MANUAL]), min_size=5, max_size=5),
    name=some.sampled_from(sorted(LEVELS)),
    flat=some.sampled_from([(), (LEFT,), (LEFT, TOP)]),
    rows=some.sampled_from([300, 289, 257]),
)
def test_whatever_is_found_later(
    sides: list[tuple[int, int, int, int]], kinds: list[RegionKind], name: str, flat: tuple[Region, ...], rows: int
) -> None:
    form, shown = replace(FORM, rows=rows), LEVELS[name]
    flat = tuple(replace(one, row_count=min(one.row_count, rows)) for one in flat)
    frame = frame_of(form)
    found = [
        text(top % rows, left, min(down, rows - top % rows), min(across, 600 - left), kind=kind)
        for (top, left, down, across), kind in zip(sides, kinds, strict=False)
    ]
    parts = made(frame, flat, shown)
    assert parts is not None
    regions = [*flat, *found]
    picture = direct(frame, regions, shown, DISPLAY)
    assert drawn(parts, regions, shown) == encode_jpeg(picture, 90)
    # Wherever the masked picture differs from the base, its segment is one of those that are encoded anew.
    before = direct(frame, flat, shown, DISPLAY)
    base = read(parts[FACTS], parts[NUMBERS])
    needs = bases.needs(base, regions, shown)
    assert needs is not None
    down, across = np.nonzero((picture.pixels != before.pixels)[:, :, 0])
    segments = (down // 8 * base.grid.across + across // 8) // 32
    assert set(segments.tolist()) <= set(needs.segments.tolist())


@pytest.mark.parametrize("name", LEVELS)
def test_hidden_samples_change_no_byte(name: str) -> None:
    """Two films that differ under the boxes alone: their bases differ, what is sent does not, nor does its length."""
    shown = LEVELS[name]
    regions = [LEFT, text(110, 210, 40, 90, kind=RegionKind.FACE), text(200, 400, 70, 150, kind=RegionKind.FACE)]
    frame = frame_of(FORM)
    other = frame.samples.copy()
    for one in regions[1:]:
        top, left = one.top_row, one.left_column
        other[top : top + one.row_count, left : left + one.column_count] = 4095
    twin = replace(frame, samples=other)
    for before in ([LEFT], regions):
        parts, others = made(frame, before, shown), made(twin, before, shown)
        assert parts is not None
        assert others is not None
        assert parts[STREAM] != others[STREAM]
        assert drawn(parts, regions, shown) == drawn(others, regions, shown)


def test_a_level_that_hides_nothing_has_a_base_without_bands() -> None:
    frame = frame_of(FORM)
    parts = made(frame, [LEFT, text(5, 5, 5, 5)], OPEN)
    assert parts is not None
    assert not any(parts[FIRST_BAND:])
    assert drawn(parts, [text(9, 9, 9, 9)], OPEN) == encode_jpeg(direct(frame, [], OPEN, DISPLAY), 90)
    # At a level that hides something after all it is of no use.
    assert drawn(parts, [text(9, 9, 9, 9)], LEVELS["unflattened"]) is None


def test_what_a_base_does_not_fit_goes_the_direct_road() -> None:
    frame, shown = frame_of(FORM), LEVELS["mosaic"]
    parts = made(frame, [LEFT], shown)
    assert parts is not None
    assert drawn(parts, [], shown) is None, "a background that is none any more"
    assert drawn(parts, [LEFT, TOP], shown) is None, "a background that was found later"
    beyond = text(0, 0, 301, 5)
    assert drawn(parts, [LEFT, beyond], shown) is None, "what does not fit hides all, the background with it"
    coarse = replace(shown, whole_frame=RegionStyle.COARSE)
    assert drawn(parts, [LEFT], coarse) is None
    technique = text(100, 100, 30, 100, content="technique")
    beside = text(131, 100, 10, 100)
    lines = replace(shown, keep_machine_text=True)
    assert drawn(parts, [LEFT, technique, beside], lines) is None, "a line that stays beside a mask"


def test_nothing_is_made_where_a_picture_is_not_of_this_kind() -> None:
    frame = frame_of(FORM)
    assert made(frame, [], replace(LEVELS["mosaic"], longest_side=100)) is None
    assert made(frame, [], replace(LEVELS["mosaic"], outline_regions=True)) is None
    assert made(frame, [], replace(LEVELS["mosaic"], whole_frame=RegionStyle.MOSAIC)) is None
    assert made(frame, [], replace(LEVELS["mosaic"], whole_frame=RegionStyle.COARSE)) is None
    assert made(frame, [text(0, 0, 301, 5)], LEVELS["mosaic"]) is None
    assert made(frame, [], LEVELS["mosaic"], DisplayAttributes()) is None, "its window would be its own range"
    assert made(frame, [], LEVELS["mosaic"], replace(DISPLAY, pixel_aspect=2.0)) is None
    assert made(frame, [], OPEN, replace(DISPLAY, pixel_aspect=2.0)) is None
    assert made(frame, [], OPEN, replace(DISPLAY, profile=b"an ICC profile")) is not None, "it is not asked for"
    wide = replace(FORM, bits_allocated=32, bits_stored=32, high_bit=31)
    assert made(frame_of(wide), [], LEVELS["mosaic"]) is None


def test_parts_of_another_form_are_refused() -> None:
    frame, shown = frame_of(FORM), LEVELS["mosaic"]
    parts = made(frame, [], shown)
    assert parts is not None
    with pytest.raises(DecodeFailed):
        read(parts[FACTS], parts[NUMBERS][:-1])
    base = read(parts[FACTS], parts[NUMBERS])
    regions = [text(100, 100, 30, 60)]
    needs = bases.needs(base, regions, shown)
    assert needs is not None
    bands = [parts[FIRST_BAND + band] for band in needs.bands]
    with pytest.raises(DecodeFailed):
        bases.masked_stream(base, parts[STREAM], [bands[0][:-9], *bands[1:]], needs, regions, shown)
    fewer = Needs(segments=needs.segments, bands=needs.bands[1:])
    with pytest.raises(ValueError, match="do not tell"):
        bases.masked_stream(base, parts[STREAM], bands[1:], fewer, regions, shown)


def test_only_the_masker_of_rows_makes_masked_rows() -> None:
    samples: NDArray[np.uint16] = np.zeros((32, 600, 1), np.uint16)
    with pytest.raises(TypeError, match="only redact_rows"):
        MaskedRows(samples=samples, bands=(0,), boxes=(), description=FORM, maker=object())
    base: Base = read(*(made(frame_of(FORM), [], LEVELS["mosaic"]) or [])[:2])
    rows = FlatRows(
        samples=samples,
        bands=(0,),
        picked=base.picked,
        flat=(),
        photometric_interpretation="MONOCHROME2",
        description=FORM,
    )
    masked = redact_rows(rows, [], LEVELS["mosaic"])
    assert not masked.samples.flags.writeable
