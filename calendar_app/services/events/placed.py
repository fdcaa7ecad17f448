"""Single events by the id that a caller has: as they stand at their provider, changed there, and taken out.

An id may be the one that was given when the event was put in through us, the mirror's, or the provider's own. Changes
go to the provider with ``If-Match``: what somebody else changed meanwhile is never overwritten unseen.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import TypeVar, cast

from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, or_, select

from calendar_app.db import mirror
from calendar_app.db.ids import derived_id
from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import Calendar, Connection, Event, PlacedEvent
from calendar_app.domain.event import BOOKING_MARK, Attendee, CalendarEvent, EventDraft, EventStatus
from calendar_app.domain.recurrence import wallclock
from calendar_app.errors import (
    Conflict,
    EventNotFound,
    NotFound,
    PreconditionFailed,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
    VersionMismatch,
)
from calendar_app.providers.base import AccessRole, CalendarProvider, Capability, WrittenEvent
from calendar_app.services.calendar_sync import requests as sync_requests
from calendar_app.services.calendar_writes import event_writer
from calendar_app.services.common import audit_log
from calendar_app.services.common.permissions import Actor
from calendar_app.services.connections import tokens as connection_tokens
from calendar_app.services.connections.calendars import owned_calendar

Answer = TypeVar("Answer")
_TRIES = 3
Check = Callable[["EventView"], None]
"""Raises where the event is not as the caller knows it."""


@dataclass(frozen=True, slots=True)
class EventView:
    """One event as it stands. ``start`` and ``end`` are UTC; those of whole days also have dates, the last exclusive.

    ``id`` is ours and leads to the event; ``own_id`` is the caller's, empty for none; ``remote_id`` and ``etag`` are
    the provider's. ``can_change``: its calendar can be written, and it is neither a booking's nor a series nor of whole
    days, which are changed where they were made. ``note``: what the provider did not do of what was asked for.
    """

    id: str
    calendar_id: str
    provider: str
    remote_id: str
    own_id: str
    etag: str
    html_link: str
    summary: str
    description: str
    location: str
    start: datetime | None
    end: datetime | None
    all_day: bool
    start_date: date | None
    end_date: date | None
    timezone: str
    status: EventStatus
    attendees: tuple[Attendee, ...]
    recurring: bool
    booking_id: str | None
    can_change: bool
    note: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """Where an event is: its calendar, the provider's id, and what is known of it here."""

    calendar: Calendar
    connection: Connection
    remote_id: str
    placed: PlacedEvent | None
    mirrored: Event | None

    @property
    def id(self) -> str:
        """The id to tell the caller."""
        if self.placed is not None:
            return self.placed.id
        return str(self.mirrored.id) if self.mirrored is not None else self.remote_id

    def call(self, work: Callable[[CalendarProvider], Answer]) -> Answer:
        """Ask the event's provider."""
        return connection_tokens.call(self.calendar.connection_id, work)


def find(actor: Actor, event_id: str) -> Found:
    """:raises NotFound: no such event in a calendar that the actor may change."""
    with reading() as session:
        for placed, mirrored in _candidates(session, event_id):
            calendar_id = placed.calendar_id if placed else cast(Event, mirrored).calendar_id
            with suppress(NotFound):
                calendar, connection = owned_calendar(session, actor, calendar_id)
                remote_id = placed.remote_id if placed else cast(Event, mirrored).remote_id
                known = mirrored or _mirrored(session, calendar_id, remote_id)
                return Found(calendar, connection, remote_id, placed, known)
    raise NotFound("There is no such event.")


def _candidates(session: Session, event_id: str) -> list[tuple[PlacedEvent | None, Event | None]]:
    """Events of that id in any calendar: whose they are is for the caller to see."""
    placed = session.exec(
        select(PlacedEvent)
        .where(or_(PlacedEvent.id == event_id, PlacedEvent.remote_id == event_id))
        .limit(20)
    )
    found: list[tuple[PlacedEvent | None, Event | None]] = [(row, None) for row in placed]
    number = int(event_id) if event_id.isascii() and event_id.isdigit() and len(event_id) < 19 else 0
    mirrored = session.exec(
        select(Event).where(or_(Event.id == number, Event.remote_id == event_id)).limit(20)
    )
    for row in mirrored:
        known = session.exec(
            select(PlacedEvent).where(
                PlacedEvent.calendar_id == row.calendar_id, PlacedEvent.remote_id == row.remote_id
            )
        ).first()
        found.append((known, row))
    return found


def _mirrored(session: Session, calendar_id: str, remote_id: str) -> Event | None:
    query = select(Event).where(Event.calendar_id == calendar_id, Event.remote_id == remote_id)
    return session.exec(query).first()


def placed_id(key: str) -> str:
    """The id of the event that is put in with this key."""
    return derived_id("placed_event", key)


def remember(calendar_id: str, key: str, own_id: str, remote_id: str) -> str:
    """Keep which event was put in, so that it is found again; the id that leads to it."""
    given = placed_id(key)
    with suppress(IntegrityError), transaction() as session:  # somebody sent the same at the same moment
        row = session.get(PlacedEvent, given) or PlacedEvent(
            id=given, calendar_id=calendar_id, own_id=own_id, remote_id=remote_id
        )
        row.remote_id = remote_id
        session.add(row)
    return given


def get(actor: Actor, event_id: str) -> EventView:
    """The event as its provider shows it now; as last read where the provider does not answer.

    :raises NotFound: there is none, or it was deleted. :raises ProviderError: what the provider said.
    """
    found = find(actor, event_id)
    try:
        return view(found, found.call(lambda api: api.get_event(found.calendar.remote_id, found.remote_id)))
    except (ProviderUnavailable, RateLimited):
        if found.mirrored is None:
            raise
        return view(found, mirror.from_payload(found.mirrored.payload))
    except EventNotFound:
        raise NotFound("The event no longer exists.") from None


def view(found: Found, event: CalendarEvent, *, note: str = "") -> EventView:
    """What callers are told of an event."""
    zone = found.calendar.timezone
    all_day = event.start is not None and event.start.all_day
    recurring = bool(event.recurrence) or event.master_id is not None
    booking_id = found.mirrored.booking_id if found.mirrored else event.private.get(BOOKING_MARK)
    can_write = AccessRole(found.calendar.access_role).can_write
    return EventView(
        id=found.id,
        calendar_id=found.calendar.id,
        provider=found.connection.provider,
        remote_id=found.remote_id,
        own_id=found.placed.own_id if found.placed else "",
        etag=event.etag,
        html_link=event.html_link,
        summary=event.summary,
        description=event.description,
        location=event.location,
        start=wallclock.event_instant(event.start, zone),
        end=wallclock.event_instant(event.end, zone),
        all_day=all_day,
        start_date=event.start.value if all_day and event.start else None,
        end_date=event.end.value if all_day and event.end and event.end.all_day else None,
        timezone=zone if event.start is None or all_day else event.start.zone or zone,
        status=event.status,
        attendees=event.attendees,
        recurring=recurring,
        booking_id=booking_id or None,
        can_change=can_write and not (booking_id or recurring or all_day),
        note=note,
    )


def change(
    found: Found, draft_of: Callable[[EventView], EventDraft], check: Check | None = None
) -> tuple[EventView, tuple[str, ...]]:
    """Bring the event to the draft that is made of how it stands; what was seen is what is replaced.

    :raises VersionMismatch: ``check`` does not hold. :raises Conflict: ``event_of_booking``, ``event_not_changeable``.
    :raises NotFound: it is gone. :raises ProviderError: what the provider said.
    """

    def work(api: CalendarProvider) -> tuple[EventView, tuple[str, ...]]:
        require_writable(found, api)
        home = found.calendar.remote_id
        for left in reversed(range(_TRIES)):
            current = api.get_event(home, found.remote_id)
            seen = view(found, current)
            if check is not None:
                check(seen)
            _require_changeable(seen)
            draft = draft_of(seen)
            draft = replace(draft, remote_id=found.remote_id, private={**current.private, **draft.private})
            try:
                written = api.put_event(home, draft, etag=current.etag)
            except PreconditionFailed:
                if check is not None:
                    raise VersionMismatch("Somebody changed the event at the same moment.") from None
                if not left:
                    raise
                continue
            return changed(seen, draft, written, version_of(api, home, written)), written.uninvited
        raise AssertionError("the last try returns or raises")

    try:
        return found.call(work)
    except EventNotFound:
        raise NotFound("The event no longer exists.") from None


def version_of(api: CalendarProvider, calendar: str, written: WrittenEvent) -> str:
    """The version of what was written. Some servers do not tell it, and reading it is no part of the write."""
    if written.etag:
        return written.etag
    with suppress(ProviderError):
        return api.get_event(calendar, written.remote_id).etag
    return ""


def changed(seen: EventView, draft: EventDraft, written: WrittenEvent, etag: str) -> EventView:
    """What stands once ``draft`` was written over what was ``seen``."""
    guests = {one.email.lower(): one for one in (*draft.attendees, *seen.attendees)}
    return replace(
        seen,
        remote_id=written.remote_id,
        etag=etag,
        html_link=written.html_link or seen.html_link,
        summary=draft.summary,
        description=draft.description,
        location=draft.location,
        start=draft.start,
        end=draft.end,
        timezone=draft.zone,
        attendees=tuple(one for one in guests.values() if one.email not in written.uninvited),
    )


def delete(actor: Actor, event_id: str, check: Check | None = None) -> None:
    """Take the event out at its provider; a series with all its occurrences. One that is gone there already is done.

    :raises VersionMismatch: ``check`` does not hold. :raises Conflict: ``event_of_booking``.
    :raises NotFound: nobody knows of such an event. :raises ProviderError: what the provider said.
    """
    found = find(actor, event_id)

    def work(api: CalendarProvider) -> None:
        require_writable(found, api)
        home = found.calendar.remote_id
        try:
            current = api.get_event(home, found.remote_id)
        except EventNotFound:
            return
        seen = view(found, current)
        if check is not None:
            check(seen)
        _require_no_booking(seen)
        if check is None:
            event_writer.remove(api, home, found.remote_id)
            return
        try:
            api.delete_event(home, found.remote_id, etag=current.etag)
        except PreconditionFailed:
            raise VersionMismatch("Somebody changed the event at the same moment.") from None

    found.call(work)
    with transaction() as session:
        if found.placed is not None and (row := session.get(PlacedEvent, found.placed.id)):
            session.delete(row)
        note(session, actor, found.calendar, found.connection, "event.deleted", found.remote_id)
    sync_requests.request(found.calendar.id)


def note(
    session: Session, actor: Actor, calendar: Calendar, connection: Connection, action: str, remote_id: str
) -> None:
    """The audit entry of what was done to an event."""
    audit_log.record(
        session,
        actor.workspace_id,
        actor,
        action,
        "calendar",
        calendar.id,
        provider=connection.provider,
        event=remote_id,
    )


def require_writable(found: Found, api: CalendarProvider) -> None:
    """:raises Conflict: ``calendar_read_only``."""
    if Capability.WRITE not in api.capabilities or not AccessRole(found.calendar.access_role).can_write:
        raise Conflict(
            f"“{found.calendar.name}” is read-only: its events cannot be changed from here.",
            code="event_not_changeable",
        )


def _require_no_booking(seen: EventView) -> None:
    if seen.booking_id:
        raise Conflict(
            "This is the event of a booking: move or cancel the booking instead.", code="event_of_booking"
        )


def _require_changeable(seen: EventView) -> None:
    _require_no_booking(seen)
    if seen.recurring or seen.all_day:
        what = "recurs" if seen.recurring else "lasts whole days"
        raise Conflict(f"The event {what}: change it in its calendar.", code="event_not_changeable")
