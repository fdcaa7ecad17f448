"""Appointments that customers made at a provider that takes bookings itself: what it offers, and calling one off.

They are no bookings of ours and nothing here writes them; their provider does what is asked and tells the guests.
"""

from __future__ import annotations

from typing import cast

from sqlmodel import Session

from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import Calendar, Connection, Event
from calendar_app.domain.intake import clean_text
from calendar_app.errors import InvalidInput, NotFound
from calendar_app.providers.base import Appointments, AppointmentType, CalendarProvider, Capability
from calendar_app.services.calendar_sync import requests as sync_requests
from calendar_app.services.common import audit_log
from calendar_app.services.common.permissions import Actor
from calendar_app.services.connections import tokens as connection_tokens
from calendar_app.services.connections.calendars import owned_calendar

LONGEST_REASON = 1_000


def types(actor: Actor, calendar_id: str) -> list[AppointmentType]:
    """What customers can book at the provider of a calendar of the actor's.

    :raises NotFound: no such calendar, or not the actor's. :raises InvalidInput: ``no_appointments``, its provider
        takes no bookings. :raises ProviderError: what the provider said.
    """
    with reading() as session:
        calendar, _ = owned_calendar(session, actor, calendar_id)
    return connection_tokens.call(
        calendar.connection_id, lambda api: _appointments(api, calendar).appointment_types(calendar.remote_id)
    )


def cancel(actor: Actor, event_id: str, reason: str = "") -> None:
    """Call off a mirrored event for everybody who takes part, as its host; the mirror follows.

    :raises NotFound: no such event, or not in a calendar of the actor's. :raises InvalidInput: ``no_appointments``, or
        ``reason`` is too long. :raises ProviderError: what the provider said.
    """
    reason = clean_text(reason, "reason", LONGEST_REASON, lines=True)
    with reading() as session:
        event, calendar, connection = _owned_event(session, actor, event_id)
    connection_tokens.call(
        calendar.connection_id,
        lambda api: _appointments(api, calendar).cancel_appointment(
            calendar.remote_id, event.remote_id, reason
        ),
    )
    with transaction() as session:
        audit_log.record(
            session,
            actor.workspace_id,
            actor,
            "event.cancelled",
            "calendar",
            calendar.id,
            provider=connection.provider,
            event=event.remote_id,
        )
    sync_requests.request(calendar.id)


def _owned_event(session: Session, actor: Actor, event_id: str) -> tuple[Event, Calendar, Connection]:
    """:raises NotFound: the actor may change no such event."""
    number = int(event_id) if event_id.isascii() and event_id.isdigit() and len(event_id) < 19 else 0
    event = session.get(Event, number)
    if event is None:
        raise NotFound("There is no such event.")
    try:
        return event, *owned_calendar(session, actor, event.calendar_id)
    except NotFound:
        raise NotFound("There is no such event.") from None


def _appointments(api: CalendarProvider, calendar: Calendar) -> Appointments:
    if Capability.APPOINTMENTS not in api.capabilities:
        raise InvalidInput(
            f"“{calendar.name}” takes no bookings of its own: change its events where they were made.",
            code="no_appointments",
        )
    return cast(Appointments, api)
