"""Asking the issuer about a token (RFC 7662), remembered shortly: by its SHA-256, never longer than it lives.

A token that was revoked at the issuer is therefore refused after `lifetime` seconds at the latest.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from server.auth.claims import claim_at
from server.auth.provider import Provider
from server.errors import Unauthenticated

MOST_KEPT = 10_000
# What providers call an access token in `token_type`; a refresh token, say, is active as well (RFC 7662 section 2.2).
_ACCESS = frozenset({"bearer", "dpop", "access_token"})


@dataclass(frozen=True, kw_only=True)
class _Known:
    claims: Mapping[str, object] | None
    until: float


class Introspector:
    """Asks one issuer, safe to share by threads. `clock` in seconds since the epoch, `lifetime` in seconds.

    With `userinfo_claims`, the claims on these paths come from userinfo and from nowhere else.
    """

    def __init__(
        self,
        provider: Provider,
        *,
        issuer: str,
        clock: Callable[[], float],
        lifetime: float,
        userinfo_claims: frozenset[str] = frozenset(),
    ) -> None:
        self._provider = provider
        self._issuer = issuer
        self._clock = clock
        self._lifetime = lifetime
        self._userinfo_claims = userinfo_claims
        self._lock = threading.Lock()
        self._known: dict[bytes, _Known] = {}

    def ask(self, token: str) -> Mapping[str, object]:
        """Return what the issuer says of an active access token. Raises `Unauthenticated`, `Busy` without an answer."""
        name, now = hashlib.sha256(token.encode()).digest(), self._clock()
        with self._lock:
            known = self._known.get(name)
        # Nothing is known from before the clock was set back.
        if known is None or not known.until - self._lifetime <= now < known.until:
            known = self._ask(token, now)
            with self._lock:
                self._known.pop(name, None)
                while len(self._known) >= MOST_KEPT:
                    del self._known[next(iter(self._known))]
                self._known[name] = known
        if known.claims is None:
            raise Unauthenticated("the issuer does not hold the token for active")
        return known.claims

    def _ask(self, token: str, now: float) -> _Known:
        answer = self._provider.introspect(token)
        if answer.get("active") is not True:
            return _Known(claims=None, until=now + self._lifetime)
        kind = answer.get("token_type")
        if not isinstance(kind, str) or kind.lower() not in _ACCESS:
            raise Unauthenticated("the token is not an access token")
        expires = answer.get("exp")
        if isinstance(expires, bool) or not isinstance(expires, int | float):
            raise Unauthenticated("the issuer does not say when the token expires")
        claims = {"iss": self._issuer, **answer}
        if self._userinfo_claims:
            claims = self._with_userinfo(token, claims)
        return _Known(claims=claims, until=min(now + self._lifetime, float(expires)))

    def _with_userinfo(self, token: str, claims: Mapping[str, object]) -> dict[str, object]:
        told = self._provider.userinfo(token)
        # OpenID Connect Core section 5.3.2: without this, the answer may be about somebody else.
        if "sub" not in claims or told.get("sub") != claims["sub"]:
            raise Unauthenticated("userinfo speaks of another subject")
        tops = {claim_at(path) for path in self._userinfo_claims}
        kept = {name: value for name, value in claims.items() if name not in tops}
        return kept | {name: told[name] for name in tops if name in told}
