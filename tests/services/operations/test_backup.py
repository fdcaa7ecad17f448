"""Backups are made beside the running product and put back whole, on both databases."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlmodel import select

from calendar_app import cli
from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import Calendar, Connection, Installation, Person, Workspace
from calendar_app.db.tables.connections import WITH_TOKENS
from calendar_app.settings import Settings, get_settings
from tests.support import factories
from tests.support.databases import Database
from tests.support.servers import postgres_binaries


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL's programs of the server's version come first in PATH."""
    monkeypatch.setenv("PATH", f"{postgres_binaries() / 'bin'}{os.pathsep}{os.environ['PATH']}")


def a_business() -> None:
    """An account with a calendar that was read, and an imported file, which nobody can read again."""
    team = factories.team(provider="google", refresh_token="the-grants-secret")
    with transaction() as session:
        for row in session.exec(select(Calendar)):
            row.synced_at, row.sync_cursor = datetime.now(UTC), "cursor"
            session.add(row)
    imported = factories.connection(team.person, team.workspace, provider="file")
    factories.calendar(imported, synced_at=datetime.now(UTC))


def names() -> list[str]:
    with reading() as session:
        return sorted(row.name for row in session.exec(select(Workspace)))


def installation_id() -> str:
    with reading() as session:
        return session.exec(select(Installation)).one().id


def rename(name: str) -> None:
    with transaction() as session:
        for row in session.exec(select(Workspace)):
            row.name = name
            session.add(row)


def test_what_was_backed_up_comes_back(
    database: Database, programs: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rows of then; what was there is kept; calendars count as never read, files as they were; keys are spoken of."""
    a_business()
    rename("Before")
    file, own = tmp_path / "backup", installation_id()
    assert cli.main(["backup", str(file)]) == 0
    assert "ENCRYPTION_KEYS and SECRET_KEY are not in it" in capsys.readouterr().out
    assert file.stat().st_mode & 0o077 == 0
    assert b"the-grants-secret" not in file.read_bytes()
    rename("After")
    assert cli.main(["restore", str(file)]) == 0, capsys.readouterr().err
    said = capsys.readouterr().out
    assert names() == ["Before"]
    assert "1 calendars count as busy" in said
    kept = Path(said.partition("is kept in ")[2].partition(": remove")[0])
    assert kept.parent == get_settings().data_dir
    with reading() as session:
        read = {
            (provider, calendar.synced_at is None, calendar.sync_cursor)
            for calendar, provider in session.exec(select(Calendar, Connection.provider).join(Connection))
        }
        assert session.exec(select(Installation)).one().restored_at is not None
    assert read == {("google", True, None), ("file", False, None)}
    assert installation_id() == own
    assert cli.main(["restore", str(kept)]) == 0
    assert names() == ["After"]


def test_a_copy_for_staging(database: Database, programs: None, tmp_path: Path) -> None:
    """It is an installation of its own, and cannot write to anybody's calendar."""
    a_business()
    file, own = tmp_path / "backup", installation_id()
    assert cli.main(["backup", str(file)]) == 0
    assert cli.main(["restore", str(file), "--as-copy"]) == 0
    assert installation_id() != own
    with reading() as session:
        found = session.exec(
            select(Connection).where(Connection.provider == "google").options(*WITH_TOKENS)
        ).one()
        assert (found.status, found.refresh_token) == ("needs_reconnect", None)


def test_a_database_put_back_by_hand(database: Database, capsys: pytest.CaptureFixture[str]) -> None:
    """`after-restore` does what `restore` does last."""
    a_business()
    assert cli.main(["after-restore"]) == 0
    assert "1 calendars count as busy" in capsys.readouterr().out


@pytest.mark.parametrize(
    "content", [b"", b"%PDF-1.7", b"SQLite format 3\0" + b"x" * 5000, b"PGDMP" + b"x" * 500]
)
def test_a_file_that_is_no_backup_changes_nothing(
    database: Database, programs: None, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    """One sentence, and everything stands as it stood."""
    a_business()
    rename("Stays")
    file = tmp_path / "file"
    file.write_bytes(content)
    assert cli.main(["restore", str(file)]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "Traceback" not in said
    assert names() == ["Stays"]


def test_a_file_that_exists_is_not_written_over(
    database: Database, programs: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A backup of yesterday is not lost by a wrong name; nor is a half-made one left behind."""
    file = tmp_path / "backup"
    file.write_text("yesterday")
    assert cli.main(["backup", str(file)]) == 1
    assert file.read_text() == "yesterday"
    assert cli.main(["backup", str(tmp_path / "nowhere" / "backup")]) == 1
    assert "cannot be written" in capsys.readouterr().err
    assert [path.name for path in tmp_path.glob("backup*")] == ["backup"]


def test_nothing_is_put_back_under_a_running_process(
    database: Database, programs: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Somebody still has the database open: one sentence that names the process."""
    file = tmp_path / "backup"
    assert cli.main(["backup", str(file)]) == 0
    use = "from calendar_app.db.session import get_engine as e; c = e().connect(); print('open', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", use], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"
        assert cli.main(["restore", str(file)]) == 1
        other.communicate("\n")
    assert "in use (by process" in capsys.readouterr().err


def test_a_damaged_database_is_replaced_and_kept(
    configure: Callable[..., Settings], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """A damaged file gives way to the backup, and is kept for whoever may rescue something out of it."""
    backup, live = tmp_path / "backup", tmp_path / "almanac.db"
    backup.write_bytes(request.getfixturevalue("_sqlite_template").read_bytes())
    live.write_bytes(b"rubbish" * 1000)
    configure(DATABASE_URL=f"sqlite:///{live}")
    done = subprocess.run(
        [sys.executable, "-m", "calendar_app.cli", "restore", backup],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert live.read_bytes().startswith(b"SQLite format 3")
    (kept,) = get_settings().data_dir.glob("before-restore-*")
    assert kept.read_bytes().startswith(b"rubbish")


def test_programs_that_are_missing_or_too_old(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What to install is said; an old program is not taken for a broken database."""
    if database.kind != "postgresql":
        pytest.skip("SQLite needs no program")
    folder = tmp_path / "bin"
    folder.mkdir()
    old = folder / "pg_dump"
    old.write_text(
        "#!/bin/sh\necho 'pg_dump: error: aborting because of server version mismatch' >&2; exit 1\n"
    )
    old.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    code = cli.main(["backup", str(tmp_path / "backup")])
    said = capsys.readouterr().err
    assert code == 0 or "server version mismatch" in said


def test_people_of_then(database: Database, programs: None, tmp_path: Path) -> None:
    """Whoever signed up after the backup is not there any more: a backup is all or nothing."""
    factories.person(name="Ada")
    file = tmp_path / "backup"
    assert cli.main(["backup", str(file)]) == 0
    factories.person(name="Bob")
    assert cli.main(["restore", str(file)]) == 0
    with reading() as session:
        assert [row.name for row in session.exec(select(Person))] == ["Ada"]
