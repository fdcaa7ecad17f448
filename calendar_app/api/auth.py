"""Signing in: plain form posts for browsers, a token for programs.

The forms live at ``/auth/…`` beside the pages and answer with redirects (303), errors as ``?error=<code>`` on the page
that the form is on. ``next`` leads to a path of this site or is ignored.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, Field

from calendar_app.api.deps import CurrentIdentity, client_address, require_same_origin
from calendar_app.api.fields import Body
from calendar_app.api.problem_codes import fails
from calendar_app.api.routing import Router
from calendar_app.errors import AlmanacError
from calendar_app.services.accounts import authentication, trusted_devices
from calendar_app.services.accounts.authentication import SESSION_COOKIE, SESSION_LIFE, SignedIn
from calendar_app.services.connection_lifecycle.oauth import local_path
from calendar_app.services.installation import first_owner
from calendar_app.services.workspaces import team
from calendar_app.settings import current_settings

forms = APIRouter(prefix="/auth", include_in_schema=False)
router = Router(tags=["people"])

HOME = "/dashboard"
_Text = Annotated[str, Form()]


class Credentials(Body):
    """What a person signs in with."""

    email: str = Field(max_length=320)
    password: str = Field(max_length=1000)


class Token(BaseModel):
    """A bearer token; ``expires_in`` is in seconds."""

    access_token: str
    token_type: str = "Bearer"  # noqa: S105  # RFC 6750's name of the type
    expires_in: int


class WorkspaceOut(BaseModel):
    """One of the caller's workspaces, and their role there."""

    id: str
    slug: str
    name: str
    timezone: str
    role: str


class Me(BaseModel):
    """The caller."""

    id: str
    email: str
    name: str
    timezone: str
    workspaces: list[WorkspaceOut]


@forms.post("/sign-in")
def sign_in(request: Request, email: _Text = "", password: _Text = "", next: _Text = "") -> Response:
    """Set the session cookie and go on."""
    return _signed_in(
        request,
        "/login",
        next,
        lambda: authentication.sign_in(
            email,
            password,
            user_agent=request.headers.get("user-agent", ""),
            client=client_address(request),
            device=request.cookies.get(trusted_devices.COOKIE, ""),
        ),
    )


@forms.post("/sign-up")
def sign_up(
    request: Request,
    name: _Text = "",
    email: _Text = "",
    password: _Text = "",
    workspace_name: _Text = "",
    timezone: _Text = "",
    invitation: _Text = "",
    next: _Text = "",
) -> Response:
    """Make an account with a workspace of its own, or in the one of an `invitation`, and sign in."""
    if (
        not invitation and first_owner.is_needed()
    ):  # whoever comes first is the owner, and has to show the code
        return RedirectResponse("/setup", 303)
    zone = timezone or "UTC"
    agent, client = request.headers.get("user-agent", ""), client_address(request)

    def work() -> SignedIn:
        if invitation:
            return team.sign_up(invitation, name, email, password, zone, user_agent=agent, client=client)
        return authentication.sign_up(
            name, email, password, workspace_name, zone, user_agent=agent, client=client
        )

    return _signed_in(
        request,
        "/signup",
        next,
        work,
        onward=HOME if invitation else None,
    )


@forms.post("/sign-out")
def sign_out(request: Request) -> Response:
    """End the session, here and in the database."""
    try:
        require_same_origin(request)
    except AlmanacError:
        return RedirectResponse(HOME, 303)
    if token := request.cookies.get(SESSION_COOKIE):
        authentication.sign_out(token)
    response = RedirectResponse("/login", 303)
    response.delete_cookie(SESSION_COOKIE, path="/", secure=_secure(), httponly=True, samesite="lax")
    return response


@router.post("/auth/token", responses=fails("invalid_credentials", "second_factor_required"))
def create_access_token(request: Request, credentials: Credentials) -> Token:
    """A bearer token for this API; rate limited."""
    made, life = authentication.issue_api_token(
        credentials.email, credentials.password, client=client_address(request)
    )
    return Token(access_token=made, expires_in=life)


@router.get("/me")
def get_me(identity: CurrentIdentity) -> Me:
    """Who you are, and where you are what."""
    return Me(
        id=identity.person_id,
        email=identity.email,
        name=identity.name,
        timezone=identity.timezone,
        workspaces=[
            WorkspaceOut(id=ref.id, slug=ref.slug, name=ref.name, timezone=ref.timezone, role=ref.role.value)
            for ref in identity.workspaces
        ],
    )


def _signed_in(
    request: Request, page: str, next_path: str, work: Callable[[], SignedIn], *, onward: str | None = None
) -> Response:
    """``onward`` is where success leads, if not to ``next_path``, which failure always keeps."""
    back = local_path(next_path, HOME)
    onward = onward or back
    try:
        require_same_origin(request)
        signed_in = work()
    except AlmanacError as error:
        query = {"error": error.code} | ({"next": back} if back != HOME else {})
        return RedirectResponse(f"{page}?{urlencode(query)}", 303)
    if before := request.cookies.get(SESSION_COOKIE):
        authentication.sign_out(before)
    response = RedirectResponse(onward, 303)
    _set_cookie(response, SESSION_COOKIE, signed_in.token, int(SESSION_LIFE.total_seconds()))
    if not trusted_devices.known(request.cookies.get(trusted_devices.COOKIE, ""), signed_in.identity.email):
        made = trusted_devices.issue(signed_in.identity.email)
        _set_cookie(response, trusted_devices.COOKIE, made, trusted_devices.LIFE_SECONDS, path="/auth")
    return response


def _set_cookie(response: Response, name: str, value: str, seconds: int, *, path: str = "/") -> None:
    response.set_cookie(
        name, value, max_age=seconds, path=path, secure=_secure(), httponly=True, samesite="lax"
    )


def _secure() -> bool:
    return current_settings().public_url.startswith("https://")
