"""What a database is told: every statement, by whatever road it comes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from pg8000 import legacy
from sqlalchemy import Engine, event


@contextmanager
def told(engine: Engine) -> Iterator[list[str]]:
    """The statements that are run meanwhile, by connections that are taken meanwhile; of SQLite with their values."""
    said: list[str] = []
    execute = legacy.Cursor.execute

    def executed(cursor: Any, statement: str, *given: Any, **named: Any) -> Any:
        said.append(statement)
        return execute(cursor, statement, *given, **named)

    def taken(connection: Any, *_: object) -> None:
        connection.set_trace_callback(said.append)

    def returned(connection: Any, *_: object) -> None:
        if connection is not None:
            connection.set_trace_callback(None)

    if engine.dialect.name != "sqlite":
        with patch.object(legacy.Cursor, "execute", executed):
            yield said
        return
    event.listen(engine, "checkout", taken)
    event.listen(engine, "checkin", returned)
    try:
        yield said
    finally:
        event.remove(engine, "checkout", taken)
        event.remove(engine, "checkin", returned)
