"""The demo's provider as a client meets it, and its tokens as the verifier meets them."""

from __future__ import annotations

import json

import pytest
from auth_tokens import CountedBytes
from demo_browser import (
    HOME,
    ISSUER,
    KEY,
    ROLES,
    VIEWER,
    Clock,
    asking,
    open_browser,
    redeemed,
    signed_in,
    verifier,
)
from flask.testing import FlaskClient

from server.auth.claims import ClaimPaths, caller_from_claims
from server.auth.keys import FixedKeys
from server.auth.sessions import new_sign_in
from server.auth.tokens import TokenVerifier
from server.demo.users import DemoUser, demo_users, public_key_set
from server.errors import Unauthenticated
from server.model import PatientIdentity


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def browser(clock: Clock) -> FlaskClient:
    return open_browser(clock)


@pytest.mark.parametrize("user", demo_users().values(), ids=lambda user: user.name)
def test_every_demo_user_signs_in_with_a_token_that_verifies(
    browser: FlaskClient, clock: Clock, user: DemoUser
) -> None:
    attempt = new_sign_in(CountedBytes("attempt"))
    page = browser.get(asking(attempt))
    assert page.status_code == 200
    assert "no password is asked" in page.text
    assert f'value="{user.name}"' in page.text
    response = redeemed(browser, attempt, signed_in(browser, attempt, user.name))
    assert response.status_code == 200
    assert response.headers["Cache-Control"] == "no-store"
    claims = verifier().verify(response.json["access_token"], clock.now)  # type: ignore[index]
    caller = caller_from_claims(claims, ClaimPaths(), ROLES)
    assert caller.roles == frozenset(user.roles)
    assert caller.departments == frozenset(user.departments)
    assert (caller.project, caller.patient, caller.purpose) == (user.project, user.patient, user.purpose)
    assert (caller.subject, caller.client, caller.issuer) == (user.subject, "safelight", ISSUER)
    assert int(str(claims["exp"])) - clock.now == 3600


def test_there_is_a_user_for_every_role_and_one_of_two() -> None:
    users = demo_users()
    assert set(users) - {"clinician-researcher"} == ROLES
    assert users["clinician-researcher"].roles == ("clinician", "researcher")
    assert users["patient"].patient == PatientIdentity(issuer="SAFELIGHT-DEMO", patient_id="DEMO-0001")
    assert users["technologist"].departments == users["clinician"].departments == ("radiology",)


def test_a_T4_the_id_token_is_no_access_token(browser: FlaskClient, clock: Clock) -> None:
    attempt = new_sign_in(CountedBytes("attempt"))
    response = redeemed(browser, attempt, signed_in(browser, attempt))
    plain = TokenVerifier(
        issuer=ISSUER,
        audience="safelight",
        algorithms=("ES256",),
        accepted_types=("JWT",),
        keys=FixedKeys(json.dumps(public_key_set(KEY)).encode()),
    )
    for checker in (verifier(), plain):
        with pytest.raises(Unauthenticated):
            checker.verify(response.json["id_token"], clock.now)  # type: ignore[index]


def test_a_T5_a_code_works_once(browser: FlaskClient) -> None:
    attempt = new_sign_in(CountedBytes("attempt"))
    code = signed_in(browser, attempt)
    assert redeemed(browser, attempt, code).status_code == 200
    again = redeemed(browser, attempt, code)
    assert (again.status_code, again.json) == (400, {"error": "invalid_grant"})


def test_a_T5_a_code_works_for_a_minute(browser: FlaskClient, clock: Clock) -> None:
    attempt = new_sign_in(CountedBytes("attempt"))
    early, late = signed_in(browser, attempt), signed_in(browser, attempt)
    clock.now += 60
    assert redeemed(browser, attempt, early).status_code == 200
    clock.now += 0.1
    assert redeemed(browser, attempt, late).status_code == 400


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"code_verifier": "x" * 43}, "invalid_grant"),
        ({"code_verifier": ""}, "invalid_grant"),
        ({"code_verifier": "é" * 43}, "invalid_grant"),
        ({"client_id": "viewer"}, "invalid_grant"),
        ({"client_id": ""}, "invalid_grant"),
        ({"redirect_uri": VIEWER}, "invalid_grant"),
        ({"redirect_uri": f"{HOME}/"}, "invalid_grant"),
        ({"code": "unknown"}, "invalid_grant"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": "refresh_token"}, "unsupported_grant_type"),
    ],
)
def test_a_T2_a_code_works_for_nobody_else(browser: FlaskClient, changes: dict[str, str], error: str) -> None:
    attempt = new_sign_in(CountedBytes("attempt"))
    code = signed_in(browser, attempt)
    response = redeemed(browser, attempt, code, **changes)
    assert (response.status_code, response.json) == (400, {"error": error})
    if "code" not in changes:
        assert redeemed(browser, attempt, code).status_code == 400


def test_a_token_request_with_a_parameter_given_twice_is_refused(browser: FlaskClient) -> None:
    attempt = new_sign_in(CountedBytes("attempt"))
    form = {"grant_type": ["authorization_code"] * 2, "code": [signed_in(browser, attempt)]}
    assert browser.post("/provider/token", data=form).json == {"error": "invalid_request"}
    assert browser.post("/provider/token").status_code == 400
    assert browser.get("/provider/token").status_code == 405
