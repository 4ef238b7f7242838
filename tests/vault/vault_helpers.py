"""Randomness that repeats itself on purpose, and a look at every byte below a directory."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from server.errors import SealBroken
from server.vault import envelope

STUDY_KEY = bytes(range(32))
OTHER_KEY = bytes(range(1, 33))


class SeededRandomness:
    """Different bytes at every call, the same in every run; each label draws from a stream of its own."""

    def __init__(self, seed: str = "") -> None:
        self._seed = seed
        self._drawn: Counter[str] = Counter()

    def bytes(self, count: int, label: str) -> bytes:
        self._drawn[label] += 1
        return hashlib.shake_256(f"{self._seed}|{label}|{self._drawn[label]}".encode()).digest(count)


class StuckRandomness:
    """A broken source: always the same bytes."""

    def bytes(self, count: int, label: str) -> bytes:
        return b"\x07" * count


class RecordingCipher:
    """AES-256-GCM that notes which key sealed with which nonce."""

    used: list[tuple[bytes, bytes]]

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._cipher = AESGCM(key)

    def encrypt(self, nonce: bytes, data: bytes, associated: bytes) -> bytes:
        type(self).used.append((self._key, nonce))
        return self._cipher.encrypt(nonce, data, associated)


def record_nonces(monkeypatch: pytest.MonkeyPatch) -> list[tuple[bytes, bytes]]:
    """From now on note every (key, nonce) that the envelope seals with, in the list returned."""
    used: list[tuple[bytes, bytes]] = []
    monkeypatch.setattr(RecordingCipher, "used", used, raising=False)
    monkeypatch.setattr(envelope, "AESGCM", RecordingCipher)
    return used


def opens(attempt: Callable[..., object], *arguments: object) -> bool:
    """Whether `attempt` gets through; only a broken seal counts as a refusal, any other error is a failure."""
    try:
        attempt(*arguments)
    except SealBroken:
        return False
    return True


def everything_below(directory: Path) -> bytes:
    """Names and contents of all files below `directory`."""
    files = sorted(path for path in directory.rglob("*") if path.is_file())
    return b"\n".join(str(path.relative_to(directory)).encode() + b"\n" + path.read_bytes() for path in files)
