"""The films of the demonstration: real ones that lie in two packages, and made-up ones drawn here.

Nothing is downloaded. Where the packages `pydicom-data` and `deid-data` are not installed, only the made-up films
remain, over a drawn thorax. Every made-up film shows the same made-up identity in its samples and in its header, with
IssuerOfPatientID "SAFELIGHT-DEMO".
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pydicom
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from pydicom import uid as uids
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite

ISSUER = "SAFELIGHT-DEMO"

_FROM_PYDICOM = (
    *("RG1_J2KR.dcm", "RG3_UNCR.dcm", "US1_J2KR.dcm", "OBXXXX1A_rle.dcm", "693_J2KR.dcm", "MR2_J2KR.dcm"),
    *("JPGLosslessP14SV1_1s_1f_8b.dcm", "OT-PAL-8-face.dcm", "emri_small_jpeg_ls_lossless.dcm"),
)
_FROM_DEID = (
    *("animals/cat.dcm", "dicom-cookies/image1.dcm", "humans/ctbrain1.dcm"),
    *("ultrasounds/GREYSCALE_IMAGE.dcm", "ultrasounds/RGB_IMAGE.dcm"),
)
_REAL = tuple(("pydicom-data", f"data_store/data/{name}") for name in _FROM_PYDICOM) + tuple(
    ("deid-data", f"deid_data/data/{name}") for name in _FROM_DEID
)
_CHEST = ("pydicom-data", "data_store/data/RG1_UNCR.dcm")
_BITS = 12
_WHITE = 2**_BITS - 1


@dataclass(frozen=True, kw_only=True)
class MadeUpFilm:
    """One film to draw. `corner` is "top-left", "top-right", "bottom-left", "bottom-right" or "side" (turned).

    `height` is the text's in samples, `contrast` the part of the range it stands out by.
    """

    name: str
    patient_id: str
    birth_date: str
    sex: str
    study_date: str
    corner: str
    height: int = 28
    contrast: float = 0.6
    boxed: bool = False
    inverted: bool = False
    frames: int = 1
    modality: str = "DX"


MADE_UP = (
    MadeUpFilm(name="MUSTER^MAXIMA", patient_id="DEMO-0001", birth_date="19610412", sex="F", study_date="20240108",
               corner="top-left"),
    MadeUpFilm(name="MUSTER^MAXIMA", patient_id="DEMO-0001", birth_date="19610412", sex="F", study_date="20240305",
               corner="bottom-right", inverted=True, modality="CR"),
    MadeUpFilm(name="EXAMPLE^PATIENT", patient_id="DEMO-0002", birth_date="19480930", sex="M", study_date="20240212",
               corner="top-right", contrast=0.15),
    MadeUpFilm(name="SPECIMEN^SIMON", patient_id="DEMO-0003", birth_date="19870517", sex="M", study_date="20240401",
               corner="bottom-left", frames=4, modality="RF"),
    MadeUpFilm(name="NOBODY^NORA", patient_id="DEMO-0004", birth_date="19990101", sex="F", study_date="20240519",
               corner="side", height=32),
    MadeUpFilm(name="FICTION^FRIDA", patient_id="DEMO-0005", birth_date="19550623", sex="F", study_date="20240620",
               corner="bottom-right", boxed=True, height=22, modality="CR"),
    MadeUpFilm(name="INVENTED^IVAN", patient_id="DEMO-0006", birth_date="19720711", sex="M", study_date="20240704",
               corner="top-left", height=16, contrast=0.4),
)  # fmt: skip


def expected_number() -> int:
    """How many films `sample_films` will give, for a progress bar."""
    return len(MADE_UP) + sum(_locate(*film) is not None for film in _REAL)


def sample_films(seed: bytes = b"") -> Iterator[bytes]:
    """The films as Part 10 files, the made-up ones first. Equal seeds give equal bytes, UIDs included."""
    base = chest_picture()
    for number, film in enumerate(MADE_UP, 1):
        yield _written(_made_up(film, number, base, seed))
    for package, name in _REAL:
        path = _locate(package, name)
        if path is not None:
            yield _completed(path.read_bytes(), name, seed)


def drawn(film: MadeUpFilm, base: NDArray[np.float32], frame_number: int = 1) -> tuple[NDArray[np.uint16], list[str]]:
    """One frame (rows, columns) of the film over `base` (0 black to 1 white), 12 bits, and the lines drawn into it."""
    picture = base.copy()
    birth = f"{film.birth_date[6:]}.{film.birth_date[4:6]}.{film.birth_date[:4]}"
    lines = [film.name.replace("^", ", "), f"ID {film.patient_id}", f"* {birth}"]
    if film.frames > 1:
        lines.append(f"Frame {frame_number}")
    block = _text_block(lines, film.height)
    if film.corner == "side":
        block = np.asarray(np.rot90(block), np.float32)
    rows, columns = block.shape
    top = 24 if film.corner.startswith("top") else base.shape[0] - rows - 24
    left = base.shape[1] - columns - 24 if film.corner.endswith("right") else 24
    if film.corner == "side":
        top = (base.shape[0] - rows) // 2
    place = picture[top : top + rows, left : left + columns]
    if film.boxed:
        place[:] = 0.95
    sign = -1 if film.boxed or place.mean() > 0.55 else 1
    place += sign * film.contrast * block
    values = np.round(np.clip(picture, 0, 1) * _WHITE).astype(np.uint16)
    return (_WHITE - values if film.inverted else values), lines


def _text_block(lines: list[str], height: int) -> NDArray[np.float32]:
    font = ImageFont.load_default(height)
    step = round(height * 1.35)
    width = max(int(font.getlength(line)) for line in lines) + 16
    image = Image.new("L", (width, step * len(lines) + 12))
    for index, line in enumerate(lines):
        ImageDraw.Draw(image).text((8, 6 + index * step), line, fill=255, font=font)
    return np.asarray(image, np.float32) / np.float32(255)


def chest_picture() -> NDArray[np.float32]:
    """A chest (rows, columns), 0 black to 1 white: a real one where `pydicom-data` is installed, else a drawn one."""
    path = _locate(*_CHEST)
    if path is None:
        return drawn_thorax()
    film = pydicom.dcmread(path)
    values = np.frombuffer(film.PixelData, "<u2").reshape(film.Rows, film.Columns)
    small = cv2.resize(
        values.astype(np.float32), (film.Columns * 5 // 8, film.Rows * 5 // 8), interpolation=cv2.INTER_AREA
    )
    low, high = np.percentile(small, (0.5, 99.5))
    # This film is MONOCHROME1: its large values are dark.
    return np.asarray(0.03 + 0.9 * np.clip((high - small) / (high - low), 0, 1), np.float32)


def drawn_thorax(rows: int = 1200, columns: int = 1100) -> NDArray[np.float32]:
    """A body, two lungs and ribs as curves, with a little noise; 0 black to 1 white."""
    down, across = np.mgrid[-1 : 1 : rows * 1j, -1 : 1 : columns * 1j]
    body = np.exp(-((across / 0.85) ** 8) - (down / 1.1) ** 8)
    lungs = sum(np.exp(-(((across - side) / 0.3) ** 4) - ((down + 0.05) / 0.6) ** 4) for side in (-0.45, 0.45))
    ribs = 0.06 * np.cos(34 * (down + 0.35 * across**2)) * lungs
    picture = 0.05 + 0.75 * body - 0.45 * lungs + ribs + 0.12 * np.exp(-((across / 0.08) ** 2)) * body
    noise = np.random.default_rng(1).normal(0, 0.006, picture.shape)
    return np.asarray(np.clip(picture + noise, 0, 1), np.float32)


def _made_up(film: MadeUpFilm, number: int, base: NDArray[np.float32], seed: bytes) -> Dataset:
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.ImageType = ["ORIGINAL", "PRIMARY"]
    sop_classes = {
        "DX": uids.DigitalXRayImageStorageForPresentation,
        "CR": uids.ComputedRadiographyImageStorage,
        "RF": uids.XRayRadiofluoroscopicImageStorage,
    }
    ds.SOPClassUID = sop_classes[film.modality]
    ds.StudyInstanceUID = _uid(seed, "study", number)
    ds.SeriesInstanceUID = _uid(seed, "series", number)
    ds.SOPInstanceUID = _uid(seed, "instance", number)
    ds.PatientName, ds.PatientID, ds.IssuerOfPatientID = film.name, film.patient_id, ISSUER
    ds.PatientBirthDate, ds.PatientSex = film.birth_date, film.sex
    ds.StudyDate = ds.SeriesDate = ds.ContentDate = film.study_date
    ds.StudyTime = ds.SeriesTime = ds.ContentTime = f"{8 + number:02}1500"
    ds.AccessionNumber, ds.StudyID = f"DEMO-A{number:04}", f"DEMO-S{number:04}"
    ds.StudyDescription, ds.SeriesDescription = "Chest PA (made up)", "Demonstration"
    ds.InstitutionName, ds.ReferringPhysicianName = "Safelight Demonstration Hospital", "PLACEHOLDER^PAULA"
    ds.Modality, ds.BodyPartExamined, ds.ViewPosition = film.modality, "CHEST", "PA"
    ds.PatientOrientation = ["L", "F"]
    ds.SeriesNumber = ds.InstanceNumber = 1
    ds.BurnedInAnnotation = "YES"
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME1" if film.inverted else "MONOCHROME2"
    ds.PresentationLUTShape = "INVERSE" if film.inverted else "IDENTITY"
    if film.frames > 1:
        ds.NumberOfFrames = film.frames
    ds.Rows, ds.Columns = base.shape
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, _BITS, _BITS - 1, 0
    ds.WindowCenter, ds.WindowWidth = str(2 ** (_BITS - 1)), str(2**_BITS)
    ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = "0", "1", "US"
    ds.PixelSpacing = ["0.3", "0.3"]
    ds.PixelData = b"".join(drawn(film, base, index)[0].tobytes() for index in range(1, film.frames + 1))
    ds["PixelData"].VR = "OW"
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = uids.ExplicitVRLittleEndian
    return ds


def _completed(content: bytes, name: str, seed: bytes) -> bytes:
    """The file as it is, or, where it lacks a UID or its file meta information, written anew with them."""
    # The content is that of a known package; only the missing preamble is forgiven.
    ds = pydicom.dcmread(BytesIO(content), force=True)
    required = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
    if "TransferSyntaxUID" in ds.file_meta and all(ds.get(keyword) for keyword in required):
        return content
    implicit = ds.original_encoding[0]
    if "TransferSyntaxUID" not in ds.file_meta:
        ds.file_meta.TransferSyntaxUID = uids.ImplicitVRLittleEndian if implicit else uids.ExplicitVRLittleEndian
    if not ds.get("SOPClassUID"):
        ds.SOPClassUID = uids.SecondaryCaptureImageStorage
    for keyword in required[1:]:
        if not ds.get(keyword):
            setattr(ds, keyword, _uid(seed, keyword, name))
    return _written(ds)


def _written(ds: Dataset) -> bytes:
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    buffer = BytesIO()
    dcmwrite(buffer, ds, enforce_file_format=True)
    return buffer.getvalue()


def _uid(seed: bytes, *words: object) -> str:
    digest = hashlib.sha256(seed + "\0".join(map(str, words)).encode()).digest()
    return f"2.25.{int.from_bytes(digest[:15])}"


def _locate(package: str, file: str) -> Path | None:
    try:
        path = Path(str(distribution(package).locate_file(file)))
    except PackageNotFoundError:
        return None
    return path if path.is_file() else None
