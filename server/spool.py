"""A large body on its way in: sealed on the disk piece by piece, read back in slices, never in memory as a whole.

The key is one of this body alone and is in memory alone, and the file has no name: what a crash leaves behind is
nothing, and what somebody copies off the disk in the meantime is noise (AES-GCM, NIST SP 800-38D; the nonce counts).
"""

from __future__ import annotations

import errno
import os
import tempfile
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from server.errors import SealBroken, StorageUnavailable, TooLarge
from server.model import Randomness
from server.model.readable import Readable

IN_MEMORY = 32 * 1024 * 1024
"""Bodies up to so many bytes stay in memory."""
PIECE = 1024 * 1024
_TAG = 16
_LEAST_AT_ONCE = 64 * 1024
_KEPT = 4


class Spooled:
    """A body in a sealed file without a name. For one thread; ends with the last reference to it."""

    def __init__(self, directory: Path, randomness: Randomness) -> None:
        self._cipher = AESGCM(randomness.bytes(32, "spool key"))
        self._length = 0
        self._kept: OrderedDict[int, bytes] = OrderedDict()
        try:
            self._file, name = tempfile.mkstemp(dir=directory)
            weakref.finalize(self, os.close, self._file)
            Path(name).unlink()
        except OSError as error:
            raise _refused(error) from error

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, key: slice, /) -> bytes:
        start, stop, _ = key.indices(self._length)
        if stop <= start:
            return b""
        first, last = start // PIECE, (stop - 1) // PIECE
        if first == last:
            return self._piece(first)[start - first * PIECE : stop - first * PIECE]
        found = bytearray()
        for index in range(first, last + 1):
            piece = self._piece(index)
            found += memoryview(piece)[max(0, start - index * PIECE) : max(0, stop - index * PIECE)]
        return bytes(found)

    def append(self, piece: bytes) -> None:
        """Seal the next piece; all but the last have `PIECE` bytes. Raises `StorageUnavailable`."""
        if self._length % PIECE or not 0 < len(piece) <= PIECE:
            raise ValueError("a piece has its full length, or is the last one")
        sealed = memoryview(self._cipher.encrypt(_nonce(self._length // PIECE), piece, None))
        try:
            while sealed:
                sealed = sealed[os.write(self._file, sealed) :]
        except OSError as error:
            raise _refused(error) from error
        self._length += len(piece)

    def _piece(self, index: int) -> bytes:
        known = self._kept.get(index)
        if known is None:
            sealed = os.pread(self._file, PIECE + _TAG, index * (PIECE + _TAG))
            try:
                known = self._cipher.decrypt(_nonce(index), sealed, None)
            except InvalidTag as error:
                raise SealBroken("a body on its way in was tampered with") from error
            self._kept[index] = known
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return known


class Window:
    """A part of a readable run of bytes, itself one; nothing is copied before it is sliced."""

    def __init__(self, whole: Readable, start: int, stop: int) -> None:
        self._whole, self._start, self._stop = whole, start, stop

    def __len__(self) -> int:
        return self._stop - self._start

    def __getitem__(self, key: slice, /) -> bytes:
        start, stop, _ = key.indices(len(self))
        return self._whole[self._start + start : self._start + max(start, stop)]

    def __bytes__(self) -> bytes:
        return self[:]

    def view(self) -> memoryview | None:
        """All of it where it lies in memory, if it does."""
        return memoryview(self._whole)[self._start : self._stop] if isinstance(self._whole, bytes) else None


def received(
    read: Callable[[int], bytes], limit: int, directory: Path, randomness: Randomness, *, told: int = 0
) -> bytes | Spooled:
    """All that `read` gives, at most `limit` bytes, in memory as far as it is small; `told` is how many are to come.

    Raises `TooLarge` for more than `limit` bytes, `StorageUnavailable` when the disk refuses.
    """
    # What is asked for is set aside at once, however little comes; but each piece of it is copied once more.
    at_once = min(max(told, _LEAST_AT_ONCE), PIECE)
    held: list[bytes] = []
    total = 0
    while total <= IN_MEMORY and (piece := read(min(at_once, limit + 1 - total))):
        held.append(piece)
        total += len(piece)
        if total > limit:
            raise TooLarge
    if total <= IN_MEMORY:
        return held[0] if len(held) == 1 else b"".join(held)
    return _spooled(held, lambda: read(at_once), limit, Spooled(directory, randomness))


def _spooled(held: list[bytes], read: Callable[[], bytes], limit: int, spool: Spooled) -> Spooled:
    """What is `held` already and the rest, brought to pieces of one length."""
    waiting, total = bytearray(), 0
    for piece in chain(_taken(held), iter(read, b"")):
        total += len(piece)
        if total > limit:
            raise TooLarge
        waiting += piece
        while len(waiting) >= PIECE:
            spool.append(bytes(memoryview(waiting)[:PIECE]))
            del waiting[:PIECE]
    if waiting:
        spool.append(bytes(waiting))
    return spool


def _taken(held: list[bytes]) -> Iterator[bytes]:
    """Each in turn, and out of memory then."""
    held.reverse()
    while held:
        yield held.pop()


def find(data: Readable, wanted: bytes, start: int, stop: int | None = None) -> int:
    """Where `wanted` first lies wholly within `data[start:stop]`, -1 if nowhere, as `bytes.find`."""
    if isinstance(data, bytes):
        return data.find(wanted, start, stop)
    end = len(data) if stop is None else min(stop, len(data))
    while start < end:
        upto = min(end, (start // PIECE + 1) * PIECE)
        # As far into the next piece as something that begins in this one can reach.
        found = data[start : min(end, upto + len(wanted) - 1)].find(wanted)
        if found >= 0:
            return start + found
        start = upto
    return -1


def in_memory(data: Readable) -> memoryview | None:
    """The whole without a copy, if it lies in memory."""
    if isinstance(data, Window):
        return data.view()
    return memoryview(data) if isinstance(data, bytes) else None


def pieces(data: Readable) -> Iterator[bytes | memoryview]:
    """The whole in order; what is not in memory, a bounded number of bytes at a time."""
    if (view := in_memory(data)) is not None:
        yield view
        return
    for start in range(0, len(data), PIECE):
        yield data[start : start + PIECE]


def _nonce(index: int) -> bytes:
    return index.to_bytes(12, "big")


def _refused(error: OSError) -> StorageUnavailable:
    return StorageUnavailable(f"receiving failed: {errno.errorcode.get(error.errno or 0, '?')}")
