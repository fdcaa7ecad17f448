"""Reads a large calendar from the sandbox over loopback HTTP: events a second, memory, and requests.

    python -m benchmarks.sync [--events 10000] [--database postgresql://...]

The account is connected through OAuth as a person would connect it; then its calendar is read for the first time, read
again with nothing changed, read after one outside change, and listed in full once more. Exit status 1 when a sync
without changes takes more than one request, or when an event is missing or there twice.
"""

from __future__ import annotations

import argparse
import html
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, parse_qsl, urlsplit

import httpx

OWNER = "owner@example.com"
STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@dataclass(frozen=True)
class Measured:
    """One sync: seconds, requests to the provider, megabytes by which the process grew."""

    seconds: float
    requests: int
    grown_mb: float


@contextmanager
def sandbox(data: Path) -> Iterator[str]:
    """The sandbox in a process of its own; yields its URL."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "calendar_app.sandbox.app:app", "--log-level", "warning"]
    environment = {**os.environ, "DATA_DIR": str(data / "sandbox"), "ALMANAC_SANDBOX": "on"}
    Path(environment["DATA_DIR"]).mkdir()
    process = subprocess.Popen([*command, "--port", str(port)], env=environment)
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                httpx.get(f"{url}/sandbox/api/state").raise_for_status()
                break
            except httpx.HTTPError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit("The sandbox did not start.") from None
                time.sleep(0.05)
        yield url
    finally:
        process.terminate()
        process.wait(10)


def settle(data: Path, url: str, database: str) -> None:
    """Point this process at the sandbox and at a fresh, migrated database; nothing of the product is imported yet."""
    from calendar_app.sandbox.environment import sandbox_environment

    os.environ.update(sandbox_environment("http://localhost:3000", url))
    os.environ.update(
        DATA_DIR=str(data / "app"),
        DATABASE_URL=database or f"sqlite:///{data / 'almanac.db'}",
        REDIS_URL=f"unix://{data}/no-redis.sock",
    )
    from calendar_app.db import migrate

    migrate.upgrade()


def connect(url: str) -> str:
    """Sign up, connect the sandbox's account through its consent page; the id of its primary calendar."""
    from calendar_app.services.accounts import authentication
    from calendar_app.services.connection_lifecycle import oauth as connection_oauth

    identity = authentication.sign_up("Olivia", OWNER, "a long password", "Bench", "Europe/Berlin").identity
    address = connection_oauth.start(identity.actor(), "google", binding="benchmark")
    page = httpx.get(f"{url}{urlsplit(address).path}", params=dict(parse_qsl(urlsplit(address).query))).text
    request = re.search(r'name="request" value="([^"]+)"', page)
    assert request, page
    form = {
        "request": html.unescape(request[1]),
        "account": OWNER,
        "email": "",
        "scope": [html.unescape(scope) for scope in re.findall(r'name="scope" value="([^"]+)"', page)],
        "decision": "allow",
    }
    answer = httpx.post(f"{url}{urlsplit(address).path}", data=form)
    query = parse_qs(urlsplit(answer.headers["location"]).query)
    result = connection_oauth.finish(
        bindings=["benchmark"], provider="google", state=query["state"][0], code=query["code"][0]
    )
    return next(calendar.id for calendar in result.calendars if calendar.is_primary)


def memory_mb(name: str) -> float:
    """``VmRSS`` (now) or ``VmHWM`` (the most since it was reset), see proc(5)."""
    if not STATUS.exists():
        return 0.0
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) / 1024


def measured(work: Callable[[], object], requests: list[str]) -> Measured:
    """Do it, and say what it took."""
    if RESET.exists():
        RESET.write_text("5")
    requests.clear()
    memory, begun = memory_mb("VmRSS"), time.perf_counter()
    work()
    return Measured(time.perf_counter() - begun, len(requests), memory_mb("VmHWM") - memory)


def run(url: str, events: int) -> list[str]:
    """Measure, print, and return what is wrong."""
    from sqlmodel import col, func, select

    from calendar_app.db.session import reading, transaction
    from calendar_app.db.tables import Calendar, Event
    from calendar_app.providers.http import shared_client
    from calendar_app.services.calendar_sync import requests as sync_requests
    from calendar_app.services.calendar_sync import run as sync_run

    requests: list[str] = []
    shared_client().event_hooks["request"].append(lambda request: requests.append(request.url.path))
    calendar_id = connect(url)
    control = httpx.Client(base_url=f"{url}/sandbox/api", timeout=120)
    control.post(f"/calendars/{OWNER}/generate", json={"count": events, "days": 400}).raise_for_status()

    def read() -> None:
        result = sync_requests.sync_calendar(calendar_id)
        assert result.outcome is sync_run.Outcome.DONE, result

    first = measured(read, requests)
    again = [measured(read, requests) for _ in range(20)]
    control.post(
        f"/calendars/{OWNER}/events",
        json={
            "summary": "Outside change",
            "start": {"dateTime": "2030-01-01T10:00:00Z"},
            "end": {"dateTime": "2030-01-01T11:00:00Z"},
        },
    ).raise_for_status()
    change = measured(read, requests)
    with transaction() as session:
        session.get_one(Calendar, calendar_id).sync_cursor = None
    full = measured(read, requests)
    with reading() as session:
        mine = col(Event.calendar_id) == calendar_id
        stored = session.scalar(select(func.count()).select_from(Event).where(mine)) or 0
    listed = len(control.get(f"/calendars/{OWNER}/events", params={"limit": "1000000"}).json()["items"])
    quiet = sorted(one.seconds for one in again)[len(again) // 2]
    print(
        f"first sync of {stored - 1:,} events  {first.seconds:8.2f} s  {stored / first.seconds:8,.0f} events/s"
        f"  {first.requests} requests  +{first.grown_mb:.0f} MB at most"
    )
    print(
        f"nothing changed (median of 20)  {quiet * 1000:8.1f} ms  {max(one.requests for one in again)} request"
    )
    print(f"one outside change              {change.seconds * 1000:8.1f} ms  {change.requests} request")
    print(
        f"full listing, nothing new       {full.seconds:8.2f} s   {full.requests} requests  +{full.grown_mb:.0f} MB"
    )
    wrong = []
    if any(one.requests != 1 for one in again):
        wrong.append("A sync without changes took more than one request.")
    if stored != listed:
        wrong.append(f"The mirror has {stored} events, the provider {listed}.")
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--events", type=int, default=10_000)
    parser.add_argument("--database", default="", help="URL of an empty database; default: SQLite")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="almanac-bench-") as folder, sandbox(Path(folder)) as url:
        settle(Path(folder), url, options.database)
        wrong = run(url, options.events)
    for sentence in wrong:
        print(sentence, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
