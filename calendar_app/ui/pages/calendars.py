"""``/settings/calendars``: connect accounts, see how they are doing, and say what each calendar is used for."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import reflex as rx

from calendar_app.errors import AlmanacError
from calendar_app.services import calendars as calendar_service
from calendar_app.services import connections, sync
from calendar_app.services.roles import Actor
from calendar_app.ui import formats, live, notices
from calendar_app.ui.components.badges import color_dot, provider_tile, status_badge
from calendar_app.ui.components.browser import ago
from calendar_app.ui.components.connections import (
    CalendarRow,
    ConnectionRow,
    ProviderRow,
    connect_button,
    connection_rows,
    provider_row,
)
from calendar_app.ui.components.feedback import (
    empty_state,
    error_callout,
    loading,
    success_callout,
    warning_callout,
)
from calendar_app.ui.layout import page
from calendar_app.ui.oauth import outcome, start_connection
from calendar_app.ui.session import SessionState, acting, enter
from calendar_app.ui.theme import space

PATH = "/settings/calendars"
CHOICES = ("leave", "move", "cancel")
POLICIES = {
    "keep": "keep its last known state",
    "close": "close my times",
    "approve": "ask me to approve bookings",
    "ignore": "ignore it",
}
"""What a calendar does while it cannot be read."""


@dataclass
class BookingLine:
    """A future booking that stands in a calendar about to be disconnected."""

    title: str
    when: str


@dataclass
class Target:
    """A calendar that bookings can be moved to."""

    id: str
    name: str


class CalendarsState(rx.State):
    """Connections and calendars, and the disconnect dialog that is open."""

    loaded: bool = False
    error: str = ""
    success: str = ""
    connections: list[ConnectionRow] = []  # noqa: RUF012 - Reflex copies defaults per session
    providers: list[ProviderRow] = []  # noqa: RUF012
    preview_of: str = ""
    preview: list[BookingLine] = []  # noqa: RUF012
    targets: list[Target] = []  # noqa: RUF012
    choice: str = "leave"
    target: str = ""

    @rx.event
    async def load(self, zone: str, hour12: bool) -> None:
        """Show everything, and how an attempt to connect has ended."""
        actor = await enter(self, zone, hour12)
        self.success, self.error = outcome(self.router.url.query_parameters)
        await self._read(actor)
        await live.follow(self, actor.workspace_id)

    @rx.event
    async def refresh(self) -> None:
        """Read again after a change."""
        await self._read(await acting(self))
        await live.keep(self)

    async def _read(self, actor: Actor) -> None:
        found, rows, kinds = await asyncio.to_thread(_snapshot, actor)
        self.connections = connection_rows(found, rows)
        self.providers = [provider_row(kind) for kind in kinds]
        self.loaded = True

    @rx.event
    async def connect(self, provider: str) -> Any:
        """Go to the provider's consent page."""
        return await start_connection(self, provider, next_path=PATH)

    @rx.event
    async def reconnect(self, provider: str, connection_id: str) -> Any:
        """Give the same connection a new grant; its calendars and links stay."""
        return await start_connection(self, provider, next_path=PATH, connection_id=connection_id)

    @rx.event
    async def sync_now(self, connection_id: str) -> Any:
        """Read the account's calendars again."""
        actor = await acting(self)
        asked = await asyncio.to_thread(sync.request_for, actor, connection_id=connection_id)
        await self._read(actor)
        return notices.info(f"Reading {formats.count(len(asked), 'calendar')} again.")

    @rx.event
    async def test(self, connection_id: str) -> Any:
        """Ask the provider something, now, and say how it went."""
        actor = await acting(self)
        result = await asyncio.to_thread(connections.test, actor, connection_id)
        await self._read(actor)
        return notices.success(result.message) if result.ok else notices.error(result.message)

    @rx.event
    async def set_conflicts(self, calendar_id: str, value: bool) -> Any:
        """Let the calendar's events count as busy, or not."""
        return await self._update(calendar_id, checks_conflicts=value)

    @rx.event
    async def set_bookings(self, calendar_id: str, value: bool) -> Any:
        """Write bookings into the calendar, or not."""
        return await self._update(calendar_id, receives_bookings=value)

    @rx.event
    async def set_policy(self, calendar_id: str, value: str) -> Any:
        """Say what the calendar does while it cannot be read."""
        return await self._update(calendar_id, stale_policy=value)

    async def _update(self, calendar_id: str, **changes: Any) -> Any:
        actor = await acting(self)
        try:
            await asyncio.to_thread(calendar_service.update_calendar, actor, calendar_id, **changes)
        except AlmanacError as error:
            await self._read(actor)
            return notices.error(error.detail)
        await self._read(actor)
        return None

    @rx.event
    async def toggle_preview(self, connection_id: str, is_open: bool) -> None:
        """Open the disconnect dialog with the bookings that live there, or close it."""
        if not is_open:
            self.preview_of = ""
            return
        session = await self.get_state(SessionState)
        actor = await acting(self)
        found = await asyncio.to_thread(connections.disconnect_preview, actor, connection_id)
        self.preview = [
            BookingLine(
                f"{line.title} with {line.name}",
                f"{formats.day(line.start.date())}, {formats.clock(line.start, session.zone, hour12=session.hour12)}",
            )
            for line in found.bookings
        ]
        self.targets = [Target(calendar.id, calendar.name) for calendar in found.move_targets]
        self.choice, self.target = "leave", self.targets[0].id if self.targets else ""
        self.preview_of = connection_id

    @rx.event
    def set_choice(self, choice: str) -> None:
        """What becomes of the future bookings."""
        self.choice = choice if choice in CHOICES else "leave"

    @rx.event
    def set_target(self, calendar_id: str) -> None:
        """Where bookings are moved to."""
        self.target = calendar_id[:64]

    @rx.event
    async def disconnect(self) -> Any:
        """Withdraw the grant, forget the tokens, keep the history."""
        actor = await acting(self)
        move_to = self.target if self.choice == "move" else None
        try:
            result = await asyncio.to_thread(
                connections.disconnect, actor, self.preview_of, bookings=self.choice, move_to=move_to
            )
        except AlmanacError as error:
            return notices.error(error.detail)
        finally:
            self.preview_of = ""
            await self._read(actor)
        return notices.success(result.message) if result.revoked else notices.warning(result.message)


def _snapshot(actor: Actor) -> tuple[Any, Any, Any]:
    return (
        connections.list_connections(actor),
        calendar_service.list_calendars(actor),
        connections.providers(),
    )


def _calendar(row: CalendarRow) -> rx.Component:
    def toggle(label: str, value: rx.Var[bool], on_change: Any, disabled: Any = False) -> rx.Component:
        return rx.text(
            rx.flex(
                rx.switch(
                    checked=value, on_change=on_change, disabled=disabled, aria_label=label + ": " + row.name
                ),
                rx.el.span(label, aria_hidden="true"),
                spacing="2",
                align="center",
            ),
            size="2",
            as_="label",
        )

    return rx.el.li(
        color_dot(row.color),
        rx.box(
            rx.text(row.name, size="2", weight="medium", class_name="clip"),
            rx.text(row.detail, size="1", color_scheme="gray"),
            rx.cond(row.progress != "", rx.text(row.progress, size="1", color_scheme="gray", role="status")),
            rx.cond(row.error != "", rx.text(row.error, size="1", color_scheme="red", role="alert")),
            flex_grow="1",
            min_width="10rem",
        ),
        toggle(
            "Check for conflicts",
            row.checks_conflicts,
            lambda value: CalendarsState.set_conflicts(row.id, value),
        ),
        toggle(
            "Write bookings here",
            row.receives_bookings,
            lambda value: CalendarsState.set_bookings(row.id, value),
            ~row.can_write,
        ),
        rx.cond(row.checks_conflicts, _policy(row)),
        class_name="row",
        style={"flexWrap": "wrap"},
    )


def _policy(row: CalendarRow) -> rx.Component:
    """What to do while the calendar cannot be read; it only matters where its events count."""
    return rx.flex(
        rx.el.label(
            "If it cannot be read:",
            html_for="policy-" + row.id,
            class_name="rt-Text rt-r-size-2",
            style={"color": rx.color("gray", 11)},
        ),
        rx.el.select(
            *(rx.el.option(words, value=key) for key, words in POLICIES.items()),
            id="policy-" + row.id,
            value=row.stale_policy,
            on_change=lambda value: CalendarsState.set_policy(row.id, value),
            class_name="select",
            aria_label="If " + row.name + " cannot be read",
        ),
        spacing="2",
        align="center",
        wrap="wrap",
        width="100%",
        padding_left=space(5),
    )


def _disconnect_dialog(row: ConnectionRow) -> rx.Component:
    return rx.alert_dialog.root(
        rx.alert_dialog.trigger(rx.button("Disconnect", variant="outline", color_scheme="red", size="2")),
        rx.alert_dialog.content(
            rx.alert_dialog.title("Disconnect ", row.account, "?"),
            rx.alert_dialog.description(
                "Access is withdrawn at the provider and forgotten here. Past bookings keep their history.",
                size="2",
            ),
            rx.cond(
                CalendarsState.preview.length() > 0,
                rx.box(
                    rx.text(
                        "Future bookings in these calendars", size="2", weight="medium", margin_top=space(4)
                    ),
                    rx.el.ul(
                        rx.foreach(
                            CalendarsState.preview,
                            lambda line: rx.el.li(
                                rx.text(line.title, size="2"),
                                rx.text(line.when, size="2", color_scheme="gray"),
                            ),
                        ),
                        class_name="plain",
                        style={"maxHeight": "var(--rail)", "overflowY": "auto", "margin": "var(--space-2) 0"},
                    ),
                    rx.radio_group.root(
                        rx.flex(
                            _choice("leave", "Leave them in the calendar"),
                            rx.cond(
                                CalendarsState.targets.length() > 0,
                                _choice("move", "Move them to another calendar"),
                            ),
                            _choice("cancel", "Cancel them"),
                            direction="column",
                            spacing="2",
                        ),
                        value=CalendarsState.choice,
                        on_change=CalendarsState.set_choice,
                        aria_label="What becomes of the bookings",
                    ),
                    rx.cond(
                        CalendarsState.choice == "move",
                        rx.el.select(
                            rx.foreach(
                                CalendarsState.targets, lambda item: rx.el.option(item.name, value=item.id)
                            ),
                            value=CalendarsState.target,
                            on_change=CalendarsState.set_target,
                            class_name="select",
                            aria_label="Calendar to move to",
                            margin_top=space(2),
                        ),
                    ),
                ),
                rx.text("No future booking stands in these calendars.", size="2", margin_top=space(4)),
            ),
            rx.flex(
                rx.alert_dialog.cancel(rx.button("Keep connected", variant="soft", color_scheme="gray")),
                rx.alert_dialog.action(
                    rx.button(
                        "Disconnect",
                        color_scheme="red",
                        high_contrast=True,
                        on_click=CalendarsState.disconnect,
                    )
                ),
                spacing="3",
                justify="end",
                margin_top=space(5),
            ),
            max_width="30rem",
        ),
        open=CalendarsState.preview_of == row.id,
        on_open_change=lambda is_open: CalendarsState.toggle_preview(row.id, is_open),
    )


def _choice(value: str, label: str) -> rx.Component:
    return rx.text(
        rx.flex(rx.radio_group.item(value=value), label, spacing="2", align="center"), as_="label", size="2"
    )


def _times(row: ConnectionRow) -> rx.Component:
    return rx.flex(
        rx.cond(
            row.last_sync != "",
            rx.text(ago(instant=row.last_sync, prefix="Synced"), size="2", color_scheme="gray"),
            rx.text("Not synced yet", size="2", color_scheme="gray"),
        ),
        rx.cond(
            row.next_sync != "",
            rx.text(ago(instant=row.next_sync, prefix="Next"), size="2", color_scheme="gray"),
        ),
        spacing="4",
        wrap="wrap",
    )


def _buttons(row: ConnectionRow) -> rx.Component:
    quiet = {"variant": "soft", "size": "2"}
    reconnect = CalendarsState.reconnect(row.provider, row.id)
    return rx.flex(
        rx.match(
            row.status,
            ("disconnected", rx.button("Reconnect", on_click=reconnect, size="2")),
            (
                "needs_reconnect",
                rx.fragment(rx.button("Reconnect", on_click=reconnect, size="2"), _disconnect_dialog(row)),
            ),
            rx.fragment(
                rx.button(
                    rx.icon("refresh-cw", size=14, aria_hidden="true"),
                    "Sync now",
                    on_click=CalendarsState.sync_now(row.id),
                    **quiet,
                ),
                rx.button(
                    "Test connection", on_click=CalendarsState.test(row.id), color_scheme="gray", **quiet
                ),
                rx.button("Reconnect", on_click=reconnect, color_scheme="gray", **quiet),
                _disconnect_dialog(row),
            ),
        ),
        spacing="2",
        wrap="wrap",
    )


def _connection(row: ConnectionRow) -> rx.Component:
    return rx.el.section(
        rx.flex(
            provider_tile(row.provider),
            rx.box(
                rx.flex(
                    rx.heading(row.account, as_="h2", size="3", class_name="wrap-anywhere"),
                    status_badge(row.status),
                    spacing="2",
                    align="center",
                    wrap="wrap",
                ),
                rx.flex(
                    rx.text(row.title, size="2", color_scheme="gray"), _times(row), spacing="4", wrap="wrap"
                ),
                flex_grow="1",
                min_width="12rem",
            ),
            _buttons(row),
            spacing="4",
            align="center",
            wrap="wrap",
            padding=space(4),
        ),
        rx.cond(
            (row.error != "") | (row.progress != "") | (row.missing.length() > 0),
            rx.flex(
                rx.cond(row.progress != "", rx.text(row.progress, size="2", role="status")),
                rx.cond(
                    row.status == "needs_reconnect",
                    warning_callout("Access ended. " + row.error),
                    error_callout(row.error),
                ),
                rx.foreach(row.missing, lambda text: warning_callout("Not permitted: " + text)),
                direction="column",
                spacing="2",
                padding=space(4),
            ),
        ),
        rx.cond(
            row.calendars.length() > 0,
            rx.el.ul(rx.foreach(row.calendars, _calendar), class_name="plain"),
        ),
        class_name="list",
        aria_label=row.title + " account " + row.account,
    )


def _least_privilege() -> rx.Component:
    return rx.flex(
        rx.icon("shield-check", size=18, aria_hidden="true", color=rx.color("accent", 11)),
        rx.text(
            "We ask for as little as possible: to see your list of calendars, to read events, and to write "
            "the bookings that customers make. Never contacts, mail or files. What you untick, we do without, "
            "and what that costs is said here. Disconnecting withdraws everything.",
            size="2",
            color_scheme="gray",
        ),
        spacing="3",
        align="start",
        margin_top=space(5),
    )


def _connect_buttons(**props: Any) -> rx.Component:
    return rx.foreach(
        CalendarsState.providers,
        lambda provider: connect_button(provider, CalendarsState.connect(provider.key), **props),
    )


def calendars() -> rx.Component:
    return page(
        "Calendars",
        rx.flex(
            success_callout(CalendarsState.success),
            error_callout(CalendarsState.error),
            rx.cond(
                CalendarsState.loaded,
                rx.cond(
                    CalendarsState.connections.length() > 0,
                    rx.foreach(CalendarsState.connections, _connection),
                    empty_state(
                        "calendars",
                        "No calendar is connected",
                        "Connect the account with your appointments. Customers then see only time that is free.",
                        _connect_buttons(size="3"),
                    ),
                ),
                loading(),
            ),
            direction="column",
            spacing="4",
        ),
        _least_privilege(),
        path=PATH,
        on_ready=CalendarsState.load,
        on_change=CalendarsState.refresh,
        lead="Accounts whose events count, and into which bookings are written.",
        actions=rx.cond(
            CalendarsState.connections.length() > 0,
            rx.flex(_connect_buttons(size="2"), spacing="3", wrap="wrap"),
        ),
    )
