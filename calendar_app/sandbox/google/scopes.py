"""OAuth scopes the stand-in knows, in Google's words, and which of them open which method.

The method table is a subset of the discovery document's: scopes whose narrowing is not simulated (free/busy-only,
public events, calendars made by the app) open nothing here.
"""

from __future__ import annotations

_AUTH = "https://www.googleapis.com/auth/"
_CAL = f"{_AUTH}calendar"

IDENTITY = {
    "openid": "Associate you with your personal info on Google",
    f"{_AUTH}userinfo.email": "See your primary Google Account email address",
    f"{_AUTH}userinfo.profile": "See your personal info, including any personal info you've made publicly available",
}
CALENDAR = {
    _CAL: "See, edit, share, and permanently delete all the calendars you can access using Google Calendar",
    f"{_CAL}.readonly": "See and download any calendar you can access using your Google Calendar",
    f"{_CAL}.events": "View and edit events on all your calendars",
    f"{_CAL}.events.readonly": "View events on all your calendars",
    f"{_CAL}.events.owned": "See, create, change, and delete events on Google calendars you own",
    f"{_CAL}.events.owned.readonly": "See the events on Google calendars you own",
    f"{_CAL}.calendarlist": "See, add, and remove Google calendars you're subscribed to",
    f"{_CAL}.calendarlist.readonly": "See the list of Google calendars you're subscribed to",
    f"{_CAL}.calendars": "See and change the properties of Google calendars you have access to, and create calendars",
    f"{_CAL}.calendars.readonly": "See the title, description, default time zone, and other properties of calendars",
    f"{_CAL}.freebusy": "View your availability in your calendars",
    f"{_CAL}.events.freebusy": "See the availability on Google calendars you have access to",
    f"{_CAL}.settings": "View and change your Calendar settings",
    f"{_CAL}.settings.readonly": "View your Calendar settings",
}
_ALIASES = {"email": f"{_AUTH}userinfo.email", "profile": f"{_AUTH}userinfo.profile"}

EMAIL, PROFILE = _ALIASES["email"], _ALIASES["profile"]


def canonical(scope: str) -> tuple[str, ...] | None:
    """The requested scopes under their full names, in order; ``None`` where one does not exist."""
    names = tuple(dict.fromkeys(_ALIASES.get(name, name) for name in scope.split()))
    return names if names and all(name in IDENTITY or name in CALENDAR for name in names) else None


def _any(*suffixes: str) -> frozenset[str]:
    return frozenset(_CAL + suffix for suffix in suffixes)


_READ_EVENTS = _any("", ".readonly", ".events", ".events.readonly", ".events.owned", ".events.owned.readonly")
_WRITE_EVENTS = _any("", ".events", ".events.owned")
_READ_LIST = _any("", ".readonly", ".calendarlist", ".calendarlist.readonly")
_READ_CALENDARS = _any("", ".readonly", ".calendars", ".calendars.readonly")
_WRITE_CALENDARS = _any("", ".calendars")

BY_METHOD = {
    "calendar.calendarList.list": _READ_LIST,
    "calendar.calendarList.get": _READ_LIST,
    "calendar.calendarList.patch": _any("", ".calendarlist"),
    "calendar.calendarList.update": _any("", ".calendarlist"),
    "calendar.calendarList.watch": _READ_LIST,
    "calendar.calendars.get": _READ_CALENDARS,
    "calendar.calendars.insert": _WRITE_CALENDARS,
    "calendar.calendars.patch": _WRITE_CALENDARS,
    "calendar.calendars.update": _WRITE_CALENDARS,
    "calendar.calendars.delete": _WRITE_CALENDARS,
    "calendar.colors.get": _READ_LIST | _any(".events.owned", ".events.owned.readonly"),
    "calendar.settings.get": _any("", ".readonly", ".settings", ".settings.readonly"),
    "calendar.freebusy.query": _any("", ".readonly", ".freebusy", ".events.freebusy"),
    "calendar.channels.stop": _READ_EVENTS | _any(".calendarlist", ".calendarlist.readonly"),
    **dict.fromkeys(
        ("calendar.events.list", "calendar.events.get", "calendar.events.instances", "calendar.events.watch"),
        _READ_EVENTS,
    ),
    **dict.fromkeys(
        (
            "calendar.events.insert",
            "calendar.events.import",
            "calendar.events.update",
            "calendar.events.patch",
            "calendar.events.delete",
            "calendar.events.move",
        ),
        _WRITE_EVENTS,
    ),
}
