"""Signing in: plain form posts for browsers, a token for programs.

The forms live at ``/auth/…`` beside the pages and answer with redirects (303), errors as ``?error=<code>`` on the page
that the form is on. ``next`` leads to a path of this site or is ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated
from urllib.parse import quote, urlencode

from fastapi import APIRouter, BackgroundTasks, Form, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, Field

from calendar_app.api.deps import AccountHolder, CurrentIdentity, client_address, require_same_origin
from calendar_app.api.fields import Body, Flag
from calendar_app.api.problem_codes import fails
from calendar_app.api.routing import Router
from calendar_app.errors import AlmanacError, SecondFactorRequired
from calendar_app.services.accounts import (
    authentication,
    email_proof,
    second_factor,
    trusted_devices,
    typed_text,
)
from calendar_app.services.accounts.authentication import SESSION_COOKIE, SESSION_LIFE, SignedIn
from calendar_app.services.accounts.email_proof import Wish
from calendar_app.services.common.permissions import Role
from calendar_app.services.connection_lifecycle.oauth import local_path
from calendar_app.services.installation import first_owner
from calendar_app.services.mail import outbox as mail_outbox
from calendar_app.services.workspaces import profile, team
from calendar_app.services.workspaces.profile import ProfileView
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
    role: Role


class ProfileChange(Body):
    """What to change of yourself; what is left out stays. ``language``: ``en`` or ``de``, empty: the workspace's.
    ``calendar_sync_enabled``: bookings are written into your calendars by themselves."""

    name: str = Field(default="", max_length=120)
    timezone: str = Field(default="", max_length=64)
    language: str = Field(default="", max_length=16)
    calendar_sync_enabled: Flag = True


class Me(BaseModel):
    """The caller."""

    id: str
    email: str
    name: str
    timezone: str
    workspaces: list[WorkspaceOut]


@forms.post("/sign-in")
def sign_in(request: Request, email: _Text = "", password: _Text = "", next: _Text = "") -> Response:
    """Set the session cookie and go on; where the account asks for a second factor, ask for it first."""
    try:
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
            typed=email,
        )
    except SecondFactorRequired as more:
        back = local_path(next, HOME)
        response = RedirectResponse(f"/login/code?{urlencode({'next': back})}", 303)
        set_step(response, second_factor.begin(more.person_id))
        return response


@forms.post("/second-factor")
def enter_code(request: Request, code: _Text = "", next: _Text = "") -> Response:
    """The code of an authenticator app, or a recovery code, after the password."""
    return _signed_in(
        request,
        "/login/code",
        next,
        lambda: second_factor.finish(
            request.cookies.get(second_factor.COOKIE, ""),
            code,
            user_agent=request.headers.get("user-agent", ""),
            device=request.cookies.get(trusted_devices.COOKIE, ""),
        ),
        pages={"sign_in_ended": "/login"},
    )


@forms.post("/sign-up")
def sign_up(
    request: Request,
    later: BackgroundTasks,
    name: _Text = "",
    email: _Text = "",
    password: _Text = "",
    workspace_name: _Text = "",
    timezone: _Text = "",
    invitation: _Text = "",
    next: _Text = "",
) -> Response:
    """Make an account in the workspace of an `invitation`, and sign in; or with a workspace of its own, once the link
    that is sent to the address was followed. Where no e-mail can be sent, at once."""
    if (
        not invitation and first_owner.is_needed()
    ):  # whoever comes first is the owner, and has to show the code
        return RedirectResponse("/setup", 303)
    zone = timezone or "UTC"
    agent, client = request.headers.get("user-agent", ""), client_address(request)
    if not invitation and mail_outbox.can_send():
        return _sent(
            request,
            later,
            "/signup",
            lambda: email_proof.ask_to_sign_up(
                name,
                email,
                workspace_name,
                zone,
                language=request.headers.get("accept-language", ""),
                client=client,
            ),
            next,
        )

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


@forms.post("/reset")
def reset(request: Request, later: BackgroundTasks, email: _Text = "") -> Response:
    """Send a link for a new password; the answer is the same whether the address has an account or not."""
    client = client_address(request)
    return _sent(request, later, "/reset", lambda: email_proof.ask_to_reset(email, client=client))


@forms.post("/confirm")
def confirm(request: Request, secret: _Text = "", password: _Text = "") -> Response:
    """Use a link that was sent: make the account, set the new password, or change the address."""
    page, client = f"/confirm/{quote(secret[:100], safe='')}", client_address(request)
    try:
        require_same_origin(request)
        purpose = email_proof.look(secret).purpose
        if purpose == email_proof.RESET:
            email_proof.reset(secret, password, client=client)
            return RedirectResponse("/login?error=password_set", 303)
        if purpose == email_proof.CHANGE:
            email_proof.change(secret, client=client)
            return RedirectResponse(f"{HOME}?done=email_changed", 303)
    except AlmanacError as error:
        return _refused(page, error, HOME)
    agent = request.headers.get("user-agent", "")
    return _signed_in(
        request,
        page,
        "",
        lambda: email_proof.sign_up(secret, password, user_agent=agent, client=client),
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


@router.patch("/me", responses=fails("unknown_timezone"))
def update_me(identity: AccountHolder, body: ProfileChange) -> ProfileView:
    """Change your own settings."""
    return profile.update(identity, body.model_dump(exclude_unset=True))


def _sent(
    request: Request, later: BackgroundTasks, page: str, ask: Callable[[], Wish], next_path: str = ""
) -> Response:
    """Check what is asked for and send it once the answer is out, which then takes as long for every address."""
    try:
        require_same_origin(request)
        later.add_task(email_proof.send, ask())
    except AlmanacError as error:
        return _refused(page, error, local_path(next_path, HOME))
    return RedirectResponse(f"{page}?sent=1", 303, background=later)


def _refused(page: str, error: AlmanacError, back: str, **more: str) -> Response:
    """Back to the page of a form with what was wrong; ``back`` is where success would lead."""
    query = {"error": error.code} | ({"next": back} if back != HOME else {}) | more
    return RedirectResponse(f"{page}?{urlencode(query)}", 303)


def _signed_in(
    request: Request,
    page: str,
    next_path: str,
    work: Callable[[], SignedIn],
    *,
    onward: str | None = None,
    typed: str = "",
    pages: Mapping[str, str] | None = None,
) -> Response:
    """``onward`` is where success leads, if not to ``next_path``, which failure always keeps. ``typed`` is the address
    to fill in again, ``pages`` where a failure leads by its code, if not to ``page``.

    :raises SecondFactorRequired: as ``work`` does.
    """
    back = local_path(next_path, HOME)
    onward = onward or back
    try:
        require_same_origin(request)
        signed_in = work()
    except SecondFactorRequired:
        raise
    except AlmanacError as error:
        kept = {"typed": typed_text.keep(typed)} if typed and error.code != "cross_site" else {}
        return _refused((pages or {}).get(error.code, page), error, back, **kept)
    return let_in(request, RedirectResponse(onward, 303), signed_in)


def let_in(request: Request, response: Response, signed_in: SignedIn) -> Response:
    """Set the cookies of a new session on the answer; the browser's earlier session ends."""
    if before := request.cookies.get(SESSION_COOKIE):
        authentication.sign_out(before)
    response.delete_cookie(
        second_factor.COOKIE, path="/auth", secure=_secure(), httponly=True, samesite="lax"
    )
    _set_cookie(response, SESSION_COOKIE, signed_in.token, int(SESSION_LIFE.total_seconds()))
    if not trusted_devices.known(request.cookies.get(trusted_devices.COOKIE, ""), signed_in.identity.email):
        made = trusted_devices.issue(signed_in.identity.email)
        _set_cookie(response, trusted_devices.COOKIE, made, trusted_devices.LIFE_SECONDS, path="/auth")
    return response


def set_step(response: Response, secret: str) -> None:
    """Let the browser keep the secret of a sign-in that is half done."""
    _set_cookie(
        response, second_factor.COOKIE, secret, int(second_factor.STEP_LIFE.total_seconds()), path="/auth"
    )


def _set_cookie(response: Response, name: str, value: str, seconds: int, *, path: str = "/") -> None:
    response.set_cookie(
        name, value, max_age=seconds, path=path, secure=_secure(), httponly=True, samesite="lax"
    )


def _secure() -> bool:
    return current_settings().public_url.startswith("https://")
