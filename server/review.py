"""Review: a person looks at what the detectors could not finish or be sure of, and settles what is hidden.

The pictures themselves come over the routes of every other film, at the level of the reviewer's role; what is told
here beside them is written in the same pseudonyms.
"""

from __future__ import annotations

import hashlib
import hmac
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import orjson

from server import record
from server.admit import View, acting, admit, views
from server.catalog.screening_queue import Outcome
from server.develop import region_set, unseal
from server.errors import Conflict, PreconditionFailed, SealBroken
from server.govern import allowed
from server.model import Action, Ask, AuditEvent, InstanceRecord, Permit, Region, Representation, ScreeningState
from server.policy.decide import decide_many
from server.screen import seal
from server.screening.regions import RegionSet
from server.services import Services
from server.twins import behind
from server.verdict import Verdict, applied, read_verdict

_JSON = "application/json"


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """A film that waits for a person, without its name: how many regions of each kind were found, None: unreadable."""

    instance: InstanceRecord
    kinds: dict[str, int] | None


def waiting(services: Services, limit: int) -> list[Waiting]:
    """Up to `limit` of the films that failed or are in review, the longest waiting first."""
    records, _ = services.catalog.waiting_for_a_person(limit=limit)
    return [Waiting(instance=one, kinds=_kinds(services, one)) for one in records]


def queue(services: Services, ask: Ask, *, limit: int) -> Representation:
    """The films that wait and that the caller may see, named as the caller's level names them."""
    allowed(services, ask, Action.READ_QUEUE)
    films = [
        {**_names(view, film.instance), **_told(film.instance), "kinds": film.kinds}
        for view, film in _seen(services, ask, waiting(services, limit))
    ]
    answer = Representation(media_type=_JSON, body=orjson.dumps({"films": films}))
    return record.answer(services, ask, record.Subject(action=Action.READ_QUEUE, object=""), answer)


def film(services: Services, ask: Ask, **path: str) -> Representation:
    """What was found of one film, with the entity tag that settling it has to name."""
    allowed(services, ask, Action.READ_QUEUE)
    admission = admit(services, ask, Action.RETRIEVE_RENDERED, **path)
    one = admission.instances[0]
    found = region_set(services, services.study_key(one.path.study), one)
    return _answer(services, ask, Action.READ_QUEUE, admission.permit, "/".join(path.values()), one, found)


def settle(services: Services, ask: Ask, body: object, *, held: str | None, **path: str) -> Representation:
    """Do what a person has decided, JSON as `read_verdict` takes it, unless the film is no longer what they saw.

    `held` is the entity tag of that. One that stands for anything is none: nobody settles what they have not seen.

    Raises `PreconditionFailed`, `Conflict` (not screened yet, or nothing found to accept), `BadRequest`.
    """
    allowed(services, ask, Action.SETTLE)
    verdict = read_verdict(body)
    admission = admit(services, ask, Action.RETRIEVE_RENDERED, **path)
    one = admission.instances[0]
    if not hmac.compare_digest((held or "").encode(), etag(services, one).encode()):
        raise PreconditionFailed
    subject = record.Subject(action=Action.SETTLE, object="/".join(path.values()), permit=admission.permit)
    changed, found = settle_one(
        services, one, verdict, lambda said: record.event(ask, subject, "review", 200, reason=said)
    )
    return _answer(services, ask, Action.SETTLE, admission.permit, subject.object, changed, found)


def settle_one(
    services: Services, one: InstanceRecord, verdict: Verdict, event: Callable[[str], AuditEvent]
) -> tuple[InstanceRecord, RegionSet]:
    """Store the region set that the verdict makes; recorded by `event` (of what was done) before it takes effect."""
    original = unseal(services, one)
    description = original.description
    if description is None:
        raise Conflict("the object has no picture that could be settled")
    former = region_set(services, original.study_key, one)
    found = applied(verdict, former, description.rows, description.columns, description.number_of_frames)
    if one.screening is ScreeningState.PENDING:
        raise Conflict("the film is still to be screened")
    regions = seal(services, original.study_key, found)
    services.journal.append(event(_said(one, verdict)))
    outcome = Outcome(
        state=ScreeningState.SCREENED,
        regions=regions,
        found_by=found.version,
        review=None,
        at=services.clock(),
        faces_sought=one.faces_sought,
        again=behind(services, original, found.regions),
    )
    try:
        return services.catalog.settle(one.row, one.revision, outcome), found
    except (PreconditionFailed, Conflict):
        services.objects.delete(regions)
        raise


def etag(services: Services, one: InstanceRecord) -> str:
    """An entity tag of what is settled now: a keyed digest of the row's random revision, never of content."""
    parts = b"review\x00" + bytes.fromhex(one.row) + one.revision
    return f'"{hmac.new(services.etag_key, parts, hashlib.sha256).hexdigest()[:40]}"'


def told(region: Region) -> dict[str, object]:
    """A region as JSON."""
    return {
        "kind": region.kind.value,
        "top_row": region.top_row,
        "left_column": region.left_column,
        "row_count": region.row_count,
        "column_count": region.column_count,
        "frames": None if region.frames is None else sorted(region.frames),
        "confidence": round(float(region.confidence), 3),
        "detector": region.detector,
    }


def since(one: InstanceRecord) -> str | None:
    """When a film began to wait for a person, ISO 8601 in UTC; None where it does not, or that is not known."""
    return datetime.fromtimestamp(one.since, UTC).isoformat(timespec="seconds") if one.since else None


def _said(one: InstanceRecord, verdict: Verdict) -> str:
    what = "accepted as found" if verdict.as_found else "masked wholly" if verdict.whole else "regions"
    lifted = Counter(reason.value for reason in verdict.lift.values())
    reasons = "".join(f", {number} {reason}" for reason, number in sorted(lifted.items()))
    added = f"{len(verdict.add)} added, {len(verdict.lift)} lifted{reasons}"
    return f"settled from {one.screening.value}: {what}: {added}"


def _seen(services: Services, ask: Ask, films: list[Waiting]) -> Iterator[tuple[View, Waiting]]:
    bundle = services.policy.current
    caller = acting(services, bundle, ask)
    worlds = {view.level.name: view for view in views(services, bundle, caller, Action.RETRIEVE_RENDERED)}
    studies = [one.instance.study for one in films]
    decisions = decide_many(bundle, caller, Action.RETRIEVE_RENDERED, studies, services.clock())
    for one, decision in zip(films, decisions, strict=True):
        if isinstance(decision, Permit) and decision.level.name in worlds:
            yield worlds[decision.level.name], one


def _names(view: View, one: InstanceRecord) -> dict[str, object]:
    names = view.names(one.study, {**one.series.row_keys, **one.row_keys})
    path = one.path
    return {"study": names.uid(path.study), "series": names.uid(path.series), "instance": names.uid(path.instance)}


def _told(one: InstanceRecord) -> dict[str, object]:
    return {
        "state": one.screening.value,
        "reason": one.review.value if one.review else None,
        "since": since(one),
        "frames": one.number_of_frames,
    }


def _kinds(services: Services, one: InstanceRecord) -> dict[str, int] | None:
    try:
        found = region_set(services, services.study_key(one.path.study), one)
    except SealBroken:
        # It waits all the more: a queue that one broken film empties would hide the others.
        return None
    return dict(Counter(region.kind.value for region in found.regions)) if found else {}


def _answer(
    services: Services,
    ask: Ask,
    action: Action,
    permit: Permit,
    name: str,
    one: InstanceRecord,
    found: RegionSet | None,
) -> Representation:
    residual = found.residual if found else None
    body = {
        **_told(one),
        "settled": found.settled if found else False,
        "regions": [told(region) for region in found.regions] if found else None,
        "lifted": [{**told(lifted.region), "reason": lifted.reason.value} for lifted in found.lifted] if found else [],
        "residual": {"frames": residual.frames, "lines": residual.lines} if residual else None,
    }
    answer = Representation(
        media_type=_JSON, body=orjson.dumps(body), etag=etag(services, one), level=permit.level.name
    )
    return record.answer(services, ask, record.Subject(action=action, object=name, permit=permit), answer)
