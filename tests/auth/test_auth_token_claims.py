"""Tokens of the wrong kind, issuer, audience or time."""

from __future__ import annotations

import json

import pytest
from auth_tokens import AUDIENCE, ISSUER, NOW, claims, header, raw_token, refused, verifier


@pytest.mark.parametrize("kind", [None, "", "JWT", "jwt", "at-jwt", "id+jwt", "dpop+jwt", "logout+jwt", 1, ["at+jwt"]])
def test_a_T4_only_access_tokens_are_accepted(kind: object) -> None:
    refused(raw_token(header(typ=kind), claims()))


@pytest.mark.parametrize("foreign", ["at_hash", "c_hash", "s_hash", "events"])
def test_a_T4_an_id_token_is_refused_where_plain_jwts_are_accepted(foreign: str) -> None:
    plain = verifier(accepted_types=("JWT",))
    plain.verify(raw_token(header(typ="JWT"), claims()), NOW)
    refused(raw_token(header(typ="JWT"), claims(**{foreign: "x"})), plain)
    refused(raw_token(header(typ="JWT"), claims(client_id=None, jti=None, aud="viewer", azp="viewer")), plain)
    refused(raw_token(header(typ=None), claims()), plain)


@pytest.mark.parametrize(
    "issuer", [None, "", f"{ISSUER}/", ISSUER.upper(), "https://issuer.example.org/realms/other", [ISSUER], 1]
)
def test_a_T4_another_issuer_is_refused(issuer: object) -> None:
    refused(raw_token(header(), claims(iss=issuer)))


@pytest.mark.parametrize(
    "audience",
    [None, "", [], f"{AUDIENCE}/", AUDIENCE.upper(), ["viewer"], [AUDIENCE, 1], {AUDIENCE: 1}, 1, [[AUDIENCE]]],
)
def test_a_T4_another_audience_is_refused(audience: object) -> None:
    refused(raw_token(header(), claims(aud=audience)))


@pytest.mark.parametrize("name", ["sub", "client_id", "jti"])
@pytest.mark.parametrize("value", [None, "", 1, True, ["user-1"], {"a": 1}, "a\nb", "a\0b", "a\u202eb", "x" * 513])
def test_a_T4_required_claims_are_text(name: str, value: object) -> None:
    refused(raw_token(header(), claims(**{name: value})))


def test_a_T4_a_token_that_contradicts_itself_or_is_bound_to_a_key_is_refused() -> None:
    refused(raw_token(header(), claims(azp="another")))
    refused(raw_token(header(), claims(azp=["viewer"])))
    refused(raw_token(header(), claims(cnf={"jkt": "x"})))


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": NOW - 30},
        {"exp": 0},
        {"exp": -(10**400)},
        {"nbf": NOW + 31},
        {"iat": NOW + 31},
        {"nbf": 10**400},
    ],
)
def test_a_T5_a_token_out_of_its_time_is_refused(changes: dict[str, object]) -> None:
    refused(raw_token(header(), claims(**changes)))


@pytest.mark.parametrize("name", ["exp", "iat", "nbf"])
@pytest.mark.parametrize("value", [True, False, "1900000000", [], {}, "NaN"])
def test_a_T5_dates_are_numbers(name: str, value: object) -> None:
    refused(raw_token(header(), claims(**{name: value})))
    refused(raw_token(header(), claims() | {name: None}))


@pytest.mark.parametrize("name", ["exp", "iat"])
def test_a_T5_expiry_and_issue_are_required(name: str) -> None:
    refused(raw_token(header(), claims(**{name: None})))


@pytest.mark.parametrize("literal", [b"NaN", b"Infinity", b"-Infinity", b"1e999"])
def test_a_T5_a_date_that_is_no_number_never_expires_and_is_refused(literal: bytes) -> None:
    payload = json.dumps(claims(exp=424242)).encode().replace(b"424242", literal)
    refused(raw_token(header(), payload))


def test_a_T5_a_token_expires_while_it_is_used() -> None:
    token = raw_token(header(), claims())
    verifier().verify(token, NOW + 629)
    refused(token, now=NOW + 630)


@pytest.mark.parametrize("changes", [{"exp": NOW - 9 + 86400}, {"exp": 10**400}, {"iat": -(10**400)}, {"iat": 0}])
def test_a_T5_no_token_lives_longer_than_a_logout_is_remembered(changes: dict[str, object]) -> None:
    refused(raw_token(header(), claims(**changes)))
