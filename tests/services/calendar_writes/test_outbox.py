"""Calendar writes: whatever fails, repeats, overtakes or dies, a calendar ends as the booking wants it, once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from calendar_app.db.session import transaction
from calendar_app.db.tables import Booking, Calendar, CalendarWrite, Connection, Person, Workspace
from calendar_app.domain.event import Attendee, CalendarEvent, EventStatus, Response, write_key
from calendar_app.domain.event_texts import TEXTS_MARK
from calendar_app.errors import (
    AuthExpired,
    EventNotFound,
    InvalidRequest,
    PermissionDenied,
    PreconditionFailed,
    ProviderUnavailable,
    RateLimited,
    UsageLimited,
)
from calendar_app.services.bookings import queries as booking_queries
from calendar_app.services.bookings import reschedule as booking_reschedule
from calendar_app.services.bookings import transitions
from calendar_app.services.calendar_writes import outbox as write_outbox
from calendar_app.services.calendar_writes import planning as write_planning
from calendar_app.services.connections import tokens as connection_tokens
from tests.support import factories
from tests.support.databases import Database
from tests.support.fake_provider import FakeClient, FakeProvider
from tests.support.scheduling import Place, bookable, carry_out, ours, writes

NOW = datetime.now(UTC)


class Killed(BaseException):
    """A process that ends here: no handler of the product sees it."""


@pytest.fixture
def fake(database: Database) -> Iterator[FakeProvider]:
    with FakeProvider().installed() as provider:
        yield provider


@pytest.fixture
def place(fake: FakeProvider) -> Place:
    return bookable(fake)


def _write(booking_id: str) -> CalendarWrite:
    (row,) = writes(booking_id)
    return row


def _change(table: type, key: str, **columns: object) -> None:
    with transaction() as session:
        row = session.get_one(table, key)
        for name, value in columns.items():
            setattr(row, name, value)


def test_remote_ids_are_what_google_demands(place: Place) -> None:
    """5 to 1024 characters of a-v and 0-9, the same for the same booking and calendar, different for others."""
    made = write_key("b1", "c1")
    assert made == write_key("b1", "c1")
    assert len({made, write_key("b1", "c2"), write_key("b2", "c1")}) == 3
    assert len(made) == 52
    assert set(made) <= set("0123456789abcdefghijklmnopqrstuv")


def test_a_write_is_read_back(fake: FakeProvider, place: Place) -> None:
    """Written, then read again, and only then called verified; the event tells the host what they need."""
    made = place.book(place.at(10))
    assert write_outbox.apply(_write(made.id).id) == "verified"
    row = _write(made.id)
    assert (row.applied_version, row.attempts, row.lease_until) == (row.desired_version, 0, None)
    assert row.verified_at is not None
    event = ours(fake, place.calendars)[made.id]
    assert event.remote_id == row.remote_id
    assert "grace@example.org" in event.description
    assert made.id in event.description
    assert made.manage_token not in event.description
    assert fake.count("get_event") == 1


@pytest.mark.parametrize("step", ["put_event", "after_put", "get_event"])
@pytest.mark.parametrize(
    "error", [ProviderUnavailable(), RateLimited(retry_after=7), TimeoutError(), Killed()]
)
def test_every_crash_point_ends_in_one_event(
    fake: FakeProvider, place: Place, step: str, error: BaseException
) -> None:
    """Before the call, after its success but before we know, after recording it: one event, verified in the end."""
    made = place.book(place.at(10))
    fake.fail(step, error)  # type: ignore[arg-type]
    try:
        write_outbox.apply(_write(made.id).id, now=NOW)
    except (Killed, TimeoutError):
        pass
    carry_out(now=NOW + timedelta(minutes=5))
    assert _write(made.id).state == "verified"
    assert list(ours(fake, place.calendars)) == [made.id]
    assert len(fake.calendar(place.calendars[0].remote_id).events) == 1


def test_a_deleted_event_may_look_like_a_changed_one(fake: FakeProvider, place: Place) -> None:
    """Google's deleted events keep an id and get a new version: 412 first, and then there is nothing to merge."""
    made = place.book(place.at(10))
    carry_out()
    fake.remove(place.calendars[0].remote_id, _write(made.id).remote_id)
    booking_reschedule.reschedule(place.owner, made.id, place.at(11))
    fake.fail("put_event", PreconditionFailed())
    assert write_outbox.apply(_write(made.id).id) == "verified"
    assert list(ours(fake, place.calendars)) == [made.id]


@pytest.mark.parametrize("error", [ProviderUnavailable(), Killed()])
def test_a_crash_while_removing_ends_in_no_event(
    fake: FakeProvider, place: Place, error: BaseException
) -> None:
    """The same for a cancellation."""
    made = place.book(place.at(10))
    carry_out()
    transitions.cancel(place.owner, made.id)
    fake.fail("delete_event", error)  # type: ignore[arg-type]
    try:
        write_outbox.apply(_write(made.id).id, now=NOW)
    except Killed:
        pass
    carry_out(now=NOW + timedelta(minutes=5))
    assert _write(made.id).state == "removed"
    assert ours(fake, place.calendars) == {}


def test_the_same_job_many_times_at_once_is_one_event(fake: FakeProvider, place: Place) -> None:
    """Eight workers with the same job make one event, with one call."""
    made = place.book(place.at(10))
    barrier = threading.Barrier(8)

    def work() -> None:
        barrier.wait()
        write_outbox.apply(_write(made.id).id)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert fake.count("put_event") == 1
    assert list(ours(fake, place.calendars)) == [made.id]


def test_create_and_cancel_in_reverse_order(fake: FakeProvider, place: Place) -> None:
    """A job carries out what is wanted now, not what was wanted when it was queued."""
    made = place.book(place.at(10))
    transitions.cancel(place.owner, made.id)
    for _ in range(2):
        assert write_outbox.apply(_write(made.id).id) == "removed"
    assert fake.count("put_event") == 0
    assert ours(fake, place.calendars) == {}


def test_a_late_worker_is_fenced_and_its_call_made_good(fake: FakeProvider, place: Place) -> None:
    """A worker that stood still while another one removed the event creates it late; it is removed again."""
    made = place.book(place.at(10))
    write_id = _write(made.id).id
    put = FakeClient.put_event
    later = NOW + write_outbox.LEASE + timedelta(seconds=1)

    def slow_put(*arguments: object, **options: object) -> object:
        """Stopped before the call; meanwhile the booking is cancelled and somebody else carries that out."""
        FakeClient.put_event = put  # type: ignore[method-assign]
        transitions.cancel(place.owner, made.id)
        assert write_outbox.apply(write_id, now=later) == "removed"
        return put(*arguments, **options)  # type: ignore[arg-type]

    FakeClient.put_event = slow_put  # type: ignore[method-assign,assignment]
    try:
        write_outbox.apply(write_id, now=NOW)
    finally:
        FakeClient.put_event = put  # type: ignore[method-assign]
    carry_out(now=later)
    row = _write(made.id)
    assert (row.state, row.applied_version) == ("removed", row.desired_version)
    assert ours(fake, place.calendars) == {}


def test_a_late_call_during_the_takers_own_is_made_good(fake: FakeProvider, place: Place) -> None:
    """The late call lands after the other worker's removal, but before that is recorded: still removed in the end."""
    made = place.book(place.at(10))
    write_id = _write(made.id).id
    put, delete = FakeClient.put_event, FakeClient.delete_event
    late, done = threading.Event(), threading.Event()

    def slow_put(*arguments: object, **options: object) -> object:
        FakeClient.put_event = put  # type: ignore[method-assign]
        late.wait(10)
        return put(*arguments, **options)  # type: ignore[arg-type]

    def slow_delete(*arguments: object, **options: object) -> None:
        FakeClient.delete_event = delete  # type: ignore[method-assign]
        delete(*arguments, **options)  # type: ignore[arg-type]
        late.set()
        done.wait(10)

    def first() -> None:
        write_outbox.apply(write_id, now=NOW)
        done.set()

    FakeClient.put_event, FakeClient.delete_event = slow_put, slow_delete  # type: ignore[method-assign,assignment]
    try:
        worker = threading.Thread(target=first)
        worker.start()
        deadline = datetime.now(UTC) + timedelta(seconds=10)
        while FakeClient.put_event is not put and datetime.now(UTC) < deadline:
            threading.Event().wait(0.01)
        transitions.cancel(place.owner, made.id)
        write_outbox.apply(write_id, now=NOW + timedelta(minutes=2))
        worker.join()
    finally:
        FakeClient.put_event, FakeClient.delete_event = put, delete  # type: ignore[method-assign]
    carry_out(now=NOW + timedelta(minutes=10))
    assert ours(fake, place.calendars) == {}
    assert _write(made.id).state == "removed"


def test_a_change_while_a_worker_writes_is_carried_out_too(fake: FakeProvider, place: Place) -> None:
    """The worker that finds a newer wish when it records does that one as well, in the same job."""
    made = place.book(place.at(10))
    put = FakeClient.put_event

    def put_then_move(*arguments: object, **options: object) -> object:
        FakeClient.put_event = put  # type: ignore[method-assign]
        answer = put(*arguments, **options)  # type: ignore[arg-type]
        booking_reschedule.reschedule(place.owner, made.id, place.at(15))
        return answer

    FakeClient.put_event = put_then_move  # type: ignore[method-assign,assignment]
    try:
        assert write_outbox.apply(_write(made.id).id) == "verified"
    finally:
        FakeClient.put_event = put  # type: ignore[method-assign]
    event = ours(fake, place.calendars)[made.id]
    assert event.start is not None
    assert event.start.value == place.at(15).replace(tzinfo=None)


def test_retries_back_off_and_end(fake: FakeProvider, place: Place) -> None:
    """Nothing is tried before its time; after ten tries the write is parked with the reason; a person can retry."""
    made = place.book(place.at(10))
    fake.fail("put_event", *[ProviderUnavailable("Fake is down.") for _ in range(10)])
    write_id, now = _write(made.id).id, NOW
    assert write_outbox.apply(write_id, now=now) == "queued"
    assert write_outbox.apply(write_id, now=now + timedelta(seconds=1)) == "queued"
    assert fake.count("put_event") == 1
    for _ in range(9):
        now += timedelta(hours=2)
        write_outbox.apply(write_id, now=now)
    row = _write(made.id)
    assert (row.state, row.attempts, row.last_error) == ("failed", 10, "Fake is down.")
    assert booking_queries.get(place.owner, made.id).status == "confirmed"
    assert write_outbox.sweep(now + timedelta(days=1)) == 0
    seen = transitions.retry_sync(place.owner, made.id)
    assert [(r.state, r.attempts) for r in seen.sync] == [("queued", 0)]
    assert write_outbox.apply(write_id) == "verified"


def test_a_usage_limit_is_waited_out(fake: FakeProvider, place: Place) -> None:
    """It lasts hours to a day: asked once an hour for two days, where other trouble ends after ten tries."""
    made = place.book(place.at(10))
    limit = UsageLimited("Enough for today.", retry_after=3600)
    fake.fail("put_event", *[limit for _ in range(47)])
    write_id, now, tries = _write(made.id).id, NOW, 0
    while _write(made.id).state == "queued" and now < NOW + timedelta(hours=60):
        before = fake.count("put_event")
        write_outbox.apply(write_id, now=now)
        tries += fake.count("put_event") - before
        row = _write(made.id)
        assert row.state == "verified" or row.next_attempt_at is not None
        now = (row.next_attempt_at or now) + timedelta(seconds=1)
    assert (_write(made.id).state, tries) == ("verified", 48)
    assert NOW + timedelta(hours=46) < now


def test_a_usage_limit_that_never_ends_is_told(fake: FakeProvider, place: Place) -> None:
    """After two days the write is parked with the reason; ten tries of other trouble still end one that was limited."""
    made = place.book(place.at(10))
    fake.fail("put_event", *[UsageLimited("Enough for today.", retry_after=3600) for _ in range(60)])
    write_id, now = _write(made.id).id, NOW
    while _write(made.id).state == "queued":
        write_outbox.apply(write_id, now=now)
        now += timedelta(minutes=80)
    row = _write(made.id)
    assert (row.state, row.last_error, row.attempts) == ("failed", "Enough for today.", 50)
    assert now > NOW + timedelta(hours=48)


@pytest.mark.parametrize("wait", [7.0, 4000.0])
def test_retry_after_is_the_least_wait(fake: FakeProvider, place: Place, wait: float) -> None:
    """The provider's Retry-After wins over a shorter backoff."""
    made = place.book(place.at(10))
    fake.fail("put_event", RateLimited(retry_after=wait))
    write_outbox.apply(_write(made.id).id, now=NOW)
    due = _write(made.id).next_attempt_at
    assert due is not None
    assert due >= NOW + timedelta(seconds=wait)


@pytest.mark.parametrize("error", [PermissionDenied("No rights."), InvalidRequest("Bad colour.")])
def test_what_cannot_succeed_is_parked_at_once(fake: FakeProvider, place: Place, error: Exception) -> None:
    """No retry where a retry cannot help, and the other bookings' writes go on."""
    made, other = place.book(place.at(10)), place.book(place.at(11))
    fake.fail("put_event", error)
    assert write_outbox.apply(_write(made.id).id) == "failed"
    assert write_outbox.apply(_write(other.id).id) == "verified"
    assert fake.count("put_event") == 2


def test_one_parked_write_is_taken_up_alone(fake: FakeProvider) -> None:
    """Of a booking in two calendars that both refused it, one is tried again; then whatever the workspace has."""
    place = bookable(fake, hosts=2, hosting="collective")
    made = place.book(place.at(10))
    fake.fail("put_event", PermissionDenied("No rights."), PermissionDenied("No rights."))
    carry_out()
    first, second = writes(made.id)
    assert (first.state, second.state) == ("failed", "failed")
    with transaction() as session:
        assert write_planning.retry_writes(session, place.workspace.id, [second.id]) == [second.id]
    assert [row.state for row in writes(made.id)] == ["failed", "queued"]
    assert write_outbox.apply(second.id) == "verified"
    with transaction() as session:
        assert write_planning.retry_workspace(session, place.workspace.id) == [first.id]
    assert write_outbox.apply(first.id) == "verified"


def test_parked_writes_are_taken_up_in_their_own_workspace_only(fake: FakeProvider, place: Place) -> None:
    """Neither by its id nor by taking up all does one business touch another one's write."""
    made = place.book(place.at(10))
    fake.fail("put_event", PermissionDenied("No rights."))
    carry_out()
    elsewhere = factories.workspace()
    with transaction() as session:
        assert write_planning.retry_writes(session, elsewhere.id, [_write(made.id).id]) == []
        assert write_planning.retry_workspace(session, elsewhere.id) == []
    assert _write(made.id).state == "failed"


def test_a_job_that_kills_its_workers_is_parked(fake: FakeProvider, place: Place) -> None:
    """Ten workers died on it: it stands as failed, for people to see."""
    made = place.book(place.at(10))
    fake.fail("put_event", *[Killed() for _ in range(20)])  # type: ignore[arg-type]
    now = NOW
    for _ in range(12):
        now += timedelta(minutes=2)
        try:
            write_outbox.apply(_write(made.id).id, now=now)
        except Killed:
            continue
    row = _write(made.id)
    assert (row.state, row.last_error_code, fake.count("put_event")) == ("failed", "given_up", 10)


def test_a_revoked_grant_parks_until_the_account_is_back(fake: FakeProvider, place: Place) -> None:
    """The booking stands; the write waits for the person to reconnect, and then goes through by itself."""
    made = place.book(place.at(10))
    account = next(iter(fake.accounts.values()))
    fake.revoke_grants(account)
    assert write_outbox.apply(_write(made.id).id) == "failed"
    assert _write(made.id).last_error_code == "needs_reconnect"
    assert write_outbox.sweep() == 0
    grant = fake.grant(account)
    with transaction() as session:
        row = session.get_one(Connection, place.calendars[0].connection_id)
        connection_tokens.save_tokens(session, row, grant)
        row.status = "connected"
    assert write_outbox.sweep() == 1
    assert write_outbox.apply(_write(made.id).id) == "verified"
    assert list(ours(fake, place.calendars)) == [made.id]


def test_an_expired_token_costs_nothing(fake: FakeProvider, place: Place) -> None:
    """A 401 in the middle is refreshed and repeated without being noticed."""
    made = place.book(place.at(10))
    fake.fail("put_event", AuthExpired())
    assert write_outbox.apply(_write(made.id).id) == "verified"


def test_what_the_owner_changed_in_the_event_stays(fake: FakeProvider, place: Place) -> None:
    """Moving a booking moves the event, and keeps the title, guests and answers that the owner's side added."""
    made = place.book(place.at(10))
    carry_out()
    remote = place.calendars[0].remote_id
    event = ours(fake, place.calendars)[made.id]
    guests = (Attendee("grace@example.org", "Grace", Response.ACCEPTED), Attendee("boss@example.com"))
    edited = replace(event, summary="VIP: Grace", description="bring cake", attendees=guests)
    fake.change(remote, edited)
    booking_reschedule.reschedule(place.owner, made.id, place.at(14))
    carry_out()
    after = ours(fake, place.calendars)[made.id]
    assert after.start is not None
    assert after.start.value == place.at(14).replace(tzinfo=None)
    assert (after.summary, after.description) == ("VIP: Grace", "bring cake")
    assert {(a.email, a.response) for a in after.attendees} == {(a.email, a.response) for a in guests}
    assert _write(made.id).state == "verified"


def test_what_the_owner_wrote_stays_over_later_changes(fake: FakeProvider, place: Place) -> None:
    """Their title is kept at every write, not only at the first after it; a text that they left alone follows ours."""
    made = place.book(place.at(10))
    carry_out()
    event = ours(fake, place.calendars)[made.id]
    fake.change(place.calendars[0].remote_id, replace(event, summary="VIP: Grace"))
    for hour, name in ((14, "Grace B"), (15, "Grace C")):
        _change(Booking, made.id, name=name)
        booking_reschedule.reschedule(place.owner, made.id, place.at(hour))
        carry_out()
    after = ours(fake, place.calendars)[made.id]
    assert (after.summary, after.description.split(" <")[0]) == ("VIP: Grace", "Grace C")


def test_a_version_that_changes_by_itself_keeps_nothing_old(fake: FakeProvider, place: Place) -> None:
    """Nobody edited the event although its version is another: title and text become what the booking says now."""
    made = place.book(place.at(10))
    carry_out()
    event = ours(fake, place.calendars)[made.id]
    fake.change(place.calendars[0].remote_id, replace(event, attendees=(Attendee("boss@example.com"),)))
    assert ours(fake, place.calendars)[made.id].etag != event.etag
    _change(Booking, made.id, name="Grace Murray", location="Room 7")
    booking_reschedule.reschedule(place.owner, made.id, place.at(14))
    carry_out()
    after = ours(fake, place.calendars)[made.id]
    assert after.summary.endswith("with Grace Murray")
    assert after.description.startswith("Grace Murray <")
    assert after.location == "Room 7"


@pytest.mark.parametrize("touched", [False, True])
def test_an_event_that_does_not_say_what_we_wrote(fake: FakeProvider, place: Place, touched: bool) -> None:
    """One of an earlier release: its texts are its owner's once its version is not the one that we wrote."""
    made = place.book(place.at(10))
    carry_out()
    remote = place.calendars[0].remote_id
    event = ours(fake, place.calendars)[made.id]
    marks = {name: value for name, value in event.private.items() if name != TEXTS_MARK}
    fake.change(remote, replace(event, private=marks))
    if not touched:
        _change(CalendarWrite, _write(made.id).id, etag=ours(fake, place.calendars)[made.id].etag)
    _change(Booking, made.id, name="Grace Murray")
    booking_reschedule.reschedule(place.owner, made.id, place.at(14))
    carry_out()
    after = ours(fake, place.calendars)[made.id]
    assert after.summary.endswith("Murray") is not touched
    assert after.private[TEXTS_MARK]


def test_an_event_deleted_outside_is_made_again_when_the_booking_moves(
    fake: FakeProvider, place: Place
) -> None:
    """The booking still stands, so its event does."""
    made = place.book(place.at(10))
    carry_out()
    fake.remove(place.calendars[0].remote_id, _write(made.id).remote_id)
    booking_reschedule.reschedule(place.owner, made.id, place.at(14))
    carry_out()
    assert list(ours(fake, place.calendars)) == [made.id]


def test_an_event_that_does_not_show_is_written_again(fake: FakeProvider, place: Place) -> None:
    """When reading back finds nothing, the write counts as not done."""
    made = place.book(place.at(10))
    fake.fail("get_event", EventNotFound())
    assert write_outbox.apply(_write(made.id).id, now=NOW) == "queued"
    carry_out(now=NOW + timedelta(minutes=1))
    assert (_write(made.id).state, fake.count("put_event")) == ("verified", 2)


def test_a_failed_read_back_is_made_up_for(fake: FakeProvider, place: Place) -> None:
    """Written but unread is called written; the sweeper verifies it later without writing again."""
    made = place.book(place.at(10))
    fake.fail("get_event", ProviderUnavailable())
    assert write_outbox.apply(_write(made.id).id, now=NOW) == "written"
    assert write_outbox.sweep(NOW) == 0
    later = NOW + timedelta(minutes=3)
    assert write_outbox.sweep(later) == 1
    assert write_outbox.apply(_write(made.id).id, now=later) == "verified"
    assert fake.count("put_event") == 1


@pytest.mark.parametrize(
    ("table", "columns"),
    [
        (Workspace, {"auto_sync_bookings": False}),
        (Person, {"calendar_sync_enabled": False}),
        (Calendar, {"receives_bookings": False}),
        (Connection, {"status": "disconnected"}),
    ],
)
def test_switches_decide_what_is_written(
    fake: FakeProvider, place: Place, table: type, columns: dict[str, object]
) -> None:
    """Workspace, person, calendar and connection: with any of them off, no write is planned."""
    key = {
        Workspace: place.workspace.id,
        Person: place.people[0].id,
        Calendar: place.calendars[0].id,
        Connection: place.calendars[0].connection_id,
    }[table]
    _change(table, key, **columns)
    made = place.book(place.at(10))
    assert (made.status, writes(made.id)) == ("confirmed", [])


def test_a_calendar_switched_off_later_still_follows_its_bookings(fake: FakeProvider, place: Place) -> None:
    """What was written once is kept in step and taken out, whatever the switches say by then."""
    made = place.book(place.at(10))
    carry_out()
    _change(Calendar, place.calendars[0].id, receives_bookings=False)
    booking_reschedule.reschedule(place.owner, made.id, place.at(11))
    carry_out()
    assert list(ours(fake, place.calendars)) == [made.id]
    transitions.cancel(place.owner, made.id)
    carry_out()
    assert ours(fake, place.calendars) == {}


def test_another_workspaces_calendar_gets_nothing(fake: FakeProvider, place: Place) -> None:
    """A host's calendar that was connected in another business does not receive this one's bookings."""
    elsewhere = factories.workspace()
    foreign = factories.connection(place.people[0], elsewhere, provider="fake")
    factories.calendar(foreign, receives_bookings=True, synced_at=NOW)
    made = place.book(place.at(10))
    assert [row.calendar_id for row in writes(made.id)] == [place.calendars[0].id]


def test_a_rolled_back_booking_queues_nothing(
    fake: FakeProvider, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No job is queued before its booking is committed, and none for one that never was."""
    queued: list[object] = []
    monkeypatch.setattr(
        "calendar_app.queues.enqueue", lambda _queue, job, *_arguments, **_options: queued.append(job)
    )
    row = factories.booking(place.event_type, place.people[0], place.at(10))

    def planned_and_rolled_back() -> None:
        with transaction() as session:
            assert write_planning.plan(session, session.get_one(Booking, row.id))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        planned_and_rolled_back()
    assert (queued, writes()) == ([], [])
    place.book(place.at(12))
    assert queued.count("apply_write") == 1


def test_the_sweeper_finds_what_a_lost_queue_forgot(
    fake: FakeProvider, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With Redis gone at commit, and everything in it lost, the sweeper queues each due write."""
    made = [place.book(place.at(hour)) for hour in (9, 10, 11)]
    queued: list[str] = []
    monkeypatch.setattr(
        "calendar_app.queues.enqueue", lambda _queue, _job, write_id, **_options: queued.append(write_id)
    )
    assert write_outbox.sweep() == 3
    for write_id in queued:
        write_outbox.apply(write_id)
    assert set(ours(fake, place.calendars)) == {view.id for view in made}
    assert write_outbox.sweep() == 0


def test_a_tombstone_is_not_an_event(fake: FakeProvider, place: Place) -> None:
    """Cancelling leaves the vendor's tombstone, and cancelling what never was written leaves nothing."""
    made = place.book(place.at(10))
    transitions.cancel(place.owner, made.id)
    carry_out()
    events: list[CalendarEvent] = list(fake.calendar(place.calendars[0].remote_id).events.values())
    assert all(event.status is EventStatus.CANCELLED for event in events)


def test_an_unknown_row_is_no_error(fake: FakeProvider) -> None:
    """A job whose row is gone has nothing to do."""
    assert write_outbox.apply("0" * 26) == ""
