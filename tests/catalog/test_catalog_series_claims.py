from __future__ import annotations

from itertools import groupby

from catalog_world import new_catalog, new_instance, regions_reference
from sqlalchemy import Engine

from server.catalog import Catalog
from server.catalog.screening_queue import Outcome
from server.model import ScreeningState

NOW, LEASE = 1000.0, 60.0
SERIES, SLICES = 6, 10


def filled(engine: Engine) -> Catalog:
    catalog = new_catalog(engine)
    for series in range(1, SERIES + 1):
        for number in range(1, SLICES + 1):
            catalog.register(new_instance(series=series, number=number))
    return catalog


def done(catalog: Catalog, row: str, worker: str) -> None:
    outcome = Outcome(state=ScreeningState.SCREENED, regions=regions_reference())
    assert catalog.finish(row, worker, outcome) is not None


def test_a_worker_has_the_films_of_a_series_together(engine: Engine) -> None:
    catalog, order, at = filled(engine), list[str](), ""
    while (instance := catalog.claim("w", NOW, LEASE, at)) is not None:
        at = instance.series.row
        order.append(at)
        done(catalog, instance.row, "w")
    assert len(order) == SERIES * SLICES
    # By chance alone it would change at five of six films. Straying, it changes now and then, and comes back.
    assert len(list(groupby(order))) <= 2 * SERIES


def test_two_workers_have_series_of_their_own_until_one_is_left(engine: Engine) -> None:
    catalog = filled(engine)
    one = catalog.claim("a", NOW, LEASE)
    assert one is not None
    for _ in range(30):
        other = catalog.claim("b", NOW, LEASE)
        assert other is not None
        assert other.series.row != one.series.row
        catalog.release("b", attempted=False)
    series, at = [], ""
    while (instance := catalog.claim("b", NOW, LEASE, at)) is not None:
        at = instance.series.row
        series.append(at)
        done(catalog, instance.row, "b")
    assert len(series) == SERIES * SLICES - 1
    assert one.series.row in series


def test_other_series_are_not_kept_waiting_by_one_that_never_ends(engine: Engine) -> None:
    catalog = new_catalog(engine)
    series = catalog.register(new_instance(series=1, number=1)).instance.series.row
    catalog.register(new_instance(series=2, number=1))
    for number in range(2, 400):
        catalog.register(new_instance(series=1, number=number))
        instance = catalog.claim("w", NOW, LEASE, series)
        assert instance is not None
        done(catalog, instance.row, "w")
        if instance.series.row != series:
            return
    raise AssertionError("the other series waits for ever")


def test_a_series_half_done_is_taken_over_when_the_worker_dies(engine: Engine) -> None:
    catalog = filled(engine)
    first = catalog.claim("dead", NOW, LEASE)
    assert first is not None
    done(catalog, first.row, "dead")
    second = catalog.claim("dead", NOW, LEASE, first.series.row)
    assert second is not None
    seen = [first.row]
    while (instance := catalog.claim("next", NOW + LEASE, LEASE, first.series.row)) is not None:
        seen.append(instance.row)
        done(catalog, instance.row, "next")
    assert len(seen) == len(set(seen)) == SERIES * SLICES
    assert second.row in seen


def test_a_series_that_is_none_is_no_obstacle(catalog: Catalog) -> None:
    stored = catalog.register(new_instance()).instance
    assert catalog.claim("w", NOW, LEASE, "ab" * 16) == stored


def test_what_is_news_to_another_film_puts_that_back_with_the_outcome(catalog: Catalog) -> None:
    films = [catalog.register(new_instance(number=number)).instance.row for number in (1, 2, 3)]
    busy, claimed = (catalog.claim("w", NOW, LEASE) for _ in range(2))
    assert busy is not None
    assert claimed is not None
    held = {*films} - {claimed.row}
    outcome = Outcome(state=ScreeningState.SCREENED, regions=regions_reference(), again=(*held, "ab" * 16))
    assert catalog.finish(claimed.row, "w", outcome) is not None
    assert catalog.pending() == len(held)
    # What "w" finds on the one that it was busy with no longer counts.
    assert catalog.finish(busy.row, "w", Outcome(state=ScreeningState.FAILED, regions=None)) is None
    rows = []
    while (instance := catalog.claim("v", NOW, LEASE)) is not None:
        rows.append(instance.row)
        done(catalog, instance.row, "v")
    assert {*rows} == held
    again = catalog.instance_at(rows[0])
    assert again.screening is ScreeningState.SCREENED
    busy = catalog.register(new_instance(number=4)).instance
    assert catalog.claim("v", NOW, LEASE) is not None
    news = Outcome(state=ScreeningState.SCREENED, regions=regions_reference("cd" * 16), again=(rows[0],))
    assert catalog.finish(busy.row, "v", news) is not None
    back = catalog.claim("v", NOW, LEASE)
    assert back is not None
    assert (back.row, back.regions) == (rows[0], regions_reference())


def test_one_that_waits_keeps_its_attempts(catalog: Catalog) -> None:
    one, other = (catalog.register(new_instance(number=number)).instance.row for number in (1, 2))
    first = catalog.claim("w", NOW, LEASE)
    assert first is not None
    waiting = other if first.row == one else one
    for attempt in range(2):
        assert catalog.claim(f"d{attempt}", NOW, LEASE) is not None
        catalog.release(f"d{attempt}", attempted=True)
    outcome = Outcome(state=ScreeningState.SCREENED, regions=regions_reference(), again=(waiting,))
    assert catalog.finish(first.row, "w", outcome) is not None
    assert catalog.claim("d2", NOW, LEASE) is not None
    catalog.release("d2", attempted=True)
    assert catalog.claim("d3", NOW, LEASE) is None
    assert catalog.instance_at(waiting).screening is ScreeningState.FAILED
