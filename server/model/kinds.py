"""Kinds of objects by what carries text in them: the SOP classes of PS3.4 annexes B and I as a table.

A masking level names the kinds that leave it; of every other object nothing leaves but masked attributes. What is in no
row, private SOP classes and those of future editions included, is `OTHER`.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from functools import lru_cache

from pydicom._uid_dict import UID_dictionary


class ObjectKind(StrEnum):
    """What an object is, as level files say. A closed list."""

    IMAGE = "image"
    SEGMENTATION = "segmentation"
    STRUCTURED_REPORT = "structured-report"
    KEY_OBJECTS = "key-objects"
    PRESENTATION_STATE = "presentation-state"
    DOCUMENT = "document"
    RADIOTHERAPY = "radiotherapy"
    WAVEFORM = "waveform"
    SPATIAL = "spatial"
    RAW_DATA = "raw-data"
    VIDEO = "video"
    OTHER = "other"


CLEANABLE = frozenset(
    {
        ObjectKind.IMAGE,
        ObjectKind.SEGMENTATION,
        ObjectKind.STRUCTURED_REPORT,
        ObjectKind.KEY_OBJECTS,
        ObjectKind.PRESENTATION_STATE,
    }
)
"""The kinds of which the maskers know every place that holds text: elements, content items, samples.

The others hold documents, signals, meshes, plans or bytes that nobody here looks into.
"""

DIRECTORY = "1.2.840.10008.1.3.10"
"""Media Storage Directory (DICOMDIR): a list of other objects with the names in them, never an object of a study."""

_STORAGE = "1.2.840.10008.5.1.4.1.1."
# SOP classes below the root of storage; a row that ends in a dot stands for all below it, the longest row wins.
_ROWS: Mapping[ObjectKind, tuple[str, ...]] = {
    ObjectKind.IMAGE: (
        *("1", "1.", "2", "2.", "3", "3.1", "4", "4.1", "4.3", "4.4", "5", "6", "6.", "7", "7.", "12.", "13.1."),
        *("14.", "20", "30", "77.1", "77.2", "77.1.1", "77.1.2", "77.1.3", "77.1.4", "77.1.5.", "77.1.6", "77.1.7"),
        *("77.1.8", "77.1.9", "81.1", "82.1", "128", "128.1", "130", "481.1", "481.2", "481.23", "481.24"),
    ),
    ObjectKind.SEGMENTATION: ("66.4",),
    ObjectKind.STRUCTURED_REPORT: ("88.", "79.1", "78.6"),
    ObjectKind.KEY_OBJECTS: ("88.59",),
    ObjectKind.PRESENTATION_STATE: ("11.",),
    ObjectKind.DOCUMENT: ("104.",),
    ObjectKind.RADIOTHERAPY: ("481.",),
    ObjectKind.WAVEFORM: ("9.",),
    ObjectKind.SPATIAL: ("66.1", "66.2", "66.3", "66.5", "66.6", "67", "68.", "77.1.5.3", "91.1"),
    ObjectKind.RAW_DATA: ("66", "4.2"),
    ObjectKind.VIDEO: ("77.1.1.1", "77.1.2.1", "77.1.4.1"),
    # Trials of structured reporting whose trees are built otherwise.
    ObjectKind.OTHER: ("88.1", "88.2", "88.3", "88.4"),
}
_KINDS = {row: kind for kind, rows in _ROWS.items() for row in rows}
_LONGEST_FIRST = sorted(_KINDS, key=lambda row: -len(row))

# MPEG2, H.264, H.265 and their fragmentable forms (PS3.5 sections 8.2.5 to 8.2.9), and SMPTE ST 2110 (8.2.13).
_VIDEO_SYNTAXES = tuple(f"1.2.840.10008.1.2.4.{number}" for number in range(100, 110))
_STREAMS = "1.2.840.10008.1.2.7."


@lru_cache(maxsize=1024)
def kind_of(sop_class_uid: str, transfer_syntax_uid: str) -> ObjectKind:
    """The kind of a stored object; a video is one in whatever class it comes."""
    if is_video(transfer_syntax_uid):
        return ObjectKind.VIDEO
    if sop_class_uid not in UID_dictionary or not sop_class_uid.startswith(_STORAGE):
        return ObjectKind.OTHER
    below = sop_class_uid.removeprefix(_STORAGE)
    found = (row for row in _LONGEST_FIRST if below == row or (row.endswith(".") and below.startswith(row)))
    return _KINDS.get(next(found, ""), ObjectKind.OTHER)


def is_video(transfer_syntax_uid: str) -> bool:
    """Whether a transfer syntax holds all frames of an object in one stream, which is not decoded here."""
    head = transfer_syntax_uid.removesuffix(".1")
    return head in _VIDEO_SYNTAXES or transfer_syntax_uid.startswith(_STREAMS)
