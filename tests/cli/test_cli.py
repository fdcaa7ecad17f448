"""The operator's command line: rotating keys under a running product, first accounts, lost passwords, a check-up."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.fernet import Fernet, InvalidToken
from redis import Redis
from sqlalchemy import text
from sqlmodel import select

from calendar_app import cli
from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import Channel, Connection, Membership, OAuthAttempt
from calendar_app.db.types import EncryptedText
from calendar_app.errors import NotSignedIn
from calendar_app.services.accounts import authentication
from calendar_app.services.operations import key_rotation
from calendar_app.settings import Settings, get_settings
from tests.support import factories
from tests.support.databases import Database
from tests.support.people import PASSWORD, user

pytestmark = pytest.mark.usefixtures("logging_restored")

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()


def raw(column: str) -> list[str]:
    """What the database really holds of a column, ``table.column``."""
    table, _, name = column.partition(".")
    with reading() as session:
        return [row[0] for row in session.execute(text(f"SELECT {name} FROM {table} ORDER BY id")) if row[0]]


def under(key: str, value: str) -> bool:
    """Whether this very key opens the value."""
    try:
        Fernet(key).decrypt(value.encode())
    except InvalidToken:
        return False
    return True


@pytest.fixture
def team(database: Database, configure: Callable[..., Settings]) -> factories.Team:
    """A workspace whose secrets are under the old key."""
    configure(ENCRYPTION_KEYS=OLD)
    team = factories.team(access_token="access-1", refresh_token="refresh-1")
    soon = datetime.now(UTC) + timedelta(days=1)
    factories.save(Channel(calendar_id=team.calendar.id, secret="hush", expires_at=soon))
    factories.save(
        OAuthAttempt(
            state_hash="s",
            binding="b",
            provider="google",
            workspace_id=team.workspace.id,
            person_id=team.person.id,
            code_verifier="verifier",
            expires_at=soon,
        )
    )
    for _ in range(6):
        factories.connection(team.person, team.workspace, access_token="a", refresh_token=None)
    return team


def test_every_value_comes_under_the_newest_key(
    team: factories.Team, configure: Callable[..., Settings], capsys: pytest.CaptureFixture[str]
) -> None:
    """After rotating, the old key can go; nothing was lost, and a second run finds nothing to do."""
    configure(ENCRYPTION_KEYS=f"{NEW},{OLD}")
    assert cli.main(["rotate-keys", "--dry-run"]) == 0
    assert "Older keys are still needed" in capsys.readouterr().out
    assert cli.main(["rotate-keys", "--batch", "3"]) == 0
    said = capsys.readouterr().out
    assert "connection.access_token: 7 rotated, 0 current" in said
    assert "connection.refresh_token: 1 rotated" in said
    columns = ["connection.access_token", "connection.refresh_token", "channel.secret"]
    for column in [*columns, "oauth_attempt.code_verifier"]:
        assert raw(column)
        assert all(under(NEW, value) for value in raw(column)), column
    configure(ENCRYPTION_KEYS=NEW)
    with reading() as session:
        row = session.get(Connection, team.connection.id)
        assert row is not None
        assert (row.access_token, row.refresh_token) == ("access-1", "refresh-1")
    assert {one.rotated for one in key_rotation.rotate()} == {0}


def test_no_encrypted_column_is_forgotten() -> None:
    """Columns are found by their type, so that the next one is rotated too."""
    found = {f"{table.name}.{column.name}" for table, column in key_rotation.encrypted_columns()}
    assert {
        "connection.access_token",
        "connection.refresh_token",
        "channel.secret",
        "feed.secret",
        "oauth_attempt.code_verifier",
    } <= found
    assert all(isinstance(column.type, EncryptedText) for _, column in key_rotation.encrypted_columns())
    assert all("id" in table.c for table, _ in key_rotation.encrypted_columns())


def test_an_interrupted_run_goes_on(team: factories.Team, configure: Callable[..., Settings]) -> None:
    """Each batch is committed; what was done stays done."""
    configure(ENCRYPTION_KEYS=f"{NEW},{OLD}")

    class Interrupted(Exception):
        pass

    def stop(_counts: key_rotation.Rotation) -> None:
        if sum(under(NEW, value) for value in raw("connection.access_token")) >= 4:
            raise Interrupted

    with pytest.raises(Interrupted):
        key_rotation.rotate(batch=2, progress=stop)
    counts = {one.column: one for one in key_rotation.rotate(batch=2)}
    assert counts["connection.access_token"].current == 4
    assert counts["connection.access_token"].rotated == 3


def test_a_token_refreshed_meanwhile_stays(team: factories.Team, configure: Callable[..., Settings]) -> None:
    """While keys rotate, others go on writing: the newer value wins, always."""
    configure(ENCRYPTION_KEYS=f"{NEW},{OLD}")
    stop = threading.Event()
    last = ["access-1"]

    def refresh() -> None:
        while not stop.is_set():
            with transaction() as session:
                row = session.get(Connection, team.connection.id)
                assert row is not None
                row.access_token = f"access-{int(last[0].partition('-')[2]) + 1}"
                session.add(row)
            last[0] = row.access_token or ""

    writer = threading.Thread(target=refresh)
    writer.start()
    try:
        for _ in range(5):
            key_rotation.rotate(batch=1)
    finally:
        stop.set()
        writer.join(10)
    with reading() as session:
        row = session.get(Connection, team.connection.id)
        assert row is not None
        assert row.access_token == last[0]


def test_a_lost_key_is_reported(
    team: factories.Team, configure: Callable[..., Settings], capsys: pytest.CaptureFixture[str]
) -> None:
    """Values under no key are counted, left as they are, and make the command fail."""
    before = raw("channel.secret")
    configure(ENCRYPTION_KEYS=NEW)
    assert cli.main(["rotate-keys"]) == 1
    assert "put their key back" in capsys.readouterr().out
    assert raw("channel.secret") == before


def test_a_check_up_says_what_is_wrong(
    database: Database, redis_server: Redis, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line for each thing; with the database and Redis there it succeeds, and says that no worker runs."""
    assert cli.main(["check"]) == 0
    said = capsys.readouterr().out
    assert "ok       database: It answers" in said
    assert "failed   workers: No worker" in said
    assert "ok       keys: 0 values are under older keys, 0 under none." in said


def test_a_check_up_fails_without_redis(database: Database, capsys: pytest.CaptureFixture[str]) -> None:
    """A deployment script can rely on the exit code."""
    assert cli.main(["check"]) == 1
    assert "failed   redis" in capsys.readouterr().out


def test_the_first_owner(
    database: Database, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An account with a password that is printed once, or read from standard input; and it can sign in."""
    assert cli.main(["make-owner", "Root@Example.com", "--timezone", "Europe/Berlin"]) == 0
    said = capsys.readouterr().out
    password = said.partition("password: ")[2].strip()
    identity = authentication.sign_in("root@example.com", password).identity
    assert identity.workspaces[0].role == "owner"

    monkeypatch.setattr("sys.stdin", io.StringIO("typed in by a person\n"))
    assert cli.main(["make-owner", "second@example.com", "--ask"]) == 0
    assert "password:" not in capsys.readouterr().out
    assert authentication.sign_in("second@example.com", "typed in by a person").identity


def test_somebody_who_exists_becomes_an_owner(database: Database, capsys: pytest.CaptureFixture[str]) -> None:
    """Their password stays; the trail of the workspace knows."""
    ada, bob = user("ada@example.com"), user("bob@example.com")
    slug = ada.identity.workspaces[0].slug
    assert cli.main(["make-owner", "bob@example.com", "--workspace", slug]) == 0
    assert "password:" not in capsys.readouterr().out
    with reading() as session:
        member = session.exec(
            select(Membership).where(
                Membership.workspace_id == ada.workspace_id, Membership.person_id == bob.identity.person_id
            )
        ).one()
        assert member.role == "owner"
    assert authentication.sign_in("bob@example.com", PASSWORD)
    assert cli.main(["make-owner", "bob@example.com", "--workspace", "nowhere"]) == 1
    assert "no workspace" in capsys.readouterr().err


def test_a_lost_password(database: Database, capsys: pytest.CaptureFixture[str]) -> None:
    """A new one is printed once, and whoever was signed in is out."""
    signed_in = authentication.sign_up("Ada", "ada@example.com", PASSWORD, "", "UTC")
    assert cli.main(["reset-password", "ada@example.com"]) == 0
    password = capsys.readouterr().out.partition("password: ")[2].strip()
    assert authentication.identify(signed_in.token) is None
    with pytest.raises(NotSignedIn):
        authentication.sign_in("ada@example.com", PASSWORD)
    assert authentication.sign_in("ada@example.com", password)
    assert cli.main(["reset-password", "nobody@example.com"]) == 1


def test_settings_that_cannot_work_are_one_sentence(
    monkeypatch: pytest.MonkeyPatch, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    """No stack for an operator who forgot a variable."""
    monkeypatch.setenv("ENCRYPTION_KEYS", "not-a-key")
    get_settings.cache_clear()
    assert cli.main(["check"]) == 1
    assert "ENCRYPTION_KEYS" in capsys.readouterr().err
