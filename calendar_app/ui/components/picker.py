"""Picking a time: a month of days beside the times of one day, in the zone and the clock that the viewer reads.

Pages that let somebody choose a time mix :class:`Picker` into their state, say in ``_ask`` where times come from, and
show :func:`month_view` and :func:`times_view` of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import reflex as rx

from calendar_app.clock import utc_now
from calendar_app.domain.timespan import utc
from calendar_app.services.availability.slots import SlotsView
from calendar_app.ui import formats
from calendar_app.ui.components.browser import arrow_keys
from calendar_app.ui.components.month import (
    DayCell,
    add_months,
    first_of,
    month_cells,
    month_grid,
    month_title,
)
from calendar_app.ui.theme import space

LONGEST_SEARCH_DAYS = 365


@dataclass
class SlotRow:
    """A start that can be chosen; ``key`` is its instant in RFC 3339, ``seats`` says how many are left in a group."""

    key: str
    label: str
    seats: str = ""


def slots_by_day(view: SlotsView, zone: str, hour12: bool) -> dict[str, list[SlotRow]]:
    """Slots under the date on which they begin in ``zone``."""
    days: dict[str, list[SlotRow]] = {}
    for slot in view.slots:
        day = slot.start.astimezone(ZoneInfo(zone)).date().isoformat()
        left = view.seats.get(int(slot.start.timestamp()), 0)
        row = SlotRow(
            formats.rfc3339(slot.start),
            formats.clock(slot.start, zone, hour12=hour12),
            formats.count(left, "seat") + " left" if left else "",
        )
        days.setdefault(day, []).append(row)
    return days


def midnight(day: date, zone: str) -> datetime:
    """Where ``day`` begins in ``zone``."""
    return datetime.combine(day, time(), ZoneInfo(zone))


class Picker(rx.State, mixin=True):
    """The month that is shown and the times of the chosen day. ``notice``: how far the times can be trusted;
    ``stale_approval``: a booking would wait for approval, because a calendar could not be read lately."""

    zone: str = "UTC"
    hour12: bool = False
    month: str = ""
    month_name: str = ""
    can_go_back: bool = False
    can_go_on: bool = True
    cells: list[DayCell] = []  # noqa: RUF012 - Reflex copies defaults per session
    day: str = ""
    day_name: str = ""
    slots: list[SlotRow] = []  # noqa: RUF012
    notice: str = ""
    stale_approval: bool = False
    _by_day: dict[str, list[SlotRow]] = {}  # noqa: RUF012
    _horizon: int = LONGEST_SEARCH_DAYS

    async def _ask(self, start: datetime, end: datetime) -> SlotsView | None:
        """The times in ``[start, end)``; ``None`` when there is nothing to show, and the state says why."""
        raise NotImplementedError

    async def _show_first_day(self) -> bool:
        """Show the first day that has times; whether times could be asked for at all."""
        now = utc_now()
        view = await self._ask(now, now + timedelta(days=min(self._horizon + 1, LONGEST_SEARCH_DAYS)))
        if view is None:
            return False
        first = utc(view.found[0].start) if view.found else now
        day = first.astimezone(ZoneInfo(self.zone)).date()
        await self._show_month(first_of(day), day=day.isoformat() if view.found else "")
        return True

    async def _show_month(self, month: date, *, day: str = "") -> None:
        now = utc_now()
        today = now.astimezone(ZoneInfo(self.zone)).date()
        last = first_of(today + timedelta(days=self._horizon))
        month = min(max(month, first_of(today)), last)
        view = await self._ask(midnight(month, self.zone), midnight(add_months(month, 1), self.zone))
        if view is None:
            return
        self._by_day = slots_by_day(view, self.zone, self.hour12)
        self.notice, self.stale_approval = view.freshness.message, view.freshness.needs_approval
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

    async def _show_again(self) -> None:
        """The same month and day, as they are now."""
        if self.month:
            await self._show_month(date.fromisoformat(self.month), day=self.day)

    def _offered(self, key: str) -> bool:
        return any(slot.key == key for slot in self.slots)

    def _in_words(self, start: datetime, end: datetime) -> str:
        local = start.astimezone(ZoneInfo(self.zone))
        return f"{formats.day(local.date())}, {formats.span(start, end, self.zone, hour12=self.hour12)}"

    @rx.event
    async def turn(self, months: int) -> None:
        """Go to the next or the previous month."""
        if self.month:
            await self._show_month(add_months(date.fromisoformat(self.month), 1 if months > 0 else -1))

    @rx.event
    async def set_zone(self, zone: str) -> None:
        """Show times in another zone."""
        self.zone = formats.known_zone(zone, self.zone)
        await self._show_again()

    @rx.event
    async def set_clock(self, value: str | list[str]) -> None:
        """Show times with twelve or twenty-four hours."""
        self.hour12 = value == "12h"
        await self._show_again()

    @rx.event
    def pick_day(self, day: str) -> None:
        """Show the times of a day."""
        self._show_day(day)


def month_view(state: type[Picker]) -> rx.Component:
    """The month with its free days, and what is to be known about them."""
    return rx.box(
        rx.flex(
            rx.heading(state.month_name, as_="h2", size="4", aria_live="polite"),
            rx.flex(
                _turn("chevron-left", "Previous month", state.turn(-1), state.can_go_back),
                _turn("chevron-right", "Next month", state.turn(1), state.can_go_on),
                spacing="5",
                padding_x=space(2),
            ),
            justify="between",
            align="center",
            margin_bottom=space(3),
        ),
        month_grid(state.cells, state.day, state.pick_day, state.month_name),
        rx.cond(
            state.notice != "",
            rx.flex(
                rx.icon("info", size=14, aria_hidden="true"),
                rx.text(state.notice, size="1", color_scheme="gray"),
                spacing="2",
                align="center",
                margin_top=space(4),
            ),
        ),
    )


def _turn(icon: str, label: str, on_click: Any, enabled: Any) -> rx.Component:
    return rx.icon_button(
        rx.icon(icon, size=18, aria_hidden="true"),
        type="button",
        variant="ghost",
        color_scheme="gray",
        size="3",
        aria_label=label,
        disabled=~enabled,
        on_click=on_click,
    )


def times_view(state: type[Picker], on_pick: Any) -> rx.Component:
    """The times of the chosen day; ``on_pick(key)`` is called with the one that is picked."""
    return rx.el.section(
        rx.flex(
            rx.heading(rx.cond(state.day != "", state.day_name, "Times"), as_="h2", size="3"),
            rx.segmented_control.root(
                rx.segmented_control.item("12h", value="12h"),
                rx.segmented_control.item("24h", value="24h"),
                value=rx.cond(state.hour12, "12h", "24h"),
                on_change=state.set_clock,
                size="1",
                aria_label="Clock",
            ),
            justify="between",
            align="center",
            spacing="2",
            margin_bottom=space(3),
        ),
        rx.cond(
            state.day != "",
            arrow_keys(
                rx.foreach(state.slots, lambda slot: _slot(slot, on_pick)),
                class_name="slots",
                role="group",
                label="Times on " + state.day_name,
            ),
            rx.text(
                rx.cond(
                    state.cells.length() > 0,
                    "Pick a day that has times, or another month.",
                    "No times are free.",
                ),
                size="2",
                color_scheme="gray",
            ),
        ),
        aria_label="Times",
    )


def _slot(slot: SlotRow, on_pick: Any) -> rx.Component:
    return rx.el.button(
        slot.label,
        rx.cond(slot.seats != "", rx.el.span(slot.seats, class_name="slot-seats")),
        type="button",
        class_name="slot",
        custom_attrs={"data-cell": slot.key},
        on_click=on_pick(slot.key),
    )
