"""Jobs per second through one real worker: what RQ costs, what we add, and bookings' events written end to end.

    python -m benchmarks.jobs [--jobs 300] [--postgres URL]

Redis, databases, worker and the sandbox's Google are processes of their own. A worker is stopped (``SIGSTOP``) while
its queue fills; the clock runs from when it goes on until its last job has ended. Beside jobs a second stands the
processor time that worker and jobs took for each, which holds on a busy machine, too.

The peer is RQ with its own worker class and nothing else (:mod:`benchmarks.plain_rq`, which that worker has imported
before it forks): a job that does nothing, and one that inserts an event and reads it back over the same HTTP. Ours does
that and keeps a promise: it claims the write, compares what is read back, records the receipt, tells open pages and
counts.

Exit status 1 when a job fails, or when an event of a booking is missing, there twice, or not recorded as verified.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import httpx
from redis import Redis
from rq import Queue
from sqlmodel import Session, col, select

from benchmarks import plain_rq
from benchmarks.answers import require
from benchmarks.sync import sandbox
from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import Booking, BookingHost, Calendar, CalendarWrite, EventType, Person
from calendar_app.domain.calendar_write import WriteState
from calendar_app.domain.event import BOOKING_MARK
from calendar_app.services.calendar_writes import planning as write_planning
from tests.sandbox.server import OWNER, Sandbox
from tests.support import databases, factories, servers
from tests.worker.processes import Process, wait_until

WRITES = "writes"
TICK = os.sysconf("SC_CLK_TCK")
PEER = ["rq.cli", "worker", "--quiet", "--config", "benchmarks.plain_rq", WRITES]
OURS = ["rq.cli", "worker", "--quiet", "--worker-class", "calendar_app.worker.runner.Worker"]
OURS += ["--worker-ttl", "90", "--config", "calendar_app.worker.config", WRITES]


@dataclass(frozen=True)
class Measured:
    """One run: jobs a second, and milliseconds of processor time for each job."""

    rate: float
    cpu_ms: float

    def __str__(self) -> str:
        return f"{self.rate:>9.0f}/s{self.cpu_ms:>9.1f} ms"


def spent(pid: int) -> float:
    """Seconds of processor time of a process and of the children that it has waited for."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return sum(map(int, fields[11:15])) / TICK


@contextmanager
def worker(arguments: list[str], log: Path) -> Iterator[Process]:
    """A worker that has done a job, and so has everything it needs."""
    queue = Queue(WRITES, connection=server())
    process = Process([*arguments, "--url", os.environ["REDIS_URL"]], {}, log)
    try:
        warm = queue.enqueue(plain_rq.nothing)
        wait_until(lambda: warm.get_status(refresh=True).value == "finished", 60)
        yield process
    finally:
        process.stop()


def server() -> Redis:
    return Redis.from_url(os.environ["REDIS_URL"])


def measured(process: Process, fill: Callable[[], int]) -> Measured:
    """What a worker makes of the jobs that ``fill`` queues (it returns how many)."""
    queue = Queue(WRITES, connection=server())
    process.pause()
    jobs = fill()
    before, begun = spent(process.pid), time.perf_counter()
    process.resume()
    wait_until(lambda: not queue.count and not queue.started_job_registry.get_job_count(cleanup=False), 600)
    took = time.perf_counter() - begun
    failed = queue.failed_job_registry.get_job_count(cleanup=False)
    require(f"{jobs} jobs", {"done": jobs - failed, "failed": failed}, "done")
    return Measured(jobs / took, (spent(process.pid) - before) * 1000 / jobs)


@dataclass(frozen=True)
class Office:
    """A business whose one calendar is at the sandbox's Google."""

    sandbox: Sandbox
    kind: EventType
    host: Person
    calendar: Calendar
    token: str

    @classmethod
    def opened(cls, sandbox: Sandbox) -> Office:
        workspace, person = factories.workspace(), factories.person()
        tokens = sandbox.tokens()
        connection = factories.connection(
            person, workspace, provider="google", account_email=OWNER, access_token=tokens["access_token"]
        )
        calendar = factories.calendar(connection, remote_id=OWNER, receives_bookings=True)
        kind = factories.event_type(workspace, person, title="Intro call")
        return cls(sandbox, kind, person, calendar, tokens["access_token"])

    def book(self, bookings: int) -> int:
        """So many bookings, whose events are then due."""
        first = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(days=400)
        with transaction() as session:
            for number in range(bookings):
                write_planning.plan(session, self._booking(session, first + timedelta(hours=number)))
        return bookings

    def post(self, events: int) -> int:
        """So many of the peer's jobs, each for an event like ours."""
        queue = Queue(WRITES, connection=server())
        url = f"{self.sandbox.api_url}/calendars/{OWNER}/events"
        first = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(days=400)
        for number in range(events):
            start = first + timedelta(hours=number)
            times = (start.isoformat(), (start + timedelta(minutes=30)).isoformat())
            body = {"summary": "Plain", "start": {"dateTime": times[0]}, "end": {"dateTime": times[1]}}
            queue.enqueue(plain_rq.post_event, url, self.token, body, result_ttl=0)
        return events

    def wrong(self) -> list[str]:
        """Bookings whose event is not in the calendar exactly once, or not recorded as verified."""
        answer = self.sandbox.client.get(
            f"/sandbox/api/calendars/{OWNER}/events", params={"limit": "100000"}, timeout=60
        )
        items = answer.raise_for_status().json()["items"]
        marks = Counter(
            item.get("extendedProperties", {}).get("private", {}).get(BOOKING_MARK) for item in items
        )
        mine = select(CalendarWrite).where(col(CalendarWrite.calendar_id) == self.calendar.id)
        with reading() as session:
            rows = session.exec(mine).all()
        return [
            f"{row.booking_id}: {row.state}, {marks[row.booking_id]} events"
            for row in rows
            if row.state != WriteState.VERIFIED or marks[row.booking_id] != 1
        ]

    def _booking(self, session: Session, start: datetime) -> Booking:
        row = Booking(
            workspace_id=self.kind.workspace_id,
            event_type_id=self.kind.id,
            start_at=start,
            end_at=start + timedelta(minutes=30),
            name="Grace Hopper",
            email="grace@example.org",
            uid=f"{start:%s}-{self.kind.id}@almanac",
            timezone="Europe/Berlin",
        )
        session.add(row)
        session.flush()
        session.add(BookingHost(booking_id=row.id, person_id=self.host.id))
        session.flush()
        return row


def empty(jobs: int, folder: Path) -> None:
    """A job that does nothing: RQ's own worker, and ours."""
    queue = Queue(WRITES, connection=server())

    def fill() -> int:
        for _ in range(jobs):
            queue.enqueue(plain_rq.nothing, result_ttl=0)
        return jobs

    found = {}
    for name, arguments in (("RQ alone", PEER), ("Almanac", OURS)):
        with worker(arguments, folder / "worker.log") as process:
            found[name] = measured(process, fill)
            print(f"{name:<15}{'a job that does nothing':<42}{found[name]}", flush=True)
    compare(found["Almanac"], found["RQ alone"])


def writes(kind: str, jobs: int, office: Office, peer: Measured, folder: Path) -> bool:
    """Bookings' events through our worker; whether each is there once."""
    with worker(OURS, folder / "worker.log") as process:
        found = measured(process, partial(office.book, jobs))
    wrong = office.wrong()
    print(f"{'Almanac':<15}{f'a booking, written and verified ({kind})':<42}{found}", flush=True)
    compare(found, peer)
    print(
        f"{'':<15}{jobs - len(wrong)} of {jobs} events are there exactly once"
        + "".join(f"\n{w}" for w in wrong[:9])
    )
    return not wrong


def compare(ours: Measured, peer: Measured) -> None:
    print(f"{'':<15}{'of RQ alone':<42}{ours.rate / peer.rate:>9.2f} x{ours.cpu_ms / peer.cpu_ms:>9.2f} x")


def main() -> int:
    """Print the table; see the module for the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--jobs", type=int, default=300, help="jobs in each run")
    parser.add_argument("--postgres", default="", help="URL of a PostgreSQL server that may make a database")
    options = parser.parse_args()
    from calendar_app.sandbox.environment import sandbox_environment

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="almanac-bench-")))
        url = stack.enter_context(sandbox(folder))
        os.environ |= sandbox_environment("http://localhost:3000", url)
        os.environ |= {"DATA_DIR": str(folder), "LOG_LEVEL": "warning"}
        os.environ["REDIS_URL"] = stack.enter_context(servers.valkey_server())
        client = stack.enter_context(httpx.Client(base_url=url, timeout=30))
        google = Sandbox(url, None, None, client, stack)  # type: ignore[arg-type]  # its clock is its own
        postgres = options.postgres or stack.enter_context(servers.postgres_server())
        databases.migrated(f"sqlite:///{folder}/bench.db")
        urls = {
            "SQLite": f"sqlite:///{folder}/bench.db",
            "PostgreSQL": databases.postgres_database(postgres, "almanac_bench"),
        }
        print(f"one worker, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
        print(f"{'':<57}{'jobs':>11}{'processor':>12}")
        kept, peer = True, None
        for kind, database in urls.items():
            os.environ["DATABASE_URL"] = database
            with databases.in_use(kind, database):
                office = Office.opened(google)
                if peer is None:
                    empty(options.jobs, folder)
                    with worker(PEER, folder / "worker.log") as process:
                        peer = measured(process, partial(office.post, options.jobs))
                    print(f"{'RQ alone':<15}{'an event, inserted and read back':<42}{peer}", flush=True)
                kept = writes(kind, options.jobs, office, peer, folder) and kept
    print(f"\naim: every event exactly once: {'held' if kept else 'MISSED'}")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
