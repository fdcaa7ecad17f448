"""grants say when they end."""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op
from calendar_app.db.types import UtcDateTime

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("connection", sa.Column("grant_ends_at", UtcDateTime(), nullable=True))


def downgrade() -> None:
    op.drop_column("connection", "grant_ends_at")
