"""Members, roles and invitations."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from sqlmodel import col, select

from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import Connection, EventTypeHost, Mail, Membership, Schedule
from calendar_app.errors import Conflict, Forbidden, InvalidInput, NotFound
from calendar_app.services.accounts import authentication
from calendar_app.services.bookings import transitions
from calendar_app.services.common.permissions import Actor, Role
from calendar_app.services.workspaces import team
from tests.support import factories
from tests.support.fake_provider import FakeProvider
from tests.support.scheduling import bookable

pytestmark = pytest.mark.usefixtures("database")

PASSWORD = "a long enough password for this"


@pytest.fixture
def owner() -> Actor:
    signed = authentication.sign_up("Olivia", "olivia@example.com", PASSWORD, "Studio", "Europe/Berlin")
    return signed.identity.actor()


def invited(actor: Actor, email: str, role: str = "staff") -> str:
    """Invite somebody and take the secret out of the letter they get."""
    team.invite(actor, email, role)
    with reading() as session:
        letter = session.exec(
            select(Mail).where(Mail.recipient == email).order_by(col(Mail.created_at).desc())
        ).first()
    assert letter is not None
    found = re.search(r"/join/(\S+)", letter.body)
    assert found is not None
    return found[1]


def joined(actor: Actor, email: str, role: str = "staff") -> Actor:
    token = invited(actor, email, role)
    return team.sign_up(token, "Ben", email, PASSWORD, "UTC").identity.actor(actor.workspace_id)


def test_somebody_new_joins_by_signing_up(owner: Actor) -> None:
    """The account has the invitation's workspace and role and no other, working hours, and the link is used up."""
    token = invited(owner, "ben@example.com", "manager")
    assert team.look(token).workspace_name == "Studio"
    signed = team.sign_up(token, "Ben", "Ben@example.com", PASSWORD, "Europe/London")
    (place,) = signed.identity.workspaces
    assert (place.id, place.role) == (owner.workspace_id, Role.MANAGER)
    with reading() as session:
        hours = session.exec(select(Schedule).where(Schedule.person_id == signed.identity.person_id)).one()
    assert (hours.workspace_id, hours.timezone) == (owner.workspace_id, "Europe/London")
    with pytest.raises(NotFound):
        team.look(token)
    assert [member.name for member in team.members(owner)] == ["Ben", "Olivia"]
    assert team.invitations(owner) == []


def test_somebody_with_an_account_joins(owner: Actor) -> None:
    """An account keeps its own workspace and gains the other; following the link twice does not double anything."""
    carl = authentication.sign_up("Carl", "carl@example.com", PASSWORD, "Carl's", "UTC").identity
    token = invited(owner, "carl@example.com")
    assert team.look(token).has_account
    assert team.accept(carl, token) == owner.workspace_id
    with pytest.raises(NotFound):
        team.accept(carl, token)
    with pytest.raises(Conflict, match="already"):
        team.invite(owner, "carl@example.com", "staff")
    with reading() as session:
        assert len(session.exec(select(Membership).where(Membership.person_id == carl.person_id)).all()) == 2


def test_an_invitation_is_for_its_address_alone(owner: Actor) -> None:
    """Whoever else gets hold of the link cannot use it, and it stays good for the one it was sent to."""
    token = invited(owner, "ben@example.com")
    eve = authentication.sign_up("Eve", "eve@example.com", PASSWORD, "", "UTC").identity
    with pytest.raises(Forbidden):
        team.accept(eve, token)
    with pytest.raises(Forbidden):
        team.sign_up(token, "Eve", "eve2@example.com", PASSWORD, "UTC")
    assert team.sign_up(token, "Ben", "ben@example.com", PASSWORD, "UTC").identity.workspaces


def test_invitations_end(owner: Actor) -> None:
    """By time, by a newer one to the same address, and by being withdrawn."""
    first = invited(owner, "ben@example.com")
    with pytest.raises(NotFound):
        team.look(first, now=datetime.now(UTC) + timedelta(days=8))
    second = invited(owner, "ben@example.com")
    for token in (first, "unknown", ""):
        with pytest.raises(NotFound):
            team.look(token)
    (open_one,) = team.invitations(owner)
    team.withdraw(owner, open_one.id)
    with pytest.raises(NotFound):
        team.look(second)
    with pytest.raises(NotFound):
        team.withdraw(owner, open_one.id)


@pytest.mark.parametrize(
    ("role", "error"), [("customer", InvalidInput), ("king", InvalidInput), ("owner", Forbidden)]
)
def test_nobody_gives_more_than_they_have(owner: Actor, role: str, error: type[Exception]) -> None:
    """Roles that do not exist are refused, and an admin makes no owners; plain staff invite nobody."""
    admin = joined(owner, "ada@example.com", "admin")
    staff = joined(owner, "sam@example.com")
    with pytest.raises(error):
        team.invite(admin, "new@example.com", role)
    with pytest.raises(error):
        team.change_role(admin, staff.person_id, role)
    with pytest.raises(Forbidden):
        team.invite(staff, "new@example.com", "staff")
    with pytest.raises(Forbidden):
        team.remove(admin, owner.person_id)


def test_a_workspace_keeps_an_owner(owner: Actor) -> None:
    """The last owner can neither step down nor leave; with a second one, the first can."""
    with pytest.raises(Conflict, match="owner"):
        team.change_role(owner, owner.person_id, "staff")
    with pytest.raises(Conflict, match="owner"):
        team.remove(owner, owner.person_id)
    other = joined(owner, "ben@example.com", "owner")
    team.change_role(owner, owner.person_id, "staff")
    with pytest.raises(Conflict):
        team.remove(other, other.person_id)


def test_who_still_hosts_bookings_stays() -> None:
    """A member with upcoming bookings or connected calendars leaves only when those are dealt with."""
    with FakeProvider().installed() as fake:
        place = bookable(fake)
        host = place.people[0]
        someone = factories.person()
        factories.membership(someone, place.workspace, Role.OWNER)
        boss = factories.actor(someone, place.workspace)
        made = place.book(place.at(10))
        with pytest.raises(Conflict, match="1 upcoming booking"):
            team.remove(boss, host.id)
        transitions.cancel(boss, made.id)
        with pytest.raises(Conflict, match="calendars"):
            team.remove(boss, host.id)
        with transaction() as session:
            for row in session.exec(select(Connection)):
                row.status = "disconnected"
                session.add(row)
        team.remove(boss, host.id)
    assert [member.person_id for member in team.members(boss)] == [boss.person_id]
    with reading() as session:
        assert session.exec(select(EventTypeHost)).all() == []


def test_other_workspaces_members_are_unknown(owner: Actor) -> None:
    """Members and invitations of another workspace can neither be changed nor told from none at all."""
    stranger = authentication.sign_up("Eve", "eve@example.com", PASSWORD, "", "UTC").identity.actor()
    token = invited(owner, "ben@example.com")
    (invitation,) = team.invitations(owner)
    with pytest.raises(NotFound):
        team.change_role(stranger, owner.person_id, "staff")
    with pytest.raises(NotFound):
        team.remove(stranger, owner.person_id)
    with pytest.raises(NotFound):
        team.withdraw(stranger, invitation.id)
    assert team.look(token).email == "ben@example.com"
