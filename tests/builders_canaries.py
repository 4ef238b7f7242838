"""Canaries: a value of its own for every element that could identify somebody.

A test that finds one where it must not be knows from the value alone which element it came from.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence

# One canary each at the top of the data set. Values follow from the VR, see `canary`.
IDENTIFYING = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientBirthTime", "PatientAge", "PatientAddress"),
    *("PatientTelephoneNumbers", "PatientMotherBirthName", "PatientBirthName", "PatientComments", "PatientSize"),
    *("PatientInsurancePlanCodeSequence", "PatientReligiousPreference", "MilitaryRank", "BranchOfService"),
    *("CountryOfResidence", "RegionOfResidence", "EthnicGroup", "Occupation", "AdditionalPatientHistory"),
    *("MedicalRecordLocator", "OtherPatientNames", "ResponsiblePerson", "ResponsibleOrganization", "Allergies"),
    *("AccessionNumber", "StudyID", "AdmissionID", "ServiceEpisodeID", "ServiceEpisodeDescription"),
    *("ReferringPhysicianName", "ReferringPhysicianAddress", "ReferringPhysicianTelephoneNumbers"),
    *("PerformingPhysicianName", "NameOfPhysiciansReadingStudy", "PhysiciansOfRecord", "OperatorsName"),
    *("RequestingPhysician", "RequestingService", "ScheduledPerformingPhysicianName", "CurrentPatientLocation"),
    *("PatientInstitutionResidence", "InstitutionName", "InstitutionAddress", "InstitutionalDepartmentName"),
    *("StationName", "DeviceSerialNumber", "DeviceUID", "PlateID", "CassetteID", "GantryID", "DetectorID"),
    *("StudyDescription", "SeriesDescription", "ProtocolName", "ImageComments", "StudyComments", "AcquisitionComments"),
    *("DerivationDescription", "ReasonForStudy", "RequestedProcedureDescription", "RequestedProcedureComments"),
    *("PerformedProcedureStepID", "PerformedProcedureStepDescription", "CommentsOnThePerformedProcedureStep"),
    *("AcquisitionDeviceProcessingDescription", "ContrastBolusAgent", "PerformedStationAETitle", "TextComments"),
    *("StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate", "AcquisitionDateTime", "AdmittingDate"),
    *("StudyTime", "SeriesTime", "AcquisitionTime", "ContentTime", "PerformedProcedureStepStartDate"),
    *("PerformedProcedureStepStartTime", "FrameOfReferenceUID", "SynchronizationFrameOfReferenceUID"),
    *("LastMenstrualDate", "InterpretationText", "IssuerOfAdmissionID", "CurrentPatientLocation"),
)

# Canaries inside sequences: each a path of keywords.
NESTED = (
    ("OtherPatientIDsSequence", "PatientID"),
    ("OtherPatientIDsSequence", "IssuerOfPatientID"),
    ("ReferencedStudySequence", "ReferencedSOPInstanceUID"),
    ("RequestAttributesSequence", "ScheduledProcedureStepID"),
    ("RequestAttributesSequence", "RequestedProcedureID"),
    ("RequestAttributesSequence", "ScheduledProcedureStepDescription"),
    ("OriginalAttributesSequence", "ModifiedAttributesSequence", "PatientName"),
    ("OriginalAttributesSequence", "ModifiedAttributesSequence", "OtherPatientIDsSequence", "PatientID"),
    ("ReferringPhysicianIdentificationSequence", "InstitutionName"),
    ("ReferringPhysicianIdentificationSequence", "PersonIdentificationCodeSequence", "CodeMeaning"),
    ("SourceImageSequence", "ReferencedSOPInstanceUID"),
)

_SHORT = {"SH": "CANARY-", "CS": "CANARY_", "AE": "CANARY-"}


def made_up_uid(*words: object) -> str:
    """A valid UID under 2.25 (PS3.5 B.2) that follows from the words alone."""
    return f"2.25.{int.from_bytes(_digest(*words)[:15])}"


def canary(keyword: str, label: str = "") -> str:
    """The value that the element `keyword` holds: `CANARY-<keyword>` wherever the VR has room for it.

    `label` tells apart elements of one keyword (a path, a patient's number). Names read `CANARY-<keyword>^<label>`.
    """
    vr, digest = dictionary_VR(keyword), _digest(keyword, label)
    number = int.from_bytes(digest[:6])
    if vr in _SHORT:
        return _SHORT[vr] + digest.hex()[:8].upper()
    match vr:
        case "UI":
            return made_up_uid("canary", keyword, label)
        case "DA":
            return f"{1901 + number % 97}{1 + number // 97 % 12:02}{1 + number // 1164 % 28:02}"
        case "TM":
            return f"{number % 24:02}{number // 24 % 60:02}{number // 1440 % 60:02}.{number // 86400 % 10**6:06}"
        case "DT":
            return f"{1901 + number % 97}{1 + number // 97 % 12:02}{1 + number // 1164 % 28:02}031415.926535"
        case "AS":
            return f"{number % 100:03}Y"
        case "DS":
            return f"1.{number % 10**6:06}7"
        case "IS":
            return str(number % 10**9)
    text = f"CANARY-{keyword}"
    if not label:
        return text
    return f"{text}^{label}" if vr == "PN" else f"{text}-{label}"


def all_canaries(dataset: Dataset) -> dict[str, str]:
    """Every canary of the data set: `{path of keywords or tags: value as text}`, nested ones included.

    Canaries in numbers, dates and times count only where `canary` made them.
    """
    return dict(_walk(dataset, ""))


def add_canaries(ds: Dataset, label: str) -> None:
    """Sets every canary that the data set lacks; sequences get one item that holds one."""
    for keyword in IDENTIFYING:
        if keyword in ds:
            continue
        if dictionary_VR(keyword) == "SQ":
            code = Dataset()
            code.CodeMeaning = canary("CodeMeaning", keyword)
            setattr(ds, keyword, DicomSequence([code]))
        else:
            setattr(ds, keyword, canary(keyword, label))
    for *path, keyword in NESTED:
        item = ds
        for name in path:
            if name not in item:
                setattr(item, name, DicomSequence([Dataset()]))
            item = item[name].value[0]
        setattr(item, keyword, canary(keyword, path[0][:12]))


def _digest(*words: object) -> bytes:
    return hashlib.sha256("\0".join(map(str, words)).encode()).digest()


def _walk(dataset: Dataset, path: str) -> Iterator[tuple[str, str]]:
    for element in dataset:
        name = path + (element.keyword or f"{element.tag:08X}")
        if element.VR == "SQ":
            for index, item in enumerate(element.value):
                yield from _walk(item, f"{name}[{index}].")
        elif isinstance(element.value, bytes):
            if element.value.startswith(b"CANARY"):
                yield name, element.value.rstrip(b"\0 ").decode("ascii")
        elif "CANARY" in str(element.value) or (
            element.keyword in _KNOWN and element.VR in {"UI", "DA", "TM", "DT", "AS", "DS", "IS"}
        ):
            yield name, str(element.value)


_KNOWN = frozenset(IDENTIFYING) | {path[-1] for path in NESTED}
