"""calendars say whose zone they have."""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "calendar", sa.Column("timezone_source", sa.String(length=16), nullable=False, server_default="")
    )
    op.add_column("calendar", sa.Column("provider_timezone", sa.String(), nullable=False, server_default=""))
    # These accounts always name a zone. Elsewhere "UTC" may only have stood for none: the next reading tells.
    op.execute(
        "UPDATE calendar SET timezone_source = 'provider', provider_timezone = timezone WHERE timezone <> 'UTC' "
        "OR connection_id IN (SELECT id FROM connection WHERE provider IN ('google', 'microsoft', 'calendly', 'file'))"
    )
    # An imported file is not read again: it has its owner's zone, or it named the one that it has.
    op.execute(
        "UPDATE calendar SET timezone_source = 'owner', provider_timezone = '' WHERE EXISTS ("
        "SELECT 1 FROM connection JOIN person ON person.id = connection.person_id WHERE connection.provider = 'file' "
        "AND connection.id = calendar.connection_id AND person.timezone = calendar.timezone)"
    )


def downgrade() -> None:
    for name in ("provider_timezone", "timezone_source"):
        op.drop_column("calendar", name)
