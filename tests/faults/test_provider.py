"""What a provider does wrong, and what then stands in our database and in its calendars (services over real HTTP)."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from calendar_app.db.session import reading
from calendar_app.domain.timespan import Span, instant
from calendar_app.errors import GrantRevoked
from calendar_app.services import bookings, calendar_writes, grants, sync
from calendar_app.services.sync import Outcome
from tests.faults.office import LONG, Office
from tests.support.mirrored import busy_spans
from tests.worker.processes import wait_until

pytestmark = [pytest.mark.timeout(120), pytest.mark.usefixtures("quick")]

BROKEN = ["error", "bad_gateway", "unavailable", "hang", "cut", "malformed", "drip"]
PAGED = 5_200
"""Three pages of Google's 2,500."""


@pytest.fixture
def count(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """What the table of ``make faults`` says of the test."""
    return lambda text: record_property("count", text)


def booked(office: Office) -> str:
    """A booking at a time that the provider leaves free, not yet written."""
    assert sync.sync_calendar(office.calendar.id).outcome is Outcome.DONE
    return office.place.book(office.place.at(20)).id


def apply(office: Office, booking: str) -> str:
    return calendar_writes.apply(office.write_of(booking).id)


def finish(office: Office, rounds: int = 6) -> None:
    """Time passes and workers do what is due, until nothing is."""
    for _ in range(rounds):
        office.pass_time()
        with reading() as session:
            rows = session.exec(calendar_writes.select(calendar_writes.CalendarWrite)).all()
        for row in rows:
            calendar_writes.apply(row.id)


@pytest.mark.parametrize("given", ["90", "date:90", ""])
def test_a_rate_limited_write_waits_as_long_as_told(
    office: Office, given: str, count: Callable[[str], None]
) -> None:
    """429 with seconds, with a date, and without: never earlier than told, else with backoff; it ends in one event."""
    booking = booked(office)
    fault = office.fault("throttled", "create", retry_after=given, times=None)
    begun = datetime.now(UTC)
    assert apply(office, booking) == "queued"
    row = office.write_of(booking)
    assert row.next_attempt_at is not None
    wait = (row.next_attempt_at - begun).total_seconds()
    assert wait >= (88 if given else 3)
    assert apply(office, booking) == "queued"
    assert office.met(fault) == (1 if given else 4), "asked again before its time"
    office.mend()
    finish(office)
    assert list(office.ours()) == [booking]
    assert office.write_of(booking).state == "verified"
    count(f"waits {wait:.0f} s")


def test_tries_have_an_end(office: Office, count: Callable[[str], None]) -> None:
    """A provider that says no for good parks the write after ten tries, with its reason; retrying it works."""
    booking = booked(office)
    office.fault("throttled", "create", retry_after="90", times=None)
    states = []
    for _ in range(12):
        office.pass_time()
        states.append(apply(office, booking))
    assert Counter(states) == {"queued": 9, "failed": 3}
    assert office.write_of(booking).last_error
    office.mend()
    bookings.retry_sync(office.place.owner, booking)
    assert apply(office, booking) == "verified"
    count("10 tries, parked, retried")


def test_a_403_is_a_limit_or_a_refusal(office: Office) -> None:
    """`rateLimitExceeded` is tried again, `forbidden` is not."""
    booking = booked(office)
    limited = office.fault("rate_forbidden", "create", times=None, retry_after="90")
    assert apply(office, booking) == "queued"
    assert office.met(limited) == 1
    office.mend()
    office.pass_time()
    refused = office.fault("forbidden", "create", times=None)
    assert apply(office, booking) == "failed"
    assert apply(office, booking) == "failed"
    assert office.met(refused) == 1


@pytest.mark.parametrize("after", [False, True] if LONG else [True])
@pytest.mark.parametrize("kind", BROKEN if LONG else ["unavailable", "hang", "cut", "malformed"])
def test_a_write_whose_answer_fails_makes_one_event(office: Office, kind: str, after: bool) -> None:
    """The write took effect or not, the answer says nothing of it: one event in the end, verified."""
    booking = booked(office)
    fault = office.fault(kind, "create", times=2, after=after, seconds=3 if kind != "drip" else 30)
    apply(office, booking)
    assert office.met(fault)
    office.mend()
    finish(office)
    assert list(office.ours()) == [booking]
    assert office.write_of(booking).state == "verified"
    bookings.cancel(office.place.owner, booking)
    removal = office.fault(kind, "delete", times=1, after=after, seconds=3)
    apply(office, booking)
    assert office.met(removal)
    office.mend()
    finish(office)
    assert office.ours() == {}
    assert office.write_of(booking).state == "removed"


@pytest.mark.parametrize("kind", [*BROKEN[:-1], "throttled"] if LONG else ["error", "cut"])
def test_a_page_that_fails_stores_nothing(office: Office, kind: str, count: Callable[[str], None]) -> None:
    """The second page of three fails: no row, no token; the next run has everything, once."""
    office.add_remote(PAGED)
    office.fault(kind, "list", page=2, times=None, seconds=2, retry_after="60" if kind == "throttled" else "")
    assert sync.sync_calendar(office.calendar.id).outcome is Outcome.FAILED
    assert not office.mirrored()
    assert (office.row().sync_cursor, office.row().synced_at) == (None, None)
    assert office.row().last_error
    office.mend()
    office.pass_time()
    assert sync.sync_calendar(office.calendar.id).outcome is Outcome.DONE
    office.assert_mirrored()
    count(f"{sum(office.mirrored().values())} events, each once")


def test_a_lost_sync_token_keeps_times_closed(office: Office) -> None:
    """410: everything is read anew; until it is, what was known still counts, and nothing is there twice."""
    assert sync.sync_calendar(office.calendar.id).full
    before = office.mirrored()
    victim = next(item for item in office.remote() if item.get("summary") == "Dentist")
    office.sandbox.client.delete(f"/sandbox/api/calendars/{office.calendar.remote_id}/events/{victim['id']}")
    office.sandbox.client.post("/sandbox/api/google/expire", json={"what": "sync"})
    now = instant(datetime.now(UTC))
    span = Span(now, now + 30 * 86_400)

    def busy() -> object:
        with reading() as session:
            return busy_spans(session, office.calendar.id, span)

    closed = busy()
    gone = office.fault("gone", "list")
    held = office.fault("hold", "list", times=None)
    reader = threading.Thread(target=sync.sync_calendar, args=(office.calendar.id,))
    reader.start()
    wait_until(lambda: office.held(held))
    assert office.met(gone) == 1
    assert busy() == closed, "a flash of free time while the calendar is read anew"
    assert office.mirrored() == before
    office.mend()
    reader.join(20)
    office.assert_mirrored()
    assert office.mirrored() == before - Counter([victim["id"]])


def test_an_id_that_exists_already_is_our_own_event(office: Office) -> None:
    """The first call made the event, its answer was a 503: the 409 on the next try is read as success."""
    booking = booked(office)
    fault = office.fault("unavailable", "create", after=True)
    assert apply(office, booking) == "verified"
    assert office.met(fault) == 1
    assert list(office.ours()) == [booking]


def test_a_changed_event_is_merged(office: Office) -> None:
    """The owner retitles the event while the booking moves, and the provider says 412: both changes stand."""
    booking = booked(office)
    assert apply(office, booking) == "verified"
    event = office.ours()[booking]
    office.change_remote(event["id"], summary="Mine, do not touch")
    bookings.reschedule(office.place.owner, booking, office.place.at(21))
    office.fault("precondition", "update")
    finish(office)
    event = office.ours()[booking]
    assert event["summary"] == "Mine, do not touch"
    assert datetime.fromisoformat(event["start"]["dateTime"]) == office.place.at(21)


def test_a_token_that_ends_in_the_middle_of_a_listing(office: Office) -> None:
    """401 on page two: one refresh, and the listing is complete."""
    office.add_remote(PAGED)
    office.fault("unauthorized", "list", page=2)
    refreshes = office.fault("drip", "token", times=None, seconds=0)
    assert sync.sync_calendar(office.calendar.id).outcome is Outcome.DONE
    assert office.met(refreshes) == 1
    office.assert_mirrored()


def test_a_revoked_grant_is_said_and_fails_closed(office: Office) -> None:
    """401 and `invalid_grant`: one try, then "reconnect"; the mirror stays, nobody asks again."""
    assert sync.sync_calendar(office.calendar.id).outcome is Outcome.DONE
    before = office.mirrored()
    api = office.fault("unauthorized", "list", times=None)
    token = office.fault("revoked", "token", times=None)
    sync.sync_calendar(office.calendar.id)
    sync.sync_calendar(office.calendar.id)
    assert (office.met(api), office.met(token)) == (1, 1)
    assert office.account().status == "needs_reconnect"
    assert office.account().last_error
    assert office.mirrored() == before
    with pytest.raises(GrantRevoked):
        grants.call(office.connection.id, lambda provider: provider.list_calendars())


def test_many_that_need_a_token_refresh_it_once(office: Office, count: Callable[[str], None]) -> None:
    """Ten threads find the token over: one call of the token endpoint, all go on with the new one."""
    office.age_token()
    fault = office.fault("drip", "token", times=None, seconds=0.5)
    failures: list[BaseException] = []

    def work() -> None:
        try:
            grants.call(office.connection.id, lambda provider: provider.list_calendars())
        except BaseException as error:  # noqa: BLE001  # a thread's failure must reach the test
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not failures
    assert office.met(fault) == 1
    count("10 callers, 1 refresh")


@pytest.mark.parametrize("after", [False, True] if LONG else [True])
def test_a_refresh_that_gets_no_answer(office: Office, after: bool) -> None:
    """The token endpoint hangs, before or after it did its work: the account stays connected and goes on."""
    office.age_token()
    office.fault("hang", "token", after=after, seconds=3)
    with pytest.raises(Exception, match=r"answer|reach|renewed"):
        grants.call(office.connection.id, lambda provider: provider.list_calendars())
    assert office.account().status == "connected"
    office.mend()
    assert grants.call(office.connection.id, lambda provider: provider.list_calendars())


def test_what_is_true_at_the_provider_wins_at_submit(office: Office) -> None:
    """An event that arrived after the last sync closes its time at submit, also where the push was lost."""
    assert sync.sync_calendar(office.calendar.id).outcome is Outcome.DONE
    office.fault("push_lost", times=None)
    start = office.place.at(11)
    body = {
        "summary": "Meanwhile",
        "start": {"dateTime": start.isoformat()},
        "end": {"dateTime": (start + timedelta(minutes=30)).isoformat()},
    }
    office.sandbox.client.post(f"/sandbox/api/calendars/{office.calendar.remote_id}/events", json=body)
    with pytest.raises(Exception, match="taken"):
        office.place.book(start)
    assert office.place.book(office.place.at(12)).status == "confirmed"


def test_an_unreachable_provider_never_means_free(office: Office) -> None:
    """With the provider down, known events still close their times, at submit as well."""
    busy = next(item for item in office.remote() if item.get("summary") == "Trade fair in Hamburg")
    assert sync.sync_calendar(office.calendar.id).outcome is Outcome.DONE
    start = datetime.fromisoformat(busy["start"]["date"]).replace(hour=9, tzinfo=UTC)
    office.fault("unavailable", times=None)
    with pytest.raises(Exception, match="taken"):
        office.place.book(start)
