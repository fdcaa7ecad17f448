"""Orphaned events: events of bookings that this database does not know, because a backup was put back that is older.

The drift report (:mod:`calendar_app.services.external_changes.drift_report`) looks for them in the mirror, asks the
provider, and lists them. People take such an event into the bookings or remove it. An event of another installation is
not listed; one that does not say where it comes from (releases before wrote none) may be taken in, and is never offered
for removal.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from urllib.parse import urlsplit

from sqlalchemy import Text, cast, or_
from sqlmodel import Session, col, select

from calendar_app.db.session import clock, reading, transaction
from calendar_app.db.tables import (
    Booking,
    BookingHost,
    Calendar,
    CalendarWrite,
    Connection,
    Deviation,
    Event,
    EventType,
    HostReservation,
    Occurrence,
    Person,
)
from calendar_app.domain.calendar_write import WriteState
from calendar_app.domain.event import BOOKING_MARK, ORIGIN_MARK, CalendarEvent
from calendar_app.domain.external_change import ChangeKind, ChangeResolution
from calendar_app.domain.recurrence import wallclock
from calendar_app.domain.timespan import Span, instant
from calendar_app.domain.webhook import WebhookEvent
from calendar_app.domain.zones import is_zone
from calendar_app.errors import EventNotFound, InvalidInput, NotFound, ProviderError, StateChanged
from calendar_app.services.bookings import reservations, webhook_events
from calendar_app.services.calendar_mirror import mirror
from calendar_app.services.common import audit_log, change_events, installation
from calendar_app.services.common.permissions import Actor
from calendar_app.services.connections import tokens as connection_tokens
from calendar_app.services.external_changes import steps as external_change_steps
from calendar_app.services.external_changes.steps import Case
from calendar_app.settings import current_settings

MOST = 100
"""Events that one run asks a provider about."""
_MINUTE = 60
_BOOKING_ID = re.compile(r"[0-9a-z]{26}")
_CUSTOMER = re.compile(r"([^\n<>]*?)\s*<([^<>\s@]+@[^<>\s@]+)>")


# --- finding them -----------------------------------------------------------------------------------------------------


def find(session: Session, calendar_ids: Sequence[str], now: datetime) -> list[Event]:
    """Mirrored events that are not over and that seem to belong to a booking which there is not; the first hundred.

    Providers that list no marks show them when they are asked for the event; there its text leads to the booking.
    """
    link = f"{current_settings().public_url}/bookings?booking="
    payload = cast(col(Event.payload), Text)
    ahead = select(Occurrence.id).where(
        col(Occurrence.event_id) == col(Event.id), col(Occurrence.ends) > instant(now)
    )
    settled = select(Deviation.id).where(
        col(Deviation.calendar_id) == col(Event.calendar_id),
        col(Deviation.remote_id) == col(Event.remote_id),
        or_(col(Deviation.resolved_at).is_(None), col(Deviation.resolution) == ChangeResolution.DISMISSED),
    )
    written = select(CalendarWrite.id).where(
        col(CalendarWrite.calendar_id) == col(Event.calendar_id),
        col(CalendarWrite.remote_id) == col(Event.remote_id),
    )
    query = (
        select(Event)
        .where(col(Event.calendar_id).in_(calendar_ids), col(Event.booking_id).is_(None))
        .where(or_(payload.contains(BOOKING_MARK, autoescape=True), payload.contains(link, autoescape=True)))
        .where(col(Event.master_id).is_(None), ahead.exists(), ~settled.exists(), ~written.exists())
        .order_by(col(Event.id))
    )
    found = []
    for event in session.exec(query).all():
        marks = event.payload.get("private") or {}
        text = str(event.payload.get("description") or "")
        booking_id = str(marks.get(BOOKING_MARK) or text.partition(link)[2][:26])
        if _of_another(session, marks) or session.get(Booking, booking_id) is not None:
            continue
        found.append(event)
    return found[:MOST]


def note(
    connection: Connection, calendars: Mapping[str, Calendar], candidates: Sequence[Event], now: datetime
) -> None:
    """List each that really stands there. Call it outside of any transaction."""
    for event in candidates:
        calendar = calendars[event.calendar_id]
        try:
            seen = _ask(connection.id, calendar.remote_id, event.remote_id)
        except EventNotFound:
            continue  # the mirror is behind: the next sync removes it
        except (ProviderError, NotFound):
            return
        with transaction() as session:
            detail = _detail(session, calendar, seen)
            if detail is None:
                continue
            session.add(
                Deviation(
                    workspace_id=connection.workspace_id,
                    calendar_id=calendar.id,
                    remote_id=event.remote_id,
                    kind=ChangeKind.ORPHANED,
                    detail=detail,
                    found_at=now,
                )
            )
            change_events.announce(session, connection.workspace_id, "bookings")


def close(session: Session, calendar_ids: Sequence[str], now: datetime) -> None:
    """What was listed and is over, or has its booking by now, is history."""
    rows = session.exec(
        select(Deviation).where(
            col(Deviation.calendar_id).in_(calendar_ids),
            Deviation.kind == ChangeKind.ORPHANED,
            col(Deviation.resolved_at).is_(None),
        )
    ).all()
    for row in rows:
        ended = row.detail.get("end") and datetime.fromisoformat(str(row.detail["end"])) <= now
        if ended or session.get(Booking, str(row.detail.get("booking"))) is not None:
            row.resolved_at, row.resolution = now, ChangeResolution.VANISHED
            session.add(row)


def _ask(connection_id: str, calendar: str, remote_id: str) -> CalendarEvent:
    return connection_tokens.call(connection_id, lambda api: api.get_event(calendar, remote_id))


def _detail(session: Session, calendar: Calendar, seen: CalendarEvent) -> dict[str, object] | None:
    """What the list says of an event; ``None``: it is none of ours, or there is its booking."""
    booking_id = seen.private.get(BOOKING_MARK, "")
    if not _BOOKING_ID.fullmatch(booking_id) or _of_another(session, seen.private):
        return None
    if session.get(Booking, booking_id) is not None:
        return None
    start = wallclock.event_instant(seen.start, calendar.timezone)
    end = wallclock.event_instant(seen.end, calendar.timezone)
    return {
        "booking": booking_id,
        "ours": _is_ours(session, seen.private),
        "summary": seen.summary[:200],
        "start": start.isoformat() if start else "",
        "end": end.isoformat() if end else "",
    }


def may_be_ours(seen: CalendarEvent) -> bool:
    """Whether an event with our mark does not say that another installation wrote it."""
    with reading() as session:
        return not _of_another(session, seen.private)


def _is_ours(session: Session, marks: Mapping[str, str]) -> bool:
    found, row = installation.origin(marks.get(ORIGIN_MARK, "")), installation.own(session)
    return found is not None and row is not None and found.installation_id == row.id


def _of_another(session: Session, marks: Mapping[str, str]) -> bool:
    return installation.origin(marks.get(ORIGIN_MARK, "")) is not None and not _is_ours(session, marks)


# --- what people do about them ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Found:
    """An orphaned event as it stands, and whose calendar it is in."""

    case: Case
    event: CalendarEvent
    host: Person


def remove(case: Case, actor: Actor, now: datetime) -> None:
    """Take the event out of the calendar, if it is still one of this installation.

    :raises InvalidInput: it is not. :raises ProviderError: the calendar cannot be asked.
    """
    try:
        seen = _ask(case.connection.id, case.calendar.remote_id, case.row.remote_id)
    except EventNotFound:
        external_change_steps.close(case, ChangeResolution.VANISHED, now)
        return
    with reading() as session:
        ours = _is_ours(session, seen.private)
    if not ours:
        raise InvalidInput("This event does not say that this installation wrote it.", field="how")
    external_change_steps.remove_stray(case, actor, now, ChangeResolution.REMOVED)


def take_in(case: Case, actor: Actor, now: datetime) -> None:
    """Make the booking that the event is of, with the event as it stands: no second one is written, nobody is told.

    Where several hosts have an event of the booking, all of them are its hosts. The booking gets the id that it had, so
    that links in the customer's e-mails work again.

    :raises InvalidInput: the event does not say enough. :raises SlotUnavailable: the time is taken by another booking.
    :raises StateChanged: the event is gone. :raises ProviderError: the calendar cannot be asked.
    """
    found = _together(case, now)
    reservations.retrying(partial(_write, found, actor, now))


def _together(case: Case, now: datetime) -> list[_Found]:
    """The event with those of the same booking in other hosts' calendars."""
    with reading() as session:
        rows = session.exec(
            select(Deviation).where(
                Deviation.workspace_id == case.row.workspace_id,
                Deviation.kind == ChangeKind.ORPHANED,
                col(Deviation.resolved_at).is_(None),
            )
        ).all()
        same = [row.id for row in rows if row.detail.get("booking") == case.row.detail.get("booking")]
        cases = [
            one
            for one in (external_change_steps.load_case(session, row_id) for row_id in same)
            if one is not None
        ]
        hosts = {one.row.id: session.get_one(Person, one.connection.person_id) for one in cases}
    found: list[_Found] = []
    for one in sorted(cases, key=lambda other: other.row.id != case.row.id):
        try:
            event = _ask(one.connection.id, one.calendar.remote_id, one.row.remote_id)
        except EventNotFound:
            external_change_steps.close(one, ChangeResolution.VANISHED, now)
            if one.row.id == case.row.id:
                raise StateChanged("The event is not in the calendar any more.") from None
            continue
        found.append(_Found(one, event, hosts[one.row.id]))
    if not found:
        raise StateChanged("This has been settled meanwhile.")
    return found


def _write(found: Sequence[_Found], actor: Actor, now: datetime) -> None:
    first = found[0]
    with transaction() as session:
        booking, event_type = _booking(session, first)
        if session.get(Booking, booking.id) is not None:
            raise StateChanged("There is this booking by now.")
        hosts = {one.host.id for one in found}
        reservations.lock_hosts(session, {event_type.id}, hosts, now)
        held = _claim(session, event_type, booking, hosts)
        session.add(booking)
        session.flush()
        for host_id in sorted(hosts):
            session.add(BookingHost(booking_id=booking.id, person_id=host_id, reservation_id=held[host_id]))
        for one in found:
            session.add(_receipt(one, booking, now))
        session.flush()
        for one in found:
            mirror.recognise(
                session, one.case.calendar.id, one.case.row.remote_id, booking.id, (one.event.etag,)
            )
            external_change_steps.end(session, one.case.row.id, ChangeResolution.TAKEN_IN, now)
        place = {"calendar": first.case.calendar.name}
        audit_log.record(
            session, booking.workspace_id, actor, "booking.taken_in", "booking", booking.id, **place
        )
        webhook_events.booking_changed(session, booking, WebhookEvent.BOOKING_CREATED)
        change_events.announce(session, booking.workspace_id, "bookings")


def _receipt(one: _Found, booking: Booking, now: datetime) -> CalendarWrite:
    """The calendar holds what the booking wants: nothing is to be written."""
    return CalendarWrite(
        booking_id=booking.id,
        calendar_id=one.case.calendar.id,
        remote_id=one.event.remote_id,
        desired_version=booking.version,
        applied_version=booking.version,
        state=WriteState.VERIFIED,
        etag=one.event.etag,
        html_link=one.event.html_link,
        written_at=now,
        verified_at=now,
    )


def _claim(session: Session, event_type: EventType, booking: Booking, hosts: set[str]) -> dict[str, str]:
    """Reservations by host: the seat of a group that has one then, else a claim of its own."""
    span = Span(
        instant(booking.start_at) - event_type.buffer_before * _MINUTE,
        instant(booking.end_at) + event_type.buffer_after * _MINUTE,
    )
    shared: dict[str, str] = {}
    if event_type.seats > 1:
        groups = session.exec(
            select(HostReservation).where(
                HostReservation.event_type_id == event_type.id,
                HostReservation.starts == span.start,
                HostReservation.ends == span.end,
                col(HostReservation.host_id).in_(hosts),
            )
        )
        shared = {row.host_id: row.id for row in groups}
    alone = hosts - set(shared)
    return shared | reservations.claim(session, event_type.id, alone, span, reservations.CONFIRMED)


def _booking(session: Session, found: _Found) -> tuple[Booking, EventType]:
    """The booking that an event tells of. :raises InvalidInput: it does not tell enough."""
    event, case = found.event, found.case
    start = wallclock.event_instant(event.start, case.calendar.timezone)
    end = wallclock.event_instant(event.end, case.calendar.timezone)
    if (
        start is None
        or end is None
        or (event.start and event.start.all_day)
        or event.recurrence
        or end <= start
    ):
        raise InvalidInput("The event is all-day or repeats now: give it one time in the calendar first.")
    came_from = installation.origin(event.private.get(ORIGIN_MARK, ""))
    event_type = _event_type(session, case.row.workspace_id, event, came_from)
    name, email = _customer(event, event_type, {found.host.email, case.connection.account_email})
    booking_id = event.private.get(BOOKING_MARK, "")
    if not _BOOKING_ID.fullmatch(booking_id):
        raise InvalidInput("The event does not say any more which booking it is of.")
    zone = came_from.zone if came_from and is_zone(came_from.zone) else found.host.timezone
    booking = Booking(
        id=booking_id,
        workspace_id=case.row.workspace_id,
        event_type_id=event_type.id,
        status="confirmed",
        start_at=start,
        end_at=end,
        timezone=zone,
        name=name,
        email=email,
        location=event.location[:500],
        sequence=event.sequence,
        created_at=clock(session),
        uid=f"{booking_id}@{urlsplit(current_settings().public_url).hostname or 'almanac'}",
    )
    return booking, event_type


def _event_type(
    session: Session, workspace_id: str, event: CalendarEvent, came_from: installation.Origin | None
) -> EventType:
    """That of the mark; without one, that whose title the event's begins with."""
    kinds = session.exec(select(EventType).where(EventType.workspace_id == workspace_id)).all()
    for kind in kinds:
        if came_from is not None and kind.id == came_from.event_type_id:
            return kind
    titled = [kind for kind in kinds if event.summary.startswith(f"{kind.title} with ")]
    if not titled:
        raise InvalidInput(
            "The event does not say which event type was booked: book the time by hand, and remove the event."
        )
    return max(titled, key=lambda kind: len(kind.title))


def _customer(event: CalendarEvent, event_type: EventType, own: set[str]) -> tuple[str, str]:
    """Name and address of whoever booked, from the text that we wrote or else from the guests: customers were guests of
    events that earlier releases wrote, and a host may have added guests to any."""
    mine = {address.lower() for address in own}
    guests = [(one.name, one.email) for one in event.attendees]
    told = [(name.strip(), email) for name, email in _CUSTOMER.findall(event.description)]
    for name, email in (*told, *guests):
        if "@" in email and email.lower() not in mine:
            titled = event.summary.removeprefix(f"{event_type.title} with ")
            return (name or titled or email)[:200], email[:320]
    raise InvalidInput("The event does not say who booked: book the time by hand, and remove the event.")
