"""Letters over SMTP, against a real server: what arrives, and what each refusal means."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from ipaddress import ip_address
from pathlib import Path

import icalendar
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from calendar_app.domain.event import Attendee, EventStatus
from calendar_app.domain.ics.writer import Appointment, Method, calendar_text
from calendar_app.errors import AlmanacError, InvalidRequest, ProviderNotConfigured, ProviderUnavailable
from calendar_app.providers.http import tls
from calendar_app.providers.mail import Letter, compose, send
from calendar_app.settings import Settings
from tests.support.mail_server import MailServer, mail_server

Configure = Callable[..., Settings]
SENDER = "Almanac <no-reply@almanac.example>"
LETTER = Letter(
    "<1@almanac.example>", "grace@example.org", "Confirmed: Intro call", "Hello Grace,\n\nsee you.\n"
)


@pytest.fixture
def server() -> Iterator[MailServer]:
    with mail_server() as running:
        yield running


def _send(configure: Configure, url: str, letter: Letter = LETTER, sender: str = SENDER) -> None:
    send(letter, configure(SMTP_URL=url, MAIL_FROM=sender))


def _invitation() -> str:
    at = datetime(2026, 11, 18, 10, 0, tzinfo=UTC)
    people = Attendee("ada@example.com", "Ädä"), Attendee("grace@example.org", "Grace")
    appointment = Appointment(
        "b1@almanac.example", 0, EventStatus.CONFIRMED, at, at + timedelta(hours=1), at, "Büro " * 30,
        organizer=people[0], attendees=people,
    )  # fmt: skip
    return calendar_text((appointment,), Method.REQUEST)


def test_a_letter_arrives_whole(server: MailServer, configure: Configure) -> None:
    """Headers, text, the iTIP part and the same file as an attachment survive the way through SMTP."""
    ics = _invitation()
    body = "Grüße,\n.\n..dots\nFrom here\n" + "long " * 400 + "\n"
    letter = Letter("<1@x>", "grace@example.org", "Bestätigt: Büro", body, ics, "REQUEST", "ada@example.com")
    _send(configure, server.url, letter)
    (got,) = server.received
    assert (got.sender, got.recipients) == ("no-reply@almanac.example", ["grace@example.org"])
    message = got.message
    assert (message["From"], message["To"], message["Reply-To"]) == (
        SENDER,
        "grace@example.org",
        "ada@example.com",
    )
    assert (message["Subject"], message["Message-ID"]) == ("Bestätigt: Büro", "<1@x>")
    assert message["Auto-Submitted"] == "auto-generated"
    assert got.text.replace("\r\n", "\n") == body
    assert all(len(line) <= 998 for line in got.raw.split(b"\r\n"))
    (alternative, attachment) = message.iter_parts()
    invitation = list(alternative.iter_parts())[1]
    assert invitation.get_content_type() == "text/calendar"
    assert (invitation.get_param("method"), invitation.get_content_charset()) == ("REQUEST", "utf-8")
    for part in (invitation, attachment):
        data = part.get_payload(decode=True)
        assert isinstance(data, bytes)
        assert data.replace(b"\r\n", b"\n") == ics.encode().replace(b"\r\n", b"\n")
        assert icalendar.Calendar.from_ical(data)["method"] == "REQUEST"
    assert attachment.get_filename() == "appointment.ics"
    assert len(list(message.walk())) == 5


def test_addresses_travel_in_the_form_dns_knows(server: MailServer, configure: Configure) -> None:
    """A domain in Unicode is sent as its A-label, so that any server can take it."""
    _send(configure, server.url, Letter("<1@x>", "grace@bücher.example", "s", "b"))
    assert server.received[0].recipients == ["grace@xn--bcher-kva.example"]


@pytest.mark.parametrize("command", ["MAIL", "RCPT", "DATA"])
def test_later_means_later(server: MailServer, configure: Configure, command: str) -> None:
    """A 4xx, wherever it comes, is worth another try."""
    server.answers[command] = "451 4.3.0 busy"
    with pytest.raises(ProviderUnavailable, match="later"):
        _send(configure, server.url)


@pytest.mark.parametrize(
    ("command", "error"),
    [("MAIL", ProviderNotConfigured), ("RCPT", InvalidRequest), ("DATA", InvalidRequest)],
)
def test_a_refusal_concerns_the_sender_or_the_letter(
    server: MailServer, configure: Configure, command: str, error: type[AlmanacError]
) -> None:
    """A 5xx to our address is the operator's to mend; one to the recipient or the text ends this letter."""
    server.answers[command] = "550 5.7.1 no <secret@example.com>"
    with pytest.raises(error) as caught:
        _send(configure, server.url)
    assert "secret" not in caught.value.detail
    assert not server.received


def test_a_letter_taken_is_sent_whatever_follows(server: MailServer, configure: Configure) -> None:
    """A server that misbehaves after it took the letter does not make us send it again."""
    server.answers["QUIT"] = "500 what?"
    _send(configure, server.url)
    assert len(server.received) == 1


def test_a_lost_answer_is_worth_another_try(server: MailServer, configure: Configure) -> None:
    """If the connection ends before the letter is acknowledged, nobody knows: try again."""
    server.hang_up = True
    with pytest.raises(ProviderUnavailable):
        _send(configure, server.url)
    assert len(server.received) == 1


def test_an_absent_server_is_worth_another_try(configure: Configure) -> None:
    """Nobody listens there."""
    with mail_server() as gone:
        url = gone.url
    with pytest.raises(ProviderUnavailable, match="cannot be reached"):
        _send(configure, url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1:25",
        "http://127.0.0.1:25",
        "smtp://",
        "smtp://127.0.0.1:port",
        "smtp://user:hunter2@mail.example.com:25",
    ],
)
def test_an_unusable_url_is_the_operators(configure: Configure, url: str) -> None:
    """No address, a wrong one, or one that would send the password in clear; the password is not repeated."""
    with pytest.raises(ProviderNotConfigured, match="SMTP_URL") as caught:
        _send(configure, url)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "sender", ["", "Almanac", "Almanac <>", "a@b@c <", "x\r\nBcc: y@example.net <x@y.z>"]
)
def test_an_unusable_sender_is_the_operators(server: MailServer, configure: Configure, sender: str) -> None:
    """MAIL_FROM must be an address."""
    with pytest.raises(ProviderNotConfigured, match="MAIL_FROM"):
        _send(configure, server.url, sender=sender)


def test_signing_in(configure: Configure) -> None:
    """User and password are percent-decoded; wrong ones are the operator's to mend."""
    with mail_server(users={"ada@example.com": "p:ss/w%rd"}) as server:
        place = f"127.0.0.1:{server.port}"
        _send(configure, f"smtp://ada%40example.com:p%3Ass%2Fw%25rd@{place}")
        assert server.received[0].user == "ada@example.com"
        for password in ("wrong", "w%C3%B6rd"):
            with pytest.raises(ProviderNotConfigured, match="SMTP_URL"):
                _send(configure, f"smtp://ada%40example.com:{password}@{place}")


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A self-signed certificate for 127.0.0.1 with its key, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail.test")])
    today = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - timedelta(days=1))
        .not_valid_after(today + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "mail.pem"
    encoding = serialization.Encoding.PEM
    path.write_bytes(
        made.public_bytes(encoding)
        + key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path


@pytest.fixture
def fresh_tls() -> Iterator[None]:
    tls.cache_clear()
    yield
    tls.cache_clear()


@pytest.mark.parametrize(("scheme", "implicit"), [("smtp+starttls", False), ("smtps", True)])
def test_encrypted_sessions(
    configure: Configure,
    certificate: Path,
    fresh_tls: None,
    monkeypatch: pytest.MonkeyPatch,
    scheme: str,
    implicit: bool,
) -> None:
    """The password and the letter go out only after the server has proved who it is."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    with mail_server(tls=context, implicit_tls=implicit, users={"ada": "pw"}) as server:
        url = f"{scheme}://ada:pw@127.0.0.1:{server.port}"
        with pytest.raises(ProviderUnavailable):
            _send(configure, url)
        assert not server.received
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        tls.cache_clear()
        _send(configure, url)
        (got,) = server.received
        assert (got.encrypted or implicit, got.user) == (True, "ada")


def test_a_server_without_encryption_gets_nothing(server: MailServer, configure: Configure) -> None:
    """Whoever strips STARTTLS from the server's offer does not get the letter in clear."""
    with pytest.raises(ProviderNotConfigured, match="encryption"):
        _send(configure, server.url.replace("smtp:", "smtp+starttls:"))
    assert not server.received


HOSTILE = st.one_of(
    st.text(max_size=60),
    st.lists(
        st.sampled_from(
            ["\r\nBcc: evil@example.net", "\nX: 1", "\r\r\n\n", "\x0b", "\x85", "\u2028", "\0", "=?utf-8?q?=0ABcc:_e?=",
             "=?utf-8?q?=0ABcc=3A_e?=", "=?", "?=", "=?utf-8?b?DQpCY2M6IGU=?=",
             "<script>", '"', "grace", "@example.org", ",", ";", " ", "<evil@example.net>", "😀" * 20]
        ),
        max_size=6,
    ).map("".join),
)  # fmt: skip


@given(subject=HOSTILE, recipient=HOSTILE, reply_to=HOSTILE, body=HOSTILE)
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_no_text_becomes_a_header(subject: str, recipient: str, reply_to: str, body: str) -> None:
    """Hostile subjects are one line of text; hostile addresses are refused or are exactly one address."""
    for letter in (
        Letter("<1@x>", "grace@example.org", subject, body),
        Letter("<1@x>", recipient, "subject", body, "", "", reply_to),
    ):
        try:
            message = compose(letter, SENDER)
        except InvalidRequest:
            assert letter.recipient == recipient
            continue
        parsed = message_from_bytes(message.as_bytes(policy=policy.SMTPUTF8), policy=policy.default)
        assert {name.lower() for name in parsed.keys()} <= {  # noqa: SIM118  # a message is no mapping
            "from", "to", "reply-to", "subject", "message-id", "date", "auto-submitted", "content-type",
            "content-transfer-encoding", "mime-version",
        }  # fmt: skip
        assert len(parsed.get_all("To")) == len(parsed.get_all("Subject")) == 1
        assert len(parsed["To"].addresses) == 1
        assert "evil" not in str(parsed["Bcc"])


@pytest.mark.parametrize("local", ["grüße", "用户", "jörg.müller+termin", "o'néill"])
def test_a_recipient_outside_ascii_gets_the_letter(configure: Configure, local: str) -> None:
    """With a server that takes such addresses (RFC 6531), envelope and header carry them as they are."""
    with mail_server(utf8=True) as server:
        letter = Letter("<1@x>", f"{local}@bücher.example", "Bestätigt", "Grüße", _invitation(), "REQUEST")
        _send(configure, server.url, letter)
    (got,) = server.received
    assert got.recipients == [f"{local}@xn--bcher-kva.example"]
    assert got.message["To"] == f"{local}@xn--bcher-kva.example"
    assert f"To: {local}@xn--bcher-kva.example".encode() in got.raw
    assert got.text.strip() == "Grüße"


def test_a_server_without_such_addresses_refuses_only_what_is_for_them(
    server: MailServer, configure: Configure
) -> None:
    """The letter for such a recipient is refused for good; one that would be answered to such an address goes."""
    with pytest.raises(InvalidRequest, match="cannot write to this address"):
        _send(configure, server.url, Letter("<1@x>", "grüße@example.org", "Hello", "Hello"))
    _send(
        configure,
        server.url,
        Letter("<2@x>", "ada@example.com", "Hello", "Hello", reply_to="grüße@example.org"),
    )
    (got,) = server.received
    assert (got.recipients, got.message["Reply-To"]) == (["ada@example.com"], None)


def test_an_answer_goes_to_an_address_outside_ascii(configure: Configure) -> None:
    """A host's letter names the customer's own address where the server can carry it."""
    with mail_server(utf8=True) as server:
        _send(
            configure,
            server.url,
            Letter("<2@x>", "ada@example.com", "Hi", "Hi", reply_to="grüße@example.org"),
        )
    assert "Reply-To: grüße@example.org".encode() in server.received[0].raw


@pytest.mark.parametrize(
    "recipient", ["ü,b@example.org", "ü b@example.org", "ü..b@example.org", '"ü@example.org', "ü\n@x.org"]
)
def test_what_is_no_address_outside_ascii_is_refused(configure: Configure, recipient: str) -> None:
    """Separators, spaces and quotes would make several addresses, or other headers, of one."""
    with pytest.raises(InvalidRequest):
        compose(Letter("<1@x>", recipient, "Hello", "Hello"), SENDER)
