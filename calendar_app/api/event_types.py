"""Event types over HTTP: what can be booked, by whom and how."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

from fastapi import Response
from pydantic import BaseModel, Field, WithJsonSchema

from calendar_app.api.deps import CurrentActor
from calendar_app.api.fields import Body, Flag, Key, Whole
from calendar_app.api.idempotency import Idempotent
from calendar_app.api.paging import After, Limit, cut
from calendar_app.api.problem_codes import fails
from calendar_app.api.routing import Router
from calendar_app.api.versions import IfMatch, Tag
from calendar_app.domain.booking_form import Asked, FormPart
from calendar_app.domain.colors import CATEGORY_COLORS, Color, Priority
from calendar_app.domain.hosting import Hosting
from calendar_app.domain.meeting_place import PlaceKind
from calendar_app.services.event_types import commands as event_type_commands
from calendar_app.services.event_types import queries as event_type_queries
from calendar_app.services.event_types.queries import EventTypeView

router = Router(tags=["scheduling"])

_HUES = (
    "tomato red, pink, orange, yellow, teal, green, cyan, blue, violet, purple, gray; each is the CSS colour keyword "
    "of that name and stands for the nearest colour that the provider has"
)
ColorName = Annotated[
    str,
    WithJsonSchema({"type": "string", "enum": ["", *Color], "description": f"Empty: by category. {_HUES}"}),
]
CategoryName = Annotated[str, WithJsonSchema({"type": "string", "enum": ["", *CATEGORY_COLORS]})]
PriorityName = Annotated[str, WithJsonSchema({"type": "string", "enum": ["", *Priority]})]
FormParts = Annotated[
    dict[str, str],
    WithJsonSchema(
        {
            "type": "object",
            "propertyNames": {"enum": [*FormPart]},
            "additionalProperties": {"type": "string", "enum": [*Asked]},
        }
    ),
]


class EventTypeHostIn(Body):
    """A host; without ``schedule_id`` the person's default schedule counts."""

    person_id: Key
    schedule_id: Key | None = None
    weight: Whole = 1


class MeetingPlaceIn(Body):
    """``kind``: ``host_calls``, ``customer_calls``, ``address``, ``link``, ``jitsi``, ``google_meet`` or
    ``microsoft_teams``; the last two need a calendar that receives the hosts' bookings and can make such meetings.
    ``value``: the number that customers call, the address or the link; nothing for the other kinds. ``label``: its name
    on the booking page, where ``value`` is never shown. ``id``: made from the kind if left out."""

    id: Key = ""
    kind: PlaceKind
    value: str = ""
    label: str = ""


class EventTypeChange(Body):
    """Whole, but ``horizon_days``; caps of 0 mean none. ``hosting``: ``single``, ``round_robin``, ``collective``.

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
    meeting_places: list[MeetingPlaceIn] = Field(default=[])
    form_parts: FormParts = Field(default={})
    color: ColorName = ""
    category: CategoryName = ""
    priority: PriorityName = ""
    reminders: list[Whole] = Field(default=[])
    durations: list[Whole] = Field(default=[30])
    buffer_before: Whole = 0
    buffer_after: Whole = 0
    minimum_notice: Whole = 0
    horizon_days: Whole = 60
    step_minutes: Whole = 15
    daily_cap: Whole = 0
    weekly_cap: Whole = 0
    seats: Whole = 1
    requires_approval: Flag = False
    hosting: Hosting = Hosting.SINGLE
    questions: list[dict[str, Any]] = Field(default=[])
    cancel_notice: Whole = 0
    is_public: Flag = True
    is_active: Flag = True
    hosts: list[EventTypeHostIn] = Field(default=[])


class EventTypeIn(EventTypeChange):
    """A new event type; you are its host unless ``hosts`` says otherwise, and ``slug`` is made from the title."""

    title: str


class EventTypeHostOut(BaseModel):
    person_id: str
    name: str
    schedule_id: str | None
    weight: int


class MeetingPlaceOut(BaseModel):
    id: str
    kind: PlaceKind
    value: str
    label: str


class EventTypeOut(BaseModel):
    id: str
    slug: str
    title: str
    description: str
    location: str
    meeting_places: list[MeetingPlaceOut]
    form_parts: FormParts
    color: ColorName
    category: CategoryName
    priority: PriorityName
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
    hosting: Hosting
    questions: list[dict[str, Any]]
    cancel_notice: int
    is_public: bool
    is_active: bool
    hosts: list[EventTypeHostOut]
    url: str
    created_at: datetime


class EventTypeList(BaseModel):
    items: list[EventTypeOut]
    next: str | None = None


@router.get("/event-types")
def list_event_types(actor: CurrentActor, limit: Limit = 100, after: After = None) -> EventTypeList:
    """Every event type of the workspace, by title."""
    found = event_type_queries.list_event_types(actor)
    items, more = cut(found, limit, after, lambda one: (one.title, one.id))
    return EventTypeList(items=[EventTypeOut(**asdict(view)) for view in items], next=more)


@router.post("/event-types", status_code=201, response_model=EventTypeOut, responses=fails("slug_taken"))
def create_event_type(actor: CurrentActor, body: EventTypeIn, idempotent: Idempotent) -> Response:
    """Add something that can be booked."""
    return idempotent.run(
        201, lambda: EventTypeOut(**asdict(event_type_commands.create_event_type(actor, body.given())))
    )


@router.get("/event-types/{event_type_id}")
def get_event_type(event_type_id: Key, actor: CurrentActor, tag: Tag) -> EventTypeOut:
    """One event type."""
    return tag(_shown(event_type_queries.get_event_type(actor, event_type_id)))


@router.patch("/event-types/{event_type_id}", responses=fails("slug_taken"))
def update_event_type(
    event_type_id: Key, actor: CurrentActor, body: EventTypeChange, unless_changed: IfMatch, tag: Tag
) -> EventTypeOut:
    """Change what is sent; lists are replaced as a whole. Bookings stay as they are."""
    check = unless_changed.check_for(_shown)
    return tag(_shown(event_type_commands.update_event_type(actor, event_type_id, body.given(), check=check)))


@router.delete("/event-types/{event_type_id}", status_code=204, responses=fails("has_bookings"))
def delete_event_type(event_type_id: Key, actor: CurrentActor, unless_changed: IfMatch) -> None:
    """Delete one that was never booked; 409 ``has_bookings`` otherwise."""
    event_type_commands.delete_event_type(actor, event_type_id, check=unless_changed.check_for(_shown))


def _shown(view: EventTypeView) -> EventTypeOut:
    return EventTypeOut(**asdict(view))
