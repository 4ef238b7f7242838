"""JPEG lossless: what comes out of another decoder, and of our own, is what went in."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import replace

import imagecodecs
import numpy as np
import pytest
from pixel_kit import BASE, FORMATS, noise, shown

from server.errors import NotAcceptable
from server.pixels.decode import decode
from server.pixels.description import JPEG_LOSSLESS_SV1
from server.pixels.encode import encodable, encode_transfer_syntax
from server.pixels.pool import DecoderPool


@pytest.fixture(scope="module")
def pool() -> Iterator[DecoderPool]:
    with DecoderPool(1, 30.0, 2 << 30) as shared:
        yield shared


def segments(stream: bytes) -> dict[int, bytes]:
    """The marker segments before the scan's data, by marker."""
    found, at = {}, 2
    while stream[at + 1] != 0xDA:
        length = int.from_bytes(stream[at + 2 : at + 4], "big")
        found[stream[at + 1]] = stream[at + 4 : at + 2 + length]
        at += 2 + length
    found[0xDA] = stream[at + 4 : at + 2 + int.from_bytes(stream[at + 2 : at + 4], "big")]
    return found


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("clean", [True, False], ids=["clean", "all bits"])
def test_lossless_round_trips_or_a_refusal(name: str, clean: bool, pool: DecoderPool) -> None:
    description = FORMATS[name]
    masked = shown(noise(description, 1), description, keep_unused_bits=not clean)
    told = encodable(JPEG_LOSSLESS_SV1, description)
    plain = description.data_kind == "integer" and description.shift == 0
    assert told == (plain and 8 <= description.bits_allocated <= 16)
    if not told:
        with pytest.raises(NotAcceptable):
            encode_transfer_syntax(masked, JPEG_LOSSLESS_SV1)
        return
    stream = encode_transfer_syntax(masked, JPEG_LOSSLESS_SV1)
    padded = stream + b"\0" * (len(stream) % 2)
    segment = b"\xfe\xff\x00\xe0" + struct.pack("<I", len(padded)) + padded
    back = decode(segment, replace(description, transfer_syntax_uid=JPEG_LOSSLESS_SV1), pool)
    assert back.photometric_interpretation == masked.photometric_interpretation
    assert np.array_equal(back.samples, masked.samples)
    other = imagecodecs.jpegsof3_decode(stream).reshape(masked.samples.shape)
    bits = segments(stream)[0xC3][0]
    assert np.array_equal(other, masked.samples.view(other.dtype) & ((1 << bits) - 1))
    if clean:
        assert bits == max(description.bits_stored, 8)


@pytest.mark.parametrize("name", ["grey 12 in 16", "rgb 8", "ybr 8"])
def test_process_14_selection_value_1(name: str) -> None:
    description = FORMATS[name]
    found = segments(encode_transfer_syntax(shown(noise(description, 1), description), JPEG_LOSSLESS_SV1))
    # Frame header SOF3; in the scan: predictor 1 and no point transform (ITU-T T.81 sections B.2.2 and B.2.3).
    assert 0xC3 in found
    assert found[0xDA][-3:] == b"\x01\x00\x00"
    # Nothing but a frame, tables, a scan, and the mark of who reads the colours.
    assert set(found) <= {0xC3, 0xC4, 0xDA, 0xE0 if name != "rgb 8" else 0xEE}
    if name == "rgb 8":
        assert found[0xEE].startswith(b"Adobe")
        assert found[0xEE][-1] == 0


@pytest.mark.parametrize("bits", range(1, 17))
@pytest.mark.parametrize("signed", [False, True])
def test_every_number_of_stored_bits(bits: int, signed: bool) -> None:
    allocated = 8 if bits <= 8 else 16
    description = replace(BASE, bits_allocated=allocated, bits_stored=bits, high_bit=bits - 1, signed=signed)
    masked = shown(noise(description, 1), description, keep_unused_bits=False)
    stream = encode_transfer_syntax(masked, JPEG_LOSSLESS_SV1)
    assert segments(stream)[0xC3][0] == max(bits, 8)
    back = imagecodecs.jpegsof3_decode(stream).astype(np.int64)
    if signed:
        back = np.where(back >> (bits - 1) & 1, back - (1 << bits), back)
    assert np.array_equal(back.reshape(masked.samples.shape), masked.samples)


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (5, 1)])
def test_the_smallest_frames(shape: tuple[int, int]) -> None:
    description = replace(BASE, rows=shape[0], columns=shape[1])
    masked = shown(noise(description, 1), description)
    back = imagecodecs.jpegsof3_decode(encode_transfer_syntax(masked, JPEG_LOSSLESS_SV1))
    assert np.array_equal(back.reshape(masked.samples.shape), masked.samples)


def test_a_frame_beyond_the_format_is_refused() -> None:
    description = replace(BASE, rows=1, columns=65_535)
    masked = shown(noise(description, 1), description)
    with pytest.raises(NotAcceptable):
        encode_transfer_syntax(masked, JPEG_LOSSLESS_SV1)
