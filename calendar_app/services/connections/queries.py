"""Connections as people see them, and who may see which."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import unquote, urlsplit

from sqlmodel import Session, col, select

from calendar_app.clock import utc_now
from calendar_app.db.session import reading
from calendar_app.db.tables import Calendar, Connection, Person
from calendar_app.domain.connection import USABLE, ConnectionStatus
from calendar_app.errors import NotFound, ProviderNotConfigured
from calendar_app.providers import registry
from calendar_app.providers.base import Capability, ProviderKind, SignIn
from calendar_app.services.common.permissions import Actor, Role
from calendar_app.services.connections.calendars import next_reading, syncing


@dataclass(frozen=True, slots=True)
class ConnectionView:
    """One account at one provider.

    ``status``: ``connected``, ``syncing``, ``error``, ``needs_reconnect`` or ``disconnected``. ``last_error`` is one
    sentence for people. ``server`` is the host that the account is on and its name there, empty where a provider is one
    place. ``missing_features`` say what the permissions that were not given cost. ``grant_ends_at``: when the provider
    ends the access by itself, where it said so. ``person_id`` is whose it is: nobody
    else can bring it back. ``addresses`` are the owner's at the provider, as they gave them.
    """

    id: str
    provider: str
    provider_title: str
    account_email: str
    server: str
    status: str
    scopes: tuple[str, ...]
    last_sync_at: datetime | None
    next_sync_at: datetime | None
    last_error: str
    calendars_count: int
    created_at: datetime
    missing_features: tuple[str, ...]
    person_id: str
    person_name: str
    grant_ends_at: datetime | None = None
    addresses: tuple[str, ...] = ()


def owned(session: Session, actor: Actor, connection_id: str, *, lock: bool = False) -> Connection:
    """A connection that the actor may work with: their own, or any of the workspace for managers; without tokens.

    :raises NotFound: there is none. :raises Forbidden: customers have none.
    """
    actor.require(Role.STAFF)
    query = select(Connection).where(Connection.id == connection_id)
    row = session.exec(query.with_for_update() if lock else query).first()
    if (
        row is None
        or row.workspace_id != actor.workspace_id
        or (row.person_id != actor.person_id and actor.role < Role.MANAGER)
    ):
        raise NotFound("There is no such connection.")
    return row


def views(session: Session, rows: Iterable[Connection], now: datetime) -> list[ConnectionView]:
    """The rows as people see them, with what their calendars and their people add, in a query each."""
    rows = list(rows)
    calendars: dict[str, list[Calendar]] = {row.id: [] for row in rows}
    for calendar in session.exec(
        select(Calendar)
        .where(col(Calendar.connection_id).in_(list(calendars)))
        .where(col(Calendar.removed_at).is_(None))
    ):
        calendars[calendar.connection_id].append(calendar)
    people = {row.person_id for row in rows}
    names = dict(session.exec(select(Person.id, Person.name).where(col(Person.id).in_(people))).all())
    return [_view(row, calendars[row.id], names.get(row.person_id, ""), now) for row in rows]


def missing_features(provider: str, scopes: Iterable[str]) -> tuple[str, ...]:
    """What the account cannot be used for, in words: the optional permissions that were not given."""
    try:
        wanted = registry.oauth_client(provider).scopes
    except (ProviderNotConfigured, NotFound):
        return ()
    granted = set(scopes)
    return tuple(need.feature for need in wanted if need.feature and need.scope not in granted)


def withheld(provider: str, scopes: Iterable[str]) -> Capability:
    """What of the provider must not be asked for, as the permission for it was not given. A connection of which no
    scopes are known may do everything."""
    granted, found = set(scopes), Capability(0)
    try:
        wanted = registry.oauth_client(provider).scopes if granted else ()
    except (ProviderNotConfigured, NotFound):
        return found
    for need in wanted:
        if need.capability is not None and need.scope not in granted:
            found |= need.capability
    return found


def title(provider: str) -> str:
    """The provider's name for people."""
    return next((kind.title for kind in registry.kinds() if kind.key == provider), provider.title())


def _server(row: Connection) -> str:
    """Where an account is that is opened with a password: the host, and its name there unless its e-mail says it."""
    parts = urlsplit(row.account_id)
    passwords = {kind.key for kind in registry.kinds() if kind.sign_in is SignIn.PASSWORD}
    if row.provider not in passwords or not parts.hostname:
        return ""
    name = unquote(parts.path.rstrip("/").rpartition("/")[2])
    known = name.lower() in ("", "principal", row.account_email.lower())
    return parts.hostname if known else f"{parts.hostname} ({name})"


def _view(row: Connection, calendars: list[Calendar], name: str, now: datetime) -> ConnectionView:
    live = row.status in USABLE
    failed = next((text for one in calendars for text in (one.last_error, one.write_error) if text), "")
    status = row.status
    if live and not row.last_error and any(syncing(one, now) for one in calendars):
        status = ConnectionStatus.SYNCING
    elif live and failed:
        status = ConnectionStatus.ERROR
    synced = [one.synced_at for one in calendars if one.synced_at is not None]
    due = [at for one in calendars if (at := next_reading(one, row, now)) is not None]
    return ConnectionView(
        id=row.id,
        provider=row.provider,
        provider_title=title(row.provider),
        account_email=row.account_email,
        server=_server(row),
        status=status,
        scopes=tuple(row.scopes),
        last_sync_at=max(synced, default=row.last_sync_at),
        next_sync_at=min(due, default=None),
        last_error=row.last_error or (failed if live else ""),
        calendars_count=len(calendars),
        created_at=row.created_at,
        missing_features=missing_features(row.provider, row.scopes) if live else (),
        person_id=row.person_id,
        person_name=name,
        grant_ends_at=row.grant_ends_at if live else None,
        addresses=tuple(row.addresses),
    )


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
        .where(Connection.status != ConnectionStatus.DISCONNECTED)
        .order_by(col(Connection.created_at), col(Connection.id))
    )
    if actor.role < Role.MANAGER:
        query = query.where(Connection.person_id == actor.person_id)
    with reading() as session:
        return views(session, session.exec(query), now or utc_now())


def to_reconnect(actor: Actor) -> list[str]:
    """The actor's own accounts that only they can bring back, each as people know it; none for customers."""
    if actor.role < Role.STAFF:
        return []
    query = (
        select(Connection.provider, Connection.account_email)
        .where(Connection.workspace_id == actor.workspace_id)
        .where(Connection.person_id == actor.person_id)
        .where(Connection.status == ConnectionStatus.NEEDS_RECONNECT)
        .order_by(col(Connection.created_at), col(Connection.id))
    )
    with reading() as session:
        return [f"{title(provider)} account {email}" for provider, email in session.exec(query)]


def get_connection(actor: Actor, connection_id: str, *, now: datetime | None = None) -> ConnectionView:
    """One connection, a disconnected one too. :raises NotFound: not there, or not the actor's."""
    with reading() as session:
        (found,) = views(session, [owned(session, actor, connection_id)], now or utc_now())
        return found


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
            .where(col(Connection.status).in_(USABLE))
            .order_by(col(Connection.created_at))
        ).all()
    return ProviderStatus(bool(accounts), list(accounts))
