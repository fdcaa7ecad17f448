"""What pages and the API show of a booking: one view, full for the business, and less for customers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, select

from calendar_app.db.tables import (
    Booking,
    BookingHost,
    Calendar,
    CalendarWrite,
    Connection,
    EventType,
    Person,
    Workspace,
)
from calendar_app.domain.booking import STANDING, Status, change_deadline
from calendar_app.domain.meeting_place import MADE_BY_CALENDARS
from calendar_app.services.calendar_writes.planning import Planned
from calendar_app.services.calendar_writes.receipts import ReceiptView, receipt
from calendar_app.services.common import signed_links
from calendar_app.services.event_types import answers as event_type_answers
from calendar_app.services.event_types.meeting_places import PlaceView, place_of


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
