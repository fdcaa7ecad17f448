"""The rules of slots one by one, and the words that explain them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest

from calendar_app.domain.freebusy import BusySource, SourceKind
from calendar_app.domain.schedule import WEEKDAYS, Schedule
from calendar_app.domain.slots import (
    EventRules,
    Group,
    Host,
    Hosting,
    Rule,
    RulesError,
    Slot,
    count_by_day,
    explain,
    find_slots,
    pick_host,
    seats_left,
)
from calendar_app.domain.timespan import Span, instant, utc

MONDAY = date(2026, 6, 1)
HOUR = 3600


def at(text: str, day: str = "2026-06-01") -> int:
    """The instant of a clock time in UTC, on the Monday of these tests."""
    return instant(datetime.fromisoformat(f"{day}T{text}").replace(tzinfo=UTC))


def plan(*ranges: tuple[str, str], zone: str = "UTC") -> Schedule:
    """The same ranges every day."""
    return Schedule.from_json({"weekly": {day: list(map(list, ranges)) for day in WEEKDAYS}}, zone)


OFFICE = plan(("09:00", "12:00"))
NOW = at("00:00")
DAY = Span(NOW, NOW + 86_400)


def busy(*spans: tuple[str, str], id_: str = "work", kind: SourceKind = SourceKind.CALENDAR) -> BusySource:
    """One source with spans given as clock times of the Monday."""
    return BusySource(kind, id_, [(at(a), at(b)) for a, b in spans], id_.title())


def clocks(host: Host, window: Span = DAY, now: int = NOW, **rules: Any) -> list[str]:
    """Starts of one host's slots as clock times in UTC."""
    chosen = EventRules(**{"durations": (60,), "step_minutes": 30, **rules})
    return [f"{utc(slot.start):%H:%M}" for slot in find_slots(window, chosen, [host], now)]


def test_a_slot_lies_within_working_time() -> None:
    """The last start is the one whose meeting ends with the range."""
    assert clocks(Host("h", OFFICE)) == ["09:00", "09:30", "10:00", "10:30", "11:00"]


def test_a_slot_does_not_bridge_a_break_but_does_cross_midnight() -> None:
    """Ranges apart stay apart; ranges that touch at midnight are one."""
    assert clocks(Host("h", plan(("09:00", "10:30"), ("11:00", "12:00")))) == ["09:00", "09:30", "11:00"]
    nights = Host("h", plan(("00:00", "01:00"), ("23:00", "24:00")))
    assert clocks(nights) == ["00:00", "23:00", "23:30"]


def test_meetings_that_touch_do_not_collide() -> None:
    """Half-open: a busy span that ends at ten leaves ten free, one second more does not."""
    assert clocks(Host("h", OFFICE, [busy(("08:00", "10:00"))])) == ["10:00", "10:30", "11:00"]
    assert clocks(Host("h", OFFICE, [busy(("08:00", "10:00:01"))])) == ["10:30", "11:00"]
    assert clocks(Host("h", OFFICE, [busy(("10:59:59", "13:00"))])) == ["09:00", "09:30"]
    assert clocks(Host("h", OFFICE, [busy(("10:30", "10:30"))])) == clocks(Host("h", OFFICE))


def test_buffers_extend_the_candidate_and_may_leave_working_time() -> None:
    """Before nine there is no working time but room for the buffer; a meeting at 08:30 takes it."""
    rules = {"buffer_before": 30, "buffer_after": 15}
    assert clocks(Host("h", OFFICE), **rules) == clocks(Host("h", OFFICE))
    assert clocks(Host("h", OFFICE, [busy(("08:00", "08:30"))]), **rules)[0] == "09:00"
    assert clocks(Host("h", OFFICE, [busy(("08:00", "08:31"))]), **rules)[0] == "09:30"
    assert clocks(Host("h", OFFICE, [busy(("11:15", "11:20"))]), **rules) == ["09:00", "09:30", "10:00"]


def test_a_step_that_divides_the_hour_follows_the_wall_clock() -> None:
    """From 09:10 on, starts are :30 and :00, not :10 and :40."""
    assert clocks(Host("h", plan(("09:10", "11:00")))) == ["09:30", "10:00"]


def test_another_step_counts_from_the_start_of_the_range() -> None:
    """Forty-five minutes from each range's start."""
    host = Host("h", plan(("09:10", "11:30"), ("13:00", "15:00")))
    assert clocks(host, step_minutes=45) == ["09:10", "09:55", "13:00", "13:45"]


def test_the_grid_is_that_of_the_schedules_zone() -> None:
    """Kathmandu's full hours are UTC's quarters past."""
    assert clocks(Host("h", plan(("09:00", "11:00"), zone="Asia/Kathmandu")), step_minutes=60) == [
        "03:15",
        "04:15",
    ]


def test_notice_is_met_on_the_second() -> None:
    """A start exactly the notice away is offered, one second later it is not."""
    assert clocks(Host("h", OFFICE), now=at("08:00"), minimum_notice=120)[0] == "10:00"
    assert clocks(Host("h", OFFICE), now=at("08:00:01"), minimum_notice=120)[0] == "10:30"
    assert clocks(Host("h", OFFICE), now=at("09:00"))[0] == "09:00"


def test_the_horizon_ends_with_a_local_day() -> None:
    """Horizon 1 means all of tomorrow in the schedule's zone, wherever UTC's day ends."""
    host = Host("h", plan(("00:00", "24:00"), zone="Pacific/Auckland"))
    rules = EventRules(durations=(60,), step_minutes=60, horizon_days=1)
    found = find_slots(Span(NOW, NOW + 5 * 86_400), rules, [host], NOW)
    assert found[-1].start == at("11:00", "2026-06-02")
    assert clocks(Host("h", OFFICE), horizon_days=0, now=NOW) == clocks(Host("h", OFFICE))
    assert clocks(Host("h", OFFICE), Span(NOW + 86_400, NOW + 2 * 86_400), horizon_days=0) == []


def test_caps_close_the_local_day_and_the_week_from_monday() -> None:
    """A full Monday leaves Tuesday open; a full week leaves the next Monday open."""
    week = Span(NOW, NOW + 8 * 86_400)

    def days(booked: dict[date, int], **caps: int) -> list[int]:
        rules = EventRules(durations=(180,), step_minutes=60, **caps)
        return [
            utc(slot.start).day for slot in find_slots(week, rules, [Host("h", OFFICE, booked=booked)], NOW)
        ]

    assert days({MONDAY: 2}, daily_cap=2) == [2, 3, 4, 5, 6, 7, 8]
    assert days({MONDAY: 1}, daily_cap=2) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert days({MONDAY: 1, date(2026, 6, 7): 1}, weekly_cap=2) == [8]
    assert days({date(2026, 5, 31): 9}, weekly_cap=2) == [1, 2, 3, 4, 5, 6, 7, 8]


def test_bookings_are_counted_on_their_local_dates() -> None:
    """Half past ten in the evening UTC is the next day in Auckland."""
    assert count_by_day([at("22:30"), at("23:00"), at("02:00")], "Pacific/Auckland") == {
        date(2026, 6, 2): 2,
        MONDAY: 1,
    }


def group(taken: int, start: str = "10:00", end: str = "11:00") -> Group:
    """A reservation at ten with a quarter of an hour around it."""
    return Group("g", at(start), at(end), Span(at(start) - 900, at(end) + 900), taken)


def test_seats_are_filled_at_the_very_start_of_the_group() -> None:
    """While seats are left the group's start stays offered, and only it; then it closes, and says why."""
    rules = EventRules(durations=(60, 30), step_minutes=30, seats=3, daily_cap=1)
    open_, full = (Host("h", OFFICE, groups=[group(n)], booked={MONDAY: 1}) for n in (2, 3))
    assert [slot.start for slot in find_slots(DAY, rules, [open_], NOW)] == [at("10:00")]
    assert seats_left(at("10:00"), rules, open_) == 1
    assert seats_left(at("09:00"), rules, open_) == 3
    assert seats_left(at("10:00"), rules, full) == 0
    assert find_slots(DAY, rules, [full], NOW) == []
    assert {reason.rule for reason in explain(at("10:00"), rules, [full], NOW).reasons} == {
        Rule.SEATS,
        Rule.DAILY_CAP,
    }
    shorter = explain(at("10:00"), rules.lasting(30), [open_], NOW)
    assert [reason.rule for reason in shorter.reasons] == [Rule.BUSY, Rule.DAILY_CAP]


def test_hosting_decides_who_must_be_free() -> None:
    """Any host makes a round-robin slot, all make a collective one, and one alone cannot be several."""
    ada = Host("ada", OFFICE, [busy(("09:00", "10:00"))])
    bob = Host("bob", plan(("09:30", "11:30")), [busy(("10:30", "12:00"))])
    rules = EventRules(durations=(60,), step_minutes=30)

    def found(hosting: Hosting, hosts: Sequence[Host]) -> list[tuple[str, tuple[str, ...]]]:
        return [(f"{utc(s.start):%H:%M}", s.hosts) for s in find_slots(DAY, rules, hosts, NOW, hosting)]

    assert found(Hosting.ROUND_ROBIN, [ada, bob]) == [
        ("09:30", ("bob",)),
        ("10:00", ("ada",)),
        ("10:30", ("ada",)),
        ("11:00", ("ada",)),
    ]
    assert found(Hosting.COLLECTIVE, [ada, bob]) == []
    assert found(Hosting.COLLECTIVE, [ada, Host("eve", OFFICE)])[0] == ("10:00", ("ada", "eve"))
    assert found(Hosting.COLLECTIVE, []) == found(Hosting.SINGLE, []) == found(Hosting.ROUND_ROBIN, []) == []
    with pytest.raises(RulesError):
        found(Hosting.SINGLE, [ada, bob])


def test_a_collective_booking_follows_the_grid_of_its_first_host() -> None:
    """Kathmandu's quarters do not keep it from meeting a Londoner on London's half hours."""
    london = Host("l", plan(("09:00", "12:00"), zone="UTC"))
    kathmandu = Host("k", plan(("09:00", "24:00"), zone="Asia/Kathmandu"))
    rules = EventRules(durations=(60,), step_minutes=30)
    starts = [slot.start for slot in find_slots(DAY, rules, [london, kathmandu], NOW, Hosting.COLLECTIVE)]
    assert [f"{utc(start):%H:%M}" for start in starts] == ["09:00", "09:30", "10:00", "10:30", "11:00"]


def test_fairness_is_fewest_recent_then_weight_then_order() -> None:
    """And before all that comes the host whose group can still be joined."""
    hosts = [
        Host("a", OFFICE, recent=3),
        Host("b", OFFICE, recent=1),
        Host("c", OFFICE, recent=1, weight=5),
        Host("d", OFFICE, recent=1, weight=5),
    ]
    rules = EventRules(durations=(60,), step_minutes=60, seats=2)
    [slot] = [s for s in find_slots(DAY, rules, hosts, NOW, Hosting.ROUND_ROBIN) if s.start == at("10:00")]
    assert pick_host(slot, hosts, rules) == "c"
    assert pick_host(slot, [hosts[0], hosts[1]], rules) == "b"
    joined = Host("a", OFFICE, recent=9, groups=[group(1)])
    assert pick_host(slot, [joined, *hosts[1:]], rules) == "a"
    with pytest.raises(ValueError, match="empty"):
        pick_host(slot, [], rules)


@pytest.mark.parametrize(
    ("weights", "bookings", "shares"),
    [
        ((1, 3), 36, [9, 27]),
        ((1, 1, 1), 7, [3, 2, 2]),
        ((5, 3, 2), 100, [50, 30, 20]),
        ((1, 1_000), 1_001, [1, 1_000]),
    ],
)
def test_weights_are_shares(weights: tuple[int, ...], bookings: int, shares: list[int]) -> None:
    """Of 36 bookings weights 1 and 3 get 9 and 27, and at no time is anybody far from their share."""
    rules = EventRules(durations=(60,), step_minutes=60)
    hosts = [Host(str(number), OFFICE, weight=weight) for number, weight in enumerate(weights)]
    slot = Slot((at("10:00"), at("11:00"), tuple(host.id for host in hosts)))
    for made in range(1, bookings + 1):
        chosen = pick_host(slot, hosts, rules)
        hosts = [replace(host, recent=host.recent + (host.id == chosen)) for host in hosts]
        assert all(abs(host.recent - made * host.weight / sum(weights)) < 1 for host in hosts)
    assert [host.recent for host in hosts] == shares


def test_an_explanation_names_each_source_and_span() -> None:
    """Two calendars and a hold say so one by one, each with its own span and a sentence that shows it."""
    sources = [
        busy(("09:00", "10:00"), ("10:15", "10:30")),
        busy(("09:50", "10:10"), id_="private"),
        busy(("10:00", "10:30"), id_="visitor", kind=SourceKind.HOLD),
        busy(("12:00", "13:00"), id_="elsewhere"),
    ]
    told = explain(at("10:00"), EventRules(durations=(30,)), [Host("h", OFFICE, sources)], NOW)
    assert not told.offered
    assert [(r.rule, r.source.id if r.source else "", r.span) for r in told.reasons] == [
        (Rule.BUSY, "work", Span(at("10:15"), at("10:30"))),
        (Rule.BUSY, "private", Span(at("09:50"), at("10:10"))),
        (Rule.BUSY, "visitor", Span(at("10:00"), at("10:30"))),
    ]
    assert "Busy: Private, Mon 1 Jun 09:50–10:10" in told.reasons[1].text


def test_an_explanation_gives_every_rule_that_stands_against_a_start() -> None:
    """A start that everything is wrong with hears of everything."""
    host = Host("h", OFFICE, [busy(("00:00", "23:00"))], booked={MONDAY: 5})
    rules = EventRules(durations=(60,), step_minutes=30, daily_cap=1, weekly_cap=1, horizon_days=0)
    told = explain(at("20:07"), rules, [host], at("21:00"))
    assert [reason.rule for reason in told.reasons] == [
        Rule.NOTICE,
        Rule.WORKING_HOURS,
        Rule.BUSY,
        Rule.DAILY_CAP,
        Rule.WEEKLY_CAP,
        Rule.GRID,
    ]
    later = explain(at("10:00", "2026-06-02"), rules, [host], NOW)
    assert [reason.rule for reason in later.reasons] == [Rule.HORIZON, Rule.WEEKLY_CAP]


def test_an_explanation_mentions_the_override_that_closed_a_day() -> None:
    """Working hours are told as they are on that date."""
    closed = replace(OFFICE, overrides={MONDAY: ()})
    [reason] = explain(at("10:00"), EventRules(), [Host("h", closed)], NOW).reasons
    assert reason.rule is Rule.WORKING_HOURS
    assert "closed (an override of that date)" in reason.text
    [reason] = explain(at("11:45"), EventRules(), [Host("h", OFFICE)], NOW).reasons
    assert "09:00–12:00, UTC" in reason.text


def test_a_stale_calendar_and_spans_beyond_all_dates_can_be_told() -> None:
    """The sentence for a calendar that was not read says so; absurd spans do not break it."""
    stale = BusySource(SourceKind.STALE, "c1", [DAY], "Work")
    endless = BusySource(SourceKind.CALENDAR, "c2", [(-(1 << 50), 1 << 50)])
    first, second = explain(at("10:00"), EventRules(), [Host("h", OFFICE, [stale, endless])], NOW).reasons
    assert "Calendar Work has not been read lately" in first.text
    assert second.span == Span(-(1 << 50), 1 << 50)
    assert "9999" in second.text


def test_a_round_robin_explanation_blames_nobody_while_one_host_is_free() -> None:
    """The slot is offered, yet each host's verdict is there to read."""
    hosts = [Host("a", OFFICE, [busy(("09:00", "12:00"))]), Host("b", OFFICE)]
    told = explain(at("10:00"), EventRules(), hosts, NOW, Hosting.ROUND_ROBIN)
    assert told.offered
    assert told.reasons == ()
    assert [(v.host, len(v.reasons)) for v in told.verdicts] == [("a", 1), ("b", 0)]
    nobody = explain(at("10:00"), EventRules(), [], NOW)
    assert not nobody.offered


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"durations": ()}, "durations"),
        ({"durations": (0,)}, "durations"),
        ({"durations": (30.5,)}, "durations"),
        ({"durations": (30, 60), "duration": 45}, "duration"),
        ({"step_minutes": 0}, "step_minutes"),
        ({"buffer_before": -1}, "buffer_before"),
        ({"horizon_days": 100_000}, "horizon_days"),
        ({"seats": 0}, "seats"),
        ({"daily_cap": True}, "daily_cap"),
        ({"minimum_notice": "5"}, "minimum_notice"),
    ],
)
def test_rules_that_mean_nothing_are_refused_by_name(given: dict[str, Any], field: str) -> None:
    """The error is a ValueError that names the field."""
    with pytest.raises(RulesError) as caught:
        EventRules(**given)
    assert caught.value.field == field
    assert isinstance(caught.value, ValueError)


def test_a_duration_is_chosen_among_the_offered_ones() -> None:
    """The first is the default."""
    rules = EventRules(durations=(30, 60))
    assert (rules.duration, rules.lasting(60).length) == (30, HOUR)
    with pytest.raises(RulesError, match="choose 30, 60"):
        rules.lasting(15)
