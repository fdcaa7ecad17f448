"""Connections over HTTP, the OAuth callback included.

A callback is only worth something to the browser that started: it proves that by its session cookie. A start by API
token belongs to the token's person instead: the answer to the start sets a signed, short-lived cookie for the client
that got it, and any session or token of the same person will do as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Literal, Self
from urllib.parse import urlencode

from fastapi import Query, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse
from itsdangerous import BadSignature, URLSafeTimedSerializer
from pydantic import AfterValidator, BaseModel, Field, SecretStr, model_validator

from calendar_app.api.calendars import CalendarOut
from calendar_app.api.deps import Caller, CurrentActor, CurrentCaller, OptionalCaller
from calendar_app.api.fields import Body, Key
from calendar_app.api.paging import After, Limit, at, cut
from calendar_app.api.problem_codes import AT_PROVIDER, CONSENT, TYPED_ADDRESS, fails
from calendar_app.api.routing import Router
from calendar_app.errors import AlmanacError, InvalidInput
from calendar_app.services.connection_lifecycle import administrator_consent, own_addresses
from calendar_app.services.connection_lifecycle import check as connection_check
from calendar_app.services.connection_lifecycle import credentials as connection_credentials
from calendar_app.services.connection_lifecycle import disconnect as connection_disconnect
from calendar_app.services.connection_lifecycle import oauth as connection_oauth
from calendar_app.services.connection_lifecycle.administrator_consent import AdministratorLink
from calendar_app.services.connection_lifecycle.check import TestResult
from calendar_app.services.connection_lifecycle.disconnect import (
    DisconnectionView,
    DisconnectPreview,
    DisconnectResult,
)
from calendar_app.services.connection_lifecycle.oauth import STATE_LIFE, ConnectResult
from calendar_app.services.connections import queries as connection_queries
from calendar_app.services.connections.queries import ConnectionView, ProviderStatus
from calendar_app.settings import current_settings, get_settings

router = Router(prefix="/connections", tags=["connections"])

BINDING_COOKIE = "almanac_connect"
_PATH = "/api/v1/connections"
LONGEST_PART = 4_000


def _bounded(text: str | None) -> str | None:
    return text if text is None or len(text) <= LONGEST_PART else None


Returned = Annotated[str | None, Query(), AfterValidator(_bounded)]
"""A part of the provider's answer. One that is too long is none, so that a person reads a sentence on a page."""


class StartIn(Body):
    """Where to go afterwards (a path of this site), and which connection to bring back, if any."""

    next: str = Field(default="/settings/calendars", max_length=500)
    connection_id: Key | None = None


class StartOut(BaseModel):
    """Where to send the browser."""

    authorization_url: str


class ConnectionList(BaseModel):
    """A page of connections."""

    items: list[ConnectionView]
    next: str | None = None


class ConnectedOut(BaseModel):
    """What was connected: the account, its calendars, a sentence for people, and what cannot be used because the
    permission was not given."""

    success: bool
    connection: ConnectionView
    calendars: list[CalendarOut]
    message: str
    missing_features: list[str]


class CallbackOut(BaseModel):
    """The callback's answer to programs. `connection` is `null` where an administrator answered for everybody."""

    success: bool
    connection: ConnectionView | None = None
    calendars: list[CalendarOut] = Field(default=[])
    message: str = ""
    missing_features: list[str] = Field(default=[])


class CalDavIn(Body):
    """A CalDAV account. `url` is the server's address; without it, `email` finds the server (RFC 6764). `username` is
    the e-mail address where it is left out, `password` an app password where the server has them."""

    url: str = Field(default="", max_length=2000)
    email: str = Field(default="", max_length=320)
    username: str = Field(default="", max_length=320)
    password: SecretStr = Field(min_length=1, max_length=1000)
    connection_id: Key | None = None

    @model_validator(mode="after")
    def _somewhere(self) -> Self:
        if not (self.url.strip() or self.email.strip()):
            raise ValueError("give the server's url, or an email to find it by")
        return self


@router.post(
    "/caldav",
    status_code=201,
    responses=fails(
        *AT_PROVIDER,
        *TYPED_ADDRESS,
        "credentials_rejected",
        "not_caldav",
        "no_calendars",
        "no_scheme",
        "already_connected",
        "wrong_account",
    ),
)
def connect_caldav(body: CalDavIn, actor: CurrentActor, response: Response) -> ConnectedOut:
    """Connect an account at Apple iCloud, Fastmail, Nextcloud or any other CalDAV server, or bring one back in place.

    The server is found and the password proven before anything is stored. A wrong one is `credentials_rejected`.
    """
    names = {"address": "url" if body.url else "email", "username": "username" if body.username else "email"}
    with _own_names(names):
        result = connection_credentials.connect(
            actor,
            "caldav",
            address=body.url or body.email,
            username=body.username or body.email,
            password=body.password.get_secret_value(),
            connection_id=body.connection_id,
        )
    response.headers["Cache-Control"] = "no-store"
    return _connected(result)


class LinkIn(Body):
    """A published calendar (.ics). `webcal:` addresses will do; `name` is what you call it, its own by default."""

    url: str = Field(min_length=1, max_length=2000)
    name: str = Field(default="", max_length=200)
    connection_id: Key | None = None


@router.post(
    "/ics",
    status_code=201,
    responses=fails(
        *AT_PROVIDER,
        *TYPED_ADDRESS,
        "not_a_calendar",
        "calendar_too_large",
        "no_scheme",
        "already_connected",
        "wrong_account",
    ),
)
def connect_ics(body: LinkIn, actor: CurrentActor, response: Response) -> ConnectedOut:
    """Follow a calendar by its link: read-only, looked at every few minutes. The address is tried first."""
    with _own_names({"address": "url", "username": "name"}):
        result = connection_credentials.connect(
            actor, "ics", address=body.url, username=body.name, connection_id=body.connection_id
        )
    response.headers["Cache-Control"] = "no-store"
    return _connected(result)


@router.post("/{provider}/start", responses=fails("provider_not_configured", "conflict"))
def start_connection(
    provider: Key, actor: CurrentActor, caller: CurrentCaller, response: Response, body: StartIn | None = None
) -> StartOut:
    """Begin to connect an account: send the browser to the address within ten minutes."""
    body = body or StartIn()
    identity = caller.identity
    binding = connection_oauth.person_binding(identity.person_id) if caller.by_token else identity.session_id
    url = connection_oauth.start(
        actor, provider, binding=binding, next_path=body.next, connection_id=body.connection_id
    )
    if caller.by_token:
        response.set_cookie(
            BINDING_COOKIE,
            _serializer().dumps(identity.person_id),
            max_age=int(STATE_LIFE.total_seconds()),
            path=_PATH,
            secure=current_settings().public_url.startswith("https://"),
            httponly=True,
            samesite="lax",
        )
    return StartOut(authorization_url=url)


@router.get(
    "/{provider}/callback",
    response_model=CallbackOut,
    responses={
        303: {"description": "To the app"},
        **fails(
            *AT_PROVIDER,
            *CONSENT,
            "already_connected",
            "wrong_account",
        ),
    },
    openapi_extra={"x-any-query": True},
)
def finish_connection(
    provider: str,
    request: Request,
    caller: OptionalCaller,
    state: Returned = None,
    code: Returned = None,
    error: Returned = None,
    error_description: Returned = None,
    admin_consent: Returned = None,
    iss: Returned = None,
) -> Response:
    """Where the provider sends the browser: checks `state`, exchanges the code, stores, starts the first sync.

    Browsers are sent on into the app with `?connected=<id>` or `?error=<code>`; who accepts JSON gets JSON. With
    `admin_consent` it is an administrator's answer, who need not be a person of this installation.
    """
    bindings = _bindings(request, caller)
    as_json = "application/json" in request.headers.get("accept", "")
    if admin_consent is not None:
        return _administrators_answer(bindings, provider, state, code, error, as_json=as_json)
    try:
        result = connection_oauth.finish(
            bindings=bindings,
            provider=provider,
            state=state,
            code=code,
            error=error,
            description=error_description,
            issuer=iss,
        )
    except AlmanacError as failure:
        if as_json:
            raise
        return _onward(connection_oauth.next_path_of(state, bindings), {"error": failure.code})
    if not as_json:
        return _onward(result.next_path, {"connected": result.connection.id})
    body = _connected(result)
    return JSONResponse(body.model_dump(mode="json"), headers={"Cache-Control": "no-store"})


@router.post(
    "/{provider}/administrator-link", status_code=201, responses=fails("provider_not_configured", "conflict")
)
def create_administrator_link(provider: Key, actor: CurrentActor, response: Response) -> AdministratorLink:
    """An address where the administrator of your organization allows the use of calendars for everybody there."""
    response.headers["Cache-Control"] = "no-store"
    return administrator_consent.administrator_link(actor, provider)


@router.get("/{provider}/status")
def get_provider_status(provider: Key, actor: CurrentActor) -> ProviderStatus:
    """Whether you have accounts connected at a provider, and which."""
    return connection_queries.provider_status(actor, provider)


@router.get("")
def list_connections(actor: CurrentActor, limit: Limit = 100, after: After = None) -> ConnectionList:
    """Your connections; for managers, everybody's."""
    found = connection_queries.list_connections(actor)
    items, more = cut(found, limit, after, lambda one: (at(one.created_at), one.id))
    return ConnectionList(items=items, next=more)


@router.get("/{connection_id}")
def get_connection(connection_id: Key, actor: CurrentActor) -> ConnectionView:
    """One connection."""
    return connection_queries.get_connection(actor, connection_id)


class ConnectionIn(Body):
    """What can be changed of a connection: `addresses`, all e-mail addresses of its owner at a CalDAV server."""

    addresses: list[Annotated[str, Field(max_length=320)]] = Field(max_length=own_addresses.MOST)


@router.patch("/{connection_id}", responses=fails("addresses_not_asked", "invalid_email"))
def update_connection(connection_id: Key, actor: CurrentActor, body: ConnectionIn) -> ConnectionView:
    """Say by which addresses invitations reach the owner, so that those they declined free their time. The server's own
    are known anyway. The calendars are read anew."""
    own_addresses.change(actor, connection_id, body.addresses)
    return connection_queries.get_connection(actor, connection_id)


@router.get("/{connection_id}/disconnect-preview")
def preview_disconnect(connection_id: Key, actor: CurrentActor) -> DisconnectPreview:
    """Which future bookings live in its calendars, and where they could go."""
    return connection_disconnect.disconnect_preview(actor, connection_id)


@router.post("/{connection_id}/refresh", responses=fails(*AT_PROVIDER, "conflict"))
def refresh_connection(connection_id: Key, actor: CurrentActor) -> ConnectionView:
    """Get a new token and list the calendars again."""
    return connection_check.refresh(actor, connection_id)


@router.post("/{connection_id}/test", responses=fails(*AT_PROVIDER, "conflict"))
def test_connection(connection_id: Key, actor: CurrentActor) -> TestResult:
    """Ask the provider something now."""
    return connection_check.test(actor, connection_id)


@router.get("/{connection_id}/disconnection")
def get_disconnection(connection_id: Key, actor: CurrentActor) -> DisconnectionView:
    """How far the latest disconnection of the connection is."""
    return connection_disconnect.disconnection(actor, connection_id)


@router.delete("/{connection_id}", responses=fails("conflict"))
def disconnect(
    connection_id: Key,
    actor: CurrentActor,
    bookings: Annotated[
        Literal["leave", "move", "cancel"], Query(description="What becomes of future bookings")
    ] = "leave",
    move_to: Annotated[Key | None, Query(description="The calendar that they move to")] = None,
) -> DisconnectResult:
    """End the connection, here and at the provider. Where many bookings move or are cancelled, `state` is `running`:
    a worker goes on with it, and `/disconnection` says how far it is."""
    return connection_disconnect.disconnect(actor, connection_id, bookings=bookings, move_to=move_to)


@contextmanager
def _own_names(names: Mapping[str, str]) -> Iterator[None]:
    """Errors name the fields of this request, not those of the service behind it."""
    try:
        yield
    except InvalidInput as error:
        error.field = names.get(error.field or "", error.field)
        raise


def _connected(result: ConnectResult) -> ConnectedOut:
    return ConnectedOut(
        success=True,
        connection=result.connection,
        calendars=[CalendarOut.of(view) for view in result.calendars],
        message=result.message,
        missing_features=list(result.missing_features),
    )


def _administrators_answer(
    bindings: list[str],
    provider: str,
    state: str | None,
    code: str | None,
    error: str | None,
    *,
    as_json: bool,
) -> Response:
    """To the person who had asked, on their page; to anybody else, on a page that says how it went and no more."""
    try:
        agreed = administrator_consent.take_answer(
            bindings=bindings, provider=provider, state=state, code=code, error=error
        )
    except AlmanacError as failure:
        if as_json:
            raise
        refused = failure.code == "admin_consent_refused"
        return _onward("/administrator/refused" if refused else "/administrator/again", {})
    if as_json:
        return JSONResponse(
            CallbackOut(success=True).model_dump(mode="json"), headers={"Cache-Control": "no-store"}
        )
    if agreed.own:
        return _onward(agreed.next_path, {"agreed": provider})
    return _onward("/administrator/agreed", {})


def _bindings(request: Request, caller: Caller | None) -> list[str]:
    """What the request can prove to be."""
    found: list[str] = []
    if caller is not None:
        found = [connection_oauth.person_binding(caller.identity.person_id)]
        if not caller.by_token:
            found.append(caller.identity.session_id)
    try:
        signed = _serializer().loads(
            request.cookies.get(BINDING_COOKIE, ""), max_age=int(STATE_LIFE.total_seconds())
        )
    except BadSignature:
        return found
    return [*found, connection_oauth.person_binding(str(signed))]


def _serializer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(get_settings().secret_key.get_secret_value(), salt="almanac.connect")


def _onward(path: str, query: dict[str, str]) -> RedirectResponse:
    before, mark, fragment = path.partition("#")
    joint = "" if not query else "&" if "?" in before else "?"
    return RedirectResponse(
        f"{before}{joint}{urlencode(query)}{mark}{fragment}", 303, headers={"Cache-Control": "no-store"}
    )
