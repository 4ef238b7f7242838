"""The films that validators look at: every readable file of the test packages, and of a folder of more where one is."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

import pydicom
from builders import RGB, PixelFormat, chest_film, part10_bytes
from pydicom.errors import InvalidDicomError
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

WHEEL = Path(pydicom.__file__).parent / "data" / "test_files"
MORE = Path(str(distribution("pydicom-data").locate_file("data_store/data")))
DEID = Path(str(distribution("deid-data").locate_file("deid_data/data")))
SHARED = os.environ.get("SAFELIGHT_SHARED_DATA", "")
_FOLDERS = ("headers", "charsets", "syntaxes", "burned-in")
# Larger films hold nothing more that a validator looks at.
_LARGEST = 12_000_000


def bodies() -> Iterator[tuple[str, bytes]]:
    """Name and Part 10 bytes of films of many classes, each with a SOP Instance UID of its own."""
    yield "DX, made", part10_bytes(chest_film(study=1))
    yield "SC, made", part10_bytes(chest_film(RGB, study=2))
    yield "SC, one bit, made", part10_bytes(chest_film(PixelFormat(bits_allocated=1, bits_stored=1), study=3))
    folders = [WHEEL, MORE, DEID, *(Path(SHARED) / name for name in _FOLDERS if SHARED)]
    seen: set[str] = set()
    for path in (path for folder in folders for path in sorted(folder.rglob("*"))):
        if (
            path.is_file()
            and path.suffix in ("", ".dcm")
            and "dicomdir" not in str(path)
            and path.stat().st_size < _LARGEST
        ):
            body = path.read_bytes()
            instance = _instance(body)
            if instance and instance not in seen:
                seen.add(instance)
                yield f"{path.parent.name}/{path.name}", body


def plain(body: bytes) -> bytes:
    """The film as a validator can read it that does not inflate."""
    found = pydicom.dcmread(io.BytesIO(body))
    if found.file_meta.get("TransferSyntaxUID") != DeflatedExplicitVRLittleEndian:
        return body
    found.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    out = io.BytesIO()
    found.save_as(out)
    return out.getvalue()


def _instance(body: bytes) -> str | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return str(pydicom.dcmread(io.BytesIO(body), stop_before_pixels=True).get("SOPInstanceUID") or "") or None
    except (InvalidDicomError, EOFError, NotImplementedError):
        return None
