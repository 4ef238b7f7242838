"""Tokens that must verify, and every way in which one must not."""

from __future__ import annotations

import hmac
import json

import pytest
from auth_tokens import (
    AUDIENCE,
    JWKS,
    NOW,
    RSA_KEY,
    SIGNING_KEY,
    claims,
    encoded,
    header,
    other_key,
    raw_token,
    refused,
    verifier,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from server.auth.tokens import MAXIMUM_TOKEN_LENGTH, bearer_token
from server.demo.users import public_key_set
from server.errors import ConfigurationError, Unauthenticated

PUBLIC = public_key_set(SIGNING_KEY)["keys"][0]


def test_a_right_token_gives_its_claims() -> None:
    assert verifier().verify(raw_token(header(), claims()), NOW) == claims()


@pytest.mark.parametrize("kind", ["at+jwt", "AT+JWT", "application/at+jwt", "Application/AT+JWT"])
def test_the_type_is_compared_without_case(kind: str) -> None:
    verifier().verify(raw_token(header(typ=kind), claims()), NOW)


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": ["another", AUDIENCE]},
        {"nbf": NOW + 29},
        {"iat": NOW + 29},
        {"exp": NOW - 29},
        {"exp": NOW - 10 + 86400},
        {"azp": "viewer"},
    ],
)
def test_claims_at_the_edge_are_accepted(changes: dict[str, object]) -> None:
    verifier().verify(raw_token(header(), claims(**changes)), NOW)


def test_headers_that_bring_a_key_along_are_not_read() -> None:
    brought = header(jku="not a URL", jwk={"kty": "?"}, x5u=1, x5c=["A" * 2000], unknown="value")
    verifier().verify(raw_token(brought, claims()), NOW)


def test_other_asymmetric_algorithms_verify_when_named() -> None:
    token = raw_token(header(alg="RS256", kid="rsa"), claims(), RSA_KEY)
    verifier(algorithms=("ES256", "RS256")).verify(token, NOW)
    refused(token)


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE", "", "HS256", "HS384", "es256", "ES384", "EdDSA"])
@pytest.mark.parametrize("signature", ["", encoded(b"\0" * 64)])
def test_a_T1_the_token_does_not_choose_the_algorithm(algorithm: str, signature: str) -> None:
    head, payload = json.dumps(header(alg=algorithm)).encode(), json.dumps(claims()).encode()
    refused(f"{encoded(head)}.{encoded(payload)}.{signature}")


@pytest.mark.parametrize("algorithm", [None, 1, ["ES256"], {"ES256": 1}, True])
def test_a_T1_an_algorithm_that_is_no_string_is_refused(algorithm: object) -> None:
    refused(raw_token(header(alg=algorithm), claims()))


@pytest.mark.parametrize("secret", [RSA_KEY.as_pem(), RSA_KEY.as_der(), json.dumps(PUBLIC).encode(), b"secret"])
@pytest.mark.parametrize("named", ["HS256", "RS256", "ES256"])
def test_a_T1_a_public_key_is_never_an_hmac_secret(secret: bytes, named: str) -> None:
    for key_id in ("rsa", SIGNING_KEY["kid"]):
        signed = raw_token(header(alg=named, kid=key_id), claims()).rpartition(".")[0]
        forged = hmac.new(secret, signed.encode(), "sha256").digest()
        refused(f"{signed}.{encoded(forged)}", verifier(algorithms=("RS256", "ES256", "PS256")))


def test_a_T1_a_key_serves_only_its_own_algorithm() -> None:
    both = verifier(algorithms=("RS256", "PS256", "ES256", "ES384"))
    refused(raw_token(header(alg="PS256", kid="rsa"), claims(), RSA_KEY), both)
    refused(raw_token(header(alg="RS256"), claims()), both)
    refused(raw_token(header(alg="ES384"), claims()), both)
    refused(raw_token(header(alg="ES256", kid="rsa"), claims()), both)


@pytest.mark.parametrize("algorithms", [(), ("none",), ("HS256",), ("ES256", "HS512"), ("EdDSA",), ("",)])
def test_a_T1_unsafe_algorithms_cannot_be_configured(algorithms: tuple[str, ...]) -> None:
    with pytest.raises(ConfigurationError):
        verifier(algorithms=algorithms)


@pytest.mark.parametrize(
    "wrong", [{"issuer": ""}, {"audience": ""}, {"accepted_types": ()}, {"accepted_types": ("",)}, {"leeway": 301}]
)
def test_settings_that_would_check_nothing_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError):
        verifier(**wrong)


@pytest.mark.parametrize("with_key_id", [True, False])
def test_a_T2_a_key_inside_the_token_is_not_used(with_key_id: bool) -> None:
    stranger = other_key()
    public = stranger.as_dict(private=False)
    head = header(jwk=public, jku="https://attacker.example.org/jwks", x5u="https://attacker.example.org/x")
    head["kid"] = SIGNING_KEY["kid"] if with_key_id else public["kid"]
    refused(raw_token(head, claims(), stranger))


@pytest.mark.parametrize("key_id", [None, "", 1, ["rsa"], "unknown", "../../dev/null", "' OR 1=1 --", "k" * 600])
def test_a_T2_the_key_must_be_named_and_known(key_id: object) -> None:
    refused(raw_token(header(kid=key_id), claims()))


def test_a_T2_a_forged_signature_is_refused() -> None:
    refused(raw_token(header(), claims(), other_key()))
    head, payload, signature = raw_token(header(), claims()).split(".")
    forged = encoded(json.dumps(claims(sub="somebody-else")).encode())
    for token in (f"{head}.{forged}.{signature}", f"{head}.{payload}.", f"{head}.{payload}.{encoded(b'0' * 64)}"):
        refused(token)


@pytest.mark.parametrize("critical", [["exp"], ["b64"], ["urn:example:x"], [], "exp", None, 1, ["alg"]])
def test_a_T3_every_critical_extension_is_refused(critical: object) -> None:
    head = header() | {"crit": critical, "urn:example:x": 1, "exp": NOW + 600}
    refused(raw_token(head, claims()))


@pytest.mark.parametrize("value", [True, False, None])
def test_a_T3_the_unencoded_payload_extension_is_refused(value: object) -> None:
    refused(raw_token(header() | {"b64": value}, claims()))
    refused(raw_token(header() | {"b64": value, "crit": ["b64"]}, claims()))


@pytest.mark.parametrize("doubled", ["roles", "sub", "iss", "exp", "aud"])
def test_a_T6_a_claim_given_twice_is_refused(doubled: str) -> None:
    payload = json.dumps(claims()).encode()
    once = json.dumps({doubled: claims()[doubled]}).encode()[1:-1]
    refused(raw_token(header(), b"{" + once + b"," + payload[1:]))
    nested = payload[:-1] + b',"realm_access":{"roles":["patient"],"roles":["clinician"]}}'
    refused(raw_token(header(), nested))


@pytest.mark.parametrize("doubled", [b'"alg":"none"', b'"kid":"rsa"', b'"typ":"JWT"', b'"\\u0061lg":"ES256"'])
def test_a_T6_a_header_given_twice_is_refused(doubled: bytes) -> None:
    refused(raw_token(b"{" + doubled + b"," + json.dumps(header()).encode()[1:], claims()))


@pytest.mark.parametrize(
    "payload", [b"", b"[]", b"null", b'"text"', b"{", b"\xff{}", b"\xef\xbb\xbf{}", b"[" * 5000, b'{"a":' * 2000]
)
def test_a_payload_that_is_no_object_is_refused(payload: bytes) -> None:
    refused(raw_token(header(), payload))
    refused(raw_token(payload, claims()))


@pytest.mark.parametrize("literal", [b"NaN", b"Infinity", b"-Infinity"])
def test_what_is_no_json_is_refused_wherever_it_stands(literal: bytes) -> None:
    refused(raw_token(header(), json.dumps(claims(other=424242)).encode().replace(b"424242", literal)))


def test_a_lone_surrogate_is_refused() -> None:
    refused(raw_token(header(), claims(name="\ud800")))


def test_a_token_above_the_size_limit_is_refused() -> None:
    verifier().verify(raw_token(header(), claims(filler="x" * 10_000)), NOW)
    token = raw_token(header(), claims(filler="x" * 13_000))
    assert len(token) > MAXIMUM_TOKEN_LENGTH
    refused(token)


@pytest.mark.parametrize("change", ["{}=", "{}.", ".{}", " {}", "{}\n", "{}.e.y", "é{}"])
def test_a_token_of_another_shape_is_refused(change: str) -> None:
    refused(change.format(raw_token(header(), claims())))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_change_of_a_token_verifies_and_none_crashes(data: st.DataObject) -> None:
    token = raw_token(header(), claims())
    place = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.characters(codec="utf-8").filter(lambda one: one != token[place]))
    refused(token[:place] + other + token[place + 1 :])
    refused(token[:place])


@settings(max_examples=100, deadline=None)
@given(st.text() | st.from_regex(r"[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*", fullmatch=True))
def test_junk_is_refused(token: str) -> None:
    refused(token)


@settings(max_examples=100, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["alg", "typ", "kid", "crit", "b64", "jwk", "iss", "aud", "exp"]),
        st.none() | st.booleans() | st.floats() | st.text(max_size=5) | st.lists(st.text(max_size=3), max_size=2),
        min_size=1,
    )
)
def test_signed_junk_raises_nothing_else(junk: dict[str, object]) -> None:
    for token in (raw_token(header() | junk, claims()), raw_token(header(), claims() | junk), raw_token(junk, junk)):
        try:
            verifier().verify(token, NOW)
        except Unauthenticated:
            continue


def test_what_is_said_of_a_refused_token_names_nobody() -> None:
    for error in (
        refused(raw_token(header(), claims(sub="EXAMPLE PATIENT\n"))),
        refused(raw_token(header(), claims(aud="EXAMPLE PATIENT"))),
        refused(raw_token(header(), b'{"sub":"EXAMPLE PATIENT"')),
    ):
        assert "EXAMPLE" not in f"{error}{error.public}{error.__cause__}"
        assert error.error == "invalid_token"


def test_the_keys_of_these_tests_are_what_they_say() -> None:
    assert {entry["kid"] for entry in JWKS["keys"] if isinstance(entry, dict)} == {"rsa", SIGNING_KEY["kid"]}


@pytest.mark.parametrize("value", ["Bearer abc.def-_~+/=", "bearer abc", "BEARER  abc "])
def test_a_bearer_header_gives_its_token(value: str) -> None:
    assert bearer_token(value).startswith("abc")


def test_no_header_is_told_apart_from_a_bad_one() -> None:
    with pytest.raises(Unauthenticated) as caught:
        bearer_token(None)
    assert caught.value.error == ""
    for value in (
        "",
        "Bearer",
        "Bearer ",
        "Basic abc",
        "Bearer a b",
        "Bearer a, Bearer b",
        "Bearer é",
        "abc",
        "Bearera",
    ):
        with pytest.raises(Unauthenticated) as caught:
            bearer_token(value)
        assert caught.value.error == "invalid_request"
