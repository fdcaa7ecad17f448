"""More calls to one mailbox at once than Microsoft bears (four): a limiter that all processes share holds them back."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from redis import Redis

from calendar_app.sandbox.microsoft.graph_call import PARALLEL_CALLS, Gate
from calendar_app.settings import Settings
from tests.faults.office import Office, opened
from tests.sandbox.microsoft.client import Microsoft
from tests.sandbox.server import Sandbox
from tests.support.databases import Database
from tests.support.long_form import LONG
from tests.worker.processes import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.serial, pytest.mark.timeout(180)]

PROCESSES, THREADS, CALLS = 3 if LONG else 2, 6, 4
LATENCY_S = 0.1


@dataclass
class Counted:
    """The stand-in's gate, with how many calls came, how many were inside at most, and how many it refused."""

    gate: Gate
    calls: int = 0
    inside: int = 0
    most: int = 0
    refused: int = 0

    @contextmanager
    def entered(self, email: str) -> Iterator[None]:
        self.calls += 1
        let_in = False
        try:
            with Gate.entered(self.gate, email):
                let_in = True
                self.inside += 1
                self.most = max(self.most, self.inside)
                try:
                    yield
                finally:
                    self.inside -= 1
        finally:
            self.refused += not let_in


@pytest.fixture
def office(
    database: Database, redis_server: Redis, sandbox: Sandbox, configure: Callable[..., Settings]
) -> Office:
    configure(HTTP_TIMEOUT="20")
    return opened(sandbox, "microsoft")


@pytest.fixture
def counted(office: Office, monkeypatch: pytest.MonkeyPatch) -> Counted:
    gate = Microsoft(office.sandbox, None).stand_in.api.gate
    made = Counted(gate)
    monkeypatch.setattr(gate, "latency", LATENCY_S)
    monkeypatch.setattr(gate, "entered", made.entered)
    return made


def test_processes_share_a_mailboxs_four_calls(
    office: Office, counted: Counted, record_property: Callable[[str, object], None]
) -> None:
    """Processes with six threads each keep to four calls at once, and get every answer without one 429."""
    command = [
        sys.executable,
        "-m",
        "tests.support.many_calls",
        office.connection.id,
        str(THREADS),
        str(CALLS),
    ]
    running = [
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(PROCESSES)
    ]
    answered = [int(process.communicate(timeout=120)[0]) for process in running]
    assert answered == [THREADS * CALLS] * PROCESSES
    assert (counted.refused, counted.most) == (0, PARALLEL_CALLS)
    record_property(
        "count", f"{counted.calls} calls of {PROCESSES} processes, {counted.most} at once, no 429"
    )


def test_the_stand_in_refuses_a_fifth_call(office: Office, counted: Counted) -> None:
    """Without the limiter the same crowd is told 429 with a time to wait: the test above is one."""
    outlook = Microsoft(office.sandbox, None).graph(office.account().access_token or "")
    with ThreadPoolExecutor(PROCESSES * THREADS) as pool:
        answers = list(pool.map(lambda _: outlook.get("me/calendars"), range(PROCESSES * THREADS)))
    refused = [answer for answer in answers if answer.status_code == 429]
    assert len(refused) == counted.refused > 0
    assert all(int(answer.headers["retry-after"]) > 0 for answer in refused)
