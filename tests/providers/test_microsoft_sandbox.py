"""Microsoft through the whole product, against the stand-in: from consent to a booking in the calendar and out again.

Every exchange is held against Graph's documents where they are at hand.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from sqlmodel import col, select

from calendar_app import errors
from calendar_app.db import tables
from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import (
    Booking,
    Calendar,
    CalendarWrite,
    Connection,
    Deviation,
    Event,
    EventType,
    Occurrence,
)
from calendar_app.domain.event import is_write_key
from calendar_app.domain.timespan import Span, instant
from calendar_app.errors import ConsentDenied, GrantRevoked
from calendar_app.providers.base import PushChannel
from calendar_app.providers.http import shared_client
from calendar_app.services.availability import live_check
from calendar_app.services.availability.conflict_calendars import calendars_of
from calendar_app.services.bookings import create as booking_create
from calendar_app.services.bookings import queries as booking_queries
from calendar_app.services.bookings import reschedule as booking_reschedule
from calendar_app.services.bookings import transitions
from calendar_app.services.bookings import views as booking_views
from calendar_app.services.calendar_sync import push_channels
from calendar_app.services.calendar_sync import requests as sync_requests
from calendar_app.services.calendar_sync.run import Outcome
from calendar_app.services.calendar_writes import outbox as write_outbox
from calendar_app.services.common.permissions import Actor, Role
from calendar_app.services.connection_lifecycle import check as connection_check
from calendar_app.services.connection_lifecycle import disconnect as connection_disconnect
from calendar_app.services.connection_lifecycle.oauth import ConnectResult, finish, start
from calendar_app.services.connections import tokens as connection_tokens
from calendar_app.services.event_types import commands as event_type_commands
from calendar_app.services.external_changes import resolve as external_change_resolve
from calendar_app.settings import Settings
from tests.sandbox.microsoft.client import Json, Microsoft, ok, running_microsoft
from tests.support import factories
from tests.support.clock import Clock
from tests.support.databases import Database
from tests.support.mirrored import busy_spans
from tests.support.scheduling import GUEST, ZONE, carry_out, next_monday, writes

OWNER = "ada@contoso.example"
BROWSER = "browser"


@dataclass(frozen=True)
class Office:
    """A business of one person with an event type, whose mailbox is at the stand-in. Nothing is connected yet."""

    microsoft: Microsoft
    actor: Actor
    event_type: EventType

    @property
    def outlook(self) -> httpx.Client:
        """What the mailbox's owner does in Outlook."""
        token = self.microsoft.tokens(email=OWNER)["access_token"]
        return self.microsoft.graph(token, Prefer='outlook.timezone="UTC"')

    def consent(self, decision: str = "allow") -> dict[str, str]:
        url = start(self.actor, "microsoft", binding=BROWSER)
        asked = dict(parse_qsl(urlsplit(url).query))
        return self.microsoft.decide(decision, email=OWNER, **asked)

    def connect(self) -> ConnectResult:
        return self.finish(self.consent())

    def finish(self, answer: dict[str, str]) -> ConnectResult:
        """Any issuer will do: with tenant ``common`` it is that of whoever signs in."""
        return finish(
            bindings=[BROWSER],
            provider="microsoft",
            state=answer.get("state"),
            code=answer.get("code"),
            error=answer.get("error"),
            issuer="https://login.microsoftonline.com/72f988bf-86f1-41af-91ab-2d7cd011db47/v2.0",
        )

    def main_calendar(self) -> str:
        """Connects and reads; our id of the default calendar."""
        found = next(one.id for one in self.connect().calendars if one.is_primary)
        assert sync_requests.sync_calendar(found).outcome is Outcome.DONE
        return found

    def book(self, hour: int) -> booking_views.BookingView:
        name, email = GUEST
        when = next_monday().replace(hour=hour)
        return booking_create.create_booking(self.event_type.id, when, ZONE, name, email, {})

    def standing(self, title: str = "Intro call with Grace Hopper") -> list[Json]:
        """Events of that title in the mailbox's default calendar."""
        found = ok(self.outlook.get("me/calendar/events", params={"$top": "500"}))["value"]
        return [item for item in found if item["subject"] == title]


@pytest.fixture
def office(database: Database, configure: Callable[..., Settings]) -> Iterator[Office]:
    with running_microsoft(clock=Clock()) as microsoft:
        configure(**microsoft.sandbox.environment)
        person = factories.person(timezone=ZONE)
        place = factories.workspace(timezone=ZONE)
        factories.membership(person, place, Role.OWNER)
        factories.schedule(person, place)
        kind = factories.event_type(place, person, title="Intro call", durations=[30], step_minutes=30)
        yield Office(microsoft, factories.actor(person, place, Role.OWNER), kind)
        shared_client().close()
        shared_client.cache_clear()


def busy(calendar_id: str, start: datetime) -> list[Span]:
    """What the mirror says blocks the day around ``start``."""
    day = Span(instant(start) - 3600, instant(start) + 7200)
    with reading() as session:
        return busy_spans(session, calendar_id, day)


def write_of(booking_id: str) -> CalendarWrite:
    (row,) = writes(booking_id)
    return row


def _refresh_token(connection_id: str) -> str | None:
    with reading() as session:
        return session.get_one(Connection, connection_id).refresh_token


def test_the_life_of_a_connection(office: Office) -> None:
    """Consent, calendars, test, refresh with a rotating token, and an honest end: Microsoft cannot be told."""
    result = office.connect()
    assert (result.connection.account_email, result.missing_features) == (OWNER, ())
    primary = next(one for one in result.calendars if one.is_primary)
    assert (primary.receives_bookings, primary.checks_conflicts) == (True, True)
    assert primary.timezone == "Europe/Berlin"
    kept = {_refresh_token(result.connection.id)}
    for number in range(3):
        connection_tokens.refresh(result.connection.id)
        kept.add(_refresh_token(result.connection.id))
        assert len(kept) == number + 2
    assert connection_check.test(office.actor, result.connection.id).ok
    again = office.connect()
    assert again.connection.id == result.connection.id
    ended = connection_disconnect.disconnect(office.actor, result.connection.id)
    assert not ended.revoked
    assert "remove Almanac’s access yourself, at https://myapps.microsoft.com" in ended.message


def test_denied_consent_and_a_grant_taken_back(office: Office) -> None:
    """ "Cancel" on the consent page is understood; access that the owner ended later needs them again."""
    with pytest.raises(ConsentDenied):
        office.finish(office.consent("deny"))
    connection = office.connect().connection
    office.microsoft.stand_in.remove_access(OWNER)
    with pytest.raises(GrantRevoked):
        connection_tokens.call(connection.id, lambda api: api.list_calendars())
    with reading() as session:
        assert session.get_one(Connection, connection.id).status == "needs_reconnect"


def test_a_booking_is_written_echoed_and_taken_out(office: Office) -> None:
    """One event, verified by reading it; its echo blocks nothing twice; after the cancellation nothing is left."""
    calendar_id = office.main_calendar()
    booking = office.book(10)
    carry_out()
    row = write_of(booking.id)
    assert row.state == "verified"
    assert not is_write_key(row.remote_id)
    (event,) = office.standing()
    assert event["id"] == row.remote_id
    assert event["attendees"] == []
    assert GUEST[1] in event["body"]["content"]
    result = sync_requests.sync_calendar(calendar_id)
    assert (result.outcome, result.full, result.changed) == (Outcome.DONE, False, 1)
    with reading() as session:
        echo = session.exec(select(Event).where(Event.remote_id == row.remote_id)).one()
        assert echo.booking_id == booking.id
    assert busy(calendar_id, booking.start) == []
    transitions.cancel(office.actor, booking.id)
    carry_out()
    assert write_of(booking.id).state == "removed"
    assert office.standing() == []
    assert sync_requests.sync_calendar(calendar_id).removed == 1
    assert sync_requests.sync_calendar(calendar_id).changed == 0


def test_an_echo_that_comes_before_we_know_its_id(office: Office) -> None:
    """A worker died after the event was made: a sync reads it as anybody's, then the repetition finds and knows it."""
    calendar_id = office.main_calendar()
    booking = office.book(11)
    row = write_of(booking.id)
    claim = write_outbox._claim(row.id, datetime.now(UTC))
    assert isinstance(claim, write_outbox._Claim)
    write_outbox._carry_out(claim)  # and nobody recorded it
    sync_requests.sync_calendar(calendar_id)
    assert len(busy(calendar_id, booking.start)) == 1
    carry_out(now=datetime.now(UTC) + timedelta(minutes=5))
    assert write_of(booking.id).state == "verified"
    assert len(office.standing()) == 1
    assert busy(calendar_id, booking.start) == []


def test_a_cancelled_booking_whose_event_nobody_recorded(office: Office) -> None:
    """The event of a worker that died is found by our key and removed."""
    office.main_calendar()
    booking = office.book(11)
    claim = write_outbox._claim(write_of(booking.id).id, datetime.now(UTC))
    assert isinstance(claim, write_outbox._Claim)
    write_outbox._carry_out(claim)
    assert len(office.standing()) == 1
    transitions.cancel(office.actor, booking.id)
    carry_out(now=datetime.now(UTC) + timedelta(minutes=5))
    assert write_of(booking.id).state == "removed"
    assert office.standing() == []


def test_what_the_owner_wrote_into_our_event_stays(office: Office) -> None:
    """They renamed it, then the customer's time moved: the name is theirs, the time ours."""
    office.main_calendar()
    booking = office.book(10)
    carry_out()
    remote_id = write_of(booking.id).remote_id
    ok(office.outlook.patch(f"me/events/{remote_id}", json={"subject": "Grace!"}))
    later = booking.start + timedelta(hours=2)
    booking_reschedule.reschedule(office.actor, booking.id, later)
    carry_out()
    (event,) = office.standing("Grace!")
    assert event["id"] == remote_id
    assert event["start"]["dateTime"].startswith(f"{later.astimezone(UTC):%Y-%m-%dT%H:%M:%S}")


def test_what_exchange_rewrites_is_no_persons_edit(office: Office) -> None:
    """Links through Safe Links, a Teams block, another version after each write: our newer text is written all the
    same, once, beside the block without which the meeting would end; what a person wrote stays, over later writes."""
    office.microsoft.stand_in.rules.switch("rewrites", on=True)
    office.main_calendar()
    booking = office.book(10)
    carry_out()
    (event,) = office.standing()
    assert "safelinks.protection" in event["body"]["content"]
    with transaction() as session:
        row = session.get_one(Booking, booking.id)
        row.name, row.location = "Grace & <Hopper>", "Room 7"
        session.add(row)
    booking_reschedule.reschedule(office.actor, booking.id, booking.start + timedelta(hours=2))
    carry_out()
    (event,) = office.standing("Intro call with Grace & <Hopper>")
    content = event["body"]["content"]
    assert "Grace &amp; &lt;Hopper&gt;" in content
    assert content.count("Join the meeting now") == content.count("Time zone of the guest") == 1
    assert event["isOnlineMeeting"]
    assert event["location"]["displayName"].startswith("Room 7")
    ok(office.outlook.patch(f"me/events/{event['id']}", json={"subject": "Grace!"}))
    for hours in (3, 4):
        booking_reschedule.reschedule(office.actor, booking.id, booking.start + timedelta(hours=hours))
        carry_out()
    (event,) = office.standing("Grace!")
    assert event["body"]["content"] == content
    assert write_of(booking.id).state == "verified"


def _look_until_ready(booking_id: str) -> CalendarWrite:
    """Carry the booking's write out, and look for its meeting as often as it takes."""
    carry_out()
    for _ in range(6):
        row = write_of(booking_id)
        if row.meeting_state != "pending":
            break
        write_outbox.apply(row.id, now=row.next_attempt_at)
    return write_of(booking_id)


def test_a_teams_meeting_from_booking_to_cancellation(office: Office) -> None:
    """Made once although the first answer was lost, kept by a move that changes the text, through
    what Exchange does to the event, and ended with the booking. A second booking has a meeting of its own."""
    rules = office.microsoft.stand_in.rules
    rules.switch("teams_later", on=True)
    office.main_calendar()
    places = {"meeting_places": [{"kind": "microsoft_teams"}]}
    event_type_commands.update_event_type(office.actor, office.event_type.id, places)
    booking = office.book(10)
    claim = write_outbox._claim(write_of(booking.id).id, datetime.now(UTC))
    assert isinstance(claim, write_outbox._Claim)
    write_outbox._carry_out(claim)  # and nobody recorded it
    with transaction() as session:
        session.get_one(CalendarWrite, write_of(booking.id).id).lease_until = None
    assert _look_until_ready(booking.id).meeting_state == "ready"
    link = booking_queries.get(office.actor, booking.id).place.link
    assert link.startswith("https://teams.microsoft.com/l/meetup-join/")
    (event,) = office.standing()
    assert event["onlineMeeting"]["joinUrl"] == link
    rules.switch("rewrites", on=True)
    with transaction() as session:
        row = session.get_one(Booking, booking.id)
        row.notes = "Bring the plans"
        session.add(row)
    booking_reschedule.reschedule(office.actor, booking.id, booking.start + timedelta(hours=2))
    assert _look_until_ready(booking.id).meeting_state == "ready"
    (event,) = office.standing()
    assert (
        event["onlineMeeting"]["joinUrl"] == link == booking_queries.get(office.actor, booking.id).place.link
    )
    assert "Bring the plans" in event["body"]["content"]
    assert event["body"]["content"].count("Join the meeting now") == 1
    other = office.book(15)
    assert _look_until_ready(other.id).meeting_state == "ready"
    assert booking_queries.get(office.actor, other.id).place.link not in ("", link)
    for one in (booking, other):
        transitions.cancel(office.actor, one.id)
    carry_out()
    assert office.standing() == []


@pytest.mark.parametrize("rule", ["teams_fails", "teams_refused"])
def test_a_booking_stands_without_the_teams_meeting_that_is_refused(office: Office, rule: str) -> None:
    """Staff read why; Retry gets the link once Teams makes meetings again."""
    office.main_calendar()
    places = {"meeting_places": [{"kind": "microsoft_teams"}]}
    event_type_commands.update_event_type(office.actor, office.event_type.id, places)
    office.microsoft.stand_in.rules.switch(rule, on=True)
    booking = office.book(10)
    row = _look_until_ready(booking.id)
    assert (row.state, row.meeting_state) == ("verified", "failed")
    assert "Microsoft Teams" in booking_queries.get(office.actor, booking.id).meeting_error
    office.microsoft.stand_in.rules.switch(rule, on=False)
    transitions.retry_sync(office.actor, booking.id)
    assert _look_until_ready(booking.id).meeting_state == "ready"
    assert booking_queries.get(office.actor, booking.id).place.link
    assert len(office.standing()) == 1


def test_entity_tags_that_change_by_themselves_are_no_change(office: Office) -> None:
    """Nothing is asked, shown or doubled because of them; a moved booking moves, a cancelled one goes."""
    office.microsoft.stand_in.rules.switch("etags", on=True)
    calendar_id = office.main_calendar()
    booking = office.book(10)
    carry_out()
    assert sync_requests.sync_calendar(calendar_id).outcome is Outcome.DONE
    later = booking.start + timedelta(hours=2)
    booking_reschedule.reschedule(office.actor, booking.id, later)
    carry_out()
    assert sync_requests.sync_calendar(calendar_id).outcome is Outcome.DONE
    (event,) = office.standing()
    assert event["start"]["dateTime"].startswith(f"{later.astimezone(UTC):%Y-%m-%dT%H:%M:%S}")
    assert write_of(booking.id).state == "verified"
    with reading() as session:
        suspected = session.exec(select(Deviation.id)).all()
    assert {external_change_resolve.examine(one) for one in suspected} <= {
        "vanished"
    }  # the provider was asked: nothing is wrong
    with reading() as session:
        assert session.exec(select(Deviation).where(col(Deviation.resolved_at).is_(None))).all() == []
    transitions.cancel(office.actor, booking.id)
    carry_out()
    assert office.standing() == []


def test_the_last_look_before_a_booking(office: Office) -> None:
    """An event made since the last sync closes its time, in the calendar it stands in."""
    calendar_id = office.main_calendar()
    when = next_monday().replace(hour=13)
    ok(
        office.outlook.post("me/calendar/events", json=_body("Just now", when, when + timedelta(hours=1))),
        201,
    )
    with reading() as session:
        connection_id = session.get_one(Calendar, calendar_id).connection_id
        person_id = session.get_one(Connection, connection_id).person_id
        calendars = [one for one in calendars_of(session, [person_id], when) if one.id == calendar_id]
    for first, busy in ((600, {person_id}), (3600, set())):
        span = Span(instant(when) + first, instant(when) + first + 600)
        (seen,) = live_check.ask_providers([live_check.Question(calendars, span, {})], deadline=30)
        assert (seen.busy_hosts, seen.unread) == (busy, frozenset())


def test_pushes_are_believed_by_their_secret(office: Office) -> None:
    """A notification as the stand-in sends it queues a reading; a guessed secret is refused."""
    calendar_id = office.main_calendar()
    with reading() as session:
        calendar = session.get_one(Calendar, calendar_id)
    ends = datetime.now(UTC) + timedelta(days=2)
    factories.save(
        tables.Channel(
            id="c" * 26, calendar_id=calendar_id, secret="s3cret", resource_id="sub", expires_at=ends
        )
    )
    body = b'{"value":[{"subscriptionId":"sub","clientState":"%s","changeType":"updated"}]}'
    state = ("c" * 26).encode()
    assert push_channels.receive("microsoft", {}, {}, body % (state + b".s3cret")).news == 1
    with pytest.raises(errors.Forbidden):
        push_channels.receive("microsoft", {}, {}, body % (state + b".guess"))
    assert push_channels.receive("microsoft", {}, {"validationToken": "echo me"}, b"").echo == "echo me"
    connection_tokens.call(
        calendar.connection_id, lambda api: api.stop_channel(PushChannel("c", "unknown", ends))
    )


def test_a_mailbox_bears_four_requests_at_once(office: Office) -> None:
    """Twelve jobs want the same slow mailbox: all are served, and Graph never has to refuse one."""
    connection = office.connect().connection
    with reading() as session:
        remote_ids = [row.remote_id for row in session.exec(select(Calendar))]
    office.microsoft.stand_in.api.gate.latency = 0.03
    answers: list[int] = []
    shared_client().event_hooks["response"].append(lambda response: answers.append(response.status_code))
    span = Span(instant(datetime.now(UTC)), instant(datetime.now(UTC)) + 3600)
    work = partial(connection_tokens.call, connection.id, lambda api: api.freebusy(remote_ids, span))
    with ThreadPoolExecutor(12) as pool:
        found = [future.result(20) for future in [pool.submit(work) for _ in range(12)]]
    assert all(isinstance(spans, list) for answer in found for spans in answer.values())
    assert set(answers) == {200}
    assert len(answers) >= 12 * len(remote_ids)


@pytest.mark.parametrize("seed", range(3))
def test_the_mirror_shows_every_occurrence_once(office: Office, seed: int) -> None:
    """Whatever the owner does to events and series, after each reading the mirror blocks what Graph's own calendar
    view blocks: nothing is missing, nothing twice. Now and then a cursor is refused, or a whole day passes."""
    calendar_id = office.main_calendar()
    owner = Owner(office, random.Random(seed))
    for _ in range(6):
        for _ in range(3):
            owner.act()
        if owner.dice.random() < 0.2:
            office.microsoft.stand_in.expire_sync_tokens(None)
        assert sync_requests.sync_calendar(calendar_id).outcome is Outcome.DONE
        assert shown(calendar_id, owner.window) == owner.view()
    with transaction() as session:
        session.get_one(Calendar, calendar_id).sync_cursor = None
    assert sync_requests.sync_calendar(calendar_id).full
    assert shown(calendar_id, owner.window) == owner.view()


def test_a_daily_series_that_was_deleted_is_one_event(office: Office) -> None:
    """Hundreds of occurrences that a full listing lacks are no reason to doubt it: it was one deletion."""
    office.connect()
    start = office.microsoft.sandbox.clock.now.replace(hour=9, minute=0, second=0) + timedelta(days=1)
    recurrence = {
        "pattern": {"type": "daily", "interval": 1},
        "range": {"type": "noEnd", "startDate": f"{start:%Y-%m-%d}"},
    }
    body = _body("Standup", start, start + timedelta(minutes=15)) | {"recurrence": recurrence}
    series = ok(office.outlook.post("me/calendar/events", json=body), 201)["id"]
    calendar_id = office.main_calendar()
    assert busy(calendar_id, start + timedelta(days=399))
    ok(office.outlook.delete(f"me/events/{series}"), 204)
    office.microsoft.stand_in.expire_sync_tokens(None)
    result = sync_requests.sync_calendar(calendar_id)
    assert (result.full, result.kept) == (True, 0)
    assert busy(calendar_id, start) == []


def shown(calendar_id: str, window: Span) -> list[tuple[int, int, str]]:
    """Start, end and title of every busy occurrence of the mirror, in order, doubles included."""
    statement = (
        select(Occurrence.starts, Occurrence.ends, Event.summary)
        .join(Event, col(Event.id) == col(Occurrence.event_id))
        .where(Occurrence.calendar_id == calendar_id, col(Occurrence.busy))
        .where(Occurrence.starts >= window.start, Occurrence.ends <= window.end)
    )
    with reading() as session:
        return sorted((starts, ends, title) for starts, ends, title in session.exec(statement))


class Owner:
    """Somebody who works with their calendar in Outlook."""

    def __init__(self, office: Office, dice: random.Random) -> None:
        self.graph, self.dice = office.outlook, dice
        self.now = office.microsoft.sandbox.clock.now
        self.window = Span(instant(self.now), instant(self.now + timedelta(days=70)))
        self.count = 0

    def act(self) -> None:
        acts = [
            self.add,
            self.add_series,
            self.move,
            self.rename,
            self.delete,
            self.recolour,
            self.change_series,
        ]
        self.dice.choice(acts)()

    def add(self) -> None:
        ok(self.graph.post("me/calendar/events", json=self._new()), 201)

    def add_series(self) -> None:
        start = self._moment()
        kind = self.dice.choice(["daily", "weekly"])
        pattern: Json = {"type": kind, "interval": self.dice.randint(1, 3)}
        if kind == "weekly":
            pattern["daysOfWeek"] = [f"{start:%A}".lower()]
        bounds: Json = {"type": "noEnd", "startDate": f"{start:%Y-%m-%d}"}
        if self.dice.random() < 0.6:
            bounds |= {"type": "numbered", "numberOfOccurrences": self.dice.randint(2, 6)}
        recurrence = {"pattern": pattern, "range": bounds}
        ok(self.graph.post("me/calendar/events", json=self._new(start) | {"recurrence": recurrence}), 201)

    def move(self) -> None:
        if found := self._any():
            start = self._moment()
            self._patch(found["id"], _sides(start, start + timedelta(minutes=45)))

    def rename(self) -> None:
        if found := self._any():
            self.count += 1
            self._patch(found["id"], {"subject": f"Renamed {self.count}"})

    def recolour(self) -> None:
        if found := self._any():
            self._patch(found["id"], {"showAs": self.dice.choice(["free", "busy", "oof"])})

    def delete(self) -> None:
        if found := self._any():
            ok(self.graph.delete(f"me/events/{found['id']}"), 204)

    def change_series(self) -> None:
        """The whole of a series: renamed, shown as free, shortened, made a single event, or deleted."""
        masters = [item for item in self._listed() if item["recurrence"]]
        if not masters:
            return
        master = self.dice.choice(masters)
        choice = self.dice.randrange(3)
        if choice == 0:
            self.count += 1
            self._patch(master["id"], {"subject": f"Series {self.count}"})
        elif choice == 1:
            self._patch(master["id"], {"showAs": self.dice.choice(["free", "busy"])})
        elif choice == 2:
            bounds = master["recurrence"]["range"] | {"type": "numbered", "numberOfOccurrences": 2}
            self._patch(master["id"], {"recurrence": master["recurrence"] | {"range": bounds}})
        else:
            ok(self.graph.delete(f"me/events/{master['id']}"), 204)

    def view(self) -> list[tuple[int, int, str]]:
        """What Graph's calendar view says blocks the window."""
        return sorted(
            (_at(item["start"]), _at(item["end"]), item["subject"])
            for item in self._view()
            if item["showAs"] not in ("free", "workingElsewhere")
            and _at(item["start"]) >= self.window.start
            and _at(item["end"]) <= self.window.end
        )

    def _view(self) -> list[Json]:
        begin, end = (datetime.fromtimestamp(at, UTC) for at in self.window)
        bounds = {"startDateTime": f"{begin:%Y-%m-%dT%H:%M:%SZ}", "endDateTime": f"{end:%Y-%m-%dT%H:%M:%SZ}"}
        found: list[Json] = ok(self.graph.get("me/calendar/calendarView", params=bounds | {"$top": "1000"}))[
            "value"
        ]
        return found

    def _listed(self) -> list[Json]:
        found: list[Json] = ok(self.graph.get("me/calendar/events", params={"$top": "500"}))["value"]
        return found

    def _any(self) -> Json | None:
        """A timed event or occurrence in the window."""
        found = [item for item in self._view() if not item["isAllDay"]]
        return self.dice.choice(found) if found else None

    def _moment(self) -> datetime:
        return self.now.replace(minute=0, second=0) + timedelta(
            days=self.dice.randint(1, 50), hours=self.dice.randint(0, 23)
        )

    def _new(self, start: datetime | None = None) -> Json:
        start = start or self._moment()
        self.count += 1
        return _body(f"Event {self.count}", start, start + timedelta(minutes=30))

    def _patch(self, event_id: str, change: Json) -> None:
        answer = self.graph.patch(f"me/events/{event_id}", json=change)
        assert answer.status_code in (200, 400), (
            answer.text
        )  # 400: an occurrence may not cross its neighbours


def _sides(start: datetime, end: datetime) -> Json:
    return {
        side: {"dateTime": f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S}", "timeZone": "UTC"}
        for side, moment in (("start", start), ("end", end))
    }


def _body(title: str, start: datetime, end: datetime) -> Json:
    return {"subject": title, **_sides(start, end)}


def _at(side: dict[str, Any]) -> int:
    return int(datetime.fromisoformat(side["dateTime"]).replace(tzinfo=UTC).timestamp())
