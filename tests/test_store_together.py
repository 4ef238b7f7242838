"""Objects that come in one request: written together, and yet each for itself. What is durable is so in order."""

from __future__ import annotations

import json
import os
import stat
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from builders import GREY, chest_film, part10_bytes
from house import House
from pydicom import uid as uids
from pydicom.dataset import Dataset
from sqlalchemy import event
from store_kit import contents, failures, journal
from sweep_routes import unsynced

from server import cut, ingest
from server.catalog import Catalog
from server.catalog.known import Known
from server.catalog.new_instance import NewInstance
from server.develop import unseal
from server.errors import Busy, UnsupportedPixels
from server.metadata.attributes import dataset_from_attributes, level_attributes
from server.metadata.identifiers import identifiers, may_identify
from server.metadata.part10 import read
from server.model import Identifier, InstancePath
from server.outcomes import FailureReason
from server.sweep import STALE_SECONDS, sweep


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with House(tmp_path) as made:
        yield made


def film(instance: int, *, study: int = 1, patient: int = 1, **more: Any) -> Dataset:
    return chest_film(GREY, study=study, patient=patient, instance=instance, canaries=False, **more)


def films(count: int, **more: Any) -> list[bytes]:
    return [part10_bytes(film(number + 1, **more)) for number in range(count)]


def path_of(ds: Dataset) -> InstancePath:
    return InstancePath(study=ds.StudyInstanceUID, series=ds.SeriesInstanceUID, instance=ds.SOPInstanceUID)


def stored_uids(response: Any) -> list[str]:
    return [item["00081155"]["Value"][0] for item in (response.json or {}).get("00081199", {}).get("Value", [])]


def test_objects_of_a_request_are_written_together(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """For every ten objects one transaction, one sync of a directory, one of the journal; and each file."""
    assert house.store(part10_bytes(film(99, study=2))).status_code == 200
    begun: list[bool] = []
    event.listen(
        house.services.engine, "begin", lambda one: begun.append("safelight_writes" in one.get_execution_options())
    )
    synced: Counter[str] = Counter()
    fsync, fdatasync = os.fsync, os.fdatasync

    def watched(descriptor: int) -> None:
        synced["directory" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"] += 1
        fsync(descriptor)

    def journaled(descriptor: int) -> None:
        synced["journal"] += 1
        fdatasync(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    monkeypatch.setattr(os, "fdatasync", journaled)
    for count, transactions in ((1, 1), (ingest.TOGETHER, 1), (ingest.TOGETHER + 1, 2)):
        begun.clear()
        synced.clear()
        made = films(count, study=3 + count, patient=3 + count)
        assert house.store(*made).status_code == 200
        assert begun.count(True) == transactions, count
        assert synced["file"] == count
        # The first objects in a directory make its own name durable too.
        assert transactions <= synced["directory"] <= 2 * transactions
        assert synced["journal"] == transactions
    named = [one.object for one in journal(house) if one.kind == "store"]
    assert named[-ingest.TOGETHER - 1 :] == [
        film(number + 1, study=4 + ingest.TOGETHER).SOPInstanceUID for number in range(ingest.TOGETHER + 1)
    ], "every object has its entry, in their order"


def test_a_refused_object_keeps_no_other_out(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is wrong with one, and whether it is known before anything is sealed or only in the transaction."""
    unsynced(monkeypatch)
    taken = film(50, study=5)
    assert house.store(part10_bytes(taken)).status_code == 200
    before = contents(house)
    another = film(50, study=5, StudyDescription="Another")
    # Only the transaction finds out that the study, new with the first of these, has another patient by then.
    strangers = film(3, study=1, patient=2)
    sent = [film(1), another, film(2), strangers, film(4, study=6), film(5)]
    answer = house.store(*(part10_bytes(one) for one in sent), b"no object")
    good = [sent[number].SOPInstanceUID for number in (0, 2, 4, 5)]
    assert answer.status_code == 202
    assert stored_uids(answer) == good
    assert failures(answer) == [FailureReason.DUPLICATE_INSTANCE] * 2 + [FailureReason.CANNOT_UNDERSTAND]
    after = contents(house)
    assert len(after.files) - len(before.files) == len(good), "what is refused leaves no file behind"
    assert after.rows["instances"] - before.rows["instances"] == len(good)
    for one in (sent[number] for number in (0, 2, 4, 5)):
        found = house.services.catalog.find_instance(path_of(one))
        assert found is not None
        assert unseal(house.services, found).elements
    assert [one.status for one in journal(house)[-7:]] == [200, 409, 200, 409, 200, 200, 409]


def test_one_uid_twice_in_a_request(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same object is stored once, in whatever transfer syntax it comes; another one of its name is not."""
    unsynced(monkeypatch)
    first, other = part10_bytes(film(1)), part10_bytes(film(1, StudyDescription="Another"))
    again = part10_bytes(film(1), uids.RLELossless)
    before = len(contents(house).files)
    answer = house.store(first, first, again, other, part10_bytes(film(2)))
    assert answer.status_code == 202
    assert stored_uids(answer) == [film(number).SOPInstanceUID for number in (1, 1, 1, 2)]
    assert failures(answer) == [FailureReason.DUPLICATE_INSTANCE]
    assert len(contents(house).files) - before == 2


def _overtaking(house: House, monkeypatch: pytest.MonkeyPatch, others: Sequence[bytes]) -> None:
    """Another request stores these after the next one has looked, and before it seals."""
    look, waiting = Catalog.look, list(others)

    def slowly(self: Catalog, **named: Any) -> Known:
        found = look(self, **named)
        if waiting:
            assert house.store(waiting.pop()).status_code == 200
        return found

    monkeypatch.setattr(Catalog, "look", slowly)


def _drawn(house: House, ds: Dataset) -> dict[Identifier, bytes]:
    """The row keys that are sealed with an object, which opens by the key that the catalogue has of its study."""
    found = house.services.catalog.find_instance(path_of(ds))
    assert found is not None
    return dict(unseal(house.services, found).row_keys)


@pytest.mark.parametrize("study", [1, 2], ids=["the same study", "the same patient"])
def test_an_overtaken_store_draws_again(house: House, monkeypatch: pytest.MonkeyPatch, study: int) -> None:
    """Of two first stores at once both are sealed under one study key and one row key of each identifier."""
    unsynced(monkeypatch)
    other = film(9, study=study)
    _overtaking(house, monkeypatch, [part10_bytes(other)])
    before = len(contents(house).files)
    assert house.store(*films(3)).status_code == 200
    assert len(contents(house).files) - before == 4, "what was sealed under the other keys is gone"
    for ds in (other, *(film(number + 1) for number in range(3))):
        sealed = _drawn(house, ds)
        assert sealed == house.services.catalog.find_row_keys(sealed)


def test_a_store_that_is_overtaken_over_and_over_is_told_so(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    unsynced(monkeypatch)
    look = Catalog.look

    def blind(self: Catalog, **named: Any) -> Known:
        return replace(look(self, **named), row_keys={})

    assert house.store(part10_bytes(film(1))).status_code == 200
    monkeypatch.setattr(Catalog, "look", blind)
    before = contents(house)
    answer = house.store(part10_bytes(film(2)))
    assert answer.status_code == 503
    after = contents(house)
    assert after.files == before.files
    assert after.rows == before.rows


def test_a_copy_that_was_quicker_is_no_second_one(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    unsynced(monkeypatch)
    made = films(2)
    _overtaking(house, monkeypatch, [made[1]])
    before = len(contents(house).files)
    assert house.store(*made).status_code == 200
    assert len(contents(house).files) - before == 2


class _Order:
    """What happens to files and catalogue while a request is answered, one after the other."""

    def __init__(self, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
        self.said: list[tuple[str, str]] = []
        self._patch = monkeypatch
        self._watch("fsync", lambda descriptor: str(Path(f"/dev/fd/{descriptor}").readlink()))
        self._watch("fdatasync", lambda descriptor: Path(f"/dev/fd/{descriptor}").readlink().suffix)
        self._watch("link", lambda source, path: str(path))
        self._watch("mkdir", lambda path, *_: str(path))
        event.listen(house.services.engine, "commit", self._commit)

    def _commit(self, connection: Any) -> None:
        if "safelight_writes" in connection.get_execution_options():
            self.said.append(("commit", ""))

    def _watch(self, name: str, what: Callable[..., str]) -> None:
        real = getattr(os, name)

        def watched(*arguments: Any, **named: Any) -> Any:
            told = what(*arguments)
            done = real(*arguments, **named)
            self.said.append((name, told))
            return done

        self._patch.setattr(os, name, watched)


def test_what_is_catalogued_survives_a_power_cut(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """First a file is on the disk, then its name and that of its directory, then the row, then the entry."""
    order = _Order(house, monkeypatch)
    assert house.store(*films(3)).status_code == 200
    said, root = order.said, str(house.settings.objects)
    commit = max(number for number, one in enumerate(said) if one[0] == "commit")
    linked = [(number, Path(path)) for number, (what, path) in enumerate(said) if what == "link"]
    assert len(linked) == 3
    for number, path in linked:
        assert ("fsync", f"{path}.part") in said[:number], "the bytes before the name"
        assert ("fsync", str(path.parent)) in said[number:commit], "the name before the row"
        made = said.index(("mkdir", str(path.parent)))
        assert ("fsync", root) in said[made:commit], "the directory's own name before the row"
    assert ("fdatasync", ".jsonl") in said[commit:], "no answer without an entry, no entry of what is not stored"
    assert ("fdatasync", ".jsonl") not in said[:commit]


def test_a_directory_that_was_made_anew_is_durable_anew(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    objects = house.services.objects
    key = bytes(32)
    first = objects.put(key, "instance", [b"x"])
    objects.delete(first)
    (house.settings.objects / first.name[:2]).rmdir()
    order = _Order(house, monkeypatch)
    beside = objects.write(key, "instance", [b"x"], beside=first)
    objects.settle([beside])
    assert ("fsync", str(house.settings.objects)) in order.said


def test_a_crash_before_the_rows_leaves_files_that_are_swept(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    unsynced(monkeypatch)
    before = contents(house)

    class Killed(BaseException):
        pass

    def killed(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Catalog, "register_all", killed)
        with pytest.raises(Killed):
            house.store(*films(4))
    left = contents(house)
    assert left.rows == before.rows
    assert 0 < len(left.files) - len(before.files) <= ingest.TOGETHER
    house.services = replace(house.services, clock=lambda: house.now + 10**9 + 2 * STALE_SECONDS)
    assert sweep(house.services) == 4
    assert contents(house).files == before.files
    assert house.store(*films(4)).status_code == 200


def test_a_database_that_does_not_answer_keeps_all_out_and_leaves_nothing(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    unsynced(monkeypatch)
    before, tried = contents(house), []

    def busy(_: Catalog, news: Sequence[object]) -> None:
        tried.append(len(news))
        raise Busy

    monkeypatch.setattr(Catalog, "register_all", busy)
    assert house.store(*films(4)).status_code == 503
    assert tried == [4], "each after the other would wait as long again"
    assert contents(house) == before


def test_a_commit_whose_answer_is_lost_keeps_the_films_that_it_registered(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    unsynced(monkeypatch)
    register_all = Catalog.register_all

    def lost(catalog: Catalog, news: Sequence[NewInstance]) -> None:
        register_all(catalog, news)
        raise Busy

    with monkeypatch.context() as patch:
        patch.setattr(Catalog, "register_all", lost)
        assert house.store(*films(2)).status_code == 503
    for number in (1, 2):
        found = house.services.catalog.find_instance(path_of(film(number)))
        assert found is not None
        assert unseal(house.services, found).elements
    again = house.store(*films(2))
    assert again.status_code == 200
    assert len(stored_uids(again)) == 2


def test_nothing_is_removed_while_nobody_can_say_what_became_of_a_commit(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    unsynced(monkeypatch)
    before = contents(house)

    def busy(_: Catalog, __: Sequence[object]) -> None:
        raise Busy

    with monkeypatch.context() as patch:
        patch.setattr(Catalog, "register_all", busy)
        patch.setattr(Catalog, "landed", busy)
        assert house.store(*films(2)).status_code == 503
    assert len(contents(house).files) == len(before.files) + 2
    house.services = replace(house.services, clock=lambda: house.now + 10**9 + 2 * STALE_SECONDS)
    assert sweep(house.services) == 2
    assert contents(house).files == before.files


def test_what_frames_are_said_to_be_is_remembered_by_every_byte_that_says_it() -> None:
    """A description that is remembered is that of a look, for films that differ in anything it depends on."""
    changes: list[dict[str, Any]] = [
        {},
        {"Rows": 16},
        {"Columns": 16},
        {"BitsStored": 8, "HighBit": 7},
        {"PixelRepresentation": 1},
        {"PhotometricInterpretation": "MONOCHROME1"},
        {"PixelPaddingValue": 7},
        {"LossyImageCompression": "01"},
        {"NumberOfFrames": 2},
        {"Rows": "x"},
        {"SmallestImagePixelValue": 3},
    ]

    def told(one: bytes, read_anew: bool) -> object:
        if read_anew:
            cut._described.cache_clear()
        try:
            return cut.description_of(read(one))
        except UnsupportedPixels as error:
            return str(error)

    made = []
    for change in changes:
        ds = film(1)
        for name, value in change.items():
            if value == "x":
                del ds[name]
            else:
                setattr(ds, name, value)
        made.append(part10_bytes(ds))
    fresh = [told(one, read_anew=True) for one in made]
    assert len(set(map(str, fresh))) == len(changes) - 1
    for _ in range(2):
        assert [told(one, read_anew=False) for one in made] == fresh


def test_what_is_left_out_identifies_nothing() -> None:
    for ds in (film(1), chest_film(GREY, hiding_places=True), film(2, AccessionNumber="A1", StudyID="S1")):
        elements = read(part10_bytes(ds)).elements
        for level in level_attributes(elements):
            looked_at = {tag: one for tag, one in level.items() if may_identify(int(tag, 16), str(one["vr"]))}
            assert identifiers(dataset_from_attributes(level)) == identifiers(dataset_from_attributes(looked_at))
            assert json.dumps(looked_at) != json.dumps(level)
