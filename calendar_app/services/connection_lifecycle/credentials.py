"""Connecting an account where there is no consent page: by an address, and a password where it takes one.

What was typed is tried at the provider before anything is stored, and stored encrypted. Nothing of it is logged or
told again. Tries are limited for each person, and failed ones for each account, so that this is no place to guess
somebody's password at somebody else's server.
"""

from __future__ import annotations

from calendar_app.db.session import reading
from calendar_app.errors import AuthExpired, CredentialsRejected, NotFound
from calendar_app.providers import registry
from calendar_app.providers.base import Credentials, Grant, SignIn
from calendar_app.services.accounts import authentication
from calendar_app.services.common import rate_limits
from calendar_app.services.common.permissions import Actor, Role
from calendar_app.services.connection_lifecycle.oauth import (
    Attempt,
    ConnectResult,
    require_same_account,
    store,
)
from calendar_app.services.connections.queries import owned, title

TRIES, FAILURES = "20/10 minutes", "6/10 minutes"


def connect(
    actor: Actor,
    provider: str,
    *,
    address: str,
    username: str = "",
    password: str = "",
    connection_id: str | None = None,
) -> ConnectResult:
    """:func:`connect_with_credentials` with what a form holds."""
    typed = Credentials(address.strip(), username.strip(), password)
    return connect_with_credentials(actor, provider, typed, connection_id=connection_id)


def connect_with_credentials(
    actor: Actor, provider: str, credentials: Credentials, *, connection_id: str | None = None
) -> ConnectResult:
    """Open the account and start to read its calendars. ``connection_id``: bring that connection back, in place.

    Where an address is all there is to an account, the connection may come back under a new one: publishers change
    their links.

    :raises Forbidden: customers connect nothing. :raises NotFound: no such provider or connection.
    :raises CredentialsRejected: wrong user name or password. :raises InvalidInput: the address is no such server, or
        may not be called. :raises Conflict: ``wrong_account``, another account than the one to be brought back;
        ``already_connected``, the new address is another connection's.
    :raises TooManyRequests: too many tries. :raises ProviderError: the server does not answer as it should.
    """
    actor.require(Role.STAFF)
    client = registry.credential_client(provider)
    if connection_id is not None:
        with reading() as session:
            row = owned(session, actor, connection_id)
            if row.person_id != actor.person_id or row.provider != provider:
                raise NotFound("There is no such connection of yours at this provider.")
    target = authentication.digest(f"{provider} {credentials.address.lower()} {credentials.username.lower()}")
    rate_limits.check("connect-tries", actor.person_id, TRIES)
    rate_limits.peek("connect-failures", target, FAILURES)
    try:
        opened = client.open(credentials)
        listing = registry.calendar_provider(provider, opened.secret).list_calendars()
    except CredentialsRejected:
        rate_limits.count("connect-failures", target, FAILURES)
        raise
    except AuthExpired:
        rate_limits.count("connect-failures", target, FAILURES)
        raise CredentialsRejected(f"{title(provider)} did not accept this user name and password.") from None
    attempt = Attempt(actor.workspace_id, actor.person_id, connection_id)
    moved = connection_id is not None and registry.kind(provider).sign_in is SignIn.ADDRESS
    if not moved:
        require_same_account(attempt, opened.account)
    grant = Grant(opened.secret, refresh_token=None, expires_at=None, scopes=())
    return store(attempt, provider, grant, opened.account, listing, moved=moved)
