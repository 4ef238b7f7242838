"""Series have a revision, sealed in their rows: a program that would not change it must not write here any more."""

from __future__ import annotations

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """The tables stay as they are."""
