"""Tokens bound to a key (RFC 9449), whom they are required of, and acts that want a fresh sign-in (RFC 9470)."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from house import NOW, ORIGIN, FixedRandomness, House
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OctKey
from signing_in import Person, with_issuer
from werkzeug.test import TestResponse

from server.demo.users import demo_users, new_signing_key, sign
from server.model import Freshness
from server.settings import OFFICERS, STEP_UP, Settings, check, read_settings
from server.web.app import create_app

AUDIT = "/audit/entries"
STUDIES = "/dicomweb/studies"
KEY = ECKey.import_key({name: one for name, one in new_signing_key(FixedRandomness("mine")).items() if name != "kid"})
STRANGER = ECKey.import_key(
    {name: one for name, one in new_signing_key(FixedRandomness("stranger")).items() if name != "kid"}
)


def with_settings(house: House, **changes: Any) -> House:
    settings = check(replace(house.settings, **changes))
    house.services = replace(house.services, settings=settings)
    house.app = create_app(house.services)
    house.client = house.app.test_client()
    return house


@pytest.fixture
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with House(tmp_path_factory.mktemp("proofs")) as made:
        yield with_settings(made, proof_roles=OFFICERS)


def token(house: House, user: str = "security-auditor", **changes: object) -> str:
    """A token of a demo user, bound to our key unless `changes` say otherwise; None takes a claim out."""
    one = demo_users()[user]
    said: dict[str, object] = {
        "iss": house.settings.issuer, "aud": house.settings.audience, "sub": one.subject, "client_id": "script",
        "jti": "t", "iat": int(house.now), "exp": int(house.now) + 600, "roles": list(one.roles),
        "departments": list(one.departments), "cnf": {"jkt": KEY.thumbprint()}, **changes,
    }  # fmt: skip
    return sign(house.provider_key, {name: value for name, value in said.items() if value is not None}, "at+jwt")


COUNT = iter(range(10**6))


def proof(
    bound: str,
    path: str = AUDIT,
    method: str = "GET",
    key: Any = KEY,
    head: dict[str, Any] | None = None,
    **said: object,
) -> str:
    header = {"typ": "dpop+jwt", "alg": "ES256", "jwk": key.as_dict(private=False), **(head or {})}
    digest = hashlib.sha256(bound.encode()).digest()
    claims: dict[str, object] = {
        "jti": f"p{next(COUNT)}", "htm": method, "htu": ORIGIN + path, "iat": int(NOW),
        "ath": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(), **said,
    }  # fmt: skip
    claims = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(header, claims, key, algorithms=[header["alg"]])


def ask(house: House, bound: str, *proofs: str, scheme: str = "DPoP", path: str = AUDIT) -> TestResponse:
    headers = [("Authorization", f"{scheme} {bound}"), ("Accept", "*/*"), *(("DPoP", one) for one in proofs)]
    return house.client.get(path, headers=headers)


def test_a_T13_an_officer_s_token_works_with_the_proof_of_its_key_and_not_without(house: House) -> None:
    bound = token(house)
    assert ask(house, bound, proof(bound)).status_code == 200
    assert ask(house, bound, scheme="Bearer").status_code == 401
    refused = ask(house, bound)
    assert refused.status_code == 401
    assert any(
        one.startswith("DPoP algs=") and 'error="invalid_dpop_proof"' in one
        for one in refused.headers.getlist("WWW-Authenticate")
    )
    # Copied from the wire: the token, or the token with the proof that was sent with it.
    used = proof(bound)
    assert [ask(house, bound, used).status_code for _ in range(2)] == [200, 401]
    assert ask(house, bound, proof(bound, key=STRANGER)).status_code == 401


@pytest.mark.parametrize("role", OFFICERS)
def test_a_T13_an_officer_s_plain_bearer_token_has_no_officer_s_role(house: House, role: str) -> None:
    plain = token(house, role, cnf=None)
    path = {"security-auditor": AUDIT, "security-administrator": "/labels/studies/1.2"}.get(role, "/metrics")
    method = "PUT" if role == "security-administrator" else "GET"
    for scheme in ("Bearer", "DPoP"):
        headers = {"Authorization": f"{scheme} {plain}", "DPoP": proof(plain, path, method)}
        assert house.client.open(path, method=method, headers=headers).status_code == 401


def test_a_T13_other_roles_of_the_same_token_are_left(house: House) -> None:
    plain = token(house, "clinician", cnf=None, roles=["clinician", "security-auditor"])
    assert ask(house, plain, scheme="Bearer", path=STUDIES).status_code in (200, 204)
    assert ask(house, plain, scheme="Bearer").status_code == 403
    named = {"Authorization": f"Bearer {plain}", "Safelight-Role": "security-auditor"}
    assert house.client.get(AUDIT, headers=named).status_code == 401


def test_a_proof_is_optional_for_everybody_else(house: House) -> None:
    bound, plain = token(house, "clinician"), token(house, "clinician", cnf=None)
    assert ask(house, bound, proof(bound, STUDIES), path=STUDIES).status_code in (200, 204)
    assert ask(house, plain, scheme="Bearer", path=STUDIES).status_code in (200, 204)
    assert ask(house, bound, scheme="Bearer", path=STUDIES).status_code == 401
    assert ask(house, plain, proof(plain, STUDIES), path=STUDIES).status_code == 401


@pytest.mark.parametrize(
    "said",
    [
        {"htm": "POST"}, {"htm": None}, {"htm": "get"}, {"htu": "https://127.0.0.1:8080/audit/entries"},
        {"htu": f"{ORIGIN}/audit/entries/"}, {"htu": f"{ORIGIN}/dicomweb/studies"},
        {"htu": "http://localhost:8080/audit/entries"},
        {"htu": f"http://x@127.0.0.1:8080{AUDIT}"}, {"htu": None}, {"htu": "http://[::1"}, {"iat": int(NOW) - 61},
        {"iat": int(NOW) + 61}, {"iat": None}, {"iat": "now"}, {"iat": True}, {"iat": 10**400}, {"jti": None},
        {"jti": ""}, {"jti": "x" * 257}, {"jti": 1}, {"ath": None}, {"ath": "x"},
    ],
)  # fmt: skip
def test_a_T13_a_proof_of_something_else_proves_nothing(house: House, said: dict[str, Any]) -> None:
    bound = token(house)
    assert ask(house, bound, proof(bound, **said)).status_code == 401


def test_a_T13_a_proof_is_a_signature_by_a_public_key_that_it_names(house: House) -> None:
    bound = token(house)
    private, secret = KEY.as_dict(private=True), OctKey.import_key("s" * 64)
    for head in (
        {"typ": "JWT"},
        {"jwk": private},
        {"jwk": None},
        {"jwk": STRANGER.as_dict(private=False)},
        {"crit": ["x"]},
    ):
        try:
            wrong = proof(bound, head=head)
        except (JoseError, TypeError, ValueError):  # the library refuses to write some of these
            continue
        assert ask(house, bound, wrong).status_code == 401
    symmetric = jwt.encode(
        {"typ": "dpop+jwt", "alg": "HS256", "jwk": {"kty": "oct", "k": "c3Nz"}},
        {"jti": "1"},
        secret,
        algorithms=["HS256"],
    )
    two = proof(bound)
    for wrong_ones in ((symmetric,), ("a.b.c",), ("",), (two, proof(bound)), (f"{two}x",), (two[:-4] + "AAAA",)):
        assert ask(house, bound, *wrong_ones).status_code == 401


@pytest.mark.parametrize(
    "cnf", [{}, {"jkt": None}, {"jkt": KEY.thumbprint(), "x5t#S256": "x"}, {"x5t#S256": "x"}, "x", []]
)
def test_a_T13_what_else_a_token_is_bound_to_is_not_taken_on_trust(house: House, cnf: object) -> None:
    bound = token(house, cnf=cnf)
    assert ask(house, bound, proof(bound)).status_code == 401


def test_a_proof_may_leave_out_the_query_and_spell_the_host_as_it_likes(house: House) -> None:
    bound = token(house)
    for place in (f"{ORIGIN}{AUDIT}?limit=1#x", f"HTTP://127.0.0.1:8080{AUDIT}"):
        assert ask(house, bound, proof(bound, htu=place), path=f"{AUDIT}?limit=1").status_code == 200


def test_an_act_wants_a_fresh_sign_in_and_says_so(house: House) -> None:
    fresh = with_settings(house, step_up={"read-audit": Freshness(max_age=600, contexts=("mfa",))}, proof_roles=())
    good: dict[str, Any] = {"cnf": None, "auth_time": int(NOW) - 600, "acr": "mfa"}
    assert ask(fresh, token(house, **good), scheme="Bearer").status_code == 200
    changes: list[dict[str, Any]] = [
        {"auth_time": int(NOW) - 601}, {"auth_time": None}, {"auth_time": 0}, {"auth_time": int(NOW) + 100},
        {"auth_time": "x"},
        {"auth_time": True}, {"acr": None}, {"acr": "pwd"}, {"acr": ["mfa"]},
    ]  # fmt: skip
    for change in changes:
        refused = ask(fresh, token(house, **{**good, **change}), scheme="Bearer")
        assert refused.status_code == 401
        told = refused.headers["WWW-Authenticate"]
        assert 'error="insufficient_user_authentication", max_age=600, acr_values="mfa"' in told
    # What is not marked is as it was.
    assert ask(fresh, token(house, "clinician", cnf=None), scheme="Bearer", path=STUDIES).status_code in (200, 204)


def test_a_session_is_held_to_the_same_and_can_be_made_fresh(house: House) -> None:
    with_settings(house, step_up={"read-audit": Freshness(max_age=600, contexts=("mfa",))}, proof_roles=OFFICERS)
    with_issuer(house)
    person = Person(house)
    person.sign_in("security-auditor")
    assert person.get(AUDIT).status_code == 401  # the demo's provider does not say how anybody signed in
    with_settings(house, step_up={"read-audit": Freshness(max_age=600)})
    person.browser = house.app.test_client()
    with_issuer(house)
    person = Person(house)
    person.sign_in("security-auditor")
    assert person.get(AUDIT).status_code == 200
    house.now += 601
    assert person.get(AUDIT).status_code == 401
    asked = person.browser.get("/sign-in?for=read-audit").headers["Location"]
    assert asked.endswith("&max_age=600")
    assert "max_age" not in person.browser.get("/sign-in?for=nothing").headers["Location"]


def test_a_real_server_wants_both_unless_it_says_otherwise() -> None:
    needed = {
        "SAFELIGHT_DATA": "/d", "SAFELIGHT_KEYRING": "/k", "SAFELIGHT_ISSUER": "https://i.example.org",
        "SAFELIGHT_AUDIENCE": "a", "SAFELIGHT_PUBLIC_URL": "https://f.example.org",
    }  # fmt: skip
    usual: Settings = read_settings(needed)
    assert usual.proof_roles == OFFICERS
    assert dict(usual.step_up) == dict(STEP_UP)
    table = '{"settle": {"max_age": 60, "acr": ["phr"]}}'
    told = read_settings({**needed, "SAFELIGHT_PROOF_ROLES": "clinician", "SAFELIGHT_STEP_UP": table})
    assert told.proof_roles == ("clinician",)
    assert told.step_up == {"settle": Freshness(max_age=60, contexts=("phr",))}
