"""Pixel data built in code: frames that show their own number, in every form of PS3.3 C.7.6.3, and their encodings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from pydicom import uid as uids
from pydicom.dataset import Dataset
from pydicom.pixels.encoders.base import RLELosslessEncoder

Samples = NDArray[Any]

LOSSY = {uids.JPEGBaseline8Bit, uids.JPEGExtended12Bit, uids.JPEGLSNearLossless, uids.JPEG2000}


@dataclass(frozen=True, kw_only=True)
class BurnedText:
    """A line of text in the samples of every frame: its top left corner, its height in samples, its contrast.

    `contrast` is the part of the full range, from the background towards white (positive) or black (negative).
    """

    text: str
    top_row: int
    left_column: int
    height: int = 20
    contrast: float = 0.5


@dataclass(frozen=True, kw_only=True)
class PixelFormat:
    """The form of the pixel data (PS3.3 C.7.6.3). `data_kind` is "integer", "float" or "double"."""

    rows: int = 64
    columns: int = 80
    frames: int = 1
    bits_allocated: int = 16
    bits_stored: int = 12
    signed: bool = False
    samples: int = 1
    planar: int = 0
    photometric: str = "MONOCHROME2"
    data_kind: str = "integer"
    burned: tuple[BurnedText, ...] = ()

    @property
    def dtype(self) -> np.dtype[Any]:
        """The little-endian type of one decoded sample; a bit of 1-bit data takes a byte."""
        if self.data_kind != "integer":
            return np.dtype("<f4" if self.data_kind == "float" else "<f8")
        return np.dtype(f"<{'i' if self.signed else 'u'}{max(1, self.bits_allocated // 8)}")


GREY = PixelFormat()
RGB = PixelFormat(bits_allocated=8, bits_stored=8, samples=3, photometric="RGB")


def frame_samples(pixels: PixelFormat, number: int) -> Samples:
    """Frame `number` (from 1) as stored values, shape (rows, columns, samples): a gradient and the number as digits."""
    rows, columns = pixels.rows, pixels.columns
    down, across = np.linspace(0, 1, rows)[:, None], np.linspace(0, 1, columns)[None, :]
    picture = 0.2 + 0.3 * down + 0.15 * across * ((number - 1) % 7 + 1) / 7
    digits = _glyphs(rows, columns, str(number), rows // 4, columns // 4, max(8, rows // 2))
    picture = np.where(digits > 0.5, 0.95, picture)
    for line in pixels.burned:
        glyphs = _glyphs(rows, columns, line.text, line.top_row, line.left_column, line.height)
        picture = np.clip(picture + glyphs * line.contrast, 0, 1)
    channels = np.repeat(picture[:, :, None], pixels.samples, axis=2)
    if pixels.samples == 3:
        if pixels.photometric.startswith("YBR"):
            channels[:, :, 1], channels[:, :, 2] = 0.5 + 0.2 * (down - 0.5), 0.5 + 0.2 * (across - 0.5)
            if pixels.photometric == "YBR_FULL_422":
                channels[:, 1::2, 1:] = channels[:, : columns - 1 : 2, 1:]
        else:
            channels = channels * np.array([1.0, 0.9, 0.8])
    if pixels.data_kind != "integer":
        return np.asarray(channels * 1000 - 500, pixels.dtype)
    if pixels.bits_stored == 1:
        return np.asarray(channels > 0.6, pixels.dtype)
    top = 2**pixels.bits_stored - 1
    offset = 2 ** (pixels.bits_stored - 1) if pixels.signed else 0
    return np.asarray(np.round(channels * top) - offset, pixels.dtype)


def native_bytes(frames: Sequence[Samples], pixels: PixelFormat) -> bytes:
    """The pixel data element's value in the native form (PS3.5 section 8), little endian, padded to an even length."""
    if pixels.bits_allocated == 1:
        value = np.packbits(np.concatenate([frame.ravel() for frame in frames]), bitorder="little").tobytes()
    else:
        value = b"".join(_native_frame(frame, pixels) for frame in frames)
    return value + b"\0" * (len(value) % 2)


def decoded_frames(dataset: Dataset) -> list[Samples]:
    """The frames of native little-endian pixel data, each (rows, columns, samples), interleaved."""
    samples, rows, columns = dataset.SamplesPerPixel, dataset.Rows, dataset.Columns
    dtype = np.dtype(f"<{'i' if dataset.PixelRepresentation else 'u'}{max(1, dataset.BitsAllocated // 8)}")
    size = rows * columns * samples
    values = np.frombuffer(dataset.PixelData, dtype)
    count = int(dataset.get("NumberOfFrames", 1) or 1)
    frames = []
    for index in range(count):
        flat = values[index * size : (index + 1) * size]
        if samples == 3 and dataset.PlanarConfiguration == 1:
            frames.append(np.ascontiguousarray(flat.reshape(3, rows, columns).transpose(1, 2, 0)))
        else:
            frames.append(flat.reshape(rows, columns, samples))
    return frames


def encoded(frame: Samples, ds: Dataset, target: uids.UID) -> bytes:
    """One frame (rows, columns, samples) in an encapsulated transfer syntax. Raises `ValueError` where it cannot be."""
    lossless = target not in LOSSY
    picture = frame[:, :, 0] if frame.shape[2] == 1 else frame
    unsigned = picture.view(picture.dtype.str.replace("i", "u")) if ds.PixelRepresentation else picture
    bits = int(ds.BitsStored)
    value: bytes | bytearray
    match target:
        case uids.RLELossless:
            value = RLELosslessEncoder.encode(
                frame.tobytes(),
                rows=ds.Rows,
                columns=ds.Columns,
                samples_per_pixel=ds.SamplesPerPixel,
                bits_allocated=ds.BitsAllocated,
                bits_stored=bits,
                pixel_representation=ds.PixelRepresentation,
                number_of_frames=1,
                photometric_interpretation=ds.PhotometricInterpretation,
                planar_configuration=0,
                encoding_plugin="pydicom",
            )
        case uids.JPEGBaseline8Bit if bits == 8:
            value = imagecodecs.jpeg8_encode(unsigned, level=95, subsampling="422")
        case uids.JPEGExtended12Bit if bits == 12 and frame.shape[2] == 1:
            value = imagecodecs.jpeg8_encode(unsigned, level=95, bitspersample=12)
        case uids.JPEGLossless | uids.JPEGLosslessSV1 if frame.shape[2] == 1:
            value = imagecodecs.ljpeg_encode(unsigned, bitspersample=bits)
        case uids.JPEGLSLossless | uids.JPEGLSNearLossless:
            value = imagecodecs.jpegls_encode(unsigned, level=0 if lossless else 2)
        case uids.JPEG2000Lossless | uids.JPEG2000 if bits <= 16:
            level = 0 if lossless else 60
            value = imagecodecs.jpeg2k_encode(
                picture, level=level, bitspersample=bits, codecformat="j2k", reversible=lossless, mct=False
            )
        case uids.HTJ2KLossless | uids.HTJ2KLosslessRPCL | uids.HTJ2K if bits <= 16:
            value = imagecodecs.htj2k_encode(picture, reversible=True, rgb=False)
        case _:
            raise ValueError("this form of pixel data is not encoded in this transfer syntax here")
    return bytes(value)


def _glyphs(rows: int, columns: int, text: str, top: int, left: int, height: int) -> NDArray[np.float64]:
    image = Image.new("L", (columns, rows))
    ImageDraw.Draw(image).text((left, top), text, fill=255, font=ImageFont.load_default(height), anchor="lt")
    return np.asarray(image, np.float64) / 255


def _native_frame(frame: Samples, pixels: PixelFormat) -> bytes:
    if pixels.photometric == "YBR_FULL_422":
        y, chroma = frame[:, :, 0].reshape(pixels.rows, -1, 2), frame[:, ::2, 1:]
        return np.concatenate([y, chroma], axis=2).tobytes()
    return (frame.transpose(2, 0, 1) if pixels.planar else frame).tobytes()
