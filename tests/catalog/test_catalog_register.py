from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pytest
from catalog_world import LABELS, PATIENT, new_catalog, new_instance, study_attributes
from sqlalchemy import Engine, func, select

from server.catalog import Catalog, Duplicate, Registered, StudyQuery
from server.catalog.database import reading
from server.catalog.keywords import ENTRIES_PER_STUDY
from server.catalog.schema import instances, metadata, postings, series, studies
from server.errors import Conflict, NotFound, UnreadableObject
from server.model import (
    Identifier,
    IdentifierKind,
    InstancePath,
    PatientIdentity,
    ScreeningState,
    StudyLabels,
)


def counts(engine: Engine) -> dict[str, int]:
    with reading(engine) as connection:
        return {
            table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in metadata.sorted_tables
        }


def everything(engine: Engine) -> list[Any]:
    with reading(engine) as connection:
        return [sorted(map(tuple, connection.execute(select(table)))) for table in (studies, series, instances)]


def test_what_was_registered_is_found(catalog: Catalog) -> None:
    new = new_instance()
    outcome = catalog.register(new)
    assert isinstance(outcome, Registered)
    assert outcome.new_study
    found = catalog.find_instance(new.path)
    assert found == outcome.instance
    assert found is not None
    assert found.screening is ScreeningState.PENDING
    assert found.regions is None
    assert found.content == new.content
    assert found.row_keys == new.instance_row_keys
    assert found.attributes == new.instance_attributes
    assert found.series.attributes == new.series_attributes
    assert found.study.attributes == new.study_attributes
    assert found.study.patient == PATIENT
    assert found.study.labels == LABELS
    assert catalog.find_study("2.25.1") == found.study
    assert catalog.find_series("2.25.1", "2.25.1.1") == found.series
    assert catalog.exists(new.path.instance) == (new.path, new.body_digest)


def test_all_fields_survive(catalog: Catalog) -> None:
    labels = StudyLabels(
        stored_by="t",
        stored_department="radiology",
        stored_at=1700000000.1234567,
        departments=frozenset({"a", "ä\x00"}),
        care_team=frozenset({"x"}),
    )
    keys = {
        Identifier(kind=IdentifierKind.PATIENT, value="I\x00P"): b"\x00" * 16,
        Identifier(kind=IdentifierKind.LOCAL, value="I\x00P"): b"\xff" * 16,
    }
    catalog.register(
        new_instance(
            labels=labels,
            study_row_keys=keys,
            series_row_keys=keys,
            patient=PatientIdentity(issuer="", patient_id="ß\x00"),
        )
    )
    study = catalog.find_study("2.25.1")
    assert study is not None
    assert study.labels == labels
    assert study.row_keys == keys
    assert study.patient == PatientIdentity(issuer="", patient_id="ß\x00")


def test_what_is_not_there_is_none(catalog: Catalog) -> None:
    catalog.register(new_instance())
    assert catalog.find_study("2.25.2") is None
    assert catalog.find_series("2.25.1", "2.25.9") is None
    assert catalog.find_series("2.25.2", "2.25.1.1") is None
    assert catalog.find_instance(InstancePath(study="2.25.1", series="2.25.1.1", instance="2.25.9")) is None
    assert catalog.find_instance(InstancePath(study="2.25.1", series="2.25.9", instance="2.25.1.1.1")) is None
    assert catalog.find_instance(InstancePath(study="2.25.9", series="2.25.1.1", instance="2.25.1.1.1")) is None
    assert catalog.exists("2.25.9") is None
    assert catalog.series_of("2.25.9") == []
    assert catalog.instances_of("2.25.9") == []
    assert catalog.instances_of("2.25.1", "2.25.9") == []


def test_the_same_body_again_is_a_success_that_changes_nothing(catalog: Catalog, engine: Engine) -> None:
    first = catalog.register(new_instance())
    before = everything(engine)
    again = new_instance(content=replace(new_instance().content, name="cd" * 16))
    outcome = catalog.register(again)
    assert outcome == Duplicate(instance=first.instance)
    assert everything(engine) == before


@pytest.mark.parametrize(
    "changes",
    [
        {"body_digest": b"another"},
        {"path": InstancePath(study="2.25.1", series="2.25.77", instance="2.25.1.1.1")},
        {"path": InstancePath(study="2.25.77", series="2.25.1.1", instance="2.25.1.1.1")},
    ],
    ids=["another body", "another series", "another study"],
)
def test_first_copy_wins(catalog: Catalog, engine: Engine, changes: dict[str, Any]) -> None:
    catalog.register(new_instance())
    before, rows = everything(engine), counts(engine)
    with pytest.raises(Conflict):
        catalog.register(new_instance(**changes))
    assert everything(engine) == before
    assert counts(engine) == rows


@pytest.mark.parametrize(
    "changes",
    [
        {"patient": replace(PATIENT, patient_id="MUSTER-0815")},
        {"patient": replace(PATIENT, issuer="")},
        {"labels": replace(LABELS, stored_department="cardiology")},
    ],
    ids=["another patient", "another issuer", "another department"],
)
def test_a_study_keeps_its_patient_and_department(catalog: Catalog, engine: Engine, changes: dict[str, Any]) -> None:
    catalog.register(new_instance())
    before, rows = everything(engine), counts(engine)
    with pytest.raises(Conflict):
        catalog.register(new_instance(number=2, **changes))
    assert everything(engine) == before
    assert counts(engine) == rows


def test_a_later_store_changes_no_label(catalog: Catalog) -> None:
    catalog.register(new_instance())
    catalog.set_labels("2.25.1", departments={"surgery"}, care_team=())
    before = catalog.find_study("2.25.1")
    later = replace(LABELS, stored_by="technologist-2", stored_at=1.0, departments=frozenset({"x"}))
    outcome = catalog.register(new_instance(number=2, labels=later, study_attributes=study_attributes("X^Y")))
    assert isinstance(outcome, Registered)
    assert not outcome.new_study
    assert catalog.find_study("2.25.1") == before == outcome.instance.study


def test_labels_give_a_new_revision(catalog: Catalog) -> None:
    before = catalog.register(new_instance()).instance
    after = catalog.set_labels("2.25.1", departments=["surgery"], care_team=["clinician-1"])
    assert after == catalog.find_study("2.25.1")
    assert after.labels == replace(LABELS, departments=frozenset({"surgery"}), care_team=frozenset({"clinician-1"}))
    assert after.revision != before.study.revision
    assert replace(after, labels=LABELS, revision=before.study.revision) == before.study
    assert [study.labels for study in catalog.find_studies(StudyQuery())] == [after.labels]


def test_labels_of_no_study(catalog: Catalog) -> None:
    with pytest.raises(NotFound):
        catalog.set_labels("2.25.1", departments=(), care_team=())


def test_nothing_is_stored_half(catalog: Catalog, engine: Engine) -> None:
    broken = new_instance(instance_attributes={"00204000": {"vr": "LT", "Value": ["\ud800"]}})
    with pytest.raises(UnreadableObject):
        catalog.register(broken)
    assert set(counts(engine).values()) == {0}
    assert list(catalog.find_studies(StudyQuery())) == []


def test_instances_come_by_number_then_uid(catalog: Catalog) -> None:
    for series_number, number in ((10, 2), (10, 1), (2, 10), (2, 9), (1, 1)):
        catalog.register(new_instance(series=series_number, number=number))
    catalog.register(new_instance(series=3, number=1, series_attributes={}, instance_attributes={}))
    catalog.register(new_instance(study=2))
    assert [record.series_instance_uid for record in catalog.series_of("2.25.1")] == [
        "2.25.1.1",
        "2.25.1.2",
        "2.25.1.10",
        "2.25.1.3",
    ]
    assert [record.path.instance for record in catalog.instances_of("2.25.1")] == [
        "2.25.1.1.1",
        "2.25.1.2.9",
        "2.25.1.2.10",
        "2.25.1.10.1",
        "2.25.1.10.2",
        "2.25.1.3.1",
    ]
    assert [record.path.instance for record in catalog.instances_of("2.25.1", "2.25.1.2")] == [
        "2.25.1.2.9",
        "2.25.1.2.10",
    ]


def test_one_series_uid_in_two_studies_tells_nothing(catalog: Catalog, engine: Engine) -> None:
    for study in (1, 2):
        path = InstancePath(study=f"2.25.{study}", series="2.25.99", instance=f"2.25.99.{study}")
        catalog.register(new_instance(study=study, path=path))
    with reading(engine) as connection:
        assert len(set(connection.execute(select(series.c.uid_token)).scalars())) == 2
    assert [len(catalog.instances_of(f"2.25.{study}", "2.25.99")) for study in (1, 2)] == [1, 1]


def test_every_study_writes_as_many_entries(catalog: Catalog, engine: Engine) -> None:
    names = ("", "A", "ABCDEFGHIJ^KLMNOP^Q^R^S", "LANG^NAME=長い^名前=ながい^なまえ")
    for number, name in enumerate(names, start=1):
        catalog.register(new_instance(study=number, name=name, accession="" if number == 1 else f"A{number}"))
        assert counts(engine)["postings"] == number * (ENTRIES_PER_STUDY + 1)
    with reading(engine) as connection:
        tokens = connection.execute(select(postings.c.token)).scalars().all()
        rows = connection.execute(select(postings.c.masked_row)).scalars().all()
    assert len(set(tokens)) == len(set(rows)) == len(names) * (ENTRIES_PER_STUDY + 1)


def test_racing_stores_of_one_study_make_one_study(engine: Engine) -> None:
    catalogs = [new_catalog(engine, seed=str(worker)) for worker in range(4)]
    outcomes: list[Registered | Duplicate] = []

    def store(worker: int) -> None:
        for number in range(1, 6):
            outcomes.append(catalogs[worker].register(new_instance(number=number)))
            outcomes.append(catalogs[worker].register(new_instance(study=worker + 10, number=number)))

    threads = [threading.Thread(target=store, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 40
    assert sum(isinstance(outcome, Registered) and outcome.new_study for outcome in outcomes) == 5
    assert sum(isinstance(outcome, Duplicate) for outcome in outcomes) == 15
    assert counts(engine)["instances"] == 25
    assert counts(engine)["postings"] == 5 * ENTRIES_PER_STUDY + 25
    assert len(list(catalogs[0].find_studies(StudyQuery()))) == 5
    assert len(list(catalogs[1].find_studies(StudyQuery(patient_id=PATIENT.patient_id)))) == 5


def test_racing_stores_of_two_bodies_let_one_win(engine: Engine) -> None:
    catalogs = [new_catalog(engine, seed=str(worker)) for worker in range(4)]
    won: list[int] = []
    lost: list[int] = []

    def store(worker: int) -> None:
        try:
            catalogs[worker].register(new_instance(body_digest=bytes([worker])))
            won.append(worker)
        except Conflict:
            lost.append(worker)

    threads = [threading.Thread(target=store, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert len(lost) == 3
    stored = catalogs[0].exists("2.25.1.1.1")
    assert stored is not None
    assert stored[1] == bytes(won)
