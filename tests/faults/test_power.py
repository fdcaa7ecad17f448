"""Power that fails right after an answer: what was acknowledged is on the disk."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from redis import Redis

from tests.support.databases import Database
from tests.support.fake_provider import FakeProvider
from tests.support.scheduling import GUEST, ZONE, Place
from tests.support.syncs import STRACE, traced_web

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

BOOKINGS = 8
MOST_SYNCS = 2
"""Syncs that one booking may cost: its own, and that of the kept answer to its Idempotency-Key."""


@pytest.mark.skipif(STRACE is None, reason="strace is not installed")
def test_an_acknowledged_booking_is_on_the_disk(
    database: Database, redis_server: Redis, fake: FakeProvider, place: Place, tmp_path: Path
) -> None:
    """When a client reads 201, no page that SQLite wrote for it still waits to be synced."""
    if database.kind != "sqlite":
        pytest.skip("PostgreSQL syncs by itself, and /health names it where it does not")
    path = Path(str(database.engine.url.database))
    name, email = GUEST
    with traced_web(tmp_path) as web, httpx.Client(base_url=web.url, timeout=30) as client:
        for number in range(BOOKINGS):
            body = {
                "event_type_id": place.event_type.id,
                "start": place.at(9 + number % 8, days=number // 8).isoformat(),
                "timezone": ZONE,
                "name": name,
                "email": email,
            }
            headers = {"Idempotency-Key": f"key-{number}"}
            assert client.post("/api/v1/bookings", json=body, headers=headers).status_code == 201
    found = web.read(path)
    assert len(found.unsynced) == BOOKINGS
    assert set(found.unsynced) == {frozenset()}
    assert 0 < max(found.syncs[1:]) <= MOST_SYNCS, found.syncs
