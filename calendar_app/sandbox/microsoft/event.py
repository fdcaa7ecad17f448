"""What a client may write into an event: checked, completed with Outlook's defaults, and its bounds worked out.

Source: https://learn.microsoft.com/graph/api/resources/event. Properties that Graph computes are ignored in a request,
as OData ignores them; a property that does not exist, or has the wrong type, is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

from calendar_app.sandbox.microsoft.error import GraphError, invalid_property, unreadable_body
from calendar_app.sandbox.microsoft.odata import words
from calendar_app.sandbox.microsoft.recurrence import Series, completed
from calendar_app.sandbox.microsoft.zones import instant_of, wall_clock, zone_named

Json = dict[str, Any]
Check = Callable[[Any, str], Any]

_EXTENDED = re.compile(
    r"^(String|Integer|Boolean|Double|Float|SystemTime|CLSID|Binary|Currency|Short|Long) "
    r"\{[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\} (Name .+|Id 0x[0-9a-f]+)$",
    re.IGNORECASE,
)
_COMPUTED = words(
    """
    id createdDateTime lastModifiedDateTime changeKey iCalUId webLink seriesMasterId type isCancelled
    isOrganizer isDraft organizer responseStatus bodyPreview hasAttachments originalStart
    originalStartTimeZone originalEndTimeZone onlineMeeting onlineMeetingUrl cancelledOccurrences uid
    occurrenceId
    """
)


def _of(kind: type, name: str) -> Check:
    def check(value: Any, where: str) -> Any:
        if value is not None and (not isinstance(value, kind) or (kind is int and isinstance(value, bool))):
            raise unreadable_body(f"Cannot convert the value of '{where}' to the expected type '{name}'.")
        return value

    return check


_TEXT, _FLAG, _NUMBER = _of(str, "Edm.String"), _of(bool, "Edm.Boolean"), _of(int, "Edm.Int32")


def _one_of(*allowed: str) -> Check:
    def check(value: Any, where: str) -> Any:
        if value not in allowed:
            raise unreadable_body(f"Requested value '{value}' was not found for '{where}'.")
        return value

    return check


def _object(**parts: Check) -> Check:
    def check(value: Any, where: str) -> Any:
        if not isinstance(value, dict):
            raise unreadable_body(f"Cannot read the value of '{where}' as an object.")
        found = {name: part for name, part in value.items() if not name.startswith("@odata.")}
        if unknown := set(found) - set(parts):
            raise unreadable_body(f"The property '{min(unknown)}' does not exist on the type of '{where}'.")
        return {name: None if part is None else parts[name](part, where) for name, part in found.items()}

    return check


def _list(item: Check) -> Check:
    def check(value: Any, where: str) -> Any:
        if not isinstance(value, list):
            raise unreadable_body(f"Cannot read the value of '{where}' as a collection.")
        return [item(part, where) for part in value]

    return check


def _extended(value: Any, where: str) -> Json:
    found: Json = _object(id=_TEXT, value=_TEXT)(value, where)
    if not _EXTENDED.match(found.get("id") or ""):
        raise GraphError(
            400, "ErrorInvalidExtendedProperty", "The extended property attribute combination is invalid."
        )
    return found


def _moment(value: Any, where: str) -> Json:
    wall, zone = wall_clock(value, where)
    return {"dateTime": wall.isoformat(), "timeZone": zone}


_ADDRESS = _object(name=_TEXT, address=_TEXT)
_PLACE = _object(
    displayName=_TEXT,
    locationType=_TEXT,
    uniqueId=_TEXT,
    uniqueIdType=_TEXT,
    locationUri=_TEXT,
    locationEmailAddress=_TEXT,
    address=_object(street=_TEXT, city=_TEXT, state=_TEXT, countryOrRegion=_TEXT, postalCode=_TEXT),
    coordinates=lambda value, _where: value,
)
_ATTENDEE = _object(
    emailAddress=_ADDRESS,
    type=_one_of("required", "optional", "resource"),
    status=lambda value, _where: value,
    proposedNewTime=lambda value, _where: value,
)
_WRITABLE: dict[str, Check] = {
    "subject": _TEXT,
    "body": _object(contentType=_one_of("text", "html", "Text", "HTML"), content=_TEXT),
    "start": _moment,
    "end": _moment,
    "isAllDay": _FLAG,
    "showAs": _one_of("free", "tentative", "busy", "oof", "workingElsewhere", "unknown"),
    "sensitivity": _one_of("normal", "personal", "private", "confidential"),
    "importance": _one_of("low", "normal", "high"),
    "isReminderOn": _FLAG,
    "reminderMinutesBeforeStart": _NUMBER,
    "responseRequested": _FLAG,
    "allowNewTimeProposals": _FLAG,
    "hideAttendees": _FLAG,
    "isOnlineMeeting": _FLAG,
    "onlineMeetingProvider": _one_of("unknown", "teamsForBusiness", "skypeForBusiness", "skypeForConsumer"),
    "categories": _list(_TEXT),
    "location": _PLACE,
    "locations": _list(_PLACE),
    "attendees": _list(_ATTENDEE),
    "recurrence": lambda value, _where: value,
    "transactionId": _TEXT,
    "singleValueExtendedProperties": _list(_extended),
}
_DEFAULTS: Json = {
    "subject": "",
    "body": {"contentType": "html", "content": ""},
    "isAllDay": False,
    "showAs": "busy",
    "sensitivity": "normal",
    "importance": "normal",
    "isReminderOn": True,
    "reminderMinutesBeforeStart": 15,
    "responseRequested": True,
    "allowNewTimeProposals": True,
    "hideAttendees": False,
    "isOnlineMeeting": False,
    "onlineMeetingProvider": "unknown",
    "categories": [],
    "location": {},
    "attendees": [],
    "recurrence": None,
    "singleValueExtendedProperties": [],
}
_NULLABLE = {"recurrence", "location", "transactionId"}


def writable(given: object) -> Json:
    """The writable properties of a request body.

    :raises GraphError: 400 for an unknown property or a value of the wrong type.
    """
    if not isinstance(given, dict):
        raise unreadable_body("The body must be one JSON object.")
    found: Json = {}
    for name, value in given.items():
        if name in _COMPUTED or "@odata." in name:
            continue
        if name not in _WRITABLE:
            raise unreadable_body(
                f"The property '{name}' does not exist on type 'Microsoft.OutlookServices.Event'."
            )
        if value is None and (name in _NULLABLE or name in _DEFAULTS):
            found[name] = _DEFAULTS.get(name)
        else:
            found[name] = _WRITABLE[name](value, name)
    places = found.pop("locations", None)
    if places and "location" not in found:
        found["location"] = places[0]
    return found


def merged(before: Json | None, change: Json) -> Json:
    """The whole body after a creation (``before`` is ``None``) or an update, made consistent.

    :raises GraphError: 400.
    """
    body = {**(before or _DEFAULTS), **change}
    for side in ("start", "end"):
        if not body.get(side):
            raise invalid_property(f"The Event.{side.capitalize()} property is required.")
    if before is None and "isReminderOn" not in change and body["isAllDay"]:
        body["reminderMinutesBeforeStart"] = 1080
    own = {item["id"].lower(): item for item in (before or {}).get("singleValueExtendedProperties", ())}
    own |= {item["id"].lower(): item for item in change.get("singleValueExtendedProperties", ())}
    body["singleValueExtendedProperties"] = list(own.values())
    if body["isAllDay"]:
        _check_days(body)
    if body["recurrence"] is not None and {"recurrence", "start", "end"} & change.keys():
        _place(body, before)
    return body


def _check_days(body: Json) -> None:
    bounds = {side: datetime.fromisoformat(body[side]["dateTime"]) for side in ("start", "end")}
    for side, wall in bounds.items():
        if (wall.hour, wall.minute, wall.second) != (0, 0, 0):
            raise invalid_property(
                f"The Event.{side.capitalize()} property for an all-day event needs to be set to midnight."
            )
    if bounds["end"] <= bounds["start"]:
        raise invalid_property("The duration of an event marked as All day must be at least 24 hours.")


def _place(body: Json, before: Json | None) -> None:
    """Completes the recurrence and moves the master onto its first occurrence."""
    wall = datetime.fromisoformat(body["start"]["dateTime"])
    recurrence = body["recurrence"]
    if before is not None and before["recurrence"] is recurrence:
        # Only the time moved: the range follows the start.
        bounds = recurrence["range"] | {"startDate": wall.date().isoformat()}
        recurrence = {"pattern": recurrence["pattern"], "range": bounds}
    body["recurrence"] = completed(recurrence, wall, body["start"]["timeZone"])
    series = Series(body, body["start"]["timeZone"])
    first = series.first()
    if first is None:
        raise invalid_property("The recurrence has no occurrences.")
    if body["isAllDay"]:
        days = datetime.fromisoformat(body["end"]["dateTime"]) - wall
        ends = first.wall + days
        walls = {"start": first.wall, "end": ends}
    else:
        walls = {
            side: datetime.fromtimestamp(at, zone_named(body[side]["timeZone"])).replace(tzinfo=None)
            for side, at in (("start", first.start), ("end", first.end))
        }
    for side, moment in walls.items():
        body[side] = {"dateTime": moment.isoformat(), "timeZone": body[side]["timeZone"]}
    body["recurrence"]["range"]["startDate"] = first.wall.date().isoformat()


def bounds(body: Json, mailbox_zone: str) -> tuple[int, int]:
    """Epoch seconds of start and end; all-day events lie in the mailbox's zone, whatever zone they were written in.

    :raises GraphError: 400 where the end comes first.
    """
    if body["isAllDay"]:
        sides = [{"dateTime": body[side]["dateTime"], "timeZone": mailbox_zone} for side in ("start", "end")]
    else:
        sides = [body["start"], body["end"]]
    start, end = (instant_of(side) for side in sides)
    if end < start:
        raise invalid_property()
    return start, end
