"""One object for each kind of carrier of text, with a canary of its own in every place that can hold words or bytes.

Every object belongs to patient and study 1 of `builders.chest_film` and is in a series of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

from builders import RGB, PixelFormat, chest_film, made_up_uid
from builders_canaries import canary
from pydicom import uid as uids
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.filewriter import dcmwrite
from pydicom.sequence import Sequence as DicomSequence

from server.metadata.identifiers import KINDS
from server.model import ObjectKind

_IMAGE = PixelFormat(rows=64, columns=64)
_BITS = PixelFormat(rows=64, columns=64, bits_allocated=1, bits_stored=1)
_FLOATS = PixelFormat(rows=32, columns=32, data_kind="float")


@dataclass(frozen=True, kw_only=True)
class Carrier:
    """One object: what it should be taken for, its bytes, and the texts that it carries, each with its keyword."""

    name: str
    kind: ObjectKind
    sop_class: str
    syntax: str
    path: str
    body: bytes
    texts: tuple[tuple[str, str], ...]


@dataclass
class _Plant:
    """Fills elements with canaries and remembers them.

    `twin` changes every one but UIDs, dates and IDs, which masked levels replace by others, and not by nothing.
    """

    name: str
    twin: bool = False
    texts: list[tuple[str, str]] = field(default_factory=list)

    def item(self, *keywords: str, **values: Any) -> Dataset:
        """A data set with a canary under each keyword and these other values, items as lists."""
        ds = Dataset()
        for keyword in keywords:
            setattr(ds, keyword, self.text(keyword))
        for keyword, value in values.items():
            setattr(ds, keyword, DicomSequence(value) if dictionary_VR(keyword) == "SQ" else value)
        return ds

    def text(self, keyword: str) -> str:
        vr = dictionary_VR(keyword)
        label = f"{'Z' if self.twin else 'S'}{len(self.texts):02}"
        replaced = vr in {"UI", "DA", "DT"} or tag_for_keyword(keyword) in KINDS
        value = canary(keyword, ("S" + label[1:] if replaced else label) + self.name)
        if replaced:
            pass
        elif vr in {"LO", "UT", "ST", "LT", "PN", "UC"}:
            value = f"CANARY-{self.name}{'^' if vr == 'PN' else '-'}{label}-{keyword}"[:64]
        elif vr == "CS":
            value = f"CANARY_{label}_{self.name[:4].upper()}".replace("-", "_")[:16]
        self.texts.append((keyword, value))
        return value

    def bytes(self, what: str, size: int = 3000) -> bytes:
        """Bytes of even length with a canary in them, longer than what is sent inline."""
        text = f"CANARY-{'Z' if self.twin else 'S'}{len(self.texts):02}-{self.name}-{what}"
        self.texts.append((what, text))
        return text.encode().ljust(size, b"\x00")

    def code(self) -> Dataset:
        """A code of a scheme of nobody, with a name for a meaning."""
        return self.item("CodeValue", "CodingSchemeDesignator", "CodeMeaning")

    def concept(self, value: str, meaning: str) -> Dataset:
        return self.item(CodeValue=value, CodingSchemeDesignator="DCM", CodeMeaning=meaning)

    def reference(self) -> Dataset:
        return self.item("ReferencedSOPInstanceUID", ReferencedSOPClassUID=uids.CTImageStorage)


def carriers(*, twin: bool = False) -> Iterator[Carrier]:
    """Every object; with `twin` the same but for their canaries, UIDs of the objects themselves excepted."""
    for number, (name, (kind, sop_class, fill)) in enumerate(_FAMILIES.items(), start=1):
        plant = _Plant(name, twin)
        ds = fill(plant, _film(sop_class, number, fill))
        path = f"/dicomweb/studies/{ds.StudyInstanceUID}/series/{ds.SeriesInstanceUID}/instances/{ds.SOPInstanceUID}"
        body = _written(ds)
        texts = tuple(dict.fromkeys(one for one in plant.texts if one[1].encode() in body))
        syntax = str(ds.file_meta.TransferSyntaxUID)
        yield Carrier(name=name, kind=kind, sop_class=str(sop_class), syntax=syntax, path=path, body=body, texts=texts)


def _film(sop_class: str, number: int, fill: Callable[..., Dataset]) -> Dataset:
    pixels = {_segmentation: _BITS, _parametric_map: _FLOATS, _vl: RGB}.get(fill, _IMAGE)
    ds = chest_film(pixels, series=number, instance=number, canaries=False)
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = uids.UID(sop_class)
    if fill not in _WITH_PIXELS:
        for tag in [element.tag for element in ds if element.tag.group in (0x0028, 0x7FE0)]:
            del ds[tag]
        del ds.ImageType
    return ds


def _written(ds: Dataset) -> bytes:
    buffer = BytesIO()
    if "EncapsulatedPixelDataValueTotalLength" in ds:
        del ds.EncapsulatedPixelDataValueTotalLength
    dcmwrite(buffer, ds, implicit_vr=False, little_endian=True, enforce_file_format=True)
    return buffer.getvalue()


def _report(plant: _Plant, ds: Dataset) -> Dataset:
    item, concept = plant.item, plant.concept
    nested = item(
        RelationshipType="CONTAINS", ValueType="TEXT", ConceptNameCodeSequence=[concept("121071", "Finding")],
        TextValue=plant.text("TextValue"),
        ContentSequence=[
            item("PersonName", RelationshipType="HAS OBS CONTEXT", ValueType="PNAME",
                 ConceptNameCodeSequence=[concept("121008", "Person Observer Name")]),
            item("TextValue", RelationshipType="HAS PROPERTIES", ValueType="TEXT",
                 ConceptNameCodeSequence=[plant.code()]),
        ],
    )  # fmt: skip
    ds.ValueType, ds.ContinuityOfContent = "CONTAINER", "SEPARATE"
    ds.ConceptNameCodeSequence = DicomSequence([concept("121111", "Summary")])
    ds.CompletionFlag, ds.VerificationFlag = "COMPLETE", "VERIFIED"
    ds.CompletionFlagDescription = plant.text("CompletionFlagDescription")
    ds.VerifyingObserverSequence = DicomSequence(
        [item("VerifyingObserverName", "VerifyingOrganization", "VerificationDateTime",
              VerifyingObserverIdentificationCodeSequence=[plant.code()])]
    )  # fmt: skip
    ds.AuthorObserverSequence = DicomSequence([item("PersonName", "InstitutionName", ObserverType="PSN")])
    ds.ContentSequence = DicomSequence(
        [
            nested,
            item("UID", RelationshipType="CONTAINS", ValueType="UIDREF",
                 ConceptNameCodeSequence=[concept("112002", "Series Instance UID")]),
            item("Date", RelationshipType="CONTAINS", ValueType="DATE",
                 ConceptNameCodeSequence=[concept("111018", "Content Date")]),
            item("DateTime", RelationshipType="CONTAINS", ValueType="DATETIME",
                 ConceptNameCodeSequence=[concept("111526", "DateTime Started")]),
            item(RelationshipType="CONTAINS", ValueType="CODE", ConceptNameCodeSequence=[plant.code()],
                 ConceptCodeSequence=[plant.code()]),
            item(RelationshipType="CONTAINS", ValueType="NUM", ConceptNameCodeSequence=[plant.code()],
                 MeasuredValueSequence=[item(NumericValue="1", MeasurementUnitsCodeSequence=[plant.code()])]),
            item(RelationshipType="CONTAINS", ValueType="SCOORD", GraphicType="POLYLINE",
                 GraphicData=[float(1000003 + place) for place in range(40)],
                 ConceptNameCodeSequence=[concept("111010", "Center")],
                 ContentSequence=[item(RelationshipType="SELECTED FROM", ValueType="IMAGE",
                                       ReferencedSOPSequence=[plant.reference()])]),
        ]
    )  # fmt: skip
    ds.PredecessorDocumentsSequence = DicomSequence([item("StudyInstanceUID")])
    return ds


def _key_objects(plant: _Plant, ds: Dataset) -> Dataset:
    item = plant.item
    ds.ValueType, ds.ContinuityOfContent = "CONTAINER", "SEPARATE"
    ds.ConceptNameCodeSequence = DicomSequence([plant.concept("113000", "Of Interest")])
    ds.ContentSequence = DicomSequence(
        [
            item("TextValue", RelationshipType="CONTAINS", ValueType="TEXT",
                 ConceptNameCodeSequence=[plant.concept("113012", "Key Object Description")]),
            item(RelationshipType="CONTAINS", ValueType="IMAGE", ReferencedSOPSequence=[plant.reference()]),
        ]
    )  # fmt: skip
    return ds


def _presentation(plant: _Plant, ds: Dataset) -> Dataset:
    item = plant.item
    ds.ContentLabel, ds.ContentDescription = plant.text("ContentLabel"), plant.text("ContentDescription")
    ds.ContentCreatorName = plant.text("ContentCreatorName")
    ds.PresentationCreationDate = plant.text("PresentationCreationDate")
    ds.ContentCreatorIdentificationCodeSequence = DicomSequence(
        [item("InstitutionName", PersonIdentificationCodeSequence=[plant.code()])]
    )
    ds.AlternateContentDescriptionSequence = DicomSequence([item("ContentDescription")])
    ds.GraphicAnnotationSequence = DicomSequence(
        [
            item(
                "GraphicLayer",
                ReferencedImageSequence=[plant.reference()],
                TextObjectSequence=[item("UnformattedTextValue", BoundingBoxAnnotationUnits="PIXEL",
                                         BoundingBoxTopLeftHandCorner=[1.0, 1.0],
                                         BoundingBoxBottomRightHandCorner=[9.0, 9.0])],
                GraphicObjectSequence=[item(GraphicAnnotationUnits="PIXEL", GraphicDimensions=2, GraphicType="POLYLINE",
                                            NumberOfGraphicPoints=20, GraphicFilled="N",
                                            GraphicData=[float(2000003 + place) for place in range(40)])],
                CompoundGraphicSequence=[item("UnformattedTextValue")],
            )
        ]
    )  # fmt: skip
    ds.GraphicLayerSequence = DicomSequence([item("GraphicLayer", "GraphicLayerDescription", GraphicLayerOrder=1)])
    ds.ShutterShape, ds.ShutterOverlayGroup, ds.ShutterPresentationValue = "BITMAP", 0x6000, 0
    ds.ICCProfile = plant.bytes("ICCProfile")
    ds.ReferencedSeriesSequence = DicomSequence(
        [item("SeriesInstanceUID", ReferencedImageSequence=[plant.reference()])]
    )
    ds.BlendingSequence = DicomSequence([item("StudyInstanceUID", BlendingPosition="SUPERIMPOSED")])
    _overlays(plant, ds)
    return ds


def _overlays(plant: _Plant, ds: Dataset) -> None:
    for tag, vr, value in (
        (0x60000010, "US", 64), (0x60000011, "US", 376), (0x60000022, "LO", "OverlayDescription"),
        (0x60000040, "CS", "G"), (0x60000050, "SS", [1, 1]), (0x60000100, "US", 1), (0x60000102, "US", 0),
        (0x60001500, "LO", "OverlayLabel"), (0x60004000, "LT", "OverlayComments"), (0x60003000, "OW", None),
        (0x50000005, "US", 2), (0x50000010, "US", 1), (0x50000020, "CS", "TAC"), (0x50000022, "LO", "CurveDescription"),
        (0x50000103, "US", 0), (0x50002500, "LO", "CurveLabel"), (0x50003000, "OW", None),
        (0x50002000, "US", 0), (0x5000200C, "OW", None), (0x5000200E, "LT", "AudioComments"),
    ):  # fmt: skip
        if value is None:
            ds.add_new(tag, vr, plant.bytes(f"{tag:08X}"))
        elif isinstance(value, str) and value not in ("G", "TAC"):
            text = f"CANARY-{plant.name}-{'Z' if plant.twin else 'S'}-{value}"
            plant.texts.append((value, text))
            ds.add_new(tag, vr, text)
        else:
            ds.add_new(tag, vr, value)


def _document(mime: str) -> Callable[[_Plant, Dataset], Dataset]:
    def fill(plant: _Plant, ds: Dataset) -> Dataset:
        ds.DocumentTitle, ds.MIMETypeOfEncapsulatedDocument = plant.text("DocumentTitle"), mime
        ds.EncapsulatedDocument = plant.bytes("EncapsulatedDocument")
        ds.EncapsulatedDocumentLength = 3000
        ds.ConceptNameCodeSequence = DicomSequence([plant.code()])
        ds.SourceInstanceSequence = DicomSequence([plant.reference()])
        ds.HL7InstanceIdentifier = plant.text("HL7InstanceIdentifier")
        ds.ListOfMIMETypes = plant.text("ListOfMIMETypes")
        ds.ContentDescription = plant.text("ContentDescription")
        return ds

    return fill


def _structures(plant: _Plant, ds: Dataset) -> Dataset:
    item = plant.item
    for keyword in ("StructureSetLabel", "StructureSetName", "StructureSetDescription", "StructureSetDate"):
        setattr(ds, keyword, plant.text(keyword))
    ds.StructureSetROISequence = DicomSequence(
        [item("ROIName", "ROIDescription", "ROIGenerationDescription", "ReferencedFrameOfReferenceUID", ROINumber=1)]
    )
    ds.ROIContourSequence = DicomSequence(
        [item(ReferencedROINumber=1, ContourSequence=[item(ContourGeometricType="POINT", ContourData=["1", "2", "3"],
                                                           ContourImageSequence=[plant.reference()])])]
    )  # fmt: skip
    ds.RTROIObservationsSequence = DicomSequence(
        [item("ROIObservationLabel", "ROIObservationDescription", "ROIInterpreter", ReferencedROINumber=1)]
    )
    return _approved(plant, ds)


def _approved(plant: _Plant, ds: Dataset) -> Dataset:
    ds.ApprovalStatus = "APPROVED"
    for keyword in ("ReviewerName", "ReviewDate", "OperatorsName", "InstanceCreatorUID"):
        setattr(ds, keyword, plant.text(keyword))
    return ds


def _plan(plant: _Plant, ds: Dataset) -> Dataset:
    item = plant.item
    for keyword in ("RTPlanLabel", "RTPlanName", "RTPlanDescription", "RTPlanDate", "PrescriptionDescription"):
        setattr(ds, keyword, plant.text(keyword))
    ds.DoseReferenceSequence = DicomSequence([item("DoseReferenceDescription", "DoseReferenceUID")])
    ds.ToleranceTableSequence = DicomSequence([item("ToleranceTableLabel")])
    ds.PatientSetupSequence = DicomSequence([item("PatientSetupLabel", "SetupTechniqueDescription")])
    ds.BeamSequence = DicomSequence(
        [item("BeamName", "BeamDescription", "TreatmentMachineName", "InstitutionName", "DeviceSerialNumber",
              ControlPointSequence=[item("PatientSupportAccessoryCode")])]
    )  # fmt: skip
    return _approved(plant, ds)


def _dose(plant: _Plant, ds: Dataset) -> Dataset:
    ds.DoseUnits, ds.DoseType, ds.DoseSummationType = "GY", "PHYSICAL", "PLAN"
    ds.DoseComment = plant.text("DoseComment")
    ds.ReferencedRTPlanSequence = DicomSequence([plant.reference()])
    _overlays(plant, ds)
    return _approved(plant, ds)


def _portal(plant: _Plant, ds: Dataset) -> Dataset:
    for keyword in ("RTImageLabel", "RTImageName", "RTImageDescription", "RadiationMachineName"):
        setattr(ds, keyword, plant.text(keyword))
    ds.ExposureSequence = DicomSequence([plant.item(BlockSequence=[plant.item("BlockName", "BlockTrayID")])])
    return _approved(plant, ds)


def _treatment(plant: _Plant, ds: Dataset) -> Dataset:
    ds.TreatmentDate = plant.text("TreatmentDate")
    ds.TreatmentMachineSequence = DicomSequence([plant.item("TreatmentMachineName", "InstitutionAddress")])
    ds.TreatmentSessionBeamSequence = DicomSequence(
        [plant.item("BeamName", "TreatmentVerificationStatus", "TreatmentTerminationDescription")]
    )
    return _approved(plant, ds)


def _waveform(plant: _Plant, ds: Dataset) -> Dataset:
    item = plant.item
    channel = item("ChannelLabel", "ChannelIdentificationCode", ChannelSourceSequence=[plant.code()],
                   WaveformBitsStored=16)  # fmt: skip
    group = item("MultiplexGroupLabel", WaveformOriginality="ORIGINAL", NumberOfWaveformChannels=1,
                 NumberOfWaveformSamples=1500, SamplingFrequency="500", ChannelDefinitionSequence=[channel],
                 WaveformBitsAllocated=16, WaveformSampleInterpretation="SS")  # fmt: skip
    group.add_new(0x54001010, "OW", plant.bytes("WaveformData"))
    ds.WaveformSequence = DicomSequence([group])
    ds.WaveformAnnotationSequence = DicomSequence(
        [item("UnformattedTextValue", AnnotationGroupNumber=1), item(ConceptNameCodeSequence=[plant.code()])]
    )
    ds.AcquisitionDateTime, ds.PerformingPhysicianName = (
        plant.text("AcquisitionDateTime"), plant.text("PerformingPhysicianName"),
    )  # fmt: skip
    return ds


def _segmentation(plant: _Plant, ds: Dataset) -> Dataset:
    ds.SegmentationType, ds.NumberOfFrames = "BINARY", 1
    for keyword in ("ContentLabel", "ContentDescription", "ContentCreatorName"):
        setattr(ds, keyword, plant.text(keyword))
    ds.SegmentSequence = DicomSequence(
        [plant.item("SegmentLabel", "SegmentDescription", "SegmentAlgorithmName", "TrackingID", "TrackingUID",
                    SegmentNumber=1, SegmentAlgorithmType="MANUAL", SegmentedPropertyTypeCodeSequence=[plant.code()],
                    SegmentationAlgorithmIdentificationSequence=[plant.item("AlgorithmName", "AlgorithmParameters")])]
    )  # fmt: skip
    return ds


def _parametric_map(plant: _Plant, ds: Dataset) -> Dataset:
    ds.ContentLabel, ds.ContentDescription = plant.text("ContentLabel"), plant.text("ContentDescription")
    ds.RealWorldValueMappingSequence = DicomSequence(
        [plant.item("LUTLabel", "LUTExplanation", MeasurementUnitsCodeSequence=[plant.code()])]
    )
    return ds


def _surface(plant: _Plant, ds: Dataset) -> Dataset:
    points = plant.item()
    points.add_new(0x00660016, "OF", plant.bytes("PointCoordinatesData"))
    ds.SurfaceSequence = DicomSequence([plant.item("SurfaceComments", SurfacePointsSequence=[points])])
    ds.SegmentSequence = DicomSequence([plant.item("SegmentLabel", "SegmentDescription")])
    return ds


def _spectroscopy(plant: _Plant, ds: Dataset) -> Dataset:
    ds.add_new(0x56000020, "OF", plant.bytes("SpectroscopyData"))
    ds.ImageComments, ds.ResonantNucleus = plant.text("ImageComments"), "1H"
    # A value of bytes that masked levels keep in a picture.
    table = plant.item(LUTDescriptor=[1500, 0, 16])
    table.add_new(0x00283006, "OW", plant.bytes("LUTData"))
    ds.VOILUTSequence = DicomSequence([table])
    return ds


def _raw(plant: _Plant, ds: Dataset) -> Dataset:
    ds.CreatorVersionUID = plant.text("CreatorVersionUID")
    block = ds.private_block(0x0071, "CANARY RAW", create=True)
    block.add_new(0x01, "OB", plant.bytes("private"))
    block.add_new(0x02, "UT", plant.text("TextValue"))
    return ds


def _layered(plant: _Plant, ds: Dataset) -> Dataset:
    _overlays(plant, ds)
    ds.ImageComments, ds.DerivationDescription = plant.text("ImageComments"), plant.text("DerivationDescription")
    ds.IconImageSequence = DicomSequence([Dataset()])
    ds.IconImageSequence[0].add_new(0x7FE00010, "OB", plant.bytes("icon"))
    return ds


def _anything(plant: _Plant, ds: Dataset) -> Dataset:
    """A bit of everything, under a class that nobody knows."""
    return _waveform(plant, _document("application/pdf")(plant, _report(plant, _raw(plant, ds))))


def _disguised(plant: _Plant, ds: Dataset) -> Dataset:
    """The same as what says that it is a radiograph, with a picture."""
    return _layered(plant, _anything(plant, _presentation(plant, ds)))


def _vl(plant: _Plant, ds: Dataset) -> Dataset:
    return _video(uids.HEVCMP51)(plant, ds)


def _video(syntax: str) -> Callable[[_Plant, Dataset], Dataset]:
    def fill(plant: _Plant, ds: Dataset) -> Dataset:
        ds.file_meta.TransferSyntaxUID = uids.UID(syntax)
        ds.PhotometricInterpretation, ds.NumberOfFrames = "YBR_PARTIAL_420", 25
        ds.CineRate, ds.ImageComments = 25, plant.text("ImageComments")
        ds.PixelData = encapsulate([plant.bytes("stream")], has_bot=False)
        ds["PixelData"].VR, ds["PixelData"].is_undefined_length = "OB", True
        return ds

    return fill


_h264 = _video(uids.MPEG4HP41)
_WITH_PIXELS = {_dose, _portal, _segmentation, _parametric_map, _layered, _disguised, _vl, _h264}
PRIVATE_CLASS = made_up_uid("private SOP class")
_K = ObjectKind
_FAMILIES: dict[str, tuple[ObjectKind, str, Callable[[_Plant, Dataset], Dataset]]] = {
    "sr-basic": (_K.STRUCTURED_REPORT, uids.BasicTextSRStorage, _report),
    "sr-enhanced": (_K.STRUCTURED_REPORT, uids.EnhancedSRStorage, _report),
    "sr-comprehensive": (_K.STRUCTURED_REPORT, uids.ComprehensiveSRStorage, _report),
    "key-objects": (_K.KEY_OBJECTS, uids.KeyObjectSelectionDocumentStorage, _key_objects),
    "ps-grey": (_K.PRESENTATION_STATE, uids.GrayscaleSoftcopyPresentationStateStorage, _presentation),
    "ps-colour": (_K.PRESENTATION_STATE, uids.ColorSoftcopyPresentationStateStorage, _presentation),
    "ps-pseudo": (_K.PRESENTATION_STATE, uids.PseudoColorSoftcopyPresentationStateStorage, _presentation),
    "ps-blending": (_K.PRESENTATION_STATE, uids.BlendingSoftcopyPresentationStateStorage, _presentation),
    "pdf": (_K.DOCUMENT, uids.EncapsulatedPDFStorage, _document("application/pdf")),
    "cda": (_K.DOCUMENT, uids.EncapsulatedCDAStorage, _document("text/XML")),
    "stl": (_K.DOCUMENT, uids.EncapsulatedSTLStorage, _document("model/stl")),
    "obj": (_K.DOCUMENT, uids.EncapsulatedOBJStorage, _document("model/obj")),
    "mtl": (_K.DOCUMENT, uids.EncapsulatedMTLStorage, _document("model/mtl")),
    "rt-structures": (_K.RADIOTHERAPY, uids.RTStructureSetStorage, _structures),
    "rt-plan": (_K.RADIOTHERAPY, uids.RTPlanStorage, _plan),
    "rt-record": (_K.RADIOTHERAPY, uids.RTBeamsTreatmentRecordStorage, _treatment),
    "rt-dose": (_K.IMAGE, uids.RTDoseStorage, _dose),
    "rt-image": (_K.IMAGE, uids.RTImageStorage, _portal),
    "ecg": (_K.WAVEFORM, uids.TwelveLeadECGWaveformStorage, _waveform),
    "voice": (_K.WAVEFORM, uids.BasicVoiceAudioWaveformStorage, _waveform),
    "segmentation": (_K.SEGMENTATION, uids.SegmentationStorage, _segmentation),
    "parametric": (_K.IMAGE, uids.ParametricMapStorage, _parametric_map),
    "surface": (_K.SPATIAL, uids.SurfaceSegmentationStorage, _surface),
    "spectroscopy": (_K.RAW_DATA, uids.MRSpectroscopyStorage, _spectroscopy),
    "raw": (_K.RAW_DATA, uids.RawDataStorage, _raw),
    "ct": (_K.IMAGE, uids.CTImageStorage, _layered),
    "mr": (_K.IMAGE, uids.MRImageStorage, _layered),
    "video-h264": (_K.VIDEO, uids.VideoEndoscopicImageStorage, _h264),
    "video-hevc": (_K.VIDEO, uids.VLEndoscopicImageStorage, _vl),
    "unknown": (_K.OTHER, PRIVATE_CLASS, _anything),
    "protocol": (_K.OTHER, uids.HangingProtocolStorage, _anything),
    "disguised": (_K.IMAGE, uids.DigitalXRayImageStorageForPresentation, _disguised),
}


def directory() -> bytes:
    """A DICOMDIR that claims to be an object of a study."""
    ds = chest_film(canaries=False)
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = uids.MediaStorageDirectoryStorage
    return _written(ds)


def directory_by_meta() -> bytes:
    """The same where only group 0002 says so."""
    ds = chest_film(canaries=False)
    ds.preamble = bytes(128)
    ds.file_meta.MediaStorageSOPClassUID = uids.MediaStorageDirectoryStorage
    buffer = BytesIO()
    dcmwrite(buffer, ds, implicit_vr=False, little_endian=True)
    return buffer.getvalue()
