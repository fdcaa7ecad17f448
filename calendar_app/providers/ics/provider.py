"""Following a published .ics address (RFC 5545 files over HTTP), and the null provider of imported files.

A published file says everything each time, so what a new version lacks is gone. Whether there is a new version is asked
with a conditional GET (RFC 9110 §13.1.2): a calendar that has not changed costs one request and no body. Nobody can
sign in to such an address: whoever knows it may read it. So 401 and 403 mean that the address's key was changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NoReturn

import httpx

from calendar_app.clock import utc_now
from calendar_app.domain.event import CalendarEvent, EventDraft
from calendar_app.domain.ics import CalendarFile, CalendarFileError, NotACalendar
from calendar_app.domain.timespan import Span, instant
from calendar_app.errors import (
    AuthExpired,
    CalendarNotFound,
    CredentialsRejected,
    EventNotFound,
    InvalidInput,
    InvalidRequest,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
)
from calendar_app.providers.base import (
    AccessRole,
    Account,
    BusyAnswer,
    Capability,
    Credentials,
    EventPage,
    Opened,
    PushChannel,
    RemoteCalendar,
    WrittenEvent,
)
from calendar_app.providers.guard import GuardedClient, guarded_client
from calendar_app.providers.http import retry_after
from calendar_app.providers.ics.mapping import MAX_BYTES, Link, Validators, max_age, read_file
from calendar_app.providers.vetted import code_of
from calendar_app.settings import Settings

CAPABILITIES = Capability.READ
CALENDAR = "calendar"
"""The id of the one calendar that an address leads to."""
NOTE = "A calendar link is read-only: its events count as busy, and bookings are written elsewhere."
FILE_NOTE = "An imported file stays as it was; import it again to bring it up to date."
_PAGE = 500
_BEHIND, _AHEAD = timedelta(days=35), timedelta(days=400)
_ACCEPT = {"accept": "text/calendar, */*;q=0.5"}


def http(settings: Settings, *, transport: httpx.BaseTransport | None = None) -> GuardedClient:
    """The client for calendar addresses; ``transport`` is a seam for tests."""
    return guarded_client(settings, timeout=settings.http_timeout, max_bytes=MAX_BYTES, transport=transport)


_TYPED_WRONG = ("not_a_calendar", "dns", "certificate", "bad_body", "redirects", "too_large")
"""Reasons of a silence that mean another address than the one that was meant."""


class IcsOpener:
    """Checks an address that a person typed. ``username`` of the credentials is what they call the calendar, if
    anything."""

    def __init__(self, client: GuardedClient) -> None:
        self._client = client

    def open(self, credentials: Credentials) -> Opened:
        """Read the calendar once. :raises InvalidInput: no calendar there, or an address that may not be called.

        :raises ProviderError: as of any provider.
        """
        link = Link.typed(credentials.address, credentials.username)
        try:
            file = IcsCalendar(self._client, link.secret).file()
        except AuthExpired as error:
            raise CredentialsRejected(error.detail, field="address") from None
        except CalendarNotFound as error:
            raise InvalidInput(error.detail, field="address", code=error.code) from None
        except InvalidRequest as error:
            raise InvalidInput(error.detail, field="address", code=code_of(error.reason)) from None
        except ProviderUnavailable as error:
            if error.reason not in _TYPED_WRONG:
                raise
            raise InvalidInput(error.detail, field="address", code=code_of(error.reason)) from None
        name = link.name or file.name or link.host
        return Opened(Account(link.account_id, f"{name} ({link.host})", name), link.secret)


class _ReadOnly:
    """What nobody can do to a file. Nothing is sent; every call is refused for good."""

    _why = NOTE

    def put_event(self, calendar_id: str, draft: EventDraft, *, etag: str = "") -> WrittenEvent:
        self._refuse()

    def delete_event(self, calendar_id: str, remote_id: str, *, etag: str = "") -> None:
        self._refuse()

    def freebusy(self, calendar_ids: Sequence[str], span: Span) -> Mapping[str, BusyAnswer]:
        self._refuse()

    def watch(
        self, calendar_id: str, *, channel_id: str, token: str, address: str, expires_at: datetime
    ) -> PushChannel:
        self._refuse()

    def stop_channel(self, channel: PushChannel) -> None:
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise InvalidRequest(self._why, reason="read_only")


class IcsCalendar(_ReadOnly):
    """The calendar behind an address (:attr:`Link.secret`). A cursor is the validators of the last version read."""

    capabilities = CAPABILITIES

    def __init__(self, client: GuardedClient, secret: str) -> None:
        self._client = client
        self._link = Link.kept(secret)

    def file(self) -> CalendarFile:
        """The calendar as it is now."""
        response = self._get({})
        return self._read(response)

    def list_calendars(self) -> list[RemoteCalendar]:
        """The one calendar, called as its subscriber or else its publisher wishes."""
        file = self.file()
        name = self._link.name or file.name or self._link.host
        return [RemoteCalendar(CALENDAR, name[:200], file.zone or "", AccessRole.READER, is_primary=True)]

    def event_pages(
        self, calendar_id: str, cursor: str | None, *, since: datetime | None = None
    ) -> Iterator[EventPage]:
        """Everything, or nothing if that has not changed since ``cursor``. ``since`` has no meaning to a file."""
        before = Validators.read(cursor, self._link)
        response = self._get(before.conditions if before else {})
        if before and response.status_code == 304:
            yield EventPage((), before.cursor)
            return
        after = Validators.of(response.headers, response.content, self._link)
        if before and before.digest == after.digest:
            yield EventPage((), after.cursor)
            return
        file = self._read(response)
        for first in range(0, len(file.events), _PAGE):
            yield EventPage(file.events[first : first + _PAGE], snapshot=True)
        yield EventPage(
            (),
            after.cursor,
            snapshot=True,
            timezone=file.zone or "",
            unread=file.unread,
            wish=max(file.refresh, max_age(response.headers)),
        )

    def get_event(self, calendar_id: str, remote_id: str) -> CalendarEvent:
        """One event of the file. :raises EventNotFound: it has none of that id."""
        for event in self.file().events:
            if event.remote_id == remote_id:
                return event
        raise EventNotFound()

    def events_in(self, calendar_id: str, span: Span) -> Sequence[CalendarEvent]:
        """Every event of the file."""
        return self.file().events

    def _get(self, conditions: Mapping[str, str]) -> httpx.Response:
        if not self._link.url:
            raise AuthExpired("The calendar’s address was lost: type it again.")
        try:
            response = self._client.get(self._link.url, headers={**_ACCEPT, **conditions})
        except InvalidInput as error:
            if error.code != "redirect_refused" and not error.code.startswith("address"):
                raise
            raise InvalidRequest(error.detail, reason=error.code) from None
        if response.status_code == 304 and conditions:
            return response
        if response.status_code != 200:
            raise _error(response, self._link)
        return response

    def _read(self, response: httpx.Response) -> CalendarFile:
        now = utc_now()
        try:
            file = read_file(response.content, Span(instant(now - _BEHIND), instant(now + _AHEAD)))
        except NotACalendar as error:
            raise ProviderUnavailable(self._where(response, error.args[0]), reason="not_a_calendar") from None
        except CalendarFileError as error:
            raise InvalidRequest(str(error), reason="too_large") from None
        if file.truncated:
            raise ProviderUnavailable("The calendar’s file ends in the middle.", reason="bad_body")
        return file

    def _where(self, response: httpx.Response, why: str) -> str:
        """The sentence, and who said so if that is another host than the one that was asked."""
        host = response.url.host
        if host == self._link.host:
            return why
        return f"{self._link.host} sent us on to {host}. {why}"


class StoredFile(_ReadOnly):
    """Stands where a provider is expected of a file that was imported: there is nothing to ask."""

    capabilities = Capability(0)
    _why = FILE_NOTE

    def list_calendars(self) -> list[RemoteCalendar]:
        self._refuse()

    def event_pages(
        self, calendar_id: str, cursor: str | None, *, since: datetime | None = None
    ) -> Iterator[EventPage]:
        self._refuse()

    def get_event(self, calendar_id: str, remote_id: str) -> CalendarEvent:
        self._refuse()

    def events_in(self, calendar_id: str, span: Span) -> Sequence[CalendarEvent]:
        self._refuse()


def _error(response: httpx.Response, link: Link) -> ProviderError:
    status = response.status_code
    if status in (401, 403):
        return AuthExpired(
            f"{link.host} does not let us read this calendar: its address was changed or is not public."
        )
    if status in (404, 410):
        return CalendarNotFound(
            f"There is no calendar at this address of {link.host} any more: "
            "ask its publisher for the new link.",
            reason=str(status),
        )
    if status == 429:
        return RateLimited(reason="429", retry_after=retry_after(response))
    if status >= 500:
        return ProviderUnavailable(
            f"{link.host} cannot deliver the calendar right now.",
            reason=str(status),
            retry_after=retry_after(response),
        )
    return InvalidRequest(f"{link.host} refused to deliver the calendar ({status}).", reason="refused")
