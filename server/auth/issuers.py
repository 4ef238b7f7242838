"""All issuers whose tokens are taken: a token is verified by the settings of the one that it names, and no other's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from server.auth.claims import ClaimPaths, caller_from_claims
from server.auth.introspection import Introspector
from server.auth.keys import KeySource
from server.auth.provider import Provider
from server.auth.tokens import MOST_REMEMBERED, TokenVerifier, claimed_issuer, token_digest
from server.errors import ConfigurationError, Unauthenticated
from server.model import Caller, Introspection, IssuerSettings


@dataclass(frozen=True, kw_only=True)
class Issuer:
    """One issuer: its settings, its keys, the verifier of its tokens, its endpoints, and whom to ask about a token."""

    settings: IssuerSettings
    keys: KeySource
    verifier: TokenVerifier
    paths: ClaimPaths
    provider: Provider
    introspector: Introspector | None


def open_issuer(
    settings: IssuerSettings, *, keys: KeySource, provider: Provider, clock: Callable[[], float], cache_seconds: float
) -> Issuer:
    """Raises `ConfigurationError` for settings that contradict each other; `cache_seconds` as of `Introspector`."""
    paths = ClaimPaths(**settings.claims)
    introspector = None
    if settings.introspection is not Introspection.NEVER:
        if not settings.client_id:
            raise ConfigurationError("introspection needs the client_id of this server at the issuer")
        wanted = frozenset((paths.roles, paths.project, paths.purpose, paths.patient, paths.departments))
        introspector = Introspector(
            provider,
            issuer=settings.issuer,
            clock=clock,
            lifetime=cache_seconds,
            userinfo_claims=wanted if settings.roles_from_userinfo else frozenset(),
        )
    elif settings.roles_from_userinfo:
        raise ConfigurationError("roles_from_userinfo is for tokens that are introspected")
    verifier = TokenVerifier(
        issuer=settings.issuer,
        audience=settings.audience,
        algorithms=settings.algorithms,
        accepted_types=settings.token_types,
        keys=keys,
        audience_claim=settings.audience_claim,
        client_claim=settings.client_claim,
        token_id_claim=settings.token_id_claim,
        must_say=settings.must_say,
        longest=settings.longest_token_seconds,
        asked_always=settings.introspection is Introspection.ALWAYS,
    )
    return Issuer(
        settings=settings, keys=keys, verifier=verifier, paths=paths, provider=provider, introspector=introspector
    )


def authentication(claims: Mapping[str, object], now: float) -> tuple[float, str]:
    """When and how the person of verified claims authenticated (`auth_time` and `acr`, RFC 9068 section 2.2.1).

    0 and "" for what is not said, not readable or yet to come.
    """
    at, how = claims.get("auth_time"), claims.get("acr")
    known = isinstance(at, int | float) and not isinstance(at, bool) and 0 < at <= now + 30
    return float(str(at)) if known else 0.0, how if isinstance(how, str) else ""


class Issuers:
    """The issuers by name. Raises `ConfigurationError` for two of one name, and for two that would be asked about a
    token that names none: to ask the wrong one would give it another's token."""

    def __init__(self, issuers: tuple[Issuer, ...]) -> None:
        self.all: Mapping[str, Issuer] = {one.settings.issuer: one for one in issuers}
        if len(self.all) != len(issuers) or not issuers:
            raise ConfigurationError("every issuer is named once")
        asked = [one for one in issuers if one.introspector is not None]
        if len(asked) > 1 and any(one.settings.introspection is Introspection.OPAQUE for one in asked):
            raise ConfigurationError("opaque tokens can be of one issuer only")
        self._opaque = asked[0] if len(asked) == 1 else None
        # Whose a token says to be is written in the token; of those that verified it is not read again.
        self._of: dict[bytes, Issuer] = {}

    def verify(self, token: str, now: float, proved: str | None = None) -> Mapping[str, object]:
        """Return the claims of a token at `now`; `iss` among them is one of `all`. As `TokenVerifier.verify`."""
        name = token_digest(token)
        issuer = self._of.get(name)
        named = issuer.settings.issuer if issuer else claimed_issuer(token)
        if named is None:
            if self._opaque is None or self._opaque.introspector is None:
                raise Unauthenticated("the token is no JWT, and no issuer is asked about such")
            return self._opaque.verifier.check(self._opaque.introspector.ask(token), now, proved)
        issuer = self.all.get(named)
        if issuer is None:
            raise Unauthenticated("the token is of an issuer that is not ours")
        claims = issuer.verifier.verify(token, now, proved)
        if len(self._of) >= MOST_REMEMBERED:
            self._of.clear()
        self._of[name] = issuer
        if issuer.introspector is not None and issuer.settings.introspection is Introspection.ALWAYS:
            told = issuer.introspector.ask(token)
            if told.get("sub", claims["sub"]) != claims["sub"]:
                raise Unauthenticated("the issuer speaks of another subject")
        return claims

    def caller(self, claims: Mapping[str, object], known_roles: frozenset[str]) -> Caller:
        """Return the caller of verified claims, by the claim paths of their issuer. As `caller_from_claims`."""
        issuer = self.all[str(claims["iss"])]
        settings = issuer.settings
        clientless = not settings.client_claim
        return caller_from_claims(claims, issuer.paths, known_roles, settings.role_names, clientless=clientless)
