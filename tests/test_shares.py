"""One study shared with one person: at that level, for that time, on the routes that read, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from builders import PixelFormat, chest_film, part10_bytes
from house import ORIGIN, House
from werkzeug.test import TestResponse

TINY = PixelFormat(rows=16, columns=16)
FILMS = [
    chest_film(TINY, study=1, canaries=False, PatientID="ONE", IssuerOfPatientID="I"),
    chest_film(TINY, study=2, canaries=False, PatientID="ONE", IssuerOfPatientID="I", PatientName="A^B"),
]
RECIPIENT = {"Safelight-Role": "recipient"}
WHO = "colleague"
HOUR = 3600.0


def at(when: float) -> str:
    return datetime.fromtimestamp(when, UTC).isoformat()


@pytest.fixture
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with House(tmp_path_factory.mktemp("shares")) as made:
        for film in FILMS:
            assert made.store(part10_bytes(film)).status_code == 200
        made.screen()
        yield made


def subject_of(house: House, user: str) -> str:
    return str(house.services.tokens.verify(house.token(user), house.now)["sub"])


def give(house: House, user: str = "clinician", *, token: str | None = None, **changes: Any) -> TestResponse:
    body = {
        "study": FILMS[0].StudyInstanceUID,
        "level": "original",
        "purpose": "TREAT",
        "recipient": {"subject": subject_of(house, WHO)},
        "until": at(house.now + HOUR),
        **changes,
    }
    return house.request("POST", "/shares", user, json=body, token=token)


def link_of(answer: TestResponse) -> str:
    assert answer.status_code == 201, answer.get_data()
    return str((answer.json or {})["link"]).removeprefix(f"{ORIGIN}/share#")


def accept(house: House, link: object, user: str = WHO, **options: Any) -> TestResponse:
    options.setdefault("headers", RECIPIENT)
    return house.request("POST", "/accepted-shares", user, json={"link": link}, **options)


def path(number: int = 0) -> str:
    film = FILMS[number]
    return f"/dicomweb/studies/{film.StudyInstanceUID}/series/{film.SeriesInstanceUID}/instances/{film.SOPInstanceUID}"


def look(house: House, user: str = WHO, number: int = 0, **options: Any) -> int:
    return house.get(f"{path(number)}/rendered", user, headers=RECIPIENT, **options).status_code


def seen(house: House, user: str = WHO) -> list[str]:
    return house.instances(user, headers=RECIPIENT)


def test_a_share_opens_one_study_to_one_person_until_it_ends(house: House) -> None:
    assert look(house) == 404
    link = link_of(give(house))
    assert look(house) == 404  # not before the exchange
    told = accept(house, link)
    assert told.status_code == 200
    assert seen(house) == [path(0)]
    assert [look(house, number=number) for number in (0, 1)] == [200, 404]
    house.now += HOUR + 1
    assert look(house) == 404
    assert seen(house) == []


def test_deidentified(house: House) -> None:
    link = link_of(give(house, level="deidentified"))
    assert accept(house, link).status_code == 200
    (one,) = seen(house)
    assert one != path(0)
    for suffix in ("", "/metadata", "/rendered", "/thumbnail", "/frames/1", "/bulkdata/7FE00010"):
        answer = house.get(one + suffix, WHO, headers=RECIPIENT)
        assert answer.status_code == 200, suffix
        assert b"MUSTER" not in answer.get_data()
        assert FILMS[0].StudyInstanceUID.encode() not in answer.get_data()
    assert look(house) == 404
