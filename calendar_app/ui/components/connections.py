"""Connections and calendars as several pages show them: rows, freshness, progress, the connect button."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import reflex as rx

from calendar_app.ui import formats
from calendar_app.ui.components.badges import provider_icon, status_badge
from calendar_app.ui.components.browser import ago
from calendar_app.ui.components.palette import distinct_colors


@dataclass
class UnreadLine:
    """Something in a calendar that could not be read, and why."""

    what: str
    why: str


@dataclass
class CalendarRow:
    """A calendar of a connection.

    ``progress`` is a sentence while its first sync runs; ``can_go_stale``: it is read again and again, so that a
    reading may fail; ``in_doubt``: somebody has to say whether its events were deleted; ``is_file``: it was imported,
    and is removed by itself; ``unused``: what it means that it is used for nothing, empty where it is used.

    ``timezone`` is the zone of its dates and floating times, ``zone_text`` for people; ``zone_origin`` says where that
    comes from (``zone_source``), ``named_zone`` is what the provider names.
    ``unread_title`` says how much could not be read, empty for nothing; ``unread_more`` what is not listed of it.
    """

    id: str
    name: str
    color: str
    detail: str
    can_write: bool
    checks_conflicts: bool
    receives_bookings: bool
    shown_on_dashboard: bool
    stale_policy: str
    synced_at: str
    progress: str
    error: str
    can_go_stale: bool = True
    in_doubt: bool = False
    is_file: bool = False
    unused: str = ""
    timezone: str = "UTC"
    zone_text: str = ""
    zone_source: str = "provider"
    zone_origin: str = ""
    named_zone: str = ""
    owner_zone_label: str = ""
    unread_title: str = ""
    unread_more: str = ""
    unread: list[UnreadLine] = field(default_factory=list)


@dataclass
class ConnectionRow:
    """A connection with its calendars. Instants are RFC 3339, empty where there is none.

    ``sign_in`` is how it is brought back (``oauth``, ``password``, ``address``, ``file``); ``can_sync``: there is
    something to read again; ``note``: what its provider cannot do,
    ``ending``: how far its disconnection is, ``appointments``: the calendar whose provider takes bookings itself,
    ``server``: where the account is, ``empty``: why it has no calendars,
    ``unused``: none of its calendars is used, so that it has no age,
    ``lasts``: until when its provider lets us in, where that is not for ever,
    ``whose``: the colleague's name where it is not the viewer's own. ``person_id`` and ``person`` are its owner.
    ``asks_addresses``: its owner may give their ``addresses`` (one text, with commas), and should where none
    is known (``knows_address``).
    """

    id: str
    provider: str
    title: str
    account: str
    status: str
    last_sync: str
    next_sync: str
    error: str
    progress: str
    sign_in: str = "oauth"
    can_sync: bool = True
    note: str = ""
    ending: str = ""
    appointments: str = ""
    whose: str = ""
    server: str = ""
    empty: str = ""
    unused: bool = False
    person_id: str = ""
    person: str = ""
    lasts: str = ""
    asks_addresses: bool = False
    addresses: str = ""
    knows_address: bool = False
    missing: list[str] = field(default_factory=list)
    calendars: list[CalendarRow] = field(default_factory=list)


@dataclass
class ProviderRow:
    """A provider that can be connected; ``missing`` says what an operator has to set first."""

    key: str
    title: str
    configured: bool
    missing: str
    sign_in: str
    note: str


ROLES = {"owner": "yours", "writer": "you can edit", "reader": "read only", "freebusy": "free/busy only"}


def calendar_row(view: Any) -> CalendarRow:
    """From a :class:`calendar_app.services.connections.calendars.CalendarView`."""
    parts = ["primary"] if view.is_primary else []
    parts.append(ROLES.get(view.access_role, view.access_role))
    first = view.syncing and view.synced_at is None
    return CalendarRow(
        id=view.id,
        name=view.name,
        color=view.color,
        detail=" · ".join(parts),
        can_write=view.access_role in ("owner", "writer"),
        checks_conflicts=view.checks_conflicts,
        receives_bookings=view.receives_bookings,
        shown_on_dashboard=view.shown_on_dashboard,
        stale_policy=view.stale_policy,
        synced_at=formats.rfc3339(view.synced_at),
        progress=f"Reading events: {view.sync_progress:,} so far" if first else "",
        error=view.last_error,
        in_doubt=view.in_doubt,
        timezone=view.timezone,
        zone_text=view.timezone.replace("_", " "),
        zone_source=str(view.timezone_source),
        named_zone=view.provider_timezone,
        unread_title=f"{formats.count(view.unread_count, 'thing')} could not be read" if view.unread else "",
        unread_more=f"And {more:,} more." if (more := view.unread_count - len(view.unread)) > 0 else "",
        unread=[UnreadLine(one.what, one.why) for one in view.unread],
    )


def connection_rows(
    connections: Iterable[Any], calendars: Iterable[Any], kinds: Iterable[Any], viewer: str = ""
) -> list[ConnectionRow]:
    """Views of the services, put together; ``kinds`` are what the providers can do, ``viewer`` is a person's id."""
    by_key = {kind.key: kind for kind in kinds}
    by_connection: dict[str, list[Any]] = {}
    for calendar in calendars:
        by_connection.setdefault(calendar.connection_id, []).append(calendar)
    rows = []
    for view in connections:
        row = _connection_row(view, by_connection.get(view.id, []), by_key.get(view.provider))
        row.whose = view.person_name if viewer and view.person_id != viewer else ""
        for calendar in row.calendars:
            calendar.zone_origin = _zone_origin(calendar.zone_source, row)
            calendar.owner_zone_label = f"Use the zone of {row.whose}" if row.whose else "Use my own zone"
        rows.append(row)
    _tell_apart([calendar for row in rows for calendar in row.calendars])
    return rows


def _tell_apart(calendars: list[CalendarRow]) -> None:
    """No two calendars look alike, those of the dashboard first."""
    ordered = sorted(calendars, key=lambda calendar: not calendar.shown_on_dashboard)
    for calendar, color in zip(ordered, distinct_colors(one.color for one in ordered), strict=True):
        calendar.color = color


def _zone_origin(source: str, row: ConnectionRow) -> str:
    """Where a calendar's zone comes from, in words."""
    if source == "owner":
        return f"the zone of {row.whose}" if row.whose else "your own zone"
    if source == "set":
        return "set here"
    return "named in the calendar" if row.sign_in in ("address", "file") else f"named by {row.title}"


def _why_empty(view: Any) -> str:
    """Why an account shows no calendars, and what to do."""
    if view.status not in ("connected", "syncing", "error"):
        return ""
    return (
        f"{view.provider_title} lists no calendar for events in this account: it has none, or only task lists. "
        "Make one there, then connect the account again."
    )


def _unused(kind: Any) -> str:
    """What becomes of a calendar that none of its switches asks for."""
    if kind and not kind.reads:
        return "Not used: it blocks no time and is not shown."
    return "Not used: its events are not read. Switch one of these on to use it."


def _lasts(view: Any) -> str:
    if view.grant_ends_at is None:
        return ""
    day = f"{view.grant_ends_at.day} {view.grant_ends_at:%B %Y}"
    return f"{view.provider_title} lets Almanac in until {day} only: connect this account again before then."


def _connection_row(view: Any, calendars: list[Any], kind: Any) -> ConnectionRow:
    waiting = [calendar for calendar in calendars if calendar.syncing and calendar.synced_at is None]
    read = sum(calendar.sync_progress for calendar in waiting)
    progress = f"First sync: {formats.count(read, 'event')} read. You can leave this page." if waiting else ""
    lost = view.status == "needs_reconnect"
    ailing = [calendar.last_error for calendar in calendars]
    # Said once: at the calendars that it is about, or above them where it is about all, or the account is lost.
    above = lost or view.last_error not in ailing or len(set(ailing)) == 1
    return ConnectionRow(
        id=view.id,
        provider=view.provider,
        title=view.provider_title,
        account=view.account_email,
        server=view.server,
        empty=_why_empty(view) if not calendars else "",
        unused=bool(calendars) and not any(calendar.used for calendar in calendars),
        status=view.status,
        last_sync=formats.rfc3339(view.last_sync_at),
        next_sync=formats.rfc3339(view.next_sync_at),
        error=view.last_error if above else "",
        progress=progress,
        sign_in=str(kind.sign_in) if kind else "",
        can_sync=bool(kind) and kind.reads,
        note=kind.note if kind else "",
        person_id=view.person_id,
        person=view.person_name,
        appointments=calendars[0].id if calendars and kind and kind.takes_bookings else "",
        lasts=_lasts(view),
        asks_addresses=bool(kind) and kind.asks_addresses and view.status != "disconnected",
        addresses=", ".join(view.addresses),
        knows_address="@" in view.account_email or bool(view.addresses),
        missing=list(view.missing_features),
        calendars=[
            replace(
                calendar_row(calendar),
                can_go_stale=bool(kind) and kind.reads,
                unused="" if calendar.used else _unused(kind),
                is_file=bool(kind) and kind.sign_in == "file",
                error=""
                if lost or (above and calendar.last_error == view.last_error)
                else calendar.last_error,
            )
            for calendar in calendars
        ],
    )


def provider_row(kind: Any) -> ProviderRow:
    """From a :class:`calendar_app.providers.base.ProviderKind`."""
    return ProviderRow(
        kind.key, kind.title, kind.configured, " and ".join(kind.missing), str(kind.sign_in), kind.note
    )


def freshness(row: ConnectionRow) -> rx.Component:
    """One connection on one line: provider, account, and how old what we show is."""
    return rx.flex(
        provider_icon(row.provider),
        rx.text(row.title, size="2", weight="medium"),
        rx.text(row.account, size="2", color_scheme="gray", class_name="clip"),
        rx.match(
            rx.cond(
                row.can_sync, rx.cond(row.unused & (row.status == "connected"), "unused", row.status), "file"
            ),
            ("file", rx.text("imported", size="2", color_scheme="gray")),
            ("unused", rx.text("not used", size="2", color_scheme="gray")),
            (
                "connected",
                rx.text(ago(instant=row.last_sync, prefix="synced"), size="2", color_scheme="gray"),
            ),
            (
                "syncing",
                rx.cond(
                    row.progress != "",
                    rx.text(row.progress, size="2", color_scheme="gray", role="status"),
                    rx.text(
                        ago(instant=row.last_sync, prefix="syncing, last"), size="2", color_scheme="gray"
                    ),
                ),
            ),
            rx.flex(
                status_badge(row.status),
                rx.text(ago(instant=row.last_sync, prefix="last synced"), size="2", color_scheme="gray"),
                spacing="2",
                align="center",
            ),
        ),
        align="center",
        spacing="2",
        min_width="0",
        wrap="wrap",
    )


def connect_links(providers: Any, connect: Any, **props: Any) -> rx.Component:
    """The buttons of providers with a consent page, for pages that only point the way."""
    return rx.foreach(
        providers,
        lambda provider: rx.cond(
            provider.configured & (provider.sign_in == "oauth"),
            rx.button(
                provider_icon(provider.key),
                "Connect " + provider.title,
                on_click=connect(provider.key),
                **props,
            ),
        ),
    )
