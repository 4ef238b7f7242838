"""Writing: pydicom reads what we write; the level that masks nothing sends what was stored; a.M7 and a.M8."""

from __future__ import annotations

import io
import struct
import warnings
from pathlib import Path

import pydicom
import pytest
from metadata_films import (
    DEIDENTIFIED,
    ORIGINAL,
    SYNTAXES_ENCAPSULATED,
    film,
    joined,
    names,
    part10,
    stored,
    wheel_files,
)
from pydicom.dataset import Dataset
from pydicom.encaps import generate_fragments, parse_basic_offsets

from server.errors import NotAcceptable, SafelightError
from server.metadata import write as writing
from server.metadata.deidentify import ORIGINAL_EXCEPTIONS, deidentify
from server.metadata.masked import MaskedDataset
from server.metadata.part10 import StoredObject, read
from server.metadata.pseudonyms import IdentityMapping
from server.metadata.write import EncapsulatedPixels, NativePixels, write

EXPLICIT = "1.2.840.10008.1.2.1"
RLE = "1.2.840.10008.1.2.5"
PIXELS = NativePixels(value=b"\x01\x02\x03")


def original(found: StoredObject) -> MaskedDataset:
    return deidentify(found.elements, ORIGINAL, IdentityMapping(), pixels_masked=False)


def test_a_M7_file_meta_and_preamble_are_ours() -> None:
    body = bytearray(part10(film()))
    body[:6] = b"CANARY"
    extra = b"\x02\x00\x16\x00AE\x06\x00CANARY\x02\x00\x02\x01OB\x00\x00\x06\x00\x00\x00CANARY"
    start = body.index(b"\x08\x00\x08\x00CS")
    found = read(bytes(body[:start]) + extra + bytes(body[start:]))
    for level, mapping in ((ORIGINAL, IdentityMapping()), (DEIDENTIFIED, names(found.elements))):
        masked = deidentify(found.elements, level, mapping, pixels_masked=True)
        written = joined(write(masked, EXPLICIT, PIXELS))
        group = pydicom.dcmread(io.BytesIO(written)).file_meta
        assert written[:132] == bytes(128) + b"DICM"
        assert b"CANARY" not in written[: written.index(b"\x08\x00\x05\x00") if level is DEIDENTIFIED else start]
        assert group.ImplementationVersionName == "SAFELIGHT_0_1"
        assert group.MediaStorageSOPInstanceUID == masked.dataset.SOPInstanceUID
        assert group.FileMetaInformationGroupLength == written.index(b"\x08\x00", 144) - 144


def test_native_pixels_and_what_lies_behind_them() -> None:
    made = film(BitsAllocated=16)
    made.add_new(0xFFFCFFFC, "OB", b"CANARY")
    written = joined(write(original(stored(made)), EXPLICIT, PIXELS))
    theirs = pydicom.dcmread(io.BytesIO(written))
    assert theirs.PixelData == b"\x01\x02\x03\x00"
    assert theirs["PixelData"].VR == "OW"
    assert theirs[0xFFFCFFFC].value == b"CANARY"
    masked = deidentify(stored(made).elements, DEIDENTIFIED, names(stored(made).elements), pixels_masked=True)
    assert b"CANARY" not in joined(write(masked, EXPLICIT, PIXELS))


@pytest.mark.parametrize("keyword", ["FloatPixelData", "DoubleFloatPixelData"])
def test_float_pixels(keyword: str) -> None:
    written = joined(write(original(stored(film())), EXPLICIT, NativePixels(value=bytes(16), keyword=keyword)))
    assert pydicom.dcmread(io.BytesIO(written))[keyword].value == bytes(16)
    assert read(written).pixel_keyword == keyword


@pytest.mark.parametrize("syntax", SYNTAXES_ENCAPSULATED)
def test_encapsulated_pixels(syntax: str) -> None:
    frames = [b"ONE", b"FOUR", b""]
    written = joined(write(original(stored(film())), syntax, EncapsulatedPixels(frames=frames)))
    theirs = pydicom.dcmread(io.BytesIO(written))
    assert list(generate_fragments(theirs.PixelData[20:])) == [b"ONE\x00", b"FOUR", b""]
    assert parse_basic_offsets(theirs.PixelData) == [0, 12, 24]
    assert read(written).encapsulated


def test_extended_offset_table_beyond_four_gibibytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "UNDEFINED", 16)
    pieces = list(writing._encapsulated([b"1234", b"123456", b"12"]))
    assert pieces[0][12:] == struct.pack("<3Q", 0, 12, 26)
    assert pieces[1][12:] == struct.pack("<3Q", 4, 6, 2)


def test_without_pixels_or_without_uids() -> None:
    masked = original(stored(film()))
    assert "PixelData" not in pydicom.dcmread(io.BytesIO(joined(write(masked, EXPLICIT, None))))
    nothing = deidentify({}, ORIGINAL, IdentityMapping(), pixels_masked=False)
    with pytest.raises(NotAcceptable):
        write(nothing, EXPLICIT, None)


def test_a_value_too_long_for_its_vr_goes_out_as_un() -> None:
    made = film()
    long = "x" * 70_000
    made.add_new(0x00081030, "UT", long)
    body = part10(made, "1.2.840.10008.1.2")
    written = joined(write(original(read(body)), EXPLICIT, None))
    assert read(written).elements[0x00081030].value == long.encode()
    assert b"\x08\x00\x30\x10UN\x00\x00" in written


def _comparable(theirs: Dataset) -> dict[int, object]:
    """Values as pydicom understands them, without what the level that keeps everything says it leaves out."""
    left_out = {0x7FE00010, 0x7FE00008, 0x7FE00009, *ORIGINAL_EXCEPTIONS}
    out: dict[int, object] = {}
    tags = theirs.keys()
    for tag in tags:
        if tag in left_out or tag.element == 0:
            continue
        element = theirs[tag]
        if element.VR == "SQ":
            out[tag] = [_comparable(item) for item in element.value]
        elif tag.is_private:
            # Where none was written pydicom guesses a private VR and we do not; the bytes are compared below.
            out[tag] = None
        else:
            out[tag] = repr(element.value)
    return out


@pytest.mark.parametrize("path", wheel_files(), ids=lambda path: path.name)
def test_original_is_element_equal_on_the_wheels_films(path: Path) -> None:
    try:
        found = read(path.read_bytes())
    except SafelightError:
        return
    masked = original(found)
    written = joined(write(masked, EXPLICIT, None))
    again = read(written)
    kept = {t: e for t, e in found.elements.items() if t not in ORIGINAL_EXCEPTIONS and t & 0xFFFF}
    assert {t: e.value.rstrip(b" \x00") for t, e in again.elements.items()} == {
        t: e.value.rstrip(b" \x00") for t, e in kept.items()
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs, ours = pydicom.dcmread(path), pydicom.dcmread(io.BytesIO(written))
        assert _comparable(ours) == _comparable(theirs)
        assert masked.dataset == masked.dataset
