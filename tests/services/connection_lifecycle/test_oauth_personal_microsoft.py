"""Personal accounts at Microsoft: whatever single calendars offer there, people see no error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, urlsplit

import pytest
from sqlmodel import select

from calendar_app.db.session import reading
from calendar_app.db.tables import Calendar, Event
from calendar_app.providers.http import shared_client
from calendar_app.services.calendar_sync import push_channels
from calendar_app.services.calendar_sync import requests as sync_requests
from calendar_app.services.calendar_sync.run import Outcome
from calendar_app.services.common.permissions import Actor, Role
from calendar_app.services.connection_lifecycle.oauth import ConnectResult, finish, start
from calendar_app.settings import Settings
from tests.sandbox.microsoft.client import Microsoft, ok, running_microsoft
from tests.sandbox.server import SharedServer
from tests.support import factories
from tests.support.databases import Database

EMAIL = "ada@outlook.com"


@dataclass(frozen=True)
class Person:
    """Ada, her account with two calendars, and our ids of them."""

    microsoft: Microsoft
    server: SharedServer
    actor: Actor
    default: str
    other: str

    def titles(self, calendar_id: str) -> list[str]:
        with reading() as session:
            found = session.exec(select(Event).where(Event.calendar_id == calendar_id))
            return sorted(event.summary for event in found)

    def add(self, calendar_id: str, title: str) -> str:
        """Ada notes something in Outlook; the event's id there."""
        with reading() as session:
            remote_id = session.get_one(Calendar, calendar_id).remote_id
        at = datetime.now(UTC) + timedelta(days=1)
        stand_in = self.microsoft.stand_in
        made: str = self.server.run(lambda: stand_in.add_event(remote_id, title, at, at + timedelta(hours=1)))
        return made

    def delete(self, calendar_id: str, event_id: str) -> None:
        with reading() as session:
            remote_id = session.get_one(Calendar, calendar_id).remote_id
        self.server.run(lambda: self.microsoft.stand_in.delete_event(remote_id, event_id))


def connect(microsoft: Microsoft, actor: Actor) -> ConnectResult:
    asked = dict(parse_qsl(urlsplit(start(actor, "microsoft", binding="browser")).query))
    answer = microsoft.decide(email=EMAIL, **asked)
    return finish(bindings=["browser"], provider="microsoft", state=answer["state"], code=answer["code"])


@pytest.fixture
def ada(database: Database, configure: Callable[..., Settings], _api_url: str) -> Iterator[Person]:
    now = lambda: datetime.now(UTC)  # noqa: E731
    with SharedServer() as server, running_microsoft(server, clock=now, strict=True) as microsoft:
        configure(**microsoft.sandbox.environment)
        person, place = factories.person(), factories.workspace()
        factories.membership(person, place, Role.OWNER)
        actor = factories.actor(person, place, Role.OWNER)
        token = microsoft.tokens(email=EMAIL)["access_token"]
        ok(microsoft.graph(token).post("me/calendars", json={"name": "Choir"}), 201)
        made = connect(microsoft, actor)
        configure(BASE_URL=_api_url)
        default = next(one.id for one in made.calendars if one.is_primary)
        other = next(one.id for one in made.calendars if not one.is_primary)
        yield Person(microsoft, server, actor, default, other)
        shared_client().close()
        shared_client.cache_clear()


def test_both_calendars_are_read_and_followed(ada: Person) -> None:
    """The default calendar by its delta, the other by polling: what comes, and what goes, arrives either way."""
    for calendar_id in (ada.default, ada.other):
        first, second = ada.add(calendar_id, "First"), ada.add(calendar_id, "Second")
        assert sync_requests.sync_calendar(calendar_id).outcome is Outcome.DONE
        assert ada.titles(calendar_id) == ["First", "Second"]
        ada.delete(calendar_id, first)
        ada.add(calendar_id, "Third")
        assert sync_requests.sync_calendar(calendar_id).outcome is Outcome.DONE
        assert ada.titles(calendar_id) == ["Second", "Third"]
        ada.delete(calendar_id, second)
    with reading() as session:
        cursors = {row.id: row.sync_cursor or "" for row in session.exec(select(Calendar))}
    assert "/me/calendarView/delta" in cursors[ada.default]
    assert cursors[ada.other].endswith(" polled")


def test_push_where_there_is_some(ada: Person) -> None:
    """The default calendar is subscribed to as /me/events; the other is polled, and nothing looks broken."""
    for calendar_id in (ada.default, ada.other):
        sync_requests.sync_calendar(calendar_id)
    assert push_channels.ensure(ada.default)
    assert not push_channels.ensure(ada.other)
    (held,) = ada.microsoft.stand_in.subscriptions.of()
    assert held["resource"] == "/me/events"
    statuses = {one.calendar_id: one for one in sync_requests.status(ada.actor)}
    assert [statuses[one].last_error for one in (ada.default, ada.other)] == ["", ""]
    assert [statuses[one].push for one in (ada.default, ada.other)] == [True, False]
