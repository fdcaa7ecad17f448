"""Graph's resources to our events and back, time-zone names both ways, patterns to rules."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tzlocal.windows_tz import win_tz

from calendar_app.domain.event import Attendee, EventDraft, EventStatus, EventTime, Response, ShowAs
from calendar_app.domain.recurrence import expand
from calendar_app.domain.timespan import Span, instant
from calendar_app.providers.base import AccessRole
from calendar_app.providers.microsoft.mapping import (
    EXPAND_OWN,
    KEY_PROPERTY,
    body_beside_meeting,
    body_from,
    body_text,
    calendar_from,
    event_from,
    merged_body,
    occurrence_of,
)
from calendar_app.providers.microsoft.recurrence import rule_from
from calendar_app.providers.microsoft.zones import iana_zone, wall_time, windows_zone

TIMED: dict[str, Any] = {
    "@odata.etag": 'W/"DwAAABYAAAC9YbapXssvT4RTG13UUr6AAAhT48i7"',
    "id": "AAMkAGI1",
    "type": "singleInstance",
    "subject": "Review",
    "bodyPreview": "Bring numbers",
    "body": {"contentType": "text", "content": "Bring numbers\r\n"},
    "isAllDay": False,
    "isCancelled": False,
    "showAs": "busy",
    "responseStatus": {"response": "organizer", "time": "0001-01-01T00:00:00Z"},
    "originalStartTimeZone": "W. Europe Standard Time",
    "originalEndTimeZone": "W. Europe Standard Time",
    "start": {"dateTime": "2026-11-23T09:00:00.0000000", "timeZone": "UTC"},
    "end": {"dateTime": "2026-11-23T10:00:00.0000000", "timeZone": "UTC"},
    "location": {"displayName": "Room 1"},
    "lastModifiedDateTime": "2026-11-20T08:00:00.1234567Z",
    "seriesMasterId": None,
    "recurrence": None,
    "attendees": [],
    "webLink": "https://outlook.office365.com/owa/?itemid=AAMkAGI1",
}
DRAFT = EventDraft(
    remote_id="k" * 52,
    key="k" * 52,
    uid="u@almanac",
    summary="Intro with Ada",
    start=datetime(2026, 11, 23, 9, 0, tzinfo=UTC),
    end=datetime(2026, 11, 23, 9, 30, tzinfo=UTC),
    zone="Europe/Berlin",
    description="Ada <ada@example.com>\n\nWhat is it about? Curtains.",
    location="Phone",
    color="tomato",
    attendees=(Attendee("ada@example.com", "Ada"),),
    private={"almanac_booking": "b1"},
)
BERLIN = "Europe/Berlin"


def wall(*parts: int) -> datetime:
    return datetime(*parts)  # type: ignore[arg-type]  # noqa: DTZ001  # a wall clock


def test_times_are_shown_in_the_zone_they_were_written_in() -> None:
    """UTC as asked for becomes the wall clock of the original zone; seven decimals are read."""
    event = event_from(TIMED)
    assert event.start == EventTime(wall(2026, 11, 23, 10), BERLIN)
    assert event.end == EventTime(wall(2026, 11, 23, 11), BERLIN)
    assert (event.summary, event.description, event.location) == ("Review", "Bring numbers", "Room 1")
    assert event.updated
    assert event.updated.year == 2026
    assert event.blocks_time


@pytest.mark.parametrize("zone", ["tzone://Microsoft/Custom", "Customized Time Zone", "", "../etc/passwd"])
def test_an_unknown_zone_keeps_the_instant(zone: str) -> None:
    """A custom zone of desktop Outlook has no name that means anything: the time is kept in UTC."""
    event = event_from({**TIMED, "originalStartTimeZone": zone, "originalEndTimeZone": zone})
    assert event.start == EventTime(wall(2026, 11, 23, 9), "UTC")


def test_all_day_events_are_dates() -> None:
    """Graph gives days as midnights of the zone asked for; they are dates, with an exclusive end."""
    days = {
        "isAllDay": True,
        "start": {"dateTime": "2026-12-24T00:00:00.0000000", "timeZone": "UTC"},
        "end": {"dateTime": "2026-12-27T00:00:00.0000000", "timeZone": "UTC"},
    }
    event = event_from({**TIMED, **days})
    assert (event.start, event.end) == (EventTime(date(2026, 12, 24)), EventTime(date(2026, 12, 27)))


@pytest.mark.parametrize(
    ("extra", "show_as", "blocks"),
    [
        ({"showAs": "free"}, ShowAs.FREE, False),
        ({"showAs": "tentative"}, ShowAs.TENTATIVE, True),
        ({"showAs": "oof"}, ShowAs.OUT_OF_OFFICE, True),
        ({"showAs": "workingElsewhere"}, ShowAs.WORKING_ELSEWHERE, False),
        ({"showAs": "unknown"}, ShowAs.BUSY, True),
        ({"responseStatus": {"response": "declined"}}, ShowAs.BUSY, False),
        ({"responseStatus": {"response": "notResponded"}}, ShowAs.BUSY, True),
        ({"isCancelled": True}, ShowAs.BUSY, False),
        ({"sensitivity": "private"}, ShowAs.BUSY, True),
    ],
)
def test_what_blocks_time(extra: dict[str, Any], show_as: ShowAs, blocks: bool) -> None:
    """``showAs``, the owner's own answer and a cancellation decide whether time is blocked; nothing else does."""
    event = event_from({**TIMED, **extra})
    assert (event.show_as, event.blocks_time) == (show_as, blocks)
    assert (event.status is EventStatus.CANCELLED) == bool(extra.get("isCancelled"))


def test_people_and_their_answers() -> None:
    """Attendees come with answer and role; one without an address is left out."""
    people = [
        {
            "type": "required",
            "status": {"response": "accepted"},
            "emailAddress": {"name": "A", "address": "a@x.example"},
        },
        {"type": "optional", "status": {"response": "none"}, "emailAddress": {"address": "b@x.example"}},
        {"type": "resource", "emailAddress": {"name": "Beamer"}},
    ]
    event = event_from(
        {**TIMED, "attendees": people, "organizer": {"emailAddress": {"address": "o@x.example"}}}
    )
    assert event.attendees == (
        Attendee("a@x.example", "A", Response.ACCEPTED),
        Attendee("b@x.example", "", Response.NEEDS_ACTION, optional=True),
    )
    assert event.organizer_email == "o@x.example"


def test_an_html_body_is_reduced_to_its_words() -> None:
    """Scripts, styles and markup go, paragraphs become lines, entities become letters."""
    content = "<html><head><style>p {}</style></head><body><p>Tea &amp; cake</p>\r\n<div>at&nbsp;four<br>sharp</div>"
    assert body_text({"contentType": "html", "content": content}) == "Tea & cake\n at\xa0four\nsharp"
    assert body_text(None) == ""


def test_a_bare_occurrence_takes_the_rest_from_its_master() -> None:
    """What a delta answer leaves out is the master's; id, series, time and version are its own."""
    master = {**TIMED, "id": "M", "type": "seriesMaster", "recurrence": {"pattern": {}}, "showAs": "oof"}
    bare = {
        "id": "M.1",
        "type": "occurrence",
        "seriesMasterId": "M",
        "start": {"dateTime": "2026-11-30T09:00:00.0000000", "timeZone": "UTC"},
        "end": {"dateTime": "2026-11-30T10:00:00.0000000", "timeZone": "UTC"},
    }
    event = event_from(occurrence_of(bare, master))
    assert (event.remote_id, event.master_id, event.recurrence, event.etag) == ("M.1", "M", (), "")
    assert (event.summary, event.show_as) == ("Review", ShowAs.OUT_OF_OFFICE)
    assert event.start == EventTime(wall(2026, 11, 30, 10), BERLIN)


def test_an_exception_knows_when_it_was_meant_to_be() -> None:
    """``originalStart`` is the recurrence id of an exception."""
    event = event_from(
        {**TIMED, "type": "exception", "seriesMasterId": "M", "originalStart": "2026-11-22T09:00:00Z"}
    )
    assert event.original_start == EventTime(wall(2026, 11, 22, 10), BERLIN)


@pytest.mark.parametrize(
    ("item", "color", "role"),
    [
        ({"hexColor": "#7B241C", "canEdit": True}, "#7B241C", AccessRole.OWNER),
        ({"hexColor": "", "color": "lightGreen", "canEdit": False}, "#87d28e", AccessRole.READER),
        ({"hexColor": "javascript:x", "color": "auto"}, "", AccessRole.READER),
    ],
)
def test_calendars(item: dict[str, Any], color: str, role: AccessRole) -> None:
    """A calendar has its colour by code or by name, the mailbox's zone, and rights by ``canEdit``."""
    found = calendar_from({"id": "c", "name": "Work", "isDefaultCalendar": True, **item}, BERLIN)
    assert (found.color, found.access_role, found.timezone, found.is_primary) == (color, role, BERLIN, True)


def as_stored(draft: EventDraft) -> dict[str, Any]:
    """What Graph answers after storing ``draft``: times in UTC, and a body that Exchange has laid out anew."""
    stored = body_from(draft)
    for side, moment in (("start", draft.start), ("end", draft.end)):
        stored[side] = {"dateTime": f"{moment:%Y-%m-%dT%H:%M:%S}.0000000", "timeZone": "UTC"}
    stored["body"] = {
        "contentType": "text",
        "content": stored["body"]["content"].replace("\n", "\r\n") + "\r\n",
    }
    return {
        **stored,
        "id": "AAMk",
        "@odata.etag": 'W/"1"',
        "originalStartTimeZone": "W. Europe Standard Time",
        "recurrence": None,
    }


def test_a_draft_that_stands_needs_no_patch() -> None:
    """Reading back what was written gives an empty patch, and the event says what the draft says."""
    stored = as_stored(DRAFT)
    assert merged_body(DRAFT, stored) == {}
    event = event_from(stored)
    assert (event.summary, event.location, event.private) == (
        DRAFT.summary,
        "Phone",
        {"almanac_booking": "b1"},
    )


def test_nobody_is_invited_by_exchange() -> None:
    """Guests stand in the text, once, and never in ``attendees``: Exchange would write to them."""
    guests = (Attendee("ada@example.com", "Ada"), Attendee("bo@example.com"))
    body = body_from(EventDraft(**{**_fields(DRAFT), "attendees": guests}))
    assert "attendees" not in body
    assert body["body"]["content"].count("ada@example.com") == 1
    assert body["body"]["content"].endswith("Guests: bo@example.com")


def test_a_patch_puts_right_what_differs_and_nothing_else() -> None:
    """A new title is one field; a moved event gets both times; a repeating one is single again."""
    stored = as_stored(DRAFT)
    assert merged_body(DRAFT, {**stored, "subject": "renamed"}) == {"subject": DRAFT.summary}
    moved = {**stored, "start": {"dateTime": "2026-11-24T09:00:00.0000000", "timeZone": "UTC"}}
    assert set(merged_body(DRAFT, moved)) == {"start", "end", "isAllDay"}
    assert merged_body(DRAFT, {**stored, "recurrence": {"pattern": {}}}) == {"recurrence": None}
    assert set(merged_body(DRAFT, {**stored, "isAllDay": True})) == {"start", "end", "isAllDay"}
    assert merged_body(DRAFT, {**stored, "showAs": "free"}) == {"showAs": "busy"}
    assert merged_body(DRAFT, {**stored, "showAs": "oof"}) == {}


def test_both_marks_of_an_event_of_ours_come_back() -> None:
    """Which booking it is of, and where it comes from: both are asked for, and both are read."""
    marks = {"almanac_booking": "b1", "almanac_origin": "installation event-type Europe/Berlin"}
    stored = as_stored(replace(DRAFT, private=marks))
    assert event_from(TIMED | stored).private == marks
    assert all(name in EXPAND_OWN for name in marks)


def test_extended_properties_are_compared_in_any_case() -> None:
    """Exchange spells the ids of extended properties its own way."""
    stored = as_stored(DRAFT)
    for item in stored["singleValueExtendedProperties"]:
        item["id"] = item["id"].replace("6b8fd1a2", "6B8FD1A2")
    assert merged_body(DRAFT, stored) == {}
    stored["singleValueExtendedProperties"] = [{"id": KEY_PROPERTY, "value": DRAFT.key}]
    assert set(merged_body(DRAFT, stored)) == {"singleValueExtendedProperties"}


@given(
    start=st.datetimes(min_value=wall(2001, 1, 1), max_value=wall(2060, 1, 1)).map(
        lambda moment: moment.replace(second=0, microsecond=0, tzinfo=UTC)
    ),
    minutes=st.integers(5, 3000),
    zone=st.sampled_from([*sorted(win_tz.values()), "Europe/Vienna", "Antarctica/Troll", "Etc/GMT+5"]),
)
def test_every_instant_survives_the_way_there_and_back(start: datetime, minutes: int, zone: str) -> None:
    """In every zone, through every change of clocks, the time read back is the time written."""
    end = start + timedelta(minutes=minutes)
    draft = EventDraft(**{**_fields(DRAFT), "start": start, "end": end, "zone": zone})
    body = body_from(draft)
    read = event_from({**body, "id": "x", "originalStartTimeZone": body["start"]["timeZone"]})
    for time, moment in ((read.start, start), (read.end, end)):
        assert time
        assert isinstance(time.value, datetime)
        assert time.value.replace(tzinfo=ZoneInfo(time.zone or "")) == moment
    assert merged_body(draft, body) == {}


@pytest.mark.parametrize("windows", sorted(win_tz))
def test_every_windows_zone_is_known_both_ways(windows: str) -> None:
    """Each name of Windows' is a zone of IANA's, in any case, and that zone has a name of Windows'."""
    iana = iana_zone(windows.upper())
    assert iana
    assert ZoneInfo(iana)
    assert windows_zone(iana) or iana == "UTC"


def test_names_that_are_no_windows_names() -> None:
    """IANA names pass, Outlook's UTC is UTC, and what is neither has no zone; a zone without a name goes as UTC."""
    assert iana_zone("Europe/Vienna") == "Europe/Vienna"
    assert iana_zone("tzone://Microsoft/Utc") == "UTC"
    assert iana_zone("Mars/Olympus") is None
    assert windows_zone("Europe/Vienna") == "W. Europe Standard Time"
    noon = datetime(2026, 7, 1, 12, tzinfo=UTC)
    assert wall_time(noon, "Europe/Vienna") == {
        "dateTime": "2026-07-01T14:00:00",
        "timeZone": "W. Europe Standard Time",
    }
    assert wall_time(noon, "Antarctica/Troll") == {"dateTime": "2026-07-01T12:00:00", "timeZone": "UTC"}


def test_the_hour_that_clocks_show_twice_goes_as_utc() -> None:
    """02:30 on the night of the change means two instants: neither is left to guess."""
    first = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    for moment in (first, first + timedelta(hours=1)):
        assert wall_time(moment, BERLIN) == {
            "dateTime": f"{moment:%Y-%m-%dT%H:%M:%S}",
            "timeZone": "UTC",
        }


@pytest.mark.parametrize(
    ("pattern", "bounds", "rule"),
    [
        ({"type": "daily", "interval": 3}, {"type": "noEnd"}, "FREQ=DAILY;INTERVAL=3"),
        (
            {"type": "weekly", "interval": 1, "daysOfWeek": ["monday", "friday"], "firstDayOfWeek": "monday"},
            {"type": "numbered", "numberOfOccurrences": 10},
            "FREQ=WEEKLY;BYDAY=MO,FR;WKST=MO;COUNT=10",
        ),
        (
            {"type": "absoluteMonthly", "interval": 2, "dayOfMonth": 31},
            {"type": "endDate", "endDate": "2027-03-31", "recurrenceTimeZone": "W. Europe Standard Time"},
            "FREQ=MONTHLY;INTERVAL=2;BYMONTHDAY=28,29,30,31;BYSETPOS=-1;UNTIL=20270331T215959Z",
        ),
        (
            {
                "type": "relativeMonthly",
                "interval": 1,
                "daysOfWeek": ["tuesday", "thursday"],
                "index": "last",
            },
            {"type": "noEnd"},
            "FREQ=MONTHLY;BYDAY=TU,TH;BYSETPOS=-1",
        ),
        (
            {
                "type": "relativeYearly",
                "interval": 1,
                "daysOfWeek": ["sunday"],
                "index": "second",
                "month": 5,
            },
            {"type": "noEnd"},
            "FREQ=YEARLY;BYMONTH=5;BYDAY=SU;BYSETPOS=2",
        ),
        (
            {"type": "absoluteYearly", "interval": 1, "dayOfMonth": 24, "month": 12},
            {"type": "noEnd"},
            "FREQ=YEARLY;BYMONTH=12;BYMONTHDAY=24",
        ),
    ],
)
def test_patterns_become_rules(pattern: dict[str, Any], bounds: dict[str, Any], rule: str) -> None:
    """Each kind of pattern and range that Graph documents is an RRULE, and one that our engine expands."""
    recurrence = {"pattern": pattern, "range": bounds}
    assert rule_from(recurrence, "UTC", all_day=False) == (f"RRULE:{rule}",)
    event = event_from({**TIMED, "type": "seriesMaster", "recurrence": recurrence})
    window = Span(instant(datetime(2026, 11, 1, tzinfo=UTC)), instant(datetime(2028, 1, 1, tzinfo=UTC)))
    assert expand(event, (), window, "UTC", limit=1000)


def test_an_undocumented_pattern_costs_the_rule_and_no_more() -> None:
    """A pattern that nobody knows is refused; the event's own time is as clear as before."""
    pattern = {"pattern": {"type": "fortnightly"}, "range": {}}
    with pytest.raises(ValueError, match="fortnightly"):
        rule_from(pattern, "UTC", False)
    assert event_from({**TIMED, "recurrence": pattern}) == event_from(TIMED)


def _fields(draft: EventDraft) -> dict[str, Any]:
    return {name: getattr(draft, name) for name in draft.__dataclass_fields__}


@pytest.mark.parametrize(
    ("kept", "content"),
    [
        (
            f"<html><body><div>Old</div><div><span>{'_' * 80}</span></div><b>Microsoft Teams</b><p>{'_' * 80}</p>"
            "</body></html>",
            f"<html><body><div>A &lt;a@x&gt;<br>\r\nB</div><br><span>{'_' * 80}</span></div><b>Microsoft Teams</b><p>"
            f"{'_' * 80}</body></html>",
        ),
        ("<html><body>Join: <a href='https://meet.example/1?a=1&amp;b=2'>here</a></body></html>", None),
        ("<html><body>Old</body></html>", "A <a@x>\nB"),
    ],
)
def test_a_body_beside_an_online_meeting(kept: str, content: str | None) -> None:
    """Our text goes before the meeting's block; where the meeting stands in no such block the body is left alone; where
    its block was taken out there is nothing to keep."""
    meeting = {"onlineMeeting": {"joinUrl": "https://meet.example/1?a=1&b=2"}}
    change = body_beside_meeting("A <a@x>\nB", {"body": {"contentType": "html", "content": kept}}, meeting)
    assert change.get("body", {}).get("content") == content
