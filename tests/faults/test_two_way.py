"""What people do to bookings' events in their own calendars, at each provider: followed, put back or shown, once.

Services over real HTTP; that the rules themselves are right is tests/services/external_changes/test_resolve.py's
matter. Here it is that each provider's way of telling (a delta, a removed resource, a full listing, an etag that
changed by itself) is read as what it is.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlmodel import col, select

from calendar_app.db.session import reading
from calendar_app.db.tables import Booking, Deviation, Mail
from calendar_app.domain.external_change import ChangeResolution
from calendar_app.services.bookings import reschedule as booking_reschedule
from calendar_app.services.bookings import transitions
from calendar_app.services.calendar_sync import requests as sync_requests
from calendar_app.services.calendar_sync.run import Outcome
from calendar_app.services.external_changes import queries as external_change_queries
from calendar_app.services.external_changes import resolve as external_change_resolve
from tests.faults.office import Office
from tests.faults.test_provider import WRITERS, apply, at, everywhere, finish
from tests.support.long_form import LONG
from tests.support.scheduling import assert_consistent
from tests.worker.processes import wait_until

pytestmark = [pytest.mark.timeout(120), pytest.mark.usefixtures("quick")]

RULES = ["flag", "act", "restore"]
"""``act``: the booking follows, or is cancelled."""


def rule(office: Office, name: str) -> None:
    moves, deletes = ("reschedule", "cancel") if name == "act" else (name, name)
    external_change_resolve.set_policy(office.place.owner, moves=moves, deletes=deletes)


def written(office: Office, *hours: int) -> list[str]:
    """Bookings whose events stand at the provider and have been synced back."""
    assert look(office) == []
    made = [office.place.book(office.place.at(hour)).id for hour in hours]
    for booking in made:
        assert apply(office, booking) == "verified"
    assert look(office) == []
    assert rows() == []
    return made


def look(office: Office, *, later: timedelta = timedelta()) -> list[str]:
    """Sync, and look into what it saw; what became of it, but for what was no change when it was looked into."""
    office.pass_time()
    assert sync_requests.sync_calendar(office.calendar.id).outcome is Outcome.DONE
    now = datetime.now(UTC) + later
    waiting = [row.id for row in rows() if row.resolved_at is None and row.resolution]
    found = [external_change_resolve.examine(deviation, now=now) for deviation in waiting]
    return [one for one in found if one != ChangeResolution.VANISHED]


def rows() -> list[Deviation]:
    with reading() as session:
        return list(session.exec(select(Deviation).order_by(col(Deviation.found_at), col(Deviation.id))))


def booking(key: str) -> Booking:
    with reading() as session:
        return session.get_one(Booking, key)


def mails(kind: str) -> int:
    with reading() as session:
        return len(session.exec(select(Mail).where(Mail.kind == kind)).all())


@pytest.mark.parametrize(
    ("provider", "how"),
    at({"google": ["flag"], "microsoft": ["act"], "caldav": ["restore"]}, RULES),
    indirect=["provider"],
)
def test_an_event_moved_at_the_provider(office: Office, how: str) -> None:
    """Shown with both times, followed without another write, or put back; never seen a second time."""
    rule(office, how)
    (made,) = written(office, 19)
    event = office.ours()[made]
    office.move_outside(event.id, office.place.at(21))
    writes = office.fault("drip", "update", times=None, seconds=0)
    assert look(office) == [{"flag": "open", "act": "followed", "restore": "restored"}[how]]
    if how == "flag":
        (view,) = external_change_queries.of_booking(office.place.owner, made)
        assert (view.kind, view.booked_start, view.found_start) == (
            "moved",
            office.place.at(19),
            office.place.at(21),
        )
    finish(office)
    assert bool(office.met(writes)) == (how == "restore")
    assert booking(made).start_at == office.place.at(21 if how == "act" else 19)
    assert office.ours()[made].start == office.place.at(19 if how == "restore" else 21)
    assert mails("customer_moved") == (how == "act")
    assert look(office) == []
    assert len(rows()) == 1
    office.assert_mirrored()
    assert_consistent()


@pytest.mark.parametrize(
    ("provider", "how"),
    at({"google": ["restore"], "microsoft": ["flag", "act"], "caldav": ["act"]}, RULES),
    indirect=["provider"],
)
def test_an_event_deleted_at_the_provider(office: Office, how: str) -> None:
    """Shown, the booking cancelled, or the event there again, once; never seen a second time."""
    rule(office, how)
    (made,) = written(office, 19)
    office.remove_outside(office.ours()[made].id)
    assert look(office) == [{"flag": "open", "act": "cancelled", "restore": "restored"}[how]]
    if how == "flag":
        (view,) = external_change_queries.of_booking(office.place.owner, made)
        assert (view.kind, view.booked_start) == ("deleted", office.place.at(19))
    finish(office)
    assert booking(made).status == ("cancelled" if how == "act" else "confirmed")
    assert list(office.ours()) == ([made] if how == "restore" else [])
    assert mails("customer_cancelled") == (how == "act")
    assert look(office) == []
    assert len(rows()) == 1
    office.assert_mirrored()
    assert_consistent()


@everywhere(WRITERS)
def test_our_own_echo_is_no_change(office: Office) -> None:
    """Written, moved and cancelled by us, and each time in a version that its provider made of it since: nothing."""
    rule(office, "act")
    made, other = written(office, 19, 21)
    for hour in (20, 22):
        booking_reschedule.reschedule(office.place.owner, made, office.place.at(hour))
        assert apply(office, made) == "verified"
        etag = office.write_of(made).etag
        office.rename_outside(office.ours()[made].id, f"At {hour}")  # another etag, the same time
        assert look(office) == []
        assert booking(made).start_at == office.place.at(hour)
        assert office.write_of(made).etag == etag
    transitions.cancel(office.place.owner, other)
    finish(office)
    assert look(office) == []
    assert rows() == []
    assert list(office.ours()) == [made]
    assert office.ours()[made].title == "At 22"


@pytest.mark.parametrize(
    ("provider", "operation"),
    at(
        {"google": ["update"], "microsoft": ["create"], "caldav": ["update"]},
        ["create", "update", "delete"],
    ),
    indirect=["provider"],
)
def test_a_sync_in_the_middle_of_our_own_write(office: Office, operation: str) -> None:
    """The provider has done it and not answered yet when a sync reads it: our own doing all the same."""
    rule(office, "act")
    hour = {"create": 22, "update": 21, "delete": 19}[operation]
    (made,) = written(office, 19)
    if operation == "create":
        made = office.place.book(office.place.at(22)).id
    if operation == "update":
        booking_reschedule.reschedule(office.place.owner, made, office.place.at(21))
    elif operation == "delete":
        transitions.cancel(office.place.owner, made)
    held = office.fault("hold", operation, after=True, times=None, seconds=30)
    writer = threading.Thread(target=apply, args=(office, made))
    writer.start()
    wait_until(lambda: office.held(held))
    assert sync_requests.sync_calendar(office.calendar.id).outcome is Outcome.DONE
    early = [external_change_resolve.examine(row.id) for row in rows()]
    office.mend()
    writer.join(30)
    finish(office)
    assert set(early) <= {"waiting", ChangeResolution.VANISHED, ""}
    assert look(office, later=timedelta(minutes=5)) == []
    assert rows() == []
    assert booking(made).status == ("cancelled" if operation == "delete" else "confirmed")
    assert booking(made).start_at == office.place.at(hour)
    assert (office.ours()[made].start if made in office.ours() else None) == (
        None if operation == "delete" else office.place.at(hour)
    )
    assert look(office) == []
    office.assert_mirrored()


@everywhere(WRITERS if LONG else WRITERS[:2])
def test_many_deleted_at_once_are_asked_about(
    office: Office, record_property: Callable[[str, object], None]
) -> None:
    """Seven of eight bookings' events go: nobody is cancelled, one letter asks, and each is settled by hand."""
    rule(office, "act")
    made = written(office, *range(16, 24))
    standing = office.ours()
    for key in made[:7]:
        office.remove_outside(standing[key].id)
    assert look(office) == ["open"] * 7
    assert {booking(key).status for key in made} == {"confirmed"}
    assert (mails("bookings_vanished"), mails("customer_cancelled")) == (1, 0)
    assert look(office) == []
    settled_by_hand(office, made[0], made[1])
    assert sorted(office.ours()) == sorted([made[1], made[7]])
    assert mails("bookings_vanished") == 1
    record_property("count", f"{office.vendor.key}: 7 of 8 gone, 0 cancelled")


@everywhere(WRITERS if LONG else WRITERS[2:])
def test_an_emptied_calendar_is_not_believed(
    office: Office, record_property: Callable[[str, object], None]
) -> None:
    """The cursor is lost and the new listing lacks nearly everything: times stay closed and somebody is asked; after
    "yes, that was me" the bookings are still only shown, each for its own answer."""
    rule(office, "act")
    for number in range(24):
        office.add_outside(f"Other {number}", office.place.at(number % 24, days=2))
    made = written(office, *range(16, 23))
    before = office.mirrored()
    for held in office.remote():
        if "@" not in held.id or office.vendor.key == "caldav":
            office.remove_outside(held.id)
    lost = office.fault("gone", "list")
    assert look(office) == []
    assert office.met(lost) == 1
    assert office.row().last_error_code == "mass_delete"
    assert office.mirrored() == before
    assert {booking(key).status for key in made} == {"confirmed"}
    assert mails("customer_cancelled") == 0
    sync_requests.accept_mass_delete(office.place.owner, office.calendar.id)
    assert look(office) == ["open"] * len(made)
    assert office.row().last_error_code == ""
    office.assert_mirrored()
    assert {booking(key).status for key in made} == {"confirmed"}
    assert (mails("bookings_vanished"), mails("customer_cancelled")) == (1, 0)
    settled_by_hand(office, made[0], made[1])
    assert list(office.ours()) == [made[1]]
    record_property("count", f"{office.vendor.key}: {sum(before.values())} gone, 0 cancelled")


def settled_by_hand(office: Office, cancelled: str, restored: str) -> None:
    """One booking follows its deleted event, another's event is put back; no sync makes anything of that."""
    for key, how, expected in ((cancelled, "follow", "cancelled"), (restored, "restore", "restored")):
        (view,) = external_change_queries.of_booking(office.place.owner, key)
        assert external_change_resolve.resolve(office.place.owner, view.id, how).resolution == expected
    finish(office)
    assert look(office) == []
    assert (booking(cancelled).status, booking(restored).status) == ("cancelled", "confirmed")
    office.assert_mirrored()
    assert_consistent()
