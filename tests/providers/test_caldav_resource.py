"""Calendar resources: what is written, what is changed in them, and what of them is left alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import icalendar
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calendar_app.domain.event import Attendee, EventDraft, EventTime, Response, write_key
from calendar_app.domain.timespan import Span, instant
from calendar_app.providers.caldav.listing import Cursor
from calendar_app.providers.caldav.mapping import (
    busy_from,
    events_from,
    gone,
    part_of,
    resource_name,
    zone_from,
)
from calendar_app.providers.caldav.resource import merged_resource, new_resource
from calendar_app.providers.caldav.xml import member_url, name_of
from calendar_app.services.availability.event_judgement import judge

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
KEY = write_key("resource")
DRAFT = EventDraft(
    remote_id=KEY,
    key=KEY,
    uid="u@almanac",
    summary="Intro",
    start=datetime(2026, 12, 1, 9, 0, tzinfo=UTC),
    end=datetime(2026, 12, 1, 9, 30, tzinfo=UTC),
    zone="Europe/Berlin",
    private={"almanac_booking": "b1"},
)
texts = st.text(
    st.characters(exclude_categories=("C", "Zl", "Zp"), include_characters="\n"), max_size=120
).map(lambda text: text.strip("\n"))
drafts = st.builds(
    lambda summary, description, location, minutes, length, guests: replace(
        DRAFT,
        summary=summary,
        description=description,
        location=location,
        start=DRAFT.start + timedelta(minutes=minutes),
        end=DRAFT.start + timedelta(minutes=minutes + length),
        attendees=tuple(Attendee(f"g{number}@example.com", name) for number, name in enumerate(guests)),
    ),
    texts,
    texts,
    texts,
    st.integers(0, 10_000),
    st.integers(1, 500),
    st.lists(st.text("abc ü;:,\"'", max_size=20), max_size=3),
)


@given(drafts)
def test_what_is_written_is_read_again(draft: EventDraft) -> None:
    """A new resource says what its draft says, to our reader and to the icalendar library, in lines of 75 octets."""
    text = new_resource(draft, NOW)
    (event,) = events_from("a.ics", text, '"1"', "")
    assert (event.summary, event.description, event.location) == (
        draft.summary,
        draft.description,
        draft.location,
    )
    assert event.start == EventTime(draft.start.replace(tzinfo=None), "UTC")
    assert event.end == EventTime(draft.end.replace(tzinfo=None), "UTC")
    assert dict(event.private) == {"almanac_booking": "b1"}
    assert [guest.email for guest in event.attendees] == [guest.email for guest in draft.attendees]
    (parsed,) = icalendar.Calendar.from_ical(text).walk("VEVENT")
    assert str(parsed["summary"]) == draft.summary
    assert parsed["dtstart"].dt == draft.start
    assert all(len(line) <= 75 for line in text.encode().split(b"\r\n"))
    assert "ORGANIZER" not in text


@given(drafts, drafts)
def test_a_change_is_made_once(before: EventDraft, after: EventDraft) -> None:
    """Bringing a resource to a draft makes it say so, keeps lines that are not ours, and is then done."""
    text = new_resource(before, NOW).replace(
        "END:VEVENT", "X-THEIRS;X-A=b:kept\r\nCATEGORIES:MINE\r\nEND:VEVENT"
    )
    merged = merged_resource(after, text, NOW + timedelta(hours=1)) or text
    (event,) = events_from("a.ics", merged, "", "")
    assert (event.summary, event.description, event.location) == (
        after.summary,
        after.description,
        after.location,
    )
    assert event.start == EventTime(after.start.replace(tzinfo=None), "UTC")
    assert {guest.email for guest in event.attendees} == {
        g.email for g in (*before.attendees, *after.attendees)
    }
    assert "X-THEIRS;X-A=b:kept\r\n" in merged
    assert "CATEGORIES:MINE\r\n" in merged
    assert all(len(line) <= 75 for line in merged.encode().split(b"\r\n"))
    assert merged_resource(after, merged, NOW + timedelta(hours=2)) is None
    assert merged_resource(before, new_resource(before, NOW), NOW + timedelta(hours=2)) is None


def test_the_same_time_in_another_zone_stays() -> None:
    """A program that wrote our time in its own zone has changed nothing."""
    text = new_resource(DRAFT, NOW)
    theirs = text.replace("DTSTART:20261201T090000Z", "DTSTART;TZID=Europe/Berlin:20261201T100000").replace(
        "DTEND:20261201T093000Z", "DURATION:PT30M"
    )
    assert merged_resource(DRAFT, theirs, NOW) is None
    changed = merged_resource(replace(DRAFT, summary="New"), theirs, NOW)
    assert changed is not None
    assert "DTSTART;TZID=Europe/Berlin:20261201T100000" in changed
    moved = merged_resource(replace(DRAFT, end=DRAFT.end + timedelta(minutes=5)), theirs, NOW)
    assert moved is not None
    assert "DURATION" not in moved
    assert "DTEND:20261201T093500Z" in moved


def test_answers_and_cancellations_are_handled() -> None:
    """A guest's answer stays, a cancelled or free event of ours stands and blocks again."""
    draft = replace(DRAFT, attendees=(Attendee("guest@example.com"),))
    answered = new_resource(draft, NOW).replace("PARTSTAT=NEEDS-ACTION", "PARTSTAT=ACCEPTED")
    assert merged_resource(draft, answered, NOW) is None
    spoilt = answered.replace("STATUS:CONFIRMED", "STATUS:CANCELLED").replace(
        "TRANSP:OPAQUE", "TRANSP:TRANSPARENT"
    )
    merged = merged_resource(draft, spoilt, NOW)
    assert merged is not None
    (event,) = events_from("a.ics", merged, "", "")
    assert event.blocks_time
    assert [guest.response for guest in event.attendees] == [Response.ACCEPTED]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "BEGIN:VCALENDAR\nEND:VCALENDAR",
        "BEGIN:VCALENDAR\nBEGIN:VTODO\nEND:VTODO\nEND:VCALENDAR",
    ],
)
def test_what_is_no_event_is_replaced(text: str) -> None:
    """A resource of our name without a usable event becomes one."""
    merged = merged_resource(DRAFT, text, NOW)
    assert merged is not None
    assert events_from("a.ics", merged, "", "")[0].summary == "Intro"


def test_injection_is_inert() -> None:
    """Line breaks and property names inside of texts stay texts."""
    evil = "Hi\r\nATTENDEE:mailto:evil@example.com\r\nEND:VEVENT\x00\x0b"
    draft = replace(
        DRAFT, summary=evil, location=evil, attendees=(Attendee("a@b.example\r\nX-EVIL:1", 'N"\r\nX:1'),)
    )
    for text in (new_resource(draft, NOW), merged_resource(draft, new_resource(DRAFT, NOW), NOW)):
        assert text is not None
        assert text.count("\r\nEND:VEVENT\r\n") == 1
        assert "\r\nX-EVIL" not in text
        (event,) = events_from("a.ics", text, "", ())
        assert event.summary.startswith("Hi\nATTENDEE")
        assert len(event.attendees) == 1


@given(
    st.text(min_size=1, max_size=40).filter(lambda name: name not in (".", "..") and not name.startswith("/"))
)
def test_names_survive_their_addresses(name: str) -> None:
    """A member's name, escaped into an address, is found in it again."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return
    collection = "https://dav.example.com/cal/ada%40example.com/"
    if "/" not in name:
        assert name_of(collection, member_url(collection, name)) == name
        assert name_of("https://dav.example.com/cal/ada@example.com", member_url(collection, name)) == name


def test_ids_and_parts() -> None:
    """An id names its resource and its part; our keys name the resource that we make."""
    assert resource_name(KEY) == f"{KEY}.ics"
    assert resource_name("a#b.ics#20261203T090000") == "a#b.ics"
    assert resource_name("a#b.ics") == "a#b.ics"
    assert part_of("a.ics#20261203T090000") == "20261203T090000"
    assert part_of("a.ics") == ""
    assert [event.remote_id for event in gone("a.ics", ["20261203T090000"])] == [
        "a.ics",
        "a.ics#20261203T090000",
    ]


def test_several_uids_in_one_resource() -> None:
    """Events of further UIDs, which RFC 4791 forbids and some servers let in, get ids of their own."""
    body = new_resource(DRAFT, NOW)
    second = body.split("BEGIN:VEVENT")[1].split("END:VEVENT")[0].replace("u@almanac", "other")
    text = body.replace("END:VCALENDAR", f"BEGIN:VEVENT{second}END:VEVENT\r\nEND:VCALENDAR")
    first, other = events_from("a.ics", text, "", ())
    assert first.remote_id == "a.ics"
    assert resource_name(other.remote_id) == "a.ics"
    assert other.remote_id != first.remote_id
    assert other.master_id is None


@given(st.text(max_size=20), st.dictionaries(st.text(max_size=20), st.text(max_size=12)), st.booleans())
def test_cursors_come_back(token: str, etags: dict[str, str], plain: bool) -> None:
    """A cursor is the same after it was stored."""
    try:
        (token + "".join(etags) + "".join(etags.values())).encode()
    except UnicodeEncodeError:
        return
    cursor = Cursor(token, plain, "ctag", etags, {"a": ["b"]})
    assert Cursor.load(cursor.dump()) == cursor


def test_zones_of_calendars() -> None:
    """A calendar's VTIMEZONE becomes an IANA name, or nothing."""
    zone = "BEGIN:VCALENDAR\r\nBEGIN:VTIMEZONE\r\nTZID:{}\r\nEND:VTIMEZONE\r\nEND:VCALENDAR\r\n"
    assert zone_from(zone.format("Europe/Berlin")) == "Europe/Berlin"
    assert zone_from(zone.format("W. Europe Standard Time")) == "Europe/Berlin"
    assert zone_from(zone.format("Nowhere")) is None
    assert zone_from("nonsense") is None


def test_busy_times_of_a_vfreebusy() -> None:
    """Periods with an end or a duration count, in one span where they touch; FREE does not."""
    text = (
        "BEGIN:VCALENDAR\r\nBEGIN:VFREEBUSY\r\nFREEBUSY:20261201T090000Z/20261201T100000Z,20261201T100000Z/PT30M\r\n"
        "FREEBUSY;FBTYPE=BUSY-TENTATIVE:20261202T090000Z/PT1H\r\n"
        "FREEBUSY;FBTYPE=FREE:20261203T090000Z/PT1H\r\nEND:VFREEBUSY\r\nEND:VCALENDAR\r\n"
    )
    nine = instant(DRAFT.start)
    assert busy_from(text) == [Span(nine, nine + 5400), Span(nine + 86_400, nine + 90_000)]


@pytest.mark.parametrize(
    "period", ["nonsense", "20261201T090000Z/nonsense", "20261201/20261202", "20261201T090000Z"]
)
def test_busy_times_that_cannot_be_read_are_no_answer(period: str) -> None:
    """A server that says something unclear has not said that the rest is free."""
    with pytest.raises(ValueError, match=r"."):
        busy_from(
            f"BEGIN:VCALENDAR\r\nBEGIN:VFREEBUSY\r\nFREEBUSY:{period}\r\nEND:VFREEBUSY\r\nEND:VCALENDAR\r\n"
        )


def test_a_dense_rule_is_busy_throughout() -> None:
    """An event of every second is busy from its start on; the answer comes at once."""
    text = new_resource(DRAFT, NOW).replace(
        "END:VEVENT", "RRULE:FREQ=SECONDLY;COUNT=1000000000\r\nEND:VEVENT"
    )
    events = events_from("a.ics", text, "", ())
    nine = instant(DRAFT.start)
    found = judge(events, "UTC", Span(nine - 3600, nine + 86_400)).busy
    assert [(span.start, span.end > nine + 86_400) for span in found] == [(nine, True)]
