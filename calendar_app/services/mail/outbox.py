"""Letters that must go out: queued in the transaction that made them due, handed over by a worker, once.

Most stand in their rows as text from the start. One about a booking is a row with the facts of the booking's version,
and is written by whoever sends it (:class:`Writer`), who also finds that it has been overtaken.

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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Protocol
from urllib.parse import urlsplit

from sqlalchemy import update
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, SQLModel, col, select

from calendar_app import queues, translations
from calendar_app.clock import jitter
from calendar_app.db.due import due, free, is_due, is_free
from calendar_app.db.session import after_commit, clock, reading, transaction
from calendar_app.db.tables import Booking, Mail
from calendar_app.domain.booking import Status
from calendar_app.errors import AlmanacError, ProviderNotConfigured, ProviderUnavailable
from calendar_app.providers import mail as smtp
from calendar_app.services.mail import rendering
from calendar_app.services.mail.rendering import Logo, Look
from calendar_app.settings import current_settings

log = logging.getLogger(__name__)
_MAIL = SQLModel.metadata.tables["mail"]

DUE, QUEUED, SENT, FAILED, DROPPED = "due", "queued", "sent", "failed", "dropped"
WAITING = (DUE, QUEUED)
"""States of what still has to go out: written when it is sent, or with its text in the row. Releases that only know of
the second leave the first alone."""
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
_GIVEN_UP = "Sending this email was tried for two days without success."


@dataclass(frozen=True, slots=True)
class Draft:
    """A letter to queue. ``dedupe`` names its occasion; ``at``: not before this (aware), ``None`` means now.
    ``workspace_id`` is ``None`` for what concerns an account.

    ``reply_to`` is whom an answer should reach, where that is not the sender. ``language``: of the text, as a tag;
    empty means English. The HTML is made of ``body`` when it is sent
    (:func:`calendar_app.services.mail.rendering.content_of_text`).
    """

    workspace_id: str | None
    booking_id: str | None
    kind: str
    dedupe: str
    recipient: str
    subject: str
    body: str
    ics: str = ""
    ics_method: str = ""
    reply_to: str = ""
    language: str = ""
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Due:
    """A letter about a booking to queue, which is written when it is sent.

    ``facts`` (JSON) are what it tells of the booking at ``version`` and ``sequence``; ``at`` as in :class:`Draft`.
    """

    workspace_id: str
    booking_id: str
    kind: str
    recipient: str
    version: int
    sequence: int
    facts: Mapping[str, Any]
    detail: str = ""
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """A letter as its recipient gets it."""

    subject: str
    body: str
    ics: str = ""
    reply_to: str = ""
    html: str = ""
    logo: Logo | None = None


class Writer(Protocol):
    """Writes the letters whose rows have facts instead of a text."""

    def choose(self, session: Session, row: Mail) -> str | None:
        """In the transaction that claims the letter, its recipient's other letters of the booking being locked: the
        iTIP method that goes along (``""``: none), or ``None`` where there is nothing to send any more."""

    def write(self, session: Session, row: Mail, now: datetime) -> Written:
        """The letter, with the ``ics_method`` that was chosen."""


def can_send() -> bool:
    """Whether a mail server is set."""
    return bool(current_settings().smtp_url.get_secret_value())


def queue_due(session: Session, letters: Sequence[Due]) -> None:
    """Queue letters in the caller's transaction, those of occasions that have been queued before left out."""
    rows = [
        Mail(
            workspace_id=one.workspace_id,
            booking_id=one.booking_id,
            kind=one.kind,
            dedupe=(dedupe := f"{one.booking_id}:{one.kind}{one.detail}:{one.sequence}:{one.recipient}"),
            recipient=one.recipient,
            message_id=_message_id(dedupe),
            facts=dict(one.facts),
            version=one.version,
            sequence=one.sequence,
            state=DUE,
            next_attempt_at=one.at,
        )
        for one in letters
    ]
    if rows:
        session.execute(_insert(session), [row.model_dump() for row in rows])
    for row in rows:
        if row.next_attempt_at is None or row.kind != REMINDER:
            after_commit(session, partial(_enqueue, row.id, row.next_attempt_at))


def queue(session: Session, draft: Draft) -> bool:
    """Queue a letter in the caller's transaction; false if this occasion has been queued before."""
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
        language=draft.language,
        message_id=_message_id(draft.dedupe),
        next_attempt_at=draft.at,
    )
    session.flush()
    answer = session.execute(_insert(session).values(**row.model_dump()).returning(_MAIL.c.id))
    mail_id = answer.scalar()
    if mail_id is not None and draft.at is None:
        after_commit(session, lambda: _enqueue(mail_id))
    return mail_id is not None


def _insert(session: Session) -> postgresql.Insert | sqlite.Insert:
    """Adds letters, but not a second one for an occasion."""
    if session.get_bind().dialect.name == "postgresql":
        return postgresql.insert(_MAIL).on_conflict_do_nothing(index_elements=["dedupe"])
    return sqlite.insert(_MAIL).on_conflict_do_nothing(index_elements=["dedupe"])


def _message_id(dedupe: str) -> str:
    digest = hashlib.sha256(dedupe.encode()).hexdigest()[:40]
    return f"<{digest}@{urlsplit(current_settings().public_url).hostname or 'localhost'}>"


def send_soon(session: Session, mail_ids: Sequence[str]) -> None:
    """Queue jobs for letters that are due by now, once the caller's transaction has ended well."""
    for mail_id in mail_ids:
        after_commit(session, partial(_enqueue, mail_id))


def drop_reminders(session: Session, booking_id: str) -> None:
    """The booking was cancelled or moved: reminders that have not gone out will not."""
    waiting = update(Mail).where(
        col(Mail.booking_id) == booking_id, col(Mail.kind) == REMINDER, col(Mail.state).in_(WAITING)
    )
    session.execute(waiting.values(state=DROPPED, **_EMPTIED))


def withdraw(session: Session, booking_id: str, version: int, now: datetime) -> bool:
    """Drop what is still to be told of the booking's ``version``, if none of it is out and its customer knows all that
    was to be told before; whether that was so. The letters are locked for the rest of the transaction."""
    query = select(Mail).where(Mail.booking_id == booking_id, Mail.kind != REMINDER).with_for_update()
    letters = session.exec(query.order_by(col(Mail.id)).execution_options(populate_existing=True)).all()
    last = [row for row in letters if row.version == version]
    told = [row for row in letters if (row.version or 0) < version and row.kind.startswith("customer_")]
    unsent = all(
        row.state in WAITING and not row.may_have_arrived and is_free(row.lease_until, LEASE, now)
        for row in last
    )
    if not last or not unsent or any(row.state != SENT for row in told):
        return False
    for row in last:
        row.state, row.body, row.ics = DROPPED, "", ""
        session.add(row)
    return True


def deliver(mail_id: str, writer: Writer | None = None, *, now: datetime | None = None) -> str:
    """Hand one letter to the mail server if it is due; its state afterwards, ``""`` if there was nothing to do.

    ``writer``: whoever can write what has no text yet; without one only letters with a text are sent.
    """
    now = now or clock()
    claim = _claim(mail_id, writer, now)
    if claim is None:
        return ""
    try:
        smtp.send(claim.letter, current_settings())
    except (ProviderUnavailable, ProviderNotConfigured) as error:
        delay = min(_LONGEST_DELAY, _FIRST_DELAY * 2 ** min(claim.attempts - 1, 10))
        again = now + timedelta(seconds=delay * jitter(0.75, 1.25))
        _record(claim, claim.state, error, tried_at=now, next_attempt_at=again)
        log.warning("a letter waits", extra={"mail_id": mail_id, "reason": error.detail})
        return claim.state
    except AlmanacError as error:
        _record(claim, FAILED, error)
        log.warning("a letter was refused", extra={"mail_id": mail_id, "reason": error.detail})
        return FAILED
    _record(claim, SENT, sent_at=now)
    return SENT


def retry(session: Session, mail_ids: Sequence[str]) -> list[str]:
    """Try refused letters again, from the first try, in the caller's transaction; ids of those that will be."""
    query = select(Mail).where(col(Mail.id).in_(mail_ids), Mail.state == FAILED).with_for_update()
    ids = []
    for row in session.exec(query):
        row.state, row.attempts, row.next_attempt_at = QUEUED if row.facts is None else DUE, 0, None
        session.add(row)
        ids.append(row.id)
        after_commit(session, partial(_enqueue, row.id))
    return ids


def take_up_again(session: Session) -> None:
    """Have what was put off tried with the next sweep, in the caller's transaction: another mail server may take it."""
    put_off = update(Mail).where(col(Mail.state).in_(WAITING), col(Mail.tried_at).is_not(None))
    session.execute(put_off.values(next_attempt_at=None))


def sweep(*, now: datetime | None = None, limit: int = 500) -> int:
    """Queue a job for every letter that is due and not being sent; how many. May run at any time."""
    now = now or clock()
    query = (
        select(Mail.id)
        .where(col(Mail.state).in_(WAITING))
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


def _enqueue(mail_id: str, at: datetime | None = None) -> None:
    queues.enqueue(queues.DEFAULT, "send_mail", mail_id, job_id=f"mail-{mail_id}", at=at, timeout=JOB_SECONDS)


@dataclass(frozen=True, slots=True)
class _Claim:
    """The right to send one letter. ``attempts`` counts this one; ``arrived``: an earlier one may have done it."""

    mail_id: str
    state: str
    fence: int
    attempts: int
    arrived: bool
    letter: smtp.Letter


def _claim(mail_id: str, writer: Writer | None, now: datetime) -> _Claim | None:
    """The claim, or ``None`` where there is nothing to send now or somebody else is at it."""
    with transaction() as session:
        row = _locked(session, mail_id)
        if row is None or row.state not in WAITING or (row.state == DUE and writer is None):
            return None
        if not is_free(row.lease_until, LEASE, now) or not is_due(row.next_attempt_at, row.tried_at, now):
            return None
        if row.kind == REMINDER and not _still_ahead(session, row, now):
            row.state, row.body, row.ics = DROPPED, "", ""
            return None
        if row.state == DUE and writer is not None:
            method = writer.choose(session, row)
            if method is None:
                row.state = DROPPED
                return None
            row.ics_method = method
        if row.attempts >= MAX_ATTEMPTS:
            row.state, row.last_error = FAILED, row.last_error or _GIVEN_UP
            log.warning("a letter was given up", extra={"mail_id": mail_id, "reason": row.last_error})
            return None
        arrived = row.may_have_arrived
        row.fence += 1
        row.attempts += 1
        row.lease_until, row.may_have_arrived = now + LEASE, True
    if row.state == DUE and writer is not None:  # not in the transaction: others write meanwhile
        with reading() as session:
            text = writer.write(session, row, now)
    else:
        text = _written_before(row)
    letter = smtp.Letter(
        row.message_id,
        row.recipient,
        text.subject,
        text.body,
        text.ics,
        row.ics_method,
        text.reply_to,
        text.html,
        smtp.Image(text.logo.name, text.logo.content) if text.logo else None,
    )
    return _Claim(row.id, row.state, row.fence, row.attempts, arrived, letter)


def _written_before(row: Mail) -> Written:
    """The letter whose text stands in its row, with HTML that says the same."""
    content = rendering.content_of_text(row.subject, row.body, current_settings().public_url)
    html = rendering.html_of(content, translations.of_tag(row.language), Look())
    return Written(row.subject, row.body, row.ics, row.reply_to, html)


def _locked(session: Session, mail_id: str) -> Mail | None:
    """The letter's row, locked, and with it all letters about its booking to its recipient: what has to be sent is
    decided by what was sent before, for one of them at a time."""
    row = session.get(Mail, mail_id)
    if row is None:
        return None
    query = select(Mail).where(Mail.id == mail_id)
    if row.state == DUE:
        query = select(Mail).where(Mail.booking_id == row.booking_id, Mail.recipient == row.recipient)
    locked = query.order_by(col(Mail.id)).with_for_update().execution_options(populate_existing=True)
    return next((one for one in session.exec(locked) if one.id == mail_id), None)


def _record(claim: _Claim, state: str, error: AlmanacError | None = None, **values: object) -> None:
    """Keep what came of it. What the mail server was not shown, or refused, has not arrived by this try."""
    mine = update(Mail).where(col(Mail.id) == claim.mail_id)
    values |= {"last_error": error.detail if error else "", "subject": claim.letter.subject}
    if state == SENT:
        values |= _EMPTIED
    else:
        mine = mine.where(col(Mail.fence) == claim.fence, col(Mail.state) == claim.state)
        values["may_have_arrived"] = claim.arrived or isinstance(error, smtp.MayHaveArrived)
    with transaction() as session:
        session.execute(mine.values(state=state, lease_until=None, **values))


def _still_ahead(session: Session, row: Mail, now: datetime) -> bool:
    booking = session.get(Booking, row.booking_id) if row.booking_id else None
    return booking is not None and booking.status == Status.CONFIRMED and booking.start_at > now
