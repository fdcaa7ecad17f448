"""What a newcomer finds at the stand-in for Microsoft 365: one person, two calendars, two working weeks."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from calendar_app.sandbox.microsoft import ids
from calendar_app.sandbox.microsoft.events import Events
from calendar_app.sandbox.microsoft.mailboxes import DEFAULT_ZONE, Mailboxes

Json = dict[str, Any]

OWNER = "owner@example.com"
OWNER_NAME = "Olivia Owner"
ZONE = "W. Europe Standard Time"


def workday(today: date, number: int) -> date:
    """The ``number``-th working day after ``today`` (before, if negative)."""
    day, step = today, 1 if number > 0 else -1
    while number:
        day += timedelta(days=step)
        if day.weekday() < 5:
            number -= step
    return day


def timed(subject: str, day: date, start: str, minutes: int, **more: Any) -> Json:
    """An event body; ``start`` is ``HH:MM`` on the wall clock of the default zone."""
    begin = datetime.combine(day, time.fromisoformat(start))
    return {"subject": subject, **_sides(begin, begin + timedelta(minutes=minutes)), **more}


def all_day(subject: str, day: date, days: int = 1, **more: Any) -> Json:
    begin = datetime.combine(day, time())
    return {"subject": subject, "isAllDay": True, **_sides(begin, begin + timedelta(days=days)), **more}


def weekly(day: date) -> Json:
    """A recurrence on the weekday of ``day``, without end."""
    pattern = {"type": "weekly", "interval": 1, "daysOfWeek": [f"{day:%A}".lower()]}
    return {"pattern": pattern, "range": {"type": "noEnd", "startDate": day.isoformat()}}


def _sides(start: datetime, end: datetime) -> Json:
    return {
        side: {"dateTime": moment.isoformat(), "timeZone": ZONE}
        for side, moment in (("start", start), ("end", end))
    }


def plant(mailboxes: Mailboxes, events: Events) -> None:
    """Fills an empty store; does nothing to any other."""
    if mailboxes.all():
        return
    owner = mailboxes.ensure(OWNER, OWNER_NAME)
    own = mailboxes.default_calendar(OWNER)
    project = mailboxes.add_calendar(owner, "Project", "lightTeal")
    mailboxes.add_calendar(owner, "Company holidays", "lightOrange", can_edit=False)
    today = mailboxes.store.now().astimezone(ZoneInfo(DEFAULT_ZONE)).date()
    monday = today - timedelta(days=today.weekday())
    began = monday - timedelta(weeks=3)
    place = {"displayName": "Room 3"}
    stand_up = timed("Project stand-up", began, "09:15", 15, recurrence=weekly(began), location=place)
    series = events.insert(own, stand_up)
    moved, dropped = monday + timedelta(weeks=1), monday + timedelta(weeks=2)
    other = timed("", moved + timedelta(days=1), "13:00", 15)
    sides = {side: other[side] for side in ("start", "end")}
    events.patch(OWNER, ids.shown(f"{series.id}.{moved:%Y%m%d}"), sides)
    events.delete(OWNER, ids.shown(f"{series.id}.{dropped:%Y%m%d}"))
    guest = {"emailAddress": {"name": "Priya Nair", "address": "priya.nair@example.org"}, "type": "required"}
    events.insert_many(
        own,
        [
            timed("Supplier call", workday(today, -1), "15:00", 30),
            timed("Budget review", workday(today, 1), "13:00", 60, attendees=[guest], categories=["Finance"]),
            timed("Focus time, can be moved", workday(today, 2), "08:00", 120, showAs="free"),
            timed("Car to the garage", workday(today, 3), "16:00", 45, sensitivity="private"),
            timed("Visit from Hamburg, to be confirmed", workday(today, 4), "11:00", 90, showAs="tentative"),
            all_day("Out of office", workday(today, 8), showAs="oof"),
        ],
    )
    events.insert_many(
        project,
        [
            timed("Milestone review", workday(today, 5), "14:00", 60, location={"displayName": "Room 1"}),
            all_day("Release week", monday + timedelta(weeks=3), 5, showAs="free"),
        ],
    )
