"""What patients said, and until when projects are approved."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("consents", "projects"):
        op.create_table(
            name,
            sa.Column("token", sa.LargeBinary(16), primary_key=True),
            sa.Column("sealed", sa.LargeBinary, nullable=False),
            sqlite_with_rowid=False,
        )
