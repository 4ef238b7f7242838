"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "studies",
        sa.Column("row", sa.LargeBinary(16), primary_key=True),
        sa.Column("uid_token", sa.LargeBinary(16), nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("uid_token", name="uq_studies_uid_token"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "series",
        sa.Column("row", sa.LargeBinary(16), primary_key=True),
        sa.Column("study", sa.LargeBinary(16), sa.ForeignKey("studies.row", name="fk_series_study"), nullable=False),
        sa.Column("uid_token", sa.LargeBinary(16), nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("study", "uid_token", name="uq_series_study_uid_token"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "instances",
        sa.Column("row", sa.LargeBinary(16), primary_key=True),
        sa.Column("study", sa.LargeBinary(16), sa.ForeignKey("studies.row", name="fk_instances_study"), nullable=False),
        sa.Column(
            "series", sa.LargeBinary(16), sa.ForeignKey("series.row", name="fk_instances_series"), nullable=False
        ),
        sa.Column("uid_token", sa.LargeBinary(16), nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("screening", sa.String(16), nullable=False),
        sa.Column("lease_owner", sa.String(64)),
        sa.Column("lease_until", sa.Float),
        sa.Column("attempts", sa.SmallInteger, nullable=False),
        sa.UniqueConstraint("uid_token", name="uq_instances_uid_token"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_instances_study", "instances", ["study"])
    op.create_index("ix_instances_series", "instances", ["series"])
    op.create_index(
        "ix_instances_pending",
        "instances",
        ["row"],
        sqlite_where=sa.text("screening = 'pending'"),
        postgresql_where=sa.text("screening = 'pending'"),
    )
    op.create_table(
        "postings",
        sa.Column("token", sa.LargeBinary(16), primary_key=True),
        sa.Column("masked_row", sa.LargeBinary(16), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "identifiers",
        sa.Column("value_token", sa.LargeBinary(16), primary_key=True),
        sa.Column("key_token", sa.LargeBinary(16), nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("key_token", name="uq_identifiers_key_token"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "wrapped_keys",
        sa.Column("purpose", sa.String(32), primary_key=True),
        sa.Column("token", sa.LargeBinary(16), primary_key=True),
        sa.Column("wrapped", sa.LargeBinary, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "sessions",
        sa.Column("token", sa.LargeBinary(16), primary_key=True),
        sa.Column("expires", sa.Float, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_sessions_expires", "sessions", ["expires"])
