"""What a newcomer finds at the stand-in provider: one person, two calendars, two working weeks."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from calendar_app.sandbox.google.calendars import DEFAULT_ZONE, Calendars
from calendar_app.sandbox.google.events import Events
from calendar_app.sandbox.google.recurrence import Series, instant_of

Json = dict[str, Any]

OWNER = "owner@example.com"
OWNER_NAME = "Olivia Owner"


def workday(today: date, number: int) -> date:
    """The ``number``-th working day after ``today`` (before, if negative)."""
    day, step = today, 1 if number > 0 else -1
    while number:
        day += timedelta(days=step)
        if day.weekday() < 5:
            number -= step
    return day


def timed(summary: str, day: date, start: str, minutes: int, **more: Any) -> Json:
    """An event body; ``start`` is ``HH:MM`` on the wall clock of the default zone."""
    begin = datetime.combine(day, time.fromisoformat(start))
    bounds = {
        side: {"dateTime": moment.isoformat(), "timeZone": DEFAULT_ZONE}
        for side, moment in (("start", begin), ("end", begin + timedelta(minutes=minutes)))
    }
    return {"summary": summary, **bounds, **more}


def all_day(summary: str, day: date, days: int = 1, **more: Any) -> Json:
    return {
        "summary": summary,
        "start": {"date": day.isoformat()},
        "end": {"date": (day + timedelta(days=days)).isoformat()},
        **more,
    }


def plant(calendars: Calendars, events: Events) -> None:
    """Fills an empty store; does nothing to any other."""
    if calendars.accounts():
        return
    store = calendars.store
    with store.writing():
        calendars.add_account(OWNER, OWNER_NAME)
    today = store.now().astimezone(ZoneInfo(DEFAULT_ZONE)).date()
    monday = today - timedelta(days=today.weekday())
    own = calendars.get(OWNER, "primary").ref
    team = calendars.insert(OWNER, {"summary": "Team", "description": "What concerns all of us"}).ref
    meeting = events.insert(
        own,
        timed(
            "Weekly team meeting",
            monday - timedelta(weeks=3),
            "10:00",
            60,
            recurrence=["RRULE:FREQ=WEEKLY;BYDAY=MO"],
            location="Room 2",
        ),
    )
    series = Series(meeting, own.zone)
    after = instant_of({"date": (monday + timedelta(days=6)).isoformat()}, own.zone)
    moved = next(series.between(after, after + 8 * 86_400))
    tuesday = timed("", monday + timedelta(days=8), "14:00", 60)
    events.patch(own, f"{meeting['id']}_{moved.key}", {"start": tuesday["start"], "end": tuesday["end"]})
    guest = {"email": "sam.carter@example.net", "displayName": "Sam Carter", "responseStatus": "accepted"}
    me = {"email": OWNER, "responseStatus": "accepted"}
    events.insert_many(
        own,
        [
            timed("Call with the printer", workday(today, -1), "11:00", 30),
            timed("Dentist", workday(today, 1), "15:30", 45, visibility="private"),
            timed("Gym, if there is time", workday(today, 1), "18:00", 60, transparency="transparent"),
            timed("Lunch with Maya", workday(today, 2), "12:30", 60, location="Café Lumen", colorId="5"),
            timed("Interview: Sam Carter", workday(today, 3), "09:30", 45, attendees=[me, guest]),
            all_day("Trade fair in Hamburg", workday(today, 7), 2, location="Hamburg"),
        ],
    )
    events.insert_many(
        team,
        [
            timed("Planning for next month", workday(today, 4), "14:00", 60),
            timed(
                "Hand-over to the weekend",
                monday - timedelta(days=10),
                "16:30",
                15,
                recurrence=["RRULE:FREQ=WEEKLY;BYDAY=FR"],
            ),
            all_day("Team day", workday(today, 11), transparency="transparent"),
        ],
    )
