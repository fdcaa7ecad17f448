"""Events that staff put into a connected calendar themselves, beside what bookings write there.

The event is made at the provider at once; the mirror learns of it by the sync that is then asked for. Its id is made
from what tells the request from others, so a repetition meets the event that is there already.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from sqlmodel import Session

from calendar_app.clock import utc_now
from calendar_app.db.ids import new_id
from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import Calendar, Connection
from calendar_app.domain.event import Attendee, EventDraft, write_key
from calendar_app.domain.freebusy import BusySource
from calendar_app.domain.hosting import EventRules
from calendar_app.domain.intake import clean_email, clean_text
from calendar_app.domain.timespan import Span, instant
from calendar_app.errors import InvalidInput, SlotUnavailable
from calendar_app.providers.base import AccessRole, CalendarProvider, Capability, WrittenEvent
from calendar_app.services.availability import live_check
from calendar_app.services.availability import snapshot as slot_snapshot
from calendar_app.services.availability.slots import check_moment, check_zone
from calendar_app.services.availability.snapshot import HostPerson
from calendar_app.services.calendar_sync import requests as sync_requests
from calendar_app.services.calendar_writes import event_writer
from calendar_app.services.common import audit_log
from calendar_app.services.common.permissions import Actor
from calendar_app.services.connections import tokens as connection_tokens
from calendar_app.services.connections.calendars import owned_calendar
from calendar_app.settings import current_settings

LONGEST = timedelta(days=31)
MOST_ATTENDEES = 100
_UNINVITED = (
    "The event stands without {}: the calendar’s provider takes no more guests of this account for some hours, as its "
    "usage limits are reached. Add them to the event later."
)


@dataclass(frozen=True, slots=True)
class CreatedEvent:
    """An event as it was made. ``id`` is the provider's; ``start`` and ``end`` are UTC. ``attendees`` are those whom
    the provider took; where some are missing, ``note`` says so to people."""

    id: str
    calendar_id: str
    provider: str
    etag: str
    html_link: str
    summary: str
    description: str
    location: str
    start: datetime
    end: datetime
    timezone: str
    attendees: tuple[Attendee, ...]
    note: str = ""


def create_event(
    actor: Actor,
    calendar_id: str,
    *,
    summary: str,
    start: datetime,
    end: datetime,
    description: str = "",
    location: str = "",
    timezone: str | None = None,
    attendees: Sequence[Mapping[str, str]] = (),
    key: str | None = None,
    check: bool = False,
    now: datetime | None = None,
) -> CreatedEvent:
    """Make an event of ``[start, end)`` (aware) in a calendar of the actor's; nobody is sent an invitation.

    ``timezone``: the IANA zone in which the event is shown, the calendar's by default. ``attendees``: mappings with
    ``email`` and, if known, ``name``. ``key``: calls with the same one make one event. ``check``: refuse if the
    calendar's owner is busy then by any calendar, booking or hold. That is a look and no claim: only bookings claim
    time.

    :raises NotFound: no such calendar, or not the actor's. :raises InvalidInput: naming the field, or the calendar
        cannot be written to (``calendar_read_only``).
    :raises SlotUnavailable: ``check``, and the owner is busy. :raises ProviderError: what the provider said.
    """
    now = now or utc_now()
    span = _span(start, end)
    with reading() as session:
        calendar, connection = owned_calendar(session, actor, calendar_id)
    if not AccessRole(calendar.access_role).can_write:
        raise _read_only(calendar)
    remote_id = write_key("event", calendar.id, key or new_id())
    draft = EventDraft(
        remote_id=remote_id,
        key=remote_id,
        uid=f"{remote_id}@{urlsplit(current_settings().public_url).hostname or 'almanac'}",
        summary=clean_text(summary, "summary", 300),
        start=start.astimezone(UTC),
        end=end.astimezone(UTC),
        zone=check_zone(timezone or calendar.timezone),
        description=clean_text(description, "description", 5_000, lines=True),
        location=clean_text(location, "location", 500),
        attendees=_attendees(attendees),
    )
    if not draft.summary:
        raise InvalidInput("Please give the event a title.", field="summary")
    if check:
        _check_free(connection.person_id, actor, span, now)

    def put(api: CalendarProvider) -> WrittenEvent:
        if Capability.WRITE not in api.capabilities:
            raise _read_only(calendar)
        return event_writer.put(api, calendar.remote_id, draft, "")

    written = connection_tokens.call(calendar.connection_id, put)
    with transaction() as session:
        _record(session, actor, calendar, connection, draft)
    sync_requests.request(calendar.id)
    return CreatedEvent(
        id=written.remote_id,
        calendar_id=calendar.id,
        provider=connection.provider,
        etag=written.etag,
        html_link=written.html_link,
        summary=draft.summary,
        description=draft.description,
        location=draft.location,
        start=draft.start,
        end=draft.end,
        timezone=draft.zone,
        attendees=tuple(one for one in draft.attendees if one.email not in written.uninvited),
        note=_UNINVITED.format(", ".join(written.uninvited)) if written.uninvited else "",
    )


def _span(start: datetime, end: datetime) -> Span:
    check_moment(start, "start")
    check_moment(end, "end")
    if end <= start:
        raise InvalidInput("The end must lie after the start.", field="end")
    if end - start > LONGEST:
        raise InvalidInput(f"An event lasts at most {LONGEST.days} days.", field="end")
    return Span(instant(start), instant(end))


def _read_only(calendar: Calendar) -> InvalidInput:
    return InvalidInput(
        f"“{calendar.name}” is read-only: events cannot be written there.", code="calendar_read_only"
    )


def _attendees(given: Sequence[Mapping[str, str]]) -> tuple[Attendee, ...]:
    if len(given) > MOST_ATTENDEES:
        raise InvalidInput(f"An event has at most {MOST_ATTENDEES} attendees.", field="attendees")
    found: dict[str, Attendee] = {}
    for number, person in enumerate(given):
        try:
            email = clean_email(person.get("email", ""))
            name = clean_text(person.get("name", ""), "name", 200)
        except InvalidInput as error:
            place = f"attendees[{number}].{error.field}"
            raise InvalidInput(error.detail, field=place, code=error.code) from error
        found.setdefault(email.lower(), Attendee(email, name))
    return tuple(found.values())


def _check_free(person_id: str, actor: Actor, span: Span, now: datetime) -> None:
    """:raises SlotUnavailable: the person is busy at some moment of the span, by the mirror or at a provider."""
    anybody = HostPerson(person_id, "", slot_snapshot.working_hours(None, None, None))
    with reading() as session:
        (host,), calendars = slot_snapshot.states(
            session, [anybody], span, now, EventRules(), None, actor.workspace_id, detailed=True
        )
        question = live_check.question(session, calendars, span)
    reasons = [_words(source) for source in host.busy if any(span.overlaps(Span(*s)) for s in source.spans)]
    if not reasons:
        (seen,) = live_check.ask_providers([question])
        reasons = ["an event that has only just been added"] if person_id in seen.busy_hosts else []
    if reasons:
        raise SlotUnavailable(f"This time is taken by {', '.join(dict.fromkeys(reasons))}.", field="start")


def _words(source: BusySource) -> str:
    return f"“{source.label}”" if source.label else f"a {source.kind.value}"


def _record(
    session: Session, actor: Actor, calendar: Calendar, connection: Connection, draft: EventDraft
) -> None:
    audit_log.record(
        session,
        actor.workspace_id,
        actor,
        "event.created",
        "calendar",
        calendar.id,
        provider=connection.provider,
        event=draft.remote_id,
    )
