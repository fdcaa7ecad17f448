"""What an event type may offer of the online meetings that calendars make."""

from __future__ import annotations

from typing import Any

import pytest

from calendar_app.db.session import transaction
from calendar_app.db.tables import Calendar, Connection, Workspace
from calendar_app.domain.connection import ConnectionStatus
from calendar_app.domain.hosting import Hosting
from calendar_app.domain.meeting_place import PlaceKind
from calendar_app.errors import InvalidInput
from calendar_app.services.event_types import commands, meeting_calendars, queries
from tests.support.fake_provider import FakeProvider
from tests.support.scheduling import Place, bookable

MEET, TEAMS = {"kind": "google_meet"}, {"kind": "microsoft_teams"}


def _offer(place: Place, *places: dict[str, str], **fields: Any) -> None:
    changes = {"meeting_places": list(places)} | fields
    commands.update_event_type(place.owner, place.event_type.id, changes)


def _change(table: type, key: str, **columns: object) -> None:
    with transaction() as session:
        row = session.get_one(table, key)
        for name, value in columns.items():
            setattr(row, name, value)


def test_only_what_a_calendar_makes_is_offered(fake: FakeProvider) -> None:
    """A refusal says what to do; the editor says the same before anybody chooses it, and nothing is half saved."""
    place = bookable(fake)
    _offer(place, MEET)
    with pytest.raises(InvalidInput) as refused:
        _offer(place, TEAMS, title="Another")
    assert refused.value.field == "meeting_places"
    missing = meeting_calendars.cannot_offer(place.owner, place.event_type.id)
    assert missing == {PlaceKind.MICROSOFT_TEAMS: refused.value.detail}
    assert "Microsoft Teams needs a Microsoft 365 calendar" in refused.value.detail
    assert place.people[0].name in refused.value.detail
    seen = queries.get_event_type(place.owner, place.event_type.id)
    assert (seen.title, [each.kind for each in seen.meeting_places]) == ("Intro call", ["google_meet"])
    assert meeting_calendars.cannot_offer(place.owner) == missing, (
        "a new event type is hosted by whoever makes it"
    )
    with pytest.raises(InvalidInput):
        commands.create_event_type(place.owner, {"title": "New", "meeting_places": [TEAMS]})
    assert len(queries.list_event_types(place.owner)) == 1
    commands.create_event_type(place.owner, {"title": "New", "meeting_places": [MEET]})


@pytest.mark.parametrize(
    ("table", "columns"),
    [
        (Calendar, {"meeting_kinds": []}),
        (Calendar, {"receives_bookings": False}),
        (Connection, {"status": ConnectionStatus.NEEDS_RECONNECT}),
        (Workspace, {"auto_sync_bookings": False}),
    ],
)
def test_the_calendar_must_receive_bookings(fake: FakeProvider, table: type, columns: dict[str, Any]) -> None:
    """One that only blocks time, or whose account is lost, makes nothing. What is offered already stays as it is."""
    place = bookable(fake)
    calendar = place.calendars[0]
    key = {Calendar: calendar.id, Connection: calendar.connection_id, Workspace: place.workspace.id}[table]
    _offer(place, MEET)
    _change(table, key, **columns)
    _offer(place, MEET, title="Renamed")
    _offer(place)
    with pytest.raises(InvalidInput):
        _offer(place, MEET)


def test_in_turns_every_host_needs_one(fake: FakeProvider) -> None:
    """Whose turn it is makes the meeting; where all take part, one of them is enough."""
    place = bookable(fake, hosts=2, hosting=Hosting.ROUND_ROBIN)
    _change(Calendar, place.calendars[1].id, meeting_kinds=[])
    with pytest.raises(InvalidInput) as refused:
        _offer(place, MEET)
    assert place.people[1].name in refused.value.detail
    assert place.people[0].name not in refused.value.detail
    _offer(place, MEET, hosting="collective")
    with pytest.raises(InvalidInput):
        _offer(place, MEET, hosting="round_robin")
    with pytest.raises(InvalidInput):
        _offer(place, MEET, hosting="single", hosts=[{"person_id": place.people[1].id}])
