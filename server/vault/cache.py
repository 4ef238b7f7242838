"""A cache on disk of what can be worked out again: sealed like everything else, bounded, and dropped without a loss.

Nothing refers to an entry but the request that asks for its name, and what it was made of is in that name: so no entry
is ever wrong, only old, and the oldest go first. Whatever cannot be read is simply not there.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import shutil
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TypeVar

from server.errors import SealBroken
from server.model import Randomness
from server.vault.envelope import NONCE_BYTES, SEALED_BYTES, open_value, seal_value

# The bound holds for each shard by itself, so that keeping to it means looking at one small directory.
SHARDS = 16
_NAME = re.compile(r"[0-9a-f]{64}", re.ASCII)
_LOG = logging.getLogger("safelight.cache")
T = TypeVar("T")


class SealedCache:
    """Entries of at most a quarter of a shard under `root`, `capacity` bytes in all; safe for many processes."""

    def __init__(self, root: Path, randomness: Randomness, capacity: int) -> None:
        self._root = root
        self._randomness = randomness
        self._shard = capacity // SHARDS
        # What each shard has taken since it was last looked through, by this process; unknown at first.
        self._taken: dict[Path, int] = {}

    def get(self, key: bytes, name: str) -> bytes | None:
        """What was put under this key (32 bytes) and name (64 hexadecimal digits); None if it is not there.

        An entry that does not authenticate is removed: it is worked out again, as if it had never been.
        """
        return self._opened(name, lambda sealed: open_value(key, sealed, name))

    def get_pair(self, key: bytes, name: str, size: int) -> tuple[bytes, bytes] | None:
        """As `get`, what `put_pair` put with a `first` of so many bytes."""

        def both(sealed: bytes) -> tuple[bytes, bytes]:
            end = size + SEALED_BYTES
            first = open_value(key, sealed[:end], f"{name} first")
            return first, open_value(key, memoryview(sealed)[end:], f"{name} after {first.hex()}")

        return self._opened(name, both)

    def _opened(self, name: str, open_it: Callable[[bytes], T]) -> T | None:
        path = self._path(name)
        try:
            # Opened once, for its bytes, their number and the time of its use.
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                sealed = os.read(descriptor, os.fstat(descriptor).st_size)
                os.utime(descriptor)
            finally:
                os.close(descriptor)
        except OSError:
            return None
        try:
            return open_it(sealed)
        except SealBroken:
            _LOG.warning("a cached entry does not authenticate and is removed")
            Path(path).unlink(missing_ok=True)
            return None

    def put(self, key: bytes, name: str, value: bytes) -> None:
        """Keep `value`, at the cost of the entries that were not asked for longest. A full disk keeps nothing."""
        self._keep(name, seal_value(key, value, name, self._nonce()))

    def put_pair(self, key: bytes, name: str, first: bytes, second: bytes) -> None:
        """Keep two values as one, so that both are read without cutting them apart; `second` is bound to `first`."""
        sealed = seal_value(key, first, f"{name} first", self._nonce())
        self._keep(name, sealed + seal_value(key, second, f"{name} after {first.hex()}", self._nonce()))

    def _nonce(self) -> bytes:
        return self._randomness.bytes(NONCE_BYTES, "cache")

    def _keep(self, name: str, sealed: bytes) -> None:
        path = Path(self._path(name))
        if len(sealed) > self._shard // 4:
            return
        temporary = path.with_suffix(f".{self._randomness.bytes(8, 'cache-name').hex()}")
        try:
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.parent.mkdir(mode=0o700, exist_ok=True)
            self._take(path.parent, len(sealed))
            with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(sealed)
            temporary.replace(path)
        except OSError as error:
            _LOG.warning("nothing can be cached: %s", type(error).__name__)
            temporary.unlink(missing_ok=True)

    def drop(self) -> None:
        """Forget everything. Raises `OSError`."""
        shutil.rmtree(self._root, ignore_errors=False) if self._root.exists() else None

    def _take(self, shard: Path, wanted: int) -> None:
        """Looking through a shard of small entries takes longer than writing one: now and then is enough."""
        taken = self._taken.get(shard, self._shard) + wanted
        if taken > self._shard // 64:
            self._make_room(shard, wanted)
            taken = 0
        self._taken[shard] = taken

    def _make_room(self, shard: Path, wanted: int) -> None:
        found = []
        for entry in os.scandir(shard):
            try:
                status = entry.stat()
            except FileNotFoundError:
                continue
            found.append((status.st_mtime, status.st_size, entry.path))
        taken = sum(size for _, size, _ in found)
        for _, size, path in sorted(found):
            if taken + wanted <= self._shard:
                return
            Path(path).unlink(missing_ok=True)
            taken -= size

    def _path(self, name: str) -> str:
        if not _NAME.fullmatch(name):
            raise ValueError("an entry's name has 64 hexadecimal digits")
        return f"{self._root}/{name[0]}/{name}"


class SealedCaches:
    """One `SealedCache` a compartment below `root`, `capacity` bytes in all of them together.

    What is kept in one compartment never depends on what was put into another: not even by what had to go.
    """

    def __init__(self, root: Path, randomness: Randomness, capacity: int) -> None:
        self._root = root
        self._randomness = randomness
        self._capacity = capacity
        self._open: dict[tuple[str, int], SealedCache] = {}

    def of(self, compartment: str, count: int) -> SealedCache:
        """The cache of a compartment, one of `count` that share the capacity alike."""
        at = (compartment, max(count, 1))
        if at not in self._open:
            place = self._root / _compartment(compartment)
            self._open[at] = SealedCache(place, self._randomness, self._capacity // at[1])
        return self._open[at]

    def keep_only(self, compartments: Collection[str]) -> None:
        """Forget what lies in any other compartment. Raises `OSError`."""
        kept = {_compartment(one) for one in compartments}
        for path in self._root.iterdir() if self._root.is_dir() else ():
            if path.name not in kept:
                shutil.rmtree(path)

    def drop(self) -> None:
        """Forget everything. Raises `OSError`."""
        self.keep_only(())


def _compartment(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:32]
