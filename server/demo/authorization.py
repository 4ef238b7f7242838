"""What the demo's OpenID provider decides, without a web framework: requests, codes, sign-ins.

Codes and sign-ins live in one process's memory: the provider is for one process with any number of threads.
"""

from __future__ import annotations

import hmac
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar
from urllib.parse import urlencode

from server.auth.sessions import code_challenge
from server.demo.users import DemoUser
from server.model import Randomness

CODE_LIFETIME = 60.0
SIGN_IN_LIFETIME = 8 * 3600.0
_MOST_KEPT = 1000
V = TypeVar("V")
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
_VERIFIER = re.compile(r"[A-Za-z0-9\-._~]{43,128}", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class DemoClient:
    """A public client (RFC 6749 section 2.1) and the only URIs, compared exactly, to which it may be answered."""

    client_id: str
    redirect_uris: frozenset[str]
    post_logout_redirect_uris: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class AuthorizationRequest:
    """A request that may be answered at its redirect URI. `error` is its RFC 6749 section 4.1.2.1 code, "" if none."""

    client: DemoClient
    redirect_uri: str
    state: str
    challenge: str
    nonce: str
    scope: str
    prompts: frozenset[str]
    error: str

    def answer(self, issuer: str, **parameters: str) -> str:
        """Return the URL that answers the request (RFC 6749 section 4.1.2, RFC 9207)."""
        answer = parameters | {"iss": issuer} | ({"state": self.state} if self.state else {})
        return f"{self.redirect_uri}{'&' if '?' in self.redirect_uri else '?'}{urlencode(answer)}"


class UnsafeRequest(ValueError):
    """An authorization request that must not be answered by a redirect (RFC 6749 section 4.1.2.1)."""


class TokenRefused(ValueError):
    """A token request that fails; the argument is its RFC 6749 section 5.2 code."""


def read_request(
    parameters: Mapping[str, list[str]], clients: Mapping[str, DemoClient], audience: str
) -> AuthorizationRequest:
    """Read an authorization request's parameters.

    Raises `UnsafeRequest` if the client is unknown or the redirect URI is not exactly one of its own.
    """
    single = {name: values[0] for name, values in parameters.items() if len(values) == 1}
    client = clients.get(single.get("client_id", ""))
    redirect_uri = single.get("redirect_uri", "")
    if client is None or redirect_uri not in client.redirect_uris:
        raise UnsafeRequest
    scope = single.get("scope", "openid")
    prompts = frozenset(single.get("prompt", "").split())
    challenge = single.get("code_challenge", "")
    well_formed = len(single) == len(parameters) and single.get("response_mode", "query") == "query"
    proved = single.get("code_challenge_method") == "S256" and _CHALLENGE.fullmatch(challenge)
    error = ""
    if not well_formed or not proved or ("none" in prompts and len(prompts) > 1):
        error = "invalid_request"
    elif single.get("response_type") != "code":
        error = "unsupported_response_type"
    elif "openid" not in scope.split():
        error = "invalid_scope"
    elif single.get("resource", audience) != audience:
        error = "invalid_target"
    return AuthorizationRequest(
        client=client,
        redirect_uri=redirect_uri,
        state=single.get("state", ""),
        challenge=challenge,
        nonce=single.get("nonce", ""),
        scope=scope,
        prompts=prompts,
        error=error,
    )


@dataclass(frozen=True, kw_only=True)
class Grant:
    """What one authorization code stands for."""

    request: AuthorizationRequest
    user: DemoUser
    signed_in_at: float


class OneTimeCodes:
    """Authorization codes: each works once, within `CODE_LIFETIME` seconds, for whoever holds the PKCE verifier."""

    def __init__(self, *, clock: Callable[[], float], randomness: Randomness) -> None:
        self._randomness = randomness
        self._grants: _Expiring[Grant] = _Expiring(clock=clock, lifetime=CODE_LIFETIME)

    def issue(self, grant: Grant) -> str:
        code = self._randomness.bytes(32, "authorization-code").hex()
        self._grants.put(code, grant)
        return code

    def redeem(self, parameters: Mapping[str, list[str]]) -> Grant:
        """Return the grant of a token request's code, which is used up even if the request fails.

        Raises `TokenRefused` by RFC 6749 section 5.2 and RFC 7636 section 4.6.
        """
        single = {name: values[0] for name, values in parameters.items() if len(values) == 1}
        grant = self._grants.take(single.get("code", ""))
        if len(single) != len(parameters):
            raise TokenRefused("invalid_request")
        if single.get("grant_type") != "authorization_code":
            raise TokenRefused("unsupported_grant_type")
        if grant is None or not _VERIFIER.fullmatch(single.get("code_verifier", "")):
            raise TokenRefused("invalid_grant")
        request = grant.request
        same_client = single.get("client_id") == request.client.client_id
        same_place = single.get("redirect_uri") == request.redirect_uri
        if not (same_client and same_place):
            raise TokenRefused("invalid_grant")
        if not hmac.compare_digest(code_challenge(single["code_verifier"]), request.challenge):
            raise TokenRefused("invalid_grant")
        return grant


class SignIns:
    """Which browser has chosen which user, so that a viewer's silent renewal finds one (`prompt=none`)."""

    def __init__(self, *, clock: Callable[[], float], randomness: Randomness) -> None:
        self._clock = clock
        self._randomness = randomness
        self._kept: _Expiring[tuple[DemoUser, float]] = _Expiring(clock=clock, lifetime=SIGN_IN_LIFETIME)

    def begin(self, user: DemoUser) -> tuple[str, float]:
        """Return a fresh identifier for the browser's cookie, and now."""
        identifier, now = self._randomness.bytes(32, "demo-sign-in").hex(), self._clock()
        self._kept.put(identifier, (user, now))
        return identifier, now

    def find(self, identifier: str) -> tuple[DemoUser, float] | None:
        """Return the user and when they signed in, or None."""
        return self._kept.get(identifier)

    def end(self, identifier: str) -> None:
        self._kept.take(identifier)


class _Expiring(Generic[V]):
    """Values that expire; the oldest is dropped when there are too many, so that nobody can fill the memory."""

    def __init__(self, *, clock: Callable[[], float], lifetime: float) -> None:
        self._clock = clock
        self._lifetime = lifetime
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[float, V]] = {}

    def put(self, name: str, value: V) -> None:
        with self._lock:
            while len(self._kept) >= _MOST_KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[name] = (self._clock(), value)

    def get(self, name: str) -> V | None:
        with self._lock:
            return self._fresh(self._kept.get(name))

    def take(self, name: str) -> V | None:
        with self._lock:
            return self._fresh(self._kept.pop(name, None))

    def _fresh(self, kept: tuple[float, V] | None) -> V | None:
        return kept[1] if kept and 0 <= self._clock() - kept[0] <= self._lifetime else None
