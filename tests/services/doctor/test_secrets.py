"""Keys, mail, providers' credentials, and a Google project in testing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.fernet import Fernet
from fastapi import FastAPI
from fastapi.responses import JSONResponse

from calendar_app.domain.connection import ConnectionStatus
from calendar_app.services.doctor import secrets
from calendar_app.services.doctor.findings import Finding, Level
from calendar_app.settings import Settings
from tests.support import factories, web
from tests.support.databases import Database
from tests.support.mail_server import mail_server

NOW = datetime(2030, 5, 1, 12, tzinfo=UTC)


def test_keys_old_and_lost(database: Database, configure: Callable[..., Settings]) -> None:
    """Values under an older key are to be rotated; without that key they are lost, which is an error."""
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    configure(ENCRYPTION_KEYS=old)
    factories.team()
    assert secrets.keys()[0].level is Level.OK
    configure(ENCRYPTION_KEYS=f"{new},{old}")
    (found,) = secrets.keys()
    assert (found.level, "rotate-keys" in found.advice) == (Level.WARNING, True)
    configure(ENCRYPTION_KEYS=new)
    (found,) = secrets.keys()
    assert (found.level, "Put their key back" in found.advice) == (Level.ERROR, True)


def test_no_mail_server(settings: Settings) -> None:
    """What is missing and where it can be set."""
    (found,) = secrets.mail()
    assert (found.level, "SMTP_URL" in found.advice) == (Level.ERROR, True)


def test_a_mail_server_that_refuses(configure: Callable[..., Settings]) -> None:
    """A wrong password and a closed port are both errors; a right one is not, and an e-mail is sent on request."""
    with mail_server(users={"ada": "right"}) as server:
        address = f"127.0.0.1:{server.port}"
        configure(SMTP_URL=f"smtp://ada:wrong@{address}", MAIL_FROM="Almanac <no-reply@example.com>")
        (refused,) = secrets.mail()
        configure(SMTP_URL=f"smtp://ada:right@{address}")
        (taken,) = secrets.mail()
        assert server.received == []
        (sent,) = secrets.mail("ada@example.com")
        (letter,) = server.received
    (away,) = secrets.mail()
    assert [one.level for one in (refused, taken, sent, away)] == [
        Level.ERROR,
        Level.OK,
        Level.OK,
        Level.ERROR,
    ]
    assert letter.recipients == ["ada@example.com"]
    assert "test" in letter.message["Subject"]


def test_an_unlikely_sender(configure: Callable[..., Settings]) -> None:
    """E-mails from localhost do not arrive, whatever the server says."""
    with mail_server() as server:
        configure(SMTP_URL=server.url)
        (found,) = secrets.mail()
    assert (found.level, "MAIL_FROM" in found.advice) == (Level.WARNING, True)


@contextmanager
def token_endpoint(status: int, **body: str) -> Iterator[str]:
    """A provider's token endpoint with one answer."""
    app = FastAPI()

    @app.post("/token")
    def token() -> JSONResponse:
        return JSONResponse(body, status)

    with web.served(app) as url:
        yield f"{url}/token"


MALFORMED = "AADSTS9002313: Invalid request. Request is malformed or invalid."


@pytest.mark.parametrize(
    ("provider", "status", "body", "level", "words"),
    [
        ("google", 401, {"error": "invalid_client", "error_description": "Unauthorized"}, Level.ERROR, "accept"),
        ("google", 400, {"error": "invalid_grant", "error_description": "Malformed auth code."}, Level.OK, "takes"),
        ("google", 400, {"error": "redirect_uri_mismatch"}, Level.ERROR, "redirect"),
        ("google", 503, {"error": "invalid_grant"}, Level.WARNING, "cannot be reached"),
        ("microsoft", 401, {"error": "invalid_client", "error_description": "AADSTS7000215"}, Level.ERROR, "accept"),
        ("microsoft", 401, {"error": "invalid_client", "error_description": "AADSTS7000222"}, Level.ERROR, "expired"),
        ("microsoft", 400, {"error": "unauthorized_client", "error_description": "AADSTS700016"}, Level.ERROR, "acc"),
        ("microsoft", 400, {"error": "invalid_grant", "error_description": MALFORMED}, Level.OK, "shows when"),
        ("calendly", 401, {"error": "invalid_client"}, Level.ERROR, "accept"),
        ("calendly", 400, {"error": "invalid_grant"}, Level.OK, "takes"),
    ],
)  # fmt: skip
def test_what_a_provider_says_of_us(
    database: Database,
    configure: Callable[..., Settings],
    provider: str,
    status: int,
    body: dict[str, str],
    level: Level,
    words: str,
) -> None:
    """A code that nobody issued tells a wrong secret (invalid_client) from a right one (invalid_grant)."""
    name = provider.upper()
    with token_endpoint(status, **body) as url:
        configure(**{f"{name}_CLIENT_ID": "id", f"{name}_CLIENT_SECRET": "hush", f"{name}_TOKEN_URL": url})
        found = {one.name: one for one in secrets.providers()}
    assert (found[provider].level, words in found[provider].detail) == (level, True), found[provider]
    assert "hush" not in found[provider].detail + found[provider].advice
    others = {"google", "microsoft", "calendly"} - {provider}
    assert all(found[other].level is Level.OK and "not set up" in found[other].detail for other in others)


def google(**columns: Any) -> None:
    """A Google account of somebody."""
    factories.team(provider="google", **columns)


def project_state() -> list[Finding]:
    """What is found of the project's publishing status."""
    return secrets.google_testing(NOW)


def test_google_names_an_end_after_a_week(database: Database) -> None:
    """Grants that end seven days after consent are those of a project in testing; a longer life is not."""
    google(granted_at=NOW, grant_ends_at=NOW + timedelta(days=90))
    assert project_state() == []
    google(granted_at=NOW - timedelta(days=2), grant_ends_at=NOW + timedelta(days=5, minutes=-1))
    (found,) = project_state()
    assert (found.level, "Publish the app" in found.advice) == (Level.WARNING, True)


def test_grants_die_at_a_week(database: Database) -> None:
    """Where Google named no end, the age at which a grant ended tells."""
    lost = {"status": ConnectionStatus.NEEDS_RECONNECT, "granted_at": NOW - timedelta(days=30)}
    google(**lost, last_error_at=NOW - timedelta(days=3))
    assert project_state() == []
    google(**lost, last_error_at=NOW - timedelta(days=23, hours=-2))
    assert "1 lost the access" in project_state()[0].detail


def test_an_operator_says_so(database: Database, configure: Callable[..., Settings]) -> None:
    """The switch counts without any account."""
    configure(GOOGLE_IN_TESTING="true")
    assert project_state()[0].level is Level.WARNING
