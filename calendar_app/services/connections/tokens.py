"""Access to a connection's account: fresh tokens, refreshed once however many ask, and an end that people see.

Refreshing is single-flight across threads and processes, because a provider that rotates refresh tokens takes a second
use of one as theft and ends the whole grant (RFC 9700 §4.14.2). Whoever claims the lease in the connection's row asks
the provider; the others wait for ``token_version`` to rise. The new tokens are saved before anybody uses them.

One gap cannot be closed from here. A server may retire the old refresh token as soon as it has sent a new one (RFC 6749
§6), so a process that is killed after the answer and before it is saved, a few milliseconds, takes the grant with it
wherever the server does. When the lease is over the next one asks with the old token, once, and what follows is:

=========  ============================================================================================================
provider   what the old refresh token is worth by then
=========  ============================================================================================================
Google     everything: refreshing brings no new one (developers.google.com/identity/protocols/oauth2/web-server#offline)
Microsoft  everything: each use brings a new one and leaves the old one valid, 90 days for an application with a secret
           (learn.microsoft.com/entra/identity-platform/refresh-tokens)
Calendly   nothing: it ends with the first successful use (developer.calendly.com/refresh-token-rotation-guide)
=========  ============================================================================================================

So it is one at Calendly whose person is then asked to connect it again, as after any other end of a grant: the
connection says so, pages show a banner, and one letter goes out. CalDAV and calendar links have a password or an
address instead, and nothing to refresh.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from sqlalchemy import update
from sqlmodel import Session, col, select

from calendar_app.clock import utc_now
from calendar_app.db.due import is_free
from calendar_app.db.locks import locked
from calendar_app.db.session import clock, reading, transaction
from calendar_app.db.tables import Calendar, Channel, Connection
from calendar_app.db.tables.connections import WITH_TOKENS
from calendar_app.domain.connection import USABLE, ConnectionStatus
from calendar_app.domain.webhook import WebhookEvent
from calendar_app.errors import AuthExpired, GrantRevoked, NotFound, ProviderError, ProviderUnavailable
from calendar_app.providers import registry
from calendar_app.providers.base import CalendarProvider, Grant
from calendar_app.services.common import audit_log, change_events
from calendar_app.services.connections import concurrency, webhook_events
from calendar_app.services.connections import emails as connection_emails

log = logging.getLogger(__name__)

Result = TypeVar("Result")

MARGIN = timedelta(seconds=60)
"""A token that lives no longer than this is refreshed before it is used."""
AHEAD = timedelta(minutes=20)
"""The job refreshes what ends within this; it runs every 15 minutes."""
NEVER = datetime.max.replace(tzinfo=UTC)
"""When a password or an address ends: there is nothing to refresh, and the second refusal of it is final."""
LEASE = timedelta(seconds=60)
"""How long one refresh may take before somebody else tries; more than the time-outs of the call it covers."""
_ALWAYS = datetime.min.replace(tzinfo=UTC)
_PATIENCE, _POLL = 30.0, 0.05
_REFRESH_FAILED = "refresh_failed"


@dataclass(frozen=True, slots=True)
class _Access:
    """An access token as read from the row; ``version`` tells whether somebody has replaced it since. ``addresses`` are
    the owner's, as they gave them."""

    provider: str
    account: str
    token: str
    version: int
    expires_at: datetime
    addresses: tuple[str, ...] = ()

    def open(self) -> CalendarProvider:
        return registry.calendar_provider(self.provider, self.token, addresses=self.addresses)


@dataclass(frozen=True, slots=True)
class _Claim:
    """The right to refresh: ``lease`` is the row's ``refresh_lease_until`` while it is ours."""

    provider: str
    refresh_token: str
    version: int
    lease: datetime


def call(
    connection_id: str, work: Callable[[CalendarProvider], Result], *, ends_grant: bool = True
) -> Result:
    """Run ``work`` on the connection's provider with a token that is good; call it outside of any transaction.

    A 401 refreshes once and repeats ``work``, which must bear that. Where there is nothing to refresh it is only
    repeated: servers that take passwords say 401 on a bad moment too, and a person should not have to answer for that.
    ``ends_grant`` false: a second 401 says nothing of the grant, because this call is refused that way for other
    reasons (:mod:`calendar_app.services.calendar_sync.push_channels`); only the token endpoint can end it then.

    :raises GrantRevoked: the person has to reconnect; the connection says so from now on.
    :raises AuthExpired: a second 401, where that does not end the grant.
    :raises NotFound: no such connection. :raises ProviderError: whatever else ``work`` met.
    """
    access = _access(connection_id)
    if access.expires_at <= utc_now() + MARGIN:
        access = _refreshed(connection_id, access)
    with concurrency.limited(access.provider, access.account):
        try:
            return work(access.open())
        except AuthExpired:
            never_ends = access.expires_at == NEVER
            access = (
                _access(connection_id) if never_ends else _refreshed(connection_id, access, rejected=True)
            )
        try:
            return work(access.open())
        except AuthExpired:
            if not ends_grant:
                raise
            raise mark_needs_reconnect(connection_id, access.version) from None


def refresh(connection_id: str) -> None:
    """Get a new access token now, whatever is left of the old one, unless it never ends; errors as in :func:`call`."""
    access = _access(connection_id)
    if access.expires_at != NEVER:
        _refreshed(connection_id, access, rejected=True)


def refresh_if_ending(connection_id: str, lasting: timedelta) -> None:
    """Get a new access token if the present one ends within ``lasting``; errors as in :func:`call`."""
    access = _access(connection_id)
    if access.expires_at <= utc_now() + lasting:
        _refreshed(connection_id, access)


def refresh_due(*, now: datetime | None = None) -> int:
    """Refresh every token that ends within :data:`AHEAD`; returns how many were. One failure does not stop the rest."""
    due = (now or clock()) + AHEAD
    with reading() as session:
        ids = session.exec(
            select(Connection.id)
            .where(col(Connection.status).in_(USABLE))
            .where(col(Connection.access_expires_at) < due)
            .order_by(col(Connection.access_expires_at))
        ).all()
    done = 0
    for connection_id in ids:
        try:
            refresh(connection_id)
            done += 1
        except (ProviderError, NotFound) as error:
            log.warning("a token was not refreshed", extra={"connection": connection_id, "code": error.code})
    return done


def save_tokens(session: Session, row: Connection, grant: Grant) -> None:
    """Put a grant's tokens into the row; a provider that sent no new refresh token means that the old one stays."""
    row.access_token = grant.access_token
    row.refresh_token = grant.refresh_token or row.refresh_token
    row.access_expires_at = grant.expires_at
    if grant.refresh_token or grant.ends_at:  # else the old refresh token goes on, and ends when it does
        row.grant_ends_at = grant.ends_at
    row.token_version += 1
    row.refresh_lease_until = None
    session.add(row)


def mark_needs_reconnect(connection_id: str, version: int, detail: str | None = None) -> GrantRevoked:
    """Mark the connection as needing its person, unless it has newer tokens than ``version``; returns what to raise."""
    error = GrantRevoked(detail)
    with transaction() as session:
        row = _locked(session, connection_id)
        if row is None or row.token_version != version or row.status not in USABLE:
            return error
        row.status = ConnectionStatus.NEEDS_RECONNECT
        row.last_error_code = error.code
        row.last_error = (
            f"Access to {row.account_email or 'this account'} was withdrawn or has ended: connect it again."
        )
        row.last_error_at = utc_now()
        row.refresh_lease_until = None
        audit_log.record(
            session,
            row.workspace_id,
            audit_log.Party.PROVIDER,
            "connection.needs_reconnect",
            "connection",
            row.id,
            provider=row.provider,
        )
        _end_channels(session, row.id, row.last_error_at)
        connection_emails.connection_needs_reconnect(session, row)
        webhook_events.connection_changed(session, row, WebhookEvent.CONNECTION_NEEDS_RECONNECT)
        workspace_id = row.workspace_id
        change_events.announce(session, workspace_id, "connections")
    return error


def _end_channels(session: Session, connection_id: str, now: datetime) -> None:
    """A grant that has ended took its channels with it: the provider tells nothing more on them."""
    mine = select(Calendar.id).where(Calendar.connection_id == connection_id)
    session.execute(
        update(Channel)
        .where(col(Channel.calendar_id).in_(mine), col(Channel.stopped_at).is_(None))
        .values(stopped_at=now)
    )


def _access(connection_id: str) -> _Access:
    with reading() as session:
        row = session.get(Connection, connection_id, options=WITH_TOKENS)
        return _usable(row)


def _usable(row: Connection | None) -> _Access:
    if row is None:
        raise NotFound("There is no such connection.")
    if row.status not in USABLE:
        raise GrantRevoked(
            row.last_error
            if row.status == ConnectionStatus.NEEDS_RECONNECT
            else "This account is disconnected."
        )
    expires = row.access_expires_at or (_ALWAYS if row.refresh_token else NEVER)
    return _Access(
        row.provider,
        row.account_id,
        row.access_token or "",
        row.token_version,
        expires,
        tuple(row.addresses),
    )


def _refreshed(connection_id: str, seen: _Access, *, rejected: bool = False) -> _Access:
    """A token newer than ``seen``, by our own refresh or somebody else's.

    A provider that cannot be reached is no reason to stop while the old token lives, unless it was ``rejected``.
    """
    deadline = time.monotonic() + _PATIENCE
    while True:
        step = _claim(connection_id, seen.version)
        if isinstance(step, _Access):
            return step
        if isinstance(step, _Claim):
            break
        if time.monotonic() > deadline:
            raise ProviderUnavailable("The account's access is being renewed and that takes too long.")
        time.sleep(_POLL)
    try:
        grant = registry.oauth_client(step.provider).refresh(step.refresh_token)
    except GrantRevoked as error:
        return _after_refusal(connection_id, step, error)
    except Exception as error:
        _release(connection_id, step, error if isinstance(error, ProviderError) else None)
        retryable = isinstance(error, ProviderError) and error.retryable
        if retryable and not rejected and seen.token and seen.expires_at > utc_now():
            return seen
        raise
    with transaction() as session:
        row = _locked(session, connection_id)
        if (
            row is not None
            and row.token_version == step.version
            and row.status != ConnectionStatus.DISCONNECTED
        ):
            save_tokens(session, row, grant)
            if row.last_error_code in (_REFRESH_FAILED, GrantRevoked.code):
                row.status, row.last_error_code, row.last_error = ConnectionStatus.CONNECTED, "", ""
        return _usable(row)


def _claim(connection_id: str, version: int) -> _Access | _Claim | None:
    """The newer token if there is one, the lease if it is free, ``None`` to wait."""
    now = clock()
    with reading() as session:  # waiting must not take SQLite's only write lock
        row = session.get(Connection, connection_id, options=WITH_TOKENS)
        access = _usable(row)
        assert row is not None
        if access.version > version:
            return access
        if not is_free(row.refresh_lease_until, LEASE, now):
            return None
    with transaction() as session:
        row = _locked(session, connection_id)
        access = _usable(row)
        assert row is not None
        if access.version > version:
            return access
        if not is_free(row.refresh_lease_until, LEASE, now):
            return None
        if row.refresh_token is not None:
            row.refresh_lease_until = now + LEASE
            session.add(row)
            return _Claim(row.provider, row.refresh_token, version, row.refresh_lease_until)
    raise mark_needs_reconnect(connection_id, version)


def _after_refusal(connection_id: str, claim: _Claim, error: GrantRevoked) -> _Access:
    """``invalid_grant``: the end, unless somebody whose lease we took over has meanwhile saved newer tokens."""
    with reading() as session:
        access = _usable(session.get(Connection, connection_id, options=WITH_TOKENS))
    if access.version > claim.version:
        return access
    raise mark_needs_reconnect(connection_id, claim.version, error.detail)


def _release(connection_id: str, claim: _Claim, error: ProviderError | None) -> None:
    """Give the lease back after a failure; one that only an operator can mend is shown on the connection."""
    with transaction() as session:
        row = _locked(session, connection_id)
        if row is None or row.refresh_lease_until != claim.lease:
            return
        row.refresh_lease_until = None
        if error is not None and not error.retryable:
            row.status, row.last_error_code, row.last_error = (
                ConnectionStatus.ERROR,
                _REFRESH_FAILED,
                error.detail,
            )
            row.last_error_at = utc_now()
            workspace_id = row.workspace_id
            change_events.announce(session, workspace_id, "connections")
        session.add(row)


def _locked(session: Session, connection_id: str) -> Connection | None:
    return locked(session, Connection, connection_id)
