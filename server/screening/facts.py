"""What a header says that can only ever hide more: read once, compared without regard to case."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset

# Secondary Capture and its four multi-frame kinds (PS3.4 Table B.5-1), encapsulated documents and dose reports.
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_DOCUMENTS = "1.2.840.10008.5.1.4.1.1.104"
_DOSE = ("1.2.840.10008.5.1.4.1.1.88.67", "1.2.840.10008.5.1.4.1.1.88.68", "1.2.840.10008.5.1.4.1.1.88.76")
_MODALITIES = frozenset({"OT", "DOC", "SR", "PR", "KO"})
# Parts of Image Type values that stand for a copy of a screen or a page of text.
_PAGES = ("SCREEN", "SAVE", "DOSE", "REPORTDATA", "DEMOGRAPHICDATA", "PASTED", "PROTOCOL")


@dataclass(frozen=True, kw_only=True)
class Facts:
    """The attributes of an image that the finders look at, text in upper case; "" or empty where absent.

    `regions` are the items of Sequence of Ultrasound Regions as (top, left, bottom, right), half-open, whatever they
    say; None where there is no such sequence, and an item that cannot be read is (0, 0, 0, 0).
    """

    sop_class_uid: str
    modality: str
    image_type: tuple[str, ...]
    conversion_type: str
    manufacturer: str
    model: str
    series_description: str
    regions: tuple[tuple[int, int, int, int], ...] | None


def facts_of(dataset: Dataset) -> Facts:
    """The facts of a data set; values of the wrong kind count as absent, or as a region that fits no frame."""
    regions = dataset.get("SequenceOfUltrasoundRegions")
    return Facts(
        sop_class_uid=_text(dataset, "SOPClassUID"),
        modality=_text(dataset, "Modality"),
        image_type=tuple(_texts(dataset, "ImageType")),
        conversion_type=_text(dataset, "ConversionType"),
        manufacturer=_text(dataset, "Manufacturer"),
        model=_text(dataset, "ManufacturerModelName"),
        series_description=_text(dataset, "SeriesDescription"),
        regions=None if not regions else tuple(_region(item) for item in regions),
    )


def must_be_reviewed(facts: Facts) -> str | None:
    """Why the header alone sends an object to a person: it copies a screen or a page. None where it does not.

    Secondary captures (PS3.3 A.8), anything that says how it was converted (C.8.6.1), scanned and encapsulated
    documents, dose reports, saved screens. One sentence, without any value of the header.
    """
    uid = facts.sop_class_uid
    reasons = {
        "secondary capture": uid == _SECONDARY_CAPTURE or uid.startswith(f"{_SECONDARY_CAPTURE}."),
        "encapsulated document": uid.startswith(f"{_DOCUMENTS}."),
        "dose report": uid in _DOSE,
        "converted from something else": bool(facts.conversion_type),
        "a modality that makes no images": facts.modality in _MODALITIES,
        "saved screen": any(part in value for value in facts.image_type for part in _PAGES),
    }
    return next((reason for reason, applies in reasons.items() if applies), None)


def _region(item: Dataset) -> tuple[int, int, int, int]:
    names = ("RegionLocationMinY0", "RegionLocationMinX0", "RegionLocationMaxY1", "RegionLocationMaxX1")
    numbers = [item.get(name) for name in names]
    if not all(type(number) is int for number in numbers):
        return 0, 0, 0, 0
    top, left, bottom, right = (int(number) for number in numbers if number is not None)
    return top, left, bottom + 1, right + 1


def _text(dataset: Dataset, keyword: str) -> str:
    return " ".join(_texts(dataset, keyword))


def _texts(dataset: Dataset, keyword: str) -> Iterator[str]:
    value = dataset.get(keyword)
    if value is None:
        return
    many = [value] if isinstance(value, str) or not np.iterable(value) else value
    yield from (str(one).strip().upper() for one in many)
