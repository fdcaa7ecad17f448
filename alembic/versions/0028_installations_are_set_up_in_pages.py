"""What operators enter in pages, who set the installation up, and the codes that open its set-up page."""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op
from calendar_app.db.types import EncryptedText, UtcDateTime

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "entered_setting",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("value", EncryptedText(), nullable=False),
        sa.Column("changed_by", sa.String(), nullable=False),
        sa.Column("changed_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_entered_setting"),
        sa.UniqueConstraint("name", name="uq_entered_setting_name"),
    )
    op.create_table(
        "setup_code",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("code_hash", sa.String(length=64), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_setup_code"),
    )
    op.add_column("installation", sa.Column("set_up_at", UtcDateTime(), nullable=True))
    # Whoever is here has set it up already, in another way.
    op.execute("UPDATE installation SET set_up_at = CURRENT_TIMESTAMP WHERE EXISTS (SELECT 1 FROM person)")
    op.add_column("installation", sa.Column("owner_id", sa.String(length=26), nullable=True))
    op.add_column("connection", sa.Column("granted_at", UtcDateTime(), nullable=True))


def downgrade() -> None:
    op.drop_column("connection", "granted_at")
    op.drop_column("installation", "owner_id")
    op.drop_column("installation", "set_up_at")
    op.drop_table("setup_code")
    op.drop_table("entered_setting")
