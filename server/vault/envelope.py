"""The envelope: AES-256-GCM (NIST SP 800-38D) under keys from HKDF-SHA256 (RFC 5869). Pure; randomness is passed in.

A sealed object is, all integers big-endian:

    header    4 bytes "SFLO", 1 byte suite (1), 32 bytes salt
    table     one 64-bit plain length per segment, sealed (+ 16 bytes tag)
    segments  each sealed (+ 16 bytes tag), in order, nothing after the last

The object's own key is HKDF(study key, salt, info = suite, name, kind, version). The salt is fresh for every object, so
the 96-bit nonces may simply count: segment i has nonce i, the table has nonce `count`. Every associated data names
suite, object, version, position and count, so nothing can be moved, dropped, doubled or put back from yesterday.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from server.errors import SealBroken, TooLarge
from server.model import ObjectReference
from server.model.readable import Readable

KEY_BYTES = 32
SALT_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16

SEALED_BYTES = 1 + NONCE_BYTES + TAG_BYTES
"""By so much a sealed value is longer than the value."""

_SUITE = 1
_SUITE_BYTE = bytes([_SUITE])
_MAGIC = b"SFLO"
_HEADER_BYTES = len(_MAGIC) + 1 + SALT_BYTES
_LENGTH_BYTES = 8
_LONGEST_SEGMENT = 2**31 - 1 - TAG_BYTES
"""What one call of the AES-GCM implementation takes; far below GCM's own bound of 2**36 - 32 bytes."""


def derive(key: bytes, label: str, salt: bytes = b"") -> bytes:
    """Return the 32-byte key that `key` (32 bytes) yields for the purpose `label` (HKDF-SHA256, RFC 5869).

    Raises `ValueError` for a key of another length or an empty label.
    """
    if not label:
        raise ValueError("a derived key needs a label")
    return _hkdf(key, salt, label.encode())


def seal_value(key: bytes, value: bytes, context: str, nonce: bytes) -> bytes:
    """Seal a small value: suite byte, nonce, ciphertext, tag; 29 bytes longer than `value`.

    `nonce` is 12 random bytes, never used twice with one key: at most 2**32 values per key (SP 800-38D section 8.3).
    `context` says what the value is and whose; it is authenticated, not stored. Raises `ValueError` for a key that
    is not 32 or a nonce that is not 12 bytes long.
    """
    if len(nonce) != NONCE_BYTES:
        raise ValueError("a nonce has 12 bytes")
    return _SUITE_BYTE + nonce + _cipher(key).encrypt(nonce, value, _value_context(context))


def open_value(key: bytes, sealed: bytes | memoryview, context: str) -> bytes:
    """Return what `seal_value` sealed under the same key and context. Raises `SealBroken` in every other case."""
    return _decrypt(_cipher(key), *_taken_apart(sealed), _value_context(context))


def open_large_value(key: bytes, sealed: bytes, context: str) -> memoryview:
    """As `open_value`, in memory of its own that may be written to."""
    return _decrypt_large(_cipher(key), *_taken_apart(sealed), _value_context(context))


def _taken_apart(sealed: bytes | memoryview) -> tuple[bytes, memoryview]:
    """Nonce and ciphertext of a sealed value, the latter a view of what may be many megabytes."""
    if len(sealed) < SEALED_BYTES or sealed[:1] != _SUITE_BYTE:
        raise SealBroken("a sealed value is truncated or of an unknown suite")
    return bytes(sealed[1 : 1 + NONCE_BYTES]), memoryview(sealed)[1 + NONCE_BYTES :]


def seal_segments(
    study_key: bytes, reference: ObjectReference, segments: Sequence[bytes | memoryview | Readable], salt: bytes
) -> Iterator[bytes]:
    """Return the sealed object in pieces to be written one after the other: header with table, then each segment.

    `salt` is 32 fresh random bytes, never used twice with one study key. Memoryviews must be C-contiguous. Sealing is
    lazy, one segment at a time; the arguments are checked at once. Raises `ValueError` for a key or salt of a wrong
    length, a view that is not contiguous or a number of segments other than the reference's, `TooLarge` for a segment
    above 2 GiB.
    """
    if len(salt) != SALT_BYTES:
        raise ValueError("a salt has 32 bytes")
    if reference.segments < 1 or len(segments) != reference.segments:
        raise ValueError("the reference must count the segments, at least one")
    views = [_flat(segment) for segment in segments]
    if any(len(view) > _LONGEST_SEGMENT for view in views):
        raise TooLarge("a segment exceeds 2 GiB")
    return _sealed_pieces(_object_cipher(study_key, reference, salt), reference, views, salt)


@dataclass(frozen=True, kw_only=True)
class OpenedHead:
    """An authenticated header and table: all that is needed to find and open any one segment."""

    reference: ObjectReference
    lengths: tuple[int, ...]
    cipher: AESGCM

    @property
    def object_size(self) -> int:
        """The exact size of the whole sealed object in bytes."""
        return self.span(self.reference.segments)[0]

    def span(self, index: int) -> tuple[int, int]:
        """Return offset and sealed length in bytes of segment `index` (from 0); the end of the object for `count`."""
        before = sum(self.lengths[:index]) + index * TAG_BYTES
        length = self.lengths[index] + TAG_BYTES if index < len(self.lengths) else 0
        return head_size(self.reference) + before, length

    def open_segment(self, index: int, sealed: bytes) -> bytes:
        """Return the plain bytes of segment `index` (from 0). Raises `SealBroken` unless `sealed` is that segment."""
        return _decrypt(self.cipher, _nonce(index), sealed, _segment_context(self.reference, index))

    def open_large_segment(self, index: int, sealed: memoryview) -> memoryview:
        """As `open_segment`, in memory of its own that may be written to."""
        return _decrypt_large(self.cipher, _nonce(index), sealed, _segment_context(self.reference, index))


def head_size(reference: ObjectReference) -> int:
    """Return how many bytes header and table of the object take together."""
    return _HEADER_BYTES + reference.segments * _LENGTH_BYTES + TAG_BYTES


def smallest_size(reference: ObjectReference) -> int:
    """Return the size in bytes below which no object with so many segments can lie."""
    return head_size(reference) + reference.segments * TAG_BYTES


def open_head(study_key: bytes, reference: ObjectReference, head: bytes) -> OpenedHead:
    """Authenticate `head`, the first `head_size(reference)` bytes of the object that `reference` vouches for.

    Raises `SealBroken` for another object, version, kind, count, suite or key, and for any altered bit.
    """
    if reference.segments < 1 or not head.startswith(_MAGIC + _SUITE_BYTE):
        raise SealBroken("a sealed object is truncated or of an unknown suite")
    cipher = _object_cipher(study_key, reference, head[len(_MAGIC) + 1 : _HEADER_BYTES])
    table = _decrypt(cipher, _nonce(reference.segments), head[_HEADER_BYTES:], _table_context(reference))
    return OpenedHead(reference=reference, lengths=struct.unpack(f">{reference.segments}Q", table), cipher=cipher)


def _sealed_pieces(
    cipher: AESGCM, reference: ObjectReference, views: Sequence[memoryview | Readable], salt: bytes
) -> Iterator[bytes]:
    table = struct.pack(f">{len(views)}Q", *(len(view) for view in views))
    sealed_table = cipher.encrypt(_nonce(len(views)), table, _table_context(reference))
    yield _MAGIC + _SUITE_BYTE + salt + sealed_table
    for index, view in enumerate(views):
        # What is not in memory is read only now, one segment at a time.
        plain = view if isinstance(view, memoryview) else view[:]
        yield cipher.encrypt(_nonce(index), plain, _segment_context(reference, index))


def _flat(segment: bytes | memoryview | Readable) -> memoryview | Readable:
    if not isinstance(segment, bytes | bytearray | memoryview):
        return segment
    view = memoryview(segment)
    if not view.c_contiguous:
        raise ValueError("a segment must be C-contiguous")
    # A view with a zero in its shape cannot be cast.
    return view.cast("B") if view.nbytes else memoryview(b"")


def _object_cipher(study_key: bytes, reference: ObjectReference, salt: bytes) -> AESGCM:
    return _cipher(_hkdf(study_key, salt, _bound(b"object key", reference)))


def _table_context(reference: ObjectReference) -> bytes:
    return _bound(b"object table", reference) + struct.pack(">Q", reference.segments)


def _segment_context(reference: ObjectReference, index: int) -> bytes:
    last = index == reference.segments - 1
    return _bound(b"object segment", reference) + struct.pack(">QQ?", index, reference.segments, last)


def _bound(label: bytes, reference: ObjectReference) -> bytes:
    """Suite, label and the object's identity; every text with its length before it, so no two can run together."""
    texts = (label, reference.name.encode(), reference.kind.encode())
    lengths_first = b"".join(struct.pack(">I", len(text)) + text for text in texts)
    return _SUITE_BYTE + lengths_first + struct.pack(">Q", reference.version)


def _value_context(context: str) -> bytes:
    return _SUITE_BYTE + b"value" + context.encode()


def _nonce(counter: int) -> bytes:
    return counter.to_bytes(NONCE_BYTES, "big")


def _cipher(key: bytes) -> AESGCM:
    if len(key) != KEY_BYTES:
        raise ValueError("a key has 32 bytes")
    return AESGCM(key)


def _hkdf(key: bytes, salt: bytes, info: bytes) -> bytes:
    if len(key) != KEY_BYTES:
        raise ValueError("a key has 32 bytes")
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=salt, info=info).derive(key)


def _decrypt(cipher: AESGCM, nonce: bytes, sealed: bytes | memoryview, context: bytes) -> bytes:
    try:
        return cipher.decrypt(nonce, sealed, context)
    except InvalidTag:
        raise SealBroken("a sealed object or value does not authenticate") from None


def _decrypt_large(cipher: AESGCM, nonce: bytes, sealed: memoryview, context: bytes) -> memoryview:
    """As `_decrypt`, in memory of its own. That nobody clears it first saves half a millisecond of a film."""
    plain = uncleared(len(sealed) - TAG_BYTES)
    try:
        cipher.decrypt_into(nonce, sealed, context, plain)
    except InvalidTag:
        raise SealBroken("a sealed object or value does not authenticate") from None
    return plain


def uncleared(count: int) -> memoryview:
    """So many bytes of memory, holding anything: to be filled whole before they are looked at."""
    return np.empty(count, np.uint8).data
