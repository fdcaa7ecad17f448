"""``/book/{workspace}/{event_type}``: pick a day and a time, say who you are, done.

The page is public: everything that comes from the browser is checked again by the services, and what somebody typed is
kept when the time was taken meanwhile.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import reflex as rx

from calendar_app.errors import AlmanacError, Conflict, NotFound, SlotUnavailable
from calendar_app.services import availability, bookings, event_types, limits
from calendar_app.services.availability import SlotsView
from calendar_app.services.event_types import PublicEventType
from calendar_app.ui import formats
from calendar_app.ui.components import plain
from calendar_app.ui.components.appointment import Appointment, add_links, appointment, facts
from calendar_app.ui.components.browser import arrow_keys, zone_select
from calendar_app.ui.components.feedback import error_callout, loading
from calendar_app.ui.components.forms import field as labelled
from calendar_app.ui.components.forms import text_input
from calendar_app.ui.components.month import (
    DayCell,
    add_months,
    first_of,
    month_cells,
    month_grid,
    month_title,
)
from calendar_app.ui.layout import public_page
from calendar_app.ui.pages.not_found import nothing_here
from calendar_app.ui.theme import space

ANSWER = "answer-"
REFRESH_SECONDS = 60
PER_VISITOR = "20 per 10 minutes"
"""Bookings of one address."""
TAKEN = "That time was just taken by somebody else. What you typed is kept: please pick another time."


@dataclass
class Offer:
    """The event type as the page shows it."""

    id: str = ""
    title: str = ""
    workspace: str = ""
    hosts: str = ""
    description: str = ""
    location: str = ""
    durations: list[int] = field(default_factory=list)
    needs_approval: bool = False


@dataclass
class SlotRow:
    """A start that can be chosen; ``key`` is its instant in RFC 3339."""

    key: str
    label: str


@dataclass
class QuestionRow:
    """A question of the form with what was answered so far."""

    id: str
    label: str
    type: str
    required: bool
    options: list[str] = field(default_factory=list)
    value: str = ""


def question_rows(documents: Any) -> list[QuestionRow]:
    return [
        QuestionRow(
            id=str(document["id"]),
            label=str(document["label"]),
            type=str(document.get("type", "text")),
            required=bool(document.get("required", False)),
            options=[str(option) for option in document.get("options", ())],
        )
        for document in documents
    ]


def slots_by_day(view: SlotsView, zone: str, hour12: bool) -> dict[str, list[SlotRow]]:
    """Slots under the date on which they begin in ``zone``."""
    days: dict[str, list[SlotRow]] = {}
    for slot in view.slots:
        day = slot.start.astimezone(ZoneInfo(zone)).date().isoformat()
        row = SlotRow(formats.rfc3339(slot.start), formats.clock(slot.start, zone, hour12=hour12))
        days.setdefault(day, []).append(row)
    return days


def answers_of(form: dict[str, Any]) -> dict[str, object]:
    """The answers in a posted form, by question id; unticked boxes and empty fields are left out."""
    return {
        key.removeprefix(ANSWER): value
        for key, value in form.items()
        if key.startswith(ANSWER) and value not in ("", None)
    }


def midnight(day: date, zone: str) -> datetime:
    """Where ``day`` begins in ``zone``."""
    return datetime.combine(day, time(), ZoneInfo(zone))


class BookState(rx.State):
    """One visitor's way. ``stage``: ``loading``, ``missing``, ``closed``, ``pick``, ``details``, ``done``."""

    stage: str = "loading"
    page_title: str = "Book a time · Almanac"
    offer: Offer = Offer()
    zone: str = "UTC"
    hour12: bool = False
    duration: int = 0
    month: str = ""
    month_name: str = ""
    can_go_back: bool = False
    can_go_on: bool = True
    cells: list[DayCell] = []  # noqa: RUF012 - Reflex copies defaults per session
    day: str = ""
    day_name: str = ""
    slots: list[SlotRow] = []  # noqa: RUF012
    chosen: str = ""
    chosen_text: str = ""
    chosen_zone: str = ""
    notice: str = ""
    error: str = ""
    name: str = ""
    email: str = ""
    questions: list[QuestionRow] = []  # noqa: RUF012
    booked: Appointment = Appointment()
    _by_day: dict[str, list[SlotRow]] = {}  # noqa: RUF012
    _horizon: int = 60

    @rx.event
    async def load(self, zone: str, hour12: bool) -> None:
        """Show the event type, at the first day that has times."""
        self.zone, self.hour12 = formats.known_zone(zone), hour12
        self.stage, self.error, self.notice, self.chosen = "loading", "", "", ""
        try:
            found = await asyncio.to_thread(event_types.public, self.workspace, self.event_type)
        except NotFound:
            self.stage, self.page_title = "missing", "Page not found · Almanac"
            return
        self._show_offer(found)
        if not found.is_active:
            self.stage = "closed"
            return
        await self._find_first_day()

    def _show_offer(self, found: PublicEventType) -> None:
        self.page_title = f"{found.title} · {found.workspace_name}"
        self.offer = Offer(
            id=found.id,
            title=found.title,
            workspace=found.workspace_name,
            hosts=", ".join(found.hosts),
            description=found.description,
            location=found.location,
            durations=list(found.durations),
            needs_approval=found.requires_approval,
        )
        self.duration, self._horizon = found.durations[0], found.horizon_days
        self.questions = question_rows(found.questions)

    async def _find_first_day(self) -> None:
        now = datetime.now(UTC)
        view = await self._ask(now, now + timedelta(days=min(self._horizon + 1, 365)))
        if view is None:
            return
        today = now.astimezone(ZoneInfo(self.zone)).date()
        first = view.slots[0].start.astimezone(ZoneInfo(self.zone)).date() if view.slots else today
        await self._show_month(first_of(first), day=first.isoformat() if view.slots else "")
        self.stage = "pick"

    async def _ask(self, start: datetime, end: datetime) -> SlotsView | None:
        try:
            return await asyncio.to_thread(
                availability.slots, self.offer.id, start, end, zone=self.zone, duration=self.duration
            )
        except Conflict:
            self.stage = "closed"
        except NotFound:
            self.stage = "missing"
        except AlmanacError as error:
            self.error = error.detail
        return None

    async def _show_month(self, month: date, *, day: str = "") -> None:
        now = datetime.now(UTC)
        today = now.astimezone(ZoneInfo(self.zone)).date()
        last = first_of(today + timedelta(days=self._horizon))
        month = min(max(month, first_of(today)), last)
        view = await self._ask(midnight(month, self.zone), midnight(add_months(month, 1), self.zone))
        if view is None:
            return
        self._by_day = slots_by_day(view, self.zone, self.hour12)
        self.notice = view.freshness.message
        free = {date.fromisoformat(key) for key in self._by_day}
        self.month, self.month_name = month.isoformat(), month_title(month)
        self.cells = month_cells(month, free, today)
        self.can_go_back, self.can_go_on = month > first_of(today), month < last
        self._show_day(day)

    def _show_day(self, day: str) -> None:
        self.slots = self._by_day.get(day, [])
        self.day = day if self.slots else ""
        self.day_name = (
            formats.day(date.fromisoformat(day), today=date.fromisoformat(day)) if self.day else ""
        )

    @rx.event
    async def refresh(self) -> None:
        """Read the month again while somebody thinks."""
        if self.stage == "pick" and self.month:
            await self._show_month(date.fromisoformat(self.month), day=self.day)

    @rx.event
    async def turn(self, months: int) -> None:
        """Go to the next or the previous month."""
        if self.month:
            await self._show_month(add_months(date.fromisoformat(self.month), 1 if months > 0 else -1))

    @rx.event
    async def set_zone(self, zone: str) -> None:
        """Show times in another zone."""
        self.zone = formats.known_zone(zone, self.zone)
        if self.month:
            await self._show_month(date.fromisoformat(self.month), day=self.day)

    @rx.event
    async def set_clock(self, value: str | list[str]) -> None:
        """Show times with twelve or twenty-four hours."""
        self.hour12 = value == "12h"
        if self.month:
            await self._show_month(date.fromisoformat(self.month), day=self.day)

    @rx.event
    async def set_duration(self, value: str | list[str]) -> None:
        """Choose one of the offered lengths."""
        minutes = int(value) if isinstance(value, str) and value.isdigit() else 0
        if minutes in self.offer.durations:
            self.duration = minutes
            await self._find_first_day()

    @rx.event
    def pick_day(self, day: str) -> None:
        """Show the times of a day."""
        self._show_day(day)

    @rx.event
    def pick_slot(self, key: str) -> Any:
        """Go on to the form with one of the times that were offered."""
        if not any(slot.key == key for slot in self.slots):
            return None
        start = datetime.fromisoformat(key)
        end = start + timedelta(minutes=self.duration)
        local = start.astimezone(ZoneInfo(self.zone))
        self.chosen, self.error = key, ""
        self.chosen_text = (
            f"{formats.day(local.date())}, {formats.span(start, end, self.zone, hour12=self.hour12)}"
        )
        self.chosen_zone = formats.zone_name(self.zone, start)
        self.stage = "details"
        return rx.set_focus("step-title")

    @rx.event
    def back(self) -> None:
        """Return to the times; what was typed stays."""
        self.stage = "pick"

    @rx.event
    async def confirm(self, form: dict[str, Any]) -> Any:
        """Book the chosen time."""
        if self.stage != "details":
            return None
        self.name, self.email = str(form.get("name", ""))[:400], str(form.get("email", ""))[:400]
        answers = answers_of(form)
        self.questions = [replace(row, value=str(answers.get(row.id, ""))[:5_000]) for row in self.questions]
        self.error = ""
        try:
            await asyncio.to_thread(limits.check, "book", self.router.session.client_ip, PER_VISITOR)
            view = await asyncio.to_thread(
                bookings.create,
                self.offer.id,
                datetime.fromisoformat(self.chosen),
                self.zone,
                self.name,
                self.email,
                answers,
                duration=self.duration,
            )
        except SlotUnavailable as error:
            await self._show_month(first_of(self._chosen_day()), day=self._chosen_day().isoformat())
            self.stage, self.error = "pick", TAKEN if error.code == SlotUnavailable.code else error.detail
            return None
        except AlmanacError as error:
            self.error = error.detail
            return None
        self.booked = appointment(view, hour12=self.hour12)
        self.stage = "done"
        return rx.set_focus("step-title")

    def _chosen_day(self) -> date:
        return datetime.fromisoformat(self.chosen).astimezone(ZoneInfo(self.zone)).date()


def _about() -> rx.Component:
    offer = BookState.offer
    return rx.el.section(
        rx.box(
            rx.text(offer.hosts, size="2", color_scheme="gray", weight="medium"),
            rx.heading(offer.title, as_="h1", size="6", class_name="wrap-anywhere"),
        ),
        rx.flex(
            _detail("clock", rx.text(_length(BookState.duration), size="2")),
            rx.cond(
                offer.location != "",
                _detail("map-pin", rx.text(offer.location, size="2", class_name="wrap-anywhere")),
            ),
            _detail("building-2", rx.text(offer.workspace, size="2", class_name="wrap-anywhere")),
            rx.cond(
                offer.needs_approval, _detail("hourglass", rx.text("Needs the host’s approval", size="2"))
            ),
            direction="column",
            spacing="3",
        ),
        rx.cond(
            (offer.durations.length() > 1) & (BookState.stage == "pick"),
            rx.segmented_control.root(
                rx.foreach(
                    offer.durations,
                    lambda minutes: rx.segmented_control.item(_length(minutes), value=minutes.to_string()),
                ),
                value=BookState.duration.to_string(),
                on_change=BookState.set_duration,
                size="1",
                aria_label="Length",
            ),
        ),
        rx.cond(
            offer.description != "",
            rx.text(
                offer.description,
                size="2",
                color_scheme="gray",
                white_space="pre-line",
                class_name="wrap-anywhere",
            ),
        ),
        rx.cond(
            BookState.stage == "details",
            rx.callout.root(
                rx.callout.icon(rx.icon("calendar-check", size=16, aria_hidden="true")),
                rx.box(
                    rx.text(BookState.chosen_text, size="2", weight="medium", class_name="tabular"),
                    rx.text(BookState.chosen_zone, size="1"),
                ),
                size="1",
            ),
            labelled(
                "Time zone",
                zone_select(id="zone", value=BookState.zone, on_change=BookState.set_zone, label="Time zone"),
                for_="zone",
            ),
        ),
        class_name="booking-about",
        aria_label="What you are booking",
    )


def _length(minutes: rx.Var[int]) -> rx.Var[str]:
    return rx.cond(minutes % 60 == 0, f"{minutes // 60} h", f"{minutes} min")


def _detail(icon: str, content: rx.Component) -> rx.Component:
    return rx.flex(
        rx.icon(icon, size=16, aria_hidden="true", color=rx.color("gray", 11)),
        content,
        spacing="3",
        align="center",
    )


def _turn(icon: str, label: str, step: int, enabled: rx.Var[bool]) -> rx.Component:
    return rx.icon_button(
        rx.icon(icon, size=18, aria_hidden="true"),
        variant="ghost",
        color_scheme="gray",
        size="3",
        aria_label=label,
        disabled=~enabled,
        on_click=BookState.turn(step),
    )


def _month() -> rx.Component:
    return rx.box(
        rx.flex(
            rx.heading(BookState.month_name, as_="h2", size="4", aria_live="polite"),
            rx.flex(
                _turn("chevron-left", "Previous month", -1, BookState.can_go_back),
                _turn("chevron-right", "Next month", 1, BookState.can_go_on),
                spacing="5",
                padding_x=space(2),
            ),
            justify="between",
            align="center",
            margin_bottom=space(3),
        ),
        month_grid(BookState.cells, BookState.day, BookState.pick_day, BookState.month_name),
        rx.cond(
            BookState.notice != "",
            rx.flex(
                rx.icon("info", size=14, aria_hidden="true"),
                rx.text(BookState.notice, size="1", color_scheme="gray"),
                spacing="2",
                align="center",
                margin_top=space(4),
            ),
        ),
    )


def _times() -> rx.Component:
    return rx.el.section(
        rx.flex(
            rx.heading(rx.cond(BookState.day != "", BookState.day_name, "Times"), as_="h2", size="3"),
            rx.segmented_control.root(
                rx.segmented_control.item("12h", value="12h"),
                rx.segmented_control.item("24h", value="24h"),
                value=rx.cond(BookState.hour12, "12h", "24h"),
                on_change=BookState.set_clock,
                size="1",
                aria_label="Clock",
            ),
            justify="between",
            align="center",
            spacing="2",
            margin_bottom=space(3),
        ),
        rx.cond(
            BookState.day != "",
            arrow_keys(
                rx.foreach(
                    BookState.slots,
                    lambda slot: rx.el.button(
                        slot.label,
                        type="button",
                        class_name="slot",
                        custom_attrs={"data-cell": slot.key},
                        on_click=BookState.pick_slot(slot.key),
                    ),
                ),
                class_name="slots",
                role="group",
                label="Times on " + BookState.day_name,
            ),
            rx.text(
                rx.cond(
                    BookState.cells.length() > 0,
                    "Pick a day that has times, or another month.",
                    "No times are free.",
                ),
                size="2",
                color_scheme="gray",
            ),
        ),
        aria_label="Times",
    )


def _question(row: QuestionRow) -> rx.Component:
    name = ANSWER + row.id
    common = {"id": name, "name": name, "required": row.required}
    text = {"default_value": row.value, "size": "3", "width": "100%"}
    label = row.label + rx.cond(row.required, "", " (optional)")
    control = rx.match(
        row.type,
        ("textarea", rx.text_area(rows="4", default_value=row.value, size="3", **common)),
        (
            "select",
            rx.el.select(
                rx.el.option("Choose …", value=""),
                rx.foreach(row.options, lambda option: rx.el.option(option, value=option)),
                default_value=row.value,
                class_name="select",
                **common,
            ),
        ),
        ("phone", rx.input(type="tel", auto_complete="tel", **text, **common)),
        ("number", rx.input(type="number", **text, **common)),
        rx.input(**text, **common),
    )
    return rx.cond(
        row.type == "checkbox",
        rx.text(
            rx.flex(
                rx.el.input(type="checkbox", value="true", default_checked=row.value == "true", **common),
                label,
                spacing="2",
                align="center",
            ),
            as_="label",
            size="2",
        ),
        labelled(label, control, for_=name),
    )


def _details() -> rx.Component:
    return rx.el.section(
        rx.heading(
            "Who is coming?", as_="h2", size="5", id="step-title", tab_index=-1, margin_bottom=space(4)
        ),
        rx.form(
            rx.flex(
                error_callout(BookState.error),
                labelled(
                    "Name",
                    text_input(
                        "name",
                        default_value=BookState.name,
                        auto_complete="name",
                        required=True,
                        max_length=200,
                    ),
                    for_="name",
                ),
                labelled(
                    "Email",
                    text_input(
                        "email",
                        type="email",
                        default_value=BookState.email,
                        auto_complete="email",
                        required=True,
                        max_length=320,
                    ),
                    for_="email",
                ),
                rx.foreach(BookState.questions, _question),
                rx.flex(
                    rx.button(
                        "Back",
                        type="button",
                        variant="soft",
                        color_scheme="gray",
                        size="3",
                        on_click=BookState.back,
                    ),
                    rx.button("Confirm booking", type="submit", size="3"),
                    spacing="3",
                    justify="end",
                    margin_top=space(2),
                ),
                direction="column",
                spacing="4",
            ),
            on_submit=BookState.confirm,
        ),
        class_name="booking-form",
        aria_label="Your details",
    )


def _done() -> rx.Component:
    pending = BookState.booked.status == "pending"
    return rx.card(
        rx.flex(
            rx.el.span(rx.icon("check", size=24), class_name="empty-icon", aria_hidden="true"),
            rx.heading(
                rx.cond(pending, "Your request is in", "You are booked"),
                as_="h1",
                size="6",
                id="step-title",
                tab_index=-1,
            ),
            rx.text(
                rx.cond(
                    pending,
                    "The time is kept for you until the host has answered.",
                    "The time is yours, and the appointment is on its way into the host’s calendar.",
                ),
                color_scheme="gray",
                size="2",
            ),
            rx.separator(size="4"),
            facts(BookState.booked),
            rx.separator(size="4"),
            add_links(BookState.booked),
            rx.text(
                "Something came up? ",
                plain.link(
                    "Manage your booking",
                    href=BookState.booked.manage_path,
                    class_name="text-link",
                ),
                size="2",
            ),
            direction="column",
            spacing="4",
        ),
        size="4",
        width="100%",
        max_width="34rem",
    )


def book() -> rx.Component:
    picking = rx.el.div(
        _about(),
        rx.cond(
            BookState.stage == "details",
            _details(),
            rx.box(
                rx.cond(BookState.error != "", rx.box(error_callout(BookState.error), padding=space(4))),
                rx.el.div(_month(), _times(), class_name="booking-pick"),
            ),
        ),
        class_name="booking",
    )
    return public_page(
        rx.match(
            BookState.stage,
            ("loading", rx.box(loading(5), width="100%", max_width="52rem")),
            (
                "missing",
                nothing_here("Page not found", "There is no booking page at this address. Check the link."),
            ),
            (
                "closed",
                nothing_here(
                    "Not bookable right now", "This is not offered at the moment. Please ask the business."
                ),
            ),
            ("done", _done()),
            picking,
        ),
        on_ready=BookState.load,
        on_change=BookState.refresh,
        seconds=REFRESH_SECONDS,
    )
