"""Google's Event resource <-> :class:`CalendarEvent` and :class:`EventDraft`. Pure.

Source of every field: https://developers.google.com/workspace/calendar/api/v3/reference/events
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from calendar_app.domain.colors import COLORS_BY_GOOGLE_ID, GOOGLE_COLOR_IDS, parse_color
from calendar_app.domain.event import (
    Attendee,
    CalendarEvent,
    EventDraft,
    EventStatus,
    EventTime,
    Response,
    ShowAs,
    write_key,
)
from calendar_app.domain.meeting import FAILED, PENDING, Meeting, MeetingState
from calendar_app.domain.meeting_place import PlaceKind, is_link
from calendar_app.domain.recurrence.series import start_uncounted
from calendar_app.domain.zones import is_zone
from calendar_app.providers.base import AccessRole, RemoteCalendar
from calendar_app.providers.google.html import markup, words
from calendar_app.providers.readable import attempt, clear_times, mapping, objects

_RESPONSES = {
    "needsAction": Response.NEEDS_ACTION,
    "declined": Response.DECLINED,
    "tentative": Response.TENTATIVE,
    "accepted": Response.ACCEPTED,
}
_RESPONSE_WORDS = {response: word for word, response in _RESPONSES.items()}
FREE_BUSY_ROLE = "freeBusyReader"
MEET = "hangoutsMeet"
_ACCESS = {
    FREE_BUSY_ROLE: AccessRole.FREEBUSY,
    "reader": AccessRole.READER,
    "writerWithoutPrivateAccess": AccessRole.WRITER,  # reads and writes; details of private events are hidden
    "writer": AccessRole.WRITER,
    "owner": AccessRole.OWNER,
}

_NO_ORIGINAL = "Which occurrence of its series it changes cannot be read, so that both times count as busy."
_UNKNOWN_ZONE = "Its time zone “{}” is not known, so its repetitions may count at a wrong hour."


def calendar_from(item: Mapping[str, Any]) -> RemoteCalendar:
    """A ``calendarList`` entry; ``summaryOverride`` is the name its owner gave it. Its events are displayed where it is
    ``selected``, unless it is ``hidden`` from the list
    (https://developers.google.com/workspace/calendar/api/v3/reference/calendarList#resource)."""
    return RemoteCalendar(
        remote_id=str(item["id"]),
        name=str(item.get("summaryOverride") or item.get("summary") or item["id"]),
        timezone=calendar_zone(item),
        access_role=_ACCESS.get(str(item.get("accessRole")), AccessRole.READER),
        color=str(item.get("backgroundColor") or ""),
        is_primary=bool(item.get("primary")),
        is_selected=bool(item.get("selected")) and not item.get("hidden"),
        meeting_kinds=_meeting_kinds(item),
    )


def _meeting_kinds(item: Mapping[str, Any]) -> tuple[PlaceKind, ...]:
    """``conferenceProperties`` say which conferences a calendar may make
    (https://developers.google.com/workspace/calendar/api/v3/reference/calendarList#resource)."""
    allowed = mapping(item.get("conferenceProperties")).get("allowedConferenceSolutionTypes")
    return (PlaceKind.GOOGLE_MEET,) if isinstance(allowed, list) and MEET in allowed else ()


def calendar_zone(item: Mapping[str, Any]) -> str:
    """The ``timeZone`` of a calendar or of a list of its events; empty where it is none that IANA knows."""
    zone = item.get("timeZone")
    return str(zone) if is_zone(zone) else ""


def event_from(item: Mapping[str, Any], calendar_zone: str = "") -> CalendarEvent:
    """An Event resource, changed or cancelled occurrences included. ``calendar_zone``: the listing's ``timeZone``.

    What of it is not as documented is left out, and told where it is about time. Google does not count a start that is
    no occurrence of its rule (seen in its web pages: https://github.com/fmeringdal/rust-rrule/issues/119), so neither
    does COUNT here. :raises KeyError: it has no id.
    """
    people = [person for person in objects(item.get("attendees")) if person.get("email")]
    own = next((person for person in objects(item.get("attendees")) if person.get("self")), None)
    status = attempt(lambda: EventStatus(item.get("status") or "confirmed"), EventStatus.CONFIRMED)
    start, end, unread = _times(item, calendar_zone, status)
    recurrence = item.get("recurrence")
    lines = tuple(str(line) for line in recurrence) if isinstance(recurrence, list) else ()
    master_id, original = item.get("recurringEventId"), _time(item.get("originalStartTime"), calendar_zone)
    if master_id and original is None and status is not EventStatus.CANCELLED:
        master_id, unread = None, (*unread, _NO_ORIGINAL)
    if lines and (name := _unknown_zone(item.get("start"))):
        unread = (*unread, _UNKNOWN_ZONE.format(name))
    return CalendarEvent(
        remote_id=str(item["id"]),
        status=status,
        start=start,
        end=end,
        summary=str(item.get("summary") or ""),
        description=words(str(item.get("description") or "")),
        location=str(item.get("location") or ""),
        html_link=str(item.get("htmlLink") or ""),
        color=COLORS_BY_GOOGLE_ID.get(str(item.get("colorId")), ""),
        ical_uid=str(item.get("iCalUID") or ""),
        etag=str(item.get("etag") or ""),
        sequence=attempt(lambda: int(item.get("sequence") or 0), 0),
        updated=attempt(lambda: datetime.fromisoformat(item["updated"]), None),
        show_as=_show_as(item),
        response=_RESPONSES.get(str(own.get("responseStatus")), Response.NONE) if own else Response.NONE,
        recurrence=start_uncounted(lines, start),
        master_id=str(master_id) if master_id else None,
        original_start=original if master_id else None,
        organizer_email=str(mapping(item.get("organizer")).get("email") or ""),
        attendees=tuple(_attendee(person) for person in people),
        unread=unread,
        meeting=meeting_from(item),
        private=dict(mapping(mapping(item.get("extendedProperties")).get("private"))),
    )


def _times(
    item: Mapping[str, Any], calendar_zone: str, status: EventStatus
) -> tuple[EventTime | None, EventTime | None, tuple[str, ...]]:
    """Start and end; a cancelled occurrence may have none."""
    start, end = _time(item.get("start"), calendar_zone), _time(item.get("end"), calendar_zone)
    return (start, end, ()) if status is EventStatus.CANCELLED else clear_times(start, end)


def _time(value: Any, calendar_zone: str) -> EventTime | None:
    return attempt(lambda: time_from(value, calendar_zone), None)


def _unknown_zone(value: Any) -> str:
    """The name of a zone that IANA does not know, or an empty string."""
    name = mapping(value).get("timeZone")
    return str(name) if name and not is_zone(name) else ""


def time_from(value: Mapping[str, Any] | None, calendar_zone: str = "") -> EventTime | None:
    """``{date}`` or ``{dateTime, timeZone}``; the zone of a time that names none is the calendar's.

    A zone that IANA does not know falls back to the calendar's where that has the same offset then, else to UTC: the
    instant stays right because ``dateTime`` carries its offset. :raises ValueError: it is not as documented.
    """
    if not value:
        return None
    if value.get("date"):
        return EventTime(date.fromisoformat(value["date"]))
    if not value.get("dateTime"):
        return None
    moment = datetime.fromisoformat(value["dateTime"])
    name = str(value.get("timeZone") or calendar_zone or "UTC")
    if not is_zone(name):
        name = calendar_zone if _has_offset_of(moment, calendar_zone) else "UTC"
    zone = ZoneInfo(name)
    if moment.tzinfo is not None:
        moment = moment.astimezone(zone)
    return EventTime(moment.replace(tzinfo=None), name)


def _has_offset_of(moment: datetime, zone: str) -> bool:
    offset = moment.utcoffset()
    return offset is not None and is_zone(zone) and moment.astimezone(ZoneInfo(zone)).utcoffset() == offset


def _show_as(item: Mapping[str, Any]) -> ShowAs:
    if item.get("eventType") == "outOfOffice":
        return ShowAs.OUT_OF_OFFICE
    if item.get("eventType") == "workingLocation":
        return ShowAs.WORKING_ELSEWHERE
    if item.get("transparency") == "transparent":
        return ShowAs.FREE
    return ShowAs.TENTATIVE if item.get("status") == "tentative" else ShowAs.BUSY


def _attendee(person: Mapping[str, Any]) -> Attendee:
    return Attendee(
        email=str(person["email"]),
        name=str(person.get("displayName") or ""),
        response=_RESPONSES.get(str(person.get("responseStatus")), Response.NEEDS_ACTION),
        optional=bool(person.get("optional")),
    )


def meeting_from(item: Mapping[str, Any]) -> Meeting | None:
    """The conference of an event: where its video is joined, whichever kind it is; else how far the request for one is.

    Conferences are made after the answer: ``createRequest.status.statusCode`` is ``pending``, ``success`` or
    ``failure`` (https://developers.google.com/workspace/calendar/api/guides/create-events#conferencing).
    """
    conference = mapping(item.get("conferenceData"))
    for point in objects(conference.get("entryPoints")):
        if point.get("entryPointType") == "video" and is_link(str(point.get("uri"))):
            return Meeting(MeetingState.READY, str(point["uri"]))
    if is_link(str(item.get("hangoutLink"))):
        return Meeting(MeetingState.READY, str(item["hangoutLink"]))
    request = mapping(conference.get("createRequest"))
    match mapping(request.get("status")).get("statusCode"):
        case "pending" | "success":
            return PENDING
        case "failure":
            return FAILED
    return PENDING if request else None


def conference_request(draft: EventDraft, current: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The part of a body that asks for a Meet conference; empty where none is wanted, or one stands or is on its way.

    ``requestId`` tells requests apart: "if an ID provided is the same as for the previous request, the request is
    ignored" (reference, ``conferenceData.createRequest.requestId``). It is the event's key when the event is made, and
    else follows from the version that has no conference, so that the same call repeated asks for the same one.
    """
    if draft.meeting is not PlaceKind.GOOGLE_MEET:
        return {}
    request_id = draft.key
    if current is not None:
        meeting = meeting_from(current)
        if meeting is not None and meeting.state is not MeetingState.FAILED:
            return {}
        request_id = write_key(draft.key, str(current.get("etag") or ""))
    request = {"requestId": request_id, "conferenceSolutionKey": {"type": MEET}}
    return {"conferenceData": {"createRequest": request}}


def body_from(draft: EventDraft) -> dict[str, Any]:
    """The Event resource that says what ``draft`` says; ``status`` brings a deleted event back to life."""
    body: dict[str, Any] = {
        "status": "confirmed",
        "summary": draft.summary,
        "description": markup(draft.description),
        "location": draft.location,
        "start": _time_body(draft.start, draft.zone),
        "end": _time_body(draft.end, draft.zone),
        "transparency": "opaque",
        "extendedProperties": {"private": dict(draft.private)},
    }
    color = parse_color(draft.color)
    if color:
        body["colorId"] = GOOGLE_COLOR_IDS[color]
    if draft.attendees:
        body["attendees"] = [_attendee_body(attendee) for attendee in draft.attendees]
    return body


def merged_body(draft: EventDraft, current: Mapping[str, Any]) -> dict[str, Any]:
    """The PATCH that brings ``current`` to ``draft`` and keeps what people added: other guests, answers, other marks.

    Empty when ``current`` already says everything that ``draft`` says. The colour is ours while the event has one of
    the eleven and no label: labels supersede ``colorId`` since July 2026, and an event without a colour got that from
    its owner (https://developers.google.com/workspace/calendar/api/guides/labels).
    """
    wanted = body_from(draft)
    if current.get("status") != "cancelled" and (current.get("eventLabelId") or not current.get("colorId")):
        wanted.pop("colorId", None)
    private = {**((current.get("extendedProperties") or {}).get("private") or {}), **draft.private}
    wanted["extendedProperties"] = {"private": private}
    if draft.attendees:
        wanted["attendees"] = _merged_attendees(wanted["attendees"], current.get("attendees") or ())
    return {name: value for name, value in wanted.items() if not _same(name, value, current.get(name))}


def _merged_attendees(
    wanted: Sequence[dict[str, Any]], present: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    known = {str(person.get("email", "")).lower(): dict(person) for person in present}
    for person in wanted:
        known.setdefault(person["email"].lower(), person)
    return list(known.values())


def _same(name: str, wanted: Any, present: Any) -> bool:
    if name in ("start", "end"):
        return bool(present) and time_from(wanted) == time_from(present, wanted["timeZone"])
    if name == "description":  # what says the same stays as its owner formatted it
        return words(wanted) == words(str(present or ""))
    if name == "extendedProperties":
        return bool(wanted["private"] == ((present or {}).get("private") or {}))
    if name == "transparency":
        return bool(wanted == (present or "opaque"))
    return bool(wanted == (type(wanted)() if present is None else present))


def _time_body(moment: datetime, zone: str) -> dict[str, str]:
    return {"dateTime": moment.astimezone(ZoneInfo(zone)).isoformat(), "timeZone": zone}


def _attendee_body(attendee: Attendee) -> dict[str, Any]:
    body: dict[str, Any] = {"email": attendee.email}
    if attendee.name:
        body["displayName"] = attendee.name
    if attendee.response in _RESPONSE_WORDS:
        body["responseStatus"] = _RESPONSE_WORDS[attendee.response]
    if attendee.optional:
        body["optional"] = True
    return body


def rfc3339(moment: datetime) -> str:
    """``2026-11-21T09:00:00Z``, as query parameters want it."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
