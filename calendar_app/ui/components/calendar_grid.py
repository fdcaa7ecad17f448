"""The calendar grid of the dashboard: FullCalendar 7 behind a few props. Loaded by that page only.

``calendar_grid.js`` holds the plugins, options and the mapping of its palette to our theme's tokens.
"""

from __future__ import annotations

from typing import Any

import reflex as rx
from reflex_base.components.component import NoSSRComponent

_STYLE = rx.asset("calendar_grid.css", shared=True)
_SOURCE = rx.asset("calendar_grid.js", shared=True)


def _range(start: rx.Var[str], end: rx.Var[str]) -> tuple[rx.Var[str], rx.Var[str]]:
    return (start, end)


def _move(
    booking: rx.Var[str], start: rx.Var[str], end: rx.Var[str]
) -> tuple[rx.Var[str], rx.Var[str], rx.Var[str]]:
    return (booking, start, end)


def _id(id_: rx.Var[str]) -> tuple[rx.Var[str]]:
    return (id_,)


class CalendarGrid(NoSSRComponent):
    """``events``: FullCalendar event objects (``id, title, start, end, allDay, editable``) with ``extendedProps``:
    ``color``, ``status`` and ``booking`` (id) of a booking, ``calendar`` (name), ``busy``, ``people`` (ids).

    ``on_range(start, end)`` is called with RFC 3339 bounds whenever another stretch of time is shown, and at first;
    ``on_pick(id)`` when an event is chosen; ``on_move(booking, start, end)`` when somebody wants to move a booking, by
    drag, resize or the arrow keys: the calendar shows it where it was until it is moved. What is in the way is said
    meanwhile. ``on_new(start, end)`` when somebody marks a stretch of time.
    """

    library = _SOURCE.importable_path
    tag = "CalendarGrid"
    is_default = True
    lib_dependencies: list[str] = ["@fullcalendar/react@7.1.4", "temporal-polyfill@1.0.8"]  # noqa: RUF012 - Reflex's field
    events: rx.Var[list[dict[str, Any]]]
    time_zone: rx.Var[str]
    hour12: rx.Var[bool]
    on_range: rx.EventHandler[_range]
    on_pick: rx.EventHandler[_id]
    on_move: rx.EventHandler[_move]
    on_new: rx.EventHandler[_range]


calendar_grid = CalendarGrid.create
