"""Calendars say until when they were read ahead, while they are listed for the first time."""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op
from calendar_app.db.types import UtcDateTime

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("calendar", sa.Column("ahead_at", UtcDateTime(), nullable=True))
    op.add_column("calendar", sa.Column("ahead_until", UtcDateTime(), nullable=True))


def downgrade() -> None:
    op.drop_column("calendar", "ahead_until")
    op.drop_column("calendar", "ahead_at")
