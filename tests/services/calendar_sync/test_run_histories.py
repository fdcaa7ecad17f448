"""Whatever happens at the provider and to the workers, the mirror ends up as the provider's calendar."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event as orm_event
from sqlmodel import Session, col, select

from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import Calendar, Event, Occurrence
from calendar_app.domain.event import CalendarEvent, EventStatus, EventTime
from calendar_app.domain.recurrence import expand
from calendar_app.errors import ProviderUnavailable
from calendar_app.services.calendar_mirror import expansion
from calendar_app.services.calendar_sync import requests as sync_requests
from calendar_app.services.calendar_sync.run import Outcome
from tests.support import factories
from tests.support.databases import Database
from tests.support.factories import Team
from tests.support.fake_provider import FakeProvider

BASE = datetime.now(UTC).replace(hour=9, minute=0, second=0, microsecond=0, tzinfo=None)
MAIN = "main@ada@example.com"

OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["add", "add_series", "move", "delete", "vanish"]), st.integers(0, 30)),
        st.tuples(st.sampled_from(["move_one", "cancel_one", "rule", "expire"]), st.integers(0, 30)),
        st.tuples(st.just("sync"), st.just(0)),
        st.tuples(st.sampled_from(["page_fails", "crash_before", "crash_after"]), st.integers(0, 5)),
    ),
    max_size=25,
)


class Crash(BaseException):
    """The process is gone: no handler of the product gets to see it."""


@dataclass
class World:
    """The provider's calendar and our mirror of it."""

    team: Team
    fake: FakeProvider
    made: int = 0
    syncs: dict[str, Callable[[int], None]] = field(default_factory=dict)

    def run(self, name: str, number: int) -> None:
        getattr(self, name)(number)

    def _pick(self, number: int, wanted: Callable[[CalendarEvent], bool]) -> CalendarEvent | None:
        found = sorted(
            (event for event in self.fake.standing(MAIN) if wanted(event)), key=lambda event: event.remote_id
        )
        return found[number % len(found)] if found else None

    def add(self, number: int, **parts: Any) -> None:
        if self.made >= 18:  # the fuse against mass removal is another test's business
            return
        self.made += 1
        start = EventTime(BASE + timedelta(days=number - 5, minutes=number), "Europe/Berlin")
        end = EventTime(start.value + timedelta(hours=1), "Europe/Berlin")
        self.fake.change(MAIN, CalendarEvent(f"e{self.made}", start=start, end=end, **parts))

    def add_series(self, number: int) -> None:
        self.add(number, recurrence=(f"RRULE:FREQ=DAILY;COUNT={3 + number % 4}",))

    def move(self, number: int) -> None:
        if one := self._pick(number, lambda event: not event.master_id):
            assert one.start
            start = EventTime(one.start.value + timedelta(hours=3), one.start.zone)
            end = EventTime(start.value + timedelta(hours=1), one.start.zone)
            self._forget_changes(one)
            self.fake.change(MAIN, replace(one, start=start, end=end))

    def rule(self, number: int) -> None:
        if one := self._pick(number, lambda event: not event.master_id):
            self._forget_changes(one)
            lines = () if one.recurrence else (f"RRULE:FREQ=WEEKLY;COUNT={2 + number % 3}",)
            self.fake.change(MAIN, replace(one, recurrence=lines))

    def _forget_changes(self, master: CalendarEvent) -> None:
        """Moving or ending a series drops what was changed in it, as vendors do."""
        held = self.fake.calendar(MAIN)
        for event in [one for one in held.events.values() if one.master_id == master.remote_id]:
            held.save(replace(event, status=EventStatus.CANCELLED))

    def delete(self, number: int) -> None:
        if one := self._pick(number, lambda event: not event.master_id):
            self._forget_changes(one)
            self.fake.remove(MAIN, one.remote_id)

    def vanish(self, number: int) -> None:
        """Gone without a word, as after a restored backup; cursors from before are refused."""
        if one := self._pick(number, lambda event: not event.master_id):
            held = self.fake.calendar(MAIN)
            for remote_id in [
                one.remote_id,
                *(e.remote_id for e in held.events.values() if e.master_id == one.remote_id),
            ]:
                held.events.pop(remote_id)
            self.fake.expire_cursors(MAIN)

    def _exception(self, number: int, **parts: Any) -> None:
        if master := self._pick(number, lambda event: bool(event.recurrence)):
            assert master.start
            step = 7 if "WEEKLY" in master.recurrence[0] else 1
            original = EventTime(master.start.value + timedelta(days=step), master.start.zone)
            times = {"start": None, "end": None}
            if not parts:
                start = EventTime(original.value + timedelta(hours=5 + number), original.zone)
                times = {"start": start, "end": EventTime(start.value + timedelta(minutes=45), start.zone)}
            self.fake.change(
                MAIN,
                CalendarEvent(
                    f"{master.remote_id}_{original.value:%Y%m%dT%H%M}",
                    master_id=master.remote_id,
                    original_start=original,
                    **(times | parts),
                ),
            )

    def move_one(self, number: int) -> None:
        self._exception(number)

    def cancel_one(self, number: int) -> None:
        self._exception(number, status=EventStatus.CANCELLED)

    def expire(self, _number: int) -> None:
        self.fake.expire_cursors(MAIN)

    def sync(self, _number: int) -> None:
        self.time_passes()
        sync_requests.sync_calendar(self.team.calendar.id)

    def page_fails(self, number: int) -> None:
        self.fake.fail("page", *[None] * number, ProviderUnavailable())
        self.sync(0)
        self.fake._failures.clear()

    def crash_before(self, number: int) -> None:
        self._crash(number, "before_commit")

    def crash_after(self, number: int) -> None:
        self._crash(number, "after_commit")

    def _crash(self, number: int, moment: str) -> None:
        self.time_passes()
        with crashing(number, moment):
            try:
                sync_requests.sync_calendar(self.team.calendar.id)
            except Crash:
                pass

    def time_passes(self) -> None:
        """Leases of workers that are gone run out."""
        with transaction() as session:
            row = session.get_one(Calendar, self.team.calendar.id)
            row.sync_lease_until = None
            session.add(row)

    def expected(self) -> dict[str, CalendarEvent]:
        """What the provider holds: events that stand, and the cancelled occurrences of series that do."""
        held = self.fake.calendar(MAIN).events
        standing = {event.remote_id for event in self.fake.standing(MAIN)}
        return {
            remote_id: event
            for remote_id, event in held.items()
            if remote_id in standing or event.master_id in standing
        }


@contextmanager
def crashing(number: int, moment: str) -> Iterator[None]:
    """Let the process die at its ``number``-th commit from now on, before or after the database has it."""
    left = [number]

    def die(_session: Session) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise Crash

    orm_event.listen(Session, moment, die)
    try:
        yield
    finally:
        orm_event.remove(Session, moment, die)


def check(world: World) -> None:
    expected = world.expected()
    with reading() as session:
        stored = session.exec(select(Event).where(col(Event.calendar_id) == world.team.calendar.id)).all()
        found = session.exec(
            select(Event.remote_id, Occurrence.starts, Occurrence.ends, Occurrence.busy)
            .join(Occurrence, col(Occurrence.event_id) == col(Event.id))
            .where(col(Occurrence.calendar_id) == world.team.calendar.id)
        ).all()
        window = expansion.window_at(datetime.now(UTC))
    assert Counter(event.remote_id for event in stored) == Counter(list(expected))
    assert {event.remote_id: event.etag for event in stored} == {
        remote_id: event.etag for remote_id, event in expected.items()
    }
    wanted: Counter[tuple[str, int, int, bool]] = Counter()
    for master in expected.values():
        if not master.master_id:
            changes = [event for event in expected.values() if event.master_id == master.remote_id]
            for one in expand(master, changes, window, "Europe/Berlin", limit=500):
                wanted[one.event.remote_id, one.start, one.end, True] += 1
    assert Counter(tuple(row) for row in found) == wanted


@pytest.mark.slow
@pytest.mark.timeout(300)
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(operations=OPERATIONS)
def test_mirror_converges(database: Database, operations: list[tuple[str, int]]) -> None:
    """After any history of edits, deletions, moved occurrences, failed pages, refused cursors and crashes at a commit,
    one successful sync leaves the provider's set of events and their occurrences, every one exactly once."""
    fake = FakeProvider(page_size=3)
    account = fake.account("ada@example.com")
    with fake.installed():
        grant = fake.grant(account)
        team = factories.team(access_token=grant.access_token, refresh_token=grant.refresh_token)
        with transaction() as session:
            row = session.get_one(Calendar, team.calendar.id)
            row.remote_id = MAIN
            session.add(row)
        world = World(team, fake)
        for name, number in operations:
            world.run(name, number)
        world.time_passes()
        assert sync_requests.sync_calendar(team.calendar.id).outcome is Outcome.DONE
        check(world)
