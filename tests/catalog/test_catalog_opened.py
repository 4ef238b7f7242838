"""What rows opened to is remembered by their bytes: whatever is written is seen by the next look, tampering too."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from catalog_world import new_catalog, new_instance, regions_reference, row_keys
from sqlalchemy import Engine, delete, select, text, update

from server.catalog import Catalog, access
from server.catalog.database import writing
from server.catalog.schema import identifiers, instances, series, studies
from server.catalog.screening_queue import Outcome
from server.errors import SealBroken
from server.model import Choice, Consent, Identifier, IdentifierKind, InstanceRecord, ScreeningState, SeriesRecord

NEW = new_instance()
STUDY = NEW.path.study
UID = Identifier(kind=IdentifierKind.UID, value=NEW.path.instance)


def looked(catalog: Catalog) -> tuple[InstanceRecord | None, list[SeriesRecord]]:
    with catalog.at_once() as moment:
        return moment.find_instance(NEW.path), moment.series_of(STUDY)


def labelled(catalog: Catalog) -> None:
    catalog.set_labels(STUDY, departments=("ward",), care_team=("somebody",))


def consented(catalog: Catalog) -> None:
    catalog.set_consent(STUDY, Consent(research=Choice.OPT_OUT))


def screened(catalog: Catalog) -> None:
    found = catalog.claim("worker", 1.0, 60.0)
    assert found is not None
    outcome = Outcome(state=ScreeningState.SCREENED, regions=regions_reference(), found_by="one", at=2.0)
    assert catalog.finish(found.row, "worker", outcome) is not None


def joined(catalog: Catalog) -> None:
    catalog.register(new_instance(number=2))


@pytest.mark.parametrize("change", [labelled, consented, screened, joined])
def test_whatever_is_written_is_seen_by_the_next_look(
    catalog: Catalog, engine: Engine, change: Callable[[Catalog], None]
) -> None:
    catalog.register(NEW)
    before = looked(catalog)
    assert looked(catalog) == before
    change(catalog)
    after = looked(catalog)
    assert after != before
    assert after == looked(new_catalog(engine, seed="another"))


def test_what_is_equal_is_opened_once(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    catalog.register(NEW)
    first = looked(catalog)[0]
    opened: list[str] = []
    monkeypatch.setattr(access.Access, "open", lambda _, table, *rest: opened.append(table))
    assert looked(catalog)[0] is first
    assert opened == []


@pytest.mark.parametrize("table", [studies, series, instances], ids=lambda one: one.name)
def test_a_row_that_was_tampered_with_is_noticed_after_it_was_opened(
    catalog: Catalog, engine: Engine, table: object
) -> None:
    catalog.register(NEW)
    looked(catalog)
    with writing(engine) as connection:
        sealed = bytearray(connection.execute(select(table.c.sealed)).scalar_one())  # type: ignore[attr-defined]
        sealed[40] ^= 1
        connection.execute(update(table).values(sealed=bytes(sealed)))  # type: ignore[arg-type]
    with pytest.raises(SealBroken):
        catalog.find_instance(NEW.path)


@pytest.mark.parametrize("column", ["screening = 'screened'", "rejected = 1"])
def test_a_plain_column_that_was_tampered_with_is_noticed_too(catalog: Catalog, engine: Engine, column: str) -> None:
    catalog.register(NEW)
    looked(catalog)
    with writing(engine) as connection:
        connection.execute(text(f"UPDATE instances SET {column}"))
    with pytest.raises(SealBroken):
        catalog.find_instance(NEW.path)


def test_an_identifier_is_looked_up_each_time(catalog: Catalog, engine: Engine) -> None:
    keys = row_keys(catalog, {UID: "one"}, study_uid=STUDY)
    assert catalog.identifiers_of([keys[UID], b"\0" * 16, keys[UID]]) == [UID, None, UID]
    with writing(engine) as connection:
        connection.execute(update(identifiers).values(sealed=b"\1" * 80))
    with pytest.raises(SealBroken):
        catalog.identifiers_of([keys[UID]])
    with writing(engine) as connection:
        connection.execute(delete(identifiers))
    assert catalog.identifiers_of([keys[UID]]) == [None]
    assert catalog.identifiers_of([]) == []


def test_what_is_remembered_is_bounded(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "_MOST_OPENED", 4)
    for number in range(1, 6):
        catalog.register(new_instance(number=number))
        assert catalog.find_instance(new_instance(number=number).path) is not None
        assert len(catalog._access.opened._known) <= 4
