"""An email about a booking is written when it is sent: what was overtaken is not, and what was told is taken back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import icalendar
import pytest
from sqlmodel import col, select, update

from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import Booking, Calendar, Mail, Person
from calendar_app.services.booking_emails.writer import BookingWriter
from calendar_app.services.bookings import reschedule as booking_reschedule
from calendar_app.services.bookings import transitions
from calendar_app.services.bookings.views import BookingView
from calendar_app.services.mail import outbox as mail_outbox
from calendar_app.services.mail.outbox import Draft
from calendar_app.settings import Settings
from tests.support.databases import Database
from tests.support.fake_provider import FakeProvider
from tests.support.mail_server import MailServer, Received, mail_server
from tests.support.scheduling import GUEST, Place, bookable

GRACE = GUEST[1]


@pytest.fixture
def server(database: Database, configure: Callable[..., Settings]) -> Iterator[MailServer]:
    with mail_server() as running:
        configure(SMTP_URL=running.url, MAIL_FROM="Almanac <no-reply@almanac.example>")
        yield running


@pytest.fixture
def place(server: MailServer, fake: FakeProvider) -> Place:
    """A host whose calendar is not written to, so that they are sent invitations as the customer is."""
    place = bookable(fake)
    with transaction() as session:
        session.execute(update(Calendar).values(receives_bookings=False))
    return place


def rows() -> list[Mail]:
    with reading() as session:
        return list(session.exec(select(Mail).order_by(col(Mail.id))))


def send(now: datetime | None = None) -> None:
    """A worker's round, whatever the time of the next try."""
    for row in rows():
        if row.state in mail_outbox.WAITING and row.kind != mail_outbox.REMINDER:
            mail_outbox.deliver(row.id, BookingWriter(), now=now or row.next_attempt_at)


def said(got: Received) -> tuple[str, str, str, int]:
    """Recipient's local part, the first words of the subject, iTIP method and SEQUENCE (-1: no invitation)."""
    name, subject = got.recipients[0].split("@")[0], str(got.message["Subject"]).split(":")[0]
    files = [part for part in got.message.walk() if part.get_filename()]
    if not files:
        return name, subject, "", -1
    calendar = icalendar.Calendar.from_ical(files[0].get_content().decode())
    return name, subject, str(calendar["method"]), int(calendar.walk("VEVENT")[0]["sequence"])


def received(server: MailServer) -> set[tuple[str, str, str, int]]:
    found = {said(got) for got in server.received}
    server.received.clear()
    return found


def host(place: Place) -> str:
    return place.people[0].email.split("@")[0]


def booked(place: Place) -> BookingView:
    return place.book(place.at(10))


def test_the_booking_s_transaction_writes_no_text(place: Place) -> None:
    """What stands in the database until an email is sent is who is told what of which version, and no link."""
    made = booked(place)
    for row in rows():
        assert (row.state, row.subject, row.body, row.ics) == ("due", "", "", "")
        assert (row.booking_id, row.version, row.sequence) == (made.id, 1, 0)
        assert "http" not in str(row.facts)


def test_an_overtaken_email_is_dropped(place: Place, server: MailServer) -> None:
    """Booked and moved before anything went out: one email each, with the time and the SEQUENCE of the move."""
    made = booked(place)
    booking_reschedule.reschedule_by_token(made.manage_token, place.at(14))
    send()
    assert received(server) == {("grace", "New time", "REQUEST", 1), (host(place), "New time", "REQUEST", 1)}
    assert [row.state for row in rows()] == ["dropped"] * 2 + ["sent"] * 2


def test_an_approval_overtakes_the_request(server: MailServer, fake: FakeProvider) -> None:
    """The confirmation of a request that was never acknowledged says all there is to say."""
    place = bookable(fake, requires_approval=True)
    made = booked(place)
    transitions.confirm(place.owner, made.id)
    send()
    assert received(server) == {("grace", "Confirmed", "REQUEST", 0)}


def test_nobody_is_told_of_the_end_of_what_they_never_heard_of(place: Place, server: MailServer) -> None:
    """Booked and cancelled before anything went out: the host hears nothing; the customer, who knows that they booked,
    hears of it, and no calendar is told to forget what it never knew."""
    made = booked(place)
    transitions.cancel(place.owner, made.id, "I am ill")
    send()
    assert received(server) == {("grace", "Cancelled", "", -1)}


def test_a_customer_for_whom_staff_booked_never_heard_of_it(place: Place, server: MailServer) -> None:
    """They are told neither that they have a booking nor that they have none."""
    made = place.book(place.at(10), actor=place.owner)
    transitions.cancel(place.owner, made.id)
    send()
    assert received(server) == set()
    assert {row.state for row in rows()} == {"dropped"}


def test_an_invitation_that_was_sent_is_withdrawn(place: Place, server: MailServer) -> None:
    """Also where a move in between was overtaken, and where the product writes into the calendar by now."""
    made = booked(place)
    send()
    assert received(server) == {
        ("grace", "Confirmed", "REQUEST", 0),
        (host(place), "New booking", "REQUEST", 0),
    }
    with transaction() as session:
        session.execute(update(Calendar).values(receives_bookings=True))
    booking_reschedule.reschedule_by_token(made.manage_token, place.at(14))
    transitions.cancel_by_token(made.manage_token)
    send()
    assert received(server) == {("grace", "Cancelled", "CANCEL", 2), (host(place), "Cancelled", "CANCEL", 2)}


@pytest.mark.parametrize("arrives", [True, False])
def test_what_may_have_arrived_is_withdrawn(place: Place, server: MailServer, *, arrives: bool) -> None:
    """A connection that breaks while the letter is handed over leaves open whether it arrived; a refusal does not."""
    made = booked(place)
    if arrives:
        server.hang_up = True
    else:
        server.answers["MAIL"] = "451 later"
    send()
    assert {row.state for row in rows()} == {"due"}
    server.hang_up = False
    server.answers.clear()
    server.received.clear()
    transitions.cancel(place.owner, made.id)
    send()
    # The host who cancelled is only sent what a calendar has to be told.
    told = {("grace", "Cancelled", "CANCEL", 1), (host(place), "Cancelled", "CANCEL", 1)}
    assert received(server) == (told if arrives else {("grace", "Cancelled", "", -1)})


def test_a_worker_that_dies_leaves_a_letter_that_may_have_arrived(place: Place, server: MailServer) -> None:
    """It was claimed, and nobody recorded what came of it: the cancellation is told."""
    made = booked(place)
    with transaction() as session:
        for row in session.exec(select(Mail)):
            row.attempts, row.may_have_arrived, row.ics_method = 1, True, "REQUEST"
    transitions.cancel_by_token(made.manage_token)
    send()
    assert received(server) == {("grace", "Cancelled", "CANCEL", 1), (host(place), "Cancelled", "CANCEL", 1)}


def test_a_late_email_is_of_its_version(place: Place, server: MailServer) -> None:
    """Sent after an hour of trouble, with the DTSTAMP of the moment when the booking was made."""
    before = datetime.now(UTC).replace(microsecond=0)
    booked(place)
    after = datetime.now(UTC)
    server.answers["MAIL"] = "451 later"
    send()
    server.answers.clear()
    send(after + timedelta(hours=1))
    assert len(server.received) == 2
    for got in server.received:
        (file,) = [part for part in got.message.walk() if part.get_filename()]
        (event,) = icalendar.Calendar.from_ical(file.get_content().decode()).walk("VEVENT")
        assert before <= event.decoded("dtstamp") <= after


def test_what_the_release_before_wrote_is_sent(place: Place, server: MailServer) -> None:
    """A letter with its text in its row goes out as it is, and what it invited to is withdrawn."""
    made = booked(place)
    send()
    server.received.clear()
    with transaction() as session:
        for row in session.exec(select(Mail)):
            row.state, row.facts, row.version, row.sequence = "queued", None, 0, 0
            row.may_have_arrived, row.body, row.ics = (
                False,
                "As it was.",
                row.ics_method and "BEGIN:VCALENDAR",
            )
    transitions.cancel_by_token(made.manage_token)
    send()
    old, new = server.received[:2], server.received[2:]
    assert {got.text.strip() for got in old} == {"As it was."}
    assert {said(got)[2:] for got in new} == {("CANCEL", 1)}


def test_letters_without_a_booking_are_none_of_the_writer_s(place: Place, server: MailServer) -> None:
    """And what has no text yet is left alone by whoever cannot write it, as the release before does."""
    with transaction() as session:
        draft = Draft(place.workspace.id, None, "test", "test", "ada@example.com", "Hello", "Hello")
        mail_outbox.queue(session, draft)
    booked(place)
    assert sorted(mail_outbox.deliver(row.id) for row in rows()) == ["", "", "sent"]
    assert mail_outbox.sweep() == 2


def test_a_letter_to_nobody_is_dropped(place: Place, server: MailServer) -> None:
    """The host is no longer there, or the booking is not, when the email is to be written."""
    made = booked(place)
    with transaction() as session:
        for row in session.exec(select(Mail)):
            row.facts = {**(row.facts or {}), "host": "0" * 26}
        assert session.get(Person, "0" * 26) is None
    send()
    assert {row.state for row in rows()} == {"dropped"}
    with reading() as session:
        assert session.get(Booking, made.id) is not None


def test_a_failed_letter_has_a_subject_for_the_list_of_failures(place: Place, server: MailServer) -> None:
    """And is written anew when it is tried again."""
    booked(place)
    server.answers["RCPT"] = "550 no such person"
    send()
    assert {row.state for row in rows()} == {"failed"}
    assert all("Intro call" in row.subject and not row.body for row in rows())
    server.answers.clear()
    with transaction() as session:
        assert len(mail_outbox.retry(session, [row.id for row in rows()])) == 2
    send()
    assert len(server.received) == 2
