"""The review of films: why a screening failed, who is busy, which studies were looked at last, what to delete."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("instances", sa.Column("fault", sa.String(32)))
    review, leased = sa.text("screening IN ('failed', 'in review')"), sa.text("lease_owner IS NOT NULL")
    op.create_index("ix_instances_review", "instances", ["row"], sqlite_where=review, postgresql_where=review)
    op.create_index("ix_instances_leased", "instances", ["lease_owner"], sqlite_where=leased, postgresql_where=leased)
    op.create_table(
        "uses",
        sa.Column("study", sa.LargeBinary(16), sa.ForeignKey("studies.row", name="fk_uses_study"), primary_key=True),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "retired",
        sa.Column("name", sa.String(32), primary_key=True),
        sa.Column("since", sa.Float, nullable=False),
        sqlite_with_rowid=False,
    )
