"""what of calendars could not be read."""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op
from calendar_app.db.types import Json

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name, empty in (("unread", "[]"), ("listing_unread", "[]"), ("unread_told", "{}")):
        op.add_column("calendar", sa.Column(name, Json, nullable=False, server_default=empty))
    op.add_column("calendar", sa.Column("unread_count", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("event", sa.Column("unread", Json, nullable=True))


def downgrade() -> None:
    op.drop_column("event", "unread")
    for name in ("unread_count", "unread_told", "listing_unread", "unread"):
        op.drop_column("calendar", name)
