"""Availability as services give it: what counts as busy, for whom, and how old it is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from calendar_app.db.session import transaction
from calendar_app.db.tables import Calendar, Connection, Event, Occurrence
from calendar_app.domain.timespan import instant, utc
from calendar_app.errors import SlotUnavailable
from calendar_app.services.availability import slots as available_slots
from tests.support import factories
from tests.support.fake_provider import FakeProvider
from tests.support.scheduling import Place, bookable


def _mirror(calendar: Calendar, start: datetime, end: datetime, *, busy: bool = True) -> None:
    """An event in the mirror, as a sync leaves it."""
    with transaction() as session:
        event = Event(calendar_id=calendar.id, remote_id=f"e{start}{end}", summary="Secret plan")
        session.add(event)
        session.flush()
        assert event.id is not None
        span = {"starts": instant(start), "ends": instant(end), "original": instant(start)}
        session.add(Occurrence(calendar_id=calendar.id, event_id=event.id, busy=busy, **span))


def _starts(place: Place, **options: object) -> list[datetime]:
    view = available_slots.slots(place.event_type.id, place.at(0), place.at(23), **options)  # type: ignore[arg-type]
    return [slot.start for slot in view.slots]


def test_mirrored_events_close_their_time(place: Place) -> None:
    """Busy events close the slots they touch; events shown as free, and other people's, close none."""
    _mirror(place.calendars[0], place.at(10, 15), place.at(10, 45))
    _mirror(place.calendars[0], place.at(14), place.at(15), busy=False)
    found = _starts(place)
    assert place.at(10) not in found
    assert place.at(10, 30) not in found
    assert {place.at(9, 30), place.at(11), place.at(14)} <= set(found)
    with pytest.raises(SlotUnavailable):
        place.book(place.at(10, 30))


def test_every_workspaces_calendars_count_and_are_not_named(place: Place) -> None:
    """A host's calendar that another business connected closes time here; staff here are not told what it is."""
    elsewhere = factories.workspace()
    grant = factories.connection(place.people[0], elsewhere)
    private = factories.calendar(grant, name="Secret job", synced_at=datetime.now(UTC))
    _mirror(private, place.at(10), place.at(11))
    assert place.at(10) not in _starts(place)
    told = available_slots.explain(place.owner, place.event_type.id, place.at(10))
    assert [reason.source for reason in told.hosts[0].reasons] == ["of another workspace"]
    assert "Secret" not in repr(told.hosts)


@pytest.mark.parametrize(
    ("table", "columns"),
    [
        (Calendar, {"checks_conflicts": False}),
        (Calendar, {"removed_at": datetime.now(UTC)}),
        (Connection, {"status": "disconnected"}),
    ],
)
def test_calendars_that_do_not_count(place: Place, table: type, columns: dict[str, object]) -> None:
    """Switched off, gone, or disconnected: a calendar's events close nothing."""
    calendar = place.calendars[0]
    _mirror(calendar, place.at(10), place.at(11))
    with transaction() as session:
        row = session.get_one(table, calendar.id if table is Calendar else calendar.connection_id)
        for name, value in columns.items():
            setattr(row, name, value)
    assert place.at(10) in _starts(place)


@pytest.mark.parametrize("status", ["error", "needs_reconnect"])
def test_a_broken_account_keeps_its_last_known_state(place: Place, status: str) -> None:
    """What cannot be read stays as it was last known, never free, and the page says how old that is."""
    calendar = place.calendars[0]
    _mirror(calendar, place.at(10), place.at(11))
    with transaction() as session:
        session.get_one(Connection, calendar.connection_id).status = status
        session.get_one(Calendar, calendar.id).synced_at = datetime.now(UTC) - timedelta(minutes=42)
    assert place.at(10) not in _starts(place)
    assert place.at(11) in _starts(place)
    view = available_slots.slots(place.event_type.id, place.at(0), place.at(23))
    assert view.freshness.stale
    assert "42 minutes" in view.freshness.message
    assert 42 * 60 <= (view.freshness.age_seconds or 0) < 43 * 60


@pytest.mark.parametrize(
    ("policy", "never", "open_"),
    [
        ("keep", False, True),
        ("close", False, False),
        ("approve", False, True),
        ("ignore", False, True),
        ("keep", True, False),
        ("approve", True, False),
        ("ignore", True, True),
    ],
)
def test_the_owner_decides_what_staleness_means(place: Place, policy: str, never: bool, open_: bool) -> None:
    """Per calendar: keep to the last state, close, ask for approval, ignore; never read closes but for the last."""
    with transaction() as session:
        row = session.get_one(Calendar, place.calendars[0].id)
        row.stale_policy = policy
        row.synced_at = None if never else datetime.now(UTC) - timedelta(days=1)
    assert bool(_starts(place)) == open_


def test_beyond_the_mirrors_window_nothing_is_known(fake: FakeProvider) -> None:
    """A horizon that reaches further than the mirror does not make the unread months free."""
    place = bookable(fake, horizon_days=3000)
    far = place.at(0) + timedelta(days=450)
    assert available_slots.slots(place.event_type.id, far, far + timedelta(days=7)).slots == ()
    bare = factories.person(timezone="Europe/Berlin")
    factories.schedule(bare, place.workspace)
    alone = factories.event_type(place.workspace, bare, horizon_days=3000)
    assert available_slots.slots(alone.id, far, far + timedelta(days=7)).slots


def test_a_host_without_working_hours_has_no_slots(place: Place) -> None:
    """No schedule, no time: nothing is made up."""
    idle = factories.event_type(place.workspace, factories.person())
    assert available_slots.slots(idle.id, place.at(0), place.at(23)).slots == ()


def test_round_robin_is_busy_when_all_are(fake: FakeProvider) -> None:
    """Busy times of a round robin are those in which nobody is left; of a collective those of anybody."""
    place = bookable(fake, hosts=2, hosting="round_robin")
    _mirror(place.calendars[0], place.at(10), place.at(12))
    _mirror(place.calendars[1], place.at(11), place.at(13))
    view = available_slots.slots(place.event_type.id, place.at(0), place.at(23), zone="Europe/Berlin")
    assert [tuple(map(utc, busy)) for busy in view.busy] == [(place.at(11), place.at(12))]
    assert {slot.start: len(slot.hosts) for slot in view.slots}[place.at(10)] == 1
    both = factories.event_type(place.workspace, *place.people, hosting="collective", durations=[30])
    view = available_slots.slots(both.id, place.at(0), place.at(23), zone="Europe/Berlin")
    assert [tuple(map(utc, busy)) for busy in view.busy] == [(place.at(10), place.at(13))]


def test_slots_of_a_clock_change(fake: FakeProvider) -> None:
    """Working from one to four on the night that clocks go forward has two hours, and each slot is real."""
    place = bookable(fake)
    night = datetime(2027, 3, 28, tzinfo=UTC)
    owls = factories.person(timezone="Europe/Berlin")
    factories.schedule(owls, place.workspace, weekly={"sun": [["01:00", "04:00"]]})
    kind = factories.event_type(place.workspace, owls, durations=[30], step_minutes=30, horizon_days=3000)
    view = available_slots.slots(
        kind.id,
        night - timedelta(hours=6),
        night + timedelta(hours=12),
        zone="Europe/Berlin",
        now=night - timedelta(days=20),
    )
    assert [slot.start.strftime("%H:%M%z") for slot in view.slots] == [
        "01:00+0100",
        "01:30+0100",
        "03:00+0200",
        "03:30+0200",
    ]
