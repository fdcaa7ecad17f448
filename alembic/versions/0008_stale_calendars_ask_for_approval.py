"""stale calendars ask for approval, unless their owners chose otherwise."""

from __future__ import annotations

import json

import sqlalchemy as sa

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """``keep`` was the default. It stays where the trail says that somebody chose it."""
    connection = op.get_bind()
    trail = connection.execute(
        sa.text(
            "SELECT subject_id, detail FROM audit_entry WHERE action = 'calendar.updated' "
            "AND subject_type = 'calendar' ORDER BY at, id"
        )
    )
    chosen: dict[str, str] = {}
    for calendar_id, stored in trail:
        detail = json.loads(stored) if isinstance(stored, str | bytes) else stored
        if "stale_policy" in (detail or {}):
            chosen[calendar_id] = str(detail["stale_policy"])
    op.execute("UPDATE calendar SET stale_policy = 'approve' WHERE stale_policy = 'keep'")
    for calendar_id, policy in chosen.items():
        if policy == "keep":
            connection.execute(
                sa.text("UPDATE calendar SET stale_policy = 'keep' WHERE id = :id"), {"id": calendar_id}
            )


def downgrade() -> None:
    """Nothing: the release before knows every policy."""
