"""Demonstrating proof of possession (RFC 9449): a request shows that it holds the key that its token is bound to. Pure.

A token bound to a key is of no use to whoever copies it from a log, a proxy or another machine.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.util import urlsafe_b64decode

from server.auth.keys import proof_key
from server.auth.strict_json import parse_object
from server.auth.tokens import ASYMMETRIC_ALGORITHMS, one_algorithm
from server.errors import Unauthenticated

PROOF_SECONDS = 60
"""How far a proof's `iat` may be from now, either way; its identifier is remembered for twice as long."""

ALGORITHMS = tuple(sorted(ASYMMETRIC_ALGORITHMS))
_LONGEST = 4096
_ERROR = "invalid_dpop_proof"


@dataclass(frozen=True, kw_only=True)
class Proof:
    """A proof that verified: the SHA-256 thumbprint of its key (RFC 7638), and what it may be used for once."""

    thumbprint: str
    once: bytes


def verify_proof(proof: str, *, method: str, url: str, token: str, now: float) -> Proof:
    """Return what a `DPoP` header proves about a request for `url` (no query) with an access token (section 4.3).

    That it was not used before is for the caller to check. Raises `Unauthenticated`.
    """
    header = _header(proof)
    algorithm, members = header.get("alg"), header.get("jwk")
    if header.get("typ") != "dpop+jwt" or not isinstance(algorithm, str) or algorithm not in ASYMMETRIC_ALGORITHMS:
        raise _wrong("the proof's type or algorithm is not accepted")
    if "crit" in header or "b64" in header or not isinstance(members, dict):
        raise _wrong("the proof asks for an extension, or holds no key")
    key = proof_key(members)
    if key is None:
        raise _wrong("the proof's key is private, too short or of no use here")
    try:
        claims = parse_object(jws.deserialize_compact(proof, key, registry=one_algorithm(algorithm)).payload or b"")
    except (JoseError, ValueError, TypeError):
        raise _wrong("the proof's signature or payload is not valid") from None
    _check(claims, method, url, token, now)
    thumbprint = key.thumbprint()
    once = hashlib.sha256("\x00".join(("dpop", thumbprint, str(claims["jti"]))).encode()).digest()
    return Proof(thumbprint=thumbprint, once=once)


def _header(proof: str) -> Mapping[str, object]:
    if len(proof) > _LONGEST or not proof.isascii() or proof.count(".") != 2:
        raise _wrong("the proof is not a compact JWS of acceptable size")
    try:
        return parse_object(urlsafe_b64decode(proof.partition(".")[0].encode("ascii")))
    except ValueError:
        raise _wrong("the proof's header cannot be read") from None


def _check(claims: Mapping[str, object], method: str, url: str, token: str, now: float) -> None:
    named, issued = claims.get("jti"), claims.get("iat")
    if not isinstance(named, str) or not 0 < len(named) <= 256 or not named.isprintable():
        raise _wrong("the proof has no identifier")
    if isinstance(issued, bool) or not isinstance(issued, int | float) or not _near(issued, now):
        raise _wrong("the proof was not made just now")
    if claims.get("htm") != method or _place(claims.get("htu")) != _place(url):
        raise _wrong("the proof is for another request")
    digest = hashlib.sha256(token.encode("ascii")).digest()
    if claims.get("ath") != base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii"):
        raise _wrong("the proof is for another token")


def _near(issued: float, now: float) -> bool:
    return now - PROOF_SECONDS <= issued <= now + PROOF_SECONDS


def _place(url: object) -> tuple[str, str, int | None, str] | None:
    """A URL without query and fragment, in the one spelling of RFC 3986 section 6.2 that a comparison needs."""
    if not isinstance(url, str):
        return None
    try:
        parts = urlsplit(url)
        port = parts.port or {"https": 443, "http": 80}.get(parts.scheme)
    except ValueError:
        return None
    if not parts.hostname or "@" in parts.netloc:
        return None
    return parts.scheme, parts.hostname, port, parts.path or "/"


def _wrong(reason: str) -> Unauthenticated:
    return Unauthenticated(reason, error=_ERROR)
