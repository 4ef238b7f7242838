"""Bring a database to the present tables, from the first migration on."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine

from server.catalog.database import reading, writing
from server.errors import ConfigurationError


def migrate(engine: Engine) -> None:
    """Apply the missing migrations in one transaction; of several processes, one does and the others find it done.

    Raises `ConfigurationError` if the database is of a later version than this program, `Busy` if it cannot answer.
    """
    config = _config()
    with writing(engine) as connection:
        _check_known(config, MigrationContext.configure(connection).get_current_revision())
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def check_migrated(engine: Engine) -> None:
    """Raise `ConfigurationError` unless the tables are exactly those that this program knows."""
    with reading(engine) as connection:
        current = MigrationContext.configure(connection).get_current_revision()
    if current != ScriptDirectory.from_config(_config()).get_current_head():
        raise ConfigurationError("the database is not at this program's version")


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _check_known(config: Config, current: str | None) -> None:
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if current is not None and current not in known:
        raise ConfigurationError("the database is of a later version than this program")
