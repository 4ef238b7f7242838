from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from catalog_world import new_catalog, new_instance, regions_reference, wait_until
from sqlalchemy import Engine, select, update

from server.catalog import Catalog
from server.catalog.database import reading, writing
from server.catalog.schema import instances
from server.catalog.screening_queue import Outcome
from server.errors import NotFound, SealBroken
from server.model import ScreeningState

NOW, LEASE = 1000.0, 60.0


def test_nothing_to_screen(catalog: Catalog) -> None:
    assert catalog.claim("w", NOW, LEASE) is None
    assert catalog.pending() == 0


def test_from_store_to_screened(catalog: Catalog) -> None:
    stored = catalog.register(new_instance()).instance
    assert catalog.pending() == 1
    claimed = catalog.claim("w", NOW, LEASE)
    assert claimed == stored
    assert catalog.pending() == 1
    finished = catalog.finish(stored.row, "w", Outcome(state=ScreeningState.SCREENED, regions=regions_reference()))
    assert finished is not None
    assert finished.screening is ScreeningState.SCREENED
    assert finished.regions == regions_reference()
    assert finished.revision != stored.revision
    assert catalog.find_instance(stored.path) == finished
    assert catalog.exists(stored.path.instance) == (stored.path, new_instance().body_digest)
    assert catalog.pending() == 0
    assert catalog.claim("w", NOW + 1e6, LEASE) is None


def test_a_failed_screening_is_final(catalog: Catalog) -> None:
    row = catalog.register(new_instance()).instance.row
    catalog.claim("w", NOW, LEASE)
    failed = catalog.finish(row, "w", Outcome(state=ScreeningState.FAILED, regions=None))
    assert failed is not None
    assert failed.screening is ScreeningState.FAILED
    assert catalog.claim("w", NOW + 1e6, LEASE) is None


def test_a_lease_keeps_others_away_until_it_runs_out(catalog: Catalog) -> None:
    row = catalog.register(new_instance()).instance.row
    assert catalog.claim("a", NOW, LEASE) is not None
    assert catalog.claim("b", NOW + LEASE - 1, LEASE) is None
    assert catalog.claim("b", NOW + LEASE, LEASE) is not None
    assert not catalog.extend(row, "a", NOW + 1e6)
    assert (
        catalog.finish(row, "a", Outcome(state=ScreeningState.SCREENED, regions=regions_reference("cd" * 16))) is None
    )
    finished = catalog.finish(row, "b", Outcome(state=ScreeningState.SCREENED, regions=regions_reference()))
    assert finished is not None
    assert finished.regions == regions_reference()
    assert catalog.finish(row, "b", Outcome(state=ScreeningState.FAILED, regions=None)) is None


def test_a_lease_can_be_lengthened(catalog: Catalog) -> None:
    row = catalog.register(new_instance()).instance.row
    catalog.claim("a", NOW, LEASE)
    assert catalog.extend(row, "a", NOW + 10 * LEASE)
    assert catalog.claim("b", NOW + 9 * LEASE, LEASE) is None
    assert catalog.claim("b", NOW + 10 * LEASE, LEASE) is not None


def test_three_claims_without_a_result_are_a_failure(catalog: Catalog) -> None:
    stored = catalog.register(new_instance()).instance
    other = catalog.register(new_instance(study=2)).instance
    for attempt in range(3):
        assert catalog.claim("w", NOW + attempt * LEASE, LEASE) is not None
        assert catalog.claim("w", NOW + attempt * LEASE, LEASE) is not None
    assert catalog.pending() == 2
    assert catalog.claim("w", NOW + 3 * LEASE, LEASE) is None
    assert catalog.pending() == 0
    for path in (stored.path, other.path):
        found = catalog.find_instance(path)
        assert found is not None
        assert found.screening is ScreeningState.FAILED
        assert found.regions is None


def test_screening_again_counts_as_unscreened(catalog: Catalog) -> None:
    stored = catalog.register(new_instance()).instance
    catalog.claim("w", NOW, LEASE)
    catalog.finish(stored.row, "w", Outcome(state=ScreeningState.SCREENED, regions=regions_reference()))
    assert catalog.requeue(stored.row) == regions_reference()
    again = catalog.claim("w", NOW, LEASE)
    assert again is not None
    assert again.screening is ScreeningState.PENDING
    assert again.regions is None
    assert again.revision != stored.revision


def test_what_may_not_be_finished(catalog: Catalog) -> None:
    row = catalog.register(new_instance()).instance.row
    assert catalog.finish(row, "w", Outcome(state=ScreeningState.SCREENED, regions=regions_reference())) is None
    catalog.claim("w", NOW, LEASE)
    with pytest.raises(ValueError):
        catalog.finish(row, "w", Outcome(state=ScreeningState.PENDING, regions=None))
    with pytest.raises(ValueError):
        catalog.finish(row, "w", Outcome(state=ScreeningState.SCREENED, regions=None))
    assert catalog.finish("00" * 16, "w", Outcome(state=ScreeningState.FAILED, regions=None)) is None
    with pytest.raises(NotFound):
        catalog.requeue("00" * 16)
    assert catalog.pending() == 1


def test_an_object_without_frames_needs_no_region_set(catalog: Catalog) -> None:
    row = catalog.register(new_instance(number_of_frames=0)).instance.row
    catalog.claim("w", NOW, LEASE)
    assert catalog.finish(row, "w", Outcome(state=ScreeningState.SCREENED, regions=None)) is not None


def test_the_queue_column_cannot_unmask(catalog: Catalog, engine: Engine) -> None:
    stored = catalog.register(new_instance()).instance
    with writing(engine) as connection:
        connection.execute(update(instances).values(screening="screened"))
    for read in (
        lambda: catalog.find_instance(stored.path),
        lambda: catalog.instances_of("2.25.1"),
        lambda: catalog.exists(stored.path.instance),
        lambda: catalog.register(new_instance()),
    ):
        with pytest.raises(SealBroken):
            read()


def test_no_lease_outlives_the_screening(catalog: Catalog, engine: Engine) -> None:
    row = catalog.register(new_instance()).instance.row
    catalog.claim("w", NOW, LEASE)
    catalog.finish(row, "w", Outcome(state=ScreeningState.SCREENED, regions=regions_reference()))
    with reading(engine) as connection:
        found = connection.execute(select(instances.c.lease_owner, instances.c.lease_until)).one()
    assert tuple(found) == (None, None)


def test_racing_workers_share_the_work(engine: Engine) -> None:
    first = new_catalog(engine)
    for number in range(1, 21):
        first.register(new_instance(number=number))
    claimed: list[str] = []

    def work(worker: int) -> None:
        mine = new_catalog(engine, seed=str(worker))
        while (instance := mine.claim(f"w{worker}", NOW, LEASE)) is not None:
            claimed.append(instance.row)
            mine.finish(instance.row, f"w{worker}", Outcome(state=ScreeningState.SCREENED, regions=regions_reference()))

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(claimed) == len(set(claimed)) == 20
    assert first.pending() == 0


_CHILD = """
import sys, time
from catalog_world import new_catalog, new_instance
from server.catalog import open_engine
catalog = new_catalog(open_engine(sys.argv[1]), seed="child")
for number in range(1, 1000):
    catalog.register(new_instance(study=number))
    if number % 2:
        catalog.claim("child", 1000.0, 60.0)
    print(number, flush=True)
"""


@pytest.mark.parametrize("after", [1, 7])
def test_kill_9_loses_no_acknowledged_instance_and_no_screening(database_url: str, engine: Engine, after: int) -> None:
    environment = {**os.environ, "PYTHONPATH": f"{Path(__file__).parent}:{Path(__file__).parents[2]}"}
    child = subprocess.Popen(
        [sys.executable, "-c", _CHILD, database_url], stdout=subprocess.PIPE, text=True, env=environment
    )
    assert child.stdout is not None
    acknowledged = 0
    while acknowledged < after:
        acknowledged = int(child.stdout.readline())
    child.send_signal(signal.SIGKILL)
    acknowledged = max([acknowledged, *map(int, child.stdout.read().split())])
    child.stdout.close()
    child.wait()
    catalog = new_catalog(engine)
    wait_until(lambda: catalog.count_studies() == catalog.pending())
    assert acknowledged <= catalog.pending() <= acknowledged + 1
    screened = 0
    while (instance := catalog.claim("w", 1060.0, 60.0)) is not None:
        assert catalog.finish(instance.row, "w", Outcome(state=ScreeningState.SCREENED, regions=regions_reference()))
        screened += 1
    assert screened >= acknowledged
    assert catalog.pending() == 0
