"""Single events over HTTP: put into a calendar, found again, changed, taken out. The provider has the last word.

A caller may give an event an id of its own, ``own_id``: putting it in twice is one event.
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import date, datetime
from typing import Annotated, Any, Self

from fastapi import Query, Response
from pydantic import BaseModel, Field, StringConstraints

from calendar_app.api.deps import CurrentActor
from calendar_app.api.fields import Body, Instant, Key
from calendar_app.api.idempotency import Idempotent
from calendar_app.api.problem_codes import AT_PROVIDER, EVENT_CHANGE, fails
from calendar_app.api.routing import Router
from calendar_app.api.versions import Condition, IfMatch, Tag, etag
from calendar_app.domain.event import EventStatus
from calendar_app.services.events import commands, placed
from calendar_app.services.events.commands import EventChange
from calendar_app.services.events.placed import EventView

router = Router(tags=["events"])

EventId = Annotated[str, StringConstraints(min_length=1, max_length=1_024)]
"""Ours, or the provider's, which are longer."""
OwnId = Annotated[str, StringConstraints(max_length=200)]


class AttendeeIn(Body):
    """A guest; an address alone will do in place of this object."""

    email: str
    name: str = ""


class EventIn(Body):
    """A new event. ``timezone`` is the zone it is shown in, the calendar's by default; nobody is sent an invitation.
    ``own_id`` is your own name of it, unique in the calendar: an event that has it already is brought to this."""

    summary: str
    start: Instant
    end: Instant
    description: str = ""
    location: str = ""
    timezone: str | None = None
    attendees: list[AttendeeIn | str] = Field(default=[])
    own_id: OwnId = ""


class EventPut(Body):
    """What the event with this id of yours is to be."""

    summary: str
    start: Instant
    end: Instant
    description: str = ""
    location: str = ""
    timezone: str | None = None
    attendees: list[AttendeeIn | str] = Field(default=[])


class EventPatch(Body):
    """What to change. ``start`` alone moves the event with its length; ``attendees`` are those who are added."""

    summary: str | None = None
    start: Instant | None = None
    end: Instant | None = None
    description: str | None = None
    location: str | None = None
    timezone: str | None = None
    attendees: list[AttendeeIn | str] | None = None


class AttendeeOut(BaseModel):
    """A guest of an event."""

    email: str
    name: str


class CalendarEventOut(BaseModel):
    """An event as it stands at its provider. `id` leads to it; `own_id` is what you called it; `remote_id` and `etag`
    are the provider's. Whole days also have dates, `end_date` exclusive. `can_change`: it is no booking's, no series,
    not of whole days, and its calendar can be written. Where the provider did not take all guests, `note` says so."""

    id: str
    calendar_id: str
    provider: str
    remote_id: str
    own_id: str
    html_link: str
    etag: str
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
    attendees: list[AttendeeOut]
    recurring: bool
    booking_id: str | None
    can_change: bool
    note: str

    @classmethod
    def of(cls, view: EventView) -> Self:
        return cls.model_validate(asdict(view))


def _version(view: EventView) -> dict[str, str]:
    """What the version is made of: the provider's, which changes with the event."""
    return {"remote_id": view.remote_id, "etag": view.etag}


def _check(condition: Condition) -> placed.Check | None:
    return condition.check_for(_version)


def _guests(given: list[AttendeeIn | str]) -> list[dict[str, str]]:
    return [
        {"email": one} if isinstance(one, str) else {"email": one.email, "name": one.name} for one in given
    ]


@router.post(
    "/calendars/{calendar_id}/events",
    status_code=201,
    response_model=CalendarEventOut,
    responses=fails(*EVENT_CHANGE, "calendar_read_only", "slot_unavailable"),
)
def create_event(
    calendar_id: Key,
    actor: CurrentActor,
    body: EventIn,
    idempotent: Idempotent,
    check: Annotated[bool, Query(description="Refuse if the calendar's owner is busy then")] = False,
) -> Response:
    """Make an event at the provider. With an ``Idempotency-Key`` or an ``own_id`` a repeated request makes one event,
    also when the first one got no answer."""

    def work() -> CalendarEventOut:
        made = commands.create_event(
            actor,
            calendar_id,
            **body.model_dump(exclude={"attendees"}),
            attendees=_guests(body.attendees),
            key=idempotent.fingerprint,
            check=check,
        )
        return CalendarEventOut.of(made)

    return idempotent.run(201, work)


@router.put("/calendars/{calendar_id}/events/{own_id}", responses=fails(*EVENT_CHANGE, "calendar_read_only"))
def put_event(
    calendar_id: Key, own_id: OwnId, actor: CurrentActor, body: EventPut, unless_changed: IfMatch, tag: Tag
) -> CalendarEventOut:
    """Make an event under an id of your own, or bring the one that you made under it to this. Repeating it changes
    nothing."""
    made = commands.create_event(
        actor,
        calendar_id,
        **body.model_dump(exclude={"attendees"}),
        attendees=_guests(body.attendees),
        own_id=own_id,
        unless_changed=_check(unless_changed),
    )
    tag.response.headers["ETag"] = etag(_version(made))
    return CalendarEventOut.of(made)


@router.get("/events/{event_id}", responses=fails(*AT_PROVIDER))
def get_event(event_id: EventId, actor: CurrentActor, tag: Tag) -> CalendarEventOut:
    """One event as it stands at its provider: by the id that it was given here, by `event_id` of the lists, or by the
    provider's own id."""
    found = placed.get(actor, event_id)
    tag.response.headers["ETag"] = etag(_version(found))
    return CalendarEventOut.of(found)


@router.patch("/events/{event_id}", responses=fails(*EVENT_CHANGE))
def update_event(
    event_id: EventId, actor: CurrentActor, body: EventPatch, unless_changed: IfMatch, tag: Tag
) -> CalendarEventOut:
    """Change an event at its provider. With `If-Match` only if it is still as you saw it."""
    given: dict[str, Any] = body.model_dump(exclude_unset=True, exclude={"attendees"})
    guests = _guests(body.attendees) if body.attendees is not None else None
    changed = commands.update_event(
        actor, event_id, EventChange(**given, attendees=guests), _check(unless_changed)
    )
    tag.response.headers["ETag"] = etag(_version(changed))
    return CalendarEventOut.of(changed)


@router.delete("/events/{event_id}", status_code=204, responses=fails(*EVENT_CHANGE))
def delete_event(event_id: EventId, actor: CurrentActor, unless_changed: IfMatch) -> None:
    """Take an event out at its provider, a series with all its occurrences. With `If-Match` only if it is still as you
    saw it. One that is gone already is done."""
    placed.delete(actor, event_id, _check(unless_changed))
