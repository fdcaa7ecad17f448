"""the audit trail only grows: what was kept in it has places of its own."""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op
from calendar_app.db.types import Json, UtcDateTime

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name, length in (("actor_kind", 16), ("token", 100)):
        op.add_column(
            "audit_entry", sa.Column(name, sa.String(length=length), nullable=False, server_default="")
        )
    op.add_column("customer_order", sa.Column("taken_by", sa.String(length=26), nullable=True))
    op.execute(
        "UPDATE customer_order SET taken_by = (SELECT max(person_id) FROM audit_entry "
        "WHERE subject_type = 'order' AND action = 'order.created' AND subject_id = customer_order.id)"
    )
    runs = op.create_table(
        "drift_run",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("connection_id", sa.String(), nullable=False),
        sa.Column("workspace_id", sa.String(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("checked", sa.Integer(), nullable=False),
        sa.Column("unread", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["connection_id"], ["connection.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("connection_id"),
    )
    op.create_index("ix_drift_run_workspace_id", "drift_run", ["workspace_id"])
    _take_over(runs)


def _take_over(runs: sa.Table) -> None:
    """The last run of each connection, which earlier releases kept in the trail."""
    entry = sa.table(
        "audit_entry",
        sa.column("id"),
        sa.column("workspace_id"),
        sa.column("subject_id"),
        sa.column("action"),
        sa.column("at", UtcDateTime()),
        sa.column("detail", Json),
    )
    connections = sa.select(sa.table("connection", sa.column("id")).c.id)
    query = sa.select(entry).where(entry.c.action == "drift.checked", entry.c.subject_id.in_(connections))
    found = {row.subject_id: row for row in op.get_bind().execute(query.order_by(entry.c.id))}
    for connection_id, row in found.items():
        op.get_bind().execute(
            runs.insert().values(
                id=row.id,
                connection_id=connection_id,
                workspace_id=row.workspace_id,
                at=row.at,
                checked=int(row.detail.get("checked", 0)),
                unread=int(row.detail.get("left", 0)),
                reason=str(row.detail.get("reason", "")),
            )
        )


def downgrade() -> None:
    op.drop_table("drift_run")
    op.drop_column("customer_order", "taken_by")
    for name in ("token", "actor_kind"):
        op.drop_column("audit_entry", name)
