"""What can be booked, with whom, and in which hours."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import UniqueConstraint
from sqlmodel import Field, SQLModel

from calendar_app.db.tables.columns import json, ref, row_id, text, when


class Schedule(SQLModel, table=True):
    """Working hours of a person: ``weekly`` and ``overrides`` as in :mod:`calendar_app.domain.schedule`.

    ``holidays``: the region whose public holidays are closed (ISO 3166: ``DE``, ``DE-BY``), empty for none. ``away``:
    spans of days on which the person is away, ``[{"first": "2026-12-24", "last": "2027-01-02", "note": ""}]``.
    """

    __tablename__ = "schedule"
    id: str = row_id()
    workspace_id: str = ref("workspace.id")
    person_id: str = ref("person.id")
    name: str = "Working hours"
    timezone: str = "UTC"
    weekly: dict[str, Any] = json(dict)
    overrides: dict[str, Any] = json(dict)
    holidays: str = Field(default="", max_length=16, sa_column_kwargs={"server_default": ""})
    away: list[dict[str, str]] = json(list, stored="[]")
    is_default: bool = True
    created_at: datetime = when()


class EventType(SQLModel, table=True):
    """Something that can be booked. Minutes for lengths, days for the horizon; caps of 0 mean none.

    ``reminders``: minutes before the start at which the customer is reminded. ``category`` and ``priority`` choose a
    colour (:mod:`calendar_app.domain.colors`) unless ``color`` names one.

    ``meeting_places``: where it may take place, as in :mod:`calendar_app.domain.meeting_place`; ``location`` says the
    first of them in one line, see :func:`calendar_app.services.event_types.meeting_places.places_of`. ``form_parts``:
    what the form asks besides, as in :mod:`calendar_app.domain.booking_form`.

    ``hosting``: ``single``, ``round_robin`` or ``collective``. ``questions``: list of question objects as in
    :mod:`calendar_app.domain.booking`.
    """

    __tablename__ = "event_type"
    __table_args__ = (UniqueConstraint("workspace_id", "slug"),)
    id: str = row_id()
    workspace_id: str = ref("workspace.id")
    slug: str = Field(max_length=64)
    title: str
    description: str = text()
    location: str = ""
    meeting_places: list[dict[str, Any]] = json(list, stored="[]")
    form_parts: dict[str, str] = json(dict, stored="{}")
    color: str = ""
    durations: list[int] = json(lambda: [30])
    buffer_before: int = 0
    buffer_after: int = 0
    minimum_notice: int = 0
    horizon_days: int = 60
    step_minutes: int = 15
    daily_cap: int = 0
    weekly_cap: int = 0
    seats: int = 1
    requires_approval: bool = False
    category: str = Field(default="", max_length=32)
    priority: str = Field(default="", max_length=16)
    reminders: list[int] = json(list)
    hosting: str = Field(default="single", max_length=16)
    questions: list[dict[str, Any]] = json(list)
    cancel_notice: int = 0
    is_public: bool = True
    is_active: bool = True
    created_at: datetime = when()


class BookingLink(SQLModel, table=True):
    """A private link to an event type. ``single_use``: for one booking, ``booking_id`` once that has been made.
    ``expires_at``: from then on nothing is booked with it."""

    __tablename__ = "booking_link"
    id: str = row_id()
    event_type_id: str = ref("event_type.id")
    label: str = Field(default="", max_length=100)
    single_use: bool = True
    expires_at: datetime | None = when(nullable=True)
    booking_id: str | None = Field(default=None, max_length=26)
    created_at: datetime = when()


class EventTypeHost(SQLModel, table=True):
    """A host of an event type; ``schedule_id`` ``None`` means the person's default schedule in the workspace.

    ``share_since``: since when the person is a host with this weight; ``None``: longer than that is kept.
    """

    __tablename__ = "event_type_host"
    __table_args__ = (UniqueConstraint("event_type_id", "person_id"),)
    id: str = row_id()
    event_type_id: str = ref("event_type.id")
    person_id: str = ref("person.id")
    schedule_id: str | None = ref("schedule.id", nullable=True, index=False, ondelete="SET NULL")
    weight: int = 1
    share_since: datetime | None = when(nullable=True)
