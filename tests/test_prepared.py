"""Answers from prepared forms and from the cache are the answers that there were without them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from builders import PixelFormat, all_canaries, chest_film, part10_bytes
from house import House

from server import prepare
from server.develop import unseal_each
from server.metadata.pseudonyms import domain_key
from server.transaction import Transaction
from server.vault.envelope import derive

JSON = "application/dicom+json"
SMALL = PixelFormat(rows=32, columns=32)
SLICES = 6


def film(instance: int) -> Any:
    return chest_film(SMALL, study=2, instance=instance)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with House(tmp_path_factory.mktemp("prepared")) as house:
        assert house.store(*(part10_bytes(film(instance)) for instance in range(1, SLICES + 1))).status_code == 200
        yield house


def series_of(house: House, user: str, token: str | None = None) -> str:
    (series,) = {one.rpartition("/instances/")[0] for one in house.instances(user, token=token)}
    return series


def asked(house: House, path: str, user: str, token: str | None = None) -> list[dict[str, Any]]:
    response = house.get(f"{path}/metadata", user, JSON, token=token)
    assert response.status_code == 200
    found: list[dict[str, Any]] = json.loads(response.data)
    return found


@pytest.mark.parametrize("user", ["clinician", "researcher", "teacher", "front-desk"])
def test_a_series_is_told_as_its_instances_are(house: House, user: str) -> None:
    """One instance by itself is never prepared: its object is opened for it."""
    series = series_of(house, user)
    whole = asked(house, series, user)
    alone = [asked(house, one, user)[0] for one in house.instances(user)]
    key = "00080018"
    assert sorted(whole, key=lambda one: one[key]["Value"]) == sorted(alone, key=lambda one: one[key]["Value"])
    assert len(whole) == SLICES
    # And in the same words, the order of attributes too.
    assert sorted(json.dumps(one) for one in whole) == sorted(json.dumps(one) for one in alone)


def test_a_second_question_opens_no_object(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    series = series_of(house, "researcher")
    before = asked(house, series, "researcher")

    def refused(*_: object) -> None:
        raise AssertionError("an object is opened")

    monkeypatch.setattr(prepare, "unseal_each", refused)
    assert asked(house, series, "researcher") == before
    # Another project's answer is developed anew, from the prepared form.
    token = house.token("researcher", project="another-project")
    other = asked(house, series_of(house, "researcher", token), "researcher", token)
    assert len(other) == SLICES
    assert {one["00080018"]["Value"][0] for one in other}.isdisjoint(one["00080018"]["Value"][0] for one in before)


def test_one_more_instance_is_told_at_once(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        for count in (2, 3):
            assert house.store(part10_bytes(film(count))).status_code == 200
            assert house.store(part10_bytes(film(1))).status_code == 200
            assert len(asked(house, series_of(house, "researcher"), "researcher")) == count


def test_screening_changes_the_answer(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        assert house.store(*(part10_bytes(film(instance)) for instance in (1, 2))).status_code == 200
        series = series_of(house, "researcher")
        before = asked(house, series, "researcher")
        house.screen()
        after = asked(house, series, "researcher")
        # Only now somebody has looked for text, which is what this code says.
        codes = [json.dumps(one["00120064"]) for one in (before[0], after[0])]
        assert ["113101" in code for code in codes] == [False, True]


def test_nothing_in_the_cache_can_be_read_and_an_ended_project_leaves_only_noise(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        assert house.store(*(part10_bytes(film(instance)) for instance in (1, 2))).status_code == 200
        answers = {user: house.get(f"{series_of(house, user)}/metadata", user, JSON).data for user in
                   ("clinician", "researcher")}  # fmt: skip
        canaries = [canary.encode() for one in (1, 2) for canary in all_canaries(film(one)).values()]
        assert any(canary in answers["clinician"] for canary in canaries)
        directories = ("cache", "answers")
        files = [path for one in directories for path in (tmp_path / "data" / one).rglob("*") if path.is_file()]
        kept = [path.read_bytes() for path in files]
        # One prepared form, two answers.
        assert len(kept) == 3
        assert not any(canary in one for canary in canaries for one in kept)
        uid = asked(house, series_of(house, "researcher"), "researcher")[0]["00080018"]["Value"][0].encode()
        assert not any(uid in one for one in kept)
        names = [path.name for path in files]
        assert house.services.catalog.end_project("demo-project")
        study_key = house.services.study_key(film(1).StudyInstanceUID)
        fresh = domain_key(house.services.project_key("demo-project"), "deidentified")
        key = derive(study_key, "answer/deidentified", fresh)
        cache = house.services.answers.of("deidentified", len(house.services.policy.current.levels))
        assert [cache.get(key, name) for name in names] == [None] * 3


@pytest.mark.parametrize("damage", ["flipped", "swapped", "gone"])
def test_a_damaged_cache_costs_time_and_nothing_else(tmp_path: Path, damage: str) -> None:
    with House(tmp_path) as house:
        assert house.store(*(part10_bytes(film(instance)) for instance in (1, 2))).status_code == 200
        series = series_of(house, "researcher")
        before = asked(house, series, "researcher")
        places = (tmp_path / "data" / "cache", tmp_path / "data" / "answers")
        files = [path for place in places for path in place.rglob("*") if path.is_file()]
        bodies = [path.read_bytes() for path in files]
        for place, path in enumerate(files):
            if damage == "flipped":
                path.write_bytes(bodies[place][:-1] + bytes([bodies[place][-1] ^ 1]))
            elif damage == "swapped":
                path.write_bytes(bodies[place - 1])
            else:
                path.unlink()
        assert asked(house, series, "researcher") == before


def test_what_is_kept_of_one_view_is_never_given_to_another(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every part of the name counts: role, project, level, policy, revision."""
    names: list[str] = []
    digest = Transaction._digest

    def noting(self: Transaction, extra: str) -> str:
        names.append(digest(self, extra))
        return names[-1]

    monkeypatch.setattr(Transaction, "_digest", noting)
    distinct = set()
    for user, changes in (
        ("clinician", {}),
        ("researcher", {}),
        ("researcher", {"project": "p2"}),
        ("teacher", {}),
        ("front-desk", {}),
    ):
        token = house.token(user, **changes)
        asked(house, series_of(house, user, token), user, token)
        distinct.add(names[-1])
    assert len(distinct) == 5


def test_a_form_is_of_the_objects_that_it_is_named_by(house: House) -> None:
    records = house.services.catalog.instances_of(film(1).StudyInstanceUID)
    (whole,) = prepare.by_series(house.services, records)
    opened = list(unseal_each(house.services, records))
    assert [one.elements for one in whole.instances] == [one.elements for one in opened]
    assert [one.record for one in whole.instances] == records
    assert all(one.row_keys.items() <= whole.row_keys.items() for one in opened)
