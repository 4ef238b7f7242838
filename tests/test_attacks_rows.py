"""More of a.A9: whatever is swapped, put back or altered in objects, rows and keys is a 500 for everybody."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from builders import all_canaries, chest_film
from house import House
from storage_world import (
    ERROR,
    FRAME,
    IMAGES,
    TEXT,
    database,
    file_of,
    named,
    records,
    refused,
    regions_of,
    row_of,
    stored,
    worlds,
    write,
)
from sweep_routes import screen
from sweep_search import Finder, unfolded

from server.screening.regions import RegionSet, encode_regions


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with stored(tmp_path) as found:
        yield found


def test_a_A9_control_untouched_films_are_answered(house: House) -> None:
    for user, instances in worlds(house).items():
        for path in instances:
            assert house.get(f"{path}/rendered", user).status_code == 200


def test_a_A9_swapped_frames_within_an_object(house: House) -> None:
    """The two frames' sealed segments change places; both are of one length."""
    record = records(house)[0]
    path = file_of(house, record.content)
    body = bytearray(path.read_bytes())
    key = house.services.study_key(record.path.study)
    lengths = [len(house.services.objects.open_segment(key, record.content, index)) + 16 for index in range(5)]
    starts = [len(body) - sum(lengths[index:]) for index in range(5)]
    first, second = (bytes(body[starts[index] : starts[index] + lengths[index]]) for index in (2, 3))
    assert len(first) == len(second)
    body[starts[2] : starts[2] + len(first) + len(second)] = second + first
    path.write_bytes(body)
    frames = ("/frames/1", "/frames/2", "/rendered", "/frames/2/rendered", "/thumbnail")
    assert refused(house, worlds(house, last=1), only=frames) > 8


def test_a_A9_something_added_behind(house: House) -> None:
    path = file_of(house, records(house)[0].content)
    path.write_bytes(path.read_bytes() + b"\0")
    assert refused(house, worlds(house, last=1)) > 8


def test_a_A9_missing_object_or_region_set(house: House) -> None:
    first, second = records(house)
    file_of(house, first.content).unlink()
    file_of(house, regions_of(second)).unlink()
    assert refused(house, worlds(house)) > 20


def test_a_A9_region_sets_of_two_films_swapped(house: House) -> None:
    one, other = (file_of(house, regions_of(record)) for record in records(house))
    kept = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(kept)
    assert refused(house, worlds(house)) > 20


def test_a_A9_an_empty_region_set_in_place_of_the_right_one(house: House) -> None:
    """Sealed with the right study key under a name of its own, and copied over the file that the row refers to."""
    record = records(house)[0]
    key = house.services.study_key(record.path.study)
    empty = encode_regions(RegionSet(version="fixed", regions=()))
    for version in (1, 2):
        other = house.services.objects.put(key, "regions", [empty], version=version)
        shutil.copyfile(file_of(house, other), file_of(house, regions_of(record)))
        assert refused(house, worlds(house, last=1)) > 8


def test_a_A9_a_frame_object_in_place_of_the_region_set(house: House) -> None:
    record = records(house)[0]
    shutil.copyfile(file_of(house, record.content), file_of(house, regions_of(record)))
    assert refused(house, worlds(house, last=1)) > 8


def test_a_A9_yesterdays_row_put_back(house: House) -> None:
    """Screened again with more found, the old file and the old row are put back, one without the other."""
    record = records(house)[0]
    old_row, old_file = row_of(house, record), file_of(house, regions_of(record)).read_bytes()
    house.services.catalog.requeue(record.row)
    screen(house, [TEXT, replace(TEXT, top_row=32)])
    current = records(house)[0]
    assert regions_of(current).name != regions_of(record).name
    file_of(house, regions_of(current)).write_bytes(old_file)
    assert refused(house, worlds(house, last=1)) > 8
    # The column alone, without its seal, is noticed too.
    write(house, "update instances set screening = 'pending' where row = ?", old_row["row"])
    assert refused(house, named(record)) > 3
    write(house, "update instances set screening = ? where row = ?", current.screening.value, old_row["row"])
    # The old row over the new one, whose region set is swept away after a new screening.
    file_of(house, regions_of(record)).unlink(missing_ok=True)
    paths = worlds(house, last=1)
    write(house, "update instances set sealed = ? where row = ?", old_row["sealed"], old_row["row"])
    assert refused(house, paths) > 8


@pytest.mark.parametrize("column", ["sealed", "uid_token", "study", "series"])
def test_a_A9_columns_of_two_rows_swapped(house: House, column: str) -> None:
    """A row speaks for its own instance only: another row's seal, token or parents are noticed."""
    one, other = (row_of(house, record) for record in records(house))
    views = worlds(house)
    if column == "uid_token":
        write(house, "update instances set uid_token = ? where row = ?", b"0" * 16, one["row"])
        write(house, "update instances set uid_token = ? where row = ?", one[column], other["row"])
        write(house, "update instances set uid_token = ? where row = ?", other[column], one["row"])
    else:
        write(house, f"update instances set {column} = ? where row = ?", other[column], one["row"])
        write(house, f"update instances set {column} = ? where row = ?", one[column], other["row"])
    for user, instances in views.items():
        for path in instances:
            for suffix in IMAGES:
                response = house.get(path + suffix, user)
                assert response.status_code in (403, 404, 406, 500), (user, suffix, response.status_code)
                assert response.status_code in (403, 406) or response.json["error"] in ERROR  # type: ignore[index]


def test_a_A9_flipped_bits_in_every_sealed_row(house: House) -> None:
    for table in ("studies", "series", "instances"):
        with closing(database(house)) as opened:
            rows = [(bytes(row["row"]), bytes(row["sealed"])) for row in opened.execute(f"select * from {table}")]
        for row, sealed in rows:
            broken = bytearray(sealed)
            broken[len(broken) // 2] ^= 1
            write(house, f"update {table} set sealed = ? where row = ?", bytes(broken), row)
            found = house.get("/dicomweb/instances", "researcher")
            assert found.status_code == 500
            assert found.json == {"error": "the stored object failed its integrity check"}
            write(house, f"update {table} set sealed = ? where row = ?", sealed, row)
    assert house.get("/dicomweb/instances", "researcher").status_code == 200


def test_a_A9_wrapped_keys_swapped(house: House) -> None:
    with closing(database(house)) as opened:
        rows = [dict(row) for row in opened.execute("select * from wrapped_keys where purpose = 'study'")]
    assert len(rows) == 2
    views = worlds(house)
    for row, other in (rows, rows[::-1]):
        write(house, "update wrapped_keys set wrapped = ? where token = ?", other["wrapped"], row["token"])
    assert refused(house, views) > 20


def test_a_A9_error_bodies_and_logs_carry_nothing(house: House, caplog: pytest.LogCaptureFixture) -> None:
    canaries = set(all_canaries(chest_film(FRAME, hiding_places=True)).values())
    finder = Finder({text for text in canaries if len(text) > 7}, stem=True)
    views = worlds(house, last=1)
    file_of(house, records(house)[0].content).write_bytes(b"")
    for user, instances in views.items():
        for suffix in IMAGES:
            response = house.get(instances[0] + suffix, user)
            assert not finder.found(unfolded(response.get_data(), response.headers["Content-Type"]))
            assert not finder.found([str(response.headers).encode()])
    assert caplog.records
    assert not finder.found([one.getMessage().encode() for one in caplog.records])
