"""Rejected instances, and those that a note rejects before they come."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("instances", sa.Column("rejected", sa.SmallInteger, nullable=False, server_default="0"))
    op.create_table(
        "rejections",
        sa.Column("token", sa.LargeBinary(16), primary_key=True),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sqlite_with_rowid=False,
    )
