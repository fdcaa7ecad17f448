"""Links that open somebody's own calendar with an appointment filled in. Pure; times are aware."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import urlencode


def google(title: str, start: datetime, end: datetime, location: str) -> str:
    """Google Calendar (its TEMPLATE action, known from use)."""
    stamps = (f"{at.astimezone(UTC):%Y%m%dT%H%M%SZ}" for at in (start, end))
    query = {"action": "TEMPLATE", "text": title, "dates": "/".join(stamps)}
    if location:
        query["location"] = location
    return f"https://calendar.google.com/calendar/render?{urlencode(query)}"


def outlook(title: str, start: datetime, end: datetime, location: str) -> str:
    """Outlook on the web (its compose link, known from use)."""
    query = {
        "path": "/calendar/action/compose",
        "rru": "addevent",
        "subject": title,
        "startdt": f"{start.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "enddt": f"{end.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
    }
    if location:
        query["location"] = location
    return f"https://outlook.live.com/calendar/0/deeplink/compose?{urlencode(query)}"
