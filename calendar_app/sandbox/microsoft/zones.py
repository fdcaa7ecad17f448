"""Time zones as Graph names them: Windows names and IANA names, both accepted everywhere, echoed as asked for.

Source: https://learn.microsoft.com/graph/api/resources/datetimetimezone. The table is Unicode's (CLDR
``windowsZones``), as the icalendar package carries it. A ``dateTimeTimeZone`` is a wall clock with a zone's name
beside it.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from icalendar.timezone.windows_to_olson import WINDOWS_TO_OLSON

from calendar_app.sandbox.microsoft.error import GraphError, bad_request, unreadable_body

Json = dict[str, Any]

_WINDOWS_OF = {iana: windows for windows, iana in WINDOWS_TO_OLSON.items()} | {"UTC": "UTC", "Etc/UTC": "UTC"}
EARLIEST_YEAR, LATEST_YEAR = 1601, 4500
"""Exchange keeps no dates outside."""
_WALL = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,9})?)?Z?$")
_ANY_INSTANT = re.compile(r"^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:?\d\d)?)?$")


@cache
def zone_named(name: str) -> ZoneInfo:
    """:raises GraphError: 400 for a zone that does not exist."""
    windows = {known.lower(): iana for known, iana in WINDOWS_TO_OLSON.items()}
    iana = "UTC" if name.upper() in ("UTC", "TZONE://MICROSOFT/UTC") else windows.get(name.lower(), name)
    try:
        return ZoneInfo(iana)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise GraphError(
            400,
            "TimeZoneNotSupportedException",
            f"A valid TimeZone value must be specified. The following TimeZone value is not supported: '{name[:64]}'.",
        ) from error


def windows_name(name: str) -> str:
    """What Windows calls the zone; the name itself where Windows has none."""
    return _WINDOWS_OF.get(name, name)


def wall_clock(value: object, where: str) -> tuple[datetime, str]:
    """The naive wall clock and the zone's name of a ``dateTimeTimeZone``.

    :raises GraphError: 400.
    """
    if not isinstance(value, dict) or not set(value) <= {"dateTime", "timeZone", "@odata.type"}:
        raise unreadable_body(f"Cannot read the value of '{where}' as a dateTimeTimeZone.")
    text, zone = value.get("dateTime"), value.get("timeZone")
    if not isinstance(text, str) or not _WALL.match(text) or not isinstance(zone, str | None):
        raise unreadable_body(
            f"Cannot convert the value of '{where}' to the expected type 'dateTimeTimeZone'."
        )
    if zone is None:
        raise bad_request(f"The timeZone of '{where}' is missing.", "TimeZoneNotSupportedException")
    zone_named(zone)
    try:
        return _parsed(text.removesuffix("Z")), "UTC" if text.endswith("Z") else zone
    except ValueError as error:
        raise unreadable_body(
            f"Cannot convert the literal '{text}' of '{where}' to a date and time."
        ) from error


def instant_of(value: Json) -> int:
    """Epoch seconds of a stored ``dateTimeTimeZone``."""
    moment = datetime.fromisoformat(value["dateTime"]).replace(tzinfo=zone_named(value["timeZone"]))
    return int(moment.timestamp())


def written(instant: int, zone: str) -> Json:
    """A ``dateTimeTimeZone`` in the zone of that name, with Graph's seven decimals."""
    moment = datetime.fromtimestamp(instant, zone_named(zone))
    return {"dateTime": f"{moment:%Y-%m-%dT%H:%M:%S}.0000000", "timeZone": zone}


def query_instant(text: str, name: str) -> int:
    """Epoch seconds of a query parameter: ISO 8601, in UTC where it names no offset.

    :raises GraphError: 400.
    """
    text = text.replace(" ", "+") if re.search(r" \d\d:\d\d$", text) and "T" in text else text
    try:
        if not _ANY_INSTANT.match(text):
            raise ValueError(text)
        moment = _parsed(text)
    except ValueError as error:
        raise bad_request(
            f"The value '{text}' of parameter '{name}' is invalid.", "ErrorInvalidParameter"
        ) from error
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def _parsed(text: str) -> datetime:
    """ISO 8601 with up to nine decimals, of which a datetime holds six, within Exchange's years."""
    moment = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text))
    if not EARLIEST_YEAR <= moment.year <= LATEST_YEAR:
        raise ValueError(text)
    return moment
