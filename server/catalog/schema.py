"""The tables. Plain are only random row identifiers, keyed tokens, parent rows and the state of the screening queue.

`WITHOUT ROWID` keeps SQLite from numbering rows in the order of storing, which could be set beside a hospital's diary.
PostgreSQL keeps such an order (transaction numbers); README and tests count with a thief who reads it.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    UniqueConstraint,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _random_key(name: str = "row") -> Column[Any]:
    return Column(name, LargeBinary(16), primary_key=True)


def _token(name: str) -> Column[Any]:
    return Column(name, LargeBinary(16), nullable=False)


def _blob(name: str) -> Column[Any]:
    return Column(name, LargeBinary, nullable=False)


studies = Table(
    "studies",
    metadata,
    _random_key(),
    _token("uid_token"),
    _blob("sealed"),
    UniqueConstraint("uid_token"),
    sqlite_with_rowid=False,
)

series = Table(
    "series",
    metadata,
    _random_key(),
    Column("study", LargeBinary(16), ForeignKey("studies.row"), nullable=False),
    _token("uid_token"),
    _blob("sealed"),
    UniqueConstraint("study", "uid_token"),
    sqlite_with_rowid=False,
)

instances = Table(
    "instances",
    metadata,
    _random_key(),
    Column("study", LargeBinary(16), ForeignKey("studies.row"), nullable=False),
    Column("series", LargeBinary(16), ForeignKey("series.row"), nullable=False, index=True),
    _token("uid_token"),
    _blob("sealed"),
    Column("screening", String(16), nullable=False),
    Column("lease_owner", String(64)),
    Column("lease_until", Float),
    Column("attempts", SmallInteger, nullable=False),
    Column("fault", String(32)),
    Column("rejected", SmallInteger, nullable=False, server_default="0"),
    UniqueConstraint("uid_token"),
    Index(None, "study"),
    Index(
        "ix_instances_pending",
        "row",
        sqlite_where=text("screening = 'pending'"),
        postgresql_where=text("screening = 'pending'"),
    ),
    Index(
        "ix_instances_review",
        "row",
        sqlite_where=text("screening IN ('failed', 'in review')"),
        postgresql_where=text("screening IN ('failed', 'in review')"),
    ),
    Index(
        "ix_instances_leased",
        "lease_owner",
        sqlite_where=text("lease_owner IS NOT NULL"),
        postgresql_where=text("lease_owner IS NOT NULL"),
    ),
    sqlite_with_rowid=False,
)

rejections = Table(
    "rejections",
    metadata,
    _random_key("token"),
    _blob("sealed"),
    sqlite_with_rowid=False,
)

postings = Table(
    "postings",
    metadata,
    _random_key("token"),
    Column("masked_row", LargeBinary(16), nullable=False),
    sqlite_with_rowid=False,
)

identifiers = Table(
    "identifiers",
    metadata,
    _random_key("value_token"),
    _token("key_token"),
    _blob("sealed"),
    UniqueConstraint("key_token"),
    sqlite_with_rowid=False,
)

wrapped_keys = Table(
    "wrapped_keys",
    metadata,
    Column("purpose", String(32), primary_key=True),
    _random_key("token"),
    _blob("wrapped"),
    sqlite_with_rowid=False,
)

sessions = Table(
    "sessions",
    metadata,
    _random_key("token"),
    Column("expires", Float, nullable=False, index=True),
    _blob("sealed"),
    sqlite_with_rowid=False,
)

shares = Table(
    "shares",
    metadata,
    _random_key("token"),
    _token("recipient"),
    _token("giver"),
    Column("expires", Float, nullable=False, index=True),
    _blob("sealed"),
    UniqueConstraint("recipient"),
    UniqueConstraint("giver"),
    sqlite_with_rowid=False,
)

uses = Table(
    "uses",
    metadata,
    Column("study", LargeBinary(16), ForeignKey("studies.row"), primary_key=True),
    _blob("sealed"),
    sqlite_with_rowid=False,
)

retired = Table(
    "retired",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("since", Float, nullable=False),
    sqlite_with_rowid=False,
)

worlds = Table(
    "worlds",
    metadata,
    _random_key("token"),
    _token("owner"),
    Column("used", BigInteger, nullable=False),
    _blob("sealed"),
    sqlite_with_rowid=False,
)

consents = Table(
    "consents",
    metadata,
    _random_key("token"),
    _blob("sealed"),
    sqlite_with_rowid=False,
)

projects = Table(
    "projects",
    metadata,
    _random_key("token"),
    _blob("sealed"),
    sqlite_with_rowid=False,
)

world_entries = Table(
    "world_entries",
    metadata,
    _random_key("world"),
    _random_key("entry"),
    _blob("sealed"),
    sqlite_with_rowid=False,
)
