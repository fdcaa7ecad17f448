"""Slots and availability over HTTP.

Slots are the answer that visitors wait for, so they are written by orjson from the service's tuples, without a model in
between.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

import orjson
from fastapi import Query, Request, Response
from pydantic import BaseModel, Field

from calendar_app.api.cors import check_site
from calendar_app.api.deps import CurrentActor, OptionalActor
from calendar_app.api.fields import ClockTime, Day, Instant, Key, rfc3339
from calendar_app.api.problem_codes import fails
from calendar_app.api.routing import Router
from calendar_app.domain.freebusy import StalePolicy
from calendar_app.domain.slots import Rule
from calendar_app.domain.timespan import Span
from calendar_app.services.availability import slots as available_slots
from calendar_app.services.availability.slots import FreshnessView, SlotsView
from calendar_app.services.common.permissions import Role

router = Router(tags=["scheduling"])


class SlotOut(BaseModel):
    """``hosts`` are the ids of those who could take it; ``seats_left`` how many can still book it."""

    start: datetime
    end: datetime
    hosts: list[str]
    seats_left: int


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
    policy: StalePolicy


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
    busy_times: list[BusyOut] = Field(default=[])
    freshness: FreshnessOut
    timezone: str


class ReasonOut(BaseModel):
    rule: Rule
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


Start = Annotated[Instant, Query(description="RFC 3339 with an offset")]
Duration = Annotated[int | None, Query(description="One of the event type's, in minutes")]


@router.get(
    "/event-types/{event_type_id}/slots",
    response_model=SlotsOut,
    responses=fails("unknown_timezone", "event_type_inactive", "site_not_allowed"),
)
def list_slots(
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
    found = slots_out(view, staff=staff, busy_times=busy_times and staff)
    return Response(orjson.dumps(found), media_type="application/json")


@router.get("/event-types/{event_type_id}/slots/explain", responses=fails("unknown_timezone"))
def explain_slot(
    event_type_id: Key,
    actor: CurrentActor,
    start: Start,
    timezone: str | None = None,
    duration: Duration = None,
) -> ExplanationOut:
    """Why a start is free or not: every rule, calendar and booking that stands against it."""
    found = available_slots.explain(actor, event_type_id, start, zone=timezone, duration=duration)
    return ExplanationOut(**asdict(found))


@router.get("/availability", responses=fails("unknown_timezone"))
def check_availability(
    actor: CurrentActor,
    date: Day,
    start_time: ClockTime,
    duration_minutes: Annotated[int, Query(ge=1, le=10_080)],
    timezone: str,
) -> CheckOut:
    """Whether you are free at a time of day in a zone, by your working hours and all your calendars."""
    found = available_slots.check(actor, date, start_time, duration_minutes, timezone)
    return CheckOut(available=found.available, reasons=list(found.reasons))


def slots_out(view: SlotsView, *, staff: bool = False, busy_times: bool = False) -> Mapping[str, Any]:
    """The body of :class:`SlotsOut`."""
    seats = view.seats
    last = view.found[-1].end if view.found else view.window.end
    at = rfc3339(view.zone, Span(view.window.start, max(last, view.window.end)))
    found: dict[str, Any] = {
        "slots": [
            {"start": at(start), "end": at(end), "hosts": hosts, "seats_left": seats.get(start, 1)}
            for start, end, hosts in view.found
        ],
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
