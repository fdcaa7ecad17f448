"""Expands a year of 1,000 recurring events: our engine beside ``recurring-ical-events`` on the same calendar file.

    python -m benchmarks.recurrence [--rounds 5] [--masters 1000]

Both sides read the file first; only the expansion is timed (CPU, best round of each), and the occurrences must be
the same instants with the same titles. Exit status 1 when they are not, or when ours is not ten times faster.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
import warnings
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

from calendar_app.domain.event import CalendarEvent
from calendar_app.domain.ics import read_calendar
from calendar_app.domain.recurrence import Occurrence, expand
from calendar_app.domain.timespan import Span, instant

YEAR = Span(instant(datetime(2026, 1, 1, tzinfo=UTC)), instant(datetime(2027, 1, 1, tzinfo=UTC)))
ZONES = (
    "Europe/Berlin",
    "America/New_York",
    "America/Los_Angeles",
    "Asia/Kolkata",
    "Australia/Sydney",
    "America/Sao_Paulo",
    "UTC",
)
DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
TARGET = 10.0
Row = tuple[int, int, str]


def calendar_file(masters: int = 1000, seed: int = 20260101) -> str:
    """A calendar like a busy company's: mostly weekly and daily series in several zones, some cut and some changed."""
    chance = random.Random(seed)
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Almanac//benchmark//EN"]
    for number in range(masters):
        lines += _series(number, chance)
    return "\r\n".join([*lines, "END:VCALENDAR", ""])


def _rule(chance: random.Random, start: datetime) -> str:
    day = DAYS[start.weekday()]
    interval = chance.choice((1, 1, 1, 2))
    kind = chance.random()
    if kind < 0.11:
        return f"FREQ=DAILY;INTERVAL={chance.choice((1, 1, 2, 3))}"
    if kind < 0.18:
        return "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR"
    if kind < 0.68:
        others = chance.sample(DAYS[:5], chance.choice((0, 1, 2)))
        return f"FREQ=WEEKLY;INTERVAL={interval};BYDAY={','.join(sorted({day, *others}, key=DAYS.index))}"
    if kind < 0.81:
        return f"FREQ=MONTHLY;BYMONTHDAY={start.day}"
    if kind < 0.94:
        return f"FREQ=MONTHLY;BYDAY={(start.day - 1) // 7 + 1}{day}"
    return "FREQ=YEARLY"


def _series(number: int, chance: random.Random) -> list[str]:
    start = datetime(2023, 1, 2, tzinfo=UTC) + timedelta(days=chance.randrange(900))
    if start.weekday() > 4:
        start -= timedelta(days=2)  # DTSTART belongs to the rule, as RFC 5545 §3.8.5.3 asks
    start = start.replace(hour=chance.randrange(4, 20), minute=chance.choice((0, 15, 30, 45)))
    all_day, zone = chance.random() < 0.05, chance.choice(ZONES)
    length = timedelta(days=1) if all_day else timedelta(minutes=chance.choice((15, 30, 60, 90)))
    rule = _rule(chance, start)
    ending = chance.random()
    if ending < 0.1:
        rule += f";COUNT={chance.choice((100, 500, 2000))}"
    elif ending < 0.2:
        rule += ";UNTIL=20261015" if all_day else ";UNTIL=20261015T120000Z"

    def when(name: str, moment: datetime) -> str:
        if all_day:
            return f"{name};VALUE=DATE:{moment:%Y%m%d}"
        return (
            f"{name}:{moment:%Y%m%dT%H%M%S}Z"
            if zone == "UTC"
            else f"{name};TZID={zone}:{moment:%Y%m%dT%H%M%S}"
        )

    def event(title: str, begin: datetime, *more: str) -> list[str]:
        uid = f"UID:series-{number}@benchmark.invalid"
        times = (when("DTSTART", begin), when("DTEND", begin + length))
        return ["BEGIN:VEVENT", uid, *times, f"SUMMARY:{title}", *more, "END:VEVENT"]

    extra = [f"RRULE:{rule}"]
    changed: list[str] = []
    if (
        rule.startswith("FREQ=WEEKLY") and "COUNT" not in rule
    ):  # an occurrence is known without asking an engine
        step = 14 if "INTERVAL=2" in rule else 7
        first = (datetime(2026, 2, 1, tzinfo=UTC) - start).days // step + 1
        known = [start + timedelta(days=step * week) for week in range(first, first + 240 // step)]
        chance.shuffle(known)
        if chance.random() < 0.3:
            extra += [when("EXDATE", moment) for moment in known[:3]]
        if chance.random() < 0.2:
            moved = known[4]
            changed = event("Moved", moved + timedelta(hours=2), when("RECURRENCE-ID", moved), "SEQUENCE:1")
    return event(f"Series {number}", start, *extra, "SEQUENCE:0") + changed


def ours(text: str) -> Callable[[], list[Row]]:
    """Our expansion of the file, ready to run."""
    events = read_calendar(text).events
    changes: dict[str, list[CalendarEvent]] = {}
    for event in events:
        if event.master_id is not None:
            changes.setdefault(event.master_id, []).append(event)
    masters = [event for event in events if event.master_id is None]

    def run() -> list[Occurrence]:
        found: list[Occurrence] = []
        for master in masters:
            found += expand(master, changes.get(master.remote_id, ()), YEAR, "UTC", limit=100_000)
        return found

    return run  # type: ignore[return-value]


def theirs(text: str) -> Callable[[], list[Any]]:
    """The library's expansion of the file, ready to run."""
    import icalendar
    import recurring_ical_events

    query = recurring_ical_events.of(icalendar.Calendar.from_ical(text))
    return lambda: list(query.between(datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)))


def _seconds(value: date | datetime) -> int:
    moment = (
        value if isinstance(value, datetime) else datetime(value.year, value.month, value.day, tzinfo=UTC)
    )
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def _best(run: Callable[[], list[Any]], rounds: int) -> tuple[float, list[Any]]:
    best, result = float("inf"), []
    for _ in range(rounds):
        begin = time.process_time()
        result = run()
        best = min(best, time.process_time() - begin)
    return best, result


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--masters", type=int, default=1000)
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # the other library's own
    text = calendar_file(options.masters)
    begin = time.process_time()
    run = ours(text)
    reading = time.process_time() - begin
    begin = time.process_time()
    their_run = theirs(text)
    their_reading = time.process_time() - begin
    own_time, own = _best(run, options.rounds)
    their_time, their = _best(their_run, min(2, options.rounds))
    own_rows = sorted((o.start, o.end, o.event.summary) for o in own)
    their_rows = sorted(
        (_seconds(e["DTSTART"].dt), _seconds(e["DTEND"].dt), str(e["SUMMARY"])) for e in their
    )
    ratio = their_time / own_time
    print(f"recurrence: {options.masters} masters, one year")
    print(f"  occurrences            ours {len(own_rows):,}   recurring-ical-events {len(their_rows):,}")
    print(
        f"  reading the file       ours {reading * 1e3:,.0f} ms   recurring-ical-events {their_reading * 1e3:,.0f} ms"
    )
    print(
        f"  expanding              ours {own_time * 1e3:,.0f} ms   recurring-ical-events {their_time * 1e3:,.0f} ms"
    )
    print(f"  ratio                  {ratio:.1f} (at least {TARGET:.0f} wanted)")
    if own_rows != their_rows:
        different = set(own_rows) ^ set(their_rows)
        print(f"  DISAGREE on {len(different)} occurrences, for example {sorted(different)[:3]}")
    return 0 if own_rows == their_rows and ratio >= TARGET else 1


if __name__ == "__main__":
    sys.exit(main())
