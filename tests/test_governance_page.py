"""The page of governance, as people use it: signed in, by forms of this session alone, each change in the journal."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser

import pytest
from builders import PixelFormat, chest_film, part10_bytes
from flask.testing import FlaskClient
from house import NOW, ORIGIN, House
from signing_in import OWN, Person, with_issuer
from test_proofs import with_settings
from werkzeug.test import TestResponse

from server.audit.show import read
from server.model import Choice, Freshness, StudyLabel

FILM = chest_film(PixelFormat(rows=16, columns=16), canaries=False, PatientID="ONE", IssuerOfPatientID="I")
STUDY = str(FILM.StudyInstanceUID)
WHY = "unconscious on arrival"
FORMS: dict[str, tuple[str, dict[str, str]]] = {
    "labels": ("security-administrator", {"study": STUDY, "departments": "urology", "labels": "vip"}),
    "consents": ("front-desk", {"study": STUDY, "disclosure": "opt-out", "research": "opt-in"}),
    "projects": ("security-administrator", {"project": "lungs", "approved_until": "2099-12-31"}),
    "reviews": ("security-auditor", {"seq": "1", "finding": "justified", "text": "an emergency indeed"}),
    "shares": (
        "clinician",
        {"study": STUDY, "level": "deidentified", "purpose": "TREAT", "subject": "colleague", "days": "2"}
        | {"issuer": f"{ORIGIN}/provider/demo"},
    ),
    "ended-shares": ("clinician", {"share": "0" * 32}),
}
# What a form comes to where everything is right but what it names: of these there is nothing yet.
GONE = {"reviews", "ended-shares"}


@pytest.fixture
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with House(tmp_path_factory.mktemp("governance")) as made:
        with_issuer(made)
        assert made.store(part10_bytes(FILM)).status_code == 200
        made.screen()
        yield made


def person(house: House, user: str) -> Person:
    someone = Person(house)
    assert someone.sign_in(user).status_code == 200
    return someone


def page(someone: Person, query: str = "") -> str:
    answer = someone.get(f"/governance{query}")
    assert answer.status_code == 200
    return answer.get_data(as_text=True)


def submit(someone: Person, name: str, **form: str) -> TestResponse:
    return someone.post(f"/governance/{name}", form_token=someone.form_token(), **form)


def strike(house: House) -> int:
    """Break the glass; the number of the entry."""
    body = {"reason": "emergency", "text": WHY}
    assert house.request("POST", f"/break-glass/studies/{STUDY}", "clinician", json=body).status_code == 200
    return next(one.seq for one in read(house.settings.journal, None) if one.event.kind == "break-glass")


def last(house: House, kind: str) -> tuple[str, str]:
    """Action and reason of the last entry of a kind."""
    event = [one.event for one in read(house.settings.journal, None) if one.event.kind == kind][-1]
    return event.action, event.reason


def test_labels_are_looked_at_and_set(house: House) -> None:
    officer = person(house, "security-administrator")
    shown = page(officer, f"?study={STUDY}")
    assert "radiology" not in shown
    assert 'name="labels" value="vip">' in shown
    done = submit(officer, "labels", study=STUDY, departments="urology\n\n chest-clinic ", labels="vip", care_team="")
    assert (done.status_code, done.headers["Location"]) == (
        303, "/governance?done=labels&safelight-role=security-administrator",
    )  # fmt: skip
    assert 'role="status">The labels of the study are set.' in page(officer, "?done=labels")
    assert last(house, "label") == ("label", "care relation set, labels: vip")
    found = house.services.catalog.find_study(STUDY)
    assert found is not None
    assert found.labels.departments == {"urology", "chest-clinic"}
    assert found.labels.labels == {StudyLabel.VIP}
    assert 'value="vip" checked>' in page(officer, f"?study={STUDY}")
    assert "There is no study of that name" in page(officer, "?study=1.2.3")
    assert "There is no study of that name" in page(officer, "?study=%3Cscript%3E")
    assert "<script>" not in page(officer, "?study=%3Cscript%3E")


def test_a_consent_is_recorded(house: House) -> None:
    desk = person(house, "front-desk")
    assert submit(desk, "consents", **FORMS["consents"][1]).status_code == 303
    found = house.services.catalog.find_study(STUDY)
    assert found is not None
    assert (found.labels.consent.disclosure, found.labels.consent.research) == (Choice.OPT_OUT, Choice.OPT_IN)
    assert last(house, "label") == ("record-consent", "consent recorded: disclosure opt-out, research opt-in")


def test_a_project_is_approved_and_listed(house: House) -> None:
    officer = person(house, "security-administrator")
    assert submit(officer, "projects", **FORMS["projects"][1]).status_code == 303
    assert '<th scope="row">lungs</th><td>2099-12-31</td>' in page(officer)
    assert last(house, "label") == ("approve-project", "project approved until 2099-12-31")


def test_a_broken_glass_is_reviewed_once(house: House) -> None:
    number = strike(house)
    auditor = person(house, "security-auditor")
    due = page(auditor)
    assert f'<th scope="row">{number}</th>' in due
    assert WHY not in due
    assert STUDY not in due
    form = {"seq": str(number), "finding": "not-justified", "text": "the patient was asked for"}
    assert submit(auditor, "reviews", **form).status_code == 303
    assert last(house, "glass-review") == ("review-glass", f"{number}: not-justified")
    assert "not-justified" in page(auditor)
    assert "Note as reviewed" not in page(auditor)
    assert submit(auditor, "reviews", **form).status_code == 409
    sealed = [one.event for one in read(house.settings.journal, house.services.journal_seal_key)]
    (noted,) = [one for one in sealed if one.kind == "glass-review"]
    assert noted.object == form["text"]


def test_programs_review_by_the_same_rules(house: House) -> None:
    number = strike(house)
    (due,) = house.get("/break-glass", "security-auditor").json or []
    assert (due["seq"], due["reason"], due["review"]) == (number, "emergency", None)
    body = {"finding": "justified", "text": "an emergency indeed"}
    path = f"/break-glass/{number}/review"
    for user in ("clinician", "security-administrator", "system-administrator", "researcher"):
        assert house.request("POST", path, user, json=body).status_code == 403
    wrongs: tuple[object, ...] = (
        {},
        {"finding": "fine", "text": WHY},
        {"finding": "justified", "text": "short"},
        [],
        {**body, "a": 1},
    )
    for wrong in wrongs:
        assert house.request("POST", path, "security-auditor", json=wrong).status_code == 400
    assert house.request("POST", "/break-glass/x/review", "security-auditor", json=body).status_code == 400
    assert house.request("POST", "/break-glass/999999/review", "security-auditor", json=body).status_code == 404
    assert house.request("POST", path, "security-auditor", json=body).status_code == 204
    assert house.request("POST", path, "security-auditor", json=body).status_code == 409
    (seen,) = house.get("/break-glass", "security-auditor").json or []
    assert seen["review"]["finding"] == "justified"


@pytest.mark.parametrize("name", FORMS)
def test_a_form_of_nobody_elses_is_taken(house: House, name: str) -> None:
    user, form = FORMS[name]
    someone = person(house, user)
    before = house.services.catalog.find_study(STUDY)
    path = f"/governance/{name}"
    assert someone.post(path, **form).status_code == 400
    assert someone.post(path, form_token="0" * 32, **form).status_code == 400
    token = someone.form_token()
    crossed = {**OWN, "Sec-Fetch-Site": "cross-site"}
    assert someone.browser.post(path, data={**form, "form_token": token}, headers=crossed).status_code == 400
    assert house.app.test_client().post(path, data=form, headers=OWN).status_code == 401
    assert house.request("POST", path, user, data={**form, "form_token": token}).status_code in (400, 401)
    assert house.services.catalog.find_study(STUDY) == before
    assert house.services.catalog.projects() == {}
    assert house.services.catalog.all_shares(house.now) == []


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize(
    "user", ["clinician", "researcher", "front-desk", "security-administrator", "security-auditor"]
)
def test_only_who_may_sees_a_form_and_is_heard(house: House, name: str, user: str) -> None:
    someone = person(house, user)
    allowed = FORMS[name][0] == user or (name, user) == ("ended-shares", "security-administrator")
    offered = page(someone, f"?study={STUDY}")
    assert (f'action="/governance/{name}' in offered) == (allowed and name not in GONE)
    status = submit(someone, name, **FORMS[name][1]).status_code
    done = 404 if name in GONE else 200 if name == "shares" else 303
    assert status == (done if allowed else 403)


def test_who_opens_the_page_is_recorded(house: House) -> None:
    page(person(house, "front-desk"))
    told = [one.event for one in read(house.settings.journal, house.services.journal_seal_key)]
    (opened,) = [one for one in told if one.action == "govern"]
    assert opened.kind == "answer"
    assert opened.subject.endswith("#demo-front-desk")


def test_nobody_asks_for_the_page_or_by_its_forms_without_number(house: House) -> None:
    officer = person(house, "security-administrator")
    token = officer.form_token()
    with_settings(house, requests_per_minute=12)
    officer.browser = _same_browser(officer, house)
    form = FORMS["projects"][1] | {"form_token": token}
    assert {officer.post("/governance/projects", **form).status_code for _ in range(14)} == {303, 429}
    assert officer.get("/governance").status_code == 429
    house.now += 61
    assert {officer.get("/governance").status_code for _ in range(14)} == {200, 429}


def test_nobody_is_led_to_the_first_page(house: House) -> None:
    assert house.app.test_client().get("/governance").headers["Location"] == "/"


def test_it_wants_a_fresh_sign_in_where_the_setting_says_so(house: House) -> None:
    officer = person(house, "security-administrator")
    with_settings(house, step_up={"label": Freshness(max_age=60)})
    house.now = NOW + 600
    officer.browser = _same_browser(officer, house)
    shown = page(officer)
    assert 'href="/sign-in?for=label"' in shown
    assert 'id="labels"' not in shown
    assert submit(officer, "labels", **FORMS["labels"][1]).status_code == 401


def _same_browser(someone: Person, house: House) -> FlaskClient:
    browser = house.app.test_client()
    browser.set_cookie("safelight-demo", someone.cookie)
    return browser


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("labels", {"study": "x", "departments": "a"}), ("labels", {"study": STUDY, "labels": "odd"}),
        ("labels", {"study": STUDY, "departments": "x" * 1000}),
        ("consents", {"study": STUDY, "disclosure": "perhaps", "research": "unsaid"}), ("consents", {"study": STUDY}),
        ("projects", {"project": "", "approved_until": "2099-12-31"}),
        ("projects", {"project": "a", "approved_until": "soon"}), ("reviews", {"seq": "x"}),
        ("reviews", {"seq": "1", "finding": "odd", "text": WHY}),
        ("reviews", {"seq": "1", "finding": "justified", "text": "x"}), ("shares", {}),
        ("labels", {"study": STUDY, "departments": "\n".join(f"d{number}" for number in range(65))}),
        ("projects", {"project": "a\x07b", "approved_until": "2099-12-31"}),
        ("projects", {"project": "x" * 257, "approved_until": "2099-12-31"}),
        *(("reviews", {"seq": seq, "finding": "justified", "text": WHY}) for seq in ("²", "-1", "9" * 16)),
        *(("shares", FORMS["shares"][1] | {"days": days}) for days in ("", "0", "31", "-1", "1.5", "²", "9999999")),
        *(("shares", FORMS["shares"][1] | {name: ""}) for name in FORMS["shares"][1]),
        ("shares", FORMS["shares"][1] | {"purpose": "curiosity"}),
        ("shares", FORMS["shares"][1] | {"issuer": "https://elsewhere.example"}),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(house: House, name: str, form: dict[str, str]) -> None:
    assert submit(person(house, FORMS[name][0]), name, **form).status_code == 400


def test_a_study_is_shared_listed_and_ended(house: House) -> None:
    giver, officer, other = (person(house, user) for user in ("clinician", "security-administrator", "researcher"))
    form = FORMS["shares"][1]
    made = submit(giver, "shares", **form)
    text = made.get_data(as_text=True)
    link = re.search(r'id="link" value="([^"]+/share#([0-9a-f]{32})\.([A-Za-z0-9_-]{43}))"', text)
    assert link
    assert "Location" not in made.headers
    assert made.headers["Cache-Control"] == "private, no-store"
    sealed = [one.event for one in read(house.settings.journal, house.services.journal_seal_key)]
    (event,) = [one for one in sealed if one.kind == "share"]
    assert event.action == "share"
    assert event.subject.endswith("#demo-clinician")
    assert event.reason.startswith(f"share {link[2]}: deidentified for TREAT until ")
    # What the page shows beside the link was looked at, too.
    assert (sealed[-1].kind, sealed[-1].action, sealed[-1].subject) == ("answer", "govern", event.subject)
    (kept,) = house.services.catalog.all_shares(house.now)
    assert (kept.identifier, kept.recipient, kept.until) == (link[2], "colleague", house.now + 2 * 86400)
    for seer in (giver, officer):
        shown = page(seer)
        assert f'<th scope="row">{link[2]}</th>' in shown
        assert link[3] not in shown
        assert (STUDY in shown) == (seer is giver)
    assert link[2] not in page(other)
    assert submit(other, "ended-shares", share=link[2]).status_code == 403
    for odd in ("", "x", link[2].upper()):
        assert submit(giver, "ended-shares", share=odd).status_code == 404
    ended = submit(officer, "ended-shares", share=link[2])
    assert ended.headers["Location"] == "/governance?done=ended-shares&safelight-role=security-administrator"
    assert last(house, "share") == ("end-share", f"share {link[2]} ended")
    assert "Nothing is shared." in page(giver)
    assert submit(giver, "ended-shares", share=link[2]).status_code == 404


def test_markup_of_anybody_is_text(house: House) -> None:
    mark = "<i onclick=x>&quot;</i>"
    giver, officer = person(house, "clinician"), person(house, "security-administrator")
    assert submit(giver, "shares", **FORMS["shares"][1] | {"subject": mark}).status_code == 200
    assert submit(officer, "labels", study=STUDY, departments=f"radiology\n{mark}", care_team=mark).status_code == 303
    assert submit(officer, "projects", project=mark, approved_until="2099-12-31").status_code == 303
    for text in (page(giver), page(officer, f"?study={STUDY}"), page(officer, f"?study={mark}")):
        assert "&lt;i onclick=x&gt;&amp;quot;" in text
        assert "<i onclick" not in text


def test_what_is_not_seen_is_not_shared_by_the_form_either(house: House) -> None:
    giver, form = person(house, "clinician"), FORMS["shares"][1]
    assert submit(giver, "shares", **{**form, "study": "1.2.3"}).status_code == 404
    assert submit(giver, "shares", **{**form, "level": "teaching"}).status_code == 403
    assert submit(giver, "shares", **{**form, "purpose": "HRESCH"}).status_code == 403
    assert house.services.catalog.all_shares(house.now) == []


def test_whoever_received_is_told_of_it_and_ends_nothing(house: House) -> None:
    giver, colleague = person(house, "clinician"), person(house, "technologist")
    subject = str(house.services.tokens.verify(house.token("technologist"), NOW)["sub"])
    made = submit(giver, "shares", **{**FORMS["shares"][1], "subject": subject}).get_data(as_text=True)
    link = re.search(r'/share#([^"]+)', made)
    assert link
    body = {"link": link[1]}
    recipient = {"Safelight-Role": "recipient"}
    assert house.request("POST", "/accepted-shares", "technologist", json=body, headers=recipient).status_code == 200
    shown = colleague.get("/governance?safelight-role=recipient").get_data(as_text=True)
    assert link[1].partition(".")[0] in shown
    assert "ended-shares" not in shown
    assert 'action="/governance/shares' not in shown
    assert STUDY not in shown


class Page(HTMLParser):
    """What assistive technology goes by: labels of fields, headings, captions; and scripts that stand in the page."""

    def __init__(self) -> None:
        super().__init__()
        self.fields: set[str] = set()
        self.labelled: set[str] = set()
        self.inline: list[str] = []
        self.counts: dict[str, int] = {}
        self._inside_label = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.counts[tag] = self.counts.get(tag, 0) + 1
        self._inside_label += tag == "label"
        if tag == "label" and found.get("for"):
            self.labelled.add(str(found["for"]))
        hidden = found.get("type") == "hidden"
        if tag in ("input", "select", "textarea") and not hidden and not self._inside_label:
            self.fields.add(str(found.get("id")))
        self.inline += [name for name in found if name.startswith("on") or name == "style"]
        if tag == "script" and "src" not in found:
            self.inline.append("script")

    def handle_endtag(self, tag: str) -> None:
        self._inside_label -= tag == "label"


@pytest.mark.parametrize("user", ["security-administrator", "front-desk", "security-auditor", "clinician"])
def test_every_field_has_a_label_and_nothing_runs_in_the_page(house: House, user: str) -> None:
    strike(house)
    someone = person(house, user)
    text = page(someone, f"?study={STUDY}")
    if user == "clinician":
        text = submit(someone, "shares", **FORMS["shares"][1]).get_data(as_text=True)
        assert 'id="link"' in text
    read_page = Page()
    read_page.feed(text)
    assert read_page.fields <= read_page.labelled
    assert read_page.inline == []
    assert read_page.counts["h1"] == 1
    assert read_page.counts.get("table", 0) == read_page.counts.get("caption", 0)
    assert re.search(r'<html lang="en">', text)
    assert all(f'aria-labelledby="{name}"' in text for name in re.findall(r'<h2 id="(\w+)">', text))
