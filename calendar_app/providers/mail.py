"""Handing a message to a mail server: the one place that speaks SMTP (RFC 5321).

``SMTP_URL`` is ``smtp://host:25`` (plain, for loopback relays), ``smtp+starttls://user:password@host:587`` or
``smtps://user:password@host:465``; user and password are percent-encoded.
"""

from __future__ import annotations

import smtplib
from dataclasses import dataclass
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from urllib.parse import unquote, urlsplit

from calendar_app.errors import InvalidRequest, ProviderNotConfigured, ProviderUnavailable
from calendar_app.providers.http import tls
from calendar_app.settings import Settings

TIMEOUT = 15.0


@dataclass(frozen=True, slots=True)
class Letter:
    """A message to one recipient; ``ics`` goes along as an invitation with iTIP ``ics_method`` (RFC 6047 §2.4)."""

    message_id: str
    recipient: str
    subject: str
    body: str
    ics: str = ""
    ics_method: str = ""


def send(letter: Letter, settings: Settings) -> None:
    """Hand ``letter`` to the mail server.

    :raises ProviderNotConfigured: no ``SMTP_URL``. :raises ProviderUnavailable: try again later.
    :raises InvalidRequest: the server refuses this message or this recipient for good.
    """
    address = urlsplit(settings.smtp_url.get_secret_value())
    if not address.hostname:
        raise ProviderNotConfigured("E-mail is not configured: an operator has to set SMTP_URL.")
    try:
        with _connected(address.scheme, address.hostname, address.port) as server:
            if address.username:
                server.login(unquote(address.username), unquote(address.password or ""))
            server.send_message(compose(letter, settings.mail_from))
    except smtplib.SMTPResponseException as error:
        raise _refused(error.smtp_code) from None
    except smtplib.SMTPRecipientsRefused as error:
        code = max((code for code, _reason in error.recipients.values()), default=550)
        raise _refused(code) from None
    except smtplib.SMTPNotSupportedError:
        raise InvalidRequest("The mail server does not offer what SMTP_URL asks for.") from None
    except (OSError, smtplib.SMTPException) as error:
        raise ProviderUnavailable("The mail server cannot be reached.", reason=type(error).__name__) from None


def compose(letter: Letter, sender: str) -> EmailMessage:
    """The message as it goes out: plain text, and with an appointment the iTIP part that mail clients act on."""
    name, mailbox = parseaddr(sender)
    message = EmailMessage()
    message["From"] = Address(name, addr_spec=mailbox)
    message["To"] = Address(addr_spec=letter.recipient)
    message["Subject"] = " ".join(letter.subject.split())
    message["Message-ID"] = letter.message_id
    message["Date"] = format_datetime(datetime.now(UTC))
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers, please
    message.set_content(letter.body)
    if letter.ics:
        message.add_alternative(
            letter.ics, subtype="calendar", params={"method": letter.ics_method}, cte="quoted-printable"
        )
        message.add_attachment(
            letter.ics.encode(), maintype="application", subtype="ics", filename="appointment.ics"
        )
    return message


def _connected(scheme: str, host: str, port: int | None) -> smtplib.SMTP:
    if scheme == "smtps":
        return smtplib.SMTP_SSL(host, port or 465, timeout=TIMEOUT, context=tls())
    server = smtplib.SMTP(host, port or (587 if scheme == "smtp+starttls" else 25), timeout=TIMEOUT)
    if scheme == "smtp+starttls":
        server.starttls(context=tls())
    return server


def _refused(code: int) -> Exception:
    if 400 <= code < 500:
        return ProviderUnavailable(f"The mail server asked us to try again later ({code}).", reason=str(code))
    if code == 535:
        return InvalidRequest(
            "The mail server does not accept the user and password in SMTP_URL.", reason=str(code)
        )
    return InvalidRequest(f"The mail server refused the message ({code}).", reason=str(code))
