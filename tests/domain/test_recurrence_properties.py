"""What holds for every rule: agreement with python-dateutil, and windows, order and changes that fit together."""

# ruff: noqa: DTZ001  # wall-clock times have no zone: EventTime carries it
from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from dateutil.rrule import rrulestr
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from calendar_app.domain.event import CalendarEvent, EventStatus, EventTime
from calendar_app.domain.recurrence import Recurrence, TooComplex, expand, parse_rule
from calendar_app.domain.recurrence.rule import WEEKDAYS
from calendar_app.domain.recurrence.wallclock import wall_seconds
from calendar_app.domain.timespan import Span

YEAR = 366 * 86_400
ZONES = (
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",  # half an hour of summer time
    "Africa/Casablanca",  # four changes a year
    "America/Sao_Paulo",  # gaps at midnight, until 2018
    "Pacific/Apia",  # skipped a whole day in 2011
    "Asia/Kathmandu",
    "UTC",
)

starts = st.datetimes(datetime(1995, 1, 1), datetime(2030, 1, 1)).map(lambda d: d.replace(microsecond=0))


def listed(values: st.SearchStrategy[object], most: int = 3) -> st.SearchStrategy[str]:
    """A BY list."""
    return st.lists(values, min_size=1, max_size=most, unique=True).map(
        lambda items: ",".join(map(str, items))
    )


def signed(high: int) -> st.SearchStrategy[int]:
    """1 to ``high`` from either end."""
    return st.integers(1, high) | st.integers(-high, -1)


@st.composite
def rules(draw: st.DrawFn) -> str:
    """A rule of a day or more, as RFC 5545 §3.3.10 allows them and dateutil reads them alike."""
    frequency = draw(st.sampled_from(("YEARLY", "MONTHLY", "WEEKLY", "DAILY")))
    parts = {"FREQ": frequency, "INTERVAL": str(draw(st.integers(1, 5)))}
    weekdays = st.sampled_from(WEEKDAYS)
    numbered = st.builds(lambda n, day: f"{n}{day}", signed(5), weekdays)
    optional: dict[str, st.SearchStrategy[str]] = {
        "BYMONTH": listed(st.integers(1, 12)),
        "BYDAY": listed(weekdays),
        "BYHOUR": listed(st.integers(0, 23), 2),
        "BYMINUTE": listed(st.integers(0, 59), 2),
    }
    if frequency in (
        "YEARLY",
        "MONTHLY",
    ):  # dateutil takes a mixture of numbered and plain weekdays for "both"
        optional["BYDAY"] = listed(weekdays) | listed(numbered)
    if frequency != "WEEKLY":
        optional["BYMONTHDAY"] = listed(signed(31))
    if frequency == "YEARLY":
        optional["BYYEARDAY"] = listed(signed(366))
        # dateutil misnumbers the days of January that belong to the old year's last week, 52 or 53; see below for those
        optional["BYWEEKNO"] = listed(st.integers(1, 51) | st.just(-1))
    for name in draw(st.lists(st.sampled_from(sorted(optional)), max_size=3, unique=True)):
        parts[name] = draw(optional[name])
    # dateutil cuts the first week off at DTSTART before it counts; RFC 5545 §3.3.10 lets a set begin "at the beginning
    # of the interval".
    if frequency != "WEEKLY" and any(name in parts for name in optional) and draw(st.booleans()):
        parts["BYSETPOS"] = draw(listed(signed(4), 2))
    if draw(st.booleans()):
        parts["WKST"] = draw(weekdays)
    if draw(st.booleans()):
        parts["COUNT"] = str(draw(st.integers(1, 60)))
    return ";".join(f"{name}={value}" for name, value in parts.items())


@contextmanager
def quiet() -> Iterator[None]:
    """dateutil warns of COUNT together with UNTIL, by which we keep it from searching to the year 9999."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


def for_dateutil(text: str, start: datetime) -> str:
    """The rule with what we take from DTSTART and dateutil does not (decision 0006): the month of a BYMONTHDAY and the
    weekday of a BYWEEKNO that stand alone in a year."""
    parts = dict(part.split("=") for part in text.split(";"))
    days = {"BYMONTH", "BYMONTHDAY", "BYYEARDAY", "BYWEEKNO", "BYDAY"} & parts.keys()
    if parts["FREQ"] == "YEARLY" and days == {"BYMONTHDAY"}:
        parts["BYMONTH"] = str(start.month)
    if parts["FREQ"] == "YEARLY" and days in ({"BYWEEKNO"}, {"BYWEEKNO", "BYMONTH"}):
        parts["BYDAY"] = WEEKDAYS[start.weekday()]
    return ";".join(f"{name}={value}" for name, value in parts.items())


def dateutil_times(text: str, start: datetime, low: datetime, high: datetime) -> list[datetime]:
    """dateutil's occurrences in ``[low, high]``; rules that never occur again are skipped: it searches for minutes."""
    rule = replace(parse_rule(text), count=None)
    end = wall_seconds(high)
    try:
        assume(any(Recurrence(rule, wall_seconds(start)).between(end, end + 50 * YEAR)))
    except TooComplex:
        assume(False)
    with quiet():
        found = rrulestr(for_dateutil(text, start), dtstart=start).replace(until=high)
        return [moment for moment in found if moment >= low]


def event(start: datetime, zone: str | None, *lines: str, minutes: int = 60) -> CalendarEvent:
    """A master with these recurrence lines."""
    begin = EventTime(start, zone)
    return CalendarEvent(
        "e", start=begin, end=EventTime(start + timedelta(minutes=minutes), zone), recurrence=lines
    )


@settings(max_examples=400, deadline=None)
@given(rules(), starts, st.integers(0, 4000), st.integers(1, 2500))
@example("FREQ=YEARLY;INTERVAL=4;BYMONTHDAY=29;BYMONTH=2", datetime(2096, 2, 29), 0, 4000)
def test_rules_agree_with_dateutil(text: str, start: datetime, skip: int, length: int) -> None:
    """In any window, near DTSTART or far from it, a rule gives the wall-clock times that dateutil gives."""
    low = start + timedelta(days=skip)
    high = low + timedelta(days=length)
    recurrence = Recurrence(parse_rule(text), wall_seconds(start))
    try:
        found = [at for chunk in recurrence.between(wall_seconds(low), wall_seconds(high)) for at in chunk]
    except TooComplex:
        assume(False)
    assert found == [wall_seconds(moment) for moment in dateutil_times(text, start, low, high)]


@given(st.integers(1900, 2100), st.integers(1, 53) | st.integers(-53, -1))
def test_week_numbers_are_iso_8601s(year: int, number: int) -> None:
    """With weeks that begin on Monday, BYWEEKNO selects the days that the ISO calendar numbers so, year by year."""
    rule = parse_rule(f"FREQ=YEARLY;BYWEEKNO={number};BYDAY={','.join(WEEKDAYS)}")
    start = wall_seconds(date(year, 1, 1))
    found = [at for chunk in Recurrence(rule, start).between(start, start + 5 * YEAR) for at in chunk]
    wanted = []
    for day in (date(year, 1, 1) + timedelta(days=n) for n in range(5 * 366 + 1)):
        iso = day.isocalendar()
        weeks = date(iso.year, 12, 28).isocalendar().week
        if number in (iso.week, iso.week - weeks - 1):
            wanted.append(wall_seconds(day))
    assert found == wanted


@settings(max_examples=100, deadline=None)
@given(rules(), starts, st.sampled_from(ZONES))
def test_zoned_occurrences_keep_the_wall_clock(text: str, start: datetime, zone: str) -> None:
    """Occurrences are the rule's wall-clock times in the event's zone, read as zoneinfo reads them with fold 0."""
    high = start + timedelta(days=1500)
    info = ZoneInfo(zone)
    times = dateutil_times(text, start, start, high)
    if start not in times and len(times) == parse_rule(text).count:
        times.pop()  # DTSTART has counted
    wanted = {int(m.replace(tzinfo=info).timestamp()) for m in times}
    wanted.add(int(start.replace(tzinfo=info).timestamp()))
    end = int(high.replace(tzinfo=info).timestamp()) - 2 * 86_400
    window = Span(min(wanted), end)
    found = [
        occurrence.start
        for occurrence in expand(event(start, zone, f"RRULE:{text}"), (), window, "UTC", limit=10_000)
    ]
    assert found == sorted(at for at in wanted if at < end)


@settings(max_examples=150, deadline=None)
@given(
    rules(),
    starts,
    st.sampled_from(ZONES),
    st.integers(0, YEAR),
    st.integers(1, 2 * YEAR),
    st.floats(0, 1),
    st.integers(0, 4000),
)
def test_windows_split_anywhere_give_the_same_union(
    text: str, start: datetime, zone: str, skip: int, length: int, cut: float, minutes: int
) -> None:
    """Two windows that touch give together what one over both gives; each is sorted and holds no occurrence twice."""
    master = event(start, zone, f"RRULE:{text}", minutes=minutes)
    low = wall_seconds(start) + skip
    middle, high = low + int(length * cut), low + length

    def found(begin: int, end: int) -> list[tuple[int, int, int]]:
        return [o[:3] for o in expand(master, (), Span(begin, end), "UTC", limit=10_000)]

    whole, left, right = found(low, high), found(low, middle), found(middle, high)
    assert sorted({*left, *right}) == whole == sorted(set(whole))
    assert all(begin < high and (end > low or begin >= low) for begin, end, _ in whole)


@settings(max_examples=150, deadline=None)
@given(rules(), starts, st.sampled_from(ZONES), st.data())
def test_a_change_replaces_exactly_one_occurrence(
    text: str, start: datetime, zone: str, data: st.DataObject
) -> None:
    """A moved or cancelled occurrence takes the place of the one it names and leaves all others alone."""
    master = event(start, zone, f"RRULE:{text}")
    begin = wall_seconds(start)
    window = Span(begin - 2 * YEAR, begin + 4 * YEAR)
    before = expand(master, (), window, "UTC", limit=10_000)
    chosen = data.draw(st.sampled_from(before))
    original = EventTime(datetime.fromtimestamp(chosen.original, ZoneInfo("UTC")).replace(tzinfo=None), "UTC")
    moved = original.value + timedelta(minutes=data.draw(st.integers(-500_000, 500_000)))  # type: ignore[operator]
    change = replace(
        master,
        remote_id="changed",
        recurrence=(),
        master_id="e",
        original_start=original,
        status=data.draw(st.sampled_from((EventStatus.CONFIRMED, EventStatus.CANCELLED))),
        start=EventTime(moved, "UTC"),
        end=EventTime(moved + timedelta(minutes=5), "UTC"),
    )
    after = expand(master, [change], window, "UTC", limit=10_000)
    assert [o for o in after if o.original != chosen.original] == [
        o for o in before if o.original != chosen.original
    ]
    at = wall_seconds(moved)
    shown = change.status is EventStatus.CONFIRMED and window.start <= at < window.end
    assert [o[:3] for o in after if o.original == chosen.original] == [
        (at, at + 300, chosen.original)
    ] * shown
