"""A mail server on a free loopback port, with answers and troubles of the test's choice.

with mail_server() as server:
    server.answers["RCPT"] = "550 5.1.1 no such person"
    ...
    server.received[0].message["Subject"]
"""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session


@dataclass(frozen=True, slots=True)
class Received:
    """A letter that the server took; ``encrypted`` and ``user`` are the session's."""

    sender: str
    recipients: list[str]
    raw: bytes
    encrypted: bool
    user: str

    @property
    def message(self) -> EmailMessage:
        found = message_from_bytes(self.raw, policy=policy.default)
        assert isinstance(found, EmailMessage)
        return found

    @property
    def text(self) -> str:
        body = self.message.get_body(("plain",))
        assert body is not None
        return str(body.get_content())


@dataclass
class MailServer:
    """``answers`` replaces what is said to a command (``MAIL``, ``RCPT``, ``DATA``, ``QUIT``); a refused letter is not
    ``received``. While ``gate`` is closed, letters are kept but not acknowledged; ``arrived`` counts them.
    ``hang_up`` ends the session instead of acknowledging a letter.
    """

    port: int = 0
    users: dict[str, str] = field(default_factory=dict)
    answers: dict[str, str] = field(default_factory=dict)
    received: list[Received] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)
    arrived: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    hang_up: bool = False

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    def authenticate(self, _server: Any, _session: Any, _envelope: Any, _kind: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        user = data.login.decode()
        good = self.users.get(user) == data.password.decode()
        return AuthResult(success=good, handled=good, auth_data=user)

    async def handle_MAIL(
        self, _server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.users and not session.authenticated:
            return "530 5.7.0 sign in first"
        envelope.mail_from = address
        return self.answers.get("MAIL", "250 OK")

    async def handle_RCPT(
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if "RCPT" not in self.answers:
            envelope.rcpt_tos.append(address)
        return self.answers.get("RCPT", "250 OK")

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        raw: Any = envelope.original_content
        if "DATA" not in self.answers:
            self.received.append(
                Received(
                    envelope.mail_from or "",
                    list(envelope.rcpt_tos),
                    raw,
                    session.ssl is not None,
                    session.auth_data or "",
                )
            )
        self.arrived.release()
        while not self.gate.is_set():
            await asyncio.sleep(0.005)
        if self.hang_up:
            assert server.transport is not None
            server.transport.close()
        return self.answers.get("DATA", "250 OK")

    async def handle_QUIT(self, _server: SMTP, _session: Session, _envelope: Envelope) -> str:
        return self.answers.get("QUIT", "221 Bye")


@contextmanager
def mail_server(
    *,
    tls: ssl.SSLContext | None = None,
    implicit_tls: bool = False,
    users: dict[str, str] | None = None,
    utf8: bool = False,
) -> Iterator[MailServer]:
    """``tls`` offers STARTTLS, or, ``implicit_tls``, begins with it; ``users`` (by name, with password) must sign
    in; ``utf8`` takes addresses outside ASCII (RFC 6531)."""
    server = MailServer(users=users or {})
    server.gate.set()
    loop = asyncio.new_event_loop()

    def session() -> SMTP:
        return SMTP(
            server,
            hostname="mail.test",
            enable_SMTPUTF8=utf8,
            loop=loop,
            tls_context=None if implicit_tls else tls,
            auth_require_tls=False,
            authenticator=server.authenticate if users else None,
        )

    listener = loop.run_until_complete(
        loop.create_server(session, "127.0.0.1", 0, ssl=tls if implicit_tls else None)
    )
    server.port = listener.sockets[0].getsockname()[1]
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield server
    finally:
        server.gate.set()
        asyncio.run_coroutine_threadsafe(_close(listener), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


async def _close(listener: asyncio.Server) -> None:
    listener.close()
    await listener.wait_closed()
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)
