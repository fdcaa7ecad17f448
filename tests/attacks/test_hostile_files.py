"""Hostile calendars through a real web process: as a file that is imported, and behind a link that is followed.

Each must end within two seconds of CPU and 200 MB over what the process had, in a calendar or in a typed error. CPU
time, as the machine may be busy; memory is the kernel's high-water mark, set back before each file.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from redis import Redis

from calendar_app.settings import Settings
from tests.attacks.test_typed_addresses import Server, reply
from tests.concurrency.storm import Web, web_processes
from tests.support.databases import Database
from tests.support.long_form import LONG
from tests.support.people import User, user

pytestmark = [pytest.mark.slow, pytest.mark.serial, pytest.mark.timeout(300)]

SECONDS, BYTES = 2.0, 200 * 2**20
TICKS = os.sysconf("SC_CLK_TCK")
START = "DTSTART:20261201T090000Z"
SHORT = {"nested", "exdates", "a long line", "counted", "year one", "nul", "invalid utf-8", "every second"}


def _event(number: int, *lines: str) -> str:
    return "\r\n".join(["BEGIN:VEVENT", f"UID:{number}", *lines, "END:VEVENT"])


def _calendar(*parts: str) -> bytes:
    return "\r\n".join(["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:x", *parts, "END:VCALENDAR", ""]).encode()


def _rule(rule: str, times: int = 1) -> bytes:
    return _calendar(*(_event(number, START, f"RRULE:{rule}") for number in range(times)))


FILES: dict[str, Callable[[], bytes]] = {
    "every second": lambda: _rule("FREQ=SECONDLY"),
    "every second, often": lambda: _rule("FREQ=SECONDLY", 1_000),
    "counted": lambda: _rule("FREQ=MINUTELY;COUNT=1000000000", 9),
    "no interval": lambda: _rule("FREQ=DAILY;INTERVAL=0"),
    "never": lambda: _rule("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", 200),
    "nested": lambda: b"BEGIN:VCALENDAR\r\n" + b"BEGIN:VEVENT\r\n" * 5_000,
    "nested, ended": lambda: _calendar("BEGIN:X\r\n" * 5_000 + "END:X\r\n" * 5_000),
    "exdates": lambda: _calendar(
        _event(1, START, "RRULE:FREQ=DAILY", *["EXDATE:20261202T090000Z"] * 100_000)
    ),
    "exdates in one line": lambda: _calendar(
        _event(1, START, "RRULE:FREQ=DAILY", "EXDATE:" + ",".join(["20261202T090000Z"] * 100_000))
    ),
    "a long line": lambda: _calendar(_event(1, START, "SUMMARY:" + "x" * (10 * 2**20 - 1_000))),
    "too long": lambda: _calendar(_event(1, START, "SUMMARY:" + "x" * (12 * 2**20))),
    "folds": lambda: _calendar(_event(1, START, "SUMMARY:" + "x\r\n " * 2_000_000)),
    "a long parameter": lambda: _calendar(
        _event(1, START, "ATTENDEE;CN=" + '"a",' * 2_000_000 + ":mailto:x")
    ),
    "year one": lambda: _calendar(_event(1, "DTSTART:00010101T000000Z", "RRULE:FREQ=DAILY")),
    "year 9999": lambda: _calendar(
        _event(1, "DTSTART:99991231T235959Z", "DURATION:P9999D", "RRULE:FREQ=DAILY")
    ),
    "nul": lambda: _calendar(_event(1, START, "SUMMARY:a\0b")),
    "invalid utf-8": lambda: _calendar(_event(1, START, "SUMMARY:?")).replace(b"?", b"\xff\xfe\xc3\x28"),
    "components": lambda: b"BEGIN:VCALENDAR\r\n" + b"BEGIN:VEVENT\r\nEND:VEVENT\r\n" * 200_000,
    "nothing but zeros": lambda: bytes(10 * 2**20),
    "nothing": lambda: b"",
}


class Watched:
    """What one process has used, as the kernel counts it."""

    def __init__(self, pid: int) -> None:
        self._home = Path(f"/proc/{pid}")

    def begin(self) -> None:
        (self._home / "clear_refs").write_text("5")
        self._memory, self._cpu = self._status("VmRSS"), self._seconds()

    def end(self) -> tuple[float, int]:
        """Seconds of CPU, and bytes more than before."""
        return self._seconds() - self._cpu, self._status("VmHWM") - self._memory

    def _status(self, field: str) -> int:
        (line,) = (
            line for line in (self._home / "status").read_text().splitlines() if line.startswith(field)
        )
        return int(line.split()[1]) * 1024

    def _seconds(self) -> float:
        fields = (self._home / "stat").read_text().rpartition(") ")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS


@pytest.fixture
def ada(database: Database, redis_server: Redis, configure: Callable[..., Settings]) -> User:
    if database.kind == "postgresql" and not LONG:
        pytest.skip("on SQLite alone, but in the long form")
    configure(ALMANAC_SANDBOX="off")
    return user()


@pytest.fixture
def link(ada: User, configure: Callable[..., Settings]) -> Iterator[dict[str, bytes]]:
    """Calendars by their path, on a server that may be called, at ``host``."""
    files: dict[str, bytes] = {}
    server = Server(lambda request: reply(request, 200, files[request.path], content_type="text/calendar"))
    with server.running():
        configure(ALLOWED_PRIVATE_HOSTS=server.host)
        files["host"] = server.host.encode()
        yield files


@pytest.fixture
def web(link: dict[str, bytes]) -> Iterator[Web]:
    with web_processes(1) as running:
        yield running[0]


def test_hostile_calendars_end_soon_and_small(
    ada: User,
    link: dict[str, bytes],
    web: Web,
    redis_server: Redis,
    record_property: Callable[[str, object], None],
) -> None:
    """Imported and followed: an answer in time and within memory, 2xx or a 4xx with a code, never a 5xx."""
    watched, most, slowest = Watched(web.process.pid), 0, 0.0
    with httpx.Client(base_url=f"{web.url}/api/v1", headers=ada.bearer, timeout=60) as client:
        client.post("/calendars/import", files={"file": ("first.ics", _calendar(_event(1, START)))})
        kinds = [name for name in FILES if LONG or name in SHORT]
        for name in kinds:
            content = FILES[name]()
            path = f"/{name.replace(' ', '-')}.ics"
            link[path] = content
            address = f"http://{link['host'].decode()}{path}"
            for how, send in (
                ("file", lambda c=content: client.post("/calendars/import", files={"file": ("a.ics", c)})),
                ("link", lambda a=address: client.post("/connections/ics", json={"url": a})),
            ):
                redis_server.flushall()  # limits
                watched.begin()
                answer = send()  # type: ignore[no-untyped-call]
                took, grown = watched.end()
                _typed(f"{name} by {how}", answer)
                assert took < SECONDS, f"{name} by {how}: {took:.1f} s"
                assert grown < BYTES, f"{name} by {how}: {grown / 2**20:.0f} MB"
                most, slowest = max(most, grown), max(slowest, took)
        assert client.get("/me").status_code == 200
    record_property(
        "count",
        f"{len(kinds)} files, each by file and by link: {slowest:.1f} s, {most / 2**20:.0f} MB at most",
    )


def _typed(name: str, answer: httpx.Response) -> None:
    assert answer.status_code < 500, (name, answer.text[:300])
    if answer.status_code >= 400:
        assert answer.json()["code"] in (
            "not_a_calendar",
            "calendar_too_large",
            "too_large",
            "provider_unavailable",
        ), (name, answer.text[:300])
