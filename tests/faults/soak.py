"""Bookings for half an hour while everything fails: ``make soak`` (``SOAK_MINUTES=5`` for less).

Two web processes, two workers, the clock, PostgreSQL, Valkey and the sandbox with four Google accounts. Clients book,
repeat, and cancel over HTTP; meanwhile faults are switched on and off at random, processes are killed or stopped, the
queue is flushed and people change their calendars. At the end the faults stop, what was parked is retried, and the
checker compares what the clients were told with the database and with every calendar.
"""

from __future__ import annotations

import os
import random
import secrets
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from cryptography.fernet import Fernet
from redis import Redis
from sqlmodel import col, select

from calendar_app.providers.base import Grant
from tests.worker.processes import signal_session

_TLS = ssl.create_default_context()  # made once: httpx would make one per request
ACCOUNTS, CLIENTS, DAYS, WEBS, WORKERS = 4, 6, 25, 2, 2
SETTLE_S = 3_600
KINDS = [
    *(
        "unauthorized",
        "rate_forbidden",
        "not_found",
        "precondition",
        "throttled",
        "error",
        "bad_gateway",
        "unavailable",
    ),
    *("hang", "cut", "malformed", "drip", "push_lost", "push_duplicate", "push_late", "push_reordered"),
]


@dataclass
class Wish:
    """One booking as its client knows it: ``unknown`` until an answer came."""

    account: int
    start: datetime
    email: str
    key: str
    outcome: str = "unknown"
    booking: str = ""


@dataclass
class Soak:
    """The running product and what was asked of it."""

    folder: Path
    sandbox_url: str = ""
    ports: list[int] = field(default_factory=list)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    commands: dict[str, list[str]] = field(default_factory=dict)
    kinds: list[str] = field(default_factory=list)
    calendars: list[str] = field(default_factory=list)
    wishes: list[Wish] = field(default_factory=list)
    chaos: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    over: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)
    failures: list[str] = field(default_factory=list)

    def start(self, name: str) -> None:
        log = (self.folder / f"{name}.log").open("ab")
        self.processes[name] = subprocess.Popen(
            [sys.executable, "-m", *self.commands[name]], stdout=log, stderr=log, start_new_session=True
        )
        log.close()

    def kill(self, name: str) -> None:
        signal_session(self.processes[name].pid, signal.SIGKILL)
        self.processes[name].wait(10)

    def control(self, method: str, path: str, body: Any = None) -> httpx.Response:
        return httpx.request(method, f"{self.sandbox_url}/sandbox/api/{path}", json=body, timeout=30)

    # what clients do

    def client(self, number: int) -> None:
        chance = random.Random(number)
        base = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=2)
        mine: list[tuple[Wish, str]] = []
        while not self.over.is_set():
            if mine and chance.random() < 0.1:
                self.cancel(*mine.pop(chance.randrange(len(mine))))
                continue
            account = chance.randrange(ACCOUNTS)
            start = base + timedelta(minutes=30 * chance.randrange(DAYS * 48))
            if self.wishes and chance.random() < 0.3:  # what somebody else wants, or has
                rival = chance.choice(self.wishes[-20:])
                account, start = rival.account, rival.start
            wish = Wish(account, start, f"c{number}-{secrets.token_hex(4)}@example.org", secrets.token_hex(8))
            with self.lock:
                self.wishes.append(wish)
            if token := self.book(wish, chance):
                mine.append((wish, token))

    def book(self, wish: Wish, chance: random.Random, tries: int = 8) -> str:
        """Until an answer says what became of it; a client that gives up leaves it unknown."""
        body = {
            "event_type_id": self.kinds[wish.account],
            "start": wish.start.isoformat(),
            "timezone": "Europe/Berlin",
            "name": "Soaked",
            "email": wish.email,
        }
        for attempt in range(tries):
            answer = self.send(chance, "/bookings", body, wish.key)
            if answer is None or answer.status_code in (429, 502, 503):
                time.sleep(0.5 * (attempt + 1))
                continue
            code = answer.json().get("code", "")
            if answer.status_code == 201:
                wish.outcome, wish.booking = "ok", answer.json()["id"]
                return str(answer.json()["manage_url"].rsplit("/", 1)[-1])
            if code == "request_in_flight":
                time.sleep(2)
                continue
            if answer.status_code >= 500:
                self.failures.append(f"{answer.status_code} {answer.text[:200]}")
            wish.outcome = "refused" if answer.status_code in (409, 422) else f"status {answer.status_code}"
            return ""
        return ""

    def cancel(self, wish: Wish, token: str) -> None:
        wish.outcome = "cancelling"
        for _ in range(8):
            path = f"/bookings/{wish.booking}/cancel?token={token}"
            answer = self.send(random.Random(), path, {}, "")
            if answer is not None and answer.status_code == 200:
                wish.outcome = "cancelled"
                return
            time.sleep(0.5)

    def send(self, chance: random.Random, path: str, body: Any, key: str) -> httpx.Response | None:
        headers = {"X-Forwarded-For": f"10.{chance.randrange(250)}.{chance.randrange(250)}.7"}
        headers |= {"Idempotency-Key": key} if key else {}
        url = f"http://127.0.0.1:{chance.choice(self.ports)}/api/v1{path}"
        try:
            answer = httpx.post(url, json=body, headers=headers, timeout=30, verify=_TLS)
        except httpx.TransportError:
            self.statuses[0] += 1
            return None
        self.statuses[answer.status_code] += 1
        return answer

    # what goes wrong

    def trouble(self) -> None:
        chance = random.Random(4242)
        acts = (
            [self.fault] * 6
            + [self.kill_one] * 3
            + [self.outside] * 4
            + [self.freeze, self.flush, self.expire]
        )
        while not self.over.wait(chance.uniform(0.5, 4)):
            act = chance.choice(acts)
            try:
                act(chance)
            except httpx.HTTPError as error:
                self.failures.append(f"{act.__name__}: {type(error).__name__}")

    def fault(self, chance: random.Random) -> None:
        kind = chance.choice(KINDS)
        operations = ["create", "update", "delete", "get", "list", "freebusy", "token", ""]
        operation = "" if kind.startswith("push") else chance.choice(operations)
        if kind in ("unauthorized", "not_found") and operation not in ("create", "list", "freebusy"):
            operation = "freebusy"  # "it is gone" of what stands would be a lie that nobody can see through
        if kind == "not_found":
            operation = "freebusy"
        body = {
            "provider": "google",
            "kind": kind,
            "operation": operation,
            "times": 1 if kind == "unauthorized" else chance.randint(1, 12),  # a second 401 ends a connection
            "probability": chance.choice([1.0, 0.5]),
            "after": chance.random() < 0.5,
            "seconds": chance.uniform(0.5, 6),
            "retry_after": chance.choice(["", "1", "date:2"]) if kind == "throttled" else "",
        }
        self.control("POST", "faults", body).raise_for_status()
        self.chaos["faults"] += 1

    def kill_one(self, chance: random.Random) -> None:
        name = chance.choice([n for n in self.processes if n != "sandbox"])
        self.kill(name)
        self.chaos[f"kill -9 {name.rstrip('0123456789')}"] += 1
        time.sleep(chance.uniform(0, 1))
        self.start(name)

    def freeze(self, chance: random.Random) -> None:
        name = chance.choice([n for n in self.processes if n.startswith("worker")])
        signal_session(self.processes[name].pid, signal.SIGSTOP)
        time.sleep(chance.uniform(1, 6))
        signal_session(self.processes[name].pid, signal.SIGCONT)
        self.chaos["SIGSTOP worker"] += 1

    def flush(self, _: random.Random) -> None:
        Redis.from_url(os.environ["REDIS_URL"]).flushall()
        self.chaos["FLUSHALL"] += 1

    def expire(self, chance: random.Random) -> None:
        what = chance.choice(["tokens", "sync", "channels"])
        self.control("POST", "google/expire", {"what": what}).raise_for_status()
        self.chaos[f"expired {what}"] += 1

    def outside(self, chance: random.Random) -> None:
        """Somebody adds an event of their own, where a booking may be on its way to."""
        start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(
            hours=chance.randrange(48, 24 * DAYS)
        )
        times = {
            "start": {"dateTime": start.isoformat()},
            "end": {"dateTime": (start + timedelta(minutes=30)).isoformat()},
        }
        account = f"host{chance.randrange(ACCOUNTS)}@example.com"
        self.control("POST", f"calendars/{account}/events", {"summary": "Own", **times}).raise_for_status()
        self.chaos["outside changes"] += 1


def _port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(url: str, seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            if httpx.get(url, timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            if time.monotonic() > deadline:
                raise SystemExit(f"{url} does not answer") from None
        time.sleep(0.1)


def _business(soak: Soak) -> None:
    """Four people, each with an account at the sandbox and an event type, open around the clock."""
    from tests.faults.office import DAYS as OPEN
    from tests.sandbox.server import Sandbox
    from tests.support import factories

    with httpx.Client(base_url=soak.sandbox_url) as client, ExitStack() as closing:
        sandbox = Sandbox(soak.sandbox_url, None, None, client, closing)  # type: ignore[arg-type]
        workspace = factories.workspace(timezone="Europe/Berlin")
        for number in range(ACCOUNTS):
            email = f"host{number}@example.com"
            person = factories.person(timezone="UTC", email=email)
            factories.membership(person, workspace)
            factories.schedule(person, workspace, weekly=OPEN, timezone="UTC")
            tokens = sandbox.tokens(email=email)
            connection = factories.connection(
                person,
                workspace,
                provider="google",
                account_email=email,
                access_token=tokens["access_token"],
                refresh_token=tokens["refresh_token"],
            )
            factories.calendar(
                connection, remote_id=email, is_primary=True, receives_bookings=True, checks_conflicts=True
            )
            kind = factories.event_type(workspace, person, durations=[30], step_minutes=30)
            soak.kinds.append(kind.id)
            soak.calendars.append(email)


def _settled(soak: Soak) -> tuple[int, int]:
    """Wait until nothing is left to write; how many writes had been parked, and how many are left."""
    from calendar_app.db.session import reading, transaction
    from calendar_app.db.tables import CalendarWrite, Connection
    from calendar_app.services import calendar_writes, grants
    from tests.sandbox.server import Sandbox

    with httpx.Client(base_url=soak.sandbox_url) as client, ExitStack() as closing, transaction() as session:
        sandbox = Sandbox(soak.sandbox_url, None, None, client, closing)  # type: ignore[arg-type]
        for row in session.exec(select(Connection).where(col(Connection.status) != "connected")):
            tokens = sandbox.tokens(email=row.account_email)
            expires = datetime.now(UTC) + timedelta(hours=1)
            grants.save(session, row, Grant(tokens["access_token"], tokens["refresh_token"], expires, ()))
            row.status, row.last_error, row.last_error_code = "connected", "", ""
            soak.chaos["reconnected at the end"] += 1
    parked: set[str] = set()
    deadline = time.monotonic() + SETTLE_S
    left = 1
    while left and time.monotonic() < deadline:
        with transaction() as session:
            for row in session.exec(select(CalendarWrite).where(col(CalendarWrite.state) == "failed")):
                parked.add(row.id)
                row.state, row.attempts = "queued", 0
                session.add(row)
            for row in session.exec(select(CalendarWrite).where(col(CalendarWrite.state) == "queued")):
                row.next_attempt_at = None
                session.add(row)
            for row in session.exec(select(CalendarWrite).where(col(CalendarWrite.state) == "written")):
                row.next_attempt_at, row.last_error_code = None, ""
                session.add(row)
        calendar_writes.sweep()
        time.sleep(3)
        with reading() as session:
            states = Counter(session.exec(select(CalendarWrite.state)))
        left = sum(states.values()) - states["verified"] - states["removed"]
    return len(parked), left


def check(soak: Soak) -> list[str]:
    """What does not agree: clients' knowledge, database and calendars; empty where everything holds."""
    from calendar_app.db.session import reading
    from calendar_app.db.tables import Booking
    from calendar_app.domain.event import BOOKING_MARK
    from tests.support.scheduling import assert_consistent

    assert_consistent()
    with reading() as session:
        rows = {row.id: row for row in session.exec(select(Booking))}
    by_email = Counter(row.email for row in rows.values())
    held: Counter[str] = Counter()
    for calendar in soak.calendars:
        items = soak.control("GET", f"calendars/{calendar}/events?limit=100000").json()["items"]
        marks = (item.get("extendedProperties", {}).get("private", {}).get(BOOKING_MARK) for item in items)
        held.update(mark for mark in marks if mark)
    wrong = list(soak.failures)
    for wish in soak.wishes:
        count, row = by_email[wish.email], rows.get(wish.booking)
        if wish.outcome in ("ok", "cancelled", "cancelling"):
            if count != 1 or row is None:
                wrong.append(f"{wish} was acknowledged and is there {count} times")
            elif wish.outcome == "ok" and row.status != "confirmed":
                wrong.append(f"{wish} was acknowledged and is {row.status}")
            elif wish.outcome == "cancelled" and row.status != "cancelled":
                wrong.append(f"{wish} was cancelled and is {row.status}")
        elif wish.outcome == "unknown":
            if count > 1:
                wrong.append(f"{wish} is unknown and is there {count} times")
        elif count:
            wrong.append(f"{wish} was refused and is there {count} times")
    for key, row in rows.items():
        expected = 1 if row.status == "confirmed" else 0
        if held[key] != expected:
            wrong.append(f"booking {key} ({row.status}) is {held[key]} times in its calendar")
    wrong += [f"an event of no booking: {mark}" for mark in held if mark not in rows]
    return wrong


def run(minutes: float) -> int:
    """The whole soak; 0 where everything held."""
    from tests.support import databases, servers

    with ExitStack() as stack:
        folder = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="soak-", ignore_cleanup_errors=True))
        )
        soak = Soak(folder)
        server = stack.enter_context(servers.postgres_server())
        url = databases.postgres_database(server, "soak")
        sandbox_port, soak.ports = _port(), [_port() for _ in range(WEBS)]
        soak.sandbox_url = f"http://127.0.0.1:{sandbox_port}"
        from calendar_app.sandbox.environment import sandbox_environment

        os.environ |= sandbox_environment("http://localhost:3000", soak.sandbox_url, _port())
        os.environ |= {
            "BASE_URL": f"http://localhost:{soak.ports[0]}",
            "DATA_DIR": str(folder),
            "DATABASE_URL": url,
            "REDIS_URL": stack.enter_context(servers.valkey_server()),
            "SECRET_KEY": secrets.token_hex(32),
            "ENCRYPTION_KEYS": Fernet.generate_key().decode(),
            "HTTP_TIMEOUT": "3",
            "BOOKINGS_PER_MINUTE": "100000",
            "SANDBOX_REDIRECT_URIS": "http://localhost:3000/api/v1/connections/google/callback",
        }
        web = ["uvicorn", "--factory", "calendar_app.api.app:create_api", "--log-level", "warning", "--port"]
        soak.commands["sandbox"] = [
            *(
                "uvicorn",
                "calendar_app.sandbox.app:app",
                "--log-level",
                "critical",
                "--port",
                str(sandbox_port),
            )
        ]
        soak.commands |= {f"web{n}": [*web, str(port)] for n, port in enumerate(soak.ports)}
        work = ["rq.cli", "worker", "--quiet", "--worker-class", "calendar_app.worker.runner.Worker"]
        work += ["--with-scheduler", "--config", "calendar_app.worker.config"]
        soak.commands |= {f"worker{n}": work for n in range(WORKERS)}
        soak.commands["cron"] = ["calendar_app.worker.cron"]
        stack.callback(lambda: [soak.kill(name) for name in soak.processes])
        soak.start("sandbox")
        _answers(f"{soak.sandbox_url}/sandbox/api/state")
        stack.enter_context(databases.in_use("postgresql", url))
        _business(soak)
        for name in soak.commands:
            if name != "sandbox":
                soak.start(name)
        for port in soak.ports:
            _answers(f"http://127.0.0.1:{port}/health")
        return _report(soak, minutes)


def _report(soak: Soak, minutes: float) -> int:
    threads = [threading.Thread(target=soak.client, args=(n,), daemon=True) for n in range(CLIENTS)]
    threads.append(threading.Thread(target=soak.trouble, daemon=True))
    for thread in threads:
        thread.start()
    soak.over.wait(minutes * 60)
    soak.over.set()
    for thread in threads:
        thread.join()
    soak.control("DELETE", "faults")
    print(f"{len(soak.wishes)} wishes in {minutes:g} minutes; settling ...", flush=True)  # noqa: T201
    parked, left = _settled(soak)
    wrong = check(soak)
    outcomes = Counter(wish.outcome for wish in soak.wishes)
    lines = [
        f"clients were told: {dict(outcomes)}",
        f"HTTP statuses: {dict(sorted(soak.statuses.items()))} (0: no answer)",
        f"went wrong: {dict(soak.chaos)}",
        f"writes parked on the way: {parked}, left unwritten: {left}",
        f"disagreements: {len(wrong)}",
        *wrong[:20],
    ]
    print("\n".join(lines), flush=True)  # noqa: T201
    return 1 if wrong or left else 0


if __name__ == "__main__":
    sys.exit(run(float(os.environ.get("SOAK_MINUTES", "30"))))
