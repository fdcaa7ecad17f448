"""Other projects' tables of expected occurrences, row by row.

A row that our engine answers differently is listed here with the passage of RFC 5545 that decides, and is then asserted
to differ in just that way; a row whose table lost a part of its question gets that part back.
"""

# ruff: noqa: DTZ001  # wall-clock times have no zone: EventTime carries it
from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from calendar_app.domain.event import CalendarEvent, EventTime
from calendar_app.domain.ics import read_calendar
from calendar_app.domain.recurrence import InvalidRule, Recurrence, expand, parse_rule
from calendar_app.domain.recurrence.rule import parse_time
from calendar_app.domain.recurrence.wallclock import instant_of, wall_seconds, zone_of
from calendar_app.domain.timespan import Span
from tests.domain.recurrence_tables import CALENDARS, needs_tables, rows

pytestmark = needs_tables

EPOCH = datetime(1970, 1, 1)
CENTURY = 100 * 366 * 86_400


def reading(seconds: int) -> datetime:
    """Local seconds as a naive datetime."""
    return EPOCH + timedelta(seconds=seconds)


# dateutil: rules and rule sets --------------------------------------------------------------------

# The table kept one rule of these upstream tests; the rest of each set is stated here as upstream's test file has it.
LOST_LINES: dict[str, tuple[str, ...]] = {
    "testSet": ("RRULE:FREQ=YEARLY;COUNT=2;BYDAY=TU",),
    "testSetDate": ("RDATE:19970904T090000,19970909T090000",),
    "testSetDateAndExRule": (
        "RDATE:19970902T090000,19970904T090000,19970909T090000,19970911T090000,19970916T090000,19970918T090000",
    ),
    "testSetExDate": ("EXDATE:19970904T090000,19970911T090000,19970918T090000",),
    "testSetExDateRevOrder": ("EXDATE:20040410T090000,20040210T090000",),
}
EXCLUDING = {"testSetDateAndExRule"}  # its rule was the set's EXRULE
FIRST_ONLY = {"testMonthlyByWeekDay"}  # no COUNT: the table has the first three
AFTER_FIRST = {"testBetween"}  # no COUNT: upstream asked between the first and the fifth occurrence
ZONE_LOST = {"testStrUntilWithTZ"}  # upstream's DTSTART is in America/New_York and its UNTIL in UTC
# Whose month or weekday is DTSTART's for us, and any for dateutil (decision 0006); DTSTART is 2 September 1997.
FROM_DTSTART = {
    "testToStrYearlyByMonthDay": ["19970903T090000", "19980901T090000", "19980903T090000"],
    "testToStrYearlyByWeekNo": ["19980512T090000", "19990518T090000", "20000516T090000"],
    "testSetExDateRevOrder": ["20040110T090000", "20040310T090000"],
    "testToStrYearlyBySetPos": [],  # the third of two times
}
DATEUTIL = [row for row in rows("dateutil_rrule.json") if "BYEASTER" not in row.get("rule", "")]


def dateutil_answer(row: dict[str, Any]) -> list[str]:
    """Our occurrences for a row, in the row's notation."""
    if "rruleset" in row:
        parts = row["rruleset"]
        start = parts["rrule"][0].split("\n")[0] if parts["rrule"] else f"DTSTART:{parts['rdate'][0]}"
        lines = [rule.split("\n")[1] for rule in parts["rrule"]]
        lines += [f"RDATE:{value}" for value in parts["rdate"]]
        lines += [f"EXDATE:{value}" for value in parts["exdate"]]
    else:
        start, rule = row["rule"].split("\n")
        lines = [rule.replace("RRULE", "EXRULE") if row["test"] in EXCLUDING else rule]
        lines += LOST_LINES.get(row["test"], ())
    begin = parse_time(start.removeprefix("DTSTART:"), "UTC")
    if row["test"] in ZONE_LOST:
        begin = replace(begin, zone="America/New_York")
        lines = [f"{lines[0]}Z"]
    master = CalendarEvent("row", start=begin, recurrence=tuple(lines))
    first = instant_of(begin, "UTC")
    endless = "COUNT" not in " ".join(lines)
    window = Span(first, first + (CENTURY // 20 if endless else 3 * CENTURY))
    found = [o.start for o in expand(master, (), window, "UTC", limit=5000)]
    if row["test"] in ZONE_LOST:
        zone = zone_of("America/New_York")
        return [f"{reading(zone.local(at)).isoformat()}-05:00" for at in found]
    return [reading(at).strftime("%Y%m%dT%H%M%S") for at in found]


@pytest.mark.parametrize("row", DATEUTIL, ids=[f"{n}-{row['test']}" for n, row in enumerate(DATEUTIL)])
def test_dateutil(row: dict[str, Any]) -> None:
    """dateutil's rules give dateutil's occurrences. DTSTART is one besides where its rule leaves it out, and counts.

    RFC 5545 §3.8.5.3 demands that DTSTART match the rule and leaves undefined what follows if it does not; §3.8.2.4
    has DTSTART "define the start date and time for the event" all the same, and §3.3.10 has it "always" count as the
    first occurrence.
    """
    found = dateutil_answer(row)
    wanted = FROM_DTSTART.get(row["test"], row["expected"])
    start = row.get("rule", "").split("\n")[0].removeprefix("DTSTART:")
    if start in found and start not in wanted:
        assert found[0] == start
        del found[0]
        if "COUNT" in row["rule"] and row["test"] not in EXCLUDING:
            wanted = wanted[: parse_rule(row["rule"].split("RRULE:")[1]).count - 1]
    if row["test"] in FIRST_ONLY | AFTER_FIRST:
        found = found[: len(wanted)]
    assert found == wanted


# ical.js: rules -----------------------------------------------------------------------------------

ICALJS_BREAKS_RFC = {
    # §3.3.10: "Each BYSETPOS value corresponds to the nth occurrence within the set of recurrence instances specified
    # by the rule": January 1 is neither the last nor the second day of its month. (As DTSTART it still is an occurrence
    # of an event.)
    ("FREQ=MONTHLY;BYSETPOS=-1;BYDAY=SU,MO,TU,WE,TH,FR,SA;INTERVAL=1;COUNT=4", "2016-01-01"): [
        "2016-01-31T00:00:00",
        "2016-02-29T00:00:00",
        "2016-03-31T00:00:00",
    ],
    ("FREQ=MONTHLY;BYSETPOS=2;BYDAY=SU,MO,TU,WE,TH,FR,SA;INTERVAL=1;COUNT=4", "2016-01-01"): [
        "2016-01-02T00:00:00",
        "2016-02-02T00:00:00",
        "2016-03-02T00:00:00",
    ],
}
ICALJS = rows("icaljs_recur_iterator.json")


@pytest.mark.parametrize("row", ICALJS, ids=[f"{n}-{row['ruleString']}" for n, row in enumerate(ICALJS)])
def test_icaljs(row: dict[str, Any]) -> None:
    """ical.js' rules give its first occurrences, or all of them where the row says so."""
    options = row["options"]
    wanted = [datetime.fromisoformat(text.rstrip("Z")) for text in options.get("dates", [])]
    begin = datetime.fromisoformat(options["dtStart"].rstrip("Z")) if "dtStart" in options else wanted[0]
    rule = parse_rule(row["ruleString"])
    start = wall_seconds(begin)
    end = start + CENTURY if rule.until is None else wall_seconds(rule.until.value)
    found: list[datetime] = []
    for chunk in Recurrence(rule, start).between(start, end):
        found += map(reading, chunk)
        if len(found) > len(wanted) + 10:
            break
    key = (row["ruleString"], options.get("dtStart"))
    if key in ICALJS_BREAKS_RFC:
        ours = [datetime.fromisoformat(text) for text in ICALJS_BREAKS_RFC[key]]
        assert found[: len(ours)] == ours != wanted[: len(ours)]
    elif options.get("byCount") or options.get("until") or options.get("noInstance"):
        assert found == wanted
    else:
        assert found[: len(wanted)] == wanted


# recurring-ical-events: window queries over calendar files ----------------------------------------

QUERIES = rows("recurring_ical_events_queries.json")
QUERY_ZONES = {  # the table has the query's instants only; the zone in which it asked for a day is in the test's name
    "Berlin": "Europe/Berlin",
    "Ho_Chi_Minh": "Asia/Ho_Chi_Minh",
    "New_York": "America/New_York",
}
# §3.6.6: these rows ask at what time an alarm of an event rings; the table does not tell them from the other queries.
ALARM_QUERIES = {
    ("alarm_absolute.ics", '["20241003"]'),
    ("alarm_absolute.ics", "[[2024, 10, 3, 13]]"),
    ("alarm_absolute.ics", "[[2024, 10, 3, 13, 0]]"),
    ("alarm_absolute_repeat.ics", '["20241003"]'),
    ("alarm_absolute_repeat.ics", "[[2024, 10, 3, 13]]"),
    ("alarm_absolute_repeat.ics", "[[2024, 10, 3, 13, 0]]"),
    ("alarm_absolute_repeat.ics", "[[2024, 10, 3, 14]]"),
    ("alarm_removed_and_moved.ics", '["20241221"]'),
    ("alarm_around_event_boundaries.ics", "[[2024, 10, 4, 10, 45]]"),
    ("alarm_around_event_boundaries.ics", "[[2024, 10, 4, 12, 0]]"),
    ("alarm_recurring_and_acknowledged_at_2024_11_27_16_27.ics", "[[2024, 11, 28, 13]]"),
    ("alarm_recurring_and_acknowledged_at_2024_11_27_16_27.ics", "[[2024, 11, 28, 13, 0]]"),
    ("alarm_recurring_and_acknowledged_at_2024_11_27_16_27.ics", "[[2024, 11, 28, 13, 0, 0]]"),
    ("alarm_recurring_and_acknowledged_at_2024_11_27_16_27.ics", "[[2024, 11, 28, 14]]"),
    ("alarm_1_week_before_event.ics", '["20241202"]'),
    ("alarm_1_week_before_event.ics", '["20241207"]'),
    ("alarms_different_in_same_event.ics", '["20241220"]'),
    ("alarms_different_in_same_event.ics", '["20241221"]'),
    ("alarms_different_in_same_event.ics", '["20241222"]'),
}
# §3.8.1.11: STATUS:CANCELLED "indicates event was cancelled", and RFC 5546 §3.2.5 makes that of one instance: it does
# not take place. The library returns it and leaves it to the caller to look at STATUS.
CANCELLED_QUERIES = {("issue_18_cancel_status.ics", '["20200129"]')}
# §3.8.2.2: DTEND "MUST be later in time than the value of DTSTART"; a day that ends on itself is taken for a whole
# day, as §3.6.1 takes one without an end, and not for nothing.
EMPTY_DAY_QUERIES = {("Germany_Holidays.ics", "[2020]")}


def key_of(row: dict[str, Any]) -> tuple[str, str]:
    """What tells a query from the others of its calendar."""
    return row["calendar"], json.dumps(row["args"])


def point(value: Any) -> tuple[datetime, datetime, str | None]:
    """Begin, end and zone of a moment, day, month or year in the table's notation."""
    if isinstance(value, str):
        begin = datetime.fromisoformat(value.rstrip("Z"))
        length = timedelta(days=1) if len(value) == 8 else timedelta(seconds=1)
        return begin, begin + length, "UTC" if value.endswith("Z") else None
    parts = value if isinstance(value, list) else [value]
    begin = datetime(*(parts + [1, 1, 0, 0, 0][len(parts) - 1 :])[:6])
    if len(parts) == 1:
        return begin, begin.replace(year=begin.year + 1), None
    if len(parts) == 2:
        return begin, (begin + timedelta(days=32)).replace(day=1), None
    units = (timedelta(days=1), timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1))
    return begin, begin + units[min(len(parts), 6) - 3], None


def asked(row: dict[str, Any]) -> tuple[tuple[datetime, str | None], tuple[datetime, str | None]]:
    """Begin and end of a row's window; a window without length means its one second."""
    if row["op"] == "count":
        return point(1900)[::2], point(2100)[::2]  # type: ignore[return-value]
    begin, end, zone = point(row["args"][0])
    if row["op"] == "between":
        other = row["args"][1]
        if isinstance(other, str) and other.startswith("P"):
            return (begin, zone), (begin + timedelta(seconds=int(other[1:-1])), zone)
        end, _, end_zone = point(other)
        return (begin, zone), (max(end, begin + timedelta(seconds=1)), end_zone)
    return (begin, zone), (end, zone)


def notation(at: int, time: EventTime, calendar_zone: str) -> str:
    """An instant in the table's notation: DATE, floating or UTC as ``time`` is."""
    if time.all_day:
        return reading(zone_of(calendar_zone).local(at)).strftime("%Y%m%d")
    if time.zone is None:
        return reading(zone_of(calendar_zone).local(at)).strftime("%Y%m%dT%H%M%S")
    return datetime.fromtimestamp(at, UTC).strftime("%Y%m%dT%H%M%SZ")


def queried(row: dict[str, Any]) -> list[list[str]]:
    """Our answer to a row. A time without zone is read in each event's own, as the library does."""
    inline = row["calendar"].startswith("inline:")
    file = read_calendar(row["calendar"][7:] if inline else (CALENDARS / row["calendar"]).read_bytes())
    named = next((zone for name, zone in QUERY_ZONES.items() if name in row["test"]), None)
    calendar_zone = named or file.zone or "UTC"
    (begin, begin_zone), (end, end_zone) = asked(row)
    masters = {event.remote_id for event in file.events if event.master_id is None}
    answer: list[list[str]] = []
    for master in file.events:
        if master.master_id in masters or master.start is None:
            continue
        own = master.start.zone or calendar_zone
        window = Span(
            instant_of(EventTime(begin, begin_zone or own), calendar_zone),
            instant_of(EventTime(end, end_zone or own), calendar_zone),
        )
        changes = [event for event in file.events if event.master_id == master.remote_id]
        try:
            found = expand(master, changes, window, calendar_zone, limit=10_000)
        except InvalidRule:
            continue  # the library's own suite skips series with a faulty rule, too
        for occurrence in found:
            time = occurrence.event.start or master.start
            uid = occurrence.event.ical_uid
            span = [notation(at, time, calendar_zone) for at in (occurrence.start, occurrence.end)]
            answer.append([*span, occurrence.event.summary, re.sub(r".*@no-uid\.invalid$", "", uid)])
    return sorted(answer)


@pytest.mark.parametrize(
    "row",
    QUERIES,
    ids=[f"{n}-{row['op']}-{row['calendar'][:40].splitlines()[0]}" for n, row in enumerate(QUERIES)],
)
def test_recurring_ical_events(row: dict[str, Any]) -> None:
    """The library's window queries over real calendars give its events, save where its rows are not the RFC's."""
    if not row["calendar"].startswith("inline:") and not (CALENDARS / row["calendar"]).is_file():
        pytest.skip(f"the shared test data lacks {row['calendar']}")
    found = queried(row)
    if row["op"] == "count":
        assert len(found) == row["result"]
        return
    wanted = sorted(entry[1:] for entry in row["result"] if entry[0] == "VEVENT")
    key = key_of(row)
    if key in ALARM_QUERIES:
        assert found != wanted
    elif key in CANCELLED_QUERIES:
        assert found == []
        assert len(wanted) == 1
    elif key in EMPTY_DAY_QUERIES:
        a_day = [
            [s, (date.fromisoformat(s) + timedelta(days=1)).strftime("%Y%m%d"), *more]
            for s, _, *more in wanted
        ]
        assert found == a_day
    else:
        assert found == wanted
