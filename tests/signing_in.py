"""A person's browser in front of a house whose issuer is the demo's provider, all in one process."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import urlsplit

from flask.testing import FlaskClient
from house import ORIGIN, House
from werkzeug.test import TestResponse

from server.auth.issuers import Issuers
from server.auth.provider import Provider
from server.demo.mount import mount
from server.web.app import create_app

OWN = {"Sec-Fetch-Site": "same-origin", "Accept": "*/*"}


def with_issuer(house: House) -> None:
    """Mount the demo's provider, and let the house talk to it."""

    def fetch(url: str, authorization: str = "") -> bytes:
        return house.app.test_client().get(urlsplit(url).path).get_data()

    def post(url: str, form: Mapping[str, str], authorization: str) -> tuple[int, bytes]:
        answer = house.app.test_client().post(urlsplit(url).path, data=dict(form))
        return answer.status_code, answer.get_data()

    (only,) = house.services.tokens.all.values()
    settings = replace(only.settings, client_id="safelight")
    provider = Provider(house.settings.issuer, "safelight", fetch=fetch, post=post)
    house.services = replace(house.services, tokens=Issuers((replace(only, settings=settings, provider=provider),)))
    house.app = create_app(house.services)
    mount(house.app, house.services, house.provider_key)
    house.client = house.app.test_client()


class Person:
    """One browser, with its cookies; every request says that it comes from our own page."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.browser: FlaskClient = house.app.test_client()

    def get(self, path: str, **headers: str) -> TestResponse:
        return self.browser.get(path, headers={**OWN, **{name.replace("_", "-"): one for name, one in headers.items()}})

    def post(self, path: str, **form: str) -> TestResponse:
        return self.browser.post(path, data=form, headers=OWN)

    def sign_in(self, user: str) -> TestResponse:
        """From the button to our page again; returns the answer to the issuer's answer."""
        begun = self.browser.get("/sign-in")
        asked = begun.headers["Location"].removeprefix(ORIGIN)
        chosen = self.browser.post(asked, data={"user": user})
        if chosen.status_code != 303:
            chosen = self.browser.get(asked)
        return self.browser.get(chosen.headers["Location"].removeprefix(ORIGIN))

    @property
    def cookie(self) -> str:
        found = self.browser.get_cookie("safelight-demo")
        return found.value if found else ""

    def form_token(self) -> str:
        found = re.search(r'name="form_token" value="([0-9a-f]+)"', self.get("/").get_data(as_text=True))
        assert found
        return found[1]
