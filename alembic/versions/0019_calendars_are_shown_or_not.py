"""Calendars are shown on the dashboard, or not."""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op
from calendar_app.db.types import UtcDateTime

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "calendar",
        sa.Column("shown_on_dashboard", sa.Boolean(), nullable=False, server_default=sa.true()),
    )
    op.add_column("calendar", sa.Column("used_since", UtcDateTime(), nullable=True))


def downgrade() -> None:
    op.drop_column("calendar", "used_since")
    op.drop_column("calendar", "shown_on_dashboard")
