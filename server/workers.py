"""Which screening workers are alive: each holds a file lock, which the kernel gives back however its process ends.

So the film that a killed worker was busy with waits for nobody. Where locks do not reach (another machine's disk), the
lease in the catalogue runs out instead.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from server.services import Services


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


def release_ended(services: Services) -> int:
    """Give back to the queue what workers were busy with that have ended; returns how many films. Raises `Busy`."""
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
            freed += services.catalog.release(path.name, attempted=True)
            path.unlink(missing_ok=True)
        except BlockingIOError:
            continue
        finally:
            os.close(descriptor)
    return freed


def _directory(services: Services) -> Path:
    return services.settings.data / "workers"
