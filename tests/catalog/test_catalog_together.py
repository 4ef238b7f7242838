"""Several instances in one transaction: the rows are those that as many transactions would have left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from catalog_world import new_catalog, new_instance
from sqlalchemy import Engine, event, func, select

from server.catalog import Catalog, Duplicate, NewInstance, Registered, WrappedKey, changes, identifiers
from server.catalog.database import reading
from server.catalog.schema import identifiers as identifier_rows
from server.catalog.schema import metadata
from server.catalog.tokens import TOKEN_BYTES
from server.errors import Conflict, Overtaken
from server.model import Identifier, IdentifierKind


def counts(engine: Engine) -> dict[str, int]:
    with reading(engine) as connection:
        return {
            table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in metadata.sorted_tables
        }


def wanted(new: NewInstance) -> dict[Identifier, str]:
    return {
        Identifier(kind=IdentifierKind.PATIENT, value=f"{new.patient.issuer}\x00{new.patient.patient_id}"): "patient",
        Identifier(kind=IdentifierKind.UID, value=new.path.study): "uid/study",
        Identifier(kind=IdentifierKind.UID, value=new.path.series): "uid/series",
        Identifier(kind=IdentifierKind.UID, value=new.path.instance): "uid/instance",
    }


def drawn(catalog: Catalog, news: Sequence[NewInstance]) -> list[NewInstance]:
    """These instances with all that a store draws for them together."""
    uids = {new.path.study for new in news}
    every = {identifier: label for new in news for identifier, label in wanted(new).items()}
    known = catalog.look(instance_uids={new.path.instance for new in news}, study_uids=uids, wanted=every)
    fresh: dict[Identifier, bytes] = {}
    keys = {uid: catalog.new_study_key(uid, str.encode) for uid in uids - known.study_keys.keys()}
    found = []
    for new in news:
        mine = catalog.draw(wanted(new), known.row_keys, fresh)
        found.append(replace(new, study_row_keys=mine.every, keys=mine, study_key=keys.get(new.path.study)))
    return found


NEWS = [
    new_instance(study=1, number=1),
    new_instance(study=1, number=2),
    new_instance(study=2, number=1),
    new_instance(study=1, number=3),
]


def test_together_leaves_the_rows_that_each_by_itself_leaves(catalog: Catalog, engine: Engine) -> None:
    """But for the list of changes, on which a study stands once a transaction."""
    grown = []
    for numbers in ((1, 2), (3, 4)):
        news = [replace(one, path=new_instance(study=numbers[one.path.study == "2.25.2"], number=at).path)
                for at, one in enumerate(NEWS)]  # fmt: skip
        news = [replace(one, patient=replace(one.patient, patient_id=f"MUSTER-{numbers[0]}")) for one in news]
        before = counts(engine)
        for batch in [news] if numbers == (1, 2) else [[one] for one in news]:
            assert all(isinstance(one, Registered) for one in catalog.register_all(drawn(catalog, batch)))
        grown.append({name: count - before[name] for name, count in counts(engine).items()})
    together, by_themselves = grown
    assert together["instances"] == 4
    assert by_themselves.pop("postings") - together.pop("postings") == 4 - 2
    assert together == by_themselves
    catalog.register_all(drawn(catalog, [new_instance(study=7), new_instance(study=8)]))
    for new in (new_instance(study=7), new_instance(study=8)):
        found = catalog.find_instance(new.path)
        assert found is not None
        assert found.study.row_keys == catalog.find_row_keys(found.study.row_keys)
        assert catalog.find_study_key(new.path.study) is not None


def test_as_many_rows_whether_the_patient_was_here_or_not(engine: Engine) -> None:
    """As many for two studies of one patient as for two of two, registered together or not."""
    strangers = replace(NEWS[2], patient=replace(NEWS[2].patient, patient_id="MUSTER-0815"))
    catalog = new_catalog(engine)
    grown = []
    for pair in ([NEWS[0], NEWS[2]], [new_instance(study=3), replace(strangers, path=new_instance(study=4).path)]):
        before = counts(engine)["identifiers"]
        catalog.register_all(drawn(catalog, pair))
        grown.append(counts(engine)["identifiers"] - before)
    assert grown == [8, 8]


def test_every_changed_study_is_on_the_list_of_changes(catalog: Catalog) -> None:
    before = changes.count(catalog._access)
    catalog.register_all(NEWS)
    rows = changes.between(catalog._access, before, changes.count(catalog._access))
    studies = [catalog.find_study(uid) for uid in ("2.25.1", "2.25.2")]
    assert [row.hex() for row in rows] == [study.row for study in studies if study is not None]


def test_a_known_series_has_another_revision_afterwards(catalog: Catalog) -> None:
    catalog.register(NEWS[0])
    before = catalog.find_series(NEWS[0].path.study, NEWS[0].path.series)
    found = catalog.register_all([NEWS[1], NEWS[3]])
    after = catalog.find_series(NEWS[0].path.study, NEWS[0].path.series)
    assert before is not None
    assert after is not None
    assert after.revision != before.revision
    assert replace(after, revision=b"") == replace(before, revision=b"")
    assert {one.instance.series.revision for one in found} == {after.revision}


def test_what_stands_in_the_way_of_one_undoes_all(catalog: Catalog, engine: Engine) -> None:
    catalog.register(NEWS[1])
    before = counts(engine)
    with pytest.raises(Conflict):
        catalog.register_all(drawn(catalog, [NEWS[0], NEWS[2], replace(NEWS[1], body_digest=b"another")]))
    assert counts(engine) == before
    assert catalog.find_instance(NEWS[0].path) is None


def test_one_instance_twice_is_one(catalog: Catalog) -> None:
    first, again = catalog.register_all([NEWS[0], NEWS[0]])
    assert isinstance(first, Registered)
    assert again == Duplicate(instance=first.instance)


@pytest.mark.parametrize("what", ["row key", "study key"])
def test_what_somebody_else_drew_first_stands(catalog: Catalog, engine: Engine, what: str) -> None:
    mine = drawn(catalog, [NEWS[0]])
    other = drawn(catalog, [NEWS[3]])
    if what == "row key":
        (mine,) = ([replace(one, study_key=None)] for one in mine)
    else:
        mine = [replace(one, keys=None) for one in mine]
        first = other[0].study_key
        assert isinstance(first, WrappedKey)
        other = [replace(other[0], study_key=replace(first, wrapped=b"another"))]
    catalog.register_all(other)
    before = counts(engine)
    with pytest.raises(Overtaken):
        catalog.register_all(mine)
    assert counts(engine) == before
    assert catalog.register_all(drawn(catalog, [NEWS[0]]))
    keys = catalog.find_row_keys(wanted(NEWS[0]))
    assert len(keys) == len(wanted(NEWS[0]))


def test_identifiers_of_a_store_stand_in_no_order(catalog: Catalog, engine: Engine) -> None:
    """Rows of no meaning must not stand at the end of a statement."""
    said: list[list[bytes]] = []
    real = identifiers.insert_many  # type: ignore[attr-defined]

    def watched(connection: object, table: object, rows: Sequence[dict[str, bytes]]) -> None:
        if table is identifier_rows:
            said.append([row["value_token"] for row in rows])
        real(connection, table, rows)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(identifiers, "insert_many", watched)
        catalog.register_all(drawn(catalog, NEWS))
    assert said
    for tokens in said:
        assert tokens == sorted(tokens)
        assert {len(token) for token in tokens} == {TOKEN_BYTES}


def test_a_batch_is_one_transaction(catalog: Catalog, engine: Engine) -> None:
    news, begun = drawn(catalog, NEWS), []
    event.listen(engine, "begin", lambda one: begun.append(one.get_execution_options().get("safelight_writes")))
    catalog.register_all(news)
    assert begun == [True]
