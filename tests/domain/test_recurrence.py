"""Recurrence sets and their changes: zones, UNTIL and COUNT, date lists, moved occurrences, this-and-following."""

# ruff: noqa: DTZ001  # wall-clock times have no zone: EventTime carries it
from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from calendar_app.domain.event import CalendarEvent, EventStatus, EventTime
from calendar_app.domain.recurrence import (
    InvalidRule,
    Occurrence,
    Recurrence,
    RecurrenceError,
    TooManyOccurrences,
    UnknownZone,
    expand,
    parse_rule,
)
from calendar_app.domain.recurrence.rule import parse_duration
from calendar_app.domain.recurrence.wallclock import wall_seconds
from calendar_app.domain.timespan import Span, instant

BERLIN = "Europe/Berlin"


def time(text: str, zone: str | None = BERLIN) -> EventTime:
    """``2026-03-28`` or ``2026-03-28T09:00`` as an event time."""
    if "T" in text:
        return EventTime(datetime.fromisoformat(text), zone)
    return EventTime(date.fromisoformat(text))


def event(start: str, end: str | None, *lines: str, zone: str | None = BERLIN) -> CalendarEvent:
    """A master or single event."""
    finish = time(end, zone) if end else None
    return CalendarEvent("master", start=time(start, zone), end=finish, summary="master", recurrence=lines)


def change(original: str, start: str | None, end: str | None = None, **fields: object) -> CalendarEvent:
    """A changed occurrence of :func:`event`'s master; without a start, a cancelled one."""
    made = CalendarEvent(
        f"change-{original}",
        start=time(start) if start else None,
        end=time(end) if end else None,
        summary="change",
        master_id="master",
        original_start=time(original),
        status=EventStatus.CONFIRMED if start else EventStatus.CANCELLED,
    )
    return replace(made, **fields)  # type: ignore[arg-type]


def window(start: str, end: str, zone: str = "UTC") -> Span:
    """A window between two wall-clock times."""
    low, high = (datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)) for text in (start, end))
    return Span(instant(low), instant(high))


def shown(found: list[Occurrence], zone: str = BERLIN) -> list[str]:
    """Starts on the zone's wall clock, with their offset."""
    return [datetime.fromtimestamp(o.start, ZoneInfo(zone)).strftime("%m-%d %H:%M %z") for o in found]


MARCH = window("2026-03-01", "2026-04-15")


# Zones


def test_daily_keeps_its_wall_clock_time_across_summer_time() -> None:
    """A 09:00 event in Berlin is at 09:00 before and after the clocks change."""
    master = event("2026-03-28T09:00", "2026-03-28T10:00", "RRULE:FREQ=DAILY;COUNT=3")
    assert shown(expand(master, (), MARCH, "UTC", limit=10)) == [
        "03-28 09:00 +0100",
        "03-29 09:00 +0200",
        "03-30 09:00 +0200",
    ]


def test_a_time_in_the_gap_takes_the_offset_before_it() -> None:
    """02:30 does not exist on the last Sunday of March: RFC 5545 §3.3.5 makes it 03:30 summer time."""
    master = event("2026-03-28T02:30", "2026-03-28T02:45", "RRULE:FREQ=DAILY;COUNT=3")
    assert shown(expand(master, (), MARCH, "UTC", limit=10)) == [
        "03-28 02:30 +0100",
        "03-29 03:30 +0200",
        "03-30 02:30 +0200",
    ]


def test_a_time_in_the_overlap_is_its_first() -> None:
    """02:30 happens twice on the last Sunday of October: RFC 5545 §3.3.5 means the first."""
    master = event("2026-10-24T02:30", "2026-10-24T02:45", "RRULE:FREQ=DAILY;COUNT=3")
    assert shown(expand(master, (), window("2026-10-01", "2026-11-01"), "UTC", limit=10)) == [
        "10-24 02:30 +0200",
        "10-25 02:30 +0200",
        "10-26 02:30 +0100",
    ]


def test_a_dtend_fixes_the_exact_duration() -> None:
    """RFC 5545 §3.8.5.3: with a DTEND every occurrence lasts equally long, also in the night of the change."""
    master = event("2026-03-27T22:00", "2026-03-28T06:00", "RRULE:FREQ=DAILY;COUNT=2")
    assert [o.end - o.start for o in expand(master, (), MARCH, "UTC", limit=10)] == [8 * 3600, 8 * 3600]


def test_a_durations_days_are_nominal() -> None:
    """RFC 5545 §3.8.5.3: a DURATION of one day ends at the same wall-clock time, 23 hours later in that night."""
    master = event("2026-03-27T12:00", "2026-03-28T12:00", "RRULE:FREQ=DAILY;COUNT=2")
    found = expand(replace(master, nominal_days=1), (), MARCH, "UTC", limit=10)
    assert [o.end - o.start for o in found] == [24 * 3600, 23 * 3600]


@pytest.mark.parametrize(("zone", "hour"), [("Asia/Tokyo", -9), ("America/New_York", 5)])
def test_floating_and_all_day_times_are_read_in_the_calendars_zone(zone: str, hour: int) -> None:
    """A floating time and a date mean that reading on the calendar's own clocks."""
    midnight = instant(datetime(2026, 1, 10, tzinfo=UTC)) + hour * 3600
    floating = event("2026-01-10T00:00", "2026-01-10T01:00", zone=None)
    all_day = event("2026-01-10", None)
    seen = window("2026-01-01", "2026-02-01")
    assert expand(floating, (), seen, zone, limit=1) == [
        (midnight, midnight + 3600, midnight, False, floating)
    ]
    assert expand(all_day, (), seen, zone, limit=1) == [
        (midnight, midnight + 86_400, midnight, True, all_day)
    ]


def test_all_day_occurrences_last_calendar_days() -> None:
    """A two-day all-day event over the clock change is 47 hours long."""
    master = event("2026-03-27", "2026-03-29", "RRULE:FREQ=DAILY;COUNT=2")
    assert [o.end - o.start for o in expand(master, (), MARCH, BERLIN, limit=10)] == [48 * 3600, 47 * 3600]


def test_an_all_day_event_begins_when_a_skipped_midnight_would() -> None:
    """In São Paulo the clocks skipped midnight of 2018-11-04: the day began at 01:00."""
    master = event("2018-11-03", None, "RRULE:FREQ=DAILY;COUNT=2")
    found = expand(master, (), window("2018-11-01", "2018-12-01"), "America/Sao_Paulo", limit=10)
    assert shown(found, "America/Sao_Paulo") == ["11-03 00:00 -0300", "11-04 01:00 -0200"]
    assert found[0].end == found[1].start


# UNTIL and COUNT


@pytest.mark.parametrize(
    ("until", "days"),
    [
        ("20260103T080000Z", ["01-01", "01-02", "01-03"]),  # 09:00 in Berlin, inclusive
        ("20260103T075959Z", ["01-01", "01-02"]),
        ("20260103T090000", ["01-01", "01-02", "01-03"]),  # local, which RFC 5545 forbids and programs write
        ("20260103", ["01-01", "01-02", "01-03"]),  # a date with a timed event, likewise: that whole day
        ("20251231", []),  # what "delete this and following" leaves of a series at its first occurrence
    ],
)
def test_until_is_inclusive_and_read_in_utc_or_locally(until: str, days: list[str]) -> None:
    """UNTIL bounds a zoned event by an instant where it is in UTC, by the wall clock where it is not."""
    master = event("2026-01-01T09:00", "2026-01-01T10:00", f"RRULE:FREQ=DAILY;UNTIL={until}")
    found = expand(master, (), window("2025-12-01", "2026-02-01"), "UTC", limit=10)
    assert [text[:5] for text in shown(found)] == days


@pytest.mark.parametrize("start", ["2026-01-01T09:00", "2001-01-01T09:00"])
@pytest.mark.parametrize(
    "rule", ["DAILY;INTERVAL=3", "WEEKLY;BYDAY=MO,TH", "MONTHLY;BYDAY=-1FR", "HOURLY;INTERVAL=7"]
)
def test_count_is_the_same_from_near_and_far(start: str, rule: str) -> None:
    """Whether a window holds the last occurrences of a COUNT is told without the ones before, and rightly."""
    begin = datetime.fromisoformat(start)
    master = event(start, None, f"RRULE:FREQ={rule};COUNT=400", zone="UTC")
    everything = expand(master, (), Span(0, instant(datetime(2090, 1, 1, tzinfo=UTC))), "UTC", limit=1000)
    assert len(everything) in (400, 401)  # 401: DTSTART is none of the rule's
    last = everything[-3:]
    assert expand(master, (), Span(last[0].start, last[-1].start + 10**8), "UTC", limit=10) == last
    assert everything[0].start == instant(begin.replace(tzinfo=UTC))


def test_several_rules_are_a_union() -> None:
    """Two RRULEs give the occurrences of both, an occurrence of both once."""
    master = event(
        "2026-01-05T09:00", None, "RRULE:FREQ=WEEKLY;COUNT=2", "RRULE:FREQ=DAILY;INTERVAL=7;COUNT=3"
    )
    assert [text[:5] for text in shown(expand(master, (), MARCH._replace(start=0), "UTC", limit=10))] == [
        "01-05",
        "01-12",
        "01-19",
    ]


def test_exrule_takes_away() -> None:
    """An EXRULE of RFC 2445 removes what it generates."""
    master = event(
        "2026-01-05T09:00", None, "RRULE:FREQ=DAILY;COUNT=10", "EXRULE:FREQ=WEEKLY;BYDAY=TU,WE,TH,FR,SA,SU"
    )
    assert [text[:5] for text in shown(expand(master, (), MARCH._replace(start=0), "UTC", limit=10))] == [
        "01-05",
        "01-12",
    ]


# Date lists


@pytest.mark.parametrize(
    "line",
    [
        "EXDATE;TZID=Europe/Berlin:20260102T090000",
        'EXDATE;TZID="Europe/Berlin":20260102T090000',
        'EXDATE;X-NOTE="a:b";TZID=Europe/Berlin:20260102T090000',
        "EXDATE:20260102T080000Z",
        "EXDATE;TZID=America/New_York:20260102T030000",
        "EXDATE:20260102T090000",  # floating, meant in the event's zone
        "EXDATE;VALUE=DATE:20260102",  # a bare date on a timed series: that day
        "EXDATE:20250101T080000Z,20260102T0\r\n 80000Z",  # folded
    ],
)
def test_exdate_in_every_spelling(line: str) -> None:
    """An EXDATE removes its occurrence whatever zone or type it is written in."""
    master = event("2026-01-01T09:00", None, "RRULE:FREQ=DAILY;COUNT=3", line)
    found = expand(master, (), window("2026-01-01", "2026-02-01"), "UTC", limit=10)
    assert [text[:5] for text in shown(found)] == ["01-01", "01-03"]


@pytest.mark.parametrize("line", ["EXDATE;VALUE=DATE:20260102", "EXDATE:20260102", "EXDATE:20260102T000000Z"])
def test_exdate_of_an_all_day_series(line: str) -> None:
    """A date, or its midnight, removes the day of an all-day series."""
    master = event("2026-01-01", None, "RRULE:FREQ=DAILY;COUNT=3", line)
    found = expand(master, (), window("2026-01-01", "2026-02-01"), BERLIN, limit=10)
    assert [text[:5] for text in shown(found)] == ["01-01", "01-03"]


def test_rdate_adds_dates_times_and_periods() -> None:
    """RDATE adds occurrences; a PERIOD brings its own end, as a time or a duration (RFC 5545 §3.3.9)."""
    master = event(
        "2026-01-01T09:00",
        "2026-01-01T10:00",
        "RDATE;TZID=Europe/Berlin:20260105T110000,20260101T090000",
        "RDATE;VALUE=PERIOD:20260106T080000Z/20260106T110000Z,20260107T080000Z/PT30M,20260108T080000Z/P1D",
    )
    found = expand(master, (), window("2026-01-01", "2026-02-01"), "UTC", limit=10)
    assert shown(found) == [
        f"01-{day} +0100" for day in ("01 09:00", "05 11:00", "06 09:00", "07 09:00", "08 09:00")
    ]
    assert [(o.end - o.start) / 3600 for o in found] == [1, 1, 3, 0.5, 24]


def test_a_long_period_is_found_by_a_window_in_its_middle() -> None:
    """An RDATE's period may be longer than the event is otherwise."""
    master = event("2026-01-01T09:00", "2026-01-01T10:00", "RDATE;VALUE=PERIOD:20260106T080000Z/P3D")
    found = expand(master, (), window("2026-01-08", "2026-01-09"), "UTC", limit=10)
    assert shown(found) == ["01-06 09:00 +0100"]


# Changed occurrences


DAILY = event("2026-03-02T09:00", "2026-03-02T10:00", "RRULE:FREQ=DAILY;COUNT=4")


def test_a_moved_occurrence_is_where_it_was_moved_to() -> None:
    """It shows in the window of its new time and not in that of its old one, and keeps its identity."""
    moved = change("2026-03-03T09:00", "2026-04-01T15:00", "2026-04-01T17:00")
    in_march = expand(DAILY, [moved], window("2026-03-01", "2026-03-31"), "UTC", limit=10)
    in_april = expand(DAILY, [moved], window("2026-04-01", "2026-04-30"), "UTC", limit=10)
    assert [text[:5] for text in shown(in_march)] == ["03-02", "03-04", "03-05"]
    assert shown(in_april) == ["04-01 15:00 +0200"]
    assert in_april[0].original == instant(datetime(2026, 3, 3, 8, tzinfo=UTC))
    assert in_april[0].event is moved
    assert in_april[0].end - in_april[0].start == 7200


@pytest.mark.parametrize(
    "original",
    [
        EventTime(datetime(2026, 3, 3, 8), "UTC"),
        EventTime(datetime(2026, 3, 3, 9), None),
        EventTime(datetime(2026, 3, 3, 3), "America/New_York"),
        EventTime(date(2026, 3, 3)),
    ],
)
def test_a_recurrence_id_in_every_spelling(original: EventTime) -> None:
    """A RECURRENCE-ID names the occurrence in whatever zone or type it is written."""
    found = expand(DAILY, [change("2026-03-03T09:00", None, original_start=original)], MARCH, "UTC", limit=10)
    assert [text[:5] for text in shown(found)] == ["03-02", "03-04", "03-05"]


def test_a_change_of_what_the_series_does_not_have_is_left_out() -> None:
    """An exception for an excluded or never generated occurrence does not add one."""
    master = replace(DAILY, recurrence=(*DAILY.recurrence, "EXDATE:20260303T080000Z"))
    orphans = [
        change("2026-03-03T09:00", "2026-03-03T12:00"),
        change("2026-03-20T09:00", "2026-03-03T13:00"),
    ]
    found = expand(master, orphans, MARCH, "UTC", limit=10)
    assert [text[:5] for text in shown(found)] == ["03-02", "03-04", "03-05"]


def test_the_newest_change_of_an_occurrence_counts() -> None:
    """Of two changes the one with the higher SEQUENCE applies, in whichever order they come."""
    old = change("2026-03-03T09:00", "2026-03-03T11:00", sequence=1)
    new = change("2026-03-03T09:00", "2026-03-03T12:00", sequence=2)
    for order in ([old, new], [new, old]):
        assert shown(expand(DAILY, order, MARCH, "UTC", limit=10))[1] == "03-03 12:00 +0100"


def test_a_change_to_all_day() -> None:
    """One occurrence of a timed series may become an all-day event."""
    found = expand(DAILY, [change("2026-03-03T09:00", "2026-03-03", "2026-03-04")], MARCH, BERLIN, limit=10)
    assert shown(found)[1] == "03-03 00:00 +0100"
    assert [o.all_day for o in found] == [False, True, False, False]


def test_a_cancelled_series_has_no_occurrences() -> None:
    """STATUS:CANCELLED of the master cancels all of it, changed occurrences too."""
    cancelled = replace(DAILY, status=EventStatus.CANCELLED)
    assert expand(cancelled, [change("2026-03-03T09:00", "2026-03-03T12:00")], MARCH, "UTC", limit=10) == []


def test_this_and_following_moves_the_rest_by_the_wall_clock() -> None:
    """RANGE=THISANDFUTURE moves its and all later occurrences alike on the wall clock, with its new length."""
    master = event("2026-03-26T09:00", "2026-03-26T10:00", "RRULE:FREQ=DAILY;COUNT=5")
    later = change("2026-03-28T09:00", "2026-03-28T11:30", "2026-03-28T13:30", this_and_future=True)
    single = change("2026-03-29T09:00", "2026-03-29T08:00", "2026-03-29T08:15")
    found = expand(master, [later, single], MARCH, "UTC", limit=10)
    assert shown(found) == [
        "03-26 09:00 +0100",
        "03-27 09:00 +0100",
        "03-28 11:30 +0100",
        "03-29 08:00 +0200",
        "03-30 11:30 +0200",
    ]
    assert [(o.end - o.start) // 60 for o in found] == [60, 60, 120, 15, 120]


def test_this_and_following_may_be_cancelled_or_changed_again() -> None:
    """Of several THISANDFUTURE changes each holds up to the next; a cancelled one ends the series."""
    changes = [
        change("2026-03-05T09:00", None, this_and_future=True),
        change("2026-03-03T09:00", "2026-03-04T10:00", "2026-03-04T11:00", this_and_future=True),
    ]
    assert shown(expand(DAILY, changes, MARCH, "UTC", limit=10)) == [
        "03-02 09:00 +0100",
        "03-04 10:00 +0100",
        "03-05 10:00 +0100",
    ]


def test_this_and_following_is_found_in_a_window_far_from_the_original() -> None:
    """The window is about where occurrences are now, also when they were shifted by weeks."""
    later = change("2026-03-03T09:00", "2026-04-03T09:00", "2026-04-03T10:00", this_and_future=True)
    found = expand(DAILY, [later], window("2026-04-04", "2026-04-06"), "UTC", limit=10)
    assert [text[:11] for text in shown(found)] == ["04-04 09:00", "04-05 09:00"]


# Windows and errors


def test_windows_are_half_open() -> None:
    """An occurrence that ends when the window begins, or begins when it ends, is not in it; one without length is
    where it begins."""
    nine, ten = window("2026-03-02T08:00", "2026-03-02T09:00")
    meeting = event("2026-03-02T09:00", "2026-03-02T10:00")
    moment = event("2026-03-02T09:00", "2026-03-02T09:00")
    assert expand(meeting, (), Span(ten, ten + 3600), "UTC", limit=1) == []
    assert expand(meeting, (), Span(nine - 3600, nine), "UTC", limit=1) == []
    assert len(expand(meeting, (), Span(ten - 1, ten), "UTC", limit=1)) == 1
    assert len(expand(moment, (), Span(nine, ten), "UTC", limit=1)) == 1
    assert expand(moment, (), Span(nine - 3600, nine), "UTC", limit=1) == []


def test_more_occurrences_than_the_limit_are_an_error() -> None:
    """``limit`` occurrences are answered, one more is refused."""
    assert len(expand(DAILY, (), MARCH, "UTC", limit=4)) == 4
    with pytest.raises(TooManyOccurrences, match="more than 3 times"):
        expand(DAILY, (), MARCH, "UTC", limit=3)


@pytest.mark.parametrize(
    "rule",
    [
        "",
        "FREQ=SOMETIMES",
        "INTERVAL=2",
        "FREQ=DAILY;COUNT=1;COUNT=2",
        "FREQ=DAILY;UNTL=20260101",
        "FREQ=DAILY;BYMONTH=13",
        "FREQ=DAILY;BYHOUR=24",
        "FREQ=MONTHLY;BYMONTHDAY=0",
        "FREQ=MONTHLY;BYDAY=54MO",
        "FREQ=MONTHLY;BYDAY=XX",
        "FREQ=DAILY;BYSETPOS=1",
        "FREQ=YEARLY;BYEASTER=0",
        "FREQ=YEARLY;RSCALE=HEBREW",
        "FREQ=MONTHLY;BYMONTHDAY=٣",
        f"FREQ=DAILY;BYHOUR={','.join(['1'] * 5000)}",
    ],
)
def test_faulty_rules_are_refused(rule: str) -> None:
    """What RFC 5545 §3.3.10 does not allow is an InvalidRule, with a sentence that can be shown."""
    with pytest.raises(InvalidRule, match=r"\.$"):
        expand(event("2026-01-01T09:00", None, f"RRULE:{rule}"), (), MARCH, "UTC", limit=10)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (event("2026-01-01T09:00", None, zone="Mars/Base"), UnknownZone),
        (event("2026-01-01T09:00", None, zone="../../etc/passwd"), UnknownZone),
        (event("2026-01-01T09:00", None, zone="America"), UnknownZone),
        (event("2026-01-01", None, "RRULE:FREQ=HOURLY"), InvalidRule),
        (event("2026-01-01T09:00", None, "RRULE"), RecurrenceError),
    ],
)
def test_faulty_zones_and_lines_are_refused(fault: CalendarEvent, error: type[RecurrenceError]) -> None:
    """Nonsense in any other place is a typed error, too."""
    with pytest.raises(error):
        expand(fault, (), MARCH, "UTC", limit=10)


def test_what_cannot_be_misread_is_read() -> None:
    """Lower case, spaces, a final semicolon and COUNT=-1 for "no limit" are met in the wild."""
    assert parse_rule("freq=weekly; byday=mo, tu;count=-1;") == parse_rule("FREQ=WEEKLY;BYDAY=MO,TU")


def test_a_leap_second_is_the_second_before_it() -> None:
    """BYSECOND=60 is allowed by RFC 5545 and means 59 on clocks without leap seconds (§3.3.12)."""
    assert parse_rule("FREQ=MINUTELY;BYSECOND=60") == parse_rule("FREQ=MINUTELY;BYSECOND=59")


def test_a_single_event_may_lie_in_the_second_half_of_an_overlap() -> None:
    """``fold`` of a provider's time is honoured for events that do not recur."""
    second = EventTime(datetime(2026, 10, 25, 2, 30, fold=1), BERLIN)
    found = expand(CalendarEvent("one", start=second), (), window("2026-10-25", "2026-10-26"), "UTC", limit=1)
    assert shown(found) == ["10-25 02:30 +0100"]


def test_far_windows_do_not_cost_the_way_to_them() -> None:
    """A rule without COUNT is entered at the window, however long ago it began."""
    day = timedelta(days=1)
    far = datetime(2300, 1, 1, tzinfo=UTC)
    for rule in (
        "DAILY",
        "SECONDLY;INTERVAL=86400",
        "WEEKLY;BYDAY=MO,TU,WE,TH,FR,SA,SU",
        "DAILY;COUNT=999999",
    ):
        master = event("0001-01-01T09:00", None, f"RRULE:FREQ={rule}", zone="UTC")
        found = expand(master, (), Span(instant(far), instant(far + 3 * day)), "UTC", limit=5)
        assert [o.start for o in found] == [instant(far + day * n) + 9 * 3600 for n in range(3)]


@pytest.mark.parametrize(
    "line",
    [
        "RDATE:tomorrow",
        "RDATE;VALUE=PERIOD:20260301T090000Z/PT",
        "EXDATE:20260399T090000Z",
        "EXDATE:bogus",
        "EXDATE;TZID=Mars/Base:20260302T090000",
    ],
)
def test_a_date_that_cannot_be_read_costs_only_itself(line: str) -> None:
    """The other occurrences stay, and a sentence names the date."""
    unclear: list[str] = []
    master = event("2026-03-01T09:00", None, "RRULE:FREQ=DAILY;COUNT=3", line, zone="UTC")
    found = expand(master, (), MARCH, "UTC", limit=10, unclear=unclear)
    assert (
        len({o.start for o in found} & {instant(datetime(2026, 3, n, 9, tzinfo=UTC)) for n in (1, 2, 3)}) == 3
    )
    assert len(unclear) == 1
    assert unclear[0].endswith(".")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("FREQ=WEEKLY;COUNT=6;BYDAY=", "FREQ=WEEKLY;COUNT=6"),
        ("FREQ=WEEKLY;;COUNT=6;", "FREQ=WEEKLY;COUNT=6"),
        ("FREQ=WEEKLY;UNTIL=2027-02-09T08:00:00Z", "FREQ=WEEKLY;UNTIL=20270209T080000Z"),
        ("FREQ=WEEKLY;UNTIL=20270209T080000.000Z", "FREQ=WEEKLY;UNTIL=20270209T080000Z"),
        ("FREQ=WEEKLY;UNTIL=20270209T100000+0200", "FREQ=WEEKLY;UNTIL=20270209T080000Z"),
        ("FREQ=WEEKLY;UNTIL=20270209T240000", "FREQ=WEEKLY;UNTIL=20270210T000000"),
        ("FREQ=WEEKLY;UNTIL=2027-02-09", "FREQ=WEEKLY;UNTIL=20270209"),
        ('FREQ=WEEKLY;COUNT=12;BYDAY="WE,TH"', "FREQ=WEEKLY;COUNT=12;BYDAY=WE,TH"),
        ("FREQ=WEEKLY;BYDAY=Wednesday,Thu,", "FREQ=WEEKLY;BYDAY=WE,TH"),
        ("FREQ=MONTHLY;BYDAY=-1Friday", "FREQ=MONTHLY;BYDAY=-1FR"),
        ("FREQ=WEEKLY;COUNT=6;WKST=Monday", "FREQ=WEEKLY;COUNT=6"),
        ("FREQ=WEEKLY;COUNT=6;WKST=1", "FREQ=WEEKLY;COUNT=6"),
        ("FREQ:WEEKLY;COUNT:6", "FREQ=WEEKLY;COUNT=6"),
        ("WEEKLY;COUNT=6", "FREQ=WEEKLY;COUNT=6"),
        ("RRULE:FREQ=WEEKLY;COUNT=6", "FREQ=WEEKLY;COUNT=6"),
        ("BYDAY=MO,WE", "FREQ=WEEKLY;BYDAY=MO,WE"),
        ("FREQ=DAILY;INTERVAL=0", "FREQ=DAILY"),
        ("FREQ=DAILY;INTERVAL=", "FREQ=DAILY"),
        ("FREQ=DAILY;COUNT=0", "FREQ=DAILY"),
        ("FREQ=DAILY;COUNT=2;COUNT=2", "FREQ=DAILY;COUNT=2"),
    ],
)
def test_badly_written_rules_are_read_where_they_are_clear(written: str, meant: str) -> None:
    """What can mean one thing only is read as that, without a word."""
    assert parse_rule(written) == parse_rule(meant)
    assert parse_rule(written).unclear == ()


@pytest.mark.parametrize("end", ["UNTIL=20260230", "UNTIL=soon", "COUNT=1.5", "COUNT=many"])
def test_an_end_that_cannot_be_read_is_none_and_told(end: str) -> None:
    """A rule without its end has every occurrence it might have."""
    rule = parse_rule(f"FREQ=DAILY;{end}")
    assert rule == parse_rule("FREQ=DAILY")
    assert end.upper() in rule.unclear[0]


def test_what_a_yearly_rule_does_not_say_comes_from_its_start() -> None:
    """BYMONTHDAY alone recurs in DTSTART's month, BYWEEKNO alone on DTSTART's weekday (decision 0006)."""
    start = datetime(2026, 3, 5)  # a Thursday

    def days(rule: str) -> list[date]:
        chunks = Recurrence(parse_rule(rule), wall_seconds(start)).between(wall_seconds(start), 10**12)
        return [date.fromordinal(at // 86_400 + 719_163) for chunk in chunks for at in chunk]

    assert days("FREQ=YEARLY;BYMONTHDAY=1,31;COUNT=3") == [
        date(2026, 3, 31),
        date(2027, 3, 1),
        date(2027, 3, 31),
    ]
    assert days("FREQ=YEARLY;BYWEEKNO=20;COUNT=2") == [date(2026, 5, 14), date(2027, 5, 20)]
    assert days("FREQ=YEARLY;BYWEEKNO=20;BYDAY=MO;COUNT=2") == [date(2026, 5, 11), date(2027, 5, 17)]


def test_a_start_off_its_rule_counts_towards_count() -> None:
    """Wednesdays that begin on a Thursday: DTSTART is the first of three."""
    master = event("2026-03-05T09:00", None, "RRULE:FREQ=WEEKLY;BYDAY=WE;COUNT=3", zone="UTC")
    days = [datetime.fromtimestamp(o.start, UTC).day for o in expand(master, (), MARCH, "UTC", limit=9)]
    assert days == [5, 11, 18]


@pytest.mark.parametrize(
    ("text", "days", "seconds"),
    [
        ("P1DT", 1, 0),
        ("P1W", 7, 0),
        ("p1dt2h", 1, 7200),
        ("P15M", 0, 900),
        ("-PT5M", 0, -300),
        ("P2D3H", 2, 10_800),
    ],
)
def test_durations_with_a_t_too_many_or_too_few(text: str, days: int, seconds: int) -> None:
    """Nothing else can be meant by them."""
    assert parse_duration(text) == (days, seconds)
