"""Handing a message to a mail server: the one place that speaks SMTP (RFC 5321).

``SMTP_URL`` is ``smtp://host:25`` (plain, for loopback relays), ``smtp+starttls://user:password@host:587`` or
``smtps://user:password@host:465``; user and password are percent-encoded.

What a refusal means depends on when it comes. Before the letter is shown it concerns the account or the server, so an
operator has to act and other letters would fare no better; afterwards it concerns this recipient or this text.
"""

from __future__ import annotations

import re
import secrets
import smtplib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email import policy
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from ipaddress import ip_address
from urllib.parse import SplitResult, unquote, urlsplit

import idna

from calendar_app.clock import utc_now
from calendar_app.errors import AlmanacError, InvalidRequest, ProviderNotConfigured, ProviderUnavailable
from calendar_app.providers.http import tls
from calendar_app.settings import Settings

TIMEOUT = 15.0
"""Seconds that one exchange with the server may take; a letter needs about a dozen."""
PORTS = {"smtp": 25, "smtp+starttls": 587, "smtps": 465}
_UTF8_LOCAL = re.compile(r"[^\s\"(),.:;<>@\[\\\]]+(\.[^\s\"(),.:;<>@\[\\\]]+)*")
"""A dot-atom with characters outside ASCII (RFC 6532 §3.2, RFC 5322 §3.2.3)."""
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")


@dataclass(frozen=True, slots=True)
class Image:
    """A PNG that the HTML shows as ``cid:name``."""

    name: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Letter:
    """A message to one recipient; ``ics`` goes along as an invitation with iTIP ``ics_method`` (RFC 6047 §2.4).

    ``reply_to`` is whom an answer should reach, where that is not the sender. ``html`` says the same as ``body``.
    """

    message_id: str
    recipient: str
    subject: str
    body: str
    ics: str = ""
    ics_method: str = ""
    reply_to: str = ""
    html: str = ""
    logo: Image | None = None


class MayHaveArrived(ProviderUnavailable):
    """The connection broke while the letter was handed over: whether the server took it is not known."""


def send(letter: Letter, settings: Settings) -> None:
    """Hand ``letter`` to the mail server; returns when the server has taken it.

    :raises ProviderUnavailable: try again later; :class:`MayHaveArrived` where the letter may be out all the same.
    :raises ProviderNotConfigured: nothing can be sent before an operator corrects ``SMTP_URL`` or ``MAIL_FROM``.
    :raises InvalidRequest: this letter or its recipient is refused for good.
    """
    message = compose(letter, settings.mail_from)
    sender, recipient = (message[name].addresses[0].addr_spec for name in ("From", "To"))
    with _session(settings) as server, _trouble(before_the_letter=False):
        server.ehlo_or_helo_if_needed()
        if not str(message["Reply-To"] or "").isascii() and not server.has_extn("smtputf8"):
            del message["Reply-To"]  # better a letter that cannot be answered directly than none
        addresses = f"{sender}{recipient}{message['Reply-To'] or ''}"
        is_ascii = addresses.isascii()
        server.sendmail(
            sender,
            recipient,
            as_sent(message, policy.SMTP if is_ascii else policy.SMTPUTF8),
            () if is_ascii else ("SMTPUTF8", "BODY=8BITMIME"),
        )


def check(settings: Settings) -> None:
    """Sign in at the mail server and leave again; errors as for :func:`send`, and nothing is sent."""
    with _session(settings) as server, _trouble(before_the_letter=True):
        server.noop()


def test_letter(recipient: str, settings: Settings) -> Letter:
    """What an operator sends to see whether e-mails arrive."""
    host = urlsplit(settings.public_url).hostname or "localhost"
    return Letter(
        message_id=f"<test-{secrets.token_hex(8)}@{host}>",
        recipient=recipient,
        subject="A test of Almanac's e-mail",
        body=f"This e-mail was sent by the installation at {settings.public_url} as a test. E-mail works.\n",
    )


def check_sender(sender: str) -> None:
    """:raises ProviderNotConfigured: no message can come from this address."""
    compose(Letter("<check@localhost>", "somebody@example.com", "", ""), sender)


def compose(letter: Letter, sender: str) -> EmailMessage:
    """The message as it goes out: plain text, beside it HTML, and with an appointment the iTIP part that mail clients
    act on. HTML and its logo are a ``multipart/related`` (RFC 2387); what stands later in the
    ``multipart/alternative`` is preferred to what stands before (RFC 2046 section 5.1.4).

    Subject and addresses can end no header: not with a line break, and not with an encoded word (RFC 2047) that the
    library would decode to one.

    :raises InvalidRequest: the recipient is no address. :raises ProviderNotConfigured: the sender is none.
    """
    name, mailbox = parseaddr(sender)
    message = EmailMessage()
    try:
        message["From"] = _mailbox(mailbox, name if not _CONTROLS.search(sender) else "\n")
    except ValueError:
        raise ProviderNotConfigured("MAIL_FROM must be like: Our Company <mail@example.com>.") from None
    try:
        message["To"] = _mailbox(letter.recipient)
        if letter.reply_to:
            message["Reply-To"] = _mailbox(letter.reply_to)
    except ValueError:
        raise InvalidRequest("The recipient is not an e-mail address.") from None
    message["Subject"] = " ".join(_CONTROLS.sub(" ", letter.subject).replace("=?", "= ?").split())
    message["Message-ID"] = letter.message_id
    message["Date"] = format_datetime(utc_now())
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers, please
    message.set_content(_storable(letter.body), cte="quoted-printable")
    if letter.html:
        message.add_alternative(_storable(letter.html), subtype="html", cte="quoted-printable")
        if letter.logo:
            (*_, html) = message.iter_parts()
            assert isinstance(html, EmailMessage)
            html.add_related(
                letter.logo.content,
                maintype="image",
                subtype="png",
                cid=f"<{letter.logo.name}>",
                disposition="inline",
                filename="logo.png",
            )
    if letter.ics:
        message.add_alternative(
            letter.ics, subtype="calendar", params={"method": letter.ics_method}, cte="quoted-printable"
        )
        message.add_attachment(
            letter.ics.encode(), maintype="application", subtype="ics", filename="appointment.ics"
        )
    return message


def as_sent(message: EmailMessage, form: policy.EmailPolicy[EmailMessage] = policy.SMTP) -> bytes:
    """The message's octets. A subject begins on the line of its name: where the library begins it on the next, which
    RFC 5322 section 2.2.3 allows, readers show it with a blank in front."""
    return re.sub(
        rb"^(Subject:)\r\n(?= )", rb"\1", message.as_bytes(policy=form), count=1, flags=re.MULTILINE
    )


def _storable(text: str) -> str:
    """The text without what no mail may hold."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def _mailbox(address: str, name: str = "") -> Address:
    """The address with its domain as DNS knows it (RFC 5891); the local part may be in any script (RFC 6531 §3.3).

    :raises ValueError: it is no address.
    """
    local, _, domain = address.rpartition("@")
    if not local or not domain or _CONTROLS.search(address + name) or "=?" in address + name:
        raise ValueError("an address is one line with an @")
    if not domain.isascii():
        domain = idna.encode(domain, uts46=True).decode()
    if not local.isascii() and not _UTF8_LOCAL.fullmatch(local):
        raise ValueError("this is not an address")
    try:
        # The parser of `addr_spec` takes ASCII only.
        if not local.isascii():
            return Address(name, username=local, domain=domain)
        return Address(name, addr_spec=f"{local}@{domain}")
    except (MessageError, IndexError) as error:  # the parser's ways to say so
        raise ValueError("this is not an address") from error


@contextmanager
def _session(settings: Settings) -> Iterator[smtplib.SMTP]:
    """A session that may send. What the server says after it took the letter changes nothing any more."""
    with _trouble(before_the_letter=True):
        server = _connected(settings)
    try:
        yield server
    finally:
        with suppress(OSError, smtplib.SMTPException):
            server.docmd("QUIT")
        server.close()


def _connected(settings: Settings) -> smtplib.SMTP:
    address, port = _address(settings)
    assert address.hostname is not None
    own_name = urlsplit(settings.public_url).hostname or "localhost"
    server: smtplib.SMTP
    if address.scheme == "smtps":
        server = smtplib.SMTP_SSL(address.hostname, port, own_name, timeout=TIMEOUT, context=tls())
    else:
        server = smtplib.SMTP(address.hostname, port, own_name, timeout=TIMEOUT)
    try:
        if address.scheme == "smtp+starttls":
            server.starttls(context=tls())
        if address.username:
            server.login(unquote(address.username), unquote(address.password or ""))
    except UnicodeEncodeError:
        server.close()
        raise ProviderNotConfigured("The user and password in SMTP_URL must be plain ASCII.") from None
    except BaseException:
        server.close()
        raise
    return server


def _address(settings: Settings) -> tuple[SplitResult, int]:
    """``SMTP_URL`` taken apart. :raises ProviderNotConfigured: it is missing or unusable."""
    url = settings.smtp_url.get_secret_value()
    if not url:
        raise ProviderNotConfigured("E-mail is not configured: an operator has to set SMTP_URL.")
    try:
        address = urlsplit(url)
        usual = PORTS[address.scheme]
        port = address.port or usual
    except (ValueError, KeyError):
        raise ProviderNotConfigured(
            "SMTP_URL must be like smtp://host:25, smtp+starttls://user:password@host:587 or smtps://..."
        ) from None
    if not address.hostname:
        raise ProviderNotConfigured("SMTP_URL names no host.")
    if address.scheme == "smtp" and address.username and not is_loopback(address.hostname):
        raise ProviderNotConfigured(
            "SMTP_URL would send the password unencrypted: use smtp+starttls:// or smtps://."
        )
    return address, port


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, so that nobody in between could read a password."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


@contextmanager
def _trouble(*, before_the_letter: bool) -> Iterator[None]:
    """What goes wrong inside, in terms of this product's errors."""
    try:
        yield
    except smtplib.SMTPRecipientsRefused as error:
        code = max((code for code, _reason in error.recipients.values()), default=550)
        raise _refused(code, before_the_letter) from None
    except smtplib.SMTPSenderRefused as error:
        raise _refused(error.smtp_code, True) from None
    except smtplib.SMTPResponseException as error:
        raise _refused(error.smtp_code, before_the_letter) from None
    except smtplib.SMTPNotSupportedError:
        if before_the_letter:
            raise ProviderNotConfigured(
                "The mail server does not offer the encryption or sign-in that SMTP_URL asks for."
            ) from None
        raise InvalidRequest("The mail server cannot write to this address.") from None
    except (OSError, smtplib.SMTPException) as error:
        kind = ProviderUnavailable if before_the_letter else MayHaveArrived
        raise kind("The mail server cannot be reached.", reason=type(error).__name__) from None


def _refused(code: int, before_the_letter: bool) -> AlmanacError:
    if 400 <= code < 500:
        return ProviderUnavailable(f"The mail server asked us to try again later ({code}).", reason=str(code))
    if before_the_letter:
        return ProviderNotConfigured(
            f"The mail server refuses us ({code}): an operator has to correct SMTP_URL or MAIL_FROM."
        )
    return InvalidRequest(f"The mail server refused the email ({code}).", reason=str(code))
