"""E-mails about a booking that waited for something it was to say, and those that follow where they were out before.

What has not gone out is sent at once and says what is so by then. Whoever has been told already is sent another e-mail,
with a higher SEQUENCE, so that the entry in their calendar follows (RFC 5546 §2.1.4).
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import update
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from calendar_app.db.due import is_free
from calendar_app.db.tables import Booking, Mail
from calendar_app.domain.timespan import instant
from calendar_app.services.mail import outbox
from calendar_app.services.mail.outbox import Due

LINK, NO_LINK = "link", "no_link"
"""What is told: the link of the online meeting is there; there will be none."""


def tell_everybody(session: Session, booking: Booking, news: str, now: datetime) -> None:
    """Tell ``news`` to everybody who was told of the booking as it is. Its row is locked by the caller."""
    waiting, out = _take_forward(session, booking, now)
    if not out:
        return
    booking.sequence += 1
    session.add(booking)
    later = [row.id for row in waiting] + _reminders(session, booking)
    session.execute(update(Mail).where(col(Mail.id).in_(later)).values(sequence=booking.sequence))
    outbox.queue_due(session, [_about(row, booking, news, now) for row in out])


def tell_hosts(session: Session, booking: Booking, news: str, now: datetime) -> None:
    """Tell ``news`` to the booking's hosts, whoever of them made it; the others' e-mails wait no longer either."""
    _, out = _take_forward(session, booking, now)
    outbox.queue_due(
        session, [_about(row, booking, news, now, told=True) for row in out if "host" in _facts(row)]
    )


def _take_forward(session: Session, booking: Booking, now: datetime) -> tuple[list[Mail], list[Mail]]:
    """What everybody is told of this version of the booking: what still waits, and is sent at once, and the last that
    has gone to each, or may be on its way."""
    waiting: list[Mail] = []
    out: dict[str, Mail] = {}
    for row in session.exec(_of_this_version(booking).order_by(col(Mail.id)).with_for_update()):
        if row.kind == outbox.REMINDER or row.facts is None:
            continue
        if row.state == outbox.DUE and is_free(row.lease_until, outbox.LEASE, now):
            row.next_attempt_at = row.next_attempt_at if row.attempts else None
            session.add(row)
            waiting.append(row)
        elif row.state in (outbox.DUE, outbox.SENT):
            out[row.recipient] = row
    outbox.send_soon(session, [row.id for row in waiting])
    return waiting, list(out.values())


def _of_this_version(booking: Booking) -> SelectOfScalar[Mail]:
    return select(Mail).where(
        Mail.booking_id == booking.id, Mail.version == booking.version, Mail.sequence == booking.sequence
    )


def _reminders(session: Session, booking: Booking) -> list[str]:
    """Reminders that are still ahead."""
    query = select(Mail.id).where(
        Mail.booking_id == booking.id, Mail.kind == outbox.REMINDER, col(Mail.state).in_(outbox.WAITING)
    )
    return list(session.exec(query))


def _facts(row: Mail) -> dict[str, object]:
    return row.facts or {}


def _about(row: Mail, booking: Booking, news: str, now: datetime, *, told: bool = False) -> Due:
    """The same recipient and facts, and other news. Hosts, whose calendar has it, are ``told`` on demand only."""
    facts = {**_facts(row), "news": news, "now": instant(now)}
    facts |= {"told": told, "is_new": False} if "host" in facts else {}
    return Due(
        workspace_id=booking.workspace_id,
        booking_id=booking.id,
        kind=f"{row.kind.partition('_')[0]}_{news}",
        recipient=row.recipient,
        version=booking.version,
        sequence=booking.sequence,
        facts=facts,
    )
