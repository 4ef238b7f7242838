"""Prepared rows of searches."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "worlds",
        sa.Column("token", sa.LargeBinary(16), primary_key=True),
        sa.Column("owner", sa.LargeBinary(16), nullable=False),
        sa.Column("used", sa.BigInteger, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "world_entries",
        sa.Column("world", sa.LargeBinary(16), primary_key=True),
        sa.Column("entry", sa.LargeBinary(16), primary_key=True),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sqlite_with_rowid=False,
    )
