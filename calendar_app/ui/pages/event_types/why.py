""" "Why is this time (not) offered?": every rule, host by host, in plain words."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import reflex as rx

from calendar_app.clock import utc_now
from calendar_app.errors import AlmanacError
from calendar_app.services.availability import slots as available_slots
from calendar_app.services.availability.slots import ExplanationView, HostVerdict
from calendar_app.services.event_types import queries as event_type_queries
from calendar_app.ui import formats
from calendar_app.ui.components.feedback import error_callout, warning_callout
from calendar_app.ui.components.forms import field as labelled
from calendar_app.ui.components.forms import unbound
from calendar_app.ui.reloading import keep
from calendar_app.ui.session import SessionState, acting
from calendar_app.ui.theme import space

RULES = {
    "minimum_notice": "Notice",
    "horizon": "Not too far ahead",
    "working_hours": "Working hours",
    "busy": "Calendars and bookings",
    "seats": "Seats",
    "daily_cap": "Bookings per day",
    "weekly_cap": "Bookings per week",
    "grid": "Start times",
}


@dataclass
class RuleRow:
    """One rule: whether it lets the time pass, and if not, why."""

    name: str
    passed: bool
    reasons: list[str] = field(default_factory=list)


@dataclass
class HostRow:
    """A host with every rule."""

    name: str
    available: bool
    rules: list[RuleRow] = field(default_factory=list)


def host_row(verdict: HostVerdict) -> HostRow:
    """Every rule in its order; those that stand against the time have reasons."""
    rules = []
    for rule, name in RULES.items():
        reasons = [reason.text for reason in verdict.reasons if reason.rule == rule]
        rules.append(RuleRow(name, not reasons, reasons))
    return HostRow(verdict.name, verdict.available, rules)


class WhyState(rx.State):
    """The question about one event type; the dialog is open while ``event_type_id`` is set."""

    event_type_id: str = ""
    title: str = ""
    durations: list[str] = []  # noqa: RUF012 - Reflex copies defaults per session
    day: str = ""
    at: str = "10:00"
    error: str = ""
    verdict: str = ""
    offered: bool = False
    hosts: list[HostRow] = []  # noqa: RUF012
    notice: str = ""

    @rx.event
    async def toggle(self, event_type_id: str, is_open: bool) -> None:
        """Open the question on an event type, or close it."""
        self.event_type_id, self.error, self.verdict = "", "", ""
        if not is_open:
            return
        view = await asyncio.to_thread(event_type_queries.get_event_type, await acting(self), event_type_id)
        session = await self.get_state(SessionState)
        self.title, self.durations = view.title, [str(minutes) for minutes in view.durations]
        tomorrow = utc_now().astimezone(ZoneInfo(session.zone)).date() + timedelta(days=1)
        self.day = tomorrow.isoformat()
        self.event_type_id = event_type_id

    @rx.event
    async def ask(self, form: dict[str, Any]) -> None:
        """Ask the engine about the given time."""
        actor = await acting(self)
        session = await self.get_state(SessionState)
        self.error, self.verdict, minutes = "", "", str(form.get("minutes", ""))
        try:
            day, at = date.fromisoformat(str(form.get("day"))), time.fromisoformat(str(form.get("at")))
        except ValueError:
            self.error = "Please give a date and a time."
            return
        try:
            found = await asyncio.to_thread(
                available_slots.explain,
                actor,
                self.event_type_id,
                datetime.combine(day, at.replace(tzinfo=None), ZoneInfo(session.zone)),
                zone=session.zone,
                duration=int(minutes) if minutes.isdecimal() else None,
            )
        except AlmanacError as error:
            self.error = error.detail
            return
        self._show(found, session.zone, session.hour12)

    def _show(self, found: ExplanationView, zone: str, hour12: bool) -> None:
        self.offered = found.available
        when = (
            f"{formats.day(found.start.date())}, {formats.span(found.start, found.end, zone, hour12=hour12)}"
        )
        self.verdict = f"{when} is offered." if found.available else f"{when} is not offered."
        self.hosts = [host_row(verdict) for verdict in found.hosts]
        self.notice = found.freshness.message
        if not found.available and any(host.available for host in self.hosts):
            self.notice = "The event type is switched off, or not all of its hosts are free together."


keep(WhyState, "event_type_id", "title", "durations", "day", "at")


def why_dialog(event_type_id: Any, title: Any) -> rx.Component:
    """The button and the dialog of one event type."""
    return rx.dialog.root(
        rx.dialog.trigger(
            rx.button(
                "Check a time",
                variant="soft",
                color_scheme="gray",
                size="2",
                aria_label="Check a time of " + title,
            )
        ),
        rx.dialog.content(
            rx.dialog.title("Why is this time (not) offered?"),
            rx.dialog.description(
                WhyState.title, ", times in ", SessionState.zone, size="2", margin_bottom=space(4)
            ),
            _question(),
            error_callout(WhyState.error),
            rx.box(rx.cond(WhyState.verdict != "", _answer()), role="status", margin_top=space(4)),
            rx.flex(
                rx.dialog.close(rx.button("Close", type="button", variant="soft", color_scheme="gray")),
                justify="end",
                margin_top=space(4),
            ),
            max_width="38rem",
        ),
        open=WhyState.event_type_id == event_type_id,
        on_open_change=lambda is_open: WhyState.toggle(event_type_id, is_open),
    )


def _question() -> rx.Component:
    return rx.form(
        rx.flex(
            rx.box(
                labelled(
                    "Date",
                    rx.el.input(
                        type="date",
                        id=unbound("day"),
                        name="day",
                        required=True,
                        default_value=WhyState.day,
                        class_name="input-native",
                    ),
                    for_="day",
                )
            ),
            rx.box(
                labelled(
                    "Time",
                    rx.el.input(
                        type="time",
                        id=unbound("at"),
                        name="at",
                        required=True,
                        default_value=WhyState.at,
                        class_name="input-native",
                    ),
                    for_="at",
                )
            ),
            rx.cond(
                WhyState.durations.length() > 1,
                rx.box(
                    labelled(
                        "Minutes",
                        rx.el.select(
                            rx.foreach(WhyState.durations, lambda text: rx.el.option(text, value=text)),
                            id=unbound("minutes"),
                            name="minutes",
                            class_name="select",
                        ),
                        for_="minutes",
                    )
                ),
            ),
            rx.button("Check", type="submit"),
            spacing="3",
            align="end",
            wrap="wrap",
        ),
        on_submit=WhyState.ask,
    )


def _answer() -> rx.Component:
    return rx.flex(
        rx.flex(
            _sign(WhyState.offered, 20),
            rx.text(WhyState.verdict, weight="medium", class_name="tabular"),
            spacing="2",
            align="center",
        ),
        rx.cond(WhyState.notice != "", warning_callout(WhyState.notice)),
        rx.foreach(WhyState.hosts, _host),
        direction="column",
        spacing="4",
    )


def _sign(passed: Any, size: int) -> rx.Component:
    return rx.cond(
        passed,
        rx.icon("circle-check", size=size, aria_hidden="true", color=rx.color("green", 11)),
        rx.icon("circle-x", size=size, aria_hidden="true", color=rx.color("red", 11)),
    )


def _host(host: HostRow) -> rx.Component:
    return rx.box(
        rx.heading(
            host.name,
            rx.cond(host.available, " is free", " cannot take it"),
            as_="h2",
            size="3",
            margin_bottom=space(2),
        ),
        rx.el.ul(rx.foreach(host.rules, _rule), class_name="plain stack"),
    )


def _rule(rule: RuleRow) -> rx.Component:
    return rx.el.li(
        rx.flex(
            _sign(rule.passed, 16),
            rx.box(
                rx.text(rule.name, rx.cond(rule.passed, ": fine", ""), size="2"),
                rx.foreach(
                    rule.reasons,
                    lambda text: rx.text(text, size="2", color_scheme="gray", class_name="wrap-anywhere"),
                ),
                min_width="0",
            ),
            spacing="2",
            align="start",
        )
    )
