"""Names for what a request asks of a provider, so that one fault switch means the same at every stand-in.

``list`` is a listing of events, ``freebusy`` a question for busy times, ``watch`` opens a push channel, ``token`` asks
the token endpoint. CalDAV's ``list`` is the REPORT ``sync-collection`` (RFC 6578), beside which ``multiget`` and
``query`` are those of RFC 4791; which one it is stands in the request's body.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256

from starlette.datastructures import Headers
from starlette.types import Scope

_API = re.compile(r"^/sandbox/(?P<provider>google|microsoft|calendly|caldav|ics)(?P<path>/.*)$")

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
        ("options", "OPTIONS", r""),
        ("propfind", "PROPFIND", r""),
        ("get", "GET|HEAD", r""),
        ("create", "PUT", r""),
        ("update", "PUT", r""),
        ("delete", "DELETE", r""),
    ),
    "ics": (("list", "GET|HEAD", r"\.ics$"),),
}
_REPORTS = {
    b"sync-collection": "list",
    b"calendar-multiget": "multiget",
    b"calendar-query": "query",
    b"free-busy-query": "freebusy",
}
PROVIDERS = tuple(_OPERATIONS)
PARTIAL = "urn:almanac-sandbox:partial:"
"""How the sync token begins that continues a truncated answer (RFC 6578 §3.6)."""
_PAGE_TOKEN = re.compile(r"(^|&)(pageToken|%24skiptoken|\$skiptoken|page_token)=", re.IGNORECASE)
_SYNC_TOKEN = re.compile(r"(^|&)(syncToken|%24deltatoken|\$deltatoken)=", re.IGNORECASE)
_REPORT = re.compile(rb"<(?:[\w.-]+:)?(" + b"|".join(_REPORTS) + rb")[\s/>]")
_TOKEN = re.compile(rb"<(?:[\w.-]+:)?sync-token>\s*([^<\s]+)")


def operations(provider: str) -> tuple[str, ...]:
    """The names that ``provider``'s requests can have."""
    names = dict.fromkeys(name for name, _, _ in _OPERATIONS[provider])
    return (*_REPORTS.values(), *names) if provider == "caldav" else tuple(names)


@dataclass(frozen=True, slots=True)
class Call:
    """A request to a stand-in; ``path`` is below ``/sandbox/<provider>``, ``operation`` empty where it has no name.

    ``incremental``: it presents a sync token; ``continues``: it asks for a further page of a listing;
    ``query`` tells another try of a page from the next page.
    """

    provider: str
    operation: str
    method: str
    path: str
    query: str
    continues: bool
    incremental: bool


def says_more(scope: Scope) -> bool:
    """Whether it takes a request's body to know what the request asks."""
    return bool(scope["type"] == "http" and scope["method"] == "REPORT")


def call_of(scope: Scope, body: bytes = b"") -> Call | None:
    """What ``scope`` asks of a stand-in; ``None`` where it asks nothing of one. ``body``: see :func:`says_more`."""
    found = _API.match(scope["path"]) if scope["type"] == "http" else None
    if found is None:
        return None
    provider, path, method = found["provider"], found["path"], scope["method"]
    if provider == "caldav" and method == "REPORT":
        return _report(path, body)
    operation = next(
        (
            name
            for name, methods, pattern in _OPERATIONS[provider]
            if method in methods.split("|") and re.search(pattern, path)
        ),
        "",
    )
    if provider == "caldav" and method == "PUT":
        operation = "create" if "if-none-match" in Headers(scope=scope) else "update"
    query = scope["query_string"].decode("latin-1")
    incremental = bool(_SYNC_TOKEN.search(query))
    return Call(provider, operation, method, path, query, bool(_PAGE_TOKEN.search(query)), incremental)


def presented_token(body: bytes) -> str:
    """The sync token in the body of a ``sync-collection``; empty for none."""
    found = _TOKEN.search(body)
    return found[1].decode("latin-1") if found else ""


def _report(path: str, body: bytes) -> Call:
    """A listing's first page is a ``sync-collection``, each ``multiget`` after it is another."""
    found = _REPORT.search(body)
    operation = _REPORTS[found[1]] if found else ""
    token = presented_token(body) if operation == "list" else ""
    continues = operation == "multiget" or token.startswith(PARTIAL)
    page = (
        token or sha256(body).hexdigest()
    )  # the same part may be asked for with and without the events themselves
    return Call("caldav", operation, "REPORT", path, page, continues, bool(token))
