"""Films with a canary in every place that data can hide, and which of them a masking level may show."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from builders import GREY, RGB, PixelFormat, chest_film, decoded_frames, part10_bytes
from builders_matrix import fill_matrix, inserted, undefined_un
from pydicom import uid as uids
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence

from server.metadata.deidentify import ORIGINAL_EXCEPTIONS
from server.metadata.identifiers import well_known
from server.model import ElementAction, MaskingLevel

# Where the burned-in pattern lies: rows 32 to 64, columns 64 to 128, in cells of 4 by 4 samples.
PATTERN_ROWS, PATTERN_COLUMNS, CELL = slice(32, 64), slice(64, 128), 4
PATTERN = np.kron(np.random.default_rng(7).integers(0, 2, (8, 16)), np.ones((CELL, CELL))).astype(bool)
ROWS, COLUMNS = 96, 160
HIGH = "CANARY-HIGH-BITS"
_KINDS = {"UI", "DA", "TM", "DT"}


@dataclass(frozen=True, kw_only=True)
class Planted:
    """One canary: the tags on the way to it (none: no level ever sends what holds it), its VR and its text."""

    path: tuple[int, ...]
    vr: str
    text: str

    def shown(self, level: MaskingLevel) -> bool:
        """Whether the level's file says that this text may be seen there."""
        if not self.path or set(self.path) & set(ORIGINAL_EXCEPTIONS):
            return False
        return all(self._shows(level, tag) for tag in self.path)

    def _shows(self, level: MaskingLevel, tag: int) -> bool:
        rules = level.elements
        if (tag >> 16) % 2:
            return rules.private is ElementAction.KEEP
        action = rules.by_tag.get(tag, rules.default)
        if level.pseudonyms and self.vr == "UI" and tag == self.path[-1]:
            return False
        return action is ElementAction.KEEP or (action is ElementAction.CLEAN and self.vr == "TM")


@dataclass(frozen=True, kw_only=True)
class Film:
    """One object as it is stored, and every canary in it; `patient` is the number of its patient."""

    name: str
    patient: int
    body: bytes
    canaries: tuple[Planted, ...]
    high_bits: bool = False


def nowhere(text: str) -> Planted:
    return Planted(path=(), vr="LO", text=text)


def planted(ds: Dataset, path: tuple[int, ...] = ()) -> Iterator[Planted]:
    """Every canary of a data set, and every UID, date and time of it, which tell as much."""
    for element in ds:
        here = (*path, int(element.tag))
        if element.VR == "SQ":
            for item in element.value:
                yield from planted(item, here)
            continue
        text = element.value.decode("latin-1") if isinstance(element.value, bytes) else str(element.value)
        if "CANARY" in text and int(element.tag) != 0x7FE00010:
            yield Planted(path=here, vr=element.VR, text=text.rstrip("\0 "))
        elif element.VR in _KINDS and len(text) >= 8 and not well_known(text):
            yield Planted(path=here, vr=element.VR, text=text)


def films() -> list[Film]:
    """All films: two patients, a study each."""
    return [*_first_patient(), *_second_patient()]


def _first_patient() -> Iterator[Film]:
    pixels = PixelFormat(rows=ROWS, columns=COLUMNS)
    ds = _with_meta(_patterned(_everywhere(1, 1, pixels)))
    frame = decoded_frames(ds)[0]
    letters = np.frombuffer((HIGH * 40).encode(), np.uint8)
    nibbles = np.stack([letters >> 4, letters & 15], axis=1).reshape(-1).astype(np.uint16)
    flat = frame.reshape(-1).copy()
    flat[: len(nibbles)] |= nibbles << 12
    ds.PixelData = flat.tobytes() + b"CANARY-BEHIND-THE-FRAMES"
    body = bytearray(part10_bytes(ds))
    body[:128] = b"CANARY-PREAMBLE ".ljust(128, b"P")
    hidden = [nowhere(text) for text in ("CANARY-BEHIND-THE-FRAMES", "CANARY-PREAMBLE", "CANARY-META")]
    yield _film("grey", 1, ds, bytes(body), hidden, high_bits=True)

    ds = _functional_groups(_patterned(_everywhere(1, 2, replace(pixels, frames=2))))
    yield _matrix("frames-rle", 1, ds, uids.RLELossless)

    colour = replace(RGB, rows=ROWS, columns=COLUMNS, planar=1)
    ds = _patterned(_everywhere(1, 3, colour))
    ds.ICCProfile = b"CANARY-ICC-PROFILE\0".ljust(2048, b"\0")
    yield _film("colour-deflated", 1, ds, part10_bytes(ds, uids.DeflatedExplicitVRLittleEndian))


def _second_patient() -> Iterator[Film]:
    ybr = PixelFormat(rows=ROWS, columns=COLUMNS, bits_allocated=8, bits_stored=8, samples=3, photometric="YBR_FULL")
    ds = _patterned(_everywhere(2, 1, ybr))
    yield _with_segments("jpeg", ds, uids.JPEGBaseline8Bit, b"\xff\xd8", _jpeg_segments())
    ds = _patterned(_everywhere(2, 2, PixelFormat(rows=ROWS, columns=COLUMNS)))
    comment = b"\x00\x01CANARY-J2K-COMMENT"
    segment = b"\xff\x64" + struct.pack(">H", len(comment) + 2) + comment
    yield _with_segments("jpeg-2000", ds, uids.JPEG2000Lossless, b"\xff\x52", segment)

    report = _no_pixels(_everywhere(2, 3, GREY), uids.BasicTextSRStorage, "SR")
    item = Dataset()
    item.ValueType, item.TextValue, item.PersonName = "TEXT", "CANARY-REPORT-TEXT", "CANARY-REPORT^NAME"
    report.ContentSequence = DicomSequence([item])
    yield _film("report", 2, report, part10_bytes(report))

    state = _no_pixels(_everywhere(2, 5, GREY), uids.GrayscaleSoftcopyPresentationStateStorage, "PR")
    image, series, text, graphic = Dataset(), Dataset(), Dataset(), Dataset()
    image.ReferencedSOPClassUID, image.ReferencedSOPInstanceUID = ds.SOPClassUID, ds.SOPInstanceUID
    series.SeriesInstanceUID, series.ReferencedImageSequence = ds.SeriesInstanceUID, DicomSequence([image])
    text.UnformattedTextValue, text.BoundingBoxAnnotationUnits = "CANARY-STATE-TEXT", "PIXEL"
    text.BoundingBoxTopLeftHandCorner, text.BoundingBoxBottomRightHandCorner = [2.0, 2.0], [90.0, 20.0]
    graphic.GraphicLayer, graphic.TextObjectSequence = "CANARY-LAYER", DicomSequence([text])
    state.ReferencedSeriesSequence, state.GraphicAnnotationSequence = DicomSequence([series]), DicomSequence([graphic])
    state.ContentLabel, state.ContentDescription = "CANARY-LABEL", "CANARY-STATE-DESCRIPTION"
    state.ContentCreatorName, state.PresentationLUTShape = "CANARY-STATE^CREATOR", "IDENTITY"
    yield _film("state", 2, state, part10_bytes(state))

    document = _no_pixels(_everywhere(2, 4, GREY), uids.EncapsulatedPDFStorage, "DOC")
    packed = zlib.compress(b"CANARY-PACKED-IN-PDF")
    document.EncapsulatedDocument = (b"%PDF-1.4 CANARY-IN-PDF " + packed).ljust(2048, b" ")
    document.DocumentTitle, document.MIMETypeOfEncapsulatedDocument = "CANARY-DOCUMENT-TITLE", "application/pdf"
    inside = [Planted(path=(0x00420011,), vr="OB", text=text) for text in ("CANARY-IN-PDF", "CANARY-PACKED-IN-PDF")]
    yield _film("document", 2, document, part10_bytes(document), inside, leave=(0x00420011,))


def _film(
    name: str, patient: int, ds: Dataset, body: bytes, more: list[Planted] | None = None, *, high_bits: bool = False,
    leave: tuple[int, ...] = (),
) -> Film:  # fmt: skip
    found = [one for one in planted(ds) if not set(one.path) & set(leave)]
    return Film(name=name, patient=patient, body=body, canaries=(*found, *(more or ())), high_bits=high_bits)


def _everywhere(study: int, instance: int, pixels: PixelFormat) -> Dataset:
    ds = chest_film(pixels, patient=study, study=study, series=instance, instance=instance, hiding_places=True)
    code, deep = Dataset(), Dataset()
    code.CodeValue, code.CodeMeaning = "CANARY-CODE", "CANARY-MEANING"
    deep.PatientComments, deep.ConceptNameCodeSequence = "CANARY-DEEP-TEXT", DicomSequence([code])
    for keyword in ("AnatomicRegionSequence", "ProcedureCodeSequence", "ReferencedImageSequence"):
        inner = Dataset()
        inner.OriginalAttributesSequence = DicomSequence([deep])
        setattr(ds, keyword, DicomSequence([inner]))
    ds.ReferencedImageSequence[0].ReferencedSOPInstanceUID = f"2.25.777000{study}{instance}888"
    block = ds.private_block(0x7FE1, "CANARY-AFTER-PIXELS", create=True)
    block.add_new(0x01, "LT", "CANARY-BEHIND-PIXELS")
    ds.add_new(0x00091099, "UN", b"CANARY-NO-CREATOR\0")
    ds.add_new(0x00189999, "UN", b"CANARY-UNKNOWN-TAG")
    ds.add_new(0x00080060, "CS", "DX")
    return ds


def _patterned(ds: Dataset) -> Dataset:
    """The pattern burned into every frame, at the ends of the range."""
    most = 2**ds.BitsStored - 1
    frames = []
    for frame in decoded_frames(ds):
        changed = np.array(frame)
        changed[PATTERN_ROWS, PATTERN_COLUMNS, 0] = np.where(PATTERN, most, 0)
        if changed.shape[2] == 3:
            changed[PATTERN_ROWS, PATTERN_COLUMNS, 1:] = 128 if ds.PhotometricInterpretation != "RGB" else 0
            if ds.PhotometricInterpretation == "RGB":
                changed[PATTERN_ROWS, PATTERN_COLUMNS] = np.where(PATTERN, most, 0)[:, :, None]
        frames.append(changed.transpose(2, 0, 1) if ds.get("PlanarConfiguration") else changed)
    ds.PixelData = b"".join(frame.tobytes() for frame in frames)
    return ds


def _with_meta(ds: Dataset) -> Dataset:
    for keyword in ("SourceApplicationEntityTitle", "SendingApplicationEntityTitle", "ReceivingApplicationEntityTitle"):
        setattr(ds.file_meta, keyword, "CANARY-META")
    for keyword in ("SourcePresentationAddress", "SendingPresentationAddress", "ReceivingPresentationAddress"):
        setattr(ds.file_meta, keyword, "CANARY-META-ADDRESS.example")
    ds.file_meta.ImplementationVersionName = "CANARY-META"
    ds.file_meta.PrivateInformationCreatorUID = uids.UID("2.25.77700099900")
    ds.file_meta.PrivateInformation = b"CANARY-META-PRIVATE\0"
    return ds


def _matrix(name: str, patient: int, ds: Dataset, syntax: str) -> Film:
    """The film with every VR at every depth, and sequences of undefined length that are said to be unknown."""
    places = [Planted(path=path, vr=vr, text=text) for path, vr, text in fill_matrix(ds)]
    body = part10_bytes(ds, syntax)
    # From behind: none of them can be stepped over.
    unknown = {0x001910FF: "CANARY-UN-ODD", 0x0018FFF0: "CANARY-UN-PUBLIC", 0x00081250: "CANARY-UN-KNOWN"}
    for tag, text in unknown.items():
        body = inserted(body, tag, undefined_un(tag, text, depth=5))
        places.append(Planted(path=(tag, 0x00100010), vr="PN", text=text))
    return _film(name, patient, ds, body, places)


def _functional_groups(ds: Dataset) -> Dataset:
    groups = []
    for _ in range(2):
        content, group = Dataset(), Dataset()
        content.FrameComments, content.FrameLabel = "CANARY-FRAME-COMMENTS", "CANARY-FRAME-LABEL"
        content.FrameAcquisitionNumber = 1
        group.FrameContentSequence = DicomSequence([content])
        group.add_new(0x00091010, "LO", "CANARY-PRIVATE-IN-GROUP")
        groups.append(group)
    ds.PerFrameFunctionalGroupsSequence = DicomSequence(groups)
    return ds


def _no_pixels(ds: Dataset, sop_class: str, modality: str) -> Dataset:
    for element in list(ds.group_dataset(0x0028)):
        del ds[element.tag]
    del ds.PixelData
    ds.SOPClassUID, ds.Modality = sop_class, modality
    ds.file_meta.MediaStorageSOPClassUID = uids.UID(sop_class)
    return ds


def _jpeg_segments() -> bytes:
    texts = {0xFE: b"CANARY-JPEG-COMMENT", 0xE1: b"Exif\0\0CANARY-JPEG-EXIF", 0xED: b"Photoshop 3.0\0CANARY-JPEG-IPTC"}
    return b"".join(bytes([0xFF, mark]) + struct.pack(">H", len(text) + 2) + text for mark, text in texts.items())


def _with_segments(name: str, ds: Dataset, syntax: str, mark: bytes, segments: bytes) -> Film:
    """The film in this syntax, `segments` behind (JPEG) or before (JPEG 2000) the first `mark` of its stream."""
    body = part10_bytes(ds, syntax)
    start = body.rindex(b"\xfe\xff\x00\xe0")
    length = int.from_bytes(body[start + 4 : start + 8], "little")
    stream = body[start + 8 : start + 8 + length].rstrip(b"\0")
    at = stream.index(mark) + (2 if mark == b"\xff\xd8" else 0)
    stream = stream[:at] + segments + stream[at:] + b"CANARY-BEHIND-STREAM"
    stream += b"\0" * (len(stream) % 2)
    body = body[: start + 4] + struct.pack("<I", len(stream)) + stream + body[start + 8 + length :]
    texts = (
        "CANARY-JPEG-COMMENT",
        "CANARY-JPEG-EXIF",
        "CANARY-JPEG-IPTC",
        "CANARY-J2K-COMMENT",
        "CANARY-BEHIND-STREAM",
    )
    hidden = [nowhere(text) for text in texts if text.encode() in body]
    return _film(name, 2, ds, body, hidden)
