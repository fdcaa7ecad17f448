"""Connections: what people see of them and do with them. Starting and ending one have modules of their own."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlmodel import col, select

from calendar_app.db.session import after_commit, clock, reading, transaction
from calendar_app.db.tables import Connection
from calendar_app.errors import NotFound, ProviderError
from calendar_app.providers import registry
from calendar_app.providers.base import CalendarProvider, ProviderKind, RemoteCalendar
from calendar_app.services import calendar_listing, calendars, grants, live
from calendar_app.services.calendars import HIDDEN_TOKENS
from calendar_app.services.connecting import (
    ConnectResult,
    finish,
    local_path,
    next_path_of,
    person_binding,
    redirect_uri,
    request_sync,
    start,
)
from calendar_app.services.connecting_credentials import connect, connect_with_credentials
from calendar_app.services.connection_views import ConnectionView, owned, title, views
from calendar_app.services.disconnecting import (
    DisconnectionView,
    DisconnectPreview,
    DisconnectResult,
    disconnect,
    disconnect_preview,
    disconnection,
)
from calendar_app.services.disconnections import AffectedBooking
from calendar_app.services.roles import Actor, Role

__all__ = [
    "AffectedBooking",
    "ConnectResult",
    "ConnectionView",
    "DisconnectPreview",
    "DisconnectResult",
    "DisconnectionView",
    "ProviderStatus",
    "TestResult",
    "connect",
    "connect_with_credentials",
    "disconnect",
    "disconnect_preview",
    "disconnection",
    "finish",
    "get_connection",
    "list_connections",
    "local_path",
    "next_path_of",
    "person_binding",
    "provider_status",
    "providers",
    "redirect_uri",
    "refresh",
    "start",
    "test",
    "to_reconnect",
]


@dataclass(frozen=True, slots=True)
class TestResult:
    """A live call: whether it worked, how long it took, and one sentence."""

    ok: bool
    latency_ms: int
    message: str


@dataclass(frozen=True, slots=True)
class ProviderStatus:
    """Whether the caller has live accounts at a provider, and which, by e-mail address."""

    connected: bool
    accounts: list[str]


def providers() -> list[ProviderKind]:
    """Every provider, configured or not."""
    return registry.kinds()


def list_connections(actor: Actor, *, now: datetime | None = None) -> list[ConnectionView]:
    """The person's connections, and everybody's for managers; disconnected ones are history and left out.

    :raises Forbidden: customers have none.
    """
    actor.require(Role.STAFF)
    query = (
        select(Connection)
        .where(Connection.workspace_id == actor.workspace_id)
        .where(Connection.status != "disconnected")
        .order_by(col(Connection.created_at), col(Connection.id))
        .options(*HIDDEN_TOKENS)
    )
    if actor.role < Role.MANAGER:
        query = query.where(Connection.person_id == actor.person_id)
    with reading() as session:
        return views(session, session.exec(query), now or datetime.now(UTC))


def to_reconnect(actor: Actor) -> list[str]:
    """The actor's own accounts that only they can bring back, each as people know it; none for customers."""
    if actor.role < Role.STAFF:
        return []
    query = (
        select(Connection.provider, Connection.account_email)
        .where(Connection.workspace_id == actor.workspace_id)
        .where(Connection.person_id == actor.person_id)
        .where(Connection.status == "needs_reconnect")
        .order_by(col(Connection.created_at), col(Connection.id))
    )
    with reading() as session:
        return [f"{title(provider)} account {email}" for provider, email in session.exec(query)]


def get_connection(actor: Actor, connection_id: str, *, now: datetime | None = None) -> ConnectionView:
    """One connection, a disconnected one too. :raises NotFound: not there, or not the actor's."""
    with reading() as session:
        (found,) = views(session, [owned(session, actor, connection_id)], now or datetime.now(UTC))
        return found


def refresh(actor: Actor, connection_id: str) -> ConnectionView:
    """Get a new token and list the calendars again: new ones are read, renamed ones renamed, vanished ones marked.

    :raises NotFound: no such connection. :raises ProviderError: the provider's answer.
    """
    with reading() as session:
        key = owned(session, actor, connection_id).provider
    if key in registry.unread():
        return get_connection(actor, connection_id)
    grants.refresh(connection_id)
    listing: list[RemoteCalendar] = grants.call(connection_id, lambda provider: provider.list_calendars())
    now = clock()
    with transaction() as session:
        row = owned(session, actor, connection_id, lock=True)
        row.retry_at = None  # the provider answers
        session.add(row)
        standing = calendars.store_listing(session, row, listing)
        calendar_listing.judge(session, row.id, listing, now)
        after_commit(session, lambda: live.publish(actor.workspace_id, "connections"))
        unread = [calendar.id for calendar in standing if calendar.synced_at is None]
    request_sync(unread)
    return get_connection(actor, connection_id)


def test(actor: Actor, connection_id: str) -> TestResult:
    """Ask the provider something, now. A failure is a result, not an error. :raises NotFound: no such connection."""
    with reading() as session:
        key = owned(session, actor, connection_id).provider
    if key in registry.unread():
        return TestResult(True, 0, registry.kind(key).note)

    def count(provider: CalendarProvider) -> int:
        return len(provider.list_calendars())

    started = time.perf_counter()
    try:
        found = grants.call(connection_id, count)
    except ProviderError as error:
        return TestResult(False, _milliseconds(started), error.detail)
    return TestResult(
        True,
        _milliseconds(started),
        f"The connection works; {found} calendar{'' if found == 1 else 's'} found.",
    )


def provider_status(actor: Actor, provider: str) -> ProviderStatus:
    """The caller's own live accounts. :raises NotFound: no such provider."""
    actor.require(Role.STAFF)
    if provider not in {kind.key for kind in registry.kinds()}:
        raise NotFound(f"There is no calendar provider called {provider[:40]!r}.")
    with reading() as session:
        accounts = session.exec(
            select(Connection.account_email)
            .where(Connection.workspace_id == actor.workspace_id)
            .where(Connection.person_id == actor.person_id)
            .where(Connection.provider == provider)
            .where(col(Connection.status).in_(("connected", "error")))
            .order_by(col(Connection.created_at))
        ).all()
    return ProviderStatus(bool(accounts), list(accounts))


def _milliseconds(started: float) -> int:
    return round((time.perf_counter() - started) * 1000)
