"""``/settings/appointments/[taken_by]``: what customers book at a provider that takes bookings itself.

The list of what can be booked is asked of the provider when the page opens; what is booked is the mirror's, and stays
visible while the provider does not answer.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import reflex as rx

from calendar_app.clock import utc_now
from calendar_app.errors import AlmanacError
from calendar_app.services.common.permissions import Actor
from calendar_app.services.connections import calendars
from calendar_app.services.events import provider_bookings
from calendar_app.services.events import queries as event_queries
from calendar_app.services.events.occurrences import OccurrenceView
from calendar_app.ui import formats, live, notices
from calendar_app.ui.components import plain
from calendar_app.ui.components.cancel import reason_dialog
from calendar_app.ui.components.feedback import empty_state, error_callout, loading
from calendar_app.ui.layout import page, times_in
from calendar_app.ui.reloading import keep
from calendar_app.ui.session import SessionState, acting, enter
from calendar_app.ui.theme import space

PATH = "/settings/appointments"
AHEAD = timedelta(days=60)


@dataclass
class TypeRow:
    """Something that customers can book there; ``detail`` says how long it takes, and that it is switched off."""

    name: str
    detail: str
    description: str
    url: str


@dataclass
class AppointmentRow:
    """A coming appointment in the viewer's zone."""

    id: str
    title: str
    when: str
    place: str


def type_row(kind: Any) -> TypeRow:
    """From an :class:`calendar_app.providers.base.AppointmentType`."""
    detail = formats.length(kind.minutes) + ("" if kind.active else ", switched off")
    return TypeRow(kind.name, detail, kind.description, kind.booking_url)


def appointment_row(seen: OccurrenceView, zone: str, hour12: bool, today: datetime) -> AppointmentRow:
    """As the page shows it."""
    first = seen.start.astimezone(ZoneInfo(zone)).date()
    day = formats.relative_day(first, today.astimezone(ZoneInfo(zone)).date())
    when = f"{day}, {formats.span(seen.start, seen.end, zone, hour12=hour12)}"
    return AppointmentRow(seen.event_id, seen.title or "(no title)", when, seen.location)


class AppointmentsState(rx.State):
    """What can be booked, what is booked, and the appointment that is about to be cancelled."""

    loaded: bool = False
    error: str = ""
    types_error: str = ""
    name: str = ""
    used: bool = True
    types: list[TypeRow] = []  # noqa: RUF012 - Reflex copies defaults per session
    coming: list[AppointmentRow] = []  # noqa: RUF012
    asking: str = ""
    _calendar: str = ""
    _cancelled: list[str] = []  # noqa: RUF012

    @rx.event
    async def load(self, zone: str, hour12: bool) -> None:
        """Show what stands, then ask the provider what can be booked."""
        actor = await enter(self, zone, hour12)
        self._calendar, self._cancelled, self.asking = (
            self.router.url.path.rstrip("/").rpartition("/")[2],
            [],
            "",
        )
        async with live.reading(self, actor.workspace_id):
            await self._read(actor)
        if not self.error:
            await self._ask(actor)
        self.loaded = True

    @rx.event
    async def refresh(self) -> None:
        """Read again after a change."""
        actor = await acting(self)
        async with live.reading(self, actor.workspace_id):
            await self._read(actor)

    async def _read(self, actor: Actor) -> None:
        session = await self.get_state(SessionState)
        now = utc_now()
        try:
            self.name, self.used, found = await asyncio.to_thread(coming, actor, self._calendar, now)
        except AlmanacError as error:
            self.error, self.coming = error.detail, []
            return
        rows = [appointment_row(seen, session.zone, session.hour12, now) for seen in found]
        self.coming = [row for row in rows if row.id not in self._cancelled]
        self.error = ""

    async def _ask(self, actor: Actor) -> None:
        try:
            kinds = await asyncio.to_thread(provider_bookings.types, actor, self._calendar)
        except AlmanacError as error:
            self.types_error, self.types = error.detail, []
            return
        self.types_error, self.types = "", [type_row(kind) for kind in kinds]

    @rx.event
    def ask_to_cancel(self, event_id: str, is_open: bool) -> None:
        """Open or close the question before an appointment is cancelled."""
        self.asking = event_id[:32] if is_open else ""

    @rx.event
    async def cancel(self, form: dict[str, Any]) -> Any:
        """Call the appointment off at its provider."""
        actor = await acting(self)
        event_id, self.asking = self.asking, ""
        try:
            await asyncio.to_thread(
                provider_bookings.cancel, actor, event_id, str(form.get("reason", ""))[:1_000]
            )
        except AlmanacError as error:
            return notices.error(error.detail)
        self._cancelled = [*self._cancelled, event_id]
        await self._read(actor)
        return notices.success("Cancelled. Everybody who takes part is told.")


keep(AppointmentsState, "asking")


def coming(actor: Actor, calendar_id: str, now: datetime) -> tuple[str, bool, list[OccurrenceView]]:
    """The calendar's name, whether it is used, and what is booked in it, on the dashboard or not."""
    found = event_queries.between(actor, now, now + AHEAD, calendar_id=calendar_id, hidden=True).items
    calendar = calendars.get_calendar(actor, calendar_id)
    return calendar.name, calendar.used, found


def _type(row: TypeRow) -> rx.Component:
    return rx.el.li(
        rx.box(
            rx.flex(
                rx.text(row.name, size="2", weight="medium", class_name="wrap-anywhere"),
                rx.text(row.detail, size="2", color_scheme="gray"),
                spacing="3",
                wrap="wrap",
            ),
            rx.cond(
                row.description != "",
                rx.text(row.description, size="2", color_scheme="gray", class_name="wrap-anywhere"),
            ),
            flex="1 1 12rem",
            min_width="0",
        ),
        rx.cond(
            row.url != "",
            rx.flex(
                rx.text(
                    plain.link(
                        "Open",
                        href=row.url,
                        target="_blank",
                        rel="noopener noreferrer",
                        class_name="text-link",
                        aria_label="Open the page of " + row.name,
                    ),
                    size="2",
                ),
                rx.button(
                    rx.icon("copy", size=14, aria_hidden="true"),
                    "Copy link",
                    size="2",
                    variant="soft",
                    color_scheme="gray",
                    aria_label="Copy the link of " + row.name,
                    on_click=[rx.set_clipboard(row.url), notices.success("Link copied.")],
                ),
                spacing="4",
                align="center",
            ),
        ),
        class_name="row",
        style={"flexWrap": "wrap"},
    )


def _appointment(row: AppointmentRow) -> rx.Component:
    return rx.el.li(
        rx.box(
            rx.text(row.title, size="2", weight="medium", class_name="wrap-anywhere"),
            rx.text(row.when, size="2", color_scheme="gray", class_name="tabular"),
            rx.cond(
                row.place != "", rx.text(row.place, size="1", color_scheme="gray", class_name="wrap-anywhere")
            ),
            flex="1 1 12rem",
            min_width="0",
        ),
        reason_dialog(
            "Cancel appointment",
            title="Cancel “" + row.title + "”?",
            text="It is called off where it was booked, for everybody who takes part. They are told, with your "
            "reason if you give one.",
            is_open=AppointmentsState.asking == row.id,
            on_open_change=lambda is_open: AppointmentsState.ask_to_cancel(row.id, is_open),
            on_submit=AppointmentsState.cancel,
            size="2",
            variant="outline",
            color_scheme="red",
            aria_label="Cancel appointment: " + row.title + ", " + row.when,
        ),
        class_name="row",
        style={"flexWrap": "wrap"},
    )


def _list(title: str, content: rx.Component) -> rx.Component:
    return rx.el.section(
        rx.heading(title, as_="h2", size="4", margin_bottom=space(3)), content, aria_label=title
    )


def _content() -> rx.Component:
    state = AppointmentsState
    return rx.flex(
        _list(
            "What customers can book",
            rx.cond(
                state.types_error != "",
                error_callout(state.types_error),
                rx.cond(
                    state.types.length() > 0,
                    rx.el.ul(rx.foreach(state.types, _type), class_name="plain list"),
                    empty_state(
                        "shapes", "Nothing can be booked there", "Event types are made at the provider."
                    ),
                ),
            ),
        ),
        _list(
            "Coming up",
            rx.cond(
                state.coming.length() > 0,
                rx.el.ul(rx.foreach(state.coming, _appointment), class_name="plain list"),
                rx.cond(
                    state.used,
                    empty_state("calendar-check", "Nothing is booked there", "For the next 60 days."),
                    empty_state(
                        "calendar-check",
                        "What is booked there is not read",
                        "This calendar is used for nothing. Switch on “Check for conflicts” or “Show on the dashboard” "
                        "for it under Calendars.",
                    ),
                ),
            ),
        ),
        direction="column",
        spacing="6",
    )


def appointments() -> rx.Component:
    return page(
        "Appointments",
        error_callout(AppointmentsState.error),
        rx.cond(AppointmentsState.loaded, rx.cond(AppointmentsState.error == "", _content()), loading(6)),
        path="/settings/calendars",
        on_ready=AppointmentsState.load,
        on_change=AppointmentsState.refresh,
        kept=(AppointmentsState,),
        lead=times_in(
            "What customers book at "
            + rx.cond(AppointmentsState.name != "", AppointmentsState.name, "the provider")
            + " itself. "
        ),
        actions=rx.button(
            rx.el.a("Back to calendars", href="/settings/calendars"),
            as_child=True,
            variant="soft",
            color_scheme="gray",
        ),
        narrow=True,
    )
