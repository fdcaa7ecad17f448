"""API tokens, signed-in browsers and the password: the account's own affairs. They need the scope ``*``."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from calendar_app.api.deps import AccountHolder
from calendar_app.api.fields import Body, Flag, Key, Whole
from calendar_app.api.paging import After, Limit, at, cut
from calendar_app.api.problem_codes import fails
from calendar_app.api.routing import Router
from calendar_app.services.accounts import account_security, authentication
from calendar_app.services.accounts.account_security import TokenView
from calendar_app.services.accounts.authentication import SessionView

router = Router(tags=["people"])


class TokenIn(Body):
    """A token for a program; ``days`` until it ends, ``null``: it does not end."""

    name: str = Field(min_length=1, max_length=100)
    scopes: list[Literal["read", "write", "*"]] = Field(default=["read"], min_length=1, max_length=3)
    days: Whole | None = Field(default=90, ge=1, le=account_security.LONGEST_DAYS)


class TokenOut(BaseModel):
    """A fresh token: ``access_token`` is shown this once."""

    access_token: str
    token: TokenView


class TokenList(BaseModel):
    """The caller's tokens, latest first."""

    items: list[TokenView]
    next: str | None = None


class SessionList(BaseModel):
    """The caller's signed-in browsers, latest first."""

    items: list[SessionView]
    next: str | None = None


class PasswordIn(Body):
    """The present password and the new one. `end_tokens` also ends the API tokens that may only read or write."""

    present: str = Field(max_length=1000)
    new: str = Field(max_length=1000)
    end_tokens: Flag = False


class Ended(BaseModel):
    """How many browser sessions ended."""

    sessions_ended: int


@router.get("/tokens")
def list_tokens(identity: AccountHolder, limit: Limit = 100, after: After = None) -> TokenList:
    """Your living API tokens, without their secrets."""
    found = account_security.list_tokens(identity)
    items, more = cut(found, limit, after, lambda one: (one.id,), newest_first=True)
    return TokenList(items=items, next=more)


@router.post("/tokens", status_code=201, responses=fails("too_many_tokens"))
def create_token(identity: AccountHolder, body: TokenIn) -> TokenOut:
    """Make an API token; its secret is in this answer and nowhere else."""
    made = account_security.create_token(identity, body.name, list(body.scopes), body.days)
    return TokenOut(access_token=made.secret, token=made.token)


@router.delete("/tokens/{token_id}", status_code=204)
def revoke_token(identity: AccountHolder, token_id: Key) -> None:
    """End an API token now."""
    account_security.revoke_token(identity, token_id)


@router.get("/sessions")
def list_sessions(identity: AccountHolder, limit: Limit = 100, after: After = None) -> SessionList:
    """Where you are signed in."""
    found = authentication.list_sessions(identity)
    items, more = cut(found, limit, after, lambda one: (at(one.last_seen_at), one.id), newest_first=True)
    return SessionList(items=items, next=more)


@router.delete("/sessions")
def end_other_sessions(identity: AccountHolder) -> Ended:
    """Sign out everywhere else."""
    return Ended(sessions_ended=account_security.sign_out_others(identity))


@router.delete("/sessions/{session_id}", status_code=204)
def revoke_session(identity: AccountHolder, session_id: Key) -> None:
    """Sign one browser out."""
    authentication.revoke_session(identity, session_id)


@router.put("/me/password", responses=fails("wrong_password", "weak_password"))
def change_password(identity: AccountHolder, body: PasswordIn) -> Ended:
    """Set a new password, which signs every other browser out and ends other tokens that manage the account.

    Tokens that may only read or write go on working, unless `end_tokens` is set.
    """
    ended = account_security.change_password(identity, body.present, body.new, end_tokens=body.end_tokens)
    return Ended(sessions_ended=ended)
