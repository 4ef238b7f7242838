"""When the detectors change, films are screened again: last used first, what people decided kept, nothing lost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from house import House
from review_kit import PLACE, Look, again, detectors, finds, regions, screen_all, settle, store

from server.develop import region_set
from server.errors import StorageUnavailable
from server.model import InstanceRecord, LiftReason, Region, RegionKind, ScreeningState
from server.screen import delete_retired, found_by, screen_again
from server.screening.regions import RegionSet
from server.sweep import sweep
from server.vault.objects import ObjectStore

OTHER = replace(PLACE, top_row=40, left_column=40)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with House(tmp_path) as made:
        yield made


def screened(house: House, look: Look, study: int = 1) -> InstanceRecord:
    one = store(house, study=study)
    screen_all(house, detectors(look))
    return again(house, one)


def found(house: House, one: InstanceRecord) -> RegionSet:
    """The region set in force."""
    now = again(house, one)
    kept = region_set(house.services, house.services.study_key(now.path.study), now)
    assert kept is not None
    return kept


def newer(house: House, look: Look) -> list[InstanceRecord]:
    """Screen again all that is outdated, as a worker does."""
    made_up = detectors(look, version="made-up-2")
    rows = house.services.catalog.outdated(found_by(house.services, made_up))
    return [one for row in rows if (one := screen_again(house.services, made_up, "test", row))]


def settled(house: House, body: object) -> None:
    path = house.instances("privacy-reviewer")[0].removeprefix("/dicomweb/")
    held = house.get(f"/review/{path}", "privacy-reviewer").headers["ETag"]
    assert settle(house, path, body, held=held).status_code == 200


def test_a_new_version_makes_a_new_set(house: House) -> None:
    one = screened(house, finds(PLACE))
    assert found(house, one).regions == (PLACE,)
    assert len(newer(house, finds(PLACE, OTHER))) == 1
    now = again(house, one)
    assert now.screening is ScreeningState.SCREENED
    assert found(house, one).regions == (PLACE, OTHER)
    assert found(house, one).version == now.found_by != one.found_by
    assert newer(house, finds()) == []


def test_until_then_the_old_set_stays_in_force(house: House) -> None:
    one = screened(house, finds(PLACE))
    made_up = detectors(finds(OTHER), version="made-up-2")
    row = house.services.catalog.outdated(found_by(house.services, made_up))[0]
    claimed = house.services.catalog.claim_again(row, "test", house.now, 600.0, found_by(house.services, made_up))
    assert claimed == one
    assert again(house, one) == one
    assert house.services.catalog.claim_again(row, "other", house.now, 600.0, found_by(house.services, made_up)) is None
    assert house.services.catalog.pending() == 0


@pytest.mark.parametrize("error", [RuntimeError, MemoryError])
def test_where_the_new_ones_fail_the_old_set_stays_in_force(house: House, error: type[Exception]) -> None:
    def look(_samples: object, _number: int) -> list[Region]:
        raise error

    one = screened(house, finds(PLACE))
    for _ in range(3):
        assert len(newer(house, look)) == 1
        assert again(house, one) == one
    assert newer(house, look) == [], "it has been tried often enough"
    assert again(house, one) == one


def test_what_a_person_added_stays(house: House) -> None:
    one = screened(house, finds(PLACE))
    settled(house, regions((40, 40, 8, 8)))
    assert len(newer(house, finds())) == 1
    kept = found(house, one)
    assert [(region.kind, region.detector) for region in kept.regions] == [(RegionKind.MANUAL, "review")]
    assert kept.settled


def test_what_a_person_lifted_stays_lifted_and_nothing_else(house: House) -> None:
    one = screened(house, finds(PLACE))
    settled(house, regions(lift={0: "marker"}))
    assert found(house, one).regions == ()
    a_little_larger = replace(PLACE, top_row=6, row_count=20)
    of_another_kind = replace(PLACE, kind=RegionKind.FACE)
    on_every_frame = replace(PLACE, frames=None)
    much_larger = replace(PLACE, column_count=60)
    newer(house, finds(a_little_larger, of_another_kind, on_every_frame, much_larger, OTHER))
    kept = found(house, one)
    assert set(kept.regions) == {of_another_kind, on_every_frame, much_larger, OTHER}
    assert [lifted.reason for lifted in kept.lifted] == [LiftReason.MARKER]


def test_what_a_person_settled_does_not_wait_again(house: House) -> None:
    one = screened(house, finds(PLACE))
    settled(house, regions())
    made_up = detectors(finds(PLACE), finds(OTHER), version="made-up-2")
    assert screen_again(house.services, made_up, "test", one.row)
    assert again(house, one).screening is ScreeningState.SCREENED
    assert set(found(house, one).regions) == {PLACE, OTHER}


def test_what_is_no_longer_certain_waits(house: House) -> None:
    one = screened(house, finds(PLACE))
    made_up = detectors(finds(PLACE), finds(OTHER), version="made-up-2")
    assert screen_again(house.services, made_up, "test", one.row)
    assert again(house, one).screening is ScreeningState.IN_REVIEW


def test_a_verdict_in_the_meantime_wins(house: House) -> None:
    one = screened(house, finds(PLACE))

    def look(_samples: object, _number: int) -> list[Region]:
        settled(house, {"verdict": "mask-wholly"})
        return []

    made_up = detectors(look, version="made-up-2")
    with pytest.raises(Exception, match="taken this instance over"):
        screen_again(house.services, made_up, "test", one.row)
    assert [region.kind for region in found(house, one).regions] == [RegionKind.TEXT, RegionKind.MANUAL]


def test_the_last_used_come_first(house: House) -> None:
    films = [screened(house, finds(PLACE), study=study) for study in (1, 2, 3, 4)]
    for number in (2, 0, 3):
        house.now += 7200
        uid = films[number].path.study
        assert house.get(f"/dicomweb/studies/{uid}/metadata", "clinician").status_code == 200
    order = house.services.catalog.outdated("another")
    assert order == [films[number].row for number in (3, 0, 2, 1)]


def test_replaced_sets_are_deleted_a_while_later(house: House) -> None:
    one = screened(house, finds(PLACE))
    assert one.regions is not None
    newer(house, finds(OTHER))
    assert one.regions.name in set(house.services.catalog.object_names())
    assert delete_retired(house.services) == 0, "a request may be reading it"
    assert sweep(house.services) == 0
    house.now += 1200
    assert delete_retired(house.services) == 1
    assert one.regions.name not in set(house.services.objects.names())
    assert one.regions.name not in set(house.services.catalog.object_names())
    assert found(house, one).regions == (OTHER,)


def test_a_full_disk_uses_up_no_attempt(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    screened(house, finds(PLACE))
    with monkeypatch.context() as patched:
        patched.setattr(ObjectStore, "put", full)
        for _ in range(4):
            with pytest.raises(StorageUnavailable):
                newer(house, finds(OTHER))
    assert len(newer(house, finds(OTHER))) == 1


def test_again_by_command_keeps_what_people_decided(house: House) -> None:
    one = screened(house, finds(PLACE))
    settled(house, regions((40, 40, 8, 8)))
    assert house.services.catalog.again([ScreeningState.FAILED], house.now) == 0
    assert house.services.catalog.again([ScreeningState.SCREENED], house.now) == 1
    assert again(house, one).screening is ScreeningState.PENDING
    with pytest.raises(ValueError):
        house.services.catalog.again([ScreeningState.PENDING], house.now)
    screen_all(house, detectors(finds()))
    assert [region.kind for region in found(house, one).regions] == [RegionKind.MANUAL]
