"""What ``/settings/calendars`` knows and does."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

import reflex as rx

from calendar_app.errors import AlmanacError
from calendar_app.services.calendar_sync import calendar_use, ics_import
from calendar_app.services.calendar_sync import requests as sync_requests
from calendar_app.services.common.permissions import Actor
from calendar_app.services.connection_lifecycle import check as connection_check
from calendar_app.services.connection_lifecycle import disconnect as connection_disconnect
from calendar_app.services.connection_lifecycle import own_addresses
from calendar_app.services.connection_lifecycle.disconnect_job import AffectedBooking
from calendar_app.services.connections import calendars
from calendar_app.services.connections import queries as connection_queries
from calendar_app.ui import formats, live, notices
from calendar_app.ui.components.connections import (
    ConnectionRow,
    ProviderRow,
    connection_rows,
    provider_row,
)
from calendar_app.ui.oauth import outcome, start_connection
from calendar_app.ui.reloading import keep
from calendar_app.ui.session import SessionState, acting, enter, note_pending

PATH = "/settings/calendars"
CHOICES = ("leave", "move", "cancel")


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
    disconnecting: bool = False

    @rx.event
    async def load(self, zone: str, hour12: bool) -> None:
        """Show everything, and how an attempt to connect has ended."""
        actor = await enter(self, zone, hour12)
        self.success, self.error = outcome(self.router.url.query_parameters)
        async with live.reading(self, actor.workspace_id):
            await self._read(actor)

    @rx.event
    async def refresh(self) -> None:
        """Read again after a change."""
        actor = await acting(self)
        async with live.reading(self, actor.workspace_id):
            await self._read(actor)

    async def _read(self, actor: Actor) -> None:
        found, rows, kinds, ending = await asyncio.to_thread(_snapshot, actor)
        shown = connection_rows(found, rows, kinds, viewer=actor.person_id)
        for row in shown:
            row.ending = ending.get(row.id, "")
        self.connections = shown
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
        asked = await asyncio.to_thread(sync_requests.request_for, actor, connection_id=connection_id)
        await self._read(actor)
        if not asked:
            return notices.info("No calendar of this account is used, so none is read.")
        return notices.info(f"Reading {formats.count(len(asked), 'calendar')} again.")

    @rx.event
    async def list_again(self, connection_id: str) -> Any:
        """Ask the provider which calendars there are; new ones are read, vanished ones go."""
        actor = await acting(self)
        try:
            found = await asyncio.to_thread(connection_check.refresh, actor, connection_id)
        except AlmanacError as error:
            await self._read(actor)
            return notices.error(error.detail)
        await self._read(actor)
        return notices.success(f"{formats.count(found.calendars_count, 'calendar')} found.")

    @rx.event
    async def test(self, connection_id: str) -> Any:
        """Ask the provider something, now, and say how it went."""
        actor = await acting(self)
        result = await asyncio.to_thread(connection_check.test, actor, connection_id)
        await self._read(actor)
        return notices.success(result.message) if result.ok else notices.error(result.message)

    @rx.event
    async def set_conflicts(self, calendar_id: str, value: bool) -> Any:
        """Let the calendar's events count as busy, or not."""
        return await self._update(calendar_id, checks_conflicts=value)

    @rx.event
    async def set_bookings(self, calendar_id: str, value: bool) -> Any:
        """Write bookings into the calendar, or not."""
        said = await self._update(calendar_id, receives_bookings=value)
        session = await self.get_state(SessionState)
        before = session.unreceived
        await note_pending(session, await acting(self))
        if not value and session.unreceived != before:
            return notices.warning(session.unreceived)
        return said

    @rx.event
    async def set_shown(self, calendar_id: str, value: bool) -> Any:
        """Show the calendar's events on the dashboard, or not."""
        return await self._update(calendar_id, shown_on_dashboard=value)

    @rx.event
    async def set_policy(self, calendar_id: str, value: str) -> Any:
        """Say what the calendar does while it cannot be read."""
        return await self._update(calendar_id, stale_policy=value)

    @rx.event
    async def set_zone(self, calendar_id: str, value: str) -> Any:
        """Read the calendar's dates and floating times in this zone."""
        return await self._update(calendar_id, timezone=value or None)

    @rx.event
    async def follow_zone(self, calendar_id: str, source: str) -> Any:
        """Read them in the provider's zone again, or in the owner's."""
        return await self._update(calendar_id, timezone_source=source)

    @rx.event
    async def accept_removal(self, calendar_id: str) -> Any:
        """Say that the events which vanished at the provider were really deleted."""
        actor = await acting(self)
        try:
            await asyncio.to_thread(sync_requests.accept_mass_delete, actor, calendar_id)
        except AlmanacError as error:
            return notices.error(error.detail)
        await self._read(actor)
        return notices.info("Reading the calendar once more; what it no longer has goes here too.")

    @rx.event
    async def remove(self, calendar_id: str) -> Any:
        """Remove an imported calendar with its events."""
        actor = await acting(self)
        try:
            await asyncio.to_thread(ics_import.delete_calendar, actor, calendar_id)
        except AlmanacError as error:
            return notices.error(error.detail)
        await self._read(actor)
        return notices.success("Removed.")

    @rx.event
    async def set_addresses(self, form: dict[str, Any]) -> Any:
        """Take the owner's addresses at a server, separated by commas or spaces."""
        actor = await acting(self)
        texts = str(form.get("addresses", ""))[:10_000].replace(",", " ").replace(";", " ").split()
        try:
            changed = await asyncio.to_thread(
                own_addresses.change, actor, str(form.get("connection_id", ""))[:64], texts
            )
        except AlmanacError as error:
            return notices.error(error.detail)
        await self._read(actor)
        return notices.success("Saved. The calendars are read anew." if changed else "Saved.")

    async def _update(self, calendar_id: str, **changes: Any) -> Any:
        actor = await acting(self)
        try:
            await asyncio.to_thread(calendar_use.update_calendar, actor, calendar_id, **changes)
        except AlmanacError as error:
            await self._read(actor)
            return notices.error(error.detail)
        await self._read(actor)
        return None

    @rx.event
    async def toggle_preview(self, connection_id: str, is_open: bool) -> Any:
        """Open the disconnect dialog with the bookings that live there, or close it."""
        if not is_open:
            self.preview_of = ""
            return None
        session = await self.get_state(SessionState)
        actor = await acting(self)
        try:
            found = await asyncio.to_thread(connection_disconnect.disconnect_preview, actor, connection_id)
        except AlmanacError as error:
            await self._read(actor)
            return notices.error(error.detail)
        self.preview = [booking_line(line, session.zone, session.hour12) for line in found.bookings]
        titles = {kind.key: kind.title for kind in connection_queries.providers()}
        self.targets = [
            Target(calendar.id, f"{calendar.name} ({titles.get(calendar.provider, calendar.provider)})")
            for calendar in found.move_targets
        ]
        self.choice, self.target = "leave", self.targets[0].id if self.targets else ""
        self.preview_of = connection_id
        return None

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
        self.disconnecting = True
        yield
        try:
            result = await asyncio.to_thread(
                connection_disconnect.disconnect,
                actor,
                self.preview_of,
                bookings=self.choice,
                move_to=move_to,
            )
        except AlmanacError as error:
            yield notices.error(error.detail)
            return
        finally:
            self.preview_of, self.disconnecting = "", False
            await self._read(actor)
        if result.state != "done":
            yield notices.info(result.message)
            return
        yield notices.success(result.message) if result.revoked else notices.warning(result.message)


keep(CalendarsState, "preview_of", "preview", "targets", "choice", "target")


def booking_line(line: AffectedBooking, zone: str, hour12: bool) -> BookingLine:
    """A booking as the disconnect dialog lists it, on the viewer's day."""
    day = line.start.astimezone(ZoneInfo(zone)).date()
    when = f"{formats.day(day)}, {formats.clock(line.start, zone, hour12=hour12)}"
    return BookingLine(f"{line.title} with {line.name}", when)


def _snapshot(actor: Actor) -> tuple[Any, Any, Any, dict[str, str]]:
    return (
        connection_queries.list_connections(actor),
        calendars.list_calendars(actor),
        connection_queries.providers(),
        connection_disconnect.running(actor),
    )
