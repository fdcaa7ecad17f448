"""Bookings as pages and the API see them, and who may see which.

Managers see every booking of the workspace, staff those that they host, customers with an account those made with
their address. Whoever holds a booking's manage link sees that one, without what only concerns the business.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
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
    Calendar,
    CalendarWrite,
    Connection,
    EventType,
    Membership,
    Person,
    Workspace,
)
from calendar_app.db.types import UtcDateTime
from calendar_app.domain.booking import STANDING, Status, change_deadline
from calendar_app.domain.calendar_write import WriteState
from calendar_app.domain.meeting_place import MADE_BY_CALENDARS
from calendar_app.domain.timespan import utc
from calendar_app.errors import InvalidInput, NotFound
from calendar_app.services.availability.slots import check_moment
from calendar_app.services.calendar_writes.planning import Planned
from calendar_app.services.calendar_writes.receipts import ReceiptView, receipt
from calendar_app.services.common import signed_links
from calendar_app.services.common.permissions import Actor, Role
from calendar_app.services.event_types import answers as event_type_answers
from calendar_app.services.event_types.meeting_places import PlaceView, place_of

MOST = 200
"""The longest page of a list."""
_CURSOR = re.compile(r"(-?\d{1,17})\.([0-9a-z]{26})", re.ASCII)


@dataclass(frozen=True, slots=True)
class BookingHostView:
    """``email`` is for calendar files alone, whose readers have it from their invitation."""

    id: str
    name: str
    email: str = ""


@dataclass(frozen=True, slots=True)
class BookingView:
    """A booking. ``start`` and ``end`` are UTC; ``timezone`` is the customer's; ``answers`` by question id;
    ``language`` the customer's tag, empty where nothing is known of it, and ``workspace_language`` what staff read.

    ``calendar_event_id`` maps a provider to the event's id there, ``sync`` has one receipt per calendar; both are
    empty for customers. ``change_deadline`` is the customer's last moment to cancel or move it; ``changed_at`` is when
    its time or status last changed.

    Where it takes place is told to customers while the booking stands, to the business always: ``place`` with its kind,
    ``location`` the bare address, link or number. ``link_follows``: a calendar is to make the online meeting, and its
    link is not there yet; ``meeting_error``: why there is none, for the business. ``name`` and ``email`` are of whoever
    comes, ``booked_by_name`` and ``booked_by_email`` of somebody who booked for them.
    """

    id: str
    workspace_id: str
    workspace_slug: str
    workspace_name: str
    workspace_language: str
    event_type_id: str
    event_type_slug: str
    title: str
    status: str
    start: datetime
    end: datetime
    timezone: str
    language: str
    name: str
    email: str
    answers: dict[str, Any]
    campaign: dict[str, str]
    answers_in_words: tuple[tuple[str, str], ...]
    location: str
    place: PlaceView
    link_follows: bool
    meeting_error: str
    phone: str
    guests: tuple[str, ...]
    booked_by_name: str
    booked_by_email: str
    notes: str
    color: str
    hosts: tuple[BookingHostView, ...]
    manage_url: str
    manage_token: str
    uid: str
    calendar_event_id: dict[str, str]
    sync: tuple[ReceiptView, ...]
    version: int
    sequence: int
    created_at: datetime
    changed_at: datetime
    cancelled_at: datetime | None
    cancelled_by: str
    cancel_reason: str
    change_deadline: datetime


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


def view(session: Session, row: Booking, *, full: bool) -> BookingView:
    """One booking; ``full`` for the business."""
    return views(session, [row], full=full)[0]


def views(session: Session, rows: Sequence[Booking], *, full: bool) -> list[BookingView]:
    """Bookings in the order given, with a fixed number of queries."""
    ids = [row.id for row in rows]
    hosts = _hosts(session, ids)
    receipts = _receipts(session, ids) if full else {}
    types = _by_id(session, EventType, {row.event_type_id for row in rows})
    workspaces = _by_id(session, Workspace, {row.workspace_id for row in rows})
    return [
        _view(
            row,
            types[row.event_type_id],
            workspaces[row.workspace_id],
            hosts[row.id],
            receipts.get(row.id, []),
            full=full,
        )
        for row in rows
    ]


def view_of_new(
    row: Booking,
    event_type: EventType,
    workspace: Workspace,
    hosts: Iterable[Person],
    planned: Iterable[Planned],
    *,
    full: bool,
) -> BookingView:
    """A booking that is only just being made, as :func:`view` would show it, from the rows that its transaction holds
    and without reading any. ``hosts`` in the order in which they were written."""
    writes = sorted(planned, key=lambda one: one.row.id) if full else ()
    receipts = [
        ("", receipt(one.row, one.target.calendar, one.target.provider, one.target.account)) for one in writes
    ]
    people = [BookingHostView(person.id, person.name, person.email) for person in hosts]
    return _view(row, event_type, workspace, people, receipts, full=full)


def _by_id(session: Session, table: Any, ids: Iterable[str]) -> dict[str, Any]:
    return {row.id: row for row in session.exec(select(table).where(table.id.in_(list(ids))))}


def _hosts(session: Session, booking_ids: Collection[str]) -> dict[str, list[BookingHostView]]:
    query = (
        select(BookingHost.booking_id, Person.id, Person.name, Person.email)
        .join(Person, col(Person.id) == col(BookingHost.person_id))
        .where(col(BookingHost.booking_id).in_(booking_ids))
        .order_by(col(BookingHost.id))
    )
    found: dict[str, list[BookingHostView]] = defaultdict(list)
    for booking_id, person_id, name, email in session.exec(query):
        found[booking_id].append(BookingHostView(person_id, name, email))
    return found


def _receipts(session: Session, booking_ids: Collection[str]) -> dict[str, list[tuple[str, ReceiptView]]]:
    """Receipts by booking, each beside the event's id at the provider (empty while there is no event)."""
    query = (
        select(CalendarWrite, Calendar, Connection)
        .join(Calendar, col(Calendar.id) == col(CalendarWrite.calendar_id))
        .join(Connection, col(Connection.id) == col(Calendar.connection_id))
        .where(col(CalendarWrite.booking_id).in_(booking_ids))
        .order_by(col(CalendarWrite.id))
    )
    found: dict[str, list[tuple[str, ReceiptView]]] = defaultdict(list)
    for write, calendar, connection in session.exec(query):
        found_receipt = receipt(write, calendar.name, connection.provider, connection.account_email)
        there = write.remote_id if write.written_at is not None and write.present else ""
        found[write.booking_id].append((there, found_receipt))
    return found


def _view(
    row: Booking,
    event_type: EventType,
    workspace: Workspace,
    hosts: Iterable[BookingHostView],
    receipts: Sequence[tuple[str, ReceiptView]],
    *,
    full: bool,
) -> BookingView:
    place = place_of(row, told=full or row.status in STANDING)
    ids: dict[str, str] = {}
    for remote_id, one in receipts:
        if remote_id:
            ids.setdefault(one.provider, remote_id)
    token = signed_links.token(row.id)
    return BookingView(
        id=row.id,
        workspace_id=row.workspace_id,
        workspace_slug=workspace.slug,
        workspace_name=workspace.name,
        workspace_language=workspace.language,
        event_type_id=row.event_type_id,
        event_type_slug=event_type.slug,
        title=event_type.title,
        status=row.status,
        start=row.start_at,
        end=row.end_at,
        timezone=row.timezone,
        language=row.language,
        name=row.name,
        email=row.email,
        answers=row.answers,
        campaign=row.campaign if full else {},
        answers_in_words=tuple(event_type_answers.answers_in_words(row, event_type)),
        location=row.location if place.where else "",
        place=place,
        link_follows=place.kind in MADE_BY_CALENDARS and row.status == Status.CONFIRMED and not row.location,
        meeting_error=row.meeting_error if full else "",
        phone=row.phone,
        guests=tuple(row.guests),
        booked_by_name=row.booked_by_name,
        booked_by_email=row.booked_by_email,
        notes=row.notes,
        color=row.color,
        hosts=tuple(hosts),
        manage_url=signed_links.url(row.id),
        manage_token=token,
        uid=row.uid,
        calendar_event_id=ids,
        sync=tuple(one for _, one in receipts),
        version=row.version,
        sequence=row.sequence,
        created_at=row.created_at,
        changed_at=max(row.created_at, row.changed_at or row.created_at, row.cancelled_at or row.created_at),
        cancelled_at=row.cancelled_at,
        cancelled_by=row.cancelled_by,
        cancel_reason=row.cancel_reason,
        change_deadline=change_deadline(row.start_at, event_type.cancel_notice),
    )
