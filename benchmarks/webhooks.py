"""Webhooks delivered per second through one real worker, beside RQ and httpx doing the same.

    python -m benchmarks.webhooks [--messages 500] [--postgres URL]

Redis, databases and worker are processes of their own; the receiver is in this one, answers 204 and keeps what it got.
The worker is stopped (``SIGSTOP``) while messages are recorded; the clock runs from when it goes on until the receiver
has all of them. The peer is a job per message that signs and posts it (:func:`benchmarks.plain_rq.post_webhook`), by
RQ's worker, which forks for each job, and by its ``SimpleWorker``, which does not. Ours does that and keeps promises:
in order, leased, recorded, encrypted at rest, to vetted addresses.

Exit status 1 when a message is missing, doubled or out of its order.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from rq import Queue

from benchmarks import plain_rq
from benchmarks.jobs import Measured, compare, server, spent
from calendar_app import queues
from calendar_app.db.session import transaction
from calendar_app.domain.webhook import WebhookEvent
from calendar_app.services.webhooks import messages, sending, subscriptions
from tests.support import databases, factories, servers
from tests.support.receivers import Receiver, receiver
from tests.worker.processes import Process, wait_until

PEER = "peer"
PLAIN = ["rq.cli", "worker", "--quiet", "--config", "benchmarks.plain_rq"]
OURS = ["rq.cli", "worker", "--quiet", "--worker-class", "calendar_app.worker.runner.Worker"]
OURS += ["--config", "calendar_app.worker.config", queues.WEBHOOKS, PEER]
PAYLOAD = json.dumps({"booking": {"name": "Grace Hopper", "notes": "x" * 1_500}})


def measured(arguments: list[str], folder: Path, target: Receiver, fill: Callable[[], int]) -> Measured:
    """What a worker makes of what ``fill`` has to be sent (it returns how many messages)."""
    process = Process([*arguments, "--url", os.environ["REDIS_URL"]], {}, folder / "worker.log")
    try:
        warm = Queue(PEER, connection=server()).enqueue(plain_rq.nothing)
        wait_until(lambda: warm.get_status(refresh=True).value == "finished", 60)
        process.pause()
        target.got.clear()
        number = fill()
        before, begun = spent(process.pid), time.perf_counter()
        process.resume()
        wait_until(lambda: len(target.got) >= number, 600)
        took = time.perf_counter() - begun
        return Measured(number / took, (spent(process.pid) - before) * 1000 / number)
    finally:
        process.stop()


def plain(name: str, worker: str, number: int, folder: Path, target: Receiver) -> Measured:
    """The peer's figure."""

    def fill() -> int:
        queue = Queue(PEER, connection=server())
        for one in range(number):
            queue.enqueue(plain_rq.post_webhook, target.url, f"msg_{one}", PAYLOAD, result_ttl=0)
        return number

    found = measured([*PLAIN, "--worker-class", worker, PEER], folder, target, fill)
    print(f"{name:<15}{'a message, signed and posted':<42}{found}", flush=True)
    return found


def ours(kind: str, number: int, folder: Path, target: Receiver) -> tuple[Measured, bool]:
    """Our figure, and whether every message came once and in its booking's order."""
    team = factories.team()
    made = subscriptions.create(team.actor, target.url, [WebhookEvent.BOOKING_CREATED])

    def fill() -> int:
        for one in range(number):
            with transaction() as session:
                data = {"booking": one % 50, "number": one, "payload": PAYLOAD}
                messages.record(
                    session,
                    team.workspace.id,
                    WebhookEvent.BOOKING_CREATED,
                    f"booking{one % 50}",
                    lambda told=data: told,  # type: ignore[misc]
                )
        sending.sweep()
        return number

    found = measured(OURS, folder, target, fill)
    print(f"{'Almanac':<15}{f'a message of a booking ({kind})':<42}{found}", flush=True)
    numbers: dict[int, list[int]] = {}
    for got in target.got:
        data = got.payload["data"]
        numbers.setdefault(data["booking"], []).append(data["number"])
    kept = all(found == sorted(set(found)) for found in numbers.values())
    kept = kept and sum(map(len, numbers.values())) == number
    subscriptions.delete(team.actor, made.id)
    return found, kept


def main() -> int:
    """Print the table; see the module for the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--messages", type=int, default=500, help="messages in each run")
    parser.add_argument("--postgres", default="", help="URL of a PostgreSQL server that may make a database")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="almanac-bench-")))
        os.environ |= {"DATA_DIR": str(folder), "LOG_LEVEL": "warning", "ALLOWED_PRIVATE_HOSTS": "127.0.0.1"}
        os.environ["REDIS_URL"] = stack.enter_context(servers.valkey_server())
        target = stack.enter_context(receiver())
        postgres = options.postgres or stack.enter_context(servers.postgres_server())
        databases.migrated(f"sqlite:///{folder}/bench.db")
        urls = {
            "SQLite": f"sqlite:///{folder}/bench.db",
            "PostgreSQL": databases.postgres_database(postgres, "almanac_bench"),
        }
        print(f"one worker, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
        print(f"{'':<57}{'messages':>11}{'processor':>12}")
        plain("RQ, httpx", "rq.worker.Worker", options.messages, folder, target)
        simple = plain("RQ unforked", "rq.worker.SimpleWorker", options.messages, folder, target)
        kept = True
        for kind, database in urls.items():
            os.environ["DATABASE_URL"] = database
            with databases.in_use(kind, database):
                found, good = ours(kind, options.messages, folder, target)
                compare(found, simple)
                kept = kept and good
    print(f"\naim: every message once and in its booking's order: {'held' if kept else 'MISSED'}")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
