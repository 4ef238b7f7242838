"""Engines and transactions. One writer at a time on both engines, so that get-or-create needs no second thought.

SQLite: WAL, `BEGIN IMMEDIATE` for writes, every commit synced. PostgreSQL: a transaction-level advisory lock.
"""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, cached_property
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Column, Connection, Dialect, Engine, Select, Table, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, DBAPIError, IntegrityError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import PoolProxiedConnection, QueuePool

from server.errors import Busy, ConfigurationError

PATIENCE_SECONDS = 30
_WRITER_LOCK = 0x5AFE1164
# What begins a reading transaction: of PostgreSQL, of SQLite.
_READS = ("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY", "BEGIN")
# Waiting for a lock, query cancelled, shutting down or starting up, too many connections, serialisation, deadlock.
_BUSY_STATES = frozenset({"55P03", "57014", "57P01", "57P02", "57P03", "53300", "40001", "40P01"})


def open_engine(url: str) -> Engine:
    """An engine for `sqlite:////absolute/file` or `postgresql+pg8000://…`; connects lazily.

    The file of SQLite is made with mode 0600 if it is absent. PostgreSQL off the loopback address is reached over TLS
    alone, by a certificate that the system trusts for its name (RFC 9325). Raises `ConfigurationError` for any other
    database, and for SQLite without a file.
    """
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise ConfigurationError("the database address cannot be understood") from error
    kind = parsed.drivername
    if kind not in {"sqlite", "sqlite+pysqlite", "postgresql+pg8000"}:
        raise ConfigurationError("the database is neither sqlite nor postgresql+pg8000")
    lite = kind.startswith("sqlite")
    if lite:
        if parsed.database in {None, "", ":memory:"} or "uri" in parsed.query:
            raise ConfigurationError("SQLite needs a file")
        _make_private(Path(str(parsed.database)))
    # A database elsewhere is spoken to over TLS alone, with a certificate that the system trusts for its name.
    tls = {} if lite or _is_here(parsed) else {"ssl_context": ssl.create_default_context()}
    # Parameters are tokens and sealed bytes, yet they have no business in an error text either.
    engine = create_engine(parsed, poolclass=QueuePool, pool_pre_ping=not lite, hide_parameters=True, connect_args=tls)
    event.listen(engine, "connect", _prepare_sqlite if lite else _prepare_postgresql)
    event.listen(engine, "begin", _begin_sqlite if lite else _begin_postgresql)
    return engine


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A short transaction that only reads, on one snapshot. Raises `Busy` when the database cannot answer."""
    with _translated(), engine.connect() as connection, connection.begin():
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """The one writing transaction; durable when this returns, without effect when it raises. Raises `Busy`."""
    with _translated(), engine.execution_options(safelight_writes=True).connect() as connection, connection.begin():
        yield connection


class Snapshot:
    """A reading transaction that was begun on a connection of the driver, past all that makes `reading` costly."""

    def __init__(self, engine: Engine, wire: PoolProxiedConnection) -> None:
        self.wire = wire
        self.dialect = engine.dialect
        self._engine = engine

    @cached_property
    def connection(self) -> Connection:
        """The same transaction for statements that are made up on the spot."""
        return Connection(self._engine.execution_options(safelight_begun=True), self.wire)


@contextmanager
def at_once(engine: Engine) -> Iterator[Snapshot]:
    """As `reading`: one short transaction that only reads, for `fetch` and `fetch_by`. Raises `Busy`."""
    with _translated():
        snapshot = Snapshot(engine, engine.raw_connection())
        try:
            run(snapshot, _READS[engine.dialect.name == "sqlite"], ())
            yield snapshot
        finally:
            # The pool rolls back what it takes back.
            snapshot.wire.close()


def fetch(
    engine: Engine,
    columns: Sequence[Column[Any]],
    key: Column[Any],
    values: Sequence[object],
    *,
    within: tuple[Column[Any], object] | None = None,
    snapshot: Snapshot | Connection | None = None,
) -> list[tuple[Any, ...]]:
    """These columns of the rows whose `key` is one of the values, in no order: what every request asks, several times.

    `within`: only of the rows that have this value in that column. One statement, which is a snapshot by itself or
    belongs to `snapshot`. Raises `Busy`.
    """
    # Only names out of the schema are written into the statement.
    names = ", ".join(column.name for column in columns)
    marks = ", ".join("?" * len(values))
    query = f"SELECT {names} FROM {key.table.name} WHERE {key.name} IN ({marks})"  # noqa: S608
    parameters = list(values)
    if within is not None:
        query += f" AND {within[0].name} = ?"
        parameters.append(within[1])
    with _translated():
        return _alone(engine, query, parameters) if snapshot is None else run(snapshot, query, parameters)


def fetch_by(
    engine: Engine, query: Select[Any], values: Mapping[str, object], snapshot: Snapshot | None = None
) -> list[tuple[Any, ...]]:
    """The rows of a query that was built once, of bytes, texts and numbers alone; otherwise as `fetch`."""
    written, marks = _compiled(query, engine.dialect)
    parameters = [values.get(name, known) for name, known in marks]
    with _translated():
        return _alone(engine, written, parameters) if snapshot is None else run(snapshot, written, parameters)


@cache
def _compiled(query: Select[Any], dialect: Dialect) -> tuple[str, list[tuple[str, object]]]:
    """A query as the driver takes it, and which value stands at which mark, with those that the query has itself."""
    compiled = query.compile(dialect=dialect)
    return str(compiled), [(name, compiled.params[name]) for name in compiled.positiontup or ()]


def _alone(engine: Engine, statement: str, parameters: Sequence[object]) -> list[tuple[Any, ...]]:
    wire = engine.raw_connection()
    try:
        return _driven(engine.dialect, wire, statement, parameters)
    finally:
        wire.close()


def run(within: Connection | Snapshot, statement: str, parameters: Sequence[object]) -> list[tuple[Any, ...]]:
    """A statement with `?` in the place of each parameter, in the transaction of `within`; its rows, if it has any.

    It goes straight to the driver: to build, compile and dress a statement takes longer than to run a short one.
    """
    wire = within.wire if isinstance(within, Snapshot) else within.connection
    return _driven(within.dialect, wire, statement, parameters)


def _driven(
    dialect: Dialect, connection: PoolProxiedConnection, statement: str, parameters: Sequence[object]
) -> list[tuple[Any, ...]]:
    driver = dialect.loaded_dbapi
    try:
        cursor = connection.cursor()
        cursor.execute(statement if dialect.name == "sqlite" else statement.replace("?", "%s"), parameters)
        return [] if cursor.description is None else list(cursor.fetchall())
    except driver.Error as error:
        connection.invalidate(error)
        raise DBAPIError.instance(statement, None, error, driver.Error, hide_parameters=True) from error


def insert_many(connection: Connection, table: Table, rows: Sequence[Mapping[str, object]]) -> None:
    """Insert rows of equal columns in one statement: over a network, one round trip instead of one for each."""
    columns = list(rows[0])
    places = ", ".join(["(" + ", ".join("?" * len(columns)) + ")"] * len(rows))
    # Only names out of the schema are written into the statement.
    names = ", ".join(table.c[column].name for column in columns)
    values = [row[column] for row in rows for column in columns]
    run(connection, f"INSERT INTO {table.name} ({names}) VALUES {places}", values)  # noqa: S608


def replace_sealed(connection: Connection, table: Table, row: bytes, sealed: bytes) -> None:
    """Put another sealed value into the row with this identifier."""
    run(connection, f"UPDATE {table.name} SET sealed = ? WHERE row = ?", [sealed, row])  # noqa: S608


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (OperationalError, InterfaceError, PoolTimeout, IntegrityError) as error:
        # A lost race for a unique token stored nothing, so trying again is right.
        raise Busy("the catalogue's database did not take the transaction") from error
    except DatabaseError as error:
        if _sqlstate(error) in _BUSY_STATES:
            raise Busy("the catalogue's database is busy") from error
        raise


def _is_here(url: URL) -> bool:
    """Whether a database is on this machine: by a Unix socket, or at the loopback address."""
    if "unix_sock" in url.query:
        return True
    try:
        return url.host == "localhost" or ip_address(url.host or "").is_loopback
    except ValueError:
        return False


def _sqlstate(error: DatabaseError) -> str:
    details = error.orig.args[0] if error.orig is not None and error.orig.args else None
    return str(details.get("C", "")) if isinstance(details, dict) else ""


def _make_private(file: Path) -> None:
    try:
        os.close(os.open(file, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise ConfigurationError("the file of the database cannot be opened for writing") from error


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # The driver's own transaction handling would begin too late (before the first write only).
    connection.isolation_level = None
    for pragma in (
        f"busy_timeout = {PATIENCE_SECONDS * 1000}",
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
        "secure_delete = ON",
        "temp_store = MEMORY",
        "trusted_schema = OFF",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    options = connection.get_execution_options()
    if not options.get("safelight_begun", False):
        connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get("safelight_writes", False) else _READS[True])


def _prepare_postgresql(connection: Any, _record: object) -> None:
    # The driver writes in small pieces, and the kernel would hold each back until the one before is acknowledged.
    wire = getattr(connection, "_usock", None)
    if wire is not None and wire.family in {socket.AF_INET, socket.AF_INET6}:
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    cursor = connection.cursor()
    cursor.execute(f"SET lock_timeout = '{PATIENCE_SECONDS}s'")
    # A server set to acknowledge before the disk has it must not make us acknowledge either.
    cursor.execute("SET synchronous_commit = 'on'")
    cursor.close()
    connection.commit()


def _begin_postgresql(connection: Connection) -> None:
    options = connection.get_execution_options()
    if options.get("safelight_begun", False):
        return
    if options.get("safelight_writes", False):
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_WRITER_LOCK})")
    else:
        connection.exec_driver_sql(_READS[False])
