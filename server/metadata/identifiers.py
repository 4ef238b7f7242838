"""Which values identify, and every one of them in an object: UIDs, patients, accession numbers, other local IDs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain

from pydicom._uid_dict import UID_dictionary

from server.errors import InvalidUID, UnreadableObject
from server.metadata.charset import DEFAULT
from server.metadata.elements import STRING_VRS, Element, Elements, character_sets, first_text, texts
from server.model import Identifier, IdentifierKind, PatientIdentity, check_uid

MOST = 50_000
PATIENT_ID = 0x00100020
ISSUER_OF_PATIENT_ID = 0x00100021
_STUDY_INSTANCE_UID = 0x0020000D

_LOCAL = (
    0x00101000,  # OtherPatientIDs
    0x00120040,  # ClinicalTrialSubjectID
    0x00120042,  # ClinicalTrialSubjectReadingID
    0x00181000,  # DeviceSerialNumber
    0x00181003,  # DeviceID
    0x00181004,  # PlateID
    0x00181005,  # GeneratorID
    0x00181007,  # CassetteID
    0x00181008,  # GantryID
    0x0018700A,  # DetectorID
    0x00200010,  # StudyID
    0x00380010,  # AdmissionID
    0x00380060,  # ServiceEpisodeID
    0x00400009,  # ScheduledProcedureStepID
    0x00400253,  # PerformedProcedureStepID
    0x00400512,  # ContainerIdentifier
    0x00400551,  # SpecimenIdentifier
    0x00401001,  # RequestedProcedureID
    0x00402016,  # PlacerOrderNumberImagingServiceRequest
    0x00402017,  # FillerOrderNumberImagingServiceRequest
)
KINDS: Mapping[int, IdentifierKind] = {
    PATIENT_ID: IdentifierKind.PATIENT,
    0x00080050: IdentifierKind.ACCESSION,
    **dict.fromkeys(_LOCAL, IdentifierKind.LOCAL),
}


_IDENTIFYING = KINDS.keys() | {ISSUER_OF_PATIENT_ID}


def may_identify(tag: int, vr: str) -> bool:
    """Whether `identifiers` looks at an element at all: all others may be left out before it is asked."""
    return vr in ("UI", "SQ") or tag in _IDENTIFYING


def well_known(uid: str) -> bool:
    """Whether PS3.6 annex A registers this UID: an SOP class, a transfer syntax, a known frame of reference, ..."""
    return uid in UID_dictionary


def valid_uid(value: str) -> bool:
    try:
        check_uid(value)
    except InvalidUID:
        return False
    return True


def patient_identity(elements: Elements) -> PatientIdentity:
    """Issuer of Patient ID and Patient ID of a data set, "" where absent."""
    return PatientIdentity(
        issuer=first_text(elements, ISSUER_OF_PATIENT_ID), patient_id=first_text(elements, PATIENT_ID)
    )


def patient_identifier(elements: Elements) -> Identifier:
    """The identifier of the data set's own patient.

    Without a Patient ID nothing says that two studies are of one patient: the study then stands for the patient.
    """
    patient = patient_identity(elements)
    own = patient.patient_id or "\x00" + first_text(elements, _STUDY_INSTANCE_UID)
    return Identifier(kind=IdentifierKind.PATIENT, value=f"{patient.issuer}\x00{own}")


def identifier_in(element: Element, value: str, issuer: str) -> Identifier | None:
    """What `value`, one of the element's values, identifies; None when nothing. `issuer` is the patient ID's."""
    if not value:
        return None
    if element.vr == "UI":
        is_one = valid_uid(value) and not well_known(value)
        return Identifier(kind=IdentifierKind.UID, value=value) if is_one else None
    kind = KINDS.get(element.tag)
    if kind is IdentifierKind.PATIENT:
        value = f"{issuer}\x00{value}"
    return None if kind is None else Identifier(kind=kind, value=value)


def identifiers(elements: Elements) -> Mapping[Identifier, str]:
    """Every identifier in the object, at any depth, with the path of its first appearance (private elements last).

    A path such as `uid/00081115[0]/0020000E` never contains a value, so that it may label the randomness that the
    identifier's row key is drawn from. Raises `UnreadableObject` when there are more than `MOST`.
    """
    found = {patient_identifier(elements): "patient"}
    public = _walk(elements, "", DEFAULT, "", private=False)
    private = _walk(elements, "", DEFAULT, "", private=True) if _has_private(elements) else ()
    for identifier, path in chain(public, private):
        found.setdefault(identifier, f"{identifier.kind.value}/{path}")
        if len(found) > MOST:
            raise UnreadableObject("the object holds too many identifiers")
    return found


def issuer_in(elements: Elements, sets: tuple[str, ...], inherited: str) -> str:
    """The issuer of patient IDs in force in a data set or item."""
    return first_text(elements, ISSUER_OF_PATIENT_ID, sets) or inherited


def _has_private(elements: Elements) -> bool:
    """Whether there is a private element at any depth."""
    return any(tag & 0x00010000 or any(map(_has_private, one.items or ())) for tag, one in elements.items())


def _walk(
    elements: Elements, path: str, inherited: tuple[str, ...], issuer: str, *, private: bool
) -> Iterator[tuple[Identifier, str]]:
    """The identifiers outside private elements, or only those inside."""
    sets = character_sets(elements, inherited)
    issuer = issuer_in(elements, sets, issuer)
    for tag, element in elements.items():
        here = f"{path}{tag:08X}"
        is_private = bool(tag & 0x00010000)
        if element.items is not None:
            if is_private and not private:
                continue
            for number, item in enumerate(element.items):
                if is_private:
                    # Everything below a private sequence counts as private, public elements too.
                    yield from _walk(item, f"{here}[{number}]/", sets, issuer, private=False)
                yield from _walk(item, f"{here}[{number}]/", sets, issuer, private=private)
        elif is_private == private and (element.vr == "UI" or (tag in KINDS and element.vr in STRING_VRS)):
            for number, value in enumerate(texts(element, sets)):
                identifier = identifier_in(element, value, issuer)
                if identifier is not None:
                    yield identifier, here if number == 0 else f"{here}#{number + 1}"
