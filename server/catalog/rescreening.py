"""Screening again, by newer detectors, what is screened already; what was found before stays in force until then."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from sqlalchemy import and_, func, or_, select, update

from server.catalog.access import Access
from server.catalog.database import reading, writing
from server.catalog.schema import instances
from server.catalog.screening_queue import ATTEMPTS, Outcome, open_row, put_outcome
from server.catalog.uses import last_uses
from server.model import InstanceRecord, ScreeningState

_PAGE = 500


def outdated(access: Access, version: str) -> list[str]:
    """The rows of screened instances whose regions other detectors than `version` found, most recently used first.

    Those that have used up their attempts are left as they are. Raises `SealBroken`.
    """
    used = last_uses(access)
    found = [(-used.get(study, 0), row) for row, study in _outdated(access, version)]
    return [row for _, row in sorted(found)]


def _outdated(access: Access, version: str) -> Iterator[tuple[str, str]]:
    after = b""
    query = select(instances.c.row, instances.c.sealed).order_by(instances.c.row).limit(_PAGE)
    query = query.where(instances.c.screening == ScreeningState.SCREENED.value, instances.c.attempts < ATTEMPTS)
    while True:
        with reading(access.engine) as connection:
            rows = connection.execute(query.where(instances.c.row > after)).all()
        if not rows:
            return
        for row, sealed in rows:
            value = access.open("instances", row, sealed)
            if value["frames"] and value.get("found_by", "") != version:
                yield row.hex(), value["study"]
        after = rows[-1].row


def claim_again(access: Access, row: str, worker: str, now: float, lease: float, version: str) -> InstanceRecord | None:
    """Lease one outdated instance until `now + lease` (seconds); None if it is no longer, or somebody else has it."""
    name = bytes.fromhex(row)
    free = or_(instances.c.lease_until.is_(None), instances.c.lease_until <= now)
    wanted = and_(
        instances.c.row == name,
        instances.c.screening == ScreeningState.SCREENED.value,
        instances.c.attempts < ATTEMPTS,
        free,
    )
    with writing(access.engine) as connection:
        if connection.execute(select(instances.c.row).where(wanted)).one_or_none() is None:
            return None
        opened = open_row(access, connection, name)
        if opened.record.found_by == version:
            return None
        taken = {"lease_owner": worker, "lease_until": now + lease, "attempts": instances.c.attempts + 1}
        connection.execute(update(instances).where(instances.c.row == name).values(taken))
    return opened.record


def again(access: Access, states: Collection[ScreeningState], now: float) -> int:
    """Put all instances in these states back into the queue, with what is in force kept; returns how many.

    Raises ValueError for the state pending.
    """
    if ScreeningState.PENDING in states:
        raise ValueError("what is pending is in the queue already")
    count = 0
    while True:
        query = select(instances.c.row).where(instances.c.screening.in_([state.value for state in states]))
        with writing(access.engine) as connection:
            rows = connection.execute(query.limit(_PAGE)).scalars().all()
            for row in rows:
                opened = open_row(access, connection, row)
                put_outcome(access, connection, opened, Outcome(state=ScreeningState.PENDING, regions=None, at=now))
        if not rows:
            return count
        count += len(rows)


def counts(access: Access) -> dict[ScreeningState, int]:
    """How many instances are in each state; every state is named."""
    query = select(instances.c.screening, func.count()).group_by(instances.c.screening)
    with reading(access.engine) as connection:
        found: dict[str, int] = {row[0]: row[1] for row in connection.execute(query)}
    return {state: found.get(state.value, 0) for state in ScreeningState}


def oldest_pending(access: Access, *, limit: int = 2000) -> float | None:
    """When the longest waiting of the pending instances was stored, in seconds since the epoch; None without any.

    Of more than `limit` pending ones, that many are looked at.
    """
    query = select(instances.c.row).where(instances.c.screening == ScreeningState.PENDING.value).limit(limit)
    with reading(access.engine) as connection:
        rows = connection.execute(query).scalars().all()
        return min((open_row(access, connection, row).record.study.labels.stored_at for row in rows), default=None)
