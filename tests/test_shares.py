"""One study shared with one person: at that level, for that time, on the routes that read, and nothing else."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from builders import PixelFormat, chest_film, part10_bytes
from house import ORIGIN, POLICIES, House, detector
from werkzeug.test import TestResponse

from server.audit.show import read
from server.catalog.shares import MOST
from server.commands.working import Worker
from server.errors import AuditUnavailable, Busy
from server.model import Action, AuditEvent, Choice, Consent, StudyLabel
from server.shares import LONGEST_SECONDS
from server.sharing import LONGEST_REQUEST_SECONDS, forget_over
from server.web.app import ROUTES

TINY = PixelFormat(rows=16, columns=16)
FILMS = [
    chest_film(TINY, study=1, canaries=False, PatientID="ONE", IssuerOfPatientID="I"),
    chest_film(TINY, study=2, canaries=False, PatientID="ONE", IssuerOfPatientID="I", PatientName="A^B"),
]
STUDY = str(FILMS[0].StudyInstanceUID)
RECIPIENT = {"Safelight-Role": "recipient"}
WHO = "colleague"
HOUR = 3600.0
READING = {
    *(Action.SEARCH, Action.RETRIEVE_METADATA, Action.RETRIEVE_RENDERED, Action.RETRIEVE_THUMBNAIL),
    *(Action.RETRIEVE_INSTANCE, Action.RETRIEVE_FRAMES, Action.RETRIEVE_BULKDATA),
}
ONE_CASE = """
[[case]]
title = "one case"
caller = { roles = ["front-desk"] }
actions = ["search"]
expect = "front-desk"
"""
LINK = re.compile(r"[0-9a-f]{32}\.[A-Za-z0-9_-]{43}")


@pytest.fixture
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with House(tmp_path_factory.mktemp("shares")) as made:
        _fill(made)
        yield made


def _fill(house: House) -> None:
    storing = house.token("x", roles=("technologist",), departments=("surgery",))
    for film in FILMS:
        assert house.store(part10_bytes(film), token=storing).status_code == 200
        care(house, str(film.StudyInstanceUID), "radiology")
    house.screen()


def care(house: House, study: str, *departments: str, **changes: Any) -> None:
    house.services.catalog.set_labels(study, departments=departments, care_team=(), **changes)


def at(when: float) -> str:
    return datetime.fromtimestamp(when, UTC).isoformat()


def subject_of(house: House, user: str) -> str:
    return str(house.services.tokens.verify(house.token(user), house.now)["sub"])


def give(house: House, user: str = "clinician", *, token: str | None = None, **changes: Any) -> TestResponse:
    body = {
        "study": STUDY,
        "level": "original",
        "purpose": "TREAT",
        "recipient": {"subject": subject_of(house, WHO)},
        "until": at(house.now + HOUR),
        **changes,
    }
    return house.request("POST", "/shares", user, json=body, token=token)


def link_of(answer: TestResponse) -> str:
    assert answer.status_code == 201, answer.get_data()
    link = str((answer.json or {})["link"]).removeprefix(f"{ORIGIN}/share#")
    assert LINK.fullmatch(link)
    return link


def accept(house: House, link: object, user: str = WHO, **options: Any) -> TestResponse:
    options.setdefault("headers", RECIPIENT)
    return house.request("POST", "/accepted-shares", user, json={"link": link}, **options)


def accepted(house: House, **changes: Any) -> str:
    """The identifier of a share that was given and accepted."""
    link = link_of(give(house, **changes))
    assert accept(house, link).status_code == 200
    return link.partition(".")[0]


def path(number: int = 0) -> str:
    film = FILMS[number]
    return f"/dicomweb/studies/{film.StudyInstanceUID}/series/{film.SeriesInstanceUID}/instances/{film.SOPInstanceUID}"


def look(house: House, user: str = WHO, number: int = 0, **options: Any) -> int:
    return house.get(f"{path(number)}/rendered", user, headers=RECIPIENT, **options).status_code


def seen(house: House, user: str = WHO) -> list[str]:
    return house.instances(user, headers=RECIPIENT)


def entries(house: House) -> list[AuditEvent]:
    return [entry.event for entry in read(house.settings.journal, house.services.journal_seal_key)]


def test_a_T11_a_share_opens_one_study_to_one_person_until_it_ends(house: House) -> None:
    assert look(house) == 404
    link = link_of(give(house))
    assert look(house) == 404  # not before the exchange
    assert accept(house, link).status_code == 200
    assert seen(house) == [path(0)]
    assert [look(house, number=number) for number in (0, 1)] == [200, 404]
    # Who received acts so or not at all: what was shared is nothing to their other roles, nor to anybody else.
    assert house.get(f"{path(0)}/rendered", WHO).status_code == 403
    assert look(house, "another") == 404
    house.now += HOUR + 1
    assert look(house) == 404
    assert seen(house) == []


@pytest.mark.parametrize("level", ["original", "deidentified"])
def test_a_T11_every_route_of_the_router_gives_exactly_what_was_shared(house: House, level: str) -> None:
    accepted(house, level=level)
    (own,) = seen(house)
    assert (own == path(0)) is (level == "original")
    wrong = []
    for route in ROUTES:
        for shared, base in ((True, own), (False, path(1)), (False, path(0) if level != "original" else path(1))):
            status = _asked(house, route.method, route.rule, base)
            if status not in _right(route.method, route.rule, route.action, shared=shared, level=level):
                wrong.append((route.method, route.rule, shared, status))
    assert wrong == []
    told = [one for one in entries(house) if one.acting_role == "recipient" and one.kind in ("answer", "opening")]
    assert {one.level for one in told if one.rules} == {level}
    assert {one.rules for one in told if one.rules} == {(f"recipient-{level}",)}


def _asked(house: House, method: str, rule: str, base: str) -> int:
    study, series, instance = base.split("/")[3::2]
    names = {"study": study, "series": series, "instance": instance, "frames": "1", "element": "7FE00010"}
    address = re.sub(r"<(?:path:)?(\w+)>", lambda match: names.get(match[1], "1"), rule)
    if rule == "/wado":
        ask = f"requestType=WADO&studyUID={study}&seriesUID={series}&objectUID={instance}"
        address += f"?{ask}&contentType=application/dicom"
    elif rule in ("/dicomweb/studies", "/dicomweb/series", "/dicomweb/instances") and method == "GET":
        address += f"?StudyInstanceUID={study}"
    return house.request(method, address, WHO, headers=RECIPIENT, json={} if method != "GET" else None).status_code


def _right(method: str, rule: str, action: Action, *, shared: bool, level: str) -> set[int]:
    if action not in READING:
        return {Action.ACCEPT_SHARE: {400}, Action.READ_SHARES: {200}}.get(action, {403})
    if not shared:
        return {204} if action is Action.SEARCH else {404}
    if rule.endswith("/masked-regions"):
        return {200, 404}
    return {200}


def test_a_T11_no_other_level_comes_of_any_parameter(house: House) -> None:
    accepted(house, level="deidentified")
    (own,) = seen(house)
    plain = house.get(f"{own}/metadata", WHO, headers=RECIPIENT).get_data()
    for switch in ("level=original", "anonymize=no", "Safelight-Role=clinician", "safelight-role=clinician"):
        answer = house.get(f"{own}/metadata?{switch}", WHO, headers=RECIPIENT)
        assert answer.status_code == 400 or answer.get_data() == plain
    for suffix in ("", "/metadata", "/rendered", "/thumbnail", "/frames/1", "/bulkdata/7FE00010"):
        answer = house.get(own + suffix, WHO, headers=RECIPIENT)
        assert answer.status_code == 200, suffix
        assert b"MUSTER" not in answer.get_data()
        assert STUDY.encode() not in answer.get_data()


def test_a_T11_a_stolen_link_is_nothing_in_other_hands_and_still_the_recipient_s(house: House) -> None:
    link = link_of(give(house))
    taken, unknown = accept(house, link, "thief"), accept(house, f"{'0' * 32}.{'A' * 43}", "thief")
    assert taken.status_code == unknown.status_code == 404
    assert taken.get_data() == unknown.get_data()
    assert accept(house, link, "clinician").status_code == 404  # not the giver either
    assert look(house, "thief") == 404
    assert accept(house, link).status_code == 200


def test_a_T11_the_same_subject_of_another_issuer_is_somebody_else(house: House) -> None:
    answer = give(house, recipient={"issuer": "https://elsewhere.example", "subject": subject_of(house, WHO)})
    assert answer.status_code == 400


def test_a_T11_a_link_is_good_once(house: House) -> None:
    link = link_of(give(house))
    assert [accept(house, link).status_code for _ in range(3)] == [200, 404, 404]
    assert look(house) == 200


def test_a_T11_what_is_for_somebody_of_another_issuer_is_not_for_who_is_called_the_same_here(house: House) -> None:
    link = link_of(give(house))
    (made,) = house.services.catalog.all_shares(house.now)
    house.services.catalog.end_share(made.identifier)
    assert house.services.catalog.put_share(replace(made, recipient_issuer="https://elsewhere.example"))
    assert accept(house, link).status_code == 404


def test_without_its_entry_nothing_is_shared_accepted_or_ended(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    link = link_of(give(house))
    before = house.services.catalog.all_shares(house.now)

    def fail(*_: object) -> None:
        raise AuditUnavailable

    with monkeypatch.context() as broken:
        broken.setattr(type(house.services.journal), "append", fail)
        assert give(house).status_code == 503
        assert accept(house, link).status_code == 503
        assert house.request("DELETE", f"/shares/{link.partition('.')[0]}", "clinician").status_code == 503
    assert house.services.catalog.all_shares(house.now) == before
    assert accept(house, link).status_code == 200


def test_a_T11_of_two_at_once_one_gets_it(house: House) -> None:
    link = link_of(give(house))
    with ThreadPoolExecutor(4) as pool:
        statuses = list(pool.map(lambda _: accept(house, link).status_code, range(4)))
    assert sorted(set(statuses) - {503}) == [200, 404] or sorted(statuses).count(200) == 1
    assert statuses.count(200) == 1


@pytest.mark.parametrize("wrong", ["secret", "identifier", "none", "form"])
def test_a_T11_a_link_that_is_not_right_to_the_letter_opens_nothing(house: House, wrong: str) -> None:
    link = link_of(give(house))
    bent = {
        "secret": link[:-1] + ("A" if link[-1] != "A" else "B"),
        "identifier": ("0" if link[0] != "0" else "1") + link[1:],
        "none": link.partition(".")[0] + ".",
        "form": f"{link} ",
    }[wrong]
    assert accept(house, bent).status_code == 404
    assert look(house) == 404
    assert accept(house, [link]).status_code == 404


def test_a_T11_after_its_end_a_link_opens_nothing(house: House) -> None:
    link = link_of(give(house))
    house.now += HOUR
    assert accept(house, link).status_code == 404


@pytest.mark.parametrize("who", ["clinician", "security-administrator"])
def test_a_T11_what_is_ended_is_ended_at_once(house: House, who: str) -> None:
    link = link_of(give(house))
    identifier = accepted(house)
    assert look(house) == 200
    for name in (identifier, link.partition(".")[0]):
        assert house.request("DELETE", f"/shares/{name}", who).status_code == 204
        assert house.request("DELETE", f"/shares/{name}", who).status_code == 404
    assert look(house) == 404
    assert accept(house, link).status_code == 404


def test_a_T11_nobody_ends_what_another_shares(house: House) -> None:
    identifier = accepted(house)
    other = house.token("clinician", name="another-clinician")
    assert house.request("DELETE", f"/shares/{identifier}", "", token=other).status_code == 404
    assert house.request("DELETE", f"/shares/{identifier}", WHO, headers=RECIPIENT).status_code == 403
    for name in ("x", "0" * 32, identifier.upper()):
        assert house.request("DELETE", f"/shares/{name}", "clinician").status_code == 404
    assert look(house) == 200


@pytest.mark.parametrize("level", ["patient", "teaching", "review", "front-desk", "nothing", "ORIGINAL"])
def test_a_T11_a_level_that_is_not_shared_is_refused(house: House, level: str) -> None:
    assert give(house, level=level).status_code == 403


def test_a_T11_a_wider_level_than_the_giver_s_own_is_refused(tmp_path: Path) -> None:
    """Under rules by which a clinician of no care relation sees de-identified films."""
    policies = tmp_path / "policies"
    shutil.copytree(POLICIES, policies, ignore=_without_cases)
    (policies / "cases" / "one.toml").write_text(ONE_CASE)
    order = policies / "levels" / "order.toml"
    order.write_text(order.read_text().replace('clinician = ["original"]', 'clinician = ["deidentified", "original"]'))
    more = 'permit (principal in Role::"clinician", action == Action::"deidentified", resource);'
    (policies / "more.cedar").write_text(f'@id("more") @note("More.") {more}')
    with House(tmp_path, policies=policies) as house:
        _fill(house)
        for film in FILMS:
            care(house, str(film.StudyInstanceUID))
        far = house.token("clinician", project="a-project", purpose=None)
        (mine, _) = sorted(house.instances("", token=far))
        study = mine.split("/")[3]
        assert give(house, token=far, study=study, level="original").status_code == 403
        link = link_of(give(house, token=far, study=study, level="deidentified"))
        assert accept(house, link).status_code == 200
        assert len(seen(house)) == 1
        assert mine not in seen(house)
        assert [look(house, number=number) for number in (0, 1)] == [404, 404]


def _without_cases(folder: str, names: list[str]) -> list[str]:
    return names if Path(folder).name == "cases" else []


def test_a_T11_what_was_received_is_not_handed_on(house: House) -> None:
    accepted(house)
    assert house.request("POST", "/shares", WHO, json={"study": STUDY}, headers=RECIPIENT).status_code == 403
    for user in ("researcher", "patient", "technologist", "front-desk", "security-administrator", "teacher"):
        assert give(house, user).status_code == 403


@pytest.mark.parametrize("level", ["original", "deidentified"])
def test_a_share_ends_with_the_giver_s_own_right(house: House, level: str) -> None:
    accepted(house, level=level)
    (own,) = seen(house)

    def status() -> int:
        found = seen(house)
        answer = house.get(f"{own}/rendered", WHO, headers=RECIPIENT).status_code
        assert (found == [own]) is (answer == 200)
        return answer

    assert status() == 200
    care(house, STUDY, "urology")
    assert status() == 404
    care(house, STUDY, "radiology")
    assert status() == 200
    care(house, STUDY, "radiology", labels=[StudyLabel.VIP])
    assert status() == 404
    care(house, STUDY, "radiology", labels=[])
    house.services.catalog.set_consent(STUDY, Consent(disclosure=Choice.OPT_OUT))
    assert status() == 404
    house.services.catalog.set_consent(STUDY, Consent())
    assert status() == 200


def test_a_share_of_who_broke_the_glass_ends_with_the_glass(house: House) -> None:
    care(house, STUDY)
    assert give(house).status_code == 404
    why = {"reason": "emergency", "text": "unconscious on arrival"}
    assert house.request("POST", f"/break-glass/studies/{STUDY}", "clinician", json=why).status_code == 200
    accepted(house, until=at(house.now + 3 * HOUR))
    assert look(house) == 200
    house.now += HOUR + 1
    assert look(house) == 404


@pytest.mark.parametrize("purpose", ["HRESCH", "HPAYMT", "HMARKT", "unknown"])
def test_a_share_is_for_care(house: House, purpose: str) -> None:
    assert give(house, purpose=purpose).status_code == 403


def test_a_token_for_another_purpose_opens_nothing_that_was_shared(house: House) -> None:
    accepted(house)
    for purpose, status in ((None, 200), ("TREAT", 200), ("HRESCH", 404), ("COC", 404)):
        assert look(house, token=house.token(WHO, purpose=purpose)) == status


def test_a_link_is_not_used_up_by_who_is_signed_in_for_another_purpose(house: House) -> None:
    link = link_of(give(house))
    research = house.token(WHO, purpose="HRESCH")
    assert [accept(house, link, token=research).status_code for _ in range(2)] == [403, 403]
    assert accept(house, link, "thief", token=house.token("thief", purpose="HRESCH")).status_code == 404
    assert accept(house, link).status_code == 200


def test_a_recipient_is_nothing_else_of_what_their_token_says(house: House) -> None:
    """As recipients, a colleague of the same department and the technologist who stored it see what was shared."""
    for token in (house.token("clinician"), house.token("x", roles=("technologist",), departments=("surgery",))):
        assert look(house, token=token) == 404
        assert house.get("/dicomweb/studies", "", token=token, headers=RECIPIENT).status_code == 204
    # And no token can make anybody a recipient of what was not shared.
    named = house.token(WHO, roles=("recipient",))
    assert house.get("/dicomweb/studies", "", token=named).status_code == 403
    assert look(house, token=named) == 404


def test_two_shares_of_one_study_cannot_be_joined(house: House) -> None:
    for _ in range(2):
        accepted(house, level="deidentified")
    one, other = seen(house)
    assert not set(one.split("/")[3::2]) & set(other.split("/")[3::2])
    rows = [house.get(f"{name}/metadata", WHO, headers=RECIPIENT).json or [] for name in (one, other)]
    assert rows[0][0]["00100020"] != rows[1][0]["00100020"]


@pytest.mark.parametrize(
    "changes",
    [
        {"until": "tomorrow"}, {"until": "2026-10-01T12:00:00"}, {"until": at(0)}, {"until": 5},
        {"recipient": "colleague"}, {"recipient": {"email": "a@b.example"}}, {"recipient": {"subject": ""}},
        {"recipient": {"subject": 5}}, {"purpose": "curiosity"}, {"purpose": None}, {"level": None}, {"study": None},
        {"study": "x"}, {"more": 1}, {"study": "x" * 300},
    ],
)  # fmt: skip
def test_what_is_no_share_is_refused(house: House, changes: dict[str, Any]) -> None:
    assert give(house, **changes).status_code == 400


def test_a_share_is_with_somebody_else_of_a_study_that_is_there_and_not_for_ever(house: House) -> None:
    assert give(house, recipient={"subject": subject_of(house, "clinician")}).status_code == 400
    assert give(house, study="1.2.3").status_code == 404
    assert give(house, until=at(house.now + LONGEST_SECONDS + 1)).status_code == 400
    assert give(house, until=at(house.now)).status_code == 400
    assert give(house, until=at(house.now + LONGEST_SECONDS)).status_code == 201


def test_nobody_gives_or_receives_without_number(house: House) -> None:
    statuses = [give(house).status_code for _ in range(MOST + 1)]
    assert statuses == [201] * MOST + [429]
    house.now += HOUR
    assert give(house).status_code == 201


def test_each_is_told_of_their_own(house: House) -> None:
    identifier = accepted(house)
    give(house, recipient={"subject": "another"})
    mine = house.get("/shares", WHO, headers=RECIPIENT).json or []
    assert [set(one) for one in mine] == [{"share", "level", "purpose", "until"}]
    given = house.get("/shares", "clinician").json or []
    assert {one["share"]: one["accepted"] for one in given}[identifier] is True
    assert [one["recipient"]["subject"] for one in given].count("another") == 1
    assert {one["study"] for one in given} == {STUDY}
    other = house.token("clinician", name="another-clinician")
    assert house.get("/shares", "", token=other).json == []
    every = house.get("/shares", "security-administrator").json or []
    assert {one["giver"]["subject"] for one in every} == {subject_of(house, "clinician")}
    assert len(every) == 2


def test_every_step_is_recorded_and_the_secret_nowhere(house: House) -> None:
    link = link_of(give(house))
    identifier, _, secret = link.partition(".")
    accept(house, link, "thief")
    accept(house, link)
    look(house)
    house.request("DELETE", f"/shares/{identifier}", "clinician")
    look(house)
    told = [(one.kind, one.action, one.status) for one in entries(house) if one.kind == "share"]
    assert told == [("share", action, 200) for action in ("share", "accept-share", "end-share")]
    assert [one.reason.split()[1].rstrip(":") for one in entries(house) if one.kind == "share"] == [identifier] * 3
    (used,) = [one for one in entries(house) if one.kind == "answer" and one.acting_role == "recipient"]
    assert identifier in used.reason
    assert used.level == "original"
    refused = [one for one in entries(house) if one.kind == "refusal" and one.acting_role == "recipient"]
    assert [one.action for one in refused] == ["accept-share", "retrieve-rendered"]
    assert secret not in repr(entries(house))
    root = house.settings.data
    assert all(secret.encode() not in one.read_bytes() for one in root.rglob("*") if one.is_file())


def test_a_share_is_sealed_and_the_table_joins_nobody(house: House) -> None:
    for _ in range(3):
        accepted(house)
    with house.services.engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT token, recipient, giver, sealed FROM shares").all()
    plain = [bytes(value) for row in rows for value in row]
    assert len(set(plain)) == len(plain) == 12
    assert all(STUDY.encode() not in value and b"colleague" not in value for value in plain)


def _keys(house: House) -> int:
    return len(list(house.services.catalog.all_wrapped()))


def test_with_a_share_the_key_of_its_pseudonyms_goes(house: House) -> None:
    """Ended by hand at once, ended by its time when the worker tidies up."""
    ended, _, lasting = (accepted(house, level="deidentified", until=at(house.now + more)) for more in (60, 60, 7200))
    before = _keys(house)
    assert len(seen(house)) == 3
    assert _keys(house) == before + 3
    house.request("DELETE", f"/shares/{ended}", "clinician")
    assert _keys(house) == before + 2
    house.now += 61
    # Nobody gets it any more, but a request that began in time may still be at work.
    assert len(seen(house)) == 1
    Worker(house.services, detector(), "test", 300).tidy()
    assert _keys(house) == before + 2
    house.now += LONGEST_REQUEST_SECONDS
    Worker(house.services, detector(), "test", 300).tidy()
    assert _keys(house) == before + 1
    assert house.services.catalog.shares_over(house.now) == []
    (told,) = [one for one in entries(house) if one.kind == "sweep"]
    assert told.reason == "1 shares are over; the keys of their pseudonyms are destroyed"
    assert {one["share"] for one in house.get("/shares", WHO, headers=RECIPIENT).json or []} == {lasting}
    assert len(seen(house)) == 1


def test_of_a_share_half_forgotten_the_rest_is_forgotten_next_time(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    accepted(house, level="deidentified")
    before = _keys(house)
    assert len(seen(house)) == 1
    house.now += HOUR

    def fail(*_: object) -> bool:
        raise Busy

    for step in ("end_project", "end_share"):
        with monkeypatch.context() as broken:
            broken.setattr(type(house.services.catalog), step, fail)
            with pytest.raises(Busy):
                forget_over(house.services, house.now)
        assert len(house.services.catalog.shares_over(house.now)) == 1
    assert forget_over(house.services, house.now) == 1
    assert _keys(house) == before
    assert forget_over(house.services, house.now) == 0


def test_without_its_entry_no_key_is_destroyed(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    accepted(house, level="deidentified")
    seen(house)
    before = _keys(house)
    house.now += HOUR

    def fail(*_: object) -> None:
        raise AuditUnavailable

    monkeypatch.setattr(type(house.services.journal), "append", fail)
    with pytest.raises(AuditUnavailable):
        forget_over(house.services, house.now)
    assert _keys(house) == before


def test_a_time_written_into_the_table_ends_no_share(house: House) -> None:
    """Its end is sealed; the column beside it only finds it."""
    accepted(house, level="deidentified")
    with house.services.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE shares SET expires = 1")
    assert forget_over(house.services, house.now) == 0
    assert len(seen(house)) == 1
