"""Calls to a CalDAV account (RFC 4791), for whatever server it is on.

An event that we write is the resource ``<key>.ics``, made with ``If-None-Match: *`` and changed with ``If-Match``
(RFC 9110 §13.1), so that repeating a write cannot double it and nobody's change is overwritten unseen.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import replace
from datetime import datetime

import httpx

from calendar_app.clock import utc_now
from calendar_app.domain.event import CalendarEvent, EventDraft, is_write_key, time_lost
from calendar_app.domain.timespan import Span, merge, utc
from calendar_app.errors import (
    CalendarNotFound,
    EventNotFound,
    InvalidRequest,
    PermissionDenied,
    PreconditionFailed,
    ProviderError,
    ProviderUnavailable,
)
from calendar_app.providers.base import (
    BusyAnswer,
    Capability,
    EventPage,
    PushChannel,
    RemoteCalendar,
    WrittenEvent,
)
from calendar_app.providers.caldav import mapping, servers, xml
from calendar_app.providers.caldav.account import Secret
from calendar_app.providers.caldav.changes import unchanged
from calendar_app.providers.caldav.dav import ICALENDAR, MAX_BYTES, Dav
from calendar_app.providers.caldav.listing import Listing
from calendar_app.providers.caldav.resource import merged_resource, new_resource
from calendar_app.providers.freebusy import one_by_one
from calendar_app.providers.guard import guarded_client
from calendar_app.providers.http import BACKOFF
from calendar_app.settings import Settings

CAPABILITIES = (
    Capability.READ | Capability.WRITE | Capability.FREEBUSY | Capability.DELTA | Capability.UNCHANGED
)

NOTE = (
    "CalDAV servers do not tell when something changes, so changes are seen when the calendar is next read."
)


def caldav_calendar(settings: Settings, secret: str) -> CalDavCalendar:
    """The account that :class:`Opened.secret` opens."""
    return CalDavCalendar(settings, Secret.load(secret))


class CalDavCalendar:
    """:class:`calendar_app.providers.base.CalendarProvider` for CalDAV. ``calendar_id`` is a collection's address.
    ``transport``, ``sleep`` and ``without_freebusy`` are seams for tests."""

    capabilities = CAPABILITIES

    def __init__(
        self,
        settings: Settings,
        secret: Secret,
        *,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
        attempts: int = len(BACKOFF) + 1,
        without_freebusy: servers.Refusals = servers.NO_FREEBUSY,
    ) -> None:
        self._secret = secret
        self._without_freebusy = without_freebusy
        client = guarded_client(
            settings,
            timeout=settings.http_timeout,
            max_bytes=MAX_BYTES,
            auth=secret.auth(),
            transport=transport,
        )
        self._dav = Dav(client, secret.principal, sleep=sleep, attempts=attempts)

    def owned_by(self, addresses: Sequence[str]) -> CalDavCalendar:
        """The account with more addresses of its owner, by which their answers to invitations are told."""
        found = copy(self)
        owners = dict.fromkeys((*self._secret.owners, *addresses))
        found._secret = replace(self._secret, email="\n".join(owners))
        return found

    def list_calendars(self) -> list[RemoteCalendar]:
        """Every calendar for events in every home set (RFC 4791 §6.2.1). The primary one is where the server puts
        invitations (RFC 6638 §9.2), else the first that is the account's own."""
        principal = self._dav.propfind(self._secret.principal, "C:calendar-home-set", "C:schedule-inbox-URL")
        member = principal.first()
        homes = [xml.absolute(principal.url, href) for href in member.hrefs(f"{xml.CAL}calendar-home-set")]
        if not homes:
            raise CalendarNotFound(
                "The server names no place for this account’s calendars.", reason="no_home"
            )
        found: list[tuple[int, RemoteCalendar]] = []
        for home in dict.fromkeys(homes):
            answer = self._dav.propfind(home, *mapping.CALENDAR_PROPS, depth="1")
            found += mapping.calendars_from(answer, self._secret.principal)
        listed = [calendar for _, calendar in sorted(found, key=lambda one: (one[0], one[1].name))]
        default = self._default(principal.url, member.hrefs(f"{xml.CAL}schedule-inbox-URL"))
        ids = [calendar.remote_id for calendar in listed]
        own = (calendar.remote_id for calendar in listed if calendar.access_role.can_write)
        primary = default if default in ids else next(own, "")
        return [replace(calendar, is_primary=calendar.remote_id == primary) for calendar in listed]

    def _default(self, base: str, inboxes: Sequence[str]) -> str:
        """The calendar for invitations, or an empty string; it only decides what is chosen at first."""
        for inbox in inboxes[:1]:
            try:
                answer = self._dav.propfind(xml.absolute(base, inbox), "C:schedule-default-calendar-URL")
            except ProviderError:
                return ""
            for href in answer.first().hrefs(f"{xml.CAL}schedule-default-calendar-URL"):
                return xml.absolute(answer.url, href)
        return ""

    def event_pages(
        self, calendar_id: str, cursor: str | None, *, since: datetime | None = None
    ) -> Iterator[EventPage]:
        """As :class:`Listing` does it; ``since`` is left to the mirror, for the reason given there."""
        try:
            yield from Listing(self._dav, calendar_id, self._secret.owners).pages(cursor)
        except EventNotFound as error:
            raise CalendarNotFound(reason=error.reason) from None

    def unchanged(self, cursors: Mapping[str, str]) -> set[str]:
        """As :func:`calendar_app.providers.caldav.changes.unchanged` asks."""
        return unchanged(self._dav, cursors)

    def get_event(self, calendar_id: str, remote_id: str) -> CalendarEvent:
        """GET of the resource, and the one event in it."""
        name = mapping.resource_name(remote_id)
        wanted = name if is_write_key(remote_id) else remote_id
        data, etag, _ = self._get(xml.member_url(calendar_id, name))
        events, _ = mapping.resource_from(name, data, etag, self._secret.owners)
        for event in events:
            if event.remote_id == wanted and not time_lost(event):
                return event
        if any(map(time_lost, events)):
            raise ProviderUnavailable("The server’s file of the event cannot be read.", reason="bad_body")
        raise EventNotFound(reason="not_in_resource")

    def put_event(self, calendar_id: str, draft: EventDraft, *, etag: str = "") -> WrittenEvent:
        """PUT. What is there already is read and changed, so that what we do not know of it stays."""
        name = mapping.resource_name(draft.remote_id)
        url = xml.member_url(calendar_id, name)
        if not etag and is_write_key(draft.remote_id):
            try:
                made = self._put(url, new_resource(draft, _now()), {"if-none-match": "*"})
                return WrittenEvent(name, made)
            except EventNotFound as error:
                raise CalendarNotFound(reason=error.reason) from None
            except (InvalidRequest, PreconditionFailed) as error:
                if error.reason != "http_412":  # which says that it exists: an earlier try of ours made it
                    name = self._by_uid(calendar_id, draft.uid) if error.reason in _CONFLICTS else ""
                    if not name:
                        raise
                    url = xml.member_url(calendar_id, name)
        data, present, weak = self._get(url)
        if etag and mapping.plain_etag(etag) != present:
            raise PreconditionFailed(reason="etag")
        changed = merged_resource(draft, data, _now())
        if changed is not None:
            present = self._update(url, changed, present, weak=weak)
        return WrittenEvent(name, present)

    def delete_event(self, calendar_id: str, remote_id: str, *, etag: str = "") -> None:
        """DELETE; 404 means that it is gone already."""
        url = xml.member_url(calendar_id, mapping.resource_name(remote_id))
        headers = {"if-match": etag} if etag else {}
        try:
            self._dav.request("DELETE", url, headers=headers)
        except EventNotFound:
            return
        except PreconditionFailed:
            if self._stands_at(url, etag):
                self._dav.request("DELETE", url)
                return
            raise

    def freebusy(self, calendar_ids: Sequence[str], span: Span) -> Mapping[str, BusyAnswer]:
        """``free-busy-query`` (RFC 4791 §7.10); ``None`` where the server does not have it, or makes no sense with it.
        Servers differ in what they count: :mod:`calendar_app.services.availability.live_check` asks for the events
        where it matters."""

        def busy(calendar_id: str) -> list[Span] | None:
            found = self._query_busy(calendar_id, span)
            if found is None:
                return None
            return merge((max(s, span.start), min(e, span.end)) for s, e in found)

        return one_by_one(calendar_ids, busy)

    def events_in(self, calendar_id: str, span: Span) -> list[CalendarEvent]:
        """``calendar-query`` with a time range (RFC 4791 §7.8): whole resources, which the server does not expand."""
        body = xml.document(
            "C:calendar-query",
            xml.prop("D:getetag", "C:calendar-data"),
            f'<C:filter><C:comp-filter name="VCALENDAR"><C:comp-filter name="VEVENT">{_range(span)}'
            "</C:comp-filter></C:comp-filter></C:filter>",
        )
        try:
            answer = self._dav.report(calendar_id, body)
        except EventNotFound as error:
            raise CalendarNotFound(reason=error.reason) from None
        found: list[CalendarEvent] = []
        for member in answer.members:
            data = mapping.element_text(member.props.get(f"{xml.CAL}calendar-data"))
            if data:
                found += mapping.events_from(member.href, data, "", self._secret.owners)
            elif xml.name_of(calendar_id, member.href) and member.status not in (404, 410):
                raise ProviderUnavailable(
                    "The server names events of this time and does not give them.", reason="no_data"
                )
        return found

    def watch(
        self, calendar_id: str, *, channel_id: str, token: str, address: str, expires_at: datetime
    ) -> PushChannel:
        """CalDAV servers send no pushes. :raises InvalidRequest: always."""
        raise InvalidRequest("CalDAV servers send no notifications.", reason="no_push")

    def stop_channel(self, channel: PushChannel) -> None:
        """There is none to end."""

    def _query_busy(self, calendar_id: str, span: Span) -> list[Span] | None:
        """``None`` where the server has no free-busy-query, or does not make sense with it. That is remembered of the
        server, unless it may be this calendar's rights (403)."""
        if not servers.offers_freebusy(calendar_id) or self._without_freebusy.known(calendar_id):
            return None
        body = xml.document("C:free-busy-query", _range(span))
        try:
            response = self._dav.request(
                "REPORT", calendar_id, headers={"depth": "1"} | _XML, content=body, patient=False
            )
            return mapping.busy_from(response.content)
        except PermissionDenied:
            return None
        except (InvalidRequest, PreconditionFailed, ValueError):
            pass
        except ProviderUnavailable as error:
            if error.reason not in ("http_500", "http_501"):
                raise
        self._without_freebusy.note(calendar_id)
        return None

    def _get(self, url: str) -> tuple[str, str, bool]:
        """A resource's text, its entity tag, and whether that is a weak one."""
        response = self._dav.request("GET", url, headers={"accept": "text/calendar"})
        etag = response.headers.get("etag", "")
        try:
            text = response.content.decode()
        except UnicodeDecodeError:
            text = response.content.decode("latin-1")
        return text, mapping.plain_etag(etag or self._etag(url)), etag.startswith(("W/", "w/"))

    def _etag(self, url: str) -> str:
        """The entity tag by PROPFIND: many servers leave it out of answers when they changed what they were sent."""
        return mapping.plain_etag(self._dav.propfind(url, "D:getetag").first().text(f"{xml.DAV}getetag"))

    def _put(self, url: str, text: str, headers: Mapping[str, str]) -> str:
        """The entity tag that the resource has from now on."""
        response = self._dav.request(
            "PUT", url, headers={"content-type": ICALENDAR, **headers}, content=text.encode()
        )
        return mapping.plain_etag(response.headers.get("etag", "")) or self._etag(url)

    def _update(self, url: str, text: str, etag: str, *, weak: bool) -> str:
        """PUT over the version ``etag``. A weak one never matches (RFC 9110 §13.1.1), so a refusal of it is looked at
        once more before it is believed."""
        try:
            return self._put(url, text, {"if-match": etag} if etag else {})
        except PreconditionFailed:
            if weak and self._stands_at(url, etag):
                return self._put(url, text, {})
            raise

    def _stands_at(self, url: str, etag: str) -> bool:
        """Whether the resource has that entity tag, and it is a weak one."""
        try:
            _, present, weak = self._get(url)
        except EventNotFound:
            return False
        return weak and present == mapping.plain_etag(etag)

    def _by_uid(self, calendar_id: str, uid: str) -> str:
        """The name of the resource that has the UID, or an empty string."""
        body = xml.document(
            "C:calendar-query",
            xml.prop("D:getetag"),
            '<C:filter><C:comp-filter name="VCALENDAR"><C:comp-filter name="VEVENT"><C:prop-filter name="UID">',
            f'<C:text-match collation="i;octet">{xml.escaped(uid)}</C:text-match>',
            "</C:prop-filter></C:comp-filter></C:comp-filter></C:filter>",
        )
        try:
            answer = self._dav.report(calendar_id, body)
        except EventNotFound as error:
            raise CalendarNotFound(reason=error.reason) from None
        names = (xml.name_of(calendar_id, member.href) for member in answer.members)
        return next((name for name in names if name), "")


_CONFLICTS = ("no-uid-conflict", "http_409", "http_410")
_XML = {"content-type": "application/xml; charset=utf-8"}


def _range(span: Span) -> str:
    start, end = (f"{utc(moment):%Y%m%dT%H%M%SZ}" for moment in span)
    return f'<C:time-range start="{start}" end="{end}"/>'


def _now() -> datetime:
    return utc_now()
