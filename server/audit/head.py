"""The head: how far the journal is known to be durable, signed, so that a cut end shows. Pure.

The head file has two slots of 512 bytes that take turns. A slot that tears as the power fails leaves the other one,
which lags by one commit; a lagging head is put right by the next append, a head that is ahead of the journal is proof
of a cut. Each slot signs its own place, so that one cannot be copied over the other.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from server.audit.entries import START, Malformed, canonical, decode_base64, encode_base64, has_signed

SLOT = 512
HEAD_SIZE = 2 * SLOT

_HEAD = b"safelight audit head 1\n"


@dataclass(frozen=True, kw_only=True)
class Head:
    """The last durable entry: its number (0: none yet), its hash, its file's number and the file's length in bytes."""

    seq: int = 0
    hash: str = START
    file: int = 1
    size: int = 0


_NONE: Mapping[tuple[int, bytes], Head] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True)
class Slots:
    """What the head file says: the newest valid head (None: there is none), its slot, and whether anything is amiss."""

    current: Head | None
    slot: int
    damaged: bool


def encode_slot(head: Head, slot: int, signing_key: Ed25519PrivateKey) -> bytes:
    """The 512 bytes of slot 0 or 1."""
    # As `canonical` writes it: numbers, digits and base64 hold nothing that would be written otherwise.
    before = f'{{"file":{head.file},"hash":"{head.hash}","seq":{head.seq},'
    after = f'"size":{head.size},"slot":{slot}}}'
    signature = signing_key.sign(_HEAD + f"{before}{after}".encode("ascii"))
    return _padded(f'{before}"signature":"{encode_base64(signature)}",{after}'.encode("ascii"))


def decode_slots(raw: bytes, public_key: Ed25519PublicKey, known: Mapping[tuple[int, bytes], Head] = _NONE) -> Slots:
    """Read the whole head file. Never raises: what does not verify counts as damaged.

    `known` are slots, by number and bytes, that have verified before or were signed by the caller.
    """
    found: list[tuple[tuple[int, int, int], int, Head]] = []
    for slot in (0, 1):
        written = raw[slot * SLOT : (slot + 1) * SLOT]
        head = known.get((slot, written)) or _decode_slot(written, slot, public_key)
        if head:
            found.append(((head.seq, head.file, head.size), slot, head))
    damaged = len(found) < 2 or len(raw) != HEAD_SIZE
    if not found:
        return Slots(current=None, slot=0, damaged=damaged)
    _, slot, head = max(found, key=lambda item: item[:2])
    return Slots(current=head, slot=slot, damaged=damaged)


def _decode_slot(raw: bytes, slot: int, public_key: Ed25519PublicKey) -> Head | None:
    try:
        value = json.loads(raw.decode("ascii"))
        if not isinstance(value, dict) or _padded(canonical(value).encode("ascii")) != raw:
            return None
        signature = decode_base64(value.pop("signature", None))
        signed = has_signed(public_key, signature, _HEAD + canonical(value).encode("ascii"))
        if not signed or value.pop("slot", None) != slot:
            return None
        return Head(**value)
    except (Malformed, ValueError, TypeError, RecursionError):
        return None


def _padded(text: bytes) -> bytes:
    return text.ljust(SLOT - 1) + b"\n"
