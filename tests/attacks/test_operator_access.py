"""Becoming an operator by signing up with their address first."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from calendar_app.errors import Conflict
from calendar_app.services.accounts import authentication, operators, owners
from calendar_app.services.workspaces import team
from calendar_app.settings import Settings
from tests.services.workspaces.test_team import PASSWORD, invited
from tests.support.databases import Database
from tests.support.people import user


def test_nobody_signs_up_as_an_operator(
    api: httpx.Client, database: Database, configure: Callable[..., Settings]
) -> None:
    """An address in OPERATORS is the installation's before anybody has an account with it, however it is written."""
    configure(OPERATORS="ops@example.com, second@example.com")
    for email in ("ops@example.com", " OPS@Example.COM "):
        with pytest.raises(Conflict, match="already"):
            authentication.sign_up("Mallory", email, PASSWORD, "Evil", "UTC")
    user("first@example.com")
    form = {"name": "M", "email": "ops@example.com", "password": PASSWORD, "timezone": "UTC"}
    assert api.post("/auth/sign-up", data=form).headers["location"] == "/signup?error=email_taken"
    owners.make_owner("ops@example.com", PASSWORD, workspace="")
    actor = authentication.sign_in("ops@example.com", PASSWORD).identity.actor()
    assert operators.is_operator(actor)
    token = invited(actor, "second@example.com")
    assert operators.is_operator(
        team.sign_up(token, "S", "second@example.com", PASSWORD, "UTC").identity.actor()
    )
