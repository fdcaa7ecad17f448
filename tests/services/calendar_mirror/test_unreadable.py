"""What of a calendar could not be read: kept beside the calendar and its events, shown, and told by email once."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlmodel import col, select

from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import Calendar, Mail
from calendar_app.domain.event import CalendarEvent, EventTime, ShowAs
from calendar_app.domain.unread import MOST_WHAT, MOST_WHY, Unread, event_name, one_line
from calendar_app.services.calendar_mirror import mirror, unreadable
from calendar_app.services.calendar_sync import requests as sync_requests
from calendar_app.services.connections import calendars
from tests.services.calendar_sync.test_run import MAIN
from tests.support import factories
from tests.support.databases import Database
from tests.support.factories import Team
from tests.support.fake_provider import FakeProvider
from tests.support.scheduling import bearer

NOON = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) + timedelta(days=3)
RULE, ZONE = "Its repetition cannot be followed.", Unread("Time zone “Mars”", "It is not known here.")


@pytest.fixture
def fake(database: Database) -> Any:
    """A provider that knows Ada's calendar."""
    provider = FakeProvider(page_size=3)
    provider.account("ada@example.com")
    with provider.installed():
        yield provider


@pytest.fixture
def team(fake: FakeProvider) -> Team:
    """A team whose calendar is Ada's at the provider."""
    grant = fake.grant(next(iter(fake.accounts.values())))
    made = factories.team(access_token=grant.access_token, refresh_token=grant.refresh_token)
    with transaction() as session:
        session.get_one(Calendar, made.calendar.id).remote_id = MAIN
    return made


def odd(remote_id: str, why: str = RULE, **parts: Any) -> CalendarEvent:
    """An event of which something was not understood."""
    start = EventTime(NOON.replace(tzinfo=None), "UTC")
    end = EventTime((NOON + timedelta(hours=1)).replace(tzinfo=None), "UTC")
    return CalendarEvent(remote_id, start=start, end=end, summary=remote_id.title(), unread=(why,), **parts)


def said(team: Team) -> list[tuple[str, str]]:
    view = calendars.get_calendar(team.actor, team.calendar.id)
    return [(one.what, one.why) for one in view.unread]


def named(remote_id: str) -> str:
    return event_name(remote_id.title(), NOON)


def mails(team: Team) -> list[Mail]:
    with reading() as session:
        found = session.exec(select(Mail).where(Mail.kind == "calendar_unread").order_by(col(Mail.id)))
        return list(found)


def days_pass(team: Team, days: int = 2) -> None:
    """The last email of the calendar was so long ago."""
    with transaction() as session:
        row = session.get_one(Calendar, team.calendar.id)
        row.unread_told = {**row.unread_told, "at": (datetime.now(UTC) - timedelta(days=days)).isoformat()}


def test_notes_of_events_stay_until_those_are_mended_or_gone(fake: FakeProvider, team: Team) -> None:
    """A listing of changes keeps the notes of what it does not touch."""
    for remote_id in ("choir", "swim", "chess"):
        fake.change(MAIN, odd(remote_id))
    sync_requests.sync_calendar(team.calendar.id)
    assert said(team) == [(named(one), RULE) for one in ("choir", "swim", "chess")]
    fake.change(MAIN, replace(odd("choir"), unread=()))
    fake.remove(MAIN, "swim")
    fake.change(MAIN, odd("lunch", "Its end cannot be read."))
    assert not sync_requests.sync_calendar(team.calendar.id).full
    assert said(team) == [(named("chess"), RULE), (named("lunch"), "Its end cannot be read.")]
    fake.expire_cursors(MAIN)
    assert sync_requests.sync_calendar(team.calendar.id).full
    assert len(said(team)) == 2


def test_notes_of_a_listing_are_the_last_full_ones_and_what_came_since(
    fake: FakeProvider, team: Team
) -> None:
    """What belongs to no event is added by listings of changes and replaced by a full one."""
    fake.calendar(MAIN).unread = (ZONE,)
    sync_requests.sync_calendar(team.calendar.id)
    fake.calendar(MAIN).unread = (Unread("A part", "It has no time."),)
    sync_requests.sync_calendar(team.calendar.id)
    assert [what for what, _ in said(team)] == [ZONE.what, "A part"]
    fake.calendar(MAIN).unread = ()
    sync_requests.sync_calendar(team.calendar.id)
    assert len(said(team)) == 2
    fake.expire_cursors(MAIN)
    sync_requests.sync_calendar(team.calendar.id)
    assert said(team) == []


def test_an_event_without_any_time_stands_and_is_named(fake: FakeProvider, team: Team) -> None:
    """It blocks nothing, because nobody knows when; its calendar says so until it is mended."""
    fake.change(MAIN, replace(odd("choir", "Its time cannot be read."), start=None, end=None))
    sync_requests.sync_calendar(team.calendar.id)
    assert said(team) == [("“Choir”", "Its time cannot be read.")]
    fake.change(MAIN, replace(odd("choir"), unread=()))
    sync_requests.sync_calendar(team.calendar.id)
    assert said(team) == []


def test_what_does_not_count_is_not_told(fake: FakeProvider, team: Team) -> None:
    """Of an event that is shown as free nothing depends on what could not be read."""
    fake.change(MAIN, odd("choir", show_as=ShowAs.FREE))
    sync_requests.sync_calendar(team.calendar.id)
    assert said(team) == []


def test_the_owner_is_emailed_once_for_each_thing(fake: FakeProvider, team: Team) -> None:
    """Not again for the same things, nor after they went and came back; new ones go out once a day at most."""
    fake.change(MAIN, odd("choir"))
    fake.calendar(MAIN).unread = (ZONE,)
    sync_requests.sync_calendar(team.calendar.id)
    (first,) = mails(team)
    assert first.recipient == team.person.email
    for text in (named("choir"), RULE, ZONE.what, "/settings/calendars", "“Main”"):
        assert text in first.body
    fake.change(MAIN, odd("swim"))
    sync_requests.sync_calendar(team.calendar.id)
    assert len(mails(team)) == 1
    days_pass(team)
    sync_requests.sync_calendar(team.calendar.id)
    _, second = mails(team)
    assert named("swim") in second.body
    assert named("choir") not in second.body
    days_pass(team)
    fake.remove(MAIN, "choir")
    sync_requests.sync_calendar(team.calendar.id)
    fake.change(MAIN, odd("choir"))
    fake.expire_cursors(MAIN)
    sync_requests.sync_calendar(team.calendar.id)
    assert len(mails(team)) == 2


def test_notes_are_bounded_and_say_how_many_there_are(fake: FakeProvider, team: Team) -> None:
    """The first are named and all are counted, on the page and in the email, whatever a stranger wrote."""
    for number in range(120):
        fake.change(MAIN, odd(f"n{number}", f"Why {number}. " + "x" * 900))
    fake.calendar(MAIN).unread = tuple(Unread(f"Part {number}", "y" * 900) for number in range(500))
    sync_requests.sync_calendar(team.calendar.id)
    view = calendars.get_calendar(team.actor, team.calendar.id)
    assert len(view.unread) == unreadable.MOST
    assert view.unread_count >= 120
    assert all(len(one.what) <= MOST_WHAT and len(one.why) <= MOST_WHY for one in view.unread)
    (mail,) = mails(team)
    assert mail.body.count("\n- ") == 20
    assert f"and {view.unread_count - 20:,} more." in mail.body


def test_strangers_words_are_inert(fake: FakeProvider, team: Team) -> None:
    """Line breaks, unseen characters and links of a title neither forge an email's lines nor lead anywhere."""
    title = "Free\r\n\r\nClick https://evil.example/x \u202etxt.exe\x00 <b>now</b>"
    fake.change(MAIN, replace(odd("choir"), summary=title))
    sync_requests.sync_calendar(team.calendar.id)
    ((what, _),) = said(team)
    assert what == f"“Free Click https://evil.example/x txt.exe <b>now</b>”, {NOON.day} {NOON:%B %Y}"
    (mail,) = mails(team)
    assert "https://evil" not in mail.body
    assert "\u202e" not in mail.body
    assert "\n\nClick" not in mail.body


def test_notes_follow_the_window(fake: FakeProvider, team: Team) -> None:
    """The nightly extension of the window takes notes of events away that have passed, and no others."""
    fake.change(MAIN, odd("choir"))
    fake.change(MAIN, replace(odd("swim"), start=None, end=None))
    sync_requests.sync_calendar(team.calendar.id)
    assert len(said(team)) == 2
    mirror.extend_all_windows(NOON + timedelta(days=100))
    assert said(team) == [("“Swim”", RULE)]


def test_the_notes_over_http(api: httpx.Client, fake: FakeProvider, team: Team) -> None:
    """``GET /calendars/{id}`` and the list name what and why, and how many there are."""
    fake.change(MAIN, odd("choir"))
    sync_requests.sync_calendar(team.calendar.id)
    head = bearer(team.person)
    shown = api.get(f"/api/v1/calendars/{team.calendar.id}", headers=head).json()
    assert shown["unread"] == [{"what": named("choir"), "why": RULE}]
    assert shown["unread_count"] == 1
    (listed,) = api.get("/api/v1/calendars", headers=head).json()["items"]
    assert listed["unread"] == shown["unread"]


@pytest.mark.parametrize(
    ("text", "most", "line"),
    [
        ("a\n\tb\x00c", 10, "a b c"),
        ("abcdef", 4, "abc…"),
        ("\u202e\ud800", 9, ""),
        ("ab cd", 4, "ab…"),
    ],
)
def test_a_text_on_one_line(text: str, most: int, line: str) -> None:
    """Whatever a stranger wrote fits on a line and holds nothing unseen."""
    assert one_line(text, most) == line


def test_an_event_without_a_title_has_a_name() -> None:
    """It is known by its day, or not even by that."""
    assert event_name(" \u200b", NOON) == f"An event without a title, {NOON.day} {NOON:%B %Y}"
    assert event_name("Choir", None) == "“Choir”"
