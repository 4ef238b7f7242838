"""Check a journal from its first entry to its head, with the public key alone, and name the first thing that is wrong.

What this cannot see by itself is a whole directory set back to an earlier state: for that, note the `head` of a result
elsewhere and pass it to a later check.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from server.audit import disk
from server.audit.entries import LONGEST, Line, Malformed, is_signed, parse_line
from server.audit.head import HEAD_SIZE, Head, decode_slots
from server.errors import AuditUnavailable


class Breakage(StrEnum):
    """What is wrong with the first entry that is wrong."""

    ALTERED = "altered"
    DELETED = "deleted"
    REORDERED = "reordered"
    INSERTED = "inserted"
    TRUNCATED = "truncated"
    BAD_SIGNATURE = "bad signature"
    TORN = "torn tail"


@dataclass(frozen=True, kw_only=True)
class Problem:
    """The first broken place: file name, line (from 1), the number that the entry there should have, and why.

    For the head file `line` is 0 and `seq` the number of the journal's last entry.
    """

    file: str
    line: int
    seq: int
    why: Breakage


@dataclass(frozen=True, kw_only=True)
class Verification:
    """`entries` good ones before the problem, if there is one; `recoveries` of them tell of a recovery after a crash.

    `head` is the last good entry, to be noted elsewhere.
    """

    entries: int
    recoveries: int
    head: Head
    problem: Problem | None


@dataclass(frozen=True, kw_only=True)
class _Place:
    file: int
    line: int
    raw: bytes
    complete: bool
    end: int


def verify(directory: Path, public_key: Ed25519PublicKey, *, noted: Head | None = None) -> Verification:
    """Check everything that is in `directory` at this moment; entries appended meanwhile are left out.

    `noted` is the head of an earlier result, which must still be part of this journal. A torn tail is what a crash
    leaves; the next append sets it aside. Raises `AuditUnavailable` if the files cannot be read.
    """
    try:
        raw_head, sizes = _snapshot(directory)
        slots = decode_slots(raw_head, public_key)
        return _Check(directory, public_key, sizes, [head for head in (slots.current, noted) if head]).run(
            (Breakage.ALTERED if raw_head else Breakage.DELETED) if slots.damaged else None
        )
    except OSError as error:
        raise AuditUnavailable(f"the journal cannot be read: {error.strerror}") from error


def _snapshot(directory: Path) -> tuple[bytes, dict[int, int]]:
    """The head file's bytes, and the length of every file of the journal, as of one moment."""
    # A copy may come without its lock; nobody appends to it.
    if (directory / disk.LOCK_NAME).exists():
        with disk.locked(directory, shared=True):
            return _look(directory)
    return _look(directory)


def _look(directory: Path) -> tuple[bytes, dict[int, int]]:
    raw = b""
    with suppress(FileNotFoundError), disk.opened(directory / disk.HEAD_NAME, os.O_RDONLY) as file:
        raw = disk.read_at(file, HEAD_SIZE + 1, 0)
    names = {number: directory / disk.journal_name(number) for number in disk.journal_numbers(directory)}
    return raw, {number: path.stat().st_size for number, path in names.items()}


class _Check:
    """One pass over the journal; `good` is the last good entry so far."""

    def __init__(self, directory: Path, public_key: Ed25519PublicKey, sizes: dict[int, int], marks: list[Head]) -> None:
        self._directory = directory
        self._public_key = public_key
        self._sizes = sizes
        self._marks = marks
        self._last = max((mark.seq for mark in marks), default=0)
        self._good = Head()
        self._recoveries = 0

    def run(self, head_fault: Breakage | None) -> Verification:
        place: _Place | None = None
        places = _places(self._directory, self._sizes)
        following = next(places, None)
        while following:
            place, following = following, next(places, None)
            why = self._step(place, following)
            if why:
                return self._result(disk.journal_name(place.file), place.line, why)
        if self._good.seq < self._last:
            name = disk.journal_name(place.file if place else 1)
            return self._result(name, place.line + 1 if place else 1, Breakage.TRUNCATED)
        if head_fault:
            return self._result(disk.HEAD_NAME, 0, head_fault)
        return self._result("", 0, None)

    def _result(self, file: str, line: int, why: Breakage | None) -> Verification:
        seq = self._good.seq + (1 if line else 0)
        problem = Problem(file=file, line=line, seq=seq, why=why) if why else None
        return Verification(entries=self._good.seq, recoveries=self._recoveries, head=self._good, problem=problem)

    def _step(self, place: _Place, following: _Place | None) -> Breakage | None:
        if not place.complete:
            if following:
                return Breakage.ALTERED
            return Breakage.TRUNCATED if self._last > self._good.seq else Breakage.TORN
        line = _parsed(place)
        if line is None or not is_signed(line, self._public_key):
            return self._unsigned(line, following)
        if line.seq != self._good.seq + 1 or line.previous != self._good.hash:
            return self._misplaced(line, place)
        if any(mark.seq == line.seq and mark.hash != line.hash for mark in self._marks):
            return Breakage.ALTERED
        self._good = Head(seq=line.seq, hash=line.hash, file=place.file, size=place.end)
        self._recoveries += line.fields.get("kind") == "recovered"
        return None

    def _unsigned(self, line: Line | None, following: _Place | None) -> Breakage:
        after = _parsed(following) if following else None
        if after and (after.seq, after.previous) == (self._good.seq + 1, self._good.hash):
            return Breakage.INSERTED
        # Somebody has built the rest of the chain upon a line that the key did not sign.
        built_upon = {mark.hash for mark in self._marks} | ({after.previous} if after else set())
        return Breakage.BAD_SIGNATURE if line and line.hash in built_upon else Breakage.ALTERED

    def _misplaced(self, line: Line, place: _Place) -> Breakage:
        """A line that the key did sign, in a place that is not its own."""
        if line.seq <= self._good.seq + 1:
            return Breakage.INSERTED
        later = [
            found.seq
            for other in _places(self._directory, self._sizes)
            if (other.file, other.line) > (place.file, place.line) and (found := _parsed(other))
        ]
        if self._good.seq + 1 not in later:
            return Breakage.DELETED
        return Breakage.INSERTED if line.seq in later else Breakage.REORDERED


def _places(directory: Path, sizes: dict[int, int]) -> Iterator[_Place]:
    """Every line in order, in pieces of bounded length, up to the lengths given."""
    for number, size in sorted(sizes.items()):
        with (directory / disk.journal_name(number)).open("rb") as file:
            line, end = 0, 0
            while raw := file.readline(min(LONGEST + 1, size - end)):
                line, end = line + 1, end + len(raw)
                complete = raw.endswith(b"\n")
                yield _Place(file=number, line=line, raw=raw.removesuffix(b"\n"), complete=complete, end=end)


def _parsed(place: _Place) -> Line | None:
    if not place.complete:
        return None
    try:
        return parse_line(place.raw)
    except Malformed:
        return None
