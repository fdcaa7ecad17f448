"""VFREEBUSY read as busy time: types, forms of periods, zones, and what strangers write."""

from __future__ import annotations

from datetime import date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calendar_app.domain.event import EventTime, ShowAs
from calendar_app.domain.ics.freebusy import MOST_PERIODS, BusyList, read_freebusy
from calendar_app.domain.ics.lines import components


def read(*lines: str) -> BusyList:
    text = "\n".join(("BEGIN:VFREEBUSY", *lines, "END:VFREEBUSY"))
    return read_freebusy(components(text)[0], {"Zeit": "Europe/Berlin"}.get)


def utc(hour: int, minute: int = 0, *, day: int = 20) -> EventTime:
    return EventTime(datetime(2027, 1, day, hour, minute), "UTC")  # noqa: DTZ001  # a wall clock


def times(found: BusyList) -> list[tuple[EventTime | None, EventTime | None]]:
    return [(event.start, event.end) for event in found.events]


@pytest.mark.parametrize(
    ("kind", "show_as"),
    [
        ("", ShowAs.BUSY),
        (";FBTYPE=BUSY", ShowAs.BUSY),
        (";FBTYPE=busy-tentative", ShowAs.TENTATIVE),
        (";FBTYPE=BUSY-UNAVAILABLE", ShowAs.OUT_OF_OFFICE),
        (';FBTYPE="X-AWAY"', ShowAs.BUSY),
    ],
)
def test_every_type_but_free_is_busy(kind: str, show_as: ShowAs) -> None:
    """RFC 5545 §3.2.9: a type that nobody knows counts as BUSY, which is also the default."""
    (event,) = read(f"FREEBUSY{kind}:20270120T090000Z/20270120T100000Z").events
    assert (event.start, event.end, event.show_as, event.blocks_time) == (utc(9), utc(10), show_as, True)


def test_free_periods_are_not_busy() -> None:
    """FBTYPE=FREE says nothing that would block time."""
    assert read("FREEBUSY;FBTYPE=FREE:20270120T090000Z/PT8H", "DTSTART:20270101T000000Z") == BusyList()


def test_both_forms_of_periods_and_lists_of_them() -> None:
    """A period ends at a time or lasts a duration (§3.3.9); a line holds several; the same one twice is one."""
    found = read(
        "FREEBUSY:20270120T090000Z/20270120T100000Z,20270120T110000Z/PT1H30M",
        "FREEBUSY:20270121T090000Z/P1D, 20270120T090000Z/20270120T100000Z,",
    )
    assert times(found) == [
        (utc(9), utc(10)),
        (utc(11), utc(12, 30)),
        (utc(9, day=21), utc(9, day=22)),
    ]
    assert found.doubts == []
    assert len({event.remote_id for event in found.events}) == 3


def test_times_that_are_not_in_utc() -> None:
    """A TZID counts, a floating time is the calendar's, and dates are whole days."""
    found = read(
        "FREEBUSY;TZID=Zeit:20270120T090000/20270120T100000",
        "FREEBUSY:20270120T090000/PT1H",
        "FREEBUSY;VALUE=PERIOD:20270122/20270124",
    )
    zones = [event.start.zone for event in found.events if event.start]
    assert zones == ["Europe/Berlin", None, None]
    assert times(found)[2] == (EventTime(date(2027, 1, 22)), EventTime(date(2027, 1, 24)))


@pytest.mark.parametrize(
    ("period", "expected"),
    [
        ("20270120T090000Z/soon", (utc(9), utc(0, day=21))),
        ("20270120T090000Z", (utc(9), utc(0, day=21))),
        ("20270120T100000Z/20270120T090000Z", (utc(9), utc(10))),
        ("20270120T100000Z/-PT1H", (utc(9), utc(10))),
        ("20270120T100000Z/20270121", (utc(10), utc(0, day=21))),
    ],
)
def test_an_unclear_end_leaves_no_time_free(period: str, expected: tuple[EventTime, EventTime]) -> None:
    """What is not clear is busy where it might be, and is said."""
    found = read(f"FREEBUSY:{period}")
    assert times(found) == [expected]
    assert len(found.doubts) == 1
    assert found.events[0].unread[0].endswith(".")


def test_what_has_no_time_is_told() -> None:
    """A period without a start, and a line that is none, are named; the others count."""
    found = read("FREEBUSY:never/PT1H,20270120T090000Z/PT1H", "FREEBUSY nonsense")
    assert times(found) == [(utc(9), utc(10))]
    assert (found.doubts, len(found.lost)) == ([], 2)


def test_very_long_lists_end_in_one_busy_time() -> None:
    """A list is bounded without freeing anything: what lies behind the bound is busy as a whole."""
    many = ",".join(
        f"2027{1 + n // 2400 % 12:02}{1 + n // 96 % 25:02}T{n % 96 // 4:02}{n % 4 * 15:02}00Z/PT1{n // 28800}M"
        for n in range(MOST_PERIODS + 500)
    )
    found = read(f"FREEBUSY:{many}")
    assert len(found.events) == MOST_PERIODS
    assert "one" in found.doubts[0]
    last = found.events[-1]
    assert last.start is not None
    assert last.end is not None
    assert (last.end.value - last.start.value).days >= 5


@given(st.lists(st.text("FREBUSYTZ:/;=,0123456789P+-", max_size=60), max_size=5))
def test_whatever_is_written_is_read(lines: list[str]) -> None:
    """No text stops the reading, and each event has a start before its end."""
    for event in read(*(f"FREEBUSY:{line}" for line in lines)).events:
        assert event.start is not None
        assert event.end is not None
        if event.start.zone == event.end.zone:
            assert str(event.start.value) <= str(event.end.value)
