"""Keyed tokens: what stands in the database in the place of anything that a thief could recognise.

Every token is HMAC-SHA256 (RFC 2104) under a key that never lies beside the database, cut to 128 bits. A token of an
identifier is unique in its table, so it has no frequency. The tokens of the search lists are numbered, see `posting`.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from enum import StrEnum

TOKEN_BYTES = 16


class KeywordKind(StrEnum):
    """The search lists of a study. A closed list."""

    ALL = "all"
    PATIENT_ID = "patient-id"
    PATIENT = "patient"
    ACCESSION = "accession"
    NAME = "name"
    NAME_PREFIX = "name-prefix"
    DAY = "day"
    MONTH = "month"
    YEAR = "year"
    CHANGED = "changed"


@dataclass(frozen=True, kw_only=True)
class Keyword:
    """The name of one search list: every study that has this value of this kind, in the order of storing."""

    kind: KeywordKind
    value: str = ""


def encode_parts(*parts: str | bytes) -> bytes:
    """Join parts so that no two different sequences give the same bytes: each after its length in four bytes."""
    encoded = [part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part for part in parts]
    return b"".join(len(part).to_bytes(4, "big") + part for part in encoded)


class Tokens:
    """All tokens under one index key of at least 32 bytes. Raises ValueError for a shorter key."""

    def __init__(self, key: bytes) -> None:
        if len(key) < 32:
            raise ValueError("the index key has at least 32 bytes")
        self._unique = hmac.digest(key, b"unique tokens", "sha256")
        self._lists = hmac.digest(key, b"search lists", "sha256")

    def unique(self, purpose: str, *parts: str | bytes) -> bytes:
        """The token of 16 bytes of a value that occurs at most once for this purpose."""
        return hmac.digest(self._unique, encode_parts(purpose, *parts), "sha256")[:TOKEN_BYTES]

    def list_key(self, keyword: Keyword) -> bytes:
        """The key of one search list; what `posting` needs to know of a keyword."""
        return hmac.digest(self._lists, encode_parts(keyword.kind.value, keyword.value), "sha256")


def posting(list_key: bytes, number: int) -> tuple[bytes, bytes]:
    """Token and mask (16 bytes each) of entry `number` (from 0) of a search list.

    Entries of one list share nothing: token and mask are pseudorandom in (keyword, number), so the database tells
    neither how many entries a keyword has nor which entries or which studies belong together.
    """
    digest = hmac.digest(list_key, number.to_bytes(8, "big"), "sha256")
    return digest[:TOKEN_BYTES], digest[TOKEN_BYTES : 2 * TOKEN_BYTES]


def mask_row(row: bytes, mask: bytes) -> bytes:
    """Hide or show a row identifier of 16 bytes: exclusive or with its mask, its own inverse."""
    return bytes(a ^ b for a, b in zip(row, mask, strict=True))
