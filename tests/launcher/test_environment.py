"""What the processes find in their environment."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from calendar_app.launcher.environment import anywhere, prepare, web_processes
from calendar_app.launcher.web import application, server
from calendar_app.settings import Settings, load_settings

SECRET = "x" * 40


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(data_dir=tmp_path, port=4321, sandbox_choice="auto", google_client_id="")


def test_a_bare_machine_gets_everything(settings: Settings, tmp_path: Path) -> None:
    """Secrets, an embedded Redis with a database for Reflex, and the sandbox, each at a known address."""
    environment = prepare(settings, {"PATH": "/bin"})
    assert environment["REDIS_URL"] == f"unix://{tmp_path}/valkey/valkey.sock?db=0"
    assert environment["REFLEX_REDIS_URL"] == f"unix://{tmp_path}/valkey/valkey.sock?db=1"
    assert environment["GOOGLE_TOKEN_URL"].startswith(f"http://127.0.0.1:{environment['SANDBOX_PORT']}/")
    assert environment["GOOGLE_AUTH_URL"].startswith("http://localhost:4321/sandbox/")
    assert environment["WEB_HOST"] == "127.0.0.1"
    assert len(environment["SECRET_KEY"]) >= 32
    assert environment["PATH"].endswith(":/bin")
    again = load_settings(
        **{"DATA_DIR": environment["DATA_DIR"], "ENCRYPTION_KEYS": environment["ENCRYPTION_KEYS"]}
    )
    assert again.encryption_keys == settings.encryption_keys


def test_what_the_operator_gave_is_used(settings: Settings) -> None:
    """An own Redis, host, process count and sandbox port are not replaced; an empty variable counts as not given."""
    environment = prepare(
        settings,
        {
            "REDIS_URL": "redis://redis:6379/3",
            "WEB_HOST": "0.0.0.0",
            "WEB_CONCURRENCY": "4",
            "SANDBOX_PORT": "4999",
            "REFLEX_REDIS_URL": "",
        },
    )
    assert environment["REDIS_URL"] == environment["REFLEX_REDIS_URL"] == "redis://redis:6379/3"
    assert environment["SANDBOX_URL"] == "http://127.0.0.1:4999"
    web = server(environment)
    assert (web.bind_addr, web.bind_port, web.workers) == ("0.0.0.0", 4321, 4)


def test_files_stay_where_they_are_when_the_directory_changes(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Processes work in the product's own folder, so a relative DATA_DIR or SQLite file is named in full to them."""
    monkeypatch.chdir(tmp_path)
    relative = settings.model_copy(update={"data_dir": Path("data")})
    made = anywhere(relative, {"DATABASE_URL": "sqlite:///a.db"})
    assert made["DATABASE_URL"] == f"sqlite:///{tmp_path}/a.db"
    assert made["DATA_DIR"] == str(tmp_path / "data")
    for kept in ("sqlite:////var/a.db", "postgresql://host/name", "sqlite:///:memory:", "sqlite://", ""):
        assert anywhere(relative, {"DATABASE_URL": kept}).get("DATABASE_URL", kept) == kept


@pytest.mark.parametrize(("processors", "processes"), [(1, 1), (2, 1), (3, 2), (64, 2)])
def test_a_small_machine_has_one_web_process(processors: int, processes: int) -> None:
    """Another one would hold memory, and no more be served."""
    assert web_processes(processors) == processes


def test_production_has_no_sandbox(tmp_path: Path) -> None:
    """In production no address of a provider points at a stand-in."""
    settings = load_settings(
        environment="production",
        data_dir=tmp_path,
        base_url="https://calendar.example",
        secret_key=SECRET,
        encryption_keys=("eHh4" * 10 + "eHg=",),
    )
    environment = prepare(settings, {"REDIS_URL": "redis://redis:6379/0"})
    assert "SANDBOX_PORT" not in environment
    assert "GOOGLE_TOKEN_URL" not in environment
    assert environment["BASE_URL"] == "https://calendar.example"


def test_the_calendar_server_keeps_its_port(settings: Settings) -> None:
    """Connected accounts hold the addresses of sandbox and CalDAV server, so a second run gives them the same ports."""
    first = prepare(settings, {"ALLOWED_PRIVATE_HOSTS": "radicale.internal"})
    again = prepare(settings, {})
    port = first["SANDBOX_CALDAV_PORT"]
    sandbox = first["SANDBOX_PORT"]
    assert again["SANDBOX_CALDAV_PORT"] == port
    assert again["SANDBOX_PORT"] == sandbox
    assert first["ALLOWED_PRIVATE_HOSTS"].split(",") == [
        "radicale.internal",
        f"127.0.0.1:{sandbox}",
        f"localhost:{sandbox}",
        f"127.0.0.1:{port}",
        f"localhost:{port}",
    ]
    with socket.create_server(("127.0.0.1", int(port))):
        assert prepare(settings, {})["SANDBOX_CALDAV_PORT"] != port


def test_the_sandbox_stands_before_the_product_only_while_it_is_on(
    settings: Settings, tmp_path: Path
) -> None:
    """With the sandbox on, the launcher serves the module that wraps the product; without it the product's own."""
    environment = prepare(settings, {})
    known = {name: environment[name] for name in ("DATA_DIR", "ENCRYPTION_KEYS", "SANDBOX_URL")}
    assert application(load_settings(ALMANAC_SANDBOX="on", **known)) == "calendar_app.sandbox.web"
    assert application(load_settings(ALMANAC_SANDBOX="off", **known)) == "calendar_app.calendar_app"
    assert server(environment, "calendar_app.sandbox.web").target == "calendar_app.sandbox.web:app"
    assert server(environment).target == "calendar_app.calendar_app:app"
