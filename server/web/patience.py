"""A socket on which threads wait for slow clients by a credit, and not without an end."""

from __future__ import annotations

import time
from collections.abc import Callable
from errno import ECONNRESET
from ssl import SSLWantReadError, SSLWantWriteError
from threading import Semaphore
from typing import Any, Protocol, TypeVar

from server.errors import Busy

PIECE = 64 * 1024
LEFT = 256 * 1024
"""The most bytes of an answer that wait for a slow reader without a thread."""
LAG_SECONDS = 1.0
"""How much longer than at `FAST` times the slowest rate a body may take to come before it is a slow one."""
FAST = 128
# The head of an answer is shorter, and goes with what follows it.
_HEAD = 8 * 1024
# So much is handed to the system in one go. More would fill its buffer, and it takes long until that has room again.
_STROKE = 1024 * 1024
T = TypeVar("T")


class _Lagging(Exception):
    """A body is a slow one from here on."""


class Raw(Protocol):
    """What is used of a socket, plain or TLS."""

    def recv(self, size: int, /) -> bytes: ...
    def send(self, data: memoryview | bytes, /) -> int: ...
    def settimeout(self, seconds: float | None, /) -> None: ...


class Patient:
    """A socket on which a thread waits by a credit: `seconds` at first and at most, again after `seconds * rate` bytes.

    So no wait is longer than `seconds`, and no request is slower than `rate` bytes a second for long. Time that the
    server itself takes is not counted. Raises `ConnectionResetError` once the credit is used up.

    A body that comes much slower than `FAST * rate` needs one of `turns` to go on; where none is left, `Busy`.
    """

    def __init__(
        self, raw: Raw, *, seconds: float, rate: int, turns: Semaphore, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._raw = raw
        self._seconds = seconds
        self._rate = rate
        self._clock = clock
        self._credit = seconds
        self._bound: float | None = None
        self._turns = turns
        self._taken = False
        self._lag = 0.0
        self.turned_away = False
        self._opening = False
        self.left = b""

    def begin(self) -> None:
        """A new request begins, with the whole credit. What is sent first for it stays in `left` until more is."""
        self._credit = self._seconds
        self._opening = True
        self._lag = 0.0

    def end(self) -> None:
        """The thread is done with the request: its turn, if it took one, is another's."""
        if self._taken:
            self._taken = False
            self._turns.release()

    def recv(self, size: int) -> bytes:
        """Raises `Busy` where the body has become a slow one and other slow ones have all the turns."""
        while True:
            if not self._taken and self._lag >= LAG_SECONDS:
                self._take_turn()
            most = None if self._taken else LAG_SECONDS - self._lag
            began = self._clock()
            try:
                data = self._moved(lambda: self._raw.recv(size), len, most=most)
            except _Lagging:
                self._lag = LAG_SECONDS
            else:
                waited = self._clock() - began
                self._lag = max(self._lag + waited - len(data) / (FAST * self._rate), 0.0)
                return data

    def _take_turn(self) -> None:
        self._taken = not self.turned_away and self._turns.acquire(blocking=False)
        if not self._taken:
            self.turned_away = True
            raise Busy

    def send(self, data: memoryview | bytes) -> int:
        return self._moved(lambda: self._raw.send(data), int)

    def sendall(self, data: bytes) -> None:
        """Send it, but for an end of at most `LEFT` bytes that goes nowhere yet: that stays in `left`, for the loop."""
        opening, self._opening = self._opening, False
        if opening and len(data) <= _HEAD:
            self.left += data
            return
        rest = memoryview(data)
        if self.left:
            # The copy of a piece, not of the whole.
            first, rest = self._at_once(memoryview(self.left + rest[:PIECE])), rest[PIECE:]
            if first:
                rest = memoryview(b"".join((first, rest)))
        stroke = rest[:_STROKE]
        rest = rest[len(stroke) - len(self._at_once(stroke)) :]
        while len(rest) > LEFT:
            rest = rest[self.send(rest[:PIECE]) :]
        self.left = bytes(rest)
        self.flush()

    def flush(self) -> None:
        """Send of what is left as much as goes without waiting. Raises `OSError` where the client has gone."""
        self._opening = False
        if self.left:
            self.left = bytes(self._at_once(memoryview(self.left)))

    def _at_once(self, rest: memoryview) -> memoryview:
        """What is left of this when as much as goes without waiting has gone."""
        if rest:
            self._raw.settimeout(0.0)
        try:
            while rest:
                sent = self._raw.send(rest)
                self._credit = min(self._credit + sent / self._rate, self._seconds)
                rest = rest[sent:]
        except (BlockingIOError, SSLWantReadError, SSLWantWriteError):
            pass
        return rest

    def setblocking(self, blocking: bool) -> None:
        """Blocking is as long as there is credit."""
        self._bound = None if blocking else 0.0

    def gettimeout(self) -> float | None:
        return self._bound

    def settimeout(self, seconds: float | None) -> None:
        """Wait for less than the credit allows."""
        self._bound = seconds

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)

    def _moved(self, move: Callable[[], T], size: Callable[[T], int], *, most: float | None = None) -> T:
        if self._credit <= 0:
            raise ConnectionResetError(ECONNRESET, "the client is too slow")
        bounded = self._bound is not None and self._bound < self._credit
        waits = self._bound if self._bound is not None and bounded else self._credit
        lagging = most is not None and most < waits
        self._raw.settimeout(most if most is not None and lagging else waits)
        began = self._clock()
        try:
            done = move()
        except TimeoutError:
            self._credit -= self._clock() - began
            if lagging:
                raise _Lagging from None
            if bounded:
                raise
            self._credit = 0.0
            raise ConnectionResetError(ECONNRESET, "the client is too slow") from None
        self._credit += size(done) / self._rate - (self._clock() - began)
        self._credit = min(self._credit, self._seconds)
        return done
