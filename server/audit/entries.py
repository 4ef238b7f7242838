"""One line of the journal: how it is written, sealed, signed, chained and read back. Pure.

A line is a canonical JSON object: keys sorted, no white space, and in strings every character that means anything to a
terminal, a spreadsheet or a browser written as `\\uXXXX`, so that a value can neither end its line nor begin a cell.
`previous` is the SHA-256 of the former line, `signature` is Ed25519 (RFC 8032) over the line without it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from server.errors import AuditUnavailable, SealBroken
from server.model import AuditEvent

READABLE = (
    *("acting_role", "action", "digest", "kind", "level", "policy", "project", "purpose", "reason", "request"),
    *("rules", "status"),
)
SEALED = ("client", "object", "subject")
STRUCTURE = frozenset({"seq", "time", "sealed", "previous", "signature"})
START = "0" * 64
"""`previous` of the first line."""
LONGEST = 65536
"""The most bytes a line may have."""

_PADDING = 256
_NONCE = 12
_ENTRY = b"safelight audit entry 1\n"
_IDENTITY = b"safelight audit identity 1\n"
# How a line is laid out: its names in order, written, before and after the place of the signature.
_ORDER = sorted(STRUCTURE.union(READABLE) - {"signature"})
_BEFORE = [(f'"{name}":', name) for name in _ORDER if name < "signature"]
_AFTER = [(f'"{name}":', name) for name in _ORDER if name > "signature"]
_UNSAFE = re.compile(r"""[^ !#$%()*+\-./0-9:=?@A-Z\[\]^_`a-z{}~]""")


class Malformed(ValueError):
    """The bytes are not a line that this module could have written."""


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """An event ready to be given its number: the readable fields as they are written, and the padded plaintext of the
    sealed ones."""

    readable: Mapping[str, str]
    identity: bytes


@dataclass(frozen=True, kw_only=True)
class Line:
    """A well-formed line. `hash` is the SHA-256 of its bytes in hexadecimal, `fields` everything but the signature."""

    seq: int
    previous: str
    hash: str
    fields: Mapping[str, object]
    signature: bytes


def canonical(value: object) -> str:
    """The one way to write strings, whole numbers, lists and string-keyed mappings; ASCII without control characters.

    Raises `Malformed` for anything else.
    """
    if isinstance(value, str):
        return f'"{_UNSAFE.sub(_escape, value)}"'
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, list | tuple):
        return "[" + ",".join(canonical(item) for item in value) + "]"
    if isinstance(value, Mapping):
        return _joined({key: canonical(value[key]) for key in value})
    raise Malformed("not a value of the journal")


def _joined(members: Mapping[str, str]) -> str:
    """A mapping whose values are written already."""
    return "{" + ",".join(f"{canonical(key)}:{members[key]}" for key in sorted(members)) + "}"


def decode_base64(text: object) -> bytes:
    """The bytes of a base64 text (RFC 4648 section 4), of which only the one canonical spelling is taken.

    Raises `Malformed`.
    """
    if not isinstance(text, str):
        raise Malformed("not base64")
    try:
        value = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Malformed("not base64") from error
    if encode_base64(value) != text:
        raise Malformed("not canonical base64")
    return value


def encode_base64(value: bytes) -> str:
    """The canonical base64 text of the bytes."""
    return base64.b64encode(value).decode("ascii")


def digest(raw: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(raw).hexdigest()


def prepare(event: AuditEvent) -> Prepared:
    """Part what is readable from what is sealed. The latter is padded to a multiple of 256 bytes with spaces.

    Raises `AuditUnavailable` if the line would be longer than `LONGEST`.
    """
    readable = {name: canonical(getattr(event, name)) for name in READABLE}
    sealed = ",".join([f'"{name}":{canonical(getattr(event, name))}' for name in SEALED])
    identity = f"{{{sealed}}}".encode("ascii")
    identity = identity.ljust(-(-len(identity) // _PADDING) * _PADDING)
    if sum(map(len, readable.values())) + 512 + len(identity) * 4 // 3 + 1024 > LONGEST:
        raise AuditUnavailable("the entry is too long")
    return Prepared(readable=readable, identity=identity)


def write_line(
    prepared: Prepared,
    *,
    seq: int,
    previous: str,
    now: float,
    seal_key: bytes,
    nonce: bytes,
    signing_key: Ed25519PrivateKey,
) -> bytes:
    """The line without its newline. `now` is in seconds since the epoch, `nonce` 12 random bytes never used again.

    The nonce is not the number: a number is given out anew when a write has failed.
    """
    sealed = nonce + AESGCM(seal_key).encrypt(nonce, prepared.identity, _bound_to(seq))
    # Numbers, digits and base64 hold nothing that would be written otherwise.
    fields = {
        **prepared.readable,
        "seq": str(seq),
        "time": f'"{datetime.fromtimestamp(now, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")}"',
        "sealed": f'"{encode_base64(sealed)}"',
        "previous": f'"{previous}"',
    }
    before = ",".join([name + fields[field] for name, field in _BEFORE])
    after = ",".join([name + fields[field] for name, field in _AFTER])
    signature = signing_key.sign(_ENTRY + f"{{{before},{after}}}".encode("ascii"))
    return f'{{{before},"signature":"{encode_base64(signature)}",{after}}}'.encode("ascii")


def parse_line(raw: bytes) -> Line:
    """Read a line back; `raw` has no newline. Only the canonical spelling is taken. Raises `Malformed`."""
    if len(raw) > LONGEST:
        raise Malformed("too long")
    try:
        text = raw.decode("ascii")
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Malformed("not a JSON line") from error
    if not isinstance(value, dict) or not value.keys() >= STRUCTURE or canonical(value) != text:
        raise Malformed("not a canonical line")
    seq, previous = value["seq"], value["previous"]
    if not isinstance(seq, int) or not isinstance(previous, str):
        raise Malformed("not a line of the journal")
    signature = decode_base64(value.pop("signature"))
    return Line(seq=seq, previous=previous, hash=digest(raw), fields=value, signature=signature)


def is_signed(line: Line, public_key: Ed25519PublicKey) -> bool:
    """Whether the signature is the key's over this very line."""
    return has_signed(public_key, line.signature, _ENTRY + canonical(line.fields).encode("ascii"))


def has_signed(public_key: Ed25519PublicKey, signature: bytes, message: bytes) -> bool:
    """Whether the Ed25519 signature verifies."""
    try:
        public_key.verify(signature, message)
    except InvalidSignature:
        return False
    return True


def open_identity(line: Line, seal_key: bytes) -> dict[str, str]:
    """The sealed fields by name. Raises `SealBroken` for another key, another number or altered bytes."""
    try:
        sealed = decode_base64(line.fields["sealed"])
        plain = AESGCM(seal_key).decrypt(sealed[:_NONCE], sealed[_NONCE:], _bound_to(line.seq))
        value = json.loads(plain)
        return {name: str(value[name]) for name in SEALED}
    except (InvalidTag, ValueError, KeyError, OverflowError) as error:
        raise SealBroken("the identity in an entry does not open") from error


def _bound_to(seq: int) -> bytes:
    return _IDENTITY + seq.to_bytes(8, "big")


def _escape(match: re.Match[str]) -> str:
    units = match.group().encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
