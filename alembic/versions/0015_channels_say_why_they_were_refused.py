"""channels say why they were refused."""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("channel", sa.Column("refusal", sa.Text(), nullable=False, server_default=""))


def downgrade() -> None:
    op.drop_column("channel", "refusal")
