"""What the rules look at: callers and studies as Cedar entities, and nothing that a film's header says.

The ids of the entities are fixed words, so that no identity is where Cedar would quote an id.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from server.model import Action, Caller, PatientIdentity, StudyRecord

ARCHIVE: Mapping[str, object] = {"uid": {"type": "Archive", "id": "archive"}, "attrs": {}, "parents": []}
"""What the acts of governance are about: this server as a whole."""


class Unusable(ValueError):
    """A record holds something that no rule can be asked about."""


@dataclass(frozen=True, kw_only=True)
class StudyFacts:
    """Everything a rule may know about a study. `age_hours`: whole hours since the first store, rounded down.

    Two studies with equal facts get equal decisions.
    """

    departments: tuple[str, ...]
    care_team: tuple[str, ...]
    stored_by: str
    stored_department: str
    age_hours: int
    patient_issuer: str
    patient_id: str


def study_facts(study: StudyRecord, now: float) -> StudyFacts:
    """The facts at `now`, in seconds since the epoch. Raises `Unusable` if the record is not what it should be."""
    labels = study.labels
    age = now - labels.stored_at
    if not math.isfinite(age) or abs(age) > 2.0**52:
        raise Unusable("age")
    return StudyFacts(
        departments=_set(labels.departments),
        care_team=_set(labels.care_team),
        stored_by=_text(labels.stored_by),
        stored_department=_text(labels.stored_department),
        age_hours=math.floor(age / 3600),
        patient_issuer=_text(study.patient.issuer),
        patient_id=_text(study.patient.patient_id),
    )


def study_entity(facts: StudyFacts, identifier: str) -> Mapping[str, object]:
    return {
        "uid": {"type": "Study", "id": identifier},
        "attrs": {
            "departments": list(facts.departments),
            "care_team": list(facts.care_team),
            "stored_by": facts.stored_by,
            "stored_department": facts.stored_department,
            "age_hours": facts.age_hours,
            "patient": {"issuer": facts.patient_issuer, "id": facts.patient_id},
        },
        "parents": [],
    }


def caller_entity(caller: Caller) -> Mapping[str, object]:
    """The caller in the acting role, and in no other role held. Raises `Unusable`.

    An empty project, department or patient ID is the same as none: two empty things are not equal to each other.
    """
    if not caller.acting_role or not _text(caller.subject):
        raise Unusable("caller")
    attributes: dict[str, object] = {"subject": caller.subject, "departments": list(_set(caller.departments))}
    if caller.project is not None and _text(caller.project).strip():
        attributes["project"] = caller.project
    if caller.patient is not None and _text(caller.patient.patient_id).strip():
        attributes["patient"] = _patient(caller.patient)
    return {
        "uid": {"type": "Caller", "id": "caller"},
        "attrs": attributes,
        "parents": [{"type": "Role", "id": _text(caller.acting_role)}],
    }


def request_context(caller: Caller, action: Action) -> Mapping[str, object]:
    """What is asked and for what purpose (an HL7 v3 PurposeOfUse code, absent if the token names none)."""
    context: dict[str, object] = {"transaction": action.value, "brokenGlass": caller.broken_glass is True}
    if caller.purpose is not None and _text(caller.purpose).strip():
        context["purpose"] = caller.purpose
    return context


def _patient(patient: PatientIdentity) -> dict[str, str]:
    return {"issuer": _text(patient.issuer), "id": patient.patient_id}


def _set(values: frozenset[str]) -> tuple[str, ...]:
    return tuple(sorted(value for value in values if _text(value).strip()))


def _text(value: object) -> str:
    """The value if it is a string that can be written as UTF-8; a lone surrogate would spoil a whole batch."""
    if not isinstance(value, str):
        raise Unusable("text")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise Unusable("text") from None
    return value
