"""The drift report: bookings held against what the providers really hold."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from calendar_app.db.session import transaction
from calendar_app.db.tables import Booking, CalendarWrite, Connection
from calendar_app.errors import Forbidden, PermissionDenied, ProviderError, ProviderUnavailable, RateLimited
from calendar_app.services.bookings import transitions
from calendar_app.services.calendar_sync import requests as sync_requests
from calendar_app.services.common.permissions import Role
from calendar_app.services.external_changes import drift_report
from calendar_app.services.external_changes import resolve as external_change_resolve
from tests.services.external_changes.test_resolve import (
    booking,
    delete,
    event_of,
    move,
    rows,
    rule,
    settle_all,
    written,
)
from tests.support import factories
from tests.support.fake_provider import FakeProvider
from tests.support.scheduling import Place, bookable, carry_out, host, ours, writes


def check(place: Place, *, now: datetime | None = None) -> int:
    """One run over the first host's connection, and what follows from it."""
    now = now or datetime.now(UTC) + timedelta(minutes=1)
    looked = drift_report.check_connection(place.calendars[0].connection_id, now=now)
    settle_all(now=now)
    return looked


def test_what_agrees_is_verified_anew(fake: FakeProvider, place: Place) -> None:
    """Nothing is reported; the receipts say when the events were last seen, and the report when it looked."""
    made = written(place)
    assert drift_report.report(place.owner).checked_at is None
    later = datetime.now(UTC) + timedelta(minutes=5)
    assert check(place, now=later) == 1
    assert writes(made.id)[0].verified_at == later
    found = drift_report.report(place.owner)
    assert (found.items, found.checked) == ((), 1)
    assert found.checked_at is not None


def test_changes_that_no_sync_saw_are_found(fake: FakeProvider, place: Place) -> None:
    """Moved, deleted and repeated events, each with its ways out; the rule of the workspace holds."""
    moved, gone, series = written(place, 9), written(place, 10), written(place, 11)
    move(fake, place, moved, place.at(13))
    delete(fake, place, gone)
    repeated = replace(event_of(fake, place, series), recurrence=("RRULE:FREQ=DAILY;COUNT=3",))
    fake.change(place.calendars[0].remote_id, repeated)
    assert check(place) == 3
    found = {view.booking_id: view for view in drift_report.report(place.owner).items}
    assert {key: view.kind for key, view in found.items()} == {
        moved.id: "moved",
        gone.id: "deleted",
        series.id: "changed",
    }
    assert drift_report.fix(place.owner, found[moved.id].id, "follow").resolution == "followed"
    assert drift_report.fix(place.owner, found[gone.id].id, "restore").resolution == "restored"
    assert drift_report.fix(place.owner, found[series.id].id, "keep").resolution == "dismissed"
    carry_out()
    check(place)
    assert drift_report.report(place.owner).items == ()
    assert booking(moved).start_at == place.at(13)
    assert set(ours(fake, place.calendars)) == {moved.id, gone.id, series.id}


def test_the_rule_acts_on_what_drift_finds(fake: FakeProvider, place: Place) -> None:
    """A delete that no sync saw cancels, where the workspace wants that."""
    rule(place, deletes="cancel")
    made = written(place)
    delete(fake, place, made)
    check(place)
    assert booking(made).status == "cancelled"


def test_the_fuse_holds_for_drift_too(fake: FakeProvider, place: Place) -> None:
    """A calendar that was emptied cancels nothing."""
    rule(place, deletes="cancel")
    made = [written(place, 9 + number) for number in range(6)]
    for one in made:
        delete(fake, place, one)
    check(place)
    assert {booking(one).status for one in made} == {"confirmed"}
    assert len(drift_report.report(place.owner).items) == 6


def test_what_never_arrived_is_reported_and_written(fake: FakeProvider, place: Place) -> None:
    """A write that was given up: put right, the deviation closes by itself."""
    made = place.book(place.at(10))
    fake.fail("put_event", PermissionDenied("Not yours."))
    carry_out()
    check(place)
    check(place)
    (view,) = drift_report.report(place.owner).items
    assert (view.kind, view.reason, view.booking_id) == ("missing", "Not yours.", made.id)
    drift_report.fix(place.owner, view.id, "restore")
    carry_out()
    assert list(ours(fake, place.calendars)) == [made.id]
    assert [row.resolution for row in rows()] == ["restored"]


def test_writes_that_were_given_up_do_not_hide_others(fake: FakeProvider, place: Place) -> None:
    """More of them than one look takes: the event that was read back once is looked at all the same."""
    made = written(place)
    start = place.at(12, days=1)
    with transaction() as session:
        for number in range(drift_report.MOST + 1):
            one = Booking(
                workspace_id=place.workspace.id,
                event_type_id=place.event_type.id,
                start_at=start,
                end_at=start + timedelta(minutes=30),
                uid=f"given-up-{number}",
                name="Guest",
                email="guest@example.org",
                timezone="UTC",
            )
            session.add(one)
            session.flush()
            parked = {"remote_id": f"parked{number}", "state": "failed"}
            session.add(CalendarWrite(booking_id=one.id, calendar_id=place.calendars[0].id, **parked))
    later = datetime.now(UTC) + timedelta(minutes=5)
    assert drift_report.check_connection(place.calendars[0].connection_id, now=later) == 1
    assert writes(made.id)[0].verified_at == later


def test_events_left_behind_are_strays(fake: FakeProvider, place: Place) -> None:
    """A cancelled booking's event that came back, and a copy: removed by one click, or kept."""
    made, other = written(place, 10), written(place, 12)
    event = event_of(fake, place, made)
    transitions.cancel(place.owner, made.id)
    carry_out()
    remote = place.calendars[0].remote_id
    fake.change(remote, event)
    fake.change(remote, replace(event_of(fake, place, other), remote_id="copy"))
    sync_requests.sync_calendar(place.calendars[0].id)
    check(place)
    found = {view.booking_id: view for view in drift_report.report(place.owner).items}
    assert {view.kind for view in found.values()} == {"stray"}
    assert set(found) == {made.id, other.id}
    drift_report.fix(place.owner, found[made.id].id, "restore")
    drift_report.fix(place.owner, found[other.id].id, "keep")
    sync_requests.sync_calendar(place.calendars[0].id)
    check(place)
    assert drift_report.report(place.owner).items == ()
    assert {event.remote_id for event in fake.standing(remote)} == {
        "copy",
        event_of_id(place, other.id),
    }


def event_of_id(place: Place, booking_id: str) -> str:
    return writes(booking_id)[0].remote_id


def test_a_stray_that_goes_closes_by_itself(fake: FakeProvider, place: Place) -> None:
    """The host removes it: the next sync notices."""
    made = written(place)
    copy = replace(event_of(fake, place, made), remote_id="copy")
    fake.change(place.calendars[0].remote_id, copy)
    sync_requests.sync_calendar(place.calendars[0].id)
    check(place)
    (first,) = drift_report.report(place.owner).items
    check(place, now=datetime.now(UTC) + timedelta(minutes=10))
    assert [view.id for view in drift_report.report(place.owner).items] == [first.id]
    fake.remove(place.calendars[0].remote_id, "copy")
    sync_requests.sync_calendar(place.calendars[0].id)
    settle_all()
    assert drift_report.report(place.owner).items == ()


def test_a_provider_that_wants_rest_gets_it(fake: FakeProvider, place: Place) -> None:
    """429 ends the run after what was seen; the next one goes on with the others."""
    made = [written(place, 9 + number) for number in range(3)]
    fake.fail("get_event", None, RateLimited(retry_after=7))
    assert check(place) == 1
    begun = int((datetime.now(UTC) + timedelta(minutes=1)).timestamp())
    looked = drift_report.check_connection(place.calendars[0].connection_id, begun, 1)
    assert looked >= 2
    assert len(made) == 3


@pytest.mark.parametrize(
    "error",
    [ProviderUnavailable(), RateLimited(), PermissionDenied("This calendar is no longer shared with you.")],
)
def test_what_could_not_be_looked_at_is_said(fake: FakeProvider, place: Place, error: ProviderError) -> None:
    """A provider that fails in the middle is no agreement: the report says how many, and why, until it heals."""
    for hour in (9, 10, 11):
        written(place, hour)
    fake.fail("get_event", error)
    check(place)
    found = drift_report.report(place.owner)
    (unread,) = found.unread
    assert (found.items, unread.reason) == ((), error.detail)
    assert found.checked + unread.number == 3
    check(place, now=datetime.now(UTC) + timedelta(minutes=10))
    assert (drift_report.report(place.owner).unread, drift_report.report(place.owner).checked) == ((), 3)


def test_an_account_that_has_to_be_reconnected_is_not_called_in_order(
    fake: FakeProvider, place: Place
) -> None:
    """Nobody can look there: the report says of how many events it knows nothing."""
    written(place)
    check(place)
    with transaction() as session:
        row = session.get_one(Connection, place.calendars[0].connection_id)
        row.status, row.last_error = "needs_reconnect", "Access was withdrawn."
        session.add(row)
    (unread,) = drift_report.report(place.owner).unread
    assert (unread.number, unread.reason) == (1, "Access was withdrawn.")


def test_bookings_that_are_over_close_what_was_open(fake: FakeProvider, place: Place) -> None:
    """Nobody has to settle the past."""
    made = written(place)
    move(fake, place, made, place.at(13))
    check(place)
    assert len(drift_report.report(place.owner).items) == 1
    with transaction() as session:
        row = session.get_one(Booking, made.id)
        row.end_at = datetime.now(UTC) - timedelta(days=1)
        session.add(row)
    check(place)
    assert drift_report.report(place.owner).items == ()


def test_only_managers_see_the_report(fake: FakeProvider, place: Place) -> None:
    """Staff see what concerns their bookings on the bookings' pages; another workspace's report is its own."""
    made = written(place)
    move(fake, place, made, place.at(13))
    check(place)
    member, _ = host(fake, place.workspace)
    staff = factories.actor(member, place.workspace, Role.STAFF)
    for work in (
        lambda: drift_report.report(staff),
        lambda: drift_report.run(staff),
        lambda: drift_report.fix(staff, rows()[0].id, "keep"),
    ):
        with pytest.raises(Forbidden):
            work()
    assert drift_report.report(bookable(fake).owner).items == ()
    assert drift_report.run(place.owner) == 2
    assert drift_report.check_all() == 3


def test_dead_connections_are_left_alone(fake: FakeProvider, place: Place) -> None:
    """Nobody is asked who said that we may not."""
    written(place)
    with transaction() as session:
        row = session.get_one(Connection, place.calendars[0].connection_id)
        row.status = "needs_reconnect"
        session.add(row)
    calls = fake.count("get_event")
    assert check(place) == 0
    assert fake.count("get_event") == calls
    assert external_change_resolve.sweep() == 0
