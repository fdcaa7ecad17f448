"""Calendars say when they are read and listed in full next, and on what grounds; channels say whether they are trusted.

Rows of before have no plan: they are read as the release before would, and planned then.
"""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op
from calendar_app.db.types import UtcDateTime

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None

_MOMENTS = ("reading_due_at", "full_due_at", "changed_at", "viewed_at")


def upgrade() -> None:
    for name in _MOMENTS:
        op.add_column("calendar", sa.Column(name, UtcDateTime(), nullable=True))
    op.add_column(
        "calendar", sa.Column("relies_on_push", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    op.add_column("calendar", sa.Column("wish_seconds", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("channel", sa.Column("suspected_at", UtcDateTime(), nullable=True))


def downgrade() -> None:
    op.drop_column("channel", "suspected_at")
    for name in ("wish_seconds", "relies_on_push", *reversed(_MOMENTS)):
        op.drop_column("calendar", name)
