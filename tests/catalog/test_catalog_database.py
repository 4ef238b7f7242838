from __future__ import annotations

import ssl
import threading
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from catalog_world import AesSealer, new_catalog, new_instance, regions_reference
from sqlalchemy import Engine, Table, event, select, text, update
from sqlalchemy.exc import DatabaseError

from server.catalog import Catalog, check_migrated, database, migrate, open_engine
from server.catalog.access import Access
from server.catalog.database import reading, writing
from server.catalog.schema import instances, metadata, series, studies
from server.catalog.screening_queue import Outcome
from server.errors import Busy, ConfigurationError, SealBroken
from server.model import ScreeningState


def test_migrations_make_the_tables_of_the_schema(engine: Engine) -> None:
    with reading(engine) as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    check_migrated(engine)
    migrate(engine)


def test_sqlite_tables_number_no_rows(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/a.db")
    migrate(engine)
    with reading(engine) as connection:
        for table in metadata.sorted_tables:
            with pytest.raises(Busy):
                _select_rowid(engine, table.name)
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert connection.execute(text("PRAGMA synchronous")).scalar() == 2
        assert connection.execute(text("PRAGMA foreign_keys")).scalar() == 1
        assert connection.execute(text("PRAGMA secure_delete")).scalar() == 1
    engine.dispose()


def _select_rowid(engine: Engine, table: str) -> None:
    with reading(engine) as connection:
        connection.execute(text(f"SELECT rowid FROM {table}"))


def test_processes_may_migrate_at_once(tmp_path: Path) -> None:
    failures: list[BaseException] = []

    def run() -> None:
        engine = open_engine(f"sqlite:///{tmp_path}/a.db")
        try:
            migrate(engine)
        except DatabaseError as error:
            failures.append(error)
        finally:
            engine.dispose()

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_database_of_another_version_is_refused(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/a.db")
    with pytest.raises(ConfigurationError):
        check_migrated(engine)
    migrate(engine)
    with writing(engine) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(ConfigurationError):
        check_migrated(engine)
    with pytest.raises(ConfigurationError):
        migrate(engine)
    engine.dispose()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "nonsense",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:////nowhere/at/all.db",
        "sqlite:///file:x?uri=true",
        "mysql://h/d",
        "postgresql://h/d",
    ],
)
def test_other_databases_are_refused(url: str) -> None:
    with pytest.raises(ConfigurationError):
        open_engine(url)


@pytest.mark.parametrize(
    ("where", "tls"),
    [
        ("db.example.org/films", True),
        ("192.0.2.7:5432/films", True),
        ("localhost.example.org/films", True),
        ("/films", True),
        ("localhost/films", False),
        ("127.0.0.1:5433/films", False),
        ("[::1]/films", False),
        ("/films?unix_sock=/run/postgresql/.s.PGSQL.5432", False),
    ],
)
def test_a_database_elsewhere_is_reached_over_tls_that_is_verified(where: str, *, tls: bool) -> None:
    engine = open_engine(f"postgresql+pg8000://{where}")
    asked: list[dict[str, Any]] = []

    class Stopped(Exception):
        pass

    @event.listens_for(engine, "do_connect")
    def stop(_dialect: object, _record: object, _arguments: object, parameters: dict[str, Any]) -> None:
        asked.append(parameters)
        raise Stopped

    with pytest.raises(Stopped):
        engine.connect()
    context = asked[0].get("ssl_context")
    assert (context is not None) is tls
    if context is not None:
        assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
        assert context.minimum_version >= ssl.TLSVersion.TLSv1_2


def test_the_file_is_private(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/a.db")
    migrate(engine)
    assert {file.stat().st_mode & 0o777 for file in tmp_path.iterdir()} == {0o600}
    engine.dispose()


def test_a_locked_database_is_busy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "PATIENCE_SECONDS", 0)
    engine = open_engine(f"sqlite:///{tmp_path}/a.db")
    migrate(engine)
    with writing(engine), pytest.raises(Busy), writing(engine):
        pass
    with writing(engine), reading(engine) as connection:
        assert connection.execute(select(studies)).all() == []
    engine.dispose()


def test_an_absent_server_is_busy() -> None:
    engine = open_engine("postgresql+pg8000://nobody@127.0.0.1:1/none")
    with pytest.raises(Busy), reading(engine):
        pass
    engine.dispose()


def test_a_writer_waits_for_the_other(engine: Engine) -> None:
    order: list[str] = []
    inside = threading.Event()

    def second() -> None:
        inside.wait()
        with writing(engine):
            order.append("second")

    thread = threading.Thread(target=second)
    thread.start()
    with writing(engine):
        inside.set()
        thread.join(0.2)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_a_reader_cannot_write_on_postgresql_and_sees_one_snapshot(engine: Engine) -> None:
    catalog = new_catalog(engine)
    with reading(engine) as connection:
        assert connection.execute(select(studies)).all() == []
        catalog.register(new_instance())
        assert connection.execute(select(studies)).all() == []


def insert_all(engine: Engine, table: Table, *rows: dict[str, bytes], then: type[Exception] | None = None) -> None:
    with writing(engine) as connection:
        for row in rows:
            connection.execute(table.insert(), row)
        if then is not None:
            raise then


def test_a_failed_transaction_leaves_nothing(engine: Engine) -> None:
    row = {"row": b"r" * 16, "uid_token": b"t" * 16, "sealed": b"s"}
    with pytest.raises(KeyError):
        insert_all(engine, studies, row, then=KeyError)
    with pytest.raises(Busy):
        insert_all(engine, studies, row, {**row, "row": b"x" * 16})
    with pytest.raises((Busy, DatabaseError)):
        insert_all(engine, series, {**row, "study": b"z" * 16})
    with reading(engine) as connection:
        assert connection.execute(select(studies)).all() == []
        assert connection.execute(select(series)).all() == []


def test_payloads_have_few_lengths(engine: Engine) -> None:
    access: Access = new_catalog(engine)._access
    sizes = {len(access.seal("studies", b"r" * 16, "x" * length, least=256)) for length in range(600)}
    assert sizes == {256 + 28, 512 + 28, 1024 + 28}


def test_what_is_sealed_elsewhere_does_not_open(engine: Engine) -> None:
    catalog = new_catalog(engine)
    access = catalog._access
    sealed = access.seal("studies", b"r" * 16, {}, least=64)
    for table, row in (("series", b"r" * 16), ("studies", b"s" * 16)):
        with pytest.raises(SealBroken):
            access.open(table, row, sealed)
    with pytest.raises(SealBroken):
        access.open("studies", b"r" * 16, AesSealer().seal("studies", (b"r" * 16).hex(), b"not json"))


@pytest.fixture
def two(catalog: Catalog) -> Catalog:
    for study in (1, 2):
        row = catalog.register(new_instance(study=study)).instance.row
        catalog.register(new_instance(study=study, series=2))
        while (claimed := catalog.claim("w", 0.0, 1.0)) is not None:
            catalog.finish(claimed.row, "w", Outcome(state=ScreeningState.SCREENED, regions=regions_reference()))
        assert row
    return catalog


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("studies", "sealed"),
        ("studies", "uid_token"),
        ("series", "sealed"),
        ("series", "study"),
        ("series", "uid_token"),
        ("instances", "sealed"),
        ("instances", "study"),
        ("instances", "series"),
        ("instances", "uid_token"),
        ("instances", "screening"),
    ],
)
def test_a_A9_columns_swapped_between_rows_are_noticed(two: Catalog, engine: Engine, table: str, column: str) -> None:
    chosen = metadata.tables[table]
    with reading(engine) as connection:
        one, *_, other = connection.execute(select(chosen).order_by(chosen.c.row)).all()
    values = {one.row: getattr(other, column), other.row: getattr(one, column)}
    if values[one.row] == values[other.row]:
        parents = select(chosen.c[column]).where(chosen.c[column] != values[one.row])
        with reading(engine) as connection:
            values[one.row] = connection.execute(parents).scalar()
    if column == "screening":
        values = dict.fromkeys(values, "pending")
    with writing(engine) as connection:
        if column == "uid_token":
            connection.execute(update(chosen).where(chosen.c.row == one.row).values(uid_token=b"free" * 4))
            values = {other.row: values[other.row], one.row: values[one.row]}
        for row, value in values.items():
            connection.execute(update(chosen).where(chosen.c.row == row).values({column: value}))
    noticed = 0
    for study in (1, 2):
        for number in (1, 2):
            noticed += _noticed(two, new_instance(study=study, series=number).path.instance)
    assert noticed >= 1


def _noticed(catalog: Catalog, uid: str) -> bool:
    try:
        found = catalog.exists(uid)
    except SealBroken:
        return True
    assert found is None or found[0].instance == uid
    return False


def test_a_flipped_bit_is_noticed(two: Catalog, engine: Engine) -> None:
    path = new_instance().path
    for table in (studies, series, instances):
        with reading(engine) as connection:
            rows = connection.execute(select(table.c.row, table.c.sealed)).all()
        with writing(engine) as connection:
            for row, sealed in rows:
                broken = sealed[:-1] + bytes([sealed[-1] ^ 1])
                connection.execute(update(table).where(table.c.row == row).values(sealed=broken))
        with pytest.raises(SealBroken):
            two.find_instance(path)
        with writing(engine) as connection:
            for row, sealed in rows:
                connection.execute(update(table).where(table.c.row == row).values(sealed=sealed))
        assert two.find_instance(path) is not None
