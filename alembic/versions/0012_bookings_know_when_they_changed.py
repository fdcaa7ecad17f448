"""bookings know when they changed."""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op
from calendar_app.db.types import UtcDateTime

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """When bookings of before were moved is not known; their calendar files go on as they were."""
    op.add_column("booking", sa.Column("changed_at", UtcDateTime(), nullable=True))


def downgrade() -> None:
    op.drop_column("booking", "changed_at")
