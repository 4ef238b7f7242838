"""What somebody without a key would try in order to compute a pseudonym from its value."""

from __future__ import annotations

import base64
import hashlib
import hmac
import uuid
from collections.abc import Iterator

GUESSES = (
    *(b"", bytes(16), bytes(32), b"safelight", b"safelight pseudonyms/deidentified", b"deidentified", b"demo-project"),
    *(b"kind/uid", b"kind/patient", b"secret", b"key", b"password", b"dates", b"researcher", b"root-key"),
)


def block(made: str) -> bytes:
    """The 16 bytes that a pseudonym is written from."""
    return int(made[5:]).to_bytes(16, "big") if made.startswith("2.25.") else base64.b32decode(made + "======")


def candidates(value: str) -> Iterator[bytes]:
    """16 bytes that somebody might have computed from a value without a secret, or with one that can be guessed."""
    forms = {value, value.rpartition("\x00")[2], value.replace("\x00", "|"), value.replace("\x00", "^")}
    for raw in (form.encode() for form in forms):
        for algorithm in ("md5", "sha1", "sha256", "sha512", "sha3_256", "blake2b"):
            digest = hashlib.new(algorithm, raw).digest()
            yield from (digest[:16], digest[-16:])
        for key in GUESSES:
            yield hmac.digest(key, raw, "sha256")[:16]
        yield uuid.uuid5(uuid.NAMESPACE_OID, raw.decode()).bytes
        yield raw[:16].ljust(16, b"\0")
        yield raw[:16].rjust(16, b"\0")
