"""Calls to one CalDAV account: authentication, bounded repeats, and a status -> error table.

==========================  ============================================================================================
answer                      error
==========================  ============================================================================================
401                         ``AuthExpired``: the password is not, or no longer, accepted
403                         ``SyncTokenInvalid`` with ``valid-sync-token`` (RFC 6578 §3.8), else ``PermissionDenied``
404, 410                    ``EventNotFound``; 410 to a write is ``PreconditionFailed``
409                         ``SyncTokenInvalid`` as above; ``InvalidRequest`` where it names a precondition of
                            RFC 4791 §5.3.2.1; else ``PreconditionFailed`` to a write
412                         ``PreconditionFailed``
423                         ``ProviderUnavailable``: somebody holds a lock, which ends
429                         ``RateLimited``
507                         ``InvalidRequest``: no space for what we write; members of a 207 with it are no error here
other 4xx, 3xx              ``InvalidRequest``
5xx, no multi-status XML    ``ProviderUnavailable``
==========================  ============================================================================================
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

import httpx

from calendar_app.errors import (
    AuthExpired,
    EventNotFound,
    InvalidInput,
    InvalidRequest,
    PermissionDenied,
    PreconditionFailed,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
    SyncTokenInvalid,
)
from calendar_app.providers.caldav import servers, xml
from calendar_app.providers.guard import GuardedClient
from calendar_app.providers.http import BACKOFF, repeated, retry_after
from calendar_app.providers.refusals import conflict, is_conflict

MAX_BYTES = 48 * 2**20
"""The most that one answer may hold: some 50,000 events with their texts."""
REPORT_SECONDS = 90.0
"""Servers may think that long about a whole calendar; less than a sync's lease."""
ICALENDAR = "text/calendar; charset=utf-8"
_XML = "application/xml; charset=utf-8"
_PERMANENT = ("certificate", "too_large", "http_501")


class Dav:
    """One account at one server. ``home`` is the address that the password belongs to; ``attempts`` bounds tries."""

    def __init__(
        self,
        client: GuardedClient,
        home: str,
        *,
        attempts: int = len(BACKOFF) + 1,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._home = home
        self._attempts = attempts
        self._sleep = sleep

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        timeout: float | None = None,
        patient: bool = True,
    ) -> httpx.Response:
        """An answer of the 200s. Every call has to be safe to repeat; 500 is not repeated unless ``patient``.

        :raises ProviderError: as the module says.
        """
        if not servers.same_server(self._home, url):
            host = urlsplit(url).hostname
            raise InvalidRequest(
                f"The server names {host}, another host, for this account: the password was not sent there.",
                reason="other_host",
            )
        # What has taken its own, long time once is not asked for again before the sync's lease ends.
        permanent = _PERMANENT if timeout is None else (*_PERMANENT, "timeout")
        permanent = permanent if patient else (*permanent, "http_500")
        return repeated(
            lambda: self._once(method, url, headers, content, timeout),
            attempts=self._attempts,
            sleep=self._sleep,
            final=lambda error: error.reason in permanent,
        )

    def multistatus(
        self, method: str, url: str, body: bytes, *, depth: str = "0", timeout: float | None = None
    ) -> xml.MultiStatus:
        """The answer to a PROPFIND or REPORT. :raises ProviderUnavailable: it is no multi-status."""
        headers = {"depth": depth, "content-type": _XML}
        response = self.request(method, url, headers=headers, content=body, timeout=timeout)
        if response.status_code != 207:
            raise ProviderUnavailable(_NOT_DAV, reason="not_dav")
        try:
            return xml.multistatus(response.content, str(response.url))
        except xml.BadAnswer as error:
            raise ProviderUnavailable(str(error), reason="bad_body") from None

    def propfind(self, url: str, *names: str, depth: str = "0") -> xml.MultiStatus:
        """Properties, by prefixed names. :raises EventNotFound: there is nothing at the address."""
        answer = self.multistatus("PROPFIND", url, xml.document("D:propfind", xml.prop(*names)), depth=depth)
        if answer.members and all(member.status in (404, 410) for member in answer.members):
            raise EventNotFound(reason="http_404")
        return answer

    def report(self, url: str, body: bytes, *, depth: str = "1") -> xml.MultiStatus:
        """A REPORT, which may take long."""
        return self.multistatus("REPORT", url, body, depth=depth, timeout=REPORT_SECONDS)

    def _once(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        content: bytes | None,
        timeout: float | None,
    ) -> httpx.Response:
        try:
            response = self._client.request(method, url, headers=headers, content=content, timeout=timeout)
        except InvalidInput as error:
            raise InvalidRequest(error.detail, reason=error.code) from None
        if response.status_code >= 300:
            raise to_error(response)
        return response


_NOT_DAV = "The server did not answer as a CalDAV server does."


def to_error(response: httpx.Response) -> ProviderError:
    """The table above."""
    status = response.status_code
    if status == 401:
        return AuthExpired("The server no longer accepts this user name and password.")
    if status == 429:
        return RateLimited(
            "The server asked us to slow down.", reason="rate_limited", retry_after=retry_after(response)
        )
    if status == 507:
        return InvalidRequest(
            "The server has no space left for this calendar.", reason="insufficient_storage"
        )
    if status == 423:
        return ProviderUnavailable(
            "The calendar is locked by another program; it will be tried again.", reason="locked"
        )
    if status >= 500:
        return ProviderUnavailable(
            "The server cannot answer right now.", reason=f"http_{status}", retry_after=retry_after(response)
        )
    if status == 404 or (status == 410 and not is_conflict(response)):
        return EventNotFound(reason=f"http_{status}")
    if status == 412:
        return PreconditionFailed(reason="http_412")
    names = xml.preconditions(response.content) if status in (403, 409) else frozenset()
    if f"{xml.DAV}valid-sync-token" in names:
        return SyncTokenInvalid(reason="valid-sync-token")
    if f"{xml.CAL}no-uid-conflict" in names:
        return InvalidRequest("The server has this event in another place already.", reason="no-uid-conflict")
    if is_conflict(response) and not any(name.startswith(xml.CAL) for name in names):
        return conflict("The server", f"http_{status}")
    if status == 403:
        return PermissionDenied("The server does not allow this for this account.", reason="http_403")
    return InvalidRequest(f"The server refused the request (status {status}).", reason=f"http_{status}")
