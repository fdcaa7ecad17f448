"""A month of days for picking one: which days there are, and how they are shown."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import reflex as rx

from calendar_app.ui import formats
from calendar_app.ui.components.browser import arrow_keys

WEEKDAY_NAMES = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@dataclass
class DayCell:
    """A day of the grid; ``key`` is its date, empty outside of the month."""

    key: str
    number: str
    label: str
    free: bool
    today: bool


def first_of(day: date) -> date:
    return day.replace(day=1)


def add_months(day: date, months: int) -> date:
    """The first of the month ``months`` after that of ``day``."""
    index = day.year * 12 + day.month - 1 + months
    return date(index // 12, index % 12 + 1, 1)


def month_cells(month: date, free: Collection[date], today: date) -> list[DayCell]:
    """Whole weeks, Monday first, around the month that ``month`` lies in."""
    start = first_of(month)
    end = add_months(start, 1)
    cells = [DayCell("", "", "", False, False) for _ in range(start.weekday())]
    day = start
    while day < end:
        state = "times available" if day in free else "no times"
        label = f"{formats.day(day)}, {state}"
        cells.append(DayCell(day.isoformat(), str(day.day), label, day in free, day == today))
        day += timedelta(days=1)
    return cells


def month_title(month: date) -> str:
    return f"{month:%B} {month.year}"


def month_grid(
    cells: rx.Var[list[DayCell]], selected: rx.Var[str], on_pick: Any, label: rx.Var[str]
) -> rx.Component:
    """The grid; days with times are buttons that the arrow keys walk through."""
    return rx.box(
        rx.el.div(
            *(rx.el.div(name, class_name="month-head", aria_hidden="true") for name in WEEKDAY_NAMES),
            class_name="month",
        ),
        arrow_keys(
            rx.foreach(cells, lambda cell: _cell(cell, selected, on_pick)),
            columns=7,
            class_name="month",
            role="group",
            label=label,
        ),
    )


def _cell(cell: DayCell, selected: rx.Var[str], on_pick: Any) -> rx.Component:
    today = rx.cond(cell.today, " day-today", "")
    return rx.cond(
        cell.free,
        rx.el.button(
            cell.number,
            type="button",
            class_name="day day-free" + today,
            aria_label=cell.label,
            custom_attrs={
                "aria-pressed": rx.cond(cell.key == selected, "true", "false"),
                "data-cell": cell.key,
            },
            on_click=on_pick(cell.key),
        ),
        rx.el.span(cell.number, class_name="day" + today, custom_attrs={"data-cell": ""}),
    )
