"""Schedules, event types, slots and availability over HTTP.

Slots are the answer that visitors wait for, so they are written by orjson from the service's tuples, without a model in
between.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, date, datetime, time
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from calendar_app.api.cors import check_site
from calendar_app.api.deps import CurrentActor, OptionalActor
from calendar_app.api.fields import Instant, Key, rfc3339
from calendar_app.api.idempotency import Idempotent
from calendar_app.domain.timespan import Span
from calendar_app.services.availability import slots as available_slots
from calendar_app.services.availability import working_hours
from calendar_app.services.availability.slots import FreshnessView, SlotsView
from calendar_app.services.common.permissions import Role
from calendar_app.services.event_types import commands as event_type_commands
from calendar_app.services.event_types import links as private_links
from calendar_app.services.event_types import queries as event_type_queries

router = APIRouter(tags=["scheduling"])

Ranges = list[tuple[str, str]]
Minutes = Annotated[int, Field(strict=True)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")

    def given(self) -> dict[str, Any]:
        """The fields that were sent."""
        return self.model_dump(exclude_unset=True)


class ScheduleIn(_Body):
    """``weekly``: ``{"mon": [["09:00", "17:00"]], …}``; ``overrides``: ``{"2026-12-24": []}``."""

    timezone: str
    weekly: dict[str, Ranges] = Field(examples=[{"mon": [["09:00", "12:00"], ["13:00", "17:00"]]}])
    overrides: dict[str, Ranges] = {}
    name: str = "Working hours"
    is_default: bool = False
    person_id: Key | None = None


class ScheduleChange(_Body):
    """What to change; ``weekly`` and ``overrides`` are replaced as a whole."""

    timezone: str = ""
    weekly: dict[str, Ranges] = {}
    overrides: dict[str, Ranges] = {}
    name: str = ""
    is_default: bool = True


class ScheduleOut(BaseModel):
    id: str
    person_id: str
    person_name: str
    name: str
    timezone: str
    weekly: dict[str, Any]
    overrides: dict[str, Any]
    is_default: bool
    created_at: datetime


class ScheduleList(BaseModel):
    items: list[ScheduleOut]
    next: str | None = None


class HostIn(_Body):
    """A host; without ``schedule_id`` the person's default schedule counts."""

    person_id: Key
    schedule_id: Key | None = None
    weight: Minutes = 1


class PlaceIn(_Body):
    """``kind``: ``host_calls``, ``customer_calls``, ``address``, ``link`` or ``jitsi``. ``value``: the number that
    customers call, the address or the link; nothing for the other kinds. ``label``: its name on the booking page, where
    ``value`` is never shown. ``id``: made from the kind if left out."""

    id: Key = ""
    kind: str
    value: str = ""
    label: str = ""


class EventTypeChange(_Body):
    """Minutes, but ``horizon_days``; caps of 0 mean none. ``hosting``: ``single``, ``round_robin``, ``collective``.

    ``priority``: ``low``, ``normal``, ``high``, ``urgent``. Bookings have the colour of a high or urgent priority, else
    ``color``, else the category's. ``reminders``: minutes before the start at which the customer gets a letter, at
    most five. ``meeting_places``: where it takes place, several to let the customer choose; ``location`` is the short
    form, a link or an address. ``form_parts``: what the form asks besides: ``guests``, ``booked_by``, ``phone`` and
    ``notes``, each ``optional`` or ``required``.
    """

    title: str = ""
    slug: str = ""
    description: str = ""
    location: str = ""
    meeting_places: list[PlaceIn] = []
    form_parts: dict[str, str] = {}
    color: str = ""
    category: str = ""
    priority: str = ""
    reminders: list[Minutes] = []
    durations: list[Minutes] = [30]
    buffer_before: Minutes = 0
    buffer_after: Minutes = 0
    minimum_notice: Minutes = 0
    horizon_days: Minutes = 60
    step_minutes: Minutes = 15
    daily_cap: Minutes = 0
    weekly_cap: Minutes = 0
    seats: Minutes = 1
    requires_approval: bool = False
    hosting: str = "single"
    questions: list[dict[str, Any]] = []
    cancel_notice: Minutes = 0
    is_public: bool = True
    is_active: bool = True
    hosts: list[HostIn] = []


class EventTypeIn(EventTypeChange):
    """A new event type; you are its host unless ``hosts`` says otherwise, and ``slug`` is made from the title."""

    title: str


class HostOut(BaseModel):
    person_id: str
    name: str
    schedule_id: str | None
    weight: int


class PlaceOut(BaseModel):
    id: str
    kind: str
    value: str
    label: str


class EventTypeOut(BaseModel):
    id: str
    slug: str
    title: str
    description: str
    location: str
    meeting_places: list[PlaceOut]
    form_parts: dict[str, str]
    color: str
    category: str
    priority: str
    reminders: list[int]
    durations: list[int]
    buffer_before: int
    buffer_after: int
    minimum_notice: int
    horizon_days: int
    step_minutes: int
    daily_cap: int
    weekly_cap: int
    seats: int
    requires_approval: bool
    hosting: str
    questions: list[dict[str, Any]]
    cancel_notice: int
    is_public: bool
    is_active: bool
    hosts: list[HostOut]
    url: str
    created_at: datetime


class EventTypeList(BaseModel):
    items: list[EventTypeOut]
    next: str | None = None


class SlotOut(BaseModel):
    """``hosts`` are the ids of those who could take it."""

    start: datetime
    end: datetime
    hosts: list[str]


class BusyOut(BaseModel):
    start: datetime
    end: datetime


class CalendarAgeOut(BaseModel):
    """``trouble``: ``never_synced``, ``error``, ``old``, or empty when fresh. ``policy``: what it does while stale:
    ``keep``, ``close``, ``approve`` or ``ignore``."""

    calendar_id: str
    name: str
    synced_at: datetime | None
    age_seconds: int | None
    stale: bool
    trouble: str
    policy: str


class FreshnessOut(BaseModel):
    """How old the oldest calendar's state is. ``needs_approval``: what is booked now waits for the host's approval,
    because a calendar could not be read lately. ``calendars`` are told to staff only."""

    stale: bool
    synced_at: datetime | None
    age_seconds: int | None
    message: str
    needs_approval: bool
    calendars: list[CalendarAgeOut]


class SlotsOut(BaseModel):
    """Bookable slots in order, in the zone that was asked for, and how old what they come from is. ``busy_times``,
    merged and without titles, only for staff who asked for them."""

    slots: list[SlotOut]
    busy_times: list[BusyOut] = []
    freshness: FreshnessOut
    timezone: str


class ReasonOut(BaseModel):
    rule: str
    text: str
    source_kind: str
    source: str
    start: datetime | None
    end: datetime | None


class VerdictOut(BaseModel):
    host_id: str
    name: str
    available: bool
    reasons: list[ReasonOut]


class ExplanationOut(BaseModel):
    """Why a start is offered or not, host by host and rule by rule."""

    start: datetime
    end: datetime
    available: bool
    hosts: list[VerdictOut]
    freshness: FreshnessOut


class CheckOut(BaseModel):
    available: bool
    reasons: list[str]


class EffectOut(BaseModel):
    """A working range on the day of a clock change; lengths in minutes."""

    day: date
    range: str
    nominal: float
    actual: float


class ClockChangeOut(BaseModel):
    """A clock change; offsets in seconds east of UTC."""

    at: datetime
    before: int
    after: int
    effects: list[EffectOut]


@router.get("/schedules")
def list_schedules(actor: CurrentActor, person_id: Key | None = None) -> ScheduleList:
    """Your working hours; for managers, everybody's."""
    found = working_hours.list_schedules(actor, person_id=person_id)
    return ScheduleList(items=[ScheduleOut(**asdict(view)) for view in found])


@router.post("/schedules", status_code=201, response_model=ScheduleOut)
def create_schedule(actor: CurrentActor, body: ScheduleIn, idempotent: Idempotent) -> Response:
    """Add working hours; a person's first schedule is their default."""
    return idempotent.run(
        201, lambda: ScheduleOut(**asdict(working_hours.create_schedule(actor, **body.model_dump())))
    )


@router.get("/schedules/{schedule_id}")
def get_schedule(schedule_id: Key, actor: CurrentActor) -> ScheduleOut:
    """One schedule."""
    return ScheduleOut(**asdict(working_hours.get_schedule(actor, schedule_id)))


@router.patch("/schedules/{schedule_id}")
def update_schedule(schedule_id: Key, actor: CurrentActor, body: ScheduleChange) -> ScheduleOut:
    """Change what is sent."""
    return ScheduleOut(**asdict(working_hours.update_schedule(actor, schedule_id, body.given())))


@router.delete("/schedules/{schedule_id}", status_code=204)
def delete_schedule(schedule_id: Key, actor: CurrentActor) -> None:
    """Delete one that is not the default."""
    working_hours.delete_schedule(actor, schedule_id)


@router.get("/schedules/{schedule_id}/clock-changes")
def clock_changes(schedule_id: Key, actor: CurrentActor) -> list[ClockChangeOut]:
    """The clock changes of the coming 400 days, and what each does to these working hours."""
    return [
        ClockChangeOut(
            at=datetime.fromtimestamp(change.at, UTC),
            before=change.before,
            after=change.after,
            effects=[
                EffectOut(
                    day=effect.day, range=str(effect.range), nominal=effect.nominal, actual=effect.actual
                )
                for effect in change.effects
            ],
        )
        for change in working_hours.dst_preview(actor, schedule_id)
    ]


@router.get("/event-types")
def list_event_types(actor: CurrentActor) -> EventTypeList:
    """Every event type of the workspace, by title."""
    return EventTypeList(
        items=[EventTypeOut(**asdict(view)) for view in event_type_queries.list_event_types(actor)]
    )


@router.post("/event-types", status_code=201, response_model=EventTypeOut)
def create_event_type(actor: CurrentActor, body: EventTypeIn, idempotent: Idempotent) -> Response:
    """Add something that can be booked."""
    return idempotent.run(
        201, lambda: EventTypeOut(**asdict(event_type_commands.create_event_type(actor, body.given())))
    )


@router.get("/event-types/{event_type_id}")
def get_event_type(event_type_id: Key, actor: CurrentActor) -> EventTypeOut:
    """One event type."""
    return EventTypeOut(**asdict(event_type_queries.get_event_type(actor, event_type_id)))


@router.patch("/event-types/{event_type_id}")
def update_event_type(event_type_id: Key, actor: CurrentActor, body: EventTypeChange) -> EventTypeOut:
    """Change what is sent; lists are replaced as a whole. Bookings stay as they are."""
    return EventTypeOut(**asdict(event_type_commands.update_event_type(actor, event_type_id, body.given())))


@router.delete("/event-types/{event_type_id}", status_code=204)
def delete_event_type(event_type_id: Key, actor: CurrentActor) -> None:
    """Delete one that was never booked; 409 ``has_bookings`` otherwise."""
    event_type_commands.delete_event_type(actor, event_type_id)


class BookingLinkIn(_Body):
    """``single_use``: for one booking; ``expires_at``: from then on nothing is booked with it."""

    label: str = Field(default="", max_length=100)
    single_use: bool = True
    expires_at: Instant | None = None


class BookingLinkOut(BaseModel):
    """``used``: its one booking has been made; ``ended``: nothing can be booked with it any more."""

    id: str
    label: str
    url: str
    single_use: bool
    expires_at: datetime | None
    used: bool
    ended: bool
    created_at: datetime


class LinkList(BaseModel):
    items: list[BookingLinkOut]
    next: str | None = None


@router.get("/event-types/{event_type_id}/links")
def list_links(actor: CurrentActor, event_type_id: Key) -> LinkList:
    """Private links to an event type, the latest first."""
    return LinkList(
        items=[BookingLinkOut(**asdict(each)) for each in private_links.list_links(actor, event_type_id)]
    )


@router.post("/event-types/{event_type_id}/links", status_code=201, response_model=BookingLinkOut)
def create_link(
    actor: CurrentActor, event_type_id: Key, body: BookingLinkIn, idempotent: Idempotent
) -> Response:
    """A private link: it opens the event type also where that is not public."""

    def work() -> BookingLinkOut:
        return BookingLinkOut(**asdict(private_links.create_link(actor, event_type_id, **body.model_dump())))

    return idempotent.run(201, work)


@router.delete("/event-types/{event_type_id}/links/{link_id}", status_code=204)
def delete_link(actor: CurrentActor, event_type_id: Key, link_id: Key) -> None:
    """End a private link."""
    private_links.delete_link(actor, event_type_id, link_id)


Start = Annotated[Instant, Query(description="RFC 3339 with an offset")]
Duration = Annotated[int | None, Query(description="One of the event type's, in minutes")]


@router.get("/event-types/{event_type_id}/slots", response_model=SlotsOut)
def slots(
    request: Request,
    event_type_id: Key,
    actor: OptionalActor,
    start: Start,
    end: Annotated[Instant, Query(description="At most 366 days after the start")],
    timezone: Annotated[str, Query(description="IANA zone of the answer's times")] = "UTC",
    duration: Duration = None,
    busy_times: Annotated[bool, Query(description="With the hosts' busy times, for staff")] = False,
) -> Response:
    """Every slot that starts in ``[start, end)`` and can be booked now. Public for public event types."""
    check_site(request, event_type_id)
    view = available_slots.slots(event_type_id, start, end, zone=timezone, duration=duration, actor=actor)
    staff = actor is not None and actor.role >= Role.STAFF and view.workspace_id == actor.workspace_id
    found = _slots(view, staff=staff, busy_times=busy_times and staff)
    return Response(orjson.dumps(found), media_type="application/json")


@router.get("/event-types/{event_type_id}/slots/explain")
def explain(
    event_type_id: Key,
    actor: CurrentActor,
    start: Start,
    timezone: str | None = None,
    duration: Duration = None,
) -> ExplanationOut:
    """Why a start is free or not: every rule, calendar and booking that stands against it."""
    found = available_slots.explain(actor, event_type_id, start, zone=timezone, duration=duration)
    return ExplanationOut(**asdict(found))


@router.get("/availability")
def check(
    actor: CurrentActor,
    date: date,
    start_time: time,
    duration_minutes: Annotated[int, Query(ge=1, le=10_080)],
    timezone: str,
) -> CheckOut:
    """Whether you are free at a time of day in a zone, by your working hours and all your calendars."""
    found = available_slots.check(actor, date, start_time, duration_minutes, timezone)
    return CheckOut(available=found.available, reasons=list(found.reasons))


def _slots(view: SlotsView, *, staff: bool, busy_times: bool) -> Mapping[str, Any]:
    last = view.found[-1].end if view.found else view.window.end
    at = rfc3339(view.zone, Span(view.window.start, max(last, view.window.end)))
    found: dict[str, Any] = {
        "slots": [{"start": at(start), "end": at(end), "hosts": hosts} for start, end, hosts in view.found],
        "freshness": _freshness(view.freshness, staff=staff),
        "timezone": view.zone,
    }
    if busy_times:
        found["busy_times"] = [{"start": at(start), "end": at(end)} for start, end in view.busy]
    return found


def _freshness(view: FreshnessView, *, staff: bool) -> Mapping[str, Any]:
    return {
        "stale": view.stale,
        "synced_at": view.synced_at,
        "age_seconds": view.age_seconds,
        "message": view.message,
        "needs_approval": view.needs_approval,
        "calendars": [asdict(age) for age in view.calendars] if staff else [],
    }
