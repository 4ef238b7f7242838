"""One request, its answer, its line in the record, and where random bytes come from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from server.model.decisions import Caller
from server.model.lists import Zone


class Randomness(Protocol):
    """Where every random byte comes from, so that a test can fix it.

    `label` names the purpose. The operating system's source ignores it; a test's source derives the bytes from it,
    so that what is drawn for one purpose never depends on how much was drawn for another.
    """

    def bytes(self, count: int, label: str) -> bytes: ...


@dataclass(frozen=True, kw_only=True)
class Ask:
    """One request as a use case sees it: who asks, in which role they want to act, and what they hold already.

    `requested_role` comes from `Safelight-Role` or the session; `request` is the random id of this request;
    `held_etags` the entity tags of If-None-Match, without W/ and with `*` as it stands (RFC 9110 section 13.1.2);
    `authenticated_at` (seconds since the epoch, 0 where nobody says) and `context` (an `acr`, "" for none) say when and
    how the person signed in; `byte_range` and `if_range` are the fields of RFC 9110 section 14.2 and 13.1.5 as they
    were sent, "" for none; `zone` is the part of the network that it came from.
    """

    caller: Caller
    request: str
    requested_role: str | None = None
    held_etags: frozenset[str] = frozenset()
    byte_range: str = ""
    if_range: str = ""
    zone: Zone = Zone.UNKNOWN
    authenticated_at: float = 0.0
    context: str = ""


@dataclass(frozen=True, kw_only=True)
class Representation:
    """PS3.18's word for what is sent: a media type and a body, with the level that it was developed at.

    A streamed body is an iterator of bytes; it has its opening entry in the journal when it gets here and writes its
    closing entry when it ends.
    """

    media_type: str
    body: bytes | Iterator[bytes]
    status: int = 200
    etag: str | None = None
    level: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class AuditEvent:
    """One line of the record. `subject`, `client` and `object` are sealed in the journal, the rest is readable.

    `kind` is "answer", "opening", "closing", "refusal", "store", "label", "screening", "alarm", "sign-in", "sign-out",
    "review", "break-glass", "glass-review", "share" or, of the journal itself, "recovered"; `status` is the HTTP status
    (0 where there is none); `digest` a keyed digest of the body in hexadecimal ("" when there is none).
    """

    kind: str
    action: str
    status: int
    request: str
    subject: str = ""
    client: str = ""
    object: str = ""
    acting_role: str = ""
    purpose: str = ""
    project: str = ""
    level: str = ""
    rules: tuple[str, ...] = ()
    policy: str = ""
    reason: str = ""
    digest: str = ""
