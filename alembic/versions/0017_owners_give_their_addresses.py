"""Owners of accounts give their addresses there."""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op
from calendar_app.db.types import Json

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("connection", sa.Column("addresses", Json, nullable=False, server_default="[]"))


def downgrade() -> None:
    op.drop_column("connection", "addresses")
