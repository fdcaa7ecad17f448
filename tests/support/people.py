"""People who use the HTTP API in tests, signed in one way or the other."""

from __future__ import annotations

from dataclasses import dataclass

import httpx
from sqlmodel import select

from calendar_app.db.session import transaction
from calendar_app.db.tables import Membership
from calendar_app.services.accounts import authentication
from calendar_app.services.accounts.authentication import Identity
from calendar_app.services.common.permissions import Role

PASSWORD = "correct horse battery"
CHEAP = {"time_cost": 1, "memory_cost": 8, "parallelism": 1}
"""The least that hashing a password can cost; nearly every test signs somebody up."""


@dataclass(frozen=True, slots=True)
class User:
    """A person with a bearer token and a session cookie."""

    identity: Identity
    bearer: dict[str, str]
    cookie: dict[str, str]

    @property
    def workspace_id(self) -> str:
        return self.identity.workspaces[0].id


def user(email: str = "ada@example.com", *, role: Role = Role.OWNER, timezone: str = "Europe/Berlin") -> User:
    """Somebody with a workspace of their own, in which they hold ``role``."""
    signed_in = authentication.sign_up(email.partition("@")[0], email, PASSWORD, "", timezone)
    if role is not Role.OWNER:
        with transaction() as session:
            mine = Membership.person_id == signed_in.identity.person_id
            session.exec(select(Membership).where(mine)).one().role = role.value
    token, _ = authentication.issue_api_token(email, PASSWORD)
    return User(
        signed_in.identity,
        {"Authorization": f"Bearer {token}"},
        {"Cookie": f"{authentication.SESSION_COOKIE}={signed_in.token}"},
    )


def problem(response: httpx.Response, status: int, code: str) -> dict[str, object]:
    """The problem document of a response, after checking that it is one, with this status and code."""
    assert response.headers["content-type"] == "application/problem+json", response.text
    body = response.json()
    assert (response.status_code, body["status"], body["code"]) == (status, status, code), body
    assert body["title"]
    assert body["detail"].endswith((".", "?"))
    assert body["type"] == f"urn:almanac:problem:{code}"
    return body
