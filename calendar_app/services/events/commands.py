"""Events that staff put into a connected calendar themselves, beside what bookings write there.

The event is made at the provider at once; the mirror learns of it by the sync that is then asked for. Its id is made
from what tells the request from others, so a repetition meets the event that is there already.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from calendar_app.clock import utc_now
from calendar_app.db.ids import new_id
from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import Calendar, PlacedEvent
from calendar_app.domain.event import Attendee, CalendarEvent, EventDraft, write_key
from calendar_app.domain.freebusy import BusySource
from calendar_app.domain.hosting import EventRules
from calendar_app.domain.intake import clean_email, clean_text
from calendar_app.domain.timespan import Span, instant
from calendar_app.errors import InvalidInput, NotFound, SlotUnavailable
from calendar_app.providers.base import AccessRole, CalendarProvider, Capability, WrittenEvent
from calendar_app.services.availability import live_check
from calendar_app.services.availability import snapshot as slot_snapshot
from calendar_app.services.availability.slots import check_moment, check_zone
from calendar_app.services.availability.snapshot import HostPerson
from calendar_app.services.calendar_sync import requests as sync_requests
from calendar_app.services.calendar_writes import event_writer
from calendar_app.services.common.permissions import Actor
from calendar_app.services.connections import tokens as connection_tokens
from calendar_app.services.connections.calendars import owned_calendar
from calendar_app.services.events import placed
from calendar_app.services.events.placed import EventView, Found
from calendar_app.settings import current_settings

LONGEST = timedelta(days=31)
MOST_ATTENDEES = 100
_UNINVITED = (
    "The event stands without {}: the calendar’s provider takes no more guests of this account for some hours, as its "
    "usage limits are reached. Add them to the event later."
)


@dataclass(frozen=True, slots=True)
class EventChange:
    """What to change of an event; ``None`` stays as it is."""

    summary: str | None = None
    start: datetime | None = None
    end: datetime | None = None
    description: str | None = None
    location: str | None = None
    timezone: str | None = None
    attendees: Sequence[Mapping[str, str]] | None = None


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
    own_id: str = "",
    key: str | None = None,
    check: bool = False,
    unless_changed: placed.Check | None = None,
    now: datetime | None = None,
) -> EventView:
    """Make an event of ``[start, end)`` (aware) in a calendar of the actor's; nobody is sent an invitation.

    ``timezone``: the IANA zone in which the event is shown, the calendar's by default. ``attendees``: mappings with
    ``email`` and, if known, ``name``. ``own_id``: the caller's name of the event, unique in the calendar: where it
    stands already, it is brought to what is asked for. ``key``: calls with the same one make one event. ``check``:
    refuse if the calendar's owner is busy then by any calendar, booking or hold. That is a look and no claim: only
    bookings claim time. ``unless_changed`` is asked about an event that stands already.

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
    own_id = clean_text(own_id, "own_id", 200)
    remote_id = write_key("event", calendar.id, *(("own", own_id) if own_id else (key or new_id(),)))
    draft = _draft(
        calendar,
        remote_id,
        EventChange(summary, start, end, description, location, timezone, attendees),
        None,
    )
    with reading() as session:
        row = session.get(PlacedEvent, placed.placed_id(remote_id))
    found = Found(calendar, connection, row.remote_id if row else remote_id, row, None)
    if check and row is None:
        _check_free(connection.person_id, actor, span, now)
    with suppress(NotFound):
        if own_id and row is not None:
            return _replace(actor, found, draft, unless_changed)

    def put(api: CalendarProvider) -> tuple[WrittenEvent, str]:
        if Capability.WRITE not in api.capabilities:
            raise _read_only(calendar)
        written = event_writer.put(api, calendar.remote_id, draft, "")
        return written, placed.version_of(api, calendar.remote_id, written)

    written, etag = connection_tokens.call(calendar.connection_id, put)
    given = placed.remember(calendar.id, remote_id, own_id, written.remote_id)
    with transaction() as session:
        placed.note(session, actor, calendar, connection, "event.created", written.remote_id)
        row = session.get(PlacedEvent, given)
    sync_requests.request(calendar.id)
    blank = placed.view(replace(found, placed=row), CalendarEvent(remote_id))
    return replace(
        placed.changed(blank, draft, written, etag),
        note=_UNINVITED.format(", ".join(written.uninvited)) if written.uninvited else "",
    )


def update_event(
    actor: Actor, event_id: str, wanted: EventChange, unless_changed: placed.Check | None = None
) -> EventView:
    """Change an event at its provider; ``attendees`` are those who are added.

    :raises NotFound: no such event. :raises InvalidInput: naming the field.
    :raises VersionMismatch: ``unless_changed`` does not hold. :raises ProviderError: what the provider said.
    :raises Conflict: ``event_of_booking``, ``event_not_changeable``.
    """
    found = placed.find(actor, event_id)

    def draft_of(seen: EventView) -> EventDraft:
        return _draft(found.calendar, found.remote_id, wanted, seen)

    shown, _ = placed.change(found, draft_of, unless_changed)
    _changed(actor, found)
    return shown


def _replace(actor: Actor, found: Found, draft: EventDraft, unless_changed: placed.Check | None) -> EventView:
    """:raises NotFound: it was deleted at the provider meanwhile."""
    shown, uninvited = placed.change(found, lambda _seen: draft, unless_changed)
    _changed(actor, found)
    return replace(shown, note=_UNINVITED.format(", ".join(uninvited)) if uninvited else "")


def _changed(actor: Actor, found: Found) -> None:
    with transaction() as session:
        placed.note(session, actor, found.calendar, found.connection, "event.changed", found.remote_id)
    sync_requests.request(found.calendar.id)


def _draft(calendar: Calendar, remote_id: str, wanted: EventChange, seen: EventView | None) -> EventDraft:
    """What is to stand: what is ``wanted``, and for the rest what was ``seen``."""
    start = wanted.start or (seen.start if seen else None)
    end = wanted.end or (seen.end if seen else None)
    if wanted.start and seen and seen.start and seen.end and wanted.end is None:
        end = wanted.start + (seen.end - seen.start)
    if start is None or end is None:
        raise InvalidInput("The event has no time that could be read: give both.", field="start")
    _span(start, end)

    def text(name: str, most: int, *, lines: bool = False) -> str:
        given = getattr(wanted, name)
        if given is None and seen is not None:
            return str(getattr(seen, name))
        return clean_text(given or "", name, most, lines=lines)

    summary = text("summary", 300)
    if not summary and (seen is None or wanted.summary is not None):
        raise InvalidInput("Please give the event a title.", field="summary")
    return EventDraft(
        remote_id=remote_id,
        key=remote_id,
        uid=f"{remote_id}@{urlsplit(current_settings().public_url).hostname or 'almanac'}",
        summary=summary,
        start=start.astimezone(UTC),
        end=end.astimezone(UTC),
        zone=check_zone(wanted.timezone or (seen.timezone if seen else calendar.timezone)),
        description=text("description", 5_000, lines=True),
        location=text("location", 500),
        attendees=_attendees(wanted.attendees or ()),
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
    anybody = HostPerson(person_id, "", slot_snapshot.working_hours(None, None, None, None, None))
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
