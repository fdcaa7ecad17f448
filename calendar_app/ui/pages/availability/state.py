"""What the availability page remembers and does."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime
from typing import Any

import reflex as rx

from calendar_app.clock import utc_now
from calendar_app.domain.schedule import WEEKDAYS
from calendar_app.errors import AlmanacError
from calendar_app.services.availability import holidays, working_hours
from calendar_app.services.availability.working_hours import ScheduleView
from calendar_app.ui import formats, notices
from calendar_app.ui.pages.availability.rows import (
    AwayRow,
    Choice,
    ClockChange,
    DayRow,
    HoursRow,
    as_json,
    away_row,
    away_rows,
    clock_change,
    override_rows,
    week_rows,
)
from calendar_app.ui.reloading import keep
from calendar_app.ui.session import acting, enter

PATH = "/settings/availability"
OFFICE_HOURS = ("09:00", "17:00")


def choice_name(view: ScheduleView) -> str:
    """What a schedule is called where there are several."""
    return f"{view.name} (default)" if view.is_default else view.name


class AvailabilityState(rx.State):
    """The schedule being edited. The form is a draft: nothing counts until the service accepts the whole of it."""

    loaded: bool = False
    dirty: bool = False
    error: str = ""
    schedule_id: str = ""
    schedules: list[Choice] = []  # noqa: RUF012 - Reflex copies defaults per session
    zone: str = "UTC"
    week: list[DayRow] = []  # noqa: RUF012
    overrides: list[DayRow] = []  # noqa: RUF012
    changes: list[ClockChange] = []  # noqa: RUF012
    new_date: str = ""
    region: str = ""
    country: str = ""
    countries: list[Choice] = []  # noqa: RUF012
    parts: list[Choice] = []  # noqa: RUF012
    coming: list[str] = []  # noqa: RUF012
    away: list[AwayRow] = []  # noqa: RUF012

    @rx.event
    async def load(self, zone: str, hour12: bool) -> None:
        """Show the person's default schedule, or the one that they were at."""
        actor = await enter(self, zone, hour12)
        found = await asyncio.to_thread(working_hours.list_schedules, actor, person_id=actor.person_id)
        if not found:
            weekly = {day: [list(OFFICE_HOURS)] for day in WEEKDAYS[:5]}
            found = [
                await asyncio.to_thread(working_hours.create_schedule, actor, timezone=zone, weekly=weekly)
            ]
        if not self.countries:
            regions = await asyncio.to_thread(holidays.countries)
            self.countries = [Choice(one.code, one.name) for one in regions]
        self.schedules = [Choice(view.id, choice_name(view)) for view in found]
        await self._open(next((view for view in found if view.id == self.schedule_id), found[0]))

    @rx.event
    async def choose(self, schedule_id: str) -> None:
        """Show another of the person's schedules; what was not saved of this one is given up."""
        actor = await acting(self)
        found = await asyncio.to_thread(working_hours.list_schedules, actor, person_id=actor.person_id)
        await self._open(next((view for view in found if view.id == schedule_id), found[0]))

    async def _open(self, view: ScheduleView) -> None:
        self._show(view)
        await self._look_up_holidays()
        self.changes = await self._clock_changes(view)

    async def _clock_changes(self, view: ScheduleView) -> list[ClockChange]:
        actor = await acting(self)
        changes = await asyncio.to_thread(working_hours.dst_preview, actor, view.id)
        return [clock_change(change, view.timezone) for change in changes[:2]]

    def _show(self, view: ScheduleView) -> None:
        self.schedule_id, self.zone = view.id, view.timezone
        self.week, self.overrides = week_rows(view.weekly), override_rows(view.overrides)
        self.region, self.away = view.holidays, away_rows(view.away)
        self.loaded, self.dirty, self.error = True, False, ""

    async def _look_up_holidays(self) -> None:
        self.country = self.region.partition("-")[0]
        today = utc_now().date()
        parts, found = await asyncio.to_thread(
            lambda: (holidays.subdivisions(self.country), holidays.coming(self.region, today))
        )
        self.parts = [Choice(one.code, one.name) for one in parts]
        self.coming = [f"{formats.day(one.day)}: {one.name}" for one in found[:5]]

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
    async def set_region(self, region: str) -> None:
        """Close the public holidays of a country, or of a part of it; of none."""
        self.region, self.dirty = region[:16], True
        await self._look_up_holidays()

    @rx.event
    def add_away(self, form: dict[str, Any]) -> None:
        """Close the days from one to another."""
        first = str(form.get("away_first", ""))
        span = {"first": first, "last": str(form.get("away_last", "")) or first}
        note = str(form.get("away_note", ""))
        try:
            (checked,) = holidays.checked_away([span | {"note": note}])
        except AlmanacError as error:
            self.error = error.detail
            return
        row = away_row(checked["first"], checked["last"], checked["note"])
        self.away = sorted([*self.away, row], key=lambda one: one.first)
        self.dirty, self.error = True, ""

    @rx.event
    def remove_away(self, index: int) -> None:
        """Let the days count again."""
        self.away = [row for at, row in enumerate(self.away) if at != index]
        self.dirty = True

    @rx.event
    async def save(self) -> Any:
        """Keep the draft, if it means something."""
        actor = await acting(self)
        draft = {
            "timezone": self.zone,
            "weekly": as_json(self.week),
            "overrides": as_json(self.overrides),
            "holidays": self.region,
            "away": [{"first": one.first, "last": one.last, "note": one.note} for one in self.away],
        }
        try:
            view = await asyncio.to_thread(working_hours.update_schedule, actor, self.schedule_id, draft)
        except AlmanacError as error:
            self.error = error.detail
            return None
        self._show(view)
        self.changes = await self._clock_changes(view)
        return notices.success("Your hours are saved. Free times follow them from now on.")


keep(AvailabilityState, "schedule_id", "dirty", "zone", "week", "overrides", "new_date", "region", "away")
