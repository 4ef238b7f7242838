"""The reference table of pixels: syntax x bits x sign x samples x photometric x frames, and the grey pipelines.

Each row is decoded, masked, put into every output format and rendered. pydicom's own decoders judge the samples, a
straightforward computation in floats (`wanted_of`) the pictures, within one grey level.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import imagecodecs
import numpy as np
import pytest
from builders import PixelFormat, chest_film, frame_samples, part10_bytes
from codec_table import decoded
from PIL import Image
from pixel_table import (
    AS_IS,
    FOUND,
    FOUND_LOSSY,
    HIDDEN,
    HIDDEN_LOSSY,
    LOSSLESS,
    MASKED,
    ROWS,
    Samples,
    as_shown,
    grey,
    stored,
    taken_apart,
    wanted_of,
)
from pydicom import Dataset
from pydicom import uid as uids
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence as DicomSequence

from server.pixels.display import display_attributes
from server.pixels.encode import (
    encodable,
    encode_gif,
    encode_jp2,
    encode_jpeg,
    encode_native,
    encode_png,
    encode_transfer_syntax,
    image_pixel_module,
)  # fmt: skip
from server.pixels.frame import Frame
from server.pixels.pool import DecoderPool
from server.pixels.redact import redact
from server.pixels.render import render


@pytest.fixture(scope="module")
def pool() -> Iterator[DecoderPool]:
    with DecoderPool(1, 30.0, 2 << 30) as shared:
        yield shared


@pytest.mark.parametrize("name", ROWS)
def test_a_row_decodes_as_pydicom_decodes_it(name: str, pool: DecoderPool) -> None:
    row = stored(name, pool)
    syntax, pixels = ROWS[name]
    if syntax == uids.JPEGExtended12Bit:
        # pydicom has no decoder for it: near what was encoded.
        wanted = frame_samples(replace(pixels, rows=96, columns=128), 1)
        assert np.abs(row.frames[0].samples.astype(int) - wanted).max() <= 40
        return
    judged = decoded(row.dataset)
    assert len(judged) == len(row.frames) == pixels.frames
    for frame, wanted in zip(row.frames, judged, strict=True):
        assert frame.samples.shape == wanted.shape
        # A header that calls a lossless JPEG's samples signed is the judge's to apply, in a type of its own.
        as_wanted = frame.samples.astype(wanted.dtype) if wanted.dtype == np.int64 else frame.samples.view(wanted.dtype)
        assert np.array_equal(as_wanted, wanted)


@pytest.mark.parametrize("name", ROWS)
def test_a_row_is_masked_where_it_should_be_and_nowhere_else(name: str, pool: DecoderPool) -> None:
    row = stored(name, pool)
    where = HIDDEN_LOSSY if row.lossy else HIDDEN
    for number, frame in enumerate(row.frames, 1):
        if frame.samples.shape[0] < 96:
            continue
        other = frame.samples.copy()
        other[where] = other[where][::-1, ::-1]
        second = replace_samples(frame, other)
        found = FOUND_LOSSY if row.lossy else FOUND
        masks = [redact(one, found, MASKED, screened=True, frame_number=number) for one in (frame, second)]
        assert masks[0].areas == ((32, 32, where[0].stop, where[1].stop),)
        assert np.array_equal(masks[0].samples, masks[1].samples, equal_nan=True)
        outside = np.ones(frame.samples.shape[:2], bool)
        outside[where] = False
        assert np.array_equal(masks[0].samples[outside], as_shown(row, number).samples[outside])


def replace_samples(frame: Frame, samples: Samples) -> Frame:
    return Frame(
        samples=samples, photometric_interpretation=frame.photometric_interpretation, description=frame.description
    )


@pytest.mark.parametrize("name", ROWS)
def test_a_row_comes_back_out_of_every_lossless_format(name: str, pool: DecoderPool) -> None:
    row = stored(name, pool)
    found = FOUND_LOSSY if row.lossy else FOUND
    fits = row.frames[0].samples.shape[0] >= 96
    masked = [
        redact(one, found if fits else (), MASKED, screened=True, frame_number=number)
        for number, one in enumerate(row.frames, 1)
    ]
    described = masked[0].description
    for syntax in (uids.ExplicitVRLittleEndian, *LOSSLESS):
        if not encodable(syntax, described):
            integer = described.data_kind == "integer" and described.bits_allocated in (8, 16)
            assert not integer or described.shift, "every whole-byte form of integers up to 16 bits has every syntax"
            continue
        ds = Dataset()
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = syntax
        for keyword, value in image_pixel_module(masked[0]).items():
            setattr(ds, keyword, value)
        ds.NumberOfFrames = len(masked)
        if syntax == uids.ExplicitVRLittleEndian:
            keyword = {"float": "FloatPixelData", "double": "DoubleFloatPixelData"}.get(
                described.data_kind, "PixelData"
            )
            native = encode_native(masked)
            setattr(ds, keyword, native + b"\0" * (len(native) % 2))
        else:
            keyword = "PixelData"
            ds.PixelData = encapsulate([encode_transfer_syntax(one, syntax) for one in masked])
        ds[keyword].VR = "OB" if described.bits_allocated <= 8 or syntax in LOSSLESS else ds[keyword].VR
        if keyword == "PixelData" and ds[keyword].VR not in ("OB", "OW"):
            ds[keyword].VR = "OW"
        ds.set_original_encoding(is_implicit_vr=False, is_little_endian=True)
        for one, wanted in zip(decoded(ds), masked, strict=True):
            assert one.shape == wanted.samples.shape, syntax
            assert np.array_equal(one, wanted.samples, equal_nan=described.data_kind != "integer"), syntax


@pytest.mark.parametrize("name", ROWS)
def test_a_row_is_rendered_as_floats_say(name: str, pool: DecoderPool) -> None:
    row = stored(name, pool)
    for number, frame in enumerate(row.frames, 1):
        picture = render(as_shown(row, number), AS_IS, display_attributes(row.dataset, frame_number=number))
        wanted = wanted_of(frame, row.dataset)
        assert picture.pixels.shape == wanted.shape
        assert np.abs(picture.pixels - wanted).max() <= 1.0
        # Every format of pictures holds this one: exactly, but for JPEG and for a GIF's 256 colours.
        plain = picture.pixels.squeeze(axis=2) if picture.pixels.shape[2] == 1 else picture.pixels
        assert np.array_equal(opened(encode_png(picture)), plain)
        assert np.array_equal(imagecodecs.jpeg2k_decode(encode_jp2(picture)), plain)
        assert np.abs(opened(encode_jpeg(picture, 95)).astype(int) - plain).mean() < 3
        gif = opened(encode_gif([picture]), "L" if plain.ndim == 2 else "RGB")
        assert np.array_equal(gif, plain) if plain.ndim == 2 else np.abs(gif.astype(int) - plain).mean() < 12


def opened(body: bytes, mode: str | None = None) -> Samples:
    image = Image.open(io.BytesIO(body))
    return np.asarray(image.convert(mode) if mode else image)


# Grey pipelines: what a data set may say between stored values and grey levels, one at a time and together.


def _lut(count: int, first: int, bits: int, seed: int) -> Dataset:
    item = Dataset()
    entries = np.sort(np.random.default_rng(seed).integers(0, 1 << bits, count)).astype("<u2")
    item.add_new("LUTDescriptor", "SS" if first < 0 else "US", [count % 65536, first, bits])
    item.add_new("LUTData", "OW", entries.tobytes())
    return item


def _grouped(**perframe: Any) -> dict[str, Any]:
    """Functional groups: a rescale for all frames, a window for the first."""
    rescale, window, shared, own = Dataset(), Dataset(), Dataset(), Dataset()
    rescale.RescaleSlope, rescale.RescaleIntercept = "2", "-500"
    for keyword, value in perframe.items():
        setattr(window, keyword, value)
    shared.PixelValueTransformationSequence = DicomSequence([rescale])
    own.FrameVOILUTSequence = DicomSequence([window])
    return {
        "SharedFunctionalGroupsSequence": DicomSequence([shared]),
        "PerFrameFunctionalGroupsSequence": DicomSequence([own]),
    }


_BARE = {"WindowCenter": None, "WindowWidth": None}
PIPELINES: Mapping[str, dict[str, Any]] = {
    "window": {"WindowCenter": 700, "WindowWidth": 900},
    "window of width one": {"WindowCenter": 700, "WindowWidth": 1},
    "the first of several windows": {"WindowCenter": [700, 100], "WindowWidth": [900, 50]},
    "linear exact": {"WindowCenter": 700, "WindowWidth": 900, "VOILUTFunction": "LINEAR_EXACT"},
    "linear exact, narrow": {"WindowCenter": 700, "WindowWidth": 0.5, "VOILUTFunction": "LINEAR_EXACT"},
    "sigmoid": {"WindowCenter": 700, "WindowWidth": 900, "VOILUTFunction": "SIGMOID"},
    "rescale": {"RescaleSlope": "1.5", "RescaleIntercept": "-1024", "WindowCenter": 40, "WindowWidth": 400},
    "falling rescale": {"RescaleSlope": "-1", "RescaleIntercept": "100", "WindowCenter": 40, "WindowWidth": 400},
    "modality table": {
        "ModalityLUTSequence": DicomSequence([_lut(1024, 0, 16, 1)]), "WindowCenter": 30000, "WindowWidth": 60000,
    },
    "voi table": {**_BARE, "VOILUTSequence": DicomSequence([_lut(900, 30, 10, 2), _lut(4, 0, 16, 3)])},
    "voi table of negative numbers": {
        **_BARE, "RescaleIntercept": "-300", "VOILUTSequence": DicomSequence([_lut(900, -200, 16, 4)]),
    },
    "both tables": {
        **_BARE,
        "ModalityLUTSequence": DicomSequence([_lut(1024, 0, 16, 1)]),
        "VOILUTSequence": DicomSequence([_lut(60000, 500, 12, 5)]),
    },
    "a window before a table": {"VOILUTSequence": DicomSequence([_lut(900, 30, 16, 2)])},
    "nothing said": dict(_BARE),
    "inverse shape": {"PresentationLUTShape": "INVERSE"},
    "identity shape": {"PresentationLUTShape": "IDENTITY"},
    "padding": {**_BARE, "PixelPaddingValue": 200},
    "padding range": {**_BARE, "PixelPaddingValue": 100, "PixelPaddingRangeLimit": 400},
    "functional groups": _grouped(WindowCenter=300, WindowWidth=700),
    "a sigmoid in functional groups": _grouped(WindowCenter=300, WindowWidth=700, VOILUTFunction="SIGMOID"),
    "a table in functional groups": _grouped(VOILUTSequence=DicomSequence([_lut(2000, 0, 12, 6)])),
}  # fmt: skip
FORMS = (grey(10, 16), grey(10, 16, inverted=True), grey(12, 16, signed=True), grey(20, 32, signed=True), grey(8, 8))


@pytest.mark.parametrize("pixels", FORMS, ids=lambda one: f"{one.photometric} {one.bits_stored}{'s' * one.signed}")
@pytest.mark.parametrize("name", PIPELINES)
def test_a_pipeline_is_rendered_as_floats_say(name: str, pixels: PixelFormat, pool: DecoderPool) -> None:
    ds = chest_film(pixels)
    for keyword, value in PIPELINES[name].items():
        if value is None:
            del ds[keyword]
        else:
            setattr(ds, keyword, value)
    for keyword in ("PixelPaddingValue", "PixelPaddingRangeLimit"):
        if keyword in ds:
            ds[keyword].VR = "SS" if pixels.signed else "US"
    row = taken_apart(part10_bytes(ds), pool)
    picture = render(as_shown(row, 1), AS_IS, display_attributes(row.dataset))
    wanted = wanted_of(row.frames[0], row.dataset)
    assert np.abs(picture.pixels - wanted).max() <= 1.0
    assert pixels.bits_stored == 8 or picture.pixels.min() < picture.pixels.max()


def test_the_table_is_not_smaller_than_it_says() -> None:
    """Every axis of the table has the values that it must have."""
    with warnings.catch_warnings(action="error"):
        forms = [pixels for _, pixels in ROWS.values()]
    assert {one.bits_stored for one in forms} >= {1, 8, 10, 12, 15, 16, 32}
    assert {one.data_kind for one in forms} == {"integer", "float", "double"}
    assert {one.signed for one in forms} == {False, True}
    assert {one.frames > 1 for one in forms} == {False, True}
    assert {one.photometric for one in forms} == {
        "MONOCHROME1", "MONOCHROME2", "RGB", "YBR_FULL", "YBR_FULL_422", "PALETTE COLOR",
    }  # fmt: skip
    assert len({syntax for syntax, _ in ROWS.values()}) == 16
