"""A film that a worker was busy with when it died is taken over at once; that of a living worker is left to it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from builders import chest_film, part10_bytes
from house import House, detector
from sqlalchemy import text

from server.audit.journal import Journal
from server.errors import AuditUnavailable, StorageUnavailable
from server.model import AuditEvent, ScreeningState
from server.screen import screen_next
from server.vault.objects import ObjectStore
from server.workers import at_work, release_ended

LEASE = 600.0
# Takes the lock of a worker's file and waits to be killed, as a worker does that is busy.
_BUSY = """
import fcntl, sys, time
file = open(sys.argv[1], "w")
fcntl.flock(file, fcntl.LOCK_EX)
print("locked", flush=True)
time.sleep(60)
"""


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with House(tmp_path) as house:
        assert house.store(part10_bytes(chest_film())).status_code == 200
        yield house


def _attempts(house: House) -> int:
    with house.services.engine.begin() as connection:
        return int(connection.execute(text("SELECT attempts FROM instances")).scalar_one())


def _state(house: House) -> ScreeningState:
    study = chest_film().StudyInstanceUID
    return house.services.catalog.instances_of(study)[0].screening


def test_the_film_of_a_killed_worker_is_taken_over_at_once(house: House) -> None:
    name = "4711-dead"
    workers = house.settings.data / "workers"
    workers.mkdir()
    with subprocess.Popen([sys.executable, "-c", _BUSY, str(workers / name)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"locked\n"
        assert house.services.catalog.claim(name, house.now, LEASE) is not None
        assert screen_next(house.services, detector(), "other") is None, "a living worker is robbed"
        process.kill()
    assert screen_next(house.services, detector(), "other") is not None
    assert _state(house) is ScreeningState.SCREENED
    assert not list(workers.iterdir())


def test_a_film_that_kills_every_worker_fails_in_the_end(house: House) -> None:
    for attempt in range(3):
        name = f"{attempt}-dead"
        assert house.services.catalog.claim(name, house.now, LEASE) is not None
        (house.settings.data / "workers").mkdir(exist_ok=True)
        (house.settings.data / "workers" / name).touch()
        assert release_ended(house.services) == 1
    assert house.services.catalog.claim("next", house.now, LEASE) is None
    assert _state(house) is ScreeningState.FAILED
    assert house.services.catalog.pending() == 0


def test_a_worker_at_work_is_alive_and_leaves_no_trace(house: House) -> None:
    with at_work(house.services) as name:
        assert house.services.catalog.claim(name, house.now, LEASE) is not None
        assert release_ended(house.services) == 0
    assert not list((house.settings.data / "workers").iterdir())


def test_a_disk_that_is_full_does_not_use_up_attempts(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(ObjectStore, "put", full)
        for _ in range(4):
            with pytest.raises(StorageUnavailable):
                screen_next(house.services, detector(), "worker")
    assert _attempts(house) == 0
    assert screen_next(house.services, detector(), "worker") is not None
    assert _state(house) is ScreeningState.SCREENED


def test_nothing_is_screened_without_its_entry(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def unwritable(_: Journal, __: AuditEvent) -> int:
        raise AuditUnavailable

    with monkeypatch.context() as patched:
        patched.setattr(Journal, "append", unwritable)
        with pytest.raises(AuditUnavailable):
            screen_next(house.services, detector(), "worker")
    assert _state(house) is ScreeningState.PENDING
    assert screen_next(house.services, detector(), "worker") is not None
