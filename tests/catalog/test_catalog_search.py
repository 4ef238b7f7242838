from __future__ import annotations

import re
from dataclasses import replace
from itertools import islice
from typing import Any

import pytest
from catalog_world import INDEX_KEY, PATIENT, new_catalog, new_instance
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, delete, event, update

from server.catalog import Catalog, StudyQuery, search
from server.catalog.database import writing
from server.catalog.keywords import ENTRIES_PER_STUDY, choices, fold, matches, study_keywords
from server.catalog.schema import postings
from server.catalog.tokens import Keyword, KeywordKind, Tokens, posting
from server.errors import SealBroken, TooLarge
from server.model import PatientIdentity, StudyLabels, StudyRecord
from server.model.patterns import glob

PEOPLE = (
    ("MUSTER^MAXIMA", "P1", "A1", "20240131"),
    ("MUSTER^MAX", "P2", "A2", "20240201"),
    ("Mustermann^Erika^^Dr", "P3", "A3", "20240229"),
    ("EXAMPLE^PATIENT", "P1", "A4", "20231231"),
    ("GROSS^BEISPIEL", "P5", "", "20250101"),
    ("Groß^Beispiel", "P6", "A6", ""),
    ("", "P7", "A7", "19991231"),
    ("MUSTER", "P*8", "A%8", "20240131"),
)


@pytest.fixture
def people(catalog: Catalog) -> Catalog:
    for number, (name, patient_id, accession, day) in enumerate(PEOPLE, start=1):
        patient = PatientIdentity(issuer="B" if number == 4 else "A", patient_id=patient_id)
        catalog.register(new_instance(study=number, name=name, patient=patient, accession=accession, day=day))
    return catalog


def found(catalog: Catalog, **wanted: Any) -> list[int]:
    return [int(study.study_instance_uid[5:]) for study in catalog.find_studies(StudyQuery(**wanted))]


SEARCHES: list[tuple[dict[str, Any], list[int]]] = [
    ({}, [1, 2, 3, 4, 5, 6, 7, 8]),
    ({"patient_name": "MUSTER^MAXIMA"}, [1]),
    ({"patient_name": "muster^maxima"}, [1]),
    ({"patient_name": "muster^maxima^^"}, [1]),
    ({"patient_name": "ｍｕｓｔｅｒ^max"}, [2]),
    ({"patient_name": "muster"}, [8]),
    ({"patient_name": "muster*"}, [1, 2, 3, 8]),
    ({"patient_name": "muster^*"}, [1, 2, 8]),
    ({"patient_name": "MUSTER^MAX*"}, [1, 2]),
    ({"patient_name": "mustermann^e*dr"}, [3]),
    ({"patient_name": "*^max"}, [2]),
    ({"patient_name": "*max*"}, [1, 2]),
    ({"patient_name": "?uster^ma?"}, [2]),
    ({"patient_name": "muster^ma?"}, [2]),
    ({"patient_name": "m%"}, []),
    ({"patient_name": "_uster^max"}, []),
    ({"patient_name": "gross*"}, [5, 6]),
    ({"patient_name": "GROSS^beispiel"}, [5, 6]),
    ({"patient_name": "*"}, [1, 2, 3, 4, 5, 6, 7, 8]),
    ({"patient_name": ""}, [1, 2, 3, 4, 5, 6, 7, 8]),
    ({"patient_id": "P1"}, [1, 4]),
    ({"patient_id": "p1"}, []),
    ({"patient_id": "P1", "issuer": "A"}, [1]),
    ({"patient_id": "P1", "issuer": ""}, []),
    ({"patient_id": " P1 "}, [1, 4]),
    ({"patient_id": "P*"}, [1, 2, 3, 4, 5, 6, 7, 8]),
    ({"patient_id": "P*8"}, [8]),
    ({"patient_id": "%"}, []),
    ({"accession_number": "A2"}, [2]),
    ({"accession_number": "A%8"}, [8]),
    ({"accession_number": "A?"}, [1, 2, 3, 4, 6, 7]),
    ({"date_from": "20240131", "date_to": "20240131"}, [1, 8]),
    ({"date_from": "20240101", "date_to": "20240229"}, [1, 2, 3, 8]),
    ({"date_from": "20231231", "date_to": "20240630"}, [1, 2, 3, 4, 8]),
    ({"date_from": "19000101", "date_to": "20240131"}, [1, 4, 7, 8]),
    ({"date_from": "00010101", "date_to": "99991231"}, [1, 2, 3, 4, 5, 7, 8]),
    ({"date_from": "20240202"}, [3, 5]),
    ({"date_to": "20231231"}, [4, 7]),
    ({"date_from": "20250101", "date_to": "20240101"}, []),
    ({"patient_name": "muster*", "date_from": "20240131", "date_to": "20240131"}, [1, 8]),
    ({"patient_name": "muster*", "accession_number": "A4"}, []),
    ({"study_uids": frozenset({"2.25.5", "2.25.2", "2.25.99"})}, [2, 5]),
    ({"study_uids": frozenset({"2.25.5", "2.25.2"}), "patient_id": "P5"}, [5]),
    ({"study_uids": frozenset()}, []),
]


def test_search(people: Catalog) -> None:
    for wanted, numbers in SEARCHES:
        assert found(people, **wanted) == numbers, wanted


def test_a_name_is_found_by_any_component_group(catalog: Catalog) -> None:
    name = {"Alphabetic": "Yamada^Tarou", "Ideographic": "山田^太郎", "Phonetic": "やまだ^たろう"}
    catalog.register(new_instance(study_attributes={"00100010": {"vr": "PN", "Value": [name]}}))
    for pattern in (
        "yamada*",
        "山田^太郎",
        "山田*",
        "やま*",
        "*たろう",
        "YAMADA^TAROU=山田^太郎=やまだ^たろう",
        "yamada*=山*",
    ):
        assert found(catalog, patient_name=pattern) == [1], pattern
    for pattern in ("太郎*", "yamada", "山田"):
        assert found(catalog, patient_name=pattern) == [], pattern


def test_odd_attributes_do_no_harm(catalog: Catalog) -> None:
    odd = {
        "00100010": {"vr": "PN", "Value": [None]},
        "00080050": {"vr": "SH"},
        "00080020": {"vr": "DA", "Value": ["2024-01-31"]},
    }
    catalog.register(new_instance(study_attributes=odd, patient=PatientIdentity(issuer="", patient_id="")))
    catalog.register(new_instance(study=2, study_attributes={"00100010": {"vr": "PN", "Value": ["MUSTER^M"]}}))
    assert found(catalog) == [1, 2]
    assert found(catalog, patient_name="muster*") == [2]


def test_a_date_that_is_none_is_refused() -> None:
    for day in ("20240230", "2024", "20241301", "２０２４０１０１", "-0240101"):
        with pytest.raises(ValueError):
            StudyQuery(date_from=day)


def test_paging_is_lazy(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "_FIRST_PAGE", 2)
    for number in range(1, 8):
        catalog.register(new_instance(study=number))
    studies = catalog.find_studies(StudyQuery())
    assert [study.study_instance_uid for study in islice(studies, 3)] == ["2.25.1", "2.25.2", "2.25.3"]
    catalog.register(new_instance(study=8))
    assert len(list(studies)) == 4
    assert catalog.count_studies() == 8


def test_a_scan_is_bounded(people: Catalog) -> None:
    assert len(list(people.find_studies(StudyQuery(patient_name="*u*"), scan_limit=8))) == 4
    with pytest.raises(TooLarge):
        list(people.find_studies(StudyQuery(patient_name="*u*"), scan_limit=7))


def test_another_process_sees_what_was_stored(people: Catalog, engine: Engine) -> None:
    fresh = new_catalog(engine, seed="other")
    assert found(fresh, patient_name="muster*") == [1, 2, 3, 8]
    fresh.register(new_instance(study=9, name="MUSTER^ZWEI"))
    assert found(people, patient_name="muster*") == [1, 2, 3, 8, 9]
    assert people.count_studies() == 9


def test_a_list_of_any_length_is_measured(catalog: Catalog, engine: Engine) -> None:
    for number in range(1, 67):
        catalog.register(new_instance(study=number))
        if number in {1, 2, 3, 31, 32, 33, 64, 65, 66}:
            assert new_catalog(engine).count_studies() == number
        if number % 10 == 0:
            assert catalog.count_studies() == number
    assert catalog.count_studies() == 66


def test_a_catalogue_put_back_to_an_older_state_is_measured_anew(catalog: Catalog, engine: Engine) -> None:
    for number in range(1, 6):
        catalog.register(new_instance(study=number))
    with writing(engine) as connection:
        connection.execute(delete(postings))
    assert catalog.count_studies() == 0


def test_entries_taken_out_are_noticed(catalog: Catalog, engine: Engine) -> None:
    for number in range(1, 6):
        catalog.register(new_instance(study=number))
    list_key = Tokens(INDEX_KEY).list_key(Keyword(kind=KeywordKind.ALL))
    with writing(engine) as connection:
        connection.execute(delete(postings).where(postings.c.token == posting(list_key, 2)[0]))
    for one in (catalog, new_catalog(engine)):
        with pytest.raises(SealBroken):
            list(one.find_studies(StudyQuery()))


def test_a_list_that_names_no_study_is_noticed(people: Catalog, engine: Engine) -> None:
    with writing(engine) as connection:
        connection.execute(update(postings).values(masked_row=b"\x00" * 16))
    with pytest.raises(SealBroken):
        list(people.find_studies(StudyQuery()))


def test_search_probes_a_few_times_only(people: Catalog, engine: Engine) -> None:
    statements: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *arguments: statements.append(arguments[2]))
    assert found(people, patient_id="P2") == [2]
    assert sum(statement.startswith("SELECT") for statement in statements) <= 5


PATTERN = st.text(alphabet="ab*?^", max_size=12)
TEXT = st.text(alphabet="ab^*?", max_size=12)


@settings(max_examples=400)
@given(pattern=PATTERN, text=TEXT)
def test_glob_is_what_the_standard_says(pattern: str, text: str) -> None:
    reference = "".join({"*": ".*", "?": "."}.get(mark, re.escape(mark)) for mark in pattern)
    assert glob(pattern, text) == bool(re.fullmatch(reference, text, re.DOTALL))


def test_glob_takes_no_time_on_any_pattern() -> None:
    assert not glob("*a" * 100 + "*b", "a" * 320)
    assert not glob("?*" * 200 + "b", "a" * 320)


def record(name: str, patient: PatientIdentity = PATIENT) -> StudyRecord:
    return StudyRecord(
        row="00" * 16,
        study_instance_uid="2.25.1",
        patient=patient,
        labels=StudyLabels(stored_by="", stored_department="", stored_at=0.0),
        revision=b"",
        attributes={"00100010": {"vr": "PN", "Value": [{"Alphabetic": name}]}},
    )


NAMES = st.text(alphabet="abA^= ßﬁé*山", max_size=14)


@settings(max_examples=400)
@given(name=NAMES, pattern=st.text(alphabet="abA^= ßﬁé*?山", max_size=8))
def test_the_chosen_list_holds_every_match(name: str, pattern: str) -> None:
    study = record(name)
    query = StudyQuery(patient_name=pattern)
    if matches(query, study):
        keywords = set(study_keywords(study.patient, study.attributes))
        for way in choices(query):
            assert keywords & set(way)


@settings(max_examples=200)
@given(name=NAMES.filter(lambda name: not set(name) & set("*?")), cut=st.integers(0, 14))
def test_a_name_is_found_by_itself_and_by_its_beginning(name: str, cut: int) -> None:
    study = record(name)
    assert matches(StudyQuery(patient_name=name), study)
    assert matches(StudyQuery(patient_name=name.swapcase()), study) or "ß" in name or "ﬁ" in name
    if "=" not in name and "é" not in name:
        assert matches(StudyQuery(patient_name=name.strip().rstrip("^ ")[:cut] + "*"), study)


@settings(max_examples=200)
@given(name=st.text(max_size=60), patient_id=st.text(max_size=20), other=st.text(max_size=60))
def test_no_study_needs_more_entries(name: str, patient_id: str, other: str) -> None:
    attributes: dict[str, dict[str, Any]] = {
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": name, "Ideographic": other, "Phonetic": name + other}]},
        "00080050": {"vr": "SH", "Value": [other]},
        "00080020": {"vr": "DA", "Value": ["20240101"]},
    }
    keywords = study_keywords(replace(PATIENT, patient_id=patient_id), attributes)
    assert len(set(keywords)) == len(keywords) <= ENTRIES_PER_STUDY
    assert keywords[0].kind is KeywordKind.ALL


def test_folding() -> None:
    assert fold("DOE^JOHN^^^") == fold(" doe^john ") == "doe^john"
    assert fold("A^B==") == "a^b"
    assert fold("Straße") == fold("STRASSE")
