"""Calendly's resources -> :class:`CalendarEvent` and what else the product knows, and the cursor of a listing. Pure.

Source of every field: https://developer.calendly.com/api-docs (Event, Invitee, User, Event Type, User Busy Time).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

from calendar_app.domain.event import Attendee, CalendarEvent, EventStatus, EventTime, Response
from calendar_app.domain.timespan import Span, instant
from calendar_app.domain.zones import is_zone
from calendar_app.errors import ProviderUnavailable
from calendar_app.providers.base import AccessRole, AppointmentType, RemoteCalendar

COLOR = "#006bff"
"""Calendly's own blue: its calendars have no colour."""
_FORMAT = 1
_PENDING = "?"


def uuid_of(uri: object) -> str:
    """The last part of a resource's URI. Nothing else of a URI that Calendly sends is ever used in an address."""
    return str(uri).rstrip("/").rpartition("/")[2]


def resource_of(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    """The one resource that an answer holds. :raises ProviderUnavailable: there is none, or it has no URI."""
    found = answer.get("resource")
    if not isinstance(found, dict) or not found.get("uri"):
        raise ProviderUnavailable("Calendly sent an answer that cannot be read.", reason="bad_body")
    return found


def calendar_from(user: Mapping[str, Any]) -> RemoteCalendar:
    """The one calendar of an account: what customers booked with this user. Its id is the user's URI.

    Primary, because it is the account's own time, and read-only, because customers alone write there.
    """
    named = user.get("timezone")
    zone = str(named) if is_zone(named) else ""
    return RemoteCalendar(str(user["uri"]), "Calendly", zone, AccessRole.READER, COLOR, is_primary=True)


def event_from(item: Mapping[str, Any], invitees: Sequence[Mapping[str, Any]] | None = None) -> CalendarEvent:
    """A scheduled event; ``invitees`` as far as they were asked for. Guests are in the event itself.

    :raises KeyError, ValueError: it has no id, or times that cannot be read.
    """
    people = [_invitee(person) for person in invitees or () if person.get("email")]
    known = {person.email.lower() for person in people}
    guests = [
        Attendee(str(guest["email"]), optional=True)
        for guest in item.get("event_guests") or ()
        if guest.get("email") and str(guest["email"]).lower() not in known
    ]
    canceled = item.get("status") == "canceled"
    hosts = [host.get("user_email") for host in item.get("event_memberships") or ()]
    return CalendarEvent(
        remote_id=uuid_of(item["uri"]),
        status=EventStatus.CANCELLED if canceled else EventStatus.CONFIRMED,
        start=_time(item["start_time"]),
        end=_time(item["end_time"]),
        summary=str(item.get("name") or "Calendly event"),
        description=str(item.get("meeting_notes_plain") or ""),
        location=_place(item.get("location")),
        updated=_moment(item["updated_at"]) if item.get("updated_at") else None,
        organizer_email=str(next((email for email in hosts if email), "")),
        attendees=tuple(people + guests),
    )


def appointment_type_from(item: Mapping[str, Any]) -> AppointmentType:
    """An event type."""
    return AppointmentType(
        remote_id=uuid_of(item["uri"]),
        name=str(item.get("name") or ""),
        minutes=int(item.get("duration") or 0),
        booking_url=str(item.get("scheduling_url") or ""),
        description=str(item.get("description_plain") or ""),
        active=bool(item.get("active")),
    )


def busy_from(items: Sequence[Mapping[str, Any]]) -> list[Span]:
    """Busy times that are Calendly's own events. External ones are those of other calendars, which speak for
    themselves here, with our own bookings told apart."""
    return [
        Span(instant(_moment(item["start_time"])), instant(_moment(item["end_time"])))
        for item in items
        if item.get("type") == "calendly"
    ]


def rfc3339(moment: datetime) -> str:
    """``2026-11-21T09:00:00.000000Z``, as Calendly writes it."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"


@dataclass(frozen=True, slots=True)
class Position:
    """What a listing saw, so that the next one tells only what is new: Calendly itself has no deltas.

    ``since``: the listing's bound. ``marks``: event id -> a fingerprint of the event as listed, with ``?`` behind it
    while its invitees have not been asked for.
    """

    since: str
    marks: Mapping[str, str]

    @classmethod
    def read(cls, cursor: str) -> Self:
        """:raises ValueError: it is none of ours."""
        parts = json.loads(cursor)
        if (
            not isinstance(parts, list)
            or len(parts) != 3
            or parts[0] != _FORMAT
            or not isinstance(parts[2], dict)
        ):
            raise ValueError("not a cursor of this format")
        return cls(str(parts[1]), parts[2])

    def written(self) -> str:
        return json.dumps([_FORMAT, self.since, self.marks], separators=(",", ":"))


def mark_of(item: Mapping[str, Any]) -> str:
    """A fingerprint of everything that a listing says of an event."""
    content = json.dumps(item, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(content.encode(), digest_size=8).hexdigest()


def pending(mark: str) -> str:
    """The mark of an event whose invitees are still to be asked for."""
    return mark + _PENDING


def _invitee(person: Mapping[str, Any]) -> Attendee:
    canceled = person.get("status") == "canceled"
    return Attendee(
        email=str(person["email"]),
        name=str(person.get("name") or ""),
        response=Response.DECLINED if canceled else Response.ACCEPTED,
    )


def _place(location: Mapping[str, Any] | None) -> str:
    """An address, a telephone number or a link to join, whichever kind of location it is."""
    if not location:
        return ""
    return str(location.get("join_url") or location.get("location") or "")


def _time(value: str) -> EventTime:
    return EventTime(_moment(value).replace(tzinfo=None), "UTC")


def _moment(value: str) -> datetime:
    moment = datetime.fromisoformat(value)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
