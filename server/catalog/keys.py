"""Wrapped keys: of studies, purposes and projects. What is stored here is useless without the key service."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from sqlalchemy import ColumnElement, Connection, and_, delete, insert, select, update

from server.catalog.access import Access
from server.catalog.database import reading, writing
from server.catalog.schema import wrapped_keys
from server.errors import Overtaken


class KeyPurpose(StrEnum):
    """What a wrapped key is for. A closed list."""

    STUDY = "study"
    PURPOSE = "purpose"
    PROJECT = "project"


@dataclass(frozen=True, kw_only=True)
class WrappedKey:
    """A wrapped key and the context it was wrapped with, which names it without telling of what."""

    purpose: KeyPurpose
    token: bytes
    wrapped: bytes

    @property
    def context(self) -> str:
        return key_context(self.purpose, self.token)


def key_context(purpose: KeyPurpose, token: bytes) -> str:
    return f"{purpose.value}-key/{token.hex()}"


def get_or_make(access: Access, purpose: KeyPurpose, name: str, make: Callable[[str], bytes]) -> WrappedKey:
    """The wrapped key of this name; `make(context)` wraps a fresh one if there is none yet.

    `make` runs outside of any transaction. Of two who make one at the same time, one wins and both get the winner's.
    """
    if (known := find_key(access, purpose, name)) is not None:
        return known
    made = new_key(access, purpose, name, make)
    with writing(access.engine) as connection:
        return _kept(connection, made)


def new_key(access: Access, purpose: KeyPurpose, name: str, make: Callable[[str], bytes]) -> WrappedKey:
    """A fresh key of this name, wrapped by `make(context)`, which is in force once it is kept."""
    token = _token(access, purpose, name)
    return WrappedKey(purpose=purpose, token=token, wrapped=make(key_context(purpose, token)))


def keep(connection: Connection, key: WrappedKey) -> None:
    """Write down a fresh key, or find it there. Raises `Overtaken` where another one of its name stands already."""
    if _kept(connection, key) != key:
        raise Overtaken("another store made the study's key first")


def _kept(connection: Connection, key: WrappedKey) -> WrappedKey:
    """The key of this name that is in force: a fresh one if there was none."""
    stored = connection.execute(select(wrapped_keys.c.wrapped).where(_at(key.purpose, key.token))).scalar()
    if stored is not None:
        return replace(key, wrapped=stored)
    values = {"purpose": key.purpose.value, "token": key.token, "wrapped": key.wrapped}
    connection.execute(insert(wrapped_keys).values(**values))
    return key


def find_key(access: Access, purpose: KeyPurpose, name: str) -> WrappedKey | None:
    """The wrapped key of this name, if there is one."""
    token = _token(access, purpose, name)
    of_purpose = wrapped_keys.c.purpose, purpose.value
    found = access.fetch([wrapped_keys.c.wrapped], wrapped_keys.c.token, [token], within=of_purpose)
    return WrappedKey(purpose=purpose, token=token, wrapped=found[0][0]) if found else None


def delete_key(access: Access, purpose: KeyPurpose, name: str) -> bool:
    """Forget a wrapped key; what it sealed, or computed, is lost. False if there was none."""
    with writing(access.engine) as connection:
        return connection.execute(delete(wrapped_keys).where(_at(purpose, _token(access, purpose, name)))).rowcount == 1


def all_wrapped(access: Access, *, page: int = 500) -> Iterator[WrappedKey]:
    """Every wrapped key, page by page: for wrapping them anew after a rotation."""
    for purpose in KeyPurpose:
        after = b""
        while True:
            query = select(wrapped_keys.c.token, wrapped_keys.c.wrapped)
            query = query.where(wrapped_keys.c.purpose == purpose.value, wrapped_keys.c.token > after)
            with reading(access.engine) as connection:
                rows = connection.execute(query.order_by(wrapped_keys.c.token).limit(page)).all()
            if not rows:
                break
            for token, wrapped in rows:
                yield WrappedKey(purpose=purpose, token=token, wrapped=wrapped)
            after = rows[-1].token


def replace_wrapped(access: Access, old: WrappedKey, wrapped: bytes) -> bool:
    """Put the same key under another wrapping; False if it is no longer the one that was read."""
    with writing(access.engine) as connection:
        same = and_(_at(old.purpose, old.token), wrapped_keys.c.wrapped == old.wrapped)
        return connection.execute(update(wrapped_keys).where(same).values(wrapped=wrapped)).rowcount == 1


def _token(access: Access, purpose: KeyPurpose, name: str) -> bytes:
    return access.tokens.unique(f"{purpose.value}-key", name)


def _at(purpose: KeyPurpose, token: bytes) -> ColumnElement[bool]:
    return and_(wrapped_keys.c.purpose == purpose.value, wrapped_keys.c.token == token)
