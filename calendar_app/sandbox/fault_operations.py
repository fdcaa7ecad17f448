"""Names for what a request asks of a provider, so that one fault switch means the same at every stand-in.

``list`` is a listing of events, ``freebusy`` a question for busy times, ``watch`` opens a push channel, ``token`` asks
the token endpoint.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from starlette.requests import Request
from starlette.types import Scope

_API = re.compile(r"^/sandbox/(?P<provider>google|microsoft|calendly|caldav)(?P<path>/.*)$")

_OPERATIONS: dict[str, tuple[tuple[str, str, str], ...]] = {
    "google": (
        ("token", "POST", r"^/token$"),
        ("revoke", "POST", r"^/revoke$"),
        ("profile", "GET|POST", r"^/userinfo$"),
        ("watch", "POST", r"/watch$"),
        ("stop", "POST", r"/channels/stop$"),
        ("calendars", "GET", r"/calendarList(/[^/]+)?$"),
        ("freebusy", "POST", r"/freeBusy$"),
        ("list", "GET", r"/events$"),
        ("create", "POST", r"/events(/import)?$"),
        ("get", "GET", r"/events/[^/]+$"),
        ("update", "PATCH|PUT", r"/events/[^/]+$"),
        ("delete", "DELETE", r"/events/[^/]+$"),
    ),
    "microsoft": (
        ("token", "POST", r"/oauth2/v2\.0/token$"),
        ("profile", "GET", r"/me$"),
        ("watch", "POST", r"/subscriptions$"),
        ("renew", "PATCH", r"/subscriptions/[^/]+$"),
        ("stop", "DELETE", r"/subscriptions/[^/]+$"),
        ("calendars", "GET", r"/calendars(/[^/]+)?$"),
        ("freebusy", "POST", r"/getSchedule$"),
        ("list", "GET", r"/(calendarView|events)(/delta(\(\))?)?$"),
        ("create", "POST", r"/events$"),
        ("get", "GET", r"/events/[^/]+$"),
        ("update", "PATCH", r"/events/[^/]+$"),
        ("delete", "DELETE", r"/events/[^/]+$"),
    ),
    "calendly": (
        ("token", "POST", r"/oauth/token$"),
        ("revoke", "POST", r"/oauth/revoke$"),
        ("profile", "GET", r"/users/[^/]+$"),
        ("watch", "POST", r"/webhook_subscriptions$"),
        ("stop", "DELETE", r"/webhook_subscriptions/[^/]+$"),
        ("freebusy", "GET", r"/user_busy_times$"),
        ("list", "GET", r"/scheduled_events$"),
        ("get", "GET", r"/scheduled_events/[^/]+(/invitees)?$"),
    ),
    "caldav": (
        ("profile", "OPTIONS", r""),
        ("calendars", "PROPFIND", r""),
        ("list", "REPORT", r""),
        ("get", "GET|HEAD", r""),
        ("update", "PUT", r""),
        ("delete", "DELETE", r""),
    ),
}
PROVIDERS = tuple(_OPERATIONS)
_PAGE_TOKEN = re.compile(r"(^|&)(pageToken|%24skiptoken|\$skiptoken|page_token)=", re.IGNORECASE)
_SYNC_TOKEN = re.compile(r"(^|&)(syncToken|%24deltatoken|\$deltatoken)=", re.IGNORECASE)


def operations(provider: str) -> tuple[str, ...]:
    """The names that ``provider``'s requests can have; ``create`` and ``update`` both where a PUT is either."""
    names = dict.fromkeys(name for name, _, _ in _OPERATIONS[provider])
    return (*names, "create") if provider == "caldav" else tuple(names)


@dataclass(frozen=True, slots=True)
class Call:
    """A request to a stand-in; ``path`` is below ``/sandbox/<provider>``, ``operation`` empty where it has no name."""

    provider: str
    operation: str
    method: str
    path: str
    query: str
    continues: bool
    incremental: bool


def call_of(scope: Scope) -> Call | None:
    """What ``scope`` asks of a stand-in; ``None`` where it asks nothing of one."""
    found = _API.match(scope["path"]) if scope["type"] == "http" else None
    if found is None:
        return None
    provider, path, method = found["provider"], found["path"], scope["method"]
    operation = ""
    for name, methods, pattern in _OPERATIONS[provider]:
        if method in methods.split("|") and re.search(pattern, path):
            operation = name
            break
    headers = Request(scope).headers
    if provider == "caldav" and operation == "update" and "if-none-match" in headers:
        operation = "create"
    query = scope["query_string"].decode("latin-1")
    incremental = bool(_SYNC_TOKEN.search(query)) or (provider == "caldav" and operation == "list")
    return Call(provider, operation, method, path, query, bool(_PAGE_TOKEN.search(query)), incremental)
