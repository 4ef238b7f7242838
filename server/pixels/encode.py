"""Encoders: they take masked frames and pictures and nothing else, so nothing unmasked can be put into bytes."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence

import imagecodecs
import numpy as np
import simplejpeg
from jpeg_ls import encode_pixel_data as encode_jpeg_ls
from PIL import Image
from rle.utils import encode_pixel_data as encode_rle

from server.errors import NotAcceptable
from server.pixels.description import (
    EXPLICIT_LITTLE,
    HTJ2K_LOSSLESS,
    JPEG_2000_LOSSLESS,
    JPEG_LOSSLESS_SV1,
    JPEG_LS_LOSSLESS,
    RLE,
    PixelDescription,
)
from server.pixels.encode_more import encode_jpeg_lossless
from server.pixels.frame import Samples, value_bounds
from server.pixels.redact import MaskedFrame
from server.pixels.render import MaskedPicture
from server.pixels.splice import encoded
from server.pixels.tagged import jp2_with, jpeg_with

# Cells of up to this many bits, by transfer syntax; one-bit and floating point frames are native only.
_WIDEST = {RLE: 32, JPEG_LOSSLESS_SV1: 16, JPEG_LS_LOSSLESS: 16, JPEG_2000_LOSSLESS: 16, HTJ2K_LOSSLESS: 16}


def encode_jpeg(picture: MaskedPicture, quality: int) -> bytes:
    """JPEG baseline, `quality` 1 to 100: grey with restart markers, colour at full resolution from 90 up or 4:2:0."""
    pixels = _pixels(picture)
    if pixels.shape[2] == 1:
        return jpeg_with(encoded(pixels[:, :, 0], quality), picture.profile)
    sampling = "444" if quality >= 90 else "420"
    stream: bytes = simplejpeg.encode_jpeg(pixels, quality, "RGB", sampling, False)  # noqa: FBT003
    return jpeg_with(stream, picture.profile)


def encode_png(picture: MaskedPicture) -> bytes:
    """PNG with its critical chunks and, where it has one, its colour profile alone."""
    sink = io.BytesIO()
    _image(picture).save(sink, "PNG", compress_level=1, icc_profile=picture.profile or None)
    return sink.getvalue()


def encode_jp2(picture: MaskedPicture) -> bytes:
    """JPEG 2000 in its own file format (ISO/IEC 15444-1 annex I), without loss."""
    pixels = _pixels(picture)
    plain = pixels.squeeze(axis=2) if pixels.shape[2] == 1 else pixels
    file = bytes(imagecodecs.jpeg2k_encode(plain, level=0, codecformat="JP2", reversible=True, mct=False))
    return jp2_with(file, picture.profile)


def encode_gif(pictures: Sequence[MaskedPicture], *, frame_milliseconds: int = 100) -> bytes:
    """GIF, animated without end if there is more than one picture; all of one size. Equal neighbours become one frame
    that stays as long as they would have.

    Raises `NotAcceptable` for a side above 65535, differing sizes or a colour profile, ValueError for no picture.
    """
    if not pictures:
        raise ValueError("no picture")
    if len({_pixels(picture).shape[:2] for picture in pictures}) != 1 or max(pictures[0].pixels.shape[:2]) > 65_535:
        raise NotAcceptable("pictures do not fit into a GIF")
    if any(picture.profile for picture in pictures):
        raise NotAcceptable("a GIF has no colour profile")
    first, *others = [_image(picture) for picture in pictures]
    sink = io.BytesIO()
    if others:
        first.save(
            sink, "GIF", save_all=True, append_images=others, duration=frame_milliseconds, loop=0, optimize=False
        )
    else:
        first.save(sink, "GIF", optimize=False)
    return sink.getvalue()


def encode_native(frames: MaskedFrame | Sequence[MaskedFrame]) -> bytes:
    """Explicit VR little endian samples (PS3.5 section 8.1.1), colour by pixel, frames one after the other.

    One-bit frames follow each other without gaps, the last byte is filled with zeros. Not padded to even length.
    Raises `NotAcceptable` for a level that bounds the resolution.
    """
    every = [frames] if isinstance(frames, MaskedFrame) else list(frames)
    arrays = [_samples(frame) for frame in every]
    if not every:
        return b""
    if every[0].description.bits_allocated == 1:
        return np.packbits(np.concatenate([array.reshape(-1) for array in arrays]), bitorder="little").tobytes()
    return b"".join(array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes() for array in arrays)


def encodable(uid: str, description: PixelDescription) -> bool:
    """Whether `encode_transfer_syntax` (or `encode_native`, for Explicit VR little endian) takes such frames."""
    if uid == EXPLICIT_LITTLE:
        return True
    whole = description.data_kind == "integer" and description.bits_allocated >= 8 and description.shift == 0
    return whole and description.bits_allocated <= _WIDEST.get(uid, 0)


def encode_transfer_syntax(frame: MaskedFrame, uid: str) -> bytes:
    """One frame, losslessly, as the codestream of a transfer syntax: RLE, JPEG, JPEG-LS, JPEG 2000 or HTJ2K.

    Colour stays as it is (no transform inside the codestream). Raises `NotAcceptable` for any other syntax or cell.
    """
    samples = _samples(frame)
    if uid == JPEG_LOSSLESS_SV1 and encodable(uid, frame.description):
        precision = _precision(samples, frame.description)
        return encode_jpeg_lossless(samples, frame.description, frame.photometric_interpretation, precision)
    if uid not in _ENCODERS or not encodable(uid, frame.description):
        raise NotAcceptable("no encoder for this transfer syntax and sample format")
    return _ENCODERS[uid](np.ascontiguousarray(samples), frame.description)


def image_pixel_module(frame: MaskedFrame) -> Mapping[str, str | int]:
    """What the header must say of encoded frames, by keyword (PS3.3 C.7.6.3); bits only for integer samples."""
    described = _described(frame)
    module: dict[str, str | int] = {
        "SamplesPerPixel": described.samples_per_pixel,
        "PhotometricInterpretation": frame.photometric_interpretation,
        "Rows": described.rows,
        "Columns": described.columns,
        "BitsAllocated": described.bits_allocated,
    }
    if described.samples_per_pixel == 3:
        module["PlanarConfiguration"] = 0
    if described.data_kind == "integer":
        module["BitsStored"] = described.bits_stored
        module["HighBit"] = described.high_bit
        module["PixelRepresentation"] = int(described.signed)
    return module


def _described(frame: MaskedFrame) -> PixelDescription:
    if not isinstance(frame, MaskedFrame):
        raise TypeError("only a MaskedFrame is encoded")
    return frame.description


def _samples(frame: MaskedFrame) -> Samples:
    described = _described(frame)
    if frame.longest_side is not None and max(described.rows, described.columns) > frame.longest_side:
        raise NotAcceptable("the level bounds the resolution")
    return frame.samples


def _pixels(picture: MaskedPicture) -> Samples:
    if not isinstance(picture, MaskedPicture):
        raise TypeError("only a MaskedPicture is encoded")
    return picture.pixels


def _image(picture: MaskedPicture) -> Image.Image:
    pixels = _pixels(picture)
    return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)


def _precision(samples: Samples, description: PixelDescription) -> int:
    """Bits that hold every sample: those stored, unless a level keeps what lies in the bits above them."""
    least, most = value_bounds(description)
    clean = least <= int(samples.min()) and int(samples.max()) <= most
    return description.bits_stored if clean else description.bits_allocated


def _rle(samples: Samples, description: PixelDescription) -> bytes:
    return bytes(
        encode_rle(
            samples.astype(samples.dtype.newbyteorder("<"), copy=False).tobytes(),
            byteorder="<",
            rows=description.rows,
            columns=description.columns,
            samples_per_pixel=description.samples_per_pixel,
            bits_allocated=description.bits_allocated,
        )
    )


def _jpeg_ls(samples: Samples, description: PixelDescription) -> bytes:
    """JPEG-LS knows no sign: signed samples go as the bits that are stored (PS3.5 section 8.2.3)."""
    precision = _precision(samples, description)
    cells = samples.view(f"u{samples.dtype.itemsize}")
    if description.signed:
        cells = cells & cells.dtype.type((1 << precision) - 1)
    try:
        return bytes(
            encode_jpeg_ls(
                cells.astype(cells.dtype.newbyteorder("<"), copy=False).tobytes(),
                rows=description.rows,
                columns=description.columns,
                samples_per_pixel=description.samples_per_pixel,
                planar_configuration=0,
                bits_allocated=description.bits_allocated,
                bits_stored=precision,
                photometric_interpretation="RGB" if description.samples_per_pixel == 3 else "MONOCHROME2",
            )
        )
    except RuntimeError:
        # Its buffer is too small for frames of a few samples; the other encoder only knows whole cells.
        return bytes(imagecodecs.jpegls_encode(cells.squeeze(axis=2) if cells.shape[2] == 1 else cells))


def _jpeg_2000(samples: Samples, description: PixelDescription) -> bytes:
    return bytes(
        imagecodecs.jpeg2k_encode(
            samples.squeeze(axis=2) if samples.shape[2] == 1 else samples,
            level=0,
            codecformat="J2K",
            bitspersample=_precision(samples, description),
            reversible=True,
            mct=False,
        )
    )


def _htj2k(samples: Samples, description: PixelDescription) -> bytes:  # noqa: ARG001
    plain = samples.squeeze(axis=2) if samples.shape[2] == 1 else samples
    return bytes(imagecodecs.htj2k_encode(plain, reversible=True, rgb=False))


_ENCODERS: Mapping[str, Callable[[Samples, PixelDescription], bytes]] = {
    RLE: _rle,
    JPEG_LS_LOSSLESS: _jpeg_ls,
    JPEG_2000_LOSSLESS: _jpeg_2000,
    HTJ2K_LOSSLESS: _htj2k,
}
