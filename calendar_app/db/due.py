"""When leased work may be taken up: what is due by its row, and what nobody is at; as SQL and of a row.

SQLite knows no other clock than its machine's. While that ran ahead, what failed was put off to a time that lies as far
ahead as the clock did, and what was claimed was claimed until then. Once it is set right nobody should wait for that: a
row that was tried in the future is due, and a lease that ends later than any taken now would is nobody's.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, not_, or_

SLACK = timedelta(minutes=1)
"""Differences of clocks that mean nothing."""


def is_due(at: datetime | None, tried_at: datetime | None, now: datetime) -> bool:
    """Whether work that was put off to ``at`` when it was last tried, at ``tried_at``, may be tried; ``at`` ``None``
    means at once, ``tried_at`` ``None`` that it was planned for that time and not put off."""
    return at is None or at <= now or (tried_at is not None and tried_at > now + SLACK)


def due(at: Any, tried_at: Any, now: datetime) -> ColumnElement[bool]:
    """:func:`is_due` of two columns."""
    return or_(at.is_(None), at <= now, and_(tried_at.is_not(None), tried_at > now + SLACK))


def is_free(lease_until: datetime | None, length: timedelta, now: datetime) -> bool:
    """Whether nobody is at the work; ``length`` is that of its leases."""
    return lease_until is None or not now < lease_until <= now + length + SLACK


def free(lease_until: Any, length: timedelta, now: datetime) -> ColumnElement[bool]:
    """:func:`is_free` of a column."""
    return or_(lease_until.is_(None), not_(and_(lease_until > now, lease_until <= now + length + SLACK)))
