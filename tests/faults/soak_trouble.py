"""What goes wrong during the soak: providers, processes, Redis, the database, and people at their own calendars."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import psycopg
from redis import Redis
from redis.exceptions import RedisError
from sqlmodel import col, select

from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import CalendarWrite, Connection, Mail
from calendar_app.providers.base import Grant
from calendar_app.services.connections import tokens as connection_tokens
from tests.faults.soak_business import tokens
from tests.worker.processes import signal_session

if TYPE_CHECKING:
    from tests.faults.soak import Soak

EVERYWHERE = ("rate_forbidden", "precondition", "throttled", "error", "bad_gateway", "unavailable")
EVERYWHERE += ("hang", "cut", "malformed", "drip")
PUSHES = ("push_lost", "push_duplicate", "push_late", "push_reordered")
KINDS = {
    "google": (*EVERYWHERE, *PUSHES, "unauthorized", "not_found"),
    "microsoft": (*EVERYWHERE, *PUSHES, "unauthorized"),
    "caldav": (*EVERYWHERE, "truncated"),
}
OPERATIONS = ("create", "update", "delete", "get", "list", "freebusy", "token", "")


class Server:
    """A database or Redis that was started for this run, found by its folder, to be stopped and started again."""

    def __init__(self, home: str, number: signal.Signals) -> None:
        self._number = number
        pid = next(
            int(entry.name)
            for entry in Path("/proc").glob("[0-9]*")
            if Path("".join(_command(entry)[:1]).partition(" ")[0]).name in ("postgres", "valkey-server")
            and any(home in word for word in _command(entry))
        )
        self._pid, entry = pid, Path(f"/proc/{pid}")
        self._arguments, self._folder = _command(entry), os.readlink(entry / "cwd")
        if "postgres" not in self._arguments[0]:  # Valkey puts a title in their place
            self._arguments = ["valkey-server", "--port", "0", "--unixsocket", f"{home}/valkey.sock"]
            self._arguments += ["--dir", home, "--save", "", "--appendonly", "no"]
        self._user, self._group = entry.stat().st_uid, entry.stat().st_gid
        self._executable = os.readlink(entry / "exe")
        self._process: subprocess.Popen[bytes] | None = None

    def restart(self, pause: float) -> None:
        """Down, for ``pause`` seconds, and up again."""
        os.kill(self._pid, self._number)
        deadline = time.monotonic() + 60
        while _command(Path(f"/proc/{self._pid}")) and time.monotonic() < deadline:
            if self._process:
                self._process.poll()
            time.sleep(0.05)
        time.sleep(pause)
        self._process = subprocess.Popen(
            self._arguments,
            executable=self._executable,
            cwd=self._folder,
            user=self._user,
            group=self._group,
            extra_groups=[],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._pid = self._process.pid

    def stop(self) -> None:
        """End what was started here."""
        if self._process:
            self._process.send_signal(self._number)
            self._process.wait(30)


def _command(entry: Path) -> list[str]:
    try:
        return (entry / "cmdline").read_bytes().decode().split("\0")[:-1]
    except OSError:
        return []


def until_up(database: str) -> None:
    """Wait for both servers."""
    for up in (
        lambda: psycopg.connect(database).close(),
        lambda: Redis.from_url(os.environ["REDIS_URL"]).ping(),
    ):
        deadline = time.monotonic() + 60
        while True:
            try:
                up()
                break
            except (psycopg.Error, RedisError):
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)


class Trouble:
    """One thing after the other, at random; ``loop`` is its thread."""

    def __init__(self, soak: Soak, redis: Server, database: Server) -> None:
        self.soak, self.redis, self.database = soak, redis, database

    def loop(self) -> None:
        chance = random.Random(4242)
        acts: list[Callable[[random.Random], None]] = [self.fault] * 10 + [self.kill_one] * 4
        acts += [self.add_event] * 4 + [self.rename_event] * 3
        acts += [self.freeze, self.flush, self.expire, self.redis_down, self.database_down]
        while not self.soak.over.wait(chance.uniform(0.5, 4)):
            act = chance.choice(acts)
            try:
                act(chance)
            except (httpx.HTTPError, RedisError) as error:
                self.soak.failures.append(f"{act.__name__}: {error!r}")

    def fault(self, chance: random.Random) -> None:
        provider = chance.choice(("google", "google", "microsoft", "caldav"))
        kind, operation = chance.choice(KINDS[provider]), chance.choice(OPERATIONS)
        if kind.startswith("push_"):
            operation = ""
        if kind in ("unauthorized", "not_found"):
            operation = "freebusy"  # "it is gone" of what stands would be a lie that nobody can see through
        if kind == "truncated" or (provider == "caldav" and operation in ("token", "freebusy", "")):
            operation = "list"
        body = {
            "provider": provider,
            "kind": kind,
            "operation": operation,
            "times": 1 if kind == "unauthorized" else chance.randint(1, 12),  # a second 401 ends a connection
            "probability": chance.choice([1.0, 0.5]),
            "after": chance.random() < 0.5 and kind not in ("unauthorized", "truncated"),
            "seconds": chance.uniform(0.5, 6),
            "retry_after": chance.choice(["", "1", "date:2"]) if kind == "throttled" else "",
        }
        answer = self.soak.control("POST", "faults", body)
        if answer.status_code == 400:  # that stand-in has no such operation
            self.soak.control("POST", "faults", body | {"operation": ""}).raise_for_status()
        self.soak.count(f"faults at {provider}")

    def kill_one(self, chance: random.Random) -> None:
        name = chance.choice([one for one in self.soak.processes if one not in ("sandbox", "caldav")])
        self.soak.kill(name)
        self.soak.count(f"kill -9 {name.rstrip('0123456789')}")

    def freeze(self, chance: random.Random) -> None:
        name = chance.choice([one for one in self.soak.processes if one.startswith(("worker", "writer"))])
        pid = self.soak.processes[name].pid
        signal_session(pid, signal.SIGSTOP)
        time.sleep(chance.uniform(1, 6))
        signal_session(pid, signal.SIGCONT)
        self.soak.count("SIGSTOP worker")

    def flush(self, _: random.Random) -> None:
        Redis.from_url(os.environ["REDIS_URL"]).flushall()
        self.soak.count("FLUSHALL")

    def redis_down(self, chance: random.Random) -> None:
        self.redis.restart(chance.uniform(0.5, 6))
        until_up(self.soak.database)
        self.soak.count("Redis killed")

    def database_down(self, chance: random.Random) -> None:
        self.database.restart(chance.uniform(0, 2))
        until_up(self.soak.database)
        self.soak.count("database restarted")

    def expire(self, chance: random.Random) -> None:
        provider, what = chance.choice(("google", "microsoft")), chance.choice(["tokens", "sync", "channels"])
        self.soak.control("POST", f"{provider}/expire", {"what": what}).raise_for_status()
        self.soak.count(f"expired {what}")

    def add_event(self, chance: random.Random) -> None:
        """Somebody adds an event of their own, where a booking may be on its way to."""
        place = chance.choice(self.soak.places)
        start = self.soak.first + timedelta(hours=chance.randrange(24 * self.soak.days))
        body: dict[str, Any] = {"title": "Own", "start": start.isoformat()}
        body["end"] = (start + timedelta(minutes=30)).isoformat()
        self.soak.control("POST", f"{place.provider}/calendars/{place.held}/events", body).raise_for_status()
        self.soak.count("outside: an event added")

    def rename_event(self, chance: random.Random) -> None:
        """Somebody edits the title of a booking's event."""
        place = chance.choice([one for one in self.soak.places if one.provider != "caldav"])
        with reading() as session:
            mine = select(CalendarWrite).where(
                CalendarWrite.calendar_id == place.calendar, col(CalendarWrite.state) == "verified"
            )
            rows = session.exec(mine.order_by(col(CalendarWrite.id).desc()).limit(30)).all()
        row = chance.choice(rows) if rows else None
        names = {wish.booking: wish.name for wish in list(self.soak.wishes)}
        if row is None or row.booking_id not in names:
            return
        path = f"{place.provider}/calendars/{place.held}/events/{row.remote_id}"
        answer = self.soak.control("PATCH", path, {"title": f"Room 4: with {names[row.booking_id]}"})
        if answer.status_code not in (404, 409, 410):  # cancelled meanwhile
            answer.raise_for_status()
        self.soak.count("outside: a title edited")


def reconnect(soak: Soak) -> None:
    """What people do who find the letter: connect the account again. One without a letter is a failure."""
    with reading() as session:
        broken = session.exec(select(Connection).where(col(Connection.status) == "needs_reconnect")).all()
    for row in broken:
        with transaction() as session:
            told = session.exec(
                select(Mail.id)
                .where(Mail.kind == "needs_reconnect")
                .where(col(Mail.dedupe).like(f"{row.id}:needs_reconnect:{row.token_version}:%"))
            ).all()
            if len(told) != 1:
                soak.failures.append(f"{row.account_email} needs its person, who got {len(told)} letters")
            fresh = tokens(soak.sandbox_url, row.provider, row.account_email)
            again = session.get_one(Connection, row.id)
            expires = None if row.provider == "caldav" else datetime.now(UTC) + timedelta(hours=1)
            connection_tokens.save_tokens(
                session, again, Grant(fresh["access_token"], fresh["refresh_token"], expires, ())
            )
            again.status, again.last_error, again.last_error_code = "connected", "", ""
        soak.count(f"reconnected {row.provider}")
