"""What waits for a person, and what one has decided: the films that failed, or that detectors cannot be sure of."""

from __future__ import annotations

from sqlalchemy import select

from server.catalog.access import Access
from server.catalog.database import reading, writing
from server.catalog.schema import instances
from server.catalog.screening_queue import Outcome, open_row, put_outcome
from server.errors import Conflict, PreconditionFailed, SealBroken
from server.model import InstanceRecord, ScreeningState


def settle(access: Access, row: str, revision: bytes, outcome: Outcome) -> InstanceRecord:
    """Write what a person has decided, if the instance is still at this revision.

    Raises `PreconditionFailed` if it is not, `Conflict` for one that is still to be screened, `NotFound`.
    """
    with writing(access.engine) as connection:
        opened = open_row(access, connection, bytes.fromhex(row))
        if opened.record.revision != revision:
            raise PreconditionFailed
        if opened.record.screening is ScreeningState.PENDING:
            raise Conflict("the film is still to be screened")
        return put_outcome(access, connection, opened, outcome)


def waiting_for_a_person(access: Access, *, limit: int) -> tuple[list[InstanceRecord], int]:
    """Up to `limit` instances that failed or are in review, longest waiting first, and how many there are in all."""
    states = (ScreeningState.FAILED.value, ScreeningState.IN_REVIEW.value)
    query = select(instances.c.row, instances.c.sealed).where(instances.c.screening.in_(states))
    with reading(access.engine) as connection:
        rows = connection.execute(query).all()
        since = [(float(access.open("instances", row, sealed).get("since", 0.0)), row) for row, sealed in rows]
        chosen = [open_row(access, connection, row).record for _, row in sorted(since)[:limit]]
    if any(record.screening.value not in states for record in chosen):
        raise SealBroken("a row of instances contradicts its columns")
    return chosen, len(since)


def instance_at(access: Access, row: str) -> InstanceRecord:
    """The instance of this row, 32 hexadecimal digits. Raises `NotFound`."""
    with reading(access.engine) as connection:
        return open_row(access, connection, bytes.fromhex(row)).record
