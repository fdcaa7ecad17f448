"""Every letter the application sends in sandbox mode, on the page ``/sandbox/mail`` and as JSON.

=======  ==================  ==========================================================================================
method   below               what
=======  ==================  ==========================================================================================
GET      ``/sandbox/api``    ``mail``: ``{"items": [...]}``, newest first; ``?to=`` one recipient, ``?limit=100``
GET      ``/sandbox/api``    ``mail/{id}``: one letter
GET      ``/sandbox/api``    ``mail/calendar``: ``?to=`` one recipient; what their mail client has put into their
                             calendar by the invitations they were sent: ``{"items": [{"uid", "sequence", "summary",
                             "start", "end"}]}``
DELETE   ``/sandbox/api``    ``mail``: throws all of them away
=======  ==================  ==========================================================================================

A letter is ``{"id", "received_at", "sender", "recipients", "subject", "message_id", "reply_to", "text", "html",
"method", "ics"}``; ``method`` and ``ics`` are empty where it carries no invitation. Pictures that came with the HTML
stand in it as ``data:`` addresses.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import icalendar
import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from calendar_app.sandbox.filed import Entry, entries
from calendar_app.sandbox.pages import Pages, refuse_cross_site
from calendar_app.sandbox.store import Store

MOST_KEPT = 1_000
_LETTER_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; sandbox allow-popups"
)
_SCHEMA = """
CREATE TABLE IF NOT EXISTS mail (
  id INTEGER PRIMARY KEY AUTOINCREMENT, received INTEGER NOT NULL, sender TEXT NOT NULL, recipients TEXT NOT NULL,
  raw BLOB NOT NULL);
"""
_SHOWN = (
    "SUMMARY",
    "DTSTART",
    "DTEND",
    "STATUS",
    "SEQUENCE",
    "LOCATION",
    "DESCRIPTION",
    "URL",
    "UID",
    "DTSTAMP",
)


@dataclass(frozen=True, slots=True)
class KeptLetter:
    """A letter as it arrived. ``sender`` and ``recipients`` are the envelope's; ``received_at`` is UTC."""

    id: int
    received_at: datetime
    sender: str
    recipients: list[str]
    subject: str
    message_id: str
    reply_to: str
    text: str
    html: str
    method: str
    ics: str

    def appointment(self) -> list[tuple[str, str]]:
        """The invitation's properties by name, as a reader understands them; nothing where it cannot be read."""
        try:
            return list(_properties(icalendar.Calendar.from_ical(self.ics))) if self.ics else []
        except ValueError:
            return []


class Mailbox:
    """The letters in the sandbox's store; beyond :data:`MOST_KEPT` the oldest go."""

    def __init__(self, store: Store, pages: Pages) -> None:
        self.store, self.pages = store, pages
        store.db.executescript(_SCHEMA)

    def keep(self, sender: str, recipients: list[str], raw: bytes) -> None:
        """Store a letter; open pages hear of it by the store's sequence."""
        with self.store.writing():
            self.store.next_sequence()
            row = self.store.db.execute(
                "INSERT INTO mail (received, sender, recipients, raw) VALUES (?, ?, ?, ?) RETURNING id",
                (self.store.now_ms(), sender, orjson.dumps(recipients).decode(), raw),
            ).fetchone()
            self.store.db.execute("DELETE FROM mail WHERE id <= ?", (row["id"] - MOST_KEPT,))

    def letters(self, *, to: str = "", limit: int = 100) -> list[KeptLetter]:
        """Newest first."""
        rows = self.store.db.execute(
            "SELECT * FROM mail WHERE ? = '' OR EXISTS (SELECT 1 FROM json_each(recipients) WHERE lower(value) = ?) "
            "ORDER BY id DESC LIMIT ?",
            (to, to.lower(), limit),
        )
        return [_letter(row) for row in rows]

    def filed(self, to: str) -> list[Entry]:
        """What stands in the recipient's calendar by the invitations they were sent, by start."""
        found = entries(reversed(self.letters(to=to, limit=MOST_KEPT)))
        return sorted(found.values(), key=lambda entry: (entry.start, entry.uid))

    def find(self, letter_id: int) -> KeptLetter:
        """:raises HTTPException: 404."""
        row = self.store.db.execute("SELECT * FROM mail WHERE id = ?", (letter_id,)).fetchone()
        if row is None:
            raise HTTPException(404, "There is no such letter.")
        return _letter(row)

    def page_routes(self) -> list[Route]:
        """Below ``/sandbox``."""
        return [
            Route("/mail", self._list, methods=["GET"]),
            Route("/mail/{letter:int}", self._show, methods=["GET"]),
            Route("/mail/{letter:int}/html", self._show_html, methods=["GET"]),
        ]

    def api_routes(self) -> list[Route]:
        """Below ``/sandbox/api``."""
        return [
            Route("/mail", self._api_list, methods=["GET"]),
            Route("/mail", self._api_clear, methods=["DELETE"]),
            Route("/mail/calendar", self._api_calendar, methods=["GET"]),
            Route("/mail/{letter:int}", self._api_one, methods=["GET"]),
        ]

    async def _list(self, request: Request) -> Response:
        return self.pages.render(
            request, "mailbox.html", letters=self.letters(), sequence=self.store.sequence()
        )

    async def _show(self, request: Request) -> Response:
        letter = self.find(request.path_params["letter"])
        return self.pages.render(request, "letter.html", letter=letter, appointment=letter.appointment())

    async def _show_html(self, request: Request) -> Response:
        """As mail programs show it: without scripts, and without loading anything."""
        letter = self.find(request.path_params["letter"])
        if not letter.html:
            raise HTTPException(404, "This letter has no HTML.")
        return HTMLResponse(letter.html, headers={"Content-Security-Policy": _LETTER_POLICY})

    async def _api_list(self, request: Request) -> Response:
        limit = request.query_params.get("limit", "")
        found = self.letters(
            to=request.query_params.get("to", ""),
            limit=min(int(limit), MOST_KEPT) if limit.isdecimal() and len(limit) < 10 else 100,
        )
        return JSONResponse({"items": [_json(letter) for letter in found]})

    async def _api_calendar(self, request: Request) -> Response:
        found = self.filed(request.query_params.get("to", ""))
        times = [{"start": entry.start.isoformat(), "end": entry.end.isoformat()} for entry in found]
        items = [asdict(entry) | sides for entry, sides in zip(found, times, strict=True)]
        return JSONResponse({"items": items})

    async def _api_one(self, request: Request) -> Response:
        return JSONResponse(_json(self.find(request.path_params["letter"])))

    async def _api_clear(self, request: Request) -> Response:
        refuse_cross_site(request)
        with self.store.writing():
            self.store.next_sequence()
            self.store.db.execute("DELETE FROM mail")
        return Response(status_code=204)


def _json(letter: KeptLetter) -> dict[str, Any]:
    return asdict(letter) | {"received_at": letter.received_at.isoformat()}


def _letter(row: Any) -> KeptLetter:
    message = message_from_bytes(row["raw"], policy=policy.default)
    assert isinstance(message, EmailMessage)
    calendars = [part for part in message.walk() if part.get_content_type() == "text/calendar"]
    plain = [part for part in message.walk() if part.get_content_type() == "text/plain"]
    html = [part for part in message.walk() if part.get_content_type() == "text/html"]
    return KeptLetter(
        id=row["id"],
        received_at=datetime.fromtimestamp(row["received"] / 1000, UTC),
        sender=row["sender"],
        recipients=orjson.loads(row["recipients"]),
        subject=str(message.get("Subject", "")),
        message_id=str(message.get("Message-ID", "")),
        reply_to=str(message.get("Reply-To", "")),
        text=_content(plain[0]).replace("\r\n", "\n") if plain else "",
        html=_with_pictures(_content(html[0]).replace("\r\n", "\n"), message) if html else "",
        method=str(calendars[0].get_param("method") or "") if calendars else "",
        ics=_content(calendars[0]) if calendars else "",
    )


def _with_pictures(html: str, message: EmailMessage) -> str:
    """The HTML with the pictures that its ``cid:`` addresses (RFC 2392) name."""
    for part in message.walk():
        name = str(part["Content-ID"] or "").strip("<>")
        if name and part.get_content_type() == "image/png":
            picture: bytes = part.get_content()
            data = b64encode(picture).decode()
            html = html.replace(f"cid:{name}", f"data:image/png;base64,{data}")
    return html


def _content(part: Any) -> str:
    data: bytes = part.get_payload(decode=True) or b""
    return data.decode("utf-8", "replace")


def _properties(calendar: icalendar.Component) -> Iterator[tuple[str, str]]:
    yield "METHOD", str(calendar.get("METHOD", ""))
    for event in calendar.walk("VEVENT"):
        for name in _SHOWN:
            if name in event:
                value = event.decoded(name) if name.startswith("DT") else event[name]
                yield name, f"{value:%a %d %b %Y, %H:%M %Z}" if isinstance(value, datetime) else str(value)
        for name in ("ORGANIZER", "ATTENDEE"):
            people = event.get(name, [])
            for person in people if isinstance(people, list) else [people]:
                state = person.params.get("PARTSTAT", "")
                address = str(person).removeprefix("mailto:")
                yield name, f"{person.params.get('CN', '')} <{address}> {state}".strip()
