"""Channels say until when the access token lives that last vouched for them."""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op
from calendar_app.db.types import UtcDateTime

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("channel", sa.Column("vouched_until", UtcDateTime(), nullable=True))


def downgrade() -> None:
    op.drop_column("channel", "vouched_until")
