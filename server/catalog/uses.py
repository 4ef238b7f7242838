"""When each study was last looked at, to the hour, sealed: whoever takes the database learns no diary from it.

It decides in which order films are screened again, and nothing else.
"""

from __future__ import annotations

from sqlalchemy import insert, select, update

from server.catalog.access import Access
from server.catalog.database import reading, writing
from server.catalog.schema import uses

HOUR = 3600.0
_BYTES = 32
# More studies than this in one process's memory begin anew.
_MOST = 10_000


def note_use(access: Access, study_row: str, now: float) -> bool:
    """Note that a study is looked at `now` (seconds since the epoch); at most once an hour, else nothing is done.

    Returns whether anything was written. Raises `Busy`.
    """
    hour = int(now // HOUR)
    if access.uses.get(study_row) == hour:
        return False
    if len(access.uses) >= _MOST:
        access.uses.clear()
    access.uses[study_row] = hour
    row = bytes.fromhex(study_row)
    sealed = access.seal("uses", row, hour, least=_BYTES)
    with writing(access.engine) as connection:
        if connection.execute(update(uses).where(uses.c.study == row).values(sealed=sealed)).rowcount == 0:
            connection.execute(insert(uses).values(study=row, sealed=sealed))
    return True


def last_uses(access: Access) -> dict[str, int]:
    """Study row to the hour (since the epoch) of the last look; studies without one are not in it."""
    with reading(access.engine) as connection:
        rows = connection.execute(select(uses.c.study, uses.c.sealed)).all()
    return {row.study.hex(): int(access.open("uses", row.study, row.sealed)) for row in rows}
