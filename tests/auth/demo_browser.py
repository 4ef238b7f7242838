"""A browser in front of the demo's provider, for the tests of this directory."""

from __future__ import annotations

import json
from urllib.parse import parse_qs, urlsplit

from auth_tokens import CountedBytes
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from server.auth.keys import FixedKeys
from server.auth.sessions import SignIn
from server.auth.tokens import TokenVerifier
from server.demo.authorization import DemoClient
from server.demo.provider import create_provider
from server.demo.users import demo_users, new_signing_key, public_key_set

ORIGIN = "http://127.0.0.1:8080"
ISSUER = f"{ORIGIN}/provider"
AUDIENCE = f"{ORIGIN}/dicomweb"
HOME = f"{ORIGIN}/callback"
VIEWER = "http://localhost:3000/callback"
KEY = new_signing_key(CountedBytes("provider"))
ROLES = frozenset(role for user in demo_users().values() for role in user.roles)


class Clock:
    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def verifier() -> TokenVerifier:
    keys = FixedKeys(json.dumps(public_key_set(KEY)).encode())
    return TokenVerifier(issuer=ISSUER, audience=AUDIENCE, algorithms=("ES256",), keys=keys)


def asking(attempt: SignIn, **changes: str | None) -> str:
    url = attempt.authorization_url(f"{ISSUER}/authorize", client="safelight", redirect_uri=HOME)
    parameters = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()} | changes
    return "/provider/authorize?" + "&".join(
        f"{name}={value.replace('&', '%26')}" for name, value in parameters.items() if value is not None
    )


def answer_of(response: TestResponse) -> dict[str, str]:
    assert response.status_code == 303
    return {name: values[0] for name, values in parse_qs(urlsplit(response.headers["Location"]).query).items()}


def signed_in(browser: FlaskClient, attempt: SignIn, user: str = "clinician") -> str:
    return attempt.code(answer_of(browser.post(asking(attempt), data={"user": user})), ISSUER)


def redeemed(browser: FlaskClient, attempt: SignIn, code: str, /, **changes: str) -> TestResponse:
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": HOME,
        "client_id": "safelight",
        "code_verifier": attempt.verifier,
    }
    return browser.post("/provider/token", data=form | changes)


def open_browser(clock: Clock) -> FlaskClient:
    app = Flask("demo")
    clients = {
        "safelight": DemoClient(
            client_id="safelight",
            redirect_uris=frozenset((HOME,)),
            post_logout_redirect_uris=frozenset((f"{ORIGIN}/",)),
        ),
        "viewer": DemoClient(client_id="viewer", redirect_uris=frozenset((VIEWER,))),
    }
    blueprint = create_provider(
        issuer=ISSUER,
        signing_key=KEY,
        users=demo_users(),
        clients=clients,
        clock=clock,
        randomness=CountedBytes(),
        audience=AUDIENCE,
    )
    app.register_blueprint(blueprint)
    return app.test_client()
