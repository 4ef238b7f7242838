"""A person's session from sign-in to sign-out: where it may be used from, how long, in which role, and that it ends."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from builders import canary, chest_film, part10_bytes
from house import ORIGIN, House
from signing_in import Person, with_issuer

from server.audit.show import read
from server.auth.identity import LOGOUT_EVENT
from server.demo.users import sign
from server.web import session

STUDIES = "/dicomweb/studies"
JSON = {"Accept": "application/dicom+json"}


@pytest.fixture
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with House(tmp_path_factory.mktemp("sessions")) as made:
        with_issuer(made)
        yield made


def test_a_person_signs_in_sees_their_role_and_signs_out_here_and_there(house: House) -> None:
    person = Person(house)
    answer = person.sign_in("clinician")
    assert (answer.status_code, answer.headers["Refresh"]) == (200, "0; url=/")
    assert "no-store" in answer.headers["Cache-Control"]
    kept = answer.headers.getlist("Set-Cookie")[0]
    assert all(part in kept for part in ("HttpOnly", "SameSite=Lax", "Path=/"))
    page = person.get("/").get_data(as_text=True)
    assert '<option value="clinician" selected>' in page
    out = person.post("/sign-out", form_token=person.form_token())
    assert out.status_code == 200
    onward = out.headers["Refresh"].removeprefix("0; url=")
    assert onward.startswith(f"{house.settings.issuer}/logout?client_id=safelight&post_logout_redirect_uri=")
    assert "token" not in onward
    assert out.headers["Clear-Site-Data"] == '"cache", "storage"'
    assert person.browser.get(onward.removeprefix(ORIGIN)).headers["Location"] == f"{ORIGIN}/"
    assert person.get(STUDIES, **JSON).status_code == 401
    assert "Sign in" in person.get("/").get_data(as_text=True)


def test_a_V2_what_was_seen_does_not_outlive_the_session(house: House) -> None:
    house.store(part10_bytes(chest_film()))
    house.screen()
    person = Person(house)
    person.sign_in("clinician")
    path = house.instances("clinician")[0]
    film = path.replace("/dicomweb/studies", "/films").replace("/series", "").replace("/instances", "")
    name = canary("PatientName")
    assert name in person.get("/").get_data(as_text=True)
    for one in ("/", film, f"{path}/rendered", f"{path}/metadata", f"{path}/thumbnail"):
        answer = person.get(one)
        assert answer.status_code == 200
        assert answer.headers["Cache-Control"] == "private, no-store"
        assert "Service-Worker-Allowed" not in answer.headers
    cookie = person.cookie
    person.post("/sign-out", form_token=person.form_token())
    person.browser.set_cookie("safelight-demo", cookie)
    for one in (f"{path}/rendered", f"{path}/metadata", f"{path}/thumbnail"):
        assert person.get(one).status_code == 401
    assert name not in person.get("/").get_data(as_text=True)


def test_a_sign_in_begins_a_session_of_its_own_and_ends_the_former(house: House) -> None:
    person = Person(house)
    fixed = "A" * 43
    person.browser.set_cookie("safelight-demo", fixed)
    person.sign_in("clinician")
    first = person.cookie
    assert first not in ("", fixed)
    person.sign_in("researcher")
    assert person.cookie not in (first, fixed)
    for former in (first, fixed):
        person.browser.set_cookie("safelight-demo", former)
        assert person.get(STUDIES).status_code == 401


def test_a_session_ends_when_it_is_idle_and_when_its_time_is_up(house: House) -> None:
    person = Person(house)
    person.sign_in("clinician")
    house.now += 1799
    assert person.get(STUDIES).status_code in (200, 204)
    house.now += 1799
    assert person.get(STUDIES).status_code in (200, 204)
    house.now += 30  # the hour of the access token is over
    assert person.get(STUDIES).status_code == 401
    person.sign_in("clinician")
    house.now += 1801
    assert person.get(STUDIES).status_code == 401


def test_a_session_that_has_ended_is_not_written_again(house: House) -> None:
    person = Person(house)
    person.sign_in("clinician")
    current, expires = session.load_with_expiry(house.services, person.cookie)
    session.end(house.services, person.cookie)
    with pytest.raises(Exception, match="ended"):
        session.save(house.services, person.cookie, current, expires)
    assert person.get(STUDIES).status_code == 401


@pytest.mark.parametrize("path", [STUDIES, "/", "/dicomweb/studies/1.2/rendered"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Origin": ORIGIN, "Safelight-Role": "clinician"},
        {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "no-cors"},
        {"Sec-Fetch-Site": ""},
        {"Origin": ORIGIN},
        {"Origin": "https://evil.example.org", "Safelight-Role": "clinician"},
        {"Origin": "null", "Safelight-Role": "clinician"},
        {"Safelight-Role": "clinician"},
        {"Referer": f"{ORIGIN}/"},
        {},
    ],
)
def test_a_T12_a_forged_request_is_not_served_get_included(house: House, path: str, headers: dict[str, str]) -> None:
    person = Person(house)
    person.sign_in("clinician")
    before = len(list(read(house.settings.journal, None)))
    assert person.browser.get(path, headers=headers).status_code == 400
    (entry,) = list(read(house.settings.journal, None))[before:]
    assert entry.event.kind == "refusal"


@pytest.mark.parametrize(
    "headers",
    [{"Sec-Fetch-Site": "none"}, {"Sec-Fetch-Site": "same-origin"}, {"Origin": ORIGIN, "Safelight-Role": "clinician"}],
)
def test_a_T12_our_own_pages_and_typed_addresses_are_served(house: House, headers: dict[str, str]) -> None:
    person = Person(house)
    person.sign_in("clinician")
    assert person.browser.get(STUDIES, headers={**headers, "Accept": "*/*"}).status_code in (200, 204)


def test_a_cookie_and_a_token_together_are_refused(house: House) -> None:
    person = Person(house)
    person.sign_in("clinician")
    assert person.get(STUDIES, Authorization=f"Bearer {house.token('clinician')}").status_code == 400


def test_a_V4_two_tabs_in_two_roles_never_mix(house: House) -> None:
    house.store(part10_bytes(chest_film()))
    house.screen()
    person = Person(house)
    person.sign_in("clinician-researcher")
    token = person.form_token()
    first = person.post("/role", role="clinician", form_token=token).headers["Location"]
    second = person.post("/role", role="researcher", form_token=token).headers["Location"]
    assert (first, second) == ("/?safelight-role=clinician", "/?safelight-role=researcher")
    for home, level in ((first, "original"), (second, "deidentified"), (first, "original")):
        role = home.rpartition("=")[2]
        page = person.get(home).get_data(as_text=True)
        assert f'<option value="{role}" selected>' in page
        (film,) = [part.split('"')[0] for part in page.split('href="') if part.startswith("/films/")]
        assert film.endswith(f"?safelight-role={role}")
        shown = person.get(film).get_data(as_text=True)
        assert f"Level <strong>{level}</strong>, acting as <strong>{role}</strong>" in shown
        picture = shown.split('<img src="')[1].split('"')[0].replace("&amp;", "&")
        told = house.get(
            picture.rpartition("&safelight-role=")[0], "clinician-researcher", headers={"Safelight-Role": role}
        )
        assert (told.status_code, person.get(picture).get_data()) == (200, told.get_data())
    for wrong in ("front-desk", "clinician&safelight-role=researcher", ""):
        assert person.get(f"{STUDIES}?safelight-role={wrong}").status_code in (400, 403)


def test_a_V1_nothing_unmasked_crosses_to_a_browser_that_may_not_see_it(house: House) -> None:
    house.store(part10_bytes(chest_film()))
    house.screen()
    person = Person(house)
    person.sign_in("front-desk")
    page = person.get("/").get_data(as_text=True)
    (film,) = [part.split('"')[0] for part in page.split('href="') if part.startswith("/films/")]
    shown = person.get(film).get_data(as_text=True)
    sources = [part.split('"')[0].replace("&amp;", "&") for part in shown.split('src="')[1:]]
    pictures = [one for one in sources if "/rendered" in one]
    assert len(pictures) == 1
    assert {one for one in sources if one not in pictures} == {"/static/safelight.js"}
    answer = person.get(pictures[0])
    front, whole = (
        house.get(pictures[0].partition("&safelight-role")[0], user) for user in ("front-desk", "clinician")
    )
    assert answer.get_data() == front.get_data() != whole.get_data()
    # What the page shows is what is sent: asking for more by other routes gives the same level or nothing.
    path = pictures[0].partition("/rendered")[0]
    for more in ("", "/frames/1", "/bulkdata/7FE00010"):
        assert person.get(path + more).status_code == 403


def test_a_V3_strings_of_a_film_run_nothing(house: House) -> None:
    hostile = "<script>alert(1)</script>"
    film = chest_film(canaries=False, PatientName="X^<img src=x onerror=alert(1)>", StudyDescription=hostile)
    assert house.store(part10_bytes(film)).status_code == 200
    house.screen()
    person = Person(house)
    person.sign_in("clinician")
    page = person.get("/")
    (film_path,) = [part.split('"')[0] for part in page.get_data(as_text=True).split('href="') if "/films/" in part]
    for answer in (page, person.get(film_path), person.get(f"/?q={hostile}"), person.get(f"/nowhere?q={hostile}")):
        body = answer.get_data(as_text=True)
        assert "<script>alert" not in body
        assert "<img src=x" not in body
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("place", ["access_token", "token", "bearer_token", "authorization"])
def test_a_T8_a_token_in_a_url_opens_nothing_and_is_in_no_log(
    house: House, place: str, caplog: pytest.LogCaptureFixture
) -> None:
    token = house.token("clinician")
    for path in ("/dicomweb/studies", "/", "/wado", "/nowhere"):
        answer = house.client.get(f"{path}?{place}={token}")
        assert answer.status_code in ({200} if path == "/" else {400, 401, 404})
        assert token not in answer.get_data(as_text=True) + str(answer.headers)
        form = house.client.post(path, data={place: token})
        assert form.status_code in (400, 401, 404, 405, 415)
    assert token not in caplog.text
    for file in house.settings.journal.rglob("*"):
        assert not file.is_file() or token.encode() not in file.read_bytes()


def test_a_T8_signing_in_puts_no_token_where_a_browser_keeps_it(house: House) -> None:
    person = Person(house)
    answers = [person.sign_in("clinician"), person.get("/"), person.post("/sign-out", form_token=person.form_token())]
    for answer in answers:
        text = answer.get_data(as_text=True) + str(answer.headers)
        assert "eyJ" not in text


def logout_token(house: House, **changes: object) -> str:
    said = {
        "iss": house.settings.issuer, "aud": "safelight", "sub": "demo-clinician", "iat": int(house.now),
        "exp": int(house.now) + 60, "jti": f"l{house.now}", "events": {LOGOUT_EVENT: {}}, **changes,
    }  # fmt: skip
    return sign(house.provider_key, said, "logout+jwt")


def test_a_T5_logged_out_at_the_issuer_is_logged_out_at_the_next_request(house: House) -> None:
    person, other = Person(house), Person(house)
    person.sign_in("clinician")
    other.sign_in("front-desk")
    token, later = house.token("clinician"), house.token("front-desk")
    assert house.get(STUDIES, "clinician", token=token).status_code in (200, 204)
    told = logout_token(house)
    client = house.app.test_client()
    assert client.post("/backchannel-logout", data={"logout_token": told}).status_code == 200
    assert client.post("/backchannel-logout", data={"logout_token": told}).status_code == 400  # a replay
    assert person.get(STUDIES).status_code == 401
    assert house.get(STUDIES, "clinician", token=token).status_code == 401
    assert other.get(STUDIES).status_code in (200, 204)
    assert house.get(STUDIES, "front-desk", token=later).status_code in (200, 204)
    house.now += 2
    person.sign_in("clinician")
    assert person.get(STUDIES).status_code in (200, 204)


@pytest.mark.parametrize(
    "changes", [{"aud": "viewer"}, {"iss": "https://x.example.org"}, {"nonce": "n"}, {"events": {}}, {"exp": 1}]
)
def test_a_T5_nobody_is_logged_out_by_a_token_that_is_none(house: House, changes: dict[str, object]) -> None:
    person = Person(house)
    person.sign_in("clinician")
    client = house.app.test_client()
    for sent in (logout_token(house, **changes), house.token("clinician"), "", "a.b.c"):
        answer = client.post("/backchannel-logout", data={"logout_token": sent})
        assert answer.status_code == 400
        assert "clinician" not in json.dumps(answer.json)
    assert person.get(STUDIES).status_code in (200, 204)
