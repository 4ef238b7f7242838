"""Sealed objects on disk: written once, whole or not at all, and read one segment at a time.

Names are random and say nothing. What a name means, and which version of it is the current one, stands in the
catalogue's `ObjectReference` alone; a file is only ever opened against such a reference.
"""

from __future__ import annotations

import errno
import math
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from server.errors import Conflict, SealBroken
from server.model import ObjectReference, Randomness
from server.model.readable import Readable
from server.vault.envelope import SALT_BYTES, OpenedHead, head_size, open_head, seal_segments, smallest_size, uncleared

_NAME = re.compile(r"[0-9a-f]{32}", re.ASCII)
_SHARD = re.compile(r"[0-9a-f]{2}", re.ASCII)
_TEMPORARY = re.compile(r"[0-9a-f]{32}\.part", re.ASCII)
_STALE_SECONDS = 3600.0
_READ_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_CREATE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW


class ObjectStore:
    """The sealed objects below one directory, as `<root>/<first two digits>/<name>`. Holds no key.

    Of its state it knows only which of the directories it has made durable itself, which they stay.
    """

    def __init__(self, root: Path, randomness: Randomness) -> None:
        self._root = root
        self._randomness = randomness
        self._durable: set[str] = set()

    def put(
        self, study_key: bytes, kind: str, segments: Sequence[bytes | memoryview | Readable], *, version: int = 1
    ) -> ObjectReference:
        """Seal `segments` (at least one; each below 2 GiB, may be empty) as a new object and make it durable.

        Returns once file and directories are synced. Raises `ValueError` for no segments, an empty kind, a version
        below 1 or a key that is not 32 bytes long, `TooLarge` for a segment above 2 GiB, `Conflict` when the
        random name is taken (a broken random source: nothing is sealed a second time), `OSError` when the disk
        refuses. Then no temporary file is left, and at most an orphan that `names` shows and nothing refers to.
        """
        reference = self.write(study_key, kind, segments, version=version)
        self.settle([reference])
        return reference

    def write(
        self,
        study_key: bytes,
        kind: str,
        segments: Sequence[bytes | memoryview | Readable],
        *,
        version: int = 1,
        beside: ObjectReference | None = None,
    ) -> ObjectReference:
        """As `put`, but the object's name is durable only after `settle`: for several that are settled together.

        It comes into the same directory as `beside`, if that is given.
        """
        if not kind or version < 1:
            raise ValueError("an object has a kind and a version of at least 1")
        name = self._randomness.bytes(16, f"object name {kind}").hex()
        if beside is not None:
            name = beside.name[:2] + name[2:]
        salt = self._randomness.bytes(SALT_BYTES, f"object salt {kind}")
        reference = ObjectReference(name=name, kind=kind, version=version, segments=len(segments))
        self._write(self._path(reference), seal_segments(study_key, reference, segments, salt))
        return reference

    def settle(self, references: Iterable[ObjectReference]) -> None:
        """Make the names of these objects durable; then they are as after `put`. Raises `OSError`."""
        shards = {reference.name[:2] for reference in references}
        for shard in sorted(shards):
            _sync_directory(self._root / shard)
        if not shards <= self._durable:
            _sync_directory(self._root)
            self._durable |= shards

    def open_segment(self, study_key: bytes, reference: ObjectReference, index: int) -> bytes:
        """Return segment `index` (from 0), reading nothing but the head and that one segment.

        Raises `SealBroken` when the file is missing, unreadable, altered, swapped, truncated or prolonged, or the
        key or the reference is another one, `IndexError` when the reference counts no such segment.
        """
        if not 0 <= index < reference.segments:
            raise IndexError("the object has no such segment")
        with self._opened(study_key, reference) as (descriptor, head):
            return _read_segment(descriptor, head, index)

    def open_segments(self, study_key: bytes, reference: ObjectReference, indices: Iterable[int]) -> list[bytes]:
        """Return several segments, in the order of `indices`, of a file opened once. Raises as `open_segment`."""
        wanted = list(indices)
        if not all(0 <= index < reference.segments for index in wanted):
            raise IndexError("the object has no such segment")
        with self._opened(study_key, reference) as (descriptor, head):
            return [_read_segment(descriptor, head, index) for index in wanted]

    def open_large_segment(self, study_key: bytes, reference: ObjectReference, index: int) -> memoryview:
        """As `open_segment`, in memory of its own that may be written to, as what has many megabytes is masked."""
        if not 0 <= index < reference.segments:
            raise IndexError("the object has no such segment")
        with self._opened(study_key, reference) as (descriptor, head):
            offset, length = head.span(index)
            return head.open_large_segment(index, _read_large(descriptor, length, offset))

    def open_all(self, study_key: bytes, reference: ObjectReference) -> list[bytes]:
        """Return all segments in order. Raises `SealBroken` as `open_segment` does."""
        with self._opened(study_key, reference) as (descriptor, head):
            return [_read_segment(descriptor, head, index) for index in range(reference.segments)]

    def delete(self, reference: ObjectReference) -> None:
        """Remove the object's file for good; nothing happens if there is none. Raises `OSError`."""
        path = self._path(reference)
        path.unlink(missing_ok=True)
        if path.parent.is_dir():
            _sync_directory(path.parent)

    def names(self, *, before: float = math.inf) -> Iterator[str]:
        """Yield the names of all objects on disk, in no order, to find those that no catalogue row refers to.

        With `before` (seconds since the epoch), only those that were written earlier.
        """
        for path in self._files():
            if not _NAME.fullmatch(path.name) or not path.name.startswith(path.parent.name):
                continue
            try:
                if path.lstat().st_mtime < before:
                    yield path.name
            except FileNotFoundError:
                continue

    def sweep_temporaries(self, now: float) -> int:
        """Remove what interrupted writes left more than an hour before `now` (seconds since the epoch); count them."""
        swept = 0
        for path in self._files():
            if _TEMPORARY.fullmatch(path.name) and path.lstat().st_mtime < now - _STALE_SECONDS:
                path.unlink(missing_ok=True)
                swept += 1
        return swept

    def _files(self) -> Iterator[Path]:
        if not self._root.is_dir():
            return
        for shard in self._root.iterdir():
            if _SHARD.fullmatch(shard.name):
                yield from shard.iterdir()

    def _path(self, reference: ObjectReference) -> Path:
        if not _NAME.fullmatch(reference.name):
            raise SealBroken("a reference does not hold an object name")
        return self._root / reference.name[:2] / reference.name

    def _write(self, path: Path, pieces: Iterator[bytes]) -> None:
        temporary = path.with_name(path.name + ".part")
        try:
            # A taken name is refused before sealing: the same name may well come with the same salt.
            if os.path.lexists(path):
                raise FileExistsError
            descriptor = self._create(temporary)
        except FileExistsError:
            raise Conflict("a random object name is already taken") from None
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.writelines(pieces)
                file.flush()
                os.fsync(file.fileno())
            # A link, unlike a rename, never overwrites.
            os.link(temporary, path)
        except FileExistsError:
            raise Conflict("a random object name is already taken") from None
        finally:
            temporary.unlink(missing_ok=True)

    def _create(self, path: Path) -> int:
        try:
            return os.open(path, _CREATE_FLAGS, 0o600)
        except FileNotFoundError:
            # Whoever makes a directory, or finds one that vanished, has its name to make durable again.
            self._durable.discard(path.parent.name)
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.parent.mkdir(mode=0o700, exist_ok=True)
            return os.open(path, _CREATE_FLAGS, 0o600)

    @contextmanager
    def _opened(self, study_key: bytes, reference: ObjectReference) -> Iterator[tuple[int, OpenedHead]]:
        """Open the file once and hold on to it, so that head and segments come from one and the same file."""
        path = self._path(reference)
        try:
            descriptor = os.open(path, _READ_FLAGS)
        except OSError as error:
            raise _unreadable(error) from None
        try:
            status = os.fstat(descriptor)
            # Before anything of the size that the reference speaks of is read. What is no regular file ends here too.
            if status.st_size < smallest_size(reference):
                raise SealBroken("a sealed object is truncated")
            head = open_head(study_key, reference, _read(descriptor, head_size(reference), 0))
            if head.object_size != status.st_size:
                raise SealBroken("a sealed object is shorter or longer than its table says")
            yield descriptor, head
        finally:
            os.close(descriptor)


def _read_segment(descriptor: int, head: OpenedHead, index: int) -> bytes:
    offset, length = head.span(index)
    return head.open_segment(index, _read(descriptor, length, offset))


def _read(descriptor: int, count: int, offset: int) -> bytes:
    """Return `count` bytes from `offset`; a single read in all but the rarest cases. Raises `SealBroken`."""
    pieces: list[bytes] = []
    while count:
        try:
            piece = os.pread(descriptor, count, offset)
        except OSError as error:
            raise _unreadable(error) from None
        if not piece:
            raise SealBroken("a sealed object ends before its time")
        pieces.append(piece)
        count, offset = count - len(piece), offset + len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _read_large(descriptor: int, count: int, offset: int) -> memoryview:
    """As `_read`, into memory that nobody has cleared first."""
    into = uncleared(count)
    at = 0
    while at < count:
        try:
            done = os.preadv(descriptor, [into[at:]], offset + at)
        except OSError as error:
            raise _unreadable(error) from None
        if not done:
            raise SealBroken("a sealed object ends before its time")
        at += done
    return into


def _unreadable(error: OSError) -> SealBroken:
    return SealBroken(f"a sealed object cannot be read: {errno.errorcode.get(error.errno or 0, 'unknown')}")


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
