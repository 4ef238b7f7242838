"""A film for processing hides what was found on its twin for presentation, whichever comes first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from builders import chest_film, part10_bytes
from house import House
from pydicom.dataset import Dataset
from review_kit import MadeUp, detectors, record_of, screen_all
from sweep_routes import unsynced
from test_volumes import settled

from server.develop import unseal
from server.model import InstanceRecord, LiftReason, Region, RegionKind, ScreeningState
from server.review import settle_one
from server.screen import screen_again, screen_next
from server.screening.detectors import Detectors
from server.screening.twins import TWIN
from server.verdict import Verdict

LINE = Region(kind=RegionKind.TEXT, top_row=8, left_column=8, row_count=8, column_count=24)
CARRIED = replace(LINE, detector=TWIN)
SHOWN, RAW = 1, 2
_CLASS = {SHOWN: "1.2.840.10008.5.1.4.1.1.1.1", RAW: "1.2.840.10008.5.1.4.1.1.1.1.1"}


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    unsynced(monkeypatch)
    with House(tmp_path) as opened:
        yield opened


def film(number: int, **changes: Any) -> Dataset:
    made = chest_film(canaries=False, instance=number, SOPClassUID=_CLASS[number], **changes)
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID
    return made


def put(house: House, number: int, **changes: Any) -> None:
    assert house.store(part10_bytes(film(number, **changes))).status_code == 200


def record(house: House, number: int, **changes: Any) -> InstanceRecord:
    made = film(number, **changes)
    return record_of(house, made.StudyInstanceUID, made.SOPInstanceUID)


def regions(house: House, number: int) -> tuple[Region, ...]:
    return tuple(one for one in unseal(house.services, record(house, number)).regions if one.kind is RegionKind.TEXT)


def reading() -> Detectors:
    return detectors(lambda _samples, _number: [LINE])


def blind(version: str = "made-up-1") -> Detectors:
    return detectors(version=version)


@pytest.mark.parametrize("first", [SHOWN, RAW], ids=["presentation first", "processing first"])
def test_the_order_of_arrival_does_not_matter(house: House, first: int) -> None:
    for number in (first, SHOWN + RAW - first):
        put(house, number)
        screen_next(house.services, reading() if number == SHOWN else blind(), "test")
    # What the later one put back is looked at again, by a detector that reads nothing.
    screen_all(house, blind())
    assert regions(house, RAW) == (CARRIED,)
    assert regions(house, SHOWN) == (LINE,)
    assert {record(house, one).screening for one in (SHOWN, RAW)} == {ScreeningState.SCREENED}
    assert screen_next(house.services, blind(), "test") is None


def test_what_is_found_on_the_film_for_processing_alone_stays_there(house: House) -> None:
    put(house, RAW)
    screen_all(house, reading())
    put(house, SHOWN)
    screen_all(house, blind())
    assert (set(regions(house, RAW)), regions(house, SHOWN)) == ({LINE}, ())


def test_a_film_that_is_put_back_is_wholly_masked_until_it_is_looked_at(house: House) -> None:
    put(house, RAW)
    screen_all(house, blind())
    put(house, SHOWN)
    screen_next(house.services, reading(), "test")
    assert record(house, RAW).screening is ScreeningState.PENDING


def test_a_worker_that_is_busy_with_the_other_is_out_of_date(house: House) -> None:
    put(house, RAW)
    busy = house.services.catalog.claim("slow", house.now, 600.0)
    assert busy is not None
    put(house, SHOWN)
    screen_next(house.services, reading(), "test")
    assert not house.services.catalog.extend(busy.row, "slow", house.now + 600)
    screen_all(house, blind())
    assert regions(house, RAW) == (CARRIED,)


def test_another_exposure_adds_nothing(house: House) -> None:
    put(house, RAW, AcquisitionTime="120000")
    put(house, SHOWN, AcquisitionTime="120100")
    screen_all(house, detectors(lambda samples, _number: [LINE]))
    assert CARRIED not in regions(house, RAW)


def test_the_other_of_another_series_is_known_by_its_source(house: House) -> None:
    put(house, RAW)
    screen_all(house, blind())
    item = Dataset()
    item.ReferencedSOPInstanceUID, item.ReferencedSOPClassUID = film(RAW).SOPInstanceUID, _CLASS[RAW]
    made = film(SHOWN, SourceImageSequence=[item], SeriesInstanceUID="1.2.3.4")
    assert house.store(part10_bytes(made)).status_code == 200
    screen_next(house.services, reading(), "test")
    screen_all(house, blind())
    assert regions(house, RAW) == (CARRIED,)


def test_what_a_person_adds_is_carried_and_what_one_lifts_is_not_asked_again(house: House) -> None:
    put(house, SHOWN)
    put(house, RAW)
    screen_all(house, blind())
    added = replace(LINE, kind=RegionKind.MANUAL, detector="review")
    settle_one(house.services, record(house, SHOWN), Verdict(add=(added,), lift={}), settled)
    assert record(house, RAW).screening is ScreeningState.PENDING
    screen_all(house, blind())
    found = unseal(house.services, record(house, RAW)).regions
    index = found.index(replace(added, detector=TWIN))
    settle_one(house.services, record(house, RAW), Verdict(lift={index: LiftReason.ANATOMY}), settled)
    again = screen_again(house.services, blind("newer"), "test", record(house, SHOWN).row)
    assert again is not None
    assert record(house, RAW).screening is ScreeningState.SCREENED


def test_a_film_for_processing_is_read_in_its_logarithm(house: House) -> None:
    looks: list[int] = []

    def count(_samples: object, _number: int) -> list[Region]:
        looks.append(1)
        return []

    made = replace(blind(), text=MadeUp(count, "text"))
    for number, expected in ((SHOWN, 1), (RAW, 2)):
        put(house, number)
        looks.clear()
        screen_next(house.services, made, "test")
        assert len(looks) == expected
