"""Letters that must go out: queued in the transaction that made them due, handed over by a worker, once.

A letter's ``dedupe`` names its occasion, so the same occasion cannot queue twice, and its Message-ID is made of that:
a letter that a mail server took just before we crashed is the same letter when it is sent again (SMTP has no stronger
promise: RFC 5321 §6.1). Nothing here touches a booking's calendars: mail and calendars fail independently.

Trouble with the server or with our account there delays letters, for about two days; only a refusal of the letter or
its recipient is final at once. That a letter was handed over is recorded whoever holds the claim by then, a failure
only by the holder.
"""

from __future__ import annotations

import hashlib
import logging
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from urllib.parse import urlsplit

from sqlalchemy import update
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, col, select

from calendar_app import queues
from calendar_app.db.due import due, free, is_due, is_free
from calendar_app.db.session import after_commit, clock, reading, transaction
from calendar_app.db.tables import Booking, Mail
from calendar_app.domain.booking import Status
from calendar_app.errors import AlmanacError, ProviderNotConfigured, ProviderUnavailable
from calendar_app.providers import mail as smtp
from calendar_app.settings import get_settings

log = logging.getLogger(__name__)

QUEUED, SENT, FAILED, DROPPED = "queued", "sent", "failed", "dropped"
JOB_SECONDS = 120
"""How long one worker may try to hand a letter over; RQ ends the job then."""
LEASE = timedelta(seconds=180)
"""How long a claim lasts before another worker may take the letter; longer than the job may."""
MAX_ATTEMPTS = 60
REMINDER = "reminder"
"""The kind of letter that is only worth sending while its booking is confirmed and has not begun."""
_FIRST_DELAY, _LONGEST_DELAY = 15.0, 3600.0
_EMPTIED = {"body": "", "ics": ""}
"""Of a letter that is out, or never will be: its links open bookings and workspaces to whoever reads the database."""
_GIVEN_UP = "Sending this letter was tried for two days without success."


@dataclass(frozen=True, slots=True)
class Draft:
    """A letter to queue. ``dedupe`` names its occasion; ``at``: not before this (aware), ``None`` means now.

    ``reply_to`` is whom an answer should reach, where that is not the sender.
    """

    workspace_id: str
    booking_id: str | None
    kind: str
    dedupe: str
    recipient: str
    subject: str
    body: str
    ics: str = ""
    ics_method: str = ""
    reply_to: str = ""
    at: datetime | None = None


def queue(session: Session, draft: Draft) -> bool:
    """Queue a letter in the caller's transaction; false if this occasion has been queued before."""
    digest = hashlib.sha256(draft.dedupe.encode()).hexdigest()[:40]
    row = Mail(
        workspace_id=draft.workspace_id,
        booking_id=draft.booking_id,
        kind=draft.kind,
        dedupe=draft.dedupe,
        recipient=draft.recipient,
        reply_to=draft.reply_to,
        subject=draft.subject,
        body=draft.body,
        ics=draft.ics,
        ics_method=draft.ics_method,
        message_id=f"<{digest}@{urlsplit(get_settings().public_url).hostname or 'localhost'}>",
        next_attempt_at=draft.at,
    )
    is_postgres = session.get_bind().dialect.name == "postgresql"
    statement = (postgresql.insert if is_postgres else sqlite.insert)(Mail).values(**row.model_dump())
    session.flush()
    answer = session.execute(
        statement.on_conflict_do_nothing(index_elements=["dedupe"]).returning(col(Mail.id))
    )
    mail_id = answer.scalar()
    if mail_id is not None and draft.at is None:
        after_commit(session, lambda: _enqueue(mail_id))
    return mail_id is not None


def drop_reminders(session: Session, booking_id: str) -> None:
    """The booking was cancelled or moved: reminders that have not gone out will not."""
    waiting = update(Mail).where(
        col(Mail.booking_id) == booking_id, col(Mail.kind) == REMINDER, col(Mail.state) == QUEUED
    )
    session.execute(waiting.values(state=DROPPED, **_EMPTIED))


def deliver(mail_id: str, *, now: datetime | None = None) -> str:
    """Hand one letter to the mail server if it is due; its state afterwards, ``""`` if there was nothing to do."""
    now = now or clock()
    claim = _claim(mail_id, now)
    if claim is None:
        return ""
    try:
        smtp.send(claim.letter, get_settings())
    except (ProviderUnavailable, ProviderNotConfigured) as error:
        delay = min(_LONGEST_DELAY, _FIRST_DELAY * 2 ** min(claim.attempts - 1, 10))
        again = now + timedelta(seconds=delay * random.uniform(0.75, 1.25))
        _record(claim, QUEUED, last_error=error.detail, tried_at=now, next_attempt_at=again)
        log.warning("a letter waits", extra={"mail_id": mail_id, "reason": error.detail})
        return QUEUED
    except AlmanacError as error:
        _record(claim, FAILED, last_error=error.detail)
        log.warning("a letter was refused", extra={"mail_id": mail_id, "reason": error.detail})
        return FAILED
    _record(claim, SENT, sent_at=now, last_error="")
    return SENT


def retry(session: Session, mail_ids: Sequence[str]) -> list[str]:
    """Try refused letters again, from the first try, in the caller's transaction; ids of those that will be."""
    query = select(Mail).where(col(Mail.id).in_(mail_ids), Mail.state == FAILED).with_for_update()
    ids = []
    for row in session.exec(query):
        row.state, row.attempts, row.next_attempt_at = QUEUED, 0, None
        session.add(row)
        ids.append(row.id)
        after_commit(session, partial(_enqueue, row.id))
    return ids


def sweep(*, now: datetime | None = None, limit: int = 500) -> int:
    """Queue a job for every letter that is due and not being sent; how many. May run at any time."""
    now = now or clock()
    query = (
        select(Mail.id)
        .where(Mail.state == QUEUED)
        .where(due(col(Mail.next_attempt_at), col(Mail.tried_at), now))
        .where(free(col(Mail.lease_until), LEASE, now))
        .order_by(col(Mail.created_at))
        .limit(limit)
    )
    with reading() as session:
        waiting = list(session.exec(query))
    for mail_id in waiting:
        _enqueue(mail_id)
    return len(waiting)


def _enqueue(mail_id: str) -> None:
    queues.enqueue(queues.DEFAULT, "send_mail", mail_id, job_id=f"mail-{mail_id}", timeout=JOB_SECONDS)


@dataclass(frozen=True, slots=True)
class _Claim:
    """The right to send one letter. ``attempts`` counts this one."""

    mail_id: str
    fence: int
    attempts: int
    letter: smtp.Letter


def _claim(mail_id: str, now: datetime) -> _Claim | None:
    """The claim, or ``None`` where there is nothing to send now or somebody else is at it."""
    with transaction() as session:
        row = session.exec(select(Mail).where(Mail.id == mail_id).with_for_update()).first()
        if row is None or row.state != QUEUED:
            return None
        if not is_free(row.lease_until, LEASE, now) or not is_due(row.next_attempt_at, row.tried_at, now):
            return None
        if row.kind == REMINDER and not _still_ahead(session, row, now):
            row.state, row.body, row.ics = DROPPED, "", ""
            return None
        if row.attempts >= MAX_ATTEMPTS:
            row.state, row.last_error = FAILED, row.last_error or _GIVEN_UP
            log.warning("a letter was given up", extra={"mail_id": mail_id, "reason": row.last_error})
            return None
        row.fence += 1
        row.attempts += 1
        row.lease_until = now + LEASE
        letter = smtp.Letter(
            row.message_id, row.recipient, row.subject, row.body, row.ics, row.ics_method, row.reply_to
        )
        return _Claim(row.id, row.fence, row.attempts, letter)


def _record(claim: _Claim, state: str, **values: object) -> None:
    mine = update(Mail).where(col(Mail.id) == claim.mail_id)
    if state == SENT:
        values |= _EMPTIED
    else:
        mine = mine.where(col(Mail.fence) == claim.fence, col(Mail.state) == QUEUED)
    with transaction() as session:
        session.execute(mine.values(state=state, lease_until=None, **values))


def _still_ahead(session: Session, row: Mail, now: datetime) -> bool:
    booking = session.get(Booking, row.booking_id) if row.booking_id else None
    return booking is not None and booking.status == Status.CONFIRMED and booking.start_at > now
