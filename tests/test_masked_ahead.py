"""What the worker masks ahead of a series is, in every world, byte for byte what masking it for the answer gives."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from builders import PixelFormat, chest_film, made_up_uid, part10_bytes
from builders_carriers import carriers
from builders_matrix import fill_matrix
from house import House
from pydicom import dcmread
from pydicom.uid import UID
from review_kit import detectors, screen_all
from sweep_routes import unsynced
from test_series_kept import CHANGES

from server import ahead, retrieve
from server.ahead import grant_series, keep_ahead
from server.metadata.holes import Holes
from server.metadata.pseudonyms import Pseudonyms
from server.model import IdentifierKind
from server.services import Services

JSON = "application/dicom+json"
TINY = PixelFormat(rows=16, columns=16)
READERS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("clinician", {}),
    ("researcher", {}),
    ("researcher", {"project": "another"}),
    ("teacher", {}),
    ("front-desk", {}),
    ("privacy-reviewer", {}),
)


def films() -> Iterator[bytes]:
    """A study of every sort of attribute: two series of equal numbers, dates at the end of time, another patient's
    name in one, nothing to tell a number by in others, every kind of object in one series."""
    for number in range(4):
        ds = chest_film(TINY, study=1, series=1 + number // 2, instance=number + 1, hiding_places=True)
        ds.SeriesNumber, ds.InstanceNumber = 7, 1
        ds.TimezoneOffsetFromUTC = "+0100"
        ds.AcquisitionDateTime = ("20200229235930.5-0300", "99991231", "0001", "20200101")[number]
        ds.ContentDate = ("20201231", "99991231", "nonsense", "00010101")[number]
        ds.SeriesDescription = ("CHEST PA", "CHEST MUSTER", "THORAX ap", "x")[number]
        ds.ImageComments = "{}." * 3 + "\\u0000" + '"' + "ä"
        yield part10_bytes(ds)
    for number in (1, 2, 3):
        ds = chest_film(TINY, study=2, instance=number)
        list(fill_matrix(ds))
        yield part10_bytes(ds)
    for number, one in enumerate(carriers()):
        ds = dcmread(io.BytesIO(one.body))
        ds.StudyInstanceUID, ds.SeriesInstanceUID = made_up_uid("study", 1, 3), made_up_uid("series", 3, number % 2)
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = UID(made_up_uid("instance", 3, number))
        file = io.BytesIO()
        ds.save_as(file)
        yield file.getvalue()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with pytest.MonkeyPatch.context() as patch, House(tmp_path_factory.mktemp("ahead")) as one:
        unsynced(patch)
        for film in films():
            assert one.store(film).status_code == 200
        screen_all(one, detectors())
        yield one


@pytest.fixture
def direct(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many instances each answer had to mask itself."""
    counts: list[int] = []
    by_series = retrieve.by_series  # type: ignore[attr-defined]

    def counting(services: Services, records: Any) -> object:
        counts.append(len(records))
        return by_series(services, records)

    monkeypatch.setattr(retrieve, "by_series", counting)
    return counts


def forget(house: House) -> None:
    house.services.answers.drop()
    house.services.cache.drop()


def grant_all(house: House) -> int:
    count = 0
    while grant_series(house.services):
        count += 1
    return count


def answers(house: House) -> dict[tuple[str, str], bytes]:
    """The metadata of all studies and all series, as every reader gets it."""
    found: dict[tuple[str, str], bytes] = {}
    for user, changes in READERS:
        token = house.token(user, **changes)
        paths = {one.rpartition("/instances/")[0] for one in house.instances(user, token=token)}
        for path in paths | {one.partition("/series/")[0] for one in paths}:
            response = house.get(f"{path}/metadata", user, JSON, token=token)
            assert response.status_code == 200
            found[f"{user} {changes}", path] = response.data
        assert paths
    return found


def test_every_world_gets_what_masking_gives(house: House, direct: list[int]) -> None:
    forget(house)
    masked = answers(house)
    assert direct
    assert grant_all(house) > 0
    house.services.answers.drop()
    direct.clear()
    filled = answers(house)
    assert filled == masked
    # Only what no world of this level can tell ahead: one date at the end of time, in the series that it lies in.
    assert len(masked) > 20
    assert sum(direct) < sum(len(orjson.loads(body)) for body in masked.values()) / 4


def test_a_date_that_one_world_cannot_move_goes_the_direct_road(
    house: House, direct: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    for days in (-365, -1, 1, 365):
        monkeypatch.setattr(Pseudonyms, "shift_days", days)
        forget(house)
        masked = answers(house)
        grant_all(house)
        house.services.answers.drop()
        direct.clear()
        assert answers(house) == masked
        assert direct
        # Whether one world's date can be moved is no wish.
        assert grant_all(house) == 0


def test_what_is_masked_ahead_is_sealed_under_its_study(house: House) -> None:
    forget(house)
    answers(house)
    grant_all(house)
    place = house.settings.data / "cache"
    bodies = [path.read_bytes() for path in place.rglob("*") if path.is_file()]
    assert len(bodies) > 10
    for told in (b"00100010", b"2.25.", b"MUSTER", b"CANARY"):
        assert not any(told in body for body in bodies)
    study = house.services.catalog.find_study(chest_film(study=1).StudyInstanceUID)
    other = house.services.catalog.find_study(chest_film(study=2).StudyInstanceUID)
    assert study is not None
    assert other is not None
    keys = {ahead._key(house.services.study_key(one.study_instance_uid)) for one in (study, other)}
    assert len(keys) == 2
    level = house.services.policy.current.levels["deidentified"]
    (series, *_) = house.services.catalog.series_of(study.study_instance_uid)
    name = ahead._name(house.services, series, level, house.services.policy.current.fingerprint)
    opened = [house.services.cache.get(key, name) is not None for key in sorted(keys, key=lambda key: key not in keys)]
    # The second try finds nothing: what does not open is removed.
    assert opened.count(True) <= 1


@pytest.mark.parametrize("change", CHANGES)
def test_no_change_is_missed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str, direct: list[int]) -> None:
    unsynced(monkeypatch)
    with House(tmp_path) as one:
        # The study that the changes are made to.
        made = [chest_film(TINY, canaries=False, study=1, instance=number) for number in (1, 2, 3)]
        assert one.store(*map(part10_bytes, made)).status_code == 200
        screen_all(one, detectors())
        answers(one)
        assert grant_all(one) == 1
        one.services.answers.drop()
        direct.clear()
        answers(one)
        assert not direct
        CHANGES[change](one)
        after = answers(one)
        forget(one)
        assert answers(one) == after
        grant_all(one)
        one.services.answers.drop()
        assert answers(one) == after


@pytest.mark.parametrize("part", ["level", "policy", "revision", "series", "program", "origin"])
def test_every_part_of_the_name_counts(house: House, part: str) -> None:
    services, bundle = house.services, house.services.policy.current
    (series, *_) = services.catalog.series_of(chest_film(study=1).StudyInstanceUID)
    level = bundle.levels["deidentified"]
    before = ahead._name(services, series, level, bundle.fingerprint)
    policy = bundle.fingerprint
    if part == "level":
        level = replace(level, fingerprint="0" * 64)
    elif part == "policy":
        policy = "0" * 64
    elif part == "revision":
        series = replace(series, revision=bytes(16))
    elif part == "series":
        series = replace(series, row="0" * 32)
    elif part == "program":
        services = replace(services, code="0" * 64)
    else:
        services = replace(services, settings=replace(services.settings, public_url="https://films.example.org"))
    assert ahead._name(services, series, level, policy) != before


def test_what_is_damaged_is_masked_anew(house: House) -> None:
    forget(house)
    masked = answers(house)
    grant_all(house)
    for path in (house.settings.data / "cache").rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes()[:-1] + b"x")
    house.services.answers.drop()
    assert answers(house) == masked


BROKEN: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "one world's days": lambda patch: patch.setattr(Holes, "moved", lambda _self, vr, value, zone: "20200101"),
    "one world's names": lambda patch: patch.setattr(Holes, "identifier", lambda _self, kind, value: "KNOWN"),
    "a hole too few": lambda patch: patch.setattr(Holes, "cut", lambda _self, text: [text]),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_what_is_not_what_the_masker_gives_is_not_kept(
    house: House, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    forget(house)
    (series,) = house.services.catalog.series_of(chest_film(study=2).StudyInstanceUID)
    levels = house.services.policy.current.levels.values()
    whole = keep_ahead(house.services, series.row)
    assert whole >= 5
    assert keep_ahead(house.services, series.row) == 0
    forget(house)
    BROKEN[fault](monkeypatch)
    kept = keep_ahead(house.services, series.row)
    assert kept < whole
    # They say so, and nobody wishes for them again.
    assert keep_ahead(house.services, series.row) == 0
    assert kept >= sum(not level.pseudonyms for level in levels) - 1


def test_one_film_alone_is_not_worth_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unsynced(monkeypatch)
    with House(tmp_path) as one:
        assert one.store(part10_bytes(chest_film(TINY))).status_code == 200
        answers(one)
        assert grant_all(one) == 0
        screen_all(one, detectors())
        assert grant_all(one) == 1
        assert not list((one.settings.data / "cache").rglob("*"))
        one.services.series_wishes.put("0" * 32)
        assert grant_all(one) == 1


def test_the_worker_masks_a_series_ahead_once_it_is_screened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has asked yet: the first answer of every role has nothing to mask."""
    unsynced(monkeypatch)
    with House(tmp_path) as one:
        made = [part10_bytes(chest_film(TINY, instance=number)) for number in (1, 2, 3)]
        assert one.store(*made).status_code == 200
        screen_all(one, detectors())
        assert grant_all(one) == 1
        monkeypatch.setattr(retrieve, "by_series", None)
        assert answers(one)


def test_holes_are_cut_where_names_were_asked_for_and_nowhere_else() -> None:
    holes = Holes("0f" * 16)
    first, second = holes.uid("2.25.1"), holes.identifier(IdentifierKind.PATIENT, "A\x001")
    assert holes.uid("2.25.1") == first != second
    assert holes.moved("DA", "20200230", None) is None
    assert holes.moved("TM", "1015", None) == "1015"
    day = holes.moved("DA", "20200229", None)
    assert holes.cut(f'"{first}{second}" {day}{day} {"0e" * 16}.0.') == ['"', 0, 1, '" ', 2, 2, f" {'0e' * 16}.0."]
    assert holes.cut("nothing") == ["nothing"]
    assert [hole.kind for hole in holes.found] == ["uid", "patient", "DA"]
    for mark in ("", "0f", "0F" * 16, "." * 32):
        with pytest.raises(ValueError, match="mark"):
            Holes(mark)
