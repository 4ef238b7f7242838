"""The screening queue, which is the catalogue itself: an instance is in it while its state is pending.

A worker claims an instance for a time. If the worker dies, the lease runs out and another takes over; an instance that
was claimed three times without a result has failed, which counts as sensitive everywhere.
"""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Connection, and_, func, literal_column, or_, select, update

from server.catalog.access import Access
from server.catalog.database import reading, writing
from server.catalog.records import OpenedInstance, open_joined, replace_instance, select_instances
from server.catalog.schema import instances
from server.errors import NotFound
from server.model import InstanceRecord, ObjectReference, ScreeningState

ATTEMPTS = 3
# Spelled out rather than bound: SQLite uses a partial index only for what it can read in the statement.
_PENDING = instances.c.screening == literal_column(f"'{ScreeningState.PENDING.value}'")


def claim(access: Access, worker: str, now: float, lease: float) -> InstanceRecord | None:
    """Lease one pending instance to a worker until `now + lease` (seconds), or None if there is none to be had.

    `worker` is at most 64 characters. Which of the pending ones is left to chance, so that none waits for ever.
    Raises `SealBroken` for a row that was tampered with; the lease is then not given.
    """
    start = access.randomness.bytes(16, "catalog/claim")
    with writing(access.engine) as connection:
        while (row := _free_row(connection, start, now)) is not None:
            opened = _open_row(access, connection, row)
            attempts = connection.execute(select(instances.c.attempts).where(instances.c.row == row)).scalar_one()
            if attempts >= ATTEMPTS:
                _settle(access, connection, opened, ScreeningState.FAILED, None)
                continue
            taken = {"lease_owner": worker, "lease_until": now + lease, "attempts": attempts + 1}
            connection.execute(update(instances).where(instances.c.row == row).values(taken))
            return opened.record
    return None


def extend(access: Access, row: str, worker: str, until: float) -> bool:
    """Lengthen the worker's own lease to `until` (seconds since the epoch); False if it has lost it."""
    with writing(access.engine) as connection:
        owned = and_(instances.c.row == bytes.fromhex(row), _PENDING, instances.c.lease_owner == worker)
        return connection.execute(update(instances).where(owned).values(lease_until=until)).rowcount == 1


def release(access: Access, worker: str, *, attempted: bool) -> int:
    """Give back what is leased to a worker, who has ended or cannot go on; returns how many instances.

    `attempted` says whether that counts against them: the film may have been the reason, or surely was not.
    """
    count = instances.c.attempts if attempted else instances.c.attempts - 1
    with writing(access.engine) as connection:
        owned = and_(_PENDING, instances.c.lease_owner == worker)
        freed = {"lease_owner": None, "lease_until": None, "attempts": count}
        return connection.execute(update(instances).where(owned).values(freed)).rowcount


def finish(
    access: Access, row: str, worker: str, state: ScreeningState, regions: ObjectReference | None
) -> InstanceRecord | None:
    """Record the outcome of a screening. None if the worker has lost its lease: its region set is then not used.

    Raises ValueError for the state pending, and for a screened instance with frames but without a region set.
    """
    if state is ScreeningState.PENDING:
        raise ValueError("pending is no outcome")
    with writing(access.engine) as connection:
        owned = and_(instances.c.row == bytes.fromhex(row), _PENDING, instances.c.lease_owner == worker)
        if connection.execute(select(instances.c.row).where(owned)).one_or_none() is None:
            return None
        opened = _open_row(access, connection, bytes.fromhex(row))
        if state is ScreeningState.SCREENED and regions is None and opened.record.number_of_frames > 0:
            raise ValueError("a screened instance has a region set, an empty one perhaps")
        return _settle(access, connection, opened, state, regions)


def pending(access: Access) -> int:
    """How many instances still wait for their screening, those that are leased included."""
    with reading(access.engine) as connection:
        return connection.execute(select(func.count()).select_from(instances).where(_PENDING)).scalar_one()


def requeue(access: Access, row: str) -> ObjectReference | None:
    """Have an instance screened again; until then it counts as unscreened. Returns the region set no longer in use.

    Raises `NotFound`.
    """
    with writing(access.engine) as connection:
        opened = _open_row(access, connection, bytes.fromhex(row))
        _settle(access, connection, opened, ScreeningState.PENDING, None)
    return opened.record.regions


def _free_row(connection: Connection, start: bytes, now: float) -> bytes | None:
    free = and_(_PENDING, or_(instances.c.lease_until.is_(None), instances.c.lease_until <= now))
    query = select(instances.c.row).where(free).order_by(instances.c.row).limit(1)
    found = connection.execute(query.where(instances.c.row >= start)).scalar() or connection.execute(query).scalar()
    return None if found is None else bytes(found)


def _open_row(access: Access, connection: Connection, row: bytes) -> OpenedInstance:
    found = connection.execute(select_instances().where(instances.c.row == row)).one_or_none()
    if found is None:
        raise NotFound
    return open_joined(access, found)


def _settle(
    access: Access,
    connection: Connection,
    opened: OpenedInstance,
    state: ScreeningState,
    regions: ObjectReference | None,
) -> InstanceRecord:
    revision = bytes.fromhex(access.new_revision("instance"))
    changed = replace(opened.record, screening=state, regions=regions, revision=revision)
    replace_instance(access, connection, changed, opened.body_digest)
    return changed
