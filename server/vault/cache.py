"""A cache on disk of what can be worked out again: sealed like everything else, bounded, and dropped without a loss.

Nothing refers to an entry but the request that asks for its name, and what it was made of is in that name: so no entry
is ever wrong, only old, and the oldest go first. Whatever cannot be read is simply not there.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
from pathlib import Path

from server.errors import SealBroken
from server.model import Randomness
from server.vault.envelope import NONCE_BYTES, open_value, seal_value

# The bound holds for each shard by itself, so that keeping to it means looking at one small directory.
SHARDS = 16
_NAME = re.compile(r"[0-9a-f]{64}", re.ASCII)
_LOG = logging.getLogger("safelight.cache")


class SealedCache:
    """Entries of at most a quarter of a shard under `root`, `capacity` bytes in all; safe for many processes."""

    def __init__(self, root: Path, randomness: Randomness, capacity: int) -> None:
        self._root = root
        self._randomness = randomness
        self._shard = capacity // SHARDS

    def get(self, key: bytes, name: str) -> bytes | None:
        """What was put under this key (32 bytes) and name (64 hexadecimal digits); None if it is not there.

        An entry that does not authenticate is removed: it is worked out again, as if it had never been.
        """
        path = self._path(name)
        try:
            sealed = path.read_bytes()
            os.utime(path)
        except OSError:
            return None
        try:
            return open_value(key, sealed, name)
        except SealBroken:
            _LOG.warning("a cached entry does not authenticate and is removed")
            path.unlink(missing_ok=True)
            return None

    def put(self, key: bytes, name: str, value: bytes) -> None:
        """Keep `value`, at the cost of the entries that were not asked for longest. A full disk keeps nothing."""
        path = self._path(name)
        sealed = seal_value(key, value, name, self._randomness.bytes(NONCE_BYTES, "cache"))
        if len(sealed) > self._shard // 4:
            return
        temporary = path.with_suffix(f".{self._randomness.bytes(8, 'cache-name').hex()}")
        try:
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.parent.mkdir(mode=0o700, exist_ok=True)
            self._make_room(path.parent, len(sealed))
            with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(sealed)
            temporary.replace(path)
        except OSError as error:
            _LOG.warning("nothing can be cached: %s", type(error).__name__)
            temporary.unlink(missing_ok=True)

    def drop(self) -> None:
        """Forget everything. Raises `OSError`."""
        shutil.rmtree(self._root, ignore_errors=False) if self._root.exists() else None

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

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise ValueError("an entry's name has 64 hexadecimal digits")
        return self._root / name[0] / name
