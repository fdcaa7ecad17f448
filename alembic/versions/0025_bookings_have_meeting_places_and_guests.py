"""bookings have meeting places, guests, a phone number and notes."""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op
from calendar_app.db.types import Json

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("event_type", _json("meeting_places", "[]"))
    op.add_column("event_type", _json("form_parts", "{}"))
    for name, length in (("place_kind", 24), ("phone", 32), ("booked_by_email", 320)):
        op.add_column("booking", _text(name, sa.String(length=length)))
    for name in ("place_label", "booked_by_name"):
        op.add_column("booking", _text(name, sa.String()))
    op.add_column("booking", _text("notes", sa.Text()))
    op.add_column("booking", _json("guests", "[]"))


def _json(name: str, stored: str) -> sa.Column[object]:
    return sa.Column(name, Json, nullable=False, server_default=stored)


def _text(name: str, kind: sa.types.TypeEngine[str]) -> sa.Column[str]:
    return sa.Column(name, kind, nullable=False, server_default="")


def downgrade() -> None:
    for name in (
        "guests",
        "notes",
        "booked_by_name",
        "place_label",
        "booked_by_email",
        "phone",
        "place_kind",
    ):
        op.drop_column("booking", name)
    op.drop_column("event_type", "form_parts")
    op.drop_column("event_type", "meeting_places")
