"""Sign-in values."""

from __future__ import annotations

import hashlib
from urllib.parse import parse_qs, urlsplit

import pytest
from auth_tokens import ISSUER, CountedBytes

from server.auth.sessions import code_challenge, new_session_id, new_sign_in, session_digest
from server.errors import Unauthenticated


def test_session_identifiers_are_long_and_differ() -> None:
    randomness = CountedBytes()
    first, second = new_session_id(randomness), new_session_id(randomness)
    assert len(first) == 43
    assert first != second
    assert session_digest(first) == hashlib.sha256(first.encode()).hexdigest()


@pytest.mark.parametrize("value", ["", "short", "x" * 42, "x" * 44, "x" * 42 + "=", "x" * 43 + "\n", "é" * 43])
def test_what_is_no_session_identifier_has_no_digest(value: str) -> None:
    with pytest.raises(Unauthenticated):
        session_digest(value)


def test_the_challenge_is_that_of_rfc_7636_appendix_b() -> None:
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    assert code_challenge(verifier) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def test_an_attempt_asks_with_its_challenge_and_never_shows_its_verifier() -> None:
    attempt = new_sign_in(CountedBytes())
    url = attempt.authorization_url(
        "https://issuer.example.org/authorize?tenant=1",
        client="safelight",
        redirect_uri="https://a.example/cb",
        resource="r",
    )
    query = parse_qs(urlsplit(url).query)
    assert query["tenant"] == ["1"]
    assert query["code_challenge"] == [code_challenge(attempt.verifier)]
    assert query["state"] == [attempt.state]
    assert attempt.verifier not in url
    assert len({attempt.state, attempt.nonce, attempt.verifier}) == 3


def test_only_the_answer_to_this_attempt_gives_its_code() -> None:
    attempt = new_sign_in(CountedBytes())
    right = {"state": attempt.state, "code": "code", "iss": ISSUER}
    assert attempt.code(right, ISSUER) == "code"
    assert attempt.code({"state": attempt.state, "code": "code"}, ISSUER) == "code"
    wrong: list[dict[str, str]] = [
        {},
        {"code": "code"},
        right | {"state": "é"},
        right | {"state": new_sign_in(CountedBytes("x")).state},
        right | {"iss": "https://other.example.org"},
        right | {"error": "access_denied"},
        {"state": attempt.state, "iss": ISSUER},
        right | {"code": ""},
    ]
    for answer in wrong:
        with pytest.raises(Unauthenticated):
            attempt.code(answer, ISSUER)
