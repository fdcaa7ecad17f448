"""Any history of group bookings with online meetings ends with one meeting for each group, known to everybody in it."""

from __future__ import annotations

from collections import defaultdict
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlmodel import SQLModel, col, select

from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import Booking, Mail
from calendar_app.domain.event import BOOKING_MARK
from calendar_app.domain.hosting import Hosting
from calendar_app.domain.meeting import MeetingState
from calendar_app.errors import ProviderUnavailable, SlotUnavailable, TooManyRequests
from calendar_app.services.bookings import reschedule, transitions
from calendar_app.services.bookings.views import BookingView
from calendar_app.services.calendar_writes import outbox as write_outbox
from calendar_app.services.event_types import commands
from tests.support.databases import Database
from tests.support.fake_provider import FakeProvider
from tests.support.long_form import LONG
from tests.support.scheduling import Place, bookable, carry_out, writes
from tests.support.sent_emails import send_due

SLOTS = st.integers(min_value=0, max_value=2)


class Machine(RuleBasedStateMachine):
    """Two hosts in turns, three times with three seats each; meetings that are late, fail, or lose their answer."""

    @initialize(seats=st.sampled_from([1, 3]))
    def begin(self, seats: int) -> None:
        with transaction() as session:
            for table in reversed(SQLModel.metadata.sorted_tables):
                session.execute(table.delete())
        self.exits = ExitStack()
        self.fake = self.exits.enter_context(FakeProvider().installed())
        self.place: Place = bookable(self.fake, hosts=2, hosting=Hosting.ROUND_ROBIN, seats=seats)
        fields = {"meeting_places": [{"kind": "google_meet"}]}
        commands.update_event_type(self.place.owner, self.place.event_type.id, fields)
        self.made: list[BookingView] = []
        self.now = datetime.now(UTC)

    def _at(self, slot: int) -> datetime:
        return self.place.at(9) + timedelta(minutes=30 * slot)

    @rule(slot=SLOTS)
    def book(self, slot: int) -> None:
        guest = ("Somebody", f"guest{len(self.made)}@example.org")
        try:
            self.made.append(self.place.book(self._at(slot), guest=guest))
        except SlotUnavailable:
            return

    @precondition(lambda self: self.made)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        transitions.cancel(self.place.owner, data.draw(st.sampled_from(self.made)).id)

    @precondition(lambda self: self.made)
    @rule(data=st.data(), slot=SLOTS)
    def move(self, data: st.DataObject, slot: int) -> None:
        chosen = data.draw(st.sampled_from(self.made))
        try:
            reschedule.reschedule(self.place.owner, chosen.id, self._at(slot))
        except (SlotUnavailable, TooManyRequests, transitions.lifecycle.TransitionRefused):
            return

    @rule(state=st.sampled_from(MeetingState))
    def let_meetings_be(self, state: MeetingState) -> None:
        self.fake.meetings = state

    @rule(step=st.sampled_from(("put_event", "after_put", "get_event")))
    def fail_next(self, step: str) -> None:
        self.fake.fail(step, ProviderUnavailable("away"))

    @precondition(lambda self: writes())
    @rule(data=st.data(), later=st.integers(0, 600))
    def work(self, data: st.DataObject, later: int) -> None:
        self.now += timedelta(seconds=later)
        write_outbox.apply(data.draw(st.sampled_from(writes())).id, now=self.now)

    @rule(later=st.integers(0, 120))
    def send(self, later: int) -> None:
        self.now += timedelta(seconds=later)
        send_due(now=self.now)

    def teardown(self) -> None:
        if not hasattr(self, "fake"):
            return
        try:
            self._settle()
            self._check()
        finally:
            self.exits.close()

    def _settle(self) -> None:
        """Everything is well again, and done: what failed is retried, what is late is made, every e-mail is out."""
        self.fake._failures.clear()
        self.fake.meetings = MeetingState.READY
        for _ in range(4):
            with reading() as session:
                failed = session.exec(select(Booking.id).where(Booking.meeting_error != "")).all()
            self.now += timedelta(hours=3)
            carry_out(now=self.now)
            self.now += timedelta(days=2)
            for booking_id in failed:
                transitions.retry_sync(self.place.owner, booking_id)
            self.fake.make_meetings()
            for row in writes():
                if row.meeting_state == "pending":
                    write_outbox.apply(row.id, now=self.now)
        carry_out(now=self.now + timedelta(days=2))
        send_due()

    def _check(self) -> None:
        standing = {
            event.private[BOOKING_MARK]: event
            for calendar in self.place.calendars
            for event in self.fake.standing(calendar.remote_id)
        }
        making = {row.booking_id for row in writes() if row.meeting}
        groups: dict[object, list[Booking]] = defaultdict(list)
        hosts = {one.id: [host.id for host in one.hosts] for one in self.made}
        with reading() as session:
            for row in session.exec(select(Booking).order_by(col(Booking.id))):
                if row.status == "confirmed":
                    groups[row.start_at, tuple(hosts[row.id])].append(row)
                else:
                    assert (row.location, row.id in making) == ("", False)
            links = []
            for group in groups.values():
                (link,) = {row.location for row in group}
                links.append(link)
                (maker,) = {row.id for row in group} & making
                meeting = standing[maker].meeting
                assert meeting is not None
                assert meeting.link == link
                for row in group:
                    assert standing[row.id].location == ("" if row.id == maker else link)
                    sent = select(Mail).where(Mail.recipient == row.email, Mail.state == "sent")
                    bodies = [mail.body for mail in session.exec(sent.order_by(col(Mail.id)))]
                    assert any(link in body.split() for body in bodies), (row.id, link, bodies)
        assert len(set(links)) == len(links)
        assert "" not in links


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_every_group_has_one_meeting(database: Database) -> None:
    """Whatever was booked, moved and cancelled in which order, and whatever the calendars did meanwhile."""
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        Machine,
        settings=settings(
            max_examples=60 if LONG else 5,
            stateful_step_count=25 if LONG else 12,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
