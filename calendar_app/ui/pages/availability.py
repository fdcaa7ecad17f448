"""``/settings/availability``: the weekly hours, their exceptions, and what the next clock change does to them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import reflex as rx

from calendar_app.domain.schedule import WEEKDAYS, DstChange
from calendar_app.domain.timespan import utc
from calendar_app.errors import AlmanacError
from calendar_app.services import schedules
from calendar_app.services.schedules import ScheduleView
from calendar_app.ui import formats, notices
from calendar_app.ui.components.browser import zone_select
from calendar_app.ui.components.feedback import callout, error_callout, loading
from calendar_app.ui.components.forms import field as labelled
from calendar_app.ui.layout import page
from calendar_app.ui.session import acting, enter
from calendar_app.ui.theme import space

PATH = "/settings/availability"
DAY_NAMES = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
OFFICE_HOURS = ("09:00", "17:00")


@dataclass
class HoursRow:
    """A working range as the form holds it: ``HH:MM`` texts, possibly not valid yet."""

    start: str
    end: str


@dataclass
class DayRow:
    """A weekday, or an exception whose ``key`` is its date."""

    key: str
    name: str
    ranges: list[HoursRow] = field(default_factory=list)


@dataclass
class ClockChange:
    """A coming clock change in words."""

    when: str
    what: str


def week_rows(weekly: Mapping[str, Any]) -> list[DayRow]:
    """The stored week as rows, Monday first."""
    return [
        DayRow(key, name, [HoursRow(*pair) for pair in weekly.get(key, [])])
        for key, name in zip(WEEKDAYS, DAY_NAMES, strict=True)
    ]


def override_rows(overrides: Mapping[str, Any]) -> list[DayRow]:
    """The stored exceptions as rows, by date."""
    return [
        DayRow(key, formats.day(datetime.fromisoformat(key).date()), [HoursRow(*pair) for pair in pairs])
        for key, pairs in sorted(overrides.items())
    ]


def as_json(rows: list[DayRow]) -> dict[str, list[list[str]]]:
    """Rows as the schedule service reads them; a range that ends at midnight is written ``24:00``."""
    return {
        row.key: [
            [item.start, "24:00" if item.end in ("00:00", "24:00") else item.end] for item in row.ranges
        ]
        for row in rows
    }


def clock_change(change: DstChange, zone: str) -> ClockChange:
    """A clock change as a sentence with what it does to working hours."""
    local = utc(change.at).astimezone(ZoneInfo(zone))
    hours = abs(change.after - change.before) // 60
    direction = "forward" if change.after > change.before else "back"
    effects = "; ".join(
        f"{effect.range} lasts {formats.length(int(effect.actual))} instead of {formats.length(int(effect.nominal))}"
        for effect in change.effects
    )
    what = f"Clocks go {direction} by {formats.length(hours)}. "
    return ClockChange(
        formats.day(local.date()), what + (f"{effects}." if effects else "Your hours keep their length.")
    )


class AvailabilityState(rx.State):
    """The schedule being edited. The form is a draft: nothing counts until the service accepts the whole of it."""

    loaded: bool = False
    dirty: bool = False
    error: str = ""
    schedule_id: str = ""
    zone: str = "UTC"
    week: list[DayRow] = []  # noqa: RUF012 - Reflex copies defaults per session
    overrides: list[DayRow] = []  # noqa: RUF012
    changes: list[ClockChange] = []  # noqa: RUF012
    new_date: str = ""

    @rx.event
    async def load(self, zone: str, hour12: bool) -> None:
        """Show the person's default schedule."""
        actor = await enter(self, zone, hour12)
        found = await asyncio.to_thread(schedules.list_schedules, actor, person_id=actor.person_id)
        if not found:
            weekly = {day: [list(OFFICE_HOURS)] for day in WEEKDAYS[:5]}
            found = [await asyncio.to_thread(schedules.create_schedule, actor, timezone=zone, weekly=weekly)]
        self._show(found[0])
        self.changes = await self._clock_changes(found[0])

    async def _clock_changes(self, view: ScheduleView) -> list[ClockChange]:
        actor = await acting(self)
        changes = await asyncio.to_thread(schedules.dst_preview, actor, view.id)
        return [clock_change(change, view.timezone) for change in changes[:2]]

    def _show(self, view: ScheduleView) -> None:
        self.schedule_id, self.zone = view.id, view.timezone
        self.week, self.overrides = week_rows(view.weekly), override_rows(view.overrides)
        self.loaded, self.dirty, self.error = True, False, ""

    def _edit(self, key: str, ranges: list[HoursRow]) -> None:
        self.week = [replace(row, ranges=ranges) if row.key == key else row for row in self.week]
        self.overrides = [replace(row, ranges=ranges) if row.key == key else row for row in self.overrides]
        self.dirty = True

    def _ranges(self, key: str) -> list[HoursRow]:
        return list(next((row.ranges for row in [*self.week, *self.overrides] if row.key == key), []))

    @rx.event
    def set_open(self, key: str, is_open: bool) -> None:
        """Open a day with office hours, or close it."""
        self._edit(key, [HoursRow(*OFFICE_HOURS)] if is_open else [])

    @rx.event
    def set_start(self, key: str, index: int, value: str) -> None:
        """Change where a range starts."""
        ranges = self._ranges(key)
        if 0 <= index < len(ranges):
            ranges[index] = HoursRow(value[:5], ranges[index].end)
            self._edit(key, ranges)

    @rx.event
    def set_end(self, key: str, index: int, value: str) -> None:
        """Change where a range ends."""
        ranges = self._ranges(key)
        if 0 <= index < len(ranges):
            ranges[index] = HoursRow(ranges[index].start, value[:5])
            self._edit(key, ranges)

    @rx.event
    def add_range(self, key: str) -> None:
        """One more range, an hour after the last one."""
        ranges = self._ranges(key)
        last = ranges[-1].end if ranges else "08:00"
        hour = int(last[:2]) if last[:2].isdigit() else 8
        if hour < 22 and len(ranges) < 12:
            self._edit(key, [*ranges, HoursRow(f"{hour + 1:02d}:00", f"{hour + 2:02d}:00")])

    @rx.event
    def remove_range(self, key: str, index: int) -> None:
        """Take a range away; a day without any is closed."""
        self._edit(key, [row for at, row in enumerate(self._ranges(key)) if at != index])

    @rx.event
    def copy_to_weekdays(self, key: str) -> None:
        """Give Monday to Friday the hours of one day."""
        ranges = self._ranges(key)
        self.week = [
            replace(row, ranges=list(ranges)) if row.key in WEEKDAYS[:5] else row for row in self.week
        ]
        self.dirty = True

    @rx.event
    def set_zone(self, zone: str) -> None:
        """Choose the zone in which the hours are meant."""
        self.zone, self.dirty = zone[:64], True

    @rx.event
    def set_new_date(self, value: str) -> None:
        """Choose the date of an exception."""
        self.new_date = value[:10]

    @rx.event
    def add_override(self) -> None:
        """An exception for the chosen date: closed, until hours are given."""
        try:
            day = datetime.fromisoformat(self.new_date).date()
        except ValueError:
            self.error = "Choose the date of the exception first."
            return
        if any(row.key == day.isoformat() for row in self.overrides):
            self.error = f"There is an exception for {formats.day(day)} already."
            return
        rows = [*self.overrides, DayRow(day.isoformat(), formats.day(day))]
        self.overrides = sorted(rows, key=lambda row: row.key)
        self.new_date, self.dirty, self.error = "", True, ""

    @rx.event
    def remove_override(self, key: str) -> None:
        """Let the date follow the week again."""
        self.overrides = [row for row in self.overrides if row.key != key]
        self.dirty = True

    @rx.event
    async def save(self) -> Any:
        """Keep the draft, if it means something."""
        actor = await acting(self)
        draft = {"timezone": self.zone, "weekly": as_json(self.week), "overrides": as_json(self.overrides)}
        try:
            view = await asyncio.to_thread(schedules.update_schedule, actor, self.schedule_id, draft)
        except AlmanacError as error:
            self.error = error.detail
            return None
        self._show(view)
        self.changes = await self._clock_changes(view)
        return notices.success("Your hours are saved. Free times follow them from now on.")


def _range_row(day: DayRow, item: HoursRow, index: rx.Var[int]) -> rx.Component:
    return rx.el.div(
        rx.el.input(
            type="time",
            value=item.start,
            on_change=lambda value: AvailabilityState.set_start(day.key, index, value),
            class_name="input-native",
            aria_label=day.name + ", from",
        ),
        rx.text("to", size="2", color_scheme="gray"),
        rx.el.input(
            type="time",
            value=rx.cond(item.end == "24:00", "00:00", item.end),
            on_change=lambda value: AvailabilityState.set_end(day.key, index, value),
            class_name="input-native",
            aria_label=day.name + ", until",
        ),
        rx.icon_button(
            rx.icon("x", size=14, aria_hidden="true"),
            variant="ghost",
            color_scheme="gray",
            aria_label="Remove these hours on " + day.name,
            on_click=AvailabilityState.remove_range(day.key, index),
        ),
        class_name="hours-range",
    )


def _ranges(day: DayRow) -> rx.Component:
    return rx.el.div(
        rx.cond(
            day.ranges.length() == 0,
            rx.el.div(rx.text("Closed", size="2", color_scheme="gray"), class_name="hours-range"),
        ),
        rx.foreach(day.ranges, lambda item, index: _range_row(day, item, index)),
        class_name="hours-ranges",
    )


def _add_button(day: DayRow) -> rx.Component:
    return rx.icon_button(
        rx.icon("plus", size=16, aria_hidden="true"),
        variant="ghost",
        color_scheme="gray",
        aria_label="Add hours on " + day.name,
        title="Add hours",
        on_click=AvailabilityState.add_range(day.key),
    )


def _week_row(day: DayRow) -> rx.Component:
    return rx.el.div(
        rx.flex(
            rx.switch(
                checked=day.ranges.length() > 0,
                on_change=lambda value: AvailabilityState.set_open(day.key, value),
                aria_label="Open on " + day.name,
            ),
            rx.text(day.name, size="2", weight="medium"),
            spacing="3",
            align="center",
            min_height=space(6),
        ),
        _ranges(day),
        rx.flex(
            _add_button(day),
            rx.icon_button(
                rx.icon("copy", size=16, aria_hidden="true"),
                variant="ghost",
                color_scheme="gray",
                aria_label="Copy the hours of " + day.name + " to Monday to Friday",
                title="Copy to Monday to Friday",
                on_click=AvailabilityState.copy_to_weekdays(day.key),
            ),
            spacing="4",
            align="center",
            min_height=space(6),
        ),
        class_name="hours",
    )


def _override_row(day: DayRow) -> rx.Component:
    return rx.el.div(
        rx.flex(rx.text(day.name, size="2", weight="medium"), align="center", min_height=space(6)),
        _ranges(day),
        rx.flex(
            _add_button(day),
            rx.icon_button(
                rx.icon("trash-2", size=16, aria_hidden="true"),
                variant="ghost",
                color_scheme="gray",
                aria_label="Remove the exception for " + day.name,
                on_click=AvailabilityState.remove_override(day.key),
            ),
            spacing="4",
            align="center",
            min_height=space(6),
        ),
        class_name="hours",
    )


def _section(title: str, text: str, *content: rx.Component) -> rx.Component:
    return rx.el.section(
        rx.heading(title, as_="h2", size="4", margin_bottom=space(1)),
        rx.text(text, size="2", color_scheme="gray", margin_bottom=space(3)),
        *content,
        aria_label=title,
    )


def _exceptions() -> rx.Component:
    return _section(
        "Exceptions",
        "Dates on which the week does not count: holidays, or other hours than usual.",
        rx.cond(
            AvailabilityState.overrides.length() > 0,
            rx.el.div(rx.foreach(AvailabilityState.overrides, _override_row), class_name="list"),
        ),
        rx.flex(
            rx.el.input(
                type="date",
                value=AvailabilityState.new_date,
                on_change=AvailabilityState.set_new_date,
                class_name="input-native",
                aria_label="Date of the exception",
            ),
            rx.button(
                rx.icon("plus", size=16, aria_hidden="true"),
                "Add exception",
                variant="soft",
                on_click=AvailabilityState.add_override,
            ),
            spacing="3",
            align="center",
            margin_top=space(3),
        ),
    )


def _clock_changes() -> rx.Component:
    return rx.cond(
        AvailabilityState.changes.length() > 0,
        _section(
            "Coming clock changes",
            "What they do to your hours, so that nothing surprises you.",
            rx.el.div(
                rx.foreach(
                    AvailabilityState.changes,
                    lambda change: rx.el.div(
                        rx.icon("clock-alert", size=16, aria_hidden="true"),
                        rx.box(
                            rx.text(change.when, size="2", weight="medium"),
                            rx.text(change.what, size="2", color_scheme="gray"),
                        ),
                        class_name="row",
                    ),
                ),
                class_name="list",
            ),
        ),
    )


def _save_bar() -> rx.Component:
    return rx.flex(
        rx.cond(AvailabilityState.dirty, rx.text("Not saved yet", size="2", color_scheme="gray")),
        rx.button("Save", size="3", on_click=AvailabilityState.save, disabled=~AvailabilityState.dirty),
        spacing="4",
        align="center",
    )


def availability() -> rx.Component:
    return page(
        "Availability",
        rx.cond(
            AvailabilityState.loaded,
            rx.flex(
                error_callout(AvailabilityState.error),
                labelled(
                    "Time zone",
                    zone_select(
                        id="schedule-zone",
                        value=AvailabilityState.zone,
                        on_change=AvailabilityState.set_zone,
                        label="Time zone",
                    ),
                    for_="schedule-zone",
                    hint="Your hours are meant on the clocks of this zone, also when they change.",
                ),
                _section(
                    "Weekly hours",
                    "When you can be booked, unless a calendar says that you are busy.",
                    rx.el.div(rx.foreach(AvailabilityState.week, _week_row), class_name="list"),
                ),
                _exceptions(),
                _clock_changes(),
                rx.cond(
                    AvailabilityState.dirty,
                    callout(
                        "You have changes that are not saved.",
                        "info",
                        "iris",
                        rx.button("Save changes", size="2", on_click=AvailabilityState.save),
                    ),
                ),
                direction="column",
                spacing="6",
            ),
            loading(8),
        ),
        path=PATH,
        on_ready=AvailabilityState.load,
        lead="The hours in which customers may book you.",
        actions=_save_bar(),
        narrow=True,
    )
