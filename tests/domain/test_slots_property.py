"""The engine against a minute-by-minute oracle, for random schedules, busy times, rules and zones."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from calendar_app.domain.freebusy import BusySource, SourceKind
from calendar_app.domain.schedule import Range, Schedule
from calendar_app.domain.slots import EventRules, Group, Host, Hosting, Slot, explain, find_slots
from calendar_app.domain.timespan import Span, instant
from tests.domain.slots_oracle import expected

DAY = 86_400
PLACES = [
    ("UTC", datetime(2026, 3, 1, tzinfo=UTC)),
    ("Europe/Berlin", datetime(2026, 3, 28, tzinfo=UTC)),
    ("Europe/Berlin", datetime(2026, 10, 24, tzinfo=UTC)),
    ("America/New_York", datetime(2027, 3, 13, tzinfo=UTC)),
    ("America/New_York", datetime(2027, 10, 31, tzinfo=UTC)),
    ("America/St_Johns", datetime(2010, 11, 6, tzinfo=UTC)),
    ("America/Havana", datetime(2026, 10, 31, tzinfo=UTC)),
    ("America/Sao_Paulo", datetime(2018, 11, 3, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 4, 3, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 10, 2, tzinfo=UTC)),
    ("Pacific/Chatham", datetime(2026, 9, 25, tzinfo=UTC)),
    ("Asia/Kathmandu", datetime(2026, 6, 1, tzinfo=UTC)),
    ("Africa/Casablanca", datetime(2026, 2, 14, tzinfo=UTC)),
    ("Antarctica/Troll", datetime(2026, 3, 28, tzinfo=UTC)),
    ("Africa/Cairo", datetime(2026, 4, 23, tzinfo=UTC)),
    ("Pacific/Apia", datetime(2011, 12, 29, tzinfo=UTC)),
    ("Pacific/Kwajalein", datetime(1993, 8, 20, tzinfo=UTC)),
    ("America/Caracas", datetime(2007, 12, 8, tzinfo=UTC)),
    ("Asia/Pyongyang", datetime(2018, 5, 4, tzinfo=UTC)),
]

minutes_of_day = st.one_of(
    st.sampled_from([0, 60, 90, 120, 150, 180, 540, 720, 1020, 1380, 1440]),
    st.integers(0, 288).map(lambda n: n * 5),
    st.integers(0, 1440),
)


@st.composite
def day_ranges(draw: st.DrawFn) -> tuple[Range, ...]:
    """Up to three ranges of one day, sometimes touching."""
    marks = sorted(draw(st.sets(minutes_of_day, max_size=6)))
    found = [Range(a, b) for a, b in zip(marks[::2], marks[1::2], strict=False)]
    if draw(st.booleans()) and len(marks) >= 3:
        found = [Range(a, b) for a, b in pairwise(marks)]
    return tuple(found)


@st.composite
def schedules(draw: st.DrawFn, zone: str, near: date) -> Schedule:
    """Working hours in ``zone`` with overrides on days around ``near``."""
    open_all_day = (Range(0, 1440),)
    days = st.one_of(st.just(open_all_day), st.just((Range(60, 1020),)), day_ranges())
    weekly = tuple(draw(days) for _ in range(7))
    overrides = draw(
        st.dictionaries(st.integers(-1, 3).map(lambda n: near + timedelta(days=n)), days, max_size=2)
    )
    return Schedule(zone, weekly, overrides)


all_rules = st.builds(
    lambda duration, **rest: EventRules(durations=(duration,), **rest),
    duration=st.sampled_from([30, 5, 15, 20, 45, 60, 95, 180]),
    buffer_before=st.sampled_from([0, 0, 5, 15, 40]),
    buffer_after=st.sampled_from([0, 0, 5, 10, 60]),
    minimum_notice=st.sampled_from([0, 0, 0, 30, 240, 1441]),
    horizon_days=st.sampled_from([3, 5, 60, 2, 1, 0]),
    step_minutes=st.sampled_from([5, 7, 10, 15, 20, 25, 30, 45, 60, 90, 120]),
    daily_cap=st.sampled_from([0, 0, 2, 1]),
    weekly_cap=st.sampled_from([0, 0, 3, 6]),
    seats=st.integers(1, 3),
)


@st.composite
def hosts(draw: st.DrawFn, name: str, zone: str, start: int, rules: EventRules) -> Host:
    """A host with busy spans and groups around ``start``."""
    moments = st.integers(-300, 3 * 1440).map(lambda n: start + n * 60)
    lengths = st.sampled_from([0, 1, 5, 15, 30, 60, 300])
    spans = st.lists(st.tuples(moments, lengths).map(lambda p: (p[0], p[0] + p[1] * 60)), max_size=4)
    busy = [
        BusySource(SourceKind.CALENDAR, "work", draw(spans)),
        BusySource(SourceKind.BOOKING, "bookings", draw(spans)),
    ]
    near = (datetime.fromtimestamp(start, UTC)).date()
    groups = []
    for number in range(draw(st.integers(0, 3))):
        at = start + draw(st.integers(0, 4 * 48)) * 900
        end = at + draw(st.sampled_from([rules.duration, rules.duration, 25])) * 60
        reserved = Span(at - rules.buffer_before * 60, end + rules.buffer_after * 60)
        groups.append(Group(f"g{number}", at, end, reserved, draw(st.integers(1, 3))))
    booked = draw(
        st.dictionaries(
            st.integers(-6, 6).map(lambda n: near + timedelta(days=n)), st.integers(0, 2), max_size=4
        )
    )
    return Host(name, draw(schedules(zone, near)), busy, groups, booked)


Case = tuple[Span, EventRules, list[Host], int, Hosting]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """A whole question to the engine, near a clock change more often than not."""
    zone, moment = draw(st.sampled_from(PLACES))
    start = instant(moment) + draw(st.integers(0, 1440)) * 60
    window = Span(start, start + draw(st.sampled_from([2880, 1440, 600, 61])) * 60)
    rules = draw(all_rules)
    hosting = draw(st.sampled_from(Hosting))
    count = 1 if hosting is Hosting.SINGLE else draw(st.integers(1, 3))
    team = [draw(hosts("host0", zone, start, rules))]
    for number in range(1, count):
        other = draw(st.one_of(st.just(zone), st.sampled_from([z for z, _ in PLACES])))
        team.append(draw(hosts(f"host{number}", other, start, rules)))
    now = start + draw(st.sampled_from([0, -60, -1440, -2880, 45, 1000])) * 60 + draw(st.integers(-9, 9)) * 60
    return window, rules, team, now, hosting


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(case=cases())
def test_slots_equal_the_oracle(case: Case) -> None:
    """Every slot of the engine is one of the oracle, and the other way round, hosts included."""
    window, rules, team, now, hosting = case
    assert find_slots(window, rules, team, now, hosting) == expected(window, rules, team, now, hosting)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(case=cases(), data=st.data())
def test_a_start_is_offered_exactly_when_its_explanation_is_empty(case: Case, data: st.DataObject) -> None:
    """Asked for any instant, on the minute or not, the explanation and the slots say the same."""
    window, rules, team, now, hosting = case
    found = {slot.start: slot for slot in find_slots(window, rules, team, now, hosting)}
    anywhere = st.lists(st.integers(window.start, window.end - 1), min_size=60, max_size=60)
    neighbours = {
        start + shift for start in list(found)[:60] for shift in (-1, 0, 1, rules.step_minutes * 60)
    }
    for start in [*data.draw(anywhere), *range(window.start, window.end, 900), *neighbours]:
        if window.start <= start < window.end:
            told = explain(start, rules, team, now, hosting)
            assert (start in found) == told.offered == (not told.reasons)
            assert all(reason.text for verdict in told.verdicts for reason in verdict.reasons)
            if start in found and hosting is Hosting.ROUND_ROBIN:
                assert found[start].hosts == tuple(v.host for v in told.verdicts if not v.reasons)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(case=cases(), cut=st.integers(0, 2880))
@example(
    case=(
        Span(0, 3600),
        EventRules(),
        [Host("h", Schedule("UTC", ((Range(0, 1440),),) * 7))],
        0,
        Hosting.SINGLE,
    ),
    cut=30,
)
def test_asking_for_part_of_a_window_gives_that_part(case: Case, cut: int) -> None:
    """Slots do not depend on where the question's window begins or ends, so pages of a calendar join without seam."""
    window, rules, team, now, hosting = case
    middle = min(window.start + cut * 60, window.end)
    halves: list[Slot] = []
    for part in (Span(window.start, middle), Span(middle, window.end)):
        halves += find_slots(part, rules, team, now, hosting)
    assert halves == find_slots(window, rules, team, now, hosting)
