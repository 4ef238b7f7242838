"""The films of `test_codecs_over_http.py`: every form that can be encoded here, published files of every syntax."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from typing import Any

import imagecodecs
import numpy as np
from bad_objects import STORE, WHEEL
from builders import PixelFormat, chest_film, frame_samples, made_up_uid, part10_bytes
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from pydicom import uid as uids
from pydicom.encaps import generate_frames
from pydicom.pixels.utils import pixel_array

Samples = NDArray[Any]
LOSSLESS = (uids.RLELossless, uids.JPEGLosslessSV1, uids.JPEGLSLossless, uids.JPEG2000Lossless, uids.HTJ2KLossless)
_LJPEG = (uids.JPEGLossless, uids.JPEGLosslessSV1)


@dataclass(frozen=True, kw_only=True, eq=False)
class Film:
    """One film of the table: the bytes that are stored, its InstanceNumber, and what its frames decode to.

    `frames` are (rows, columns, samples) arrays in native byte order, in the colour space `photometric`; `close` allows
    that much difference, for a lossy codec of which no second decoder is at hand; `other_bits`: unused bits are in use,
    which pydicom clears.
    """

    name: str
    number: int
    body: bytes
    dataset: Dataset
    frames: tuple[Samples, ...]
    photometric: str
    close: int = 0
    other_bits: bool = False

    @property
    def path(self) -> str:
        ds = self.dataset
        return f"/dicomweb/studies/{ds.StudyInstanceUID}/series/{ds.SeriesInstanceUID}/instances/{ds.SOPInstanceUID}"

    @property
    def syntaxes(self) -> tuple[str, ...]:
        """The lossless syntaxes that this form of samples fits into."""
        ds = self.dataset
        if "PixelData" not in ds or ds.BitsAllocated == 1 or ds.HighBit != ds.BitsStored - 1:
            return ()
        return LOSSLESS if ds.BitsAllocated <= 16 else (uids.RLELossless,)


def _grey(allocated: int, stored: int, *, signed: bool = False, frames: int = 1, inverted: bool = False) -> PixelFormat:
    return PixelFormat(
        bits_allocated=allocated,
        bits_stored=stored,
        signed=signed,
        frames=frames,
        photometric="MONOCHROME1" if inverted else "MONOCHROME2",
    )


def _color(photometric: str = "RGB", *, bits: int = 8, planar: int = 0, frames: int = 1) -> PixelFormat:
    return PixelFormat(
        bits_allocated=bits, bits_stored=bits, samples=3, photometric=photometric, planar=planar, frames=frames
    )


_PALETTE = PixelFormat(bits_allocated=8, bits_stored=8, photometric="PALETTE COLOR")
_NATIVE = (
    uids.ImplicitVRLittleEndian,
    uids.ExplicitVRLittleEndian,
    uids.ExplicitVRBigEndian,
    uids.DeflatedExplicitVRLittleEndian,
)

# Transfer syntax x bits x sign x samples x photometric interpretation x frames.
GENERATED: tuple[tuple[str, PixelFormat], ...] = (
    *((syntax, _grey(16, 12)) for syntax in _NATIVE),
    *((syntax, _grey(8, 8, frames=3)) for syntax in _NATIVE),
    *((syntax, _color()) for syntax in _NATIVE),
    *((syntax, _grey(16, 16, signed=True, inverted=True)) for syntax in _NATIVE),
    (uids.ExplicitVRLittleEndian, _grey(1, 1)),
    (uids.ExplicitVRLittleEndian, PixelFormat(rows=33, columns=35, bits_allocated=1, bits_stored=1, frames=3)),
    (uids.ExplicitVRLittleEndian, _grey(8, 7)),
    (uids.ExplicitVRLittleEndian, _grey(8, 8, signed=True)),
    (uids.ExplicitVRLittleEndian, _grey(16, 12, signed=True, frames=2)),
    (uids.ExplicitVRLittleEndian, _grey(16, 16)),
    (uids.ExplicitVRLittleEndian, _grey(32, 32)),
    (uids.ExplicitVRLittleEndian, _grey(32, 24, signed=True)),
    (uids.ExplicitVRBigEndian, _grey(32, 32)),
    (uids.ExplicitVRLittleEndian, _color(planar=1)),
    (uids.ExplicitVRLittleEndian, _color(planar=1, frames=2)),
    (uids.ExplicitVRLittleEndian, _color(bits=16)),
    (uids.ExplicitVRLittleEndian, _color("YBR_FULL")),
    (uids.ExplicitVRLittleEndian, _color("YBR_FULL", planar=1)),
    (uids.ExplicitVRLittleEndian, _color("YBR_FULL_422")),
    (uids.ExplicitVRLittleEndian, _PALETTE),
    (uids.ExplicitVRLittleEndian, PixelFormat(data_kind="float", bits_allocated=32, bits_stored=32)),
    (uids.ExplicitVRLittleEndian, PixelFormat(data_kind="double", bits_allocated=64, bits_stored=64, frames=2)),
    (uids.RLELossless, _grey(8, 8)),
    (uids.RLELossless, _grey(16, 12, signed=True, frames=3)),
    (uids.RLELossless, _color(frames=2)),
    (uids.RLELossless, _color(bits=16)),
    (uids.RLELossless, _color("YBR_FULL")),
    (uids.RLELossless, _PALETTE),
    (uids.JPEGBaseline8Bit, _grey(8, 8, frames=2)),
    (uids.JPEGBaseline8Bit, _color()),
    (uids.JPEGExtended12Bit, _grey(16, 12)),
    (uids.JPEGLossless, _grey(16, 12)),
    (uids.JPEGLosslessSV1, _grey(16, 16, frames=2)),
    (uids.JPEGLosslessSV1, _grey(8, 8)),
    (uids.JPEGLSLossless, _grey(16, 12)),
    (uids.JPEGLSLossless, _grey(8, 8, frames=2)),
    (uids.JPEGLSLossless, _color()),
    (uids.JPEGLSNearLossless, _grey(16, 12)),
    (uids.JPEG2000Lossless, _grey(16, 12, signed=True)),
    (uids.JPEG2000Lossless, _grey(16, 16, frames=2, inverted=True)),
    (uids.JPEG2000Lossless, _color()),
    (uids.JPEG2000, _grey(16, 12)),
    (uids.HTJ2KLossless, _grey(16, 16)),
    (uids.HTJ2KLossless, _grey(8, 8, frames=2)),
    (uids.HTJ2KLosslessRPCL, _grey(16, 16)),
    (uids.HTJ2K, _color()),
)

# Published files, and the colour space that their samples have once they are decoded.
PUBLISHED: tuple[tuple[str, str], ...] = (
    ("CT_small.dcm", "MONOCHROME2"), ("MR_small_bigendian.dcm", "MONOCHROME2"), ("MR_small_RLE.dcm", "MONOCHROME2"),
    ("MR_small_jp2klossless.dcm", "MONOCHROME2"), ("MR_small_jpeg_ls_lossless.dcm", "MONOCHROME2"),
    ("MR_small_implicit.dcm", "MONOCHROME2"), ("image_dfl.dcm", "MONOCHROME2"), ("693_J2KI.dcm", "MONOCHROME2"),
    ("J2K_pixelrep_mismatch.dcm", "MONOCHROME2"), ("JPEGLSNearLossless_08.dcm", "MONOCHROME2"),
    ("JPEGLSNearLossless_16.dcm", "MONOCHROME2"), ("liver.dcm", "MONOCHROME2"), ("rtdose_rle.dcm", "MONOCHROME2"),
    ("emri_small_big_endian.dcm", "MONOCHROME2"), ("emri_small_jpeg_ls_lossless.dcm", "MONOCHROME2"),
    ("JPGLosslessP14SV1_1s_1f_8b.dcm", "MONOCHROME2"), ("OBXXXX1A_rle_2frame.dcm", "PALETTE COLOR"),
    ("gdcm-US-ALOKA-16_big.dcm", "PALETTE COLOR"), ("color-pl.dcm", "RGB"), ("SC_rgb_small_odd.dcm", "RGB"),
    ("SC_rgb_rle_16bit.dcm", "RGB"), ("SC_rgb_rle_32bit_2frame.dcm", "RGB"), ("SC_rgb_32bit.dcm", "RGB"),
    ("SC_rgb_gdcm_KY.dcm", "RGB"), ("US1_J2KR.dcm", "RGB"), ("SC_rgb_jls_lossy_line.dcm", "RGB"),
    ("SC_rgb_dcmtk_+eb+cr.dcm", "RGB"), ("SC_rgb_jpeg_app14_dcmd.dcm", "RGB"), ("SC_rgb_jpeg_gdcm.dcm", "RGB"),
    ("SC_ybr_full_uncompressed.dcm", "YBR_FULL"), ("SC_ybr_full_422_uncompressed.dcm", "YBR_FULL"),
    ("SC_rgb_dcmtk_+eb+cy+s4.dcm", "YBR_FULL"), ("SC_rgb_small_odd_jpeg.dcm", "YBR_FULL"),
)  # fmt: skip


def films() -> list[Film]:
    """The whole table; each film is its own study, instance and patient, and its InstanceNumber tells which it is."""
    made = [_generated(number, syntax, pixels) for number, (syntax, pixels) in enumerate(GENERATED, 1)]
    made += [_with_other_bits(len(made) + 1 + high - 11, high) for high in (11, 12)]
    return made + [_published(number, *row) for number, row in enumerate(PUBLISHED, len(made) + 1)]


def _with_other_bits(number: int, high: int) -> Film:
    """12 bits up to bit `high` of 16, the others in use for something else, as old devices keep overlays there."""
    ds = chest_film(_grey(16, 12), patient=number, study=number, InstanceNumber=number)
    frame = (frame_samples(_grey(16, 12), 1) << (high - 11)) | 0xA000 | (high - 11)
    ds.PixelData, ds.HighBit = frame.astype("<u2").tobytes(), high
    body = part10_bytes(ds)
    return Film(
        name=f"12/16 up to bit {high}, other bits in use",
        number=number,
        body=body,
        dataset=dcmread(io.BytesIO(body)),
        frames=(frame.astype(np.uint16),),
        photometric="MONOCHROME2",
        other_bits=True,
    )


def _generated(number: int, syntax: str, pixels: PixelFormat) -> Film:
    ds = chest_film(pixels, patient=number, study=number, InstanceNumber=number)
    body = part10_bytes(ds, syntax)
    form = f"{pixels.bits_stored}/{pixels.bits_allocated}{'s' if pixels.signed else ''}"
    lossy = syntax in (uids.JPEGBaseline8Bit, uids.JPEGExtended12Bit, uids.JPEGLSNearLossless, uids.JPEG2000)
    color = pixels.samples == 3
    judged = lossy and syntax != uids.JPEGExtended12Bit
    photometric = {"YBR_FULL_422": "YBR_FULL"}.get(pixels.photometric, pixels.photometric)
    if syntax == uids.JPEGBaseline8Bit and color:
        photometric = "YBR_FULL"
    frames = tuple(frame_samples(pixels, one) for one in range(1, pixels.frames + 1))
    stored = dcmread(io.BytesIO(body))
    return Film(
        name=" ".join((uids.UID(syntax).keyword, pixels.photometric, form, pixels.data_kind, f"x{pixels.frames}"))
        + (" by plane" if pixels.planar else ""),
        number=number,
        body=body,
        dataset=stored,
        frames=decoded(stored) if judged else frames,
        photometric=photometric,
        close=40 if lossy and not judged else 0,
    )


def _published(number: int, name: str, photometric: str) -> Film:
    path = WHEEL / name if (WHEEL / name).exists() else STORE / name
    with warnings.catch_warnings(action="ignore"):
        ds = dcmread(path)
        ds.StudyInstanceUID, ds.SeriesInstanceUID = made_up_uid("study", number), made_up_uid("series", number)
        ds.SOPInstanceUID = made_up_uid("instance", number)
        ds.SOPClassUID = ds.get("SOPClassUID") or uids.SecondaryCaptureImageStorage
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
        ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
        ds.InstanceNumber = number
        sink = io.BytesIO()
        ds.save_as(sink, enforce_file_format=True)
    body = sink.getvalue()
    stored = dcmread(io.BytesIO(body))
    return Film(name=name, number=number, body=body, dataset=stored, frames=decoded(stored), photometric=photometric)


def _signed(samples: Samples, ds: Dataset) -> Samples:
    """A JPEG stream's unsigned samples with the sign that the data set gives them."""
    if not ds.PixelRepresentation:
        return samples
    used = int(ds.BitsAllocated) if int(samples.max()) >> ds.BitsStored else int(ds.BitsStored)
    return np.where(samples >> (used - 1), samples.astype(np.int64) - (1 << used), samples)


def decoded(ds: Dataset) -> tuple[Samples, ...]:
    """What pydicom's own decoders make of every frame, without any colour transform of its own."""
    count = int(ds.get("NumberOfFrames", 1) or 1)
    if ds.file_meta.TransferSyntaxUID in _LJPEG:
        frames = generate_frames(ds.PixelData, number_of_frames=count)
        arrays = [_signed(imagecodecs.jpegsof3_decode(frame), ds) for frame in frames]
    elif ds.get("BitsAllocated") == 1:
        # Frames that begin within a byte are only found by decoding all of them.
        arrays = list(pixel_array(ds, raw=True).reshape(count, ds.Rows, ds.Columns))
    else:
        # It warns of padding and of headers that contradict a codestream; some files are published for that.
        with warnings.catch_warnings(action="ignore"):
            arrays = [pixel_array(ds, index=index, raw=True) for index in range(count)]
    return tuple(
        np.ascontiguousarray(one.astype(one.dtype.newbyteorder("="))).reshape(ds.Rows, ds.Columns, -1) for one in arrays
    )
