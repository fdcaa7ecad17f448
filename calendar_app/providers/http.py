"""One way to call a provider over HTTP: time-outs, bounded retries, and a status -> error table.

Retries happen for 429, 5xx, rate-limit 403s and transport errors, after 1 s, 2 s and 4 s with jitter; ``Retry-After``
(RFC 9110 §10.2.3, seconds or date) wins over that. A wait longer than ``MAX_WAIT`` is not slept through here: the error
carries ``retry_after`` and the job is rescheduled. Every call made through this module must be safe to repeat.
"""

from __future__ import annotations

import os
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any, TypeVar

import httpx

from calendar_app import metering
from calendar_app.clock import jitter, utc_now
from calendar_app.errors import ProviderError, ProviderUnavailable, RateLimited
from calendar_app.settings import get_settings

BACKOFF = (1.0, 2.0, 4.0)
MAX_WAIT = 10.0
PATIENCE = 3
USER_AGENT = "Almanac-Calendar/1 (gzip)"
"""Google compresses answers for user agents whose name holds "gzip" only
(https://developers.google.com/workspace/calendar/api/guides/performance#gzip)."""

Gate = Callable[[], AbstractContextManager[None]]
gate: ContextVar[Gate] = ContextVar("gate", default=nullcontext)
"""What each request of :class:`ProviderHttp` is made within: where requests to one account are counted. It sees the
error that an answer means."""

Query = Mapping[str, str | int | bool | list[str]]
ErrorMap = Callable[[httpx.Response], ProviderError]
Answer = TypeVar("Answer")


@lru_cache(maxsize=1)
def tls() -> ssl.SSLContext:
    """The process's TLS settings; reading the certificate store takes longer than a request."""
    return httpx.create_ssl_context()


tls()  # now, before workers and web processes fork: a job that read the store anew would wait for it each time


class _InTime(httpx.SyncByteStream):
    """A body that has to be complete by ``deadline``: httpx bounds each read, and a byte now and then passes that."""

    def __init__(self, body: httpx.SyncByteStream, deadline: float) -> None:
        self._body, self._deadline = body, deadline

    def __iter__(self) -> Iterator[bytes]:
        for part in self._body:
            if time.perf_counter() > self._deadline:
                raise httpx.ReadTimeout("The answer did not end in time.")
            yield part

    def close(self) -> None:
        self._body.close()


class MeteredClient(httpx.Client):
    """A client whose every request is counted, with the status of its answer and how long that took.

    A whole answer may take :data:`PATIENCE` times the time-out of a single read.
    """

    def send(self, request: httpx.Request, *, stream: bool = False, **options: Any) -> httpx.Response:
        began = time.perf_counter()
        try:
            response = super().send(request, stream=True, **options)
            read_s = request.extensions.get("timeout", {}).get("read")
            if read_s is not None:
                assert isinstance(response.stream, httpx.SyncByteStream)
                response.stream = _InTime(response.stream, began + PATIENCE * read_s)
            if not stream:
                _read(response)
        except httpx.HTTPError as error:
            metering.answered("timeout" if isinstance(error, httpx.TimeoutException) else "network", began)
            raise
        metering.answered(str(response.status_code), began)
        return response


def _read(response: httpx.Response) -> None:
    try:
        response.read()
    except BaseException:
        response.close()
        raise


@lru_cache(maxsize=1)
def shared_client() -> httpx.Client:
    """The process's connection pool; never follows redirects, so that no credential travels to another host."""
    return MeteredClient(
        verify=tls(),
        timeout=httpx.Timeout(get_settings().http_timeout, connect=5.0),
        limits=httpx.Limits(max_connections=50, max_keepalive_connections=20),
        headers={"user-agent": USER_AGENT},
        follow_redirects=False,
    )


os.register_at_fork(
    after_in_child=shared_client.cache_clear
)  # two processes on one connection mix up their answers


def retry_after(response: httpx.Response, now: Callable[[], datetime] = utc_now) -> float | None:
    """Seconds asked for by ``Retry-After``, never negative; ``None`` where it is absent or unreadable."""
    value = response.headers.get("retry-after", "").strip()
    if not value:
        return None
    if value.isdigit():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now()).total_seconds())


def repeated(
    call: Callable[[], Answer],
    *,
    attempts: int,
    sleep: Callable[[float], None],
    final: Callable[[ProviderError], bool] = lambda _error: False,
) -> Answer:
    """What ``call`` gives, within so many attempts, as the module says; after a ``final`` error there is no other.

    :raises ProviderError: the last attempt's.
    """
    attempt = 0
    while True:
        try:
            return call()
        except (RateLimited, ProviderUnavailable) as error:
            wait = error.retry_after
            if wait is None:
                wait = BACKOFF[min(attempt, len(BACKOFF) - 1)] * jitter(0.75, 1.25)
            attempt += 1
            if attempt == attempts or wait > MAX_WAIT or final(error):
                raise
            sleep(wait)


class ProviderHttp:
    """JSON calls to one API with one bearer token.

    ``to_error`` turns any answer of 400 and above into the right :class:`ProviderError`; ``attempts`` bounds the tries.
    """

    def __init__(
        self,
        base_url: str,
        access_token: str,
        to_error: ErrorMap,
        *,
        client: httpx.Client | None = None,
        sleep: Callable[[float], None] = time.sleep,
        attempts: int = len(BACKOFF) + 1,
    ) -> None:
        self._base = base_url.rstrip("/")
        self._headers = {"authorization": f"Bearer {access_token}", "accept": "application/json"}
        self._to_error = to_error
        self._client = client or shared_client()
        self._sleep = sleep
        self._attempts = attempts

    def json(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """The decoded answer; an empty answer is ``{}``.

        :raises ProviderError: what ``to_error`` makes of a refusal, or :class:`ProviderUnavailable` for silence and
            for bodies that are cut short or no JSON object.
        """
        return repeated(
            lambda: self._once(method, path, query, body, headers), attempts=self._attempts, sleep=self._sleep
        )

    def _once(
        self,
        method: str,
        path: str,
        query: Query | None,
        body: Mapping[str, Any] | None,
        headers: Mapping[str, str] | None,
    ) -> dict[str, Any]:
        try:
            with gate.get()():
                response = self._client.request(
                    method,
                    self._base + path,
                    params=_wire(query) if query else None,  # a path with a query of its own stays as it is
                    json=body,
                    headers={**self._headers, **(headers or {})},
                )
                if response.status_code >= 300:
                    raise self._to_error(response)
        except httpx.TimeoutException as error:
            raise ProviderUnavailable("The provider did not answer in time.", reason="timeout") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ProviderUnavailable(
                "The provider cannot be reached right now.", reason="network"
            ) from error
        if not response.content:
            return {}
        try:
            decoded = response.json()
        except ValueError as error:
            raise ProviderUnavailable(
                "The provider sent an answer that cannot be read.", reason="bad_body"
            ) from error
        if not isinstance(decoded, dict):
            raise ProviderUnavailable("The provider sent an answer that cannot be read.", reason="bad_body")
        return decoded


def _wire(query: Query | None) -> dict[str, str | list[str]]:
    """Query parameters as providers want them: booleans as ``true`` and ``false``."""
    wire: dict[str, str | list[str]] = {}
    for name, value in (query or {}).items():
        if isinstance(value, bool):
            wire[name] = "true" if value else "false"
        else:
            wire[name] = value if isinstance(value, list) else str(value)
    return wire
