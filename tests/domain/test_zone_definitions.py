"""Time zones that a file defines: every zone of the IANA database under a private name gives its own instants."""

# ruff: noqa: DTZ001  # wall-clock times have no zone: EventTime carries it
from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from calendar_app.db.mirror import from_payload, to_payload
from calendar_app.domain.event import CalendarEvent, EventTime
from calendar_app.domain.ics import read_calendar
from calendar_app.domain.ics.lines import components
from calendar_app.domain.ics.zone_names import named
from calendar_app.domain.ics.zones import ZoneNames
from calendar_app.domain.recurrence.cautious import expand_cautiously
from calendar_app.domain.recurrence.definition import (
    changes_of,
    defined_zone,
    fixed_zone,
    observances_of,
    readings,
)
from calendar_app.domain.recurrence.rule import WEEKDAYS
from calendar_app.domain.recurrence.wallclock import event_instant as moment
from calendar_app.domain.recurrence.wallclock import zone_of
from calendar_app.domain.timespan import Span, instant
from calendar_app.domain.zones import Transition, offset_at, transitions, zone_names
from tests.support.long_form import LONG

SAMPLE = (
    "Africa/Casablanca", "America/Chicago", "America/Nuuk", "America/Sao_Paulo", "America/St_Johns", "Asia/Gaza",
    "Asia/Kathmandu", "Australia/Lord_Howe", "Europe/Berlin", "Europe/Dublin", "Pacific/Apia", "UTC",
)  # fmt: skip
FIRST, LAST = (instant(datetime(year, 1, 1, tzinfo=UTC)) for year in (2024, 2038))


def offset(seconds: int) -> str:
    """UTC-OFFSET (RFC 5545 §3.3.14)."""
    minutes, rest = divmod(abs(seconds), 60)
    return f"{'-' if seconds < 0 else '+'}{minutes // 60:02}{minutes % 60:02}{f'{rest:02}' if rest else ''}"


def local(change: Transition) -> datetime:
    """The wall-clock time of a change, as it is written."""
    return datetime(1970, 1, 1) + timedelta(seconds=change.at + change.before)


def observance(change: Transition, *lines: str) -> list[str]:
    """A part of a VTIMEZONE that begins with a change."""
    kind = "DAYLIGHT" if change.after > change.before else "STANDARD"
    return [
        f"BEGIN:{kind}", f"DTSTART:{local(change):%Y%m%dT%H%M%S}", f"TZOFFSETFROM:{offset(change.before)}",
        f"TZOFFSETTO:{offset(change.after)}", *lines, f"END:{kind}",
    ]  # fmt: skip


def single(changes: Iterable[Transition]) -> list[str]:
    """A part for every change."""
    return [line for change in changes for line in observance(change)]


def by_rules(changes: list[Transition]) -> list[str]:
    """A part for every kind of change, with a rule where one fits all of them."""
    lines: list[str] = []
    for kind in dict.fromkeys((change.before, change.after) for change in changes):
        alike = [change for change in changes if (change.before, change.after) == kind]
        rule = rule_of([local(change) for change in alike])
        dates = ",".join(f"{local(change):%Y%m%dT%H%M%S}" for change in alike[1:])
        lines += observance(alike[0], *([f"RRULE:{rule}"] if rule else [f"RDATE:{dates}"] if dates else []))
    return lines


def rule_of(times: list[datetime]) -> str:
    """The yearly rule that has these times and no others, empty if there is none."""
    first = times[0]
    for ordinal in ((first.day - 1) // 7 + 1, -1):
        day = [
            t for t in times
            if (t.month, t.weekday(), t.time()) == (first.month, first.weekday(), first.time())
            and ((t + timedelta(days=7)).month != t.month if ordinal < 0 else (t.day - 1) // 7 + 1 == ordinal)
        ]  # fmt: skip
        if day == times and [t.year for t in times] == list(range(first.year, 2038)):
            return f"FREQ=YEARLY;BYMONTH={first.month};BYDAY={ordinal}{WEEKDAYS[first.weekday()]}"
    return ""


def changes(zone: str, since: int) -> list[Transition]:
    """The zone's changes from a year to 2037, or one that changes nothing."""
    begin = instant(datetime(since, 1, 2, tzinfo=UTC))
    fixed = Transition(begin, offset_at(zone, begin), offset_at(zone, begin))
    return transitions(zone, Span(begin, LAST)) or [fixed]


WAYS: dict[str, Callable[[str], list[str]]] = {
    "full history": lambda zone: single(changes(zone, 1900)),
    "rules from 2024 on": lambda zone: by_rules(changes(zone, 2024)),
    "single onsets": lambda zone: single(changes(zone, 2023)),
}


def definition(lines: list[str], tzid: str = "Our office") -> list[str]:
    """A VTIMEZONE."""
    return ["BEGIN:VTIMEZONE", f"TZID:{tzid}", *lines, "END:VTIMEZONE"]


def zone_in(lines: list[str], tzid: str = "Our office") -> str:
    """What the TZID of a calendar with that VTIMEZONE stands for."""
    (calendar,) = components("\n".join(["BEGIN:VCALENDAR", *definition(lines, tzid), "END:VCALENDAR"]))
    return ZoneNames.of(calendar).zone(tzid) or ""


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("zone", sorted(zone_names()) if LONG else SAMPLE)
def test_a_private_zone_gives_its_instants(zone: str, way: str) -> None:
    """From 2024 to 2037, at every change and between them; its name is short, and the mirror keeps it."""
    name = zone_in(WAYS[way](zone))
    ours, theirs = zone_of(name), zone_of(zone)
    edges = [change.at for change in transitions(zone, Span(FIRST, LAST))]
    for at in (*range(FIRST, LAST, 86_400), *edges, *(edge - 1 for edge in edges)):
        assert ours.local(at) == theirs.local(at), datetime.fromtimestamp(at, UTC)
    for edge in edges:
        for reading in range(theirs.local(edge) - 9_000, theirs.local(edge) + 9_000, 900):
            assert ours.instant(reading) == theirs.instant(reading)
    assert len(name) <= 1_500
    event = CalendarEvent("e", start=EventTime(datetime(2027, 1, 15, 9), name))
    assert from_payload(to_payload(event)) == event


CHICAGO = WAYS["rules from 2024 on"]("America/Chicago")
LISBON = WAYS["rules from 2024 on"]("Europe/Lisbon")


def starts(zone_lines: list[str], tzid: str, *more: str) -> tuple[list[str], tuple[str, ...]]:
    """When an event at nine on 15 January 2027 in that zone is busy, and what is told."""
    event = ["BEGIN:VEVENT", "UID:1", f'DTSTART;TZID="{tzid}":20270115T090000',
             f'DTEND;TZID="{tzid}":20270115T100000', *more, "END:VEVENT"]  # fmt: skip
    file = read_calendar("\n".join(["BEGIN:VCALENDAR", *zone_lines, *event, "END:VCALENDAR"]))
    window = Span(instant(datetime(2027, 1, 1, tzinfo=UTC)), instant(datetime(2027, 9, 1, tzinfo=UTC)))
    read = expand_cautiously(file.events[0], (), window, "UTC", limit=99)
    told = (*(one.why for one in file.unread), *read.unread)
    return [f"{datetime.fromtimestamp(one.start, UTC):%m-%d %H:%M}" for one in read.occurrences], told


def test_a_definition_counts_before_a_name_that_only_looks_like_one() -> None:
    """Another case, a path or X-LIC-LOCATION never overrule what the file says."""
    for tzid in ("Europe/lisbon", "/example.org/Europe/Lisbon", "Romance Standard Time"):
        assert starts(definition(CHICAGO, tzid), tzid) == (["01-15 15:00"], ())
    assert starts(definition(["X-LIC-LOCATION:Europe/Lisbon", *CHICAGO]), "Our office")[0] == ["01-15 15:00"]


def test_an_exact_name_with_another_definition_is_busy_twice_and_told() -> None:
    """Where the two differ both count; where they agree, in the years that matter, nothing is said."""
    assert starts(definition(LISBON, "Europe/Lisbon"), "Europe/Lisbon") == (["01-15 09:00"], ())
    found, told = starts(definition(CHICAGO, "Europe/Lisbon"), "Europe/Lisbon")
    assert found == ["01-15 09:00", "01-15 15:00"]
    assert "both times count" in told[0]


def test_an_exact_name_whose_definition_ends_early_is_told_from_then_on() -> None:
    """A series in the year that the file defines is read once, in the years after it twice where the two differ."""
    year = Span(*(instant(datetime(year, 6, 1, tzinfo=UTC)) for year in (2026, 2027)))
    only_2027 = single(transitions("America/Chicago", year))
    zone = zone_in(only_2027, "America/Chicago")
    assert len(readings(zone)) == 2
    assert (
        starts(definition(only_2027, "America/Chicago"), "America/Chicago", "RRULE:FREQ=WEEKLY;COUNT=20")[1]
        == ()
    )


@pytest.mark.parametrize(
    ("tzid", "written"),
    [
        ("(UTC+07:00) Bangkok, Hanoi, Jakarta", r"(UTC+07:00) Bangkok\, Hanoi\, Jakarta"),
        ('A "B"', 'A "B"'),
        ("  Our  office ", "Our office"),
    ],
)
def test_a_tzid_is_text_in_its_definition(tzid: str, written: str) -> None:
    """Escapes, quotes and spaces do not part a name from its definition."""
    (calendar,) = components("\n".join(["BEGIN:VCALENDAR", *definition(CHICAGO, written), "END:VCALENDAR"]))
    assert zone_of(ZoneNames.of(calendar).zone(tzid) or "").local(FIRST) == FIRST - 6 * 3600


def test_a_series_follows_a_defined_zone() -> None:
    """Its wall clock, its dates and its changes, from one offset to the other."""
    lines = ("RRULE:FREQ=MONTHLY;COUNT=4", 'EXDATE;TZID="Our office":20270215T090000')
    assert starts(definition(CHICAGO), "Our office", *lines)[0] == [
        "01-15 15:00",
        "03-15 14:00",
        "04-15 14:00",
    ]


def test_a_definition_that_cannot_be_followed_leaves_the_name_and_is_told() -> None:
    """Its name decides where it says something; else the times are the calendar's."""
    broken = [
        "BEGIN:STANDARD",
        "DTSTART:19700101T000000",
        "TZOFFSETFROM:+0100",
        "TZOFFSETTO:far",
        "END:STANDARD",
    ]
    found, told = starts(definition(broken, "Europe/Berlin"), "Europe/Berlin")
    assert (found, len(told)) == (["01-15 08:00"], 1)
    found, told = starts(definition(broken), "Our office")
    assert found == ["01-15 09:00"]
    assert told


def test_the_end_of_a_rule_ends_it() -> None:
    """UNTIL is in UTC, inclusive; before its first onset a zone has that onset's TZOFFSETFROM."""
    lines = ["BEGIN:DAYLIGHT", "DTSTART:20250330T020000", "TZOFFSETFROM:+0100", "TZOFFSETTO:+0200",
             "RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU;UNTIL=20260329T010000Z", "END:DAYLIGHT"]  # fmt: skip
    assert [change.after for change in changes_of(zone_in(lines))] == [7200]
    back = ["BEGIN:STANDARD", "DTSTART:20251026T030000", "TZOFFSETFROM:+0200", "TZOFFSETTO:+0100",
            "RRULE:FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU;UNTIL=20261025T005959Z", "END:STANDARD"]  # fmt: skip
    found = changes_of(zone_in([*lines, *back]))
    assert [(datetime.fromtimestamp(c.at, UTC).strftime("%Y-%m-%d %H"), c.before) for c in found] == [
        ("2025-03-30 01", 3600), ("2025-10-26 01", 7200), ("2026-03-29 01", 3600),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "zone"),
    [
        ("(UTC-05:00) Eastern Time (US & Canada)", "America/New_York"),
        ("(UTC-05:00) Eastern Time (US and Canada)", "America/New_York"),
        ("(GMT-08:00) Pacific Time (US & Canada); Tijuana", "America/Los_Angeles"),
        ("Eastern Time (US & Canada)", "America/New_York"),
        ("(UTC+01:00) Amsterdam, Berlin, Bern, Rome, Stockholm, Vienna", "Europe/Amsterdam"),
        ("(UTC+01:00) Amsterdam, Berlin, Bern, Rom, Stockholm, Wien", "Europe/Amsterdam"),
        ("(UTC) Dublin, Edinburgh, Lisbon, London", "Europe/Dublin"),
        ("(UTC-04:00) Georgetown, La Paz, Manaus, San Juan", "America/La_Paz"),
        ("(UTC-07:00) Chihuahua, La Paz, Mazatlan", "America/Mazatlan"),
        ("(UTC+05:30) Chennai, Kolkata, Mumbai, New Delhi", "Asia/Kolkata"),
        ("(UTC) Coordinated Universal Time", "UTC"),
        ("(UTC-02:00) Coordinated Universal Time-02", "Etc/GMT+2"),
        ("GMT+0530", "defined:+0530+0530@19700101T00"),
        ("UTC+5", "Etc/GMT-5"),
        ("(GMT-03:30)", "defined:-0330-0330@19700101T00"),
        ("(UTC+09:00) Nowhere", "Etc/GMT-9 or Etc/GMT-10"),
        ("Bogus", None),
    ],
)
def test_names_without_a_definition_say_what_they_can(name: str, zone: str | None) -> None:
    """Outlook's display names and offsets; an offset with an unknown place is with summer time or without."""
    assert named(name) == zone


def test_a_colon_in_a_tzid_without_quotes() -> None:
    """``TZID=(UTC+07:00) Bangkok, Hanoi, Jakarta:2027…`` is read although RFC 5545 §3.1 wants quotes there."""
    lines = [
        "BEGIN:VEVENT",
        "UID:1",
        "DTSTART;TZID=(UTC+07:00) Bangkok, Hanoi, Jakarta:20270430T090000",
        "END:VEVENT",
    ]
    (event,) = read_calendar("\n".join(["BEGIN:VCALENDAR", *lines, "END:VCALENDAR"])).events
    assert event.start == EventTime(datetime(2027, 4, 30, 9), "Asia/Bangkok")


def test_fixed_zones_and_names_are_canonical() -> None:
    """The same definition has the same name; whole hours are IANA's."""
    assert [fixed_zone(hours * 3600) for hours in (-12, 0, 14)] == ["Etc/GMT+12", "UTC", "Etc/GMT-14"]
    zone = zone_in(CHICAGO)
    assert zone == zone_in([*CHICAGO[6:], *CHICAGO[:6]]) == defined_zone(observances_of(zone))


def test_a_bookings_event_may_stand_in_a_defined_zone() -> None:
    """Where another program has moved an event of ours into its own zone, its instant is still known."""
    zone = zone_in(CHICAGO)
    moved = EventTime(datetime(2027, 1, 15, 9), zone)
    assert moment(moved, "UTC") == datetime(2027, 1, 15, 15, tzinfo=UTC)
    assert moment(replace(moved, zone="Mars/Base"), "Europe/Berlin") == datetime(2027, 1, 15, 8, tzinfo=UTC)
