"""What surrounds the grey levels: palettes, colour transforms of codestreams, the shape of pixels, overlay planes."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import imagecodecs
import numpy as np
import pytest
from builders import PixelFormat, chest_film, frame_samples, part10_bytes
from pixel_table import AS_IS, MASKED, OPEN, as_shown, grey, taken_apart
from pydicom import Dataset, dcmread
from pydicom import uid as uids
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence as DicomSequence

from server.pixels.display import display_attributes
from server.pixels.overlays import overlays
from server.pixels.palette import colored
from server.pixels.pool import DecoderPool
from server.pixels.redact import redact
from server.pixels.render import render


@pytest.fixture(scope="module")
def pool() -> Iterator[DecoderPool]:
    with DecoderPool(1, 30.0, 2 << 30) as shared:
        yield shared


def test_wavelet_colour_transforms_are_undone(pool: DecoderPool) -> None:
    """YBR_RCT and YBR_ICT: what leaves the decoder is RGB, and so it is told."""
    pixels = PixelFormat(bits_allocated=8, bits_stored=8, samples=3, photometric="RGB")
    samples = frame_samples(pixels, 1)
    for syntax, photometric, reversible in (
        (uids.JPEG2000Lossless, "YBR_RCT", True),
        (uids.JPEG2000, "YBR_ICT", False),
    ):
        ds = dcmread(io.BytesIO(part10_bytes(chest_film(pixels), syntax)))
        stream = imagecodecs.jpeg2k_encode(
            samples, level=0 if reversible else 60, codecformat="J2K", reversible=reversible, mct=True
        )
        ds.PixelData, ds.PhotometricInterpretation = encapsulate([bytes(stream)]), photometric
        sink = io.BytesIO()
        ds.save_as(sink, enforce_file_format=True)
        row = taken_apart(sink.getvalue(), pool)
        assert row.frames[0].photometric_interpretation == "RGB"
        assert np.abs(row.frames[0].samples.astype(int) - samples).max() <= (0 if reversible else 6)
        picture = render(as_shown(row, 1), AS_IS, display_attributes(ds)).pixels
        assert np.array_equal(picture, row.frames[0].samples)


@pytest.mark.parametrize("first", [0, 10])
@pytest.mark.parametrize("kind", ["8 bit", "16 bit", "segmented"])
def test_palettes(kind: str, first: int, pool: DecoderPool) -> None:
    """Tables of 8 and 16 bits, segmented ones (PS3.3 C.7.9.2), one that begins above 0; up to a masked level."""
    ds = chest_film(PixelFormat(bits_allocated=8, bits_stored=8, photometric="PALETTE COLOR"))
    bits = 8 if kind == "8 bit" else 16
    count = 256 - first
    ramps = {"Red": np.arange(count), "Green": np.arange(count)[::-1], "Blue": np.full(count, 77)}
    for colour, ramp in ramps.items():
        setattr(ds, f"{colour}PaletteColorLookupTableDescriptor", [count % 65536, first, bits])
        keyword = f"{colour}PaletteColorLookupTableData"
        entries = ramp * 255 // (count - 1) if bits == 8 else ramp * 65535 // (count - 1)
        if kind == "segmented":
            del ds[keyword]
            ends = [int(entries[0]), int(entries[-1])]
            # One discrete entry, then a straight line to the last.
            segments = np.array([0, 1, ends[0], 1, count - 1, ends[1]], "<u2")
            ds.add_new(f"Segmented{keyword}", "OW", segments.tobytes())
        else:
            ds[keyword].value = entries.astype("u1" if bits == 8 else "<u2").tobytes()
        ramps[colour] = entries / (2**bits - 1) * 255
    row = taken_apart(part10_bytes(ds), pool)
    display = display_attributes(row.dataset)
    picture = render(as_shown(row, 1), AS_IS, display).pixels
    places = np.clip(row.frames[0].samples[:, :, 0].astype(int) - first, 0, count - 1)
    wanted = np.stack([ramps[one][places] for one in ("Red", "Green", "Blue")], axis=2)
    assert np.abs(picture - wanted).max() <= (1.0 if kind != "segmented" else 2.0)
    flat = colored(row.frames[0], MASKED, display.palette)
    assert flat.photometric_interpretation == "RGB"
    assert np.array_equal(flat.samples, picture)


@pytest.mark.parametrize(
    ("said", "shape"),
    [
        ({}, (64, 80)),
        ({"PixelSpacing": ["0.4", "0.2"]}, (64, 40)),
        ({"PixelSpacing": ["0.1", "0.2"]}, (32, 80)),
        ({"PixelAspectRatio": [2, 1]}, (64, 40)),
        ({"PixelAspectRatio": [1, 1], "PixelSpacing": ["0.4", "0.2"]}, (64, 80)),
        ({"ImagerPixelSpacing": ["0.2", "0.4"]}, (32, 80)),
        ({"NominalScannedPixelSpacing": ["0.2", "0.4"]}, (32, 80)),
        ({"PixelMeasuresSequence": ["0.4", "0.2"]}, (64, 40)),
        ({"PixelSpacing": ["0", "0.2"]}, (64, 80)),
    ],
)
def test_pixels_become_square(said: dict[str, Any], shape: tuple[int, int], pool: DecoderPool) -> None:
    ds = chest_film(grey(12, 16))
    for keyword, value in said.items():
        if keyword == "PixelMeasuresSequence":
            measures, shared = Dataset(), Dataset()
            measures.PixelSpacing = value
            shared.PixelMeasuresSequence = DicomSequence([measures])
            ds.SharedFunctionalGroupsSequence = DicomSequence([shared])
        else:
            setattr(ds, keyword, value)
    row = taken_apart(part10_bytes(ds), pool)
    assert render(as_shown(row, 1), AS_IS, display_attributes(row.dataset)).pixels.shape[:2] == shape


def test_overlays_are_drawn_where_they_lie(pool: DecoderPool) -> None:
    """Packed planes, one for each frame or for all, corners outside the picture, and planes in unused bits."""
    ds = chest_film(grey(12, 16, frames=2))
    planes = np.random.default_rng(1).random((2, 10, 13)) > 0.5
    ds.add_new(0x60000010, "US", 10)
    ds.add_new(0x60000011, "US", 13)
    ds.add_new(0x60000015, "IS", 2)
    ds.add_new(0x60000040, "CS", "G")
    ds.add_new(0x60000050, "SS", [-1, 71])
    ds.add_new(0x60000100, "US", 1)
    ds.add_new(0x60000102, "US", 0)
    ds.add_new(0x60003000, "OW", np.packbits(planes.reshape(-1), bitorder="little").tobytes() + b"\0")
    row = taken_apart(part10_bytes(ds), pool)
    for number in (1, 2):
        masked = as_shown(row, number)
        plain = display_attributes(row.dataset, frame_number=number)
        without = render(masked, AS_IS, plain).pixels
        drawn = render(masked, AS_IS, replace(plain, overlays=overlays(row.dataset, masked))).pixels
        wanted = without.copy()
        wanted[:8, 70:80][planes[number - 1][2:, :10]] = 255
        assert np.array_equal(drawn, wanted)
        assert not np.array_equal(drawn, without)


def test_an_overlay_in_unused_bits_is_drawn_where_the_level_keeps_them(pool: DecoderPool) -> None:
    ds = chest_film(grey(12, 16))
    plane = np.random.default_rng(2).random((64, 80, 1)) > 0.5
    ds.PixelData = (frame_samples(grey(12, 16), 1) | (plane.astype("<u2") << 14)).astype("<u2").tobytes()
    for element, vr, value in ((0x10, "US", 64), (0x11, "US", 80), (0x40, "CS", "R"), (0x50, "SS", [1, 1])):
        ds.add_new(0x60020000 + element, vr, value)
    ds.add_new(0x60020100, "US", 16)
    ds.add_new(0x60020102, "US", 14)
    row = taken_apart(part10_bytes(ds), pool)
    kept = redact(row.frames[0], (), replace(OPEN, keep_unused_bits=True), screened=True, frame_number=1)
    (found,) = overlays(row.dataset, kept)
    assert np.array_equal(found.bits, plane[:, :, 0])
    # A level that clears the bits has nothing to draw.
    assert not overlays(row.dataset, as_shown(row, 1))[0].bits.any()
    for element, value in ((0x102, 3), (0x102, 16), (0x100, 8), (0x10, 0), (0x50, 1), (0x40, "X")):
        broken = taken_apart(part10_bytes(ds), pool).dataset
        broken[0x60020000 + element].value = value
        assert overlays(broken, kept) == ()
