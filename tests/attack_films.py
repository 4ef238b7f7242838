"""Films that attack the attribute masker, each with the texts and bytes that no masked answer may hold.

Named after the attack they belong to. Every text is found nowhere else, so that a find tells where it came from.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from builders import PixelFormat, chest_film, part10_bytes
from pydicom import uid as uids
from pydicom.datadict import dictionary_has_tag
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence

SMALL = PixelFormat(rows=16, columns=16)
FAMILY, GIVEN = "QUARNBECK", "XANTHIPPA"
HAN = "欧阳娜娜"
SEQUENCES = (
    *("AnatomicRegionSequence", "ReferencedImageSequence", "RequestAttributesSequence", "ContentSequence"),
    *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence", "ReferencedSeriesSequence"),
    *("OriginalAttributesSequence", "ProcedureCodeSequence", "VOILUTSequence", "MeasurementUnitsCodeSequence"),
)
SIZES = (1, 100, 1024, 1026, 70_000, 10_000_000)
OTHER_CLASSES: dict[str, tuple[str, str]] = {
    "M17SR": (uids.ComprehensiveSRStorage, "SR"), "M17KOS": (uids.KeyObjectSelectionDocumentStorage, "KO"),
    "M17PDF": (uids.EncapsulatedPDFStorage, "DOC"), "M17CDA": (uids.EncapsulatedCDAStorage, "DOC"),
    "M17STL": (uids.EncapsulatedSTLStorage, "M3D"), "M17OBJ": (uids.EncapsulatedOBJStorage, "M3D"),
    "M17GSPS": (uids.GrayscaleSoftcopyPresentationStateStorage, "PR"), "M17RT": (uids.RTStructureSetStorage, "RT"),
    "M17ECG": (uids.TwelveLeadECGWaveformStorage, "ECG"), "M17RAW": (uids.RawDataStorage, "OT"),
    "M17VIDEO": (uids.VideoEndoscopicImageStorage, "ES"), "M17SEG": (uids.SurfaceSegmentationStorage, "SEG"),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class AttackFilm:
    """One object to store, and what of it no masked answer may hold; not `everywhere`: the front desk may see it."""

    name: str
    body: bytes
    hidden: tuple[bytes, ...]
    everywhere: bool = True


def films() -> list[AttackFilm]:
    """One for each attack; study numbers follow from their places, so that each is a study of its own."""
    made = [*_nested(), *_private(), *_carried(), *_unknown(), *_texts(), *_names(), *_around(), *_bulk(), *_classes()]
    assert len({one.name for one in made}) == len(made)
    return made


def _film(number: int, **overrides: Any) -> Dataset:
    return chest_film(SMALL, study=number, patient=number, canaries=False, **overrides)


def _marks(name: str, count: int) -> tuple[bytes, ...]:
    return tuple(f"QV{name}-{at}-".encode() for at in range(count))


def _item(text: str) -> Dataset:
    """One item with the text in elements of many VRs."""
    item = Dataset()
    item.PatientName, item.PatientID, item.ImageComments, item.StudyDescription = text, text, text, text
    item.CodeValue, item.CodeMeaning, item.StationName = text[:16], text, text[:16]
    item.add_new(0x00080112, "UT", text)
    item.add_new(0x00420011, "OB", text.encode().ljust(64, b"\0"))
    item.add_new(0x00189999, "UN", text.encode().ljust(32, b"\0"))
    item.add_new(0x00200062, "CS", text[:16])
    item.private_block(0x0011, text, create=True).add_new(0x01, "LO", text)
    return item


def _nested() -> Iterator[AttackFilm]:
    ds = _film(1)
    marks = []
    for place, keyword in enumerate(SEQUENCES):
        holder = ds
        for depth in range(1, 6):
            mark = f"QVM1-{place}-{depth}-"
            item = _item(mark)
            setattr(holder, keyword, DicomSequence([item, _item(mark)]))
            holder = item
            marks.append(mark.encode())
    yield AttackFilm(name="M1", body=part10_bytes(ds), hidden=tuple(marks))


def _private() -> Iterator[AttackFilm]:
    """Creators of which others know safe elements, a block in every place, and elements without a creator."""
    ds = _film(2)
    creators = ("SIEMENS CSA HEADER", "GEMS_IDEN_01", "Philips Imaging DD 001", "QVM2-CREATOR-")
    for group in (0x0009, 0x0019, 0x0029, 0x2001, 0x7FE1):
        for creator in creators:
            block = ds.private_block(group, creator, create=True)
            block.add_new(0x01, "LO", "QVM2-LO-")
            block.add_new(0x02, "SQ", DicomSequence([_item("QVM2-IN-SQ-")]))
            block.add_new(0x03, "UI", "2.25.4711004711")
            block.add_new(0x04, "UN", b"QVM2-UN-")
    inner = Dataset()
    inner.private_block(0x0011, "QVM2-CREATOR-", create=True).add_new(0x01, "LO", "QVM2-NESTED-")
    ds.AnatomicRegionSequence = DicomSequence([inner])
    ds.add_new(0x00111199, "LO", "QVM2-ORPHAN-")
    words = (b"QVM2-", b"4711004711", b"SIEMENS CSA", b"GEMS_IDEN", b"Philips Imaging")
    yield AttackFilm(name="M2", body=part10_bytes(ds), hidden=words)


def _carried() -> Iterator[AttackFilm]:
    """What was changed, encrypted and signed before."""
    ds, before, coded = _film(3), Dataset(), Dataset()
    before.ModifiedAttributesSequence = DicomSequence([_item("QVM3-MODIFIED-")])
    before.NonconformingModifiedAttributesSequence = DicomSequence([_item("QVM3-NONCONFORMING-")])
    before.ModifyingSystem, before.SourceOfPreviousValues = "QVM3-SYSTEM-", "QVM3-SOURCE-"
    before.AttributeModificationDateTime, before.ReasonForTheAttributeModification = "20191231235959", "COERCE"
    coded.EncryptedContentTransferSyntaxUID, coded.EncryptedContent = uids.ExplicitVRLittleEndian, b"QVM3-ENCRYPTED-\0"
    ds.OriginalAttributesSequence = DicomSequence([before])
    ds.EncryptedAttributesSequence = DicomSequence([coded])
    signature = Dataset()
    signature.CertificateOfSigner, signature.Signature = b"QVM3-CERTIFICATE", b"QVM3-SIGNATURE-\0"
    signature.DigitalSignatureUID = "2.25.4711004713"
    ds.DigitalSignaturesSequence = DicomSequence([signature])
    yield AttackFilm(name="M3", body=part10_bytes(ds), hidden=(b"QVM3-", b"4711004713", b"20191231"))


def _unknown() -> Iterator[AttackFilm]:
    """1 000 public tags that nobody has defined, curves, a directory's group, and listed tags with another VR."""
    ds, draw = _film(4), random.Random(4)
    while len(ds) < 1030:
        tag = draw.randrange(0x0008, 0x7FE0, 2) << 16 | draw.randrange(0x0100, 0x10000)
        if not dictionary_has_tag(tag) and tag >> 24 not in (0x50, 0x60):
            ds.add_new(tag, draw.choice(["LO", "UN", "UT", "PN", "OB"]), "QVM4-TAG-")
            if ds[tag].VR in {"UN", "OB"}:
                ds[tag].value = b"QVM4-TAG-\0"
    for group in range(0x5000, 0x5020, 2):
        ds.add_new(group << 16 | 0x0022, "LO", "QVM4-CURVE-")
        ds.add_new(group << 16 | 0x3000, "OW", b"QVM4-CURVE-\0")
    for tag, vr in ((0x00180015, "LT"), (0x00185101, "UT"), (0x00281052, "LO"), (0x00200013, "PN"), (0x00281055, "UN")):
        ds.add_new(tag, vr, b"QVM4-WRONG-\0" if vr == "UN" else "QVM4-WRONG-")
    yield AttackFilm(name="M4", body=part10_bytes(ds), hidden=(b"QVM4-",))


def _texts() -> Iterator[AttackFilm]:
    """The name in free text, in every order and spelling, and cut in two."""
    name = f"{FAMILY}^{GIVEN}"
    ds = _film(5, PatientName=f"{name}={HAN}={HAN}", ReferringPhysicianName="FRUMPELSTEDT^OTTOKAR")
    ds.StudyDescription, ds.SeriesDescription = f"CHEST PA {FAMILY} {GIVEN}", f"{GIVEN.title()} {FAMILY.title()}"
    ds.ImageComments, ds.PatientComments = f"{name} {name[::-1]} {HAN}", f"seen by Dr Frumpelstedt, {FAMILY.lower()}"
    ds.ProtocolName, ds.DerivationDescription = f"CHEST {FAMILY[:5]}", f"{FAMILY[5:]} {GIVEN}"
    request, text = Dataset(), Dataset()
    request.RequestedProcedureDescription, request.ScheduledProcedureStepDescription = f"THORAX {FAMILY}", GIVEN
    ds.RequestAttributesSequence = DicomSequence([request])
    text.ValueType, text.TextValue, text.PersonName = "TEXT", f"CHEST of {GIVEN} {FAMILY}", name
    ds.ContentSequence = DicomSequence([text])
    words = [FAMILY, GIVEN, FAMILY[:5], FAMILY[5:], "FRUMPELSTEDT", "OTTOKAR", HAN, HAN[:2]]
    forms = {form for word in words for form in (word, word.lower(), word.title(), word[::-1])}
    yield AttackFilm(
        name="M5", body=part10_bytes(ds), hidden=tuple(sorted(form.encode() for form in forms)), everywhere=False
    )


def _names() -> Iterator[AttackFilm]:
    """One name in three groups and several character sets, one wrongly declared, one with invalid bytes."""
    value = f"{FAMILY}^{GIVEN}={HAN}=Ou^Yang"
    sets = ("GB18030", "ISO_IR 192", "ISO 2022 IR 58", "ISO_IR 100", "ISO_IR 6", "UNKNOWN SET")
    raws = (value.encode("gb18030"), value.encode(), f"{FAMILY}^{GIVEN}=\x1b$)A".encode() + HAN.encode("gb2312"))
    hidden = [FAMILY.encode(), GIVEN.encode(), HAN.encode(), HAN.encode("gb18030"), b"Ou^Yang", b"\xff\xfe\x80"]
    for at, declared in enumerate(sets):
        raw = raws[at] if at < len(raws) else (b"\xff\xfe\x80" + value.encode("gb18030"))
        ds = _film(60 + at)
        for keyword in ("PatientName", "PatientComments", "StudyDescription", "ReferringPhysicianName"):
            setattr(ds, keyword, "Y" * len(raw))
        body = part10_bytes(ds).replace(b"Y" * len(raw), raw)
        padded = declared.ljust(len(declared) + len(declared) % 2).encode()
        body = body.replace(b"CS\x0a\x00ISO_IR 192", b"CS" + len(padded).to_bytes(2, "little") + padded)
        yield AttackFilm(name=f"M6-{at}", body=body, hidden=tuple(hidden), everywhere=False)


def _around() -> Iterator[AttackFilm]:
    """The file's own words, and what stands behind the data set."""
    ds = _film(7)
    ds.file_meta.SourceApplicationEntityTitle = ds.file_meta.SendingApplicationEntityTitle = "QVM7-TITLE-"
    ds.file_meta.ImplementationVersionName, ds.file_meta.PrivateInformation = "QVM7-VERSION-", b"QVM7-PRIVATE-\0"
    ds.file_meta.PrivateInformationCreatorUID = uids.UID("2.25.4711004717")
    body = b"QVM7-PREAMBLE-".ljust(128, b"Q") + part10_bytes(ds)[128:]
    yield AttackFilm(name="M7", body=body, hidden=(b"QVM7-", b"4711004717", b"QQQQ"))
    ds = _film(8)
    ds.add_new(0xFFFCFFFC, "OB", b"QVM8-PADDING-\0")
    ds.add_new(0x7FE1FF01, "OB", b"QVM8-BEHIND-\0\0")
    ds.PixelData = ds.PixelData + b"QVM8-SLACK-\0"
    ds["PixelData"].VR = "OW"
    yield AttackFilm(name="M8", body=part10_bytes(ds), hidden=(b"QVM8-",))


def _bulk() -> Iterator[AttackFilm]:
    """Binary values of sizes about the point at which a value becomes a URI, public and private."""
    ds = _film(16)
    block = ds.private_block(0x0011, "QVM16-CREATOR", create=True)
    for at, size in enumerate(SIZES):
        value = (f"QVM16-{at}-".encode() * (size // 8 + 1))[: size + size % 2]
        block.add_new(0x10 + at, "OB", value)
        # The largest once is enough.
        tag = (0x00420011, 0x00282000, 0x60003000, 0x50003000, 0x00189990, 0x04000520)[at]
        ds.add_new(tag, "OB", value[:70_000])
    yield AttackFilm(name="M16", body=part10_bytes(ds), hidden=(b"QVM16-",))


def _classes() -> Iterator[AttackFilm]:
    for number, (name, (sop_class, modality)) in enumerate(OTHER_CLASSES.items(), start=170):
        mark = f"QV{name}-"
        ds = _film(number, SOPClassUID=sop_class, Modality=modality, PixelData=None)
        for element in list(ds.group_dataset(0x0028)):
            del ds[element.tag]
        ds.file_meta.MediaStorageSOPClassUID = uids.UID(sop_class)
        item = _item(mark)
        item.TextValue, item.PersonName, item.UnformattedTextValue = mark, mark, mark
        item.ValueType, item.ROIName, item.ChannelLabel, item.SegmentLabel = "TEXT", mark, mark[:16], mark
        item.WaveformData = mark.encode().ljust(64, b"\0")
        item["WaveformData"].VR = "OW"
        for keyword in ("ContentSequence", "GraphicAnnotationSequence", "TextObjectSequence", "WaveformSequence",
                        "StructureSetROISequence", "SegmentSequence", "SurfaceSequence"):  # fmt: skip
            setattr(ds, keyword, DicomSequence([item]))
        ds.EncapsulatedDocument = (b"%PDF-1.4 " + mark.encode()).ljust(4096)
        ds.DocumentTitle = ds.ContentDescription = ds.StructureSetLabel = ds.ContentLabel = mark[:16]
        yield AttackFilm(name=name, body=part10_bytes(ds), hidden=(mark.encode(),))
