"""``make run`` as a person sees it: ready, one line that says so, and nothing left when it ends."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from calendar_app.launcher.checks import free_port
from calendar_app.launcher.marks import marked

ROOT = Path(__file__).resolve().parents[2]
FIRST_START_S = 420
"""A first start installs npm packages and builds the pages."""

WATCHER = "calendar_app.launcher.watcher"

pytestmark = [pytest.mark.serial, pytest.mark.slow, pytest.mark.timeout(FIRST_START_S + 180)]


class Run:
    """One launcher and what it printed."""

    def __init__(self, data_dir: Path, port: int, **variables: str) -> None:
        given = {
            name: value for name, value in os.environ.items() if name not in {"REDIS_URL", "DATABASE_URL"}
        }
        self.data_dir = data_dir
        self.lines: list[str] = []
        self.popen = subprocess.Popen(
            [sys.executable, "-m", "calendar_app.launcher"],
            cwd=ROOT,
            env={**given, "DATA_DIR": str(data_dir), "PORT": str(port), "ALMANAC_SANDBOX": "on", **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def ready(self) -> str:
        """Read on to the password, the last line of a start, and return the address."""
        assert self.popen.stdout is not None
        for line in self.popen.stdout:
            self.lines.append(line.rstrip("\n"))
            if line.startswith("password: "):
                break
        addresses = [line.removeprefix("Ready: ") for line in self.lines if line.startswith("Ready: ")]
        assert len(addresses) == 1, self.lines
        return addresses[0]

    def mark(self) -> str:
        return (self.data_dir / "launcher.run").read_text()

    def end(self, number: signal.Signals = signal.SIGINT) -> float:
        """Send the signal and return how many seconds the launcher took to end."""
        before = time.monotonic()
        if self.popen.poll() is None:
            self.popen.send_signal(number)
        rest, _ = self.popen.communicate(timeout=30)
        self.lines += rest.splitlines()
        return time.monotonic() - before


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("run")


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module", autouse=True)
def built(data_dir: Path, port: int) -> None:
    """The first start, which builds if it must."""
    first = Run(data_dir, port)
    try:
        first.ready()
    finally:
        first.end()


@pytest.fixture(scope="module")
def start(data_dir: Path, port: int, built: None) -> Iterator[Callable[[], Run]]:
    """Starts a launcher and returns once it is ready; where a test left one running, it is that one."""
    runs: list[Run] = []

    def ready() -> Run:
        if not runs or runs[-1].popen.poll() is not None:
            runs.append(Run(data_dir, port))
            runs[-1].ready()
        return runs[-1]

    yield ready
    for run in runs:
        run.end()


@pytest.fixture
def run(start: Callable[[], Run]) -> Run:
    """One that is ready."""
    return start()


def alive(process: psutil.Process) -> bool:
    """Whether it still runs; a zombie waits for nobody but the machine's first process."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def processes(run: Run, name: str) -> list[psutil.Process]:
    """What the launcher itself runs under that name."""
    return [
        child
        for child in psutil.Process(run.popen.pid).children()
        if Path(f"/proc/{child.pid}/comm").read_text() == f"almanac:{name}\n"
    ]


def within(condition: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            if condition():
                return
        except (OSError, psutil.Error, http.client.HTTPException):
            pass
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.1)


def get(port: int, path: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer


def test_a_second_start_is_quick_and_serves_everything(run: Run, port: int) -> None:
    """Nothing changed, so nothing is built; an idle machine with two processors is ready within 15 seconds.

    Processor time, of all processes together, is what a start costs however busy the machine is.
    """
    started = marked(run.mark())
    assert sum(sum(process.cpu_times()[:2]) for process in started) < 2 * 15
    assert f"Ready: http://localhost:{port}" in run.lines
    assert not [line for line in run.lines if "building" in line]
    assert run.lines[-2] == "sign in: owner@example.com"
    assert re.fullmatch(r"password: \S{12,}", run.lines[-1])
    for path in ("/", "/login", "/dashboard", "/book/demo/intro", "/health", "/sandbox"):
        assert get(port, path).status == 200, path
    assert get(port, "/nothing-here").status == 404


@pytest.mark.parametrize("name", ["writer", "worker", "cron", "web"])
def test_a_dead_process_is_replaced(run: Run, port: int, name: str) -> None:
    """Each process that is killed, with all that it started, is there again while everything else goes on."""
    (killed,) = processes(run, name)
    for process in (*killed.children(recursive=True), killed):
        process.kill()
    assert run.popen.stdout is not None
    assert run.popen.stdout.readline() == f"{name} stopped with exit code -9; starting it again in 1 s\n"
    within(lambda: [each.pid for each in processes(run, name)] not in ([], [killed.pid]))
    within(lambda: get(port, "/health").status == 200)


def test_a_dead_web_process_is_replaced(run: Run, port: int) -> None:
    """One of the processes that serve is killed: another takes its place, and the launcher has nothing to do."""
    (web,) = processes(run, "web")
    before = web.children()
    before[0].kill()
    within(lambda: before[0] not in web.children() and len(web.children()) == len(before))
    within(lambda: get(port, "/health").status == 200)
    assert processes(run, "web") == [web]


@pytest.mark.skipif(
    not Path("/proc/self/smaps_rollup").exists(), reason="only Linux says what processes share"
)
def test_processes_share_what_they_import(run: Run) -> None:
    """Every process of the product is forked from the launcher: what several hold in memory is counted once.

    ``make check-wheel`` measures how much it is; here, that no process has imported the product for itself.
    """
    own = {name: processes(run, name) for name in ("web", "writer", "worker", "cron", "sandbox")}
    assert all(own.values())
    for name, (process,) in own.items():
        memory = process.memory_full_info()
        assert memory.uss < memory.rss / 2, name


def test_a_second_launcher_on_the_same_data_is_refused(run: Run, data_dir: Path) -> None:
    """One sentence, exit code 1, and the first launcher is not disturbed."""
    second = Run(data_dir, free_port())
    said, _ = second.popen.communicate(timeout=60)
    assert second.popen.returncode == 1
    assert re.fullmatch(rf"Almanac already runs on {data_dir} \(process {run.popen.pid}\): .*\.\n", said)
    assert run.popen.poll() is None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopping_leaves_no_process(run: Run, port: int, number: signal.Signals) -> None:
    """Ctrl-C and a supervisor's request end every process within ten seconds, and free the port."""
    mark = run.mark()
    descendants = psutil.Process(run.popen.pid).children(recursive=True)
    assert len(descendants) >= 7
    known = {process.pid for process in marked(mark)}
    # A job's process that is just ending has no environment any more.
    unmarked = [process for process in descendants if process.pid not in known]
    within(lambda: [WATCHER in each.cmdline() for each in unmarked if alive(each)] == [True])
    assert run.end(number) < 10
    assert run.popen.returncode == 0
    assert marked(mark) == []
    assert not [process for process in descendants if alive(process)]
    with socket.create_server(("127.0.0.1", port)):
        pass


def test_a_killed_launcher_leaves_no_process(run: Run, start: Callable[[], Run]) -> None:
    """After kill -9 everything ends by itself, the embedded Redis included, and the next start finds nothing to do."""
    descendants = psutil.Process(run.popen.pid).children(recursive=True)
    assert "valkey-server" in {process.name() for process in descendants if alive(process)}
    run.popen.kill()
    run.popen.wait()
    _, left = psutil.wait_procs(descendants, timeout=30)
    assert not [process for process in left if alive(process)]
    assert not [line for line in start().lines if line.startswith("ended ")]


def test_a_start_after_a_kill_of_everything_that_watches_cleans_up(
    run: Run, start: Callable[[], Run]
) -> None:
    """Launcher and watcher killed leave processes, a lock and a mark; the next start copes with all three."""
    mark = run.mark()
    descendants = psutil.Process(run.popen.pid).children(recursive=True)
    (watcher,) = [
        process for process in psutil.Process(run.popen.pid).children() if WATCHER in process.cmdline()
    ]
    watcher.kill()
    run.popen.kill()
    run.popen.wait()
    assert marked(mark)
    assert start().lines[0].startswith("ended ")
    assert not [process for process in descendants if alive(process)]


def test_a_port_in_use_is_one_sentence(tmp_path: Path) -> None:
    """The person reads which port and how to choose another, and no stack."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        refused = Run(tmp_path, taken.getsockname()[1])
        rest, _ = refused.popen.communicate(timeout=60)
    assert refused.popen.returncode == 1
    assert re.fullmatch(r"Port \d+ is in use by another program: .* PORT=\d+\.\n", rest)
