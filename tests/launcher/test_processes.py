"""Processes that die are started again, those that keep dying end everything, and nothing is ever left behind."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from calendar_app.launcher.errors import LaunchError
from calendar_app.launcher.marks import MARK, descends, end_marked, marked
from calendar_app.launcher.processes import Supervisor

SLEEP = "import time; time.sleep(300)"
ON_TERM = "import os, signal, sys, time\nsignal.signal(signal.SIGTERM, lambda *_: {}) \n"
DETACHED = (
    f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {SLEEP!r}], start_new_session=True)"
)


class Bench:
    """A supervisor with a clock set by hand, and what it said."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = 0.0
        self.said: list[str] = []
        self.run = uuid.uuid4().hex
        self.supervisor = Supervisor(
            self.run, folder, os.environ, folder / "logs", self.said.append, clock=lambda: self.now
        )

    def until(self, condition: Callable[[], bool], *, tick: bool = False) -> None:
        deadline = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < deadline, self.said
            if tick:
                self.supervisor.tick()
            self.supervisor.copy_output(0.01)

    def program(self, name: str, code: str) -> str:
        """A shell line that runs ``code``."""
        file = self.folder / f"{name}.py"
        file.write_text(code)
        return f"exec {sys.executable} {file}"

    def log(self, name: str) -> str:
        file = self.folder / "logs" / f"{name}.log"
        return file.read_text() if file.exists() else ""


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.supervisor.stop(grace_s=0.2)
    assert marked(bench.run) == []


def test_output_is_kept_by_name(bench: Bench) -> None:
    """What a process writes stands in a log of its own, errors included."""
    bench.supervisor.start("talker", f"echo out; echo error >&2; {bench.program('sleeper', SLEEP)}")
    bench.until(lambda: bench.log("talker") == "out\nerror\n")
    assert bench.supervisor.last_lines("talker") == ["out", "error"]


def test_a_dead_process_is_started_again_after_a_growing_pause(bench: Bench) -> None:
    """The first restart comes after one second, the second after two, each with a line that says so."""
    bench.supervisor.start("mortal", "echo born; exit 7")
    for pause in (1.0, 2.0):
        said = len(bench.said)
        bench.until(lambda said=said: len(bench.said) > said, tick=True)
        assert bench.said[-1] == f"mortal stopped with exit code 7; starting it again in {pause:.0f} s"
        births = bench.log("mortal").count("born")
        bench.now += pause - 0.01
        bench.supervisor.tick()
        bench.now += 0.02
        bench.supervisor.tick()
        bench.until(lambda births=births: bench.log("mortal").count("born") == births + 1)


def test_five_deaths_in_a_minute_are_the_end(bench: Bench) -> None:
    """A process that keeps dying is named with its log, in one sentence."""
    bench.supervisor.start("mortal", "exit 1")

    for _ in range(4):
        said = len(bench.said)
        bench.until(lambda said=said: len(bench.said) > said, tick=True)
        bench.now += 8.0
        bench.supervisor.tick()
    with pytest.raises(LaunchError, match="mortal stopped 5 times within a minute") as ended:
        bench.until(lambda: False, tick=True)
    assert str(bench.folder / "logs" / "mortal.log") in str(ended.value)


def test_rare_deaths_are_forgiven(bench: Bench) -> None:
    """Five deaths over a long time are five restarts."""
    bench.supervisor.start("mortal", "exit 1")
    for _ in range(7):
        said = len(bench.said)
        bench.until(lambda said=said: len(bench.said) > said, tick=True)
        bench.now += 61.0
        bench.supervisor.tick()
    assert all("in 1 s" in line for line in bench.said)


def test_stop_reaches_grandchildren_in_sessions_of_their_own(bench: Bench) -> None:
    """A grandchild that left its process group and session does not outlive the product."""
    bench.supervisor.start("parent", bench.program("parent", f"{DETACHED}\n{SLEEP}"))
    bench.until(lambda: len({os.getsid(process.pid) for process in marked(bench.run)}) == 2)
    bench.supervisor.stop(grace_s=1)
    assert marked(bench.run) == []


def test_stop_does_not_wait_for_the_stubborn(bench: Bench) -> None:
    """A process that ignores the request is made to end when its time is up."""
    code = ON_TERM.format("None") + f"open('ignoring', 'w')\n{SLEEP}"
    bench.supervisor.start("stubborn", bench.program("stubborn", code))
    bench.until((bench.folder / "ignoring").exists)
    before = time.monotonic()
    bench.supervisor.stop(grace_s=0.3)
    assert time.monotonic() - before < 5
    assert marked(bench.run) == []


def test_the_last_ones_are_stopped_last(bench: Bench) -> None:
    """A server that others talk to while they end is still there for them."""
    server = ON_TERM.format("(os.remove('serving'), sys.exit())") + f"open('serving', 'w')\n{SLEEP}"
    farewell = "(print(os.path.exists('serving'), flush=True), sys.exit())"
    bench.supervisor.start("server", bench.program("server", server))
    bench.supervisor.start(
        "client", bench.program("client", ON_TERM.format(farewell) + f"print('up', flush=True)\n{SLEEP}")
    )
    bench.until(lambda: bench.log("client") == "up\n" and (bench.folder / "serving").exists())
    bench.supervisor.stop(last=("server",), grace_s=10)
    assert bench.log("client") == "up\nTrue\n"
    assert not (bench.folder / "serving").exists()


def test_what_a_killed_run_left_is_found_and_ended(tmp_path: Path) -> None:
    """Processes whose launcher was killed are known by their mark, whoever their parent is now."""
    run = uuid.uuid4().hex
    subprocess.run([sys.executable, "-c", DETACHED], env={**os.environ, MARK: run}, check=True)
    (orphan,) = marked(run)
    assert not descends(orphan.pid, os.getpid())
    assert marked("another") == marked(run, frozenset({orphan.pid})) == []
    assert end_marked(run) == 1
    assert not psutil.pid_exists(orphan.pid) or psutil.Process(orphan.pid).status() == psutil.STATUS_ZOMBIE
    assert end_marked(run) == 0


@pytest.mark.parametrize("ending", ["os.kill(os.getpid(), 9)", "os._exit(3)", "sys.exit()"])
def test_a_run_ends_with_its_launcher_however_that_ends(tmp_path: Path, ending: str) -> None:
    """Killed, aborted or done: a process that left the group, and one that ignores the request, end all the same."""
    run = uuid.uuid4().hex
    stubborn = (
        f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); open('up', 'w').close(); {SLEEP}"
    )
    launcher = f"""
import os, subprocess, sys, time
from calendar_app.launcher.watcher import watched
with watched({run!r}):
    marked = {{**os.environ, {MARK!r}: {run!r}}}
    subprocess.Popen([sys.executable, "-c", {DETACHED!r}], env=marked).wait()
    subprocess.Popen([sys.executable, "-c", {stubborn!r}], env=marked)
    while not os.path.exists("up"):
        time.sleep(0.01)
    {ending}
"""
    path = os.pathsep.join([os.getcwd(), os.environ.get("PYTHONPATH", "")])
    subprocess.run(
        [sys.executable, "-c", launcher], cwd=tmp_path, env={**os.environ, "PYTHONPATH": path}, check=False
    )
    deadline = time.monotonic() + 30
    while marked(run):
        assert time.monotonic() < deadline
        time.sleep(0.05)
