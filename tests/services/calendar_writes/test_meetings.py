"""The online meeting of a booking: one calendar makes it, everybody learns its link, and it lives as its event does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import icalendar
import pytest
from sqlmodel import col, select

from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import Booking, Calendar, CalendarWrite, Connection, Mail
from calendar_app.domain.booking_form import GivenDetails
from calendar_app.domain.hosting import Hosting
from calendar_app.domain.meeting import MeetingState
from calendar_app.errors import InvalidRequest, ProviderUnavailable
from calendar_app.services.booking_emails.occasions import LINK_WAIT
from calendar_app.services.booking_emails.writer import BookingWriter
from calendar_app.services.bookings import ics, reschedule, transitions
from calendar_app.services.bookings import queries as booking_queries
from calendar_app.services.bookings.views import BookingView
from calendar_app.services.calendar_writes import meetings, planning
from calendar_app.services.calendar_writes import outbox as write_outbox
from calendar_app.services.common.permissions import Role
from calendar_app.services.event_types import commands
from tests.support import factories
from tests.support.databases import Database
from tests.support.fake_provider import FakeProvider
from tests.support.scheduling import Place, bookable, carry_out, ours, writes
from tests.support.sent_emails import send_due

MEET = {"kind": "google_meet"}
GRACE, GUEST = "grace@example.org", "guest@example.org"


@pytest.fixture
def fake(database: Database) -> Iterator[FakeProvider]:
    with FakeProvider().installed() as provider:
        yield provider


def meeting_at(place: Place, **fields: Any) -> Place:
    """Let the place's event type take place at Google Meet."""
    changes = {"meeting_places": [MEET], "form_parts": {"guests": "optional"}} | fields
    commands.update_event_type(place.owner, place.event_type.id, changes)
    return place


def told(made: BookingView) -> BookingView:
    """The booking as its customer sees it now."""
    return booking_queries.by_token(made.manage_token)


def makers(booking_id: str | None = None) -> list[CalendarWrite]:
    return [row for row in writes(booking_id) if row.meeting]


def emails(recipient: str, *, now: datetime | None = None) -> list[Mail]:
    """What the recipient has been sent by ``now``, in order."""
    send_due(now=now or datetime.now(UTC))
    with reading() as session:
        sent = select(Mail).where(Mail.recipient == recipient, Mail.state == "sent").order_by(col(Mail.id))
        return list(session.exec(sent))


def look_again(now: datetime) -> None:
    """A worker's next look at events whose meeting is still being made."""
    for row in makers():
        write_outbox.apply(row.id, now=now)


def vevent(mail: Mail) -> icalendar.Event:
    (event,) = icalendar.Calendar.from_ical(mail.ics).walk("VEVENT")
    return event


def test_the_link_is_told_wherever_the_booking_is(fake: FakeProvider) -> None:
    """On the page, in the e-mails, in the file; before it is there the page says that it follows, and e-mails wait."""
    place = meeting_at(bookable(fake))
    made = place.book(place.at(10), given=GivenDetails(guests=[GUEST]))
    assert (made.place.kind, made.place.link, made.link_follows) == ("google_meet", "", True)
    assert "follows by e-mail" in ics.ics(told(made), Role.CUSTOMER).decode().replace("\r\n ", "")
    assert emails(GRACE) == []
    carry_out()
    link = told(made).place.link
    assert link.startswith("https://meet.fake.example/")
    assert not told(made).link_follows
    for recipient in (GRACE, GUEST, place.people[0].email):
        (mail,) = emails(recipient)
        assert link in mail.body
    event = vevent(emails(GRACE)[0])
    assert (str(event["location"]), str(event["conference"]), int(event["sequence"])) == (link, link, 0)
    assert link in ics.ics(told(made), Role.CUSTOMER).decode().replace("\r\n ", "")
    assert fake.count("put_event") == 1, "the calendar that makes the meeting was written once more"
    carry_out()
    assert len(emails(GRACE)) == 1


def test_an_e_mail_waits_no_longer_than_a_minute(fake: FakeProvider) -> None:
    """Then it goes out without the link, which follows in another, with a higher SEQUENCE; the reminder has it too."""
    place = meeting_at(bookable(fake, reminders=[60]))
    fake.meetings = MeetingState.PENDING
    made = place.book(place.at(10), given=GivenDetails(guests=[GUEST]))
    now = datetime.now(UTC)
    carry_out(now=now)
    assert emails(GRACE, now=now + LINK_WAIT - timedelta(seconds=2)) == []
    late = now + LINK_WAIT + timedelta(seconds=1)
    (first,) = emails(GRACE, now=late)
    assert "Google Meet" in first.body
    assert "The link follows by e-mail." in first.body
    assert "location" not in vevent(first)
    fake.meetings = MeetingState.READY
    fake.make_meetings()
    look_again(late + timedelta(minutes=2))
    link = told(made).place.link
    for recipient in (GRACE, GUEST):
        mails = emails(recipient, now=late + timedelta(minutes=2))
        assert len(mails) == 2
        assert mails[1].subject.startswith("Link to join:")
        assert link in mails[1].body
        assert str(vevent(mails[1])["conference"]) == link
        assert vevent(mails[1])["sequence"] > vevent(mails[0])["sequence"]
        assert vevent(mails[1])["uid"] == vevent(mails[0])["uid"]
    host = emails(place.people[0].email, now=late + timedelta(minutes=2))
    assert len(host) == 1, "a host whose calendar shows the meeting is not written to again"
    writer = BookingWriter()
    with reading() as session:
        (reminder,) = session.exec(select(Mail).where(Mail.kind == "reminder"))
        assert writer.choose(session, reminder) is not None
        assert link in writer.write(session, reminder, late).body
    look_again(late + timedelta(hours=3))
    assert len(emails(GRACE, now=late + timedelta(hours=3))) == 2


def test_looks_grow_rarer_and_end(fake: FakeProvider) -> None:
    """A link that is late is looked for every few seconds at first, then every few minutes, for an hour; a sweep finds
    such rows where the queue was lost. Then staff are told; the booking stands."""
    place = meeting_at(bookable(fake))
    fake.meetings = MeetingState.PENDING
    made = place.book(place.at(10))
    begin = now = datetime.now(UTC)
    carry_out(now=now)
    pauses = []
    while (row := makers()[0]).meeting_state == "pending":
        assert row.next_attempt_at is not None
        pauses.append((row.next_attempt_at - now).total_seconds())
        assert write_outbox.sweep(row.next_attempt_at - timedelta(seconds=1)) == 0
        now = row.next_attempt_at
        assert write_outbox.sweep(now) == 1
        write_outbox.apply(row.id, now=now)
    assert pauses[0] <= 3
    assert max(pauses) <= 301
    assert len(pauses) < 50
    assert meetings.PATIENCE <= now - begin < meetings.PATIENCE + timedelta(minutes=6)
    assert write_outbox.sweep(now + timedelta(days=1)) == 0
    seen = booking_queries.get(place.owner, made.id)
    assert (seen.status, seen.sync[0].state) == ("confirmed", "verified")
    assert "no link within an hour" in seen.meeting_error
    assert told(made).meeting_error == ""


@pytest.mark.parametrize("late", [False, True])
def test_hosts_are_told_where_there_is_no_link(fake: FakeProvider, late: bool) -> None:
    """In the e-mail about the booking, or in one of its own where that is out; Retry asks for a meeting once more."""
    place = meeting_at(bookable(fake))
    fake.meetings = MeetingState.FAILED
    made = place.book(place.at(10))
    now = datetime.now(UTC)
    host = place.people[0].email
    if late:
        now += LINK_WAIT
        assert len(emails(host, now=now)) == 1
    carry_out(now=now)
    mails = emails(host, now=now)
    assert len(mails) == 1 + late
    assert "No link could be made" in mails[-1].body
    assert mails[-1].subject.startswith("No link to join" if late else "New booking")
    (customer,) = emails(GRACE, now=now)
    assert "No link could be made" not in customer.body
    assert "Google Meet made no link" in booking_queries.get(place.owner, made.id).meeting_error
    assert "follows by e-mail" in customer.body
    assert told(made).status == "confirmed"
    assert booking_queries.count_given_up(place.owner) == 1
    fake.meetings = MeetingState.READY
    transitions.retry_sync(place.owner, made.id)
    carry_out()
    seen = booking_queries.get(place.owner, made.id)
    assert seen.place.link
    assert (seen.meeting_error, booking_queries.count_given_up(place.owner)) == ("", 0)
    assert seen.place.link in emails(GRACE, now=now + timedelta(hours=1))[-1].body


def test_nothing_is_made_or_told_before_approval(fake: FakeProvider) -> None:
    """The meeting is made once the booking stands; a move keeps it and cancelling ends it."""
    place = meeting_at(bookable(fake, requires_approval=True))
    made = place.book(place.at(10))
    assert (made.status, made.link_follows, writes()) == ("pending", False, [])
    carry_out()
    assert len(emails(GRACE)) == 1
    transitions.confirm(place.owner, made.id)
    assert len(emails(GRACE)) == 1
    carry_out()
    link = told(made).place.link
    assert link in emails(GRACE)[-1].body
    moved = reschedule.reschedule(place.owner, made.id, place.at(11))
    assert moved.place.link == link
    assert link in emails(GRACE)[-1].body, "the e-mail of a move has nothing to wait for"
    carry_out()
    assert told(made).place.link == link
    assert ours(fake, place.calendars)[made.id].meeting is not None
    transitions.cancel(place.owner, made.id)
    assert booking_queries.get(place.owner, made.id).place.link == told(made).place.link == ""
    carry_out()
    assert fake.standing(place.calendars[0].remote_id) == []
    assert makers() == []
    assert link not in emails(GRACE)[-1].body


def test_a_move_that_waits_for_approval_ends_the_meeting(fake: FakeProvider) -> None:
    """Its event is taken out meanwhile; approved, it has a new link, which is told instead of the old one."""
    place = meeting_at(bookable(fake, requires_approval=True))
    made = place.book(place.at(10))
    transitions.confirm(place.owner, made.id)
    carry_out()
    old = told(made).place.link
    assert reschedule.reschedule_by_token(made.manage_token, place.at(11)).status == "pending"
    carry_out()
    assert told(made).place.where == ""
    transitions.confirm(place.owner, made.id)
    assert old not in "".join(mail.body for mail in emails(GRACE)[-1:])
    carry_out()
    new = told(made).place.link
    assert new not in ("", old)
    assert new in emails(GRACE)[-1].body


def _second_calendar(fake: FakeProvider, place: Place, **columns: Any) -> Calendar:
    """Another calendar of the first host's account that receives bookings."""
    account = next(iter(fake.accounts.values()))
    remote_id = f"second@{account.email}"
    account.add_calendar(remote_id)
    with reading() as session:
        first = session.get_one(Calendar, place.calendars[0].id)
    options = {"remote_id": remote_id, "receives_bookings": True, "checks_conflicts": False}
    with reading() as session:
        connection = session.get_one(Connection, first.connection_id)
    return factories.calendar(connection, **(options | columns))


def test_one_of_two_calendars_makes_it(fake: FakeProvider) -> None:
    """The other carries the link, whichever of them is written first; a calendar that cannot is never asked."""
    place = bookable(fake)
    second = _second_calendar(fake, place, meeting_kinds=[])
    meeting_at(place)
    made = place.book(place.at(10))
    (maker,) = makers()
    assert maker.calendar_id == place.calendars[0].id
    for row in sorted(writes(), key=lambda row: bool(row.meeting)):
        write_outbox.apply(row.id)
    carry_out()
    link = told(made).place.link
    (first,) = fake.standing(place.calendars[0].remote_id)
    (other,) = fake.standing(second.remote_id)
    assert first.meeting is not None
    assert (first.meeting.link, first.location) == (link, "")
    assert (other.meeting, other.location) == (None, link)


def test_another_calendar_takes_over(fake: FakeProvider) -> None:
    """Where the first one's host is not among the hosts any more, or its account is left: a new link, which is told."""
    place = meeting_at(bookable(fake, hosts=2, hosting=Hosting.COLLECTIVE))
    made = place.book(place.at(10))
    carry_out()
    old = told(made).place.link
    assert len(emails(GRACE)) == 1
    (maker,) = makers()
    with transaction() as session:
        gone = session.get_one(Calendar, maker.calendar_id).connection_id
        planning.plan(session, session.get_one(Booking, made.id), leaving=gone)
    assert told(made).link_follows
    carry_out()
    (new,) = makers()
    assert new.calendar_id != maker.calendar_id
    link = told(made).place.link
    assert link not in ("", old)
    assert link in emails(GRACE)[-1].body
    assert len(emails(GRACE)) == 2
    standing = [event for one in place.calendars for event in fake.standing(one.remote_id)]
    assert [event.meeting and event.meeting.link for event in standing] == [link]


def test_a_collective_has_one_meeting(fake: FakeProvider) -> None:
    """One host's calendar makes it, the others' carry the link."""
    place = meeting_at(bookable(fake, hosts=3, hosting=Hosting.COLLECTIVE))
    made = place.book(place.at(10))
    carry_out()
    link = told(made).place.link
    events = [event for one in place.calendars for event in fake.standing(one.remote_id)]
    assert sorted(event.location for event in events) == ["", link, link]
    assert [event.meeting.link for event in events if event.meeting] == [link]


def test_a_round_robin_has_the_meeting_of_its_host(fake: FakeProvider) -> None:
    """Whoever takes the booking has the calendar that makes it, each booking a link of its own."""
    place = meeting_at(bookable(fake, hosts=2, hosting=Hosting.ROUND_ROBIN))
    made = [place.book(place.at(hour)) for hour in (10, 10, 11)]
    carry_out()
    assert len({told(one).place.link for one in made} - {""}) == 3
    assert len(makers()) == 3


def test_a_group_meets_in_one_meeting(fake: FakeProvider) -> None:
    """One of its bookings makes it; when that one leaves, another does, and whoever stays is told the new link."""
    place = meeting_at(bookable(fake, seats=3))
    people = ["a@example.org", "b@example.org", "c@example.org"]
    made = [place.book(place.at(10), guest=("Somebody", email)) for email in people[:2]]
    assert len(makers()) == 1
    carry_out()
    links = {told(one).place.link for one in made}
    assert len(links) == 1
    made.append(place.book(place.at(10), guest=("Somebody", people[2])))
    assert {told(made[2]).place.link} == links, "who comes later has the link at once"
    carry_out()
    (mail,) = emails(people[2])
    assert links < set(mail.body.split())
    assert len([event for event in fake.standing(place.calendars[0].remote_id) if event.meeting]) == 1
    first = next(one for one in made if one.id == makers()[0].booking_id)
    stay = [one for one in made if one is not first]
    transitions.cancel(place.owner, first.id)
    carry_out()
    new = {told(one).place.link for one in stay}
    assert len(new) == 1
    assert new.isdisjoint(links | {""})
    for one in stay:
        last = emails(one.email)[-1]
        assert last.subject.startswith("Link to join")
        assert new < set(last.body.split())
    assert all(mail.subject.startswith("Link") is False for mail in emails(first.email))
    moved = reschedule.reschedule(
        place.owner, next(o.id for o in stay if o.id == makers()[0].booking_id), place.at(11)
    )
    left = next(one for one in stay if one.id != moved.id)
    carry_out()
    assert told(moved).place.link == next(iter(new)), "a meeting moves with its event"
    assert told(left).place.link not in ("", *new)
    assert len(makers()) == 2
    reschedule.reschedule(place.owner, moved.id, place.at(10))
    carry_out()
    assert told(moved).place.link == told(left).place.link
    assert len(makers()) == 1


def test_a_group_meets_in_one_room_at_jitsi(fake: FakeProvider) -> None:
    """Three seats of one time are not in three rooms."""
    place = bookable(fake, seats=3)
    commands.update_event_type(place.owner, place.event_type.id, {"meeting_places": [{"kind": "jitsi"}]})
    made = [place.book(place.at(10)) for _ in range(3)]
    other = place.book(place.at(11))
    assert len({told(one).place.link for one in made}) == 1
    assert told(other).place.link != told(made[0]).place.link
    transitions.cancel(place.owner, made[0].id)
    moved = reschedule.reschedule(place.owner, other.id, place.at(10))
    assert moved.place.link == told(made[1]).place.link


def test_a_lost_answer_makes_no_second_meeting(fake: FakeProvider) -> None:
    """The event was made with its meeting, and nobody heard of it: the repeat finds both."""
    place = meeting_at(bookable(fake))
    made = place.book(place.at(10))
    fake.fail("after_put", ProviderUnavailable("gone"))
    carry_out(rounds=1)
    (event,) = fake.standing(place.calendars[0].remote_id)
    assert event.meeting is not None
    assert told(made).place.link == ""
    carry_out()
    assert told(made).place.link == event.meeting.link
    assert len(fake.standing(place.calendars[0].remote_id)) == 1


def test_a_calendar_that_does_not_take_the_booking_makes_no_meeting(fake: FakeProvider) -> None:
    """Hosts read why; once the calendar takes it, everybody learns the link."""
    place = meeting_at(bookable(fake))
    made = place.book(place.at(10))
    fake.fail("put_event", InvalidRequest("The calendar refuses."))
    carry_out(rounds=1)
    assert "The calendar refuses." in booking_queries.get(place.owner, made.id).meeting_error
    assert "No link could be made" in emails(place.people[0].email)[0].body
    transitions.retry_sync(place.owner, made.id)
    carry_out()
    assert told(made).place.link
    assert told(made).place.link in emails(GRACE, now=datetime.now(UTC) + LINK_WAIT)[-1].body


def test_a_calendar_that_cannot_be_written_is_not_chosen(fake: FakeProvider) -> None:
    """Of two hosts the one whose account is fine makes the meeting; without any the e-mails do not wait."""
    place = meeting_at(bookable(fake, hosts=2, hosting=Hosting.COLLECTIVE))
    with transaction() as session:
        lost = session.get_one(Calendar, min(one.id for one in place.calendars))
        lost.write_lost_at = datetime.now(UTC)
        session.add(lost)
    place.book(place.at(10))
    assert makers()[0].calendar_id != lost.id
    with transaction() as session:
        for one in session.exec(select(Calendar)):
            one.meeting_kinds = []
            session.add(one)
    made = place.book(place.at(11), guest=("Ada", "ada@example.org"))
    (mail,) = emails("ada@example.org")
    assert "follows by e-mail" in mail.body
    assert "None of the hosts’ calendars" in booking_queries.get(place.owner, made.id).meeting_error
    (host,) = [one for one in emails(place.people[0].email) if "Ada" in one.body]
    assert "No link could be made" in host.body
    with transaction() as session:
        for one in session.exec(select(Calendar)):
            one.meeting_kinds, one.write_lost_at = ["google_meet"], None
            session.add(one)
    transitions.retry_sync(place.owner, made.id)
    carry_out()
    assert told(made).place.link


def test_a_link_that_changes_is_told(fake: FakeProvider) -> None:
    """Its owner took the meeting out of the event: the next write has another made, and nobody waits at the old one."""
    place = meeting_at(bookable(fake))
    made = place.book(place.at(10))
    carry_out()
    old = told(made).place.link
    assert len(emails(GRACE)) == 1
    (event,) = fake.standing(place.calendars[0].remote_id)
    fake.change(place.calendars[0].remote_id, replace(event, meeting=None))
    reschedule.reschedule(place.owner, made.id, place.at(11))
    carry_out()
    new = told(made).place.link
    assert new not in ("", old)
    assert new in emails(GRACE)[-1].body


def test_nobody_is_told_of_a_meeting_that_is_over(fake: FakeProvider) -> None:
    """A link that comes, or fails to come, after the booking's end is kept, and no e-mail goes out."""
    place = meeting_at(bookable(fake))
    fake.meetings = MeetingState.PENDING
    made = place.book(place.at(10))
    after = place.at(10) + timedelta(minutes=31)
    carry_out(now=after)
    sent = len(emails(GRACE, now=after))
    fake.meetings = MeetingState.READY
    fake.make_meetings()
    look_again(after + timedelta(minutes=1))
    assert told(made).place.link
    assert len(emails(GRACE, now=after + timedelta(minutes=2))) == sent == 1
