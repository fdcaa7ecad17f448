"""API v2 of the stand-in: the endpoints that Almanac uses, with Calendly's shapes, pages, scopes and refusals.

Source: https://developer.calendly.com/api-docs. A page token is opaque, belongs to one query, and points behind the
last item given, so that items that come and go between two pages shift nothing.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import orjson
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from calendar_app.sandbox.calendly.bookings import API, Account, Bookings, milliseconds, uuid_of
from calendar_app.sandbox.calendly.error import CalendlyError, denied, invalid, not_found, unauthenticated
from calendar_app.sandbox.calendly.scopes import opens
from calendar_app.sandbox.calendly.webhooks import Webhooks
from calendar_app.sandbox.grants import Grants, bearer_token

Json = dict[str, Any]

BUSY_DAYS = 7
_NO_EVENT = "You are not allowed to view this event"
_NO_RESOURCE = "You do not have permission to access this resource."
_NOT_YOURS = "This user is not in your organization"


@dataclass(frozen=True, slots=True)
class Call:
    """One authenticated request; ``body`` is the parsed JSON object, empty for none."""

    request: Request
    account: Account
    body: Json

    def text(self, name: str) -> str:
        return self.request.query_params.get(name, "")

    def one_of(self, name: str, *allowed: str) -> str:
        value = self.text(name)
        if value and value not in allowed:
            raise invalid(f"must be one of: {', '.join(allowed)}", name)
        return value

    def needed(self, name: str) -> str:
        value = self.text(name)
        if not value:
            raise invalid("is missing", name)
        return value

    def moment(self, name: str) -> int | None:
        """Milliseconds of a time such as ``2020-01-02T03:04:05.678123Z``."""
        value = self.text(name)
        if not value:
            return None
        try:
            moment = datetime.fromisoformat(value)
        except ValueError as error:
            raise invalid("must be a valid date-time", name) from error
        return milliseconds(moment if moment.tzinfo else moment.replace(tzinfo=UTC))

    @property
    def uuid(self) -> str:
        return str(self.request.path_params["uuid"])


Handler = Callable[[Call], Any]


class Api:
    """The handlers."""

    def __init__(self, bookings: Bookings, grants: Grants, webhooks: Webhooks) -> None:
        self.bookings, self.grants, self.webhooks = bookings, grants, webhooks

    def routes(self) -> list[Route]:
        event = "/scheduled_events/{uuid}"
        table: list[tuple[str, str, str, Handler]] = [
            ("GET", "/users/me", "users:read", lambda call: _one(call.account.body)),
            ("GET", "/users/{uuid}", "users:read", self._user),
            ("GET", "/organization_memberships", "organizations:read", self._memberships),
            ("GET", "/event_types", "event_types:read", self._event_types),
            ("GET", "/scheduled_events", "scheduled_events:read", self._events),
            ("GET", event, "scheduled_events:read", lambda call: _one(self._event(call))),
            ("GET", f"{event}/invitees", "scheduled_events:read", self._invitees),
            ("POST", f"{event}/cancellation", "scheduled_events:write", self._cancel),
            ("GET", "/user_busy_times", "availability:read", self._busy_times),
            ("GET", "/user_availability_schedules", "availability:read", self._schedules),
            ("GET", "/webhook_subscriptions", "webhooks:read", self._subscriptions),
            ("POST", "/webhook_subscriptions", "webhooks:write", self._subscribe),
            (
                "GET",
                "/webhook_subscriptions/{uuid}",
                "webhooks:read",
                lambda call: _one(self.webhooks.get(call.account, call.uuid)),
            ),
            ("DELETE", "/webhook_subscriptions/{uuid}", "webhooks:write", self._unsubscribe),
        ]
        routes = [
            Route(path, self._endpoint(scope, handler), methods=[method])
            for method, path, scope, handler in table
        ]
        return [*routes, Route("/{rest:path}", _unknown, methods=["GET", "POST", "PUT", "PATCH", "DELETE"])]

    def _endpoint(self, scope: str, handler: Handler) -> Callable[[Request], Any]:
        async def answered(request: Request) -> Response:
            raw = await request.body()
            try:
                return _answer(handler(Call(request, self._authenticated(request, scope), _parsed(raw))))
            except CalendlyError as error:
                return error.response()

        return answered

    def _authenticated(self, request: Request, scope: str) -> Account:
        grant = self.grants.find("access", bearer_token(request.headers))
        account = self.bookings.by_email(grant.account) if grant else None
        if grant is None or account is None:
            raise unauthenticated()
        if not opens(grant.scopes, scope):
            raise denied(_NO_EVENT if "{uuid}" in scope else _NO_RESOURCE)
        return account

    def _user(self, call: Call) -> Json:
        found = self.bookings.account(call.uuid)
        if found is None:
            raise not_found()
        if found.organization != call.account.organization:
            raise denied(_NO_RESOURCE)
        return _one(found.body)

    def _memberships(self, call: Call) -> Json:
        organization, user = call.text("organization"), call.text("user")
        if organization not in ("", call.account.organization) or user not in ("", call.account.uri):
            raise denied()
        body = call.account.body
        person = {name: value for name, value in body.items() if name != "current_organization"}
        membership = {
            "uri": f"{API}/organization_memberships/{call.account.uuid}",
            "role": call.account.role,
            "user": person,
            "organization": call.account.organization,
            "updated_at": body["updated_at"],
            "created_at": body["created_at"],
        }
        return _page(call, [membership])

    def _event_types(self, call: Call) -> Json:
        self._only_own(call, call.text("user"), call.text("organization"))
        active = call.one_of("active", "true", "false")
        found = self.bookings.event_types(call.account.uuid)
        return _page(call, [one for one in found if active in ("", str(one["active"]).lower())])

    def _events(self, call: Call) -> Json:
        user, organization = call.text("user"), call.text("organization")
        self._only_own(call, user, organization)
        accounts = [call.account.uuid]
        if not user:
            accounts = [one.uuid for one in self.bookings.accounts() if one.organization == organization]
        status, email = call.one_of("status", "active", "canceled"), call.text("invitee_email").lower()
        found = self.bookings.listed(accounts, call.moment("min_start_time"), call.moment("max_start_time"))
        kept = [one for one in found if status in ("", one["status"])]
        if email:
            kept = [one for one in kept if email in self._emails(one)]
        if call.one_of("sort", "start_time:asc", "start_time:desc") == "start_time:desc":
            kept.reverse()
        return _page(call, kept)

    def _emails(self, event: Json) -> set[str]:
        return {person["email"].lower() for person in self.bookings.invitees(uuid_of(event["uri"]))}

    def _only_own(self, call: Call, user: str, organization: str) -> None:
        """:raises CalendlyError: 400 for neither, 403 for somebody else's."""
        if not user and not organization:
            raise invalid("user or organization is missing")
        if organization and organization != call.account.organization:
            raise denied(_NO_RESOURCE)
        if organization and not user and call.account.role not in ("admin", "owner"):
            raise denied("You do not have permission")
        if user and user != call.account.uri:
            raise denied(_NOT_YOURS)

    def _event(self, call: Call) -> Json:
        owner, body = self.bookings.event(call.uuid)
        if owner != call.account.uuid:
            raise denied(_NO_EVENT)
        return body

    def _invitees(self, call: Call) -> Json:
        self._event(call)
        status, email = call.one_of("status", "active", "canceled"), call.text("email").lower()
        found = self.bookings.invitees(call.uuid)
        kept = [one for one in found if status in ("", one["status"]) and email in ("", one["email"].lower())]
        if call.one_of("sort", "created_at:asc", "created_at:desc") == "created_at:desc":
            kept.reverse()
        return _page(call, kept)

    def _cancel(self, call: Call) -> Response:
        self._event(call)
        reason = call.body.get("reason") or ""
        if not isinstance(reason, str) or len(reason) > 10_000:
            raise invalid("must be a text of at most 10000 characters", "reason")
        made = self.bookings.cancel(call.uuid, by=call.account.name, reason=reason)
        return JSONResponse(_one(made), 201)

    def _busy_times(self, call: Call) -> Json:
        if call.needed("user") != call.account.uri:
            raise denied(_NOT_YOURS)
        call.needed("start_time"), call.needed("end_time")
        start, end = call.moment("start_time") or 0, call.moment("end_time") or 0
        if start < self.bookings.store.now_ms():
            raise invalid("cannot be in the past", "start_time")
        if not 0 < end - start <= timedelta(days=BUSY_DAYS).total_seconds() * 1000:
            raise invalid(f"date range can be no greater than {BUSY_DAYS} days", "end_time")
        found = [
            {
                "type": "calendly",
                "start_time": one["start_time"],
                "end_time": one["end_time"],
                "buffered_start_time": one["start_time"],
                "buffered_end_time": one["end_time"],
                "event": {"uri": one["uri"]},
            }
            for one in self.bookings.busy(call.account.uuid, start, end)
        ]
        return {"collection": found}

    def _schedules(self, call: Call) -> Json:
        if call.text("user") not in ("", call.account.uri):
            raise denied(_NOT_YOURS)
        week = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
        working = [{"from": "09:00", "to": "17:00"}]
        rules = [
            {"type": "wday", "wday": day, "intervals": working if 0 < number < 6 else []}
            for number, day in enumerate(week)
        ]
        schedule = {
            "uri": f"{API}/user_availability_schedules/{call.account.uuid}",
            "default": True,
            "name": "Working hours",
            "user": call.account.uri,
            "timezone": call.account.body["timezone"],
            "rules": rules,
        }
        return {"collection": [schedule]}

    def _subscriptions(self, call: Call) -> Json:
        organization, scope = call.needed("organization"), call.needed("scope")
        return _page(call, self.webhooks.listed(call.account, organization, scope, call.text("user")))

    def _subscribe(self, call: Call) -> Response:
        return JSONResponse(_one(self.webhooks.create(call.account, call.body)), 201)

    def _unsubscribe(self, call: Call) -> None:
        self.webhooks.delete(call.account, call.uuid)


async def _unknown(_request: Request) -> Response:
    return not_found().response()


def _one(resource: Json) -> Json:
    return {"resource": resource}


def _answer(payload: Any) -> Response:
    if isinstance(payload, Response):
        return payload
    return Response(status_code=204) if payload is None else JSONResponse(payload)


def _parsed(raw: bytes) -> Json:
    if not raw:
        return {}
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise invalid("the body is not JSON") from error
    if not isinstance(body, dict):
        raise invalid("the body is not an object")
    return body


def _page(call: Call, items: list[Json]) -> Json:
    """``collection`` and ``pagination``: ``count`` items (20, at most 100) behind ``page_token``."""
    size = call.text("count") or "20"
    if not size.isascii() or not size.isdigit() or not 1 <= int(size) <= 100:
        raise invalid("must be between 1 and 100", "count")
    count, token = int(size), call.text("page_token")
    filters = sorted(
        (name, value) for name, value in call.request.query_params.multi_items() if name != "page_token"
    )
    query = hashlib.sha256(repr((call.request.url.path, filters)).encode()).hexdigest()[:16]
    start = _start(items, token, query, count) if token else 0
    page = items[start : start + count]
    behind = _token(query, "after", page[-1]) if page and start + count < len(items) else None
    ahead = _token(query, "before", page[0]) if page and start else None
    base = f"{API}{call.request.url.path.partition('/api')[2]}"
    links = [
        f"{base}?{urlencode([*filters, ('page_token', one)])}" if one else None for one in (behind, ahead)
    ]
    pagination = {
        "count": len(page),
        "next_page": links[0],
        "previous_page": links[1],
        "next_page_token": behind,
        "previous_page_token": ahead,
    }
    return {"collection": page, "pagination": pagination}


def _token(query: str, side: str, item: Json) -> str:
    place = [query, side, item.get("start_time") or "", item["uri"]]
    return base64.urlsafe_b64encode(orjson.dumps(place)).decode().rstrip("=")


def _start(items: list[Json], token: str, query: str, count: int) -> int:
    """:raises CalendlyError: 400 for a token of another query."""
    try:
        made_for, side, moment, uri = orjson.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    except (ValueError, TypeError, binascii.Error) as error:
        raise invalid("is invalid", "page_token") from error
    if made_for != query:
        raise invalid("is invalid", "page_token")
    uris = [item["uri"] for item in items]
    if uri in uris:
        at = uris.index(uri)
    else:  # it has gone meanwhile: where it would stand
        at = sum((item.get("start_time") or "", item["uri"]) < (moment, uri) for item in items) - 1
    return at + 1 if side == "after" else max(0, at - count)
