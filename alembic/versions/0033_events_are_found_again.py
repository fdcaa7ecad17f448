"""events that were put in through us are found again by the id that they were given."""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op
from calendar_app.db.types import UtcDateTime

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "placed_event",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("calendar_id", sa.String(length=26), nullable=False),
        sa.Column("own_id", sa.String(), nullable=False),
        sa.Column("remote_id", sa.String(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["calendar_id"],
            ["calendar.id"],
            name="fk_placed_event_calendar_id_calendar",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_placed_event"),
    )
    op.create_index("ix_placed_event_remote", "placed_event", ["calendar_id", "remote_id"])


def downgrade() -> None:
    op.drop_table("placed_event")
