"""Sign-in, role claim, refresh and logout with real providers, each a process of its own: `make interop-test`.

The interpreter that has them installed is named by INTEROP_PYTHON. Not part of the usual run, by its name.
"""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import pytest
import requests
from flask.testing import FlaskClient
from house import POLICIES
from interop_waiting import wait_for

from server.auth.sessions import code_challenge
from server.model import Introspection, IssuerSettings
from server.services import Services, SystemRandomness, initialise, open_services
from server.settings import Settings
from server.web.app import create_app

HERE = Path(__file__).parent
PYTHON = os.environ["INTEROP_PYTHON"]
OURS = "http://127.0.0.1:9300"
SECRET = "only-for-the-test"
PASSWORD = "correct horse battery"


class Forms(HTMLParser):
    """Every form of a page: where it goes and what it already holds."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.found.append((known.get("action", ""), {}))
        elif tag in ("input", "button") and self.found and known.get("name"):
            self.found[-1][1].setdefault(known["name"], known.get("value", ""))


@dataclass(frozen=True, kw_only=True)
class World:
    """A provider that runs, and a Safelight whose only issuer it is."""

    services: Services
    ours: FlaskClient
    theirs: requests.Session
    user: str

    def to_callback(self, url: str) -> str:
        """Walk through the provider's pages as a person does, until it leads back to us; returns where to."""
        answer = self.theirs.get(url, allow_redirects=False, timeout=10)
        for _ in range(10):
            if location := answer.headers.get("Location"):
                target = urljoin(answer.url, location)
                if target.startswith(OURS):
                    return target.removeprefix(OURS)
                answer = self.theirs.get(target, allow_redirects=False, timeout=10)
                continue
            action, form = next(
                (one for one in Forms(answer.text).found if {"login", "password", "username"} & set(one[1])),
                (Forms(answer.text).found or [("", {})])[0],
            )
            known = {"login": self.user, "username": self.user, "password": PASSWORD}
            filled = {name: known.get(name, value) for name, value in form.items()}
            to = urljoin(answer.url, action)
            answer = self.theirs.post(to, data=filled, allow_redirects=False, timeout=10, headers={"Referer": to})
        raise AssertionError(f"stuck at {answer.status_code} {answer.url}")

    def sign_in(self) -> None:
        answer = self.ours.get("/sign-in")
        assert answer.status_code == 303, answer.get_data(as_text=True)
        back = self.to_callback(answer.headers["Location"])
        answer = self.ours.get(back)
        assert answer.status_code == 200, answer.get_data(as_text=True)

    def studies(self, token: str = "") -> int:
        """What a search answers: to a program with a token, else to the browser's session."""
        proof = {"Authorization": f"Bearer {token}"} if token else {"Sec-Fetch-Site": "same-origin"}
        client = self.ours.application.test_client() if token else self.ours
        return client.get("/dicomweb/studies", headers={"Accept": "*/*", **proof}).status_code

    def tokens(self) -> dict[str, str]:
        """Tokens as a client of its own gets them, refresh token included."""
        (issuer,) = self.services.tokens.all.values()
        endpoint = issuer.provider.endpoints()
        verifier = "v" * 64
        query = {
            "response_type": "code", "client_id": "safelight", "redirect_uri": f"{OURS}/callback", "state": "s",
            "scope": issuer.settings.scope, "nonce": "n", "code_challenge": code_challenge(verifier),
            "code_challenge_method": "S256",
        }  # fmt: skip
        back = self.to_callback(requests.Request("GET", endpoint.authorization, params=query).prepare().url or "")
        code = dict(part.partition("=")[::2] for part in urlsplit(back).query.split("&"))["code"]
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": f"{OURS}/callback"}
        form["code_verifier"] = verifier
        answer = requests.post(endpoint.token, data=form, auth=("safelight", SECRET), timeout=10)
        found: dict[str, str] = answer.json()
        return found


def canaille(port: int) -> tuple[list[str], IssuerSettings]:
    settings = IssuerSettings(
        issuer=f"http://127.0.0.1:{port}", audience="safelight", token_types=("JWT",), algorithms=("RS256",),
        claims={"roles": "groups"}, client_id="safelight", scope="openid groups", client_claim="", token_id_claim="",
        introspection=Introspection.ALWAYS, longest_token_seconds=11 * 86400.0,
    )  # fmt: skip
    return [PYTHON, str(HERE / "run_canaille.py"), str(port), f"{OURS}/callback", f"{OURS}/"], settings


def nanoidp(port: int) -> tuple[list[str], IssuerSettings]:
    settings = IssuerSettings(
        issuer=f"http://127.0.0.1:{port}", audience="films", token_types=("JWT", "at+jwt"), algorithms=("RS256",),
        client_id="safelight", must_say={"client_id": "safelight"},
    )  # fmt: skip
    return [PYTHON, "-m", "nanoidp", "--config", "CONFIG", "--port", str(port)], settings


def oidc_provider(port: int) -> tuple[list[str], IssuerSettings]:
    settings = IssuerSettings(
        issuer=f"http://127.0.0.1:{port}", audience="https://films.example.org", algorithms=("RS256",),
        client_id="safelight", scope="openid",
    )  # fmt: skip
    return ["node", str(HERE / "run_oidc_provider.mjs"), str(port), f"{OURS}/callback", f"{OURS}/"], settings


NANOIDP_SETTINGS = """
config_version: 1
server: {{host: "127.0.0.1", port: {port}}}
oauth:
  issuer: "http://127.0.0.1:{port}"
  audience: "films"
  token_expiry_minutes: 60
  clients:
    - {{client_id: "safelight", client_secret: "only-for-the-test", redirect_uris: ["http://127.0.0.1:9300/callback"]}}
"""
NANOIDP_USERS = """
config_version: 1
users:
  maxima: {password: "correct horse battery", email: "maxima@example.org", roles: ["clinician"], tenant: "default"}
"""


@pytest.fixture(scope="module", params=[canaille, nanoidp, oidc_provider], ids=lambda one: one.__name__)
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    root = tmp_path_factory.mktemp(request.param.__name__)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (root / "config").mkdir()
    (root / "keys").mkdir(mode=0o700)
    (root / "config" / "settings.yaml").write_text(NANOIDP_SETTINGS.format(port=port), "utf-8")
    (root / "config" / "users.yaml").write_text(NANOIDP_USERS, "utf-8")
    (root / "secret").write_text(SECRET, "utf-8")
    command, issuer = request.param(port)
    command = [str(root / "config") if one == "CONFIG" else one for one in command]
    with (root / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log, cwd=root) as process:
        try:
            wait_for(f"{issuer.issuer}/.well-known/openid-configuration", process)
            settings = Settings(
                data=root / "data", keyring=root / "keys" / "keyring.json", issuer=issuer.issuer,
                audience=issuer.audience, public_url=OURS, database=f"sqlite:///{root / 'data' / 'catalog.sqlite'}",
                policies=POLICIES, claims={}, threads=1, proof_roles=(), step_up={}, token_cache_seconds=1.0,
                issuers=(replace(issuer, client_secret=str(root / "secret")),),
            )  # fmt: skip
            initialise(settings, SystemRandomness())
            services = open_services(settings, randomness=SystemRandomness(), clock=time.time)
            client = create_app(services).test_client()
            yield World(services=services, ours=client, theirs=requests.Session(), user="maxima")
            services.close()
        finally:
            process.terminate()


def test_a_person_signs_in_with_the_role_that_the_provider_says_and_signs_out_there(world: World) -> None:
    world.sign_in()
    page = world.ours.get("/", headers={"Sec-Fetch-Site": "same-origin"}).get_data(as_text=True)
    assert '<option value="clinician" selected>' in page
    assert world.studies() in (200, 204)
    token = page.partition('name="form_token" value="')[2].partition('"')[0]
    out = world.ours.post("/sign-out", data={"form_token": token}, headers={"Sec-Fetch-Site": "same-origin"})
    assert out.status_code == 200
    assert world.studies() == 401
    onward = out.headers["Refresh"].removeprefix("0; url=")
    if onward != "/":
        assert world.theirs.get(onward, allow_redirects=False, timeout=10).status_code < 400


def test_a_program_s_token_is_taken_and_after_a_refresh_the_new_one(world: World) -> None:
    told = world.tokens()
    assert world.studies(told["access_token"]) in (200, 204)
    if "id_token" in told:
        assert world.studies(told["id_token"]) == 401
    (issuer,) = world.services.tokens.all.values()
    form = {"grant_type": "refresh_token", "refresh_token": told["refresh_token"]}
    token_endpoint = issuer.provider.endpoints().token
    fresh = requests.post(token_endpoint, data=form, auth=("safelight", SECRET), timeout=10).json()
    assert fresh["access_token"] != told["access_token"]
    assert world.studies(fresh["access_token"]) in (200, 204)
    assert world.studies(told["refresh_token"]) == 401
