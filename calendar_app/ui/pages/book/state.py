"""One visitor's way to a booking.

The page is public: everything that comes from the browser is checked again by the services. A time that was picked is
kept for the visitor while they fill in the form; its id, which only this browser learns, is what they book it with.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import reflex as rx

from calendar_app.errors import AlmanacError, Conflict, NotFound, SlotUnavailable, TooManyRequests
from calendar_app.services.availability import slots as available_slots
from calendar_app.services.availability.slots import SlotsView
from calendar_app.services.bookings import create as booking_create
from calendar_app.services.bookings import holds
from calendar_app.services.common import rate_limits
from calendar_app.services.event_types import queries as event_type_queries
from calendar_app.services.event_types.queries import PublicEventType
from calendar_app.ui import formats
from calendar_app.ui.components.appointment import Appointment, appointment
from calendar_app.ui.components.month import first_of
from calendar_app.ui.components.picker import Picker
from calendar_app.ui.components.questions import QuestionRow, answers_of, question_rows

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
    seats: int = 1
    needs_approval: bool = False


class BookState(Picker, rx.State):
    """``stage``: ``loading``, ``missing``, ``closed``, ``pick``, ``details``, ``done``.

    ``hold`` is the id of the visitor's hold; ``held_until`` (RFC 3339) and ``held_seconds`` say how long the chosen
    time is kept, ``hold_over`` that it no longer is. Seats of a group are not kept.
    """

    stage: str = "loading"
    page_title: str = "Book a time · Almanac"
    offer: Offer = Offer()
    duration: int = 0
    chosen: str = ""
    chosen_text: str = ""
    chosen_zone: str = ""
    error: str = ""
    questions: list[QuestionRow] = []  # noqa: RUF012 - Reflex copies defaults per session
    booked: Appointment = Appointment()
    held_until: str = ""
    held_seconds: int = 0
    hold_over: bool = False
    hold: str = ""

    @rx.event
    async def load(self, zone: str, hour12: bool) -> None:
        """Show the event type, at the first day that has times."""
        await self._let_go()
        self.zone, self.hour12 = formats.known_zone(zone), hour12
        self.stage, self.error, self.notice, self.chosen = "loading", "", "", ""
        try:
            found = await asyncio.to_thread(event_type_queries.public, self.workspace, self.event_type)
        except NotFound:
            self.stage, self.page_title = "missing", "Page not found · Almanac"
            return
        self._show_offer(found)
        if not found.is_active:
            self.stage = "closed"
        elif await self._show_first_day():
            self.stage = "pick"

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
            seats=found.seats,
            needs_approval=found.requires_approval,
        )
        self.duration, self._horizon = found.durations[0], found.horizon_days
        self.questions = question_rows(found.questions)

    async def _ask(self, start: datetime, end: datetime) -> SlotsView | None:
        try:
            return await asyncio.to_thread(
                available_slots.slots, self.offer.id, start, end, zone=self.zone, duration=self.duration
            )
        except Conflict:
            self.stage = "closed"
        except NotFound:
            self.stage = "missing"
        except AlmanacError as error:
            self.error = error.detail
        return None

    @rx.event
    async def refresh(self) -> None:
        """Read the month again while somebody thinks."""
        if self.stage == "pick":
            await self._show_again()

    @rx.event
    async def set_duration(self, value: str | list[str]) -> None:
        """Choose one of the offered lengths."""
        minutes = int(value) if isinstance(value, str) and value.isdigit() else 0
        if minutes in self.offer.durations and self.stage == "pick":
            self.duration = minutes
            await self._show_first_day()

    @rx.event
    async def pick_slot(self, key: str) -> Any:
        """Keep one of the times that were offered, and go on to the form."""
        if self.stage != "pick" or not self._offered(key):
            return None
        start = datetime.fromisoformat(key)
        self.chosen = key
        self.chosen_text = self._in_words(start, start + timedelta(minutes=self.duration))
        self.chosen_zone = formats.zone_name(self.zone, start)
        if not await self._keep():
            return None
        self.stage = "details"
        return rx.set_focus("step-title")

    @rx.event
    async def keep_again(self) -> None:
        """Keep the chosen time once more after the first hold has run out."""
        if self.stage == "details":
            await self._keep()

    async def _keep(self) -> bool:
        """Hold the chosen time; whether that worked. If it is gone, the page is back at the times."""
        self.error = ""
        try:
            held = await asyncio.to_thread(
                holds.create,
                self.offer.id,
                datetime.fromisoformat(self.chosen),
                self.zone,
                duration=self.duration,
                replaces=self.hold or None,
                client=rate_limits.network(self.router.session.client_ip),
            )
        except SlotUnavailable as error:
            await self._choose_again(error)
            return False
        except TooManyRequests:
            # Whoever shares an address with many others can still book, just without the time being kept.
            self.hold, self.held_until, self.hold_over = "", "", False
            return True
        except AlmanacError as error:
            self.error = error.detail
            return False
        self.hold, self.hold_over = held.id, False
        if self.offer.seats == 1:
            self.held_until = formats.rfc3339(held.expires_at)
            self.held_seconds = max(0, int((held.expires_at - datetime.now(UTC)).total_seconds()))
        return True

    async def _choose_again(self, error: SlotUnavailable) -> None:
        await self._let_go()
        day = self._chosen_day()
        await self._show_month(first_of(day), day=day.isoformat())
        self.stage = "pick"
        self.error = TAKEN if error.code == SlotUnavailable.code else error.detail

    async def _let_go(self) -> None:
        """Give the kept time back to everybody."""
        hold, self.hold = self.hold, ""
        self.held_until, self.hold_over = "", False
        if hold:
            try:
                await asyncio.to_thread(holds.release, hold)
            except NotFound:
                return

    @rx.event
    def hold_ended(self) -> None:
        """The countdown has reached zero."""
        self.held_until, self.hold_over = "", self.stage == "details"

    @rx.event
    async def back(self) -> None:
        """Return to the times, as they are now; what was typed stays."""
        if self.stage == "details":
            await self._let_go()
            await self._show_again()
            self.stage, self.error = "pick", ""

    @rx.event
    async def leave(self) -> None:
        """Another page follows: the time need not be kept any longer."""
        await self._let_go()

    @rx.event
    async def confirm(self, form: dict[str, Any]) -> Any:
        """Book the chosen time."""
        if self.stage != "details":
            return None
        self.error = ""
        if not self.offer.needs_approval and not self.stale_approval and await self._has_to_wait():
            return rx.set_focus("waits-for-approval")
        try:
            view = await asyncio.to_thread(
                booking_create.create_booking,
                self.offer.id,
                datetime.fromisoformat(self.chosen),
                self.zone,
                str(form.get("name", ""))[:1_000],
                str(form.get("email", ""))[:1_000],
                answers_of(form),
                duration=self.duration,
                hold_id=self.hold or None,
                client=rate_limits.network(self.router.session.client_ip),
            )
        except SlotUnavailable as error:
            await self._choose_again(error)
            return None
        except AlmanacError as error:
            self.error = error.detail
            return None
        self.hold, self.held_until, self.hold_over = "", "", False
        self.booked = appointment(view, hour12=self.hour12)
        self.stage = "done"
        return rx.set_focus("step-title")

    async def _has_to_wait(self) -> bool:
        """Whether the booking would wait for approval by now: then the customer is told first, and confirms again."""
        start = datetime.fromisoformat(self.chosen)
        view = await self._ask(start, start + timedelta(minutes=1))
        if view is None:
            return True
        self.notice, self.stale_approval = view.freshness.message, view.freshness.needs_approval
        return self.stale_approval

    def _chosen_day(self) -> date:
        return datetime.fromisoformat(self.chosen).astimezone(ZoneInfo(self.zone)).date()
