"""Region sets that another one has replaced: they are deleted a while later, when nobody can be reading them any more.

They stand here by their random names, from the transaction on that replaced them, so that no crash leaves one behind.
"""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection, delete, insert, select

from server.catalog.access import Access
from server.catalog.database import reading, writing
from server.catalog.schema import retired
from server.model import ObjectReference


def retire(connection: Connection, reference: ObjectReference, now: float) -> None:
    """Note within a transaction that nothing refers to this object any more, since `now` (seconds since the epoch)."""
    connection.execute(insert(retired).values(name=reference.name, since=now))


def retired_names(access: Access, *, before: float, limit: int = 500) -> list[str]:
    """The names of objects that were replaced before this time."""
    query = select(retired.c.name).where(retired.c.since < before).order_by(retired.c.name).limit(limit)
    with reading(access.engine) as connection:
        return list(connection.execute(query).scalars())


def forget_retired(access: Access, names: Collection[str]) -> None:
    """Take names off the list, whose objects have been deleted."""
    with writing(access.engine) as connection:
        for name in names:
            connection.execute(delete(retired).where(retired.c.name == name))
