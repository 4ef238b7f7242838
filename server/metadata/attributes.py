"""The attributes that the catalogue keeps of each level, as DICOM JSON, and the way back (PS3.18 section 10.6.3.3)."""

from __future__ import annotations

import base64
import math
import struct
from collections.abc import Mapping
from typing import cast

from server.errors import SealBroken
from server.metadata.elements import (
    BINARY_VRS,
    SPECIFIC_CHARACTER_SET,
    STRING_VRS,
    Element,
    Elements,
    character_sets,
    in_order,
    sequence_element,
    string_element,
)
from server.metadata.json_model import elements_to_json

Attributes = Mapping[str, Mapping[str, object]]

STUDY = frozenset(
    {
        0x00080020,  # StudyDate
        0x00080030,  # StudyTime
        0x00080050,  # AccessionNumber
        0x00080090,  # ReferringPhysicianName
        0x00080201,  # TimezoneOffsetFromUTC
        0x00081030,  # StudyDescription
        0x00100010,  # PatientName
        0x00100020,  # PatientID
        0x00100021,  # IssuerOfPatientID
        0x00100030,  # PatientBirthDate
        0x00100040,  # PatientSex
        0x0020000D,  # StudyInstanceUID
        0x00200010,  # StudyID
    }
)
SERIES = frozenset(
    {
        0x00080060,  # Modality
        0x0008103E,  # SeriesDescription
        0x00180015,  # BodyPartExamined
        0x0020000E,  # SeriesInstanceUID
        0x00200011,  # SeriesNumber
        0x00200060,  # Laterality
        0x00400244,  # PerformedProcedureStepStartDate
        0x00400245,  # PerformedProcedureStepStartTime
        0x00400275,  # RequestAttributesSequence
    }
)
INSTANCE = frozenset(
    {
        0x00080008,  # ImageType
        0x00080016,  # SOPClassUID
        0x00080018,  # SOPInstanceUID
        0x00200013,  # InstanceNumber
        0x00280008,  # NumberOfFrames
        0x00280010,  # Rows
        0x00280011,  # Columns
        0x00280100,  # BitsAllocated
    }
)
_REQUEST_ATTRIBUTES = 0x00400275
_REQUESTED = frozenset({0x00400009, 0x00401001})  # ScheduledProcedureStepID, RequestedProcedureID
_NUMBERS = {"US": "<H", "SS": "<h", "UL": "<L", "SL": "<l", "FL": "<f", "FD": "<d", "UV": "<Q", "SV": "<q"}
_PN_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")


def level_attributes(elements: Elements) -> tuple[Attributes, Attributes, Attributes]:
    """The study's, series' and instance's attributes of an object, unmasked, keyed by eight hexadecimal digits.

    Elements whose value JSON cannot carry are left out.
    """
    return _chosen(elements, STUDY), _chosen(elements, SERIES), _chosen(elements, INSTANCE)


def dataset_from_attributes(*levels: Attributes) -> Elements:
    """The data set (in UTF-8) that attributes of one or more levels stand for, ready to be masked.

    The mask needs the study level beside the others, since a patient is named there. Raises `SealBroken` when it is not
    what `level_attributes` makes.
    """
    try:
        found = [_element(int(key, 16), value) for level in levels for key, value in level.items()]
    except (AttributeError, KeyError, TypeError, ValueError, struct.error) as error:
        raise SealBroken("a row's attributes are not in the JSON model") from error
    found.append(string_element(SPECIFIC_CHARACTER_SET, "CS", "ISO_IR 192"))
    return in_order(found)


def _chosen(elements: Elements, tags: frozenset[int]) -> Attributes:
    chosen = {tag: element for tag, element in elements.items() if tag in tags}
    requests = chosen.get(_REQUEST_ATTRIBUTES)
    if requests is not None:
        items = ({tag: one for tag, one in item.items() if tag in _REQUESTED} for item in requests.items or ())
        chosen[_REQUEST_ATTRIBUTES] = sequence_element(_REQUEST_ATTRIBUTES, items)
    return elements_to_json(chosen, character_sets(elements))


def _element(tag: int, attribute: Mapping[str, object]) -> Element:
    vr = cast(str, attribute["vr"])
    values = cast(list[object], attribute.get("Value", []))
    if vr == "SQ":
        items = cast(list[Attributes], values)
        return sequence_element(tag, (in_order(_element(int(key, 16), one) for key, one in i.items()) for i in items))
    if vr in BINARY_VRS:
        return Element(tag, vr, base64.b64decode(cast(str, attribute.get("InlineBinary", "")), validate=True))
    if vr in STRING_VRS:
        return string_element(tag, vr, *map(_string, values))
    # JSON carries no NaN and no infinity; `level_attributes` writes null for them.
    numbers = (math.nan if value is None and vr in ("FL", "FD") else value for value in values)
    return Element(tag, vr, b"".join(struct.pack(_NUMBERS[vr], number) for number in numbers))


def _string(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, dict):
        return "=".join(value.get(group, "") for group in _PN_GROUPS).rstrip("=")
    return f"{value:.10g}" if isinstance(value, float) else str(value)
