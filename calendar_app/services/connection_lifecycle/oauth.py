"""Connecting an account by OAuth 2.0: from the press of a button to calendars that are being read.

The rules are those of RFC 9700: PKCE with S256 always (§2.1.1), a ``state`` of 256 random bits that is used once, ends
after ten minutes and belongs to the browser that started (§4.7), a redirect address of its own for each provider
(§4.4.2.2), and all of that is checked before the code is exchanged. A ``state`` is spent before anything is asked of
the provider, so that a callback that arrives twice connects once.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session, col, delete, select

from calendar_app.clock import utc_now
from calendar_app.db.locks import locked_one
from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import Connection, Membership, OAuthAttempt, Person
from calendar_app.domain.connection import TESTING_LIFE, ConnectionStatus, lasted_a_week
from calendar_app.domain.webhook import WebhookEvent
from calendar_app.errors import (
    Conflict,
    ConsentDenied,
    GrantRevoked,
    InvalidRequest,
    NotFound,
    ProviderError,
    ProviderNotConfigured,
    ProviderUnavailable,
    StateInvalid,
)
from calendar_app.providers import registry
from calendar_app.providers.base import (
    Account,
    AsksAdministrators,
    ConsentRefusal,
    Grant,
    OAuthClient,
    RemoteCalendar,
)
from calendar_app.services.accounts import authentication
from calendar_app.services.calendar_sync import calendar_listing, push_channels
from calendar_app.services.calendar_sync import requests as sync_requests
from calendar_app.services.common import audit_log, change_events
from calendar_app.services.common.permissions import Actor, Role
from calendar_app.services.connections import calendars, webhook_events
from calendar_app.services.connections import tokens as connection_tokens
from calendar_app.services.connections.calendars import CalendarView
from calendar_app.services.connections.queries import ConnectionView, missing_features, owned, title, views
from calendar_app.settings import current_settings

log = logging.getLogger(__name__)

STATE_LIFE = timedelta(minutes=10)
DEFAULT_NEXT = "/settings/calendars"
_OPERATOR = ("invalid_client", "unauthorized_client", "redirect_uri_mismatch")


@dataclass(frozen=True, slots=True)
class ConnectResult:
    """What came of it. ``next_path`` is local; ``missing_features`` say what permissions that were not given cost."""

    connection: ConnectionView
    calendars: list[CalendarView]
    message: str
    next_path: str
    missing_features: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt that has passed every check and is spent. ``connection_id``: the connection to bring back."""

    workspace_id: str
    person_id: str
    connection_id: str | None
    code_verifier: str = ""
    next_path: str = DEFAULT_NEXT


def local_path(path: str | None, default: str = DEFAULT_NEXT) -> str:
    """``path`` if a browser would stay on this site with it, else ``default``.

    One leading slash, and nothing that browsers read as another host: ``//evil``, ``/\\evil``, control characters.
    """
    if (
        not path
        or len(path) > 500
        or not path.startswith("/")
        or path.startswith("//")
        or "\\" in path
        or any(ord(letter) < 0x21 or ord(letter) == 0x7F for letter in path)
    ):
        return default
    return path


def redirect_uri(provider: str) -> str:
    """The exact address to register at the provider."""
    return f"{current_settings().public_url}/api/v1/connections/{provider}/callback"


def start(
    actor: Actor,
    provider: str,
    *,
    binding: str,
    next_path: str = DEFAULT_NEXT,
    connection_id: str | None = None,
) -> str:
    """The provider's address to send the browser to. ``connection_id``: bring that connection back, in place.

    ``binding`` names whoever must come back with the answer: the ``session_id`` of a signed-in browser, or
    :func:`person_binding` for a start by API token.

    :raises Forbidden: customers connect nothing. :raises NotFound: no such provider or connection.
    :raises ProviderNotConfigured: an operator has to set credentials first.
    """
    actor.require(Role.STAFF)
    oauth = registry.oauth_client(provider)
    state, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(64)
    now = utc_now()
    login_hint = ""
    with transaction() as session:
        if connection_id is not None:
            row = owned(session, actor, connection_id)
            if row.person_id != actor.person_id or row.provider != provider:
                raise NotFound("There is no such connection of yours at this provider.")
            login_hint = row.account_email
        session.exec(delete(OAuthAttempt).where(col(OAuthAttempt.expires_at) < now - timedelta(days=1)))
        session.add(
            OAuthAttempt(
                state_hash=authentication.digest(state),
                binding=authentication.digest(binding),
                provider=provider,
                workspace_id=actor.workspace_id,
                person_id=actor.person_id,
                connection_id=connection_id,
                code_verifier=verifier,
                next_path=local_path(next_path),
                expires_at=now + STATE_LIFE,
            )
        )
    return oauth.authorization_url(
        state=state, code_verifier=verifier, redirect_uri=redirect_uri(provider), login_hint=login_hint
    )


def person_binding(person_id: str) -> str:
    """The binding of an attempt that was started with an API token: whoever comes back must be the same person."""
    return f"person:{person_id}"


def request_sync(calendar_ids: Iterable[str]) -> None:
    """Have the calendars read soon."""
    for calendar_id in calendar_ids:
        sync_requests.request(calendar_id)


def next_path_of(state: str | None, bindings: Collection[str]) -> str:
    """Where the browser that came back with ``state`` wanted to go, for telling it there what went wrong."""
    with reading() as session:
        row = _find(session, state or "")
        mine = row is not None and row.binding in {authentication.digest(one) for one in bindings}
        return local_path(row.next_path) if row is not None and mine else DEFAULT_NEXT


def finish(
    *,
    bindings: Collection[str],
    provider: str,
    state: str | None,
    code: str | None = None,
    error: str | None = None,
    description: str | None = None,
    issuer: str | None = None,
    now: datetime | None = None,
) -> ConnectResult:
    """Take the provider's answer (RFC 6749 §4.1.2) and connect the account, or reconnect it in place.

    ``bindings`` are what the browser that brought the answer can prove to be. ``description`` is the answer's
    ``error_description``; ``issuer`` is ``iss`` of RFC 9207.

    :raises StateInvalid: ``state`` is missing, unknown, another browser's, spent or too old, or the code was refused.
    :raises ConsentDenied: "Deny" was pressed, or a permission is missing that nothing works without.
    :raises Conflict: ``wrong_account``, another account than the one to be reconnected.
    :raises ProviderNotConfigured: the provider refuses the operator's credentials. :raises ProviderError: and the like.
    """
    oauth = registry.oauth_client(provider)
    attempt = spend(state or "", provider, bindings, now or utc_now())
    if issuer and oauth.issuer and issuer != oauth.issuer:
        raise StateInvalid("The answer did not come from the provider that was asked. Start again.")
    if error:
        raise _refusal(oauth, provider, error, description or "")
    if not code:
        raise StateInvalid("The provider sent no code. Start again.")
    grant = _exchange(oauth, provider, code, attempt)
    account: Account | None = None
    try:
        _require_scopes(oauth, provider, grant)
        account = oauth.account(grant.access_token)
        require_same_account(attempt, account)
        listing = registry.calendar_provider(provider, grant.access_token).list_calendars()
    except Exception:
        _give_back(oauth, provider, grant, account)
        raise
    return store(attempt, provider, grant, account, listing)


def _find(session: Session, state: str) -> OAuthAttempt | None:
    query = select(OAuthAttempt).where(OAuthAttempt.state_hash == authentication.digest(state))
    return session.exec(query.with_for_update()).first()


def spend(state: str, provider: str, bindings: Collection[str], now: datetime) -> Attempt:
    """The attempt behind ``state``, marked as used. One that is somebody else's stays unused for its owner."""
    again = "This connection attempt is not valid any more. Start again from the calendars page."
    with transaction() as session:
        row = _find(session, state)
        if row is None or row.provider != provider or row.expires_at <= now or row.used_at is not None:
            raise StateInvalid(again)
        if row.binding not in {authentication.digest(binding) for binding in bindings}:
            raise StateInvalid(
                "This connection attempt was started in another browser or session. Start again."
            )
        member = session.exec(
            select(Membership)
            .where(Membership.workspace_id == row.workspace_id)
            .where(Membership.person_id == row.person_id)
        ).first()
        if member is None or Role(member.role) < Role.STAFF:
            raise StateInvalid(again)
        row.used_at = now
        session.add(row)
        return Attempt(row.workspace_id, row.person_id, row.connection_id, row.code_verifier, row.next_path)


def _refusal(oauth: OAuthClient, provider: str, error: str, description: str) -> Exception:
    name = title(provider)
    if isinstance(oauth, AsksAdministrators) and (why := oauth.refusal(error, description)):
        return ConsentDenied(f"{name} was not connected, because access was not allowed.", code=why)
    if error in ("access_denied", "consent_required", "interaction_required"):
        return ConsentDenied(f"{name} was not connected, because access was not allowed.")
    if error in ("server_error", "temporarily_unavailable"):
        return ProviderUnavailable(f"{name} cannot connect accounts right now. Try again in a few minutes.")
    return ProviderNotConfigured(
        f"{name} refused this application’s request: an operator has to check the configuration.",
        code="provider_misconfigured",
    )


def _exchange(oauth: OAuthClient, provider: str, code: str, attempt: Attempt) -> Grant:
    try:
        return oauth.exchange(
            code=code, code_verifier=attempt.code_verifier, redirect_uri=redirect_uri(provider)
        )
    except GrantRevoked as error:
        if error.reason in list(ConsentRefusal):
            raise ConsentDenied(
                f"{title(provider)} was not connected, because access was not allowed.", code=error.reason
            ) from None
        raise StateInvalid(f"{title(provider)} did not accept the sign-in code. Start again.") from None
    except InvalidRequest as error:
        if error.reason in _OPERATOR:
            raise ProviderNotConfigured(error.detail, code="provider_misconfigured") from None
        raise


def _require_scopes(oauth: OAuthClient, provider: str, grant: Grant) -> None:
    missing = [need.feature for need in oauth.scopes if need.required and need.scope not in grant.scopes]
    if missing:
        raise ConsentDenied(
            f"{title(provider)} was not connected: without your permission Almanac cannot {_listed(missing)}. "
            "Connect again and leave those boxes ticked.",
            code="scope_missing",
        )


def require_same_account(attempt: Attempt, account: Account) -> None:
    """:raises Conflict: ``wrong_account``, where another connection was to be brought back."""
    if attempt.connection_id is None:
        return
    with reading() as session:
        row = session.exec(select(Connection).where(Connection.id == attempt.connection_id)).first()
    if row is None or row.account_id == account.account_id:
        return
    if row.account_email == account.email:
        text = (
            f"This {account.email} is not the account that was connected here, but another of the same name: at "
            "another server, or made anew. Add it as a new connection, then disconnect this one."
        )
    else:
        text = (
            f"You chose {account.email}, but this connection is {row.account_email}. "
            f"Reconnect and choose {row.account_email}, or add {account.email} as a new connection."
        )
    raise Conflict(text, code="wrong_account")


def _give_back(oauth: OAuthClient, provider: str, grant: Grant, account: Account | None) -> None:
    """Revoke a grant that we cannot use, unless a live connection would die with it, in whatever workspace.

    Providers end every grant of the application for an account at once
    (developers.google.com/identity/protocols/oauth2/web-server#tokenrevoke). Where nobody says which account it is, it
    may be anybody's: a grant that nobody uses is then left to end by itself.
    """
    try:
        account = account or oauth.account(grant.access_token)
    except ProviderError as error:
        log.warning("a grant that is not used was left alone", extra={"code": error.code})
        return
    query = select(Connection.id).where(
        Connection.provider == provider, Connection.status != ConnectionStatus.DISCONNECTED
    )
    query = query.where(Connection.account_id == account.account_id)
    with reading() as session:
        in_use = session.exec(query).first()
    if in_use is not None:
        return
    try:
        oauth.revoke(grant.refresh_token or grant.access_token)
    except ProviderError as error:
        log.warning("a grant that is not used could not be revoked", extra={"code": error.code})


def store(
    attempt: Attempt,
    provider: str,
    grant: Grant,
    account: Account,
    listing: Sequence[RemoteCalendar],
    *,
    moved: bool = False,
) -> ConnectResult:
    """Keep the account and its calendars, in the connection that it has already if there is one, and read them soon.

    ``moved``: the attempt's connection goes on under this account, whatever it was before. :raises Conflict:
    ``already_connected``, another connection has the account.
    """
    now = utc_now()
    with transaction() as session:
        # Two callbacks of one person queue up here, so that the account is stored once.
        person = locked_one(session, Person, attempt.person_id)
        _lock_calendars(session, attempt, provider)
        row = _standing(session, attempt, provider, account)
        if moved and (row is None or row.id != attempt.connection_id):
            row = _moved(session, attempt, row, account)
        action = "connection.reconnected" if row else "connection.connected"
        row = row or Connection(
            workspace_id=attempt.workspace_id,
            person_id=attempt.person_id,
            provider=provider,
            account_id=account.account_id,
        )
        ends_at = grant.ends_at or _testing_end(row, now)
        was_ended = row.status == ConnectionStatus.NEEDS_RECONNECT
        row.account_email = account.email or row.account_email
        row.status, row.scopes, row.disconnected_at, row.failures = (
            ConnectionStatus.CONNECTED,
            list(grant.scopes),
            None,
            0,
        )
        row.last_error_code, row.last_error, row.last_error_at, row.retry_at = "", "", None, None
        connection_tokens.save_tokens(session, row, grant)
        row.granted_at, row.grant_ends_at = now, ends_at
        session.flush()
        standing = calendars.store_listing(session, row, listing)
        calendar_listing.record_listing(session, row.id, listing, now)
        push_channels.reopen_for_connection(session, row.id, now)
        actor = Actor(person.id, attempt.workspace_id, Role.STAFF, person.email, person.name, person.timezone)
        audit_log.record(
            session,
            row.workspace_id,
            actor,
            action,
            "connection",
            row.id,
            provider=provider,
            account=account.email,
        )
        if was_ended:
            webhook_events.connection_changed(session, row, WebhookEvent.CONNECTION_RESTORED)
        change_events.announce(session, attempt.workspace_id, "connections")
    request_sync([calendar.id for calendar in standing])
    missing = missing_features(provider, grant.scopes)
    with reading() as session:
        (shown,) = views(session, [row], now)
    return ConnectResult(
        connection=shown,
        calendars=[calendars.view(calendar, row, now) for calendar in standing],
        message=_message(provider, account, len(standing), missing),
        next_path=attempt.next_path,
        missing_features=missing,
    )


def _testing_end(row: Connection, now: datetime) -> datetime | None:
    """When a new grant ends of which its provider names no end: a week from now where Google's project is in testing,
    as an operator says, or as the grant before showed."""
    died_at = row.last_error_at if row.status == ConnectionStatus.NEEDS_RECONNECT else None
    testing = current_settings().google_in_testing or lasted_a_week(row.granted_at, died_at)
    return now + TESTING_LIFE if row.provider == "google" and testing else None


def _lock_calendars(session: Session, attempt: Attempt, provider: str) -> None:
    """Those of every connection of the person at the provider, before one of these is locked."""
    theirs = select(Connection.id).where(
        Connection.workspace_id == attempt.workspace_id,
        Connection.person_id == attempt.person_id,
        Connection.provider == provider,
    )
    calendars.lock_calendars(session, *session.exec(theirs))


def _standing(session: Session, attempt: Attempt, provider: str, account: Account) -> Connection | None:
    """The person's connection of the account, locked, whatever its state."""
    return session.exec(
        select(Connection)
        .where(Connection.workspace_id == attempt.workspace_id)
        .where(Connection.person_id == attempt.person_id)
        .where(Connection.provider == provider)
        .where(Connection.account_id == account.account_id)
        .with_for_update()
    ).first()


def _moved(session: Session, attempt: Attempt, holder: Connection | None, account: Account) -> Connection:
    """The attempt's connection under its new account, which ``holder`` gives up if it is history."""
    if holder is not None and holder.status != ConnectionStatus.DISCONNECTED:
        raise Conflict(
            f"{account.email} is connected already, beside this one: disconnect one of the two.",
            code="already_connected",
        )
    if holder is not None:
        holder.account_id = holder.id
        session.add(holder)
        session.flush()
    row = locked_one(session, Connection, attempt.connection_id)
    row.account_id = account.account_id
    return row


def _message(provider: str, account: Account, count: int, missing: Sequence[str]) -> str:
    found = f"{count} calendar{'' if count == 1 else 's'}"
    message = f"{title(provider)} account {account.email} is connected; {found} found."
    if missing:
        message += f" Without the permissions you left out, Almanac cannot {_listed(missing)}."
    return message


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"
