"""When calendars are read: never sooner than asked for, never later than promised, and spread over the time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calendar_app.db.ids import new_id
from calendar_app.domain import reading_plan
from calendar_app.domain.reading_plan import (
    Knowledge,
    Pace,
    next_full_listing,
    next_reading,
    own_moment,
    stale_from,
)

NOW = datetime(2026, 12, 1, 12, 0, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
PACE = Pace(5 * MINUTE, 4 * HOUR)

spans = st.timedeltas(timedelta(), timedelta(days=60))
moments = st.one_of(st.none(), st.builds(lambda span: NOW - span, spans))
paces = st.builds(
    Pace,
    st.integers(1, 180).map(lambda minutes: minutes * MINUTE),
    st.integers(1, 48).map(lambda hours: hours * HOUR),
)
knowledge = st.builds(
    Knowledge,
    st.text(min_size=1, max_size=26),
    st.builds(lambda span: NOW - span, spans),
    push_until=st.one_of(st.none(), st.builds(lambda span: NOW - 5 * HOUR + span, spans)),
    viewed_at=moments,
    wish=spans,
    full_due_at=st.one_of(st.none(), st.builds(lambda span: NOW - 5 * HOUR + span, spans)),
)


@given(known=knowledge, pace=paces)
def test_every_reading_lies_between_its_bounds(known: Knowledge, pace: Pace) -> None:
    """Never within a minute, and never later than the longest that holds for a calendar of its kind."""
    due = next_reading(known, NOW, pace)
    assert due >= NOW + MINUTE
    longest = [max(HOUR, pace.shortest, min(known.wish, 4 * HOUR))]
    if known.push_until is not None and known.push_until > NOW:
        longest = [1.5 * pace.with_push, max(MINUTE, known.push_until - NOW)]
    if known.full_due_at is not None:
        longest.append(max(MINUTE, known.full_due_at - NOW))
    assert due - NOW <= min(longest)


@given(known=knowledge, pace=paces)
def test_without_push_nothing_is_asked_more_often_than_chosen(known: Knowledge, pace: Pace) -> None:
    """POLL_MINUTES bound every plan but that of a full listing."""
    alone = Knowledge(known.calendar_id, known.changed_at, None, known.viewed_at, known.wish)
    assert next_reading(alone, NOW, pace) >= NOW + pace.shortest


@given(known=knowledge, pace=paces, later=spans)
def test_the_longer_a_calendar_rests_the_less_it_is_asked(
    known: Knowledge, pace: Pace, later: timedelta
) -> None:
    """What changed less lately is never asked sooner."""
    recent = Knowledge("c", known.changed_at, None, known.viewed_at, known.wish)
    older = Knowledge("c", known.changed_at - later, None, known.viewed_at, known.wish)
    assert next_reading(recent, NOW, pace) <= next_reading(older, NOW, pace)


@given(known=knowledge, pace=paces)
def test_who_looks_never_waits_longer(known: Knowledge, pace: Pace) -> None:
    """A calendar that somebody looks at is asked as soon as any, and as often as it may be unless its publisher wishes
    otherwise, which is obeyed for an hour."""
    viewed = Knowledge("c", known.changed_at, None, NOW, known.wish)
    unseen = Knowledge("c", known.changed_at, None, None, known.wish)
    assert next_reading(viewed, NOW, pace) <= next_reading(unseen, NOW, pace)
    assert next_reading(viewed, NOW, pace) == NOW + max(pace.shortest, min(known.wish, HOUR))


@pytest.mark.parametrize(
    ("rested", "minutes"), [(0, 5), (59, 5), (120, 10), (360, 30), (720, 60), (10_000, 60)]
)
def test_a_twelfth_of_the_rest(rested: int, minutes: int) -> None:
    """Five minutes while it changes each hour; an hour from half a day of rest on."""
    assert next_reading(Knowledge("c", NOW - rested * MINUTE), NOW, PACE) == NOW + minutes * MINUTE


def test_a_channel_that_ends_is_not_relied_on_longer() -> None:
    """Its end is when the calendar is asked, if that comes first; one that has ended counts for nothing."""
    ending = Knowledge("c", NOW - timedelta(days=9), push_until=NOW + 10 * MINUTE)
    assert next_reading(ending, NOW, PACE) == NOW + 10 * MINUTE
    ended = Knowledge("c", NOW - timedelta(days=9), push_until=NOW)
    assert next_reading(ended, NOW, PACE) == NOW + HOUR


@given(
    id_=st.text(max_size=26),
    now=st.integers(-(10**8), 10**8).map(lambda s: NOW + timedelta(seconds=s)),
    period=st.integers(60, 10**6),
)
def test_own_moments_come_once_a_period(id_: str, now: datetime, period: int) -> None:
    """More than half a period away and at most one and a half; whoever comes at that moment gets the next one, exactly
    a period on."""
    length, moment = timedelta(seconds=period), now
    first = own_moment(id_, moment, length)
    assert length / 2 <= first - moment <= 1.5 * length
    assert own_moment(id_, first, length) - first == length


@pytest.mark.parametrize(
    ("events", "hours"), [(10, 24), (reading_plan.LARGE, 24), (reading_plan.LARGE + 1, 168)]
)
def test_full_listings_are_spread(events: int, hours: int) -> None:
    """Of a thousand calendars no tenth of the day, or of the week where they are large, has more than its share."""
    found = [next_full_listing(new_id(), events, NOW) for _ in range(1_000)]
    tenth = hours * HOUR / 10
    shares = [0] * 10
    for moment in found:
        shares[int((moment - NOW) / tenth) % 10] += 1
    assert all(60 <= share <= 140 for share in shares), shares


@pytest.mark.parametrize(
    ("due", "poll", "stale"), [(5, 5, 15), (1, 5, 15), (60, 5, 75), (240, 5, 255), (60, 60, 75), (7, 5, 22)]
)
def test_a_calendar_is_stale_when_a_due_reading_failed(due: int, poll: int, stale: int) -> None:
    """A quarter of an hour after it was due; after the last one, where they follow each other more quickly."""
    found = stale_from(NOW, NOW + due * MINUTE, shortest=poll * MINUTE, fresh=15 * MINUTE)
    assert found == NOW + stale * MINUTE
