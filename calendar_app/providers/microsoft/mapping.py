"""Graph's calendar and event resources <-> :class:`CalendarEvent` and :class:`EventDraft`. Pure.

Source of every field: https://learn.microsoft.com/graph/api/resources/event and .../calendar. Times are read in UTC,
which :mod:`calendar_app.providers.microsoft.provider` asks for, and shown in the zone they were written in.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from html import escape, unescape
from typing import Any
from zoneinfo import ZoneInfo

from calendar_app.domain.colors import Color
from calendar_app.domain.event import (
    BOOKING_MARK,
    ORIGIN_MARK,
    Attendee,
    CalendarEvent,
    EventDraft,
    EventStatus,
    EventTime,
    Response,
    ShowAs,
)
from calendar_app.domain.event_texts import TEXTS_MARK, meeting_block, plain, without_meeting_place
from calendar_app.domain.meeting import PENDING, Meeting, MeetingState
from calendar_app.domain.meeting_place import PlaceKind, is_link
from calendar_app.providers.base import AccessRole, RemoteCalendar
from calendar_app.providers.microsoft.recurrence import rule_from
from calendar_app.providers.microsoft.zones import iana_zone, wall_time
from calendar_app.providers.readable import attempt, clear_times, mapping, objects

Json = Mapping[str, Any]

TEAMS = "teamsForBusiness"
_PROPERTY_SET = "String {6b8fd1a2-6c1e-4d0b-9f0e-5a3c7e1f2d94} Name "
"""Our named properties: a property set of our own (https://learn.microsoft.com/graph/api/resources/extended-properties-overview)."""
KEY_PROPERTY = f"{_PROPERTY_SET}almanac_key"
"""Holds :attr:`EventDraft.key`, so that an event of ours is found when nobody recorded its id."""
_MARKS = {name: f"{_PROPERTY_SET}{name}" for name in (BOOKING_MARK, ORIGIN_MARK, TEXTS_MARK)}
_WANTED = " or ".join(f"id eq '{name}'" for name in (KEY_PROPERTY, *_MARKS.values()))
EXPAND_OWN = f"singleValueExtendedProperties($filter={_WANTED})"
"""``$expand``: our own properties, which Graph never sends unasked, and in a delta answer not at all."""

_SHOW_AS = {
    "free": ShowAs.FREE,
    "tentative": ShowAs.TENTATIVE,
    "busy": ShowAs.BUSY,
    "oof": ShowAs.OUT_OF_OFFICE,
    "workingElsewhere": ShowAs.WORKING_ELSEWHERE,
}
_RESPONSES = {
    "none": Response.NONE,
    "organizer": Response.NONE,
    "notResponded": Response.NEEDS_ACTION,
    "tentativelyAccepted": Response.TENTATIVE,
    "accepted": Response.ACCEPTED,
    "declined": Response.DECLINED,
}
_CALENDAR_COLORS = {
    "lightBlue": "#a6d1f5",
    "lightGreen": "#87d28e",
    "lightOrange": "#fcab73",
    "lightGray": "#c0c0c0",
    "lightYellow": "#f5e05a",
    "lightTeal": "#4adacc",
    "lightPink": "#e7a1a2",
    "lightBrown": "#f9ba89",
    "lightRed": "#ff8c82",
}
_CATEGORY_COLORS = {
    "red category": Color.TOMATO,
    "orange category": Color.ORANGE,
    "yellow category": Color.YELLOW,
    "green category": Color.GREEN,
    "blue category": Color.BLUE,
    "purple category": Color.PURPLE,
}
"""The categories that every mailbox begins with; what others look like stands in settings that we do not read."""

_UNKNOWN_ZONE = "Its time zone “{}” is not known, so its time is read in UTC and may be wrong."


def calendar_from(item: Json, zone: str) -> RemoteCalendar:
    """A calendar of the mailbox whose time zone is ``zone``; calendars have none of their own."""
    color = str(item.get("hexColor") or _CALENDAR_COLORS.get(str(item.get("color")), ""))
    return RemoteCalendar(
        remote_id=str(item["id"]),
        name=str(item.get("name") or "Calendar"),
        timezone=zone,
        access_role=AccessRole.OWNER if item.get("canEdit") else AccessRole.READER,
        color=color if re.fullmatch("#[0-9a-fA-F]{6}", color) else "",
        is_primary=bool(item.get("isDefaultCalendar")),
        meeting_kinds=_meeting_kinds(item),
    )


def _meeting_kinds(item: Json) -> tuple[PlaceKind, ...]:
    """``allowedOnlineMeetingProviders``; personal accounts have no Teams there
    (https://learn.microsoft.com/graph/outlook-calendar-online-meetings)."""
    allowed = item.get("allowedOnlineMeetingProviders")
    return (PlaceKind.MICROSOFT_TEAMS,) if isinstance(allowed, list) and TEAMS in allowed else ()


def event_from(item: Json) -> CalendarEvent:
    """An event as it stands by itself: single, master (with its rule), occurrence or exception.

    What of it is not as documented is left out, and told where it is about time. :raises KeyError: it has no id.
    """
    all_day = bool(item.get("isAllDay"))
    start_zone = str(item.get("originalStartTimeZone") or "")
    end_zone = str(item.get("originalEndTimeZone") or start_zone)
    occurrence = item.get("type") == "occurrence"
    own = mapping(item.get("responseStatus")).get("response")
    status = EventStatus.CANCELLED if item.get("isCancelled") else EventStatus.CONFIRMED
    start = attempt(lambda: time_from(item.get("start"), start_zone, all_day), None)
    end = attempt(lambda: time_from(item.get("end"), end_zone, all_day), None)
    unread: tuple[str, ...] = ()
    if status is not EventStatus.CANCELLED:
        start, end, unread = clear_times(start, end)
        unread += tuple(_UNKNOWN_ZONE.format(name) for name in _unknown_zones(item))
    return CalendarEvent(
        remote_id=str(item["id"]),
        status=status,
        start=start,
        end=end,
        summary=str(item.get("subject") or ""),
        description=str(item.get("bodyPreview") or "")
        if occurrence
        else body_text(mapping(item.get("body"))),
        location=str(mapping(item.get("location")).get("displayName") or ""),
        html_link=str(item.get("webLink") or ""),
        color=_color(item),
        ical_uid=str(item.get("iCalUId") or ""),
        etag=str(item.get("@odata.etag") or ""),
        updated=attempt(lambda: _moment(item.get("lastModifiedDateTime")), None),
        show_as=_SHOW_AS.get(str(item.get("showAs")), ShowAs.BUSY),
        response=_RESPONSES.get(str(own), Response.NONE),
        recurrence=_rule(item, start_zone, all_day),
        master_id=str(item["seriesMasterId"]) if item.get("seriesMasterId") else None,
        original_start=attempt(lambda: _original_start(item, start_zone, all_day), None),
        organizer_email=str(mapping(mapping(item.get("organizer")).get("emailAddress")).get("address") or ""),
        attendees=tuple(
            _attendee(person)
            for person in objects(item.get("attendees"))
            if mapping(person.get("emailAddress")).get("address")
        ),
        unread=unread,
        meeting=meeting_from(item),
        private=_private(item),
    )


def meeting_from(item: Json) -> Meeting | None:
    """The online meeting of an event: ``onlineMeeting`` is null until Exchange has made it. ``onlineMeetingUrl`` is no
    longer to be used (https://learn.microsoft.com/graph/outlook-calendar-online-meetings)."""
    link = str(mapping(item.get("onlineMeeting")).get("joinUrl") or "")
    if is_link(link):
        return Meeting(MeetingState.READY, link)
    return PENDING if item.get("isOnlineMeeting") else None


def meeting_request(draft: EventDraft, current: Json | None = None) -> dict[str, Any]:
    """The part of a body that asks for a Teams meeting; empty where none is wanted, or one stands.

    Once it stands these properties cannot be changed any more, and the meeting goes with its event
    (https://learn.microsoft.com/graph/api/resources/event, ``onlineMeeting``).
    """
    if draft.meeting is not PlaceKind.MICROSOFT_TEAMS or (current and meeting_from(current)):
        return {}
    return {"isOnlineMeeting": True, "onlineMeetingProvider": TEAMS}


def _rule(item: Json, zone: str, all_day: bool) -> tuple[str, ...]:
    """The rule that says how an event repeats; the mirror has each occurrence from Exchange, and no need of it."""
    if not item.get("recurrence"):
        return ()
    return attempt(lambda: rule_from(item["recurrence"], zone, all_day), ())


def _unknown_zones(item: Json) -> list[str]:
    """Names of zones in which times stand without an offset, and which nobody knows."""
    if item.get("isAllDay"):
        return []
    times = (mapping(item.get(side)) for side in ("start", "end"))
    names = dict.fromkeys(str(one.get("timeZone") or "") for one in times)
    return [name for name in names if name and iana_zone(name) is None]


def occurrence_of(item: Json, master: Json) -> Json:
    """An occurrence of a delta answer, which names only its id, series and times, with what its master says."""
    inherited = {
        name: value
        for name, value in master.items()
        if name not in ("recurrence", "transactionId", "originalStart", "singleValueExtendedProperties")
    }
    return {**inherited, "@odata.etag": "", **item, "type": "occurrence"}


def gone(remote_id: str) -> CalendarEvent:
    """What an incremental listing says of an event that is no longer there."""
    return CalendarEvent(remote_id=remote_id, status=EventStatus.CANCELLED)


def time_from(value: Json | None, written_zone: str, all_day: bool) -> EventTime | None:
    """A ``dateTimeTimeZone``; ``written_zone`` is the name of the zone to show it in.

    All-day events lie on dates, which Graph gives as midnights of the zone that was asked for, whatever zone they were
    written in. A zone that is unknown becomes UTC: the instant stays right.
    """
    if not value or not value.get("dateTime"):
        return None
    moment = datetime.fromisoformat(str(value["dateTime"]))
    if all_day:
        return EventTime(moment.date())
    zone = iana_zone(written_zone) or "UTC"
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=ZoneInfo(iana_zone(str(value.get("timeZone") or "")) or "UTC"))
    return EventTime(moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None), zone)


def body_text(body: Json | None) -> str:
    """The text of an ``itemBody``. We ask for text and still may get HTML, which is reduced to its words."""
    content = str((body or {}).get("content") or "")
    if str((body or {}).get("contentType", "text")).lower() == "html":
        content = re.sub(r"(?is)<(head|style|script)\b.*?</\1\s*>", "", content)
        content = re.sub(r"[\r\n]+", " ", content)
        content = re.sub(r"(?i)<br\s*/?>|</(p|div|li|tr)\s*>", "\n", content)
        content = unescape(re.sub(r"<[^>]*>", "", content))
    return content.replace("\r\n", "\n").strip()


def body_from(draft: EventDraft) -> dict[str, Any]:
    """The event resource that says what ``draft`` says.

    Guests are named in the text and not in ``attendees``: Exchange sends an invitation to everybody who stands there
    (https://learn.microsoft.com/graph/api/calendar-post-events), and cannot be asked not to. Colours are left to the
    calendar's owner, whose categories are theirs to name.
    """
    properties = {KEY_PROPERTY: draft.key}
    properties |= {f"{_PROPERTY_SET}{name}": value for name, value in draft.private.items()}
    return {
        "subject": draft.summary,
        "body": {"contentType": "text", "content": _with_guests(draft)},
        "location": {"displayName": draft.location},
        "start": wall_time(draft.start, draft.zone),
        "end": wall_time(draft.end, draft.zone),
        "isAllDay": False,
        "showAs": "busy",
        "singleValueExtendedProperties": [
            {"id": name, "value": value} for name, value in sorted(properties.items())
        ],
    }


def merged_body(draft: EventDraft, current: Json) -> dict[str, Any]:
    """The PATCH that brings ``current`` to ``draft``; empty when it says everything that ``draft`` says."""
    wanted = body_from(draft)
    if current.get("recurrence"):
        wanted["recurrence"] = None
    changes = {name: value for name, value in wanted.items() if not _same(name, value, current)}
    if "start" in changes or "end" in changes:  # Exchange checks them together, and against isAllDay
        changes |= {name: wanted[name] for name in ("start", "end", "isAllDay")}
    return changes


def body_beside_meeting(text: str, standing: Json, event: Json) -> dict[str, Any]:
    """``{"body": …}`` with ``text`` before the block of the online meeting in the event's HTML body ``standing``.

    Empty where there is a meeting's address and no such block around it: what would be lost is not known then.
    """
    kept = str(mapping(standing.get("body")).get("content") or "")
    block = meeting_block(kept)
    address = str(mapping(event.get("onlineMeeting")).get("joinUrl") or "teams.")
    if block is None:
        return {} if address in unescape(kept) else {"body": {"contentType": "text", "content": text}}
    begin = kept.rfind("<", 0, block.start)
    words = escape(text, quote=False).replace("\n", "<br>\r\n")
    block_html = kept[max(begin, 0) : block.stop]
    return {
        "body": {
            "contentType": "html",
            "content": f"<html><body><div>{words}</div><br>{block_html}</body></html>",
        }
    }


def _same(name: str, wanted: Any, current: Json) -> bool:
    present = current.get(name)
    if name in ("start", "end"):
        return bool(present) and not current.get("isAllDay") and _instant(wanted) == _instant(present or {})
    if name == "body":
        return plain(str(wanted["content"])) == plain(body_text(present))
    if name == "location":
        return bool(wanted["displayName"] == without_meeting_place((present or {}).get("displayName") or ""))
    if name == "singleValueExtendedProperties":
        if present is None:  # not asked for: they were written together with the event
            return True
        held = _properties(current)
        return all(held.get(item["id"].lower()) == item["value"] for item in wanted)
    if name == "showAs":
        return present in ("busy", "oof", "tentative", None)
    return bool(wanted == (type(wanted)() if present is None and wanted is not None else present))


def _instant(value: Json) -> datetime | None:
    time = time_from(value, "UTC", all_day=False)
    return time.value.replace(tzinfo=UTC) if time and isinstance(time.value, datetime) else None


def _with_guests(draft: EventDraft) -> str:
    missing = [one for one in draft.attendees if one.email.lower() not in draft.description.lower()]
    guests = [f"{one.name} <{one.email}>" if one.name else one.email for one in missing]
    parts = [draft.description, f"Guests: {', '.join(guests)}" if guests else ""]
    return "\n\n".join(part for part in parts if part)


def _properties(item: Json) -> dict[str, str]:
    """Extended properties by id; Exchange spells the ids' parts its own way, so they are compared in lower case."""
    return {
        str(one.get("id")).lower(): str(one.get("value") or "")
        for one in objects(item.get("singleValueExtendedProperties"))
    }


def _private(item: Json) -> dict[str, str]:
    found = _properties(item)
    return {name: found[key.lower()] for name, key in _MARKS.items() if found.get(key.lower())}


def _color(item: Json) -> str:
    categories = item.get("categories")
    for category in categories if isinstance(categories, list) else ():
        if color := _CATEGORY_COLORS.get(str(category).lower()):
            return color.value
    return ""


def _original_start(item: Json, written_zone: str, all_day: bool) -> EventTime | None:
    """``originalStart`` is an instant; what day it means for an all-day event only the mailbox's zone could say."""
    moment = _moment(item.get("originalStart"))
    if moment is None or not item.get("seriesMasterId") or all_day:
        return None
    zone = iana_zone(written_zone) or "UTC"
    return EventTime(moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None), zone)


def _moment(text: object) -> datetime | None:
    if not text:
        return None
    moment = datetime.fromisoformat(str(text))
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _attendee(person: Json) -> Attendee:
    address = person["emailAddress"]
    answer = mapping(person.get("status")).get("response")
    return Attendee(
        email=str(address["address"]),
        name=str(address.get("name") or ""),
        response=Response.NEEDS_ACTION
        if answer in (None, "none")
        else _RESPONSES.get(str(answer), Response.NEEDS_ACTION),
        optional=person.get("type") == "optional",
    )


def graph_time(moment: datetime) -> str:
    """``2026-11-21T09:00:00Z``, as query parameters and subscriptions want it."""
    return moment.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat() + "Z"
