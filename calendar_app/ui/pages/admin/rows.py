"""What the operations page shows, a line each: made of the services' views, in words. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from calendar_app.domain.external_change import ChangeChoice
from calendar_app.queues import QueueState, WorkerState
from calendar_app.services.common.audit_log import AuditView
from calendar_app.services.external_changes.drift_report import UnreadAccount
from calendar_app.services.external_changes.queries import DeviationView
from calendar_app.services.operations.dashboard import ChannelState, ConnectionState
from calendar_app.services.operations.failed_items import FailedItem
from calendar_app.services.operations.health import Check
from calendar_app.ui import formats


@dataclass
class ConnectionItem:
    """A connection. Instants are RFC 3339, empty where there is none."""

    id: str
    provider: str
    title: str
    account: str
    person: str
    status: str
    last_sync: str
    error: str
    facts: str


@dataclass
class QueueItem:
    """A queue; ``oldest`` is since when its first job waits."""

    name: str
    what: str
    counts: str
    failed: int
    oldest: str


@dataclass
class WorkerItem:
    """A worker; ``seen`` is its last sign of life."""

    name: str
    doing: str
    detail: str
    seen: str


@dataclass
class RanItem:
    """A job of the schedule, and when it was last done."""

    job: str
    at: str


@dataclass
class LetterItem:
    """A dead letter."""

    id: str
    kind: str
    title: str
    place: str
    reason: str
    advice: str
    attempts: str
    at: str


@dataclass
class ChannelItem:
    """A push channel."""

    id: str
    calendar: str
    provider: str
    account: str
    state: str
    ends: str
    last_push: str
    reason: str


@dataclass
class DriftItem:
    """A booking and a calendar that differ; ``follow``, ``restore``, ``take_in`` and ``remove`` are the words on
    their buttons, empty where that is no choice."""

    id: str
    title: str
    sentence: str
    times: str
    place: str
    provider: str
    reason: str
    found_at: str
    follow: str
    restore: str
    take_in: str
    remove: str
    keep: bool


@dataclass
class CheckItem:
    """A check of the installation's health."""

    name: str
    status: str
    detail: str


@dataclass
class AuditItem:
    """An entry of the audit trail."""

    id: str
    what: str
    who: str
    detail: str
    when: str


_TOKEN = {
    "fresh": "token fresh",
    "due": "token is renewed before its next use",
    "lasting": "credentials do not expire",
    "none": "",
}
_QUEUES = {
    "writes": "Bookings into calendars",
    "sync": "Reading calendars",
    "default": "Emails, tokens, channels, clean-up",
    "webhooks": "Webhooks of other programs",
}
_KINDS = {"write": "Calendar", "mail": "Letter", "job": "Job"}
_CHECKS = {
    "database": "Database",
    "redis": "Redis",
    "workers": "Workers",
    "cron": "Clock",
    "sweeper": "Sweeper",
    "durability": "Durability",
    "mode": "Mode",
}


def connection_item(view: ConnectionState, zone: str, hour12: bool) -> ConnectionItem:
    connection = view.connection
    facts = [formats.count(connection.calendars_count, "calendar")]
    facts += [f"{view.failing_calendars} failing"] if view.failing_calendars else []
    facts += [_TOKEN[view.token]] if _TOKEN.get(view.token) else []
    facts += [f"tried again at {formats.clock(view.retry_at, zone, hour12=hour12)}"] if view.retry_at else []
    if connection.grant_ends_at:
        facts.append(f"access ends {_moment(connection.grant_ends_at, zone, hour12)}")
    facts += [f"without {feature}" for feature in connection.missing_features]
    return ConnectionItem(
        id=connection.id,
        provider=connection.provider,
        title=connection.provider_title,
        account=connection.account_email or "no address",
        person=view.person,
        status=connection.status,
        last_sync=formats.rfc3339(connection.last_sync_at),
        error=connection.last_error,
        facts=" · ".join(facts),
    )


def queue_item(state: QueueState) -> QueueItem:
    counts = [f"{state.waiting:,} waiting", f"{state.running:,} running"]
    counts += [f"{state.scheduled:,} later"] if state.scheduled else []
    counts += [f"{state.failed:,} failed"] if state.failed else []
    return QueueItem(
        state.name,
        _QUEUES.get(state.name, state.name),
        " · ".join(counts),
        state.failed,
        formats.rfc3339(state.oldest),
    )


def worker_item(state: WorkerState) -> WorkerItem:
    detail = f"takes {', '.join(state.queues)} · {formats.count(state.done, 'job')} done"
    detail += f" · {state.failed:,} failed" if state.failed else ""
    return WorkerItem(
        name=f"{state.host} · {state.pid}" if state.host else state.name,
        doing=state.job.replace("_", " ") if state.job else state.state,
        detail=detail,
        seen=formats.rfc3339(state.seen),
    )


def ran_item(job: str, at: datetime) -> RanItem:
    return RanItem(job.replace("_", " ").capitalize(), formats.rfc3339(at))


def letter_item(view: FailedItem) -> LetterItem:
    return LetterItem(
        id=view.id,
        kind=_KINDS.get(view.kind, view.kind),
        title=view.title,
        place=view.place,
        reason=view.reason,
        advice=view.advice,
        attempts=formats.count(view.attempts, "attempt"),
        at=formats.rfc3339(view.at),
    )


def channel_item(view: ChannelState, zone: str, hour12: bool) -> ChannelItem:
    return ChannelItem(
        id=view.id,
        calendar=view.calendar,
        provider=view.provider,
        account=f"{view.provider_title} · {view.account}",
        state=view.state,
        ends="" if view.state == "refused" else _moment(view.expires_at, zone, hour12),
        last_push=formats.rfc3339(view.last_push_at),
        reason=view.reason,
    )


@dataclass
class UnreadItem:
    """An account whose events could not all be looked at."""

    id: str
    provider: str
    account: str
    sentence: str


def unread_item(one: UnreadAccount) -> UnreadItem:
    number = formats.count(one.number, "event")
    return UnreadItem(
        one.connection_id,
        one.provider,
        f"{one.provider_title} · {one.account}",
        f"{number} could not be looked at: {one.reason}",
    )


def drift_item(view: DeviationView, zone: str, hour12: bool) -> DriftItem:
    times = f"on {_moment(view.found_start, zone, hour12)}" if view.found_start else ""
    if view.booked_start and view.booked_end:
        times = f"booked {_moment(view.booked_start, zone, hour12)}"
        times += f", found {_moment(view.found_start, zone, hour12)}" if view.found_start else ""
    gone = view.found_start is None
    follow = (
        ("Cancel the booking" if gone else "Move the booking") if ChangeChoice.FOLLOW in view.choices else ""
    )
    restore = ""
    if ChangeChoice.RESTORE in view.choices:
        restore = (
            "Remove the event"
            if view.kind == "stray"
            else "Write the event again"
            if gone
            else "Move it back"
        )
    return DriftItem(
        id=view.id,
        title=f"{view.title} with {view.name}" if view.name else view.title or "An event",
        sentence=view.sentence,
        times=times,
        place=f"{view.provider_title} · {view.account}",
        provider=view.provider,
        reason=view.reason,
        found_at=formats.rfc3339(view.found_at),
        follow=follow,
        restore=restore,
        take_in="Take it into the bookings" if ChangeChoice.TAKE_IN in view.choices else "",
        remove="Remove it" if ChangeChoice.REMOVE in view.choices else "",
        keep=ChangeChoice.KEEP in view.choices,
    )


def check_item(check: Check) -> CheckItem:
    return CheckItem(_CHECKS.get(check.name, check.name), check.status.value, check.detail)


def audit_item(view: AuditView, zone: str, hour12: bool) -> AuditItem:
    return AuditItem(
        id=view.id,
        what=in_words(view.action),
        who=_who(view),
        detail=_details(view.detail),
        when=_moment(view.at, zone, hour12),
    )


def _who(view: AuditView) -> str:
    """``ada@example.com, by the token “Reports”``."""
    if view.actor_kind == "token":
        return f"{view.actor}, by the token “{view.token}”"
    return {"customer": "a customer", "provider": "the provider", "system": "Almanac"}.get(
        view.actor_kind if "@" not in view.actor else "", view.actor
    )


def in_words(action: str) -> str:
    """``booking.rescheduled`` -> ``Booking rescheduled``."""
    return action.replace(".", " ").replace("_", " ").capitalize()


def _details(detail: Mapping[str, Any]) -> str:
    parts = []
    for name, value in detail.items():
        shown = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        if shown not in ("", "None"):
            parts.append(f"{name.replace('_', ' ')}: {shown[:120]}")
    return " · ".join(parts)


def _moment(at: datetime, zone: str, hour12: bool) -> str:
    local = at.astimezone(ZoneInfo(zone))
    return f"{local:%a} {local.day} {local:%b %Y}, {formats.clock(at, zone, hour12=hour12)}"
