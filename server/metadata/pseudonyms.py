"""Pseudonyms: keyed functions of a random row key and a domain, never of the value they stand for.

A row key is 16 random bytes drawn when a value was first seen. A domain is one project at one level. Someone who knows
every original therefore learns nothing, two domains cannot be joined, and whoever holds the domain's key
can go back from a pseudonym to the row key.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from server.errors import SealBroken
from server.metadata.values import shifted
from server.model import Identifier, IdentifierKind

ROW_KEY_BYTES = 16
_UUID_UID = re.compile(r"2\.25\.(0|[1-9][0-9]{0,38})", re.ASCII)
_SHORT = 16
_RANGE = 365


def domain_key(project_key: bytes, level_name: str) -> bytes:
    """The key (32 bytes) of all pseudonyms of one project at one level; HKDF-SHA256 (RFC 5869) of the project's."""
    return _derive(project_key, f"safelight pseudonyms/{level_name}")


class Names(Protocol):
    """What the masker asks for in place of identifiers and dates. `replaces` and `moves_dates` say whether anything is
    replaced, or moved, at all."""

    @property
    def replaces(self) -> bool: ...
    @property
    def moves_dates(self) -> bool: ...
    def uid(self, value: str) -> str: ...
    def identifier(self, kind: IdentifierKind, value: str) -> str: ...
    def moved(self, vr: str, value: str, zone: int | None) -> str | None:
        """A date (VR DA or DT) as this world tells it, as `values.shifted`."""


@dataclass(frozen=True, kw_only=True)
class Pseudonyms:
    """The names of one object's identifiers in one domain.

    `domain_key` is 32 bytes, `row_keys` and `patient_row_key` 16 bytes each. A value without a row key raises
    `SealBroken`: the catalogue does not vouch for it, and there is no second way to a pseudonym.
    """

    domain_key: bytes = field(repr=False)
    row_keys: Mapping[Identifier, bytes] = field(repr=False)
    patient_row_key: bytes = field(repr=False)
    replaces: bool = True
    moves_dates: bool = True

    def __post_init__(self) -> None:
        if len(self.domain_key) != 32 or len(self.patient_row_key) != ROW_KEY_BYTES or not self.replaces:
            raise ValueError("a domain key has 32 bytes, a row key 16")

    def uid(self, value: str) -> str:
        """`2.25.` and the row key of this UID, enciphered, as a decimal integer (PS3.5 section B.2's form)."""
        row_key = self._row_key(Identifier(kind=IdentifierKind.UID, value=value))
        return f"2.25.{int.from_bytes(self._enciphered(IdentifierKind.UID, row_key), 'big')}"

    def identifier(self, kind: IdentifierKind, value: str) -> str:
        """The name of another identifier in capital letters and digits 2 to 7.

        26 characters for a patient, which can be reversed; 16 for the others, since VR SH holds no more, which cannot.
        """
        row_key = self._row_key(Identifier(kind=kind, value=value))
        return _letters(self._enciphered(kind, row_key), kind)

    def moved(self, vr: str, value: str, zone: int | None) -> str | None:
        return shifted(vr, value, self.shift_days, zone)

    @cached_property
    def shift_days(self) -> int:
        """Whole days to add to all dates of this patient in this domain: uniform over -365..365 without 0."""
        digest = hmac.digest(_derive(self.domain_key, "dates"), self.patient_row_key, hashlib.sha256)
        days = int.from_bytes(digest, "big") % (2 * _RANGE) - _RANGE
        return days if days < 0 else days + 1

    @cached_property
    def _ciphers(self) -> dict[IdentifierKind, CipherContext]:
        return {}

    def _enciphered(self, kind: IdentifierKind, block: bytes) -> bytes:
        """One block under the key of a kind; the blocks of this mode know nothing of each other."""
        cipher = self._ciphers.get(kind)
        if cipher is None:
            cipher = self._ciphers[kind] = _encryptor(_kind_key(self.domain_key, kind))
        return cipher.update(block)

    def _row_key(self, identifier: Identifier) -> bytes:
        row_key = self.row_keys.get(identifier)
        if row_key is None or len(row_key) != ROW_KEY_BYTES:
            raise SealBroken("an identifier has no row key")
        return row_key


@dataclass(frozen=True, kw_only=True)
class IdentityMapping:
    """The names for a level without pseudonyms: every value is its own, no date moves."""

    replaces: bool = False
    moves_dates: bool = False
    shift_days: int = 0

    def uid(self, value: str) -> str:
        return value

    def identifier(self, kind: IdentifierKind, value: str) -> str:
        return value.rpartition("\x00")[2] if kind is IdentifierKind.PATIENT else value

    def moved(self, vr: str, value: str, zone: int | None) -> str | None:
        return shifted(vr, value, self.shift_days, zone)


def row_key_of_uid(domain_key: bytes, pseudonym: str) -> bytes | None:
    """The row key that this UID stands for in the domain; None when it is no pseudonym's form.

    Every well-formed UID gives some 16 bytes: only the catalogue knows whether they are a row key.
    """
    return row_keys_of_uids(domain_key, [pseudonym])[0]


def row_keys_of_uids(domain_key: bytes, pseudonyms: Sequence[str]) -> list[bytes | None]:
    """As `row_key_of_uid`, of several, with their key derived once."""
    key, found = _kind_key(domain_key, IdentifierKind.UID), list[bytes | None]()
    for pseudonym in pseudonyms:
        match = _UUID_UID.fullmatch(pseudonym)
        known = match is not None and not int(match[1]) >> 128
        found.append(_decipher(key, int(match[1]).to_bytes(ROW_KEY_BYTES, "big")) if match and known else None)
    return found


def row_key_of_identifier(domain_key: bytes, kind: IdentifierKind, pseudonym: str) -> bytes | None:
    """As `row_key_of_uid`, for a patient's pseudonym; None for the kinds whose pseudonyms are too short to reverse."""
    if kind is not IdentifierKind.PATIENT:
        return None
    try:
        block = base64.b32decode(pseudonym + "======")
    except (binascii.Error, ValueError):
        return None
    if len(block) != ROW_KEY_BYTES or _letters(block, kind) != pseudonym:
        return None
    return _decipher(_kind_key(domain_key, kind), block)


def _letters(block: bytes, kind: IdentifierKind) -> str:
    letters = base64.b32encode(block).decode("ascii").rstrip("=")
    return letters if kind is IdentifierKind.PATIENT else letters[:_SHORT]


def _kind_key(key: bytes, kind: IdentifierKind) -> bytes:
    return _derive(key, f"kind/{kind.value}")


def _derive(key: bytes, label: str) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=label.encode()).derive(key)


# One block of AES on a random key that is never enciphered twice under different plaintexts is a permutation, which is
# all that is wanted here; the weakness of the mode begins with the second block.
def _encryptor(key: bytes) -> CipherContext:
    return Cipher(algorithms.AES256(key), modes.ECB()).encryptor()  # noqa: S305


def _decipher(key: bytes, block: bytes) -> bytes:
    decryptor = Cipher(algorithms.AES256(key), modes.ECB()).decryptor()  # noqa: S305
    return decryptor.update(block) + decryptor.finalize()
