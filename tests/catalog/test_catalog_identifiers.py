from __future__ import annotations

import threading
from collections.abc import Mapping

import pytest
from catalog_world import INDEX_KEY, AesSealer, Repeatable, new_catalog, new_instance, row_keys
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, func, select, update

from server.catalog import Catalog
from server.catalog.database import reading, writing
from server.catalog.schema import identifiers
from server.catalog.tokens import encode_parts
from server.errors import SealBroken
from server.model import Identifier, IdentifierKind

UID = Identifier(kind=IdentifierKind.UID, value="2.25.1")
OTHER = Identifier(kind=IdentifierKind.UID, value="2.25.2")
PATIENT = Identifier(kind=IdentifierKind.PATIENT, value="A\x00P1")
LOCAL = Identifier(kind=IdentifierKind.LOCAL, value="2.25.1")
WANTED = {UID: "uid/0020000D", PATIENT: "patient", LOCAL: "local/00200010"}


def count(engine: Engine) -> int:
    with reading(engine) as connection:
        return connection.execute(select(func.count()).select_from(identifiers)).scalar_one()


def test_a_row_key_is_drawn_once(catalog: Catalog) -> None:
    first = row_keys(catalog, WANTED, study_uid="2.25.1")
    assert list(first) == list(WANTED)
    assert {len(key) for key in first.values()} == {16}
    assert len(set(first.values())) == 3
    again = row_keys(catalog, {**WANTED, OTHER: "uid/other"}, study_uid="2.25.1")
    assert {identifier: again[identifier] for identifier in WANTED} == first
    assert catalog.find_row_keys([*WANTED]) == first
    assert catalog.find_row_keys([Identifier(kind=IdentifierKind.UID, value="2.25.3")]) == {}


def test_a_row_key_comes_from_its_label_and_not_from_the_value(engine: Engine) -> None:
    randomness = Repeatable()
    catalog = Catalog(engine, sealer=AesSealer(), index_key=INDEX_KEY, randomness=randomness)
    keys = row_keys(catalog, WANTED, study_uid="2.25.1")
    expected = Repeatable()
    assert keys == {identifier: expected.bytes(16, f"row-key/{label}") for identifier, label in WANTED.items()}
    assert set(randomness.drawn) == {f"row-key/{label}" for label in WANTED.values()}


def test_a_row_key_tells_its_identifier(catalog: Catalog) -> None:
    for identifier, key in row_keys(catalog, WANTED, study_uid="2.25.1").items():
        assert catalog.identifier_of(key) == identifier
    assert catalog.identifier_of(b"\x00" * 16) is None
    assert catalog.identifier_of(b"") is None


def test_a_patient_seen_before_adds_as_many_rows_as_a_new_one(catalog: Catalog, engine: Engine) -> None:
    row_keys(catalog, {PATIENT: "patient", UID: "uid"}, study_uid="2.25.1")
    assert count(engine) == 2
    catalog.register(new_instance(study=1))
    row_keys(catalog, {PATIENT: "patient", OTHER: "uid"}, study_uid="2.25.2")
    assert count(engine) == 4
    catalog.register(new_instance(study=2))
    row_keys(catalog, {PATIENT: "patient", OTHER: "uid"}, study_uid="2.25.2")
    assert count(engine) == 4


def test_races_draw_one_key(engine: Engine) -> None:
    drawn: list[Mapping[Identifier, bytes]] = []

    def draw(worker: int) -> None:
        drawn.append(row_keys(new_catalog(engine, seed=str(worker)), WANTED, study_uid="2.25.1"))

    threads = [threading.Thread(target=draw, args=(worker,)) for worker in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(drawn) == 6
    assert all(keys == drawn[0] for keys in drawn)


def test_swapped_rows_are_noticed(catalog: Catalog, engine: Engine) -> None:
    keys = row_keys(catalog, {UID: "a", OTHER: "b"}, study_uid="2.25.1")
    with reading(engine) as connection:
        one, two = connection.execute(select(identifiers)).all()
    with writing(engine) as connection:
        for row, key_token in ((one, b"x" * 16), (two, one.key_token), (one, two.key_token)):
            changed = update(identifiers).where(identifiers.c.value_token == row.value_token)
            connection.execute(changed.values(key_token=key_token))
    with pytest.raises(SealBroken):
        catalog.identifier_of(keys[UID])
    with writing(engine) as connection:
        connection.execute(update(identifiers).values(sealed=one.sealed))
    with pytest.raises(SealBroken):
        catalog.find_row_keys([UID, OTHER])


def test_a_row_sealed_for_another_identifier_is_noticed(catalog: Catalog, engine: Engine) -> None:
    keys = row_keys(catalog, {UID: "a"}, study_uid="2.25.1")
    with reading(engine) as connection:
        token = connection.execute(select(identifiers.c.value_token)).scalar_one()
    forged = catalog._access.seal("identifiers", token, ["uid", OTHER.value, keys[UID].hex()], least=256)
    with writing(engine) as connection:
        connection.execute(update(identifiers).values(sealed=forged))
    with pytest.raises(SealBroken):
        catalog.find_row_keys([UID])


@settings(max_examples=100)
@given(one=st.lists(st.binary(max_size=6), max_size=4), two=st.lists(st.binary(max_size=6), max_size=4))
def test_no_two_sequences_of_parts_are_alike(one: list[bytes], two: list[bytes]) -> None:
    assert (encode_parts(*one) == encode_parts(*two)) == (one == two)


def test_a_short_index_key_is_refused(engine: Engine) -> None:
    with pytest.raises(ValueError):
        Catalog(engine, sealer=AesSealer(), index_key=b"short", randomness=Repeatable())
