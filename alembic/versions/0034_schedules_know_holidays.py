"""Working hours close on public holidays, and on days on which their owner is away."""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op
from calendar_app.db.types import Json

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("schedule", sa.Column("holidays", sa.String(length=16), server_default="", nullable=False))
    op.add_column("schedule", sa.Column("away", Json, server_default="[]", nullable=False))


def downgrade() -> None:
    op.drop_column("schedule", "away")
    op.drop_column("schedule", "holidays")
