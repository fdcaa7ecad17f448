"""Private calendar feeds: a person's bookings at a secret address, for the calendar program they already use.

Whoever knows the address may read it, so it holds 192 random bits, is compared by digest, and can be changed or taken
back at any time. What it tells follows the person's role at the moment it is read: customers see what they booked,
everybody else what they host. The same state gives the same bytes, so that a program that asks again is told that
nothing has changed (RFC 9110 §13.1).
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session, col, func, or_, select, update
from sqlmodel.sql.expression import SelectOfScalar

from calendar_app.clock import utc_now
from calendar_app.db.locks import locked_one
from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import Booking, BookingHost, Feed, Membership, Person, Workspace
from calendar_app.domain.ics.writer import Method, calendar_text
from calendar_app.errors import Forbidden, NotFound
from calendar_app.services.accounts.authentication import digest
from calendar_app.services.bookings import ics as booking_ics
from calendar_app.services.bookings import views as booking_views
from calendar_app.services.common import audit_log, rate_limits
from calendar_app.services.common.permissions import Actor, Role
from calendar_app.settings import current_settings

BEHIND, AHEAD = timedelta(days=60), timedelta(days=400)
"""The feed's window around today."""
GONE_FOR = timedelta(days=30)
"""How long a booking that was called off stays in the feed as cancelled, so that every program learns of it."""
MOST = 2_000
REFRESH = timedelta(minutes=15)
_NOTED_EVERY = timedelta(hours=1)
_MISSES, _READS = "30/minute", "60/minute"


@dataclass(frozen=True, slots=True)
class FeedView:
    """A person's feed. ``url`` is secret; ``webcal_url`` is the same for programs that take it at a click."""

    url: str
    webcal_url: str
    created_at: datetime
    last_read_at: datetime | None


@dataclass(frozen=True, slots=True)
class FeedFile:
    """The feed as it stands: the text, its strong entity tag (quotes included), and when it last changed (UTC)."""

    content: bytes
    etag: str
    modified: datetime


def get(actor: Actor) -> FeedView | None:
    """The actor's feed of the workspace, if they have one."""
    with reading() as session:
        row = session.exec(_of(actor)).first()
        return _view(row) if row else None


def create(actor: Actor, *, now: datetime | None = None) -> FeedView:
    """A feed at a new address; an earlier one of the actor's ends. :raises Forbidden: they have no account."""
    if not actor.person_id:
        raise Forbidden("A calendar feed needs an account.")
    secret = secrets.token_urlsafe(24)
    with transaction() as session:
        replaced = _end(session, actor, now or utc_now())
        row = Feed(
            workspace_id=actor.workspace_id,
            person_id=actor.person_id,
            secret=secret,
            digest=digest(secret),
            created_at=now or utc_now(),
        )
        session.add(row)
        action = "feed.rotated" if replaced else "feed.created"
        audit_log.record(session, actor.workspace_id, actor, action, "feed", row.id)
        return _view(row)


def revoke(actor: Actor, *, now: datetime | None = None) -> None:
    """End the actor's feed; none is success."""
    if not actor.person_id:
        return
    with transaction() as session:
        if _end(session, actor, now or utc_now()):
            audit_log.record(session, actor.workspace_id, actor, "feed.revoked", "person", actor.person_id)


def read(secret: str, *, client: str = "", now: datetime | None = None) -> FeedFile:
    """What stands at a feed's address. ``client`` is the reader's network address, for limits.

    :raises NotFound: no such feed, or its person has left. :raises TooManyRequests: too many, or too many wrong, tries.
    """
    now = now or utc_now()
    rate_limits.peek("feed-misses", client, _MISSES)
    with reading() as session:
        found = session.exec(
            select(Feed, Person, Membership.role, Workspace.name)
            .join(Person, col(Person.id) == col(Feed.person_id))
            .join(Workspace, col(Workspace.id) == col(Feed.workspace_id))
            .join(
                Membership,
                (col(Membership.person_id) == col(Feed.person_id))
                & (col(Membership.workspace_id) == col(Feed.workspace_id)),
            )
            .where(Feed.digest == digest(secret), col(Feed.revoked_at).is_(None))
        ).first()
        if found is None:
            rate_limits.count("feed-misses", client, _MISSES)
            raise NotFound("There is no calendar feed at this address.")
        feed, person, role, workspace = found
        rate_limits.check("feed-reads", feed.id, _READS)
        file = _file(session, feed, person, Role(role), workspace, now)
    _note(feed, now)
    return file


def _file(
    session: Session, feed: Feed, person: Person, role: Role, workspace: str, now: datetime
) -> FeedFile:
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    rows = _bookings(session, feed, person, role, today)
    shown = booking_views.views(session, rows, full=role >= Role.STAFF)
    text = calendar_text(
        [booking_ics.appointment(view, role, alarm=False) for view in shown],
        Method.PUBLISH,
        name=f"{workspace}: {person.name}" if person.name else workspace,
        refresh=REFRESH,
    )
    content = text.encode()
    # The window moves at midnight, and with it what the feed holds.
    modified = max(today, feed.created_at, *(view.changed_at for view in shown))
    return FeedFile(content, f'"{hashlib.sha256(content).hexdigest()[:32]}"', modified)


def _bookings(session: Session, feed: Feed, person: Person, role: Role, today: datetime) -> Sequence[Booking]:
    """The person's bookings in the window: what they host, or for customers what they booked."""
    hosted = select(BookingHost.booking_id).where(BookingHost.person_id == person.id)
    mine = (
        col(Booking.id).in_(hosted)
        if role >= Role.STAFF
        else func.lower(col(Booking.email)) == person.email.lower()
    )
    gone = col(Booking.status).in_(("cancelled", "declined"))
    return session.exec(
        select(Booking)
        .where(Booking.workspace_id == feed.workspace_id, mine)
        .where(col(Booking.end_at) >= today - BEHIND, col(Booking.start_at) < today + AHEAD)
        .where(
            or_(~gone, func.coalesce(col(Booking.cancelled_at), col(Booking.created_at)) >= today - GONE_FOR)
        )
        .order_by(col(Booking.start_at), col(Booking.id))
        .limit(MOST)
    ).all()


def _note(feed: Feed, now: datetime) -> None:
    """Remember that the feed is read, without a write for each reading."""
    if feed.last_read_at is None or feed.last_read_at < now - _NOTED_EVERY:
        with transaction() as session:
            session.exec(update(Feed).where(col(Feed.id) == feed.id).values(last_read_at=now))


def _of(actor: Actor) -> SelectOfScalar[Feed]:
    return select(Feed).where(
        Feed.workspace_id == actor.workspace_id,
        Feed.person_id == actor.person_id,
        col(Feed.revoked_at).is_(None),
    )


def _end(session: Session, actor: Actor, now: datetime) -> bool:
    locked_one(session, Person, actor.person_id)
    rows = session.exec(_of(actor)).all()
    for row in rows:
        row.revoked_at = now
        session.add(row)
    return bool(rows)


def _view(row: Feed) -> FeedView:
    url = f"{current_settings().public_url}/api/v1/feeds/{row.secret}.ics"
    return FeedView(url, f"webcal{url[url.index(':') :]}", row.created_at, row.last_read_at)
