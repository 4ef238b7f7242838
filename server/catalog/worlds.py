"""Prepared rows of searches: for each world (a project at a level under one policy) one sealed entry a study.

A cache. It holds nothing that is not worked out from the catalogue, nothing refers to it, and it can be dropped at any
moment. What an entry holds is sealed by the caller, under a key that ends with the project. Nothing in the clear orders
the entries or joins them to studies, to entries of other worlds, or to the search lists.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, insert, select, update

from server.catalog.access import Access
from server.catalog.database import insert_many, reading, writing
from server.catalog.postings import CHUNK
from server.catalog.schema import world_entries, worlds

WORLDS = 16
"""How many worlds are kept; the one that was used longest ago goes first."""
_STATE_BYTES = 64


@dataclass(frozen=True, kw_only=True)
class Filled:
    """How far a world is: `done` of the `total` studies that there were at its beginning, and all changes before
    `changes` (a number of changes)."""

    done: int
    total: int
    changes: int


@dataclass(frozen=True, kw_only=True)
class World:
    """`token` (16 bytes) names a world; `owner` (16 bytes) what it ends with."""

    token: bytes
    owner: bytes


def owner_token(access: Access, project: str | None) -> bytes:
    """The owner of all worlds of a project, or of those that belong to none."""
    return access.tokens.unique("owner-of-worlds", *([] if project is None else [project]))


def world_token(access: Access, name: bytes) -> bytes:
    return access.tokens.unique("world", name)


def entry_token(access: Access, world: World, row: bytes) -> bytes:
    """The token of a study's entry in a world."""
    return access.tokens.unique("world-entry", world.token, row)


def filled(access: Access, world: World) -> Filled | None:
    """How far a world is, None if there is no such world. Raises `SealBroken`."""
    with reading(access.engine) as connection:
        return _filled(access, connection, world)


def begin(access: Access, world: World, state: Filled) -> Filled:
    """Begin a world, unless it has begun already, and forget those that were used longest ago. Returns its state."""
    with writing(access.engine) as connection:
        if (known := _filled(access, connection, world)) is not None:
            return known
        values = {"token": world.token, "owner": world.owner, "used": _next(connection)}
        connection.execute(insert(worlds).values(**values, sealed=_sealed(access, world, state)))
        by_use = select(worlds.c.token).order_by(worlds.c.used.desc(), worlds.c.token).offset(WORLDS)
        _forget(connection, list(connection.execute(by_use).scalars()))
    return state


def advance(
    access: Access, world: World, before: Filled, after: Filled, entries: Mapping[bytes, bytes]
) -> Filled | None:
    """Write sealed entries, by token, and how far the world is with them; all or nothing.

    Does nothing if the world is no longer as far as `before`: then somebody else went on with it. Returns how far it
    is now, None if it has been dropped.
    """
    with writing(access.engine) as connection:
        known = _filled(access, connection, world)
        if known != before:
            return known
        tokens = sorted(entries)
        for start in range(0, len(tokens), CHUNK):
            chunk = tokens[start : start + CHUNK]
            _delete_entries(connection, world, chunk)
            rows = [{"world": world.token, "entry": token, "sealed": entries[token]} for token in chunk]
            insert_many(connection, world_entries, rows)
        changed = {"sealed": _sealed(access, world, after), "used": _next(connection)}
        connection.execute(update(worlds).where(worlds.c.token == world.token).values(changed))
    return after


def read_all(access: Access, world: World, *, page: int = 1000) -> Iterator[tuple[bytes, bytes]]:
    """Every entry, token and what is sealed, in no order that means anything; each page is a transaction of its own."""
    after = b""
    columns = select(world_entries.c.entry, world_entries.c.sealed).where(world_entries.c.world == world.token)
    while True:
        query = columns.where(world_entries.c.entry > after).order_by(world_entries.c.entry).limit(page)
        with reading(access.engine) as connection:
            rows = connection.execute(query).all()
        if not rows:
            return
        yield from ((bytes(entry), bytes(sealed)) for entry, sealed in rows)
        after = rows[-1].entry


def read_some(access: Access, world: World, tokens: Sequence[bytes]) -> dict[bytes, bytes]:
    """What is sealed under these tokens, as far as they are there."""
    found: dict[bytes, bytes] = {}
    mine = world_entries.c.world, world.token
    for start in range(0, len(tokens), CHUNK):
        chunk = tokens[start : start + CHUNK]
        columns = [world_entries.c.entry, world_entries.c.sealed]
        found.update(access.fetch(columns, world_entries.c.entry, chunk, within=mine))
    return found


def drop(access: Access, world: World) -> None:
    """Forget a world."""
    with writing(access.engine) as connection:
        _forget(connection, [world.token])


def drop_owned(access: Access, owner: bytes) -> None:
    """Forget all worlds of an owner."""
    with writing(access.engine) as connection:
        query = select(worlds.c.token).where(worlds.c.owner == owner)
        _forget(connection, list(connection.execute(query).scalars()))


def _forget(connection: Connection, tokens: Sequence[bytes]) -> None:
    for token in tokens:
        connection.execute(delete(world_entries).where(world_entries.c.world == token))
        connection.execute(delete(worlds).where(worlds.c.token == token))


def _delete_entries(connection: Connection, world: World, tokens: Sequence[bytes]) -> None:
    mine = delete(world_entries).where(world_entries.c.world == world.token)
    connection.execute(mine.where(world_entries.c.entry.in_(tokens)))


def _filled(access: Access, connection: Connection, world: World) -> Filled | None:
    sealed = connection.execute(select(worlds.c.sealed).where(worlds.c.token == world.token)).scalar()
    if sealed is None:
        return None
    done, total, changes = access.open("worlds", world.token, sealed)
    return Filled(done=done, total=total, changes=changes)


def _sealed(access: Access, world: World, state: Filled) -> bytes:
    return access.seal("worlds", world.token, [state.done, state.total, state.changes], least=_STATE_BYTES)


def _next(connection: Connection) -> int:
    """Uses are numbered: which world was used last is known without a clock."""
    return int(connection.execute(select(func.coalesce(func.max(worlds.c.used), 0))).scalar_one()) + 1
