"""What a provider does wrong, and what then stands in our database and in its calendars (services over real HTTP).

The short form runs the hardest variants of each row with each provider it concerns, the long form all of them.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from calendar_app.db import mirror as rows
from calendar_app.db import tables
from calendar_app.db.session import reading, transaction
from calendar_app.domain.timespan import Span, instant
from calendar_app.errors import GrantRevoked, SlotUnavailable
from calendar_app.services.availability import slots as available_slots
from calendar_app.services.bookings import reschedule as booking_reschedule
from calendar_app.services.bookings import transitions
from calendar_app.services.calendar_sync import requests as sync_requests
from calendar_app.services.calendar_sync.run import Outcome
from calendar_app.services.calendar_writes import outbox as write_outbox
from calendar_app.services.connections import tokens as connection_tokens
from calendar_app.settings import get_settings
from tests.faults.office import Office
from tests.support.long_form import LONG
from tests.support.mirrored import busy_spans
from tests.support.scheduling import ZONE
from tests.worker.processes import wait_until

pytestmark = [pytest.mark.timeout(120), pytest.mark.usefixtures("quick")]

BROKEN = ["error", "bad_gateway", "unavailable", "hang", "cut", "malformed", "drip"]
WRITERS = ("google", "microsoft", "caldav")
READERS = (*WRITERS, "calendly", "ics")
PUSHERS = ("google", "microsoft", "calendly")


def at(short: Mapping[str, Sequence[Any]], every: Iterable[Any], providers: Sequence[str] = WRITERS) -> Any:
    """``provider`` and one more parameter: ``short``'s, or in the long form ``every`` one at all of ``providers``."""
    chosen = dict.fromkeys(providers, tuple(every)) if LONG else short
    return [
        pytest.param(provider, value, id=f"{provider}-{value or 'none'}")
        for provider, values in chosen.items()
        for value in values
    ]


def everywhere(providers: Sequence[str]) -> pytest.MarkDecorator:
    """The test once with each provider."""
    return pytest.mark.parametrize("provider", providers, indirect=True)


@pytest.fixture
def count(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """What the table of ``make faults`` says of the test."""
    return lambda text: record_property("count", text)


def booked(office: Office) -> str:
    """A booking at a time that the provider leaves free, not yet written."""
    assert sync_requests.sync_calendar(office.calendar.id).outcome is Outcome.DONE
    return office.place.book(office.place.at(20)).id


def reread(office: Office) -> None:
    """The next sync brings the mirror to what the provider holds."""
    office.pass_time()
    assert sync_requests.sync_calendar(office.calendar.id).outcome is Outcome.DONE
    office.assert_mirrored()


def revoke(office: Office) -> list[str]:
    """The account's owner, or a changed password, no longer lets us in; the faults that say so."""
    oauth = office.vendor.key in PUSHERS
    token = [office.fault("revoked", "token", times=None)] if oauth else []
    return [*token, office.fault("unauthorized", times=None)]


def assert_closed(office: Office, start: datetime) -> None:
    """A time that an event takes is neither offered nor given away."""
    first, last = start - timedelta(hours=1), start + timedelta(hours=2)
    view = available_slots.slots(office.place.event_type.id, first, last, zone=ZONE)
    assert instant(start) not in {slot.start for slot in view.found}
    with pytest.raises(SlotUnavailable):
        office.place.book(start)


def apply(office: Office, booking: str) -> str:
    return write_outbox.apply(office.write_of(booking).id)


def finish(office: Office, rounds: int = 6) -> None:
    """Time passes and workers do what is due, until nothing is."""
    for _ in range(rounds):
        office.pass_time()
        with reading() as session:
            rows = session.exec(write_outbox.select(tables.CalendarWrite)).all()
        for row in rows:
            write_outbox.apply(row.id)


@pytest.mark.parametrize(
    ("provider", "given"),
    at({"google": ["90", "date:90", ""], "microsoft": [""], "caldav": ["date:90"]}, ["90", "date:90", ""]),
    indirect=["provider"],
)
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
    transitions.retry_sync(office.place.owner, booking)
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
@pytest.mark.parametrize(
    ("provider", "kind"),
    at(
        {
            "google": ["unavailable", "hang", "cut", "malformed"],
            "microsoft": ["hang", "cut"],
            "caldav": ["hang", "cut"],
        },
        BROKEN,
    ),
    indirect=["provider"],
)
def test_a_write_whose_answer_fails_makes_one_event(office: Office, kind: str, after: bool) -> None:
    """The write took effect or not, the answer says nothing of it: one event in the end, verified and mirrored."""
    booking = booked(office)
    fault = office.fault(kind, "create", times=2, after=after, seconds=3 if kind != "drip" else 30)
    apply(office, booking)
    assert office.met(fault)
    office.mend()
    finish(office)
    assert list(office.ours()) == [booking]
    assert office.write_of(booking).state == "verified"
    reread(office)
    transitions.cancel(office.place.owner, booking)
    removal = office.fault(kind, "delete", times=1, after=after, seconds=3)
    apply(office, booking)
    assert office.met(removal)
    office.mend()
    finish(office)
    assert office.ours() == {}
    assert office.write_of(booking).state == "removed"
    reread(office)


@pytest.mark.parametrize(
    ("provider", "kind"),
    at(
        {"google": ["error", "cut"], "microsoft": ["cut"], "caldav": ["error"], "calendly": ["hang"]},
        [*BROKEN[:-1], "throttled"],
        (*WRITERS, "calendly"),
    ),
    indirect=["provider"],
)
def test_a_page_that_fails_stores_nothing(office: Office, kind: str, count: Callable[[str], None]) -> None:
    """The second page of several fails: no token, and no row but of what was read ahead of a large calendar; the next
    run has everything, once."""
    office.vendor.crowd()
    wait = "60" if kind == "throttled" else ""
    fault = office.fault(kind, "list", page=2, times=None, seconds=2, retry_after=wait)
    assert sync_requests.sync_calendar(office.calendar.id).outcome is Outcome.FAILED
    assert office.met(fault)
    assert (office.row().sync_cursor, office.row().synced_at) == (None, None)
    assert office.row().last_error
    if office.row().ahead_until is None:
        assert not office.mirrored()
    office.mend()
    office.pass_time()
    assert sync_requests.sync_calendar(office.calendar.id).outcome is Outcome.DONE
    office.assert_mirrored()
    count(f"{sum(office.mirrored().values())} events, each once")


@everywhere(["google", "microsoft"])
def test_the_coming_weeks_of_a_large_calendar_are_read_first(
    office: Office, count: Callable[[str], None]
) -> None:
    """Its first listing breaks off after some pages: of the next weeks what is taken is closed and what is free can be
    booked, all else is closed; afterwards the mirror is as if nothing had been read ahead."""
    office.vendor.crowd(2_600 if office.vendor.key == "google" else 1_100)
    office.add_outside("Soon", office.place.at(11))
    held, half = office.remote(), timedelta(minutes=30)
    times = [office.place.at(hour) for hour in range(8, 23)]
    free = next(at for at in times if not any(one.start < at + half and at < one.end for one in held))
    fault = office.fault("unavailable", "list", page=2 if office.vendor.key == "google" else 3, times=None)
    assert sync_requests.sync_calendar(office.calendar.id).outcome is Outcome.FAILED
    assert office.met(fault)
    office.mend()
    assert office.row().ahead_until is not None
    assert_closed(office, office.place.at(11))
    day = timedelta(days=1)
    seen = available_slots.slots(office.place.event_type.id, free, free + day, zone=ZONE)
    later = available_slots.slots(office.place.event_type.id, free + 70 * day, free + 75 * day, zone=ZONE)
    assert instant(free) in {slot.start for slot in seen.found}
    assert later.found == []
    ahead = sum(office.mirrored().values())
    office.pass_time()
    assert sync_requests.sync_calendar(office.calendar.id).outcome is Outcome.DONE
    office.assert_mirrored()
    span = Span(instant(free), instant(free + 300 * day))
    with reading() as session:
        before = busy_spans(session, office.calendar.id, span)
    with transaction() as session:
        rows.delete_all(session, office.calendar.id)
        session.get_one(tables.Calendar, office.calendar.id).sync_cursor = None
    assert sync_requests.sync_calendar(office.calendar.id).full
    with reading() as session:
        assert busy_spans(session, office.calendar.id, span) == before
    count(f"{ahead} events ahead of {sum(office.mirrored().values())}")


@pytest.mark.parametrize(
    ("provider", "kind"),
    [
        one
        for one in at(
            {
                "google": ["malformed"],
                "microsoft": ["unavailable"],
                "caldav": ["malformed", "cut"],
                "calendly": ["cut"],
                "ics": ["cut", "malformed"],
            },
            [*BROKEN[:-1], "throttled", "not_found"],
            READERS,
        )
        if one.id != "caldav-error"  # changes are found in another way then: the next test
    ],
    indirect=["provider"],
)
def test_changes_that_cannot_be_read_move_nothing_on(office: Office, kind: str) -> None:
    """A listing of changes fails: the cursor stays, what is known stays closed, and the next run has it all."""
    office.add_outside("Known", office.place.at(11))
    assert sync_requests.sync_calendar(office.calendar.id).outcome is Outcome.DONE
    before, cursor = office.mirrored(), office.row().sync_cursor
    office.add_outside("Meanwhile", office.place.at(13))
    fault = office.fault(kind, "list", times=None, seconds=2)
    assert sync_requests.sync_calendar(office.calendar.id).outcome is Outcome.FAILED
    assert office.met(fault)
    assert (office.mirrored(), office.row().sync_cursor) == (before, cursor)
    assert office.row().last_error
    assert_closed(office, office.place.at(11))
    office.mend()
    reread(office)
    assert_closed(office, office.place.at(13))


@everywhere(["caldav"])
def test_changes_are_found_where_their_report_ends_in_500(office: Office) -> None:
    """Servers answer so that do not do the report they list: entity tags are compared, and the change is there."""
    office.add_outside("Known", office.place.at(11))
    assert sync_requests.sync_calendar(office.calendar.id).outcome is Outcome.DONE
    office.add_outside("Meanwhile", office.place.at(13))
    fault = office.fault("error", "list", times=None, seconds=2)
    assert sync_requests.sync_calendar(office.calendar.id).outcome is Outcome.DONE
    assert office.met(fault)
    office.assert_mirrored()
    assert_closed(office, office.place.at(11))
    assert_closed(office, office.place.at(13))
    office.mend()
    reread(office)


@everywhere(WRITERS)
def test_a_lost_sync_token_keeps_times_closed(office: Office) -> None:
    """410, or 403 with valid-sync-token: everything is read anew; until it is, what was known still counts, and
    nothing is there twice."""
    victim = office.add_outside("Will go", office.place.at(11))
    assert sync_requests.sync_calendar(office.calendar.id).full
    before = office.mirrored()
    office.remove_outside(victim)
    span = Span(instant(office.place.at(0)), instant(office.place.at(23)))

    def busy() -> object:
        with reading() as session:
            return busy_spans(session, office.calendar.id, span)

    closed = busy()
    assert closed
    gone = office.fault("gone", "list")
    held = office.fault("hold", "list", times=None)
    reader = threading.Thread(target=sync_requests.sync_calendar, args=(office.calendar.id,))
    reader.start()
    wait_until(lambda: office.held(held))
    assert office.met(gone) == 1
    assert busy() == closed, "a flash of free time while the calendar is read anew"
    assert office.mirrored() == before
    office.mend()
    reader.join(20)
    office.assert_mirrored()
    assert office.mirrored() == before - Counter([victim])


@everywhere(WRITERS)
def test_an_id_that_exists_already_is_our_own_event(office: Office) -> None:
    """The first call made the event, its answer was a 503: what the next try is told of it is read as success."""
    booking = booked(office)
    fault = office.fault("unavailable", "create", after=True)
    assert apply(office, booking) == "verified"
    assert office.met(fault) == 1
    assert list(office.ours()) == [booking]
    reread(office)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(
    ("provider", "kind"),
    at({provider: ["conflict", "gone"] for provider in WRITERS}, ["conflict", "gone"]),
    indirect=["provider"],
)
def test_what_stands_there_decides_after_409_and_410(office: Office, kind: str, after: bool) -> None:
    """The provider says 409 or 410 to making, moving and removing an event, whether that took effect or not: the
    calendar ends as the booking wants it, the owner's title kept, and nothing is left to be done by hand."""
    booking = booked(office)
    for step, state in (("create", "verified"), ("update", "verified"), ("delete", "removed")):
        if step == "update":
            office.rename_outside(office.ours()[booking].id, "Mine, do not touch")
            booking_reschedule.reschedule(office.place.owner, booking, office.place.at(21))
        elif step == "delete":
            transitions.cancel(office.place.owner, booking)
        fault = office.fault(kind, step, times=2, after=after)
        assert apply(office, booking) in (state, "queued")
        finish(office)
        assert office.met(fault), "the switch met no call"
        office.mend()
        assert office.write_of(booking).state == state
        found = office.ours()
        if state == "removed":
            assert found == {}
        else:
            (event,) = found.values()
            assert event.start == office.place.at(20 if step == "create" else 21)
            assert step == "create" or event.title == "Mine, do not touch"
    reread(office)


@everywhere(WRITERS)
@pytest.mark.parametrize("kind", ["conflict", "gone"])
def test_a_refusal_without_end_is_said_in_words_of_a_write(office: Office, kind: str) -> None:
    """409 or 410 to every try of removing: tried again later, and the reason speaks of what stands there."""
    booking = booked(office)
    assert apply(office, booking) == "verified"
    transitions.cancel(office.place.owner, booking)
    office.fault(kind, "delete", times=None)
    assert apply(office, booking) == "queued"
    row = office.write_of(booking)
    assert "does not fit what stands in the calendar" in row.last_error
    assert row.next_attempt_at is not None
    office.mend()
    finish(office)
    assert office.write_of(booking).state == "removed"
    assert office.ours() == {}


@everywhere(WRITERS)
def test_a_changed_event_is_merged(office: Office) -> None:
    """The owner retitles the event while the booking moves, and the provider says 412: both changes stand."""
    booking = booked(office)
    assert apply(office, booking) == "verified"
    office.rename_outside(office.ours()[booking].id, "Mine, do not touch")
    booking_reschedule.reschedule(office.place.owner, booking, office.place.at(21))
    fault = office.fault("precondition", "update")
    finish(office)
    assert office.met(fault) == 1
    event = office.ours()[booking]
    assert (event.title, event.start) == ("Mine, do not touch", office.place.at(21))
    reread(office)


@everywhere(WRITERS)
def test_a_title_of_the_owner_stays_over_two_moves(office: Office) -> None:
    """Their title stands after a second move as after the first."""
    booking = booked(office)
    assert apply(office, booking) == "verified"
    office.rename_outside(office.ours()[booking].id, "Mine, do not touch")
    for hour in (21, 22):
        booking_reschedule.reschedule(office.place.owner, booking, office.place.at(hour))
        finish(office)
    assert office.ours()[booking].title == "Mine, do not touch"


@everywhere(WRITERS)
def test_a_version_that_changes_by_itself_is_no_edit(office: Office) -> None:
    """The event is saved outside as it was: when the booking changes, its new title is written."""
    booking = booked(office)
    assert apply(office, booking) == "verified"
    event = office.ours()[booking]
    office.rename_outside(event.id, event.title)
    with transaction() as session:
        row = session.get_one(tables.Booking, booking)
        row.name = "Grace Murray"
        session.add(row)
    booking_reschedule.reschedule(office.place.owner, booking, office.place.at(21))
    finish(office)
    assert office.ours()[booking].title == "Intro call with Grace Murray"


@everywhere(PUSHERS)
def test_a_token_that_ends_in_the_middle_of_a_listing(office: Office) -> None:
    """401 on page two: one refresh, and the listing is complete."""
    office.vendor.crowd()
    ended = office.fault("unauthorized", "list", page=2)
    refreshes = office.fault("drip", "token", times=None, seconds=0)
    assert sync_requests.sync_calendar(office.calendar.id).outcome is Outcome.DONE
    assert (office.met(ended), office.met(refreshes)) == (1, 1)
    office.assert_mirrored()


@everywhere(["caldav", "ics"])
def test_one_refusal_of_a_password_is_not_believed(office: Office) -> None:
    """A server that answers 401 once is asked again before a person is: listing and writing go on."""
    refused = office.fault("unauthorized", "list")
    assert sync_requests.sync_calendar(office.calendar.id).outcome is Outcome.DONE
    assert office.met(refused) == 1
    office.assert_mirrored()
    if office.vendor.key == "caldav":
        booking = office.place.book(office.place.at(20)).id
        office.fault("unauthorized", "create")
        assert apply(office, booking) == "verified"
        assert list(office.ours()) == [booking]
    assert office.account().status == "connected"


@everywhere(READERS)
def test_a_revoked_grant_is_said_and_fails_closed(office: Office) -> None:
    """401 and `invalid_grant`, or a password that is refused twice: then "reconnect"; the mirror stays, its times stay
    closed, and nobody asks again."""
    office.add_outside("Known", office.place.at(11))
    assert sync_requests.sync_calendar(office.calendar.id).outcome is Outcome.DONE
    before, cursor = office.mirrored(), office.row().sync_cursor
    faults = revoke(office)
    sync_requests.sync_calendar(office.calendar.id)
    assert sum(office.met(fault) for fault in faults) == 2
    sync_requests.sync_calendar(office.calendar.id)
    assert_closed(office, office.place.at(11))
    assert sum(office.met(fault) for fault in faults) == 2, "asked again"
    assert office.account().status == "needs_reconnect"
    assert office.account().last_error
    assert (office.mirrored(), office.row().sync_cursor) == (before, cursor)
    with pytest.raises(GrantRevoked):
        connection_tokens.call(office.connection.id, lambda provider: provider.list_calendars())


def test_many_that_need_a_token_refresh_it_once(office: Office, count: Callable[[str], None]) -> None:
    """Ten threads find the token over: one call of the token endpoint, all go on with the new one."""
    office.age_token()
    fault = office.fault("drip", "token", times=None, seconds=0.5)
    failures: list[BaseException] = []

    def work() -> None:
        try:
            connection_tokens.call(office.connection.id, lambda provider: provider.list_calendars())
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
        connection_tokens.call(office.connection.id, lambda provider: provider.list_calendars())
    assert office.account().status == "connected"
    office.mend()
    assert connection_tokens.call(office.connection.id, lambda provider: provider.list_calendars())


@everywhere([provider for provider in READERS if provider != "ics"])
def test_what_is_true_at_the_provider_wins_at_submit(office: Office) -> None:
    """An event that arrived after the last sync closes its time at submit, also where the push was lost."""
    assert sync_requests.sync_calendar(office.calendar.id).outcome is Outcome.DONE
    if office.vendor.key in PUSHERS:
        office.fault("push_lost", times=None)
    office.add_outside("Meanwhile", office.place.at(11))
    with pytest.raises(SlotUnavailable):
        office.place.book(office.place.at(11))
    assert office.place.book(office.place.at(12)).status == "confirmed"


@pytest.mark.parametrize(
    ("provider", "kind"),
    at({provider: ["unavailable"] for provider in READERS}, ["unavailable", "hang", "cut"], READERS),
    indirect=["provider"],
)
def test_an_unreachable_provider_never_means_free(office: Office, kind: str) -> None:
    """With the provider down, known events still close their times, at submit as well."""
    office.add_outside("Known", office.place.at(11))
    assert sync_requests.sync_calendar(office.calendar.id).outcome is Outcome.DONE
    office.add_outside("Meanwhile", office.place.at(13))  # else a link has nothing to say that could be cut
    office.fault(kind, times=None, seconds=2)
    assert sync_requests.sync_calendar(office.calendar.id).outcome is Outcome.FAILED
    assert_closed(office, office.place.at(11))


@everywhere(READERS)
def test_polling_finds_what_no_push_told(office: Office) -> None:
    """Every push is lost, or there is none: a calendar is due after its time, and then its mirror is right."""
    gone = office.add_outside("Goes", office.place.at(20))
    assert sync_requests.sync_calendar(office.calendar.id).outcome is Outcome.DONE
    if office.vendor.key in PUSHERS:
        office.fault("push_lost", times=None)
    office.remove_outside(gone)
    office.add_outside("Stays", office.place.at(11))
    assert sync_requests.poll() == 0
    assert (
        sync_requests.poll(datetime.now(UTC) + timedelta(minutes=get_settings().poll_minutes, seconds=1)) == 1
    )
    assert sync_requests.sync_calendar(office.calendar.id).outcome is Outcome.DONE
    office.assert_mirrored()
    assert_closed(office, office.place.at(11))
    assert office.place.book(office.place.at(20)).status == "confirmed"


@everywhere(["caldav"])
def test_a_calendar_that_comes_in_parts(office: Office, count: Callable[[str], None]) -> None:
    """507 for the calendar in every answer (RFC 6578 §3.6): the mirror is whole, and so are its changes."""
    fault = office.fault("truncated", times=None)
    assert sync_requests.sync_calendar(office.calendar.id).outcome is Outcome.DONE
    office.assert_mirrored()
    for hour in (9, 10, 11):
        office.add_outside(f"At {hour}", office.place.at(hour))
    assert sync_requests.sync_calendar(office.calendar.id).outcome is Outcome.DONE
    office.assert_mirrored()
    count(f"{office.met(fault)} parts")


@everywhere(["caldav"])
def test_a_server_with_weak_entity_tags(office: Office) -> None:
    """No If-Match ever holds: written, moved and removed all the same, each once, and the owner's change is kept."""
    office.fault("weak_etag", times=None)
    booking = booked(office)
    assert apply(office, booking) == "verified"
    office.rename_outside(office.ours()[booking].id, "Mine, do not touch")
    booking_reschedule.reschedule(office.place.owner, booking, office.place.at(21))
    finish(office)
    event = office.ours()[booking]
    assert (event.title, event.start) == ("Mine, do not touch", office.place.at(21))
    transitions.cancel(office.place.owner, booking)
    finish(office)
    assert office.ours() == {}
    reread(office)
