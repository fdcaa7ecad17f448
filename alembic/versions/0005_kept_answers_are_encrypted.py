"""kept answers are encrypted."""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op
from calendar_app.db.types import EncryptedText

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("idempotency_record", sa.Column("answer", EncryptedText(), nullable=True))


def downgrade() -> None:
    op.drop_column("idempotency_record", "answer")
