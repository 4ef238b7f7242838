"""The key service: key-encryption keys that wrap every other key and never leave it; here as one file.

A wrapped key is: suite byte (1), 8 bytes key id, then the key sealed by `envelope.seal_value`. Whoever loses the
keyring loses every film; whoever destroys one of its keys makes all that it wrapped unreadable for good, as far as no
copy of the keyring is left: bytes freed on a medium are not overwritten here, so keep it on an encrypted one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from server.errors import ConfigurationError, Conflict, KeyUnavailable, SealBroken
from server.model import Randomness
from server.vault.envelope import KEY_BYTES, NONCE_BYTES, open_value, seal_value
from server.vault.keyring_disk import Identity, check_directory, identity_of, load, locked, replace
from server.vault.keyring_format import KEY_ID_BYTES, Keyring

_SUITE_BYTE = b"\x01"


class KeyService(Protocol):
    """Wraps and unwraps keys of any length, each bound to a `context` that says what the key is for and whose."""

    def wrap(self, key: bytes, context: str) -> bytes:
        """Wrap under the active key-encryption key. Raises `KeyUnavailable`."""
        ...

    def unwrap(self, wrapped: bytes, context: str) -> bytes:
        """Raises `KeyUnavailable` for an unknown or destroyed key-encryption key, `SealBroken` for altered bytes."""
        ...

    def rotate(self) -> str:
        """Make a new key-encryption key the active one and return its id; former ones still unwrap."""
        ...

    def rewrap(self, wrapped: bytes, context: str) -> bytes:
        """Wrap anew under the active key-encryption key. Raises as `unwrap` does."""
        ...

    def destroy(self, key_id: str) -> None:
        """Destroy a key-encryption key for ever. Raises `KeyUnavailable` if unknown, `Conflict` if it is active."""
        ...


class KeyringFile:
    """A `KeyService` in one JSON file of mode 0600 in a directory of mode 0700, shared by several processes.

    Every call compares the file with what was read last, so a key that another process destroyed or a mode that
    somebody loosened counts at once. Changes replace the file whole, synced, under a lock file beside it.
    """

    def __init__(self, path: Path, randomness: Randomness) -> None:
        """Use `KeyringFile.create` or `KeyringFile.open`. Raises `ConfigurationError` as `open` does."""
        self._path = _followed(path)
        self._randomness = randomness
        self._read: tuple[Identity, Keyring] = load(self._path)

    @classmethod
    def create(cls, path: Path, randomness: Randomness) -> KeyringFile:
        """Make a new keyring with one key, and its directory (mode 0700) if it is missing.

        Raises `ConfigurationError` if there is a file already, or the directory is open to others or not writable.
        """
        path = _followed(path)
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            check_directory(path.parent)
            with locked(path):
                if os.path.lexists(path):
                    raise ConfigurationError("there is a keyring already; it is never overwritten")
                replace(path, _with_new_key(Keyring(active="", keys={}, destroyed=frozenset()), randomness))
        except OSError as error:
            raise ConfigurationError(f"the keyring cannot be written: {error.strerror}") from None
        return cls(path, randomness)

    @classmethod
    def open(cls, path: Path, randomness: Randomness) -> KeyringFile:
        """Open an existing keyring.

        Raises `ConfigurationError` if it is missing or malformed, belongs to another user, has further hard links, or
        if it or its directory grants anything to group or others.
        """
        return cls(path, randomness)

    def wrap(self, key: bytes, context: str) -> bytes:
        keyring = self._current()
        nonce = self._randomness.bytes(NONCE_BYTES, "key wrapping nonce")
        sealed = seal_value(keyring.keys[keyring.active], key, _context(keyring.active, context), nonce)
        return _SUITE_BYTE + bytes.fromhex(keyring.active) + sealed

    def unwrap(self, wrapped: bytes, context: str) -> bytes:
        key_id = wrapping_key_id(wrapped)
        key = self._current().keys.get(key_id)
        if key is None:
            raise KeyUnavailable("the key-encryption key is unknown or destroyed")
        return open_value(key, wrapped[1 + KEY_ID_BYTES :], _context(key_id, context))

    def rotate(self) -> str:
        with self._changing() as keyring:
            changed = _with_new_key(keyring, self._randomness)
            replace(self._path, changed)
        return changed.active

    def rewrap(self, wrapped: bytes, context: str) -> bytes:
        return self.wrap(self.unwrap(wrapped, context), context)

    def destroy(self, key_id: str) -> None:
        with self._changing() as keyring:
            if key_id not in keyring.keys:
                raise KeyUnavailable("the key-encryption key is unknown or destroyed")
            if key_id == keyring.active:
                raise Conflict("the active key-encryption key cannot be destroyed; rotate first")
            remaining = {known: key for known, key in keyring.keys.items() if known != key_id}
            replace(self._path, Keyring(active=keyring.active, keys=remaining, destroyed=keyring.destroyed | {key_id}))

    def _current(self) -> Keyring:
        try:
            identity, keyring = self._read
            if identity_of(os.lstat(self._path)) != identity:
                identity, keyring = self._read = load(self._path)
        except ConfigurationError as error:
            raise KeyUnavailable(str(error)) from None
        except OSError:
            raise KeyUnavailable("the keyring is gone") from None
        return keyring

    @contextmanager
    def _changing(self) -> Iterator[Keyring]:
        """Hold the lock and yield what the file says under it, or two processes could each lose the other's key."""
        try:
            with locked(self._path):
                yield load(self._path)[1]
        except ConfigurationError as error:
            raise KeyUnavailable(str(error)) from None
        except OSError as error:
            raise KeyUnavailable(f"the keyring cannot be changed: {error.strerror}") from None


def wrapping_key_id(wrapped: bytes) -> str:
    """Return the id of the key-encryption key that `wrapped` names (not yet authenticated). Raises `SealBroken`."""
    if wrapped[:1] != _SUITE_BYTE or len(wrapped) <= 1 + KEY_ID_BYTES:
        raise SealBroken("a wrapped key is truncated or of an unknown suite")
    return wrapped[1 : 1 + KEY_ID_BYTES].hex()


def check_apart(keyring_path: Path, data_directory: Path) -> None:
    """Refuse a keyring that whoever copies or steals the data directory would get with it.

    Looks at both paths as written and with all symbolic links followed, and at the identity of every directory above
    the keyring, which tells bind mounts. Raises `ConfigurationError`.
    """
    data = {_written(data_directory), _followed(data_directory)}
    for keyring in (_written(keyring_path), _followed(keyring_path)):
        above = [keyring, *keyring.parents]
        inside = not data.isdisjoint(above)
        if data_directory.exists():
            inside = inside or any(directory.samefile(data_directory) for directory in above if directory.exists())
        if inside:
            raise ConfigurationError("the keyring must not lie inside the data directory")


def _written(path: Path) -> Path:
    """The absolute path with its symbolic links as they are, which `Path.resolve` would follow."""
    return Path(os.path.abspath(path))  # noqa: PTH100


def _followed(path: Path) -> Path:
    """The absolute path with every symbolic link followed; unlike `Path.resolve`, never an error for a loop."""
    return Path(os.path.realpath(path))


def _context(key_id: str, context: str) -> str:
    return f"wrapped key {key_id} {context}"


def _with_new_key(keyring: Keyring, randomness: Randomness) -> Keyring:
    key_id = randomness.bytes(KEY_ID_BYTES, "key-encryption key id").hex()
    if key_id in keyring.keys or key_id in keyring.destroyed:
        raise KeyUnavailable("the random source repeats itself")
    key = randomness.bytes(KEY_BYTES, "key-encryption key")
    return Keyring(active=key_id, keys={**keyring.keys, key_id: key}, destroyed=keyring.destroyed)
