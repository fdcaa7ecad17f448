"""Calendars over HTTP: the list, and what each is used for."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Literal, Self

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict

from calendar_app.api.deps import CurrentActor
from calendar_app.services import calendars
from calendar_app.services.calendars import CalendarView
from calendar_app.services.connection_views import title

router = APIRouter(prefix="/calendars", tags=["calendars"])


class ProviderDetails(BaseModel):
    """A provider by key, and by its name for people."""

    key: str
    title: str


class CalendarOut(BaseModel):
    """A calendar. ``sync_progress`` counts the events that a running sync has read.

    ``stale_policy``: while it cannot be read, its last known state counts (``keep``), its owner's times are closed
    (``close``), bookings wait for approval (``approve``), or it does not count (``ignore``).
    """

    id: str
    connection_id: str
    connection_status: str
    provider: str
    provider_details: ProviderDetails
    name: str
    color: str
    timezone: str
    access_role: str
    is_primary: bool
    checks_conflicts: bool
    receives_bookings: bool
    stale_policy: str
    synced_at: datetime | None
    syncing: bool
    sync_progress: int
    last_error: str

    @classmethod
    def of(cls, view: CalendarView) -> Self:
        """The service's view with the provider spelled out."""
        return cls(
            **asdict(view), provider_details=ProviderDetails(key=view.provider, title=title(view.provider))
        )


class CalendarList(BaseModel):
    """A page of calendars."""

    items: list[CalendarOut]
    next: str | None = None


class CalendarIn(BaseModel):
    """What to change; what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    checks_conflicts: bool | None = None
    receives_bookings: bool | None = None
    stale_policy: Literal["keep", "close", "approve", "ignore"] | None = None


@router.get("")
def list_calendars(actor: CurrentActor, connection_id: Annotated[str | None, Query()] = None) -> CalendarList:
    """Your calendars; for managers, everybody's."""
    found = calendars.list_calendars(actor, connection_id=connection_id)
    return CalendarList(items=[CalendarOut.of(view) for view in found])


@router.patch("/{calendar_id}")
def update_calendar(calendar_id: str, actor: CurrentActor, body: CalendarIn) -> CalendarOut:
    """Say whether the calendar blocks time, whether bookings are written into it, and what it does to slots while it
    cannot be read."""
    return CalendarOut.of(
        calendars.update_calendar(
            actor,
            calendar_id,
            checks_conflicts=body.checks_conflicts,
            receives_bookings=body.receives_bookings,
            stale_policy=body.stale_policy,
        )
    )
