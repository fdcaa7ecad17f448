"""when external changes are due is a column."""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op
from calendar_app.db.types import UtcDateTime

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("deviation", sa.Column("attempts", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("deviation", sa.Column("next_attempt_at", UtcDateTime(), nullable=True))


def downgrade() -> None:
    op.drop_column("deviation", "next_attempt_at")
    op.drop_column("deviation", "attempts")
