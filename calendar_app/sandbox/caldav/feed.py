"""A published calendar link, which is one of the CalDAV account's calendars as everybody with the address may read it.

Radicale delivers the calendar; the secret part of the address is kept in ``DATA_DIR/sandbox-feed-key``, since connected
calendars hold it.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import httpx
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from calendar_app.sandbox.caldav.odd_answers import weak_tags
from calendar_app.sandbox.caldav.stand_in import CalDavStandIn
from calendar_app.sandbox.fault_middleware import SCOPE_KEY
from calendar_app.sandbox.stand_in import FOR_THE_PAGE, HeldAccount, Listed

PREFIX = "/sandbox/ics"
CALENDAR = "studio"
PUBLISHER = "studio@example.com"


class FeedStandIn:
    """:class:`calendar_app.sandbox.stand_in.StandIn`. What is changed here changes in the CalDAV account too.

    ``origin`` is the sandbox's own address as the application calls it.
    """

    key, title = "ics", "Calendar link"

    def __init__(self, caldav: CalDavStandIn, origin: str, data_dir: Path) -> None:
        self._caldav, self._origin = caldav, origin
        self._key_file = data_dir / "sandbox-feed-key"

    @property
    def path(self) -> str:
        """Where the calendar is, below the sandbox's address."""
        return f"{PREFIX}/{self._key()}/{CALENDAR}.ics"

    def routes(self) -> Sequence[BaseRoute]:
        return (Route("/{key}/{name}.ics", self.deliver, methods=["GET"]),)

    def deliver(self, request: Request) -> Response:
        """The calendar with its entity tag, or 304 where the caller has it (RFC 9110 §13.1.2)."""
        if not secrets.compare_digest(request.path_params["key"].encode(), self._key().encode()):
            return PlainTextResponse("There is no calendar here.\n", 404)
        try:
            content, tag = self._caldav.published(request.path_params["name"])
        except KeyError:
            return PlainTextResponse("There is no calendar here.\n", 404)
        except httpx.HTTPError:
            return PlainTextResponse("Radicale does not answer.\n", 502)
        known = request.headers.get("if-none-match", "")
        response = (
            Response(status_code=304) if tag in known else Response(content, media_type="text/calendar")
        )
        response.headers["etag"] = tag
        return weak_tags(response) if request.scope.get(SCOPE_KEY) == "weak_etag" else response

    def sequence(self) -> int:
        """Counted with the CalDAV account."""
        return 0

    def accounts(self, listed: Listed = FOR_THE_PAGE) -> Sequence[HeldAccount]:
        """One publisher with the one calendar; nothing in it while Radicale does not answer."""
        (account,) = self._caldav.accounts(listed)
        held = tuple(calendar for calendar in account.calendars if calendar.id == CALENDAR)
        hint = f"Link {self._origin}{self.path}" if held else account.hint
        return [
            HeldAccount(
                PUBLISHER,
                "Studio timetable",
                held,
                connected=bool(held),
                hint=hint,
                access="open to whoever has the link",
                end_access="Publish at another link",
            )
        ]

    def add_event(self, calendar_id: str, title: str, start: datetime, end: datetime) -> str:
        return self._caldav.add_event(calendar_id, title, start, end)

    def move_event(self, calendar_id: str, event_id: str, start: datetime) -> None:
        self._caldav.move_event(calendar_id, event_id, start)

    def rename_event(self, calendar_id: str, event_id: str, title: str) -> None:
        self._caldav.rename_event(calendar_id, event_id, title)

    def delete_event(self, calendar_id: str, event_id: str) -> None:
        self._caldav.delete_event(calendar_id, event_id)

    def remove_access(self, email: str) -> None:
        """Publishes at another address; the old one is not found any more."""
        if email != PUBLISHER:
            raise KeyError(email)
        self._write_key()

    async def close(self) -> None:
        """Nothing of its own runs."""

    def _key(self) -> str:
        try:
            return self._key_file.read_text().strip()
        except FileNotFoundError:
            return self._write_key()

    def _write_key(self) -> str:
        key = secrets.token_urlsafe(16)
        self._key_file.write_text(f"{key}\n")
        return key
