"""Bearer tokens (RFC 6750) that are JWT access tokens (RFC 9068): verified completely, or `Unauthenticated`.

Nothing in a token chooses how it is verified: algorithms, issuer, audience and keys are ours. The `jwk`, `jku`, `x5u`
and `x5c` headers are not read (RFC 8725 section 3.10).
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import Key
from joserfc.registry import JWS_HEADER_REGISTRY
from joserfc.util import urlsafe_b64decode

from server.auth.keys import KeySource
from server.auth.strict_json import parse_object
from server.errors import ConfigurationError, Unauthenticated
from server.model.issuers import PRESENT

ASYMMETRIC_ALGORITHMS = frozenset(
    ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519")
)
"""What `algorithms` may name (RFC 7518 section 3.1, RFC 9864). `none` and the HMACs never verify a token here."""

MAXIMUM_TOKEN_LENGTH = 16 * 1024
MAXIMUM_TEXT_LENGTH = 512
_FAR = 2.0**52

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


# More tokens than this in one verifier's memory begin anew.
MOST_REMEMBERED = 2048


def one_algorithm(algorithm: str) -> jws.JWSRegistry:
    """What a signature is verified with where its algorithm has been checked to be an accepted one."""
    return _Registry(algorithm)


class SignedBefore:
    """Which tokens have verified, by their SHA-256, under which key object: the signature of none is computed twice.

    Whoever asks finds the key anew. One that its issuer withdrew is not found any more, and one that was fetched anew
    is another object; so nothing is taken for signed that could not be verified at this moment.
    """

    def __init__(self) -> None:
        self._known: dict[bytes, tuple[str, Key, Mapping[str, object]]] = {}

    def claims(self, token: str, keys: KeySource) -> Mapping[str, object] | None:
        """The payload of a token that has verified under a key that is still in force; None: to be verified."""
        known = self._known.get(token_digest(token))
        if known is None or keys.find(known[0]) is not known[1]:
            return None
        return known[2]

    def note(self, token: str, key_id: str, key: Key, claims: Mapping[str, object]) -> None:
        """The signature over the token was computed with this key, and is right."""
        if len(self._known) >= MOST_REMEMBERED:
            self._known.clear()
        self._known[token_digest(token)] = key_id, key, claims


def token_digest(token: str) -> bytes:
    """The name under which something is remembered of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


@dataclass(frozen=True, kw_only=True)
class TokenVerifier:
    """Verifies access tokens of one issuer for one audience; `leeway` in seconds, 0 to 300.

    `accepted_types` are values of the `typ` header, compared without regard to ASCII case; "" among them accepts a
    token without one. `audience_claim`, `client_claim`, `token_id_claim` and `must_say` are as in `IssuerSettings`;
    `longest` is the longest life of a token, in seconds; `asked_always`: the issuer says of each that it is an access
    token. Raises `ConfigurationError` for an algorithm outside
    `ASYMMETRIC_ALGORITHMS`, for empty settings, and where nothing would tell an access token from an ID token.
    """

    issuer: str
    audience: str
    algorithms: tuple[str, ...]
    accepted_types: tuple[str, ...] = ("at+jwt", "application/at+jwt")
    keys: KeySource
    leeway: int = 30
    audience_claim: str = "aud"
    client_claim: str = "client_id"
    token_id_claim: str = "jti"  # noqa: S105
    must_say: Mapping[str, str] = field(default_factory=dict)
    longest: float = 86400.0
    asked_always: bool = False
    _signed: SignedBefore = field(default_factory=SignedBefore, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.issuer or not self.audience or not self.audience_claim or not self.accepted_types:
            raise ConfigurationError("issuer, audience and the accepted token types must be set")
        lax = not all((self.client_claim, self.token_id_claim, *self.accepted_types))
        if (lax or self.audience_claim != "aud") and not self.must_say and not self.asked_always:
            raise ConfigurationError("an issuer whose tokens say less than RFC 9068 wants: must_say, or ask it")
        if not self.longest > 0:
            raise ConfigurationError("the longest life of a token is above 0 seconds")
        if not self.algorithms or not ASYMMETRIC_ALGORITHMS.issuperset(self.algorithms):
            raise ConfigurationError("token algorithms must be set and asymmetric")
        if not 0 <= self.leeway <= 300:
            raise ConfigurationError("the leeway must lie between 0 and 300 seconds")

    def verify(self, token: str, now: float, proved: str | None = None) -> Mapping[str, object]:
        """Return the claims of `token` at `now` (seconds since the epoch), by RFC 9068 section 4 and RFC 8725.

        `client_id` among them is what `client_claim` names, absent where the issuer has none. `proved` is the
        thumbprint of the key that the request has proved to hold (RFC 9449), None without a proof. Raises
        `Unauthenticated` whatever is wrong with the token; `Busy` where the issuer's keys cannot be had.
        """
        claims = self._signed.claims(token, self.keys)
        if claims is None:
            claims = signed_claims(token, self.algorithms, self.accepted_types, self.keys, self._signed)
        return self.check(claims, now, proved)

    def check(self, claims: Mapping[str, object], now: float, proved: str | None = None) -> Mapping[str, object]:
        """Return verified or introspected `claims`, if they say what they have to; as `verify`."""
        if claims.get("iss") != self.issuer:
            raise Unauthenticated("the token is of another issuer")
        if self.audience not in _audiences(claims.get(self.audience_claim)):
            raise Unauthenticated("the token is for another audience")
        for name in filter(None, ("sub", self.client_claim, self.token_id_claim)):
            if not _is_text(claims.get(name)):
                raise Unauthenticated(f"the token's {name} is missing or not acceptable")
        for name, value in self.must_say.items():
            if name not in claims or (value != PRESENT and claims[name] != value):
                raise Unauthenticated("the token does not say what this issuer's access tokens say")
        if self.client_claim and claims.get("azp", claims[self.client_claim]) != claims[self.client_claim]:
            raise Unauthenticated("the token contradicts itself about its client")
        if not _FOREIGN_CLAIMS.isdisjoint(claims):
            raise Unauthenticated("the token is not an access token")
        _check_confirmation(claims, proved)
        self._check_times(claims, now)
        named = {"client_id": claims[self.client_claim]} if self.client_claim else {}
        return {name: value for name, value in claims.items() if name != "client_id"} | named

    def _check_times(self, claims: Mapping[str, object], now: float) -> None:
        expires, issued = _numeric_date(claims.get("exp")), _numeric_date(claims.get("iat"))
        if not expires > now - self.leeway:
            raise Unauthenticated("the token has expired")
        if not issued <= now + self.leeway:
            raise Unauthenticated("the token was issued in the future")
        # What is known of a logout is forgotten after that time.
        if not issued > -_FAR or not expires <= issued + self.longest:
            raise Unauthenticated("the token lives longer than any may")
        if "nbf" in claims and not _numeric_date(claims["nbf"]) <= now + self.leeway:
            raise Unauthenticated("the token is not valid yet")


def signed_claims(
    token: str,
    algorithms: Sequence[str],
    accepted_types: Sequence[str],
    keys: KeySource,
    before: SignedBefore | None = None,
) -> dict[str, object]:
    """Return the payload of a JWS in compact form whose signature verifies, and nothing more is said of it.

    Raises `Unauthenticated`, and `Busy` where the issuer's keys cannot be had.
    """
    algorithm, key_id = _checked_header(_header(token), algorithms, accepted_types)
    key = keys.find(key_id)
    try:
        payload = jws.deserialize_compact(token, key, registry=_Registry(algorithm)).payload or b""
        claims = parse_object(payload)
    except (JoseError, ValueError, TypeError):
        # Chained causes would put pieces of the token into a traceback.
        raise Unauthenticated("the token's signature or payload is not valid") from None
    if before is not None:
        before.note(token, key_id, key, claims)
    return claims


def claimed_issuer(token: str) -> str | None:
    """Return whose token this says to be, before anything is verified: "" if it doesn't, None if it is no JWS.

    Good for nothing but to choose the settings and keys by which it is then verified.
    """
    if token.count(".") != 2:
        return None
    _header(token)
    try:
        issuer = parse_object(urlsafe_b64decode(token.split(".")[1].encode("ascii"))).get("iss")
    except ValueError:
        raise Unauthenticated("the token's payload cannot be read") from None
    return issuer if isinstance(issuer, str) else ""


def _header(token: str) -> Mapping[str, object]:
    if len(token) > MAXIMUM_TOKEN_LENGTH or not token.isascii() or token.count(".") != 2:
        raise Unauthenticated("the token is not a compact JWS of acceptable size")
    try:
        return parse_object(urlsafe_b64decode(token.partition(".")[0].encode("ascii")))
    except ValueError:
        raise Unauthenticated("the token's header cannot be read") from None


def _checked_header(
    header: Mapping[str, object], algorithms: Sequence[str], accepted_types: Sequence[str]
) -> tuple[str, str]:
    algorithm, kind, key_id = header.get("alg"), header.get("typ", ""), header.get("kid")
    if not isinstance(algorithm, str) or algorithm not in algorithms:
        raise Unauthenticated("the token's algorithm is not one of ours")
    if "typ" in header and kind == "":
        raise Unauthenticated("the token's type is empty")
    if not isinstance(kind, str) or not kind.isascii() or kind.lower() not in {one.lower() for one in accepted_types}:
        raise Unauthenticated("the token's type is not accepted")
    # No extension is understood here, so every `crit` names one that is not (RFC 7515 section 4.1.11); `b64` is
    # an extension that would change what was signed (RFC 7797).
    if "crit" in header or "b64" in header:
        raise Unauthenticated("the token asks for an extension")
    if not isinstance(key_id, str) or not 0 < len(key_id) <= MAXIMUM_TEXT_LENGTH:
        raise Unauthenticated("the token names no key")
    return algorithm, key_id


def _audiences(value: object) -> list[object]:
    audiences = [value] if isinstance(value, str) else value
    if not isinstance(audiences, list) or not all(isinstance(one, str) for one in audiences):
        raise Unauthenticated("the token's audience cannot be read")
    return audiences


def _check_confirmation(claims: Mapping[str, object], proved: str | None) -> None:
    """A token bound to a key is taken with a proof of that key alone, and a proof with such a token alone."""
    if "cnf" not in claims:
        if proved is not None:
            raise Unauthenticated("the token is bound to no key")
        return
    confirmation = claims["cnf"]
    # Whatever else is confirmed (a certificate, say) is not checked here (RFC 7800 section 3.1).
    if not isinstance(confirmation, Mapping) or set(confirmation) != {"jkt"}:
        raise Unauthenticated("the token is bound in a way that is not known here")
    if proved is None or not isinstance(confirmation["jkt"], str) or confirmation["jkt"] != proved:
        raise Unauthenticated("the token is bound to a key that the request does not prove")


def _is_text(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAXIMUM_TEXT_LENGTH and value.isprintable()


def _numeric_date(value: object) -> int | float:
    # Every comparison with NaN is false. An integer is finite, and may be too large to ask.
    finite = math.isfinite(value) if isinstance(value, float) else True
    if isinstance(value, bool) or not isinstance(value, int | float) or not finite:
        raise Unauthenticated("a date in the token is missing or not a number")
    return value
