"""A thousand bookings a minute from one address, and holds that nobody finishes, over real HTTP."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from redis import Redis
from sqlmodel import select

from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import Booking, Hold, HostReservation
from calendar_app.services.bookings import holds
from calendar_app.settings import Settings
from tests.support.databases import Database
from tests.support.fake_provider import FakeProvider
from tests.support.long_form import LONG
from tests.support.scheduling import ZONE, Place, assert_consistent, bearer, bookable

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

WISHES = 1_000 if LONG else 400
MOST = 30
"""Bookings a minute of one address, as in production."""


@pytest.fixture
def place(database: Database, redis_server: Redis, configure: Callable[..., Settings]) -> Iterator[Place]:
    if database.kind == "postgresql" and not LONG:
        pytest.skip("on SQLite alone, but in the long form")
    configure(BOOKINGS_PER_MINUTE=str(MOST))
    with FakeProvider().installed() as fake:
        yield bookable(fake, durations=[5], step_minutes=5)


def _times(place: Place, count: int) -> list[datetime]:
    return [place.at(9) + timedelta(days=n // 90, minutes=5 * (n % 90)) for n in range(count)]


def _wish(place: Place, start: datetime, number: int) -> dict[str, object]:
    person = {"name": f"Spam {number}", "email": f"spam{number}@example.org"}
    return {"event_type_id": place.event_type.id, "start": start.isoformat(), "timezone": ZONE, **person}


def _minutes(begun: datetime) -> int:
    """How many of the clock's minutes the flood has touched."""
    return int(datetime.now(UTC).timestamp() // 60) - int(begun.timestamp() // 60) + 1


def test_a_thousand_bookings_from_one_address(
    api: httpx.Client, place: Place, record_property: Callable[[str, object], None]
) -> None:
    """As many as the operator allows are made, all others are told when to come back; its staff still book."""
    begun = datetime.now(UTC)
    wishes = [_wish(place, start, n) for n, start in enumerate(_times(place, WISHES))]

    def want(wish: dict[str, object]) -> httpx.Response:
        return api.post("/api/v1/bookings", json=wish)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(want, wishes))
    counts = Counter(answer.status_code for answer in answers)
    assert set(counts) <= {201, 409, 422, 429}, counts
    refused = [answer for answer in answers if answer.status_code == 429]
    assert all(int(answer.headers["retry-after"]) > 0 for answer in refused)
    assert 1 <= counts[201] <= (MOST + 8) * _minutes(begun)  # eight at once may pass the same last place
    assert counts[429] >= WISHES - 10 * MOST * _minutes(begun)
    with reading() as session:
        assert len(session.exec(select(Booking)).all()) == counts[201]
    assert_consistent()
    staff = _wish(place, place.at(9, days=14), 0)
    assert api.post("/api/v1/bookings", json=staff, headers=bearer(place.people[0])).status_code == 201
    record_property("count", f"{WISHES} wishes: {counts[201]} booked, {counts[429]} told to wait")


def test_holds_that_nobody_finishes(
    api: httpx.Client, place: Place, record_property: Callable[[str, object], None]
) -> None:
    """One address keeps a bounded part of a calendar, and for ten minutes; then all of it is free again."""
    answers = []
    for start in _times(place, 150):
        wish = {"event_type_id": place.event_type.id, "start": start.isoformat(), "timezone": ZONE}
        answers.append(api.post("/api/v1/holds", json=wish))
    counts = Counter(answer.status_code for answer in answers)
    assert set(counts) <= {201, 409, 422, 429}, counts
    assert 1 <= counts[201] <= 60
    assert counts[429] > 60
    with transaction() as session:  # ten minutes pass
        for hold in session.exec(select(Hold)):
            hold.expires_at -= holds.LASTS
            session.add(hold)
        for claim in session.exec(select(HostReservation)):
            claim.expires = (claim.expires or 0) - int(holds.LASTS.total_seconds())
            session.add(claim)
    first = next(
        start for start, answer in zip(_times(place, 150), answers, strict=True) if answer.is_success
    )
    booked = api.post("/api/v1/bookings", json=_wish(place, first, 0))
    assert booked.status_code == 201, booked.text
    assert holds.expire(datetime.now(UTC) + holds.KEPT_UNUSED) == counts[201]
    with reading() as session:
        assert not session.exec(select(Hold)).all()
        assert [claim.state for claim in session.exec(select(HostReservation))] == ["confirmed"]
    record_property("count", f"{counts[201]} holds, then {counts[429]} refused; all expired")
