"""Store: from the bytes of Part 10 objects to sealed, catalogued, queued originals — or to nothing at all.

The objects of a request are taken a few at a time: what is common to them is looked up, written and synced once. None
keeps another out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from server import record
from server.admit import acting, forbidden
from server.assemble import Assembled
from server.deposit import deposit
from server.errors import Forbidden
from server.incoming import Incoming, Storer, taken
from server.model import Action, Ask, AuditEvent, Caller, Deny
from server.model.readable import Readable
from server.outcomes import NotStored, Stored
from server.policy.decide import govern
from server.services import Services

TOGETHER = 10
"""So many objects are stored together: a crash leaves that many files without a row at most (see `sweep`)."""
_BYTES_TOGETHER = 16 * 1024 * 1024


def storer_of(services: Services, ask: Ask) -> tuple[Ask, Storer]:
    """The acting role's right to store. Raises `Forbidden` for every role that the policy does not let store."""
    bundle = services.policy.current
    caller = acting(services, bundle, ask)
    decision = govern(bundle, caller, Action.STORE)
    if isinstance(decision, Deny):
        raise forbidden(decision)
    return replace(ask, caller=caller), Storer(subject=caller.subject, department=_department(caller))


def _department(caller: Caller) -> str:
    """The one department that a store counts for. Raises `Forbidden` where it is not one."""
    if len(caller.departments) != 1:
        raise Forbidden("storing needs a token with exactly one department")
    return next(iter(caller.departments))


def store(
    services: Services, ask: Ask, storer: Storer, body: Readable, *, study: str | None = None
) -> Stored | NotStored:
    """As `store_all`, for one object."""
    return store_all(services, ask, storer, [Assembled(body=body)], study=study)[0]


def store_all(
    services: Services,
    ask: Ask,
    storer: Storer,
    objects: Iterable[Assembled | NotStored],
    *,
    study: str | None = None,
) -> list[Stored | NotStored]:
    """Store the objects of one request. A refusal is a value with its reason, and both are in the journal.

    `study` is the study of the request's path, if it names one (PS3.18 section 10.5.1).
    """
    outcomes: list[Stored | NotStored] = []
    for few in _together(services, objects, study):
        coming = [one for one in few if isinstance(one, Incoming)]
        stored = iter(deposit(services, storer, coming))
        became = [next(stored) if isinstance(one, Incoming) else one for one in few]
        services.journal.append_all([_event(ask, one) for one in became])
        outcomes += became
    return outcomes


def _together(
    services: Services, objects: Iterable[Assembled | NotStored], study: str | None
) -> Iterator[list[Incoming | NotStored]]:
    """The objects taken apart, a few at a time. An object that others may depend on stands alone."""
    few: list[Incoming | NotStored] = []
    held, uids = 0, set[str]()
    for one in objects:
        coming = one if isinstance(one, NotStored) else taken(services, one.body, study, one.warning)
        if isinstance(coming, Incoming):
            uid, alone = coming.stored.path.instance, coming.rejection is not None
            if few and (alone or uid in uids):
                yield few
                few, held, uids = [], 0, set()
            held, uids = held + len(coming.stored.body), uids | {uid}
            if alone:
                held = _BYTES_TOGETHER
        few.append(coming)
        if len(few) >= TOGETHER or held >= _BYTES_TOGETHER:
            yield few
            few, held, uids = [], 0, set()
    if few:
        yield few


def _event(ask: Ask, outcome: Stored | NotStored) -> AuditEvent:
    """What the journal says of one object."""
    name = outcome.path.instance if isinstance(outcome, Stored) else outcome.sop_instance_uid
    if isinstance(outcome, Stored):
        reason = f"stored, rejecting {outcome.rejects} instances" if outcome.rejects else "stored"
    else:
        reason = f"{outcome.reason.name}: {outcome.explanation}"
    status = 200 if isinstance(outcome, Stored) else 409 if outcome.unavailable is None else 503
    subject = record.Subject(action=Action.STORE, object=name)
    return record.event(ask, subject, "store", status, reason=reason)
