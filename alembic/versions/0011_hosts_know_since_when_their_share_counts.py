"""hosts know since when their share counts."""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op
from calendar_app.db.types import UtcDateTime

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Hosts of before have been there for as long as anybody counts."""
    op.add_column("event_type_host", sa.Column("share_since", UtcDateTime(), nullable=True))


def downgrade() -> None:
    op.drop_column("event_type_host", "share_since")
