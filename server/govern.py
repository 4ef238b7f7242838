"""The acts of governance: the care relation of a study is set, the journal is read. Films play no part in either."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from itertools import islice

import orjson

from server import record
from server.admit import acting, forbidden
from server.audit.show import read
from server.errors import NotFound
from server.glass import GlassReason, break_for
from server.model import Action, Ask, Deny, Representation, check_uid
from server.policy.decide import govern
from server.services import Services


def allowed(services: Services, ask: Ask, action: Action) -> None:
    """Raise `Forbidden` unless the policy gives the acting role this act."""
    bundle = services.policy.current
    decision = govern(bundle, acting(bundle, ask), action)
    if isinstance(decision, Deny):
        raise forbidden(decision)


def set_labels(
    services: Services, ask: Ask, *, study: str, departments: frozenset[str], care_team: frozenset[str]
) -> Representation:
    """Replace the departments and the care team (subjects) of a study, named by its original UID."""
    allowed(services, ask, Action.LABEL)
    check_uid(study)
    subject = record.Subject(action=Action.LABEL, object=study)
    # Recorded before it takes effect: a change of access that left no trace would be worse than an entry too many.
    services.journal.append(record.event(ask, subject, "label", 204, reason="care relation set"))
    services.catalog.set_labels(study, departments=departments, care_team=care_team)
    return Representation(media_type="application/json", body=b"", status=204)


def break_glass(services: Services, ask: Ask, *, study: str, reason: GlassReason, text: str) -> Representation:
    """Open the films of a study's patient to the caller for `glass.SECONDS`; `study` is an original UID.

    For the routes that name a study: no search finds it sooner. Raises `Forbidden`, `NotFound`.
    """
    allowed(services, ask, Action.BREAK_GLASS)
    check_uid(study)
    found = services.catalog.instances_of(study, None)
    if not found:
        raise NotFound
    caller = acting(services.policy.current, ask)
    # Recorded before it takes effect; the text may speak of somebody, so it is sealed with the study.
    subject = record.Subject(action=Action.BREAK_GLASS, object=f"{study} {text}")
    services.journal.append(record.event(ask, subject, "break-glass", 200, reason=reason.value))
    until = break_for(services, caller, found[0].study.patient)
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
