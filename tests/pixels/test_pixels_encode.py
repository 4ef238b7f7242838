from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageSequence
from pixel_kit import BASE, FORMATS, frame, noise, shown

from server.errors import NotAcceptable
from server.model import RenderParameters
from server.pixels.decode import decode, decode_native
from server.pixels.description import (
    EXPLICIT_LITTLE,
    HTJ2K_LOSSLESS,
    JPEG_2000_LOSSLESS,
    JPEG_BASELINE,
    JPEG_LS_LOSSLESS,
    RLE,
)
from server.pixels.display import DisplayAttributes
from server.pixels.encode import (
    encodable,
    encode_gif,
    encode_jpeg,
    encode_native,
    encode_png,
    encode_transfer_syntax,
    image_pixel_module,
)
from server.pixels.pool import DecoderPool
from server.pixels.render import MaskedPicture, render

SYNTAXES = (RLE, JPEG_LS_LOSSLESS, JPEG_2000_LOSSLESS, HTJ2K_LOSSLESS)


@pytest.fixture(scope="module")
def pool() -> Iterator[DecoderPool]:
    with DecoderPool(1, 30.0, 2 << 30) as shared:
        yield shared


def picture(name: str, seed: int = 1) -> MaskedPicture:
    return render(shown(noise(FORMATS[name], seed), FORMATS[name]), RenderParameters(), DisplayAttributes())


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("uid", SYNTAXES)
@pytest.mark.parametrize("clean", [True, False], ids=["clean", "all bits"])
def test_lossless_round_trips_or_a_refusal(name: str, uid: str, clean: bool, pool: DecoderPool) -> None:
    description = FORMATS[name]
    masked = shown(noise(description, 1), description, keep_unused_bits=not clean)
    told = encodable(uid, description)
    widest = 32 if uid == RLE else 16
    plain = description.data_kind == "integer" and description.shift == 0
    assert told == (plain and 8 <= description.bits_allocated <= widest)
    if not told:
        with pytest.raises(NotAcceptable):
            encode_transfer_syntax(masked, uid)
        return
    stream = encode_transfer_syntax(masked, uid)
    padded = stream + b"\0" * (len(stream) % 2)
    segment = b"\xfe\xff\x00\xe0" + struct.pack("<I", len(padded)) + padded
    back = decode(segment, replace(description, transfer_syntax_uid=uid), pool)
    assert back.photometric_interpretation == masked.photometric_interpretation
    assert np.array_equal(back.samples, masked.samples)


def test_no_colour_transform_hides_in_the_wavelet_streams() -> None:
    for uid in (JPEG_2000_LOSSLESS, HTJ2K_LOSSLESS):
        stream = encode_transfer_syntax(shown(noise(FORMATS["rgb 8"], 1), FORMATS["rgb 8"]), uid)
        assert stream[stream.index(b"\xff\x52") + 8] == 0


@pytest.mark.parametrize("name", FORMATS)
def test_native_round_trips(name: str) -> None:
    description = FORMATS[name]
    masked = shown(noise(description, 1), description)
    encoded = encode_native(masked)
    assert len(encoded) == (description.frame_bits + 7) // 8
    assert decode_native(encoded, description).samples.tobytes() == masked.samples.tobytes()
    assert encodable(EXPLICIT_LITTLE, description)


def test_native_frames_of_bits_follow_without_gaps() -> None:
    bits = replace(FORMATS["one bit"], rows=1, columns=3)
    frames = [shown(np.array([[[a], [b], [c]]], np.uint8), bits) for a, b, c in ((1, 0, 1), (0, 1, 1), (1, 1, 1))]
    assert encode_native(frames) == bytes([0b11110101, 0b1])
    for number in range(3):
        found = decode_native(encode_native(frames), bits, bit_offset=3 * number)
        assert np.array_equal(found.samples, frames[number].samples)
    assert encode_native([]) == b""


@pytest.mark.parametrize("name", ["grey 8", "rgb 8"])
@pytest.mark.parametrize("quality", [50, 90, 100])
def test_jpeg(name: str, quality: int) -> None:
    shape = picture(name).pixels.shape
    opened = Image.open(io.BytesIO(encode_jpeg(picture(name), quality)))
    assert opened.size == (shape[1], shape[0])
    assert opened.mode == ("L" if shape[2] == 1 else "RGB")
    smooth = render(
        shown(np.full((96, 128, 1), 7, np.uint8), FORMATS["grey 8"]), RenderParameters(), DisplayAttributes()
    )
    assert np.asarray(Image.open(io.BytesIO(encode_jpeg(smooth, quality)))).std() == 0


@pytest.mark.parametrize("name", ["grey 8", "rgb 8"])
def test_a_X20_png_holds_the_pixels_and_nothing_else(name: str) -> None:
    encoded = encode_png(picture(name))
    pixels = np.asarray(Image.open(io.BytesIO(encoded)))
    assert np.array_equal(pixels.reshape(picture(name).pixels.shape), picture(name).pixels)
    chunks, position = [], 8
    while position < len(encoded):
        (length,) = struct.unpack_from(">I", encoded, position)
        chunks.append(encoded[position + 4 : position + 8])
        position += 12 + length
    assert set(chunks) == {b"IHDR", b"IDAT", b"IEND"}


def test_gif_one_and_many() -> None:
    pictures = [picture("grey 8", seed) for seed in (1, 2, 3)]
    opened = Image.open(io.BytesIO(encode_gif(pictures)))
    assert len(list(ImageSequence.Iterator(opened))) == 3
    one = Image.open(io.BytesIO(encode_gif(pictures[:1])))
    assert np.array_equal(np.asarray(one.convert("L")), pictures[0].pixels[:, :, 0])
    assert "comment" not in one.info
    with pytest.raises(ValueError):
        encode_gif([])
    other = render(
        shown(noise(replace(BASE, rows=9), 1), replace(BASE, rows=9)), RenderParameters(), DisplayAttributes()
    )
    with pytest.raises(NotAcceptable):
        encode_gif([pictures[0], other])


def test_the_header_is_told_what_the_samples_are_now() -> None:
    module = image_pixel_module(shown(noise(FORMATS["ybr 8"], 1), FORMATS["ybr 8"]))
    assert module["PhotometricInterpretation"] == "YBR_FULL"
    assert module["PlanarConfiguration"] == 0
    assert "BitsStored" not in image_pixel_module(shown(noise(FORMATS["float"], 1), FORMATS["float"]))


def test_a_bounded_level_gives_no_frames() -> None:
    masked = shown(noise(BASE, 1), longest_side=100)
    with pytest.raises(NotAcceptable):
        encode_native(masked)
    with pytest.raises(NotAcceptable):
        encode_transfer_syntax(masked, RLE)


def test_nothing_unmasked_can_be_encoded() -> None:
    bare = frame(noise(FORMATS["grey 8"], 1), FORMATS["grey 8"])
    pixels = noise(FORMATS["grey 8"], 1)
    for encode in (encode_native, encode_png, lambda f: encode_transfer_syntax(f, RLE), lambda f: encode_jpeg(f, 90)):
        for wrong in (bare, pixels):
            with pytest.raises(TypeError):
                encode(wrong)  # type: ignore[arg-type]
    for wrong in (bare, pixels):
        with pytest.raises(TypeError):
            encode_gif([wrong])  # type: ignore[list-item]
        with pytest.raises(TypeError):
            encode_native([wrong])  # type: ignore[list-item]
    masked = shown(pixels, FORMATS["grey 8"])
    with pytest.raises(TypeError):
        encode_png(masked)  # type: ignore[arg-type]
    with pytest.raises(NotAcceptable):
        encode_transfer_syntax(masked, JPEG_BASELINE)
