"""outside changes, private feeds, disconnections as work; channels keep their secret."""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op
from calendar_app.db.types import EncryptedText, Json, UtcDateTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # A channel without its secret is of no use; the hourly job opens new ones.
    op.execute("DELETE FROM channel")
    with op.batch_alter_table("channel") as table:
        table.drop_column("token_hash")
        table.add_column(sa.Column("secret", EncryptedText(), nullable=False))
    for name in ("outside_moves", "outside_deletes"):
        op.add_column(
            "workspace", sa.Column(name, sa.String(length=16), nullable=False, server_default="flag")
        )
    op.add_column("connection", sa.Column("retry_at", UtcDateTime(), nullable=True))
    op.add_column("order_line", sa.Column("booking_id", sa.String(length=26), nullable=True))
    op.create_table(
        "feed",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("workspace_id", sa.String(length=26), nullable=False),
        sa.Column("person_id", sa.String(length=26), nullable=False),
        sa.Column("secret", EncryptedText(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("last_read_at", UtcDateTime(), nullable=True),
        sa.Column("revoked_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name=op.f("fk_feed_person_id_person"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id"],
            ["workspace.id"],
            name=op.f("fk_feed_workspace_id_workspace"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_feed")),
        sa.UniqueConstraint("digest", name=op.f("uq_feed_digest")),
    )
    op.create_index(op.f("ix_feed_person_id"), "feed", ["person_id"], unique=False)
    op.create_index(op.f("ix_feed_workspace_id"), "feed", ["workspace_id"], unique=False)
    op.create_table(
        "disconnection",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("workspace_id", sa.String(length=26), nullable=False),
        sa.Column("connection_id", sa.String(length=26), nullable=False),
        sa.Column("person_id", sa.String(length=26), nullable=False),
        sa.Column("bookings", sa.String(length=16), nullable=False),
        sa.Column("move_to", sa.String(length=26), nullable=True),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("failed", sa.Integer(), nullable=False),
        sa.Column("revoked", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=False),
        sa.Column("lease_until", UtcDateTime(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("finished_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["connection_id"],
            ["connection.id"],
            name=op.f("fk_disconnection_connection_id_connection"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name=op.f("fk_disconnection_person_id_person"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id"],
            ["workspace.id"],
            name=op.f("fk_disconnection_workspace_id_workspace"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_disconnection")),
    )
    op.create_index(op.f("ix_disconnection_connection_id"), "disconnection", ["connection_id"], unique=False)
    op.create_index(op.f("ix_disconnection_person_id"), "disconnection", ["person_id"], unique=False)
    op.create_index(op.f("ix_disconnection_state"), "disconnection", ["state"], unique=False)
    op.create_index(op.f("ix_disconnection_workspace_id"), "disconnection", ["workspace_id"], unique=False)
    op.create_table(
        "deviation",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("workspace_id", sa.String(length=26), nullable=False),
        sa.Column("booking_id", sa.String(length=26), nullable=True),
        sa.Column("calendar_id", sa.String(length=26), nullable=False),
        sa.Column("remote_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("detail", Json, nullable=False),
        sa.Column("found_at", UtcDateTime(), nullable=False),
        sa.Column("resolved_at", UtcDateTime(), nullable=True),
        sa.Column("resolution", sa.String(length=16), nullable=False),
        sa.ForeignKeyConstraint(
            ["booking_id"], ["booking.id"], name=op.f("fk_deviation_booking_id_booking"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["calendar_id"],
            ["calendar.id"],
            name=op.f("fk_deviation_calendar_id_calendar"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id"],
            ["workspace.id"],
            name=op.f("fk_deviation_workspace_id_workspace"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deviation")),
    )
    op.create_index(op.f("ix_deviation_booking_id"), "deviation", ["booking_id"], unique=False)
    op.create_index(op.f("ix_deviation_calendar_id"), "deviation", ["calendar_id"], unique=False)
    op.create_index("ix_deviation_open", "deviation", ["workspace_id", "resolved_at"], unique=False)


def downgrade() -> None:
    for table in ("deviation", "disconnection", "feed"):
        op.drop_table(table)
    op.drop_column("order_line", "booking_id")
    op.drop_column("connection", "retry_at")
    for name in ("outside_moves", "outside_deletes"):
        op.drop_column("workspace", name)
    op.execute("DELETE FROM channel")
    with op.batch_alter_table("channel") as table:
        table.drop_column("secret")
        table.add_column(sa.Column("token_hash", sa.String(length=64), nullable=False))
