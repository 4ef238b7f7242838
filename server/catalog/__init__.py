"""The catalogue: what is stored, sealed row by row, on SQLite or PostgreSQL. SQL lives here and nowhere else."""

from server.catalog.access import RowSealer
from server.catalog.catalog import Catalog
from server.catalog.database import open_engine
from server.catalog.keys import KeyPurpose, WrappedKey
from server.catalog.keywords import StudyQuery
from server.catalog.migrate import check_migrated, migrate
from server.catalog.new_instance import Duplicate, NewInstance, Registered

__all__ = [
    "Catalog",
    "Duplicate",
    "KeyPurpose",
    "NewInstance",
    "Registered",
    "RowSealer",
    "StudyQuery",
    "WrappedKey",
    "check_migrated",
    "migrate",
    "open_engine",
]
