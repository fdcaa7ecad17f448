"""Appointments as iCalendar text, read back by three readers: icalendar, vobject and our own."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import icalendar
import pytest
import vobject
from hypothesis import given
from hypothesis import strategies as st

from calendar_app.domain.event import Attendee, EventStatus, Response
from calendar_app.domain.ics import read_calendar
from calendar_app.domain.ics.writer import Appointment, Method, calendar_text

START = datetime(2026, 11, 18, 10, 0, tzinfo=timezone(timedelta(hours=1)))
HOST = Attendee("ada@example.com", "Ada Lovelace", Response.ACCEPTED)
GUEST = Attendee("grace@example.org", "Grace Hopper", Response.ACCEPTED)
PROPERTIES = {
    "UID", "DTSTAMP", "DTSTART", "DTEND", "SEQUENCE", "STATUS", "SUMMARY", "DESCRIPTION", "LOCATION", "URL",
    "ORGANIZER", "ATTENDEE", "TRANSP",
}  # fmt: skip
FRAME = {"BEGIN", "END", "VERSION", "PRODID", "METHOD", "NAME", "X-WR-CALNAME"}


def _appointment(**changes: Any) -> Appointment:
    fields: dict[str, Any] = {
        "uid": "b1@almanac.example",
        "sequence": 2,
        "status": EventStatus.CONFIRMED,
        "start": START,
        "end": START + timedelta(minutes=30),
        "stamp": datetime(2026, 11, 1, 8, 0, tzinfo=UTC),
        "summary": "Intro call with Ada; and more, \\ too",
        "description": "First line\nsecond line",
        "location": "Room 1, Main Street",
        "url": "https://almanac.example/manage/a.b-c_d",
        "organizer": HOST,
        "attendees": (GUEST, HOST),
    }
    return Appointment(**(fields | changes))


def _unfolded(text: str) -> list[str]:
    return re.sub("\r\n[ \t]", "", text).removesuffix("\r\n").split("\r\n")


@pytest.mark.parametrize("method", [Method.REQUEST, Method.CANCEL])
def test_an_invitation_reads_back_the_same_everywhere(method: Method) -> None:
    """Method, times, UID, SEQUENCE, status, texts and people arrive as they were given, in both libraries."""
    status = EventStatus.CANCELLED if method is Method.CANCEL else EventStatus.CONFIRMED
    given_ = _appointment(status=status)
    text = calendar_text((given_,), method)
    calendar = icalendar.Calendar.from_ical(text)
    (event,) = calendar.walk("VEVENT")
    assert (calendar["method"], calendar["version"]) == (method.value, "2.0")
    assert (event.decoded("dtstart"), event.decoded("dtend")) == (given_.start, given_.end)
    assert "\r\nDTSTART:20261118T090000Z\r\n" in text
    assert (event["uid"], event["sequence"], event["status"]) == (given_.uid, 2, status.value.upper())
    assert (event["summary"], event["location"]) == (given_.summary, given_.location)
    assert (event["description"], event["url"]) == (given_.description, given_.url)
    assert (event["organizer"], event["organizer"].params["cn"]) == ("mailto:ada@example.com", "Ada Lovelace")
    guest, host = event["attendee"]
    assert (guest, guest.params["partstat"], guest.params["rsvp"]) == (
        "mailto:grace@example.org",
        "ACCEPTED",
        "FALSE",
    )
    assert host == event["organizer"]
    other = vobject.readOne(text)
    assert (other.method.value, other.vevent.uid.value) == (method.value, given_.uid)
    assert (other.vevent.summary.value, other.vevent.description.value) == (
        given_.summary,
        given_.description,
    )
    assert (other.vevent.dtstart.value, other.vevent.dtend.value) == (given_.start, given_.end)
    assert [a.value for a in other.vevent.attendee_list] == [
        "mailto:grace@example.org",
        "mailto:ada@example.com",
    ]


def test_a_published_calendar_names_no_attendees() -> None:
    """RFC 5546 §3.2.1: PUBLISH carries any number of events, without ATTENDEE; the feed has a name."""
    text = calendar_text((_appointment(), _appointment(uid="b2@x")), Method.PUBLISH, name="Ada's bookings")
    calendar = icalendar.Calendar.from_ical(text)
    assert [event["uid"] for event in calendar.walk("VEVENT")] == ["b1@almanac.example", "b2@x"]
    assert not any("attendee" in event for event in calendar.walk("VEVENT"))
    assert calendar["name"] == calendar["x-wr-calname"] == "Ada's bookings"
    assert calendar_text((), Method.PUBLISH).count("BEGIN") == 1


@pytest.mark.parametrize(
    "appointments",
    [
        (),
        (_appointment(), _appointment(uid="b2@x")),
        (_appointment(organizer=None),),
        (_appointment(attendees=()),),
    ],
)
def test_half_an_invitation_is_refused(appointments: tuple[Appointment, ...]) -> None:
    """RFC 5546 §3.2.2 and §3.2.5 demand organizer and attendees, and one appointment for each message."""
    with pytest.raises(ValueError, match="organizer"):
        calendar_text(appointments, Method.REQUEST)


HOSTILE = st.lists(
    st.one_of(
        st.text(max_size=40),
        st.text(st.characters(categories=("Cc", "Zl", "Zp", "Zs", "Cs")), max_size=5),
        st.sampled_from(
            [
                "\r\nATTENDEE:mailto:evil@example.net",
                "\nEND:VEVENT\nBEGIN:VEVENT",
                "\rX-EVIL:1",
                "\x0bX-EVIL:1",
                "\x85X-EVIL:1",
                "\u2028X-EVIL:1",
                "<script>alert(1)</script>",
                '";CN="x":mailto:evil@example.net',
                "\\",
                "\\n",
                "\\;",
                "^n^'",
                "a;b,c:d",
                "\0",
                "=cmd()",
                "😀" * 30,
                "ü" * 100,
                "x" * 200,
            ]
        ),
    ),
    max_size=6,
).map("".join)


def _plain(text: str) -> str:
    lines = re.sub("\r\n?|[\v\f\x1c-\x1e\x85\u2028\u2029]", "\n", text)
    return re.sub("[\x00-\x08\x0e-\x1f\x7f-\x9f\ud800-\udfff]", "", lines)


@given(HOSTILE, HOSTILE, HOSTILE, HOSTILE)
def test_hostile_text_stays_text(summary: str, description: str, location: str, name: str) -> None:
    """Whatever people type adds no line, property, parameter, person or event, and reads back as what it was."""
    appointment = _appointment(
        summary=summary,
        description=description,
        location=location,
        attendees=(Attendee("grace@example.org", name), HOST),
    )
    text = calendar_text((appointment,), Method.REQUEST)
    assert not set(re.sub("\r\n", "", text)) & set(map(chr, [*range(0x9), *range(0xA, 0x20), 0x7F]))
    assert all(len(line.encode()) <= 75 for line in text.split("\r\n"))
    assert text.splitlines() == text.removesuffix("\r\n").split("\r\n")
    assert {re.split("[;:]", line)[0] for line in _unfolded(text)} <= PROPERTIES | FRAME

    (event,) = icalendar.Calendar.from_ical(text).walk("VEVENT")
    assert str(event["summary"]) == _plain(summary)
    assert str(event.get("description", "")) == _plain(description)
    assert str(event.get("location", "")) == _plain(location)
    assert [str(person) for person in event["attendee"]] == [
        "mailto:grace@example.org",
        "mailto:ada@example.com",
    ]
    assert set(event["attendee"][0].params) <= {"CN", "PARTSTAT", "ROLE", "RSVP"}

    other = vobject.readOne(text)
    assert len(other.vevent_list) == 1
    assert {child.name for child in other.vevent.getChildren()} <= PROPERTIES
    assert other.vevent.uid.value == "b1@almanac.example"
    assert [person.value for person in other.vevent.attendee_list] == [
        "mailto:grace@example.org",
        "mailto:ada@example.com",
    ]

    file = read_calendar(text)
    (own,) = file.events
    assert (own.ical_uid, own.sequence) == ("b1@almanac.example", 2)
    assert [person.email for person in own.attendees] == ["grace@example.org", "ada@example.com"]


@given(HOSTILE, HOSTILE)
def test_hostile_addresses_and_ids_add_no_line(email: str, uid: str) -> None:
    """Not even a broken address or UID can begin a line of its own."""
    appointment = _appointment(uid=uid, organizer=Attendee(email, ""), attendees=(Attendee(email, email),))
    text = calendar_text((appointment,), Method.REQUEST)
    names = [re.split("[;:]", line)[0] for line in _unfolded(text)]
    assert set(names) <= PROPERTIES | FRAME
    assert (names.count("ATTENDEE"), names.count("ORGANIZER"), names.count("UID")) == (1, 1, 1)


@pytest.mark.parametrize("name", ["Salon; Ada, Grace \\ Co.", "two\nlines", "a\\nb"])
def test_the_name_of_a_calendar_is_escaped(name: str) -> None:
    """NAME and X-WR-CALNAME are texts like any other (RFC 7986 section 5.1): separators, backslashes, line ends."""
    text = calendar_text((_appointment(),), Method.PUBLISH, name=name)
    escaped = name.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,").replace("\n", "\\n")
    lines = _unfolded(text)
    assert f"NAME:{escaped}" in lines
    assert f"X-WR-CALNAME:{escaped}" in lines
    assert read_calendar(text).name == name
