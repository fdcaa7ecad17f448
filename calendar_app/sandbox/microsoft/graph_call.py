"""What every Graph handler needs around it: the call with its preferences, authentication, throttling, and the answer.

Source: https://learn.microsoft.com/graph/errors, https://learn.microsoft.com/graph/throttling-limits (Outlook: four
concurrent requests per app and mailbox), https://learn.microsoft.com/graph/api/calendar-list-calendarview (headers).
"""

from __future__ import annotations

import asyncio
import inspect
import re
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode

import orjson
from starlette.requests import Request
from starlette.responses import Response

from calendar_app.sandbox.grants import Grants
from calendar_app.sandbox.microsoft.error import GraphError, bad_request, denied
from calendar_app.sandbox.microsoft.odata import DEFAULT_PAGE, LARGEST_PAGE, Options
from calendar_app.sandbox.microsoft.resource import Wishes
from calendar_app.sandbox.microsoft.zones import query_instant, zone_named
from calendar_app.sandbox.store import Store

Json = dict[str, Any]

PARALLEL_CALLS = 4
RETRY_AFTER_SECONDS = 1
_PREFERENCE = re.compile(r'([\w.\-]+)\s*(?:=\s*(?:"([^"]*)"|([^",;\s]+)))?')
_JSON = "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8"


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, a body (``None`` for none) and headers."""

    status: int
    body: Any = None
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Call:
    """One authenticated request; ``body`` is the parsed JSON or ``None``."""

    request: Request
    email: str
    body: Any
    preferences: dict[str, str]

    @property
    def wishes(self) -> Wishes:
        """:raises GraphError: 400 for a zone that does not exist."""
        zone = self.preferences.get("outlook.timezone", "UTC")
        zone_named(zone)
        return Wishes(
            zone,
            immutable=self.preferences.get("idtype", "").lower() == "immutableid",
            text_body=self.preferences.get("outlook.body-content-type", "").lower() == "text",
        )

    @property
    def token(self) -> str:
        """The access token that it came with."""
        return self.request.headers.get("authorization", "").partition(" ")[2]

    @property
    def query(self) -> list[tuple[str, str]]:
        return parse_qsl(self.request.url.query, keep_blank_values=True)

    @property
    def if_match(self) -> str | None:
        return self.request.headers.get("if-match")

    def options(self, known: frozenset[str], *allowed: str) -> Options:
        return Options.of(self.query, known, allowed)

    def page_size(self, options: Options) -> int:
        """``$top``, or else the preferred page size."""
        preferred = self.preferences.get("odata.maxpagesize", "")
        size = (
            int(preferred) if preferred.isdigit() and preferred.isascii() and int(preferred) else DEFAULT_PAGE
        )
        return options.number("top", min(size, LARGEST_PAGE))

    def window(self) -> tuple[int, int]:
        """``startDateTime`` and ``endDateTime``, which must both be there.

        :raises GraphError: 400.
        """
        given = {name.lower(): value for name, value in self.query}
        bounds = []
        for name in ("startDateTime", "endDateTime"):
            if not given.get(name.lower()):
                raise bad_request(
                    "This request requires a time window specified by the query string parameters StartDateTime and "
                    "EndDateTime.",
                    "ErrorInvalidParameter",
                )
            bounds.append(query_instant(given[name.lower()], name))
        start, end = bounds
        if end < start:
            raise bad_request("The end of the time window is before its start.", "ErrorInvalidParameter")
        if end - start > 1825 * 86_400:
            raise bad_request(
                "Your request can't be completed. The range between the start and end dates is greater than the "
                "allowed range. Maximum number of days: 1825",
                "ErrorInvalidParameter",
            )
        return start, end

    def link(self, **changes: str) -> str:
        """This call's address with other query parameters."""
        given = {name: value for name, value in self.query if name.lower() not in changes}
        return f"{self.place}?{urlencode(given | changes, safe='$')}"

    @property
    def place(self) -> str:
        """This call's address without its query."""
        return str(self.request.url.replace(query=""))


class Gate:
    """Lets ``PARALLEL_CALLS`` calls of a mailbox in at once; ``latency`` (seconds) makes each last longer."""

    def __init__(self) -> None:
        self.latency = 0.0
        self._inside: Counter[str] = Counter()

    @contextmanager
    def entered(self, email: str) -> Iterator[None]:
        """:raises GraphError: 429 where too many are inside."""
        if self._inside[email] >= PARALLEL_CALLS:
            raise GraphError(
                429,
                "ApplicationThrottled",
                "Application is over its MailboxConcurrency limit.",
                headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
            )
        self._inside[email] += 1
        try:
            yield
        finally:
            self._inside[email] -= 1


Handler = Callable[[Call], Any]
"""Answers an :class:`Answer`, a body for status 200, or ``None`` for 204; plain or awaitable. May raise GraphError."""


def endpoint(
    handler: Handler, scopes: frozenset[str], grants: Grants, gate: Gate
) -> Callable[[Request], Any]:
    """``handler`` as an ASGI endpoint, for callers whose token has one of ``scopes``."""

    async def answered(request: Request) -> Response:
        try:
            email = _authenticated(request, scopes, grants)
            with gate.entered(email):
                if gate.latency:
                    await asyncio.sleep(gate.latency)
                call = Call(request, email, await _parsed(request), _preferences(request))
                found = handler(call)
                if inspect.isawaitable(found):
                    found = await found
            return _response(call, found)
        except GraphError as error:
            return error_response(request, error, grants.store)

    return answered


def error_response(request: Request, error: GraphError, store: Store) -> Response:
    """Graph's error body, with the ids under which support would find the request."""
    named = str(uuid.uuid4())
    inner = {
        "date": f"{store.now():%Y-%m-%dT%H:%M:%S}",
        "request-id": named,
        "client-request-id": request.headers.get("client-request-id", named),
    }
    body = {"error": {"code": error.code, "message": str(error), "innerError": inner}}
    headers = {"request-id": named, **error.headers}
    return Response(orjson.dumps(body), error.status, headers, media_type="application/json")


def _authenticated(request: Request, scopes: frozenset[str], grants: Grants) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if not token or scheme.lower() != "bearer":
        raise _unauthenticated("Access token is empty.")
    grant = grants.find("access", token)
    if grant is None:
        raise _unauthenticated("Lifetime validation failed, the token is expired.")
    if not scopes & set(grant.scopes):
        raise denied()
    return grant.account


def _unauthenticated(message: str) -> GraphError:
    challenge = (
        'Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize", '
        'client_id="00000003-0000-0000-c000-000000000000"'
    )
    return GraphError(401, "InvalidAuthenticationToken", message, headers={"WWW-Authenticate": challenge})


async def _parsed(request: Request) -> Any:
    raw = await request.body()
    if request.method not in ("POST", "PATCH", "PUT") or not raw:
        return None
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise bad_request(
            "Write requests must contain the Content-Type header declaration of application/json."
        )
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise bad_request("Unable to read JSON request payload.") from error


def _preferences(request: Request) -> dict[str, str]:
    """RFC 7240; names in lower case."""
    text = ", ".join(request.headers.getlist("prefer"))
    return {name.lower(): quoted or bare for name, quoted, bare in _PREFERENCE.findall(text)}


def _response(call: Call, found: Any) -> Response:
    answer = found if isinstance(found, Answer) else Answer(204 if found is None else 200, found)
    named = str(uuid.uuid4())
    headers = {"request-id": named, "Cache-Control": "private", **dict(answer.headers)}
    headers["client-request-id"] = call.request.headers.get("client-request-id", named)
    applied = [
        name if not value else f'{name}="{value}"'
        for name, value in call.preferences.items()
        if name in ("outlook.timezone", "outlook.body-content-type", "idtype", "odata.maxpagesize")
    ]
    if applied:
        headers["Preference-Applied"] = ", ".join(applied)
    if answer.body is None:
        return Response(status_code=answer.status, headers=headers)
    return Response(orjson.dumps(answer.body), answer.status, headers | {"Content-Type": _JSON})
