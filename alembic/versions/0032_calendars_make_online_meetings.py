"""Calendars make online meetings, one of a booking's calendars for it.

What the calendars that we know can make is known once their account is listed again, within six hours where they
receive bookings.
"""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op
from calendar_app.db.types import Json

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("calendar", sa.Column("meeting_kinds", Json, nullable=False, server_default="[]"))
    op.add_column("calendar_write", _text("meeting", sa.String(length=24)))
    op.add_column("calendar_write", _text("meeting_state", sa.String(length=16)))
    op.add_column("booking", _text("meeting_error", sa.Text()))


def _text(name: str, kind: sa.types.TypeEngine[str]) -> sa.Column[str]:
    return sa.Column(name, kind, nullable=False, server_default="")


def downgrade() -> None:
    op.drop_column("booking", "meeting_error")
    op.drop_column("calendar_write", "meeting_state")
    op.drop_column("calendar_write", "meeting")
    op.drop_column("calendar", "meeting_kinds")
