"""What lies beyond the head after a crash: whole entries to go on from, and a torn rest to set aside. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from server.audit.entries import Malformed, digest, is_signed, parse_line
from server.audit.head import Head
from server.model import AuditEvent


@dataclass(frozen=True, kw_only=True)
class Survey:
    """`end` is the head that the whole entries justify, `torn` are the bytes after them."""

    end: Head
    torn: bytes


def survey(tail: bytes, head: Head, public_key: Ed25519PublicKey) -> Survey:
    """Part the bytes after `head`. An entry counts as whole if it is signed and continues the chain."""
    end = head
    start = 0
    while (stop := tail.find(b"\n", start)) >= 0:
        try:
            line = parse_line(tail[start:stop])
        except Malformed:
            break
        if line.seq != end.seq + 1 or line.previous != end.hash or not is_signed(line, public_key):
            break
        start = stop + 1
        end = replace(end, seq=line.seq, hash=line.hash, size=head.size + start)
    return Survey(end=end, torn=tail[start:])


def torn_name(seq: int, torn: bytes) -> str:
    """Where the torn bytes found in the place of entry `seq` are kept."""
    return f"torn-{seq}-{digest(torn)[:16]}"


def torn_event(torn: bytes) -> AuditEvent:
    """The entry that tells of torn bytes set aside."""
    return _recovered(f"{len(torn)} bytes that were never acknowledged were set aside", digest(torn))


def damaged_event() -> AuditEvent:
    """The entry that tells of a slot of the head that did not verify and is written anew."""
    return _recovered("one slot of the head was damaged", "")


def _recovered(reason: str, what: str) -> AuditEvent:
    return AuditEvent(kind="recovered", action="recover", status=0, request="", reason=reason, digest=what)
