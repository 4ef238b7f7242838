"""Data sets built in code: every frame shows its own number, every identifying element holds a canary of its own.

`chest_film` makes the data set with native little-endian pixel data, `part10_bytes` writes it as a Part 10 file (PS3.10
section 7) in any transfer syntax that can be encoded here. Equal arguments give equal bytes. Pixel forms and canaries
come from the two modules beside this one; their names can be imported from here.
"""

from __future__ import annotations

import copy
from io import BytesIO
from typing import Any

import numpy as np
from builders_canaries import IDENTIFYING, NESTED, add_canaries, all_canaries, canary, made_up_uid
from builders_pixels import (
    GREY,
    LOSSY,
    RGB,
    BurnedText,
    PixelFormat,
    decoded_frames,
    encoded,
    frame_samples,
    native_bytes,
)
from pydicom import uid as uids
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.filewriter import dcmwrite
from pydicom.sequence import Sequence as DicomSequence

__all__ = [
    "GREY",
    "IDENTIFYING",
    "NESTED",
    "RGB",
    "BurnedText",
    "PixelFormat",
    "all_canaries",
    "canary",
    "chest_film",
    "decoded_frames",
    "frame_samples",
    "made_up_uid",
    "native_bytes",
    "part10_bytes",
]


def chest_film(
    pixels: PixelFormat = GREY,
    *,
    patient: int = 1,
    study: int = 1,
    series: int = 1,
    instance: int = 1,
    canaries: bool = True,
    hiding_places: bool = False,
    **overrides: Any,
) -> Dataset:
    """A film with native Explicit VR Little Endian pixel data and its file meta information.

    The numbers choose UIDs and the patient (patient 1 holds the plain canaries; IssuerOfPatientID "CANARY-ISSUER");
    `hiding_places` adds private elements, an unknown VR, an overlay, an icon, a curve and trailing padding that hold
    canaries. `overrides` are keywords and values set last; None removes the element.
    """
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.ImageType = ["ORIGINAL", "PRIMARY"]
    ds.SOPClassUID = _sop_class(pixels)
    ds.SOPInstanceUID = made_up_uid("instance", study, series, instance)
    ds.StudyInstanceUID = made_up_uid("study", study)
    ds.SeriesInstanceUID = made_up_uid("series", study, series)
    ds.Modality, ds.PatientSex, ds.BurnedInAnnotation = "DX", "O", "NO"
    ds.Manufacturer, ds.BodyPartExamined, ds.ViewPosition = "Safelight tests", "CHEST", "PA"
    ds.SeriesNumber, ds.InstanceNumber = series, instance
    label = "" if patient == 1 else str(patient)
    ds.IssuerOfPatientID = "CANARY-ISSUER"
    ds.PatientID, ds.PatientName = canary("PatientID", label), canary("PatientName", label)
    ds.PatientBirthDate = canary("PatientBirthDate", label)
    ds.StudyDate, ds.StudyTime = canary("StudyDate", label), canary("StudyTime", label)
    ds.AccessionNumber, ds.StudyID = canary("AccessionNumber", f"{label}{study}"), canary("StudyID", f"{label}{study}")
    ds.ReferringPhysicianName = canary("ReferringPhysicianName", label)
    if canaries:
        add_canaries(ds, label)
    _add_image_pixel(ds, pixels)
    if hiding_places:
        _add_hiding_places(ds)
    for keyword, value in overrides.items():
        if value is None:
            del ds[keyword]
        else:
            setattr(ds, keyword, value)
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = uids.ExplicitVRLittleEndian
    if "SOPClassUID" in ds and "SOPInstanceUID" in ds:
        ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    return ds


def part10_bytes(dataset: Dataset, transfer_syntax: str = uids.ExplicitVRLittleEndian) -> bytes:
    """The data set as a Part 10 file; its native pixel data is encoded anew. The argument stays as it was.

    Encodes the native syntaxes (implicit, big endian and deflated too), RLE, JPEG baseline (8 bits), extended (12) and
    lossless (grey), JPEG-LS, JPEG 2000 and HTJ2K. Raises `ValueError` for what these cannot hold.
    """
    ds = copy.deepcopy(dataset)
    target = uids.UID(transfer_syntax)
    if target.is_compressed and target != uids.DeflatedExplicitVRLittleEndian:
        if "PixelData" in ds:
            encapsulated_frames = [encoded(frame, ds, target) for frame in decoded_frames(ds)]
            if ds.get("NumberOfFrames", 1) != len(encapsulated_frames):
                raise ValueError("the number of frames is contradicted")
            ds.PixelData = encapsulate(encapsulated_frames)
            ds["PixelData"].VR = "OB"
            if "PlanarConfiguration" in ds:
                ds.PlanarConfiguration = 0
            if target in LOSSY:
                ds.LossyImageCompression = "01"
            if target == uids.JPEGBaseline8Bit and ds.SamplesPerPixel == 3:
                ds.PhotometricInterpretation = "YBR_FULL_422"
    elif target == uids.ExplicitVRBigEndian and ds.BitsAllocated > 8:
        for keyword in {"PixelData", "FloatPixelData", "DoubleFloatPixelData"} & set(ds.dir()):
            ds[keyword].value = np.frombuffer(ds[keyword].value, f"<u{ds.BitsAllocated // 8}").byteswap().tobytes()
    ds.file_meta.TransferSyntaxUID = target
    buffer = BytesIO()
    implicit = target == uids.ImplicitVRLittleEndian
    little = target != uids.ExplicitVRBigEndian
    dcmwrite(buffer, ds, implicit_vr=implicit, little_endian=little, enforce_file_format=True)
    return buffer.getvalue()


def _sop_class(pixels: PixelFormat) -> str:
    if pixels.bits_allocated == 1:
        return uids.MultiFrameSingleBitSecondaryCaptureImageStorage
    if pixels.samples == 3:
        return uids.MultiFrameTrueColorSecondaryCaptureImageStorage
    if pixels.data_kind != "integer":
        return uids.ParametricMapStorage
    if pixels.frames > 1:
        return uids.MultiFrameGrayscaleWordSecondaryCaptureImageStorage
    return uids.DigitalXRayImageStorageForPresentation


def _add_image_pixel(ds: Dataset, pixels: PixelFormat) -> None:
    ds.SamplesPerPixel, ds.PhotometricInterpretation = pixels.samples, pixels.photometric
    ds.Rows, ds.Columns, ds.BitsAllocated = pixels.rows, pixels.columns, pixels.bits_allocated
    if pixels.frames > 1 or pixels.bits_allocated == 1:
        ds.NumberOfFrames = pixels.frames
    frames = [frame_samples(pixels, number) for number in range(1, pixels.frames + 1)]
    value = native_bytes(frames, pixels)
    if pixels.data_kind == "float":
        ds.FloatPixelData, ds.BitsAllocated = value, 32
        return
    if pixels.data_kind == "double":
        ds.DoubleFloatPixelData, ds.BitsAllocated = value, 64
        return
    ds.BitsStored, ds.HighBit = pixels.bits_stored, pixels.bits_stored - 1
    ds.PixelRepresentation = int(pixels.signed)
    if pixels.samples == 3:
        ds.PlanarConfiguration = pixels.planar
    if pixels.photometric == "PALETTE COLOR":
        ramp = np.linspace(0, 65535, 256).astype("<u2")
        for colour, entries in (("Red", ramp), ("Green", ramp[::-1]), ("Blue", ramp)):
            setattr(ds, f"{colour}PaletteColorLookupTableDescriptor", [256, 0, 16])
            setattr(ds, f"{colour}PaletteColorLookupTableData", entries.tobytes())
    elif pixels.samples == 1 and pixels.bits_stored > 1:
        ds.WindowCenter, ds.WindowWidth = str(2 ** (pixels.bits_stored - 1)), str(2**pixels.bits_stored)
        ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = "0", "1", "US"
    ds.PixelData = value
    ds["PixelData"].VR = "OB" if pixels.bits_allocated <= 8 else "OW"


def _add_hiding_places(ds: Dataset) -> None:
    block = ds.private_block(0x0011, "CANARY-CREATOR", create=True)
    block.add_new(0x01, "LO", "CANARY-PRIVATE-LO")
    block.add_new(0x02, "OB", b"CANARY-PRIVATE-OB\0")
    block.add_new(0x03, "UN", b"CANARY-PRIVATE-UN\0")
    inner = Dataset()
    inner.PatientName = "CANARY-PRIVATE^SQ"
    block.add_new(0x04, "SQ", DicomSequence([inner]))
    ds.add_new(0x60000010, "US", 8)
    ds.add_new(0x60000011, "US", 128)
    ds.add_new(0x60000022, "LO", "CANARY-OVERLAY-DESCRIPTION")
    ds.add_new(0x60000040, "CS", "G")
    ds.add_new(0x60000050, "SS", [1, 1])
    ds.add_new(0x60000100, "US", 1)
    ds.add_new(0x60000102, "US", 0)
    ds.add_new(0x60003000, "OW", b"CANARY-OVERLAY-BITS".ljust(128, b"\0"))
    ds.add_new(0x50003000, "OW", b"CANARY-CURVE-DATA\0")
    icon = Dataset()
    _add_image_pixel(icon, PixelFormat(rows=8, columns=24, bits_allocated=8, bits_stored=8))
    icon.PixelData = b"CANARY-ICON-PIXELS".ljust(192, b"\0")
    ds.IconImageSequence = DicomSequence([icon])
    ds.add_new(0xFFFCFFFC, "OB", b"CANARY-TRAILING-PADDING\0")
