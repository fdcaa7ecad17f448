"""Second factors in the browser: what the security page and the sign-in page call. Not part of the API for programs."""

from __future__ import annotations

from typing import Annotated, Any

import orjson
import segno
from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from calendar_app.api import auth
from calendar_app.api.deps import Caller, client_address, current_caller, require_same_origin
from calendar_app.errors import Forbidden
from calendar_app.services.accounts import passkeys, second_factor, trusted_devices
from calendar_app.services.accounts.authentication import Identity
from calendar_app.services.accounts.passkeys import Challenge
from calendar_app.services.connection_lifecycle.oauth import local_path

router = APIRouter(prefix="/auth", include_in_schema=False)


def _person(caller: Annotated[Caller, Depends(current_caller)]) -> Identity:
    """Who is signed in in this browser. :raises Forbidden: a program, or a customer without an account."""
    if caller.by_token or not caller.identity.person_id:
        raise Forbidden("This is done in the browser, by who is signed in there.")
    return caller.identity


Person = Annotated[Identity, Depends(_person)]


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NewFactorIn(_In):
    """The password again, and a name for the factor."""

    password: str = Field(max_length=1000)
    name: str = Field(default="", max_length=200)


class CodeIn(_In):
    """What the authenticator app shows."""

    code: str = Field(max_length=100)


class PasskeyIn(_In):
    """What ``navigator.credentials`` answered, as JSON; a name where the passkey is new."""

    credential: dict[str, Any]
    name: str = Field(default="", max_length=200)
    next: str = Field(default="", max_length=2000)


class PasswordIn(_In):
    """The password again."""

    password: str = Field(max_length=1000)


@router.post("/second-factors/app")
def start_app(person: Person, wish: NewFactorIn) -> dict[str, str]:
    """A key for an authenticator app, with a picture to scan."""
    made = second_factor.start_app(person, wish.password, wish.name)
    picture = segno.make(made.uri, error="m").svg_data_uri(scale=5, border=4, light="#fff")
    return {"id": made.id, "key": made.key, "uri": made.uri, "picture": picture}


@router.post("/second-factors/{factor_id}/confirm")
def confirm_app(person: Person, factor_id: str, given: CodeIn) -> dict[str, list[str]]:
    """Put an authenticator app in force; recovery codes where there were none."""
    return {"recovery_codes": second_factor.confirm_app(person, factor_id, given.code)}


@router.post("/second-factors/{factor_id}/remove", status_code=204)
def remove(person: Person, factor_id: str, given: PasswordIn) -> None:
    """Take a factor away."""
    second_factor.remove(person, factor_id, given.password)


@router.post("/recovery-codes")
def recovery_codes(person: Person, given: PasswordIn) -> dict[str, list[str]]:
    """New recovery codes."""
    return {"recovery_codes": second_factor.new_recovery_codes(person, given.password)}


@router.post("/passkeys/options")
def start_adding(person: Person, wish: PasswordIn) -> Response:
    """What a browser needs to make a passkey."""
    return _challenge(passkeys.start_adding(person, wish.password))


@router.post("/passkeys")
def add(request: Request, person: Person, made: PasskeyIn) -> dict[str, list[str]]:
    """Keep a passkey; recovery codes where there were none."""
    secret = request.cookies.get(second_factor.COOKIE, "")
    return {"recovery_codes": passkeys.add(person, secret, made.credential, made.name)}


@router.post("/passkey/options")
def start_using(request: Request) -> Response:
    """What a browser needs to use a passkey, before or after a password."""
    require_same_origin(request)
    secret = request.cookies.get(second_factor.COOKIE, "")
    return _challenge(passkeys.start_using(secret, client=client_address(request)))


@router.post("/passkey")
def use(request: Request, given: PasskeyIn) -> Response:
    """Sign in with a passkey; the session's cookie, and where to go on."""
    require_same_origin(request)
    signed_in = passkeys.use(
        request.cookies.get(second_factor.COOKIE, ""),
        given.credential,
        user_agent=request.headers.get("user-agent", ""),
        device=request.cookies.get(trusted_devices.COOKIE, ""),
    )
    onward = {"next": local_path(given.next, auth.HOME)}
    return auth.let_in(request, Response(orjson.dumps(onward), media_type="application/json"), signed_in)


def _challenge(made: Challenge) -> Response:
    response = Response(made.options, media_type="application/json", headers={"Cache-Control": "no-store"})
    auth.set_step(response, made.secret)
    return response
