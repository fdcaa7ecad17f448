"""Hostile recurrences answer soon: occurrences, or one of the typed errors."""

# ruff: noqa: DTZ001  # wall-clock times have no zone: EventTime carries it
from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest

from calendar_app.domain.event import CalendarEvent, EventTime
from calendar_app.domain.recurrence import RecurrenceError, expand
from calendar_app.domain.timespan import Span, instant

ALLOWED = 0.1
YEAR = Span(instant(datetime(2026, 1, 1, tzinfo=UTC)), instant(datetime(2027, 1, 1, tzinfo=UTC)))
HOURS = ",".join(map(str, range(24)))
SIXTY = ",".join(map(str, range(60)))
EVERY_SECOND = f"BYHOUR={HOURS};BYMINUTE={SIXTY};BYSECOND={SIXTY}"
RULES = (
    "FREQ=SECONDLY",
    "FREQ=SECONDLY;COUNT=1000000000",
    "FREQ=MINUTELY;COUNT=999999999",
    "FREQ=DAILY;COUNT=1000000000",
    "FREQ=DAILY;COUNT=99999999999999999999999",
    "FREQ=DAILY;INTERVAL=0",
    "FREQ=DAILY;INTERVAL=1000000000000",
    "FREQ=HOURLY;INTERVAL=100000;BYHOUR=3",
    "FREQ=YEARLY;INTERVAL=9999999;COUNT=3",
    "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30",
    "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30;COUNT=5",
    "FREQ=MONTHLY;BYMONTH=2;BYMONTHDAY=30;COUNT=5",
    "FREQ=WEEKLY;BYMONTH=2;BYMONTHDAY=30;COUNT=5",
    "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30;COUNT=5",
    "FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30",
    "FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30;COUNT=5",
    "FREQ=YEARLY;BYWEEKNO=53;BYDAY=MO;BYMONTH=6;COUNT=3",
    "FREQ=YEARLY;BYYEARDAY=366;BYMONTH=1;COUNT=3",
    "FREQ=YEARLY;BYDAY=53MO;BYMONTH=3;COUNT=7",
    "FREQ=MONTHLY;BYYEARDAY=200;BYMONTH=1;COUNT=4",
    "FREQ=DAILY;BYDAY=MO,TU,WE,TH,FR;COUNT=500000",
    "FREQ=WEEKLY;BYDAY=MO;BYSETPOS=3;COUNT=99999",
    "FREQ=DAILY;BYHOUR=1;BYSETPOS=2",
    f"FREQ=DAILY;{EVERY_SECOND}",
    f"FREQ=HOURLY;BYMINUTE={SIXTY};BYSECOND={SIXTY}",
    f"FREQ=SECONDLY;INTERVAL=86399;{EVERY_SECOND}",
    f"FREQ=YEARLY;BYDAY=MO,TU,WE,TH,FR,SA,SU;{EVERY_SECOND};BYSETPOS=1,-1",
    "FREQ=SECONDLY;INTERVAL=7;BYSECOND=59;BYMINUTE=58;BYHOUR=3;BYWEEKNO=53;COUNT=77",
    "FREQ=MINUTELY;INTERVAL=1440;BYHOUR=7;COUNT=9",
)


def cost(call: Callable[[], object]) -> float:
    """CPU seconds of the best of three runs that end in an answer or a typed error."""
    best = float("inf")
    for _ in range(3):
        begin = time.process_time()
        with suppress(RecurrenceError):
            call()
        best = min(best, time.process_time() - begin)
        if best < ALLOWED:
            break
    return best


@pytest.mark.parametrize(
    "start", [datetime(1, 1, 1), datetime(1970, 1, 1, 9), datetime(2025, 12, 31, 2, 30)], ids=str
)
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule[:60])
def test_hostile_rules_end_soon(rule: str, start: datetime) -> None:
    """No rule keeps a window of one year busy for longer than 100 ms, wherever it begins."""
    zone = "Europe/Berlin"
    end = EventTime(start + timedelta(hours=1), zone)
    master = CalendarEvent("hostile", start=EventTime(start, zone), end=end, recurrence=(f"RRULE:{rule}",))
    assert cost(lambda: expand(master, (), YEAR, zone, limit=10_000)) < ALLOWED


def stamps(first: datetime, step: timedelta, number: int) -> list[str]:
    """So many DATE-TIMEs."""
    return [(first + step * n).strftime("%Y%m%dT%H%M%S") for n in range(number)]


DAYS = stamps(datetime(2000, 1, 1, 9), timedelta(days=1), 100_000)
SECONDS = stamps(datetime(2026, 6, 1), timedelta(seconds=1), 100_000)
LISTS = {
    "one line": (f"EXDATE:{','.join(DAYS)}",),
    "a line each": tuple(f"EXDATE:{stamp}" for stamp in DAYS),
    "all the same": (f"EXDATE:{','.join(['20260601T090000'] * 100_000)}",),
    "every second": (f"EXDATE:{','.join(SECONDS)}",),
    "dates": (f"EXDATE;VALUE=DATE:{','.join(stamp[:8] for stamp in DAYS)}",),
    "added": (f"RDATE:{','.join(DAYS)}",),
    "periods": (f"RDATE;VALUE=PERIOD:{','.join(stamp + '/PT1H' for stamp in DAYS)}",),
    "a thousand rules": tuple(f"RRULE:FREQ=DAILY;INTERVAL={n}" for n in range(1, 1001)),
}


@pytest.mark.parametrize("lines", LISTS.values(), ids=LISTS.keys())
def test_endless_lists_end_soon(lines: tuple[str, ...]) -> None:
    """A hundred thousand dates are sifted, or refused, within 100 ms."""
    begin = EventTime(datetime(2000, 1, 1, 9), "Europe/Berlin")
    master = CalendarEvent("hostile", start=begin, recurrence=("RRULE:FREQ=DAILY", *lines))
    assert cost(lambda: expand(master, (), YEAR, "UTC", limit=10_000)) < ALLOWED


def test_a_long_exdate_list_still_excludes() -> None:
    """Sifting the list by its text loses none of its dates."""
    begin = EventTime(datetime(2000, 1, 1, 9), "Europe/Berlin")
    master = CalendarEvent(
        "long", start=begin, recurrence=("RRULE:FREQ=DAILY", f"EXDATE:{','.join(DAYS[:9800])}")
    )
    found = expand(master, (), YEAR, "UTC", limit=400)
    assert found[0].start == instant(datetime(2026, 10, 31, 8, tzinfo=UTC))
    assert len(found) == 62


def test_thousands_of_moved_occurrences_share_the_way_to_them() -> None:
    """Whether a counted series has the original of a change is not worked out from DTSTART for every one of them."""
    begin = EventTime(datetime(1990, 1, 1, 9), "UTC")
    master = CalendarEvent("m", start=begin, recurrence=("RRULE:FREQ=DAILY;BYDAY=MO,TU,WE,TH,FR;COUNT=9000",))
    into = EventTime(datetime(2026, 6, 1, 12), "UTC")
    moved = [
        CalendarEvent(
            f"c{n}",
            start=into,
            master_id="m",
            original_start=EventTime(begin.value + timedelta(weeks=n), "UTC"),
        )  # type: ignore[arg-type, operator]
        for n in range(1000)
    ]
    june = Span(instant(datetime(2026, 6, 1, tzinfo=UTC)), instant(datetime(2026, 6, 2, tzinfo=UTC)))
    found = expand(master, moved, june, "UTC", limit=2000)
    assert len([o for o in found if o.event is not master]) == 1000
