"""Which files drive the decoder tests, and what each must decode to.

All of them come with pydicom or with the package `data_store`; nothing is fetched. The reference is pydicom's own
decoding with no processing (`raw=True`) unless `judge` names another.
"""

from __future__ import annotations

import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import data_store
import imagecodecs
import numpy as np
import pydicom.data
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from pydicom.encaps import generate_frames
from pydicom.pixels.utils import pixel_array

from server.pixels.description import DEFLATED_LITTLE, IMPLICIT_LITTLE, PixelDescription, describe
from server.pixels.frames import FrameLayout, split

_WHEEL = Path(pydicom.data.__file__).parent / "test_files"
_STORE = Path(data_store.__file__).parent / "data"

Judge = Literal["pydicom", "ljpeg", "near"]


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A file, the frames to look at, the colour space that decoding must declare, and who judges the samples."""

    name: str
    photometric: str
    frames: tuple[int, ...] = (1,)
    judge: Judge = "pydicom"

    @property
    def path(self) -> Path:
        return _WHEEL / self.name if (_WHEEL / self.name).exists() else _STORE / self.name


def _grey(*names: str) -> list[Reference]:
    return [Reference(name=name, photometric="MONOCHROME2") for name in names]


def _color(photometric: str, *names: str) -> list[Reference]:
    return [Reference(name=name, photometric=photometric) for name in names]


REFERENCES: tuple[Reference, ...] = (
    *_grey("CT_small.dcm", "MR_small.dcm", "MR_small_implicit.dcm", "MR_small_bigendian.dcm", "MR_small_padded.dcm"),
    *_grey("MR_small_RLE.dcm", "MR_small_jp2klossless.dcm", "MR_small_jpeg_ls_lossless.dcm", "image_dfl.dcm"),
    *_grey("693_J2KI.dcm", "693_J2KR.dcm", "J2K_pixelrep_mismatch.dcm", "JPEG2000.dcm", "examples_overlay.dcm"),
    *_grey("JPEGLSNearLossless_08.dcm", "JPEGLSNearLossless_16.dcm", "liver_1frame.dcm", "liver_expb_1frame.dcm"),
    *_grey("rtdose_1frame.dcm", "rtdose_expb_1frame.dcm", "rtdose_rle_1frame.dcm", "explicit_VR-UN.dcm"),
    *(
        Reference(name=name, photometric="MONOCHROME2", frames=(1, 2, 10))
        for name in ("emri_small.dcm", "emri_small_big_endian.dcm", "emri_small_RLE.dcm")
    ),
    *(
        Reference(name=name, photometric="MONOCHROME2", frames=(1, 2, 10))
        for name in ("emri_small_jpeg_2k_lossless.dcm", "emri_small_jpeg_ls_lossless.dcm", "rtdose_rle.dcm")
    ),
    *(Reference(name=name, photometric="MONOCHROME2", frames=(1, 2, 3)) for name in ("liver.dcm", "liver_expb.dcm")),
    *_color("PALETTE COLOR", "OBXXXX1A.dcm", "OBXXXX1A_rle.dcm", "gdcm-US-ALOKA-16.dcm", "gdcm-US-ALOKA-16_big.dcm"),
    Reference(name="OBXXXX1A_rle_2frame.dcm", photometric="PALETTE COLOR", frames=(1, 2)),
    *_color("RGB", "color-pl.dcm", "color-px.dcm", "SC_rgb_small_odd.dcm", "ExplVR_BigEnd.dcm", "SC_rgb_rle.dcm"),
    *_color("RGB", "SC_rgb_expb_16bit.dcm", "SC_rgb_32bit.dcm", "SC_rgb_rle_16bit.dcm", "SC_rgb_rle_32bit.dcm"),
    *_color("RGB", "SC_rgb_gdcm_KY.dcm", "GDCMJ2K_TextGBR.dcm", "US1_J2KI.dcm", "US1_J2KR.dcm"),
    *_color("RGB", "SC_rgb_jls_lossy_line.dcm", "SC_rgb_jls_lossy_sample.dcm"),
    *_color("RGB", "SC_jpeg_no_color_transform.dcm", "SC_jpeg_no_color_transform_2.dcm", "SC_rgb_dcmtk_+eb+cr.dcm"),
    *_color("RGB", "SC_rgb_jpeg_app14_dcmd.dcm"),
    Reference(name="SC_rgb_rle_32bit_2frame.dcm", photometric="RGB", frames=(1, 2)),
    *_color("YBR_FULL", "SC_ybr_full_uncompressed.dcm", "SC_ybr_full_422_uncompressed.dcm"),
    *_color("YBR_FULL", "SC_rgb_dcmtk_+eb+cy+n1.dcm", "SC_rgb_dcmtk_+eb+cy+n2.dcm", "SC_rgb_dcmtk_+eb+cy+np.dcm"),
    *_color("YBR_FULL", "SC_rgb_dcmtk_+eb+cy+s2.dcm", "SC_rgb_dcmtk_+eb+cy+s4.dcm", "SC_rgb_jpeg_lossy_gdcm.dcm"),
    *_color("YBR_FULL", "SC_rgb_small_odd_jpeg.dcm", "SC_rgb_jpeg_dcmtk.dcm"),
    Reference(name="examples_ybr_color.dcm", photometric="YBR_FULL", frames=(1, 17, 30)),
    # pydicom has no decoder of its own for these; a second, independent one judges the lossless ones.
    Reference(name="JPEG-LL.dcm", photometric="MONOCHROME2", judge="ljpeg"),
    Reference(name="JPGLosslessP14SV1_1s_1f_8b.dcm", photometric="MONOCHROME2", judge="ljpeg"),
    Reference(name="SC_rgb_jpeg_gdcm.dcm", photometric="RGB", judge="ljpeg"),
    # 12-bit lossy JPEG of the picture that JPEG-LL.dcm holds losslessly.
    Reference(name="JPGExtended.dcm", photometric="MONOCHROME2", judge="near"),
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Stored:
    """A reference file taken apart: inflated body, data set without pixel data, description and layout."""

    body: bytes
    dataset: Dataset
    pixel_offset: int
    description: PixelDescription
    layout: FrameLayout


def opened(path: Path) -> Stored:
    dataset = dcmread(path)
    body = path.read_bytes()
    uid = str(dataset.file_meta.TransferSyntaxUID)
    value_start = int(getattr(dataset.get_item("PixelData"), "value_tell"))  # noqa: B009
    if uid == DEFLATED_LITTLE:
        start = 132 + 12 + int(dataset.file_meta.FileMetaInformationGroupLength)
        body = body[:start] + zlib.decompress(body[start:], -zlib.MAX_WBITS)
        value_start += start
    offset = value_start - (8 if uid == IMPLICIT_LITTLE else 12)
    description = describe(dataset, uid)
    assert description is not None
    return Stored(
        body=body,
        dataset=dataset,
        pixel_offset=offset,
        description=description,
        layout=split(memoryview(body), offset, description),
    )


def expected(reference: Reference, number: int) -> NDArray[Any]:
    """What the frame must decode to, (rows, columns, samples) in native byte order."""
    dataset = dcmread(reference.path)
    if reference.judge == "pydicom":
        # It warns of padding and of headers that contradict a codestream; both are what these files are for.
        with warnings.catch_warnings(action="ignore"):
            array = pixel_array(dataset, index=number - 1, raw=True)
    else:
        path = reference.path if reference.judge == "ljpeg" else _STORE / "JPEG-LL.dcm"
        array = imagecodecs.ljpeg_decode(next(generate_frames(dcmread(path).PixelData, number_of_frames=1)))
    array = array.astype(array.dtype.newbyteorder("="))
    return array.reshape(*array.shape[:2], -1).view(np.ndarray)
