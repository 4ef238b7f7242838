from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from pixel_kit import BASE, FORMATS, noise
from reference import REFERENCES, Reference, expected, opened

from server.errors import Busy, DecodeFailed, UnsupportedPixels
from server.pixels.decode import decode, decode_native
from server.pixels.description import (
    EXPLICIT_BIG,
    HTJ2K_LOSSLESS,
    JPEG_2000,
    JPEG_2000_LOSSLESS,
    JPEG_BASELINE,
    JPEG_LS_LOSSLESS,
    RLE,
)
from server.pixels.pool import Codestream, DecoderPool


@pytest.fixture(scope="module")
def pool() -> Iterator[DecoderPool]:
    with DecoderPool(1, 30.0, 2 << 30) as shared:
        yield shared


def item(*values: bytes) -> bytes:
    padded = [value + b"\0" * (len(value) % 2) for value in values]
    return b"".join(b"\xfe\xff\x00\xe0" + len(value).to_bytes(4, "little") + value for value in padded)


@pytest.mark.parametrize("reference", REFERENCES, ids=lambda reference: reference.name)
def test_decodes_bit_for_bit_like_the_reference(reference: Reference, pool: DecoderPool) -> None:
    stored = opened(reference.path)
    for number in reference.frames:
        index, bits = stored.layout.segment_of(number)
        segment = stored.body[slice(*stored.layout.ranges[index])]
        frame = decode(segment, stored.description, pool, bit_offset=bits)
        assert frame.photometric_interpretation == reference.photometric
        wanted = expected(reference, number)
        if reference.judge == "near":
            assert np.abs(frame.samples.astype(int) - wanted).mean() < 3
            continue
        assert frame.samples.dtype.itemsize == wanted.dtype.itemsize
        assert np.array_equal(frame.samples.view(wanted.dtype), wanted)


@pytest.mark.parametrize("name", ["JPEG2000-embedded-sequence-delimiter.dcm"])
def test_a_X16_a_corrupt_stream_is_refused(name: str, pool: DecoderPool) -> None:
    reference = Reference(name=name, photometric="MONOCHROME2")
    stored = opened(reference.path)
    with pytest.raises(DecodeFailed):
        decode(stored.body[slice(*stored.layout.ranges[0])], stored.description, pool)


@pytest.mark.parametrize(
    ("uid", "data"),
    [
        (RLE, b"\x01\0\0\0\x40\0\0\0" + b"\xff" * 90),
        (RLE, b""),
        (JPEG_BASELINE, b"\xff\xd8\xff\xe0garbage"),
        (JPEG_LS_LOSSLESS, b"\xff\xd8\xff\xf7" + b"\x55" * 40),
        (JPEG_2000_LOSSLESS, b"\xff\x4f\xff\x51" + b"\0" * 60),
        (HTJ2K_LOSSLESS, b"\xff\x4f\xff\x51" + b"\xff" * 60),
    ],
)
def test_a_X16_garbage_is_refused_and_the_next_frame_decodes(uid: str, data: bytes, pool: DecoderPool) -> None:
    description = replace(FORMATS["grey 8"], transfer_syntax_uid=uid)
    with pytest.raises(DecodeFailed):
        decode(item(data), description, pool)
    samples = noise(FORMATS["grey 8"], 1) % 16
    good = bytes(imagecodecs.jpegls_encode(samples[:, :, 0]))
    frame = decode(item(good), replace(FORMATS["grey 8"], transfer_syntax_uid=JPEG_LS_LOSSLESS), pool)
    assert np.array_equal(frame.samples, samples)


def test_a_X16_a_stream_of_another_shape_or_width_is_refused(pool: DecoderPool) -> None:
    samples = noise(FORMATS["grey 16"], 2)[:, :, 0]
    wide = item(bytes(imagecodecs.jpeg2k_encode(samples, level=0, codecformat="J2K", reversible=True)))
    with pytest.raises(DecodeFailed):
        decode(wide, replace(BASE, rows=95, transfer_syntax_uid=JPEG_2000), pool)
    with pytest.raises(DecodeFailed):
        decode(wide, replace(BASE, rows=128, columns=96, transfer_syntax_uid=JPEG_2000), pool)
    with pytest.raises(DecodeFailed):
        decode(wide, replace(FORMATS["grey 8"], transfer_syntax_uid=JPEG_2000), pool)
    with pytest.raises(DecodeFailed):
        decode(wide, replace(FORMATS["rgb 16"], transfer_syntax_uid=JPEG_2000), pool)


def test_a_X9_what_follows_the_codestream_is_ignored(pool: DecoderPool) -> None:
    description = replace(FORMATS["grey 8"], transfer_syntax_uid=JPEG_LS_LOSSLESS)
    samples = noise(description, 3) % 16
    stream = bytes(imagecodecs.jpegls_encode(samples[:, :, 0]))
    clean = decode(item(stream), description, pool)
    hidden = decode(item(stream + b"CANARY-trailing", b"CANARY-fragment"), description, pool)
    assert np.array_equal(clean.samples, samples)
    assert np.array_equal(hidden.samples, samples)


def test_a_X8_native_bytes_beyond_the_frame_are_ignored() -> None:
    samples = noise(BASE, 4)
    assert np.array_equal(decode_native(samples.tobytes() + b"CANARY", BASE).samples, samples)


@pytest.mark.parametrize("name", FORMATS)
def test_a_short_native_segment_is_refused(name: str) -> None:
    description = FORMATS[name]
    length = (description.frame_bits + 7) // 8
    assert decode_native(bytes(length), description).samples.shape[2] == description.samples_per_pixel
    with pytest.raises(DecodeFailed):
        decode_native(bytes(length - 1), description)


def test_native_layouts_by_hand() -> None:
    planar = replace(FORMATS["rgb 8"], rows=1, columns=2, planar_configuration=1)
    assert decode_native(b"RrGgBb", planar).samples.tobytes() == b"RGBrgb"
    halved = replace(planar, photometric_interpretation="YBR_FULL_422", planar_configuration=0)
    frame = decode_native(b"YyBR", halved)
    assert frame.samples.tobytes() == b"YBRyBR"
    assert frame.photometric_interpretation == "YBR_FULL"
    big = replace(BASE, rows=1, columns=1, transfer_syntax_uid=EXPLICIT_BIG)
    assert decode_native(b"\x01\x02", big).samples[0, 0, 0] == 0x0102
    bits = replace(FORMATS["one bit"], rows=1, columns=3)
    assert decode_native(b"\x05", bits).samples.size == 3
    assert decode_native(b"\x28", bits, bit_offset=3).samples.ravel().tolist() == [1, 0, 1]


def test_a_native_function_refuses_an_encapsulated_description() -> None:
    with pytest.raises(UnsupportedPixels):
        decode_native(bytes(99_999), replace(BASE, transfer_syntax_uid=RLE))


def _stream(seed: int) -> tuple[Codestream, np.ndarray[tuple[int, ...], np.dtype[np.uint8]]]:
    samples = np.random.default_rng(seed).integers(0, 255, (40, 30), np.uint8)
    data = bytes(imagecodecs.jpegls_encode(samples))
    return Codestream(codec="jpeg-ls", data=data, rows=40, columns=30, samples=1), samples


def test_a_killed_child_fails_one_frame_and_is_replaced() -> None:
    stream, samples = _stream(5)
    with DecoderPool(1, 20.0, 2 << 30) as pool:
        assert np.array_equal(pool.decode(stream)[:, :, 0], samples)
        (first,) = pool.process_ids()
        os.kill(first, signal.SIGSTOP)
        os.kill(first, signal.SIGKILL)
        assert np.array_equal(_patient(pool, stream)[:, :, 0], samples)
        assert pool.process_ids() != [first]


def _patient(pool: DecoderPool, stream: Codestream) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """The frame under way when the child dies fails; the one after it must not."""
    try:
        return pool.decode(stream)
    except DecodeFailed:
        return pool.decode(stream)


def test_a_hanging_child_is_killed_in_time_and_replaced() -> None:
    stream, samples = _stream(6)
    with DecoderPool(1, 20.0, 2 << 30) as pool:
        pool.decode(stream)
        (first,) = pool.process_ids()
        pool._timeout = 0.3
        os.kill(first, signal.SIGSTOP)
        with pytest.raises(DecodeFailed):
            pool.decode(stream)
        with pytest.raises(ProcessLookupError):
            os.kill(first, 0)
        pool._timeout = 20.0
        assert np.array_equal(pool.decode(stream)[:, :, 0], samples)


def test_a_X17_memory_is_bounded() -> None:
    huge = bytes(imagecodecs.jpegls_encode(np.zeros((16_000, 16_000), np.uint8)))
    stream = Codestream(codec="jpeg-ls", data=huge, rows=16_000, columns=16_000, samples=1)
    small, samples = _stream(10)
    with DecoderPool(1, 20.0, 300 << 20) as pool:
        with pytest.raises(DecodeFailed):
            pool.decode(stream)
        assert np.array_equal(pool.decode(small)[:, :, 0], samples)


def test_a_child_inherits_nothing() -> None:
    stream, _ = _stream(7)
    secret_read, secret_write = os.pipe()
    os.set_inheritable(secret_read, True)  # noqa: FBT003
    os.environ["SAFELIGHT_TEST_CANARY"] = "CANARY"
    try:
        with DecoderPool(1, 20.0, 2 << 30) as pool:
            pool.decode(stream)
            (child,) = pool.process_ids()
            process = Path(f"/proc/{child}")
            assert b"CANARY" not in (process / "environ").read_bytes()
            targets = [os.readlink(entry) for entry in (process / "fd").iterdir()]  # noqa: PTH115
            assert os.readlink(f"/proc/self/fd/{secret_read}") not in targets  # noqa: PTH115
            assert len(targets) <= 4
    finally:
        del os.environ["SAFELIGHT_TEST_CANARY"]
        os.close(secret_read)
        os.close(secret_write)


def test_no_free_child_is_busy() -> None:
    stream, _ = _stream(8)
    with DecoderPool(1, 0.1, 2 << 30) as pool:
        held = pool._places.get()
        with pytest.raises(Busy):
            pool.decode(stream)
        pool._places.put(held)


@pytest.mark.parametrize("reply", [b"\x00u1" + (5).to_bytes(8, "big") + b"12345", b"\x00f8" + bytes(8), b"\x07", b""])
def test_a_lying_child_is_not_believed(reply: bytes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stream, _ = _stream(9)
    script = tmp_path / "child.py"
    script.write_text(f"import sys; sys.stdout.buffer.write({reply!r})")
    monkeypatch.setattr("server.pixels.decoder_child.__file__", str(script))
    with DecoderPool(1, 5.0, 2 << 30) as pool:
        with pytest.raises(DecodeFailed):
            pool.decode(stream)
        assert pool.process_ids() == []
