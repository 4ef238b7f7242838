"""Bearer tokens (RFC 6750) that are JWT access tokens (RFC 9068): verified completely, or `Unauthenticated`.

Nothing in a token chooses how it is verified: algorithms, issuer, audience and keys are ours. The `jwk`, `jku`, `x5u`
and `x5c` headers are not read (RFC 8725 section 3.10).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.registry import JWS_HEADER_REGISTRY
from joserfc.util import urlsafe_b64decode

from server.auth.keys import KeySource
from server.auth.strict_json import parse_object
from server.errors import ConfigurationError, Unauthenticated

ASYMMETRIC_ALGORITHMS = frozenset(
    ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519")
)
"""What `algorithms` may name (RFC 7518 section 3.1, RFC 9864). `none` and the HMACs never verify a token here."""

MAXIMUM_TOKEN_LENGTH = 16 * 1024
MAXIMUM_TEXT_LENGTH = 512

_BEARER = re.compile(r"bearer +([A-Za-z0-9\-._~+/]+=*) *", re.ASCII | re.IGNORECASE)
# Claims that only other kinds of token carry: ID tokens (OpenID Connect Core 3.1.3.6, 3.3.2.11) and security events
# such as logout tokens (RFC 8417). They keep these out even where the issuer's access tokens are plain `typ: JWT`.
_FOREIGN_CLAIMS = frozenset(("at_hash", "c_hash", "s_hash", "events"))


def bearer_token(authorization: str | None) -> str:
    """Return the token of an `Authorization` header (RFC 6750 section 2.1).

    Raises `Unauthenticated`, with an empty error code where no credentials were sent at all (RFC 6750 section 3.1).
    """
    if authorization is None:
        raise Unauthenticated(error="")
    match = _BEARER.fullmatch(authorization)
    if match is None:
        raise Unauthenticated("the Authorization header holds no bearer token", error="invalid_request")
    return match[1]


class _Registry(jws.JWSRegistry):
    """One algorithm; only the three headers that are read are looked at; the size limit is that of the whole token."""

    max_header_length = MAXIMUM_TOKEN_LENGTH

    def __init__(self, algorithm: str) -> None:
        super().__init__(algorithms=[algorithm], strict_check_header=False)
        self.header_registry = {name: JWS_HEADER_REGISTRY[name] for name in ("alg", "kid", "typ")}


@dataclass(frozen=True, kw_only=True)
class TokenVerifier:
    """Verifies access tokens of one issuer for one audience; `leeway` in seconds, 0 to 300.

    `accepted_types` are values of the `typ` header, compared without regard to ASCII case; a token without `typ` is
    never accepted. Raises `ConfigurationError` for an algorithm outside `ASYMMETRIC_ALGORITHMS` and for empty settings.
    """

    issuer: str
    audience: str
    algorithms: tuple[str, ...]
    accepted_types: tuple[str, ...] = ("at+jwt", "application/at+jwt")
    keys: KeySource
    leeway: int = 30

    def __post_init__(self) -> None:
        if not self.issuer or not self.audience or not all(self.accepted_types) or not self.accepted_types:
            raise ConfigurationError("issuer, audience and the accepted token types must be set")
        if not self.algorithms or not ASYMMETRIC_ALGORITHMS.issuperset(self.algorithms):
            raise ConfigurationError("token algorithms must be set and asymmetric")
        if not 0 <= self.leeway <= 300:
            raise ConfigurationError("the leeway must lie between 0 and 300 seconds")

    def verify(self, token: str, now: float) -> Mapping[str, object]:
        """Return the claims of `token` at `now` (seconds since the epoch), by RFC 9068 section 4 and RFC 8725.

        Raises `Unauthenticated` whatever is wrong with the token; `Busy` where the issuer's keys cannot be had.
        """
        header = self._header(token)
        algorithm, key_id = self._checked_header(header)
        key = self.keys.find(key_id)
        try:
            payload = jws.deserialize_compact(token, key, registry=_Registry(algorithm)).payload
            claims = parse_object(payload or b"")
        except (JoseError, ValueError, TypeError):
            # Chained causes would put pieces of the token into a traceback.
            raise Unauthenticated("the token's signature or payload is not valid") from None
        self._check_claims(claims, now)
        return claims

    def _header(self, token: str) -> Mapping[str, object]:
        if len(token) > MAXIMUM_TOKEN_LENGTH or not token.isascii() or token.count(".") != 2:
            raise Unauthenticated("the token is not a compact JWS of acceptable size")
        try:
            return parse_object(urlsafe_b64decode(token.partition(".")[0].encode("ascii")))
        except ValueError:
            raise Unauthenticated("the token's header cannot be read") from None

    def _checked_header(self, header: Mapping[str, object]) -> tuple[str, str]:
        algorithm, kind, key_id = header.get("alg"), header.get("typ"), header.get("kid")
        if not isinstance(algorithm, str) or algorithm not in self.algorithms:
            raise Unauthenticated("the token's algorithm is not one of ours")
        if not isinstance(kind, str) or _folded(kind) not in {_folded(known) for known in self.accepted_types}:
            raise Unauthenticated("the token's type is not accepted")
        # No extension is understood here, so every `crit` names one that is not (RFC 7515 section 4.1.11); `b64` is
        # an extension that would change what was signed (RFC 7797).
        if "crit" in header or "b64" in header:
            raise Unauthenticated("the token asks for an extension")
        if not isinstance(key_id, str) or not 0 < len(key_id) <= MAXIMUM_TEXT_LENGTH:
            raise Unauthenticated("the token names no key")
        return algorithm, key_id

    def _check_claims(self, claims: Mapping[str, object], now: float) -> None:
        if claims.get("iss") != self.issuer:
            raise Unauthenticated("the token is of another issuer")
        audience = claims.get("aud")
        audiences = [audience] if isinstance(audience, str) else audience
        if not isinstance(audiences, list) or not all(isinstance(one, str) for one in audiences):
            raise Unauthenticated("the token's audience cannot be read")
        if self.audience not in audiences:
            raise Unauthenticated("the token is for another audience")
        for name in ("sub", "client_id", "jti"):
            if not _is_text(claims.get(name)):
                raise Unauthenticated(f"the token's {name} is missing or not acceptable")
        if claims.get("azp", claims["client_id"]) != claims["client_id"]:
            raise Unauthenticated("the token contradicts itself about its client")
        if not _FOREIGN_CLAIMS.isdisjoint(claims):
            raise Unauthenticated("the token is not an access token")
        # Possession of the confirmation key is not checked here, and a bound token is no bearer token (RFC 7800).
        if "cnf" in claims:
            raise Unauthenticated("the token is bound to a key that the request does not prove")
        self._check_times(claims, now)

    def _check_times(self, claims: Mapping[str, object], now: float) -> None:
        if not _numeric_date(claims.get("exp")) > now - self.leeway:
            raise Unauthenticated("the token has expired")
        if not _numeric_date(claims.get("iat")) <= now + self.leeway:
            raise Unauthenticated("the token was issued in the future")
        if "nbf" in claims and not _numeric_date(claims["nbf"]) <= now + self.leeway:
            raise Unauthenticated("the token is not valid yet")


def _folded(kind: str) -> str:
    return kind.lower() if kind.isascii() else ""


def _is_text(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAXIMUM_TEXT_LENGTH and value.isprintable()


def _numeric_date(value: object) -> int | float:
    # Every comparison with NaN is false. An integer is finite, and may be too large to ask.
    finite = math.isfinite(value) if isinstance(value, float) else True
    if isinstance(value, bool) or not isinstance(value, int | float) or not finite:
        raise Unauthenticated("a date in the token is missing or not a number")
    return value
