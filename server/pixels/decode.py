"""From one stored segment to one `Frame`, whatever the transfer syntax."""

from __future__ import annotations

import numpy as np

from server.errors import DecodeFailed, UnsupportedPixels
from server.pixels.description import (
    EXPLICIT_BIG,
    HIGH_THROUGHPUT,
    JPEG,
    JPEG_LS,
    NATIVE,
    RLE,
    WAVELET,
    PixelDescription,
)
from server.pixels.frame import Frame, Samples, cleaned
from server.pixels.frames import fragments_of
from server.pixels.pool import Codestream, DecoderPool


def decode(
    segment: bytes | memoryview, description: PixelDescription, pool: DecoderPool, *, bit_offset: int = 0
) -> Frame:
    """Decode one segment of `FrameLayout.ranges`; `bit_offset` is the one of `FrameLayout.segment_of`.

    Native frames are read here, all others by a child of `pool`. Bytes beyond the frame are ignored. Raises
    `DecodeFailed` when the bytes do not hold what the description says, `UnsupportedPixels` for malformed items.
    """
    if description.transfer_syntax_uid in NATIVE:
        return decode_native(segment, description, bit_offset=bit_offset)
    return _decode_encapsulated(memoryview(segment), description, pool)


def decoded_photometric(segment: bytes | memoryview, description: PixelDescription) -> str:
    """What `Frame.photometric_interpretation` of this segment will be, without decoding it. Raises as `decode`."""
    if description.transfer_syntax_uid in NATIVE:
        declared = description.photometric_interpretation
        return "YBR_FULL" if declared == "YBR_FULL_422" else declared
    return _photometric(b"".join(fragments_of(memoryview(segment))), description)


def decode_native(segment: bytes | memoryview, description: PixelDescription, *, bit_offset: int = 0) -> Frame:
    """Read native samples (PS3.5 section 8.1.1 and annex D); planar and 4:2:2 samples become interleaved and full.

    Raises `DecodeFailed` if the segment is too short, `UnsupportedPixels` for an encapsulated description.
    """
    if description.transfer_syntax_uid not in NATIVE:
        raise UnsupportedPixels("not a native transfer syntax")
    if 8 * len(segment) < bit_offset + description.frame_bits or (bit_offset and description.bits_allocated != 1):
        raise DecodeFailed("the segment is shorter than a frame")
    rows, columns, count = description.rows, description.columns, description.samples_per_pixel
    if description.bits_allocated == 1:
        return _frame(_bits(segment, description, bit_offset).reshape(rows, columns, 1), description)
    order = ">" if description.transfer_syntax_uid == EXPLICIT_BIG else "<"
    stored_type = np.dtype(f"{order}{description.dtype}")
    stored: Samples = np.frombuffer(segment, stored_type, description.frame_bits // description.bits_allocated)
    stored = stored.astype(stored_type.newbyteorder("="), copy=False)
    if description.subsampled:
        return _frame(_expanded(stored, rows, columns), description)
    if description.planar_configuration:
        return _frame(np.ascontiguousarray(stored.reshape(count, rows, columns).transpose(1, 2, 0)), description)
    return _frame(stored.reshape(rows, columns, count), description)


def _bits(segment: bytes | memoryview, description: PixelDescription, bit_offset: int) -> Samples:
    """One-bit samples, the first in the lowest bit of each byte (PS3.5 section 8.1.1)."""
    first, skipped = divmod(bit_offset, 8)
    needed = skipped + description.frame_bits
    packed = np.frombuffer(segment, np.uint8, (needed + 7) // 8, offset=first)
    return np.unpackbits(packed, bitorder="little", count=needed)[skipped:]


def _expanded(stored: Samples, rows: int, columns: int) -> Samples:
    """YBR_FULL_422 lies as Y Y Cb Cr for two neighbours (PS3.3 C.7.6.3.1.2)."""
    pairs = stored.reshape(rows, columns // 2, 4)
    full = np.empty((rows, columns, 3), stored.dtype)
    full[:, 0::2, 0] = pairs[:, :, 0]
    full[:, 1::2, 0] = pairs[:, :, 1]
    for half in (0, 1):
        full[:, half::2, 1:] = pairs[:, :, 2:]
    return full


def _decode_encapsulated(segment: memoryview, description: PixelDescription, pool: DecoderPool) -> Frame:
    data = b"".join(fragments_of(segment))
    decoded = pool.decode(
        Codestream(
            codec=_codec(description.transfer_syntax_uid),
            data=data,
            rows=description.rows,
            columns=description.columns,
            samples=description.samples_per_pixel,
            rle_type=f"<{description.dtype}",
        )
    )
    photometric = _photometric(data, description)
    return _frame(_fitted(decoded, description), description, photometric)


def _codec(uid: str) -> str:
    if uid == RLE:
        return "rle"
    if uid in JPEG:
        return "jpeg"
    if uid in JPEG_LS:
        return "jpeg-ls"
    if uid in HIGH_THROUGHPUT:
        return "htj2k"
    if uid in WAVELET:
        return "jpeg2000"
    raise UnsupportedPixels("transfer syntax is not decoded here")


def _fitted(decoded: Samples, description: PixelDescription) -> Samples:
    """Bring a codestream's own type to the described one.

    Lossless JPEG, JPEG-LS and some JPEG 2000 streams carry signed samples as unsigned ones, of the stored width or of
    the whole cell; only the former still need their sign extended.
    """
    wanted = np.dtype(description.dtype)
    if decoded.dtype.itemsize > wanted.itemsize:
        narrow = decoded.astype(wanted)
        if not np.array_equal(narrow.astype(decoded.dtype), decoded):
            raise DecodeFailed("the codestream is wider than the header says")
        decoded = narrow
    if decoded.dtype == wanted:
        return decoded
    fitted = decoded.astype(wanted)
    whole_cells = decoded.dtype.kind == "u" and int(decoded.max()) >> description.bits_stored
    return fitted if whole_cells else cleaned(fitted, description)


def _photometric(data: bytes, description: PixelDescription) -> str:
    """What the decoded components are: JPEG components stay as stored, wavelet transforms have been undone."""
    declared = description.photometric_interpretation
    if description.samples_per_pixel == 1:
        return declared
    uid = description.transfer_syntax_uid
    if uid in WAVELET and declared in {"YBR_RCT", "YBR_ICT"}:
        return "RGB"
    if uid in JPEG:
        transform = _adobe_transform(data)
        if transform is not None:
            return "YBR_FULL" if transform else "RGB"
    return "RGB" if declared == "RGB" else "YBR_FULL"


def _adobe_transform(data: bytes) -> int | None:
    """The colour transform flag of an Adobe APP14 segment before the first scan (ITU-T T.872 section 6.5.3)."""
    position = 2
    while position + 4 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker == 0xFF:
            position += 1
            continue
        length = int.from_bytes(data[position + 2 : position + 4], "big")
        if marker == 0xDA or length < 2:
            return None
        if marker == 0xEE and data[position + 4 : position + 9] == b"Adobe" and length >= 14:
            return data[position + 15]
        position += 2 + length
    return None


def _frame(samples: Samples, description: PixelDescription, photometric: str | None = None) -> Frame:
    declared = description.photometric_interpretation
    now = photometric or ("YBR_FULL" if declared == "YBR_FULL_422" else declared)
    return Frame(samples=samples, photometric_interpretation=now, description=description)
