"""A forked process is one of its own: it has the launcher's memory, and nothing else of it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

BEFORE = """
import json, os, signal, sys
from calendar_app.launcher.errors import LaunchError
from calendar_app.launcher.forks import Answer, fork

def read(end):
    text = b""
    while part := os.read(end, 4096):
        text += part
    return text.decode()

def run(work, **variables):
    end, output = os.pipe()
    forked = fork("test", work, {"ONLY": "this", **variables}, output)
    os.close(output)
    text = read(end)
    return [forked.wait(), text]
"""


def in_a_launcher(code: str) -> object:
    """What ``code`` prints as JSON; it runs in an interpreter without other threads, as the launcher is one."""
    done = subprocess.run(
        [sys.executable, "-c", BEFORE + code], capture_output=True, text=True, check=True, timeout=30
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("work", "code", "text"),
    [
        ("lambda: print('done')", 0, "done\n"),
        ("lambda: sys.exit(3)", 3, ""),
        ("lambda: sys.exit('It cannot.')", 1, "It cannot.\n"),
        ("lambda: os.kill(os.getpid(), signal.SIGTERM)", -15, ""),
        ("lambda: 1 / 0", 1, "ZeroDivisionError: division by zero\n"),
    ],
)
def test_it_ends_as_a_program_does(work: str, code: int, text: str) -> None:
    """Its exit code and its last words are those of a program of its own."""
    ended, said = in_a_launcher(f"print(json.dumps(run({work})))")  # type: ignore[misc]
    assert ended == code
    assert str(said).endswith(text)
    assert bool(said) is bool(text)


def test_it_has_an_environment_a_session_and_handlers_of_its_own() -> None:
    """The launcher's variables, signal handlers and terminal are not its."""
    found = in_a_launcher(
        """
signal.signal(signal.SIGTERM, lambda *_: None)
def work():
    print(json.dumps([dict(os.environ), os.getsid(0) == os.getpid(), signal.getsignal(signal.SIGTERM) == signal.SIG_DFL,
                      sys.stdin.read(), len(signal.pthread_sigmask(signal.SIG_BLOCK, []))]))
print(run(work)[1])
"""
    )
    assert found == [{"ONLY": "this"}, True, True, "", 0]


def test_it_holds_no_lock_and_no_pipe_of_the_launchers() -> None:
    """When the launcher closes its lock and its pipe, both are closed for the world, though its forks live on; an
    object that holds such a descriptor closes no other file by it."""
    found = in_a_launcher(
        """
import fcntl, tempfile, time
folder = tempfile.mkdtemp()
lock = open(f"{folder}/lock", "w")
fcntl.flock(lock, fcntl.LOCK_EX)
end, other_end = os.pipe()
def work():
    lock.close()
    with open(f"{folder}/own", "w") as own:
        os.close(other_end)
        own.write("kept")
    time.sleep(60)
away, output = os.pipe()
forked = fork("test", work, {}, output)
while not os.path.exists(f"{folder}/own") or open(f"{folder}/own").read() != "kept":
    time.sleep(0.01)
lock.close()
os.close(other_end)
with open(f"{folder}/lock", "w") as again:
    fcntl.flock(again, fcntl.LOCK_EX | fcntl.LOCK_NB)
closed = os.read(end, 1) == b""
os.kill(forked.pid, signal.SIGKILL)
print(json.dumps([closed, forked.wait()]))
"""
    )
    assert found == [True, -9]


def test_an_answer_comes_from_a_process_of_its_own() -> None:
    """What was opened there is gone with it; a refusal is the launcher's, and anything else is told with its reason."""
    found = in_a_launcher(
        """
def refuse():
    raise LaunchError("No.")
def said(work):
    answer = Answer("ask", work, {})
    try:
        return answer.lines()
    except LaunchError as error:
        return str(error)
pid = said(lambda: [str(os.getpid())])
failed = said(lambda: 1 / 0)
print(json.dumps([pid != [str(os.getpid())], said(lambda: ["a" * 100_000]) == ["a" * 100_000], said(refuse), failed]))
"""
    )
    assert isinstance(found, list)
    assert found[:3] == [True, True, "No."]
    assert "ZeroDivisionError" in found[3]
