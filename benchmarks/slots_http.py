"""Slots of 30 days over HTTP, from calendars full of mirrored events: how long a visitor waits.

    python -m benchmarks.slots_http [--rounds 200]

It fills a database of its own, starts one web process on a loopback port and asks over a kept-alive connection. Aims:
p50 under 15 ms with 5,000 events; with 5 calendars of 5,000 each p50 under 15 ms and p95 under 40 ms. ``DATABASE_URL``
chooses another, empty, database (PostgreSQL). Exit status 1 when an answer has no slots.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import httpx

from benchmarks.answers import require
from tests.support.servers import wait_for_web

DAY = 86_400
OFFICE_HOURS = {day: [["09:00", "17:00"]] for day in ("mon", "tue", "wed", "thu", "fri")}
CASES = (
    ("5,000 events, all in the 30 days", 1, 5_000, 30),
    ("5,000 events over a year", 1, 5_000, 365),
    ("5 calendars of 5,000 events over a year", 5, 5_000, 365),
    ("5 calendars of 5,000 events, all in the 30 days", 5, 5_000, 30),
)


def fill(calendars: int, events: int, days: int, now: datetime) -> str:
    """A public event type whose host has so many calendars, each with so many events; its id."""
    from sqlalchemy import insert
    from sqlmodel import select

    from calendar_app.db.session import transaction
    from calendar_app.db.tables import (
        Calendar,
        Connection,
        Event,
        EventType,
        EventTypeHost,
        Occurrence,
        Person,
        Schedule,
        Workspace,
    )

    chance = random.Random(7)
    tag = f"{calendars}-{events}-{days}"
    with transaction() as session:
        place = Workspace(slug=f"bench-{tag}", name="Bench", timezone="Europe/Berlin")
        person = Person(email=f"{tag}@example.com", name="Host", timezone="Europe/Berlin")
        session.add_all([place, person])
        session.flush()
        kind = EventType(workspace_id=place.id, slug="slots", title="Slots", horizon_days=60, step_minutes=15)
        hours = Schedule(
            workspace_id=place.id, person_id=person.id, timezone="Europe/Berlin", weekly=OFFICE_HOURS
        )
        account = Connection(workspace_id=place.id, person_id=person.id, provider="google", account_id=tag)
        session.add_all([kind, hours, account])
        session.flush()
        session.add(EventTypeHost(event_type_id=kind.id, person_id=person.id))
        rows = [
            Calendar(workspace_id=place.id, connection_id=account.id, remote_id=f"c{n}", synced_at=now)
            for n in range(calendars)
        ]
        session.add_all(rows)
        session.flush()
        for row in rows:
            plain = {"calendar_id": row.id, "is_recurring": False, "summary": "", "etag": "", "payload": {}}
            session.execute(insert(Event), [plain | {"remote_id": f"e{n}"} for n in range(events)])
            ids = session.exec(select(Event.id).where(Event.calendar_id == row.id))
            first = int(now.timestamp())
            spans = []
            for event_id in ids:
                start = first + chance.randrange(days * DAY) // 300 * 300
                # Short events, so that enough of the days stays free for the slots to be worth computing.
                end = start + chance.choice((300, 600, 900))
                spans.append(
                    {
                        "calendar_id": row.id,
                        "event_id": event_id,
                        "starts": start,
                        "ends": end,
                        "original": start,
                    }
                )
            session.execute(insert(Occurrence), [span | {"all_day": False, "busy": True} for span in spans])
        return kind.id


@contextmanager
def web(application: str = "calendar_app.api.app:create_api") -> Iterator[str]:
    """One uvicorn process of an application factory, with this process's environment; yields its URL."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "--factory", application]
    process = subprocess.Popen([*command, "--port", str(port), "--log-level", "warning", "--no-access-log"])
    try:
        url = f"http://127.0.0.1:{port}"
        wait_for_web(url, process, 60)
        yield url
    finally:
        process.terminate()
        process.wait(10)


def measure(url: str, event_type_id: str, now: datetime, rounds: int) -> dict[str, float]:
    """Milliseconds per request: median, 95th and 99th percentile; and how many slots and bytes an answer has."""
    params = {
        "start": now.isoformat(),
        "end": (now + timedelta(days=30)).isoformat(),
        "timezone": "America/New_York",
    }
    path = f"{url}/api/v1/event-types/{event_type_id}/slots"
    with httpx.Client() as client:
        for _ in range(10):
            answer = client.get(path, params=params)
            answer.raise_for_status()
        times, answers = [], Counter[str]()
        for _ in range(rounds):
            begun = time.perf_counter()
            answer = client.get(path, params=params)
            times.append((time.perf_counter() - begun) * 1000)
            shown = answer.json().get("slots") or answer.json().get("code", "no slots")
            answers["200" if isinstance(shown, list) else f"{answer.status_code} {shown}"] += 1
    require("slots over HTTP", answers, "200")
    cuts = statistics.quantiles(times, n=100)
    return {
        "p50_ms": round(cuts[49], 2),
        "p95_ms": round(cuts[94], 2),
        "p99_ms": round(cuts[98], 2),
        "slots": len(answer.json()["slots"]),
        "bytes": len(answer.content),
    }


def main() -> None:
    """Print one line of JSON per case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=200)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        os.environ["DATA_DIR"] = folder
        os.environ.setdefault("DATABASE_URL", f"sqlite:///{folder}/bench.db")
        os.environ["REDIS_URL"] = f"unix://{folder}/no-redis.sock"
        from calendar_app.db import migrate
        from calendar_app.db.session import get_engine

        with get_engine().execution_options(sqlite_begin="IMMEDIATE").begin() as connection:
            migrate.upgrade(connection)
        now = datetime.now(UTC).replace(microsecond=0)
        cases = [(name, fill(calendars, events, days, now)) for name, calendars, events, days in CASES]
        with web() as url:
            for name, event_type_id in cases:
                found = measure(url, event_type_id, now, rounds)
                print(json.dumps({"benchmark": f"slots over HTTP, 30 days: {name}"} | found))


if __name__ == "__main__":
    main()
