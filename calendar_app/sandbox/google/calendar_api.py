"""Calendar API v3 over HTTP, as the discovery document and Google's reference describe it.

Offered: calendarList (list, get, patch, update, watch), calendars (get, insert, patch, update, delete), colors, the
settings ``timezone``, ``locale`` and ``weekStart``, events (all but quickAdd), channels.stop, freeBusy. Everything else
answers 501. Each handler is synchronous, gets a :class:`Call` and returns JSON, or nothing for 204.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from calendar_app.sandbox.google import freebusy
from calendar_app.sandbox.google.calendar_call import Call, Handler, endpoint
from calendar_app.sandbox.google.calendars import WRITERS, CalendarRow, Calendars
from calendar_app.sandbox.google.channels import Channels
from calendar_app.sandbox.google.conferences import conference_kinds
from calendar_app.sandbox.google.error import (
    GoogleError,
    full_sync_required,
    invalid,
    not_found,
    required,
    time_range_empty,
)
from calendar_app.sandbox.google.events import Events
from calendar_app.sandbox.google.freebusy import instant
from calendar_app.sandbox.google.listing import (
    DEFAULT_PAGE,
    LARGEST_PAGE,
    TOKEN_LIFE_MS,
    Listing,
    Query,
    decode,
    encode,
    presented,
    resume_page,
    resume_sync,
)
from calendar_app.sandbox.google.palette import CALENDAR_COLORS, EVENT_COLORS
from calendar_app.sandbox.google.resource import rfc3339
from calendar_app.sandbox.google.rules import HIDDEN_CALENDARS
from calendar_app.sandbox.grants import Grants
from calendar_app.sandbox.rules import Rules

Json = dict[str, Any]

_NOT_WITH_SYNC_TOKEN = (
    "iCalUID",
    "orderBy",
    "privateExtendedProperty",
    "q",
    "sharedExtendedProperty",
    "timeMin",
    "timeMax",
    "updatedMin",
)
_EVENT_TYPES = ("birthday", "default", "focusTime", "fromGmail", "outOfOffice", "workingLocation")


class CalendarApi:
    """Routes and handlers below ``/calendar/v3``."""

    def __init__(
        self, calendars: Calendars, events: Events, grants: Grants, channels: Channels, rules: Rules
    ) -> None:
        self.calendars, self.events, self.grants, self.channels = calendars, events, grants, channels
        self.rules = rules
        self.store = calendars.store

    def routes(self) -> list[Route]:
        calendar, entry = "/calendars/{calendarId}", "/users/me/calendarList"
        events, event = f"{calendar}/events", f"{calendar}/events/{{eventId}}"
        table: list[tuple[str, str, str, Handler]] = [
            ("calendar.calendarList.list", "GET", entry, self.list_entries),
            ("calendar.calendarList.watch", "POST", f"{entry}/watch", self.watch_entries),
            (
                "calendar.calendarList.get",
                "GET",
                f"{entry}/{{calendarId}}",
                lambda call: call.calendar().entry(conference_kinds(self.rules)),
            ),
            ("calendar.calendarList.patch", "PATCH", f"{entry}/{{calendarId}}", self.change_entry),
            ("calendar.calendarList.update", "PUT", f"{entry}/{{calendarId}}", self.change_entry),
            ("calendar.calendars.insert", "POST", "/calendars", self.insert_calendar),
            (
                "calendar.calendars.get",
                "GET",
                calendar,
                lambda call: call.calendar().resource(conference_kinds(self.rules)),
            ),
            ("calendar.calendars.patch", "PATCH", calendar, self.change_calendar),
            ("calendar.calendars.update", "PUT", calendar, self.change_calendar),
            (
                "calendar.calendars.delete",
                "DELETE",
                calendar,
                lambda call: self.calendars.delete(call.calendar()),
            ),
            ("calendar.events.list", "GET", events, self.list_events),
            ("calendar.events.insert", "POST", events, self.insert_event),
            ("calendar.events.import", "POST", f"{events}/import", self.import_event),
            ("calendar.events.watch", "POST", f"{events}/watch", self.watch_events),
            ("calendar.events.get", "GET", event, self.get_event),
            ("calendar.events.update", "PUT", event, self.update_event),
            ("calendar.events.patch", "PATCH", event, self.patch_event),
            ("calendar.events.delete", "DELETE", event, self.delete_event),
            ("calendar.events.move", "POST", f"{event}/move", self.move_event),
            ("calendar.events.instances", "GET", f"{event}/instances", self.list_instances),
            ("calendar.freebusy.query", "POST", "/freeBusy", self.free_busy),
            ("calendar.channels.stop", "POST", "/channels/stop", self.stop_channel),
            ("calendar.colors.get", "GET", "/colors", lambda _call: _COLORS),
            ("calendar.settings.get", "GET", "/users/me/settings/{setting}", self.get_setting),
        ]
        methods = ["GET", "POST", "PUT", "PATCH", "DELETE"]
        missing = Route("/{path:path}", _not_offered, methods=methods)
        return [
            *(
                Route(p, endpoint(name, h, self.calendars, self.grants), methods=[m])
                for name, m, p, h in table
            ),
            missing,
        ]

    # calendarList, calendars, settings

    def list_entries(self, call: Call) -> Json:
        limit = min(call.number("maxResults", 100), 250)
        call.one_of(
            "minAccessRole", "freeBusyReader", "owner", "reader", "writer", "writerWithoutPrivateAccess"
        )
        since, until, offset = 0, self.store.sequence(), 0
        if sync := call.text("syncToken"):
            if call.text("minAccessRole"):
                raise invalid("minAccessRole cannot be combined with syncToken.", "syncToken")
            content = decode(sync) or {}
            if content.get("l") != call.account or self.store.now_ms() - content.get("t", 0) > TOKEN_LIFE_MS:
                raise full_sync_required()
            since = content["seq"]
        if page := call.text("pageToken"):
            content = decode(page) or {}
            if content.get("p") != call.account:
                raise invalid("Invalid page token value.", "pageToken")
            until, offset = content["u"], content["o"]
        rows = self.calendars.of(call.account, deleted=bool(sync) or call.flag("showDeleted"))
        shown = [
            row
            for row in rows
            if since < row.sequence <= until and (sync or call.flag("showHidden") or not self._hidden(row))
        ]
        answer: Json = {"kind": "calendar#calendarList", "etag": f'"{until:016d}"'}
        answer["items"] = [row.entry(conference_kinds(self.rules)) for row in shown[offset : offset + limit]]
        if len(shown) > offset + limit:
            answer["nextPageToken"] = encode({"p": call.account, "u": until, "o": offset + limit})
        else:
            answer["nextSyncToken"] = encode({"l": call.account, "seq": until, "t": self.store.now_ms()})
        return answer

    def _hidden(self, row: CalendarRow) -> bool:
        return bool(row.body.get("hidden")) or (not row.primary and HIDDEN_CALENDARS in self.rules)

    def change_entry(self, call: Call) -> Json:
        return self.calendars.change_entry(
            call.calendar(), call.fields(), rgb=call.flag("colorRgbFormat")
        ).entry(conference_kinds(self.rules))

    def insert_calendar(self, call: Call) -> Json:
        return self.calendars.insert(call.account, call.fields()).resource(conference_kinds(self.rules))

    def change_calendar(self, call: Call) -> Json:
        replace = call.request.method == "PUT"
        return self.calendars.change(call.calendar(), call.fields(), replace=replace).resource(
            conference_kinds(self.rules)
        )

    def get_setting(self, call: Call) -> Json:
        zone = self.calendars.get(call.account, "primary").body["timeZone"]
        known = {"timezone": zone, "locale": "en", "weekStart": "1"}
        name = call.request.path_params["setting"]
        if name not in known:
            raise GoogleError(404, "notFound", "Not Found")
        return {"kind": "calendar#setting", "etag": f'"{zone}"', "id": name, "value": known[name]}

    # events

    def list_events(self, call: Call) -> Json:
        calendar, query = call.calendar(), self._query(call)
        if sync := call.text("syncToken"):
            for name in _NOT_WITH_SYNC_TOKEN:
                if call.text(name):
                    raise invalid(f"Sync token cannot be used with the {name} parameter.", "syncToken")
            if call.text("showDeleted") == "false":
                raise invalid("showDeleted cannot be false when a sync token is used.", "showDeleted")
            query = resume_sync(query, sync, calendar, self.store.now_ms())
        return self._events_page(call, calendar, query)

    def _query(self, call: Call) -> Query:
        time_min, time_max = call.instant("timeMin"), call.instant("timeMax")
        if time_min is not None and time_max is not None and time_max <= time_min:
            raise time_range_empty()
        updated_min = call.instant("updatedMin")
        if updated_min is not None and self.store.now_ms() - updated_min * 1000 > TOKEN_LIFE_MS:
            raise GoogleError(
                410,
                "updatedMinTooLongAgo",
                "The requested minimum modification time lies too far in the past.",
                domain="calendar",
                location="updatedMin",
            )
        order = call.one_of("orderBy", "startTime", "updated")
        if order == "startTime" and not call.flag("singleEvents"):
            raise invalid("The requested ordering is not available for the particular query.", "orderBy")
        types = call.request.query_params.getlist("eventTypes")
        if not set(types) <= set(_EVENT_TYPES):
            raise invalid("Invalid event type.", "eventTypes")
        call.flag("showHiddenInvitations")
        return Query(
            single=call.flag("singleEvents"),
            show_deleted=call.flag("showDeleted"),
            time_min=time_min,
            time_max=time_max,
            updated_min=None if updated_min is None else updated_min * 1000,
            text=call.text("q").strip(),
            ical_uid=call.text("iCalUID"),
            private=call.pairs("privateExtendedProperty"),
            shared=call.pairs("sharedExtendedProperty"),
            event_types=tuple(types),
            order=order,
            limit=min(call.number("maxResults", DEFAULT_PAGE), LARGEST_PAGE),
        )

    def list_instances(self, call: Call) -> Json:
        calendar = call.calendar()
        master = self.events.get(calendar.ref, call.event_id)
        original = call.text("originalStart")
        query = Query(
            single=True,
            show_deleted=call.flag("showDeleted"),
            time_min=call.instant("timeMin"),
            time_max=call.instant("timeMax"),
            series=master["id"],
            original=_instance_key(original) if original else "",
            limit=min(call.number("maxResults", DEFAULT_PAGE), LARGEST_PAGE),
        )
        return self._events_page(call, calendar, query)

    def _events_page(self, call: Call, calendar: CalendarRow, query: Query) -> Json:
        if page := call.text("pageToken"):
            query = resume_page(query, page)
        if calendar.role == "freeBusyReader":
            query = replace(query, single=True)
        zone = call.text("timeZone")
        listed = Listing(self.store, calendar, query).page(zone=zone, max_attendees=self._max_attendees(call))
        if calendar.role not in ("owner", "writer"):
            items = orjson.loads(orjson.dumps(listed["items"]))
            listed["items"] = [seen for item in items if (seen := _seen_as(calendar.role, item)) is not None]
        newest = self.store.db.execute(
            "SELECT seq, updated FROM event WHERE calendar = ? ORDER BY seq DESC LIMIT 1", (calendar.id,)
        ).fetchone()
        sequence, updated = (newest["seq"], newest["updated"]) if newest else (calendar.sequence, 0)
        return {
            "kind": "calendar#events",
            "etag": f'"p{max(sequence, calendar.sequence):016d}"',
            "summary": calendar.body["summary"],
            "description": calendar.body.get("description", ""),
            "updated": rfc3339(datetime.fromtimestamp(updated / 1000, UTC)),
            "timeZone": zone or calendar.body["timeZone"],
            "accessRole": calendar.role,
            "defaultReminders": [],
            **listed,
        }

    def _max_attendees(self, call: Call) -> int:
        return call.number("maxAttendees", 0)

    def _shown(self, call: Call, calendar: CalendarRow, event: Json) -> Json:
        call.one_of("sendUpdates", "all", "externalOnly", "none")
        return presented(event, calendar.body["timeZone"], call.text("timeZone"), self._max_attendees(call))

    def get_event(self, call: Call) -> Json:
        calendar = call.calendar()
        seen = _seen_as(
            calendar.role, self._shown(call, calendar, self.events.get(calendar.ref, call.event_id))
        )
        if seen is None:
            raise not_found()
        return seen

    def insert_event(self, call: Call) -> Json:
        calendar = _writable(call)
        return self._shown(
            call, calendar, self.events.insert(calendar.ref, call.body, conference=_knows_conferences(call))
        )

    def import_event(self, call: Call) -> Json:
        return self.events.import_(_writable(call).ref, call.body)

    def update_event(self, call: Call) -> Json:
        calendar = _writable(call)
        event = self.events.update(
            calendar.ref, call.event_id, call.body, call.if_match, conference=_knows_conferences(call)
        )
        return self._shown(call, calendar, event)

    def patch_event(self, call: Call) -> Json:
        calendar = _writable(call)
        event = self.events.patch(
            calendar.ref, call.event_id, call.body, call.if_match, conference=_knows_conferences(call)
        )
        return self._shown(call, calendar, event)

    def delete_event(self, call: Call) -> None:
        call.one_of("sendUpdates", "all", "externalOnly", "none")
        self.events.delete(_writable(call).ref, call.event_id, call.if_match)

    def move_event(self, call: Call) -> Json:
        if not call.text("destination"):
            raise required("Required parameter: destination")
        target = self.calendars.get(call.account, call.text("destination"))
        return self.events.move(_writable(call).ref, call.event_id, target.ref)

    def free_busy(self, call: Call) -> Json:
        return freebusy.answer(self.calendars, call.account, call.body)

    # push

    def watch_events(self, call: Call) -> Json:
        resource = f"events:{call.calendar().id}"
        return self.channels.watch(call.account, resource, call.watched_uri(), call.body)

    def watch_entries(self, call: Call) -> Json:
        return self.channels.watch(call.account, f"calendars:{call.account}", call.watched_uri(), call.body)

    def stop_channel(self, call: Call) -> None:
        self.channels.stop(call.account, call.body)


_COLORS: Json = {
    "kind": "calendar#colors",
    "updated": "2012-02-14T00:00:00.000Z",
    "calendar": {
        name: {"background": back, "foreground": ink} for name, (back, ink) in CALENDAR_COLORS.items()
    },
    "event": {name: {"background": back, "foreground": ink} for name, (back, ink) in EVENT_COLORS.items()},
}


def _knows_conferences(call: Call) -> bool:
    """``conferenceDataVersion``: 0 by default, where what the body says of conferences is ignored."""
    return call.one_of("conferenceDataVersion", "0", "1") == "1"


def _instance_key(original: str) -> str:
    """``originalStart`` as the end of an instance's id."""
    if len(original) == 10:
        try:
            return f"_{date.fromisoformat(original):%Y%m%d}"
        except ValueError as error:
            raise invalid("Invalid value for: originalStart", "originalStart") from error
    return datetime.fromtimestamp(instant(original, "originalStart"), UTC).strftime("_%Y%m%dT%H%M%SZ")


_TIMES = (
    "kind",
    "etag",
    "id",
    "status",
    "start",
    "end",
    "updated",
    "recurringEventId",
    "originalStartTime",
    "iCalUID",
)


def _seen_as(role: str, event: Json) -> Json | None:
    """The event as somebody with that role sees it: without details that are private, and as free/busy only without
    any, and what takes no time not at all (CalendarListEntry, ``accessRole``)."""
    if role in ("owner", "writer") or event["status"] == "cancelled":
        return event
    if role == "freeBusyReader" and event.get("transparency") == "transparent":
        return None
    if role == "freeBusyReader" or event.get("visibility") in ("private", "confidential"):
        return {name: event[name] for name in _TIMES if name in event} | {"visibility": "private"}
    return event


async def _not_offered(_request: Request) -> Response:
    return GoogleError(501, "notImplemented", "The sandbox does not offer this method.").response()


def _writable(call: Call) -> CalendarRow:
    """The calendar of a call that changes it. :raises GoogleError: 403 where the account may only read it."""
    calendar = call.calendar()
    if calendar.role not in WRITERS:
        said = "You need to have writer access to this calendar."
        raise GoogleError(403, "requiredAccessLevel", said, domain="calendar")
    return calendar
