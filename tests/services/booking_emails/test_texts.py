"""What emails about bookings say in each language, and that nothing in them stands outside of the catalogues."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import icalendar
import pytest
from sqlmodel import select, update

from calendar_app import translations
from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import Booking, Calendar, Mail, Workspace
from calendar_app.domain.event import Attendee
from calendar_app.errors import InvalidInput
from calendar_app.services.booking_emails import texts as email_texts
from calendar_app.services.booking_emails.texts import Facts, News
from calendar_app.services.bookings import create as booking_create
from calendar_app.services.bookings import ics, transitions
from calendar_app.services.bookings import queries as booking_queries
from calendar_app.services.common.permissions import Role
from calendar_app.services.event_types.meeting_places import PlaceView
from calendar_app.services.mail import rendering
from calendar_app.services.mail.rendering import Content, Lead, Links, Paragraph
from tests.support.fake_provider import FakeProvider
from tests.support.scheduling import GUEST, Place, bookable
from tests.support.sent_emails import send_due

START = datetime(2026, 11, 18, 9, tzinfo=UTC)
SITE = "https://almanac.example"
DATA = Facts(
    language=translations.language("en-XA"),
    title="TITLE",
    business="BUSINESS",
    start=START,
    end=START + timedelta(minutes=30),
    customer=Attendee("c@example.org", "CUSTOMER"),
    customer_zone="Europe/Berlin",
    hosts=(Attendee("h@example.org", "HOST"), Attendee("o@example.org", "OTHER")),
    place=PlaceView("host_calls", "", "+49 30 1234567"),
    answers=(("QUESTION", "ANSWER"),),
    deadline=START - timedelta(hours=2),
    manage_url=f"{SITE}/manage/t",
    staff_url=f"{SITE}/bookings?booking=b",
    again_url=f"{SITE}/book/w/e",
    now=START - timedelta(days=1),
    by="staff",
    reason="REASON",
    before=START - timedelta(hours=1),
    guests=("g@example.org",),
    booker=Attendee("b@example.org", "BOOKER"),
    phone="+49 30 1234567",
    notes="NOTES",
)
HOST = DATA.hosts[0]


def _all(facts: Facts) -> list[Content]:
    """Every email there is, to everybody."""
    late = replace(facts, now=facts.start)
    whole_day = replace(facts, deadline=facts.start, by="customer")
    return [
        content
        for news in News
        for one in (facts, late, whole_day)
        for content in (
            email_texts.for_customer(news, one),
            email_texts.for_customer(news, one, one.booker),
            email_texts.for_guest(news, one),
            email_texts.for_host(news, one, HOST, "America/New_York"),
            email_texts.for_host(news, one, HOST, "Europe/Berlin", is_new=True),
        )
    ]


def test_nothing_stands_outside_of_the_catalogues() -> None:
    """In the pseudo-language every word is accented, but data, dates, links and names of products."""
    data = r"TITLE|BUSINESS|CUSTOMER|HOST|OTHER|QUESTION|ANSWER|REASON|BOOKER|NOTES|Google|Outlook|http\S+|\S+@\S+"
    dates = r"Wednesday|Wed|November|Nov|Berlin|Germany|New York|United States|GMT|AM|PM"
    for content in _all(DATA):
        said = re.sub(f"{data}|{dates}", " ", content.subject + "\n" + rendering.text_of(content))
        shown = re.sub(r"\[[^\]]*\]", " ", said)
        assert re.findall(r"[A-Za-zÀ-ÿ]{2,}", shown) == [], content


@pytest.mark.parametrize(
    ("tag", "greeting", "leads"),
    [
        ("en", "Hello CUSTOMER,", ("Your", "BUSINESS", "This")),
        ("de", "Guten Tag CUSTOMER,", ("Ihr", "BUSINESS", "dies")),
    ],
)
def test_greeting_and_first_sentence(tag: str, greeting: str, leads: tuple[str, ...]) -> None:
    """Behind "Hello …," English begins a sentence, and German goes on in the one that it has begun."""
    for news in News:
        content = email_texts.for_customer(news, replace(DATA, language=translations.of_tag(tag)))
        first, lead = content.blocks[:2]
        assert first == Paragraph(greeting)
        assert isinstance(lead, Lead)
        assert lead.text.startswith(leads), lead
        assert lead.text.endswith(".")


@pytest.mark.parametrize(
    ("tag", "zone", "day", "times"),
    [
        ("en-US", "Europe/Berlin", "Wednesday, November 18, 2026", "10:00 AM – 10:30 AM"),
        ("en-GB", "Europe/Berlin", "Wednesday, 18 November 2026", "10:00 – 10:30"),
        ("en", "Europe/Berlin", "Wednesday, 18 November 2026", "10:00 – 10:30"),
        ("en", "America/New_York", "Wednesday, November 18, 2026", "4:00 AM – 4:30 AM"),
        ("de", "America/New_York", "Mittwoch, 18. November 2026", "04:00 – 04:30"),
        ("de-AT", "Europe/Berlin", "Mittwoch, 18. November 2026", "10:00 – 10:30"),
        ("", "UTC", "Wednesday, November 18, 2026", "9:00 AM – 9:30 AM"),
        ("xx", "UTC", "Wednesday, November 18, 2026", "9:00 AM – 9:30 AM"),
    ],
)
def test_dates_and_hours_are_the_reader_s(tag: str, zone: str, day: str, times: str) -> None:
    """By language and region (CLDR); without a region, that of the zone where the language is at home there."""
    facts = replace(DATA, language=translations.of_tag(tag, zone), customer_zone=zone)
    text = rendering.text_of(email_texts.for_customer(News.CONFIRMED, facts))
    assert f"{day}, {times}\n" in text


def test_what_a_customer_can_do() -> None:
    """While it may be changed: move, cancel, see it, and three ways into a calendar; afterwards only see it."""

    def links(news: News, facts: Facts) -> list[str]:
        blocks = email_texts.for_customer(news, facts).blocks
        return [url for block in blocks if isinstance(block, Links) for _, url in block.links]

    manage = DATA.manage_url
    found = links(News.CONFIRMED, DATA)
    assert found[:3] == [f"{manage}/move", f"{manage}/cancel", manage]
    assert [url.split("?")[0] for url in found[3:]] == [
        "https://calendar.google.com/calendar/render",
        "https://outlook.live.com/calendar/0/deeplink/compose",
        f"{manage}/booking.ics",
    ]
    assert links(News.REQUESTED, DATA) == [f"{manage}/move", f"{manage}/cancel", manage]
    assert links(News.REMINDER, replace(DATA, now=DATA.start))[0] == manage
    assert links(News.CANCELLED, DATA) == [DATA.again_url]
    assert all(url.startswith("https://") for content in _all(DATA) for url in _links(content))


def _links(content: Content) -> list[str]:
    return [url for block in content.blocks if isinstance(block, Links) for _, url in block.links]


def _letters() -> dict[str, Mail]:
    send_due()
    with reading() as session:
        return {row.kind: row for row in session.exec(select(Mail)) if row.body}


def _speaks(place: Place, language: str) -> None:
    with transaction() as session:
        session.execute(update(Calendar).values(receives_bookings=False))
        session.execute(update(Workspace).where(Workspace.id == place.workspace.id).values(language=language))


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize(
    ("booking", "workspace", "customer", "host"),
    [
        ("de", "", "Ihre Buchung bei", "Grace Hopper has booked"),
        ("", "de", "Ihre Buchung bei", "Grace Hopper hat einen Termin"),
        ("en-GB", "de", "Your booking with", "Grace Hopper hat einen Termin"),
        ("", "", "Your booking with", "Grace Hopper has booked"),
    ],
)
def test_everybody_reads_their_language(
    fake: FakeProvider, booking: str, workspace: str, customer: str, host: str
) -> None:
    """Customers that of their booking, hosts that of the workspace; the invitations that come along as well."""
    place = bookable(fake)
    _speaks(place, workspace)
    made = place.book(place.at(10), language=booking)
    letters = _letters()
    to_customer, to_host = letters["customer_confirmed"], letters["host_confirmed"]
    assert customer in to_customer.body
    assert host in to_host.body
    person = place.people[0].name
    for row, german, names in (
        (to_customer, customer.startswith("Ihre"), person),
        (to_host, "hat einen" in host, "Grace Hopper"),
    ):
        (event,) = icalendar.Calendar.from_ical(row.ics).walk("VEVENT")
        assert event["summary"] == f"Intro call {'mit' if german else 'with'} {names}"
    view = booking_queries.get(place.owner, made.id)
    assert (view.language, view.workspace_language) == (booking, workspace)
    for role, german in ((Role.CUSTOMER, customer.startswith("Ihre")), (Role.OWNER, "hat einen" in host)):
        text = ics.ics(view, role).decode().replace("\r\n ", "")
        assert (" mit " in text) is german
        assert ("Zeitzone des Kunden" in text) is (german and role is Role.OWNER)


@pytest.mark.usefixtures("database")
def test_later_emails_stay_in_the_customer_s_language(fake: FakeProvider) -> None:
    """Whoever cancels, and whatever the workspace speaks by then."""
    place = bookable(fake)
    made = place.book(place.at(10), language="de")
    _letters()
    transitions.cancel(place.owner, made.id, "Wir haben geschlossen")
    gone = _letters()["customer_cancelled"]
    assert gone.subject.startswith("Abgesagt: Intro call, Mo., ")
    assert "hat Ihre Buchung abgesagt." in gone.body
    assert "schreibt dazu: Wir haben geschlossen" in gone.body


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize(
    ("given", "kept"), [("de", "de"), ("DE-at", "de-AT"), ("en-GB", "en-GB"), ("de-XX", "de"), ("", "")]
)
def test_a_language_is_kept_as_a_tag(fake: FakeProvider, given: str, kept: str) -> None:
    """In one spelling, with its region where that says something."""
    place = bookable(fake)
    made = place.book(place.at(10), language=given)
    with reading() as session:
        assert session.get_one(Booking, made.id).language == kept


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize("given", ["fr", "german", "de_DE", "d", "de,en", "\x00", "x" * 500, "de;q=0.5"])
def test_a_language_that_nobody_writes_is_refused(fake: FakeProvider, given: str) -> None:
    """Nothing is booked, and the languages that there are are named."""
    place = bookable(fake)
    with pytest.raises(InvalidInput) as refused:
        booking_create.create_booking(place.event_type.id, place.at(10), "UTC", *GUEST, language=given)
    assert refused.value.field == "language"
    assert "en or de" in refused.value.detail


def test_a_place_without_its_link_is_told_without_it() -> None:
    """A link that comes later is in a later email."""
    facts: dict[str, Any] = {"place": PlaceView("link", "", "")}
    content = email_texts.for_customer(News.CONFIRMED, replace(DATA, **facts))
    assert "[Whéré]" not in rendering.text_of(content)
