"""holds remember the booking that was made with them."""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("hold", sa.Column("booking_id", sa.String(length=26), nullable=True))


def downgrade() -> None:
    op.drop_column("hold", "booking_id")
