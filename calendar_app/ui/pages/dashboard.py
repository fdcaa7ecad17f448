"""``/dashboard``: what is coming, as a list and as a calendar, in step with every connected account."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import reflex as rx

from calendar_app.clock import utc_now
from calendar_app.errors import AlmanacError
from calendar_app.services.calendar_sync import requests as sync_requests
from calendar_app.services.common.change_events import Change
from calendar_app.services.common.permissions import Actor, Role
from calendar_app.services.connections import calendars
from calendar_app.services.connections import queries as connection_queries
from calendar_app.services.events import queries as event_queries
from calendar_app.services.events.occurrences import OccurrenceView
from calendar_app.ui import formats, live, notices
from calendar_app.ui.components import plain
from calendar_app.ui.components.badges import color_dot, provider_icon
from calendar_app.ui.components.calendar_grid import calendar_grid
from calendar_app.ui.components.connections import (
    CalendarRow,
    ConnectionRow,
    ProviderRow,
    connect_links,
    connection_rows,
    freshness,
    provider_row,
)
from calendar_app.ui.components.feedback import (
    empty_state,
    error_callout,
    loading,
    success_callout,
    warning_callout,
)
from calendar_app.ui.following import Delta
from calendar_app.ui.layout import page, times_in
from calendar_app.ui.oauth import outcome, start_connection
from calendar_app.ui.reloading import keep
from calendar_app.ui.session import SessionState, acting, enter
from calendar_app.ui.theme import space

PATH = "/dashboard"
AHEAD_DAYS = 7
SHOWN = 25
GRID_LIMIT = 2_000
LONGEST_RANGE = timedelta(days=62)


@dataclass
class AgendaItem:
    """An occurrence in the list; ``detail`` is its place, ``html_link`` where it stands at its provider."""

    id: str
    title: str
    time: str
    detail: str
    calendar: str
    provider: str
    color: str
    booking_id: str
    html_link: str


@dataclass
class AgendaDay:
    """A day of the list that has something in it."""

    title: str
    events: list[AgendaItem] = field(default_factory=list)


def agenda_item(view: OccurrenceView, zone: str, hour12: bool) -> AgendaItem:
    time = "All day" if view.all_day else formats.span(view.start, view.end, zone, hour12=hour12)
    return AgendaItem(
        id=str(view.id),
        title=view.title or "(no title)",
        time=time,
        detail=view.location,
        calendar=view.calendar_name,
        provider=view.provider,
        color=view.color or "var(--accent-9)",
        booking_id=view.booking_id or "",
        html_link=view.html_link,
    )


def first_day(view: OccurrenceView, zone: str) -> date:
    """The day under which an occurrence is listed."""
    return (
        view.start_date if view.all_day and view.start_date else view.start.astimezone(ZoneInfo(zone)).date()
    )


def agenda_days(views: Iterable[OccurrenceView], zone: str, hour12: bool, today: date) -> list[AgendaDay]:
    """Occurrences by day in ``zone``; what began earlier and still lasts stands under today."""
    days: dict[date, AgendaDay] = {}
    for view in views:
        day = max(first_day(view, zone), today)
        entry = days.setdefault(day, AgendaDay(formats.relative_day(day, today)))
        entry.events.append(agenda_item(view, zone, hour12))
    return [days[day] for day in sorted(days)]


def grid_event(view: OccurrenceView) -> dict[str, Any]:
    """An occurrence as FullCalendar reads it; all-day ones by date, so that no zone can shift them."""
    whole = view.all_day and view.start_date and view.end_date
    return {
        "id": str(view.id),
        "title": view.title or "(no title)",
        "start": view.start_date.isoformat() if whole else formats.rfc3339(view.start),
        "end": view.end_date.isoformat() if whole else formats.rfc3339(view.end),
        "allDay": bool(view.all_day),
        "color": view.color or "var(--accent-9)",
    }


class DashboardState(rx.State):
    """What the dashboard shows; read again whenever the workspace changes."""

    loaded: bool = False
    error: str = ""
    success: str = ""
    days: list[AgendaDay] = []  # noqa: RUF012 - Reflex copies defaults per session
    events: list[dict[str, Any]] = []  # noqa: RUF012
    connections: list[ConnectionRow] = []  # noqa: RUF012
    legend: list[CalendarRow] = []  # noqa: RUF012
    legend_providers: dict[str, str] = {}  # noqa: RUF012
    providers: list[ProviderRow] = []  # noqa: RUF012
    picked: AgendaItem = AgendaItem("", "", "", "", "", "", "", "", "")
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
        view = DashboardView(session.zone, session.hour12, self.shown)
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
    async def pick(self, occurrence_id: str) -> None:
        """Show one event's details."""
        session = await self.get_state(SessionState)
        actor = await acting(self)
        found = await asyncio.to_thread(_occurrence, actor, self.shown, session.zone, occurrence_id)
        if found is None:
            return
        self.picked = agenda_item(found, session.zone, session.hour12)
        self.picked_day = formats.day(first_day(found, session.zone))
        self.picked_open = True

    @rx.event
    def close_picked(self, is_open: bool) -> None:
        """Close the details."""
        self.picked_open = is_open


keep(DashboardState, "shown", then=DashboardState.refresh)


@dataclass(frozen=True)
class DashboardView:
    """What a dashboard shows, besides who looks: in which zone, and ``shown``, the range of its calendar."""

    zone: str
    hour12: bool
    shown: tuple[str, str]

    def concerns(self, viewer: Actor, change: Change) -> bool:
        """Staff see their own calendars, managers everybody's."""
        whose = viewer.role >= Role.MANAGER or change.person in ("", viewer.person_id)
        return whose and change.topic in ("events", "connections")

    def delta(self, viewer: Actor) -> Delta:
        """As an open page takes it."""
        return {DashboardState.get_full_name(): self.read(viewer)}

    def read(self, viewer: Actor, *, now: datetime | None = None) -> dict[str, Any]:
        """The variables of :class:`DashboardState` that come from the database."""
        now = now or utc_now()
        kinds = connection_queries.providers()
        calendars_found = calendars.list_calendars(viewer, now=now)
        rows = connection_rows(connection_queries.list_connections(viewer, now=now), calendars_found, kinds)
        upcoming = event_queries.upcoming(viewer, limit=SHOWN, days=AHEAD_DAYS, now=now)
        return {
            "connections": rows,
            "legend": [calendar for row in rows for calendar in row.calendars if calendar.shown_on_dashboard],
            "legend_providers": {calendar.id: calendar.provider for calendar in calendars_found},
            "providers": [provider_row(kind) for kind in kinds],
            "days": agenda_days(upcoming, self.zone, self.hour12, now.astimezone(ZoneInfo(self.zone)).date()),
            "events": [grid_event(view) for view in _between(viewer, self.shown, self.zone)],
            "loaded": True,
        }


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


def _occurrence(actor: Actor, shown: tuple[str, str], zone: str, occurrence_id: str) -> OccurrenceView | None:
    return next((view for view in _between(actor, shown, zone) if str(view.id) == occurrence_id), None)


def _agenda_item(item: AgendaItem) -> rx.Component:
    return rx.el.li(
        rx.el.span(class_name="agenda-bar", style={"background": item.color}, aria_hidden="true"),
        rx.box(
            rx.text(item.title, size="2", weight="medium", class_name="wrap-anywhere"),
            rx.text(item.time, size="2", color_scheme="gray", class_name="tabular"),
            rx.cond(
                item.detail != "", rx.text(item.detail, size="1", color_scheme="gray", class_name="clip")
            ),
            rx.flex(
                provider_icon(item.provider),
                rx.text(item.calendar, size="1", color_scheme="gray", class_name="clip"),
                rx.cond(item.booking_id != "", rx.badge("Booking", size="1", variant="soft")),
                spacing="2",
                align="center",
            ),
            min_width="0",
        ),
        class_name="agenda-item",
    )


def _agenda() -> rx.Component:
    return rx.el.aside(
        rx.heading("Coming up", as_="h2", size="4", margin_bottom=space(3)),
        rx.cond(
            DashboardState.days.length() > 0,
            rx.foreach(
                DashboardState.days,
                lambda day: rx.box(
                    rx.heading(
                        day.title,
                        as_="h3",
                        size="2",
                        color_scheme="gray",
                        weight="medium",
                        margin_bottom=space(1),
                    ),
                    rx.el.ul(rx.foreach(day.events, _agenda_item), class_name="plain"),
                    margin_bottom=space(4),
                ),
            ),
            rx.text(
                rx.cond(
                    DashboardState.legend.length() > 0,
                    "Nothing in the next seven days.",
                    "No calendar is shown here. Switch on “Show on the dashboard” for one under Calendars.",
                ),
                size="2",
                color_scheme="gray",
            ),
        ),
        aria_label="Coming up",
    )


def _legend() -> rx.Component:
    return rx.el.ul(
        rx.foreach(
            DashboardState.legend,
            lambda row: rx.el.li(
                color_dot(row.color),
                provider_icon(DashboardState.legend_providers[row.id]),
                rx.text(row.name, size="1"),
                style={"display": "flex", "alignItems": "center", "gap": space(2)},
            ),
        ),
        class_name="plain",
        aria_label="Calendars and their colours",
        style={
            "display": "flex",
            "flexWrap": "wrap",
            "gap": "var(--space-2) var(--space-4)",
            "marginTop": space(4),
        },
    )


def _status_lines() -> rx.Component:
    return rx.flex(
        rx.foreach(
            DashboardState.connections,
            lambda row: rx.cond(
                row.status == "needs_reconnect",
                rx.cond(
                    row.person_id == SessionState.person_id,
                    warning_callout(
                        row.title
                        + " account "
                        + row.account
                        + " is not connected any more. Bookings are written there once it is reconnected.",
                        rx.button(rx.el.a("Reconnect", href="/settings/calendars"), size="1", as_child=True),
                    ),
                    warning_callout(
                        row.title
                        + " account "
                        + row.account
                        + " is not connected any more. "
                        + row.person
                        + " has been asked to reconnect it.",
                    ),
                ),
            ),
        ),
        rx.flex(rx.foreach(DashboardState.connections, freshness), spacing="5", wrap="wrap"),
        direction="column",
        spacing="3",
        margin_bottom=space(5),
    )


def _details() -> rx.Component:
    item = DashboardState.picked
    return rx.dialog.root(
        rx.dialog.content(
            rx.dialog.title(item.title),
            rx.dialog.description(DashboardState.picked_day, ", ", item.time, size="2"),
            rx.flex(
                rx.flex(
                    provider_icon(item.provider),
                    rx.text(item.calendar, size="2"),
                    spacing="2",
                    align="center",
                ),
                rx.cond(item.detail != "", rx.text(item.detail, size="2", class_name="wrap-anywhere")),
                rx.cond(
                    item.html_link != "",
                    plain.link(
                        "Open at the provider",
                        href=item.html_link,
                        target="_blank",
                        rel="noopener noreferrer",
                        class_name="text-link",
                    ),
                ),
                direction="column",
                spacing="2",
                margin_top=space(3),
            ),
            rx.flex(
                rx.dialog.close(rx.button("Close", variant="soft", color_scheme="gray")),
                justify="end",
                margin_top=space(4),
            ),
            max_width="26rem",
        ),
        open=DashboardState.picked_open,
        on_open_change=DashboardState.close_picked,
    )


def _nothing_connected() -> rx.Component:
    return empty_state(
        "calendars",
        "Connect your first calendar",
        "Your events appear here live, and customers can only book the time that is really free.",
        connect_links(DashboardState.providers, DashboardState.connect, size="3"),
        rx.button(
            rx.el.a("Other calendars", href="/settings/calendars"), as_child=True, variant="soft", size="3"
        ),
    )


def dashboard() -> rx.Component:
    return page(
        "Dashboard",
        rx.cond(
            (DashboardState.success != "") | (DashboardState.error != ""),
            rx.flex(
                success_callout(DashboardState.success),
                error_callout(DashboardState.error),
                direction="column",
                margin_bottom=space(4),
            ),
        ),
        rx.cond(
            DashboardState.loaded,
            rx.cond(
                DashboardState.connections.length() > 0,
                rx.fragment(
                    _status_lines(),
                    rx.el.div(
                        _agenda(),
                        rx.box(
                            calendar_grid(
                                events=DashboardState.events,
                                time_zone=SessionState.zone,
                                hour12=SessionState.hour12,
                                on_range=DashboardState.show_range,
                                on_pick=DashboardState.pick,
                            ),
                            _legend(),
                            min_width="0",
                        ),
                        class_name="dashboard",
                    ),
                    _details(),
                ),
                _nothing_connected(),
            ),
            loading(),
        ),
        path=PATH,
        on_ready=DashboardState.load,
        on_change=DashboardState.refresh,
        kept=(DashboardState,),
        lead=times_in(),
        actions=rx.cond(
            DashboardState.connections.length() > 0,
            rx.button(
                rx.icon("refresh-cw", size=16, aria_hidden="true"),
                "Sync now",
                variant="soft",
                on_click=DashboardState.sync_now,
            ),
        ),
    )
