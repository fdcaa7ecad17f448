"""Many clients against several web processes, everything they did with its times, and a check of the whole history.

The check is that of Jepsen's kind, cut to what bookings need: each answer must fit some serial order of the requests.
Times are ``time.monotonic()`` of this process; an operation takes effect at some moment between its two times.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx

from calendar_app.domain.timespan import Span, instant
from tests.support.forks import Fork
from tests.support.scheduling import ZONE

_TLS = ssl.create_default_context()


@dataclass
class Web:
    """A web process of the product on a loopback port."""

    url: str
    process: Fork

    def kill(self) -> None:
        """As ``kill -9`` does."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)


@contextmanager
def web_processes(count: int, *, steps: Sequence[int] = ()) -> Iterator[list[Web]]:
    """``count`` uvicorn processes of the API with this test's settings; all answer when the block begins.

    ``steps``: by how many seconds the clock of each is ahead, as far as given.
    """
    running: list[Web] = []
    try:
        for number in range(count):
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                port = probe.getsockname()[1]
            command = ["tests.support.stepped", str(steps[number])] if number < len(steps) else []
            command += ["uvicorn", "--factory", "calendar_app.api.app:create_api"]
            command += ["--port", str(port), "--log-level", "warning"]
            running.append(Web(f"http://127.0.0.1:{port}", Fork(command, os.environ)))
        for web in running:
            _wait(web)
        yield running
    finally:
        for web in running:
            web.process.terminate()
        for web in running:
            web.process.wait(10)


def _wait(web: Web) -> None:
    deadline = time.monotonic() + 240
    while True:
        try:
            if httpx.get(f"{web.url}/health").status_code == 200:
                return
        except httpx.TransportError:
            assert web.process.poll() is None, "the web process ended"
            assert time.monotonic() < deadline, "the web process does not answer"
            time.sleep(0.05)


@dataclass(frozen=True, slots=True)
class Kind:
    """An event type as far as time is concerned; buffers and length in minutes."""

    id: str
    minutes: int
    before: int = 0
    after: int = 0

    def claim(self, start: datetime) -> Span:
        at = instant(start)
        return Span(at - self.before * 60, at + (self.minutes + self.after) * 60)


@dataclass(slots=True)
class Operation:
    """One request: ``status`` 0 means that no answer came (unknown whether it took effect)."""

    name: str
    kind: Kind
    start: datetime | None
    booking: str
    begun: float
    ended: float = 0.0
    status: int = 0
    code: str = ""


@dataclass(slots=True)
class Period:
    """A time that a booking held: taken at some moment of ``taken``, given back in ``released`` (``None``: never)."""

    booking: str
    claim: Span
    taken: tuple[float, float]
    released: tuple[float, float] | None = None


@dataclass
class Storm:
    """The clients' side: does requests and keeps their history."""

    webs: Sequence[Web]
    operations: list[Operation] = field(default_factory=list)
    tokens: dict[str, str] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self, clients: int, work: Callable[[Client], None]) -> None:
        """``work`` once per client, all beginning at the same moment; failures of a client fail the test."""
        barrier = threading.Barrier(clients)
        failures: list[BaseException] = []

        def one(number: int) -> None:
            web = self.webs[number % len(self.webs)]
            headers = {"X-Forwarded-For": f"10.0.{random.randrange(250)}.{number}"}
            # One TLS context for all: making one costs more than the request, although nothing here uses it.
            with httpx.Client(base_url=f"{web.url}/api/v1", headers=headers, timeout=60, verify=_TLS) as http:
                client = Client(self, http, number)
                barrier.wait()
                try:
                    work(client)
                except BaseException as error:  # noqa: BLE001  # a thread's failure must reach the test
                    failures.append(error)

        threads = [threading.Thread(target=one, args=(number,)) for number in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]

    def rush(self, clients: int, kind: Kind, start: datetime) -> None:
        """Everybody wants the same time at the same moment."""

        def want(client: Client) -> None:
            client.create(kind, start)

        self.run(clients, want)

    def record(self, operation: Operation) -> None:
        with self._lock:
            self.operations.append(operation)

    def ok(self, name: str = "create") -> list[Operation]:
        return [o for o in self.operations if o.name == name and o.status in (200, 201)]

    def check_answers(self) -> None:
        """Only the answers that may be: success, and 409 for losers. How long they took is for benchmarks/bookings."""
        for operation in self.operations:
            allowed = operation.status in (200, 201) or (
                operation.status == 409
                and operation.code in ("slot_unavailable", "transition_refused", "state_changed")
            )
            assert allowed, operation

    def check_history(self, claims: dict[str, list[Span]]) -> None:
        """Every success stands in the database as it was last left, and every refusal had a cause.

        ``claims`` is what the database holds at the end: reserved spans by booking.
        """
        periods = self._periods()
        standing = {period.booking: [period.claim] for period in periods if period.released is None}
        assert claims == standing, "what the clients were told is not what the database holds"
        for one in periods:
            for other in periods:
                if one.booking < other.booking and one.claim.overlaps(other.claim):
                    assert _apart(one, other) or _apart(other, one), (
                        f"held at the same time: {one} and {other}"
                    )
        for operation in self.operations:
            if operation.code == "slot_unavailable":
                assert operation.start is not None
                wanted = operation.kind.claim(operation.start)
                mine = operation.booking
                causes = (p for p in periods if p.booking != mine and p.claim.overlaps(wanted))
                assert any(_may_hold(p, operation) for p in causes), f"refused without a cause: {operation}"

    def _periods(self) -> list[Period]:
        found: list[Period] = []
        current: dict[str, Period] = {}
        changes = [o for o in self.operations if o.status in (200, 201)]
        for operation in sorted(changes, key=lambda o: o.ended):
            moment = (operation.begun, operation.ended)
            if operation.name in ("cancel", "reschedule"):
                current.pop(operation.booking).released = moment
            if operation.name in ("create", "reschedule"):
                assert operation.start is not None
                made = Period(operation.booking, operation.kind.claim(operation.start), moment)
                found.append(made)
                current[operation.booking] = made
        return found


def _apart(one: Period, other: Period) -> bool:
    """Whether ``one`` can have been released before ``other`` was taken."""
    return one.released is not None and one.released[0] < other.taken[1]


def _may_hold(period: Period, refused: Operation) -> bool:
    """Whether the period can have been in force at some moment of the refused request."""
    return period.taken[0] < refused.ended and (period.released is None or period.released[1] > refused.begun)


@dataclass
class Client:
    """One of the storm's clients, with its own connection."""

    storm: Storm
    http: httpx.Client
    number: int

    def create(self, kind: Kind, start: datetime, **headers: str) -> str:
        """Book; the booking's id, empty if it was refused."""
        body = {
            "event_type_id": kind.id,
            "start": start.isoformat(),
            "timezone": ZONE,
            "name": f"Client {self.number}",
            "email": f"client{self.number}@example.org",
        }
        answer = self._send(
            Operation("create", kind, start, "", time.monotonic()), "/bookings", body, headers=headers
        )
        if "manage_url" not in answer:
            return ""
        self.storm.tokens[answer["id"]] = answer["manage_url"].rsplit("/", 1)[-1]
        return str(answer["id"])

    def cancel(self, kind: Kind, booking: str) -> None:
        self._send(
            Operation("cancel", kind, None, booking, time.monotonic()),
            f"/bookings/{booking}/cancel",
            {},
            booking,
        )

    def reschedule(self, kind: Kind, booking: str, start: datetime) -> bool:
        """Move; whether it was granted."""
        operation = Operation("reschedule", kind, start, booking, time.monotonic())
        self._send(operation, f"/bookings/{booking}/reschedule", {"start": start.isoformat()}, booking)
        return operation.status == 200

    def _send(
        self,
        operation: Operation,
        path: str,
        body: dict[str, Any],
        booking: str = "",
        headers: dict[str, str] | None = None,
    ) -> dict[str, Any]:
        params = {"token": self.storm.tokens[booking]} if booking else {}
        answer: dict[str, Any] = {}
        try:
            response = self.http.post(path, json=body, params=params, headers=headers)
            answer = response.json()
            operation.status, operation.code = response.status_code, str(answer.get("code", ""))
            operation.booking = operation.booking or str(answer.get("id", ""))
        except httpx.TransportError:
            operation.status = 0
        operation.ended = time.monotonic()
        self.storm.record(operation)
        return answer
