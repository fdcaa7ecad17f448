"""Where a booking could go: the times that its hosts have for it, as if it did not stand where it stands now.

What is listed here is asked again, together with the providers, when the booking is moved
(:func:`calendar_app.services.bookings.reschedule`).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from sqlmodel import Session, col, select

from calendar_app.clock import utc_now
from calendar_app.db.session import reading
from calendar_app.db.tables import Booking, BookingHost, EventType
from calendar_app.domain import slots as engine
from calendar_app.domain.hosting import Hosting
from calendar_app.domain.timespan import Span, instant
from calendar_app.services.availability import slots as available_slots
from calendar_app.services.availability import snapshot as slot_snapshot
from calendar_app.services.availability.slots import SlotsView
from calendar_app.services.bookings import queries as booking_queries
from calendar_app.services.common import signed_links
from calendar_app.services.common.permissions import Actor, Role
from calendar_app.services.event_types.validation import rules_of


def slots(
    actor: Actor, booking_id: str, start: datetime, end: datetime, *, zone: str, now: datetime | None = None
) -> SlotsView:
    """Times in ``[start, end)`` (aware) at which the booking's own hosts could have it, in its length.

    :raises NotFound: not the actor's to see. :raises InvalidInput: window or zone.
    """
    actor.require(Role.STAFF)
    with reading() as session:
        return _slots(session, booking_queries.owned(session, actor, booking_id), start, end, zone, now)


def slots_by_token(
    token: str, start: datetime, end: datetime, *, zone: str, now: datetime | None = None
) -> SlotsView:
    """As :func:`slots`, for whoever has the manage link. :raises NotFound: it leads nowhere."""
    booking_id = signed_links.booking_id(token)
    with reading() as session:
        row = session.get(Booking, booking_id)
        if row is None:
            raise signed_links.unknown()
        return _slots(session, row, start, end, zone, now)


def _slots(
    session: Session, row: Booking, start: datetime, end: datetime, zone: str, now: datetime | None
) -> SlotsView:
    now = now or utc_now()
    window = available_slots.check_window(start, end)
    available_slots.check_zone(zone)
    event_type = session.get_one(EventType, row.event_type_id)
    minutes = max(1, int((row.end_at - row.start_at) / timedelta(minutes=1)))
    rules = replace(rules_of(event_type), durations=(minutes,), duration=minutes)
    hosts = set(session.exec(select(BookingHost.person_id).where(BookingHost.booking_id == row.id)))
    reach = Span(window.start, window.end + rules.length)
    snapshot = slot_snapshot.load(session, event_type, reach, now, without=_own_claims(session, row))
    team = [host for host in snapshot.hosts if host.id in hosts]
    hosting = Hosting.SINGLE if len(team) == 1 else Hosting.COLLECTIVE
    complete = len(team) == len(hosts)
    found = engine.find_slots(window, rules, team, instant(now), hosting) if complete else []
    here = instant(row.start_at)
    calendars = [calendar for calendar in snapshot.calendars if calendar.person_id in hosts]
    return SlotsView(
        [slot for slot in found if slot.start != here],
        [],
        window,
        available_slots.freshness_of(calendars, now),
        zone,
        row.workspace_id,
    )


def _own_claims(session: Session, row: Booking) -> set[str]:
    """Reservations that nobody but this booking has a seat in."""
    held = select(BookingHost.reservation_id).where(BookingHost.booking_id == row.id)
    ids = {claim for claim in session.exec(held) if claim is not None}
    others = select(BookingHost.reservation_id).where(
        col(BookingHost.reservation_id).in_(ids), BookingHost.booking_id != row.id
    )
    return ids - set(session.exec(others))
