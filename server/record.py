"""Record, then answer: no byte of a body leaves before its entry in the journal is durable (house rule 8)."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from dataclasses import dataclass, replace

from server.errors import SafelightError
from server.model import Act, Action, Ask, AuditEvent, Permit, Representation
from server.services import Services


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What an entry is about: action or act, the object (sealed in the journal), and the decision once there is one."""

    action: Action | Act
    object: str
    permit: Permit | None = None


def event(ask: Ask, subject: Subject, kind: str, status: int, *, reason: str = "", digest: str = "") -> AuditEvent:
    """The entry for one request; identity goes into the fields that the journal seals."""
    permit = subject.permit
    return AuditEvent(
        kind=kind,
        action=subject.action.value,
        status=status,
        request=ask.request,
        subject=f"{ask.caller.issuer}#{ask.caller.subject}",
        client=ask.caller.client,
        object=subject.object,
        acting_role=permit.acting_role if permit else ask.requested_role or "",
        purpose=ask.caller.purpose or "",
        project=ask.caller.project or "",
        level=permit.level.name if permit else "",
        rules=permit.rules if permit else (),
        policy=permit.policy if permit else "",
        reason=reason or (permit.reason if permit else ""),
        digest=digest,
    )


def body_digest(services: Services, body: bytes) -> bytes:
    """What the journal says of a body: its keyed digest, 32 bytes."""
    return hmac.digest(services.digest_key, body, "sha256")


def answer(
    services: Services, ask: Ask, subject: Subject, representation: Representation, known: bytes = b""
) -> Representation:
    """Make the entry durable and hand the representation on. Raises `AuditUnavailable`, and then there is no answer.

    A body that is streamed gets its entry before the first byte and a closing one with the digest of what was sent.
    `known` is the `body_digest` of the body, where it was computed before.
    """
    if isinstance(representation.body, bytes):
        digest = (known or body_digest(services, representation.body)).hex()
        services.journal.append(event(ask, subject, "answer", representation.status, digest=digest))
        return representation
    services.journal.append(event(ask, subject, "opening", representation.status))
    body = _closing(services, ask, subject, representation.body)
    # Begun at once: a body that is closed before anybody reads of it (HEAD, a broken connection) is accounted for too.
    next(body)
    return replace(representation, body=body)


def _closing(services: Services, ask: Ask, subject: Subject, body: Iterator[bytes]) -> Iterator[bytes]:
    running = hmac.new(services.digest_key, digestmod=hashlib.sha256)
    reason = "the stream was broken off"
    try:
        yield b""
        for piece in body:
            running.update(piece)
            yield piece
        reason = "complete"
    finally:
        services.journal.append(event(ask, subject, "closing", 0, reason=reason, digest=running.hexdigest()))


def refusal(services: Services, ask: Ask, subject: Subject, status: int, error: SafelightError) -> None:
    """Record that a request was refused and why; an alarm where the reason is ours and not the caller's."""
    kind = "alarm" if status >= 500 else "refusal"
    services.journal.append(event(ask, subject, kind, status, reason=f"{type(error).__name__}: {error}"))
