"""Slow clients: no thread is given to a request before its whole head is here, and none waits long for the rest.

gunicorn's own threads read the head of a request and do the handshake of TLS without an end, and its loop waits for a
client to close: a few silent sockets would hold them all ("slowloris"). Here the loop collects the heads of all
connections, each until a deadline, and drops the longest waiting ones when there are too many. A thread then waits for
bytes of a body, or for room to send, by a credit of seconds that moving bytes earn back.
"""

from __future__ import annotations

import selectors
import ssl
import time
from collections.abc import Callable
from concurrent.futures import Future
from errno import ECONNRESET
from functools import partial
from socket import SHUT_WR, socket
from typing import Any, Protocol, TypeVar

from gunicorn import http
from gunicorn.sock import ssl_context
from gunicorn.workers.gthread import TConn, ThreadWorker

from server.settings import Settings

LONGEST_HEAD = 32 * 1024
"""Bytes of request line and fields together."""
_PIECE = 64 * 1024
_LINGER_SECONDS = 2.0
# What a client may still be sending when it is told that the connection ends (RFC 9112 section 9.6).
_LINGER_BYTES = 64 * 1024
_LOOK_SECONDS = 0.25
_END = b"\r\n\r\n"
_TOO_LONG = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n"
    b"Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n\r\n"
)


T = TypeVar("T")


class Raw(Protocol):
    """What is used of a socket, plain or TLS."""

    def recv(self, size: int, /) -> bytes: ...
    def send(self, data: memoryview | bytes, /) -> int: ...
    def settimeout(self, seconds: float | None, /) -> None: ...


class Patient:
    """A socket on which a thread waits by a credit: `seconds` at first and at most, again after `seconds * rate` bytes.

    So no wait is longer than `seconds`, and no request is slower than `rate` bytes a second for long. Time that the
    server itself takes is not counted. Raises `ConnectionResetError` once the credit is used up.
    """

    def __init__(self, raw: Raw, *, seconds: float, rate: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._raw = raw
        self._seconds = seconds
        self._rate = rate
        self._clock = clock
        self._credit = seconds
        self._bound: float | None = None

    def begin(self) -> None:
        """A new request begins, with the whole credit."""
        self._credit = self._seconds

    def recv(self, size: int) -> bytes:
        return self._moved(lambda: self._raw.recv(size), len)

    def send(self, data: memoryview | bytes) -> int:
        return self._moved(lambda: self._raw.send(data), int)

    def sendall(self, data: bytes) -> None:
        rest = memoryview(data).cast("B")
        while rest:
            rest = rest[self.send(rest[:_PIECE]) :]

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

    def _moved(self, move: Callable[[], T], size: Callable[[T], int]) -> T:
        if self._credit <= 0:
            raise ConnectionResetError(ECONNRESET, "the client is too slow")
        bounded = self._bound is not None and self._bound < self._credit
        self._raw.settimeout(self._bound if bounded else self._credit)
        began = self._clock()
        try:
            done = move()
        except TimeoutError:
            self._credit -= self._clock() - began
            if bounded:
                raise
            self._credit = 0.0
            raise ConnectionResetError(ECONNRESET, "the client is too slow") from None
        self._credit += size(done) / self._rate - (self._clock() - began)
        self._credit = min(self._credit, self._seconds)
        return done


class Connection(TConn):  # type: ignore[misc]
    """A connection whose next head is collected without a thread. `deadline` is when that has to be done."""

    def __init__(
        self, worker: PatientWorker, raw: socket, client: object, server: object, context: ssl.SSLContext | None
    ) -> None:
        super().__init__(worker.cfg, raw, client, server)
        self.raw: socket = raw
        if context is not None:
            self.raw = context.wrap_socket(raw, server_side=True, do_handshake_on_connect=False)
        self.patient = Patient(self.raw, seconds=worker.stall_seconds, rate=worker.rate)
        self.sock = self.patient
        self.parser: Any = None
        self.shaken = context is None
        self.head = b""
        self.lingering = 0
        self.deadline = 0.0

    def advance(self) -> bool | None:
        """Take what has come: True when the head is whole or too long, False when the client has gone, None: wait."""
        try:
            if isinstance(self.raw, ssl.SSLSocket) and not self.shaken:
                self.raw.do_handshake()
                self.shaken = True
            while not self.ready:
                data = self.raw.recv(_PIECE)
                if not data:
                    return False
                self.head += data
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return None
        except OSError:
            return False
        return True

    @property
    def ready(self) -> bool:
        return _END in self.head or len(self.head) > LONGEST_HEAD

    def hand_over(self) -> None:
        """Let a thread go on from here."""
        if self.parser is None:
            self.parser = http.get_parser(self.cfg, self.sock, self.client)
            self.initialized = True
        self.parser.unreader.unread(self.head)
        self.head = b""
        self.patient.begin()

    def drained(self) -> bool:
        """Throw away what a client sends that was told that this is the end; whether it has seen that."""
        try:
            data = self.raw.recv(_PIECE)
        except BlockingIOError:
            return False
        except OSError:
            return True
        self.lingering += len(data)
        return not data or self.lingering > _LINGER_BYTES


class PatientWorker(ThreadWorker):  # type: ignore[misc]
    """gunicorn's worker of threads, with all waiting but that of a request at work in its one loop."""

    def init_process(self) -> None:
        settings: Settings = self.app.settings
        self.head_seconds = settings.head_seconds
        self.stall_seconds = settings.stall_seconds
        self.rate = settings.slowest_bytes_per_second
        self.context = ssl_context(self.cfg) if self.cfg.is_ssl else None
        self.waiting: dict[int, Connection] = {}
        self.looked = 0.0
        super().init_process()

    def accept(self, listener: socket) -> None:
        try:
            raw, client = listener.accept()
        except OSError:
            return
        raw.settimeout(0.0)
        try:
            conn = Connection(self, raw, client, listener.getsockname(), self.context)
        except OSError:
            raw.close()
            return
        self.nr_conns += 1
        # One more than there is room for: who has waited longest goes, so that new ones are always heard.
        if self.nr_conns >= self.worker_connections and self.waiting:
            self._drop(min(self.waiting.values(), key=lambda one: one.deadline))
        self._wait(conn, self.head_seconds, self._readable)

    def finish_request(self, conn: Connection, fs: Future[object]) -> None:
        again = not fs.cancelled() and fs.exception() is None and bool(fs.result())
        if not again or not self.alive:
            self._linger(conn)
            return
        conn.head = conn.parser.unreader.take_buffered()
        if conn.ready:
            self._begin(conn)
            return
        self._wait(conn, self.head_seconds if conn.head else self.cfg.keepalive, self._readable)

    def murder_pending(self) -> None:
        """Close what has waited too long; called about once a second, and after every event."""
        now = time.monotonic()
        if 0 <= now - self.looked < _LOOK_SECONDS:
            return
        self.looked = now
        for conn in [one for one in self.waiting.values() if one.deadline <= now]:
            self._drop(conn)

    def murder_keepalived(self, force: bool = False) -> None:
        """At the very end, close all that is left."""
        for conn in list(self.waiting.values()) if force else ():
            self._drop(conn)

    def _cap_keepalive(self, deadline: float) -> None:
        """Stopping: nobody waits long for another request."""
        for conn in self.waiting.values():
            conn.deadline = min(conn.deadline, deadline)

    def _keepalive_after(self, conn: Connection, keepalive: object) -> bool:
        # A body that nobody wanted is not waited for: what is not here yet costs the connection.
        return bool(keepalive) and bool(conn.parser.finish_body(deadline=time.monotonic() + _LOOK_SECONDS))

    def _readable(self, conn: Connection, _: object) -> None:
        fresh = not conn.head
        done = conn.advance()
        if done is None:
            if fresh and conn.head:
                # The next request of a kept connection has begun.
                conn.deadline = max(conn.deadline, time.monotonic() + self.head_seconds)
            return
        self._leave(conn)
        if not done:
            self._close(conn)
        elif _END not in conn.head:
            conn.patient.begin()
            self._refuse(conn)
        else:
            self._begin(conn)

    def _begin(self, conn: Connection) -> None:
        conn.hand_over()
        self.enqueue_req(conn)

    def _refuse(self, conn: Connection) -> None:
        try:
            conn.raw.send(_TOO_LONG)
        except OSError:
            self._close(conn)
            return
        self._linger(conn)

    def _linger(self, conn: Connection) -> None:
        """Say that no more comes, and wait a little until the client has read it, so that nothing is cut off."""
        try:
            conn.raw.shutdown(SHUT_WR)
        except OSError:
            self._close(conn)
            return
        self._wait(conn, _LINGER_SECONDS, self._lingering)

    def _lingering(self, conn: Connection, _: object) -> None:
        if conn.drained():
            self._drop(conn)

    def _wait(self, conn: Connection, seconds: float, then: Callable[[Connection, object], None]) -> None:
        conn.raw.settimeout(0.0)
        conn.deadline = time.monotonic() + seconds
        self.waiting[id(conn)] = conn
        self.poller.register(conn.raw, selectors.EVENT_READ, partial(then, conn))

    def _leave(self, conn: Connection) -> None:
        del self.waiting[id(conn)]
        self.poller.unregister(conn.raw)

    def _drop(self, conn: Connection) -> None:
        self._leave(conn)
        self._close(conn)

    def _close(self, conn: Connection) -> None:
        self.nr_conns -= 1
        conn.raw.close()
