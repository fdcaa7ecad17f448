"""Letters that must go out: queued in the transaction that made them due, handed over by a worker, once.

A letter's ``dedupe`` names its occasion, so the same occasion cannot queue twice, and its Message-ID is made of that, so
a letter that a mail server took just before we crashed is the same letter when it is sent again (SMTP has no stronger
promise: RFC 5321 §6.1). Nothing here touches a booking's calendars: mail and calendars fail independently.
"""

from __future__ import annotations

import hashlib
import logging
import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from sqlalchemy import or_, update
from sqlmodel import Session, col, select

from calendar_app import queues
from calendar_app.db.session import after_commit, reading, transaction
from calendar_app.db.tables import Booking, Mail
from calendar_app.errors import AlmanacError, ProviderUnavailable
from calendar_app.providers import mail as smtp
from calendar_app.settings import get_settings

log = logging.getLogger(__name__)

QUEUED, SENT, FAILED, DROPPED = "queued", "sent", "failed", "dropped"
LEASE = timedelta(seconds=60)
MAX_ATTEMPTS = 12
REMINDER = "reminder"
_LONGEST_DELAY = 3600.0


@dataclass(frozen=True, slots=True)
class Draft:
    """A letter to queue. ``at``: not before this (aware); ``None`` means now."""

    workspace_id: str
    booking_id: str | None
    kind: str
    dedupe: str
    recipient: str
    subject: str
    body: str
    ics: str = ""
    ics_method: str = ""
    at: datetime | None = None


def queue(session: Session, draft: Draft) -> bool:
    """Queue a letter in the caller's transaction; false if this occasion has been queued before."""
    if session.exec(select(Mail.id).where(Mail.dedupe == draft.dedupe)).first():
        return False
    digest = hashlib.sha256(draft.dedupe.encode()).hexdigest()[:40]
    row = Mail(
        workspace_id=draft.workspace_id,
        booking_id=draft.booking_id,
        kind=draft.kind,
        dedupe=draft.dedupe,
        recipient=draft.recipient,
        subject=draft.subject,
        body=draft.body,
        ics=draft.ics,
        ics_method=draft.ics_method,
        message_id=f"<{digest}@{urlsplit(get_settings().public_url).hostname or 'localhost'}>",
        next_attempt_at=draft.at,
    )
    session.add(row)
    mail_id = row.id
    if draft.at is None:
        after_commit(session, lambda: _enqueue(mail_id))
    return True


def drop_reminders(session: Session, booking_id: str) -> None:
    """The booking was cancelled or moved: reminders that have not gone out will not."""
    waiting = update(Mail).where(
        col(Mail.booking_id) == booking_id, col(Mail.kind) == REMINDER, col(Mail.state) == QUEUED
    )
    session.execute(waiting.values(state=DROPPED))


def deliver(mail_id: str, *, now: datetime | None = None) -> str:
    """Hand one letter to the mail server; its state afterwards. Called twice, the second call does nothing."""
    now = now or datetime.now(UTC)
    claimed = _claim(mail_id, now)
    if claimed is None:
        return ""
    letter, fence, attempts = claimed
    values: dict[str, object]
    try:
        smtp.send(letter, get_settings())
        values = {"state": SENT, "sent_at": now, "last_error": ""}
    except ProviderUnavailable as error:
        delay = min(_LONGEST_DELAY, 15.0 * 2 ** min(attempts, 10)) * random.uniform(0.75, 1.25)
        values = {"last_error": error.detail, "next_attempt_at": now + timedelta(seconds=delay)}
        if attempts >= MAX_ATTEMPTS:
            values["state"] = FAILED
    except AlmanacError as error:
        values = {"state": FAILED, "last_error": error.detail}
    with transaction() as session:
        mine = update(Mail).where(col(Mail.id) == mail_id, col(Mail.fence) == fence)
        session.execute(mine.values(lease_until=None, **values))
    if values.get("state") == FAILED:
        log.warning("a letter was given up", extra={"mail_id": mail_id, "reason": values["last_error"]})
    return str(values.get("state", QUEUED))


def sweep(*, now: datetime | None = None, limit: int = 500) -> int:
    """Queue a job for every letter that is due and not being sent; how many. May run at any time."""
    now = now or datetime.now(UTC)
    due = (
        select(Mail.id)
        .where(Mail.state == QUEUED)
        .where(or_(col(Mail.next_attempt_at).is_(None), col(Mail.next_attempt_at) <= now))
        .where(or_(col(Mail.lease_until).is_(None), col(Mail.lease_until) <= now))
        .order_by(col(Mail.created_at))
        .limit(limit)
    )
    with reading() as session:
        waiting = list(session.exec(due))
    for mail_id in waiting:
        _enqueue(mail_id)
    return len(waiting)


def _enqueue(mail_id: str) -> None:
    queues.enqueue(queues.DEFAULT, "send_mail", mail_id, job_id=f"mail-{mail_id}")


def _claim(mail_id: str, now: datetime) -> tuple[smtp.Letter, int, int] | None:
    with transaction() as session:
        row = session.get(Mail, mail_id, with_for_update=True)
        if row is None or row.state != QUEUED:
            return None
        if (row.lease_until and row.lease_until > now) or (row.next_attempt_at and row.next_attempt_at > now):
            return None
        if row.kind == REMINDER and not _still_stands(session, row):
            row.state = DROPPED
            return None
        row.fence += 1
        row.attempts += 1
        row.lease_until = now + LEASE
        letter = smtp.Letter(row.message_id, row.recipient, row.subject, row.body, row.ics, row.ics_method)
        return letter, row.fence, row.attempts


def _still_stands(session: Session, row: Mail) -> bool:
    booking = session.get(Booking, row.booking_id) if row.booking_id else None
    return booking is not None and booking.status == "confirmed"
