"""A database file that is damaged, or whose disk is full: one sentence with what to do, wherever it is met."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from calendar_app import cli
from calendar_app.db.session import get_engine, use_engine
from calendar_app.launcher.errors import LaunchError
from calendar_app.launcher.launch import Launcher
from calendar_app.settings import Settings

PAGE = 4096
TODO = "restore a backup with `python -m calendar_app restore FILE`"


def written_over(file: Path) -> None:
    """As if another program's file had its name."""
    file.write_bytes(b"%PDF-1.7 " * 2000)


def cut(file: Path) -> None:
    """As a copy that was interrupted."""
    os.truncate(file, file.stat().st_size // 2)


def damaged_in_the_middle(file: Path) -> None:
    """As a disk whose blocks die: header and schema are well."""
    with file.open("r+b") as pages:
        for place in range(8 * PAGE, file.stat().st_size, 3 * PAGE):
            pages.seek(place)
            pages.write(b"\xa5" * PAGE)


@pytest.fixture
def template(request: pytest.FixtureRequest) -> Path:
    """A migrated database file."""
    found: Path = request.getfixturevalue("_sqlite_template")
    return found


@pytest.fixture(params=[written_over, cut, damaged_in_the_middle])
def damaged(
    request: pytest.FixtureRequest, configure: Callable[..., Settings], tmp_path: Path, template: Path
) -> Iterator[Settings]:
    """Settings of an installation whose database file is damaged."""
    file = tmp_path / "almanac.db"
    file.write_bytes(template.read_bytes())
    request.param(file)
    use_engine(None)
    yield configure(DATABASE_URL=f"sqlite:///{file}")
    get_engine().dispose()
    use_engine(None)


def test_commands_say_what_to_do(damaged: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    """No stack for an operator, and not a success either."""
    assert cli.main(["check"]) == 1
    said = capsys.readouterr()
    assert TODO in said.out + said.err
    assert cli.main(["make-owner", "you@example.com"]) in (0, 1)  # it may not meet the damaged pages
    assert "Traceback" not in capsys.readouterr().err


def test_a_launcher_does_not_start(damaged: Settings) -> None:
    """Before anything is served from a damaged file, its pages are read through."""
    with pytest.raises(LaunchError, match="restore a backup"):
        Launcher(damaged, "a-run")._prepare_data()


def test_a_release_says_what_to_do(configure: Callable[..., Settings], tmp_path: Path) -> None:
    """`alembic upgrade head`, the Procfile's release, ends with the sentence and nothing else."""
    written_over(tmp_path / "almanac.db")
    configure(DATABASE_URL=f"sqlite:///{tmp_path}/almanac.db")
    done = subprocess.run(
        [Path(sys.executable).with_name("alembic"), "upgrade", "head"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert TODO in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


FULL = """
mount -t tmpfs -o size=6m tmpfs "$1"
cp "$2" "$1/almanac.db"
export DATABASE_URL="sqlite:///$1/almanac.db" DATA_DIR="$1/data"
mkdir "$1/data"
dd if=/dev/zero of="$1/filler" bs=64k 2>/dev/null
"$3" -m calendar_app.cli check
rm "$1/filler"
echo "-- room --"
"$3" -m calendar_app.cli check
"""


def _may_mount() -> bool:
    command = ["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.skipif(not _may_mount(), reason="this user may not mount a small disk")
def test_a_full_disk_is_said(configure: Callable[..., Settings], tmp_path: Path, template: Path) -> None:
    """On a disk of six megabytes: named while there is no room, and well again as soon as there is a little."""
    configure()
    disk = tmp_path / "disk"
    disk.mkdir()
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", FULL, "sh", disk, template, sys.executable],
        capture_output=True,
        text=True,
        check=False,
    )
    while_full, _, with_room = done.stdout.partition("-- room --")
    assert "failed   database: The disk that holds the database file" in while_full, done
    assert "make room there" in while_full
    assert "warning  database: Only" in with_room, done
