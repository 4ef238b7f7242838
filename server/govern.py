"""The acts of governance: what the rules look at is set, the journal is read. Films play no part in any."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, date, datetime
from itertools import islice

import orjson

from server import record
from server.admit import acting, forbidden
from server.audit.show import read
from server.errors import NotFound
from server.glass import GlassReason, break_for, patient_of
from server.model import Action, Ask, Consent, Deny, Representation, StudyLabel, check_uid
from server.policy.decide import govern
from server.services import Services


def allowed(services: Services, ask: Ask, action: Action) -> None:
    """Raise `Forbidden` unless the policy gives the acting role this act."""
    bundle = services.policy.current
    decision = govern(bundle, acting(services, bundle, ask), action)
    if isinstance(decision, Deny):
        raise forbidden(decision)


def set_labels(
    services: Services,
    ask: Ask,
    *,
    study: str,
    departments: frozenset[str],
    care_team: frozenset[str],
    labels: frozenset[StudyLabel] | None = None,
) -> Representation:
    """Replace the departments and the care team (subjects) of a study, named by its original UID, and its labels where
    there are any in the request."""
    told = "" if labels is None else f", labels: {' '.join(sorted(labels)) or 'none'}"
    _begin(services, ask, Action.LABEL, study, f"care relation set{told}")
    services.catalog.set_labels(study, departments=departments, care_team=care_team, labels=labels)
    return _DONE


def labels_of(services: Services, ask: Ask, *, study: str) -> Representation:
    """What is known of a study to who may label it: no name, no date, no picture. Raises `NotFound`."""
    allowed(services, ask, Action.LABEL)
    check_uid(study)
    found = services.catalog.find_study(study)
    if found is None:
        raise NotFound
    known = found.labels
    body = orjson.dumps(
        {
            "departments": sorted(known.departments),
            "care_team": sorted(known.care_team),
            "labels": sorted(known.labels),
            "consent": {"disclosure": known.consent.disclosure, "research": known.consent.research},
        }
    )
    answer = Representation(media_type="application/json", body=body)
    return record.answer(services, ask, record.Subject(action=Action.LABEL, object=study), answer)


def record_consent(services: Services, ask: Ask, *, study: str, consent: Consent) -> Representation:
    """Record what the patient of a study, named by its original UID, said: for all of that patient's studies."""
    told = f"consent recorded: disclosure {consent.disclosure}, research {consent.research}"
    _begin(services, ask, Action.RECORD_CONSENT, study, told)
    services.catalog.set_consent(study, consent)
    return _DONE


def approve_project(services: Services, ask: Ask, *, project: str, until: date) -> Representation:
    """Enter the last day on which a project is approved; a day in the past ends it."""
    told = f"project approved until {until.isoformat()}"
    allowed(services, ask, Action.APPROVE_PROJECT)
    subject = record.Subject(action=Action.APPROVE_PROJECT, object=project)
    services.journal.append(record.event(ask, subject, "label", 204, reason=told))
    services.catalog.approve_project(project, until)
    return _DONE


def projects(services: Services, ask: Ask) -> Representation:
    """Every project that was entered, with the last day of its approval."""
    allowed(services, ask, Action.APPROVE_PROJECT)
    entered = services.catalog.projects()
    body = orjson.dumps([{"project": name, "approved_until": day.isoformat()} for name, day in entered.items()])
    answer = Representation(media_type="application/json", body=body)
    return record.answer(services, ask, record.Subject(action=Action.APPROVE_PROJECT, object=""), answer)


_DONE = Representation(media_type="application/json", body=b"", status=204)


def _begin(services: Services, ask: Ask, action: Action, study: str, told: str) -> None:
    """Recorded before it takes effect: a change of access that left no trace would be worse than an entry too many."""
    allowed(services, ask, action)
    check_uid(study)
    services.journal.append(record.event(ask, record.Subject(action=action, object=study), "label", 204, reason=told))


def break_glass(services: Services, ask: Ask, *, study: str, reason: GlassReason, text: str) -> Representation:
    """Open the films of a study's patient to the caller for `glass.SECONDS`; `study` is an original UID.

    For the routes that name a study: no search finds it sooner. Raises `Forbidden`, `NotFound`.
    """
    allowed(services, ask, Action.BREAK_GLASS)
    check_uid(study)
    found = services.catalog.instances_of(study, None)
    if not found:
        raise NotFound
    caller = acting(services, services.policy.current, ask)
    # Recorded before it takes effect; the text may speak of somebody, so it is sealed with the study.
    subject = record.Subject(action=Action.BREAK_GLASS, object=f"{study} {text}")
    services.journal.append(record.event(ask, subject, "break-glass", 200, reason=reason.value))
    until = break_for(services, caller, patient_of(found[0].study))
    body = orjson.dumps({"until": datetime.fromtimestamp(until, UTC).isoformat(timespec="seconds")})
    return Representation(media_type="application/json", body=body)


def read_audit(services: Services, ask: Ask, *, after: int, limit: int, kind: str = "") -> Representation:
    """Entries of the journal after a sequence number, without the identities that they hold sealed.

    With a `kind`, of that kind alone: "break-glass" lists what is due for review.
    """
    allowed(services, ask, Action.READ_AUDIT)
    entries = (
        entry for entry in read(services.settings.journal, None) if entry.seq > after and kind in ("", entry.event.kind)
    )
    body = orjson.dumps([{"seq": one.seq, "time": one.time, **asdict(one.event)} for one in islice(entries, limit)])
    answer = Representation(media_type="application/json", body=body)
    return record.answer(services, ask, record.Subject(action=Action.READ_AUDIT, object=""), answer)
