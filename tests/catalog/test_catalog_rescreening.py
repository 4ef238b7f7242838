from __future__ import annotations

import pytest
from catalog_world import new_instance, regions_reference
from sqlalchemy import Engine, select, text, update

from server.catalog import Catalog
from server.catalog.database import reading, writing
from server.catalog.schema import instances, uses
from server.catalog.screening_queue import Outcome
from server.errors import Conflict, NotFound, PreconditionFailed, SealBroken
from server.model import InstanceRecord, ReviewReason, ScreeningState

NOW, LEASE = 1000.0, 60.0
SCREENED, FAILED, IN_REVIEW = ScreeningState.SCREENED, ScreeningState.FAILED, ScreeningState.IN_REVIEW


def screened(catalog: Catalog, study: int = 1, version: str = "one", name: str = "ab" * 16) -> InstanceRecord:
    row = catalog.register(new_instance(study=study)).instance.row
    assert catalog.claim("w", NOW, LEASE) is not None
    outcome = Outcome(state=SCREENED, regions=regions_reference(name), found_by=version, at=NOW)
    done = catalog.finish(row, "w", outcome)
    assert done is not None
    return done


def ended(catalog: Catalog, study: int, state: ScreeningState, at: float) -> InstanceRecord:
    row = catalog.register(new_instance(study=study)).instance.row
    catalog.claim("w", NOW, LEASE)
    regions = regions_reference(f"{study:032x}") if state is IN_REVIEW else None
    done = catalog.finish(row, "w", Outcome(state=state, regions=regions, review=ReviewReason.UNCERTAIN, at=at))
    assert done is not None
    return done


def test_outdated_is_what_another_version_found(catalog: Catalog) -> None:
    one = screened(catalog)
    other = screened(catalog, study=2, version="two", name="cd" * 16)
    ended(catalog, 3, FAILED, NOW)
    assert catalog.outdated("two") == [one.row]
    assert catalog.outdated("one") == [other.row]
    assert set(catalog.outdated("three")) == {one.row, other.row}


def test_a_lease_keeps_others_away(catalog: Catalog) -> None:
    one = screened(catalog)
    assert catalog.claim_again(one.row, "a", NOW, LEASE, "one") is None
    assert catalog.claim_again(one.row, "a", NOW, LEASE, "two") == one
    assert catalog.claim_again(one.row, "b", NOW + LEASE - 1, LEASE, "two") is None
    assert catalog.extend(one.row, "a", NOW + 2 * LEASE)
    assert catalog.claim_again(one.row, "b", NOW + LEASE, LEASE, "two") is None
    assert catalog.claim_again(one.row, "b", NOW + 2 * LEASE, LEASE, "two") == one
    assert not catalog.extend(one.row, "a", NOW + 1e6)
    assert catalog.claim_again("00" * 16, "a", NOW, LEASE, "two") is None


def test_what_is_tried_three_times_is_left_as_it_is(catalog: Catalog) -> None:
    one = screened(catalog)
    for _ in range(3):
        assert catalog.claim_again(one.row, "w", NOW, LEASE, "two") == one
        assert catalog.release("w", attempted=True, fault=ReviewReason.TIMED_OUT) == 1
    assert catalog.claim_again(one.row, "w", NOW, LEASE, "two") is None
    assert catalog.outdated("two") == []
    assert catalog.find_instance(one.path) == one


def test_a_fault_is_the_reason_of_the_failure(catalog: Catalog) -> None:
    stored = catalog.register(new_instance()).instance
    for _ in range(3):
        assert catalog.claim("w", NOW, LEASE) is not None
        catalog.release("w", attempted=True, fault=ReviewReason.TIMED_OUT)
    assert catalog.claim("w", NOW, LEASE) is None
    failed = catalog.find_instance(stored.path)
    assert failed is not None
    assert (failed.screening, failed.review, failed.since) == (FAILED, ReviewReason.TIMED_OUT, NOW)


def test_an_unknown_fault_is_none(catalog: Catalog, engine: Engine) -> None:
    stored = catalog.register(new_instance()).instance
    with writing(engine) as connection:
        connection.execute(update(instances).values(attempts=3, fault="MUSTER"))
    assert catalog.claim("w", NOW, LEASE) is None
    failed = catalog.find_instance(stored.path)
    assert failed is not None
    assert failed.review is ReviewReason.DETECTOR_ENDED


def test_again_keeps_what_is_in_force(catalog: Catalog) -> None:
    one, failed = screened(catalog), ended(catalog, 2, FAILED, NOW)
    assert catalog.again([FAILED], NOW) == 1
    waiting = catalog.find_instance(failed.path)
    assert waiting is not None
    assert (waiting.screening, waiting.review) == (ScreeningState.PENDING, None)
    assert catalog.again([SCREENED, IN_REVIEW], NOW) == 1
    pending = catalog.find_instance(one.path)
    assert pending is not None
    assert (pending.screening, pending.regions) == (ScreeningState.PENDING, one.regions)
    assert catalog.pending() == 2


def test_a_new_set_retires_the_former(catalog: Catalog) -> None:
    one = screened(catalog)
    assert catalog.retired_names(before=NOW + 1e6) == []
    catalog.claim_again(one.row, "w", NOW, LEASE, "two")
    catalog.finish(one.row, "w", Outcome(state=SCREENED, regions=regions_reference("cd" * 16), at=NOW + 5))
    assert catalog.retired_names(before=NOW + 5) == []
    assert catalog.retired_names(before=NOW + 6) == ["ab" * 16]
    assert {"ab" * 16, "cd" * 16} <= set(catalog.object_names())
    catalog.forget_retired(["ab" * 16])
    assert "ab" * 16 not in set(catalog.object_names())


def test_what_a_failure_leaves_in_force(catalog: Catalog) -> None:
    one = screened(catalog)
    catalog.again([SCREENED], NOW)
    catalog.claim("w", NOW, LEASE)
    failed = catalog.finish(one.row, "w", Outcome(state=FAILED, regions=None, review=ReviewReason.DAMAGED, at=NOW))
    assert failed is not None
    assert (failed.screening, failed.regions, failed.found_by) == (FAILED, one.regions, "one")
    assert catalog.retired_names(before=NOW + 1e6) == []


def test_settling_needs_the_revision_that_was_seen(catalog: Catalog) -> None:
    one = ended(catalog, 1, IN_REVIEW, NOW)
    outcome = Outcome(state=SCREENED, regions=regions_reference("cd" * 16), at=NOW)
    with pytest.raises(PreconditionFailed):
        catalog.settle(one.row, bytes(16), outcome)
    assert catalog.find_instance(one.path) == one
    settled = catalog.settle(one.row, one.revision, outcome)
    assert (settled.screening, settled.review, settled.since) == (SCREENED, None, 0.0)
    with pytest.raises(PreconditionFailed):
        catalog.settle(one.row, one.revision, outcome)
    with pytest.raises(NotFound):
        catalog.settle("00" * 16, one.revision, outcome)


def test_what_is_pending_is_not_settled(catalog: Catalog) -> None:
    stored = catalog.register(new_instance()).instance
    with pytest.raises(Conflict):
        catalog.settle(stored.row, stored.revision, Outcome(state=SCREENED, regions=regions_reference(), at=NOW))


def test_the_longest_waiting_first(catalog: Catalog) -> None:
    late, early = ended(catalog, 1, FAILED, NOW + 5), ended(catalog, 2, IN_REVIEW, NOW + 1)
    screened(catalog, study=3)
    assert catalog.waiting_for_a_person(limit=10) == ([early, late], 2)
    assert catalog.waiting_for_a_person(limit=1) == ([early], 2)
    assert catalog.instance_at(late.row) == late
    with pytest.raises(NotFound):
        catalog.instance_at("00" * 16)
    counts = catalog.counts()
    assert [counts[state] for state in ScreeningState] == [0, 1, 1, 1]


def test_a_state_changed_from_outside_breaks_the_seal(catalog: Catalog, engine: Engine) -> None:
    one = ended(catalog, 1, IN_REVIEW, NOW)
    with writing(engine) as connection:
        connection.execute(update(instances).values(screening="screened"))
    with pytest.raises(SealBroken):
        catalog.find_instance(one.path)


def test_a_use_is_noted_once_an_hour_and_sealed(catalog: Catalog, engine: Engine) -> None:
    films = [screened(catalog, study=study, name=f"{study:032x}") for study in (1, 2, 3)]
    assert catalog.note_use(films[1].study.row, 7200.0)
    assert not catalog.note_use(films[1].study.row, 7201.0)
    assert catalog.note_use(films[1].study.row, 10800.0)
    assert catalog.note_use(films[2].study.row, 7200.0)
    assert catalog.outdated("two") == [films[1].row, films[2].row, films[0].row]
    with reading(engine) as connection:
        rows = connection.execute(select(uses.c.sealed)).scalars().all()
    assert len({len(sealed) for sealed in rows}) == 1
    assert len(set(rows)) == 2


def test_the_oldest_that_waits(catalog: Catalog) -> None:
    assert catalog.oldest_pending() is None
    stored = catalog.register(new_instance()).instance
    assert catalog.oldest_pending() == stored.study.labels.stored_at


def test_rows_of_an_older_server_open(catalog: Catalog, engine: Engine) -> None:
    """Without a detector's version they are outdated, without a reason a failed film waits all the same."""
    failed = ended(catalog, 1, FAILED, NOW)
    access = catalog._access
    with writing(engine) as connection:
        sealed = connection.execute(text("SELECT sealed FROM instances")).scalar_one()
        value = access.open("instances", bytes.fromhex(failed.row), sealed)
        for name in ("found_by", "review", "since"):
            del value[name]
        again = access.seal("instances", bytes.fromhex(failed.row), value, least=2048)
        connection.execute(update(instances).values(sealed=again))
    found = catalog.find_instance(failed.path)
    assert found is not None
    assert (found.found_by, found.review, found.since) == ("", ReviewReason.UNKNOWN, 0.0)
