"""The mail server that operators enter: its parts, its secret, and e-mails that waited for it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlmodel import select

from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import Mail
from calendar_app.errors import Conflict, Forbidden, InvalidInput, TooManyRequests
from calendar_app.services.common.permissions import Actor, Role
from calendar_app.services.doctor import examination
from calendar_app.services.doctor.findings import Level
from calendar_app.services.installation import mail_settings
from calendar_app.services.installation.mail_settings import Encryption
from calendar_app.services.mail import outbox
from calendar_app.services.mail.outbox import Draft
from calendar_app.settings import Settings, current_settings
from tests.support import factories
from tests.support.databases import Database
from tests.support.mail_server import mail_server

GIVEN = {
    "host": "SMTP.example.com",
    "port": "",
    "encryption": "smtp+starttls",
    "user": "ada@example.com",
    "password": "p:a@s/s %",
    "sender": "Ada Ltd <mail@example.com>",
}


@pytest.fixture
def operator(database: Database) -> Actor:
    """In development every owner is one."""
    return factories.team().actor


def url() -> str:
    """What sending goes by."""
    return current_settings().smtp_url.get_secret_value()


def test_parts_become_one_address(operator: Actor) -> None:
    """User and password are escaped, the usual port is filled in, and the password is not shown."""
    view = mail_settings.save(operator, GIVEN)
    assert url() == "smtp+starttls://ada%40example.com:p%3Aa%40s%2Fs%20%25@smtp.example.com:587"
    assert view == mail_settings.MailSettings(
        False,
        "smtp.example.com",
        587,
        Encryption.STARTTLS,
        "ada@example.com",
        True,
        "Ada Ltd <mail@example.com>",
    )
    mail_settings.save(operator, GIVEN | {"password": "", "port": "2525"})
    assert url().endswith("p%3Aa%40s%2Fs%20%25@smtp.example.com:2525")
    with pytest.raises(InvalidInput) as refused:
        mail_settings.save(operator, GIVEN | {"password": "", "host": "evil.example.com"})
    assert refused.value.field == "password"
    assert not mail_settings.remove(operator).configured


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"host": ""}, "host"),
        ({"host": "a@b"}, "host"),
        ({"host": "smtp.example.com/x"}, "host"),
        ({"port": "0"}, "port"),
        ({"port": "65536"}, "port"),
        ({"port": "5x"}, "port"),
        ({"encryption": "gopher"}, "encryption"),
        ({"encryption": "smtp"}, "encryption"),
        ({"password": ""}, "password"),
        ({"password": "pässword"}, "password"),
        ({"sender": "nobody"}, "sender"),
        ({"sender": "A <a@example.com>\r\nBcc: x@example.com"}, "sender"),
    ],
)
def test_unusable_values(operator: Actor, changes: dict[str, str], field: str) -> None:
    """Each is named by its field, a password never goes in clear, and nothing is kept."""
    with pytest.raises(InvalidInput) as refused:
        mail_settings.save(operator, GIVEN | changes)
    assert refused.value.field == field
    assert url() == ""


def test_the_environment_wins(operator: Actor, configure: Callable[..., Settings]) -> None:
    """Its server is shown without the password, and nothing can be entered."""
    mail_settings.save(operator, GIVEN)
    configure(SMTP_URL="smtps://u:hush@relay.example.com", MAIL_FROM="Ops <ops@example.com>")
    view = mail_settings.get(operator)
    assert (view.fixed, view.host, view.port, view.sender) == (
        True,
        "relay.example.com",
        465,
        "Ops <ops@example.com>",
    )
    assert "hush" not in repr(view)
    with pytest.raises(Conflict, match="SMTP_URL"):
        mail_settings.save(operator, GIVEN)


def test_only_operators(database: Database) -> None:
    """Admins of a workspace neither see nor change it, and send no tests."""
    admin = factories.team(role=Role.ADMIN).actor
    for attempt in (mail_settings.get, mail_settings.remove, examination.send_test_mail):
        with pytest.raises(Forbidden):
            attempt(admin)
    with pytest.raises(Forbidden):
        mail_settings.save(admin, GIVEN)


def test_what_waited_is_sent_and_what_is_planned_waits(operator: Actor) -> None:
    """An e-mail that no server took is tried with the next sweep; a reminder stays at its time."""
    now = datetime.now(UTC)
    with transaction() as session:
        for number, later in enumerate((None, now + timedelta(days=1))):
            draft = Draft(
                operator.workspace_id, None, "test", f"d{number}", operator.email, "Hello", "A letter."
            )
            outbox.queue(session, draft)
            session.flush()
            row = session.exec(select(Mail).where(Mail.dedupe == f"d{number}")).one()
            row.next_attempt_at = later
            session.add(row)
            if number == 0:
                waiting = row.id
    assert outbox.deliver(waiting) == outbox.QUEUED
    with mail_server() as server:
        mail_settings.save(
            operator,
            {"host": "127.0.0.1", "port": str(server.port), "encryption": "smtp", "sender": GIVEN["sender"]},
        )
        with reading() as session:
            at = {row.id: row.next_attempt_at for row in session.exec(select(Mail)).all()}
        assert at.pop(waiting) is None
        assert list(at.values()) == [now + timedelta(days=1)]
        assert outbox.deliver(waiting) == outbox.SENT
        found = examination.send_test_mail(operator)
        assert (found.level, len(server.received)) == (Level.OK, 2)
        assert server.received[1].recipients == [operator.email]
        for _ in range(9):
            examination.send_test_mail(operator)
        with pytest.raises(TooManyRequests):
            examination.send_test_mail(operator)
