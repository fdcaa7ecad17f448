"""Reads and imports a calendar file of 10,000 events: our reader beside ``icalendar``'s on the same bytes.

    python -m benchmarks.ics_import [--events 10000] [--rounds 3]

CPU time, best round of each. Both sides end with every event's start, end, title and rule in hand: the library decodes
them when it is asked to. The import is the whole of what an upload causes, into an empty SQLite database: reading,
checking, storing, expanding. Exit status 1 when the two disagree on an event, or when our reading takes more than 1.3
times the library's.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

TARGET = 1.3
ZONES = ("Europe/Berlin", "America/New_York", "Asia/Kolkata")


def calendar_file(events: int, seed: int = 20261121) -> bytes:
    """A year of a busy team: timed events in three zones, some all-day, some weekly, with guests and descriptions."""
    chance = random.Random(seed)
    first = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(days=30)
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Almanac//benchmark//EN", "X-WR-CALNAME:Team"]
    for number in range(events):
        start = first + timedelta(minutes=30 * chance.randrange(48 * 365))
        lines += ["BEGIN:VEVENT", f"UID:event-{number}@benchmark.invalid", "DTSTAMP:20261101T090000Z"]
        if chance.random() < 0.1:
            lines += [
                f"DTSTART;VALUE=DATE:{start:%Y%m%d}",
                f"DTEND;VALUE=DATE:{start + timedelta(days=1):%Y%m%d}",
            ]
        else:
            zone, end = chance.choice(ZONES), start + timedelta(minutes=chance.choice((30, 60)))
            lines += [f"DTSTART;TZID={zone}:{start:%Y%m%dT%H%M%S}", f"DTEND;TZID={zone}:{end:%Y%m%dT%H%M%S}"]
        if chance.random() < 0.05:
            lines.append("RRULE:FREQ=WEEKLY;COUNT=10")
        lines += [
            f"SUMMARY:Meeting {number}\\, room {chance.randrange(40)}",
            "DESCRIPTION:What was agreed stands in the minutes\\; please read them before we meet",
            "  and bring what is asked for there.",
            "LOCATION:Main building",
            "STATUS:CONFIRMED",
            "SEQUENCE:1",
            f"ORGANIZER;CN=Ada Lovelace:mailto:ada{number % 50}@example.com",
            f"ATTENDEE;CN=Grace Hopper;PARTSTAT=ACCEPTED:mailto:grace{number % 70}@example.com",
            "END:VEVENT",
        ]
    return "\r\n".join([*lines, "END:VCALENDAR", ""]).encode()


def ours(content: bytes) -> list[tuple[str, ...]]:
    """Uid, title, start, end and rules of every event, by our reader."""
    from calendar_app.domain.ics import read_calendar

    return [
        (e.ical_uid, e.summary, str(e.start.value), str(e.end.value), *e.recurrence)
        for e in read_calendar(content).events
    ]


def theirs(content: bytes) -> list[Any]:
    """The library's parse alone."""
    import icalendar

    return icalendar.Calendar.from_ical(content).walk("VEVENT")


def _their_rows(events: list[Any]) -> list[tuple[str, ...]]:
    def wall(value: Any) -> str:
        return str(value.replace(tzinfo=None)) if isinstance(value, datetime) else str(value)

    return [
        (
            str(e["UID"]),
            str(e["SUMMARY"]),
            wall(e["DTSTART"].dt),
            wall(e["DTEND"].dt),
            *([f"RRULE:{e['RRULE'].to_ical().decode()}"] if "RRULE" in e else []),
        )
        for e in events
    ]


def _best(run: Callable[[], Any], rounds: int) -> tuple[float, Any]:
    best, result = float("inf"), None
    for _ in range(rounds):
        begin = time.process_time()
        result = run()
        best = min(best, time.process_time() - begin)
    return best, result


def whole_import(content: bytes, folder: Path) -> tuple[float, int]:
    """CPU seconds of an import into an empty database, and how many events it holds then."""
    os.environ.update(
        DATA_DIR=str(folder),
        DATABASE_URL=f"sqlite:///{folder}/almanac.db",
        REDIS_URL=f"unix://{folder}/none.sock",
    )
    from alembic.config import Config

    from alembic import command
    from calendar_app.services.accounts import authentication
    from calendar_app.services.calendar_sync import ics_import

    command.upgrade(Config("alembic.ini"), "head")
    identity = authentication.sign_up(
        "Ada", "ada@example.com", "correct horse battery", "", "Europe/Berlin"
    ).identity
    begin = time.process_time()
    result = ics_import.import_file(identity.actor(), content)
    return time.process_time() - begin, result.imported + result.past


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--events", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    content = calendar_file(options.events)
    own_time, own = _best(lambda: ours(content), options.rounds)
    their_time, parsed = _best(lambda: theirs(content), min(2, options.rounds))
    same = sorted(own) == sorted(_their_rows(parsed))
    with tempfile.TemporaryDirectory() as folder:
        import_time, held = whole_import(content, Path(folder))
    ratio = own_time / their_time
    print(f"ics_import: {options.events:,} events, {len(content) / 2**20:.1f} MiB")
    print(f"  reading                ours {own_time:.2f} s   icalendar {their_time:.2f} s (its parse alone)")
    print(f"  ratio                  {ratio:.2f} (at most {TARGET} wanted)")
    print(
        f"  the whole import       {import_time:.2f} s, {import_time / their_time:.2f} times icalendar's parse"
    )
    print(
        f"  events                 {held:,} imported or past; {'the same' if same else 'NOT the same'} by both readers"
    )
    return 0 if same and ratio <= TARGET and held == options.events else 1


if __name__ == "__main__":
    sys.exit(main())
