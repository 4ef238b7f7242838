"""Statements within a transaction that is open, straight to the driver.

To build, compile and dress a statement takes longer than to run a short one. Only names out of the schema are written
into a statement.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Column, Connection, Table
from sqlalchemy.exc import DBAPIError


def run(connection: Connection, statement: str, parameters: Sequence[object]) -> list[tuple[Any, ...]]:
    """A statement with `?` in the place of each parameter; its rows, if it has any.

    What the driver raises becomes what the engine raises, and the connection is thrown away.
    """
    driver = connection.dialect.loaded_dbapi
    wire = connection.connection
    try:
        cursor = wire.cursor()
        cursor.execute(statement if connection.dialect.name == "sqlite" else statement.replace("?", "%s"), parameters)
        return [] if cursor.description is None else list(cursor.fetchall())
    except driver.Error as error:
        wire.invalidate(error)
        raise DBAPIError.instance(statement, None, error, driver.Error, hide_parameters=True) from error


def find(
    connection: Connection,
    columns: Sequence[Column[Any]],
    key: Column[Any],
    values: Sequence[object],
    *,
    within: tuple[Column[Any], object] | None = None,
) -> list[tuple[Any, ...]]:
    """These columns of the rows whose `key` is one of the values, in no order.

    `within`: only of the rows that have this value in that column.
    """
    names = ", ".join(column.name for column in columns)
    marks = ", ".join("?" * len(values))
    query = f"SELECT {names} FROM {key.table.name} WHERE {key.name} IN ({marks})"  # noqa: S608
    if within is None:
        return run(connection, query, list(values))
    return run(connection, f"{query} AND {within[0].name} = ?", [*values, within[1]])


def insert_rows(connection: Connection, table: Table, rows: Sequence[Mapping[str, object]]) -> None:
    """Insert rows of equal columns in one statement: over a network, one round trip instead of one for each."""
    columns = list(rows[0])
    names = ", ".join(table.c[column].name for column in columns)
    places = ", ".join(["(" + ", ".join("?" * len(columns)) + ")"] * len(rows))
    values = [row[column] for row in rows for column in columns]
    run(connection, f"INSERT INTO {table.name} ({names}) VALUES {places}", values)  # noqa: S608


def replace_sealed(connection: Connection, table: Table, row: bytes, sealed: bytes) -> None:
    """Put another sealed value into the row with this identifier."""
    run(connection, f"UPDATE {table.name} SET sealed = ? WHERE row = ?", [sealed, row])  # noqa: S608
