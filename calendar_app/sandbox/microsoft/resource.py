"""An event as Graph returns it.

Source: https://learn.microsoft.com/graph/api/resources/event, https://learn.microsoft.com/graph/api/event-get.
"""

from __future__ import annotations

import base64
import html
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from calendar_app.sandbox.microsoft import ids
from calendar_app.sandbox.microsoft.mailboxes import Mailbox
from calendar_app.sandbox.microsoft.online_meetings import join_information
from calendar_app.sandbox.microsoft.zones import instant_of, windows_name, written

Json = dict[str, Any]

_NEVER = "0001-01-01T00:00:00Z"
_TYPES = {
    "single": "singleInstance",
    "master": "seriesMaster",
    "occurrence": "occurrence",
    "exception": "exception",
}


@dataclass(frozen=True, slots=True)
class Stored:
    """An event of the store, or an occurrence worked out from one.

    ``kind``: ``single``, ``master``, ``occurrence`` or ``exception``; ``status``: ``live`` or ``deleted``.
    ``body`` is whole: an exception's holds what it takes from its master too. ``starts`` and ``ends`` are epoch
    seconds, ``created`` and ``changed`` milliseconds.
    """

    id: str
    calendar: str
    seq: int
    kind: str
    status: str
    series: str | None
    original: int | None
    starts: int
    ends: int
    created: int
    changed: int
    body: Json

    @property
    def change_key(self) -> str:
        return base64.b64encode(f"EZ9r{self.seq:012d}".encode()).decode()


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a client prefers: the zone of times, the form of ids and of bodies."""

    zone: str = "UTC"
    immutable: bool = False
    text_body: bool = False


def moment(milliseconds: int) -> str:
    """A ``DateTimeOffset`` with Graph's seven decimals."""
    return (
        f"{datetime.fromtimestamp(milliseconds / 1000, UTC):%Y-%m-%dT%H:%M:%S}.{milliseconds % 1000:03d}0000Z"
    )


def etag(event: Stored) -> str:
    return f'W/"{event.change_key}"'


def side(event: Stored, name: str, zone: str) -> Json:
    """``start`` or ``end`` in ``zone``; days stay days in every zone."""
    value = event.body[name]
    if event.body["isAllDay"]:
        return {"dateTime": f"{value['dateTime'][:10]}T00:00:00.0000000", "timeZone": zone}
    return written(instant_of(value), zone)


def bare_occurrence(event: Stored, wishes: Wishes) -> Json:
    """An occurrence in a delta answer, which has only what its series does not say."""
    return {
        "@odata.type": "#microsoft.graph.event",
        "@odata.etag": etag(event),
        "id": ids.shown(event.id, wishes.immutable),
        "seriesMasterId": ids.shown(event.series or "", wishes.immutable),
        "type": "occurrence",
        "start": side(event, "start", wishes.zone),
        "end": side(event, "end", wishes.zone),
    }


def removed(own_id: str, wishes: Wishes) -> Json:
    """A deletion in a delta answer."""
    return {
        "@odata.type": "#microsoft.graph.event",
        "id": ids.shown(own_id, wishes.immutable),
        "@removed": {"reason": "deleted"},
    }


def resource(event: Stored, mailbox: Mailbox, wishes: Wishes, public_url: str) -> Json:
    """The whole event, without extended properties (those are expanded on demand)."""
    body, shown = event.body, ids.shown(event.id, wishes.immutable)
    text = plain_text(body["body"])
    place = _place(body["location"] or {})
    called_off = bool(body.get("isCancelled"))
    invited = (
        called_off and body["attendees"]
    )  # only somebody else's meeting can be called off and still be there
    organizer = (
        {"emailAddress": _attendee(body["attendees"][0])["emailAddress"]}
        if invited
        else {"emailAddress": body.get("organizer") or {"name": mailbox.name, "address": mailbox.email}}
    )
    response = "notResponded" if "organizer" in body else "accepted" if invited else "organizer"
    uid = body.get("meeting") or (event.series or event.id).split(".")[0]
    found: Json = {
        "@odata.etag": etag(event),
        "id": shown,
        "createdDateTime": moment(event.created),
        "lastModifiedDateTime": moment(event.changed),
        "changeKey": event.change_key,
        "categories": body["categories"],
        "transactionId": body.get("transactionId"),
        "originalStartTimeZone": windows_name(body["start"]["timeZone"]),
        "originalEndTimeZone": windows_name(body["end"]["timeZone"]),
        "iCalUId": f"040000008200E00074C5B7101A82E008{uid.upper():0>40}",
        "reminderMinutesBeforeStart": body["reminderMinutesBeforeStart"],
        "isReminderOn": body["isReminderOn"],
        "hasAttachments": False,
        "subject": body["subject"],
        "bodyPreview": text[:255],
        "importance": body["importance"],
        "sensitivity": body["sensitivity"],
        "isAllDay": body["isAllDay"],
        "isCancelled": called_off,
        "isOrganizer": response == "organizer",
        "responseRequested": body["responseRequested"],
        "seriesMasterId": ids.shown(event.series, wishes.immutable) if event.series else None,
        "showAs": body["showAs"],
        "type": _TYPES[event.kind],
        "webLink": f"{public_url}/sandbox?provider=microsoft&itemid={quote(shown, safe='')}",
        "onlineMeetingUrl": None,
        "isOnlineMeeting": body["isOnlineMeeting"],
        "onlineMeetingProvider": body["onlineMeetingProvider"],
        "allowNewTimeProposals": body["allowNewTimeProposals"],
        "isDraft": False,
        "hideAttendees": body["hideAttendees"],
        "recurrence": _recurrence(body["recurrence"]) if event.kind == "master" else None,
        "onlineMeeting": join_information(body),
        "responseStatus": {"response": response, "time": _NEVER},
        "body": _body(body["body"], text, wishes.text_body),
        "start": side(event, "start", wishes.zone),
        "end": side(event, "end", wishes.zone),
        "location": place,
        "locations": [place] if place["displayName"] else [],
        "attendees": [_attendee(person) for person in body["attendees"]],
        "organizer": organizer,
    }
    if event.original is not None:
        found["originalStart"] = f"{datetime.fromtimestamp(event.original, UTC):%Y-%m-%dT%H:%M:%S}Z"
    return found


def plain_text(body: Json) -> str:
    """The text of a body, whichever form it was written in; links are their words and ``<address>``."""
    content = body.get("content") or ""
    if str(body.get("contentType", "html")).lower() == "text":
        return content
    content = re.sub(r"(?is)<head.*?</head>|<style.*?</style>", "", content)
    content = re.sub(r'(?is)<a\b[^>]*?href="([^"]*)"[^>]*>(.*?)</a>', r"\2&lt;\1&gt;", content)
    content = re.sub(r"(?i)<br\s*/?>|</p>|</div>", "\n", content)
    return html.unescape(re.sub(r"<[^>]*>", "", content)).strip()


def _body(body: Json, text: str, as_text: bool) -> Json:
    if as_text:
        return {"contentType": "text", "content": text}
    content = body.get("content") or ""
    if content and str(body.get("contentType", "html")).lower() == "text":
        lines = html.escape(content, quote=False).replace("\n", "<br>\r\n")
        content = f'<html><head></head><body><div class="PlainText">{lines}</div></body></html>'
    return {"contentType": "html", "content": content}


def _place(given: Json) -> Json:
    return {
        "displayName": "",
        "locationType": "default",
        "uniqueIdType": "unknown",
        "address": {},
        "coordinates": {},
        **{name: value for name, value in given.items() if value is not None},
    }


def _attendee(person: Json) -> Json:
    address = person.get("emailAddress") or {}
    return {
        "type": person.get("type", "required"),
        "status": {"response": "none", "time": _NEVER},
        "emailAddress": {
            "name": address.get("name") or address.get("address"),
            "address": address.get("address"),
        },
    }


def _recurrence(recurrence: Json | None) -> Json | None:
    if recurrence is None:
        return None
    named = windows_name(recurrence["range"]["recurrenceTimeZone"])
    return {"pattern": recurrence["pattern"], "range": recurrence["range"] | {"recurrenceTimeZone": named}}
