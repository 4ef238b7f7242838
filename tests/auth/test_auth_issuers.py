"""Several issuers, each by its own settings; tokens as real providers make them; asking the issuer about a token."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

import pytest
from auth_tokens import (
    AUDIENCE,
    ISSUER,
    JWKS,
    NOW,
    OTHER_KEY,
    claims,
    encoded,
    header,
    other_key,
    raw_token,
)  # fmt: skip

from server.auth.introspection import Introspector
from server.auth.issuers import Issuer, Issuers, open_issuer
from server.auth.keys import FixedKeys
from server.auth.provider import Provider
from server.demo.users import public_key_set
from server.errors import Busy, ConfigurationError, Unauthenticated
from server.model import Introspection, IssuerSettings

OTHER = "https://login.example.net/tenant"
ROLES = frozenset({"clinician", "researcher"})
KEYS = FixedKeys(json.dumps(JWKS).encode())
OTHER_KEYS = FixedKeys(json.dumps(public_key_set(OTHER_KEY)).encode())


class Endpoint:
    """An issuer that answers what it is told to, and counts."""

    def __init__(self, **answer: object) -> None:
        self.answer: dict[str, object] = answer
        self.userinfo: dict[str, object] = {}
        self.asked: list[tuple[str, Mapping[str, str], str]] = []
        self.status = 200

    def fetch(self, url: str, authorization: str = "") -> bytes:
        if url.endswith("/userinfo"):
            assert authorization.startswith("Bearer ")
            return json.dumps(self.userinfo).encode()
        at = {
            f"{name}_endpoint": f"{ISSUER}/{name}" for name in ("authorization", "token", "introspection", "userinfo")
        }
        return json.dumps({"issuer": ISSUER, **at}).encode()

    def post(self, url: str, form: Mapping[str, str], authorization: str) -> tuple[int, bytes]:
        self.asked.append((url, dict(form), authorization))
        return self.status, json.dumps(self.answer).encode()


class Clock:
    now = NOW

    def __call__(self) -> float:
        return self.now


def issuer(endpoint: Endpoint | None = None, clock: Clock | None = None, **changes: Any) -> Issuer:
    settings = IssuerSettings(**{"issuer": ISSUER, "audience": AUDIENCE, "algorithms": ("ES256",), **changes})
    answers = endpoint or Endpoint()
    provider = Provider(settings.issuer, settings.client_id, fetch=answers.fetch, post=answers.post, secret="s&cret")
    keys = OTHER_KEYS if settings.issuer == OTHER else KEYS
    return open_issuer(settings, keys=keys, provider=provider, clock=clock or Clock(), cache_seconds=30.0)


def asked(**changes: Any) -> dict[str, Any]:
    return {"introspection": Introspection.OPAQUE, "client_id": "safelight", **changes}


def active(**changes: object) -> Endpoint:
    return Endpoint(**{**claims(), "active": True, "token_type": "Bearer", **changes})


def roles(one: Issuer, **said: object) -> frozenset[str]:
    """The roles of a token that says this, as one issuer's."""
    kind = said.pop("typ", "JWT")
    book = Issuers((one,))
    told = {"roles": None, "client_id": None, "jti": None, **said}
    return book.caller(book.verify(raw_token(header(typ=kind), claims(**told)), NOW), ROLES).roles


def test_a_T4_each_issuer_signs_with_its_own_keys_for_its_own_audience() -> None:
    book = Issuers((issuer(), issuer(issuer=OTHER, audience="films", claims={"roles": "groups"})))
    ours = book.verify(raw_token(header(), claims()), NOW)
    assert book.caller(ours, ROLES).issuer == ISSUER
    head = header(kid=OTHER_KEY["kid"])
    theirs = claims(iss=OTHER, aud="films", groups=["researcher"])
    caller = book.caller(book.verify(raw_token(head, theirs, other_key()), NOW), ROLES)
    assert (caller.issuer, caller.roles) == (OTHER, frozenset({"researcher"}))
    for wrong in (
        raw_token(head, claims(), other_key()),
        raw_token(header(), claims(iss=OTHER, aud="films")),
        raw_token(head, claims(iss=OTHER, aud=AUDIENCE), other_key()),
        raw_token(header(), claims(iss="https://issuer.example.org")),
        raw_token(header(), claims(iss=[ISSUER])),
        raw_token(header(), b"[]"),
        f"{encoded(b'{}')}.{encoded(b'{}')}.",
        "opaque",
    ):
        with pytest.raises(Unauthenticated):
            book.verify(wrong, NOW)


def test_tokens_as_real_providers_make_them() -> None:
    keycloak = issuer(token_types=("JWT",), client_claim="azp", claims={"roles": "realm_access.roles"})
    said: dict[str, Any] = {
        "azp": "viewer",
        "jti": "1",
        "realm_access": {"roles": ["clinician"]},
        "roles": ["researcher"],
    }
    assert roles(keycloak, **said) == {"clinician"}
    entra = issuer(
        token_types=("JWT",), client_claim="azp", token_id_claim="uti", must_say={"ver": "2.0", "scp": "*"},
        claims={"roles": "groups"}, role_names={"5b3c": "clinician"},
    )  # fmt: skip
    token: dict[str, Any] = {
        "azp": "viewer",
        "uti": "x",
        "ver": "2.0",
        "scp": "films",
        "groups": ["5b3c", "researcher"],
    }
    assert roles(entra, **token) == {"clinician"}
    cognito = issuer(
        token_types=("",), audience_claim="client_id", audience="4lq", must_say={"token_use": "access"},
        claims={"roles": "cognito:groups"},
    )  # fmt: skip
    token = {"aud": None, "client_id": "4lq", "jti": "1", "token_use": "access", "cognito:groups": ["clinician"]}
    assert roles(cognito, typ=None, **token) == {"clinician"}
    canaille = issuer(
        token_types=("JWT",), client_claim="", token_id_claim="", must_say={"scope": "*"}, claims={"roles": "groups"}
    )
    assert roles(canaille, aud=[AUDIENCE], scope="openid groups", groups=["clinician"]) == {"clinician"}
    for provider, wrong in (
        (keycloak, {**said, "azp": None}),
        (entra, {"azp": "viewer", "uti": "x", "ver": "2.0", "groups": ["5b3c"]}),
        (entra, {"azp": "viewer", "ver": "2.0", "scp": "films"}),
        (cognito, {"aud": None, "client_id": "4lq", "jti": "1", "token_use": "id"}),
        (cognito, {"client_id": "another", "jti": "1", "token_use": "access"}),
        (canaille, {"groups": ["clinician"]}),
        (canaille, {"scope": "openid", "at_hash": "x"}),
    ):
        with pytest.raises(Unauthenticated):
            roles(provider, typ=None if provider is cognito else "JWT", **wrong)


@pytest.mark.parametrize(
    "lax", [{"client_claim": ""}, {"token_id_claim": ""}, {"token_types": ("JWT", "")}, {"audience_claim": "client_id"}]
)
def test_a_T4_what_keeps_id_tokens_out_is_given_up_for_something_else_only(lax: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        issuer(**lax)
    issuer(**lax, must_say={"token_use": "access"})


def test_an_opaque_token_is_asked_about_as_this_client_and_remembered_shortly() -> None:
    endpoint, clock = active(), Clock()
    book = Issuers((issuer(endpoint, clock, **asked()),))
    for _ in range(3):
        assert book.caller(book.verify("opaque-1", clock()), ROLES).roles == {"clinician"}
    ((url, form, authorization),) = endpoint.asked
    assert url == f"{ISSUER}/introspection"
    assert form == {"token": "opaque-1", "token_type_hint": "access_token"}
    assert base64.b64decode(authorization.removeprefix("Basic ")) == b"safelight:s%26cret"
    assert parse_qs("x=s%26cret") == {"x": ["s&cret"]}


def test_a_T5_a_revoked_token_is_refused_within_the_stated_seconds() -> None:
    endpoint, clock = active(), Clock()
    book = Issuers((issuer(endpoint, clock, **asked()),))
    book.verify("opaque-1", clock())
    endpoint.answer = {"active": False}
    clock.now += 29.9
    book.verify("opaque-1", clock())
    clock.now += 0.2
    for _ in range(3):
        with pytest.raises(Unauthenticated):
            book.verify("opaque-1", clock())
    assert len(endpoint.asked) == 2


def test_a_T5_a_jwt_is_asked_about_too_where_the_issuer_is_always_asked() -> None:
    endpoint, clock = active(), Clock()
    book = Issuers((issuer(endpoint, clock, **asked(introspection=Introspection.ALWAYS)),))
    token = raw_token(header(), claims())
    book.verify(token, clock())
    endpoint.answer = {**endpoint.answer, "sub": "another"}
    clock.now += 31
    with pytest.raises(Unauthenticated):
        book.verify(token, clock())
    with pytest.raises(Unauthenticated):
        book.verify(raw_token(header(), claims(aud="x")), clock())
    assert len(endpoint.asked) == 2


def test_what_is_remembered_ends_with_the_token() -> None:
    endpoint, clock = active(exp=NOW + 10), Clock()
    book = Issuers((issuer(endpoint, clock, **asked()),))
    book.verify("opaque-1", clock())
    clock.now += 11
    book.verify("opaque-1", clock())  # within the leeway, and asked about again
    assert len(endpoint.asked) == 2
    clock.now += 30
    with pytest.raises(Unauthenticated):
        book.verify("opaque-1", clock())


@pytest.mark.parametrize(
    "wrong",
    [
        {"active": False}, {"active": "true"}, {"active": 1}, {"active": None}, {"token_type": None},
        {"token_type": "refresh_token"}, {"exp": None}, {"exp": True}, {"iat": None}, {"iss": OTHER}, {"aud": "x"},
        {"aud": None}, {"sub": None}, {"client_id": None}, {"exp": NOW - 100}, {"cnf": {"x5t#S256": "x"}},
    ],
)  # fmt: skip
def test_a_T4_an_answer_is_held_to_what_a_token_is_held_to(wrong: dict[str, object]) -> None:
    endpoint = active(**wrong)
    endpoint.answer = {name: value for name, value in endpoint.answer.items() if value is not None}
    with pytest.raises(Unauthenticated):
        Issuers((issuer(endpoint, **asked()),)).verify("opaque-1", NOW)


def test_an_issuer_that_does_not_answer_lets_nobody_in() -> None:
    endpoint = active()
    endpoint.status = 401
    with pytest.raises(Busy):
        Issuers((issuer(endpoint, **asked()),)).verify("opaque-1", NOW)


def test_a_T6_roles_of_userinfo_are_the_only_ones_where_the_setting_says_so() -> None:
    endpoint = active(roles=["clinician"], project="P")
    endpoint.userinfo = {"sub": "user-1", "roles": ["researcher"]}
    book = Issuers((issuer(endpoint, **asked(roles_from_userinfo=True)),))
    caller = book.caller(book.verify("opaque-1", NOW), ROLES)
    assert (caller.roles, caller.project) == (frozenset({"researcher"}), None)
    told: tuple[dict[str, object], ...] = ({"sub": "user-2", "roles": ["researcher"]}, {"roles": ["researcher"]})
    for wrong in told:
        endpoint.userinfo = wrong
        with pytest.raises(Unauthenticated):
            book.verify("opaque-2", NOW)


def test_what_is_remembered_has_an_end() -> None:
    endpoint = active()
    provider = Provider(ISSUER, "safelight", fetch=endpoint.fetch, post=endpoint.post)
    asking = Introspector(provider, issuer=ISSUER, clock=Clock(), lifetime=30.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("server.auth.introspection.MOST_KEPT", 2)
        for token in ("a", "b", "c", "a"):
            asking.ask(token)
    assert len(endpoint.asked) == 4


def test_settings_that_contradict_each_other_are_no_server() -> None:
    for wrong in ({"introspection": Introspection.OPAQUE}, {"roles_from_userinfo": True}):
        with pytest.raises(ConfigurationError):
            issuer(**wrong)
    two = (issuer(**asked()), issuer(issuer=OTHER, **asked()))
    for several in ((), (issuer(), issuer()), two):
        with pytest.raises(ConfigurationError):
            Issuers(several)
