"""``freeBusy.query``: when calendars are taken, merged, cut to the range asked for.

Source: https://developers.google.com/workspace/calendar/api/v3/reference/freebusy/query. Transparent and cancelled
events, and those the owner declined, take no time.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import orjson

from calendar_app.sandbox.google.calendars import CalendarRow, Calendars
from calendar_app.sandbox.google.error import GoogleError, invalid, required, time_range_empty
from calendar_app.sandbox.google.listing import LARGEST_PAGE, Listing, Query, resume_page
from calendar_app.sandbox.google.recurrence import instant_of, written_in

Json = dict[str, Any]

MOST_CALENDARS = 50


def answer(calendars: Calendars, account: str, body: object) -> Json:
    """The FreeBusyResponse; a calendar the account cannot see has ``errors`` instead of ``busy``.

    :raises GoogleError: 400.
    """
    asked = body if isinstance(body, dict) else {}
    bounds = []
    for name in ("timeMin", "timeMax"):
        if not asked.get(name):
            raise required(f"Missing {name} parameter.")
        bounds.append(instant(str(asked[name]), name))
    start, end = bounds
    if end <= start:
        raise time_range_empty()
    items, most = asked.get("items") or [], asked.get("calendarExpansionMax") or MOST_CALENDARS
    if not isinstance(items, list) or not isinstance(most, int):
        raise invalid("Invalid value for: items", "items")
    if len(items) > min(most, MOST_CALENDARS):
        raise GoogleError(
            400,
            "tooManyCalendarsRequested",
            "Too many calendars requested.",
            domain="calendar",
            location="items",
        )
    zone = str(asked.get("timeZone") or "UTC")
    found: Json = {}
    for item in items:
        name = str(item.get("id", "")) if isinstance(item, dict) else ""
        try:
            row = calendars.get(account, name)
        except GoogleError:
            found[name] = {"errors": [{"domain": "global", "reason": "notFound"}], "busy": []}
            continue
        periods = busy(calendars, row, start, end)
        found[name] = {
            "busy": [{"start": written_in(a, zone), "end": written_in(b, zone)} for a, b in periods]
        }
    bounds_said = {"timeMin": written_in(start, "UTC"), "timeMax": written_in(end, "UTC")}
    return {"kind": "calendar#freeBusy", **bounds_said, "calendars": found}


def busy(calendars: Calendars, row: CalendarRow, start: int, end: int) -> list[tuple[int, int]]:
    """Merged busy periods of one calendar, epoch seconds."""
    query = Query(single=True, order="startTime", time_min=start, time_max=end, limit=LARGEST_PAGE)
    periods: list[tuple[int, int]] = []
    while True:
        page = Listing(calendars.store, row, query).page()
        for raw in page["items"]:
            event = orjson.loads(orjson.dumps(raw))
            own = [person for person in event.get("attendees", ()) if person.get("self")]
            if event.get("transparency") == "transparent" or any(
                p["responseStatus"] == "declined" for p in own
            ):
                continue
            first, last = (instant_of(event[side], row.body["timeZone"]) for side in ("start", "end"))
            first, last = max(first, start), min(last, end)
            if periods and first <= periods[-1][1]:
                periods[-1] = (periods[-1][0], max(last, periods[-1][1]))
            elif first < last:
                periods.append((first, last))
        if "nextPageToken" not in page:
            return periods
        query = resume_page(replace(query, after=None, until=0), page["nextPageToken"])


def instant(text: str, name: str) -> int:
    """Epoch seconds of an RFC 3339 timestamp, whose offset is mandatory.

    :raises GoogleError: 400.
    """
    try:
        moment = datetime.fromisoformat(text.upper())
    except ValueError as error:
        raise invalid(f"Invalid value for: {name}", name) from error
    if moment.tzinfo is None or len(text) < 17:
        raise invalid(f"Invalid value for: {name}", name)
    return int(moment.timestamp())
