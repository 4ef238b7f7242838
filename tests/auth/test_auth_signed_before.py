"""A signature is computed once for one token and one key; everything else about the token is looked at each time."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
from auth_tokens import JWKS, NOW, OTHER_KEY, SIGNING_KEY, claims, header, raw_token, verifier
from joserfc import jws
from joserfc.jwk import Key

from server.auth.keys import public_keys
from server.demo.users import public_key_set
from server.errors import Unauthenticated


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tokens whose signatures are computed."""
    tokens: list[str] = []
    deserialize = jws.deserialize_compact

    def counting(token: str, *rest: object, **named: object) -> object:
        tokens.append(token)
        return deserialize(token, *rest, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(jws, "deserialize_compact", counting)
    return tokens


class Keys:
    """Keys that an issuer can change."""

    def __init__(self) -> None:
        self.published: Mapping[str, Key] = public_keys(json.dumps(JWKS).encode())

    def find(self, key_id: str) -> Key:
        if key_id not in self.published:
            raise Unauthenticated("the issuer has no such key")
        return self.published[key_id]


def test_a_signature_is_computed_once(computed: list[str]) -> None:
    checks, token = verifier(), raw_token(header(), claims())
    assert checks.verify(token, NOW) == checks.verify(token, NOW)
    assert len(computed) == 1
    other = raw_token(header(), claims(sub="user-2"))
    assert checks.verify(other, NOW)["sub"] == "user-2"
    assert len(computed) == 2


def test_what_depends_on_the_moment_is_looked_at_each_time() -> None:
    checks, token = verifier(), raw_token(header(), claims())
    checks.verify(token, NOW)
    with pytest.raises(Unauthenticated, match="expired"):
        checks.verify(token, NOW + 3600)
    with pytest.raises(Unauthenticated, match="bound to no key"):
        checks.verify(token, NOW, "a thumbprint")


def test_a_key_that_was_withdrawn_verifies_nothing_any_more() -> None:
    keys = Keys()
    checks, token = verifier(keys=keys), raw_token(header(), claims())
    checks.verify(token, NOW)
    keys.published = {}
    with pytest.raises(Unauthenticated):
        checks.verify(token, NOW)


def test_a_key_in_the_place_of_another_has_signed_nothing(computed: list[str]) -> None:
    keys = Keys()
    checks, token = verifier(keys=keys), raw_token(header(), claims())
    checks.verify(token, NOW)
    keys.published = public_keys(json.dumps(JWKS).encode())
    checks.verify(token, NOW)
    assert len(computed) == 2
    stranger = {**public_key_set(OTHER_KEY)["keys"][0], "kid": SIGNING_KEY["kid"]}
    keys.published = public_keys(json.dumps({"keys": [stranger]}).encode())
    with pytest.raises(Unauthenticated):
        checks.verify(token, NOW)


def test_what_did_not_verify_is_not_remembered(computed: list[str]) -> None:
    checks, token = verifier(), raw_token(header(), claims())
    head, payload, _ = token.split(".")
    forged = f"{head}.{payload}.{'A' * 86}"
    for _ in range(2):
        with pytest.raises(Unauthenticated):
            checks.verify(forged, NOW)
    checks.verify(token, NOW)
    with pytest.raises(Unauthenticated):
        checks.verify(forged, NOW)
    assert len(computed) == 4


def test_the_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.auth.tokens.MOST_REMEMBERED", 3)
    checks = verifier()
    for number in range(10):
        checks.verify(raw_token(header(), claims(jti=f"token-{number}")), NOW)
        assert 0 < len(checks._signed._known) <= 3


def test_what_is_done_with_claims_changes_none_of_the_next_request() -> None:
    checks, token = verifier(), raw_token(header(), claims(roles=["clinician"]))
    first = dict(checks.verify(token, NOW))
    first["sub"] = "another"
    assert checks.verify(token, NOW)["sub"] == claims()["sub"]
