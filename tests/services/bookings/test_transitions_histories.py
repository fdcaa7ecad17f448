"""Any history of bookings, failures, crashes and outside edits ends with the calendar as the bookings want it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlmodel import SQLModel

from calendar_app.db.session import transaction
from calendar_app.domain.booking import TransitionRefused
from calendar_app.domain.event import BOOKING_MARK
from calendar_app.errors import (
    AuthExpired,
    EventNotFound,
    InvalidRequest,
    PermissionDenied,
    PreconditionFailed,
    ProviderUnavailable,
    RateLimited,
    SlotUnavailable,
)
from calendar_app.services.bookings import reschedule as booking_reschedule
from calendar_app.services.bookings import transitions
from calendar_app.services.bookings.views import BookingView
from calendar_app.services.calendar_writes import outbox as write_outbox
from tests.support.databases import Database
from tests.support.fake_provider import FakeProvider
from tests.support.long_form import LONG
from tests.support.scheduling import Place, assert_consistent, bookable, carry_out, ours, writes

SLOTS = st.integers(min_value=0, max_value=9)


class Killed(BaseException):
    """A worker that dies here."""


FAILURES: tuple[Callable[[], BaseException], ...] = (
    ProviderUnavailable,
    RateLimited,
    PermissionDenied,
    InvalidRequest,
    AuthExpired,
    PreconditionFailed,
    EventNotFound,
    TimeoutError,
    Killed,
)


class Machine(RuleBasedStateMachine):
    """One host, ten times of one day, and whatever can happen."""

    @initialize()
    def begin(self) -> None:
        with transaction() as session:
            for table in reversed(SQLModel.metadata.sorted_tables):
                session.execute(table.delete())
        self.exits = ExitStack()
        self.fake = self.exits.enter_context(FakeProvider().installed())
        self.place: Place = bookable(self.fake, buffer_before=5, requires_approval=False)
        self.made: list[BookingView] = []
        self.now = datetime.now(UTC)

    def _at(self, slot: int) -> datetime:
        return self.place.at(9) + timedelta(minutes=30 * slot)

    @rule(slot=SLOTS)
    def book(self, slot: int) -> None:
        try:
            self.made.append(self.place.book(self._at(slot)))
        except SlotUnavailable:
            return

    @precondition(lambda self: self.made)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        chosen = data.draw(st.integers(0, len(self.made) - 1))
        assert transitions.cancel(self.place.owner, self.made[chosen].id).status == "cancelled"

    @precondition(lambda self: self.made)
    @rule(data=st.data(), slot=SLOTS)
    def move(self, data: st.DataObject, slot: int) -> None:
        chosen = self.made[data.draw(st.integers(0, len(self.made) - 1))]
        try:
            booking_reschedule.reschedule(self.place.owner, chosen.id, self._at(slot))
        except (SlotUnavailable, TransitionRefused):
            return

    @rule(
        step=st.sampled_from(("put_event", "after_put", "get_event", "delete_event", "freebusy", "refresh")),
        failure=st.sampled_from(FAILURES),
    )
    def fail_next(self, step: str, failure: Callable[[], BaseException]) -> None:
        if step in ("freebusy", "refresh") and failure is Killed:
            return
        if step == "delete_event" and failure is EventNotFound:  # a vendor that says so of what stands lies
            return
        self.fake.fail(step, failure())  # type: ignore[arg-type]

    @precondition(lambda self: writes())
    @rule(data=st.data(), later=st.integers(0, 7200))
    def work(self, data: st.DataObject, later: int) -> None:
        """A job of any row arrives, due or not, once more or for the first time."""
        self.now += timedelta(seconds=later)
        rows = writes()
        chosen = rows[data.draw(st.integers(0, len(rows) - 1))]
        try:
            write_outbox.apply(chosen.id, now=self.now)
        except (Killed, TimeoutError):
            return

    @precondition(lambda self: self._events())
    @rule(data=st.data())
    def edit_outside(self, data: st.DataObject) -> None:
        """The host gives one of our events another title."""
        events = self._events()
        chosen = events[data.draw(st.integers(0, len(events) - 1))]
        self.fake.change(self.place.calendars[0].remote_id, replace(chosen, summary="mine now"))

    def _events(self) -> list[Any]:
        standing = self.fake.standing(self.place.calendars[0].remote_id) if hasattr(self, "fake") else []
        return sorted((e for e in standing if BOOKING_MARK in e.private), key=lambda event: event.remote_id)

    @invariant()
    def nothing_overlaps_and_nothing_doubles(self) -> None:
        if hasattr(self, "place"):
            assert_consistent()
            ours(self.fake, self.place.calendars)

    def teardown(self) -> None:
        if not hasattr(self, "place"):
            return
        try:
            self.fake._failures.clear()
            for view in self.made:
                transitions.retry_sync(self.place.owner, view.id)
            carry_out(now=self.now + timedelta(hours=3))
            events = ours(self.fake, self.place.calendars)
            standing = {row.id: row for row in assert_consistent() if row.status == "confirmed"}
            assert set(events) == set(standing)
            for booking_id, event in events.items():
                assert event.start is not None
                assert event.start.value == standing[booking_id].start_at.astimezone(
                    self._at(0).tzinfo
                ).replace(tzinfo=None)
        finally:
            self.exits.close()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_every_history_ends_as_wanted(database: Database) -> None:
    """After any history and a quiet hour, exactly the standing bookings are in the calendar, each once, at its time."""
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=60 if LONG else 12,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
