"""The screening queue, which is the catalogue itself: an instance is in it while its state is pending.

A worker claims an instance for a time. If the worker dies, the lease runs out and another takes over; an instance that
was claimed three times without a result has failed, which counts as sensitive everywhere and waits for a person.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from sqlalchemy import ColumnElement, Connection, and_, func, literal_column, not_, or_, select, update

from server.catalog.access import Access
from server.catalog.database import reading, writing
from server.catalog.records import Joined, OpenedInstance, open_joined, replace_instance, select_instances
from server.catalog.retired import retire
from server.catalog.schema import instances
from server.errors import NotFound
from server.model import InstanceRecord, ObjectReference, ReviewReason, ScreeningState

ATTEMPTS = 3
# Of 256 claims, so many pay no regard to the series that the worker is at.
_STRAYING = 8
# Spelled out rather than bound: SQLite uses a partial index only for what it can read in the statement.
_PENDING = instances.c.screening == literal_column(f"'{ScreeningState.PENDING.value}'")


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a screening ended in. `regions` is None where nobody could look; what was in force is then kept.

    `found_by` is the detectors' version, `review` why a person has to look (None: nobody has to), `at` when, in seconds
    since the epoch; `faces_sought` as in `InstanceRecord`. `again` are the rows of other instances of which this says
    something new: with the outcome, in one transaction, they are put back into the queue.
    """

    state: ScreeningState
    regions: ObjectReference | None
    found_by: str = ""
    review: ReviewReason | None = None
    at: float = 0.0
    faces_sought: bool = False
    again: tuple[str, ...] = ()


def claim(access: Access, worker: str, now: float, lease: float, series: str = "") -> InstanceRecord | None:
    """Lease one pending instance to a worker until `now + lease` (seconds), or None if there is none to be had.

    `worker` is at most 64 characters. One of `series`, which the worker is at, comes first, then of those that no other
    worker is at. Which one is left to chance, and now and then `series` too, so that none waits for ever.
    Raises `SealBroken` for a row that was tampered with; the lease is then not given.
    """
    start = access.randomness.bytes(16, "catalog/claim")
    at = bytes.fromhex(series) if start[-1] >= _STRAYING else b""
    with writing(access.engine) as connection:
        while (row := _next_row(connection, start, now, at)) is not None:
            opened = open_row(access, connection, row)
            columns = select(instances.c.attempts, instances.c.fault).where(instances.c.row == row)
            attempts, fault = connection.execute(columns).one()
            if attempts >= ATTEMPTS:
                review = ReviewReason(fault) if fault in list(ReviewReason) else ReviewReason.DETECTOR_ENDED
                ended = Outcome(state=ScreeningState.FAILED, regions=None, review=review, at=now)
                put_outcome(access, connection, opened, ended)
                continue
            taken = {"lease_owner": worker, "lease_until": now + lease, "attempts": attempts + 1}
            connection.execute(update(instances).where(instances.c.row == row).values(taken))
            return opened.record
    return None


def extend(access: Access, row: str, worker: str, until: float) -> bool:
    """Lengthen the worker's own lease to `until` (seconds since the epoch); False if it has lost it."""
    with writing(access.engine) as connection:
        owned = and_(instances.c.row == bytes.fromhex(row), instances.c.lease_owner == worker)
        return connection.execute(update(instances).where(owned).values(lease_until=until)).rowcount == 1


def release(access: Access, worker: str, *, attempted: bool, fault: ReviewReason | None = None) -> int:
    """Give back what is leased to a worker, who has ended or cannot go on; returns how many instances.

    `attempted` says whether that counts against them: the film may have been the reason, or surely was not. `fault` is
    how the worker ended, remembered for the films that it fails by.
    """
    count = instances.c.attempts if attempted else instances.c.attempts - 1
    freed: dict[str, object] = {"lease_owner": None, "lease_until": None, "attempts": count}
    if fault is not None:
        freed["fault"] = fault.value
    with writing(access.engine) as connection:
        return connection.execute(update(instances).where(instances.c.lease_owner == worker).values(freed)).rowcount


def finish(access: Access, row: str, worker: str, outcome: Outcome) -> InstanceRecord | None:
    """Record the outcome of a screening. None if the worker has lost its lease: its region set is then not used.

    Raises ValueError for the state pending, and for a screened instance with frames but without a region set.
    """
    if outcome.state is ScreeningState.PENDING:
        raise ValueError("pending is no outcome")
    with writing(access.engine) as connection:
        owned = and_(instances.c.row == bytes.fromhex(row), instances.c.lease_owner == worker)
        if connection.execute(select(instances.c.row).where(owned)).one_or_none() is None:
            return None
        opened = open_row(access, connection, bytes.fromhex(row))
        seen = outcome.regions is not None or opened.record.number_of_frames == 0
        if outcome.state in (ScreeningState.SCREENED, ScreeningState.IN_REVIEW) and not seen:
            raise ValueError("a screened instance has a region set, an empty one perhaps")
        return put_outcome(access, connection, opened, outcome)


def pending(access: Access) -> int:
    """How many instances still wait for their screening, those that are leased included."""
    with reading(access.engine) as connection:
        return connection.execute(select(func.count()).select_from(instances).where(_PENDING)).scalar_one()


def requeue(access: Access, row: str) -> ObjectReference | None:
    """Have an instance screened again from nothing; until then it counts as unscreened. Returns the former region set.

    Raises `NotFound`.
    """
    with writing(access.engine) as connection:
        opened = open_row(access, connection, bytes.fromhex(row))
        if opened.record.regions is not None:
            retire(connection, opened.record.regions, opened.record.since)
        forgotten = replace(opened, record=replace(opened.record, regions=None))
        put_outcome(access, connection, forgotten, Outcome(state=ScreeningState.PENDING, regions=None))
    return opened.record.regions


def look_again(access: Access, row: str, now: float) -> None:
    """Have an instance screened again; until then it counts as unscreened. What a person has said of it is kept.

    Raises `NotFound`.
    """
    with writing(access.engine) as connection:
        opened = open_row(access, connection, bytes.fromhex(row))
        put_outcome(access, connection, opened, Outcome(state=ScreeningState.PENDING, regions=None, at=now))


def _next_row(connection: Connection, start: bytes, now: float, series: bytes) -> bytes | None:
    own = _free_row(connection, start, now, instances.c.series == series) if series else None
    if own is not None:
        return own
    leased = and_(instances.c.lease_owner.is_not(None), instances.c.lease_until > now)
    taken = connection.execute(select(instances.c.series).where(leased).distinct()).scalars().all()
    return _free_row(connection, start, now, instances.c.series.not_in(taken)) or _free_row(connection, start, now)


def _free_row(
    connection: Connection, start: bytes, now: float, among: ColumnElement[bool] | None = None
) -> bytes | None:
    free = and_(_PENDING, or_(instances.c.lease_until.is_(None), instances.c.lease_until <= now))
    free = free if among is None else and_(free, among)
    query = select(instances.c.row).where(free).order_by(instances.c.row).limit(1)
    found = connection.execute(query.where(instances.c.row >= start)).scalar() or connection.execute(query).scalar()
    return None if found is None else bytes(found)


def open_row(access: Access, connection: Connection, row: bytes) -> OpenedInstance:
    """One instance within a transaction. Raises `NotFound`, `SealBroken`."""
    found = connection.execute(select_instances().where(instances.c.row == row)).one_or_none()
    if found is None:
        raise NotFound
    return open_joined(access, Joined(*found))


def put_outcome(access: Access, connection: Connection, opened: OpenedInstance, outcome: Outcome) -> InstanceRecord:
    """Write the outcome, give the lease back, and retire the region set that it replaces."""
    former = opened.record
    new = outcome.regions is not None
    if new and former.regions is not None and former.regions != outcome.regions:
        retire(connection, former.regions, outcome.at)
    changed = replace(
        former,
        screening=outcome.state,
        regions=outcome.regions if new else former.regions,
        found_by=outcome.found_by if new else former.found_by,
        faces_sought=outcome.faces_sought if new else former.faces_sought,
        review=outcome.review,
        since=outcome.at if outcome.review else 0.0,
        revision=bytes.fromhex(access.new_revision("instance")),
    )
    changed = replace_instance(access, connection, changed, opened.body_digest)
    waiting = Outcome(state=ScreeningState.PENDING, regions=None, at=outcome.at)
    for name in map(bytes.fromhex, outcome.again):
        # One that waits goes on waiting. One that a worker is busy with is taken from it: what it finds is out of date.
        idle = and_(_PENDING, instances.c.lease_owner.is_(None))
        other = select(instances.c.row).where(instances.c.row == name, not_(idle))
        if connection.execute(other).one_or_none() is not None:
            put_outcome(access, connection, open_row(access, connection, name), waiting)
    return changed
