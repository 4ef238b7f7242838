"""Until when each project is approved, sealed under a keyed token of its name."""

from __future__ import annotations

from datetime import date

from sqlalchemy import delete, insert, select

from server.catalog.access import Access
from server.catalog.database import reading, writing
from server.catalog.schema import projects

_BYTES = 512


def approve(access: Access, name: str, until: date) -> None:
    """Enter the last day on which a project is approved; replaces a former one."""
    token = _token(access, name)
    sealed = access.seal("projects", token, [name, until.isoformat()], least=_BYTES)
    with writing(access.engine) as connection:
        connection.execute(delete(projects).where(projects.c.token == token))
        connection.execute(insert(projects).values(token=token, sealed=sealed))


def approved_until(access: Access, name: str) -> date | None:
    """The last day on which a project is approved, None for one that nobody entered. Raises `SealBroken`."""
    token = _token(access, name)
    found = access.fetch([projects.c.sealed], projects.c.token, [token])
    if not found:
        return None
    return access.opened.of("projects", token, found[0], lambda: _until(access, token, found[0][0]))


def _until(access: Access, token: bytes, sealed: bytes) -> date:
    return date.fromisoformat(access.open("projects", token, sealed)[1])


def entered(access: Access) -> dict[str, date]:
    """Every project that somebody entered, by name, with its last day. Raises `SealBroken`."""
    with reading(access.engine) as connection:
        rows = connection.execute(select(projects.c.token, projects.c.sealed)).all()
    found = [access.open("projects", row.token, row.sealed) for row in rows]
    return {name: date.fromisoformat(until) for name, until in sorted(found)}


def _token(access: Access, name: str) -> bytes:
    return access.tokens.unique("project-approval", name)
