"""The pages are built when something they are made of changed, and only then."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import pytest

from calendar_app.launcher import frontend
from calendar_app.launcher.errors import LaunchError

BUILDER = """
import pathlib
client = pathlib.Path(".web/build/client")
client.mkdir(parents=True, exist_ok=True)
(client / "index.html").write_text("page")
with open("builds", "a") as file:
    file.write("x")
"""
COMMAND = (sys.executable, "-c", BUILDER)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("rxconfig.py", "calendar_app/ui/theme.py", "calendar_app/worker/jobs.py", "assets/a.css"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    return tmp_path


def build(root: Path, command: tuple[str, ...] = COMMAND) -> bool:
    return frontend.ensure_built(os.environ, root=root, command=command)


def test_nothing_changed_means_no_build(root: Path) -> None:
    """The second start finds the first one's build."""
    assert build(root)
    assert not build(root)
    assert (root / "builds").read_text() == "x"


@pytest.mark.parametrize("name", ["rxconfig.py", "calendar_app/ui/theme.py", "assets/a.css"])
def test_a_changed_source_means_a_build(root: Path, name: str) -> None:
    """Pages, configuration and assets each make the build stale."""
    build(root)
    (root / name).write_text("changed")
    assert build(root)


def test_a_new_page_means_a_build(root: Path) -> None:
    """A file that was added counts, not only those that were edited."""
    build(root)
    (root / "calendar_app/ui/page.py").touch()
    assert build(root)


@pytest.mark.parametrize("name", ["calendar_app/worker/jobs.py", "assets/external/a.js", "builds"])
def test_what_pages_are_not_made_of_does_not_matter(root: Path, name: str) -> None:
    """A worker's code, generated assets and other files leave the build as it is."""
    build(root)
    (root / name).parent.mkdir(exist_ok=True)
    (root / name).write_text("changed")
    assert not build(root)


def test_a_vanished_build_is_made_again(root: Path) -> None:
    """A stamp without pages is not believed."""
    build(root)
    (root / ".web/build/client/index.html").unlink()
    assert build(root)


def test_an_edit_during_the_build_is_not_lost(root: Path) -> None:
    """A source that changes while the build runs makes the next start build again."""
    editing = (sys.executable, "-c", BUILDER + "\nopen('rxconfig.py', 'a').write('edit')\n")
    build(root, editing)
    assert build(root)


def test_locks_that_the_build_itself_updates_do_not_make_it_stale(root: Path) -> None:
    """Reflex may rewrite its lock files while it builds."""
    locking = (
        sys.executable,
        "-c",
        BUILDER + "\nimport os; os.makedirs('reflex.lock'); open('reflex.lock/l', 'w')\n",
    )
    build(root, locking)
    assert not build(root)


def test_a_failed_build_says_where_its_output_is(root: Path) -> None:
    """A build that fails is one sentence with the log's name, and leaves no stamp."""
    log = root / "build.log"
    with pytest.raises(LaunchError, match=r"could not be built \(exit 3\)") as failed:
        frontend.ensure_built(
            os.environ,
            root=root,
            log=log,
            command=(sys.executable, "-c", "print('why'); raise SystemExit(3)"),
        )
    assert str(log) in str(failed.value)
    assert log.read_text() == "why\n"
    assert not frontend.is_current(root)


def test_a_cancelled_build_ends_at_once_and_leaves_no_stamp(root: Path) -> None:
    """Ctrl-C during a build does not wait for it."""
    frontend.ensure_built(
        os.environ,
        root=root,
        command=(sys.executable, "-c", "import time; time.sleep(60)"),
        cancelled=lambda: True,
    )
    assert not frontend.is_current(root)


def test_two_starts_at_once_build_once(root: Path) -> None:
    """Concurrent starts in one working tree wait for each other."""
    threads = [threading.Thread(target=build, args=(root,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (root / "builds").read_text() == "x"


def test_the_lock_does_not_learn_where_packages_came_from(root: Path) -> None:
    """Reflex writes npm's lock back to the tracked files: with a registry's address it would differ by machine."""
    told = (
        "import os; print(os.environ['npm_config_omit_lockfile_registry_resolved'], file=open('told', 'w'))"
    )
    build(root, (sys.executable, "-c", BUILDER + told))
    assert (root / "told").read_text() == "true\n"


def test_a_lock_that_says_the_same_stays_as_it_was(root: Path) -> None:
    """Another order of keys is no change of a tracked file; another version is, and is kept."""
    lock = root / "reflex.lock"
    lock.mkdir()
    (lock / "package.json").write_text('{"a": "1", "b": "2"}')
    (lock / "package-lock.json").write_text('{"a": "1"}')
    writing = (
        f"{BUILDER}\nlock = pathlib.Path('reflex.lock')\n"
        """(lock / "package.json").write_text('{"b":"2","a":"1"}')\n"""
        """(lock / "package-lock.json").write_text('{"a":"2"}')\n"""
    )
    build(root, (sys.executable, "-c", writing))
    assert (lock / "package.json").read_text() == '{"a": "1", "b": "2"}'
    assert (lock / "package-lock.json").read_text() == '{"a":"2"}'
    assert not build(root)
