"""The keyring's file on disk: who may read it, how it is locked and replaced."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from server.errors import ConfigurationError
from server.vault.keyring_format import Keyring, parse_keyring, serialise_keyring

_LARGEST_FILE = 2**24
_CREATE_FLAGS = os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW

Identity = tuple[int, int, int, int, int]
"""Device, inode, size and times of a file."""


def identity_of(status: os.stat_result) -> Identity:
    """Return what changes whenever the file is replaced, written to or given another mode."""
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def load(path: Path) -> tuple[Identity, Keyring]:
    """Read the keyring at `path`. Raises `ConfigurationError` if it is missing, malformed or open to others."""
    try:
        check_directory(path.parent)
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(file.fileno())
            _check_file(status)
            return identity_of(status), parse_keyring(file.read(_LARGEST_FILE))
    except OSError as error:
        raise ConfigurationError(f"the keyring cannot be read: {error.strerror}") from None


def check_directory(directory: Path) -> None:
    """Raise `ConfigurationError` unless the directory is this user's and nobody else's; `OSError` if missing."""
    status = directory.stat()
    if status.st_uid != os.geteuid() or status.st_mode & 0o077:
        raise ConfigurationError("the keyring's directory must be the server's own, with mode 0700")


def _check_file(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise ConfigurationError("the keyring is not a regular file")
    if status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & ~0o600:
        raise ConfigurationError("the keyring must be the server's own, with mode 0600")
    # None at all is a file that was replaced since it was opened: as good as read a moment earlier.
    if status.st_nlink > 1:
        raise ConfigurationError("the keyring has another name elsewhere (a hard link)")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file beside `path` against all other processes and threads. Raises `OSError`."""
    descriptor = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | _CREATE_FLAGS, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def replace(path: Path, keyring: Keyring) -> None:
    """Put `keyring` in the file's place, whole and synced. Only under the lock: a leftover may then be removed.

    Raises `OSError`; then the former file is still there.
    """
    temporary = path.with_name(path.name + ".new")
    temporary.unlink(missing_ok=True)
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_EXCL | _CREATE_FLAGS, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(serialise_keyring(keyring))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
