"""ID tokens and logout tokens: what they must say, and to whom."""

from __future__ import annotations

import json
from typing import Any

import pytest
from auth_tokens import ISSUER, JWKS, NOW, header, raw_token

from server.auth.identity import LOGOUT_EVENT, SignedIn, logout_mark, verify_id_token, verify_logout_token
from server.auth.keys import FixedKeys
from server.errors import Unauthenticated

OURS: dict[str, Any] = {
    "issuer": ISSUER, "client": "safelight", "algorithms": ("ES256",), "keys": FixedKeys(json.dumps(JWKS).encode()),
    "now": NOW,
}  # fmt: skip


def said(**changes: object) -> dict[str, object]:
    usual: dict[str, object] = {"iss": ISSUER, "aud": "safelight", "sub": "user-1", "iat": NOW, "exp": NOW + 60}
    return {name: value for name, value in {**usual, **changes}.items() if value is not None}


def identity(**changes: object) -> dict[str, object]:
    return said(**{"nonce": "n", "sid": "s", "auth_time": NOW - 5, "acr": "mfa", **changes})


def logout(**changes: object) -> dict[str, object]:
    return said(**{"jti": "1", "events": {LOGOUT_EVENT: {}}, "sid": "s", **changes})


def test_an_id_token_says_who_signed_in_when_and_how() -> None:
    for audience in ("safelight", ["safelight", "viewer"]):
        token = raw_token(header(typ="JWT"), identity(aud=audience))
        assert verify_id_token(token, nonce="n", **OURS) == SignedIn(
            subject="user-1", session="s", authenticated_at=NOW - 5, context="mfa"
        )


@pytest.mark.parametrize(
    "wrong",
    [
        {"nonce": "m"}, {"nonce": None}, {"aud": "viewer"}, {"aud": None}, {"iss": "x"}, {"exp": NOW - 60},
        {"iat": NOW + 60}, {"azp": "viewer"}, {"sub": None}, {"auth_time": "x"}, {"auth_time": NOW + 60}, {"sid": 1},
        {"events": {}}, {"exp": True},
    ],
)  # fmt: skip
def test_a_T4_an_id_token_of_another_attempt_or_for_another_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(Unauthenticated):
        verify_id_token(raw_token(header(typ="JWT"), identity(**wrong)), nonce="n", **OURS)


def test_a_logout_token_names_a_session_or_a_person() -> None:
    for kind in ("logout+jwt", "JWT", None):
        assert verify_logout_token(raw_token(header(typ=kind), logout()), **OURS).session == "s"
    assert verify_logout_token(raw_token(header(typ="logout+jwt"), logout(sid=None)), **OURS).subject == "user-1"
    assert logout_mark(ISSUER, "subject", "a") != logout_mark(ISSUER, "session", "a")


@pytest.mark.parametrize(
    "wrong",
    [
        {"nonce": "n"}, {"events": None}, {"events": {}}, {"events": {LOGOUT_EVENT: 1}}, {"jti": None}, {"aud": "x"},
        {"iss": "x"}, {"sid": None, "sub": None}, {"iat": NOW - 601}, {"iat": NOW + 60}, {"exp": NOW - 31},
        {"exp": None},
    ],
)  # fmt: skip
def test_a_T5_what_is_no_logout_token_logs_nobody_out(wrong: dict[str, object]) -> None:
    with pytest.raises(Unauthenticated):
        verify_logout_token(raw_token(header(typ="logout+jwt"), logout(**wrong)), **OURS)


def test_a_T4_an_access_token_is_no_logout_token() -> None:
    with pytest.raises(Unauthenticated):
        verify_logout_token(raw_token(header(typ="at+jwt"), logout()), **OURS)
