"""A series has another revision after every change of anything in it: what is kept of it is known by that alone."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from catalog_world import new_instance, regions_reference
from sqlalchemy import Engine, select, text, update

import server.catalog
from server.catalog import Catalog
from server.catalog.database import reading, writing
from server.catalog.new_instance import Duplicate, Registered
from server.catalog.schema import instances, series
from server.catalog.screening_queue import ATTEMPTS, Outcome
from server.model import Choice, Consent, InstanceRecord, ReviewReason, ScreeningState

NOW, LEASE = 1000.0, 60.0
SCREENED = ScreeningState.SCREENED


class World:
    """Two series of one study and one of another, an instance or two in each, in every state there is."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self.names = iter(f"{number:032x}" for number in range(1, 1000))
        self.one, self.two = self.screened(1, 1, 1), self.screened(1, 1, 2)
        self.other = self.screened(1, 2, 1)
        self.elsewhere = self.screened(2, 1, 1)
        self.waiting = self.screened(1, 2, 2, ScreeningState.IN_REVIEW)

    def outcome(self, state: ScreeningState = SCREENED, again: tuple[str, ...] = ()) -> Outcome:
        review = None if state is SCREENED else ReviewReason.UNCERTAIN
        regions = regions_reference(next(self.names))
        return Outcome(state=state, regions=regions, found_by="one", review=review, at=NOW, again=again)

    def screened(self, study: int, part: int, number: int, state: ScreeningState = SCREENED) -> InstanceRecord:
        stored = self.catalog.register(new_instance(study, part, number))
        assert isinstance(stored, Registered)
        assert self.catalog.claim("w", NOW, LEASE) is not None
        done = self.catalog.finish(stored.instance.row, "w", self.outcome(state))
        assert done is not None
        return done

    def leased(self) -> InstanceRecord:
        """An instance back in the queue, and leased."""
        self.catalog.requeue(self.one.row)
        assert self.catalog.claim("w", NOW, LEASE) is not None
        return self.one


def stored(world: World) -> None:
    assert isinstance(world.catalog.register(new_instance(1, 1, 7)), Registered)


def stored_elsewhere(world: World) -> None:
    """A series of its own, of another modality: the study's row changes, too."""
    attributes = {"00080060": {"vr": "CS", "Value": ["CT"]}}
    world.catalog.register(new_instance(1, 5, 1, series_attributes=attributes))


def stored_again(world: World) -> None:
    assert isinstance(world.catalog.register(new_instance(1, 1, 1)), Duplicate)


def rejected(world: World) -> None:
    world.catalog.register(new_instance(1, 9, 1, rejection=113001, rejects=frozenset({world.one.path})))
    assert world.catalog.find_instance(world.one.path) is None


def settled(world: World) -> None:
    world.catalog.settle(world.waiting.row, world.waiting.revision, world.outcome())


def finished_with_others(world: World) -> None:
    world.leased()
    assert world.catalog.finish(world.one.row, "w", world.outcome(again=(world.other.row, world.two.row))) is not None


def tried_too_often(world: World) -> None:
    world.catalog.requeue(world.one.row)
    for _ in range(ATTEMPTS):
        assert world.catalog.claim("w", NOW, LEASE) is not None
        world.catalog.release("w", attempted=True, fault=ReviewReason.OUT_OF_MEMORY)
    assert world.catalog.claim("w", NOW, LEASE) is None


PATHS: dict[str, Callable[[World], object]] = {
    "a new instance": stored,
    "a new series": stored_elsewhere,
    "the same instance": stored_again,
    "a rejection note": rejected,
    "a screening's outcome": lambda world: world.catalog.finish(world.leased().row, "w", world.outcome()),
    "an outcome that says something of others": finished_with_others,
    "a person's decision": settled,
    "from nothing": lambda world: world.catalog.requeue(world.one.row),
    "once more": lambda world: world.catalog.look_again(world.one.row, NOW),
    "all of them once more": lambda world: world.catalog.again([SCREENED], NOW),
    "tried too often": tried_too_often,
    "by newer detectors": lambda world: world.catalog.claim_again(world.one.row, "w", NOW, LEASE, "two"),
}
Rows = dict[str, tuple[str, str]]


def rows(engine: Engine) -> Rows:
    """Of every instance its series, and what is sealed of it."""
    with reading(engine) as connection:
        found = connection.execute(select(instances.c.row, instances.c.series, instances.c.sealed)).all()
    return {row.row.hex(): (row.series.hex(), hashlib.sha256(row.sealed).hexdigest()) for row in found}


def revisions(catalog: Catalog, engine: Engine) -> dict[str, bytes]:
    with reading(engine) as connection:
        found = connection.execute(select(series.c.row, series.c.sealed)).all()
    values = {row.row.hex(): catalog._access.open("series", row.row, row.sealed) for row in found}
    return {row: bytes.fromhex(value["revision"]) for row, value in values.items()}


@contextmanager
def watched(catalog: Catalog, engine: Engine) -> Iterator[None]:
    """Every series of which an instance changed, came or went has another revision, and no other has."""
    before, old = rows(engine), revisions(catalog, engine)
    yield
    after, new = rows(engine), revisions(catalog, engine)
    changed = {
        found[0] for row in before.keys() | after.keys() if before.get(row) != after.get(row)
        for found in (before.get(row) or after.get(row),) if found is not None
    }  # fmt: skip
    assert {row for row in new if new[row] != old.get(row)} == changed
    assert len(set(new.values())) == len(new)
    assert all(len(one) == 16 for one in new.values())


@pytest.mark.parametrize("path", PATHS)
def test_whatever_changes_an_instance_changes_its_series(catalog: Catalog, engine: Engine, path: str) -> None:
    world = World(catalog)
    with watched(catalog, engine):
        PATHS[path](world)


@pytest.mark.parametrize("path", ["labels", "consent"])
def test_what_changes_a_study_changes_its_own_revision(catalog: Catalog, engine: Engine, path: str) -> None:
    world = World(catalog)
    before = catalog.series_of("2.25.1")
    if path == "labels":
        catalog.set_labels("2.25.1", departments=("surgery",), care_team=())
    else:
        catalog.set_consent("2.25.1", Consent(research=Choice.OPT_OUT))
    after = catalog.series_of("2.25.1")
    assert [one.revision for one in after] == [one.revision for one in before]
    assert {one.study.revision for one in before}.isdisjoint(one.study.revision for one in after)
    assert world.one.study.revision in {one.study.revision for one in before}


def test_a_series_is_there_as_long_as_something_of_it_is_shown(catalog: Catalog) -> None:
    world = World(catalog)
    uids = [one.series_instance_uid for one in catalog.series_of("2.25.1")]
    assert uids == ["2.25.1.1", "2.25.1.2"]
    assert [one.series_instance_uid for one in catalog.series_of("2.25.1", "2.25.1.2")] == ["2.25.1.2"]
    assert catalog.series_of("2.25.1", "2.25.2.1") == catalog.series_of("2.25.9", "2.25.1.1") == []
    rejects = frozenset({world.one.path, world.two.path})
    catalog.register(new_instance(1, 9, 1, rejection=113001, rejects=rejects))
    assert [one.series_instance_uid for one in catalog.series_of("2.25.1")] == ["2.25.1.2"]
    assert catalog.series_of("2.25.1", "2.25.1.1") == []


def test_a_series_of_an_older_server_opens_and_gets_a_revision(catalog: Catalog, engine: Engine) -> None:
    first = catalog.register(new_instance(1, 1, 1))
    access, row = catalog._access, bytes.fromhex(first.instance.series.row)
    with writing(engine) as connection:
        value = access.open("series", row, connection.execute(text("SELECT sealed FROM series")).scalar_one())
        del value["revision"]
        connection.execute(update(series).values(sealed=access.seal("series", row, value, least=2048)))
    (old,) = catalog.series_of("2.25.1")
    assert old.revision == b""
    catalog.look_again(first.instance.row, NOW)
    (new,) = catalog.series_of("2.25.1")
    assert len(new.revision) == 16


def test_instances_are_written_in_one_place() -> None:
    """Only there a series' revision is changed with them."""
    for file in Path(server.catalog.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("update", "insert", "delete"):
                if ast.unparse(node.args[0]) != "instances" or file.name == "records.py":
                    continue
                # Elsewhere only the columns of the queue: none of them is in any answer.
                assert file.name in ("screening_queue.py", "rescreening.py"), file.name
    for name in ("screening_queue.py", "rescreening.py"):
        assert "sealed=" not in (Path(server.catalog.__file__).parent / name).read_text("utf-8")
