"""Any history of bookings, outside moves and deletes, late echoes and failures converges, or says why not."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta

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
from sqlmodel import SQLModel, select

from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import Booking, Calendar, Deviation
from calendar_app.domain.booking import TransitionRefused
from calendar_app.domain.event import BOOKING_MARK, CalendarEvent, EventTime
from calendar_app.errors import AlmanacError, PreconditionFailed, ProviderUnavailable, SlotUnavailable
from calendar_app.services.bookings import reschedule as booking_reschedule
from calendar_app.services.bookings import transitions
from calendar_app.services.bookings.views import BookingView
from calendar_app.services.calendar_mirror import mirror, mismatches
from calendar_app.services.calendar_sync import requests as sync_requests
from calendar_app.services.calendar_writes import outbox as write_outbox
from calendar_app.services.external_changes import queries as external_change_queries
from calendar_app.services.external_changes import resolve as external_change_resolve
from tests.support.databases import Database
from tests.support.fake_provider import FakeProvider
from tests.support.scheduling import ZONE, Place, assert_consistent, bookable, carry_out, ours, writes

SLOTS = st.integers(min_value=0, max_value=9)
PICK = st.integers(min_value=0, max_value=99)


class Killed(BaseException):
    """A worker that dies here."""


class Machine(RuleBasedStateMachine):
    """Two hosts of collective bookings, ten times of one day, and people who drag events about."""

    @initialize(
        moves=st.sampled_from(external_change_resolve.MOVE_CHOICES),
        deletes=st.sampled_from(external_change_resolve.DELETE_CHOICES),
    )
    def begin(self, moves: str, deletes: str) -> None:
        with transaction() as session:
            for table in reversed(SQLModel.metadata.sorted_tables):
                session.execute(table.delete())
        self.exits = ExitStack()
        self.fake = self.exits.enter_context(FakeProvider().installed())
        self.place: Place = bookable(self.fake, hosts=2, hosting="collective")
        external_change_resolve.set_policy(self.place.owner, moves=moves, deletes=deletes)
        self.made: list[BookingView] = []
        self.old: list[tuple[int, CalendarEvent]] = []
        self.moved: set[tuple[str, datetime]] = set()
        self.deleted: set[str] = set()
        self.now = datetime.now(UTC)

    def _at(self, slot: int) -> datetime:
        return self.place.at(9) + timedelta(minutes=30 * slot)

    def _events(self, number: int) -> list[CalendarEvent]:
        standing = self.fake.standing(self.place.calendars[number].remote_id)
        return sorted((one for one in standing if BOOKING_MARK in one.private), key=lambda one: one.remote_id)

    @rule(slot=SLOTS)
    def book(self, slot: int) -> None:
        try:
            self.made.append(self.place.book(self._at(slot)))
        except SlotUnavailable:
            return

    @precondition(lambda self: self.made)
    @rule(pick=PICK)
    def cancel(self, pick: int) -> None:
        transitions.cancel(self.place.owner, self.made[pick % len(self.made)].id)

    @precondition(lambda self: self.made)
    @rule(pick=PICK, slot=SLOTS)
    def reschedule(self, pick: int, slot: int) -> None:
        try:
            booking_reschedule.reschedule(
                self.place.owner, self.made[pick % len(self.made)].id, self._at(slot)
            )
        except (SlotUnavailable, TransitionRefused):
            return

    @rule(number=st.integers(0, 1), pick=PICK, slot=SLOTS)
    def move_outside(self, number: int, pick: int, slot: int) -> None:
        """A host drags an event to another time in one of the calendars."""
        if events := self._events(number):
            event = events[pick % len(events)]
            self.old.append((number, event))
            start = EventTime(self._at(slot).replace(tzinfo=None), ZONE)
            end = EventTime((self._at(slot) + timedelta(minutes=30)).replace(tzinfo=None), ZONE)
            self.fake.change(self.place.calendars[number].remote_id, replace(event, start=start, end=end))
            self.moved.add((event.private[BOOKING_MARK], self._at(slot).astimezone(UTC)))

    @rule(number=st.integers(0, 1), pick=PICK)
    def delete_outside(self, number: int, pick: int) -> None:
        if events := self._events(number):
            event = events[pick % len(events)]
            self.old.append((number, event))
            self.fake.remove(self.place.calendars[number].remote_id, event.remote_id)
            self.deleted.add(event.private[BOOKING_MARK])

    @precondition(lambda self: self.old)
    @rule(pick=PICK)
    def late_echo(self, pick: int) -> None:
        """A listing brings a version of an event that has long been replaced."""
        number, event = self.old[pick % len(self.old)]
        with transaction() as session:
            calendar = session.get_one(Calendar, self.place.calendars[number].id)
            applied = mirror.apply(session, calendar.id, [event], full=False, now=datetime.now(UTC))
            mismatches.record_mismatches(session, calendar, applied.sightings, datetime.now(UTC))

    @rule(
        step=st.sampled_from(("put_event", "after_put", "get_event", "delete_event", "page")),
        failure=st.sampled_from((ProviderUnavailable, PreconditionFailed, TimeoutError, Killed)),
    )
    def fail_next(self, step: str, failure: Callable[[], BaseException]) -> None:
        if step == "page" and failure is Killed:
            return
        self.fake.fail(step, failure())  # type: ignore[arg-type]

    @precondition(lambda self: writes())
    @rule(pick=PICK, later=st.integers(0, 7200))
    def work(self, pick: int, later: int) -> None:
        self.now += timedelta(seconds=later)
        rows = writes()
        for number, event in [(place, one) for place in (0, 1) for one in self._events(place)]:
            self.old.append((number, event))
        self._run(lambda: write_outbox.apply(rows[pick % len(rows)].id, now=self.now))

    @rule(number=st.integers(0, 1))
    def read(self, number: int) -> None:
        self._run(lambda: sync_requests.sync_calendar(self.place.calendars[number].id))

    @rule()
    def settle(self) -> None:
        for row in self._deviations():
            self._run(lambda key=row.id: external_change_resolve.examine(key, now=self.now))  # type: ignore[misc]

    @rule(pick=PICK, how=st.sampled_from(("follow", "restore", "keep")))
    def by_hand(self, pick: int, how: str) -> None:
        if shown := external_change_queries.listed(self.place.owner):
            view = shown[pick % len(shown)]
            if how in view.choices:
                self._run(
                    lambda: external_change_resolve.resolve(self.place.owner, view.id, how, now=self.now)
                )

    def _run(self, job: Callable[[], object]) -> None:
        try:
            job()
        except (Killed, TimeoutError, AlmanacError):
            return

    def _deviations(self) -> list[Deviation]:
        with reading() as session:
            return list(session.exec(select(Deviation)))

    @invariant()
    def only_what_people_did_counts(self) -> None:
        """No deviation speaks of a time that nobody moved the event to, or of a delete that nobody made."""
        if not hasattr(self, "place"):
            return
        assert_consistent()
        for row in self._deviations():
            if row.kind == "moved":
                assert (row.booking_id, external_change_queries.moment(row, "start")) in self.moved
            elif row.kind == "deleted":
                assert row.booking_id in self.deleted

    def teardown(self) -> None:
        if not hasattr(self, "place"):
            return
        try:
            self.fake._failures.clear()
            for view in self.made:
                transitions.retry_sync(self.place.owner, view.id)
            self._quiet()
            self._check()
        finally:
            self.exits.close()

    def _quiet(self) -> None:
        """Workers have all the time they need, and nobody touches anything."""
        now = self.now + timedelta(hours=3)
        for number in range(8):
            carry_out(now=now + timedelta(days=number))
            for calendar in self.place.calendars:
                self.fake.expire_cursors(calendar.remote_id)
                with transaction() as session:  # a lease of a sync that died
                    row = session.get_one(Calendar, calendar.id)
                    row.sync_lease_until = None
                    session.add(row)
                assert sync_requests.sync_calendar(calendar.id).outcome == "done"
            for row in self._deviations():
                external_change_resolve.examine(row.id, now=now + timedelta(days=number, hours=1))

    def _check(self) -> None:
        """Every standing booking has exactly one event in each calendar, at its time, or a deviation says why not."""
        assert_consistent()
        with reading() as session:
            rows = {row.id: row for row in session.exec(select(Booking))}
        known = {
            (row.booking_id, row.calendar_id): row
            for row in self._deviations()
            if row.resolved_at is None or row.resolution == "dismissed"
        }
        for calendar in self.place.calendars:
            events = ours(self.fake, [calendar])
            for booking_id, row in rows.items():
                event, why = events.get(booking_id), known.get((booking_id, calendar.id))
                if row.status != "confirmed":
                    assert event is None
                elif event is None:
                    assert why is not None
                    assert why.kind == "deleted"
                elif event.start != EventTime(
                    row.start_at.astimezone(self._at(0).tzinfo).replace(tzinfo=None), ZONE
                ):
                    assert why is not None
                    assert why.kind == "moved"
                else:
                    assert why is None or why.resolution == "dismissed"


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_every_history_converges(database: Database) -> None:
    """After any history and some quiet days, calendars and bookings agree, or an open deviation says why not."""
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=10,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
