"""calendars that lost their right to be written, and when an account's calendars are looked at again."""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op
from calendar_app.db.types import UtcDateTime

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("calendar", sa.Column("write_error_code", sa.String(), nullable=False, server_default=""))
    op.add_column("calendar", sa.Column("write_error", sa.Text(), nullable=False, server_default=""))
    op.add_column("calendar", sa.Column("write_lost_at", UtcDateTime(), nullable=True))
    op.add_column("connection", sa.Column("listing_due_at", UtcDateTime(), nullable=True))
    op.add_column("connection", sa.Column("listing_tries", sa.Integer(), nullable=False, server_default="0"))


def downgrade() -> None:
    for column in ("listing_due_at", "listing_tries"):
        op.drop_column("connection", column)
    for column in ("write_error_code", "write_error", "write_lost_at"):
        op.drop_column("calendar", column)
