"""JSON interface to the stand-in for Google below ``/sandbox/api``, in Google's own terms, without credentials.

=======  ==========================================  ==================================================================
method   path                                        what
=======  ==========================================  ==================================================================
GET      ``accounts``                                accounts with calendars, consent scopes and open channels
GET      ``calendars/{calendar}/events``             stored events, newest change first; ``?limit=100&deleted=false``
POST     ``calendars/{calendar}/events``             adds the Google Event resource in the body
PATCH    ``calendars/{calendar}/events/{event}``     a Google patch body, or ``{"shift_minutes": n}`` to move it
DELETE   ``calendars/{calendar}/events/{event}``     deletes it
POST     ``calendars/{calendar}/generate``           ``{"count": n, "start": date, "days": 365, "minutes": 30}``: evenly
                                                     spread events in one change
POST     ``expire-sync-tokens``                      ``{"calendar": id}`` or ``{}`` for all: the next sync answers 410
POST     ``expire-access-tokens``                    ``{"account": e-mail}`` or ``{}``: the next call answers 401
=======  ==========================================  ==================================================================

``calendar`` is a calendar id (an account's e-mail address is its primary calendar). Changes are outside changes: they
reach open push channels. Errors have Google's shape.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from calendar_app.sandbox.google.calendars import CalendarRow, Calendars
from calendar_app.sandbox.google.channels import Channels
from calendar_app.sandbox.google.conferences import conference_kinds
from calendar_app.sandbox.google.error import GoogleError, invalid, not_found
from calendar_app.sandbox.google.events import Events
from calendar_app.sandbox.google.stand_in import shifted
from calendar_app.sandbox.grants import Grants
from calendar_app.sandbox.pages import json_endpoint

Json = dict[str, Any]
Handler = Callable[[Request, Json], Any]

MOST_GENERATED = 100_000
_REFUSALS = (GoogleError, ValueError, TypeError)


class Control:
    """The handlers; see the module's table."""

    def __init__(self, calendars: Calendars, events: Events, grants: Grants, channels: Channels) -> None:
        self.calendars, self.events, self.grants, self.channels = calendars, events, grants, channels

    def routes(self) -> list[Route]:
        events = "/calendars/{calendar}/events"
        table: list[tuple[str, str, Handler]] = [
            ("GET", "/accounts", lambda _r, _b: {"items": self._accounts()}),
            ("GET", events, self._list),
            ("POST", events, lambda r, b: self.events.insert(self._calendar(r).ref, b)),
            ("PATCH", f"{events}/{{event}}", self._patch),
            ("DELETE", f"{events}/{{event}}", self._delete),
            ("POST", "/calendars/{calendar}/generate", self._generate),
            (
                "POST",
                "/expire-sync-tokens",
                lambda _r, b: self.calendars.expire_sync_tokens(b.get("calendar")),
            ),
            (
                "POST",
                "/expire-access-tokens",
                lambda _r, b: self.grants.expire_access_tokens(b.get("account")),
            ),
        ]
        return [
            Route(path, json_endpoint(handler, _REFUSALS, _refusal), methods=[method])
            for method, path, handler in table
        ]

    def _calendar(self, request: Request) -> CalendarRow:
        row = self.calendars.find(request.path_params["calendar"])
        if row is None:
            raise not_found()
        return row

    def _accounts(self) -> list[Json]:
        found = []
        kinds = conference_kinds(self.events.rules)
        for account in self.calendars.accounts():
            channels = [
                {
                    name: row[name]
                    for name in ("id", "resource", "resource_id", "address", "expires", "number")
                }
                for row in self.channels.of(account.email)
            ]
            found.append(
                {
                    "email": account.email,
                    "name": account.name,
                    "sub": account.sub,
                    "calendars": [row.entry(kinds) for row in self.calendars.of(account.email)],
                    "scopes": sorted(self.grants.consent(account.email)),
                    "channels": channels,
                }
            )
        return found

    def _list(self, request: Request, _body: Json) -> Json:
        deleted = request.query_params.get("deleted") == "true"
        limit = request.query_params.get("limit", "100")
        rows = self.calendars.store.db.execute(
            "SELECT body FROM event WHERE calendar = ? AND (? OR status != 'cancelled') ORDER BY seq DESC LIMIT ?",
            (self._calendar(request).id, deleted, int(limit) if limit.isdigit() else 100),
        )
        return {"items": [orjson.loads(row["body"]) for row in rows]}

    def _patch(self, request: Request, body: Json) -> Json:
        row, event_id = self._calendar(request), request.path_params["event"]
        if "shift_minutes" in body:
            minutes = body.pop("shift_minutes")
            if not isinstance(minutes, int):
                raise invalid("shift_minutes must be a whole number.")
            body |= shifted(self.events.get(row.ref, event_id), row.body["timeZone"], minutes=minutes)
        return self.events.patch(row.ref, event_id, body)

    def _delete(self, request: Request, _body: Json) -> None:
        self.events.delete(self._calendar(request).ref, request.path_params["event"])

    def _generate(self, request: Request, body: Json) -> Json:
        row = self._calendar(request)
        count, days, minutes = (int(body.get(name, default)) for name, default in _GENERATED.items())
        if not (0 < count <= MOST_GENERATED and 0 < days <= 36_500 and 0 < minutes <= 1440):
            raise invalid(f"count must be 1 to {MOST_GENERATED}, days 1 to 36500, minutes 1 to 1440.")
        first = date.fromisoformat(body["start"]) if body.get("start") else self.calendars.store.now().date()
        begin = datetime.combine(first, time(), UTC)
        quarters = days * 96
        bodies = []
        for number in range(count):
            start = begin + timedelta(minutes=15 * (number * quarters // count))
            end = start + timedelta(minutes=minutes)
            summary = f"Generated event {number + 1}"
            bounds = {"start": {"dateTime": start.isoformat()}, "end": {"dateTime": end.isoformat()}}
            bodies.append({"summary": summary, **bounds})
        return {"created": self.events.insert_many(row.ref, bodies)}


_GENERATED = {"count": 0, "days": 365, "minutes": 30}


def _refusal(error: Exception) -> Response:
    if isinstance(error, GoogleError):
        return error.response()
    return invalid(f"The request is not valid: {error}").response()
