"""Base renditions on disk: sealed beside the original that they were made of, and opened part by part.

A base is an original in the sense of the vault: sealed under a key of its study, named in its associated data by
object, level and form, and removed with its object. It may be removed at any other time too: nothing refers to it. What
cannot be read or does not authenticate is not there.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import shutil
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from server.errors import SealBroken
from server.model import ObjectReference, Randomness
from server.vault.envelope import SALT_BYTES, OpenedHead, derive, head_size, open_head, seal_segments, smallest_size

_NAME = re.compile(r"[0-9a-f]{32}", re.ASCII)
_LOG = logging.getLogger("safelight.bases")


class OpenBase:
    """An opened base rendition; its parts count from 0."""

    def __init__(self, descriptor: int, head: OpenedHead) -> None:
        self._descriptor = descriptor
        self._head = head

    def part(self, index: int) -> bytes:
        """One part, authenticated by itself. Raises `SealBroken`."""
        offset, length = self._head.span(index)
        return self._head.open_segment(index, os.pread(self._descriptor, length, offset))


class SealedBases:
    """Bases as `<root>/<digest of the level's name>/<first two digits>/<object name>`, `capacity` bytes in all.

    Every base has `parts` parts. `form` names how they are made: those that were made in another way are not there.
    Holds no key; safe for many processes.
    """

    def __init__(self, root: Path, randomness: Randomness, *, form: str, parts: int, capacity: int) -> None:
        self._root = root
        self._randomness = randomness
        self._form = form
        self._parts = parts
        self._capacity = capacity

    @contextmanager
    def opened(self, study_key: bytes, reference: ObjectReference, level: str, label: str) -> Iterator[OpenBase | None]:
        """The base of an object at the level of this name, made under this very label; None if there is none.

        One that turns out not to authenticate, now or later, is removed; later that raises `SealBroken`.
        """
        path = self._path(level, reference.name)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            yield None
            return
        try:
            yield OpenBase(descriptor, self._head(study_key, descriptor, self._bound(reference, level, label)))
        except SealBroken:
            _LOG.warning("a base rendition is not what is asked for and is removed")
            path.unlink(missing_ok=True)
            raise
        finally:
            os.close(descriptor)

    def put(self, study_key: bytes, reference: ObjectReference, level: str, label: str, parts: Sequence[bytes]) -> None:
        """Keep a base in place of an earlier one of this object and level. A full disk keeps nothing.

        Raises ValueError for another number of parts.
        """
        path = self._path(level, reference.name)
        salt = self._randomness.bytes(SALT_BYTES, "base rendition")
        pieces = seal_segments(derive(study_key, "base rendition"), self._bound(reference, level, label), parts, salt)
        temporary = path.with_name(f"{path.name}.{self._randomness.bytes(8, 'base-name').hex()}")
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.writelines(pieces)
            temporary.replace(path)
            self._keep_within()
        except OSError as error:
            _LOG.warning("no base rendition can be kept: %s", type(error).__name__)
            temporary.unlink(missing_ok=True)

    def delete(self, name: str) -> None:
        """Remove every base of the object of this name; nothing happens if there is none. Raises `OSError`."""
        for level in self._levels():
            (level / name[:2] / name).unlink(missing_ok=True)

    def names(self) -> Iterator[str]:
        """The names of the objects that there are bases of, in no order, some more than once."""
        yield from (path.name for path in self._files() if _NAME.fullmatch(path.name))

    def keep_only(self, levels: Collection[str]) -> None:
        """Forget the bases of all other levels. Raises `OSError`."""
        kept = {_compartment(one) for one in levels}
        for path in self._levels():
            if path.name not in kept:
                shutil.rmtree(path)

    def _keep_within(self) -> None:
        """The oldest go first. Looked through at every base that is made: that takes far longer than to look."""
        found = []
        for path in self._files():
            try:
                status = path.stat()
            except FileNotFoundError:
                continue
            found.append((status.st_mtime, status.st_size, path))
        taken = sum(size for _, size, _ in found)
        for _, size, path in sorted(found):
            if taken <= self._capacity:
                return
            path.unlink(missing_ok=True)
            taken -= size

    def _head(self, study_key: bytes, descriptor: int, bound: ObjectReference) -> OpenedHead:
        size = os.fstat(descriptor).st_size
        if size < smallest_size(bound):
            raise SealBroken("a base rendition is truncated")
        head = open_head(derive(study_key, "base rendition"), bound, os.pread(descriptor, head_size(bound), 0))
        if head.object_size != size:
            raise SealBroken("a base rendition is shorter or longer than its table says")
        return head

    def _bound(self, reference: ObjectReference, level: str, label: str) -> ObjectReference:
        kind = f"base/{self._form}/{level}/{label}"
        return ObjectReference(name=reference.name, kind=kind, version=reference.version, segments=self._parts)

    def _levels(self) -> list[Path]:
        return list(self._root.iterdir()) if self._root.is_dir() else []

    def _files(self) -> Iterator[Path]:
        for level in self._levels():
            for shard in level.iterdir():
                yield from shard.iterdir()

    def _path(self, level: str, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise ValueError("a reference does not hold an object name")
        return self._root / _compartment(level) / name[:2] / name


def _compartment(level: str) -> str:
    return hashlib.sha256(level.encode()).hexdigest()[:32]
