"""What a copy of the database or of the logs would give away."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from sqlmodel import select

from calendar_app import logs
from calendar_app.db.session import reading
from calendar_app.db.tables import Mail
from calendar_app.errors import TooManyRequests
from calendar_app.services.booking_emails.writer import BookingWriter
from calendar_app.services.bookings import transitions
from calendar_app.services.event_types import commands as event_type_commands
from calendar_app.services.mail import outbox as mail_outbox
from calendar_app.services.workspaces import team
from calendar_app.settings import Settings
from tests.support.databases import Database
from tests.support.fake_provider import FakeProvider
from tests.support.mail_server import MailServer, mail_server
from tests.support.scheduling import Place, bookable


@pytest.fixture
def place(database: Database) -> Iterator[Place]:
    with FakeProvider().installed() as fake:
        yield bookable(fake)


@pytest.fixture
def server(place: Place, configure: Callable[..., Settings]) -> Iterator[MailServer]:
    with mail_server() as running:
        configure(SMTP_URL=running.url)
        yield running


def _letters() -> list[Mail]:
    with reading() as session:
        return list(session.exec(select(Mail)))


def test_sent_emails_keep_no_links(place: Place, server: MailServer) -> None:
    """Invitations and manage links leave the database with the letter; a reminder that is not sent leaves none."""
    event_type_commands.update_event_type(place.owner, place.event_type.id, {"reminders": [60]})
    team.invite(place.owner, "new@example.org", "staff")
    booked = place.book(place.at(10))
    assert any("/join/" in letter.body for letter in _letters())
    later = place.at(10) - timedelta(days=1)
    transitions.cancel(place.owner, booked.id, now=later)
    for letter in _letters():
        mail_outbox.deliver(letter.id, BookingWriter(), now=later)
    assert {letter.state for letter in _letters()} == {mail_outbox.SENT, mail_outbox.DROPPED}
    assert not [letter for letter in _letters() if letter.body or letter.ics]
    assert any("/join/" in one.text for one in server.received)


def test_an_address_is_not_flooded_with_invitations(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever makes workspace after workspace does not get round the limit on one address."""
    monkeypatch.setattr(team, "PER_ADDRESS", "2/day")
    for _ in range(2):
        team.invite(place.owner, "Victim@example.org", "staff")
    with FakeProvider().installed() as fake:
        elsewhere = bookable(fake)
    with pytest.raises(TooManyRequests):
        team.invite(elsewhere.owner, "victim@example.org", "staff")
    team.invite(elsewhere.owner, "other@example.org", "staff")


def test_invitations_are_not_logged() -> None:
    """The address of an invitation is a key like that of a booking, and a known browser's cookie is nobody else's."""
    line = logs.redact(
        "GET /join/bUVcSNASNXBCB6gdnzJVqeqCudjDUsxNP4eTMG9uuMc, almanac_device=WyJhIl0.abc.def"
    )
    assert line == f"GET /join/{logs.HIDDEN}, almanac_device={logs.HIDDEN}"
