"""The tables of prepared searches, and the list of changes that keeps them fresh."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
from catalog_world import new_catalog, new_instance
from sqlalchemy import Engine, select, update

from server.catalog import Catalog
from server.catalog import worlds as catalog_worlds
from server.catalog.database import reading, writing
from server.catalog.schema import world_entries, worlds
from server.catalog.worlds import Filled
from server.errors import SealBroken


def test_every_change_of_a_study_is_listed_in_order(catalog: Catalog, engine: Engine) -> None:
    rows = []
    for number in (1, 2):
        registered = catalog.register(new_instance(study=number))
        rows.append(bytes.fromhex(registered.instance.study.row))
    catalog.register(new_instance(study=1))
    assert catalog.count_changes() == 2
    catalog.register(new_instance(study=1, number=2))
    catalog.set_labels("2.25.2", departments={"surgery"}, care_team=())
    for one in (catalog, new_catalog(engine, seed="other")):
        assert one.count_changes() == 4
        assert one.changed(0, 4) == [rows[0], rows[1], rows[0], rows[1]]
        assert one.stored(0, 2) == rows
    with pytest.raises(SealBroken):
        catalog.changed(3, 5)


def test_an_outline_counts_what_lies_in_a_study(catalog: Catalog) -> None:
    for series, number in ((1, 1), (1, 2), (2, 1)):
        catalog.register(new_instance(study=1, series=series, number=number))
    catalog.register(new_instance(study=2))
    found = [study for study in (catalog.find_study("2.25.1"), catalog.find_study("2.25.2")) if study]
    outlines = catalog.outlines(found)
    assert [sorted(outlines[study.row].instances) for study in found] == [[1, 2], [1]]
    assert [len(outlines[study.row].series) for study in found] == [2, 1]


def test_a_world_goes_on_from_where_it_is_and_from_nowhere_else(catalog: Catalog) -> None:
    catalog.register(new_instance())
    world = catalog.world(b"name", "project")
    assert catalog.filled(world) is None
    begun = catalog.begin_world(world)
    assert begun == Filled(done=0, total=1, changes=1) == catalog.begin_world(world)
    after = replace(begun, done=1)
    assert catalog.advance_world(world, begun, after, {b"a" * 16: b"one", b"b" * 16: b"two"}) == after
    assert catalog.advance_world(world, begun, replace(begun, done=7), {b"a" * 16: b"other"}) == after
    assert dict(catalog.world_entries(world)) == {b"a" * 16: b"one", b"b" * 16: b"two"}
    assert dict(catalog.world_entries(world, [b"b" * 16, b"c" * 16])) == {b"b" * 16: b"two"}
    assert catalog.advance_world(world, after, replace(after, changes=2), {b"a" * 16: b"new"})
    assert dict(catalog.world_entries(world))[b"a" * 16] == b"new"
    catalog.drop_world(world)
    assert catalog.advance_world(world, after, after, {}) is None
    assert dict(catalog.world_entries(world)) == {}


def test_a_project_ends_with_its_worlds(catalog: Catalog) -> None:
    mine, other, nobodys = (catalog.world(bytes([at]), one) for at, one in enumerate(("a", "b", None)))
    for world in (mine, other, nobodys):
        begun = catalog.begin_world(world)
        catalog.advance_world(world, begun, begun, {b"e" * 16: b"sealed"})
    catalog.end_project("a")
    assert [catalog.filled(world) is None for world in (mine, other, nobodys)] == [True, False, False]
    assert [len(list(catalog.world_entries(world))) for world in (mine, other, nobodys)] == [0, 1, 1]


def test_the_world_used_longest_ago_goes_first(
    catalog: Catalog, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog_worlds, "WORLDS", 2)
    first, second, third = (catalog.world(name, None) for name in (b"1", b"2", b"3"))
    begun = catalog.begin_world(first)
    catalog.begin_world(second)
    catalog.advance_world(first, begun, begun, {b"e" * 16: b"sealed"})
    catalog.begin_world(third)
    assert [catalog.filled(world) is None for world in (first, second, third)] == [False, True, False]
    with reading(engine) as connection:
        assert len(connection.execute(select(world_entries)).all()) == 1


def test_how_far_a_world_is_cannot_be_made_up(catalog: Catalog, engine: Engine) -> None:
    one, other = (catalog.world(name, None) for name in (b"1", b"2"))
    catalog.begin_world(one)
    catalog.begin_world(other)
    with writing(engine) as connection:
        sealed = connection.execute(select(worlds.c.sealed).where(worlds.c.token == other.token)).scalar_one()
        connection.execute(update(worlds).where(worlds.c.token == one.token).values(sealed=sealed))
    with pytest.raises(SealBroken):
        catalog.filled(one)


def test_of_several_that_fill_one_wins_each_step(engine: Engine) -> None:
    catalogs = [new_catalog(engine, seed=str(number)) for number in range(4)]
    won: list[int] = []

    def fill(number: int) -> None:
        catalog = catalogs[number]
        world = catalog.world(b"name", None)
        state = catalog.begin_world(world)
        while state.done < 20:
            after = replace(state, done=state.done + 1)
            known = catalog.advance_world(world, state, after, {state.done.to_bytes(16, "big"): bytes([number])})
            assert known is not None
            state = known
        won.append(state.done)

    threads = [threading.Thread(target=fill, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert won == [20] * 4
    assert len(list(catalogs[0].world_entries(catalogs[0].world(b"name", None)))) == 20
