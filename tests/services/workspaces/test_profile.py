"""A person's own settings."""

from __future__ import annotations

import pytest
from sqlmodel import select

from calendar_app.db.session import reading
from calendar_app.db.tables import AuditEntry, Calendar, Person, Workspace
from calendar_app.errors import Forbidden, InvalidInput
from calendar_app.services.accounts import authentication
from calendar_app.services.accounts.authentication import Identity
from calendar_app.services.connections.calendar_time_zones import ZoneSource
from calendar_app.services.workspaces import profile
from tests.support import factories
from tests.support.databases import Database
from tests.support.people import PASSWORD


@pytest.fixture
def ada(database: Database) -> Identity:
    """Somebody with an account."""
    return authentication.sign_up("Ada", "ada@example.com", PASSWORD, "Ada Ltd", "Europe/Berlin").identity


def test_what_is_named_changes(ada: Identity) -> None:
    """Names are cleaned, what is left out stays, and the trail says which fields."""
    view = profile.update(ada, {"name": "  Ada   Lovelace ", "language": "de", "email": "eve@example.com"})
    assert (view.name, view.language, view.email, view.timezone) == (
        "Ada Lovelace",
        "de",
        "ada@example.com",
        "Europe/Berlin",
    )
    assert profile.get(ada) == view
    assert profile.update(ada, {"language": ""}).language == ""
    with reading() as session:
        rows = session.exec(select(AuditEntry).where(AuditEntry.action == "profile.changed")).all()
        assert [row.detail["fields"] for row in rows] == [["language", "name"], ["language"]]


@pytest.mark.parametrize(
    "changes", [{"name": " "}, {"name": "x" * 121}, {"timezone": "Mars/Base"}, {"language": "tlh"}]
)
def test_nonsense_changes_nothing(ada: Identity, changes: dict[str, str]) -> None:
    """The field is named."""
    before = profile.get(ada)
    with pytest.raises(InvalidInput) as refused:
        profile.update(ada, {"calendar_sync_enabled": False} | changes)
    assert refused.value.field == next(iter(changes))
    assert profile.get(ada) == before


def test_calendars_follow_their_owner(ada: Identity) -> None:
    """A calendar whose zone is its owner's gets the new one in the same transaction; one with its own keeps it."""
    with reading() as session:
        person = session.get_one(Person, ada.person_id)
        workspace = session.get_one(Workspace, ada.workspaces[0].id)
    connection = factories.connection(person, workspace)
    for name, source in (("mine", ZoneSource.OWNER), ("theirs", ZoneSource.PROVIDER)):
        factories.calendar(connection, name=name, timezone_source=source)
    profile.update(ada, {"timezone": "Asia/Tokyo"})
    with reading() as session:
        found = {row.name: row.timezone for row in session.exec(select(Calendar))}
    assert found == {"mine": "Asia/Tokyo", "theirs": "Europe/Berlin"}


def test_customers_have_no_profile(ada: Identity) -> None:
    """Who signed in by a link has no account to change."""
    customer = Identity("", "eve@example.com", "", "UTC", "s", ())
    with pytest.raises(Forbidden):
        profile.get(customer)
    with pytest.raises(Forbidden):
        profile.update(customer, {"name": "Eve"})
