"""installations have an id."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from alembic import op
from calendar_app.db.ids import new_id
from calendar_app.db.types import UtcDateTime

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

OLDER_CODE_RUNS = timedelta(days=1)
"""How long an upgrade may take, from this migration to the end of the last process of the release before."""


def upgrade() -> None:
    made = op.create_table(
        "installation",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("restored_at", UtcDateTime(), nullable=True),
        sa.Column("older_code_until", UtcDateTime(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    now = datetime.now(UTC)
    in_use = op.get_bind().execute(sa.text("SELECT 1 FROM person LIMIT 1")).first() is not None
    op.bulk_insert(
        made,
        [
            {
                "id": new_id(),
                "restored_at": None,
                "older_code_until": now + OLDER_CODE_RUNS if in_use else None,
                "created_at": now,
            }
        ],
    )


def downgrade() -> None:
    op.drop_table("installation")
