"""Events of Google's and Microsoft's that do not look as documented: what is clear counts, the rest is told."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calendar_app.domain.event import CalendarEvent, EventStatus, EventTime, Response
from calendar_app.errors import ProviderUnavailable
from calendar_app.providers.google import mapping as google
from calendar_app.providers.microsoft import mapping as microsoft
from calendar_app.providers.readable import NO_END, NO_START, NO_TIME, TURNED, clear_times, readable, whole
from tests.providers.test_google_mapping import TIMED as GOOGLE
from tests.providers.test_microsoft_mapping import TIMED as MICROSOFT

Read = Callable[[Any], CalendarEvent]
VENDORS = [pytest.param(google.event_from, GOOGLE, id="google")]
VENDORS += [pytest.param(microsoft.event_from, MICROSOFT, id="microsoft")]
BERLIN = "Europe/Berlin"


def wall(day: int, hour: int = 0) -> EventTime:
    return EventTime(datetime(2026, 11, day, hour), BERLIN)  # noqa: DTZ001  # a wall clock


@pytest.mark.parametrize(
    "odd",
    [
        {"attendees": ["ada@example.com", {"email": "b@example.com", "responseStatus": ["accepted"]}]},
        {"attendees": "everybody"},
        {"sequence": "many", "updated": "yesterday", "lastModifiedDateTime": "yesterday"},
        {"organizer": "Ada", "body": "text", "location": ["Room 1"], "extendedProperties": []},
        {"categories": "Red category", "singleValueExtendedProperties": [None], "responseStatus": "none"},
        {"colorId": 77, "showAs": "asleep", "transparency": 5, "eventType": "siesta"},
    ],
)
@pytest.mark.parametrize(("read", "item"), VENDORS)
def test_what_says_nothing_of_time_costs_nothing(
    read: Read, item: dict[str, Any], odd: dict[str, Any]
) -> None:
    """Fields of another kind than documented leave the event busy at its time, and there is nothing to tell."""
    event = read({**item, **odd})
    assert (event.start, event.end, event.blocks_time, event.unread) == (wall(23, 10), wall(23, 11), True, ())


@pytest.mark.parametrize(
    ("odd", "start", "end", "why"),
    [
        ({"end": {"dateTime": "later"}}, wall(23, 10), wall(24), NO_END),
        ({"end": "later"}, wall(23, 10), wall(24), NO_END),
        ({"end": None}, wall(23, 10), wall(24), NO_END),
        ({"start": {"dateTime": "2026-13-45T99:00:00Z"}}, wall(23), wall(23, 11), NO_START),
        ({"start": {}, "end": {}}, None, None, NO_TIME),
    ],
)
@pytest.mark.parametrize(("read", "item"), VENDORS)
def test_a_clear_time_is_busy_and_an_unclear_one_is_told(
    read: Read,
    item: dict[str, Any],
    odd: dict[str, Any],
    start: EventTime | None,
    end: EventTime | None,
    why: str,
) -> None:
    """From the clear start to the end of that day, or from the beginning of the day on which it clearly ends."""
    event = read({**item, **odd})
    assert (event.start, event.end, event.unread) == (start, end, (why,))


def test_an_unknown_status_is_no_reason_to_be_free() -> None:
    """Google may learn new states; only ``cancelled`` ends an event."""
    assert google.event_from({**GOOGLE, "status": "postponed"}).status is EventStatus.CONFIRMED


def test_a_series_in_a_zone_that_nobody_knows_is_told() -> None:
    """The instant is clear; on which wall clock it repeats is not. The calendar's zone serves where it fits."""
    zone = {"timeZone": "Mars/Olympus"}
    start, end = ({**GOOGLE[side], **zone} for side in ("start", "end"))
    item = {**GOOGLE, "start": start, "end": end, "recurrence": ["RRULE:FREQ=DAILY"]}
    event = google.event_from(item, BERLIN)
    assert (event.start, event.end) == (wall(23, 10), wall(23, 11))
    assert "Mars/Olympus" in event.unread[0]
    elsewhere = google.event_from(item, "America/Lima").start
    assert elsewhere == EventTime(datetime(2026, 11, 23, 9), "UTC")  # noqa: DTZ001  # a wall clock
    assert google.event_from({**item, "recurrence": None}, BERLIN).unread == ()


def test_a_change_of_nobody_knows_which_occurrence_counts_by_itself() -> None:
    """The changed time is busy; the occurrence that it may stand for stays busy, too."""
    item = {**GOOGLE, "recurringEventId": "weekly", "originalStartTime": {"dateTime": "once"}}
    event = google.event_from(item)
    assert (event.master_id, event.start, len(event.unread)) == (None, wall(23, 10), 1)
    assert google.event_from({**item, "status": "cancelled"}).master_id == "weekly"


def test_a_time_in_a_zone_without_a_meaning_is_told() -> None:
    """Graph's times carry no offset: where their zone is not known, neither is the instant."""
    start = {**MICROSOFT["start"], "timeZone": "tzone://Microsoft/Custom"}
    event = microsoft.event_from({**MICROSOFT, "start": start})
    assert event.start is not None
    assert "tzone://Microsoft/Custom" in event.unread[0]


def test_times_of_two_kinds_and_times_turned_round() -> None:
    """A date and a time together leave nothing free; an end before the start makes the time between busy."""
    day = EventTime(date(2026, 11, 23))
    assert clear_times(day, wall(24, 9)) == (day, EventTime(date(2026, 11, 25)), ())
    assert clear_times(wall(23, 9), EventTime(date(2026, 11, 25))) == (wall(23, 9), wall(25), ())
    assert clear_times(wall(23, 11), wall(23, 10)) == (wall(23, 10), wall(23, 11), (TURNED,))
    assert clear_times(None, wall(24)) == (wall(23), wall(24), (NO_START,))
    assert clear_times(None, EventTime(date(2026, 11, 24))) == (
        day,
        EventTime(date(2026, 11, 24)),
        (NO_START,),
    )
    assert clear_times(day, None) == (day, EventTime(date(2026, 11, 24)), (NO_END,))


@pytest.mark.parametrize(("read", "item"), VENDORS)
def test_whatever_cannot_be_read_is_named(read: Read, item: dict[str, Any]) -> None:
    """Nothing is dropped: not what has no id, and not what is no object; who needs each time is told that one lacks."""
    events, unread = readable([item, {"summary": "No id"}, None, "text"], read)
    assert [event.remote_id for event in events] == [item["id"]]
    assert len(unread) == 3
    assert whole([item], read) == [read(item)]
    for broken in ({"id": "b", "start": 1}, {"summary": "No id"}):
        with pytest.raises(ProviderUnavailable):
            whole([item, broken], read)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=12) | st.just("2026-11-23T10:00:00Z"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["dateTime", "date", "timeZone", "email", "emailAddress", "response"]), inner
        )
    ),
    max_leaves=6,
)


@pytest.mark.parametrize(("read", "item"), VENDORS)
@given(data=st.data())
def test_any_json_gives_one_event_or_one_note(read: Read, item: dict[str, Any], data: st.DataObject) -> None:
    """Whatever stands in an event's fields, it comes out once, with a time or with a sentence."""
    fields = data.draw(st.lists(st.sampled_from([name for name in item if name != "id"]), max_size=3))
    odd = {**item, **{name: data.draw(_VALUES) for name in fields}}
    events, unread = readable([odd], read)
    assert len(events) + len(unread) == 1
    for event in events:
        ends = event.status is EventStatus.CANCELLED or event.response is Response.DECLINED
        assert event.start is not None or event.unread or ends
