"""Presentation states and reports built in code, about films of `builders`."""

from __future__ import annotations

from itertools import count
from typing import Any

from builders import chest_film
from pydicom import uid as uids
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence

# Every object made here is another one.
_NUMBERS = count(100)
GREY, COLOUR = uids.GrayscaleSoftcopyPresentationStateStorage, uids.ColorSoftcopyPresentationStateStorage
PIXELS = (
    "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PixelData", "SamplesPerPixel",
    "PhotometricInterpretation", "NumberOfFrames", "PlanarConfiguration", "WindowCenter", "WindowWidth",
    "RescaleIntercept", "RescaleSlope", "RescaleType",
)  # fmt: skip


def item(**values: Any) -> Dataset:
    ds = Dataset()
    for keyword, value in values.items():
        setattr(ds, keyword, DicomSequence(value) if keyword.endswith("Sequence") else value)
    return ds


def about(film: Dataset, *frames: int) -> Dataset:
    """A reference to a film, or to some of its frames."""
    found = item(ReferencedSOPClassUID=film.SOPClassUID, ReferencedSOPInstanceUID=film.SOPInstanceUID)
    if frames:
        found.ReferencedFrameNumber = list(frames)
    return found


def without_pixels(sop_class: str, modality: str, *, study: int = 1, **values: Any) -> Dataset:
    """An object of the same patient and study without any picture."""
    number = next(_NUMBERS)
    ds = chest_film(study=study, series=number, instance=number)
    for keyword in PIXELS:
        if keyword in ds:
            del ds[keyword]
    ds.SOPClassUID, ds.Modality = uids.UID(sop_class), modality
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    for keyword, value in values.items():
        setattr(ds, keyword, DicomSequence(value) if keyword.endswith("Sequence") else value)
    return ds


def state(film: Dataset, *frames: int, sop_class: str = GREY, **values: Any) -> Dataset:
    """A state about a film that says nothing but `values`."""
    series = item(SeriesInstanceUID=film.SeriesInstanceUID, ReferencedImageSequence=[about(film, *frames)])
    return without_pixels(
        sop_class,
        "PR",
        ContentLabel="STATE",
        PresentationCreationDate="20200101",
        PresentationCreationTime="101112",
        PresentationLUTShape=values.pop("PresentationLUTShape", "IDENTITY"),
        ReferencedSeriesSequence=[series],
        **values,
    )


def area(left: int, top: int, right: int, bottom: int, **values: Any) -> Dataset:
    """A displayed area by its corners, from 1 and inclusive."""
    return item(
        DisplayedAreaTopLeftHandCorner=[left, top],
        DisplayedAreaBottomRightHandCorner=[right, bottom],
        PresentationSizeMode="SCALE TO FIT",
        **values,
    )


def figure(kind: str, *points: float, units: str = "PIXEL", filled: bool = False) -> Dataset:
    return item(
        GraphicAnnotationUnits=units,
        GraphicDimensions=2,
        NumberOfGraphicPoints=len(points) // 2,
        GraphicData=list(points),
        GraphicType=kind,
        GraphicFilled="Y" if filled else "N",
    )


def words(text: str, column: float, row: float, units: str = "PIXEL") -> Dataset:
    return item(
        UnformattedTextValue=text,
        BoundingBoxAnnotationUnits=units,
        BoundingBoxTopLeftHandCorner=[column, row],
        BoundingBoxBottomRightHandCorner=[column + 30, row + 10],
        BoundingBoxTextHorizontalJustification="LEFT",
    )


def content(kind: str, name: str, **values: Any) -> Dataset:
    """One content item of a report."""
    concept = item(CodeValue="1", CodingSchemeDesignator="99T", CodeMeaning=name)
    return item(RelationshipType="CONTAINS", ValueType=kind, ConceptNameCodeSequence=[concept], **values)


def code(meaning: str) -> Dataset:
    return item(CodeValue="2", CodingSchemeDesignator="99T", CodeMeaning=meaning)


def report(*items: Dataset, **values: Any) -> Dataset:
    root = item(CodeValue="126000", CodingSchemeDesignator="DCM", CodeMeaning="Imaging Measurement Report")
    return without_pixels(
        uids.EnhancedSRStorage,
        "SR",
        ValueType="CONTAINER",
        ContinuityOfContent="SEPARATE",
        CompletionFlag="COMPLETE",
        VerificationFlag="UNVERIFIED",
        ConceptNameCodeSequence=[root],
        ContentSequence=list(items),
        **values,
    )
