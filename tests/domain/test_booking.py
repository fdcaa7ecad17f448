"""The life of a booking as a state machine under random hands, and the times that bound each change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from calendar_app.domain.booking import (
    HOLDING,
    TRANSITIONS,
    Actor,
    Status,
    TransitionRefused,
    change_deadline,
    check_reschedule,
    check_transition,
)
from calendar_app.errors import Conflict, Forbidden

START = datetime(2026, 6, 1, 10, tzinfo=UTC)
END = START + timedelta(hours=1)
EARLY = START - timedelta(days=7)
actors, statuses = st.sampled_from(Actor), st.sampled_from(Status)


def in_the_table(current: Status, target: Status, actor: Actor) -> bool:
    """Whether ``actor`` may ever take a booking from ``current`` to ``target``, times aside."""
    return actor in TRANSITIONS.get((current, target), frozenset())


def change(current: Status, target: Status, actor: Actor, now: datetime = EARLY, notice: int = 0) -> None:
    """A change of the booking of these tests."""
    check_transition(current, target, actor, start=START, end=END, now=now, cancel_notice=notice)


class BookingLife(RuleBasedStateMachine):
    """Anybody asks for anything at any time; two actors may read the same state and both try."""

    def __init__(self) -> None:
        super().__init__()
        self.status = Status.PENDING
        self.now = EARLY
        self.start = START
        self.released = False
        self.history = [self.status]

    def attempt(self, seen: Status, target: Status, actor: Actor) -> bool:
        """Check, then compare-and-swap, as a service does; whether this attempt won."""
        end = self.start + timedelta(hours=1)
        try:
            check_transition(seen, target, actor, start=self.start, end=end, now=self.now, cancel_notice=60)
        except TransitionRefused:
            assert not in_the_table(seen, target, actor) or target is not Status.DECLINED
            return False
        except Forbidden:
            assert not in_the_table(seen, target, actor)
            return False
        assert in_the_table(seen, target, actor)
        if self.status is not seen:
            return False
        self.status = target
        self.history.append(target)
        return True

    @rule(goal=statuses, actor=actors)
    def ask(self, goal: Status, actor: Actor) -> None:
        """One actor tries something."""
        self.attempt(self.status, goal, actor)

    @rule(first=statuses, second=statuses, one=actors, other=actors)
    def race(self, first: Status, second: Status, one: Actor, other: Actor) -> None:
        """Two act on what both have seen: at most one wins."""
        seen = self.status
        won = [self.attempt(seen, first, one), self.attempt(seen, second, other)]
        assert sum(won) <= 1

    @rule(actor=actors, shift=st.integers(1, 72), approval=st.booleans())
    def move(self, actor: Actor, shift: int, approval: bool) -> None:
        """Moving keeps a booking alive and never revives one."""
        try:
            state = check_reschedule(
                self.status,
                actor,
                start=self.start,
                now=self.now,
                cancel_notice=60,
                requires_approval=approval,
            )
        except TransitionRefused:
            late = self.now > change_deadline(self.start, 60)
            assert self.status not in HOLDING or (actor is Actor.CUSTOMER and late)
            return
        assert self.status in HOLDING
        assert state in HOLDING
        assert state is self.status or (actor is Actor.CUSTOMER and approval)
        self.status, self.start = state, max(self.start, self.now) + timedelta(hours=shift)
        self.history.append(state)

    @rule(hours=st.integers(1, 200))
    def pass_time(self, hours: int) -> None:
        """The clock goes on."""
        self.now += timedelta(hours=hours)

    @precondition(lambda self: self.status in (Status.DECLINED, Status.CANCELLED))
    @rule(goal=statuses, actor=actors)
    def nothing_follows_the_end(self, goal: Status, actor: Actor) -> None:
        """Declined and cancelled stay so."""
        assert not self.attempt(self.status, goal, actor)

    @invariant()
    def released_time_is_never_claimed_again(self) -> None:
        """Once a booking has let go of the host's time, the time may be another's."""
        self.released = self.released or self.status not in HOLDING
        assert not (self.released and self.status in HOLDING)

    @invariant()
    def what_took_place_had_begun(self) -> None:
        """Nothing is completed before its end or missed before its start."""
        if self.status is Status.COMPLETED:
            assert self.now >= self.start
        if self.status is Status.NO_SHOW:
            assert self.now >= self.start


BookingLife.TestCase.settings = settings(max_examples=120, stateful_step_count=25, deadline=None)
TestBookingLife = BookingLife.TestCase


def test_the_statuses_are_the_apis() -> None:
    """The words are public."""
    assert list(Status) == ["pending", "confirmed", "declined", "cancelled", "completed", "no_show"]


def test_nothing_but_the_table_is_allowed() -> None:
    """All 108 combinations, the check and the table agree."""
    moments = [EARLY, START, END]
    for current, target, actor in product(Status, Status, Actor):
        allowed = in_the_table(current, target, actor)
        passed = []
        for now in moments:
            try:
                change(current, target, actor, now)
            except (TransitionRefused, Forbidden):
                continue
            passed.append(now)
        assert bool(passed) is allowed


def test_customers_can_only_cancel() -> None:
    """Approval and attendance are the business's to say; the refusal is 403 where somebody else might."""
    assert {target for (_, target), who in TRANSITIONS.items() if Actor.CUSTOMER in who} == {Status.CANCELLED}
    with pytest.raises(Forbidden):
        change(Status.PENDING, Status.CONFIRMED, Actor.CUSTOMER)
    with pytest.raises(TransitionRefused) as caught:
        change(Status.CANCELLED, Status.CONFIRMED, Actor.CUSTOMER)
    assert isinstance(caught.value, Conflict)
    assert (caught.value.status, caught.value.code) == (409, "transition_refused")
    assert "was cancelled" in caught.value.detail


@pytest.mark.parametrize(
    ("current", "target", "too_soon", "soon_enough"),
    [
        (Status.CONFIRMED, Status.NO_SHOW, START - timedelta(seconds=1), START),
        (Status.CONFIRMED, Status.COMPLETED, END - timedelta(seconds=1), END),
    ],
)
def test_attendance_is_known_when_its_time_has_come(
    current: Status, target: Status, too_soon: datetime, soon_enough: datetime
) -> None:
    """No-show from the start on, completed from the end on."""
    change(current, target, Actor.STAFF, soon_enough)
    with pytest.raises(TransitionRefused):
        change(current, target, Actor.STAFF, too_soon)


def test_the_past_is_not_confirmed() -> None:
    """An approval that comes when the meeting should have begun comes too late."""
    change(Status.PENDING, Status.CONFIRMED, Actor.STAFF, START - timedelta(seconds=1))
    with pytest.raises(TransitionRefused, match="has begun"):
        change(Status.PENDING, Status.CONFIRMED, Actor.STAFF, START)


@pytest.mark.parametrize(
    ("notice", "words"), [(2880, "2 days"), (60, "1 hour"), (90, "90 minutes"), (1, "1 minute")]
)
def test_customers_keep_the_cancellation_notice(notice: int, words: str) -> None:
    """Until the deadline on the second; staff and system are not bound by it."""
    deadline = change_deadline(START, notice)
    late = deadline + timedelta(seconds=1)
    change(Status.CONFIRMED, Status.CANCELLED, Actor.CUSTOMER, deadline, notice)
    assert check_reschedule(Status.CONFIRMED, Actor.CUSTOMER, start=START, now=deadline, cancel_notice=notice)
    with pytest.raises(TransitionRefused, match=f"cancelled until {words} before"):
        change(Status.CONFIRMED, Status.CANCELLED, Actor.CUSTOMER, late, notice)
    with pytest.raises(TransitionRefused, match=f"moved until {words} before"):
        check_reschedule(Status.CONFIRMED, Actor.CUSTOMER, start=START, now=late, cancel_notice=notice)
    change(Status.CONFIRMED, Status.CANCELLED, Actor.STAFF, late, notice)
    change(Status.CONFIRMED, Status.CANCELLED, Actor.SYSTEM, END, notice)


def test_what_has_begun_is_not_cancelled_by_the_customer() -> None:
    """Even without a notice."""
    with pytest.raises(TransitionRefused, match="has begun"):
        change(Status.CONFIRMED, Status.CANCELLED, Actor.CUSTOMER, START)


def test_moving_what_needs_approval_asks_for_it_again() -> None:
    """Only when the customer moves it."""
    times = {"start": START, "now": EARLY}
    asked = check_reschedule(Status.CONFIRMED, Actor.CUSTOMER, **times, requires_approval=True)
    assert asked is Status.PENDING
    assert (
        check_reschedule(Status.CONFIRMED, Actor.STAFF, **times, requires_approval=True) is Status.CONFIRMED
    )
    assert check_reschedule(Status.PENDING, Actor.STAFF, **times) is Status.PENDING
    with pytest.raises(TransitionRefused, match="cannot be moved"):
        check_reschedule(Status.NO_SHOW, Actor.STAFF, **times)
