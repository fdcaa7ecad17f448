"""The mail server, entered by operators in its parts; ``SMTP_URL`` in the environment wins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import quote, unquote, urlsplit

from calendar_app.db import entered
from calendar_app.db.entered import Group
from calendar_app.db.session import transaction
from calendar_app.domain.intake import clean_text
from calendar_app.errors import InvalidInput, ProviderNotConfigured
from calendar_app.providers import mail as smtp
from calendar_app.services.accounts import operators
from calendar_app.services.common import audit_log
from calendar_app.services.common.permissions import Actor
from calendar_app.services.installation import entry
from calendar_app.services.mail import outbox
from calendar_app.settings import Settings, current_settings, get_settings


class Encryption(StrEnum):
    """How the connection to a mail server is encrypted; the value is the scheme of ``SMTP_URL``."""

    STARTTLS = "smtp+starttls"
    TLS = "smtps"
    NONE = "smtp"


@dataclass(frozen=True, slots=True)
class MailSettings:
    """The mail server as its form shows it. ``fixed``: the environment decides, nothing can be entered."""

    fixed: bool
    host: str
    port: int
    encryption: Encryption
    user: str
    has_password: bool
    sender: str

    @property
    def configured(self) -> bool:
        return bool(self.host)


def get(actor: Actor) -> MailSettings:
    """:raises Forbidden: the person is no operator."""
    operators.require(actor)
    return _view(current_settings())


def save(actor: Actor, values: Mapping[str, str]) -> MailSettings:
    """Keep what was entered, and take up at once what waits to be sent.

    ``values``: ``host``, ``port``, ``encryption``, ``user``, ``password`` and ``sender``; an empty password leaves the
    one that is there, as long as host and user stay the same.

    :raises Forbidden: no operator. :raises InvalidInput: naming the field. :raises Conflict: the environment decides.
    """
    operators.require(actor)
    entry.require_enterable(Group.MAIL)
    kept = {"smtp_url": _url(values), "mail_from": _sender(values.get("sender", ""))}
    with transaction() as session:
        entry.keep(session, Group.MAIL, kept, actor.email)
        outbox.take_up_again(session)
        audit_log.record(session, actor.workspace_id, actor, "installation.mail_entered", "mail", "smtp")
    return _view(current_settings())


def remove(actor: Actor) -> MailSettings:
    """Forget what was entered; e-mails wait from then on. Errors as for :func:`save`."""
    operators.require(actor)
    entry.require_enterable(Group.MAIL)
    with transaction() as session:
        entry.drop(session, Group.MAIL)
        audit_log.record(session, actor.workspace_id, actor, "installation.mail_removed", "mail", "smtp")
    return _view(current_settings())


def _view(settings: Settings) -> MailSettings:
    fixed = entered.from_environment(get_settings(), Group.MAIL)
    try:
        parts = urlsplit(settings.smtp_url.get_secret_value())
        encryption = Encryption(parts.scheme) if parts.scheme else Encryption.STARTTLS
        host, port = parts.hostname or "", parts.port or smtp.PORTS[encryption.value]
    except ValueError:  # the environment's is unusable, which the doctor tells
        return MailSettings(fixed, "", 587, Encryption.STARTTLS, "", False, settings.mail_from)
    user = unquote(parts.username or "")
    return MailSettings(fixed, host, port, encryption, user, bool(parts.password), settings.mail_from)


def _url(values: Mapping[str, str]) -> str:
    before = urlsplit(current_settings().smtp_url.get_secret_value())
    host = clean_text(values.get("host", ""), "host", 255).lower()
    if not host or any(char in host for char in "/@:?#[] "):
        raise InvalidInput("Please enter a host like smtp.example.com.", field="host")
    try:
        encryption = Encryption(values.get("encryption", ""))
    except ValueError:
        raise InvalidInput("Please choose how the connection is encrypted.", field="encryption") from None
    user = clean_text(values.get("user", ""), "user", 320)
    password = values.get("password", "")
    if not password and user and (before.hostname, unquote(before.username or "")) == (host, user):
        password = unquote(before.password or "")
    if user and not password:
        raise InvalidInput("Please enter the password.", field="password")
    if len(password) > 1000 or not f"{user}{password}".isascii():
        raise InvalidInput("User and password must be plain ASCII.", field="password")
    if user and encryption is Encryption.NONE and not smtp.is_loopback(host):
        raise InvalidInput("A password is not sent without encryption.", field="encryption")
    access = f"{quote(user, safe='')}:{quote(password, safe='')}@" if user else ""
    return f"{encryption.value}://{access}{host}:{_port(values.get('port', ''), encryption)}"


def _port(text: str, encryption: Encryption) -> int:
    if not text.strip():
        return smtp.PORTS[encryption.value]
    if not text.strip().isdecimal() or not 0 < int(text) < 65_536:
        raise InvalidInput("A port is a number from 1 to 65535.", field="port")
    return int(text)


def _sender(text: str) -> str:
    sender = clean_text(text, "sender", 320)
    try:
        smtp.check_sender(sender)
    except ProviderNotConfigured:
        raise InvalidInput("Please enter it like: Our Company <mail@example.com>.", field="sender") from None
    return sender
