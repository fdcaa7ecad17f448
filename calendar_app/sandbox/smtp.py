"""The sandbox's mail server: takes every letter, keeps it for ``/sandbox/mail``, and delivers none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session

from calendar_app.sandbox.mailbox import Mailbox

HOST = "127.0.0.1"
_LARGEST = 2 * 2**20


class _Keeper:
    """aiosmtpd's handler: hooks are found by their names."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:
        raw: Any = envelope.original_content or b""
        self._mailbox.keep(envelope.mail_from or "", list(envelope.rcpt_tos), raw)
        return "250 2.0.0 Kept in the sandbox"


@asynccontextmanager
async def mail_server(mailbox: Mailbox, port: int) -> AsyncIterator[int]:
    """Runs the server on the running loop, on loopback only; gives its port (``port`` 0: any that is free)."""
    loop = asyncio.get_running_loop()

    def session() -> SMTP:
        return SMTP(
            _Keeper(mailbox),
            hostname="sandbox.almanac",
            ident="Almanac sandbox",
            data_size_limit=_LARGEST,
            enable_SMTPUTF8=True,
            timeout=60,
            loop=loop,
        )

    server = await loop.create_server(session, HOST, port)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()
