"""Who looks at calendars that nobody vouches for has them read at once, once, and often while that lasts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from redis import Redis
from rq import Queue

from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import Calendar, Channel
from calendar_app.queues import SYNC
from calendar_app.services.availability import slots as available_slots
from calendar_app.services.calendar_sync import requests as sync_requests
from calendar_app.services.calendar_sync import viewed_calendars
from calendar_app.services.common import viewers
from calendar_app.services.common.viewers import Seen
from calendar_app.services.events import queries as event_queries
from calendar_app.worker import jobs
from tests.support import factories
from tests.support.fake_provider import FakeProvider
from tests.support.scheduling import Place

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


def work(redis: Redis) -> list[str]:
    """Do what is queued, and what that queues; the names of the jobs."""
    done = []
    queue = Queue(SYNC, connection=redis)
    while job := next(iter(queue.jobs), None):
        queue.remove(job)
        job.delete()
        done.append(job.func_name.rpartition(".")[2])
        getattr(jobs, done[-1])(*job.args)
    return done


def rest(place: Place, minutes: int = 30, **columns: object) -> None:
    """The calendar was read that long ago and is to be read in an hour."""
    now = datetime.now(UTC)
    with transaction() as session:
        row = session.get_one(Calendar, place.calendars[0].id)
        planned = {
            "synced_at": now - minutes * MINUTE,
            "reading_due_at": now + HOUR,
            "changed_at": now - 99 * HOUR,
        }
        session.add(row.sqlmodel_update(planned | columns))


def row(place: Place) -> Calendar:
    with reading() as session:
        return session.get_one(Calendar, place.calendars[0].id)


def look(place: Place) -> None:
    available_slots.slots(place.event_type.id, place.at(0), place.at(23, 59))


def test_a_booking_page_has_its_hosts_calendars_read(
    fake: FakeProvider, place: Place, redis_server: Redis
) -> None:
    """At once, however many visitors come; afterwards it is read as often as may be."""
    sync_requests.sync_calendar(place.calendars[0].id)
    rest(place)
    before = fake.count("event_pages")
    for _ in range(5):
        look(place)
    assert work(redis_server) == ["read_for_viewers", "sync_calendar"]
    assert fake.count("event_pages") == before + 1
    due = row(place).reading_due_at
    assert due is not None
    assert due - datetime.now(UTC) < 6 * MINUTE
    viewers.forget()
    redis_server.flushall()
    look(place)
    assert work(redis_server) == []  # it was read a moment ago


def test_a_dashboard_has_what_it_shows_read(fake: FakeProvider, place: Place, redis_server: Redis) -> None:
    """By reading its events, as its page and the API do."""
    sync_requests.sync_calendar(place.calendars[0].id)
    rest(place)
    event_queries.upcoming(place.owner)
    event_queries.upcoming(place.owner)
    assert work(redis_server) == ["read_for_viewers", "sync_calendar"]


def test_what_is_vouched_for_is_left_alone(fake: FakeProvider, place: Place, redis_server: Redis) -> None:
    """A working channel tells more quickly than anybody could ask; what one does not hold for is read."""
    sync_requests.sync_calendar(place.calendars[0].id)
    rest(place, relies_on_push=True)
    now = datetime.now(UTC)
    channel = Channel(calendar_id=place.calendars[0].id, secret="s", resource_id="r", expires_at=now + HOUR)
    factories.save(channel.sqlmodel_update({"last_push_at": now, "last_message": 7}))
    assert viewed_calendars.read(Seen.EVENT_TYPE, place.event_type.id) == 0
    assert viewed_calendars.read(Seen.DASHBOARD, place.workspace.id) == 0
    assert viewed_calendars.read(Seen.CALENDAR, place.calendars[0].id) == 1


def test_a_last_look_that_knows_more_has_the_calendar_read(
    fake: FakeProvider, place: Place, redis_server: Redis
) -> None:
    """Where the provider says busy and the mirror did not, a change was missed, whoever vouched for it."""
    import pytest

    from calendar_app.errors import SlotUnavailable

    sync_requests.sync_calendar(place.calendars[0].id)
    rest(place)
    fake.add_event(place.calendars[0].remote_id, place.at(10), place.at(11))
    with pytest.raises(SlotUnavailable):
        place.book(place.at(10))
    assert "sync_calendar" in work(redis_server)
    found = available_slots.slots(place.event_type.id, place.at(9, 59), place.at(10, 29))
    assert found.found == []


def test_failing_and_unused_calendars_are_not_asked_by_looking(fake: FakeProvider, place: Place) -> None:
    """The first wait for their time, the others are read for nobody."""
    rest(place, failures=2, sync_retry_at=datetime.now(UTC) + HOUR)
    assert viewed_calendars.read(Seen.EVENT_TYPE, place.event_type.id) == 0
    rest(place, failures=0, sync_retry_at=None, checks_conflicts=False)
    assert viewed_calendars.read(Seen.EVENT_TYPE, place.event_type.id) == 0


def test_without_redis_nothing_is_asked_and_nothing_fails(fake: FakeProvider, place: Place) -> None:
    """Calendars are then read by their plan."""
    sync_requests.sync_calendar(place.calendars[0].id)
    rest(place)
    look(place)
    assert row(place).viewed_at is None


def test_a_publisher_is_not_asked_before_its_time(fake: FakeProvider, place: Place) -> None:
    """A link whose file asks for two hours of rest is read after that; who looks has it read after one."""
    two_hours = 2 * 3600
    rest(place, 45, wish_seconds=two_hours)
    assert viewed_calendars.read(Seen.EVENT_TYPE, place.event_type.id) == 0
    rest(place, 61, wish_seconds=two_hours)
    assert viewed_calendars.read(Seen.EVENT_TYPE, place.event_type.id) == 1
