"""What would have to be otherwise for a decision to be another one. Values in, sentences out; names nobody."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations

from server.model import Action, Approval, Caller, Choice, Decision, Deny, StudyLabel, StudyRecord, Zone
from server.policy.decide import decide
from server.policy.words import PolicyBundle

Pair = tuple[Caller, StudyRecord]


@dataclass(frozen=True, kw_only=True)
class Otherwise:
    """One thing that is otherwise, in words, and what caller and study are then. Of one `topic` only one is taken."""

    topic: str
    says: str
    change: Callable[[Caller, StudyRecord], Pair]


def instead(bundle: PolicyBundle, caller: Caller, action: Action, study: StudyRecord, now: float) -> Iterator[str]:
    """The fewest things, two at most, that would change the decision, one sentence for each way.

    `caller` has an acting role; `now` is in seconds since the epoch.
    """
    before = _outcome(decide(bundle, caller, action, study, now))
    ways = list(_ways(caller, study, now))
    for count in (1, 2):
        found = []
        for chosen in combinations(ways, count):
            if len({way.topic for way in chosen}) < count:
                continue
            other, others = caller, study
            for way in chosen:
                other, others = way.change(other, others)
            after = _outcome(decide(bundle, other, action, others, now))
            if after != before:
                found.append(f"{after}, if {' and '.join(way.says for way in chosen)}")
        if found:
            yield from found
            return


def _ways(caller: Caller, study: StudyRecord, now: float) -> Iterator[Otherwise]:
    yield from _of_relation(caller, study, now)
    yield from _of_word(study)
    yield from _of_request(caller, study)


def _of_relation(caller: Caller, study: StudyRecord, now: float) -> Iterator[Otherwise]:
    known = study.labels
    own = frozenset({caller.subject})
    member = caller.subject in known.care_team
    yield Otherwise(
        topic="care team",
        says=f"the caller were {'not ' if member else ''}of the care team",
        change=partial(_labelled, care_team=known.care_team - own if member else known.care_team | own),
    )
    shared = caller.departments & known.departments
    if caller.departments:
        yield Otherwise(
            topic="departments",
            says=f"the study were {'not ' if shared else ''}labelled with a department of the caller's",
            change=partial(_labelled, departments=known.departments ^ (shared or caller.departments)),
        )
    if caller.subject != known.stored_by:
        yield Otherwise(
            topic="stored by", says="the caller had stored it", change=partial(_labelled, stored_by=caller.subject)
        )
    yield Otherwise(topic="age", says="it had been stored just now", change=partial(_labelled, stored_at=now))
    if study.patient.patient_id and caller.patient != study.patient:
        yield Otherwise(topic="patient", says="the films were the caller's own", change=_own)


def _of_word(study: StudyRecord) -> Iterator[Otherwise]:
    known = study.labels
    for label in StudyLabel:
        there = label in known.labels
        yield Otherwise(
            topic="labels",
            says=f"it were {'not ' if there else ''}labelled {label}",
            change=partial(_labelled, labels=known.labels ^ {label}),
        )
    for use in ("disclosure", "research"):
        for choice in Choice:
            if choice is not getattr(known.consent, use):
                consent = replace(known.consent, **{use: choice})
                says = f"the consent to {use} were {choice}"
                yield Otherwise(topic="consent", says=says, change=partial(_labelled, consent=consent))


def _of_request(caller: Caller, study: StudyRecord) -> Iterator[Otherwise]:
    around = caller.circumstances
    for zone in Zone:
        if zone is not around.zone:
            says = f"the request came from the zone {zone}"
            yield Otherwise(topic="zone", says=says, change=partial(_placed, zone=zone))
    for approval in Approval:
        if caller.project is not None and approval is not around.approval:
            says = f"the project were {approval}"
            yield Otherwise(topic="project", says=says, change=partial(_placed, approval=approval))
    if caller.project is None:
        yield Otherwise(topic="project", says="the token named an approved project", change=_with_project)
    if caller.purpose is not None:
        yield Otherwise(topic="purpose", says="the token named no purpose of use", change=_without_purpose)
    broken = study.patient in around.broken_glass
    glass = around.broken_glass ^ {study.patient}
    says = f"the glass were {'whole' if broken else 'broken'} for the patient"
    yield Otherwise(topic="glass", says=says, change=partial(_placed, broken_glass=glass))


def _labelled(caller: Caller, study: StudyRecord, **changes: object) -> Pair:
    return caller, replace(study, labels=replace(study.labels, **changes))  # type: ignore[arg-type]


def _placed(caller: Caller, study: StudyRecord, **changes: object) -> Pair:
    return replace(caller, circumstances=replace(caller.circumstances, **changes)), study  # type: ignore[arg-type]


def _own(caller: Caller, study: StudyRecord) -> Pair:
    return replace(caller, patient=study.patient), study


def _without_purpose(caller: Caller, study: StudyRecord) -> Pair:
    return replace(caller, purpose=None), study


def _with_project(caller: Caller, study: StudyRecord) -> Pair:
    caller, study = _placed(caller, study, approval=Approval.APPROVED)
    return replace(caller, project="a project"), study


def _outcome(decision: Decision) -> str:
    if isinstance(decision, Deny):
        return "refused" if decision.forbidden else "not found"
    return f"level {decision.level.name}"
