"""bookings, orders and emails know the language of who reads them; lines of orders what else was entered."""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op
from calendar_app.db.types import Json

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

_READ_BY_SOMEBODY = ("booking", "customer_order", "mail")


def upgrade() -> None:
    for table in _READ_BY_SOMEBODY:
        op.add_column(table, sa.Column("language", sa.String(length=16), nullable=False, server_default=""))
    op.add_column("order_line", sa.Column("details", Json, nullable=False, server_default="{}"))


def downgrade() -> None:
    op.drop_column("order_line", "details")
    for table in reversed(_READ_BY_SOMEBODY):
        op.drop_column(table, "language")
