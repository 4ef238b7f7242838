"""A journal to play with, and the processes that write to it together."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from server.audit.disk import journal_name, journal_numbers
from server.audit.journal import Journal, begin
from server.audit.keys import load_private
from server.audit.verify import Verification, verify
from server.errors import AuditUnavailable
from server.model import AuditEvent

SIGNING = bytes(range(32))
SEAL = bytes(range(32, 64))
NOW = 1_700_000_000.25


class Counted:
    """Bytes that are fixed by the label and the number of the draw."""

    def __init__(self, seed: str = "") -> None:
        self._seed = seed
        self._count = itertools.count()

    def bytes(self, count: int, label: str) -> bytes:
        return hashlib.shake_256(f"{self._seed} {label} {next(self._count)}".encode()).digest(count)


class Killed(BaseException):
    """Stands for the process ending at this very point: nothing cleans up after it."""


@dataclass(frozen=True, kw_only=True)
class Room:
    directory: Path
    key: Ed25519PrivateKey

    def journal(self, *, rotate_at: int = 1 << 20, seed: str = "") -> Journal:
        return Journal(
            self.directory,
            signing_key=self.key,
            seal_key=SEAL,
            randomness=Counted(seed),
            clock=lambda: NOW,
            rotate_at=rotate_at,
        )

    def filled(self, count: int, *, rotate_at: int = 1 << 20) -> Journal:
        journal = self.journal(rotate_at=rotate_at)
        for number in range(1, count + 1):
            assert journal.append(event(request=f"request-{number}")) == number
        return journal

    def path(self, number: int = 1) -> Path:
        return self.directory / journal_name(number)

    def lines(self, number: int = 1) -> list[bytes]:
        return self.path(number).read_bytes().splitlines(keepends=True)

    def all_lines(self) -> list[bytes]:
        return [line for number in journal_numbers(self.directory) for line in self.lines(number)]

    def check(self) -> Verification:
        return verify(self.directory, self.key.public_key())


def room(parent: Path) -> Room:
    key = load_private(SIGNING)
    directory = parent / "audit"
    begin(directory, key)
    return Room(directory=directory, key=key)


def event(
    *, request: str = "request", subject: str = "", client: str = "", thing: str = "", reason: str = ""
) -> AuditEvent:
    return AuditEvent(
        kind="answer",
        action="retrieve-frames",
        status=200,
        request=request,
        subject=subject,
        client=client,
        object=thing,
        rules=("care-relation",),
        reason=reason,
    )


def append_many(directory: str, name: str, count: int) -> None:
    """What one of several processes does."""
    journal = Room(directory=Path(directory), key=load_private(SIGNING)).journal(rotate_at=20_000, seed=name)
    for number in range(count):
        journal.append(event(request=f"{name}-{number}", subject=name))


def append_until_killed(directory: str, acknowledged: Connection) -> None:
    """Append for ever and tell every number that was acknowledged."""
    seed = f"{os.getpid()} {time.time_ns()}"
    journal = Room(directory=Path(directory), key=load_private(SIGNING)).journal(rotate_at=20_000, seed=seed)
    while True:
        try:
            acknowledged.send(journal.append(event(request=seed)))
        except AuditUnavailable as error:
            acknowledged.send(str(error))


def requests(here: Room) -> list[str]:
    return [json.loads(line)["request"] for line in here.all_lines()]


def kinds(here: Room) -> list[str]:
    return [json.loads(line)["kind"] for line in here.all_lines()]


def failing(number: int) -> Callable[..., int]:
    def call(*_: object) -> int:
        raise OSError(number, os.strerror(number), "/a/path/that/must/not/be/told")

    return call


def killing(patch: pytest.MonkeyPatch, call: str, turn: int, part: int | None) -> None:
    """End at the call of that turn (from 1), after `part` of its bytes; None: after the whole call."""
    plain = getattr(os, call)
    calls = 0

    def some(*arguments: object) -> object:
        nonlocal calls
        calls += 1
        if calls < turn:
            return plain(*arguments)
        if call == "pwrite":
            descriptor, data, *rest = arguments
            assert isinstance(data, memoryview | bytes)
            plain(descriptor, bytes(data[:part]), *rest)
        raise Killed

    patch.setattr(os, call, some)
