"""Data sets, masking levels and names made by hand for the tests of this room."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID

from server.metadata.elements import Elements
from server.metadata.identifiers import identifiers, patient_identifier
from server.metadata.part10 import StoredObject, read
from server.metadata.pseudonyms import Pseudonyms, domain_key
from server.model import (
    Action,
    ElementAction,
    ElementRules,
    MaskingLevel,
    ObjectKind,
    Profile,
    ProfileOption,
    RegionKind,
    RegionStyle,
)

EXPLICIT, IMPLICIT, BIG, DEFLATED = (f"1.2.840.10008.1.2{tail}" for tail in (".1", "", ".2", ".1.99"))
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
SYNTAXES_ENCAPSULATED = [f"1.2.840.10008.1.2.{tail}" for tail in ("5", "4.80", "4.90", "4.201", "4.50")]
PROJECT_KEY = bytes(range(32))
WHEEL = Path(pydicom.__file__).parent / "data"
K, X, U, D, Z, C = (ElementAction(letter) for letter in "KXUDZC")


def wheel_files() -> list[Path]:
    """Every file of pydicom's wheel that this room reads as an object."""
    return [path for path in sorted(WHEEL.rglob("*")) if path.is_file() and is_object(path)]


def is_object(path: Path) -> bool:
    return path.read_bytes()[128:132] == b"DICM"


def level(
    name: str,
    by_tag: dict[int, ElementAction],
    *,
    default: ElementAction = X,
    private: ElementAction = X,
    style: RegionStyle = RegionStyle.MOSAIC,
    pseudonyms: bool = True,
    shift_dates: bool = True,
) -> MaskingLevel:
    return MaskingLevel(
        name=name,
        description=name,
        transactions=frozenset(Action),
        objects=frozenset(ObjectKind),
        elements=ElementRules(
            default=default,
            private=private,
            by_tag=by_tag,
            profile=_profile(shift_dates=shift_dates) if pseudonyms else None,
        ),
        pseudonyms=pseudonyms,
        shift_dates=shift_dates,
        regions=dict.fromkeys(RegionKind, style),
        unscreened=style,
        whole_frame=RegionStyle.KEEP,
        keep_unused_bits=style is RegionStyle.KEEP,
        longest_side=None,
        fingerprint=name,
        coarse_blocks=16,
        keep_markers=False,
        keep_machine_text=False,
        tell_regions=False,
        masked_notice=False,
        outline_regions=False,
    )


def _profile(*, shift_dates: bool) -> Profile:
    """The Basic Profile with the options that such a level bears out, and none of its rows."""
    options = {ProfileOption.CLEAN_PIXEL_DATA}
    options |= {ProfileOption.RETAIN_LONG_MODIFIED_DATES} if shift_dates else set()
    return Profile(options=frozenset(options), choices={}, safe_private=())


ORIGINAL = level("original", {}, default=K, private=K, style=RegionStyle.KEEP, pseudonyms=False, shift_dates=False)
RULES = {
    0x00080008: K,
    0x00080016: K,
    0x00080018: U,
    0x00080020: C,
    0x00080030: C,
    0x0008002A: C,
    0x00080050: D,
    0x00080060: K,
    0x00080090: D,
    0x00081030: C,
    0x00081115: K,
    0x00081150: K,
    0x00081155: U,
    0x00081199: K,
    0x00100010: D,
    0x00100020: D,
    0x00100030: Z,
    0x00100040: K,
    0x00180015: K,
    0x0020000D: U,
    0x0020000E: U,
    0x00200010: D,
    0x00200013: K,
    0x00200052: U,
    0x00280002: K,
    0x00280004: K,
    0x00280008: K,
    0x00280010: K,
    0x00280011: K,
    0x00280100: K,
    0x00280101: K,
    0x00280102: K,
    0x00280103: K,
    0x00280301: K,
    0x00281050: K,
    0x00281053: K,
}
DEIDENTIFIED = level("deidentified", RULES)
FRONT_DESK = level(
    "front-desk",
    {0x00080005: K, 0x00100010: K, 0x00100020: K, 0x00080020: K, 0x00081030: K, 0x0020000D: U},
    pseudonyms=False,
    shift_dates=False,
)


def film(**overrides: object) -> Dataset:
    """A small secondary capture film with a made-up patient."""
    made = Dataset()
    values: dict[str, object] = {
        "ImageType": ["ORIGINAL", "PRIMARY"],
        "SOPClassUID": SECONDARY_CAPTURE,
        "SOPInstanceUID": "1.2.3.4.1",
        "StudyDate": "20200229",
        "StudyTime": "235959.5",
        "AccessionNumber": "CANARY-ACCESSION",
        "Modality": "DX",
        "ReferringPhysicianName": "CANARY^PHYSICIAN",
        "StudyDescription": "CANARY DESCRIPTION",
        "PatientName": "MUSTER^MAXIMA",
        "PatientID": "CANARY-1",
        "IssuerOfPatientID": "CANARY-ISSUER",
        "PatientBirthDate": "19600607",
        "PatientSex": "F",
        "StudyInstanceUID": "1.2.3.4.2",
        "SeriesInstanceUID": "1.2.3.4.3",
        "StudyID": "CANARY-STUDY",
        "InstanceNumber": 1,
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "Rows": 2,
        "Columns": 2,
        "BitsAllocated": 8,
        "BitsStored": 8,
        "HighBit": 7,
        "PixelRepresentation": 0,
        "BurnedInAnnotation": "NO",
    }
    for keyword, value in (values | overrides).items():
        if value is not None:
            setattr(made, keyword, value)
    return made


def part10(made: Dataset, syntax: str = EXPLICIT, *, pixels: bytes | None = b"\x01\x02\x03\x04") -> bytes:
    """The data set as a Part 10 file, written by pydicom."""
    copy = Dataset(made)
    if pixels is not None:
        copy.add_new(0x7FE00010, "OW" if syntax == IMPLICIT else "OB", pixels)
    copy.file_meta = FileMetaDataset()
    copy.file_meta.TransferSyntaxUID = UID(syntax)
    copy.file_meta.MediaStorageSOPClassUID = UID(SECONDARY_CAPTURE)
    copy.file_meta.MediaStorageSOPInstanceUID = UID("1.2.3.4.1")
    out = io.BytesIO()
    pydicom.dcmwrite(out, copy, enforce_file_format=True)
    return out.getvalue()


def stored(made: Dataset, syntax: str = EXPLICIT) -> StoredObject:
    return read(part10(made, syntax))


def names(*objects: Elements, project: bytes = PROJECT_KEY, level_name: str = "deidentified") -> Pseudonyms:
    """Row keys for all identifiers of these objects, drawn from their paths; the patient is the first object's."""
    row_keys = {
        identifier: hashlib.sha256(f"{number}/{label}".encode()).digest()[:16]
        for number, elements in reversed(list(enumerate(objects)))
        for identifier, label in identifiers(elements).items()
    }
    return Pseudonyms(
        domain_key=domain_key(project, level_name),
        row_keys=row_keys,
        patient_row_key=row_keys[patient_identifier(objects[0])],
    )


def joined(pieces: Iterable[bytes]) -> bytes:
    return b"".join(pieces)
