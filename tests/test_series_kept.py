"""Kept metadata of a whole series: known by the series' revision, so no change of anything in it is ever missed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from builders import PixelFormat, chest_film, part10_bytes
from house import House
from review_kit import detectors, finds, screen_all
from statements import told
from sweep_routes import unsynced
from test_store_rejection import note

from server import retrieve
from server.model import Choice, Consent, Region, RegionKind
from server.transaction import Transaction

JSON = "application/dicom+json"
TINY = PixelFormat(rows=32, columns=32)
FILMS = [chest_film(TINY, canaries=False, study=1, instance=number) for number in (1, 2, 3)]
STUDY = str(FILMS[0].StudyInstanceUID)
PLACE = Region(kind=RegionKind.TEXT, top_row=4, left_column=4, row_count=8, column_count=8, confidence=0.9)
USERS = ("clinician", "researcher")


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    unsynced(monkeypatch)
    with House(tmp_path) as one:
        assert one.store(*map(part10_bytes, FILMS)).status_code == 200
        screen_all(one, detectors(finds(PLACE)))
        yield one


def paths(house: House, user: str) -> list[str]:
    """The study and the series, in the user's world."""
    study, _, rest = house.instances(user)[0].partition("/series/")
    return [f"{study}/metadata", f"{study}/series/{rest.partition('/')[0]}/metadata"]


def first_row(house: House) -> str:
    found = house.services.catalog.instances_of(STUDY)
    return found[0].row


def look_again(house: House) -> None:
    house.services.catalog.look_again(first_row(house), house.now)


def reject(house: House) -> None:
    assert house.store(note(FILMS[:1])).status_code == 200


def add(house: House) -> None:
    assert house.store(part10_bytes(chest_film(TINY, canaries=False, study=1, instance=4))).status_code == 200


CHANGES: dict[str, Callable[[House], object]] = {
    "one waits for its screening again": look_again,
    "one is rejected": reject,
    "one more": add,
    "labels": lambda house: house.services.catalog.set_labels(STUDY, departments=("radiology", "x"), care_team=()),
    "consent": lambda house: house.services.catalog.set_consent(STUDY, Consent(research=Choice.OPT_IN)),
}


@pytest.fixture
def developed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The series that were developed."""
    made: list[str] = []
    by_series = retrieve.by_series  # type: ignore[attr-defined]

    def counting(services: object, records: object) -> object:
        made.append("one")
        return by_series(services, records)  # type: ignore[arg-type]

    monkeypatch.setattr(retrieve, "by_series", counting)
    return made


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("change", CHANGES)
def test_no_change_is_missed(house: House, developed: list[str], user: str, change: str) -> None:
    for path in paths(house, user):
        before = house.get(path, user, JSON)
        again = house.get(path, user, JSON)
        assert (before.status_code, again.data) == (200, before.data)
        assert again.headers["ETag"] == before.headers["ETag"]
        assert house.get(path, user, JSON, headers={"If-None-Match": before.headers["ETag"]}).status_code == 304
    count = len(developed)
    CHANGES[change](house)
    for path in paths(house, user):
        old = before.headers["ETag"]
        after = house.get(path, user, JSON, headers={"If-None-Match": old})
        assert after.status_code == 200
        assert after.headers["ETag"] != old
    assert len(developed) > count
    alone = [orjson.loads(house.get(f"{one}/metadata", user, JSON).data)[0] for one in house.instances(user)]
    whole = orjson.loads(house.get(paths(house, user)[0], user, JSON).data)
    assert sorted(whole, key=_uid) == sorted(alone, key=_uid)


def _uid(one: dict[str, Any]) -> str:
    return str(one["00080018"]["Value"][0])


@pytest.mark.parametrize("user", USERS)
def test_what_is_gone_is_not_there_even_as_anything(house: House, user: str) -> None:
    asked = paths(house, user)
    tags = [house.get(path, user, JSON).headers["ETag"] for path in asked]
    assert house.store(note(FILMS)).status_code == 200
    for path, tag in zip(asked, tags, strict=True):
        for held in ("*", tag, ""):
            series_left = path.count("/") == 4 and user == "clinician"
            status = house.get(path, user, JSON, headers={"If-None-Match": held}).status_code
            assert status == 404 or (series_left and status != 404), (path, held)


def test_a_hit_opens_no_instance(house: House) -> None:
    for user in USERS:
        for path in paths(house, user):
            assert house.get(path, user, JSON).status_code == 200
    with told(house.services.engine) as said:
        for user in USERS:
            for path in paths(house, user):
                assert house.get(path, user, JSON).status_code == 200
    assert said
    assert not [one for one in said if "instances.sealed" in one]


def test_what_is_rejected_while_it_is_answered_is_not_answered(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The series were looked at, then everything in them was rejected: nothing of them is read after that."""
    path = paths(house, "researcher")[1]
    begin = Transaction.begin

    def slowly(*given: object, **named: object) -> object:
        transaction = begin(*given, **named)  # type: ignore[arg-type]
        assert house.store(note(FILMS)).status_code == 200
        return transaction

    monkeypatch.setattr(Transaction, "begin", slowly)
    assert house.get(path, "researcher", JSON).status_code == 404
