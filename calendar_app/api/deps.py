"""Who is calling, and in which workspace: the dependencies that routes ask for.

A caller proves who they are with a bearer token or with the browser's session cookie; a request that carries a bearer
token is judged by that alone. The workspace is the one named by ``X-Workspace`` or ``?workspace=`` (slug or id), else
the caller's first.

Writes with the cookie are checked for cross-site request forgery the way Go's ``CrossOriginProtection`` does it: a
browser says where a request comes from, in ``Sec-Fetch-Site`` or, if it is an old one, in ``Origin``, and every browser
sends one of them with every unsafe method. So ``Sec-Fetch-Site`` must be ``same-origin`` or ``none``; without it
``Origin`` must be this site's; a request with neither comes from no browser, which an attacker's page cannot arrange.
The cookie is ``SameSite=Lax`` besides, so that a foreign page's request does not carry it at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Header, Query, Request
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer

from calendar_app.errors import Forbidden, NotSignedIn
from calendar_app.services.accounts import authentication
from calendar_app.services.accounts.authentication import Identity
from calendar_app.services.bookings import customers
from calendar_app.services.common import rate_limits
from calendar_app.services.common.permissions import Actor
from calendar_app.settings import current_settings, get_settings

_SAFE = ("GET", "HEAD", "OPTIONS")

_bearer = HTTPBearer(
    auto_error=False,
    scheme_name="ApiToken",
    description="An API token, from `POST /tokens` or `POST /auth/token`.",
)
_cookie = APIKeyCookie(
    name=authentication.SESSION_COOKIE,
    scheme_name="SessionCookie",
    auto_error=False,
    description="The session of a signed-in browser.",
)
_customer = APIKeyCookie(
    name=customers.COOKIE,
    scheme_name="CustomerCookie",
    auto_error=False,
    description="The session of a customer who signed in by a link that was sent to them: their own bookings only.",
)


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated caller; ``by_token`` tells a bearer token from a browser session."""

    identity: Identity
    by_token: bool


def require_same_origin(request: Request) -> None:
    """:raises Forbidden: ``cross_site``, a browser says that another site's page sent this."""
    if request.method in _SAFE:
        return
    origin = request.headers.get("origin")
    if origin is not None and origin == _origin(current_settings().public_url):
        return
    fetch_site = request.headers.get("sec-fetch-site")
    if fetch_site is not None:
        allowed = fetch_site in ("same-origin", "none")
    elif origin is not None:
        allowed = _host(origin) == request.headers.get("host", "")
    else:
        allowed = True
    if not allowed:
        raise Forbidden("This request was sent from another site’s page.", code="cross_site")


def require_scope(request: Request, identity: Identity) -> None:
    """``read`` may look, ``write`` may also change things, ``*`` may also manage the account itself.

    :raises Forbidden: ``insufficient_scope``, the token was not made for this.
    """
    needed = ("*", "write", "read") if request.method in _SAFE else ("*", "write")
    if not set(identity.scopes) & set(needed):
        raise Forbidden("This API token may only read.", code="insufficient_scope")


def client_address(request: Request) -> str:
    """Where the peer is, for limits; behind a trusted proxy the visitor (``edge.behind_proxies``)."""
    return rate_limits.network(request.client.host) if request.client else ""


def optional_caller(
    request: Request,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    cookie: Annotated[str | None, Depends(_cookie)],
    customer: Annotated[str | None, Depends(_customer)],
) -> Caller | None:
    """Whoever calls, if they say so. :raises NotSignedIn: with credentials that are worth nothing.

    :raises TooManyRequests: this person, or for visitors this address, asks too often.
    """
    try:
        caller = _identified(request, bearer, cookie, customer)
    except NotSignedIn:
        _count_request(client_address(request))
        raise
    _count_request(caller.identity.session_id if caller else client_address(request))
    return caller


def _count_request(who: str) -> None:
    rate_limits.check("requests", who, f"{get_settings().api_requests_per_minute}/minute")


def _identified(
    request: Request,
    bearer: HTTPAuthorizationCredentials | None,
    cookie: str | None,
    customer: str | None,
) -> Caller | None:
    if bearer is not None or "authorization" in request.headers:
        identity = authentication.identify_bearer(bearer.credentials) if bearer else None
        if identity is None:
            raise NotSignedIn("This API token is unknown, revoked or expired.", code="invalid_token")
        require_scope(request, identity)
        return Caller(identity, by_token=True)
    identity = authentication.identify(cookie) if cookie else None
    if identity is None and customer:
        identity = customers.identity(customer)
    if identity is None:
        return None
    require_same_origin(request)
    return Caller(identity, by_token=False)


def current_caller(caller: Annotated[Caller | None, Depends(optional_caller)]) -> Caller:
    """:raises NotSignedIn: nobody."""
    if caller is None:
        raise NotSignedIn("Sign in, or send an API token as `Authorization: Bearer`.")
    return caller


def current_identity(caller: Annotated[Caller, Depends(current_caller)]) -> Identity:
    """The person who calls."""
    return caller.identity


def account_holder(caller: Annotated[Caller, Depends(current_caller)]) -> Identity:
    """The person themselves, for passwords, sessions and tokens. :raises Forbidden: ``insufficient_scope``."""
    if "*" not in caller.identity.scopes:
        raise Forbidden(
            "This API token may not manage the account: that needs the scope “*”.", code="insufficient_scope"
        )
    return caller.identity


def _workspace(
    workspace: Annotated[str | None, Query(description="Slug or id; default: your first workspace")] = None,
    x_workspace: Annotated[str | None, Header(description="As `?workspace=`")] = None,
) -> str | None:
    return workspace or x_workspace


def current_actor(
    identity: Annotated[Identity, Depends(current_identity)],
    workspace: Annotated[str | None, Depends(_workspace)],
) -> Actor:
    """The person in the chosen workspace. :raises NotFound: they are not in it."""
    return identity.actor(workspace)


def optional_actor(
    caller: Annotated[Caller | None, Depends(optional_caller)],
    workspace: Annotated[str | None, Depends(_workspace)],
) -> Actor | None:
    """As :func:`current_actor`, for routes that also serve visitors; ``None`` for somebody of no such workspace."""
    if caller is None or not caller.identity.workspaces:
        return None
    return caller.identity.actor(workspace)


def may_change(caller: Annotated[Caller | None, Depends(optional_caller)]) -> bool:
    """Whether an answer may hold what changes things by itself, as manage links do: not for tokens that only read."""
    return caller is None or bool(set(caller.identity.scopes) & {"*", "write"})


MayChange = Annotated[bool, Depends(may_change)]
CurrentCaller = Annotated[Caller, Depends(current_caller)]
OptionalCaller = Annotated[Caller | None, Depends(optional_caller)]
AccountHolder = Annotated[Identity, Depends(account_holder)]
CurrentIdentity = Annotated[Identity, Depends(current_identity)]
CurrentActor = Annotated[Actor, Depends(current_actor)]
OptionalActor = Annotated[Actor | None, Depends(optional_actor)]


def _host(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc
    except ValueError:  # half an IPv6 address, for one
        return None


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
