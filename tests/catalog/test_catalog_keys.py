from __future__ import annotations

import threading

import pytest
from catalog_world import INDEX_KEY, new_catalog
from sqlalchemy import Engine, select

from server.catalog import Catalog, KeyPurpose
from server.catalog.database import reading, writing
from server.catalog.keys import all_wrapped
from server.catalog.schema import sessions
from server.catalog.tokens import Tokens
from server.errors import SealBroken


def never(context: str) -> bytes:
    raise AssertionError(context)


def test_a_key_is_made_once(catalog: Catalog) -> None:
    contexts: list[str] = []

    def make(context: str) -> bytes:
        contexts.append(context)
        return b"wrapped"

    made = catalog.study_key("2.25.1", make)
    assert made.wrapped == b"wrapped"
    assert contexts == [made.context]
    assert "2.25.1" not in made.context
    assert catalog.study_key("2.25.1", never) == made
    assert catalog.find_study_key("2.25.1") == made
    assert catalog.find_study_key("2.25.2") is None


def test_names_of_different_purposes_are_different_keys(catalog: Catalog) -> None:
    study = catalog.study_key("name", lambda context: context.encode())
    purpose = catalog.purpose_key("name", lambda context: context.encode())
    project = catalog.project_key("name", lambda context: context.encode())
    assert len({key.wrapped for key in (study, purpose, project)}) == 3
    assert {key.purpose for key in catalog.all_wrapped()} == set(KeyPurpose)


def test_races_make_one_key(engine: Engine) -> None:
    got: list[bytes] = []
    barrier = threading.Barrier(4)

    def make(worker: int) -> None:
        def wrap(_context: str) -> bytes:
            barrier.wait()
            return bytes([worker])

        got.append(new_catalog(engine).study_key("2.25.1", wrap).wrapped)

    threads = [threading.Thread(target=make, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 4
    assert len(set(got)) == 1


def test_an_ended_project_is_forgotten(catalog: Catalog) -> None:
    catalog.project_key("p", lambda _: b"one")
    catalog.study_key("p", lambda _: b"study")
    assert catalog.end_project("p")
    assert not catalog.end_project("p")
    assert catalog.project_key("p", lambda _: b"two").wrapped == b"two"
    assert catalog.study_key("p", never).wrapped == b"study"


def test_every_key_can_be_wrapped_anew(catalog: Catalog) -> None:
    for number in range(7):
        catalog.study_key(f"2.25.{number}", lambda context: f"old {context}".encode())
    catalog.purpose_key("audit", lambda context: f"old {context}".encode())
    listed = list(catalog.all_wrapped())
    assert len(listed) == 8
    for key in listed:
        assert key.wrapped == f"old {key.context}".encode()
        assert catalog.replace_wrapped(key, b"new " + key.context.encode())
        assert not catalog.replace_wrapped(key, b"late")
    assert {key.wrapped for key in catalog.all_wrapped()} == {b"new " + key.context.encode() for key in listed}


def test_all_wrapped_pages(catalog: Catalog) -> None:
    for number in range(7):
        catalog.study_key(f"2.25.{number}", lambda context: context.encode())
    assert len({key.token for key in all_wrapped(catalog._access, page=2)}) == 7


def test_a_session_lives_until_it_expires(catalog: Catalog) -> None:
    catalog.put_session(b"digest", b"value", 100.0)
    assert catalog.get_session(b"digest", 99.9) == b"value"
    assert catalog.get_session(b"digest", 100.0) is None
    assert catalog.get_session(b"other", 0.0) is None
    catalog.put_session(b"digest", b"second", 200.0)
    assert catalog.get_session(b"digest", 150.0) == b"second"
    catalog.delete_session(b"digest")
    assert catalog.get_session(b"digest", 0.0) is None
    catalog.delete_session(b"digest")


def test_expired_sessions_are_swept(catalog: Catalog) -> None:
    for number in range(4):
        catalog.put_session(bytes([number]), b"v", float(number))
    assert catalog.delete_expired(1.0) == 2
    assert catalog.get_session(bytes([2]), 0.0) == b"v"


def test_the_sealed_expiry_counts_and_rows_cannot_be_swapped(catalog: Catalog, engine: Engine) -> None:
    catalog.put_session(b"one", b"first", 100.0)
    catalog.put_session(b"two", b"second", 100.0)
    with writing(engine) as connection:
        connection.execute(sessions.update().values(expires=1e9))
    assert catalog.get_session(b"one", 100.0) is None
    with reading(engine) as connection:
        row = connection.execute(select(sessions)).first()
    assert row is not None
    with writing(engine) as connection:
        connection.execute(sessions.update().values(sealed=row.sealed))
    swapped = b"two" if row.token == Tokens(INDEX_KEY).unique("session", b"one") else b"one"
    with pytest.raises(SealBroken):
        catalog.get_session(swapped, 0.0)
