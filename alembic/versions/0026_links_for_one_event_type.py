"""Private links to an event type, for one booking or many, until an end."""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op
from calendar_app.db.types import UtcDateTime

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "booking_link",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("event_type_id", sa.String(length=26), nullable=False),
        sa.Column("label", sa.String(length=100), nullable=False),
        sa.Column("single_use", sa.Boolean(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=True),
        sa.Column("booking_id", sa.String(length=26), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["event_type_id"],
            ["event_type.id"],
            name="fk_booking_link_event_type_id_event_type",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_booking_link"),
    )
    op.create_index("ix_booking_link_event_type_id", "booking_link", ["event_type_id"])


def downgrade() -> None:
    op.drop_table("booking_link")
