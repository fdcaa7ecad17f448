"""The page: the week, public holidays, days away, exceptions, coming clock changes."""

from __future__ import annotations

import reflex as rx

from calendar_app.ui.components.browser import zone_select
from calendar_app.ui.components.feedback import callout, error_callout, loading
from calendar_app.ui.components.forms import field as labelled
from calendar_app.ui.layout import page
from calendar_app.ui.pages.availability.rows import AwayRow, Choice, DayRow, HoursRow
from calendar_app.ui.pages.availability.state import PATH, AvailabilityState
from calendar_app.ui.theme import space


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
        "Single dates with other hours than usual, or none.",
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


def _holidays() -> rx.Component:
    return _section(
        "Public holidays",
        "They are closed. To work on one, add an exception for that day.",
        rx.flex(
            _region_select(
                "holiday-country",
                "Country",
                AvailabilityState.country,
                rx.el.option("None", value=""),
                AvailabilityState.countries,
            ),
            rx.cond(
                AvailabilityState.parts.length() > 0,
                _region_select(
                    "holiday-region",
                    "Region",
                    AvailabilityState.region,
                    rx.el.option("Holidays of the whole country", value=AvailabilityState.country),
                    AvailabilityState.parts,
                ),
            ),
            spacing="3",
            wrap="wrap",
        ),
        rx.cond(
            AvailabilityState.coming.length() > 0,
            rx.el.ul(
                rx.foreach(
                    AvailabilityState.coming,
                    lambda line: rx.el.li(rx.text(line, size="2", color_scheme="gray")),
                ),
                class_name="plain",
                aria_label="The next public holidays",
            ),
        ),
    )


def _region_select(
    id_: str, label: str, value: rx.Var[str], first: rx.Component, choices: rx.Var[list[Choice]]
) -> rx.Component:
    return labelled(
        label,
        rx.el.select(
            first,
            rx.foreach(choices, lambda one: rx.el.option(one.name, value=one.id)),
            id=id_,
            value=value,
            on_change=AvailabilityState.set_region,
            class_name="select",
        ),
        for_=id_,
    )


def _away_row(row: AwayRow, index: rx.Var[int]) -> rx.Component:
    return rx.el.div(
        rx.icon("plane", size=16, aria_hidden="true"),
        rx.box(
            rx.text(row.when, size="2", weight="medium"),
            rx.cond(
                row.note != "", rx.text(row.note, size="2", color_scheme="gray", class_name="wrap-anywhere")
            ),
            flex_grow="1",
            min_width="0",
        ),
        rx.icon_button(
            rx.icon("trash-2", size=16, aria_hidden="true"),
            variant="ghost",
            color_scheme="gray",
            aria_label="Remove the days away, " + row.when,
            on_click=AvailabilityState.remove_away(index),
        ),
        class_name="row",
    )


def _away_day(name: str, label: str, *, required: bool = False) -> rx.Component:
    return labelled(
        label,
        rx.el.input(type="date", id=name, name=name, class_name="input-native", required=required),
        for_=name,
    )


def _away() -> rx.Component:
    return _section(
        "Days away",
        "Nobody can book you from the first day to the last.",
        rx.cond(
            AvailabilityState.away.length() > 0,
            rx.el.div(rx.foreach(AvailabilityState.away, _away_row), class_name="list"),
        ),
        rx.el.form(
            rx.flex(
                _away_day("away_first", "First day", required=True),
                _away_day("away_last", "Last day"),
                labelled(
                    "Note, for you and your team",
                    rx.input(id="away_note", name="away_note", max_length=200, size="2"),
                    for_="away_note",
                ),
                rx.button(rx.icon("plus", size=16, aria_hidden="true"), "Add days away", variant="soft"),
                spacing="3",
                align="end",
                wrap="wrap",
                margin_top=space(3),
            ),
            on_submit=AvailabilityState.add_away,
            reset_on_submit=True,
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


def _which() -> rx.Component:
    return labelled(
        "Schedule",
        rx.el.select(
            rx.foreach(AvailabilityState.schedules, lambda one: rx.el.option(one.name, value=one.id)),
            id="schedule",
            value=AvailabilityState.schedule_id,
            on_change=AvailabilityState.choose,
            disabled=AvailabilityState.dirty,
            class_name="select",
        ),
        for_="schedule",
        hint="Event types use the default unless they name another. Save your changes before you switch.",
    )


def _save_bar() -> rx.Component:
    return rx.flex(
        rx.cond(
            AvailabilityState.dirty,
            rx.text("Not saved yet", size="2", color_scheme="gray", custom_attrs={"data-unsaved": "true"}),
        ),
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
                rx.cond(AvailabilityState.schedules.length() > 1, _which()),
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
                _holidays(),
                _away(),
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
        kept=(AvailabilityState,),
        lead="The hours in which customers may book you.",
        actions=_save_bar(),
        narrow=True,
    )
