"""Calls to Google Calendar.

* Sync: https://developers.google.com/workspace/calendar/api/guides/sync
* Push: https://developers.google.com/workspace/calendar/api/guides/push
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import quote

from calendar_app.clock import utc_now
from calendar_app.domain.event import CalendarEvent, EventDraft, EventStatus, is_write_key
from calendar_app.domain.meeting import FAILED
from calendar_app.domain.timespan import Span, instant, merge, utc
from calendar_app.errors import (
    CalendarNotFound,
    EventNotFound,
    InvalidRequest,
    PermissionDenied,
    PreconditionFailed,
    ProviderError,
    ProviderUnavailable,
    SyncTokenInvalid,
    UsageLimited,
)
from calendar_app.providers.base import (
    BusyAnswer,
    Capability,
    EventPage,
    PushChannel,
    RemoteCalendar,
    WrittenEvent,
)
from calendar_app.providers.google.mapping import (
    FREE_BUSY_ROLE,
    body_from,
    calendar_from,
    calendar_zone,
    conference_request,
    event_from,
    meeting_from,
    merged_body,
    rfc3339,
)
from calendar_app.providers.http import ProviderHttp, Query
from calendar_app.providers.readable import objects, readable, whole

log = logging.getLogger(__name__)

CAPABILITIES = Capability.READ | Capability.WRITE | Capability.FREEBUSY | Capability.DELTA | Capability.PUSH
PAGE_SIZE = 2500
"""Events a page; the most that ``events.list`` gives."""
FREEBUSY_CALENDARS = 50
"""Calendars a ``freeBusy`` query may name."""
OCCURRENCES = "occurrences"
"""The cursor of a calendar of which only free and busy is seen."""
BEHIND, AHEAD = timedelta(days=35), timedelta(days=430)
"""Between which days around now the occurrences of such a calendar are listed; what can be booked lies within."""
_IDS = 5
"""How many ids of one booking are tried; each but the last is a deleted event that cannot be brought back."""
_GONE = {"fullSyncRequired", "updatedMinTooLongAgo", "deleted"}


class _CannotReturn(EventNotFound):
    """The id is taken by a deleted event that nobody can bring back."""


class GoogleCalendar:
    """:class:`calendar_app.providers.base.CalendarProvider` for Google, on one access token."""

    capabilities = CAPABILITIES

    def __init__(self, http: ProviderHttp, *, now: Callable[[], datetime] = utc_now) -> None:
        self._http, self._now = http, now

    def list_calendars(self) -> list[RemoteCalendar]:
        """``calendarList.list``, every page. Calendars that somebody hides in their list block their time as before:
        ``showHidden`` is false by default
        (https://developers.google.com/workspace/calendar/api/v3/reference/calendarList/list)."""
        found: list[RemoteCalendar] = []
        for page in self._pages("/users/me/calendarList", {"maxResults": 250, "showHidden": True}):
            found += [calendar_from(item) for item in page.get("items") or () if not item.get("deleted")]
        return found

    def event_pages(
        self, calendar_id: str, cursor: str | None, *, since: datetime | None = None
    ) -> Iterator[EventPage]:
        """``events.list`` with ``singleEvents=false``. ``timeMin`` goes with a full listing only: it may not accompany
        a sync token, but the chain it starts keeps giving tokens (sync guide).

        Who sees only free and busy is given occurrences in place of a series, and no end of them: of such a calendar
        the occurrences of the next year are listed, each time anew.
        """
        if cursor == OCCURRENCES:
            yield from self._occurrences(calendar_id, since)
            return
        query: dict[str, str | int | bool | list[str]] = {"maxResults": PAGE_SIZE, "singleEvents": False}
        if cursor:
            query["syncToken"] = cursor
        elif since:
            query["timeMin"] = rfc3339(since)
        try:
            for page in self._pages(_events_path(calendar_id), query):
                if page.get("accessRole") == FREE_BUSY_ROLE:
                    if cursor:
                        raise SyncTokenInvalid(reason=FREE_BUSY_ROLE)
                    yield from self._occurrences(calendar_id, since)
                    return
                zone = calendar_zone(page)
                events, unread = readable(page.get("items") or (), partial(event_from, calendar_zone=zone))
                yield EventPage(events, page.get("nextSyncToken"), unread=unread, timezone=zone or None)
        except EventNotFound as error:
            if error.reason in _GONE:
                raise SyncTokenInvalid(reason=error.reason) from None
            raise CalendarNotFound(reason=error.reason) from None
        except InvalidRequest as error:
            if cursor and "sync token" in error.detail.lower():
                raise SyncTokenInvalid(reason=error.reason) from None
            raise

    def _occurrences(self, calendar_id: str, since: datetime | None) -> Iterator[EventPage]:
        """:raises SyncTokenInvalid: more than free and busy is seen by now, so that changes can be listed."""
        now = self._now()
        query: Query = {
            "maxResults": PAGE_SIZE,
            "singleEvents": True,
            "timeMin": rfc3339(since or now - BEHIND),
            "timeMax": rfc3339(now + AHEAD),
        }
        try:
            for page in self._pages(_events_path(calendar_id), query):
                if page.get("accessRole") != FREE_BUSY_ROLE:
                    raise SyncTokenInvalid(reason="accessRole")
                zone = calendar_zone(page)
                events, unread = readable(page.get("items") or (), partial(event_from, calendar_zone=zone))
                yield EventPage(
                    tuple(replace(event, master_id=None, original_start=None) for event in events),
                    None if page.get("nextPageToken") else OCCURRENCES,
                    snapshot=True,
                    unread=unread,
                    timezone=zone or None,
                )
        except EventNotFound as error:
            raise CalendarNotFound(reason=error.reason) from None

    def get_event(self, calendar_id: str, remote_id: str) -> CalendarEvent:
        """``events.get``; Google keeps deleted events for a while, with status ``cancelled``: those count as gone."""
        event = event_from(self._http.json("GET", _event_path(calendar_id, remote_id)))
        if event.status is EventStatus.CANCELLED:
            raise EventNotFound(reason="deleted")
        return event

    def put_event(self, calendar_id: str, draft: EventDraft, *, etag: str = "") -> WrittenEvent:
        """Insert with our own id; a 409 says that the id exists (deleted ones too), so bring that one to ``draft``.

        An id stays taken for ever, but nothing says for how long a deleted event can be read or brought back
        (https://developers.google.com/workspace/calendar/api/v3/reference/events#id). Where it cannot (404, or 403 to
        the change), the event is made under the next id that follows from ours, so that a repeat finds it again.
        """
        if etag:
            return self._update(calendar_id, draft, etag)
        for _ in range(_IDS):
            try:
                return self._insert(calendar_id, draft)
            except PreconditionFailed as error:
                if error.reason != "duplicate":
                    raise
            try:
                return self._update(calendar_id, draft, "")
            except _CannotReturn:
                draft = replace(draft, remote_id=_next_id(draft.remote_id))
        raise PreconditionFailed("Google keeps too many deleted events of this booking.", reason="duplicate")

    def _update(self, calendar_id: str, draft: EventDraft, etag: str) -> WrittenEvent:
        """:raises EventNotFound: it is gone; as :class:`_CannotReturn` where its id is known to be taken."""
        try:
            current = self._http.json("GET", _event_path(calendar_id, draft.remote_id))
        except EventNotFound as error:
            raise error if etag else _CannotReturn(reason=error.reason) from None
        if etag and current.get("etag") != etag:
            raise PreconditionFailed(reason="conditionNotMet")
        changes = merged_body(draft, current) | conference_request(draft, current)
        if changes:
            path, version = _event_path(calendar_id, draft.remote_id), str(current.get("etag") or "*")
            try:
                current = self._write("PATCH", path, changes, {"if-match": version})
            except (PermissionDenied, EventNotFound) as error:
                if etag or current.get("status") != "cancelled":
                    raise
                raise _CannotReturn(reason=error.reason) from None
        return _written(current, draft)

    def delete_event(self, calendar_id: str, remote_id: str, *, etag: str = "") -> None:
        """``events.delete``; 404 means that it is gone already, and so does 410, where reading it says the same.

        What is gone may stand under the next id, if nobody could record that it was written there
        (:meth:`put_event`).
        """
        for candidate, version in ((remote_id, etag), (_next_id(remote_id), "")):
            headers = {"if-match": version} if version else {}
            path = _event_path(calendar_id, candidate)
            try:
                self._http.json("DELETE", path, query={"sendUpdates": "none"}, headers=headers)
                return
            except EventNotFound:
                continue
            except PreconditionFailed as error:
                if error.reason not in _GONE or self._stands(calendar_id, candidate):
                    raise

    def events_in(self, calendar_id: str, span: Span) -> list[CalendarEvent]:
        """``events.list`` with ``singleEvents=true``: occurrences, each with its own answer. ``timeMin`` bounds ends,
        ``timeMax`` starts, both exclusively."""
        query: Query = {
            "singleEvents": True,
            "timeMin": rfc3339(utc(span.start)),
            "timeMax": rfc3339(utc(span.end)),
            "maxResults": PAGE_SIZE,
        }
        found: list[CalendarEvent] = []
        try:
            for page in self._pages(_events_path(calendar_id), query):
                found += whole(
                    page.get("items") or (), partial(event_from, calendar_zone=calendar_zone(page))
                )
        except EventNotFound as error:
            raise CalendarNotFound(reason=error.reason) from None
        return found

    def freebusy(self, calendar_ids: Sequence[str], span: Span) -> Mapping[str, BusyAnswer]:
        """``freebusy.query`` in portions of fifty calendars; one unreadable calendar does not spoil the others. A grant
        without the scope for it has none (403), as its person may untick that one alone."""
        found: dict[str, BusyAnswer] = {}
        for first in range(0, len(calendar_ids), FREEBUSY_CALENDARS):
            portion = calendar_ids[first : first + FREEBUSY_CALENDARS]
            body = {
                "timeMin": rfc3339(utc(span.start)),
                "timeMax": rfc3339(utc(span.end)),
                "items": [{"id": calendar_id} for calendar_id in portion],
            }
            try:
                answer = self._http.json("POST", "/freeBusy", body=body)
            except PermissionDenied:
                return dict.fromkeys(calendar_ids)
            calendars = answer.get("calendars") or {}
            for calendar_id in portion:
                found[calendar_id] = _busy(calendars.get(calendar_id))
        return found

    def watch(
        self, calendar_id: str, *, channel_id: str, token: str, address: str, expires_at: datetime
    ) -> PushChannel:
        """``events.watch``; Google wants an https address on a verified domain and may shorten the life."""
        answer = self._http.json(
            "POST",
            f"{_events_path(calendar_id)}/watch",
            body={
                "id": channel_id,
                "type": "web_hook",
                "address": address,
                "token": token,
                "expiration": str(int(expires_at.timestamp() * 1000)),
            },
        )
        granted = answer.get("expiration")
        until = datetime.fromtimestamp(int(granted) / 1000, UTC) if granted else expires_at
        return PushChannel(channel_id, str(answer.get("resourceId") or ""), until)

    def stop_channel(self, channel: PushChannel) -> None:
        """``channels.stop``; an unknown channel has ended already."""
        try:
            self._http.json(
                "POST", "/channels/stop", body={"id": channel.channel_id, "resourceId": channel.resource_id}
            )
        except EventNotFound:
            return

    def _stands(self, calendar_id: str, remote_id: str) -> bool:
        try:
            self.get_event(calendar_id, remote_id)
        except EventNotFound:
            return False
        return True

    def _insert(self, calendar_id: str, draft: EventDraft) -> WrittenEvent:
        body = body_from(draft) | conference_request(draft) | {"id": draft.remote_id}
        path = _events_path(calendar_id)
        try:
            return _written(self._write("POST", path, body), draft)
        except EventNotFound as error:
            raise CalendarNotFound(reason=error.reason) from None

    def _write(
        self, method: str, path: str, body: Mapping[str, Any], headers: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """The event as written; its time is what must stand.

        Where the account may invite nobody more for some hours it is written without new guests: the next write
        invites them. Where no conference can be made, which is a 400 ("Invalid conference type value",
        googleapis/google-api-nodejs-client issue 3234) though the calendar may have listed it, without one. Requests
        for conferences are ignored without ``conferenceDataVersion=1`` (reference of ``events.insert``).
        """
        send: dict[str, str | int | bool | list[str]] = {"sendUpdates": "none"}
        if "conferenceData" in body:
            send["conferenceDataVersion"] = 1
        try:
            return self._http.json(method, path, query=send, body=body, headers=headers)
        except UsageLimited:
            if "attendees" not in body:
                raise
            left_out = "attendees"
        except InvalidRequest:
            if "conferenceData" not in body:
                raise
            left_out = "conferenceData"
        log.info("an event is written without its %s: they were refused", left_out)
        return self._write(
            method, path, {name: value for name, value in body.items() if name != left_out}, headers
        )

    def _pages(self, path: str, query: Query) -> Iterator[dict[str, Any]]:
        page_token: str | None = None
        while True:
            page = self._http.json(
                "GET", path, query={**query, "pageToken": page_token} if page_token else query
            )
            yield page
            page_token = page.get("nextPageToken")
            if not page_token:
                return


def _events_path(calendar_id: str) -> str:
    return f"/calendars/{quote(calendar_id, safe='')}/events"


def _event_path(calendar_id: str, remote_id: str) -> str:
    return f"{_events_path(calendar_id)}/{quote(remote_id, safe='')}"


def _next_id(remote_id: str) -> str:
    """The id that follows ours where that is used up: ``…r1`` after ours, ``…r2`` after that.

    The characters are those that Google allows, and ours are 52 of up to 1024
    (https://developers.google.com/workspace/calendar/api/v3/reference/events#id).
    """
    base, mark, number = remote_id.rpartition("r")
    if mark and number.isdigit() and is_write_key(base):
        return f"{base}r{int(number) + 1}"
    return f"{remote_id}r1"


def _written(item: Mapping[str, Any], draft: EventDraft) -> WrittenEvent:
    taken = {str(person.get("email", "")).lower() for person in objects(item.get("attendees"))}
    uninvited = tuple(one.email for one in draft.attendees if one.email.lower() not in taken)
    return WrittenEvent(
        str(item.get("id") or ""),
        str(item.get("etag") or ""),
        str(item.get("htmlLink") or ""),
        uninvited,
        (meeting_from(item) or FAILED) if draft.meeting else None,
    )


def _busy(answer: Mapping[str, Any] | None) -> list[Span] | ProviderError:
    if answer is None or answer.get("errors"):
        reason = str(((answer or {}).get("errors") or [{}])[0].get("reason") or "missing")
        return CalendarNotFound(reason=reason) if reason == "notFound" else ProviderUnavailable(reason=reason)
    return merge(
        Span(instant(datetime.fromisoformat(busy["start"])), instant(datetime.fromisoformat(busy["end"])))
        for busy in answer.get("busy") or ()
    )
