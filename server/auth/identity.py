"""What the issuer tells this server about a person's sign-in and sign-out: ID tokens and logout tokens. Pure."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from server.auth.keys import KeySource
from server.auth.tokens import signed_claims
from server.errors import Unauthenticated

LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"
_LEEWAY = 30
_LOGOUT_SECONDS = 600
_LONGEST = 512


@dataclass(frozen=True, kw_only=True)
class SignedIn:
    """A verified sign-in: when and how the person authenticated (0 and "" where the issuer does not say), and the
    issuer's own name for the session ("" likewise)."""

    subject: str
    session: str = ""
    authenticated_at: float = 0.0
    context: str = ""


@dataclass(frozen=True, kw_only=True)
class LoggedOut:
    """A verified logout token: of one session, or of all of a subject ("" for what it does not name)."""

    subject: str
    session: str
    token_id: str


def verify_id_token(
    token: str, *, issuer: str, client: str, algorithms: Sequence[str], keys: KeySource, nonce: str, now: float
) -> SignedIn:
    """OpenID Connect Core 1.0 section 3.1.3.7. Raises `Unauthenticated`; `Busy` without the issuer's keys."""
    claims = signed_claims(token, algorithms, ("JWT", ""), keys)
    _addressed(claims, issuer, client, now)
    if claims.get("nonce") != nonce:
        raise Unauthenticated("the ID token answers another attempt")
    if "events" in claims or claims.get("azp", client) != client:
        raise Unauthenticated("the ID token is for another client")
    at = claims.get("auth_time", 0)
    if isinstance(at, bool) or not isinstance(at, int | float) or not math.isfinite(at) or at > now + _LEEWAY:
        raise Unauthenticated("the ID token does not say when the person signed in")
    return SignedIn(
        subject=_text(claims.get("sub")),
        session=_text(claims.get("sid", ""), empty=True),
        authenticated_at=float(at),
        context=_text(claims.get("acr", ""), empty=True),
    )


def verify_logout_token(
    token: str, *, issuer: str, client: str, algorithms: Sequence[str], keys: KeySource, now: float
) -> LoggedOut:
    """OpenID Connect Back-Channel Logout 1.0 section 2.6; that it was not seen before is for the caller to check.

    Raises as `verify_id_token`.
    """
    claims = signed_claims(token, algorithms, ("logout+jwt", "JWT", ""), keys)
    _addressed(claims, issuer, client, now)
    issued, events = claims["iat"], claims.get("events")
    if not isinstance(issued, int | float) or issued < now - _LOGOUT_SECONDS:
        raise Unauthenticated("the logout token is old")
    if not isinstance(events, Mapping) or not isinstance(events.get(LOGOUT_EVENT), Mapping) or "nonce" in claims:
        raise Unauthenticated("not a logout token")
    found = LoggedOut(
        subject=_text(claims.get("sub", ""), empty=True),
        session=_text(claims.get("sid", ""), empty=True),
        token_id=_text(claims.get("jti")),
    )
    if not found.subject and not found.session:
        raise Unauthenticated("the logout token names nobody")
    return found


def logout_mark(issuer: str, kind: str, name: str) -> bytes:
    """Return the name under which it is kept that a `subject` or `session` has logged out, or a `token` was seen."""
    return hashlib.sha256("\x00".join(("logout", kind, issuer, name)).encode()).digest()


def _addressed(claims: Mapping[str, object], issuer: str, client: str, now: float) -> None:
    audience = claims.get("aud")
    if claims.get("iss") != issuer or client not in (audience if isinstance(audience, list) else [audience]):
        raise Unauthenticated("the token is of another issuer, or for another client")
    for name, low, high in (("exp", now - _LEEWAY, math.inf), ("iat", -math.inf, now + _LEEWAY)):
        value = claims.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not low < value < high:
            raise Unauthenticated(f"the token's {name} is missing or out of its time")


def _text(value: object, *, empty: bool = False) -> str:
    if not isinstance(value, str) or len(value) > _LONGEST or not value.isprintable() or not (value or empty):
        raise Unauthenticated("a claim is missing, empty, too long or not a string")
    return value
