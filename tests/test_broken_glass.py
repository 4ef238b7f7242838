"""A clinician without a care relation opens one patient's films: for a reason, for an hour, on record."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from builders import PixelFormat, chest_film, part10_bytes
from house import NOW, House
from test_proofs import token, with_settings
from werkzeug.test import TestResponse

from server.audit.show import read
from server.glass import SECONDS
from server.model import Circumstances, Freshness

TINY = PixelFormat(rows=16, columns=16)
WHY = {"reason": "emergency", "text": "unconscious on arrival"}
FILMS = [
    chest_film(TINY, study=1, canaries=False, PatientID="ONE", IssuerOfPatientID="I"),
    chest_film(TINY, study=2, canaries=False, PatientID="ONE", IssuerOfPatientID="I", PatientName="A^B"),
    chest_film(TINY, study=3, canaries=False, PatientID="ONE", IssuerOfPatientID="J", PatientName="C^D"),
]


@pytest.fixture
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with House(tmp_path_factory.mktemp("glass")) as made:
        storing = made.token("x", roles=("technologist",), departments=("surgery",))
        for film in FILMS:
            assert made.store(part10_bytes(film), token=storing).status_code == 200
        made.screen()
        yield made


def path(number: int) -> str:
    film = FILMS[number]
    return f"/dicomweb/studies/{film.StudyInstanceUID}/series/{film.SeriesInstanceUID}/instances/{film.SOPInstanceUID}"


def look(house: House, number: int, user: str = "clinician") -> int:
    return house.get(f"{path(number)}/rendered", user).status_code


def strike(house: House, number: int, user: str = "clinician", **options: Any) -> TestResponse:
    options.setdefault("json", WHY)
    return house.request("POST", f"/break-glass/studies/{FILMS[number].StudyInstanceUID}", user, **options)


def test_a_broken_glass_opens_one_patient_to_one_person_for_an_hour(house: House) -> None:
    other = house.token("clinician", name="colleague", departments=("urology",))
    assert [look(house, number) for number in range(3)] == [404, 404, 404]
    answer = strike(house, 0)
    assert answer.status_code == 200
    assert set(answer.json or {}) == {"until"}
    # The same number from another hospital is another patient.
    assert [look(house, number) for number in range(3)] == [200, 200, 404]
    assert house.get(f"{path(0)}/rendered", "clinician", token=other).status_code == 404
    assert house.instances("clinician") == []
    house.now += SECONDS - 1
    assert look(house, 0) == 200
    house.now += 2
    assert look(house, 0) == 404


@pytest.mark.parametrize("user", ["researcher", "front-desk", "technologist", "patient", "security-auditor", "teacher"])
def test_nobody_else_breaks_a_glass(house: House, user: str) -> None:
    assert strike(house, 0, user).status_code == 403


def test_a_role_is_what_breaks_it_and_what_it_opens_to(house: House) -> None:
    both = house.token("clinician-researcher", departments=("urology",))
    named = {"Safelight-Role": "clinician"}
    assert strike(house, 0, token=both, headers=named).status_code == 200
    for role, status in (("clinician", 200), ("researcher", 404)):
        answer = house.get(f"{path(0)}/rendered", "", token=both, headers={"Safelight-Role": role})
        assert answer.status_code == status


@pytest.mark.parametrize(
    "body",
    [
        {}, {"reason": "emergency"}, {"reason": "curiosity", "text": WHY["text"]},
        {"reason": "emergency", "text": "short"},
        {"reason": "emergency", "text": " " * 20}, {"reason": "emergency", "text": "x" * 1001}, [], "x",
        {**WHY, "hours": 100}, {"reason": ["emergency"], "text": WHY["text"]}, {"reason": "emergency", "text": 1},
    ],
)  # fmt: skip
def test_without_a_reason_it_stays_whole(house: House, body: object) -> None:
    assert strike(house, 0, json=body).status_code == 400
    assert look(house, 0) == 404


def test_without_a_patient_id_each_study_is_a_patient(house: House) -> None:
    strangers = [chest_film(TINY, study=number, canaries=False, PatientID="") for number in (4, 5)]
    storing = house.token("x", roles=("technologist",), departments=("surgery",))
    for film in strangers:
        assert house.store(part10_bytes(film), token=storing).status_code == 200
    house.screen()
    study, other = (f"/dicomweb/studies/{film.StudyInstanceUID}/metadata" for film in strangers)
    struck = house.request("POST", f"/break-glass/studies/{strangers[0].StudyInstanceUID}", "clinician", json=WHY)
    assert struck.status_code == 200
    assert [house.get(one, "clinician").status_code for one in (study, other)] == [200, 404]


def test_a_study_that_is_not_here_has_no_glass(house: House) -> None:
    assert house.request("POST", "/break-glass/studies/1.2.3", "clinician", json=WHY).status_code == 404
    assert house.request("POST", "/break-glass/studies/x", "clinician", json=WHY).status_code == 400


def test_it_is_recorded_first_and_listed_for_the_auditor(house: House) -> None:
    strike(house, 0)
    look(house, 0)
    told = house.get("/audit/entries?kind=break-glass", "security-auditor").json or []
    assert [(one["kind"], one["reason"], one["acting_role"]) for one in told] == [("break-glass", "emergency", "")]
    assert all("unconscious" not in str(one) for one in told)
    entries = [entry.event for entry in read(house.settings.journal, house.services.journal_seal_key)]
    (struck,) = [one for one in entries if one.kind == "break-glass"]
    assert struck.object == f"{FILMS[0].StudyInstanceUID} {WHY['text']}"
    assert "clinician-broken-glass" in [one for one in entries if one.kind in ("answer", "opening")][-2].rules


def test_it_wants_a_fresh_sign_in_where_the_setting_says_so(house: House) -> None:
    with_settings(house, step_up={"break-glass": Freshness(max_age=60)})
    stale = token(house, "clinician", cnf=None, auth_time=int(NOW) - 61)
    assert strike(house, 0, token=stale).status_code == 401
    assert strike(house, 0, token=token(house, "clinician", cnf=None, auth_time=int(NOW))).status_code == 200


def test_a_token_never_says_that_a_glass_is_broken(house: House) -> None:
    claims = house.services.tokens.verify(house.token("clinician"), house.now)
    told = {**claims, "broken_glass": True, "brokenGlass": True}
    caller = house.services.tokens.caller(told, house.services.policy.current.roles)
    assert caller.circumstances == Circumstances()
