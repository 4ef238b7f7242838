"""Slow clients: no thread is given to a request before its head is here, and no thread waits for the end of an answer.

gunicorn's own threads read the head of a request and do the handshake of TLS without an end, and its loop waits for a
client to close: a few silent sockets would hold them all ("slowloris"). Here the loop collects the heads and the small
bodies of all connections, each until a deadline, and drops the longest waiting ones when there are too many. Only for
the rest of a large body, or of a large answer, a thread waits, by `Patient`'s credit.
"""

from __future__ import annotations

import re
import selectors
import ssl
import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from socket import SHUT_WR, socket
from threading import Semaphore
from typing import Any

from gunicorn import http
from gunicorn.http import wsgi
from gunicorn.sock import ssl_context
from gunicorn.workers.gthread import TConn, ThreadWorker

from server.errors import Busy
from server.settings import Settings
from server.web.patience import PIECE, Patient

# Bytes of request line and fields together, and of a body.
LONGEST_HEAD, SMALL_BODY = 32 * 1024, 64 * 1024
# What a client may still be sending when it is told that the connection ends (RFC 9112 section 9.6).
_LINGER_SECONDS, _LINGER_BYTES = 2.0, 64 * 1024
_LOOK_SECONDS = 0.25
_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,9})[ \t]*(?:\r\n|$)", re.IGNORECASE)
_EXPECTS = re.compile(rb"\r\nexpect:[ \t]*100-continue[ \t]*(?:\r\n|$)", re.IGNORECASE)
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_TOO_LONG = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n"
    b"Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n\r\n"
)


class Answer(wsgi.Response):  # type: ignore[misc]
    """An answer that does not say which program gives it, and that is the last one to who sends too slowly."""

    def default_headers(self) -> list[str]:
        return [line for line in super().default_headers() if not line.startswith("Server:")]

    def should_close(self) -> bool:
        return self.sock.turned_away or bool(super().should_close())


class Connection(TConn):  # type: ignore[misc]
    """A connection whose next head is collected without a thread. `deadline` is when that has to be done."""

    def __init__(
        self, worker: PatientWorker, raw: socket, client: object, server: object, context: ssl.SSLContext | None
    ) -> None:
        super().__init__(worker.cfg, raw, client, server)
        self.raw: socket = raw
        if context is not None:
            self.raw = context.wrap_socket(raw, server_side=True, do_handshake_on_connect=False)
        self.patient = Patient(self.raw, seconds=worker.stall_seconds, rate=worker.rate, turns=worker.turns)
        self.sock = self.patient
        self.parser: Any = None
        self.shaken = context is None
        self.head = b""
        self.told = False
        self.last = False
        self.lingering = 0
        self.deadline = 0.0

    def advance(self) -> bool | None:
        """Take what has come: True when the head is whole or too long, False when the client has gone, None: wait."""
        try:
            if isinstance(self.raw, ssl.SSLSocket) and not self.shaken:
                self.raw.do_handshake()
                self.shaken = True
            while not self.ready:
                if self.continues and not self.told:
                    self.told = bool(self.raw.send(_CONTINUE))
                data = self.raw.recv(PIECE)
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
        """Whether a thread can begin: the head is here, and of a small body all of it."""
        head, end, body = self.head.partition(_END)
        if not end:
            return len(self.head) > LONGEST_HEAD
        length = _LENGTH.search(head)
        return length is None or not len(body) < int(length[1]) <= SMALL_BODY

    @property
    def continues(self) -> bool:
        """Whether the client waits for a word before it sends its body (RFC 9110 section 10.1.1)."""
        return _END in self.head and _EXPECTS.search(self.head.partition(_END)[0]) is not None

    def hand_over(self) -> None:
        """Let a thread go on from here."""
        if self.parser is None:
            self.parser = http.get_parser(self.cfg, self.sock, self.client)
            self.initialized = True
        self.parser.unreader.unread(self.head)
        self.head, self.told = b"", False
        self.patient.begin()

    def drained(self) -> bool:
        """Throw away what a client sends that was told that this is the end; whether it has seen that."""
        try:
            data = self.raw.recv(PIECE)
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
        # Clients that send slowly never have more than half of the threads.
        self.turns = Semaphore(max(1, settings.threads // 2))
        wsgi.Response = Answer
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

    def handle(self, conn: Connection) -> object:
        try:
            return super().handle(conn)
        finally:
            conn.patient.end()

    def finish_request(self, conn: Connection, fs: Future[object]) -> None:
        again = not fs.cancelled() and fs.exception() is None and bool(fs.result())
        if not again:
            conn.last = True
        if conn.patient.left:
            self._wait(conn, self.stall_seconds, self._writable, selectors.EVENT_WRITE)
        else:
            self._answered(conn)

    def _writable(self, conn: Connection, _: object) -> None:
        """Send the end of an answer to a client that reads slowly, as slowly as `Patient` allows."""
        before, now = len(conn.patient.left), time.monotonic()
        try:
            conn.patient.flush()
        except OSError:
            self._drop(conn)
            return
        earned = (before - len(conn.patient.left)) / self.rate
        conn.deadline = min(conn.deadline + earned, now + self.stall_seconds)
        if not conn.patient.left:
            self._leave(conn)
            self._answered(conn)

    def _answered(self, conn: Connection) -> None:
        if conn.last or not self.alive:
            self._linger(conn)
            return
        conn.raw.settimeout(0.0)
        conn.head = conn.parser.unreader.take_buffered()
        # What TLS has already decrypted makes no socket readable.
        done = conn.advance()
        if done is None:
            self._wait(conn, self.head_seconds if conn.head else self.cfg.keepalive, self._readable)
        else:
            self._go_on(conn, whole=done)

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
        # An answer without a body has not begun to go.
        conn.patient.flush()
        # A body that nobody wanted is not waited for: what is not here yet costs the connection.
        if not keepalive or conn.patient.turned_away:
            return False
        try:
            return bool(conn.parser.finish_body(deadline=time.monotonic() + _LOOK_SECONDS))
        except Busy:
            return False

    def _readable(self, conn: Connection, _: object) -> None:
        fresh = not conn.head
        done = conn.advance()
        if done is None:
            if fresh and conn.head:
                # The next request of a kept connection has begun.
                conn.deadline = max(conn.deadline, time.monotonic() + self.head_seconds)
            return
        self._leave(conn)
        self._go_on(conn, whole=done)

    def _go_on(self, conn: Connection, *, whole: bool) -> None:
        if not whole:
            self._close(conn)
        elif _END not in conn.head:
            self._refuse(conn)
        else:
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

    def _wait(
        self, conn: Connection, seconds: float, then: Callable[[Connection, object], None],
        event: int = selectors.EVENT_READ,
    ) -> None:  # fmt: skip
        conn.deadline = time.monotonic() + seconds
        try:
            conn.raw.settimeout(0.0)
            self.poller.register(conn.raw, event, partial(then, conn))
        except (OSError, ValueError):
            # A thread has closed it.
            self._close(conn)
            return
        self.waiting[id(conn)] = conn

    def _leave(self, conn: Connection) -> None:
        del self.waiting[id(conn)]
        self.poller.unregister(conn.raw)

    def _drop(self, conn: Connection) -> None:
        self._leave(conn)
        self._close(conn)

    def _close(self, conn: Connection) -> None:
        self.nr_conns -= 1
        conn.raw.close()
