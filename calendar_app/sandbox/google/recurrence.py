"""Expands a recurring event into its instances, on python-dateutil.

Deliberately not the product's own recurrence engine: a mistake there must not be confirmed by the same mistake here.
Rules run on the wall clock of the series' zone (RFC 5545 §3.3.10); an all-day series runs on dates.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dateutil.rrule import rrule, rruleset, rrulestr

from calendar_app.sandbox.google.error import invalid

Json = dict[str, Any]

INSTANCE_ID = re.compile(r"^(?P<series>.+)_(?P<key>\d{8}(?:T\d{6}Z)?)$")
_LINE = re.compile(r"^(RRULE|EXRULE|RDATE|EXDATE)((?:;[^:;]+)*):(.+)$")
_LONGEST_MONTH = dict(zip(range(1, 13), (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31), strict=True))


def zone_named(name: str) -> ZoneInfo:
    """:raises GoogleError: 400 for a zone that does not exist."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise invalid(f"Invalid time zone definition: {name[:64]}") from error


def instant_of(time: Json, zone: str) -> int:
    """Epoch seconds of an ``EventDateTime``; an all-day ``date`` begins at midnight in ``zone``."""
    if "date" in time:
        return int(
            datetime.combine(
                date.fromisoformat(time["date"]), datetime.min.time(), zone_named(zone)
            ).timestamp()
        )
    moment = datetime.fromisoformat(time["dateTime"])
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone_named(time.get("timeZone", zone)))
    return int(moment.timestamp())


def written_in(instant: int, zone: str) -> str:
    """RFC 3339 in ``zone``, as Google writes it (``Z`` for UTC)."""
    return datetime.fromtimestamp(instant, zone_named(zone)).isoformat().replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class Instance:
    """One instance by the rule: its bounds (epoch seconds) and ``key``, the UTC start in its id (RFC 5545 form)."""

    start: int
    end: int
    key: str
    original: Json


class Series:
    """A recurring event's rule. ``calendar_zone`` places all-day dates; timed series use their own ``timeZone``."""

    def __init__(self, event: Json, calendar_zone: str) -> None:
        self.event, self.calendar_zone = event, calendar_zone
        start = event["start"]
        self.all_day = "date" in start
        self.zone_name = calendar_zone if self.all_day else start.get("timeZone", calendar_zone)
        self.zone = zone_named(self.zone_name)
        self.first = instant_of(start, calendar_zone)
        self.length = instant_of(event["end"], calendar_zone) - self.first
        if self.all_day:
            self.days = date.fromisoformat(event["end"]["date"]) - date.fromisoformat(start["date"])
        wall = datetime.fromtimestamp(self.first, self.zone).replace(tzinfo=None)
        self.rules = self._rules(wall)

    def _rules(self, wall: datetime) -> rruleset:
        rules = rruleset()
        ruled = False
        for line in self.event["recurrence"]:
            match = _LINE.match(line.strip())
            if match is None:
                raise invalid("Invalid recurrence rule.")
            name, parameters, value = match.groups()
            if name in ("RRULE", "EXRULE"):
                rule = self._rule(value, wall)
                rules.rrule(rule) if name == "RRULE" else rules.exrule(rule)
                ruled = ruled or name == "RRULE"
            else:
                for moment in self._dates(parameters, value):
                    rules.rdate(moment) if name == "RDATE" else rules.exdate(moment)
        if not ruled:
            rules.rdate(wall)
        return rules

    def _rule(self, value: str, wall: datetime) -> rrule:
        parts = dict(part.upper().partition("=")[::2] for part in value.rstrip(";").split(";"))
        months = [int(month) for month in parts.get("BYMONTH", "").split(",") if month.isdigit()] or [1]
        days = [abs(int(day)) for day in parts.get("BYMONTHDAY", "").split(",") if day.lstrip("+-").isdigit()]
        possible = not days or any(day <= _LONGEST_MONTH.get(month, 0) for month in months for day in days)
        if parts.get("FREQ") not in ("DAILY", "WEEKLY", "MONTHLY", "YEARLY") or not possible:
            raise invalid("Invalid recurrence rule.")
        if "UNTIL" in parts:
            parts["UNTIL"] = self._wall(parts["UNTIL"]).strftime("%Y%m%dT%H%M%S")
        try:
            if int(parts.get("INTERVAL", 1)) < 1 or int(parts.get("COUNT", 1)) < 1:
                raise invalid("Invalid recurrence rule.")
            rule = rrulestr(";".join(f"{name}={part}" for name, part in parts.items()), dtstart=wall)
        except (ValueError, TypeError, KeyError, IndexError) as error:
            raise invalid("Invalid recurrence rule.") from error
        assert isinstance(rule, rrule)
        return rule

    def _wall(self, text: str, zone: ZoneInfo | None = None) -> datetime:
        """A DATE or DATE-TIME (RFC 5545 §3.3.4, §3.3.5) on the series' wall clock; a bare date means its end."""
        try:
            if len(text) == 8:
                day = datetime.strptime(text, "%Y%m%d")  # noqa: DTZ007  # wall clock of the series' zone
                return day if self.all_day else day.replace(hour=23, minute=59, second=59)
            moment = datetime.strptime(text.removesuffix("Z"), "%Y%m%dT%H%M%S")  # noqa: DTZ007
        except ValueError as error:
            raise invalid("Invalid recurrence rule.") from error
        source = UTC if text.endswith("Z") else zone
        return (
            moment
            if source is None
            else moment.replace(tzinfo=source).astimezone(self.zone).replace(tzinfo=None)
        )

    def _dates(self, parameters: str, value: str) -> Iterator[datetime]:
        zone = re.search(r";TZID=([^;]+)", parameters)
        for text in value.split(","):
            yield self._wall(text, zone_named(zone[1]) if zone else None)

    def between(self, after: int | None, before: int) -> Iterator[Instance]:
        """Instances that end after ``after`` and start before ``before`` (epoch seconds), in order."""
        last: datetime | None = None
        for wall in self.rules:
            if wall == last:
                continue
            last = wall
            instance = self._instance(wall)
            if instance.start >= before:
                return
            if after is None or instance.end > after:
                yield instance

    def at(self, key: str) -> Instance | None:
        """The instance whose id ends in ``key``, if the rule has it."""
        if (len(key) == 8) != self.all_day:
            return None
        for found in self.rules.xafter(
            self._wall(key) - timedelta(hours=3)
        ):  # a start in a DST gap moves forward
            instance = self._instance(found)
            if instance.key >= key:
                return instance if instance.key == key else None
        return None

    def _instance(self, wall: datetime) -> Instance:
        moment = wall.replace(tzinfo=self.zone)
        start = int(moment.timestamp())
        if self.all_day:
            end = int((wall + self.days).replace(tzinfo=self.zone).timestamp())
            return Instance(start, end, f"{wall:%Y%m%d}", {"date": f"{wall:%Y-%m-%d}"})
        key = datetime.fromtimestamp(start, UTC).strftime("%Y%m%dT%H%M%SZ")
        original = {"dateTime": written_in(start, self.calendar_zone), "timeZone": self.zone_name}
        return Instance(start, start + self.length, key, original)

    def body(self, instance: Instance) -> Json:
        """The instance as Google returns it where nobody changed it."""
        event = {name: value for name, value in self.event.items() if name != "recurrence"}
        event["id"] = f"{self.event['id']}_{instance.key}"
        event["recurringEventId"] = self.event["id"]
        event["originalStartTime"] = instance.original
        event["start"] = dict(instance.original)
        if self.all_day:
            day = date.fromisoformat(instance.original["date"])
            event["end"] = {"date": (day + self.days).isoformat()}
        else:
            zone = self.event["end"].get("timeZone", self.zone_name)
            event["end"] = {"dateTime": written_in(instance.end, self.calendar_zone), "timeZone": zone}
        return event
