"""Working hours and slots over the clock changes of all zones, and over the strangest days in the tz database."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

import pytest

from calendar_app.domain.freebusy import BusySource, SourceKind
from calendar_app.domain.schedule import WEEKDAYS, Range, RangeEffect, Schedule, dst_preview, working_spans
from calendar_app.domain.slots import EventRules, Host, find_slots
from calendar_app.domain.timespan import Span, instant
from calendar_app.domain.zones import OutOfRange, is_zone, local_day, offset_at, segments, transitions

DAY = 86_400
FIRST, LAST = instant(datetime(2024, 1, 1, tzinfo=UTC)), instant(datetime(2031, 1, 1, tzinfo=UTC))
ZONES = sorted(filter(is_zone, available_timezones()))
GROUPS = 8
WEEKLY = [["00:00", "01:20"], ["02:00", "03:00"], ["03:10", "11:45"], ["13:00", "24:00"]]
RULES = EventRules(durations=(50,), step_minutes=15, buffer_before=5, buffer_after=10, horizon_days=3)
WHOLE_DAYS = {"weekly": {day: [["00:00", "24:00"]] for day in WEEKDAYS}}


def schedule(zone: str, ranges: list[list[str]] | None = None) -> Schedule:
    """The same ranges every day."""
    return Schedule.from_json({"weekly": dict.fromkeys(WEEKDAYS, WEEKLY if ranges is None else ranges)}, zone)


def offset(zone: ZoneInfo, at: int) -> timedelta:
    """What zoneinfo itself says."""
    found = datetime.fromtimestamp(at, zone).utcoffset()
    assert found is not None
    return found


def hours_of_change(name: str) -> list[int]:
    """The hours 2024-2030 within which the zone changes its offset, found by asking zoneinfo alone."""
    zone = ZoneInfo(name)
    offsets = [offset(zone, at) for at in range(FIRST, LAST + 1, DAY)]
    days = [FIRST + n * DAY for n in range(len(offsets) - 1) if offsets[n] != offsets[n + 1]]
    hours = [hour for day in days for hour in range(day, day + DAY, 3600)]
    return [hour for hour in hours if offset(zone, hour) != offset(zone, hour + 3600)]


def worked(plan: Schedule, window: Span, step: int) -> list[bool]:
    """For each ``step`` seconds of the window, whether the wall clock stands within a range; all days are alike."""
    open_minutes = {minute for start, end in plan.weekly[0] for minute in range(start, end)}
    clocks = [datetime.fromtimestamp(at, ZoneInfo(plan.zone)) for at in range(window.start, window.end, step)]
    return [clock.hour * 60 + clock.minute in open_minutes for clock in clocks]


def marked(spans: list[Span], window: Span, step: int) -> list[bool]:
    """The same form from spans."""
    flags = [False] * ((window.end - window.start) // step)
    for start, end in spans:
        assert (start - window.start) % step == (end - window.start) % step == 0
        low, high = (start - window.start) // step, (end - window.start) // step
        flags[low:high] = [True] * (high - low)
    return flags


def check(name: str, window: Span) -> int:
    """Hold spans and slots of one window against the minutes; how many slots there were."""
    plan = schedule(name)
    busy = range(400, 430)
    longer = Span(window.start, window.end + RULES.length)
    minutes = worked(plan, longer, 60)
    assert marked(working_spans(plan, longer), longer, 60) == minutes
    host = Host("h", plan, [busy_source(window.start, busy)])
    found = [slot.start for slot in find_slots(window, RULES, [host], window.start - DAY)]
    zone, clash = ZoneInfo(name), range(busy.start - 60 + 1, busy.stop + 5)
    wanted = [
        at
        for number, at in enumerate(range(window.start, window.end, 60))
        if all(minutes[number : number + 50])
        and datetime.fromtimestamp(at, zone).minute % 15 == 0
        and number not in clash
    ]
    assert found == wanted
    return len(found)


def busy_source(start: int, busy: range) -> BusySource:
    """One busy span, in minutes after ``start``."""
    return BusySource(SourceKind.CALENDAR, "c", [(start + busy.start * 60, start + busy.stop * 60)])


@pytest.mark.parametrize("group", range(GROUPS))
def test_every_clock_change_of_every_zone(group: int) -> None:
    """Spans and slots equal the minutes around each change 2024-2030 of each zone; steady zones at any one hour."""
    names = ZONES[group::GROUPS]
    slots = 0
    for name in names:
        for hour in hours_of_change(name) or [FIRST + 200 * DAY]:
            slots += check(name, Span(hour - 5 * 3600, hour + 6 * 3600))
    assert slots > 10 * len(names)


@pytest.mark.parametrize(
    ("name", "day"),
    [
        ("Pacific/Apia", "2011-12-30"),
        ("Pacific/Kwajalein", "1993-08-21"),
        ("Pacific/Kwajalein", "1969-09-30"),
        ("Pacific/Kiritimati", "1994-12-31"),
        ("Asia/Manila", "1844-12-31"),
        ("America/Juneau", "1867-10-18"),
        ("Europe/Amsterdam", "1937-06-30"),
        ("Africa/Monrovia", "1972-01-07"),
        ("Asia/Kathmandu", "1985-12-31"),
        ("America/Caracas", "2007-12-09"),
        ("Asia/Pyongyang", "2018-05-04"),
        ("Australia/Lord_Howe", "2026-04-05"),
        ("Pacific/Chatham", "2026-04-05"),
        ("Antarctica/Troll", "2026-10-25"),
        ("America/St_Johns", "2006-10-29"),
        ("Europe/Paris", "1911-03-11"),
    ],
)
def test_strange_days_second_by_second(name: str, day: str) -> None:
    """Skipped and repeated days, half and quarter hours, and local mean time to the second."""
    noon = instant(datetime.fromisoformat(day).replace(tzinfo=UTC)) + DAY // 2
    window = Span(noon - DAY, noon + DAY)
    plan = schedule(name)
    assert marked(working_spans(plan, window), window, 1) == worked(plan, window, 1)
    assert transitions(name, window)


@pytest.mark.parametrize(
    ("name", "day"), [("Pacific/Apia", "2011-12-30"), ("Pacific/Kwajalein", "1993-08-21")]
)
def test_a_day_that_the_date_line_swallowed_has_no_working_time(name: str, day: str) -> None:
    """A range on the skipped date vanishes, and the dates around it keep all of theirs."""
    skipped = date.fromisoformat(day)
    around = [skipped + timedelta(days=n) for n in (-1, 0, 1)]
    nine_to_five = (Range(540, 1020),)
    plan = Schedule(name, ((),) * 7, dict.fromkeys(around, nine_to_five))
    start = instant(datetime(skipped.year, skipped.month, skipped.day, tzinfo=UTC))
    window = Span(start - 3 * DAY, start + 3 * DAY)
    spans = working_spans(plan, window)
    assert [local_day(name, span.start) for span in spans] == [around[0], around[2]]
    assert [end - begin for begin, end in spans] == [8 * 3600] * 2
    [change] = dst_preview(plan, window)
    assert change.effects == (RangeEffect(skipped, nine_to_five[0], 480, 0),)


def test_a_range_in_a_gap_vanishes_and_one_in_an_overlap_counts_twice() -> None:
    """02:00-03:00 in Berlin: nothing on the spring night, two hours on the autumn night, one otherwise."""
    plan = schedule("Europe/Berlin", [["02:00", "03:00"]])

    def hours(year: int, month: int, day: int) -> float:
        start = instant(datetime(year, month, day, tzinfo=ZoneInfo("Europe/Berlin")))
        return sum(end - begin for begin, end in working_spans(plan, Span(start, start + 12 * 3600))) / 3600

    assert [hours(2026, 3, 29), hours(2026, 10, 25), hours(2026, 10, 26)] == [0, 2, 1]


def test_slots_in_the_repeated_hour_come_twice() -> None:
    """Both passes of 02:00-03:00 offer :00 and :30, as different instants."""
    plan = schedule("Europe/Berlin", [["02:00", "03:00"]])
    start = instant(datetime(2026, 10, 25, tzinfo=ZoneInfo("Europe/Berlin")))
    rules = EventRules(durations=(30,), step_minutes=30)
    found = find_slots(Span(start, start + 6 * 3600), rules, [Host("h", plan)], start)
    assert [(slot.start - start) / 3600 for slot in found] == [2, 2.5, 3, 3.5]


def test_preview_tells_what_a_change_does_to_each_range() -> None:
    """The spring night shortens the range it touches and leaves the others; the autumn night lengthens it."""
    plan = schedule("America/New_York", [["01:30", "02:30"], ["09:00", "17:00"]])
    spring, autumn = dst_preview(plan, Span(instant(datetime(2026, 1, 1, tzinfo=UTC)), LAST))[:2]
    night = Range(90, 150)
    assert (spring.before, spring.after) == (-18_000, -14_400)
    assert spring.at == instant(datetime(2026, 3, 8, 7, tzinfo=UTC))
    assert spring.effects == (RangeEffect(date(2026, 3, 8), night, 60, 30),)
    assert autumn.effects == (RangeEffect(date(2026, 11, 1), night, 60, 90),)


def test_preview_agrees_with_working_spans_on_every_day_of_a_change() -> None:
    """Nominal and actual minutes of the preview add up to the day's working time, in zones of all sorts."""
    for name in ("Europe/Berlin", "Australia/Lord_Howe", "Antarctica/Troll", "America/Havana", "Asia/Beirut"):
        plan = schedule(name)
        changes = dst_preview(plan, Span(FIRST, LAST))
        assert len(changes) >= 12
        for change in changes:
            touched = {effect.day for effect in change.effects}
            for day in touched:
                window = Span(change.at - 2 * DAY, change.at + 2 * DAY)
                ours = [
                    piece
                    for start, end in working_spans(
                        Schedule(name, ((),) * 7, {day: plan.ranges_on(day)}), window
                    )
                    for piece in [end - start]
                ]
                lost = sum(e.actual - e.nominal for e in change.effects if e.day == day)
                nominal = sum(b - a for a, b in plan.ranges_on(day))
                assert sum(ours) / 60 == nominal + lost


def test_holidays_in_a_zone_without_changes_have_an_empty_preview() -> None:
    """Nothing to say where clocks never change."""
    assert dst_preview(Schedule.from_json(WHOLE_DAYS, "Asia/Kolkata"), Span(FIRST, LAST)) == []


@pytest.mark.parametrize(
    ("name", "year"),
    [
        ("Africa/Casablanca", 2026),
        ("Asia/Gaza", 2040),
        ("America/Boa_Vista", 2000),
        ("Africa/Freetown", 1939),
        ("Africa/Tunis", 1943),
        ("Antarctica/Casey", 2010),
        ("Europe/Moscow", 1919),
        ("Africa/Cairo", 2014),
    ],
)
def test_transitions_equal_an_hourly_scan(name: str, year: int) -> None:
    """The zones with the shortest spells and the oddest rules lose no transition and invent none."""
    zone = ZoneInfo(name)
    start = instant(datetime(year, 1, 1, tzinfo=UTC))
    window = Span(start, start + 400 * DAY)
    hours = range(window.start, window.end + 1, 3600)
    offsets = [offset(zone, at) for at in hours]
    wanted = [
        (hours[n], before.total_seconds(), after.total_seconds())
        for n, (before, after) in enumerate(pairwise(offsets))
        if before != after
    ]
    found = transitions(name, window)
    assert [(change.before, change.after) for change in found] == [pair[1:] for pair in wanted]
    for change, (hour, _, _) in zip(found, wanted, strict=True):
        assert hour < change.at <= hour + 3600
        assert offset_at(name, change.at - 1) == change.before
        assert offset_at(name, change.at) == change.after


def test_segments_tile_the_window_wherever_it_is_cut() -> None:
    """A window that begins or ends on the very second of a transition has neither a hole nor an empty segment."""
    [change] = transitions("Europe/Berlin", Span(FIRST, FIRST + 150 * DAY))
    for low in (-1, 0, 1, -DAY):
        for high in (2, DAY):
            window = Span(change.at + low, change.at + high)
            parts = segments("Europe/Berlin", window)
            assert [part.start for part in parts] == [window.start, *(p.end for p in parts[:-1])]
            assert parts[-1].end == window.end
            assert all(part.offset == offset_at("Europe/Berlin", part.start) for part in parts)
            assert len(parts) == (2 if low < 0 else 1)
    assert segments("Europe/Berlin", Span(FIRST, FIRST)) == []
    assert transitions("Europe/Berlin", Span(LAST, FIRST)) == []


def test_transitions_at_the_seams_of_the_cache_are_found_once() -> None:
    """A century in one question equals the same century asked for year by year."""
    whole = Span(instant(datetime(1930, 1, 1, tzinfo=UTC)), instant(datetime(2037, 1, 1, tzinfo=UTC)))
    parts = [
        change
        for at in range(whole.start, whole.end, 37 * DAY)
        for change in transitions("Europe/London", Span(at, min(at + 37 * DAY, whole.end)))
    ]
    assert parts == transitions("Europe/London", whole)
    assert len(parts) > 200


@pytest.mark.parametrize("year", [1, 9999])
def test_the_ends_of_time_are_a_typed_error(year: int) -> None:
    """Where no datetime exists there is a clear refusal, not an overflow."""
    edge = instant(datetime(year, 12 if year > 1 else 1, 31 if year > 1 else 1, tzinfo=UTC))
    with pytest.raises(OutOfRange):
        working_spans(schedule("Pacific/Apia"), Span(edge - DAY, edge + DAY))
    with pytest.raises(OutOfRange):
        find_slots(Span(edge - DAY, edge + DAY), RULES, [Host("h", schedule("UTC"))], FIRST)
