"""The page behind a link, in a real browser: the secret leaves it in one body, and in no address, log or history."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from builders import PixelFormat, chest_film, part10_bytes
from house import ORIGIN, House
from playwright.sync_api import Browser, Page
from signing_in import Person, with_issuer
from viewer_kit import chromium
from werkzeug.serving import make_server

FILM = chest_film(PixelFormat(rows=16, columns=16), canaries=False)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as one:
        yield one


class Served:
    """A house on a port of its own, and all that a log in front of it could write down: addresses and headers."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.heads: list[str] = []
        self.server = make_server("127.0.0.1", 0, self, threaded=True)
        self.origin = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __call__(self, environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        self.heads.append(repr({name: value for name, value in environ.items() if isinstance(value, str)}))
        return self.house.app(environ, start)

    def page(self, browser: Browser, user: str = "") -> Page:
        """A page of a browser in which somebody is signed in, or nobody."""
        context = browser.new_context()
        if user:
            context.add_cookies([{"name": "safelight-demo", "value": self.cookie(user), "url": self.origin}])
        return context.new_page()

    def cookie(self, user: str) -> str:
        person = Person(self.house)
        person.sign_in(user)
        return person.cookie


@pytest.fixture
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with House(tmp_path_factory.mktemp("page")) as house:
        assert house.store(part10_bytes(FILM)).status_code == 200
        house.screen()
        with_issuer(house)
        made = Served(house)
        yield made
        made.server.shutdown()
        made.server.server_close()


def link(house: House, user: str) -> str:
    subject = house.services.tokens.verify(house.token(user), house.now)["sub"]
    until = datetime.fromtimestamp(house.now + 3600, UTC).isoformat()
    body = {"study": str(FILM.StudyInstanceUID), "level": "original", "purpose": "TREAT", "until": until}
    answer = house.request("POST", "/shares", "clinician", json={**body, "recipient": {"subject": subject}})
    return str((answer.json or {})["link"]).removeprefix(ORIGIN)


def test_a_link_leads_to_what_was_shared_and_its_secret_stays_in_the_page(served: Served, browser: Browser) -> None:
    address = link(served.house, "technologist")
    secret = address.partition(".")[2]
    page = served.page(browser, "technologist")
    page.goto(served.origin + address)
    assert page.url == f"{served.origin}/share"
    page.get_by_role("button", name="Open what was shared").click()
    page.get_by_role("link", name="film").wait_for(timeout=10_000)
    assert page.get_by_text("original", exact=True).count() == 1
    page.get_by_role("link", name="film").click()
    page.locator("strong", has_text="recipient").wait_for(timeout=10_000)
    assert page.locator("select[name=role]").input_value() == "recipient"
    # `decode` waits for the picture and fails where it is none.
    page.locator("figure img").evaluate("one => one.decode()")
    assert page.evaluate("document.querySelector('figure img').naturalWidth") > 0
    page.go_back()
    assert secret not in page.url
    assert page.evaluate("JSON.stringify([localStorage, sessionStorage])") == "[{},{}]"
    assert any("/accepted-shares" in head for head in served.heads)
    assert not [head for head in served.heads if secret in head]


def test_a_study_is_shared_by_a_form_opened_by_its_link_and_ended_by_a_button(served: Served, browser: Browser) -> None:
    giver = served.page(browser, "clinician")
    giver.goto(f"{served.origin}/governance")
    assert giver.get_by_text("Nothing is shared.").count() == 1
    giver.get_by_label("Study Instance UID, as you see it").fill(str(FILM.StudyInstanceUID))
    giver.get_by_label("Level").select_option("original")
    subject = served.house.services.tokens.verify(served.house.token("technologist"), served.house.now)["sub"]
    giver.get_by_label("Recipient, as the issuer calls them").fill(str(subject))
    giver.get_by_role("button", name="Share").click()
    shown = giver.get_by_label("The link for the recipient").input_value(timeout=10_000)
    secret = shown.rpartition(".")[2]
    assert len(secret) == 43
    assert secret not in giver.url
    receiver = served.page(browser, "technologist")
    receiver.goto(served.origin + shown.removeprefix(ORIGIN))
    receiver.get_by_role("button", name="Open what was shared").click()
    receiver.get_by_role("link", name="film").wait_for(timeout=10_000)
    assert not [head for head in served.heads if secret in head]
    # The link is shown once: the list has what was shared, and whether it was accepted.
    giver.get_by_role("link", name="governance").click()
    row = giver.get_by_role("row").filter(has_text=str(FILM.StudyInstanceUID))
    row.get_by_text("yes", exact=True).wait_for(timeout=10_000)
    assert secret not in giver.content()
    row.get_by_role("button", name="End").click()
    giver.get_by_text("The share has ended.").wait_for(timeout=10_000)
    receiver.reload()
    receiver.get_by_text("There is nothing here").wait_for(timeout=10_000)


def test_whoever_is_not_signed_in_is_told_so_and_loses_nothing(served: Served, browser: Browser) -> None:
    address = link(served.house, "technologist")
    page = served.page(browser)
    page.goto(served.origin + address)
    page.get_by_role("button", name="Open what was shared").click()
    page.get_by_text("Sign in first").wait_for(timeout=10_000)
    cookie = {"name": "safelight-demo", "value": served.cookie("technologist"), "url": served.origin}
    page.context.add_cookies([cookie])  # type: ignore[list-item]
    page.get_by_role("button", name="Open what was shared").click()
    page.get_by_role("link", name="film").wait_for(timeout=10_000)


def test_a_link_in_other_hands_opens_nothing(served: Served, browser: Browser) -> None:
    address = link(served.house, "technologist")
    page = served.page(browser, "teacher")
    page.goto(served.origin + address)
    page.get_by_role("button", name="Open what was shared").click()
    page.get_by_text("This link opens nothing").wait_for(timeout=10_000)
    page.goto(f"{served.origin}/share")
    assert page.get_by_role("button", name="Open what was shared").is_disabled()


def test_a_link_for_another_purpose_than_the_sign_in_s_says_so_and_stays_good(served: Served, browser: Browser) -> None:
    address = link(served.house, "researcher")
    page = served.page(browser, "researcher")
    page.goto(served.origin + address)
    page.get_by_role("button", name="Open what was shared").click()
    page.get_by_text("for another purpose of use").wait_for(timeout=10_000)
