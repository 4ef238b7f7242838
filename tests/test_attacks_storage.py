"""What somebody can do who has the disk: swap, put back, cut (a.A9). More of it is in `test_attacks_rows.py`."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest
from builders import PixelFormat, all_canaries, chest_film, part10_bytes
from house import STEP, House
from pydicom import Dataset

from server.audit.show import read
from server.catalog.screening_queue import Outcome
from server.develop import REGIONS
from server.model import InstancePath, InstanceRecord, ScreeningState
from server.screening.regions import RegionSet, encode_regions

TWO_FRAMES = PixelFormat(rows=64, columns=80, frames=2)


def path_of(film: Dataset) -> InstancePath:
    return InstancePath(study=film.StudyInstanceUID, series=film.SeriesInstanceUID, instance=film.SOPInstanceUID)


def record_of(house: House, film: Dataset) -> InstanceRecord:
    record = house.services.catalog.find_instance(path_of(film))
    assert record is not None
    return record


def stored(house: House, number: int, *, study: int | None = None) -> Dataset:
    """Film `number`, stored and screened."""
    film = chest_film(TWO_FRAMES, patient=1, study=study or number, series=number, instance=number)
    assert house.store(part10_bytes(film)).status_code == 200
    house.screen()
    return film


def file_of(house: House, name: str) -> Path:
    (found,) = house.settings.objects.rglob(name)
    return found


def address(film: Dataset) -> str:
    path = path_of(film)
    return f"/dicomweb/studies/{path.study}/series/{path.series}/instances/{path.instance}"


def assert_refused(house: House, film: Dataset, canaries: dict[str, str]) -> None:
    """Every way to the film is a 500 without identity, with an alarm in the journal; none is a picture."""
    for suffix, accept in (
        ("/rendered", "image/jpeg"),
        ("/frames/1", f'{STEP}"application/octet-stream"'),
        ("/frames/2", f'{STEP}"application/octet-stream"'),
        ("", "application/dicom"),
        ("/bulkdata/7FE00010", "application/octet-stream"),
    ):
        answer = house.get(address(film) + suffix, "clinician", accept)
        if answer.status_code == 200:
            continue
        assert answer.status_code == 500, suffix
        assert answer.json == {"error": "the stored object failed its integrity check"}
        assert not any(value.encode() in answer.data for value in canaries.values())
    # The rendered first frame depends on head, tail and region set, so whatever was changed of those is noticed there.
    kinds = [entry.event.kind for entry in read(house.settings.journal, None)]
    assert "alarm" in kinds


def refused_suffixes(house: House, film: Dataset) -> list[str]:
    suffixes = ("/rendered", "/frames/1", "/frames/2", "")
    accepts = ("image/jpeg", "*/*", "*/*", "application/dicom")
    pairs = zip(suffixes, accepts, strict=True)
    return [
        suffix for suffix, accept in pairs if house.get(address(film) + suffix, "clinician", accept).status_code == 500
    ]


def flip(file: Path, offset: int) -> None:
    data = bytearray(file.read_bytes())
    data[offset] ^= 1
    file.write_bytes(data)


def test_a_A9_objects_of_two_films_swapped(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        one, other = stored(house, 1), stored(house, 2)
        here, there = (file_of(house, record_of(house, film).content.name) for film in (one, other))
        kept = here.read_bytes()
        shutil.copyfile(there, here)
        there.write_bytes(kept)
        for film in (one, other):
            assert refused_suffixes(house, film) == ["/rendered", "/frames/1", "/frames/2", ""]
            assert_refused(house, film, all_canaries(film))


def test_a_A9_the_same_within_one_study(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        one, other = stored(house, 1, study=1), stored(house, 2, study=1)
        here, there = (file_of(house, record_of(house, film).content.name) for film in (one, other))
        shutil.copyfile(there, here)
        assert refused_suffixes(house, one) == ["/rendered", "/frames/1", "/frames/2", ""]
        assert refused_suffixes(house, other) == []


@pytest.mark.parametrize("place", [0, 40, 200, -200, -20, -1])
def test_a_A9_a_flipped_bit(tmp_path: Path, place: int) -> None:
    with House(tmp_path) as house:
        film = stored(house, 1)
        flip(file_of(house, record_of(house, film).content.name), place)
        assert "" in refused_suffixes(house, film)
        assert_refused(house, film, all_canaries(film))


@pytest.mark.parametrize("cut", [1, 16, 700])
def test_a_A9_a_dropped_tail(tmp_path: Path, cut: int) -> None:
    with House(tmp_path) as house:
        film = stored(house, 1)
        file = file_of(house, record_of(house, film).content.name)
        file.write_bytes(file.read_bytes()[:-cut])
        assert refused_suffixes(house, film) == ["/rendered", "/frames/1", "/frames/2", ""]


def test_a_A9_yesterdays_region_set_put_back(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        film = stored(house, 1)
        record = record_of(house, film)
        assert record.regions is not None
        yesterday = file_of(house, record.regions.name).read_bytes()
        # Screened anew, with another outcome: the set of today.
        services = house.services
        assert services.catalog.requeue(record.row) is not None
        assert services.catalog.claim("test", house.now, 60) is not None
        empty = encode_regions(RegionSet(version="another", regions=()))
        today = services.objects.put(services.study_key(film.StudyInstanceUID), REGIONS, [empty])
        outcome = Outcome(state=ScreeningState.SCREENED, regions=today, found_by="another", at=house.now)
        assert services.catalog.finish(record.row, "test", outcome) is not None
        assert refused_suffixes(house, film) == []
        file_of(house, today.name).write_bytes(yesterday)
        # What was kept of the answers above was made with the set of today; nothing more comes of yesterday's.
        shutil.rmtree(house.settings.data / "answers")
        assert refused_suffixes(house, film) == ["/rendered", "/frames/1", "/frames/2", ""]


def _rows(house: House, statement: str, *values: object) -> list[tuple[bytes, ...]]:
    with sqlite3.connect(house.settings.data / "catalog.sqlite") as database:
        return database.execute(statement, values).fetchall()


def _swap_sealed(house: House, table: str) -> None:
    (one, first), (other, second) = _rows(house, f"SELECT row, sealed FROM {table} ORDER BY row LIMIT 2")
    _rows(house, f"UPDATE {table} SET sealed = ? WHERE row = ?", second, one)
    _rows(house, f"UPDATE {table} SET sealed = ? WHERE row = ?", first, other)


@pytest.mark.parametrize("table", ["studies", "series", "instances"])
def test_a_A9_rows_of_the_catalogue_swapped(tmp_path: Path, table: str) -> None:
    with House(tmp_path) as house:
        film, _ = stored(house, 1), stored(house, 2)
        _swap_sealed(house, table)
        assert refused_suffixes(house, film) == ["/rendered", "/frames/1", "/frames/2", ""]


def test_a_A9_the_plain_screening_state_is_not_believed(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        film = chest_film(TWO_FRAMES)
        house.store(part10_bytes(film))
        _rows(house, "UPDATE instances SET screening = 'screened'")
        assert refused_suffixes(house, film) == ["/rendered", "/frames/1", "/frames/2", ""]
