"""Reads a large calendar from a real Radicale, side by side with vdirsyncer on the same server in the same run.

    python -m benchmarks.caldav [--events 5000] [--rounds 3]

Both read everything, then read again with nothing changed. vdirsyncer (from PyPI, in an environment of its own under
`build/`) writes files; the product writes events, occurrences and the cursor into SQLite. vdirsyncer is a program that
is started for each sync, so the time that it takes to start and say its version is taken off. Exit status 1 when an
event is missing, or a sync without changes takes more than one request.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx

VDIRSYNCER = "vdirsyncer==0.20.0"
HOME = Path(__file__).resolve().parents[1] / "build" / "vdirsyncer"
USERNAME, PASSWORD = "ada@example.com", "correct horse"
EVENT = (
    "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//Almanac//Benchmark//EN\r\nBEGIN:VEVENT\r\nUID:{uid}\r\n"
    "DTSTAMP:20260101T000000Z\r\nDTSTART:{start:%Y%m%dT%H%M%SZ}\r\nDTEND:{end:%Y%m%dT%H%M%SZ}\r\n"
    "SUMMARY:Event number {number}\r\nDESCRIPTION:A description of some length\\, as people write them.\r\n"
    "LOCATION:Room {number}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
)


@contextmanager
def radicale(data: Path, events: int) -> Iterator[str]:
    """A server with one account and one calendar of evenly spread events from now on; yields its URL."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    users, calendar = data / "users", data / "collections" / "collection-root" / USERNAME / "work"
    users.write_text(f"{USERNAME}:{PASSWORD}\n")
    calendar.mkdir(parents=True)
    (calendar / ".Radicale.props").write_text('{"tag": "VCALENDAR", "D:displayname": "Work"}')
    first = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    for number in range(events):
        start = first + timedelta(minutes=number * 100)
        text = EVENT.format(
            uid=f"{number}@bench", number=number, start=start, end=start + timedelta(minutes=30)
        )
        (calendar / f"{number}.ics").write_text(text, newline="")
    config = data / "radicale.config"
    config.write_text(
        f"[server]\nhosts = 127.0.0.1:{port}\n[storage]\nfilesystem_folder = {data / 'collections'}\n"
        f"[auth]\ntype = htpasswd\nhtpasswd_filename = {users}\nhtpasswd_encryption = plain\ndelay = 0\n"
        "[logging]\nlevel = error\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "radicale", "--config", str(config)], stderr=subprocess.DEVNULL
    )
    url = f"http://127.0.0.1:{port}/"
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                httpx.get(f"{url}.web/")
                break
            except httpx.HTTPError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit("Radicale did not start.") from None
                time.sleep(0.05)
        # Radicale parses what it finds once and keeps that; whoever comes first must not pay for both.
        httpx.get(f"{url}{USERNAME}/work/", auth=(USERNAME, PASSWORD), timeout=300).raise_for_status()
        yield url
    finally:
        process.terminate()
        process.wait(10)


def vdirsyncer() -> Path:
    """The program, installed on first use."""
    program = HOME / "bin" / "vdirsyncer"
    if not program.exists():
        print("installing vdirsyncer (once) ...", flush=True)
        shutil.rmtree(HOME, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", HOME], check=True)
        subprocess.run(
            [HOME / "bin" / "pip", "install", "--quiet", "--quiet", "--quiet", VDIRSYNCER], check=True
        )
    return program


class Vdirsyncer:
    """One fresh vdirsyncer over the calendar."""

    def __init__(self, program: Path, folder: Path, url: str) -> None:
        folder.mkdir()
        self.files = folder / "files"
        config = folder / "config"
        config.write_text(
            f'[general]\nstatus_path = "{folder / "status"}"\n'
            '[pair work]\na = "local"\nb = "remote"\ncollections = ["work"]\n'
            f'[storage local]\ntype = "filesystem"\npath = "{self.files}"\nfileext = ".ics"\n'
            f'[storage remote]\ntype = "caldav"\nurl = "{url}"\nusername = "{USERNAME}"\npassword = "{PASSWORD}"\n'
        )
        self._command = [str(program), "-c", str(config)]
        self._run("discover")

    def sync(self) -> None:
        self._run("sync")

    def _run(self, verb: str) -> None:
        done = subprocess.run(
            [*self._command, verb], input="y\n" * 4, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise SystemExit(f"vdirsyncer {verb} failed:\n{done.stdout}{done.stderr}")


class Product:
    """One fresh account of the product over the calendar."""

    def __init__(self, url: str, number: int) -> None:
        from calendar_app.services.accounts import authentication
        from calendar_app.services.connection_lifecycle import credentials as connection_credentials

        actor = authentication.sign_up(
            "Ada", f"ada{number}@example.com", "a long password", f"Bench {number}", "Europe/Berlin"
        ).identity.actor()
        result = connection_credentials.connect(
            actor, "caldav", address=url, username=USERNAME, password=PASSWORD
        )
        (self.calendar,) = result.calendars

    def sync(self) -> None:
        from calendar_app.services.calendar_sync import requests as sync_requests

        result = sync_requests.sync_calendar(self.calendar.id)
        if result.outcome != "done":
            raise SystemExit(f"The sync ended otherwise: {result}")

    def events(self) -> int:
        from sqlalchemy import func, select
        from sqlmodel import col

        from calendar_app.db.session import reading
        from calendar_app.db.tables import Event

        with reading() as session:
            counted = select(func.count()).where(col(Event.calendar_id) == self.calendar.id)
            return int(session.scalar(counted) or 0)


class Counted(httpx.BaseTransport):
    """The network, with a count."""

    def __init__(self, host: str) -> None:
        from calendar_app.providers.vetted import network

        self._network, self.requests = network(frozenset({host})), 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.requests += 1
        return self._network.handle_request(request)


def requests(url: str) -> tuple[int, int]:
    """Requests of a first listing, and of one without changes."""
    from calendar_app.providers.base import Credentials
    from calendar_app.providers.caldav.account import Secret
    from calendar_app.providers.caldav.discovery import CalDavSignIn
    from calendar_app.providers.caldav.provider import CalDavCalendar
    from calendar_app.settings import get_settings

    opened = CalDavSignIn(get_settings()).open(Credentials(url, USERNAME, PASSWORD))
    counted = Counted(httpx.URL(url).host)
    provider = CalDavCalendar(get_settings(), Secret.load(opened.secret), transport=counted)
    calendar = f"{url}{USERNAME.replace('@', '%40')}/work/"
    *_, last = provider.event_pages(calendar, None)
    first, counted.requests = counted.requests, 0
    list(provider.event_pages(calendar, last.cursor))
    return first, counted.requests


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def settle(data: Path, url: str) -> None:
    """Point this process at a fresh, migrated database; nothing of the product is imported yet."""
    os.environ.update(
        DATA_DIR=str(data / "app"),
        DATABASE_URL=f"sqlite:///{data / 'almanac.db'}",
        REDIS_URL=f"unix://{data}/no-redis.sock",
        ALLOWED_PRIVATE_HOSTS=httpx.URL(url).netloc.decode(),
    )
    import logging

    from calendar_app.db import migrate

    logging.disable(logging.WARNING)  # no Redis: nobody is told of changes
    migrate.upgrade()


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    program = vdirsyncer()
    times: dict[str, list[float]] = {"their first": [], "our first": [], "their second": [], "our second": []}
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        with radicale(data, options.events) as url:
            settle(data, url)
            start = statistics.median(
                seconds(lambda: subprocess.run([program, "--version"], capture_output=True, check=True))
                for _ in range(3)
            )
            complete = True
            for number in range(options.rounds):
                theirs = Vdirsyncer(program, data / f"v{number}", url)
                times["their first"].append(seconds(theirs.sync) - start)
                times["their second"].append(seconds(theirs.sync) - start)
                ours = Product(url, number)
                times["our first"].append(seconds(ours.sync))
                times["our second"].append(seconds(ours.sync))
                found = len(list(theirs.files.rglob("*.ics")))
                complete &= ours.events() == found == options.events
            first, second = requests(url)
    middle = {name: statistics.median(values) for name, values in times.items()}
    print(f"{options.events} events in Radicale, median of {options.rounds} rounds")
    print(f"{'':24}{'vdirsyncer':>12}{'Almanac':>12}{'times as fast':>16}{'our requests':>15}")
    for title, key, count in (("first sync", "first", first), ("nothing changed", "second", second)):
        one, other = middle[f"their {key}"], middle[f"our {key}"]
        print(f"{title:24}{one:>10.2f} s{other:>10.2f} s{one / other:>16.1f}{count:>15}")
    print(f"vdirsyncer's start ({start:.2f} s) is not counted. Every event arrived at both: {complete}")
    return 0 if complete and second == 1 else 1


if __name__ == "__main__":
    raise SystemExit(main())
