"""Somebody whose access was removed finds no way back."""

from __future__ import annotations

import pytest

from calendar_app.errors import NotFound
from calendar_app.services.accounts import account_security, authentication, owners
from calendar_app.services.accounts.authentication import Identity
from calendar_app.services.common import permissions
from calendar_app.services.workspaces import team
from tests.services.workspaces.test_team import PASSWORD, Actor, invited, joined
from tests.support.databases import Database

NEW = "another fine password"


@pytest.fixture
def ada(database: Database) -> Identity:
    return authentication.sign_up("Ada", "ada@example.com", PASSWORD, "Lovelace", "UTC").identity


@pytest.mark.parametrize("by_operator", [False, True])
def test_a_new_password_ends_what_the_old_one_could_make(ada: Identity, by_operator: bool) -> None:
    """Whoever knew the password holds a token that manages the account, made with it or after signing in; programs
    with lesser tokens go on."""
    stolen, _ = authentication.issue_api_token("ada@example.com", PASSWORD)
    made = account_security.create_token(ada, "backdoor", ["*"], None).secret
    program = account_security.create_token(ada, "export", ["read"], None).secret
    if by_operator:
        owners.reset_password("ada@example.com", NEW)
    else:
        account_security.change_password(ada, PASSWORD, NEW)
    assert [authentication.identify_bearer(token) for token in (stolen, made)] == [None, None]
    assert authentication.identify_bearer(program) is not None


def test_the_token_that_changes_the_password_stays(ada: Identity) -> None:
    """A program that manages the account does not cut itself off."""
    token, _ = authentication.issue_api_token("ada@example.com", PASSWORD)
    caller = authentication.identify_bearer(token)
    assert caller is not None
    account_security.change_password(caller, PASSWORD, NEW)
    assert authentication.identify_bearer(token) is not None


def test_invitations_go_with_who_sent_them(ada: Identity) -> None:
    """An admin who is removed, or made less, has no friend let in by a letter from before."""
    owner = ada.actor()
    admin = joined(owner, "ben@example.com", "admin")
    tokens = {role: invited(admin, f"{role}@example.com", role) for role in ("staff", "admin")}
    others = invited(owner, "carl@example.com", "admin")
    team.change_role(owner, admin.person_id, "admin")
    assert team.look(tokens["admin"]).role == "admin"
    team.change_role(owner, admin.person_id, "manager")
    for token in tokens.values():
        with pytest.raises(NotFound):
            team.look(token)
    team.change_role(owner, admin.person_id, "owner")
    raised = Actor(
        admin.person_id, owner.workspace_id, permissions.Role.OWNER, admin.email, admin.name, admin.timezone
    )
    again = {role: invited(raised, f"{role}@example.net", role) for role in ("staff", "owner")}
    team.change_role(owner, admin.person_id, "admin")
    assert team.look(again["staff"]).role == "staff"
    with pytest.raises(NotFound):
        team.look(again["owner"])
    team.remove(owner, admin.person_id)
    with pytest.raises(NotFound):
        team.look(again["staff"])
    assert team.look(others).email == "carl@example.com"
