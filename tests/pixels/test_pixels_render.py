from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pixel_kit import BASE, FORMATS, frame, level, noise, shown
from pydicom import Dataset, dcmread
from pydicom.pixels.processing import apply_color_lut, apply_windowing, convert_color_space
from pydicom.sequence import Sequence
from reference import Reference

from server.errors import BadRequest, UnsupportedPixels
from server.model import Region, RegionKind, RenderParameters, Viewport, Window, WindowFunction
from server.pixels.decode import decode_native
from server.pixels.description import EXPLICIT_LITTLE, describe
from server.pixels.display import DisplayAttributes, Table, display_attributes
from server.pixels.redact import redact
from server.pixels.render import MaskedPicture, render

AS_IS = RenderParameters()


def small(values: list[list[int]], name: str = "grey 12 in 16") -> Any:
    description = replace(FORMATS[name], rows=len(values), columns=len(values[0]))
    return shown(np.array(values, description.dtype)[:, :, np.newaxis], description)


def grey(picture: MaskedPicture) -> NDArray[np.uint8]:
    return picture.pixels[:, :, 0]


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize("name", ["grey 12 in 16", "grey 12 in 16 signed", "grey 16", "grey 32", "float"])
def test_windows_agree_with_pydicom(function: WindowFunction, name: str) -> None:
    description = FORMATS[name]
    samples = noise(description, 1)
    if name == "float":
        samples = np.random.default_rng(1).normal(300, 200, samples.shape).astype("f4")
    masked = shown(samples, description, keep_unused_bits=False)
    picture = render(
        masked, RenderParameters(window=Window(center=300, width=500, function=function)), DisplayAttributes()
    )
    dataset = Dataset()
    dataset.PhotometricInterpretation, dataset.BitsStored, dataset.PixelRepresentation = "MONOCHROME2", 8, 0
    dataset.WindowCenter, dataset.WindowWidth, dataset.VOILUTFunction = 300, 500, function
    wanted = apply_windowing(masked.samples.astype("f8"), dataset) if name != "float" else None
    if wanted is None:
        dataset.RescaleSlope, dataset.RescaleIntercept = 1, 0
        wanted = apply_windowing(masked.samples.astype("f8"), dataset)
    assert np.abs(picture.pixels.astype("f8") - np.clip(wanted, 0, 255)).max() <= 0.51


def test_the_request_then_the_data_set_then_what_is_shown() -> None:
    masked = small([[0, 100, 200, 1020]])
    display = DisplayAttributes(windows=(Window(center=100, width=200, function="LINEAR_EXACT"),))
    asked = RenderParameters(window=Window(center=150, width=100, function="LINEAR_EXACT"))
    assert grey(render(masked, AS_IS, DisplayAttributes())).tolist() == [[0, 25, 50, 255]]
    assert grey(render(masked, AS_IS, display)).tolist() == [[0, 128, 255, 255]]
    assert grey(render(masked, asked, display)).tolist() == [[0, 0, 255, 255]]


def test_the_automatic_window_looks_at_shown_samples_only() -> None:
    samples = np.full((96, 128, 1), 1000, np.uint16)
    samples[0, 0] = 900
    samples[40:44, 40:44] = 4095
    masked = redact(
        frame(samples),
        [Region(kind=RegionKind.TEXT, top_row=40, left_column=40, row_count=4, column_count=4)],
        level(),
        screened=True,
        frame_number=1,
    )
    assert grey(render(masked, AS_IS, DisplayAttributes()))[80, 80] == 255


def test_monochrome1_rescale_and_tables() -> None:
    inverted = small([[0, 255]], "grey 8 inverted")
    assert grey(render(inverted, AS_IS, DisplayAttributes())).tolist() == [[255, 0]]
    scaled = DisplayAttributes(slope=2, intercept=-100, windows=(Window(center=0, width=200, function="LINEAR_EXACT"),))
    assert grey(render(small([[0, 50, 100]], "grey 8"), AS_IS, scaled)).tolist() == [[0, 128, 255]]
    table = DisplayAttributes(voi_lut=Table(first=1, entries=np.array([0, 7, 15])), voi_output=15)
    assert grey(render(small([[0, 2, 9]], "grey 8"), AS_IS, table)).tolist() == [[0, 119, 255]]
    modality = DisplayAttributes(modality_lut=Table(first=0, entries=np.array([5, 0, 10])))
    assert grey(render(small([[0, 1, 2]], "grey 8"), AS_IS, modality)).tolist() == [[128, 0, 255]]


def test_low_bits_and_one_bit() -> None:
    raised = replace(FORMATS["grey 12 in 16, high bit 15"], rows=1, columns=2)
    masked = shown(np.array([[[0x000F], [0xFFF0]]], np.uint16), raised)
    assert grey(render(masked, AS_IS, DisplayAttributes())).tolist() == [[0, 255]]
    assert grey(render(small([[0, 1]], "one bit"), AS_IS, DisplayAttributes())).tolist() == [[0, 255]]


@pytest.mark.parametrize("name", ["mlut_18.dcm", "vlut_04.dcm", "examples_palette.dcm", "gdcm-US-ALOKA-16.dcm"])
def test_lookup_tables_of_real_files(name: str) -> None:
    dataset = dcmread(Reference(name=name, photometric="").path)
    description = describe(dataset, EXPLICIT_LITTLE)
    assert description is not None
    samples = decode_native(dataset.PixelData, description).samples
    picture = render(shown(samples, description), AS_IS, display_attributes(dataset))
    if "PaletteColor" in "".join(dataset.dir()):
        wanted = apply_color_lut(samples[:, :, 0], dataset)
        wanted = wanted >> 8 if wanted.dtype.itemsize == 2 else wanted
        assert np.array_equal(picture.pixels, wanted)
    else:
        assert picture.pixels.shape[2] == 1
        assert picture.pixels.std() > 10


def test_a_palette_frame_without_its_palette_is_refused() -> None:
    description = FORMATS["palette 8"]
    with pytest.raises(UnsupportedPixels):
        render(shown(noise(description, 1), description), AS_IS, DisplayAttributes())


def test_colours() -> None:
    ybr = FORMATS["ybr 8"]
    samples = noise(ybr, 2)
    wanted = convert_color_space(samples, "YBR_FULL", "RGB")
    picture = render(shown(samples, ybr), AS_IS, DisplayAttributes()).pixels
    assert np.abs(picture.astype(int) - wanted).max() <= 2
    for name in ("rgb 8", "rgb 16", "rgb 32"):
        samples = noise(FORMATS[name], 3)
        bits = FORMATS[name].bits_stored
        rgb = render(shown(samples, FORMATS[name]), AS_IS, DisplayAttributes()).pixels
        assert np.abs(rgb - samples / (2.0**bits - 1) * 255).max() <= 0.51


def test_viewports() -> None:
    masked = small([[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11], [12, 13, 14, 255]], "grey 8")
    display = DisplayAttributes(windows=(Window(center=127.5, width=255, function="LINEAR_EXACT"),))

    def through(**view: int) -> list[list[int]]:
        shown: list[list[int]] = grey(render(masked, RenderParameters(viewport=Viewport(**view)), display)).tolist()
        return shown

    assert through(width=2, height=2, left=1, top=1, source_width=2, source_height=2) == [[5, 6], [9, 10]]
    assert through(width=2, height=2, left=1, top=1, source_width=-2, source_height=2) == [[6, 5], [10, 9]]
    assert through(width=2, height=2, left=1, top=1, source_width=2, source_height=-2) == [[9, 10], [5, 6]]
    assert through(width=2, height=99, left=2, top=0, source_height=2) == [[2, 3], [6, 7]]
    assert np.array(through(width=8, height=6)).shape == (6, 6)
    assert through(width=1, height=1, left=3, top=3, source_width=50, source_height=50) == [[255]]
    for view in ({"left": 4}, {"top": 9}, {"left": -3, "source_width": 2}, {"source_width": 0}):
        with pytest.raises(BadRequest):
            through(width=2, height=2, **view)
    for width in (0, -5, 65_536):
        with pytest.raises(BadRequest):
            through(width=width, height=2)


def test_a_X12_a_bounded_level_never_shows_more_however_one_zooms() -> None:
    samples = (noise(FORMATS["grey 8"], 5) // 2 * 2).astype(np.uint8)
    masked = shown(samples, FORMATS["grey 8"], longest_side=32)
    whole = render(masked, AS_IS, DisplayAttributes()).pixels
    assert whole.shape == (24, 32, 1)
    view = Viewport(width=8, height=6, left=32, top=24, source_width=32, source_height=24)
    part = render(masked, RenderParameters(viewport=view), DisplayAttributes()).pixels
    assert np.array_equal(part, whole[6:12, 8:16])


def test_pixels_that_are_not_square() -> None:
    masked = shown(noise(FORMATS["grey 8"], 6), FORMATS["grey 8"])
    assert render(masked, AS_IS, DisplayAttributes(pixel_aspect=2.0)).pixels.shape == (96, 64, 1)
    assert render(masked, AS_IS, DisplayAttributes(pixel_aspect=0.5)).pixels.shape == (48, 128, 1)


@pytest.mark.parametrize(("center", "width"), [(0, 0.5), (0, 0), (0, -1), (float("nan"), 5), (0, float("inf"))])
def test_a_window_that_makes_no_sense_is_refused(center: float, width: float) -> None:
    with pytest.raises(BadRequest):
        Window(center=center, width=width)


def test_display_attributes_come_from_the_frame_first_and_nonsense_is_left_out() -> None:
    dataset = Dataset()
    dataset.WindowCenter, dataset.WindowWidth = [40, 50, 60], [0, 400, 5]
    dataset.RescaleSlope, dataset.RescaleIntercept = "0", "-1024"
    dataset.PixelSpacing = ["0.5", "0.25"]
    told = display_attributes(dataset)
    assert [(window.center, window.width) for window in told.windows] == [(50, 400), (60, 5)]
    assert (told.slope, told.intercept, told.pixel_aspect) == (1.0, -1024.0, 2.0)
    window, group = Dataset(), Dataset()
    window.WindowCenter, window.WindowWidth = 1, 2
    group.FrameVOILUTSequence = Sequence([window])
    dataset.PerFrameFunctionalGroupsSequence = Sequence([Dataset(), group])
    assert display_attributes(dataset, frame_number=2).windows == (Window(center=1, width=2),)
    assert len(display_attributes(dataset, frame_number=1).windows) == 2
    assert display_attributes(Dataset()).windows == ()


def test_broken_lookup_tables_are_refused() -> None:
    for keyword in ("ModalityLUTSequence", "VOILUTSequence"):
        dataset, item = Dataset(), Dataset()
        item.LUTDescriptor = [4, 0, 16]
        setattr(dataset, keyword, Sequence([item]))
        with pytest.raises(UnsupportedPixels):
            display_attributes(dataset)
    palette = Dataset()
    palette.PhotometricInterpretation = "PALETTE COLOR"
    palette.RedPaletteColorLookupTableDescriptor = [4, 0, 16]
    with pytest.raises(UnsupportedPixels):
        display_attributes(palette)


def test_only_render_makes_a_picture_and_only_of_masked_frames() -> None:
    with pytest.raises(TypeError):
        MaskedPicture(pixels=np.zeros((1, 1, 1), np.uint8), profile=b"", maker=object())
    with pytest.raises(TypeError):
        render(frame(noise(BASE, 1)), AS_IS, DisplayAttributes())  # type: ignore[arg-type]
