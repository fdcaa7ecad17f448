"""People with accounts, and the emails that they are sent."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from sqlmodel import col, select

from calendar_app.db.session import reading
from calendar_app.db.tables import Mail
from calendar_app.services.accounts import authentication
from calendar_app.services.accounts.authentication import Identity
from calendar_app.settings import Settings
from tests.support.databases import Database
from tests.support.people import PASSWORD


@pytest.fixture
def ada(database: Database, configure: Callable[..., Settings]) -> Identity:
    """Somebody with an account, at an installation that can send emails."""
    configure(SMTP_URL="smtp://127.0.0.1:1")
    return authentication.sign_up("Ada", "ada@example.com", PASSWORD, "Ada Ltd", "Europe/Berlin").identity


@pytest.fixture
def emails() -> Callable[[], list[tuple[str, str, str]]]:
    """``emails()``: kind, recipient and text of all that were queued, in their order."""

    def read() -> list[tuple[str, str, str]]:
        with reading() as session:
            rows = session.exec(select(Mail).order_by(col(Mail.created_at), col(Mail.id)))
            return [(row.kind, row.recipient, row.body) for row in rows]

    return read


def secret_in(text: str) -> str:
    """The secret of the link in an email."""
    found = re.search(r"/confirm/([\w-]+)", text)
    assert found is not None, text
    return found[1]
