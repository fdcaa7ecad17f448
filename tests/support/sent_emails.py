"""Emails about bookings as a worker sends them, without a mail server: the texts stay to be read."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlmodel import col, select

from calendar_app.db.session import transaction
from calendar_app.db.tables import Mail
from calendar_app.services.booking_emails.writer import BookingWriter
from calendar_app.services.mail import outbox as mail_outbox


def send_due(*, now: datetime | None = None) -> None:
    """Write what is queued and count it as sent, in the order in which it was queued; with ``now`` only what is due by
    then. Reminders are written and wait."""
    writer = BookingWriter()
    with transaction() as session:
        query = select(Mail).where(Mail.state == mail_outbox.DUE, Mail.body == "")
        for row in session.exec(query.order_by(col(Mail.id))).all():
            later = row.next_attempt_at is not None and now is not None and row.next_attempt_at > now
            if later and row.kind != mail_outbox.REMINDER:
                continue
            method = writer.choose(session, row)
            if method is None:
                row.state = mail_outbox.DROPPED
                continue
            row.ics_method = method
            text = writer.write(session, row, datetime.now(UTC))
            row.subject, row.body, row.ics, row.reply_to = text.subject, text.body, text.ics, text.reply_to
            if row.kind != mail_outbox.REMINDER:
                row.state = mail_outbox.SENT
            session.flush()
