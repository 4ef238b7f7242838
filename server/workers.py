"""Which screening workers are alive: each holds a file lock, which the kernel gives back however its process ends.

So the film that a killed worker was busy with waits for nobody. Where locks do not reach (another machine's disk), the
lease in the catalogue runs out instead.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from server.model import ReviewReason
from server.services import Services

_NOBODY: Mapping[int, ReviewReason] = {}


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How a worker gets on: films since it began, and films a second over the last ones."""

    done: int
    rate: float


@contextmanager
def at_work(services: Services) -> Iterator[str]:
    """Announce a worker of this process and give it its name, at most 64 characters long."""
    name = f"{os.getpid()}-{services.randomness.bytes(8, 'worker').hex()}"
    directory = _directory(services)
    directory.mkdir(mode=0o700, exist_ok=True)
    path = directory / name
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield name
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def note_pace(services: Services, worker: str, pace: Pace) -> None:
    """Write a worker's pace where `paces` finds it; numbers only, and of no film in particular."""
    (_directory(services) / worker).write_text(json.dumps([pace.done, pace.rate]), "utf-8")


def paces(services: Services) -> list[Pace]:
    """The pace of every living worker on this machine."""
    directory = _directory(services)
    found = []
    for path in list(directory.iterdir()) if directory.is_dir() else []:
        try:
            with path.open("rb") as file:
                if _is_locked(file.fileno()):
                    done, rate = json.loads(file.read() or b"[0, 0]")
                    found.append(Pace(done=int(done), rate=float(rate)))
        except (FileNotFoundError, ValueError):
            # It has just ended, or is just writing.
            continue
    return found


def _is_locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


def release_ended(services: Services, how: Mapping[int, ReviewReason] = _NOBODY) -> int:
    """Give back to the queue what workers were busy with that have ended; returns how many films. Raises `Busy`.

    `how` tells of process ids how they ended, where that is known.
    """
    directory = _directory(services)
    if not directory.is_dir():
        return 0
    freed = 0
    for path in list(directory.iterdir()):
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            pid = path.name.partition("-")[0]
            fault = how.get(int(pid)) if pid.isdigit() else None
            freed += services.catalog.release(path.name, attempted=True, fault=fault)
            path.unlink(missing_ok=True)
        except BlockingIOError:
            continue
        finally:
            os.close(descriptor)
    return freed


def _directory(services: Services) -> Path:
    return services.settings.data / "workers"
