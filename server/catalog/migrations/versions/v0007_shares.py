"""What people share with one another."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "shares",
        sa.Column("token", sa.LargeBinary(16), primary_key=True),
        sa.Column("recipient", sa.LargeBinary(16), nullable=False),
        sa.Column("giver", sa.LargeBinary(16), nullable=False),
        sa.Column("expires", sa.Float, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("recipient", name="uq_shares_recipient"),
        sa.UniqueConstraint("giver", name="uq_shares_giver"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_shares_expires", "shares", ["expires"])
