"""Calls to Google Calendar and Google's authorization server.

* Sync: https://developers.google.com/workspace/calendar/api/guides/sync
* Push: https://developers.google.com/workspace/calendar/api/guides/push
* Errors: https://developers.google.com/workspace/calendar/api/guides/errors
* OAuth: https://developers.google.com/identity/protocols/oauth2/web-server
"""

from __future__ import annotations

import hmac
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import httpx

from calendar_app.domain.event import CalendarEvent, EventDraft, EventStatus
from calendar_app.domain.timespan import Span, instant, merge, utc
from calendar_app.errors import (
    AuthExpired,
    CalendarNotFound,
    EventNotFound,
    InvalidRequest,
    PermissionDenied,
    PreconditionFailed,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
    SyncTokenInvalid,
)
from calendar_app.providers.base import (
    Account,
    Capability,
    EventPage,
    Grant,
    PushChannel,
    PushNotice,
    PushRequest,
    RemoteCalendar,
    ScopeNeed,
    WrittenEvent,
)
from calendar_app.providers.google.mapping import body_from, calendar_from, event_from, merged_body, rfc3339
from calendar_app.providers.http import MeteredClient, ProviderHttp, Query, retry_after, tls
from calendar_app.providers.oauth import AuthorizationCode, OAuthEndpoints
from calendar_app.settings import Settings

log = logging.getLogger(__name__)

CAPABILITIES = Capability.READ | Capability.WRITE | Capability.FREEBUSY | Capability.DELTA | Capability.PUSH
PAGE_SIZE = 2500
"""Events a page; the most that ``events.list`` gives."""
FREEBUSY_CALENDARS = 50
"""Calendars a ``freeBusy`` query may name."""

_BASE = "https://www.googleapis.com/auth"
SCOPES = (
    ScopeNeed("openid", "know which account this is", required=True),
    ScopeNeed("email", "show which account is connected", required=True),
    ScopeNeed(f"{_BASE}/calendar.calendarlist.readonly", "list your calendars", required=True),
    ScopeNeed(
        f"{_BASE}/calendar.events", "read your events and write bookings into your calendars", required=True
    ),
    ScopeNeed(
        f"{_BASE}/calendar.freebusy",
        "check a time at Google once more before a booking is confirmed",
        required=False,
    ),
)
_RATE_REASONS = {"rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded", "dailyLimitExceeded"}
_SCOPE_ALIASES = {f"{_BASE}/userinfo.email": "email"}


class GoogleOAuth:
    """:class:`calendar_app.providers.base.OAuthClient` for Google; ``transport`` is a seam for tests."""

    scopes: Sequence[ScopeNeed] = SCOPES
    issuer = "https://accounts.google.com"

    def __init__(self, settings: Settings, *, transport: httpx.BaseTransport | None = None) -> None:
        self._userinfo = settings.google_userinfo_url
        self._transport = transport
        self._timeout = settings.http_timeout
        self._flow = AuthorizationCode(
            OAuthEndpoints(
                title="Google",
                client_id=settings.google_client_id,
                client_secret=settings.google_client_secret,
                authorize=settings.google_auth_url,
                token=settings.google_token_url,
                revoke=settings.google_revoke_url,
                extra={"access_type": "offline", "prompt": "consent", "include_granted_scopes": "true"},
            ),
            " ".join(need.scope for need in SCOPES),
            timeout=settings.http_timeout,
            transport=transport,
        )

    def authorization_url(
        self, *, state: str, code_verifier: str, redirect_uri: str, login_hint: str = ""
    ) -> str:
        """Offline access with ``prompt=consent``, without which Google sends a refresh token only the first time."""
        return self._flow.authorization_url(
            state=state, code_verifier=code_verifier, redirect_uri=redirect_uri, login_hint=login_hint
        )

    def exchange(self, *, code: str, code_verifier: str, redirect_uri: str) -> Grant:
        """As :meth:`OAuthClient.exchange`; Google names the e-mail scope by its long form, which is undone here."""
        return _named(self._flow.exchange(code=code, code_verifier=code_verifier, redirect_uri=redirect_uri))

    def refresh(self, refresh_token: str) -> Grant:
        return _named(self._flow.refresh(refresh_token))

    def revoke(self, token: str) -> None:
        self._flow.revoke(token)

    def account(self, access_token: str) -> Account:
        """OpenID Connect userinfo: ``sub`` never changes, the address may."""
        with MeteredClient(verify=tls(), transport=self._transport, timeout=self._timeout) as client:
            answer = ProviderHttp(self._userinfo, access_token, to_error, client=client).json("GET", "")
        if not answer.get("sub"):
            raise ProviderUnavailable("Google did not say whose account this is.", reason="bad_body")
        return Account(str(answer["sub"]), str(answer.get("email") or ""), str(answer.get("name") or ""))


def _named(grant: Grant) -> Grant:
    return Grant(
        grant.access_token,
        grant.refresh_token,
        grant.expires_at,
        tuple(dict.fromkeys(_SCOPE_ALIASES.get(scope, scope) for scope in grant.scopes)),
    )


class GoogleCalendar:
    """:class:`calendar_app.providers.base.CalendarProvider` for Google, on one access token."""

    capabilities = CAPABILITIES

    def __init__(self, http: ProviderHttp) -> None:
        self._http = http

    def list_calendars(self) -> list[RemoteCalendar]:
        """``calendarList.list``, every page."""
        found: list[RemoteCalendar] = []
        for page in self._pages("/users/me/calendarList", {"maxResults": 250}):
            found += [calendar_from(item) for item in page.get("items") or () if not item.get("deleted")]
        return found

    def event_pages(
        self, calendar_id: str, cursor: str | None, *, since: datetime | None = None
    ) -> Iterator[EventPage]:
        """``events.list`` with ``singleEvents=false``. ``timeMin`` goes with a full listing only: it may not accompany
        a sync token, but the chain it starts keeps giving tokens (sync guide)."""
        query: dict[str, str | int | bool | list[str]] = {"maxResults": PAGE_SIZE, "singleEvents": False}
        if cursor:
            query["syncToken"] = cursor
        elif since:
            query["timeMin"] = rfc3339(since)
        try:
            for page in self._pages(f"/calendars/{quote(calendar_id, safe='')}/events", query):
                events = tuple(_readable(page.get("items") or (), str(page.get("timeZone") or "")))
                yield EventPage(events, page.get("nextSyncToken"))
        except EventNotFound as error:
            if error.reason in _GONE:
                raise SyncTokenInvalid(reason=error.reason) from None
            raise CalendarNotFound(reason=error.reason) from None
        except InvalidRequest as error:
            if cursor and "sync token" in error.detail.lower():
                raise SyncTokenInvalid(reason=error.reason) from None
            raise

    def get_event(self, calendar_id: str, remote_id: str) -> CalendarEvent:
        """``events.get``; Google keeps deleted events for a while, with status ``cancelled``: those count as gone."""
        event = event_from(self._http.json("GET", _event_path(calendar_id, remote_id)))
        if event.status is EventStatus.CANCELLED:
            raise EventNotFound(reason="deleted")
        return event

    def put_event(self, calendar_id: str, draft: EventDraft, *, etag: str = "") -> WrittenEvent:
        """Insert with our own id; a 409 says that the id exists (deleted ones too), so bring that one to ``draft``."""
        if not etag:
            try:
                return self._insert(calendar_id, draft)
            except InvalidRequest as error:
                if error.reason != "duplicate":
                    raise
        current = self._http.json("GET", _event_path(calendar_id, draft.remote_id))
        if etag and current.get("etag") != etag:
            raise PreconditionFailed(reason="conditionNotMet")
        changes = merged_body(draft, current)
        if changes:
            current = self._http.json(
                "PATCH",
                _event_path(calendar_id, draft.remote_id),
                query={"sendUpdates": "none"},
                body=changes,
                headers={"if-match": str(current.get("etag") or "*")},
            )
        return _written(current)

    def delete_event(self, calendar_id: str, remote_id: str, *, etag: str = "") -> None:
        """``events.delete``; 404 and 410 mean that it is gone already."""
        headers = {"if-match": etag} if etag else {}
        try:
            self._http.json(
                "DELETE", _event_path(calendar_id, remote_id), query={"sendUpdates": "none"}, headers=headers
            )
        except EventNotFound:
            return

    def freebusy(self, calendar_ids: Sequence[str], span: Span) -> Mapping[str, list[Span] | ProviderError]:
        """``freebusy.query`` in portions of fifty calendars; one unreadable calendar does not spoil the others."""
        found: dict[str, list[Span] | ProviderError] = {}
        for first in range(0, len(calendar_ids), FREEBUSY_CALENDARS):
            portion = calendar_ids[first : first + FREEBUSY_CALENDARS]
            answer = self._http.json(
                "POST",
                "/freeBusy",
                body={
                    "timeMin": rfc3339(utc(span.start)),
                    "timeMax": rfc3339(utc(span.end)),
                    "items": [{"id": calendar_id} for calendar_id in portion],
                },
            )
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
            f"/calendars/{quote(calendar_id, safe='')}/events/watch",
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

    def _insert(self, calendar_id: str, draft: EventDraft) -> WrittenEvent:
        body = body_from(draft) | {"id": draft.remote_id}
        path = f"/calendars/{quote(calendar_id, safe='')}/events"
        try:
            return _written(self._http.json("POST", path, query={"sendUpdates": "none"}, body=body))
        except EventNotFound as error:
            raise CalendarNotFound(reason=error.reason) from None

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


def _event_path(calendar_id: str, remote_id: str) -> str:
    return f"/calendars/{quote(calendar_id, safe='')}/events/{quote(remote_id, safe='')}"


def _written(item: Mapping[str, Any]) -> WrittenEvent:
    return WrittenEvent(
        str(item.get("id") or ""), str(item.get("etag") or ""), str(item.get("htmlLink") or "")
    )


def _readable(items: Sequence[Mapping[str, Any]], zone: str) -> Iterator[CalendarEvent]:
    for item in items:
        try:
            yield event_from(item, zone)
        except (KeyError, TypeError, ValueError):
            log.warning(
                "an event was left out of the mirror: it cannot be read", extra={"event_id": item.get("id")}
            )


def _busy(answer: Mapping[str, Any] | None) -> list[Span] | ProviderError:
    if answer is None or answer.get("errors"):
        reason = str(((answer or {}).get("errors") or [{}])[0].get("reason") or "missing")
        return CalendarNotFound(reason=reason) if reason == "notFound" else ProviderUnavailable(reason=reason)
    return merge(
        Span(instant(datetime.fromisoformat(busy["start"])), instant(datetime.fromisoformat(busy["end"])))
        for busy in answer.get("busy") or ()
    )


def read_push(request: PushRequest) -> Sequence[PushNotice]:
    """All facts stand in ``X-Goog-*`` headers (push guide); the token is the one that :meth:`watch` was given.
    A message without a usable number cannot be told from a replay and counts as an old one."""
    channel_id = request.headers.get("x-goog-channel-id", "")
    token = request.headers.get("x-goog-channel-token", "")
    number = request.headers.get("x-goog-message-number", "")
    return [
        PushNotice(
            channel_id,
            authentic=lambda secret: hmac.compare_digest(token.encode(), secret.encode()),
            number=int(number) if re.fullmatch("[1-9][0-9]{0,14}", number) else -1,
        )
    ]


_GONE = {"fullSyncRequired", "updatedMinTooLongAgo", "deleted"}


def to_error(response: httpx.Response) -> ProviderError:
    """Google's error body -> our tree (errors guide: reasons tell a rate limit from a refusal among the 403s)."""
    reason, message = _reason(response)
    status = response.status_code
    if status == 429 or (status == 403 and reason in _RATE_REASONS):
        return RateLimited("Google asked us to slow down.", reason=reason, retry_after=retry_after(response))
    if status >= 500:
        return ProviderUnavailable(
            "Google cannot be reached right now.", reason=reason, retry_after=retry_after(response)
        )
    if status == 401:
        return AuthExpired(reason=reason)
    if status == 403:
        return PermissionDenied(
            _sentence("Google does not allow this for this account", message), reason=reason
        )
    if status in (404, 410):
        return EventNotFound(reason=reason)
    if status == 412:
        return PreconditionFailed(reason=reason)
    if status == 409:
        reason = reason or "duplicate"  # its only meaning for events, also where the body cannot be read
    return InvalidRequest(_sentence("Google refused the request", message), reason=reason)


def _reason(response: httpx.Response) -> tuple[str, str]:
    try:
        error = response.json()["error"]
        first = (error.get("errors") or [{}])[0]
        return str(first.get("reason") or error.get("status") or ""), str(error.get("message") or "")
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        return "", ""


def _sentence(what: str, message: str) -> str:
    words = " ".join(message.split())[:200].rstrip(".")
    return f"{what}: {words}." if words else f"{what}."
