"""What the operations page remembers and does. Only the open tab is read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import reflex as rx

from calendar_app.errors import AlmanacError
from calendar_app.services.accounts import operators
from calendar_app.services.common import audit_log
from calendar_app.services.common.permissions import Actor, Role
from calendar_app.services.external_changes import drift_report
from calendar_app.services.operations import dashboard as operations_dashboard
from calendar_app.services.operations import failed_items, health
from calendar_app.ui import formats, live, notices
from calendar_app.ui.pages.admin import rows
from calendar_app.ui.reloading import keep
from calendar_app.ui.session import SessionState, acting, enter

TABS = ("connections", "jobs", "letters", "channels", "drift", "health", "audit")


class AdminState(rx.State):
    """The open tab and its lines. ``shown`` is the tab whose lines are there; ``busy`` while something is done;
    ``allowed``: there is something here for the person (what exactly, each service decides)."""

    tab: str = "connections"
    shown: str = ""
    error: str = ""
    busy: bool = False
    allowed: bool = True
    operator: bool = False
    connections: list[rows.ConnectionItem] = []  # noqa: RUF012 - Reflex copies defaults per session
    queues: list[rows.QueueItem] = []  # noqa: RUF012
    workers: list[rows.WorkerItem] = []  # noqa: RUF012
    ran: list[rows.RanItem] = []  # noqa: RUF012
    cron_seen: str = ""
    letters: list[rows.LetterItem] = []  # noqa: RUF012
    channels: list[rows.ChannelItem] = []  # noqa: RUF012
    drift: list[rows.DriftItem] = []  # noqa: RUF012
    unread: list[rows.UnreadItem] = []  # noqa: RUF012
    drift_checked: str = ""
    checks: list[rows.CheckItem] = []  # noqa: RUF012
    audit: list[rows.AuditItem] = []  # noqa: RUF012
    audit_next: str = ""

    @rx.event
    async def load(self, zone: str, hour12: bool) -> None:
        """Show the tab that the address names, then follow the workspace."""
        actor = await enter(self, zone, hour12)
        self.operator = await asyncio.to_thread(operators.is_operator, actor)
        self.allowed = actor.role >= Role.MANAGER
        self.tab = _tab(self.router.url.query_parameters.get("tab"))
        self.shown = ""
        async with live.reading(self, actor.workspace_id):
            await self._read(actor)

    @rx.event
    async def refresh(self) -> None:
        """Read the open tab again."""
        actor = await acting(self)
        async with live.reading(self, actor.workspace_id):
            await self._read(actor)

    @rx.event
    async def open_tab(self, value: str) -> None:
        """Show another tab."""
        self.tab = _tab(value)
        self.error = ""
        await self._read(await acting(self))

    @rx.event
    async def older(self) -> None:
        """Show more of the audit trail."""
        actor = await acting(self)
        session = await self.get_state(SessionState)
        page = await asyncio.to_thread(partial(audit_log.list_entries, actor, after=self.audit_next or None))
        self.audit += [rows.audit_item(one, session.zone, session.hour12) for one in page.items]
        self.audit_next = page.next or ""

    @rx.event
    async def retry(self, letter_id: str) -> Any:
        """Take one dead letter up again."""
        return await self._retried([letter_id])

    @rx.event
    async def retry_all(self) -> Any:
        """Take all of them up again."""
        return await self._retried(None)

    @rx.event
    async def run_drift(self) -> Any:
        """Hold calendars against bookings now."""
        actor = await acting(self)
        try:
            number = await asyncio.to_thread(drift_report.run, actor)
        except AlmanacError as error:
            return notices.error(error.detail)
        if not number:
            return notices.info("There is no connected account to look at.")
        return notices.success(
            f"Looking at {formats.count(number, 'account')}: what differs appears here as it is found."
        )

    @rx.event
    async def settle(self, deviation_id: str, how: str) -> Any:
        """Settle a difference one way or the other."""
        actor = await acting(self)
        try:
            await asyncio.to_thread(drift_report.fix, actor, deviation_id, how)
        except AlmanacError as error:
            await self._read(actor)
            return notices.error(error.detail)
        await self._read(actor)
        return notices.success(_SETTLED.get(how, "Done."))

    async def _retried(self, ids: list[str] | None) -> Any:
        actor = await acting(self)
        try:
            done = await asyncio.to_thread(failed_items.retry, actor, ids)
        except AlmanacError as error:
            return notices.error(error.detail)
        await self._read(actor)
        if not done.retried:
            return notices.info("That was settled meanwhile.")
        return notices.success(f"{formats.count(done.retried, 'entry', 'entries')} will be tried again.")

    async def _read(self, actor: Actor) -> None:
        session = await self.get_state(SessionState)
        tab, zone, hour12 = self.tab, session.zone, session.hour12
        try:
            found = await asyncio.to_thread(_READERS[tab], actor, zone, hour12)
            for name, value in found.items():
                setattr(self, name, value)
            self.error = ""
        except AlmanacError as error:
            self.error = error.detail
        self.shown = tab


keep(AdminState, "tab", then=AdminState.refresh)

_SETTLED = {
    "follow": "The booking follows the calendar.",
    "restore": "The calendar is being put back.",
    "take_in": "The booking stands again; nobody was sent an email.",
    "remove": "The event was removed.",
    "keep": "Both stay as they are.",
}

Found = dict[str, Any]


def _tab(value: object) -> str:
    return value if isinstance(value, str) and value in TABS else TABS[0]


def _connections(actor: Actor, zone: str, hour12: bool) -> Found:
    return {
        "connections": [
            rows.connection_item(one, zone, hour12) for one in operations_dashboard.connections(actor)
        ]
    }


def _jobs(actor: Actor, _zone: str, _hour12: bool) -> Found:
    state = operations_dashboard.jobs(actor)
    return {
        "queues": [rows.queue_item(one) for one in state.queues],
        "workers": [rows.worker_item(one) for one in state.workers],
        "ran": [rows.ran_item(job, at) for job, at in state.ran],
        "cron_seen": formats.rfc3339(state.cron_seen_at),
    }


def _letters(actor: Actor, _zone: str, _hour12: bool) -> Found:
    found = [rows.letter_item(one) for one in failed_items.failed_items(actor)]
    return {"letters": found}


def _channels(actor: Actor, zone: str, hour12: bool) -> Found:
    return {
        "channels": [rows.channel_item(one, zone, hour12) for one in operations_dashboard.channels(actor)]
    }


def _drift(actor: Actor, zone: str, hour12: bool) -> Found:
    report = drift_report.report(actor)
    return {
        "drift": [rows.drift_item(one, zone, hour12) for one in report.items],
        "unread": [rows.unread_item(one) for one in report.unread],
        "drift_checked": formats.rfc3339(report.checked_at),
    }


def _health(_actor: Actor, _zone: str, _hour12: bool) -> Found:
    return {"checks": [rows.check_item(one) for one in health.checks()]}


def _audit(actor: Actor, zone: str, hour12: bool) -> Found:
    page = audit_log.list_entries(actor)
    items = [rows.audit_item(one, zone, hour12) for one in page.items]
    return {"audit": items, "audit_next": page.next or ""}


_READERS: dict[str, Callable[[Actor, str, bool], Found]] = {
    "connections": _connections,
    "jobs": _jobs,
    "letters": _letters,
    "channels": _channels,
    "drift": _drift,
    "health": _health,
    "audit": _audit,
}
