"""Bookings as pages and the API see them, and who may see which.

Managers see every booking of the workspace, staff those that they host, customers with an account those made with
their address. Whoever holds a booking's manage link sees that one, without what only concerns the business.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, false, func, or_, type_coerce
from sqlmodel import Session, col, select

from calendar_app.clock import utc_now
from calendar_app.db.session import reading
from calendar_app.db.tables import (
    AuditEntry,
    Booking,
    BookingHost,
    CalendarWrite,
    EventType,
    Membership,
)
from calendar_app.db.types import UtcDateTime
from calendar_app.domain.booking import Status
from calendar_app.domain.calendar_write import WriteState
from calendar_app.domain.timespan import utc
from calendar_app.errors import InvalidInput, NotFound
from calendar_app.services.availability.slots import check_moment
from calendar_app.services.bookings.views import BookingView, view, views
from calendar_app.services.common import signed_links
from calendar_app.services.common.permissions import Actor, Role

MOST = 200
"""The longest page of a list."""
_CURSOR = re.compile(r"(-?\d{1,17})\.([0-9a-z]{26})", re.ASCII)


@dataclass(frozen=True, slots=True)
class HistoryView:
    """One entry of a booking's history: who did what, when."""

    at: datetime
    who: str
    action: str
    detail: dict[str, Any]
    id: str = ""


@dataclass(frozen=True, slots=True)
class BookingPage:
    """One page of a list; ``next`` is the cursor of the following one, ``None`` on the last."""

    items: tuple[BookingView, ...]
    next: str | None


def list_bookings(
    actor: Actor,
    *,
    status: Collection[str] = (),
    start: datetime | None = None,
    end: datetime | None = None,
    event_type_id: str | None = None,
    host_id: str | None = None,
    given_up: bool = False,
    search: str = "",
    updated_since: datetime | None = None,
    newest_first: bool = False,
    limit: int = 50,
    after: str | None = None,
) -> BookingPage:
    """The actor's bookings by start. ``[start, end)`` bounds their starts; ``search`` is a part of the name or
    address; ``given_up``: only those that a calendar does not take, see :func:`count_given_up`.

    With ``updated_since``: those that were made or changed then or later, by that instant, the oldest change first.

    ``after`` is the ``next`` of the page before. :raises InvalidInput: an unknown status, a cursor that is none, or a
    time that is too far away. :raises NotFound: an event type or a host that the workspace does not have.
    """
    if unknown := set(status) - set(Status):
        raise InvalidInput(f"{min(unknown)[:32]!r} is not a status of bookings.", field="status")
    query = select(Booking).where(visible_to(actor))
    if status:
        query = query.where(col(Booking.status).in_(list(status)))
    if start is not None:
        query = query.where(col(Booking.start_at) >= check_moment(start, "start"))
    if end is not None:
        query = query.where(col(Booking.start_at) < check_moment(end, "end"))
    _check_filters(actor, event_type_id, host_id)
    if event_type_id is not None:
        query = query.where(Booking.event_type_id == event_type_id)
    if host_id is not None:
        query = query.where(_hosted_by(host_id))
    if given_up:
        query = query.where(_given_up(utc_now()))
    for word in search.split()[:5]:
        part = _like(word)
        query = query.where(
            or_(col(Booking.name).ilike(part, escape="\\"), col(Booking.email).ilike(part, escape="\\"))
        )
    by: ColumnElement[datetime] = type_coerce(col(Booking.start_at), UtcDateTime)
    if updated_since is not None:
        by = _UPDATED
        query = query.where(by >= check_moment(updated_since, "updated_since"))
    if after is not None:
        query = query.where(_beyond(by, after, newest_first=newest_first))
    keys = (by, col(Booking.id))
    order = [key.desc() for key in keys] if newest_first else list(keys)
    limit = max(1, min(limit, MOST))
    with reading() as session:
        rows = session.exec(query.order_by(*order).limit(limit + 1)).all()
        last = rows[limit - 1] if len(rows) > limit else None
        more = None
        if last is not None:
            more = _cursor(_updated(last) if updated_since is not None else last.start_at, last.id)
        return BookingPage(tuple(views(session, rows[:limit], full=actor.role >= Role.STAFF)), more)


def count_waiting(actor: Actor, *, now: datetime | None = None) -> int:
    """How many of the bookings that the actor may see wait for approval and can still be had."""
    query = (
        select(func.count()).select_from(Booking).where(visible_to(actor), Booking.status == Status.PENDING)
    )
    with reading() as session:
        return int(session.exec(query.where(col(Booking.start_at) > (now or utc_now()))).one())


def count_given_up(actor: Actor, *, now: datetime | None = None) -> int:
    """How many of the actor's bookings are not over and stand in a calendar as they should not, or do not, because
    writing it was given up."""
    query = select(func.count()).select_from(Booking).where(visible_to(actor), _given_up(now or utc_now()))
    with reading() as session:
        return int(session.exec(query).one())


def get(actor: Actor, booking_id: str) -> BookingView:
    """:raises NotFound: no such booking, or not the actor's to see."""
    with reading() as session:
        return view(session, owned(session, actor, booking_id), full=actor.role >= Role.STAFF)


def require(actor: Actor, booking_id: str, *, field: str) -> None:
    """:raises NotFound: no such booking, or not the actor's to see; ``field`` is what the caller calls it."""
    with reading() as session:
        try:
            owned(session, actor, booking_id)
        except NotFound as error:
            raise NotFound(error.detail, field=field) from None


def by_token(token: str) -> BookingView:
    """The booking that a manage link leads to. :raises NotFound: it leads nowhere."""
    booking_id = signed_links.booking_id(token)
    with reading() as session:
        row = session.get(Booking, booking_id)
        if row is None:
            raise signed_links.unknown()
        return view(session, row, full=False)


def history(actor: Actor, booking_id: str) -> list[HistoryView]:
    """What happened to a booking, oldest first. :raises NotFound: as :func:`get`."""
    actor.require(Role.STAFF)
    with reading() as session:
        owned(session, actor, booking_id)
        query = select(AuditEntry).where(
            AuditEntry.subject_type == "booking", AuditEntry.subject_id == booking_id
        )
        entries = session.exec(query.order_by(col(AuditEntry.at), col(AuditEntry.id)))
        return [
            HistoryView(
                e.at, str(e.detail.get("by") or e.actor), e.action.removeprefix("booking."), e.detail, e.id
            )
            for e in entries
        ]


def owned(session: Session, actor: Actor, booking_id: str) -> Booking:
    """The row, if the actor may see it. :raises NotFound: otherwise."""
    row = session.exec(select(Booking).where(Booking.id == booking_id).where(visible_to(actor))).first()
    if row is None:
        raise NotFound("There is no such booking.")
    return row


def visible_to(actor: Actor) -> ColumnElement[bool]:
    """The condition on bookings that an actor may see."""
    here = col(Booking.workspace_id) == actor.workspace_id
    if actor.role >= Role.MANAGER:
        return here
    if actor.role >= Role.STAFF:
        return and_(here, _hosted_by(actor.person_id))
    return and_(here, func.lower(col(Booking.email)) == actor.email.lower()) if actor.email else false()


def _hosted_by(person_id: str) -> ColumnElement[bool]:
    mine = select(BookingHost.booking_id).where(BookingHost.person_id == person_id)
    return col(Booking.id).in_(mine)


def _given_up(now: datetime) -> ColumnElement[bool]:
    parked = select(CalendarWrite.booking_id).where(CalendarWrite.state == WriteState.FAILED)
    without_link = and_(col(Booking.meeting_error) != "", col(Booking.status) == Status.CONFIRMED)
    return and_(col(Booking.end_at) > now, or_(col(Booking.id).in_(parked), without_link))


def _like(word: str) -> str:
    escaped = word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"


def _check_filters(actor: Actor, event_type_id: str | None, host_id: str | None) -> None:
    """:raises NotFound: the workspace has no such event type, or nobody with this id ever hosted or works there."""
    with reading() as session:
        if event_type_id is not None:
            row = session.get(EventType, event_type_id)
            if row is None or row.workspace_id != actor.workspace_id:
                raise NotFound("There is no such event type.", field="event_type_id")
        if host_id is not None:
            works_here = select(Membership.id).where(
                Membership.person_id == host_id, Membership.workspace_id == actor.workspace_id
            )
            hosted_here = select(Booking.id).where(
                Booking.workspace_id == actor.workspace_id, _hosted_by(host_id)
            )
            if (
                session.exec(works_here).first() is None
                and session.exec(hosted_here.limit(1)).first() is None
            ):
                raise NotFound("There is no such host.", field="host_id")


def _updated(row: Booking) -> datetime:
    return row.changed_at or row.cancelled_at or row.created_at


_UPDATED: ColumnElement[datetime] = func.coalesce(
    col(Booking.changed_at), col(Booking.cancelled_at), col(Booking.created_at)
)
"""As :func:`_updated`, in SQL."""


def _cursor(moment: datetime, booking_id: str) -> str:
    return f"{round(moment.timestamp() * 1_000_000)}.{booking_id}"


def _beyond(by: ColumnElement[datetime], cursor: str, *, newest_first: bool) -> ColumnElement[bool]:
    match = _CURSOR.fullmatch(cursor)
    if match is None:
        raise InvalidInput("This cursor is not one of ours.", field="after")
    at, last = utc(0) + timedelta(microseconds=int(match[1])), match[2]
    if newest_first:
        return or_(by < at, and_(by == at, col(Booking.id) < last))
    return or_(by > at, and_(by == at, col(Booking.id) > last))
