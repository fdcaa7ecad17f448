"""What we write is what three readers read: ours, icalendar's and ical's; and every file of the corpus is importable or
says what is wrong with it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import icalendar
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ical.calendar_stream import IcsCalendarStream

from calendar_app.domain.event import Attendee, CalendarEvent, EventStatus, EventTime, ShowAs
from calendar_app.domain.ics import CalendarFileError, read_calendar
from calendar_app.domain.ics.density import Density
from calendar_app.domain.ics.writer import Appointment, Method, calendar_text
from calendar_app.domain.timespan import Span, instant
from tests.domain.recurrence_tables import ics_files, needs_tables

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
WINDOW = Span(instant(NOW - timedelta(days=35)), instant(NOW + timedelta(days=400)))
WORDS = st.text(
    st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs"), include_characters='\n\\;,:"'),
    max_size=200,
)


def appointment(**changes: object) -> Appointment:
    """A confirmed half hour."""
    fields: dict[str, object] = {
        "uid": "b1@almanac.example",
        "sequence": 3,
        "status": EventStatus.CONFIRMED,
        "start": NOW,
        "end": NOW + timedelta(minutes=30),
        "stamp": NOW - timedelta(days=1),
        "summary": "Intro",
        "url": "https://almanac.example/manage/a.b-c_d",
        "organizer": Attendee("ada@example.com", "Ada Lovelace"),
        "created": NOW - timedelta(days=2),
        "alarm": 15,
    }
    return Appointment(**(fields | changes))  # type: ignore[arg-type]


@settings(max_examples=60)
@given(
    WORDS,
    WORDS,
    WORDS,
    st.sampled_from(EventStatus),
    st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1)),  # noqa: DTZ001 - made aware below
    st.integers(1, 100_000),
)
def test_three_readers_agree_on_what_we_write(
    summary: str, description: str, location: str, status: EventStatus, start: datetime, minutes: int
) -> None:
    """Times, texts, state and number come back from icalendar, from ical and from our own reader as they were given."""
    begin = start.replace(tzinfo=UTC, microsecond=0)
    given_ = appointment(
        summary=summary,
        description=description,
        location=location,
        status=status,
        start=begin,
        end=begin + timedelta(minutes=minutes),
        busy=status is not EventStatus.CANCELLED,
    )
    text = calendar_text((given_,), Method.PUBLISH, name="Ada", refresh=timedelta(minutes=15))
    assert all(len(line.encode()) <= 75 for line in text.split("\r\n"))
    assert "\n" not in text.replace("\r\n", "")
    (ours,) = read_calendar(text).events
    (library,) = icalendar.Calendar.from_ical(text).walk("VEVENT")
    (other,) = IcsCalendarStream.calendar_from_ics(text).events
    wall = begin.replace(tzinfo=None)
    assert ours.start == EventTime(wall, "UTC")
    assert ours.end == EventTime(wall + timedelta(minutes=minutes), "UTC")
    assert library.decoded("dtstart") == other.dtstart == begin
    assert library.decoded("dtend") == other.end == given_.end
    assert ours.summary == str(library["summary"]) == (other.summary or "") == summary
    assert ours.description == str(library.get("description", "")) == (other.description or "") == description
    assert ours.location == str(library.get("location", "")) == (other.location or "") == location
    assert ours.status.value.upper() == str(library["status"]) == other.status == status.value.upper()
    assert ours.sequence == int(library["sequence"]) == other.sequence == 3
    assert ours.ical_uid == str(library["uid"]) == other.uid == given_.uid
    assert (ours.show_as is ShowAs.BUSY) == (status is not EventStatus.CANCELLED)
    assert ours.organizer_email == "ada@example.com"
    assert len(other.alarm) == 1


@needs_tables
@pytest.mark.parametrize("path", ics_files(), ids=lambda path: path.name)
def test_every_file_of_the_corpus_is_importable_or_named(path: Path) -> None:
    """No file crashes an import: events are kept, what is wrong is named by line and in words, or all is refused."""
    try:
        file = read_calendar(path.read_bytes())
    except CalendarFileError as error:
        assert str(error).endswith(".")  # noqa: PT017 - either way will do
        return
    assert file.events or file.others or not file.problems
    count = path.read_bytes().replace(b"\r\n", b"\n").replace(b"\r", b"\n").count(b"\n") + 1
    for problem in (*file.problems, *file.others):
        assert 1 <= problem.line <= count
        assert problem.reason
        assert not problem.reason.endswith(".")


def _event(*rules: str) -> CalendarEvent:
    lines = "\n".join(rules)
    return read_calendar(
        f"BEGIN:VCALENDAR\nBEGIN:VEVENT\nUID:1\nDTSTART:20260101T090000Z\n{lines}\nEND:VEVENT\nEND:VCALENDAR\n"
    ).events[0]


@pytest.mark.parametrize(
    ("rule", "end"),
    [
        ("RRULE:FREQ=HOURLY", ""),
        ("RRULE:FREQ=HOURLY;UNTIL=20300101T000000Z", ";UNTIL=20300102"),
        ("RRULE:FREQ=NEVER", ""),
        ("RDATE:" + ",".join(["20270101T090000Z"] * 6000), ""),
    ],
)
def test_what_is_beyond_a_files_share_is_busy_without_a_break(rule: str, end: str) -> None:
    """Nothing is expanded to find out, nothing becomes free, and the event says so."""
    event = Density(WINDOW, most=9).bounded(_event(rule))
    assert event.recurrence == (f"RRULE:FREQ=SECONDLY{end}",)
    assert event.unread[-1].startswith("The calendar’s events together")
    assert Density(WINDOW).bounded(_event(rule)) == _event(rule)


@pytest.mark.parametrize(
    ("rule", "low", "high"),
    [
        ("RRULE:FREQ=DAILY", 435, 437),
        ("RRULE:FREQ=SECONDLY;COUNT=10", 10, 10),
        ("RRULE:FREQ=HOURLY;BYHOUR=9,13", 800, 900),
        ("RRULE:FREQ=WEEKLY;BYDAY=MO,WE", 120, 130),
        ("RRULE:FREQ=MONTHLY;BYDAY=1MO", 14, 16),
        ("RRULE:FREQ=YEARLY", 1, 3),
        ("RRULE:FREQ=DAILY;UNTIL=20250101T000000Z", 1, 1),
        ("RRULE:FREQ=YEARLY;BYMONTH=6;BYDAY=1SU", 1, 3),
    ],
)
def test_honest_rules_cost_what_they_are_worth(rule: str, low: int, high: int) -> None:
    """A file may hold as many such events as fit into its share, and not one more than that."""
    density, event = Density(WINDOW, most=5_000), _event(rule)
    fitting = 0
    while fitting <= 5_000:
        if density.bounded(event) != event:
            break
        fitting += 1
    assert 5_000 // high <= fitting <= 5_000 // low
