"""The databases that every test of the catalogue runs on."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from catalog_world import new_catalog, postgresql_binaries, postgresql_server
from sqlalchemy import Engine

from server.catalog import Catalog, migrate, open_engine
from server.catalog.database import writing
from server.catalog.schema import metadata

_BINARIES = postgresql_binaries()
# Without a PostgreSQL server on the machine every test runs on SQLite.
ENGINES = ("sqlite", "postgresql") if _BINARIES else ("sqlite",)


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    assert _BINARIES is not None
    with postgresql_server(_BINARIES) as url:
        engine = open_engine(url)
        migrate(engine)
        engine.dispose()
        yield url


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("template") / "catalog.db"
    engine = open_engine(f"sqlite:///{file}")
    migrate(engine)
    engine.dispose()
    return file


@pytest.fixture(params=ENGINES)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a migrated, empty database."""
    if request.param == "sqlite":
        file = tmp_path / "catalog.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), file)
        return f"sqlite:///{file}"
    url: str = request.getfixturevalue("postgresql_url")
    engine = open_engine(url)
    with writing(engine) as connection:
        names = ", ".join(table.name for table in metadata.sorted_tables)
        connection.exec_driver_sql(f"TRUNCATE {names}")
    engine.dispose()
    return url


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = open_engine(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def catalog(engine: Engine) -> Catalog:
    return new_catalog(engine)
