"""What the rules look at: callers and studies as Cedar entities, and nothing that a film's header says.

The ids of the entities are fixed words, so that no identity is where Cedar would quote an id.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from server.model import Action, Caller, Choice, Purpose, StudyRecord
from server.policy.words import RuleBook, Sight

ARCHIVE: Mapping[str, object] = {"uid": {"type": "Archive", "id": "archive"}, "attrs": {}, "parents": []}
"""What the acts of governance are about: this server as a whole."""


class Unusable(ValueError):
    """A record holds something that no rule can be asked about."""


@dataclass(frozen=True, kw_only=True)
class StudyFacts:
    """Everything a rule may know about a study. `age_hours`: whole hours since the first store, rounded down.

    Two studies with equal facts get equal decisions.
    """

    study: str
    departments: tuple[str, ...]
    care_team: tuple[str, ...]
    labels: tuple[str, ...]
    consent: tuple[str, str]
    stored_by: str
    stored_department: str
    age_hours: int
    patient: tuple[str, str]
    modalities: tuple[str, ...]


def study_facts(study: StudyRecord, now: float) -> StudyFacts:
    """The facts at `now`, in seconds since the epoch. Raises `Unusable` if the record is not what it should be."""
    labels = study.labels
    age = now - labels.stored_at
    if not math.isfinite(age) or abs(age) > 2.0**52:
        raise Unusable("age")
    return StudyFacts(
        study=_text(study.row),
        departments=_set(labels.departments),
        care_team=_set(labels.care_team),
        labels=tuple(sorted(labels.labels)),
        consent=(labels.consent.disclosure, labels.consent.research),
        stored_by=_text(labels.stored_by),
        stored_department=_text(labels.stored_department),
        age_hours=math.floor(age / 3600),
        patient=(_text(study.patient.issuer), _text(study.patient.patient_id)),
        modalities=_set(study.modalities),
    )


_NEUTRAL = StudyFacts(
    study="",
    departments=(),
    care_team=(),
    labels=(),
    consent=(Choice.UNSAID, Choice.UNSAID),
    stored_by="",
    stored_department="",
    age_hours=0,
    patient=("", ""),
    modalities=(),
)


def seen_by(facts: StudyFacts, caller: Caller, book: RuleBook) -> StudyFacts:
    """What the rules about the caller's role can tell of the facts, so that equal ones are decided once.

    What no rule looks at is left out; what they only hold against the caller's own is kept where it agrees with that;
    of ages between two bounds that the rules name, one stands for all.
    """
    sights = book.sights[caller.acting_role or ""]
    kept = {name: getattr(facts, name) for name, sight in sights.items() if sight is Sight.VALUE}
    for name, sight in sights.items():
        if sight is Sight.OWN:
            kept[name] = _own(name, facts, caller)
    if "age_hours" in kept and book.age_bounds is not None:
        kept["age_hours"] = _between(facts.age_hours, book.age_bounds)
    return replace(_NEUTRAL, **kept)


def _between(age: int, bounds: tuple[int, ...]) -> int:
    """An age itself where it is a bound; else the first after the bound below it, or the last before all bounds."""
    below = [bound for bound in bounds if bound <= age]
    if not below:
        return bounds[0] - 1 if bounds else 0
    return below[-1] if below[-1] == age else below[-1] + 1


def _own(name: str, facts: StudyFacts, caller: Caller) -> object:
    if name == "study":
        share = caller.circumstances.share
        return facts.study if share and share.study == facts.study else ""
    if name == "departments":
        return tuple(one for one in facts.departments if one in caller.departments)
    if name == "care_team":
        return tuple(one for one in facts.care_team if one == caller.subject)
    if name == "stored_by":
        return facts.stored_by if facts.stored_by == caller.subject else ""
    own = caller.patient and (caller.patient.issuer, caller.patient.patient_id)
    return facts.patient if facts.patient == own else ("", "")


def study_entity(facts: StudyFacts, identifier: str) -> Mapping[str, object]:
    disclosure, research = facts.consent
    return {
        "uid": {"type": "Study", "id": identifier},
        "attrs": {
            "study": facts.study,
            "departments": list(facts.departments),
            "care_team": list(facts.care_team),
            "labels": [_member("Label", label) for label in facts.labels],
            "consent": {"disclosure": _member("Choice", disclosure), "research": _member("Choice", research)},
            "stored_by": facts.stored_by,
            "stored_department": facts.stored_department,
            "age_hours": facts.age_hours,
            "patient": {"issuer": facts.patient[0], "id": facts.patient[1]},
            "modalities": list(facts.modalities),
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
        if caller.circumstances.approval is not None:
            attributes["approval"] = _member("Approval", caller.circumstances.approval)
    if caller.patient is not None and _text(caller.patient.patient_id).strip():
        attributes["patient"] = {"issuer": _text(caller.patient.issuer), "id": caller.patient.patient_id}
    if (share := caller.circumstances.share) is not None and _text(share.study):
        attributes["share"] = {
            "study": share.study,
            "level": _member("Level", _text(share.level)),
            "giver": _member("Level", _text(share.giver)),
        }
    return {
        "uid": {"type": "Caller", "id": "caller"},
        "attrs": attributes,
        "parents": [{"type": "Role", "id": _text(caller.acting_role)}],
    }


def request_context(caller: Caller, action: Action, *, opened: bool = False) -> Mapping[str, object]:
    """What is asked, for what purpose, from where and when. `opened`: the glass is broken for the study's patient.

    A purpose of use that the rules cannot name is "unknown", which no rule takes for one of its own.
    """
    around = caller.circumstances
    context: dict[str, object] = {
        "transaction": action.value,
        "zone": _member("Zone", around.zone),
        "broken_glass": opened,
    }
    if caller.purpose is not None and _text(caller.purpose).strip():
        context["purpose"] = _member("Purpose", caller.purpose if caller.purpose in _PURPOSES else Purpose.UNKNOWN)
    optional = {"acr": around.acr, "hour": around.hour, "weekday": around.weekday}
    return context | {name: value for name, value in optional.items() if value is not None}


_PURPOSES = frozenset(Purpose)


def _member(kind: str, name: str) -> Mapping[str, str]:
    return {"type": kind, "id": str(name)}


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
