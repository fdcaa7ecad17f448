"""The sandbox's mail server, its page and its JSON."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest

from calendar_app.domain.event import Attendee, EventStatus
from calendar_app.domain.ics.writer import Appointment, Method, calendar_text
from calendar_app.providers import mail
from calendar_app.providers.mail import Image, Letter
from calendar_app.sandbox.environment import MAIL_FROM, sandbox_environment
from calendar_app.settings import Settings
from tests.sandbox.server import Sandbox, running_sandbox

AT = datetime(2026, 11, 18, 10, 0, tzinfo=UTC)
ADA, GRACE = Attendee("ada@example.com", "Ada"), Attendee("grace@example.org", "Grace <b>Hopper</b>")


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with running_sandbox(smtp_port=0) as running:
        yield running


def _send(sandbox: Sandbox, letter: Letter) -> None:
    port = sandbox.app.state.smtp_port
    environment = sandbox_environment("http://localhost:3000", sandbox.url, port)
    mail.send(letter, Settings(SMTP_URL=environment["SMTP_URL"], MAIL_FROM=environment["MAIL_FROM"]))


def _invitation() -> str:
    appointment = Appointment(
        "b1@almanac", 3, EventStatus.CONFIRMED, AT, AT + timedelta(minutes=30), AT, "Call; with <script>x</script>",
        description="line 1\nline 2", organizer=ADA, attendees=(GRACE, ADA),
    )  # fmt: skip
    return calendar_text((appointment,), Method.REQUEST)


def test_what_is_sent_can_be_read(sandbox: Sandbox) -> None:
    """A letter sent over SMTP stands in the JSON as it was sent, the newest first."""
    ics = _invitation()
    _send(sandbox, Letter("<1@x>", "grace@example.org", "First", "Hello Grüße\n"))
    _send(sandbox, Letter("<2@x>", "Eve@example.org", "Second", "Hi\n", ics, "REQUEST", "ada@example.com"))
    second, first = sandbox.client.get("/sandbox/api/mail").json()["items"]
    assert first == {
        "id": 1,
        "received_at": sandbox.clock().isoformat(),
        "sender": "no-reply@sandbox.example",
        "recipients": ["grace@example.org"],
        "subject": "First",
        "message_id": "<1@x>",
        "reply_to": "",
        "text": "Hello Grüße\n",
        "html": "",
        "method": "",
        "ics": "",
    }
    assert (second["method"], second["reply_to"]) == ("REQUEST", "ada@example.com")
    assert second["ics"].replace("\r\n", "\n") == ics.replace("\r\n", "\n")
    assert sandbox.client.get("/sandbox/api/mail/2").json() == second
    assert sandbox.client.get("/sandbox/api/mail", params={"to": "eve@example.org"}).json()["items"] == [
        second
    ]
    assert sandbox.client.get("/sandbox/api/mail", params={"limit": "1"}).json()["items"] == [second]


def test_the_pages_show_letters_as_text(sandbox: Sandbox) -> None:
    """The list, one letter with its links, and the invitation decoded; markup in any of them stays text."""
    body = "Manage: http://localhost:3000/manage/abc\n<script>alert(1)</script>\njavascript:alert(1)\n"
    subject = "Hi <img src=x onerror=alert(1)>"
    _send(sandbox, Letter("<1@x>", "grace@example.org", subject, body, _invitation(), "REQUEST"))
    listed, shown = sandbox.client.get("/sandbox/mail"), sandbox.client.get("/sandbox/mail/1")
    for page in (listed, shown):
        assert page.status_code == 200
        assert "default-src 'none'" in page.headers["content-security-policy"]
        assert not re.search(r"<(script>|img|b>)", page.text)
        assert "Hi &lt;img" in page.text
    assert 'href="/sandbox/mail/1"' in listed.text
    assert '<a href="http://localhost:3000/manage/abc"' in shown.text
    assert 'href="javascript' not in shown.text
    for value in (
        "Call; with &lt;script&gt;",
        "Wed 18 Nov 2026, 10:00 UTC",
        "line 1\nline 2",
        "Ada &lt;ada@example.com&gt; NEEDS-ACTION",
        '<td class="value">3</td>',
    ):
        assert value in shown.text
    assert sandbox.client.get("/sandbox/mail/2").status_code == 404
    assert 'href="/sandbox/mail"' in sandbox.client.get("/sandbox").text


def test_a_letter_is_shown_as_mail_programs_do(sandbox: Sandbox) -> None:
    """Its HTML with the picture that came along, on a page that runs and loads nothing; none where it has no HTML."""
    html = '<p>Hi</p><img src="cid:logo.png" alt="Logo"><script>alert(1)</script>'
    _send(
        sandbox,
        Letter("<1@x>", "grace@example.org", "S", "Hi\n", html=html, logo=Image("logo.png", b"\x89PNG")),
    )
    _send(sandbox, Letter("<2@x>", "grace@example.org", "S", "Hi\n"))
    page = sandbox.client.get("/sandbox/mail/1/html")
    assert 'src="data:image/png;base64,iVBORw=="' in page.text
    policy = page.headers["content-security-policy"].split("; ")
    assert {"default-src 'none'", "img-src data:", "sandbox allow-popups"} <= set(policy)
    assert 'href="/sandbox/mail/1/html"' in sandbox.client.get("/sandbox/mail/1").text
    assert sandbox.client.get("/sandbox/mail/2/html").status_code == 404


def test_a_new_letter_is_news_for_open_pages(sandbox: Sandbox) -> None:
    """The page's script watches the store's sequence."""
    before = sandbox.client.get("/sandbox/api/state").json()
    _send(sandbox, Letter("<1@x>", "grace@example.org", "First", "Hello\n"))
    assert sandbox.client.get("/sandbox/api/state").json() != before
    assert sandbox.client.delete("/sandbox/api/mail").status_code == 204
    assert sandbox.client.get("/sandbox/api/mail").json() == {"items": []}
    assert "No letters yet" in sandbox.client.get("/sandbox/mail").text


def test_other_sites_cannot_empty_the_mailbox(sandbox: Sandbox) -> None:
    """A request that a browser marks as another site's is refused."""
    headers = {"sec-fetch-site": "cross-site"}
    assert sandbox.client.delete("/sandbox/api/mail", headers=headers).status_code == 403


def test_a_broken_invitation_is_shown_as_it_is(sandbox: Sandbox) -> None:
    """What cannot be decoded does not break the page."""
    _send(
        sandbox,
        Letter("<1@x>", "grace@example.org", "Broken", "Hello\n", "BEGIN:VEVENT\r\nnonsense", "REQUEST"),
    )
    page = sandbox.client.get("/sandbox/mail/1")
    assert page.status_code == 200
    assert "nonsense" in page.text


def test_the_environment_leads_to_the_mail_server() -> None:
    """The port is the launcher's choice, or the one after the sandbox's own."""
    chosen = sandbox_environment("http://localhost:3000", "http://127.0.0.1:4000", 2525)
    derived = sandbox_environment("http://localhost:3000", "http://127.0.0.1:4000")
    assert (chosen["SMTP_URL"], chosen["SANDBOX_SMTP_PORT"]) == ("smtp://127.0.0.1:2525", "2525")
    assert urlsplit(derived["SMTP_URL"]).port == int(derived["SANDBOX_SMTP_PORT"]) == 4001
    assert derived["MAIL_FROM"] == MAIL_FROM


def test_a_sandbox_without_a_port_takes_no_mail() -> None:
    """Tests and tools that only want calendars start no mail server; the page is there all the same."""
    with running_sandbox() as sandbox:
        assert not hasattr(sandbox.app.state, "smtp_port")
        assert sandbox.client.get("/sandbox/mail").status_code == 200


def test_invitations_are_filed_by_uid(sandbox: Sandbox) -> None:
    """One entry a UID, as the newest SEQUENCE has it; an older letter changes nothing, a cancellation takes it away."""

    def send(number: int, uid: str, sequence: int, method: Method, hours: int = 0) -> None:
        start = AT + timedelta(hours=hours)
        status = EventStatus.CANCELLED if method is Method.CANCEL else EventStatus.CONFIRMED
        appointment = Appointment(
            uid, sequence, status, start, start + timedelta(minutes=30), AT, "Call",
            organizer=ADA, attendees=(GRACE, ADA),
        )  # fmt: skip
        ics = calendar_text((appointment,), method)
        _send(sandbox, Letter(f"<{number}@x>", GRACE.email, "Call", "Hi\n", ics, str(method)))

    def filed(of: str) -> list[tuple[str, int, str]]:
        found = sandbox.client.get("/sandbox/api/mail/calendar", params={"to": of}).json()["items"]
        return [(one["uid"], one["sequence"], one["start"]) for one in found]

    send(1, "a@x", 0, Method.REQUEST)
    send(2, "b@x", 0, Method.REQUEST, 1)
    send(3, "b@x", 2, Method.REQUEST, 3)
    send(4, "b@x", 1, Method.REQUEST, 2)
    later = (AT + timedelta(hours=3)).isoformat()
    assert filed(GRACE.email) == [("a@x", 0, AT.isoformat()), ("b@x", 2, later)]
    assert filed(ADA.email) == []
    send(5, "a@x", 1, Method.CANCEL)
    send(6, "a@x", 0, Method.REQUEST)
    assert filed(GRACE.email) == [("b@x", 2, later)]
