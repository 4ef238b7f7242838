"""Decoding outside this process: what a damaged or hostile codestream can reach is one child that holds nothing."""

from __future__ import annotations

import fcntl
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Self

import numpy as np
from numpy.typing import NDArray

from server.errors import Busy, DecodeFailed
from server.pixels import decoder_child
from server.pixels.decoder_child import REPLY, REQUEST, TYPES

_PIPE_BYTES = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Codestream:
    """What the child is asked: `codec` is one of rle, jpeg, jpeg-ls, jpeg2000, htj2k; `rle_type` a NumPy type."""

    codec: str
    data: bytes
    rows: int
    columns: int
    samples: int
    rle_type: str = "<u1"


class _Child:
    """One decoder process; not to be used by two threads at once."""

    def __init__(self, memory_bytes: int) -> None:
        self.owner = os.getpid()
        # Isolated mode: neither the environment nor the working directory can place a module in the child's way.
        self.process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-I", str(Path(decoder_child.__file__).resolve()), str(memory_bytes)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            cwd="/",
            close_fds=True,
            start_new_session=True,
        )
        for pipe in (self.stdin, self.stdout):
            try:
                fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
            except OSError:
                continue

    @property
    def stdin(self) -> BinaryIO:
        assert self.process.stdin is not None
        return self.process.stdin  # type: ignore[return-value]

    @property
    def stdout(self) -> BinaryIO:
        assert self.process.stdout is not None
        return self.process.stdout  # type: ignore[return-value]

    def ask(self, stream: Codestream) -> NDArray[Any] | None:
        """Return the samples, None if the child refused the stream. Raises OSError or ValueError if it misbehaved."""
        header = {"codec": stream.codec, "rows": stream.rows, "columns": stream.columns, "samples": stream.samples}
        encoded = json.dumps({**header, "rle_type": stream.rle_type}).encode()
        self.stdin.write(REQUEST.pack(len(encoded), len(stream.data)) + encoded)
        self.stdin.write(stream.data)
        self.stdin.flush()
        head = self.stdout.read(REPLY.size)
        if len(head) != REPLY.size:
            raise ValueError("the decoder went away")
        status, kind, length = REPLY.unpack(head)
        if status == 1 and length == 0:
            return None
        shape = (stream.rows, stream.columns, stream.samples)
        name = kind.decode("ascii", "replace")
        if status != 0 or name not in TYPES or length != int(np.prod(shape)) * int(name[1]):
            raise ValueError("the decoder returned the wrong size")
        samples = np.empty(shape, f"<{name}")
        if self.stdout.readinto(samples.data.cast("B")) != length:  # type: ignore[attr-defined]
            raise ValueError("the decoder went away")
        return samples

    def close(self) -> None:
        """Kill and reap the process; a process inherited through a fork is left to the one that began it."""
        if self.owner == os.getpid():
            self.process.kill()
            self.process.wait()
        for pipe in (self.stdin, self.stdout):
            try:
                pipe.close()
            except OSError:
                continue


class DecoderPool:
    """At most `size` persistent child interpreters, begun when first needed and begun again after any fault.

    A child has `memory_bytes` of address space and `timeout_seconds` for a frame; beyond that it is killed. Safe to
    use from several threads. To be closed, or used as a context manager.
    """

    def __init__(self, size: int, timeout_seconds: float, memory_bytes: int) -> None:
        self._timeout = timeout_seconds
        self._memory = memory_bytes
        # Last in, first out: a calm server keeps to one warm child.
        self._places: queue.LifoQueue[_Child | None] = queue.LifoQueue()
        self._size = size
        for _ in range(size):
            self._places.put(None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def decode(self, stream: Codestream) -> NDArray[Any]:
        """Return (rows, columns, samples) as the codestream has them, in its own type.

        Raises `DecodeFailed` when the child refuses, crashes, hangs or answers the wrong size, `Busy` when no child
        comes free in time.
        """
        try:
            child = self._places.get(timeout=self._timeout)
        except queue.Empty:
            raise Busy("every decoder is occupied") from None
        try:
            if child is not None and (child.owner != os.getpid() or child.process.poll() is not None):
                child.close()
                child = None
            child = child or _Child(self._memory)
            watchdog = threading.Timer(self._timeout, child.process.kill)
            watchdog.start()
            healthy = False
            try:
                samples = child.ask(stream)
                healthy = True
            except (OSError, ValueError):
                raise DecodeFailed("the decoder process failed") from None
            finally:
                watchdog.cancel()
                if not healthy:
                    child.close()
                    child = None
        finally:
            self._places.put(child)
        if samples is None:
            raise DecodeFailed("the decoder refused the codestream")
        return samples

    def process_ids(self) -> list[int]:
        """Process ids of the idle children."""
        with self._places.mutex:
            return [child.process.pid for child in self._places.queue if child is not None]

    def close(self) -> None:
        """Kill every child; to be called when no request is under way."""
        for _ in range(self._size):
            child = self._places.get(timeout=self._timeout)
            if child is not None:
                child.close()
        for _ in range(self._size):
            self._places.put(None)


class Gate:
    """How many frames are decoded and masked at once in one process, each of which takes the memory of whole films.

    Lets `places` callers through at a time; whoever finds none free within `patience_seconds` is told to come again.
    """

    def __init__(self, places: int, patience_seconds: float) -> None:
        self._places = threading.BoundedSemaphore(places)
        self._patience = patience_seconds

    @contextmanager
    def passed(self) -> Iterator[None]:
        """Hold one of the places. Not to be nested. Raises `Busy`."""
        if not self._places.acquire(timeout=self._patience):
            raise Busy("as many frames as may be are being decoded")
        try:
            yield
        finally:
            self._places.release()
