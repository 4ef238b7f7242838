from __future__ import annotations

from typing import Any

import pytest
from pydicom import Dataset

from server.errors import UnsupportedPixels
from server.pixels.description import (
    ENCAPSULATED,
    EXPLICIT_LITTLE,
    JPEG_BASELINE,
    JPEG_LS_LOSSLESS,
    NATIVE,
    RLE,
    PixelKeyword,
    describe,
)


def header(**changes: Any) -> Dataset:
    dataset = Dataset()
    values = {
        "Rows": 4,
        "Columns": 6,
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "BitsAllocated": 16,
        "BitsStored": 12,
        "HighBit": 11,
        "PixelRepresentation": 0,
        **changes,
    }
    for keyword, value in values.items():
        if value is not None:
            setattr(dataset, keyword, value)
    return dataset


COLOR = {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "PlanarConfiguration": 1}
EIGHT = {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7}


def test_it_tells_what_the_header_says() -> None:
    told = describe(header(NumberOfFrames="7", LossyImageCompression="01"), EXPLICIT_LITTLE)
    assert told is not None
    assert (told.rows, told.columns, told.number_of_frames, told.dtype, told.lossy_history) == (4, 6, 7, "u2", True)
    assert told.frame_bits == 4 * 6 * 16
    assert describe(Dataset(), EXPLICIT_LITTLE) is None
    compressed = describe(header(**EIGHT), JPEG_BASELINE)
    assert compressed is not None
    assert compressed.lossy_history


def test_lossy_history_comes_from_either_place_and_is_never_argued_away() -> None:
    for uid, value, lossy in [
        (EXPLICIT_LITTLE, None, False),
        (EXPLICIT_LITTLE, "00", False),
        (JPEG_BASELINE, "00", True),
    ]:
        told = describe(header(**EIGHT, LossyImageCompression=value), uid)
        assert told is not None
        assert told.lossy_history is lossy


@pytest.mark.parametrize(
    "changes",
    [
        {"Rows": None},
        {"Rows": 0},
        {"Columns": [4, 5]},
        {"SamplesPerPixel": 2},
        {"SamplesPerPixel": 3},
        {"SamplesPerPixel": 4, "PhotometricInterpretation": "CMYK"},
        {"PhotometricInterpretation": "RGB"},
        {"PhotometricInterpretation": None},
        {"PhotometricInterpretation": "YBR_PARTIAL_422", "SamplesPerPixel": 3},
        {"BitsAllocated": 12},
        {"BitsAllocated": 64},
        {"BitsStored": 17},
        {"BitsStored": 0},
        {"HighBit": 16},
        {"HighBit": 10},
        {"PixelRepresentation": 2},
        {"PixelRepresentation": None},
        {"NumberOfFrames": 0},
        {"NumberOfFrames": 100_001},
        {**COLOR, "PixelRepresentation": 1},
        {**COLOR, "PlanarConfiguration": 2},
        {**COLOR, "PhotometricInterpretation": "YBR_RCT"},
        {**COLOR, **EIGHT, "PhotometricInterpretation": "YBR_FULL_422"},
        {**COLOR, **EIGHT, "PhotometricInterpretation": "YBR_FULL_422", "PlanarConfiguration": 0, "Columns": 5},
        {"PhotometricInterpretation": "PALETTE COLOR", "PixelRepresentation": 1},
        {"BitsAllocated": 1, "BitsStored": 1, "HighBit": 0, "PixelRepresentation": 1},
        {"Rows": 65_535, "Columns": 65_535},
    ],
)
def test_contradictions_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedPixels):
        describe(header(**changes), EXPLICIT_LITTLE)


@pytest.mark.parametrize(
    "uid",
    [
        "",
        "1.2.840.10008.1.2.4.100",
        "1.2.840.10008.1.2.4.110",
        "1.2.840.10008.1.2.1.98",
        "1.2.3",
        "1.2.840.10008.1.2.6.1",
    ],
)
def test_a_X16_an_unknown_transfer_syntax_is_refused(uid: str) -> None:
    with pytest.raises(UnsupportedPixels):
        describe(header(), uid)


def test_every_known_transfer_syntax_is_described() -> None:
    for uid in NATIVE | ENCAPSULATED:
        assert describe(header(**EIGHT), uid) is not None


@pytest.mark.parametrize(
    ("keyword", "bits", "kind"), [("FloatPixelData", 32, "f4"), ("DoubleFloatPixelData", 64, "f8")]
)
def test_floats(keyword: PixelKeyword, bits: int, kind: str) -> None:
    absent = {"BitsStored": None, "HighBit": None, "PixelRepresentation": None, "BitsAllocated": bits}
    told = describe(header(**absent), EXPLICIT_LITTLE, keyword=keyword)
    assert told is not None
    assert told.dtype == kind
    for changes, uid in (({"BitsAllocated": 16}, EXPLICIT_LITTLE), ({}, RLE), (COLOR, EXPLICIT_LITTLE)):
        with pytest.raises(UnsupportedPixels):
            describe(header(**{**absent, **changes}), uid, keyword=keyword)


def test_encapsulated_forms_that_no_codec_here_knows() -> None:
    one = {"BitsAllocated": 1, "BitsStored": 1, "HighBit": 0}
    for changes in (one, {"HighBit": 15}):
        with pytest.raises(UnsupportedPixels):
            describe(header(**changes), JPEG_LS_LOSSLESS)
