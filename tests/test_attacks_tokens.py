"""Attacks on who one is, over HTTP: another patient's names, and another role's answers after a switch."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from builders import PixelFormat, chest_film, part10_bytes
from house import House
from signing_in import Person, with_issuer

from server.model import Action, PatientIdentity
from server.web.app import ROUTES

TINY = PixelFormat(rows=16, columns=16)
PATIENTS = [("I", "ONE"), ("I", "TWO"), ("J", "ONE"), ("", "ONE"), ("I", "ONE2"), ("I", "one")]
FILMS = [
    chest_film(TINY, study=number, canaries=False, IssuerOfPatientID=issuer, PatientID=name, PatientName=f"P^{number}")
    for number, (issuer, name) in enumerate(PATIENTS, 1)
]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with House(tmp_path_factory.mktemp("tokens")) as made:
        assert made.store(*map(part10_bytes, FILMS)).status_code == 200
        made.screen()
        with_issuer(made)
        yield made


def path(number: int) -> str:
    film = FILMS[number]
    return f"/dicomweb/studies/{film.StudyInstanceUID}/series/{film.SeriesInstanceUID}/instances/{film.SOPInstanceUID}"


@pytest.mark.parametrize("number", range(len(FILMS)))
def test_a_T10_a_patient_finds_the_own_films_by_whatever_route_and_no_other_s(house: House, number: int) -> None:
    issuer, name = PATIENTS[number]
    token = house.own_patient(PatientIdentity(issuer=issuer, patient_id=name))
    assert house.instances("", token=token) == [path(number)]
    for other in range(len(FILMS)):
        study, series, instance = path(other).split("/")[3::2]
        names = {"study": study, "series": series, "instance": instance, "frames": "1", "element": "7FE00010"}
        for route in ROUTES:
            if route.method != "GET" or "<study>" not in route.rule or not route.rule.startswith("/dicomweb"):
                continue
            address = re.sub(r"<(?:path:)?(\w+)>", lambda match: names[match[1]], route.rule)  # noqa: B023
            missing = 204 if route.action is Action.SEARCH else 404
            right = {200} if other == number else {missing}
            if route.rule.endswith("/masked-regions"):
                right |= {404}
            assert house.get(address, "", token=token).status_code in right, (address, other)
        for asked in (f"PatientID={PATIENTS[other][1]}", f"StudyInstanceUID={study}", f"PatientName=P^{other + 1}"):
            found = house.get(f"/dicomweb/studies?{asked}", "", "application/dicom+json", token=token)
            uids = [row["0020000D"]["Value"][0] for row in found.json or []] if found.status_code == 200 else []
            assert set(uids) <= {FILMS[number].StudyInstanceUID}, asked


def test_a_T7_an_answer_of_one_role_is_no_answer_of_another_after_a_switch(house: House) -> None:
    """Whoever held an answer as a clinician gets the researcher's own, not the word that nothing has changed."""
    person = Person(house)
    person.sign_in("clinician-researcher")
    etags: dict[str, str] = {}
    for role in ("clinician", "researcher", "clinician"):
        assert person.post("/role", role=role, form_token=person.form_token()).status_code == 303
        headers = {"Safelight-Role": role}
        (first, *_) = house.instances("", token=house.token("clinician-researcher"), headers=headers)
        for held, tag in etags.items():
            answer = person.get(f"{first}/metadata", If_None_Match=tag)
            assert answer.status_code == (304 if held == (role, first) else 200)
        answer = person.get(f"{first}/metadata")
        etags[role, first] = answer.headers["ETag"]
        assert (b"P^" in answer.get_data()) is (role == "clinician")
    assert len(set(etags.values())) == 2
