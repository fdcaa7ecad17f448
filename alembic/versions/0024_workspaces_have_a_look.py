"""Workspaces have a language, a colour, a logo, sites that may embed their pages; bookings know their campaign."""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op
from calendar_app.db.types import Json

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

_EMPTY = sa.text("''")


def upgrade() -> None:
    for name, kind, default in (
        ("language", sa.String(length=16), _EMPTY),
        ("accent", sa.String(length=7), _EMPTY),
        ("logo", sa.String(length=64), _EMPTY),
        ("sites", Json, sa.text("'[]'")),
        ("confirmation_text", sa.Text(), _EMPTY),
        ("shows_credit", sa.Boolean(), sa.true()),
    ):
        op.add_column("workspace", sa.Column(name, kind, nullable=False, server_default=default))
    op.create_table(
        "workspace_logo",
        sa.Column("workspace_id", sa.String(length=26), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id"],
            ["workspace.id"],
            name="fk_workspace_logo_workspace_id_workspace",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", name="pk_workspace_logo"),
    )
    op.create_index("ix_workspace_logo_name", "workspace_logo", ["name"])
    op.add_column("booking", sa.Column("campaign", Json, nullable=False, server_default=sa.text("'{}'")))


def downgrade() -> None:
    op.drop_column("booking", "campaign")
    op.drop_table("workspace_logo")
    for name in ("shows_credit", "confirmation_text", "sites", "logo", "accent", "language"):
        op.drop_column("workspace", name)
