"""A backup is put back that is older than bookings made since: their events are listed, taken in or removed."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from redis import Redis
from rq import Queue
from sqlmodel import select

from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import (
    AuditEntry,
    Booking,
    BookingHost,
    CalendarWrite,
    Event,
    HostReservation,
    Installation,
    Mail,
)
from calendar_app.domain.event import BOOKING_MARK, ORIGIN_MARK, Attendee
from calendar_app.domain.event_texts import TEXTS_MARK
from calendar_app.errors import InvalidInput, SlotUnavailable
from calendar_app.queues import DEFAULT
from calendar_app.services.availability import slots as available_slots
from calendar_app.services.bookings import queries as booking_queries
from calendar_app.services.bookings import transitions
from calendar_app.services.bookings.views import BookingView
from calendar_app.services.calendar_sync import requests as sync_requests
from calendar_app.services.calendar_sync import run as sync_run
from calendar_app.services.common import installation
from calendar_app.services.external_changes import drift_report
from calendar_app.services.external_changes.queries import DeviationView
from calendar_app.worker import jobs
from tests.services.external_changes.test_resolve import event_of, written
from tests.support.fake_provider import FakeProvider
from tests.support.scheduling import GUEST, ZONE, Place, bookable, carry_out, ours, reservations, writes


def restored(*lost: BookingView) -> None:
    """As after a backup from before these bookings: no row tells of them, and calendars are read anew."""
    ids = [one.id for one in lost]
    with transaction() as session:
        held = {row.reservation_id for row in session.exec(select(BookingHost)) if row.booking_id in ids}
        for table in (Mail, CalendarWrite, BookingHost):
            for row in session.exec(select(table)):
                if row.booking_id in ids:
                    session.delete(row)
        session.flush()
        for reservation in session.exec(select(HostReservation)):
            if reservation.id in held:
                session.delete(reservation)
        for booking_id in ids:
            session.delete(session.get_one(Booking, booking_id))
        for event in session.exec(select(Event)):
            session.delete(event)
    installation.after_restore()


def read(place: Place) -> None:
    for calendar in place.calendars:
        assert sync_requests.sync_calendar(calendar.id).outcome is sync_run.Outcome.DONE


def check(place: Place) -> tuple[DeviationView, ...]:
    """What the drift report lists after a run over every host's account."""
    for calendar in place.calendars:
        drift_report.check_connection(calendar.connection_id, now=datetime.now(UTC) + timedelta(minutes=1))
    return drift_report.report(place.owner).items


def starts(place: Place) -> set[datetime]:
    found = available_slots.slots(
        place.event_type.id, place.at(0), place.at(23), zone=ZONE, actor=None, now=datetime.now(UTC)
    )
    return {slot.start for slot in found.slots}


def remark(fake: FakeProvider, place: Place, made: BookingView, **marks: str | None) -> None:
    """Change what the event says of itself, at the provider."""
    event = event_of(fake, place, made)
    private = {**event.private, **marks}
    kept = {name: value for name, value in private.items() if value is not None}
    fake.change(place.calendars[0].remote_id, replace(event, private=kept))


def test_events_say_where_they_come_from(fake: FakeProvider, place: Place) -> None:
    """Beside the booking: the installation, the event type and the customer's zone, and digests of what we wrote."""
    made = written(place)
    with reading() as session:
        own = session.exec(select(Installation)).one().id
    private = event_of(fake, place, made).private
    assert set(private) == {BOOKING_MARK, ORIGIN_MARK, TEXTS_MARK}
    assert (private[BOOKING_MARK], private[ORIGIN_MARK]) == (made.id, f"{own} {place.event_type.id} {ZONE}")
    assert "Carla" not in private[TEXTS_MARK]


def test_no_calendar_counts_as_read_after_a_restore(fake: FakeProvider, place: Place) -> None:
    """What was booked since is offered to nobody: times are closed until the calendar was read, and then taken."""
    made = written(place)
    read(place)
    restored(made)
    assert starts(place) == set()
    read(place)
    offered = starts(place)
    assert offered
    assert place.at(10) not in offered


def test_bookings_made_since_the_backup_are_listed(fake: FakeProvider, place: Place) -> None:
    """One line each, with both ways out; a second look lists nothing twice."""
    made, other = written(place, 10), written(place, 14)
    restored(made, other)
    read(place)
    found = check(place)
    assert [(one.kind, one.found_start) for one in found] == [
        ("orphaned", made.start),
        ("orphaned", other.start),
    ]
    assert {one.choices for one in found} == {("take_in", "remove", "keep")}
    assert len(check(place)) == 2


def test_one_is_taken_into_the_bookings(fake: FakeProvider, place: Place) -> None:
    """The booking stands as it stood, linked to the event that is there; no second event, no e-mail; its links work."""
    made = written(place)
    before = ours(fake, place.calendars)
    restored(made)
    read(place)
    (found,) = check(place)
    assert drift_report.fix(place.owner, found.id, "take_in").resolution == "taken_in"
    carry_out()
    read(place)
    assert ours(fake, place.calendars) == before
    again = booking_queries.get(place.owner, made.id)
    assert (again.status, again.start, again.end, again.name, again.email) == (
        "confirmed",
        made.start,
        made.end,
        *GUEST,
    )
    (row,) = writes(made.id)
    assert (row.state, row.applied_version, row.desired_version) == ("verified", 1, 1)
    assert len(reservations(place.people[0].id)) == 1
    with reading() as session:
        assert session.exec(select(Mail)).all() == []
        booking = session.get_one(Booking, made.id)
        assert (booking.timezone, booking.event_type_id) == (ZONE, place.event_type.id)
        assert "booking.taken_in" in [entry.action for entry in session.exec(select(AuditEntry))]
    assert check(place) == ()
    assert place.at(10) not in starts(place)
    transitions.cancel(place.owner, made.id)
    carry_out()
    assert ours(fake, place.calendars) == {}
    assert place.at(10) in starts(place)


def test_a_guest_whom_the_host_added_is_not_the_customer(fake: FakeProvider, place: Place) -> None:
    """The event says who booked; who else is invited to it may be anybody."""
    made = written(place)
    event = event_of(fake, place, made)
    guests = (Attendee("boss@example.com", "Boss"),)
    fake.change(place.calendars[0].remote_id, replace(event, attendees=guests))
    restored(made)
    read(place)
    (found,) = check(place)
    drift_report.fix(place.owner, found.id, "take_in")
    again = booking_queries.get(place.owner, made.id)
    assert (again.name, again.email) == GUEST


def test_one_is_removed(fake: FakeProvider, place: Place) -> None:
    """The event goes, and the time is offered again."""
    made = written(place)
    restored(made)
    read(place)
    (found,) = check(place)
    assert drift_report.fix(place.owner, found.id, "remove").resolution == "removed"
    assert ours(fake, place.calendars) == {}
    read(place)
    assert check(place) == ()
    assert place.at(10) in starts(place)


def test_every_host_of_a_booking_gets_it_back(fake: FakeProvider) -> None:
    """Two hosts together: one click takes both events in, as one booking."""
    place = bookable(fake, hosts=2, hosting="collective")
    made = place.book(place.at(10))
    carry_out()
    restored(made)
    read(place)
    found = check(place)
    assert len(found) == 2
    drift_report.fix(place.owner, found[0].id, "take_in")
    assert drift_report.report(place.owner).items == ()
    assert [len(reservations(person.id)) for person in place.people] == [1, 1]
    assert {row.state for row in writes(made.id)} == {"verified"}


def test_a_time_that_was_booked_meanwhile_is_not_taken_twice(fake: FakeProvider, place: Place) -> None:
    """Somebody else has the time by now: a sentence, and nothing changes."""
    made = written(place)
    event = event_of(fake, place, made)
    fake.remove(place.calendars[0].remote_id, event.remote_id)
    restored(made)
    read(place)
    place.book(place.at(10))
    fake.change(place.calendars[0].remote_id, event)
    read(place)
    (found,) = check(place)
    with pytest.raises(SlotUnavailable):
        drift_report.fix(place.owner, found.id, "take_in")
    assert [one.id for one in drift_report.report(place.owner).items] == [found.id]


def test_another_installations_event_is_never_offered(fake: FakeProvider, place: Place) -> None:
    """A staging system on the same account: its events are busy time, and nobody's to remove here."""
    made = written(place)
    remark(fake, place, made, **{ORIGIN_MARK: f"{'0' * 26} {place.event_type.id} {ZONE}"})
    restored(made)
    read(place)
    assert check(place) == ()
    assert place.at(10) not in starts(place)


def test_an_event_that_does_not_say_whose_it_is(fake: FakeProvider, place: Place) -> None:
    """One of the release before: it may be taken in, by its title and guests, but is not offered for removal."""
    made = written(place)
    remark(fake, place, made, **{ORIGIN_MARK: None})
    restored(made)
    read(place)
    (found,) = check(place)
    assert found.choices == ("take_in", "keep")
    with pytest.raises(InvalidInput):
        drift_report.fix(place.owner, found.id, "remove")
    drift_report.fix(place.owner, found.id, "take_in")
    assert booking_queries.get(place.owner, made.id).email == GUEST[1]


def test_what_changed_after_it_was_listed(fake: FakeProvider, place: Place) -> None:
    """Marked as another's since, moved, or gone: what is true now counts."""
    foreign, moved, gone = written(place, 9), written(place, 11), written(place, 13)
    restored(foreign, moved, gone)
    read(place)
    by_start = {one.found_start: one.id for one in check(place)}
    remark(fake, place, foreign, **{ORIGIN_MARK: f"{'0' * 26} x UTC"})
    with pytest.raises(InvalidInput):
        drift_report.fix(place.owner, by_start[foreign.start], "remove")
    event = event_of(fake, place, moved)
    later = event.start, event.end
    assert None not in later
    shift = timedelta(hours=4)
    times = {
        name: replace(time, value=time.value + shift)
        for name, time in zip(("start", "end"), later, strict=True)
        if time is not None
    }
    fake.change(place.calendars[0].remote_id, replace(event, **times))
    drift_report.fix(place.owner, by_start[moved.start], "take_in")
    assert booking_queries.get(place.owner, moved.id).start == place.at(15)
    fake.remove(place.calendars[0].remote_id, event_of(fake, place, gone).remote_id)
    assert drift_report.fix(place.owner, by_start[gone.start], "remove").resolution == "vanished"


def test_providers_that_list_no_marks(fake: FakeProvider, place: Place) -> None:
    """Graph's delta shows none: the text of the event leads to it, and the provider is asked for the marks."""
    made = written(place)
    restored(made)
    read(place)
    with transaction() as session:
        for row in session.exec(select(Event)):
            row.payload = json.loads(json.dumps({**row.payload, "private": {}}))
            session.add(row)
    assert [one.kind for one in check(place)] == ["orphaned"]


def test_a_copy_is_another_installation(fake: FakeProvider, place: Place) -> None:
    """A backup put back as a copy neither knows nor removes what the real one wrote since."""
    made = written(place)
    restored(made)
    installation.after_restore(as_copy=True)
    with reading() as session:
        assert session.exec(select(Installation)).one().restored_at is not None
    carry_out()
    assert check(place) == ()


def test_an_account_that_was_read_after_a_restore_is_looked_at(
    fake: FakeProvider, place: Place, redis_server: Redis
) -> None:
    """Nobody has to press a button: the first full reading queues the look; later ones, and others, do not."""
    made = written(place)
    jobs.sync_calendar(place.calendars[0].id)
    queue = Queue(DEFAULT, connection=redis_server)
    assert not [job for job in queue.jobs if job.func_name.endswith("check_drift")]
    restored(made)
    jobs.sync_calendar(place.calendars[0].id)
    jobs.sync_calendar(place.calendars[0].id)
    assert len([job for job in queue.jobs if job.func_name.endswith("check_drift")]) == 1
