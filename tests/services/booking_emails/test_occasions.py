"""Who hears what when a booking changes, and what their calendars are told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import icalendar
import pytest
from redis import Redis
from sqlmodel import col, select, update

from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import Booking, Calendar, Connection, EventType, Mail, Person, Workspace
from calendar_app.errors import GrantRevoked, SlotUnavailable
from calendar_app.services.booking_emails import occasions as booking_emails
from calendar_app.services.booking_emails.writer import BookingWriter
from calendar_app.services.bookings import create as booking_create
from calendar_app.services.bookings import reschedule as booking_reschedule
from calendar_app.services.bookings import transitions
from calendar_app.services.common.permissions import Role
from calendar_app.services.connections import tokens as connection_tokens
from calendar_app.services.mail import outbox as mail_outbox
from tests.support import factories
from tests.support.fake_provider import FakeProvider
from tests.support.mail_server import mail_server
from tests.support.scheduling import GUEST, Place, bookable
from tests.support.sent_emails import send_due

pytestmark = pytest.mark.usefixtures("database")
GRACE = GUEST[1]


@dataclass(frozen=True)
class Invitation:
    """What an .ics says."""

    method: str
    status: str
    sequence: int
    uid: str
    start: datetime
    organizer: str
    attendees: list[str]


class Post:
    """The letters sent since it was last asked, with what they said; reminders as soon as they are queued."""

    def __init__(self) -> None:
        self._seen: set[str] = set()

    def new(self) -> dict[str, Mail]:
        """By kind and recipient's local part; reminders by their time."""
        send_due()
        with reading() as session:
            told = select(Mail).where(Mail.state != mail_outbox.DROPPED).order_by(col(Mail.id))
            rows = [row for row in session.exec(told) if row.id not in self._seen]
        self._seen |= {row.id for row in rows}
        named = {
            row.kind if row.kind == mail_outbox.REMINDER else f"{row.kind} {row.recipient.split('@')[0]}": row
            for row in rows
        }
        assert len(named) == len(rows)
        return named


def _invitation(row: Mail) -> Invitation | None:
    if not row.ics:
        assert not row.ics_method
        return None
    calendar = icalendar.Calendar.from_ical(row.ics)
    (event,) = calendar.walk("VEVENT")
    assert calendar["method"] == row.ics_method
    attendees = event["attendee"] if isinstance(event["attendee"], list) else [event["attendee"]]
    return Invitation(
        row.ics_method,
        str(event["status"]),
        int(event["sequence"]),
        str(event["uid"]),
        event.decoded("dtstart"),
        str(event["organizer"]).removeprefix("mailto:"),
        [str(person).removeprefix("mailto:") for person in attendees],
    )


def _said(row: Mail) -> tuple[str, str, int] | None:
    found = _invitation(row)
    return (found.method, found.status, found.sequence) if found else None


def _change(table: Any, **values: Any) -> None:
    with transaction() as session:
        session.execute(update(table).values(**values))


def _host(place: Place) -> str:
    return place.people[0].email.split("@")[0]


def test_a_booking_is_confirmed_to_both(fake: FakeProvider) -> None:
    """The customer gets the invitation and the manage link; the host, whose calendar is written, only words."""
    place, post = bookable(fake, location="Room 1", cancel_notice=120), Post()
    made = place.book(place.at(10))
    letters = post.new()
    host = _host(place)
    assert set(letters) == {"customer_confirmed grace", f"host_confirmed {host}"}
    to_guest, to_host = letters["customer_confirmed grace"], letters[f"host_confirmed {host}"]
    with reading() as session:
        uid = session.get_one(Booking, made.id).uid
    assert _invitation(to_guest) == Invitation(
        "REQUEST", "CONFIRMED", 0, uid, place.at(10), place.people[0].email, [GRACE, place.people[0].email]
    )
    assert to_host.ics == ""
    assert (to_guest.reply_to, to_host.reply_to) == (place.people[0].email, GRACE)
    day = f"{place.at(10):%A}, {place.at(10).day} {place.at(10):%B %Y}"
    for line in (
        "Hello Grace Hopper,",
        f"Your booking with {place.workspace.name} is confirmed.",
        "What:  Intro call",
        f"When:  {day}, 10:00 – 10:30",
        "       Berlin, Germany (GMT+1)",
        "Where: Room 1",
        f"With:  {place.people[0].name}",
        f"You can move or cancel it until {day}, 08:00.",
        f"Move: {made.manage_url}/move",
        f"Cancel: {made.manage_url}/cancel",
        made.manage_url,
        f"Calendar file (.ics): {made.manage_url}/booking.ics",
    ):
        assert line in to_guest.body.splitlines()
    assert made.manage_token not in to_host.body
    assert "Who:   Grace Hopper <grace@example.org>" in to_host.body.splitlines()
    assert f"/bookings?booking={made.id}" in to_host.body


def test_everybody_reads_their_own_zone(fake: FakeProvider) -> None:
    """The customer's letter is in the customer's zone, the host's in the host's, which also names the customer's."""
    place, post = bookable(fake), Post()
    booking_create.create_booking(place.event_type.id, place.at(10), "America/New_York", *GUEST)
    letters = post.new()
    there = f"4:00 AM – 4:30 AM\n{' ' * 7}New York, United States (GMT-5)"
    assert there in letters["customer_confirmed grace"].body
    to_host = letters[f"host_confirmed {_host(place)}"].body
    assert "10:00 – 10:30" in to_host
    assert "Berlin, Germany (GMT+1)" in to_host
    assert "Their time:" in to_host
    assert "04:00 – 04:30" in to_host
    assert "New York, United States (GMT-5)" in to_host
    assert letters["customer_confirmed grace"].subject.endswith("AM (New York)")


def test_a_host_without_a_written_calendar_gets_the_invitation(fake: FakeProvider) -> None:
    """And its updates and its cancellation, also after a calendar was connected meanwhile."""
    place, post = bookable(fake), Post()
    _change(Calendar, receives_bookings=False)
    host = f"host_confirmed {_host(place)}"
    made = place.book(place.at(10))
    assert _said(post.new()[host]) == ("REQUEST", "CONFIRMED", 0)
    _change(Calendar, receives_bookings=True)
    booking_reschedule.reschedule_by_token(made.manage_token, place.at(11))
    letters = post.new()
    assert _said(letters[f"host_moved {_host(place)}"]) == ("REQUEST", "CONFIRMED", 1)
    transitions.cancel_by_token(made.manage_token, "Something came up")
    letters = post.new()
    gone = letters[f"host_cancelled {_host(place)}"]
    assert _said(gone) == ("CANCEL", "CANCELLED", 2)
    assert "Grace Hopper has cancelled the booking with you." in gone.body
    assert "Reason given:\n  Something came up" in gone.body
    assert "as you asked" in letters["customer_cancelled grace"].body
    assert "Something came up" not in letters["customer_cancelled grace"].body


@pytest.mark.parametrize("spelling", [str.lower, str.upper])
def test_a_customer_into_whose_calendar_we_write_gets_no_invitation(
    fake: FakeProvider, spelling: Callable[[str], str]
) -> None:
    """A host who books with themselves, under whichever of their addresses, has the event in their calendar."""
    place = bookable(fake)
    post = Post()
    with transaction() as session:
        row = session.get_one(Connection, place.calendars[0].connection_id)
        row.account_email = "other@example.net"
        session.add(row)
    for hour, address in ((9, place.people[0].email), (11, "other@example.net"), (13, GRACE)):
        place.book(place.at(hour), guest=("Somebody", spelling(address)))
        (letter,) = [row for key, row in post.new().items() if key.startswith("customer_confirmed")]
        assert bool(letter.ics) is (address == GRACE)


def test_an_approval_takes_three_letters(fake: FakeProvider) -> None:
    """Request received and please approve; then the confirmation, with the first .ics. Who approved is not told."""
    place, post = bookable(fake, requires_approval=True), Post()
    made = place.book(place.at(10))
    letters = post.new()
    assert set(letters) == {"customer_requested grace", f"host_requested {_host(place)}"}
    assert not any(row.ics for row in letters.values())
    assert letters[f"host_requested {_host(place)}"].subject.startswith(
        "Please approve: Intro call with Grace"
    )
    assert f"Approve or decline it:\nhttp://localhost:3000/bookings?booking={made.id}" in (
        letters[f"host_requested {_host(place)}"].body
    )
    transitions.confirm(place.owner, made.id)
    transitions.confirm(place.owner, made.id)
    letters = post.new()
    assert set(letters) == {"customer_confirmed grace"}
    assert _said(letters["customer_confirmed grace"]) == ("REQUEST", "CONFIRMED", 0)


def test_a_declined_request(fake: FakeProvider) -> None:
    """The customer learns why and where to book again; no calendar has to forget anything."""
    place, post = bookable(fake, requires_approval=True, hosts=2, hosting="collective"), Post()
    made = place.book(place.at(10))
    post.new()
    transitions.decline(place.owner, made.id, "We are closed\nthat day.")
    letters = post.new()
    other = place.people[1].email.split("@")[0]
    assert set(letters) == {"customer_declined grace", f"host_declined {other}"}
    row = letters["customer_declined grace"]
    assert row.ics == ""
    assert f"{place.workspace.name} wrote: We are closed\nthat day." in row.body
    assert f"/book/{place.workspace.slug}/{place.event_type.slug}" in row.body


def test_a_move_updates_the_invitation(fake: FakeProvider) -> None:
    """Same UID, SEQUENCE one higher, the new time; the letter names both times."""
    place, post = bookable(fake), Post()
    made = place.book(place.at(10))
    before = _invitation(post.new()["customer_confirmed grace"])
    booking_reschedule.reschedule(place.owner, made.id, place.at(14))
    letters = post.new()
    assert set(letters) == {"customer_moved grace"}
    after = _invitation(letters["customer_moved grace"])
    assert before is not None
    assert after is not None
    assert (after.uid, after.sequence, after.start) == (before.uid, 1, place.at(14))
    assert "14:00 – 14:30" in letters["customer_moved grace"].body
    assert "Before: " in letters["customer_moved grace"].body
    booking_reschedule.reschedule(place.owner, made.id, place.at(14))
    assert post.new() == {}


def test_a_move_that_needs_approval_keeps_the_invitation_tentative(fake: FakeProvider) -> None:
    """The customer's calendar follows to the new time as tentative, and is confirmed or cancelled with the request."""
    place, post = bookable(fake, requires_approval=True), Post()
    made = place.book(place.at(10))
    transitions.confirm(place.owner, made.id)
    post.new()
    booking_reschedule.reschedule_by_token(made.manage_token, place.at(11))
    letters = post.new()
    assert set(letters) == {"customer_move_requested grace", f"host_move_requested {_host(place)}"}
    assert _said(letters["customer_move_requested grace"]) == ("REQUEST", "TENTATIVE", 1)
    transitions.decline(place.owner, made.id)
    assert _said(post.new()["customer_declined grace"]) == ("CANCEL", "CANCELLED", 2)


def test_a_cancellation_by_staff(fake: FakeProvider) -> None:
    """The customer hears who cancelled and why; the host who did it hears nothing."""
    place, post = bookable(fake), Post()
    made = place.book(place.at(10))
    post.new()
    transitions.cancel(place.owner, made.id, "I am ill")
    letters = post.new()
    assert set(letters) == {"customer_cancelled grace"}
    row = letters["customer_cancelled grace"]
    assert _said(row) == ("CANCEL", "CANCELLED", 1)
    assert f"{place.workspace.name} has cancelled your booking." in row.body
    assert f"{place.workspace.name} wrote: I am ill" in row.body
    transitions.cancel(place.owner, made.id)
    assert post.new() == {}


def test_every_host_is_told(fake: FakeProvider) -> None:
    """Collective bookings: one letter each, with the others' names; one organizer for everybody's calendar."""
    place, post = bookable(fake, hosts=3, hosting="collective"), Post()
    _change(Calendar, receives_bookings=False)
    place.book(place.at(10))
    letters = post.new()
    assert len(letters) == 4
    invitations = [_invitation(row) for row in letters.values()]
    assert len({found.organizer for found in invitations if found}) == 1
    assert len({found.uid for found in invitations if found}) == 1
    second = letters[f"host_confirmed {place.people[1].email.split('@')[0]}"]
    (line,) = [line for line in second.body.splitlines() if line.startswith("With:")]
    assert set(line.removeprefix("With:").strip().split(", ")) == {place.people[0].name, place.people[2].name}


def test_no_show_and_the_end_are_nobodys_news(fake: FakeProvider) -> None:
    """Neither is mailed."""
    place, post = bookable(fake), Post()
    made = place.book(place.at(10))
    post.new()
    transitions.complete_past(place.at(12))
    transitions.no_show(place.owner, made.id, now=place.at(13))
    assert post.new() == {}


def test_reminders_follow_the_booking(fake: FakeProvider) -> None:
    """Queued for their times, those already past left out; moved with the booking, dropped with its cancellation."""
    place = bookable(fake, reminders=[60, 1440, 60, 0, 60 * 24 * 365])
    made = place.book(place.at(10))

    def reminders() -> dict[str, list[datetime]]:
        with reading() as session:
            rows = session.exec(
                select(Mail).where(Mail.kind == mail_outbox.REMINDER).order_by(col(Mail.next_attempt_at))
            )
            found: dict[str, list[datetime]] = {}
            for row in rows:
                assert row.next_attempt_at is not None
                found.setdefault(row.state, []).append(row.next_attempt_at)
            return found

    first = [place.at(10) - timedelta(days=1), place.at(10) - timedelta(hours=1)]
    assert reminders() == {"due": first}
    booking_reschedule.reschedule(place.owner, made.id, place.at(11))
    second = [at + timedelta(hours=1) for at in first]
    assert reminders() == {"due": second, "dropped": first}
    transitions.cancel(place.owner, made.id)
    assert reminders() == {"dropped": sorted(first + second)}


def test_reminders_wait_for_approval(fake: FakeProvider) -> None:
    """A request is not reminded of; its confirmation queues the reminders."""
    place, post = bookable(fake, requires_approval=True, reminders=[60]), Post()
    made = place.book(place.at(10))
    assert mail_outbox.REMINDER not in post.new()
    transitions.confirm(place.owner, made.id)
    row = post.new()[mail_outbox.REMINDER]
    assert row.next_attempt_at == place.at(9)
    assert "This is a reminder of your booking" in row.body
    assert row.ics == ""


def test_a_booking_that_fails_mails_nobody(fake: FakeProvider, redis_server: Redis) -> None:
    """The slot was taken: no letter is queued and no job either."""
    place, post = bookable(fake), Post()
    place.book(place.at(10))
    post.new()
    redis_server.flushall()
    with pytest.raises(SlotUnavailable):
        place.book(place.at(10), guest=("Eve", "eve@example.org"))
    assert post.new() == {}
    assert not redis_server.exists("rq:queue:default")


def test_letters_do_not_wait_for_calendars(fake: FakeProvider, configure: Any) -> None:
    """No calendar was written, no Redis runs: the confirmation goes out all the same."""
    place = bookable(fake)
    with mail_server() as server:
        configure(SMTP_URL=server.url)
        place.book(place.at(10))
        with reading() as session:
            ids = list(session.exec(select(Mail.id)))
        assert [mail_outbox.deliver(mail_id, BookingWriter()) for mail_id in ids] == ["sent", "sent"]
        assert {got.recipients[0] for got in server.received} == {GRACE, place.people[0].email}


@pytest.mark.parametrize(
    "name",
    ["Win at http://evil.example", "evil.example", "www.evil.example", "a@evil.example", "x" * 61],
)
def test_the_form_sends_strangers_no_text_of_ones_own(fake: FakeProvider, name: str) -> None:
    """A booking made with somebody else's address mails them neither the name nor the answers that were typed."""
    questions = [{"id": "q", "label": "Why?", "type": "text"}]
    place, post = bookable(fake, questions=questions), Post()
    answers = {"q": "Buy at https://evil.example"}
    made = booking_create.create_booking(
        place.event_type.id, place.at(10), "Europe/Berlin", name, GRACE, answers
    )
    letters = post.new()
    transitions.cancel_by_token(made.manage_token, "See https://evil.example")
    letters |= post.new()
    for kind in ("customer_confirmed grace", "customer_cancelled grace"):
        assert letters[kind].body.startswith("Hello,\n")
        assert "evil" not in letters[kind].body + letters[kind].subject
    assert "Why?\n  Buy at https://evil.example" in letters[f"host_confirmed {_host(place)}"].body


def test_hostile_texts_stay_texts(fake: FakeProvider, configure: Any) -> None:
    """Titles, places and people full of markup and encoded words reach the reader as text, by mail and calendar."""
    hostile = '=?utf-8?q?=0D=0ABcc=3A_eve=40example.net?= <script>x</script>;,"\\'
    place = bookable(fake, title=hostile, location=hostile)
    _change(Workspace, name=hostile)
    _change(Person, name=hostile)
    _change(Calendar, receives_bookings=False)
    with mail_server() as server:
        configure(SMTP_URL=server.url)
        place.book(place.at(10), guest=(hostile, GRACE))
        with reading() as session:
            rows = list(session.exec(select(Mail)))
        assert [mail_outbox.deliver(row.id, BookingWriter()) for row in rows] == ["sent", "sent"]
        for got in server.received:
            assert got.message["Bcc"] is None
            assert len(got.recipients) == 1
            assert got.text.count("\n") < 30
        files = [one for got in server.received for one in got.message.walk() if one.get_filename()]
    assert len(files) == len(rows)
    for one in files:
        (event,) = icalendar.Calendar.from_ical(one.get_content().decode()).walk("VEVENT")
        people = [str(person).removeprefix("mailto:") for person in event["attendee"]]
        assert people == [GRACE, place.people[0].email]


def test_online_changes_end(fake: FakeProvider) -> None:
    """A letter that is written when it is too late to change anything says so."""
    place, post = bookable(fake, cancel_notice=60 * 24 * 30), Post()
    place.book(place.at(10))
    assert "It is too late to move or cancel it online." in post.new()["customer_confirmed grace"].body


def test_a_night_with_a_clock_change(fake: FakeProvider) -> None:
    """An appointment over the end of summer time names both offsets."""
    place, post = bookable(fake), Post()
    start = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    made = factories.booking(place.event_type, place.people[0], start, minutes=60)
    with transaction() as session:
        row = session.get_one(Booking, made.id)
        booking_emails.booking_changed(
            session, row, booking_emails.Occasion.BOOKED, now=start - timedelta(days=1)
        )
    (to_guest, _to_host) = post.new().values()
    assert "Sunday, 25 October 2026, 02:30 – 02:30" in to_guest.body
    assert "Berlin, Germany (GMT+2 – GMT+1)" in to_guest.body


def test_private_event_types_are_not_offered_again(fake: FakeProvider) -> None:
    """A cancellation names the booking page only where the public may use it."""
    place, post = bookable(fake), Post()
    made = place.book(place.at(10))
    _change(EventType, is_public=False)
    transitions.cancel_by_token(made.manage_token)
    assert "/book/" not in post.new()["customer_cancelled grace"].body


def test_a_customer_with_an_account_is_the_customer(fake: FakeProvider) -> None:
    """A host who books with themselves gets both letters."""
    place, post = bookable(fake), Post()
    host = place.people[0]
    place.book(place.at(10), guest=(host.name, host.email))
    assert set(post.new()) == {f"customer_confirmed {_host(place)}", f"host_confirmed {_host(place)}"}
    assert place.owner.role is Role.OWNER


def test_an_ended_grant_writes_to_its_owner_once(fake: FakeProvider) -> None:
    """One letter for each grant that ends, to the person whose calendars they are, saying what to do."""
    place, post = bookable(fake, hosts=2), Post()
    person = place.people[1]
    with reading() as session:
        connection = session.exec(select(Connection).where(Connection.person_id == person.id)).one()
    account = fake.accounts[f"id-of-{person.email}"]

    def lose_access() -> None:
        fake.revoke_grants(account)
        for _ in range(2):
            with pytest.raises(GrantRevoked):
                connection_tokens.call(connection.id, lambda api: api.list_calendars())

    lose_access()
    kind = f"needs_reconnect {person.email.split('@')[0]}"
    letters = post.new()
    assert set(letters) == {kind}
    assert letters[kind].subject == f"Please reconnect your Fake calendars ({person.email})"
    assert "Reconnect:\nhttp://localhost:3000/settings/calendars" in letters[kind].body
    grant = fake.grant(account)
    with transaction() as session:
        row = session.get_one(Connection, connection.id)
        connection_tokens.save_tokens(session, row, grant)
        row.status = "connected"
    lose_access()
    assert set(post.new()) == {kind}
