"""How much one address may fail and one person may ask: kept in the memory of each worker process, bounded.

An address that shows wrong credentials too often is not listened to for a while: no signature is verified for it and
no entry written, but for the one that says so. What is behind a proxy that is not declared has no address of its own
and is not locked out: else one guest could lock out the house.
"""

from __future__ import annotations

import ipaddress
import threading
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

from flask import Request

from server.errors import TooMany
from server.settings import Settings

LOCKED_SECONDS = 60.0
_MINUTE = 60.0
_MOST_KEPT = 10_000
# Of IPv6 with a scope; what is longer is no address.
_LONGEST_ADDRESS = 100
V = TypeVar("V")


@dataclass(frozen=True)
class _Count:
    began: float
    number: int


class Limits:
    """Counts per minute, safe to share by threads. `now` in seconds on one clock that may be set back."""

    def __init__(self, *, failures: int, requests: int) -> None:
        self._failures = failures
        self._requests = requests
        self._lock = threading.Lock()
        self._failed: dict[str, _Count] = {}
        self._asked: dict[str, _Count] = {}
        self._locked: dict[str, float] = {}

    def check(self, address: str, now: float) -> None:
        """Raise `TooMany` while an address is not listened to."""
        with self._lock:
            since = self._locked.get(address)
        if since is not None and 0 <= now - since < LOCKED_SECONDS:
            raise TooMany(int(LOCKED_SECONDS - (now - since)) + 1)

    def failed(self, address: str, now: float) -> bool:
        """Count one wrong credential; returns whether the address is locked out from now on."""
        if not address:
            return False
        with self._lock:
            over = _count(self._failed, address, now) > self._failures
            if over:
                _put(self._locked, address, now)
                self._failed.pop(address, None)
        return over

    def asked(self, subject: str, now: float) -> None:
        """Count one request of a person or program. Raises `TooMany` beyond what a minute allows."""
        with self._lock:
            number = _count(self._asked, subject, now)
            began = self._asked[subject].began
        if number > self._requests:
            raise TooMany(int(_MINUTE - (now - began)) + 1)


def address_of(request: Request, settings: Settings) -> str:
    """The client's address; "" where it cannot be told: behind a proxy on this machine that is not declared."""
    return _counted_as(peer_of(request, settings)[:_LONGEST_ADDRESS])


@lru_cache(maxsize=4096)
def _counted_as(peer: str) -> str:
    try:
        known = ipaddress.ip_address(peer)
    except ValueError:
        return ""
    if known.is_loopback:
        return ""
    # Whoever has one address of IPv6 has a whole network of them (RFC 6177).
    return str(known if known.version == 4 else ipaddress.ip_network((known, 64), strict=False))


def peer_of(request: Request, settings: Settings) -> str:
    """The address that a request came from, as it was told.

    Of a declared proxy's X-Forwarded-For only the last address counts, which is the proxy's own word.
    """
    peer = request.remote_addr or ""
    if peer not in settings.proxies:
        return peer
    return ",".join(request.headers.getlist("X-Forwarded-For")).rpartition(",")[2].strip()


def _count(counts: dict[str, _Count], name: str, now: float) -> int:
    known = counts.pop(name, None)
    fresh = known is None or not 0 <= now - known.began < _MINUTE
    counted = _Count(now, 1) if known is None or fresh else _Count(known.began, known.number + 1)
    _put(counts, name, counted)
    return counted.number


def _put(kept: dict[str, V], name: str, value: V) -> None:
    kept.pop(name, None)
    while len(kept) >= _MOST_KEPT:
        del kept[next(iter(kept))]
    kept[name] = value
