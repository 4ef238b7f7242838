"""Base renditions in a whole server: the same bytes as without them, under the regions in force, and nothing beyond."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from builders import BurnedText, PixelFormat, chest_film, part10_bytes
from house import House, detector
from pydicom import Dataset
from pydicom import uid as uids

from server import bases, rendered
from server.bases import grant_wish, keep_bases
from server.catalog.screening_queue import Outcome
from server.commands.working import Worker
from server.develop import REGIONS, thumbnail_level, unseal
from server.errors import Busy, SealBroken
from server.model import (
    InstancePath,
    InstanceRecord,
    ObjectReference,
    Region,
    RegionKind,
    RegionStyle,
    RenderParameters,
    ReviewReason,
    ScreeningState,
)
from server.pixels import base as base_module
from server.pixels.pool import Gate
from server.screening.regions import RegionSet, encode_regions
from server.shots import Shot
from server.sweep import STALE_SECONDS, sweep

FORM = PixelFormat(rows=400, columns=640, burned=(BurnedText(text="MUSTER^MAXIMA", top_row=40, left_column=60),))
TEXT = Region(kind=RegionKind.TEXT, top_row=32, left_column=40, row_count=60, column_count=200)
LATER = Region(kind=RegionKind.MANUAL, top_row=300, left_column=500, row_count=50, column_count=90)
AIR = Region(kind=RegionKind.BACKGROUND, top_row=0, left_column=560, row_count=256, column_count=80)
LEVELS = {"clinician", "researcher"}


@pytest.fixture(autouse=True)
def _of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base_module, "LEAST_PIXELS", 1)


def film(number: int = 1, hidden: int = 0) -> Dataset:
    """Grain over a chest; `hidden` is added where `TEXT` lies."""
    ds = chest_film(FORM, study=number, series=number, instance=number)
    ds.WindowCenter, ds.WindowWidth = "2048", "4096"
    samples = np.frombuffer(ds.PixelData, "<u2").reshape(400, 640)
    grained = np.clip(samples + np.random.default_rng(5).normal(0, 12, samples.shape), 0, 4000).astype("<u2")
    grained[36:90, 44:236] += hidden
    ds.PixelData = grained.tobytes()
    return ds


def record_of(house: House, ds: Dataset) -> InstanceRecord:
    path = InstancePath(study=ds.StudyInstanceUID, series=ds.SeriesInstanceUID, instance=ds.SOPInstanceUID)
    record = house.services.catalog.find_instance(path)
    assert record is not None
    return record


def found(
    house: House, *regions: Region, version: str = "one", state: ScreeningState = ScreeningState.SCREENED
) -> InstanceRecord:
    """Have a detector of this version look at the film that waits, or that another one has looked at."""
    catalog, now = house.services.catalog, house.services.clock()
    record = catalog.claim("test", now, 600.0)
    if record is None:
        (row,) = catalog.outdated(version)
        record = catalog.claim_again(row, "test", now, 600.0, version)
    assert record is not None
    key = unseal(house.services, record).study_key
    sealed = house.services.objects.put(key, REGIONS, [encode_regions(RegionSet(version=version, regions=regions))])
    doubt = ReviewReason.UNCERTAIN if state is ScreeningState.IN_REVIEW else None
    outcome = Outcome(state=state, regions=sealed, found_by=version, review=doubt, at=now)
    finished = catalog.finish(record.row, "test", outcome)
    assert finished is not None
    return finished


def files(house: House) -> list[Path]:
    return sorted(path for path in (house.settings.data / "bases").rglob("*") if path.is_file())


def asked(house: House, user: str, query: str = "", accept: str = "image/jpeg") -> bytes:
    """What is answered when nothing was kept of earlier answers."""
    house.services.answers.drop()
    (path,) = house.instances(user)
    response = house.get(f"{path}/rendered{query}", user, accept)
    assert response.status_code == 200
    return bytes(response.get_data())


def without_bases(house: House, user: str, query: str = "", accept: str = "image/jpeg") -> bytes:
    place, aside = house.settings.data / "bases", house.settings.data / "aside"
    if place.exists():
        place.rename(aside)
    answer = asked(house, user, query, accept)
    if aside.exists():
        shutil.rmtree(place, ignore_errors=True)
        aside.rename(place)
    return answer


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """One entry for each original that is opened for a picture: what goes the direct road."""
    names: list[str] = []

    def noting(services: Any, record: InstanceRecord, *given: Any) -> Any:
        names.append(record.row)
        return unseal(services, record, *given)

    monkeypatch.setattr(rendered, "unseal", noting)
    return names


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with House(tmp_path) as one:
        assert one.store(part10_bytes(film())).status_code == 200
        yield one


@pytest.mark.parametrize("user", ["clinician", "researcher", "teacher", "front-desk"])
def test_every_role_gets_the_same_bytes_as_without(house: House, user: str) -> None:
    record = found(house, TEXT, AIR)
    before = asked(house, user)
    assert keep_bases(house.services, record) == len(files(house)) == 3
    assert asked(house, user) == before


@pytest.mark.parametrize("user", sorted(LEVELS))
def test_the_original_is_not_opened_for_it(house: House, opened: list[str], user: str) -> None:
    record = found(house, TEXT, AIR)
    before = asked(house, user)
    assert len(opened) == 1
    keep_bases(house.services, record)
    assert asked(house, user) == before
    assert len(opened) == 1


def test_a_region_that_is_added_later_is_hidden_at_once(house: House, opened: list[str]) -> None:
    """The very base that was made before it: its segments are exchanged for those that the region touches."""
    keep_bases(house.services, found(house, TEXT, AIR))
    first = asked(house, "researcher")
    made = {path: path.read_bytes() for path in files(house)}
    found(house, TEXT, AIR, LATER, version="two")
    later = asked(house, "researcher")
    assert opened == []
    assert {path: path.read_bytes() for path in files(house)} == made
    assert later == without_bases(house, "researcher") != first
    # Fewer regions, too: whatever is in force, and nothing else.
    found(house, AIR, version="three")
    bare = asked(house, "researcher")
    assert len(opened) == 1
    assert bare == without_bases(house, "researcher") not in (first, later)
    # Another background: then the base is of no use.
    found(house, TEXT, version="four")
    opened.clear()
    assert asked(house, "researcher") == without_bases(house, "researcher")
    assert len(opened) == 2


@pytest.mark.parametrize(
    ("query", "accept"),
    [
        ("?window=500,100,linear", "image/jpeg"),
        ("?quality=80", "image/jpeg"),
        ("?viewport=100,100", "image/jpeg"),
        ("?annotation=technique", "image/jpeg"),
        ("?iccprofile=srgb", "image/jpeg"),
        ("", "image/png"),
    ],
)
def test_everything_else_goes_the_direct_road(house: House, opened: list[str], query: str, accept: str) -> None:
    keep_bases(house.services, found(house, TEXT, AIR))
    for user in LEVELS:
        opened.clear()
        assert asked(house, user, query, accept) == without_bases(house, user, query, accept)
        assert len(opened) == 2


def test_what_is_not_screened_is_wholly_masked(house: House, opened: list[str]) -> None:
    """Before screening there is no base; and one that there is does not serve a film that has to be looked at again."""
    waiting = record_of(house, film())
    assert keep_bases(house.services, waiting) == 0
    covered = asked(house, "researcher")
    keep_bases(house.services, found(house, TEXT, AIR))
    assert asked(house, "researcher") != covered
    house.services.catalog.requeue(waiting.row)
    assert len(files(house)) == 3
    opened.clear()
    assert asked(house, "researcher") == covered
    assert len(opened) == 1


def test_what_waits_for_a_person_is_wholly_masked(house: House, opened: list[str]) -> None:
    """Though there is a region set, and a base that was made under just that."""
    covered = asked(house, "researcher")
    record = found(house, TEXT, AIR)
    keep_bases(house.services, record)
    seen = asked(house, "researcher")
    found(house, TEXT, AIR, version="two", state=ScreeningState.IN_REVIEW)
    opened.clear()
    assert asked(house, "researcher") == covered != seen
    assert len(opened) == 1
    assert len(files(house)) == 3
    assert wishes(house) == []


def test_a_level_that_is_changed_for_a_picture_has_none(house: House) -> None:
    """What a thumbnail hides is told by the fingerprint of the role's own level as well."""
    record = found(house, TEXT, AIR)
    hiding = house.services.policy.current.levels["deidentified"]
    level = replace(hiding, regions={**hiding.regions, RegionKind.TEXT: RegionStyle.KEEP})
    original = unseal(house.services, record)
    assert original.description is not None
    kept = base_module.flat_alone(original.regions, level, original.description)
    assert kept is not None
    parts = bases._parts(house.services, original, level, kept) or []
    parts[base_module.READY_FOR] = bases._regions_of(record)
    house.services.bases.put(original.study_key, record.content, level.name, bases._label(record, level), parts)
    transaction: Any = SimpleNamespace(
        services=house.services, view=SimpleNamespace(level=level), key_of=house.services.study_key
    )
    shot = Shot(record=record, numbers=None)
    wanted = rendered.Wanted(numbers=None, parameters=RenderParameters(), quality=90)
    assert rendered._from_base(transaction, shot, level, wanted) is not None
    assert rendered._from_base(transaction, shot, thumbnail_level(level), wanted) is None
    assert rendered._from_base(transaction, replace(shot, numbers=(2,)), level, wanted) is None
    assert rendered._from_base(transaction, replace(shot, state=Dataset()), level, wanted) is None
    assert rendered._from_base(transaction, shot, level, replace(wanted, region=(0, 0, 1, 1))) is None


def test_thumbnails_never_come_from_it(house: House, opened: list[str]) -> None:
    keep_bases(house.services, found(house, TEXT, AIR))
    for user in LEVELS:
        (path,) = house.instances(user)
        opened.clear()
        assert house.get(f"{path}/thumbnail", user, "image/jpeg").status_code == 200
        assert len(opened) == 1


def test_hidden_samples_change_no_byte_of_the_answer(tmp_path: Path) -> None:
    """Two films that differ under the text alone, each with a base of its own; under the regions it was made with, and
    under one more."""
    answers = []
    for hidden in (0, 90):
        with House(tmp_path / str(hidden)) as one:
            assert one.store(part10_bytes(film(hidden=hidden))).status_code == 200
            keep_bases(one.services, found(one, TEXT, AIR))
            first = asked(one, "researcher")
            found(one, TEXT, AIR, LATER, version="two")
            answers.append((first, asked(one, "researcher"), asked(one, "clinician")))
    assert answers[0][:2] == answers[1][:2]
    assert answers[0][2] != answers[1][2]


def test_whatever_is_altered_on_disk_only_makes_it_slow(house: House, opened: list[str]) -> None:
    record = found(house, TEXT, AIR)
    before = asked(house, "researcher")
    keep_bases(house.services, record)
    (path,) = (path for path in files(house) if path.stat().st_size == max(one.stat().st_size for one in files(house)))
    whole = path.read_bytes()
    for place in (4, 50, 200, 1200, len(whole) // 2, len(whole) - 1):
        opened.clear()
        keep_bases(house.services, record)
        kept = path.read_bytes()
        path.write_bytes(kept[:place] + bytes([kept[place] ^ 0x40]) + kept[place + 1 :])
        assert asked(house, "researcher") == before
    for others in (b"", whole[:-1], files(house)[0].read_bytes(), files(house)[-1].read_bytes()):
        keep_bases(house.services, record)
        path.write_bytes(others)
        assert asked(house, "researcher") == before


def test_a_region_set_that_is_altered_is_no_reason_to_show_the_film(house: House) -> None:
    record = found(house, TEXT, AIR)
    keep_bases(house.services, record)
    assert record.regions is not None
    file = house.settings.objects / record.regions.name[:2] / record.regions.name
    file.write_bytes(file.read_bytes()[:-1] + b"\x00")
    house.services.answers.drop()
    (path,) = house.instances("researcher")
    assert house.get(f"{path}/rendered", "researcher", "image/jpeg").status_code == 500


def test_another_program_level_or_film_has_none(house: House, opened: list[str]) -> None:
    record = found(house, TEXT, AIR)
    level = house.services.policy.current.levels["deidentified"]
    asked_for = (bases._PLAIN, 90, house.services.study_key)
    wanted = (house.services, record, level, *asked_for)
    for changed in (
        (replace(house.services, bases=replace_form(house)), record, level),
        (house.services, record, replace(level, fingerprint="1" * 64)),
        (house.services, replace(record, transfer_syntax_uid=uids.JPEGLSLossless), level),
        (house.services, replace(record, faces_sought=not record.faces_sought), level),
        (house.services, replace(record, content=replace(record.content, version=2)), level),
    ):
        keep_bases(house.services, record)
        assert bases.from_base(*wanted) is not None
        assert bases.from_base(*changed, *asked_for) is None
    assert bases.from_base(*wanted) is None, "and what does not fit is removed"
    assert opened == []


def replace_form(house: House) -> Any:
    kept = house.services.bases
    return type(kept)(kept._root, house.randomness, form="earlier", parts=kept._parts, capacity=1 << 30)


def test_they_are_sealed_and_go_with_their_film(house: House) -> None:
    record = found(house, TEXT, AIR)
    keep_bases(house.services, record)
    for path in files(house):
        stored = path.read_bytes()
        assert b"JFIF" not in stored
        assert b"MONOCHROME" not in stored
    house.now += 2 * STALE_SECONDS
    sweep(house.services)
    assert len(files(house)) == 3
    orphan = ObjectReference(name="f" * 32, kind="instance", version=1, segments=3)
    parts = [b""] * base_module.SEGMENTS
    house.services.bases.put(bytes(32), orphan, "deidentified", "label", parts)
    house.services.bases.put(bytes(32), record.content, "a level that was", "label", parts)
    assert len(files(house)) == 5
    sweep(house.services)
    assert len(files(house)) == 3
    house.services.bases.delete(record.content.name)
    assert files(house) == []


def test_a_compressed_film_has_the_same(tmp_path: Path, opened: list[str]) -> None:
    with House(tmp_path) as house:
        assert house.store(part10_bytes(film(), uids.JPEGLSLossless)).status_code == 200
        record = found(house, TEXT, AIR)
        before = {user: asked(house, user) for user in LEVELS}
        keep_bases(house.services, record)
        opened.clear()
        assert {user: asked(house, user) for user in LEVELS} == before
        assert opened == []


def test_screening_makes_them(tmp_path: Path, opened: list[str]) -> None:
    with House(tmp_path) as house:
        assert house.store(part10_bytes(film())).status_code == 200
        house.screen()
        assert len(files(house)) == 3
        assert asked(house, "researcher")
        assert opened == []


def test_none_is_made_that_would_show_anything_else(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The worker compares before it keeps one."""
    record = found(house, TEXT, AIR)
    monkeypatch.setattr(bases, "masked_stream", lambda *_: b"another picture")
    assert keep_bases(house.services, record) == 0
    assert all(path.stat().st_size < 8192 for path in files(house)), "nothing but the word that there is none"
    assert "does not give the picture" in caplog.text


def test_a_film_that_cannot_be_opened_is_screened_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise SealBroken("made up")

    with House(tmp_path) as house:
        assert house.store(part10_bytes(film())).status_code == 200
        monkeypatch.setattr("server.screen.keep_bases", broken)
        house.screen()
        assert record_of(house, film()).screening is ScreeningState.SCREENED
        assert files(house) == []


def wishes(house: House) -> list[str]:
    place = house.settings.data / "wishes"
    return sorted(path.name for path in place.iterdir()) if place.is_dir() else []


def test_what_is_lacking_is_wished_for_and_made_when_there_is_time(house: House, opened: list[str]) -> None:
    """None yet, as after a person's verdict or with other levels; and one whose background is another one now."""
    record = found(house, TEXT, AIR)
    assert not grant_wish(house.services)
    first = asked(house, "researcher")
    assert wishes(house) == [record.row]
    assert grant_wish(house.services)
    assert wishes(house) == []
    assert asked(house, "researcher") == first
    assert len(opened) == 1
    found(house, TEXT, version="two")
    second = asked(house, "researcher")
    assert wishes(house) == [record.row]
    assert len(opened) == 2
    Worker(house.services, detector(), "test", 300).tidy()
    assert asked(house, "researcher") == second != first
    assert len(opened) == 2
    assert wishes(house) == []
    # A region more needs no other base, so nothing is wished for.
    found(house, TEXT, LATER, version="three")
    assert asked(house, "researcher") not in (first, second)
    assert wishes(house) == []


def test_what_can_have_none_is_not_wished_for_again(tmp_path: Path, opened: list[str]) -> None:
    """A film without a window: its own range is its window, and that is another one under every mask."""
    bare = film()
    del bare.WindowCenter, bare.WindowWidth
    with House(tmp_path) as house:
        assert house.store(part10_bytes(bare)).status_code == 200
        record = found(house, TEXT, AIR)
        first = asked(house, "researcher")
        assert wishes(house) == [record.row]
        assert grant_wish(house.services)
        assert keep_bases(house.services, record) == 0
        assert asked(house, "researcher") == first
        assert wishes(house) == []
        assert len(opened) == 2


def test_a_small_film_and_a_level_that_covers_or_shrinks_have_none(
    house: House, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    record = found(house, TEXT, AIR)
    levels = house.services.policy.current.levels
    with_use = {name for name, level in levels.items() if base_module.of_use(400, 640, level)}
    assert with_use == {"deidentified", "original", "patient"}
    monkeypatch.setattr(base_module, "LEAST_PIXELS", 1 << 20)
    assert keep_bases(house.services, record) == 0
    assert asked(house, "researcher")
    assert (files(house), wishes(house)) == ([], [])


def test_a_wish_for_a_film_that_is_gone_is_forgotten(house: House, caplog: pytest.LogCaptureFixture) -> None:
    house.services.wishes.put("0" * 32)
    assert grant_wish(house.services)
    assert wishes(house) == []
    assert "NotFound" in caplog.text
    with pytest.raises(ValueError, match="hexadecimal"):
        house.services.wishes.put("../escape")


def test_no_more_are_drawn_at_once_than_are_decoded(house: House) -> None:
    keep_bases(house.services, found(house, TEXT, AIR))
    record = found(house, TEXT, AIR, LATER, version="two")
    level = house.services.policy.current.levels["deidentified"]
    busy = replace(house.services, gate=Gate(1, 0.01))
    wanted = (busy, record, level, RenderParameters(), 90, busy.study_key)
    assert bases.from_base(*wanted) is not None
    with busy.gate.passed(), pytest.raises(Busy):
        bases.from_base(*wanted)
