"""Import: the use case behind the command; each object goes the way of every store."""

from __future__ import annotations

import lzma
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from server.incoming import Storer
from server.ingest import store
from server.model import Ask, Caller
from server.outcomes import Stored
from server.services import Services

# A member of a zip may be damaged, encrypted, or compressed in a way that is not known here.
_UNREADABLE = (
    EOFError, KeyError, NotImplementedError, OSError, RuntimeError, lzma.LZMAError, zipfile.BadZipFile, zlib.error
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Imported:
    """Whether one object was stored, and if not, why."""

    stored: bool
    reason: str = ""


def import_object(services: Services, storer: Storer, source: Path | tuple[Path, str], limit: int) -> Imported:
    """Store one file, or one member of a zip (file, member), of at most `limit` bytes."""
    body = _read(source, limit)
    if body is None:
        return Imported(stored=False, reason="cannot be read, or is too large")
    return import_body(services, storer, body)


def import_body(services: Services, storer: Storer, body: bytes) -> Imported:
    """Store the bytes of one object."""
    caller = Caller(subject=storer.subject, issuer="command", client="command", roles=frozenset())
    ask = Ask(caller=caller, request=services.randomness.bytes(16, "request").hex())
    outcome = store(services, ask, storer, body)
    if isinstance(outcome, Stored):
        return Imported(stored=True)
    if outcome.unavailable is not None:
        raise outcome.unavailable
    return Imported(stored=False, reason=outcome.explanation)


def _read(source: Path | tuple[Path, str], limit: int) -> bytes | None:
    """The bytes, read up to the limit whatever a directory entry says of them; None beyond it or on failure."""
    try:
        if isinstance(source, Path):
            with source.open("rb") as file:
                body = file.read(limit + 1)
        else:
            with zipfile.ZipFile(source[0]) as archive, archive.open(source[1]) as member:
                body = member.read(limit + 1)
    except _UNREADABLE:
        return None
    return body if len(body) <= limit else None
