"""Browser sessions: sealed values under the keyed token of a digest, so the table opens no session and names nobody."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from sqlalchemy import delete, insert, select, update

from server.catalog.access import Access
from server.catalog.database import writing
from server.catalog.schema import sessions

_SESSION_BYTES = 1024


def put_session(access: Access, digest: bytes, value: bytes, expires: float) -> None:
    """Keep a value under the digest of a session identifier until `expires`; replaces a former one."""
    token = access.tokens.unique("session", digest)
    sealed = access.seal("sessions", token, [float(expires), value.hex()], least=_SESSION_BYTES)
    with writing(access.engine) as connection:
        connection.execute(delete(sessions).where(sessions.c.token == token))
        connection.execute(insert(sessions).values(token=token, expires=expires, sealed=sealed))


def note_once(access: Access, digest: bytes, now: float, expires: float) -> bool:
    """Note a digest until `expires`; returns whether it was not noted before. What has expired goes at the same time.

    Of two at once, one gets `Busy`.
    """
    token = access.tokens.unique("session", digest)
    sealed = access.seal("sessions", token, [float(expires), ""], least=_SESSION_BYTES)
    with writing(access.engine) as connection:
        connection.execute(delete(sessions).where(sessions.c.expires <= now))
        if connection.execute(select(sessions.c.token).where(sessions.c.token == token)).first() is not None:
            return False
        connection.execute(insert(sessions).values(token=token, expires=expires, sealed=sealed))
    return True


def replace_session(access: Access, digest: bytes, value: bytes, expires: float) -> bool:
    """Replace the value of a session that is still there; a session that has ended in the meantime stays ended.

    Returns whether it was there.
    """
    token = access.tokens.unique("session", digest)
    sealed = access.seal("sessions", token, [float(expires), value.hex()], least=_SESSION_BYTES)
    with writing(access.engine) as connection:
        changed = connection.execute(
            update(sessions).where(sessions.c.token == token).values(expires=expires, sealed=sealed)
        )
    return changed.rowcount == 1


def get_session(access: Access, digest: bytes, now: float) -> bytes | None:
    """The value of a session that has not expired; the sealed time counts. Raises `SealBroken`."""
    return get_sessions(access, [digest], now)[0]


def get_sessions(access: Access, digests: Sequence[bytes], now: float) -> list[bytes | None]:
    """As `get_session`, of several in one look."""
    tokens = [access.tokens.unique("session", digest) for digest in digests]
    found = dict(access.fetch([sessions.c.token, sessions.c.sealed], sessions.c.token, tokens)) if tokens else {}
    return [_live(access, token, found[token], now) if token in found else None for token in tokens]


def _live(access: Access, token: bytes, sealed: bytes, now: float) -> bytes | None:
    expires, value = access.open("sessions", token, sealed)
    return bytes.fromhex(cast(str, value)) if now < expires else None


def delete_session(access: Access, digest: bytes) -> None:
    with writing(access.engine) as connection:
        connection.execute(delete(sessions).where(sessions.c.token == access.tokens.unique("session", digest)))


def delete_expired(access: Access, now: float) -> int:
    """Remove what has expired; returns how many."""
    with writing(access.engine) as connection:
        return connection.execute(delete(sessions).where(sessions.c.expires <= now)).rowcount
