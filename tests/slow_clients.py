"""Sockets that are slow on purpose: silent, dribbling, not reading; and how long the server puts up with them."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from processes import ask


@dataclass(kw_only=True)
class Slow:
    """A socket, when it was opened, and when the server closed it (0: not yet)."""

    socket: socket.socket
    opened: float
    closed: float = 0.0
    received: bytes = b""

    @property
    def seconds(self) -> float:
        return self.closed - self.opened if self.closed else float("inf")

    def look(self) -> None:
        """Take what came, without waiting, and note the end."""
        if self.closed:
            return
        try:
            while data := self.socket.recv(65536):
                self.received += data
        except (BlockingIOError, ssl.SSLWantReadError):
            return
        except OSError:
            pass
        self.closed = time.monotonic()

    def say(self, data: bytes) -> None:
        try:
            self.socket.send(data)
        except OSError:
            return


@contextmanager
def sockets(port: int, count: int, first: bytes = b"", *, receive_buffer: int = 0) -> Iterator[list[Slow]]:
    """So many connections, each of which has said `first`."""
    opened = []
    try:
        for _ in range(count):
            one = socket.socket()
            if receive_buffer:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            one.connect(("127.0.0.1", port))
            one.settimeout(5)
            one.sendall(first)
            one.settimeout(0.0)
            opened.append(Slow(socket=one, opened=time.monotonic()))
        yield opened
    finally:
        for slow in opened:
            slow.socket.close()


def slowest_answer(port: int, path: str, headers: dict[str, str], *, times: int, between: Callable[[], None]) -> float:
    """The longest that one of so many requests of somebody else took; `between` is done before each."""
    longest = 0.0
    for _ in range(times):
        between()
        began = time.monotonic()
        assert ask(port, "GET", path, headers=headers).status == 200
        longest = max(longest, time.monotonic() - began)
    return longest


def until_closed(slows: Iterable[Slow], *, within: float, meanwhile: Callable[[Slow], None]) -> list[float]:
    """Wait until the server has closed every one of them; how long each was open."""
    waiting = list(slows)
    until = time.monotonic() + within
    while any(not one.closed for one in waiting) and time.monotonic() < until:
        for one in waiting:
            one.look()
            if not one.closed:
                meanwhile(one)
        time.sleep(0.1)
    return [one.seconds for one in waiting]
