"""How long what has been done is kept: e-mails, the audit trail, the receipts of calendar writes,
and what other programs were told.

Each period is a setting in days; 0 keeps for ever. What is still needed is never trimmed: an e-mail is kept while its
booking is to come, so that the same occasion cannot queue a second one, and a receipt while its booking is to come.
Bookings themselves are kept until their workspace deletes them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, delete, or_
from sqlmodel import SQLModel, col, select

from calendar_app.clock import utc_now
from calendar_app.db.session import transaction
from calendar_app.db.tables import (
    AuditEntry,
    Booking,
    CalendarWrite,
    Deviation,
    Disconnection,
    Mail,
    WebhookMessage,
)
from calendar_app.services.mail.outbox import WAITING
from calendar_app.settings import Settings, get_settings

log = logging.getLogger(__name__)

BATCH = 500
"""Rows that one transaction deletes, so that bookings do not wait for a long one."""


@dataclass(frozen=True, slots=True)
class Kind:
    """Rows of ``table`` for which ``over``, given a moment, says that nobody needed them any more by then."""

    table: type[SQLModel]
    days: Callable[[Settings], int]
    over: Callable[[datetime], ColumnElement[bool]]


def _email_is_over(before: datetime) -> ColumnElement[bool]:
    to_come = select(Booking.id).where(col(Booking.end_at) >= before)
    of_the_past = or_(col(Mail.booking_id).is_(None), col(Mail.booking_id).not_in(to_come))
    return col(Mail.state).not_in(WAITING) & (col(Mail.created_at) < before) & of_the_past


def _receipt_is_over(before: datetime) -> ColumnElement[bool]:
    return col(CalendarWrite.booking_id).in_(select(Booking.id).where(col(Booking.end_at) < before))


KINDS = (
    Kind(Mail, lambda settings: settings.keep_emails_days, _email_is_over),
    Kind(AuditEntry, lambda settings: settings.keep_audit_days, lambda before: col(AuditEntry.at) < before),
    Kind(CalendarWrite, lambda settings: settings.keep_receipts_days, _receipt_is_over),
    Kind(
        Deviation,
        lambda settings: settings.keep_receipts_days,
        lambda before: col(Deviation.resolved_at) < before,
    ),
    Kind(
        Disconnection,
        lambda settings: settings.keep_receipts_days,
        lambda before: col(Disconnection.finished_at) < before,
    ),
    Kind(
        WebhookMessage,  # and with it its deliveries
        lambda settings: settings.keep_webhooks_days,
        lambda before: col(WebhookMessage.created_at) < before,
    ),
)


def trim(now: datetime | None = None, *, batch: int = BATCH) -> int:
    """Delete what is older than its period, ``batch`` rows at a time; how many rows. A part of the nightly clean-up."""
    settings, number = get_settings(), 0
    for kind in KINDS:
        if days := kind.days(settings):
            number += _delete(kind.table, kind.over((now or utc_now()) - timedelta(days=days)), batch)
    if number:
        log.info("old rows were deleted", extra={"rows": number})
    return number


def _delete(table: type[SQLModel], over: ColumnElement[bool], batch: int) -> int:
    key: ColumnElement[str] = table.__table__.c.id  # type: ignore[attr-defined]
    number = 0
    while True:
        with transaction() as session:
            ids = session.scalars(select(key).where(over).limit(batch)).all()
            session.execute(delete(table).where(key.in_(ids)))
        number += len(ids)
        if len(ids) < batch:
            return number
