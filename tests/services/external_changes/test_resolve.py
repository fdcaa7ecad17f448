"""Two-way: what people do to a booking's event at the provider, and what becomes of the booking."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlmodel import col, select

from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import (
    AuditEntry,
    Booking,
    Calendar,
    CalendarWrite,
    Connection,
    Deviation,
    Event,
    Mail,
    Occurrence,
)
from calendar_app.domain.event import CalendarEvent, EventTime
from calendar_app.domain.external_change import ChangeResolution
from calendar_app.errors import (
    Forbidden,
    InvalidInput,
    NotFound,
    PermissionDenied,
    ProviderUnavailable,
    SlotUnavailable,
    StateChanged,
)
from calendar_app.services.bookings import reschedule as booking_reschedule
from calendar_app.services.bookings import transitions
from calendar_app.services.bookings.views import BookingView
from calendar_app.services.calendar_mirror import mirror, mismatches
from calendar_app.services.calendar_sync import requests as sync_requests
from calendar_app.services.common.permissions import Role
from calendar_app.services.external_changes import queries as external_change_queries
from calendar_app.services.external_changes import resolve as external_change_resolve
from tests.support import factories
from tests.support.fake_provider import FakeProvider
from tests.support.scheduling import ZONE, Place, assert_consistent, bookable, carry_out, host, ours, writes


def rule(place: Place, *, moves: str = "flag", deletes: str = "flag") -> None:
    external_change_resolve.set_policy(place.owner, moves=moves, deletes=deletes)


def written(place: Place, hour: int = 10, minute: int = 0) -> BookingView:
    """A booking whose event stands in every calendar and has been read back."""
    made = place.book(place.at(hour, minute))
    carry_out()
    for calendar in place.calendars:
        sync_requests.sync_calendar(calendar.id)
    return made


def event_of(fake: FakeProvider, place: Place, made: BookingView, number: int = 0) -> CalendarEvent:
    return ours(fake, [place.calendars[number]])[made.id]


def move(fake: FakeProvider, place: Place, made: BookingView, start: datetime, minutes: int = 30) -> None:
    """The host drags the event to ``start`` in their own calendar program."""
    begin = EventTime(start.astimezone(ZoneInfo(ZONE)).replace(tzinfo=None), ZONE)
    assert isinstance(begin.value, datetime)
    end = EventTime(begin.value + timedelta(minutes=minutes), ZONE)
    fake.change(place.calendars[0].remote_id, replace(event_of(fake, place, made), start=begin, end=end))


def delete(fake: FakeProvider, place: Place, made: BookingView) -> None:
    fake.remove(place.calendars[0].remote_id, event_of(fake, place, made).remote_id)


def look(place: Place, *, now: datetime | None = None) -> list[str]:
    """Sync every calendar and carry out what follows; what became of each sighting."""
    for calendar in place.calendars:
        assert sync_requests.sync_calendar(calendar.id).outcome == "done"
    return settle_all(now=now)


def settle_all(*, now: datetime | None = None) -> list[str]:
    return [
        external_change_resolve.examine(row.id, now=now)
        for row in rows()
        if row.resolved_at is None and row.resolution
    ]


def rows() -> list[Deviation]:
    with reading() as session:
        return list(session.exec(select(Deviation).order_by(col(Deviation.found_at), col(Deviation.id))))


def booking(made: BookingView) -> Booking:
    with reading() as session:
        return session.get_one(Booking, made.id)


def mails(kind: str) -> list[Mail]:
    with reading() as session:
        return list(session.exec(select(Mail).where(Mail.kind == kind)))


def history(made: BookingView) -> list[AuditEntry]:
    with reading() as session:
        return list(session.exec(select(AuditEntry).where(AuditEntry.subject_id == made.id)))


def busy(place: Place) -> list[tuple[int, int]]:
    with reading() as session:
        found = session.exec(select(Occurrence.starts, Occurrence.ends).where(col(Occurrence.busy)))
        return sorted(map(tuple, found))


# --- our own doing ----------------------------------------------------------------------------------------------------


def test_our_own_echo_is_no_change(fake: FakeProvider, place: Place) -> None:
    """Written, moved and cancelled by us, synced after each step: nothing is ever noted."""
    made = written(place)
    assert rows() == []
    booking_reschedule.reschedule(place.owner, made.id, place.at(11))
    carry_out()
    look(place)
    transitions.cancel(place.owner, made.id)
    carry_out()
    look(place)
    assert rows() == []


def test_an_event_that_lost_our_mark_is_still_ours(fake: FakeProvider, place: Place) -> None:
    """A calendar program that drops private properties does not make our event somebody else's: its id is known."""
    made = written(place)
    fake.change(place.calendars[0].remote_id, replace(event_of(fake, place, made), private={}))
    look(place)
    assert busy(place) == []
    with reading() as session:
        assert session.exec(select(Event.booking_id)).all() == [made.id]
    assert rows() == []


def test_a_sync_may_see_the_event_before_its_write_is_recorded(fake: FakeProvider, place: Place) -> None:
    """Without mark and known id it is anybody's event, until the write is recorded: then it blocks nothing."""
    made = place.book(place.at(10))
    (row,) = writes(made.id)
    with reading() as session:
        key = row.remote_id
    begin = EventTime(datetime.combine(place.day, place.at(10).time()), ZONE)
    assert isinstance(begin.value, datetime)
    end = EventTime(begin.value + timedelta(minutes=30), ZONE)
    with transaction() as session:
        mirror.apply(
            session,
            place.calendars[0].id,
            [CalendarEvent("chosen-by-provider", start=begin, end=end, etag="7")],
            full=False,
            now=datetime.now(UTC),
        )
    assert len(busy(place)) == 1
    with transaction() as session:
        write = session.get_one(CalendarWrite, row.id)
        assert write.remote_id == key
        write.remote_id = "chosen-by-provider"
        session.add(write)
        assert not mirror.recognise(session, place.calendars[0].id, write.remote_id, made.id, {"7"})
    assert busy(place) == []
    with reading() as session:
        assert session.exec(select(Event.booking_id)).all() == [made.id]


def test_a_move_between_the_write_and_its_record_is_seen(fake: FakeProvider, place: Place) -> None:
    """Read by a sync at another time than the booking's, in a version that is not ours: it is looked into."""
    made = place.book(place.at(10))
    (row,) = writes(made.id)
    begin = EventTime(datetime.combine(place.day, place.at(12).time()), ZONE)
    assert isinstance(begin.value, datetime)
    end = EventTime(begin.value + timedelta(minutes=30), ZONE)
    with transaction() as session:
        event = CalendarEvent("chosen", start=begin, end=end, etag="8")
        mirror.apply(session, place.calendars[0].id, [event], full=False, now=datetime.now(UTC))
        assert mirror.recognise(session, place.calendars[0].id, "chosen", made.id, {"", "7"})
    assert len(busy(place)) == 1
    assert row.state == "queued"


def test_an_old_version_of_ours_that_arrives_late_never_counts(fake: FakeProvider, place: Place) -> None:
    """The listing shows the event where it stood before our own move; the provider, asked, knows better."""
    rule(place, moves="reschedule", deletes="cancel")
    made = written(place)
    old = event_of(fake, place, made)
    booking_reschedule.reschedule(place.owner, made.id, place.at(14))
    carry_out()
    with transaction() as session:
        calendar = session.get_one(Calendar, place.calendars[0].id)
        applied = mirror.apply(session, calendar.id, [old], full=False, now=datetime.now(UTC))
        mismatches.record_mismatches(session, calendar, applied.sightings, datetime.now(UTC))
    assert [row.resolution for row in rows()] == [ChangeResolution.CHECKING]
    assert external_change_queries.listed(place.owner) == []
    settle_all()
    assert rows() == []
    assert booking(made).start_at == place.at(14)


def test_a_provider_that_lags_behind_is_asked_again(fake: FakeProvider, place: Place) -> None:
    """Even its single answer may be older than our write; it is believed after a quarter of an hour."""
    rule(place, moves="reschedule")
    made = written(place)
    old = event_of(fake, place, made)
    booking_reschedule.reschedule(place.owner, made.id, place.at(14))
    carry_out()
    held = fake.calendar(place.calendars[0].remote_id)
    new = held.events[old.remote_id]
    stale = replace(old, updated=datetime.now(UTC) - timedelta(hours=1))
    held.save(stale)
    held.events[old.remote_id] = stale
    now = datetime.now(UTC)
    assert look(place) == ["waiting"]
    assert settle_all(now=now + timedelta(seconds=5)) == ["waiting"]
    held.save(new)
    assert settle_all(now=now + timedelta(minutes=2)) == ["vanished"]
    assert booking(made).start_at == place.at(14)
    assert rows() == []


def test_a_delete_that_follows_ours_is_no_news(fake: FakeProvider, place: Place) -> None:
    """We cancel, the host deletes the event before our removal comes: nobody is told of anything."""
    rule(place, deletes="restore")
    made = written(place)
    transitions.cancel(place.owner, made.id)
    delete(fake, place, made)
    look(place)
    carry_out()
    look(place)
    assert rows() == []
    assert ours(fake, place.calendars) == {}


def test_a_change_while_our_write_is_under_way_waits_for_it(fake: FakeProvider, place: Place) -> None:
    """Our own move is due; what the host did meanwhile is overwritten by it, and the booking keeps our time."""
    rule(place, moves="reschedule")
    made = written(place)
    booking_reschedule.reschedule(place.owner, made.id, place.at(14))
    move(fake, place, made, place.at(12))
    assert look(place) == ["waiting"]
    carry_out()
    assert settle_all(now=datetime.now(UTC) + timedelta(minutes=5)) in (["vanished"], [])
    look(place)
    assert booking(made).start_at == place.at(14)
    assert [row for row in rows() if row.resolved_at is None] == []


# --- the three rules for a move ---------------------------------------------------------------------------------------


def test_a_moved_event_is_flagged(fake: FakeProvider, place: Place) -> None:
    """The booking stays; everybody of the business can see what was found, and both times are taken."""
    made = written(place)
    move(fake, place, made, place.at(12))
    assert look(place) == ["open"]
    (view,) = external_change_queries.of_booking(place.owner, made.id)
    assert (view.kind, view.found_start, view.booked_start) == ("moved", place.at(12), place.at(10))
    assert view.choices == ("follow", "restore", "keep")
    assert booking(made).start_at == place.at(10)
    assert len(busy(place)) == 1
    assert look(place) == []
    assert len(rows()) == 1


def test_the_booking_follows_a_moved_event(fake: FakeProvider, place: Place) -> None:
    """Time and length are the calendar's, the reservation moves, letters go out, the calendar is not written again."""
    rule(place, moves="reschedule")
    made = written(place)
    puts = fake.count("put_event")
    move(fake, place, made, place.at(12), minutes=45)
    assert look(place) == ["followed"]
    row = booking(made)
    assert (row.start_at, row.end_at) == (place.at(12), place.at(12, 45))
    assert_consistent()
    assert len(mails("customer_moved")) == 1
    assert [e.detail["by"] for e in history(made) if e.action == "booking.rescheduled"] == [
        "changed in Fake Calendar"
    ]
    carry_out()
    look(place)
    assert fake.count("put_event") == puts
    assert [write.state for write in writes(made.id)] == ["verified"]
    assert busy(place) == []
    assert [row.resolution for row in rows()] == ["followed"]


def test_a_move_onto_another_booking_stays_flagged(fake: FakeProvider, place: Place) -> None:
    """The host has somebody else then: the booking stays where it is, with the reason."""
    rule(place, moves="reschedule")
    made, other = written(place, 10), written(place, 12)
    move(fake, place, made, place.at(12))
    assert look(place) == ["open"]
    (view,) = external_change_queries.of_booking(place.owner, made.id)
    assert view.reason
    assert booking(made).start_at == place.at(10)
    assert booking(other).start_at == place.at(12)
    assert mails("customer_moved") == []
    assert_consistent()
    with pytest.raises(SlotUnavailable):
        external_change_resolve.resolve(place.owner, view.id, "follow")
    move(fake, place, made, place.at(14))
    assert look(place) == ["followed"]


def test_a_move_onto_another_event_stays_flagged(fake: FakeProvider, place: Place) -> None:
    """The same with an event of the host's own."""
    rule(place, moves="reschedule")
    made = written(place)
    fake.add_event(place.calendars[0].remote_id, place.at(12), place.at(13))
    move(fake, place, made, place.at(12, 15))
    assert look(place) == ["open"]
    assert booking(made).start_at == place.at(10)
    assert_consistent()


def test_an_event_made_all_day_cannot_be_followed(fake: FakeProvider, place: Place) -> None:
    """It has no time any more: flagged, and "Follow the calendar" is not offered."""
    rule(place, moves="reschedule")
    made = written(place)
    event = event_of(fake, place, made)
    day = EventTime(place.day.date())
    after = EventTime(place.day.date() + timedelta(days=1))
    fake.change(place.calendars[0].remote_id, replace(event, start=day, end=after))
    assert look(place) == ["open"]
    (view,) = external_change_queries.of_booking(place.owner, made.id)
    assert view.choices == ("restore", "keep")
    assert "all-day" in view.sentence


def test_a_moved_event_is_put_back(fake: FakeProvider, place: Place) -> None:
    """The write is repeated over the host's version; what the host wrote into the event stays."""
    rule(place, moves="restore")
    made = written(place)
    move(fake, place, made, place.at(12))
    fake.change(
        place.calendars[0].remote_id, replace(event_of(fake, place, made), description="bring the file")
    )
    assert look(place) == ["restored"]
    carry_out()
    event = event_of(fake, place, made)
    assert event.start == EventTime(datetime.combine(place.day, place.at(10).time()), ZONE)
    assert event.description == "bring the file"
    look(place)
    assert [row.resolution for row in rows()] == ["restored"]
    assert busy(place) == []


def test_two_programs_that_fight_are_left_to_people(fake: FakeProvider, place: Place) -> None:
    """After a few rounds in a day the event is flagged instead of being put back for ever."""
    rule(place, moves="restore")
    made = written(place)
    for number in range(external_change_resolve.MOST_BY_RULE + 1):
        move(fake, place, made, place.at(12 + number % 2))
        look(place)
        carry_out()
    (view,) = external_change_queries.of_booking(place.owner, made.id)
    assert "again and again" in view.reason


def test_with_several_hosts_the_calendar_that_changed_counts_once(fake: FakeProvider) -> None:
    """One of two hosts moves the event: the booking moves once, and the other host's event follows."""
    place = bookable(fake, hosts=2, hosting="collective")
    rule(place, moves="reschedule")
    made = written(place)
    move(fake, place, made, place.at(12))
    assert look(place) == ["followed"]
    carry_out()
    assert look(place) == []
    assert event_of(fake, place, made, 1).start == event_of(fake, place, made).start
    assert len([entry for entry in history(made) if entry.action == "booking.rescheduled"]) == 1
    assert len(mails("customer_moved")) == 1
    assert_consistent()


# --- deletes ----------------------------------------------------------------------------------------------------------


def test_a_deleted_event_is_flagged(fake: FakeProvider, place: Place) -> None:
    """The booking stands; a full listing that lacks the event says the same as a delta."""
    made = written(place)
    delete(fake, place, made)
    assert look(place) == ["open"]
    assert [view.kind for view in external_change_queries.of_booking(place.owner, made.id)] == ["deleted"]
    assert booking(made).status == "confirmed"


def test_a_full_listing_tells_of_deletes_too(fake: FakeProvider, place: Place) -> None:
    """Gone without a word, and the cursor with it."""
    rule(place, deletes="cancel")
    made = written(place)
    remote = place.calendars[0].remote_id
    fake.calendar(remote).events.pop(event_of(fake, place, made).remote_id)
    fake.expire_cursors(remote)
    assert look(place) == ["cancelled"]
    assert booking(made).status == "cancelled"


def test_a_deleted_event_cancels_the_booking(fake: FakeProvider, place: Place) -> None:
    """As any cancellation: time given back, letters sent, and the history says who."""
    rule(place, deletes="cancel")
    made = written(place)
    delete(fake, place, made)
    assert look(place) == ["cancelled"]
    row = booking(made)
    assert (row.status, row.cancelled_by) == ("cancelled", "system")
    assert_consistent()
    assert len(mails("customer_cancelled")) == 1
    assert [e.detail["by"] for e in history(made) if e.action == "booking.cancelled"] == [
        "changed in Fake Calendar"
    ]
    carry_out()
    look(place)
    assert [write.state for write in writes(made.id)] == ["removed"]
    assert [row.resolution for row in rows()] == ["cancelled"]


def test_a_deleted_event_is_put_back(fake: FakeProvider, place: Place) -> None:
    """The event is written anew, once."""
    rule(place, deletes="restore")
    made = written(place)
    delete(fake, place, made)
    assert look(place) == ["restored"]
    carry_out()
    look(place)
    assert list(ours(fake, place.calendars)) == [made.id]
    assert [row.resolution for row in rows()] == ["restored"]


def test_an_undone_delete_heals_by_itself(fake: FakeProvider, place: Place) -> None:
    """The host takes the event out of the bin: the flag goes."""
    made = written(place)
    event = event_of(fake, place, made)
    delete(fake, place, made)
    look(place)
    fake.change(place.calendars[0].remote_id, event)
    assert look(place) == ["vanished"]
    assert external_change_queries.of_booking(place.owner, made.id) == []


def test_a_mass_deletion_is_only_flagged(fake: FakeProvider, place: Place) -> None:
    """More than five, and more than half: no cancellation, one letter, one click for each; also over several syncs."""
    rule(place, deletes="cancel")
    made = [written(place, 9 + number // 2, 30 * (number % 2)) for number in range(8)]
    for one in made[:7]:
        delete(fake, place, one)
    assert look(place) == ["open"] * 7
    assert {booking(one).status for one in made} == {"confirmed"}
    assert len(mails("bookings_vanished")) == 1
    delete(fake, place, made[7])
    assert look(place) == ["open"]
    assert booking(made[7]).status == "confirmed"
    assert len(mails("bookings_vanished")) == 1
    assert settle_all() == []
    view = external_change_queries.of_booking(place.owner, made[0].id)[0]
    assert external_change_resolve.resolve(place.owner, view.id, "follow").resolution == "cancelled"
    view = external_change_queries.of_booking(place.owner, made[1].id)[0]
    assert external_change_resolve.resolve(place.owner, view.id, "restore").resolution == "restored"
    carry_out()
    assert list(ours(fake, place.calendars)) == [made[1].id]


def test_five_deletions_are_no_mass(fake: FakeProvider, place: Place) -> None:
    """A host who clears a day means it."""
    rule(place, deletes="cancel")
    made = [written(place, 9 + number) for number in range(5)]
    for one in made:
        delete(fake, place, one)
    assert look(place) == ["cancelled"] * 5


# --- by hand, and when things fail ------------------------------------------------------------------------------------


def test_a_person_lets_the_booking_follow(fake: FakeProvider, place: Place) -> None:
    """ "Follow the calendar": moved, in that person's name; a second click is told that it is settled."""
    made = written(place)
    move(fake, place, made, place.at(12))
    look(place)
    (view,) = external_change_queries.of_booking(place.owner, made.id)
    assert external_change_resolve.resolve(place.owner, view.id, "follow").resolution == "followed"
    assert booking(made).start_at == place.at(12)
    (entry,) = [entry for entry in history(made) if entry.action == "booking.rescheduled"]
    assert entry.person_id == place.owner.person_id
    with pytest.raises(StateChanged):
        external_change_resolve.resolve(place.owner, view.id, "restore")


def test_what_was_kept_is_not_flagged_again(fake: FakeProvider, place: Place) -> None:
    """ "Keep as is" holds for exactly what was found, at full listings too; another move is news."""
    made = written(place)
    move(fake, place, made, place.at(12))
    look(place)
    (view,) = external_change_queries.of_booking(place.owner, made.id)
    assert external_change_resolve.resolve(place.owner, view.id, "keep").resolution == "dismissed"
    fake.expire_cursors(place.calendars[0].remote_id)
    look(place)
    assert external_change_queries.of_booking(place.owner, made.id) == []
    move(fake, place, made, place.at(13))
    look(place)
    (view,) = external_change_queries.of_booking(place.owner, made.id)
    assert view.found_start == place.at(13)


def test_a_move_back_to_what_was_kept_is_kept(fake: FakeProvider, place: Place) -> None:
    """An open difference that becomes one that a person has accepted is settled by that, once and for all."""
    made = written(place)
    for hour in (12, 13, 12):
        move(fake, place, made, place.at(hour))
        look(place)
        found = external_change_queries.of_booking(place.owner, made.id)
        if found and hour == 12:
            external_change_resolve.resolve(place.owner, found[0].id, "keep")
    assert external_change_queries.of_booking(place.owner, made.id) == []
    assert external_change_resolve.sweep() == 0


def test_what_was_kept_is_forgotten_with_our_next_write(fake: FakeProvider, place: Place) -> None:
    """A deletion that was accepted, an event that we wrote anew, and another deletion: that is news."""
    made = written(place)
    delete(fake, place, made)
    look(place)
    external_change_resolve.resolve(
        place.owner, external_change_queries.of_booking(place.owner, made.id)[0].id, "keep"
    )
    booking_reschedule.reschedule(place.owner, made.id, place.at(15))
    carry_out()
    delete(fake, place, made)
    assert look(place) == ["open"]
    assert len(external_change_queries.of_booking(place.owner, made.id)) == 1


def test_only_the_right_people_settle(fake: FakeProvider, place: Place) -> None:
    """Another host's booking and another workspace's are not there; customers may not; unknown choices are refused."""
    made = written(place)
    move(fake, place, made, place.at(12))
    look(place)
    (view,) = external_change_queries.of_booking(place.owner, made.id)
    colleague, _ = host(fake, place.workspace)
    stranger = bookable(fake).owner
    for actor in (factories.actor(colleague, place.workspace, Role.STAFF), stranger):
        with pytest.raises(NotFound):
            external_change_resolve.resolve(actor, view.id, "follow")
        assert external_change_queries.listed(actor) == []
    customer = factories.actor(factories.person(), place.workspace, Role.CUSTOMER)
    with pytest.raises(Forbidden):
        external_change_resolve.resolve(customer, view.id, "keep")
    with pytest.raises(InvalidInput):
        external_change_resolve.resolve(place.owner, view.id, "burn")
    with pytest.raises(Forbidden):
        external_change_resolve.set_policy(
            factories.actor(colleague, place.workspace, Role.MANAGER), moves="restore"
        )
    with pytest.raises(InvalidInput):
        external_change_resolve.set_policy(place.owner, deletes="reschedule")


def test_a_lost_queue_and_a_dead_provider_only_cost_time(fake: FakeProvider, place: Place) -> None:
    """Nothing was queued and the provider does not answer: the sweeper finds the sighting, and it is settled later."""
    rule(place, moves="reschedule")
    made = written(place)
    move(fake, place, made, place.at(12))
    sync_requests.sync_calendar(place.calendars[0].id)
    assert external_change_resolve.sweep() == 1
    now = datetime.now(UTC)
    fake.fail("get_event", ProviderUnavailable())
    assert settle_all() == ["waiting"]
    assert external_change_resolve.sweep() == 0
    assert external_change_resolve.sweep(now + timedelta(minutes=2)) == 1
    assert settle_all(now=now + timedelta(minutes=2)) == ["followed"]


def test_what_waits_does_not_hide_what_is_due(place: Place) -> None:
    """More old external changes than one sweep takes wait for their next attempt; the newer, due one is found."""
    now = datetime.now(UTC)
    columns = {"workspace_id": place.workspace.id, "calendar_id": place.calendars[0].id, "kind": "sighted"}
    with transaction() as session:
        for number in range(501):
            session.add(
                Deviation(
                    **columns,
                    remote_id=f"waits{number}",
                    resolution=ChangeResolution.CHECKING,
                    found_at=now - timedelta(days=1),
                    next_attempt_at=now + timedelta(minutes=5),
                )
            )
        session.add(Deviation(**columns, remote_id="due", resolution=ChangeResolution.CHECKING, found_at=now))
    assert external_change_resolve.sweep(now) == 1
    assert external_change_resolve.sweep(now + timedelta(minutes=5)) == 500


def test_one_that_cannot_be_settled_waits_its_turn(fake: FakeProvider, place: Place) -> None:
    """An error of ours about one external change is not met again at once, in front of all the others."""
    made = written(place)
    move(fake, place, made, place.at(12))
    sync_requests.sync_calendar(place.calendars[0].id)
    (row,) = rows()
    now = datetime.now(UTC)
    fake.fail("get_event", ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        external_change_resolve.examine(row.id, now=now)
    assert external_change_resolve.sweep(now) == 0
    assert external_change_resolve.sweep(now + timedelta(minutes=2)) == 1


def test_a_provider_that_refuses_leaves_it_to_the_drift_report(fake: FakeProvider, place: Place) -> None:
    """A permanent refusal is not asked again and again."""
    made = written(place)
    move(fake, place, made, place.at(12))
    sync_requests.sync_calendar(place.calendars[0].id)
    fake.fail("get_event", PermissionDenied())
    settle_all()
    assert rows() == []
    assert booking(made).start_at == place.at(10)


def test_what_is_over_is_nobodys_business(fake: FakeProvider, place: Place) -> None:
    """Tidying up old events changes no booking."""
    rule(place, deletes="cancel")
    made = written(place)
    with transaction() as session:
        row = session.get_one(Booking, made.id)
        row.start_at, row.end_at = (moment - timedelta(days=30) for moment in (row.start_at, row.end_at))
        session.add(row)
    delete(fake, place, made)
    assert look(place) == []
    assert booking(made).status == "confirmed"


def test_nothing_is_asked_of_a_disconnected_account(fake: FakeProvider, place: Place) -> None:
    """A sighting of a calendar whose account ended meanwhile is forgotten."""
    made = written(place)
    delete(fake, place, made)
    sync_requests.sync_calendar(place.calendars[0].id)
    with transaction() as session:
        row = session.get_one(Connection, place.calendars[0].connection_id)
        row.status = "disconnected"
        session.add(row)
    settle_all()
    assert rows() == []
    assert booking(made).status == "confirmed"
