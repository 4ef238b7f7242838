"""One OpenID provider or authorization server whose tokens are taken, and where it puts what a decision needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

PRESENT = "*"


class Introspection(StrEnum):
    """When the issuer is asked about a token (RFC 7662): never, for tokens that are no JWT, or for every token."""

    NEVER = "never"
    OPAQUE = "opaque"
    ALWAYS = "always"


@dataclass(frozen=True, kw_only=True)
class Freshness:
    """How a person must have signed in for an act: at most `max_age` seconds ago, in one of `contexts` (`acr` values;
    none: in any)."""

    max_age: int
    contexts: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class IssuerSettings:
    """What is accepted from one issuer; the defaults are RFC 9068's.

    `audience` is what `audience_claim` must hold. `client_claim` and `token_id_claim` name the claims that say for
    whom and which token it is, "" where the issuer has none; `token_types` may hold "" for tokens without `typ`. Each
    of these takes away what keeps ID tokens out, so `must_say` then has to name what access tokens alone say: a claim
    and its one value, or "*" for any; or the issuer is asked about every token.

    `role_names` maps the issuer's names to roles of the policy; where it is given,
    nothing else is a role. `client_id` is this server at the issuer, "" where no browser signs in there;
    `client_secret` is the path of the file that holds its
    secret, "" for a public client. `roles_from_userinfo`: an opaque token's roles and bindings
    come from userinfo alone. `longest_token_seconds` bounds a token's life from issue to expiry.
    """

    issuer: str
    audience: str
    label: str = ""
    algorithms: tuple[str, ...] = ("RS256", "PS256", "ES256", "Ed25519")
    token_types: tuple[str, ...] = ("at+jwt", "application/at+jwt")
    audience_claim: str = "aud"
    client_claim: str = "client_id"
    token_id_claim: str = "jti"  # noqa: S105
    must_say: Mapping[str, str] = field(default_factory=dict)
    claims: Mapping[str, str] = field(default_factory=dict)
    role_names: Mapping[str, str] = field(default_factory=dict)
    client_id: str = ""
    client_secret: str = ""
    scope: str = "openid"
    introspection: Introspection = Introspection.NEVER
    roles_from_userinfo: bool = False
    longest_token_seconds: float = 86400.0
