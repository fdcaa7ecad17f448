"""Copies of an event in its attendees' calendars.

Every attendee with an account has the event copied into their primary calendar, under the id and ``iCalUID`` of the
organizer's (https://developers.google.com/workspace/calendar/api/concepts), whatever ``sendUpdates`` says: that is
about e-mails. An answer given in a copy does not come back to the organizer here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from calendar_app.sandbox.google.resource import CalendarRef
from calendar_app.sandbox.store import Store

Json = dict[str, Any]

_OWN = ("attendees", "colorId", "extendedProperties", "reminders", "etag", "htmlLink", "transparency")
"""What every copy has of its own."""


def copies(
    store: Store, calendar: CalendarRef, before: Json | None, after: Json
) -> Iterator[tuple[CalendarRef, Json]]:
    """The calendars that hold, or held, a copy of an event of ``calendar``, with what has to stand there."""
    if after["organizer"]["email"] != calendar.id:
        return
    invited = _addresses(after) if after["status"] != "cancelled" else set()
    organizer = {name: value for name, value in after["organizer"].items() if name != "self"}
    for email in sorted(invited | _addresses(before or {})):
        target = None if email == calendar.account else _primary(store, email)
        if target is None:
            continue
        shared = {name: value for name, value in after.items() if name not in _OWN}
        properties = {
            scope: values
            for scope, values in after.get("extendedProperties", {}).items()
            if scope == "shared"
        }
        people = [
            {key: value for key, value in person.items() if key != "self"}
            for person in after.get("attendees", ())
        ]
        status = after["status"] if email in invited else "cancelled"
        own = {"organizer": organizer, "attendees": people, "status": status}
        yield target, shared | own | ({"extendedProperties": properties} if properties else {})


def _addresses(event: Json) -> set[str]:
    return {str(person["email"]).lower() for person in event.get("attendees", ())}


def _primary(store: Store, email: str) -> CalendarRef | None:
    row = store.db.execute(
        "SELECT id, body FROM calendar WHERE account = ? AND is_primary AND NOT deleted", (email,)
    ).fetchone()
    if row is None:
        return None
    body = orjson.loads(row["body"])
    return CalendarRef(row["id"], email, body["timeZone"], body["summary"], True)
