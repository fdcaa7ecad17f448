"""What every Calendar API handler needs around it: the call with its parameters, authentication, and the answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from calendar_app.sandbox.google import partial
from calendar_app.sandbox.google.calendars import CalendarRow, Calendars
from calendar_app.sandbox.google.error import GoogleError, invalid
from calendar_app.sandbox.google.freebusy import instant
from calendar_app.sandbox.google.scopes import BY_METHOD
from calendar_app.sandbox.grants import Grants

Json = dict[str, Any]

_REALM = 'Bearer realm="https://accounts.google.com/"'


@dataclass(frozen=True, slots=True)
class Call:
    """One authenticated request; ``body`` is the parsed JSON or ``None``."""

    calendars: Calendars
    request: Request
    account: str
    body: Any

    def text(self, name: str) -> str:
        return self.request.query_params.get(name, "")

    def flag(self, name: str) -> bool:
        value = self.text(name)
        if value not in ("", "true", "false"):
            raise invalid(f"Invalid boolean value: '{value}'.", name)
        return value == "true"

    def number(self, name: str, default: int) -> int:
        value = self.text(name) or str(default)
        if (
            not value.isascii()
            or not value.isdigit()
            or not (1 <= int(value) <= 2**31 - 1 or value == str(default))
        ):
            raise invalid(f"Invalid value '{value}'. Values must be within the range: [1, 2147483647]", name)
        return int(value)

    def instant(self, name: str) -> int | None:
        value = self.text(name)
        return instant(value, name) if value else None

    def one_of(self, name: str, *allowed: str) -> str:
        value = self.text(name)
        if value and value not in allowed:
            raise invalid(f"Invalid string value: '{value}'. Allowed values: {list(allowed)}", name)
        return value

    def pairs(self, name: str) -> tuple[tuple[str, str], ...]:
        values = self.request.query_params.getlist(name)
        if not all("=" in value for value in values):
            raise invalid("Invalid extended property constraint.", name)
        return tuple((value.partition("=")[0], value.partition("=")[2]) for value in values)

    def calendar(self) -> CalendarRow:
        return self.calendars.get(self.account, self.request.path_params["calendarId"])

    @property
    def event_id(self) -> str:
        return str(self.request.path_params["eventId"])

    @property
    def if_match(self) -> str | None:
        return self.request.headers.get("if-match")

    def watched_uri(self) -> str:
        return str(self.request.url.replace(query="")).removesuffix("/watch") + "?alt=json"

    def fields(self) -> Json:
        """The body as a JSON object."""
        if not isinstance(self.body, dict):
            raise GoogleError(400, "parseError", "Parse Error")
        return self.body


Handler = Callable[[Call], Any]


def endpoint(method: str, handler: Handler, calendars: Calendars, grants: Grants) -> Callable[[Request], Any]:
    """``handler`` as an ASGI endpoint, for callers whose token has a scope for ``method``."""

    async def answered(request: Request) -> Response:
        raw = await request.body()
        try:
            account = _authenticated(request, method, grants)
            body = _parsed(raw) if request.method in ("POST", "PUT", "PATCH") and raw else None
            return _answer(request, handler(Call(calendars, request, account, body)))
        except GoogleError as error:
            return error.response()

    return answered


def _authenticated(request: Request, method: str, grants: Grants) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if not token:
        raise _unauthenticated("required", "Login Required.", _REALM)
    grant = grants.find("access", token) if scheme.lower() == "bearer" else None
    if grant is None:
        raise _unauthenticated("authError", "Invalid Credentials", f'{_REALM}, error="invalid_token"')
    if not BY_METHOD[method] & set(grant.scopes):
        raise _scope_missing(method)
    return grant.account


def _parsed(raw: bytes) -> Any:
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise GoogleError(400, "parseError", "Parse Error") from error


def _answer(request: Request, payload: Any) -> Response:
    if payload is None:
        return Response(status_code=204)
    etag = payload.get("etag")
    headers = {"ETag": etag} if etag else {}
    headers |= {"Cache-Control": "private, max-age=0, must-revalidate", "Vary": "Origin, X-Origin"}
    if (
        etag
        and request.method == "GET"
        and etag in request.headers.get("if-none-match", "").replace(" ", "").split(",")
    ):
        return Response(status_code=304, headers=headers)
    content = orjson.dumps(payload)
    if fields := request.query_params.get("fields"):
        content = orjson.dumps(partial.select(orjson.loads(content), partial.parse(fields)))
    return Response(content, media_type="application/json; charset=UTF-8", headers=headers)


def _unauthenticated(reason: str, message: str, challenge: str) -> GoogleError:
    return GoogleError(
        401,
        reason,
        message,
        location="Authorization",
        location_type="header",
        headers={"WWW-Authenticate": challenge},
        extra={"status": "UNAUTHENTICATED"},
    )


def _scope_missing(method: str) -> GoogleError:
    info = {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": "ACCESS_TOKEN_SCOPE_INSUFFICIENT",
        "domain": "googleapis.com",
        "metadata": {"service": "calendar-json.googleapis.com", "method": method},
    }
    wanted = " ".join(sorted(BY_METHOD[method]))
    return GoogleError(
        403,
        "insufficientPermissions",
        "Request had insufficient authentication scopes.",
        headers={"WWW-Authenticate": f'{_REALM}, error="insufficient_scope", scope="{wanted}"'},
        extra={"status": "PERMISSION_DENIED", "details": [info]},
    )
