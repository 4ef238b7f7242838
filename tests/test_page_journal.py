"""What the journal says of requests that no transaction answers: which act, and who asked where known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from builders import chest_film, part10_bytes
from house import NOW, House
from sweep_routes import COOKIE, FORM_TOKEN, client, without_network
from werkzeug.test import TestResponse

import server.search
from server.audit.show import read
from server.errors import AuditUnavailable, StorageUnavailable
from server.model import Act, Action, AuditEvent
from server.web import session

OWN = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with House(tmp_path_factory.mktemp("page")) as made:
        without_network(made)
        assert made.store(part10_bytes(chest_film())).status_code == 200
        made.screen()
        yield made


def entries(house: House) -> list[AuditEvent]:
    return [one.event for one in read(house.settings.journal, house.services.journal_seal_key)]


def subject(house: House, user: str) -> str:
    return f"{house.settings.issuer}#demo-{user}"


def browse(
    house: House, method: str, path: str, user: str = "", *, form: dict[str, str] | None = None, **headers: str
) -> tuple[TestResponse, AuditEvent]:
    """One request of a browser, of `user`'s session if named, and the entry that it left."""
    before = len(entries(house))
    house.client.delete_cookie(COOKIE)
    if user:
        cookie = client(house, user, house.token(user)).cookie
        assert cookie
        house.client.set_cookie(COOKIE, cookie)
    sent = OWN | {name.replace("_", "-"): value for name, value in headers.items()}
    response = house.client.open(path, method=method, data=form, headers=sent)
    house.client.delete_cookie(COOKIE)
    (left,) = entries(house)[before:]
    return response, left


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", "/dicomweb/studies/", 404),
        ("GET", "/static/nothing.css", 404),
        ("DELETE", "/dicomweb/studies", 405),
        ("TRACE", "/", 405),
        ("PUT", "/dicomweb/studies/1.2.3/metadata", 405),
    ],
)
@pytest.mark.parametrize("user", ["clinician", "researcher", ""])
def test_what_is_no_route_is_recorded(house: House, method: str, path: str, status: int, user: str) -> None:
    response, entry = browse(house, method, path, user)
    assert response.status_code == status
    assert (entry.kind, entry.action, entry.status) == ("refusal", "unrouted", status)
    assert entry.object == path
    assert entry.subject == (subject(house, user) if user else "#")
    assert entry.request == response.headers["Safelight-Request"]


def test_a_token_is_known_where_there_is_no_route(house: House) -> None:
    before = len(entries(house))
    assert house.get("/nowhere", "front-desk").status_code == 404
    assert house.get("/nowhere", "front-desk", token="e30.e30.e30").status_code == 404
    known, unknown = entries(house)[before:]
    assert (known.subject, unknown.subject) == (subject(house, "front-desk"), "#")


def test_without_a_journal_not_even_this_is_answered(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: object) -> int:
        raise AuditUnavailable("full")

    monkeypatch.setattr(house.services.journal, "append", full)
    response = house.get("/nowhere", "clinician")
    assert (response.status_code, response.headers["Retry-After"]) == (503, "5")


@pytest.mark.parametrize("path", ["/callback", "/callback?state=x&code=y", "/callback?error=access_denied"])
def test_a_sign_in_that_fails_is_a_sign_in(house: House, path: str) -> None:
    response, entry = browse(house, "GET", path)
    assert response.status_code == 401
    assert (entry.kind, entry.action, entry.subject) == ("refusal", Act.SIGN_IN, "#")


def test_a_sign_in_that_cannot_begin_is_a_sign_in(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def unwritable(*_: object) -> None:
        raise StorageUnavailable

    monkeypatch.setattr(house.services.catalog, "put_session", unwritable)
    before = len(entries(house))
    assert house.client.get("/sign-in").status_code == 503
    (entry,) = entries(house)[before:]
    assert (entry.kind, entry.action) == ("alarm", Act.SIGN_IN)


@pytest.mark.parametrize(
    ("path", "act", "form", "status"),
    [
        ("/role", Act.CHOOSE_ROLE, {"role": "researcher", "form_token": FORM_TOKEN}, 403),
        ("/role", Act.CHOOSE_ROLE, {"role": "clinician", "form_token": "guessed"}, 400),
        ("/sign-out", Act.SIGN_OUT, {"form_token": "guessed"}, 400),
        ("/sign-out", Act.SIGN_OUT, {}, 400),
    ],
)
def test_a_form_that_is_refused_is_its_person_s(
    house: House, path: str, act: Act, form: dict[str, str], status: int
) -> None:
    response, entry = browse(house, "POST", path, "clinician", form=form)
    assert response.status_code == status
    assert (entry.kind, entry.action, entry.subject) == ("refusal", act, subject(house, "clinician"))
    # From another site's page too: it was this person's browser, and nothing was done.
    response, entry = browse(house, "POST", path, "clinician", form=form, Sec_Fetch_Site="cross-site")
    assert response.status_code == 400
    assert (entry.action, entry.subject) == (act, subject(house, "clinician"))
    response, entry = browse(house, "POST", path, form=form)
    assert response.status_code == 401
    assert (entry.action, entry.subject) == (act, "#")


def test_a_page_that_is_refused_is_its_person_s(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    response, entry = browse(house, "GET", "/", "clinician", Sec_Fetch_Site="cross-site")
    assert (response.status_code, entry.action, entry.subject) == (400, Action.SEARCH, subject(house, "clinician"))
    response, entry = browse(house, "GET", "/films/1.2/1.3/1.4", "researcher")
    assert (response.status_code, entry.subject) == (404, subject(house, "researcher"))
    assert entry.action == Action.RETRIEVE_RENDERED
    response, entry = browse(house, "GET", "/films/1.2/1.3/1.4", "researcher", Sec_Fetch_Site="cross-site")
    assert (response.status_code, entry.subject) == (400, subject(house, "researcher"))


def test_a_defect_is_an_alarm_of_its_route_and_its_person(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise KeyError("MUSTER^MAXIMA")

    monkeypatch.setattr(server.search, "_page", broken)
    before = len(entries(house))
    assert house.get("/dicomweb/studies", "clinician").status_code == 500
    (entry,) = entries(house)[before:]
    assert (entry.kind, entry.action, entry.subject) == ("alarm", Action.SEARCH, subject(house, "clinician"))
    assert "MUSTER" not in entry.reason


def test_an_ended_session_is_nobody(house: House) -> None:
    asked = client(house, "clinician", house.token("clinician"))
    ended = replace(asked, cookie=session.start(house.services, _of(house, asked.cookie), NOW - 1))
    before = len(entries(house))
    house.client.set_cookie(COOKIE, str(ended.cookie))
    assert house.client.get("/nowhere", headers=OWN).status_code == 404
    house.client.delete_cookie(COOKIE)
    (entry,) = entries(house)[before:]
    assert entry.subject == "#"


def _of(house: House, cookie: str | None) -> session.Session:
    return session.load(house.services, str(cookie))


def test_a_refused_look_at_the_page_of_governance_is_recorded(house: House) -> None:
    response, entry = browse(house, "GET", "/governance", "clinician", Sec_Fetch_Site="cross-site")
    assert response.status_code in (400, 401, 403)
    assert (entry.kind, entry.action, entry.status) == ("refusal", "govern", response.status_code)
    assert entry.subject in (subject(house, "clinician"), "#")
