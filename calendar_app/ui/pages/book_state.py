"""One visitor's way through ``/book/{workspace}/{event_type}``: what is offered, what was chosen, what came of it.

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
from calendar_app.ui.components.appointment import Appointment, appointment
from calendar_app.ui.components.month import (
    DayCell,
    add_months,
    first_of,
    month_cells,
    month_title,
)

ANSWER = "answer-"
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
