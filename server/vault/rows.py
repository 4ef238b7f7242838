"""Sealing catalogue rows: each value is bound to its table and its row."""

from __future__ import annotations

from server.model import Randomness
from server.vault.envelope import KEY_BYTES, NONCE_BYTES, open_value, seal_value


class RowSealer:
    """Seals the values of rows under one 32-byte key; a value moved to another row or table no longer opens."""

    def __init__(self, key: bytes, randomness: Randomness) -> None:
        """Take a 32-byte key that is used for nothing else. Raises `ValueError` for another length."""
        if len(key) != KEY_BYTES:
            raise ValueError("a key has 32 bytes")
        self._key = key
        self._randomness = randomness

    def seal(self, table: str, row: str, value: bytes) -> bytes:
        """Return `value` sealed for this row: 29 bytes longer, different at every call."""
        nonce = self._randomness.bytes(NONCE_BYTES, f"row nonce {table}")
        return seal_value(self._key, value, _context(table, row), nonce)

    def open(self, table: str, row: str, sealed: bytes) -> bytes:
        """Return the value. Raises `SealBroken` unless it was sealed for this table and row with this key."""
        return open_value(self._key, sealed, _context(table, row))


def _context(table: str, row: str) -> str:
    return f"row {len(table)} {table} {row}"
