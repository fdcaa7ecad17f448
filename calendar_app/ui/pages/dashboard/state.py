"""What the dashboard shows, and what is done there."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from typing import Any
from zoneinfo import ZoneInfo

import reflex as rx

from calendar_app.clock import utc_now
from calendar_app.domain.booking import HOLDING
from calendar_app.errors import AlmanacError, NotFound
from calendar_app.services.bookings import queries as booking_queries
from calendar_app.services.bookings.views import BookingView
from calendar_app.services.calendar_sync import requests as sync_requests
from calendar_app.services.common.change_events import Change
from calendar_app.services.common.permissions import Actor, Role
from calendar_app.services.connections import calendars
from calendar_app.services.connections import queries as connection_queries
from calendar_app.services.events import booking_entries
from calendar_app.services.events import queries as event_queries
from calendar_app.services.events.occurrences import OccurrenceView
from calendar_app.ui import formats, live, notices
from calendar_app.ui.components.connections import (
    CalendarRow,
    ConnectionRow,
    ProviderRow,
    connection_rows,
    provider_row,
)
from calendar_app.ui.following import Delta, impersonal
from calendar_app.ui.oauth import outcome, start_connection
from calendar_app.ui.pages.bookings.opened import OpenBooking, read_detail
from calendar_app.ui.pages.dashboard.rows import (
    AgendaDay,
    AgendaItem,
    NextUp,
    agenda_days,
    agenda_item,
    first_day,
    grid_event,
    next_up,
)
from calendar_app.ui.reloading import keep
from calendar_app.ui.session import SessionState, acting, enter

PATH = "/dashboard"
AHEAD_DAYS = 7
SHOWN = 25
GRID_LIMIT = 2_000
LONGEST_RANGE = timedelta(days=62)
LONGEST_BOOKING = timedelta(days=7)
"""What began before that is over."""


class DashboardState(rx.State):
    """What the dashboard shows; read again whenever the workspace changes. ``next_up`` is by host.

    ``has_bookings``: the calendar is worth showing, without an account too. Nothing here is computed by Reflex, because
    what is pushed to a page is not.
    """

    loaded: bool = False
    has_bookings: bool = False
    error: str = ""
    success: str = ""
    days: list[AgendaDay] = []  # noqa: RUF012 - Reflex copies defaults per session
    events: list[dict[str, Any]] = []  # noqa: RUF012
    connections: list[ConnectionRow] = []  # noqa: RUF012
    legend: list[CalendarRow] = []  # noqa: RUF012
    legend_providers: dict[str, str] = {}  # noqa: RUF012
    providers: list[ProviderRow] = []  # noqa: RUF012
    next_up: dict[str, NextUp] = {}  # noqa: RUF012
    picked: AgendaItem = AgendaItem()
    picked_day: str = ""
    picked_open: bool = False
    shown: tuple[str, str] = ("", "")

    @rx.event
    async def load(self, zone: str, hour12: bool) -> None:
        """Show everything, then follow the workspace."""
        actor = await enter(self, zone, hour12)
        self.success, self.error = outcome(self.router.url.query_parameters)
        await self._read(actor)

    @rx.event
    async def refresh(self) -> None:
        """Read again after a change."""
        await self._read(await acting(self))

    @rx.event
    async def show_range(self, start: str, end: str) -> None:
        """The calendar shows another stretch of time."""
        self.shown = (start[:40], end[:40])
        await self._read(await acting(self))

    async def _read(self, actor: Actor) -> None:
        session = await self.get_state(SessionState)
        opened = await self.get_state(OpenBooking)
        view = DashboardView(session.zone, session.hour12, self.shown, opened.id)
        async with live.reading(self, actor.workspace_id, view):
            try:
                found = await asyncio.to_thread(view.read, actor)
            except AlmanacError as error:
                self.error = error.detail
                return
            for name, value in found.items():
                setattr(self, name, value)

    @rx.event
    async def sync_now(self) -> Any:
        """Read every calendar again."""
        asked = await asyncio.to_thread(sync_requests.request_for, await acting(self))
        await self._read(await acting(self))
        if not asked:
            return notices.info("No calendar is used, so none is read.")
        return notices.info(
            f"Reading {formats.count(len(asked), 'calendar')} again. Changes appear by themselves."
        )

    @rx.event
    async def connect(self, provider: str) -> Any:
        """Go to the provider's consent page."""
        return await start_connection(self, provider, next_path=PATH)

    @rx.event
    async def pick(self, entry_id: str) -> Any:
        """Show one entry's details: of a booking everything that can be done with it."""
        if entry_id.startswith(booking_entries.PREFIX):
            return await self.open_booking(entry_id.removeprefix(booking_entries.PREFIX))
        session = await self.get_state(SessionState)
        actor = await acting(self)
        found = await asyncio.to_thread(_entry, actor, self.shown, session.zone, entry_id)
        if found is None:
            return notices.info("This event is not in the calendar any more.")
        self.picked = agenda_item(found, session.zone, session.hour12, {})
        self.picked_day = formats.day(first_day(found, session.zone))
        self.picked_open = True
        return None

    @rx.event
    async def open_booking(self, booking_id: str) -> Any:
        """Show a booking's details, and keep them in step."""
        actor = await acting(self)
        said = await (await self.get_state(OpenBooking)).open(actor, booking_id)
        await self._read(actor)
        return said

    @rx.event
    def close_picked(self, is_open: bool) -> None:
        """Close the details."""
        self.picked_open = is_open


keep(DashboardState, "shown", then=DashboardState.refresh)


@dataclass(frozen=True)
class DashboardView:
    """What a dashboard shows, besides who looks: in which zone, ``shown``, the range of its calendar, and the booking
    that is open on it, if any."""

    zone: str
    hour12: bool
    shown: tuple[str, str]
    booking_id: str = ""

    def concerns(self, viewer: Actor, change: Change) -> bool:
        """Staff see their own calendars and bookings, managers everybody's."""
        whose = viewer.role >= Role.MANAGER or change.person in ("", viewer.person_id)
        return whose and change.topic in ("events", "connections", "bookings")

    def delta(self, viewer: Actor) -> Delta:
        """As an open page takes it."""
        found: Delta = {DashboardState.get_full_name(): self.read(viewer)}
        if self.booking_id:
            try:
                detail = read_detail(viewer, self.booking_id, self.zone, self.hour12)
            except NotFound:
                return found
            found[OpenBooking.get_full_name()] = {"detail": detail}
        return found

    def read(self, viewer: Actor, *, now: datetime | None = None) -> dict[str, Any]:
        """The variables of :class:`DashboardState` that come from the database, the same for all who may see the
        same."""
        viewer = impersonal(viewer)
        now = now or utc_now()
        kinds = connection_queries.providers()
        calendars_found = calendars.list_calendars(viewer, now=now)
        rows = connection_rows(connection_queries.list_connections(viewer, now=now), calendars_found, kinds)
        colors = {calendar.id: calendar.color for row in rows for calendar in row.calendars}
        upcoming = event_queries.upcoming(viewer, limit=SHOWN, days=AHEAD_DAYS, now=now)
        today = now.astimezone(ZoneInfo(self.zone)).date()
        shown = _between(viewer, self.shown, self.zone)
        to_come = _to_come(viewer, now)
        return {
            "has_bookings": bool(to_come) or any(view.booking_status for view in shown),
            "connections": rows,
            "legend": [calendar for row in rows for calendar in row.calendars if calendar.shown_on_dashboard],
            "legend_providers": {calendar.id: calendar.provider for calendar in calendars_found},
            "providers": [provider_row(kind) for kind in kinds],
            "days": agenda_days(upcoming, self.zone, self.hour12, today, colors),
            "events": [grid_event(view, colors) for view in shown],
            "next_up": next_up(to_come, self.zone, self.hour12, now),
            "loaded": True,
        }


def _to_come(viewer: Actor, now: datetime) -> list[BookingView]:
    listed = booking_queries.list_bookings(
        viewer, status=sorted(HOLDING), start=now - LONGEST_BOOKING, limit=booking_queries.MOST
    )
    return [view for view in listed.items if view.end > now]


def _bounds(shown: tuple[str, str], zone: str) -> tuple[datetime, datetime] | None:
    """The calendar's range as aware instants; ``None`` if the browser sent nonsense or too much."""
    try:
        start, end = (datetime.fromisoformat(text) for text in shown)
    except ValueError:
        return None
    start, end = (at if at.tzinfo else at.replace(tzinfo=ZoneInfo(zone)) for at in (start, end))
    return (start, end) if start < end <= start + LONGEST_RANGE else None


def _between(actor: Actor, shown: tuple[str, str], zone: str) -> list[OccurrenceView]:
    bounds = _bounds(shown, zone)
    found: list[OccurrenceView] = []
    after: str | None = None
    while bounds and len(found) < GRID_LIMIT:
        page = event_queries.between(actor, *bounds, after=after)
        found += page.items
        after = page.next
        if after is None:
            break
    return found


def _entry(actor: Actor, shown: tuple[str, str], zone: str, entry_id: str) -> OccurrenceView | None:
    """An entry of the grid or of the list beside it."""
    views = chain(_between(actor, shown, zone), event_queries.upcoming(actor, limit=SHOWN, days=AHEAD_DAYS))
    return next((view for view in views if view.id == entry_id), None)
