"""Bookings for half an hour while everything fails: ``make soak`` (``SOAK_MINUTES``, ``SOAK_RATE`` wishes a second).

Two web processes, a writer, two workers, the clock, PostgreSQL, Valkey, the sandbox with accounts at Google and
Microsoft, and Radicale. Clients book, repeat, and cancel over HTTP; meanwhile faults are switched on and off at random,
processes are killed or stopped, Redis is emptied or killed, the database restarted, and people change their calendars
and reconnect accounts when a letter asks them to. What ends is started again, as a supervisor would. At the end the
faults stop, what was parked is retried, and the checker compares what the clients were told with the database, with
every calendar at its provider, with our mirror of it, and with the letters that arrived.

A line each minute tells how far it is.
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
from urllib.parse import parse_qs, urlsplit

import httpx
from cryptography.fernet import Fernet

from calendar_app.sandbox.environment import caldav_environment, sandbox_environment
from tests.faults import soak_business
from tests.faults.soak_business import Place
from tests.faults.soak_check import backlog, check, settle
from tests.faults.soak_trouble import Server, Trouble, reconnect, until_up
from tests.support import databases, servers
from tests.support.mail_server import mail_server
from tests.worker.processes import signal_session

_TLS = ssl.create_default_context()  # made once: httpx would make one per request
CLIENTS, DAYS, WEBS, WORKERS = 24, 45, 2, 2
RATE = float(os.environ.get("SOAK_RATE", "6"))
"""Wishes a second, of all clients together; about half of them can be fulfilled."""


@dataclass
class Wish:
    """One booking as its client knows it: ``unknown`` until an answer came."""

    place: int
    start: datetime
    email: str
    name: str
    key: str
    outcome: str = "unknown"
    booking: str = ""


@dataclass
class Soak:
    """The running product and what was asked of it."""

    folder: Path
    sandbox_url: str = ""
    database: str = ""
    first: datetime = field(
        default_factory=lambda: (
            datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=2)
        )
    )
    days: int = DAYS
    ports: list[int] = field(default_factory=list)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    commands: dict[str, list[str]] = field(default_factory=dict)
    places: list[Place] = field(default_factory=list)
    wishes: list[Wish] = field(default_factory=list)
    chaos: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    letters: list[str] = field(default_factory=list)
    again: int = 0
    over: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)
    failures: list[str] = field(default_factory=list)
    begun: float = field(default_factory=time.monotonic)

    def say(self, text: str) -> None:
        passed = int(time.monotonic() - self.begun)
        print(f"{passed // 60:>3}:{passed % 60:02} {text}", flush=True)  # noqa: T201

    def count(self, what: str) -> None:
        with self.lock:
            self.chaos[what] += 1

    def start(self, name: str) -> None:
        log = (self.folder / f"{name}.log").open("ab")
        self.processes[name] = subprocess.Popen(
            [sys.executable, "-m", *self.commands[name]], stdout=log, stderr=log, start_new_session=True
        )
        log.close()

    def kill(self, name: str) -> None:
        signal_session(self.processes[name].pid, signal.SIGKILL)

    def supervise(self) -> None:
        """Start again what has ended, until everything is over."""
        while not self.ended.wait(0.5):
            for name, process in list(self.processes.items()):
                if process.poll() is not None:
                    signal_session(process.pid, signal.SIGKILL)  # children that it left behind
                    self.count(f"started again: {name.rstrip('0123456789')}")
                    self.start(name)

    def control(self, method: str, path: str, body: Any = None) -> httpx.Response:
        return httpx.request(
            method, f"{self.sandbox_url}/sandbox/api/{path}", json=body, timeout=30, verify=_TLS
        )

    # what people do

    def client(self, number: int) -> None:
        chance = random.Random(number)
        mine: list[tuple[Wish, str]] = []
        while not self.over.wait(chance.expovariate(RATE / CLIENTS)):
            if mine and chance.random() < 0.1:
                self.cancel(*mine.pop(chance.randrange(len(mine))))
                continue
            place = chance.randrange(len(self.places))
            start = self.first + timedelta(minutes=30 * chance.randrange(self.days * 48))
            if self.wishes and chance.random() < 0.3:  # what somebody else wants, or has
                rival = chance.choice(self.wishes[-20:])
                place, start = rival.place, rival.start
            key = secrets.token_hex(8)
            wish = Wish(place, start, f"c{number}-{key}@example.org", f"Soaked {key[:8]}", key)
            with self.lock:
                self.wishes.append(wish)
            if token := self.book(wish, chance):
                mine.append((wish, token))

    def owners(self) -> None:
        """People read their letters, and reconnect."""
        while not self.over.wait(10):
            try:
                reconnect(self)
            except Exception as error:  # noqa: BLE001  # faults meet people, too; they try again
                self.count(f"reconnecting failed: {type(error).__name__}")

    def book(self, wish: Wish, chance: random.Random, tries: int = 20) -> str:
        """Until an answer says what became of it; a client that gives up leaves it unknown."""
        body = {
            "event_type_id": self.places[wish.place].kind,
            "start": wish.start.isoformat(),
            "timezone": "Europe/Berlin",
            "name": wish.name,
            "email": wish.email,
        }
        for attempt in range(tries):
            answer = self.send(chance, "/bookings", body, wish.key)
            if answer is None or answer.status_code in (429, 502, 503):
                time.sleep(min(4.0, 0.5 * (attempt + 1)))
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


def _port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(url: str, seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            if httpx.get(url, timeout=5).status_code < 500:
                return
        except httpx.TransportError:
            if time.monotonic() > deadline:
                raise SystemExit(f"{url} does not answer") from None
        time.sleep(0.1)


def _commands(soak: Soak, sandbox_port: int) -> dict[str, list[str]]:
    """The Procfile's processes, the web ones without pages."""
    served = ["uvicorn", "--log-level", "critical", "--port"]
    work = ["rq.cli", "worker", "--quiet", "--worker-class", "calendar_app.worker.runner.Worker"]
    work += ["--worker-ttl", "90", "--config", "calendar_app.worker.config"]
    commands = {"sandbox": [*served, str(sandbox_port), "calendar_app.sandbox.app:app"]}
    commands["caldav"] = ["calendar_app.sandbox.caldav.server"]
    for number, port in enumerate(soak.ports):
        commands[f"web{number}"] = [*served, str(port), "--factory", "calendar_app.api.app:create_api"]
    commands["writer"] = [*work, "writes"]
    commands |= {f"worker{number}": [*work, "--with-scheduler"] for number in range(WORKERS)}
    commands["cron"] = ["calendar_app.worker.cron"]
    return commands


def run(minutes: float) -> int:
    """The whole soak; 0 where everything held."""
    with ExitStack() as stack:
        folder = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="soak-", ignore_cleanup_errors=True))
        )
        soak = Soak(folder)
        server = stack.enter_context(servers.postgres_server())
        soak.database = databases.postgres_database(server, "soak")
        redis = stack.enter_context(servers.valkey_server())
        mail = stack.enter_context(mail_server())
        mail.received = _Heard(soak.letters)
        sandbox_port, soak.ports = _port(), [_port() for _ in range(WEBS)]
        soak.sandbox_url = f"http://127.0.0.1:{sandbox_port}"
        os.environ |= sandbox_environment("http://localhost:3000", soak.sandbox_url, _port())
        os.environ |= caldav_environment(_port(), sandbox_port)
        os.environ |= {
            "BASE_URL": f"http://localhost:{soak.ports[0]}",
            "DATA_DIR": str(folder),
            "DATABASE_URL": soak.database,
            "REDIS_URL": redis,
            "SMTP_URL": mail.url,
            "SECRET_KEY": secrets.token_hex(32),
            "ENCRYPTION_KEYS": Fernet.generate_key().decode(),
            "HTTP_TIMEOUT": "3",
            "BOOKINGS_PER_MINUTE": "100000",
            "SANDBOX_REDIRECT_URIS": "http://localhost:3000/api/v1/connections/google/callback,"
            "http://localhost:3000/api/v1/connections/microsoft/callback",
        }
        soak.commands = _commands(soak, sandbox_port)
        stack.callback(lambda: [soak.kill(name) for name in soak.processes])
        stack.callback(soak.ended.set)
        for name in ("caldav", "sandbox"):
            soak.start(name)
        _answers(f"{soak.sandbox_url}/sandbox/api/state")
        _answers(os.environ["SANDBOX_CALDAV_URL"])
        stack.enter_context(databases.in_use("postgresql", soak.database))
        soak.places = soak_business.opened(soak.sandbox_url)
        for name in soak.commands:
            if name not in soak.processes:
                soak.start(name)
        for port in soak.ports:
            _answers(f"http://127.0.0.1:{port}/health")
        soak_business.ask_for_all(soak.places)
        homes = redis.removeprefix("unix://").rpartition("/")[0], parse_qs(urlsplit(server).query)["host"][0]
        # An immediate end of the database would lose what it was told not to sync (synchronous_commit=off).
        trouble = Trouble(soak, Server(homes[0], signal.SIGKILL), Server(homes[1], signal.SIGINT))
        stack.callback(trouble.redis.stop)
        stack.callback(trouble.database.stop)
        return _report(soak, trouble, minutes)


class _Heard(list[Any]):
    """Letters that arrive, of which only the Message-ID is kept."""

    def __init__(self, ids: list[str]) -> None:
        self._ids = ids

    def append(self, letter: Any) -> None:
        self._ids.append(str(letter.message["Message-ID"]).strip())


def _report(soak: Soak, trouble: Trouble, minutes: float) -> int:
    threads = [threading.Thread(target=soak.client, args=(n,), daemon=True) for n in range(CLIENTS)]
    threads += [threading.Thread(target=work, daemon=True) for work in (trouble.loop, soak.owners)]
    threading.Thread(target=soak.supervise, daemon=True).start()
    soak.begun = time.monotonic()
    for thread in threads:
        thread.start()
    while (left := minutes * 60 - (time.monotonic() - soak.begun)) > 0:
        soak.over.wait(min(left, 60))
        _progress(soak)
    soak.over.set()
    for thread in threads:
        thread.join()
    soak.control("DELETE", "faults")
    until_up(soak.database)
    soak.say(f"{len(soak.wishes)} wishes in {minutes:g} minutes")
    parked, left = settle(soak)
    wrong = check(soak)
    lines = [
        f"clients were told: {dict(Counter(wish.outcome for wish in soak.wishes))}",
        f"HTTP statuses: {dict(sorted(soak.statuses.items()))} (0: no answer)",
        f"went wrong: {dict(sorted(soak.chaos.items()))}",
        f"writes parked on the way: {parked}, left unwritten: {left}",
        f"letters: {len(soak.letters)}, of them handed over a second time after a crash: {soak.again}",
        f"disagreements: {len(wrong)}",
        *wrong[:40],
    ]
    soak.say("\n".join(lines))
    if wrong and (kept := os.environ.get("SOAK_KEEP")):
        _keep(soak.folder, Path(kept))
    return 1 if wrong or left else 0


def _keep(folder: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for log in folder.glob("*.log"):
        (target / log.name).write_bytes(log.read_bytes())


def _progress(soak: Soak) -> None:
    outcomes = Counter(wish.outcome for wish in list(soak.wishes))
    try:
        unwritten: Any = backlog()
    except Exception as error:  # noqa: BLE001  # the database may be down at the moment
        unwritten = type(error).__name__
    soak.say(
        f"booked {outcomes['ok']}, cancelled {outcomes['cancelled']}, refused {outcomes['refused']}, "
        f"unknown {outcomes['unknown']}; unwritten {unwritten}; troubles {sum(soak.chaos.values())}"
    )


if __name__ == "__main__":
    sys.exit(run(float(os.environ.get("SOAK_MINUTES", "30"))))
