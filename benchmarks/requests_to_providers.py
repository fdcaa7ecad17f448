"""What an installation asks of its providers in a day: requests, bytes and processor time per connection.

    python -m benchmarks.requests_to_providers [--push on|off|both] [--json FILE]

One account at each stand-in (Google, Microsoft, Calendly, CalDAV with Radicale's three calendars, a calendar link) is
connected, and then days go by on a clock that is moved by hand: half a day to settle, a day in which nothing changes,
and a day with 20 changes in each account, one every 29 minutes from eight on. Every minute what cron would queue is
queued, by the product's own schedule, and worked off. Pushes go over real HTTP to the product's API.

Requests and bytes are counted in front of the stand-ins, so that token refreshes, channels and listings of calendars
are among them. Processor time is that of the thread that does what cron and workers do, per connection, all providers
alike. Beside it stands how long it took until a change stood in the mirror.

Exit status 1 when a change was lost, or when a connection with push, or CalDAV, asks more than 0.1 times a minute while
nothing changes.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from croniter import croniter
from redis import Redis
from rq import Queue
from sqlmodel import select
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from calendar_app import clock, queues
from calendar_app.api.app import create_api
from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import Event, Person
from calendar_app.providers import registry
from calendar_app.providers.base import Capability
from calendar_app.settings import get_settings
from calendar_app.worker import jobs
from calendar_app.worker.schedule import cron
from tests.faults.office import Office, opened
from tests.sandbox.radicale import RadicaleProcess
from tests.sandbox.server import Sandbox, running_sandbox, serving
from tests.support import databases, servers
from tests.support.clock import Clock

PROVIDERS = ("google", "microsoft", "calendly", "caldav", "ics")
WITH_PUSH = ("google", "microsoft", "calendly")
BEGIN = datetime(2026, 11, 17, 12, 0, tzinfo=UTC)
SETTLED, RESTED, CHANGED = timedelta(hours=12), timedelta(hours=36), timedelta(hours=60)
MOST_PER_MINUTE = 0.1
_REFUSED = {"google": "/watch", "microsoft": "/subscriptions", "calendly": "/webhook_subscriptions"}


@dataclass
class Counted:
    """Requests to one stand-in, and bytes of bodies both ways."""

    requests: int = 0
    received: int = 0


class Counter:
    """ASGI in front of the sandbox: counts what is asked of each provider."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.counts: dict[str, Counted] = defaultdict(Counted)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        provider = _provider(scope.get("path", ""))
        past = (b"x-past-switches", b"1") in scope.get("headers", ())
        if scope["type"] != "http" or provider is None or past:
            await self._app(scope, receive, send)
            return
        counted = self.counts[provider]
        counted.requests += 1

        async def counting_receive() -> Message:
            message = await receive()
            counted.received += len(message.get("body", b""))
            return message

        async def counting_send(message: Message) -> None:
            counted.received += len(message.get("body", b""))
            await send(message)

        await self._app(scope, counting_receive, counting_send)

    def take(self) -> dict[str, Counted]:
        """What was counted since this was asked last."""
        counts, self.counts = self.counts, defaultdict(Counted)
        return counts


def _provider(path: str) -> str | None:
    parts = path.split("/")
    if len(parts) < 3 or parts[1] != "sandbox":
        return None
    return parts[2] if parts[2] in PROVIDERS else "ics" if path.endswith(".ics") else None


@dataclass
class Change:
    """Something that an account's owner did, and when it stood in our mirror."""

    provider: str
    title: str
    made: datetime
    seen: datetime | None = None


@dataclass
class Figures:
    """One provider's day: requests, kilobytes and milliseconds per connection; seconds until changes were seen."""

    requests: float
    kilobytes: float
    delays: list[float] = field(default_factory=list)


class Days:
    """An installation on a clock that is moved by hand."""

    def __init__(self, redis: Redis, counter: Counter, time_: Clock, offices: Sequence[Office]) -> None:
        self._redis, self._counter, self._clock, self._offices = redis, counter, time_, offices
        self._next = {number: BEGIN for number, _ in enumerate(_periodic())}
        self._worked_s = 0.0
        self.changes: list[Change] = []

    def run_until(
        self, moment: datetime, changes: Sequence[datetime] = ()
    ) -> tuple[dict[str, Figures], float]:
        """Let time go by; figures per provider, and milliseconds of processor time per connection."""
        self._counter.take()
        self._worked_s = 0.0
        first, waiting = len(self.changes), list(changes)
        while self._clock.now < moment:
            while waiting and waiting[0] <= self._clock.now:
                self._change(waiting.pop(0))
            self._tick()
            self._look()
            self._clock.advance(minutes=1)
        counts = self._counter.take()
        figures = {
            key: Figures(counts[key].requests, counts[key].received / 1000)
            for key in (office.vendor.key for office in self._offices)
        }
        for change in self.changes[first:]:
            seen = change.seen or datetime.max.replace(tzinfo=UTC)
            figures[change.provider].delays.append((seen - change.made).total_seconds())
        return figures, self._worked_s * 1000 / len(self._offices)

    def _tick(self) -> None:
        for number, (period, job) in enumerate(_periodic()):
            while self._next[number] <= self._clock.now:
                self._next[number] = period(self._next[number])
                self._do(job)
        self._work()

    def _do(self, job: Any, *arguments: Any) -> None:
        begun = time.thread_time()
        job(*arguments)
        self._worked_s += time.thread_time() - begun

    def _work(self) -> None:
        while found := [job for name in queues.ALL for job in Queue(name, connection=self._redis).jobs]:
            for job in found:
                job.delete()
                self._do(getattr(jobs, str(job.func_name).rpartition(".")[2]), *job.args)

    def _change(self, moment: datetime) -> None:
        """One change in every account; pushes that it brings are waited for."""
        for office in self._offices:
            title = f"Change {len(self.changes)}"
            self.changes.append(Change(office.vendor.key, title, moment))
            office.add_outside(title, moment + timedelta(days=3))
        deadline = time.monotonic() + 0.6
        while time.monotonic() < deadline:
            self._work()
            time.sleep(0.05)

    def _look(self) -> None:
        pending = [change for change in self.changes if change.seen is None]
        if not pending:
            return
        with reading() as session:
            titles = set(session.exec(select(Event.summary)).all())
        for change in pending:
            if change.title in titles:
                change.seen = self._clock.now


def _periodic() -> list[tuple[Any, Any]]:
    """What cron queues: when each job's next moment is, and the job."""
    return [
        (
            (lambda moment, data=data: moment + timedelta(seconds=data["interval"]))
            if data["interval"]
            else (lambda moment, data=data: croniter(data["cron"], moment).get_next(datetime)),
            data["func"],
        )
        for data in cron._job_data_registry
    ]


@contextmanager
def installation(push: bool) -> Iterator[Days]:
    """Stand-ins, database, Redis and API of their own, with one account at each provider."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="almanac-bench-")))
        (folder / "radicale").mkdir()
        radicale = stack.enter_context(RadicaleProcess(folder / "radicale"))
        moment = Clock(BEGIN)
        stack.enter_context(clock.replayed(moment, 1))
        counter: list[Counter] = []

        def counted(app: ASGIApp) -> Counter:
            counter.append(Counter(app))
            return counter[0]

        sandbox = stack.enter_context(
            running_sandbox(clock=moment, wrap=counted, caldav_url=radicale.url, data_dir=radicale.data_dir)
        )
        url = stack.enter_context(servers.valkey_server())
        _configure(folder, sandbox, radicale.url, url)
        template = databases.sqlite_template(folder)
        address = databases.sqlite_copy(template, folder / "almanac.db")
        os.environ["DATABASE_URL"] = address
        api = stack.enter_context(serving(create_api()))
        os.environ["BASE_URL"] = api
        get_settings.cache_clear()
        stack.enter_context(databases.in_use("sqlite", address))
        offices = [_office(sandbox, key, radicale.url, push) for key in PROVIDERS]
        yield Days(Redis.from_url(url), counter[0], moment, offices)


def _configure(folder: Path, sandbox: Sandbox, radicale: str, redis: str) -> None:
    allowed = [httpx.URL(one).netloc.decode() for one in (sandbox.url, radicale)]
    os.environ.update(sandbox.environment)
    os.environ.update(DATA_DIR=str(folder / "app"), REDIS_URL=redis, ALLOWED_PRIVATE_HOSTS=",".join(allowed))
    get_settings.cache_clear()
    queues.forget()


def _office(sandbox: Sandbox, provider: str, radicale: str, push: bool) -> Office:
    made = opened(sandbox, provider, radicale)
    with transaction() as session:  # a person at each provider
        session.get_one(Person, made.connection.person_id).email = f"{provider}@example.com"
    if not push and Capability.PUSH in registry.kind(provider).capabilities:
        made.fault("forbidden", path=_REFUSED[provider], times=None)
    return made


def measure(push: bool) -> dict[str, Any]:
    """Figures of a day without changes and of one with twenty."""
    with installation(push) as days:
        days.run_until(BEGIN + SETTLED)
        rest, rest_ms = days.run_until(BEGIN + RESTED)
        morning = BEGIN + RESTED + timedelta(hours=8, minutes=2)
        moments = [morning + timedelta(minutes=29 * number) for number in range(20)]
        busy, busy_ms = days.run_until(BEGIN + CHANGED, moments)
    return {
        "push": push,
        "rest": {key: asdict(one) for key, one in rest.items()},
        "changes": {key: asdict(one) for key, one in busy.items()},
        "cpu_ms": {"rest": rest_ms, "changes": busy_ms},
    }


def report(found: dict[str, Any]) -> list[str]:
    """Print, and return what is wrong."""
    push, wrong = found["push"], []
    print(f"{'with' if push else 'without'} push, per connection and day")
    for name in ("rest", "changes"):
        title = "nothing changes" if name == "rest" else "20 changes"
        print(f"  {title}: {found['cpu_ms'][name]:,.0f} ms of processor time")
        for key, one in found[name].items():
            rate = one["requests"] / 1440
            seen = ""
            if delays := one["delays"]:
                seen = (
                    f"  seen after {statistics.median(delays) / 60:.0f} min, {max(delays) / 60:.0f} at most"
                )
                if max(delays) > 86_400:
                    wrong.append(f"A change at {key} was lost.")
            print(
                f"    {key:<10}{one['requests']:>6.0f} requests{rate:>8.3f} a minute{one['kilobytes']:>9.0f} kB{seen}"
            )
            aimed = name == "rest" and ((push and key in WITH_PUSH) or key == "caldav")
            if aimed and rate > MOST_PER_MINUTE:
                wrong.append(
                    f"{key} is asked {rate:.2f} times a minute at rest; {MOST_PER_MINUTE} is the most."
                )
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--push", choices=("on", "off", "both"), default="both")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    options = parser.parse_args()
    runs = [kind == "on" for kind in ("on", "off") if options.push in (kind, "both")]
    found = [measure(push) for push in runs]
    wrong = [sentence for one in found for sentence in report(one)]
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))
    for sentence in wrong:
        print(sentence, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
