"""The few system calls of the journal. Every failure is an `OSError`, which the callers turn into a refusal."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HEAD_NAME = "head"
LOCK_NAME = "lock"

_PATIENCE = 10_000
_PAUSE = 0.001
_NAME = re.compile(r"journal-([0-9]{6,})\.jsonl", re.ASCII)


def journal_name(number: int) -> str:
    """The name of the journal's file with this number (from 1)."""
    return f"journal-{number:06d}.jsonl"


def journal_numbers(directory: Path) -> list[int]:
    """The numbers of the files that are there, ascending."""
    found = [(path.name, match) for path in directory.iterdir() if (match := _NAME.fullmatch(path.name))]
    return sorted(int(match[1]) for name, match in found if name == journal_name(int(match[1])))


@contextmanager
def opened(path: Path | str, flags: int) -> Iterator[int]:
    """A file descriptor that is closed afterwards; a new file is its owner's alone, a symbolic link is refused."""
    descriptor = os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def locked(directory: Path, *, shared: bool = False) -> Iterator[None]:
    """Hold the journal's lock among processes. Opened anew each time, so that a fork never inherits a held lock.

    Gives up after ten seconds, so that a stopped process that holds it makes the others refuse and not hang.
    """
    with opened(f"{directory}/{LOCK_NAME}", os.O_RDONLY if shared else os.O_RDWR) as descriptor:
        operation = (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB
        for _ in range(_PATIENCE):
            try:
                fcntl.flock(descriptor, operation)
                break
            except BlockingIOError:
                time.sleep(_PAUSE)
        else:
            raise OSError(errno.EDEADLK, "the lock of the journal is held by another process")
        yield


def read_at(descriptor: int, count: int, offset: int) -> bytes:
    """Up to `count` bytes from `offset`; fewer only at the end of the file."""
    parts: list[bytes] = []
    while count > 0 and (part := os.pread(descriptor, count, offset)):
        parts.append(part)
        count -= len(part)
        offset += len(part)
    return b"".join(parts)


def write_at(descriptor: int, data: bytes, offset: int) -> None:
    """Write all of `data` at `offset`, however few bytes the system takes at a time."""
    view = memoryview(data)
    while view:
        count = os.pwrite(descriptor, view, offset)
        if count < 1:
            raise OSError(errno.EIO, "nothing was written")
        view = view[count:]
        offset += count


def write_new(path: Path, data: bytes) -> None:
    """Make `path` hold exactly `data`, durably except for its name in the directory."""
    with opened(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) as descriptor:
        write_at(descriptor, data, 0)
        os.fsync(descriptor)


def sync_directory(directory: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
