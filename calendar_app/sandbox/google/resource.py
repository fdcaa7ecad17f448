"""The Event resource: what a client may write, how it is checked, and what Google adds to it.

Source: https://developers.google.com/workspace/calendar/api/v3/reference/events. Unknown and read-only fields are
ignored, as Google ignores them. Attachments are not simulated: they are dropped. What is said of
a conference is :mod:`.conferences`'s matter.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from calendar_app.sandbox.google.error import GoogleError, invalid, required, time_range_empty
from calendar_app.sandbox.google.recurrence import Series, instant_of, written_in, zone_named
from calendar_app.sandbox.oauth import ADDRESS

Json = dict[str, Any]

EVENT_ID = re.compile(r"^[a-v0-9]{5,1024}$")
_RFC3339 = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?([Zz]|[+-]\d\d:\d\d)?$")

_TEXTS = ("summary", "description", "location", "colorId", "eventLabelId")
_FLAGS = (
    "anyoneCanAddSelf",
    "attendeesOmitted",
    "endTimeUnspecified",
    "guestsCanInviteOthers",
    "guestsCanModify",
    "guestsCanSeeOtherGuests",
    "privateCopy",
)
_OBJECTS = (
    "birthdayProperties",
    "conferenceData",
    "end",
    "extendedProperties",
    "focusTimeProperties",
    "gadget",
    "outOfOfficeProperties",
    "reminders",
    "source",
    "start",
    "workingLocationProperties",
)
_LISTS = ("attendees", "recurrence")
_CHOICES = {
    "status": ("confirmed", "tentative", "cancelled"),
    "transparency": ("opaque", "transparent"),
    "visibility": ("default", "public", "private", "confidential"),
    "eventType": ("birthday", "default", "focusTime", "outOfOffice", "workingLocation"),
}
_ANSWERS = ("needsAction", "declined", "tentative", "accepted")
_UNSAID = {"transparency": "opaque", "visibility": "default"}
"""Values that Google leaves out of its answers because they are the default."""
_RESCHEDULING = ("start", "end", "recurrence")


@dataclass(frozen=True, slots=True)
class CalendarRef:
    """The calendar an event lives on, as far as an event needs to know it."""

    id: str
    account: str
    zone: str
    summary: str
    primary: bool


def writable(body: object) -> Json:
    """The fields of ``body`` that a client may set, type-checked; ``None`` stands for "clear this field".

    :raises GoogleError: 400.
    """
    if not isinstance(body, dict):
        raise GoogleError(400, "parseError", "Parse Error")
    kinds: dict[str, type] = (
        dict.fromkeys(_TEXTS + tuple(_CHOICES) + ("id", "iCalUID"), str)
        | dict.fromkeys(_FLAGS, bool)
        | dict.fromkeys(_OBJECTS, dict)
        | dict.fromkeys(_LISTS, list)
        | {"sequence": int}
    )
    taken: Json = {}
    for name, value in body.items():
        if (kind := kinds.get(name)) is None:
            continue
        if value is not None and (not isinstance(value, kind) or (kind is int and isinstance(value, bool))):
            raise invalid(f"Invalid value for: {name}")
        if value is not None and name in _CHOICES and value not in _CHOICES[name]:
            raise invalid(f"Invalid value for: {name}")
        taken[name] = value
    return taken


def merged(old: Json, patch: Json) -> Json:
    """Patch semantics: objects merge, arrays and scalars replace, ``null`` removes."""
    result = dict(old)
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        elif isinstance(value, dict) and isinstance(result.get(name), dict):
            result[name] = merged(result[name], value)
        else:
            result[name] = value
    return result


def without_nulls(body: Json) -> Json:
    """``body`` as an insert or a full update reads it."""
    return {
        name: without_nulls(value) if isinstance(value, dict) else value
        for name, value in body.items()
        if value is not None
    }


def _time(event: Json, side: str, calendar: CalendarRef) -> Json:
    """One bound in stored form: a date, or an instant written in the calendar's zone together with its own zone."""
    time = event.get(side)
    if not time:
        raise required(f"Missing {side} time.")
    day, moment, zone = time.get("date"), time.get("dateTime"), time.get("timeZone")
    if zone is not None:
        zone_named(str(zone))
    if (day is None) == (moment is None):
        raise invalid(f"Invalid {side} time.")
    try:
        if day is not None:
            return {"date": date.fromisoformat(str(day)).isoformat()}
        if not _RFC3339.match(str(moment)):
            raise ValueError(moment)
        naive = datetime.fromisoformat(str(moment).upper()).tzinfo is None
    except ValueError as error:
        raise invalid(f"Invalid {side} time.") from error
    if zone is None and (naive or event.get("recurrence")):
        raise required(f"Missing time zone definition for {side} time.")
    written = written_in(instant_of({**time, "dateTime": str(moment).upper()}, calendar.zone), calendar.zone)
    return {"dateTime": written, "timeZone": zone or calendar.zone}


def checked_times(event: Json, calendar: CalendarRef) -> None:
    """Normalises ``start`` and ``end`` in place.

    :raises GoogleError: 400 where they are missing, malformed, of two kinds or in the wrong order, or the rule is bad.
    """
    event["start"], event["end"] = _time(event, "start", calendar), _time(event, "end", calendar)
    all_day = "date" in event["start"]
    if all_day != ("date" in event["end"]):
        raise invalid("Start and end times must either both be date or both be dateTime.")
    start, end = (instant_of(event[side], calendar.zone) for side in ("start", "end"))
    if end < start or (all_day and end == start):
        raise time_range_empty("end")
    if event.get("recurrence"):
        if not all(isinstance(line, str) for line in event["recurrence"]):
            raise invalid("Invalid recurrence rule.")
        Series({**event, "id": "check"}, calendar.zone)
    else:
        event.pop("recurrence", None)


def _attendees(event: Json, calendar: CalendarRef) -> list[Json]:
    people = []
    for person in event.get("attendees", ()):
        if not isinstance(person, dict) or not person.get("email"):
            raise required("Missing attendee email.")
        if not ADDRESS.match(str(person["email"])):
            raise invalid("Invalid attendee email.")
        if person.get("responseStatus", "needsAction") not in _ANSWERS:
            raise invalid("Invalid attendee response status.")
        email = str(person["email"]).lower()
        kept = {
            name: person[name]
            for name in ("displayName", "optional", "resource", "comment", "additionalGuests")
            if person.get(name)
        }
        if email == event["organizer"]["email"]:
            kept["organizer"] = True
        if email == calendar.account:
            kept["self"] = True
        people.append({"email": email, **kept, "responseStatus": person.get("responseStatus", "needsAction")})
    return people


def _checked_details(event: Json) -> None:
    color = event.get("colorId")
    if color is not None and color not in {str(number) for number in range(1, 12)}:
        raise invalid("Invalid event color ID.")
    for scope, properties in event.get("extendedProperties", {}).items():
        if scope not in ("private", "shared") or not isinstance(properties, dict):
            raise invalid("Invalid value for: extendedProperties")
        for key, value in properties.items():
            if not isinstance(value, str) or len(key) > 44 or len(value) > 1024:
                raise invalid("Invalid value for: extendedProperties")


def html_link(public_url: str, calendar: CalendarRef, event_id: str) -> str:
    """A page of the sandbox, not of Google: no link here may lead to the real provider."""
    eid = urlsafe_b64encode(f"{event_id} {calendar.id}".encode()).decode().rstrip("=")
    return f"{public_url}/sandbox?eid={eid}"


def rfc3339(moment: datetime) -> str:
    """To the millisecond, as ``created`` and ``updated`` are written."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def sealed(
    event: Json, calendar: CalendarRef, *, before: Json | None, sequence: int, now: datetime, public_url: str
) -> Json:
    """The resource as stored and answered: checked, with everything that only Google sets.

    ``before`` is the version it replaces; ``sequence`` its place in the change sequence, from which the ETag is made.
    """
    checked_times(event, calendar)
    _checked_details(event)
    created = before or {}
    organizer = {"email": calendar.id, "self": True}
    if not calendar.primary:
        organizer = {"email": calendar.id, "displayName": calendar.summary, "self": True}
    event["organizer"] = created.get("organizer", organizer)
    creator = {"email": calendar.account} | ({"self": True} if calendar.primary else {})
    result: Json = {
        "kind": "calendar#event",
        "etag": f'"{sequence:016d}"',
        "id": event["id"],
        "status": event.get("status", "confirmed"),
        "htmlLink": html_link(public_url, calendar, event["id"]),
        "created": created.get("created", rfc3339(now)),
        "updated": rfc3339(now),
        "creator": created.get("creator", creator),
        "iCalUID": event.get("iCalUID", f"{event['id']}@google.com"),
        "sequence": event.get("sequence", created.get("sequence", 0)),
        "reminders": event.get("reminders", {"useDefault": True}),
        "eventType": event.get("eventType", "default"),
    }
    if people := _attendees(event, calendar):
        event["attendees"] = people
    else:
        event.pop("attendees", None)
    result |= {
        name: value
        for name, value in event.items()
        if name not in result and value not in ("", {}, []) and _UNSAID.get(name) != value
    }
    if before is not None and result["sequence"] == before["sequence"]:
        moved = any(result.get(name) != before.get(name) for name in _RESCHEDULING)
        result["sequence"] += moved or (result["status"] == "cancelled") != (before["status"] == "cancelled")
    return result


def stub(event: Json) -> Json:
    """A deleted event in an incremental answer: only what a client needs to remove its copy."""
    kept = ("kind", "etag", "id", "status", "recurringEventId", "originalStartTime")
    return {name: event[name] for name in kept if name in event}
