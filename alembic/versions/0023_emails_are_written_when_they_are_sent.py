"""Emails about bookings are written when they are sent, from what their rows remember."""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op
from calendar_app.db.types import NullableJson

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("mail", sa.Column("facts", NullableJson, nullable=True))
    for name in ("version", "sequence"):
        op.add_column("mail", sa.Column(name, sa.Integer, nullable=False, server_default="0"))
    op.add_column(
        "mail", sa.Column("may_have_arrived", sa.Boolean, nullable=False, server_default=sa.false())
    )


def downgrade() -> None:
    for name in ("may_have_arrived", "sequence", "version", "facts"):
        op.drop_column("mail", name)
