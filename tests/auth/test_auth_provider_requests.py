"""What the demo's provider refuses to a browser, and where it sends one."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

import pytest
from auth_tokens import CountedBytes
from demo_browser import (
    AUDIENCE,
    HOME,
    ISSUER,
    KEY,
    ORIGIN,
    VIEWER,
    Clock,
    answer_of,
    asking,
    open_browser,
    redeemed,
    signed_in,
    verifier,
)
from flask.testing import FlaskClient

from server.auth.keys import DiscoveredKeys
from server.auth.sessions import new_sign_in
from server.demo.authorization import OneTimeCodes, SignIns
from server.demo.provider import COOKIE
from server.demo.users import demo_users, mint_token, new_signing_key
from server.errors import Busy, Unauthenticated


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def browser(clock: Clock) -> FlaskClient:
    return open_browser(clock)


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "unknown"},
        {"client_id": None},
        {"redirect_uri": None},
        {"redirect_uri": VIEWER},
        {"redirect_uri": f"{HOME}/more"},
        {"redirect_uri": f"{HOME}?x=1"},
        {"redirect_uri": "https://attacker.example.org/"},
        {"redirect_uri": HOME.upper()},
    ],
)
def test_a_T9_a_request_from_nowhere_is_not_redirected(browser: FlaskClient, changes: Mapping[str, str | None]) -> None:
    url = asking(new_sign_in(CountedBytes("attempt")), **changes)
    for response in (browser.get(url), browser.post(url, data={"user": "clinician"})):
        assert response.status_code == 400
        assert "Location" not in response.headers
        assert "attacker" not in response.text


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"prompt": "none login"}, "invalid_request"),
        ({"state": "a&state=b"}, None),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": None}, "unsupported_response_type"),
        ({"scope": "profile"}, "invalid_scope"),
        ({"resource": "https://other.example.org"}, "invalid_target"),
        ({"prompt": "none"}, "login_required"),
    ],
)
def test_a_request_that_is_wrong_is_told_so(
    browser: FlaskClient, changes: Mapping[str, str | None], error: str | None
) -> None:
    attempt = new_sign_in(CountedBytes("attempt"))
    response = browser.get(asking(attempt, **changes))
    if error is None:
        assert response.status_code == 200
        return
    answer = answer_of(response)
    assert (answer["error"], answer["iss"], answer["state"]) == (error, ISSUER, attempt.state)
    assert response.headers["Location"].startswith(f"{HOME}?")


def test_a_viewer_renews_silently_and_signing_out_ends_that(browser: FlaskClient, clock: Clock) -> None:
    attempt = new_sign_in(CountedBytes("attempt"))
    tokens = redeemed(browser, attempt, signed_in(browser, attempt))
    silent = asking(attempt, client_id="viewer", redirect_uri=VIEWER, prompt="none")
    assert answer_of(browser.get(silent))["code"]
    assert answer_of(browser.get(asking(attempt)))["code"]
    assert browser.get(asking(attempt, prompt="login")).status_code == 200
    target = f"post_logout_redirect_uri={ORIGIN}/&state=s"
    out = browser.get(f"/provider/logout?{target}&id_token_hint={tokens.json['id_token']}")  # type: ignore[index]
    assert out.headers["Location"] == f"{ORIGIN}/?state=s"
    assert answer_of(browser.get(silent))["error"] == "login_required"


def test_a_sign_in_ends_with_the_working_day(browser: FlaskClient, clock: Clock) -> None:
    attempt = new_sign_in(CountedBytes("attempt"))
    signed_in(browser, attempt)
    clock.now += 8 * 3600 + 1
    assert answer_of(browser.get(asking(attempt, prompt="none")))["error"] == "login_required"


def test_signing_out_ends_the_sign_in_on_the_server_too(browser: FlaskClient) -> None:
    attempt = new_sign_in(CountedBytes("attempt"))
    signed_in(browser, attempt)
    kept = browser.get_cookie(COOKIE, path="/provider")
    assert kept is not None
    browser.post("/provider/logout")
    browser.set_cookie(COOKIE, kept.value, path="/provider")
    assert answer_of(browser.get(asking(attempt, prompt="none")))["error"] == "login_required"


@pytest.mark.parametrize(
    "query",
    [
        "post_logout_redirect_uri=https://attacker.example.org/&client_id=safelight",
        f"post_logout_redirect_uri={ORIGIN}/",
        f"post_logout_redirect_uri={ORIGIN}/&client_id=viewer",
        f"post_logout_redirect_uri={ORIGIN}/&id_token_hint=a.b.c",
        f"post_logout_redirect_uri={ORIGIN}/&id_token_hint=%C3%A9",
        "",
    ],
)
def test_signing_out_goes_nowhere_else(browser: FlaskClient, query: str) -> None:
    response = browser.get(f"/provider/logout?{query}")
    assert response.status_code == 200
    assert "signed out" in response.text


@pytest.mark.parametrize("origin", ["https://attacker.example.org", "null", "http://localhost:3000"])
def test_a_T12_another_site_cannot_choose_the_user(browser: FlaskClient, origin: str) -> None:
    url = asking(new_sign_in(CountedBytes("attempt")))
    response = browser.post(url, data={"user": "clinician"}, headers={"Origin": origin})
    assert response.status_code == 403
    assert "Set-Cookie" not in response.headers
    assert browser.post(url, data={"user": "clinician"}, headers={"Origin": ORIGIN}).status_code == 303


@pytest.mark.parametrize("changes", [{"code_challenge": None}, {"code_challenge_method": "plain"}, {"resource": "x"}])
def test_a_T2_the_form_does_not_get_around_the_request(browser: FlaskClient, changes: Mapping[str, str | None]) -> None:
    response = browser.post(asking(new_sign_in(CountedBytes("attempt")), **changes), data={"user": "clinician"})
    assert response.status_code == 400
    assert "Location" not in response.headers


def test_an_unknown_user_is_refused(browser: FlaskClient) -> None:
    assert browser.post(asking(new_sign_in(CountedBytes("attempt"))), data={"user": "nobody"}).status_code == 400


def test_a_T12_the_page_and_its_cookie_are_guarded(browser: FlaskClient) -> None:
    attempt = new_sign_in(CountedBytes("attempt"))
    page = browser.get(asking(attempt, client_id="viewer", redirect_uri=VIEWER))
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "form-action 'self' http://localhost:3000" in policy
    assert "<script" not in page.text
    cookie = browser.post(asking(attempt), data={"user": "clinician"}).headers["Set-Cookie"]
    assert all(word in cookie for word in ("HttpOnly", "SameSite=Lax", "Path=/provider"))


def test_a_T9_only_a_known_viewer_reads_tokens_across_origins(browser: FlaskClient) -> None:
    for path in ("/provider/.well-known/openid-configuration", "/provider/jwks"):
        known = browser.get(path, headers={"Origin": "http://localhost:3000"})
        assert known.headers["Access-Control-Allow-Origin"] == "http://localhost:3000"
        assert "Access-Control-Allow-Credentials" not in known.headers
        for origin in ("https://attacker.example.org", "null", "http://localhost:3001"):
            assert "Access-Control-Allow-Origin" not in browser.get(path, headers={"Origin": origin}).headers
    page = browser.get(asking(new_sign_in(CountedBytes("a"))), headers={"Origin": "http://localhost:3000"})
    assert "Access-Control-Allow-Origin" not in page.headers


def test_the_published_key_is_public(browser: FlaskClient) -> None:
    assert "d" not in browser.get("/provider/jwks").json["keys"][0]  # type: ignore[index]
    assert KEY["d"] not in browser.get("/provider/jwks").text


def test_a_T4_a_production_server_never_takes_the_demo_for_its_issuer(browser: FlaskClient, clock: Clock) -> None:
    document = browser.get("/provider/.well-known/openid-configuration")
    assert document.json["issuer"] == ISSUER  # type: ignore[index]
    keys = DiscoveredKeys(ISSUER, fetch=lambda url: browser.get(urlsplit(url).path).data, clock=clock)
    with pytest.raises(Busy):
        keys.find(KEY["kid"])


def test_a_minted_token_verifies_for_its_project_and_its_lifetime(clock: Clock) -> None:
    user = demo_users()["researcher"]
    token = mint_token(
        KEY,
        user,
        issuer=ISSUER,
        audience=AUDIENCE,
        now=clock.now,
        randomness=CountedBytes(),
        project="another-project",
        lifetime=60,
    )
    assert verifier().verify(token, clock.now)["project"] == "another-project"
    with pytest.raises(Unauthenticated):
        verifier().verify(token, clock.now + 90)
    with pytest.raises(ValueError, match="lifetime"):
        mint_token(KEY, user, issuer=ISSUER, audience=AUDIENCE, now=0, randomness=CountedBytes(), lifetime=0)


def test_signing_keys_follow_their_randomness() -> None:
    assert new_signing_key(CountedBytes("a")) == new_signing_key(CountedBytes("a"))
    assert new_signing_key(CountedBytes("a"))["kid"] != new_signing_key(CountedBytes("b"))["kid"]


def test_nobody_can_fill_the_memory_with_sign_ins(clock: Clock) -> None:
    sign_ins = SignIns(clock=clock, randomness=CountedBytes())
    first, _ = sign_ins.begin(demo_users()["clinician"])
    for _ in range(1000):
        last, _ = sign_ins.begin(demo_users()["teacher"])
    assert sign_ins.find(first) is None
    assert sign_ins.find(last) is not None
    assert OneTimeCodes(clock=clock, randomness=CountedBytes())
