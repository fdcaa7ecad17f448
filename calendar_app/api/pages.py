"""404 for pages of bookings, businesses and event types that do not exist.

Reflex answers every address that looks like a page's with the page, which then says that there is nothing here. People
read that; programs that follow or index links read the status.
"""

from __future__ import annotations

import asyncio
import logging

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from calendar_app.errors import NotFound
from calendar_app.services.bookings import queries as booking_queries
from calendar_app.services.event_types import queries as event_type_queries

log = logging.getLogger(__name__)

PATIENCE_S = 2.0
"""How long the page waits for its status; then it is shown as it is."""


class MissingPages:
    """ASGI middleware before the pages: what is shown stays, what is said of it becomes 404."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (
            scope["type"] != "http"
            or scope["method"] not in ("GET", "HEAD")
            or not await _nothing_at(scope["path"])
        ):
            await self.app(scope, receive, send)
            return

        async def send_missing(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == 200:
                message = {**message, "status": 404}
            await send(message)

        await self.app(scope, receive, send_missing)


async def _nothing_at(path: str) -> bool:
    if not path.startswith(("/book/", "/manage/")):
        return False
    try:
        return await asyncio.wait_for(asyncio.to_thread(is_missing, path), PATIENCE_S)
    except Exception as error:  # noqa: BLE001  # of a database that is not there; the page itself says so
        log.warning("whether a page exists is not known", extra={"reason": type(error).__name__})
        return False


def is_missing(path: str) -> bool:
    """Whether ``path`` is one of a public page that leads nowhere."""
    if "\x00" in path:  # which PostgreSQL cannot even look for
        return True
    try:
        match path.strip("/").split("/"):
            case ["book", workspace]:
                event_type_queries.public_list(workspace)
            case ["book", workspace, event_type]:
                event_type_queries.public(workspace, event_type)
            case ["manage", token]:
                booking_queries.by_token(token)
    except NotFound:
        return True
    return False
