"""Fault switches of the stand-ins: what a provider may do wrong, brought about on demand.

One middleware stands before every stand-in; a switched-on :class:`Fault` decides by provider, operation, method, path,
account and page which calls it meets, and how often. Operators rehearse with it on ``/sandbox``; tests and
rehearsal scripts use JSON below ``/sandbox/api``:

========  ==================  ==========================================================================================
method    path                what
========  ==================  ==========================================================================================
GET       ``faults``          ``{"items": [fault…], "kinds": {provider: {name: text}},``
                              ``"operations": {provider: [name…]}}``
POST      ``faults``          switches one on, 201 with the fault as it stands
DELETE    ``faults``          switches all off; calls that are held go on
DELETE    ``faults/{id}``     switches one off
========  ==================  ==========================================================================================

A fault, with what each field is when it is left out::

    {"provider": "google",    # google, microsoft, calendly, caldav, ics (must be given)
     "kind": "throttled",     # a name from the provider's "kinds" (must be given)
     "operation": "",         # "" any, else one of the provider's "operations": token, list, create, …
     "method": "",            # "" any, else an HTTP method
     "path": "",              # a part of the path below /sandbox/<provider>
     "account": "",           # "" any, else the account's e-mail address (calls with a token or password only)
     "page": 0,               # 0 any, else only the n-th page of a listing
     "times": 1,              # how many calls it meets; null: until it is switched off
     "probability": 1.0,      # of each such call
     "after": false,          # true: the call takes effect first, then its answer is replaced or withheld
     "retry_after": "",       # "7": seconds, "date:7": HTTP-date, "": no such header
     "seconds": 30.0}         # how long hang, hold, drip and push_late take at most

Answers add ``id``, ``hits`` (calls met) and ``waiting`` (calls held right now). ``gone`` meets listings only where they
present a sync token. A call meets the first fault that fits and has calls left. Faults live in the sandbox's memory: a
restart switches all off. What they do to a call is :mod:`calendar_app.sandbox.fault_middleware`'s matter.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from starlette.datastructures import Headers

from calendar_app.sandbox.fault_answers import retry_header
from calendar_app.sandbox.fault_operations import PROVIDERS, Call, operations

KINDS = {
    "unauthorized": "401: the access token is not taken",
    "revoked": "The grant is revoked: 401, and invalid_grant at the token endpoint",
    "rate_forbidden": "403: rate limit",
    "forbidden": "403: not allowed",
    "not_found": "404: not found",
    "conflict": "409: exists already",
    "gone": "410: deleted, or the sync token is too old",
    "precondition": "412: somebody changed it meanwhile",
    "throttled": "429: too many requests",
    "error": "500: internal error",
    "bad_gateway": "502: bad gateway",
    "unavailable": "503: service unavailable",
    "full": "507: no room",
    "hang": "No answer for a while, then 504",
    "hold": "Hold the call, then go on as if nothing had happened",
    "cut": "The answer breaks off in the middle",
    "malformed": "The answer is complete but not well-formed",
    "drip": "The answer comes byte by byte",
    "push_lost": "Push: never sent",
    "push_duplicate": "Push: sent twice",
    "push_late": "Push: sent late",
    "push_reordered": "Push: sent after the next one",
    "truncated": "A listing is cut short: 207 with half of it, 507 for the calendar, and a token to go on from",
    "weak_etag": "Entity tags are weak, so that If-Match never holds",
}
_ONLY = {
    **dict.fromkeys(
        [kind for kind in KINDS if kind.startswith("push_")], ("google", "microsoft", "calendly")
    ),
    "truncated": ("caldav",),
    "weak_etag": ("caldav", "ics"),
}
_NEVER = {"ics": ("revoked", "rate_forbidden", "conflict", "precondition", "full")}
_WORDS = {
    "caldav": {
        "unauthorized": "401: user name or password is not taken",
        "revoked": "The password was changed: 401",
        "gone": "The sync token is too old: 403 with valid-sync-token; elsewhere 410: deleted",
        "full": "507: no room",
    },
    "ics": {
        "unauthorized": "401: the link is not public",
        "gone": "410: the calendar is gone for good",
        "weak_etag": "The entity tag is weak",
    },
    "google": {"full": "403: quota exceeded"},
}


def kinds(provider: str) -> dict[str, str]:
    """What ``provider`` can do wrong, in its words."""
    return {
        kind: text
        for kind, text in (KINDS | _WORDS.get(provider, {})).items()
        if provider in _ONLY.get(kind, PROVIDERS) and kind not in _NEVER.get(provider, ())
    }


MOST_FAULTS = 200
LONGEST_S = 3_600.0


@dataclass(frozen=True, slots=True)
class Fault:
    """One switch; the fields are those of the JSON in the module's text. :raises ValueError: for unusable values."""

    provider: str
    kind: str
    operation: str = ""
    method: str = ""
    path: str = ""
    account: str = ""
    page: int = 0
    times: int | None = 1
    probability: float = 1.0
    after: bool = False
    retry_after: str = ""
    seconds: float = 30.0

    def __post_init__(self) -> None:
        if self.provider not in PROVIDERS:
            raise ValueError(f"provider must be one of {', '.join(PROVIDERS)}.")
        if self.kind not in kinds(self.provider):
            raise ValueError(f"kind must be one of {', '.join(kinds(self.provider))}.")
        if self.operation and self.operation not in operations(self.provider):
            raise ValueError(f"operation must be one of {', '.join(operations(self.provider))}.")
        if self.times is not None and self.times < 1:
            raise ValueError("times must be at least 1, or null.")
        if not (0 < self.probability <= 1 and 0 <= self.seconds <= LONGEST_S and self.page >= 0):
            raise ValueError("probability must be above 0 and at most 1, seconds 0 to 3600, page 0 or more.")
        retry_header(self.retry_after)

    @property
    def is_push(self) -> bool:
        return self.kind.startswith("push_")

    def meets(self, call: Call, page: int) -> bool:
        """Whether the call is one of those; the account is for the caller to compare."""
        if self.is_push or self.provider != call.provider:
            return False
        if (
            self.kind == "gone"
            and call.operation == "list"
            and not call.incremental
            and self.provider != "ics"
        ):
            return False
        if self.kind == "truncated" and call.operation != "list":
            return False
        return (
            (call.operation == self.operation if self.operation else bool(call.operation or self.path))
            and self.method.upper() in ("", call.method)
            and self.path in call.path
            and self.page in (0, page)
        )


def fault_from(body: Mapping[str, Any]) -> Fault:
    """A fault from JSON. :raises ValueError: for unknown fields and wrong types."""
    known = {item.name: item for item in fields(Fault)}
    if unknown := set(body) - set(known):
        raise ValueError(f"Unknown fields: {', '.join(sorted(unknown))}.")
    if not {"provider", "kind"} <= set(body):
        raise ValueError("provider and kind must be given.")
    wanted: dict[str, tuple[type, ...]] = {
        "page": (int,),
        "times": (int, type(None)),
        "probability": (int, float),
        "after": (bool,),
        "seconds": (int, float),
    }
    for name, value in body.items():
        types = wanted.get(name, (str,))
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            raise ValueError(f"{name} has the wrong type.")
    return Fault(**body)


@dataclass(eq=False, slots=True)
class Switch:
    """A fault that is on. ``over`` is set when it is switched off; ``used`` when it has met all its calls."""

    id: str
    fault: Fault
    hits: int = 0
    waiting: int = 0
    over: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def used(self) -> bool:
        return self.fault.times is not None and self.hits >= self.fault.times

    def json(self) -> dict[str, Any]:
        return {"id": self.id, **asdict(self.fault), "hits": self.hits, "waiting": self.waiting}


AccountOf = Callable[[Headers], str]


class Faults:
    """The switches; used from the server's event loop only."""

    def __init__(self) -> None:
        self._switches: dict[str, Switch] = {}
        self._numbers = itertools.count(1)
        self._pages: dict[tuple[str, str], tuple[int, str]] = {}
        self._overtaken: dict[str, asyncio.Event] = {}
        self._sequence = 0
        self.account_of: dict[str, AccountOf] = {}

    def all(self) -> list[Switch]:
        """Newest last; those that have met all their calls stay to be looked at."""
        return list(self._switches.values())

    def sequence(self) -> int:
        """Grows with every switch and every call that met one."""
        return self._sequence

    def switch_on(self, fault: Fault) -> Switch:
        if len(self._switches) >= MOST_FAULTS:
            spent = next((s for s in self.all() if s.used and not s.waiting), self.all()[0])
            self.switch_off(spent.id)
        self._sequence += 1
        switch = Switch(str(next(self._numbers)), fault)
        self._switches[switch.id] = switch
        return switch

    def switch_off(self, switch_id: str | None = None) -> None:
        """One, or all. :raises KeyError: no such fault."""
        for key in list(self._switches) if switch_id is None else [switch_id]:
            self._switches.pop(key).over.set()
            self._sequence += 1

    def meeting(self, call: Call, headers: Headers) -> Switch | None:
        """The first switch that meets this call, counted."""
        page = self._page(call)
        for switch in self._switches.values():
            fault = switch.fault
            if switch.used or not fault.meets(call, page) or not self._is_of(fault, call, headers):
                continue
            if fault.probability < 1 and random.random() >= fault.probability:
                continue
            switch.hits += 1
            self._sequence += 1
            return switch
        return None

    async def push(self, provider: str, send: Callable[[], Awaitable[int]]) -> int:
        """Send one notification, or do to it what a push fault says; the receiver's status."""
        for switch in self._switches.values():
            fault = switch.fault
            mine = fault.provider == provider and fault.is_push and not switch.used
            if mine and random.random() < fault.probability:
                switch.hits += 1
                self._sequence += 1
                return await self._disturbed(switch, send)
        overtaken = self._overtaken.pop(provider, None)  # one that was held back before this one set out
        status = await send()
        if overtaken:
            overtaken.set()
        return status

    async def _disturbed(self, switch: Switch, send: Callable[[], Awaitable[int]]) -> int:
        provider, seconds = switch.fault.provider, switch.fault.seconds
        match switch.fault.kind:
            case "push_lost":
                return 200
            case "push_duplicate":
                await send()
            case "push_late":
                await waited(switch, seconds)
            case _:
                overtaken = self._overtaken.setdefault(provider, asyncio.Event())
                try:
                    await asyncio.wait_for(overtaken.wait(), seconds)
                except TimeoutError:
                    """Nothing came to overtake it."""
        return await send()

    def _page(self, call: Call) -> int:
        if call.operation not in ("list", "multiget"):
            return 0
        key = (call.provider, call.path)
        page, query = self._pages.get(key, (0, ""))
        if not call.continues:
            page = 1
        elif query != call.query:  # the same query again is another try of the same page
            page += 1
        self._pages[key] = page, call.query
        return page

    def _is_of(self, fault: Fault, call: Call, headers: Headers) -> bool:
        if not fault.account:
            return True
        find = self.account_of.get(call.provider)
        return find is not None and find(headers).lower() == fault.account.lower()


async def waited(switch: Switch, seconds: float) -> None:
    """Until the switch is turned off, at most ``seconds``."""
    switch.waiting += 1
    try:
        await asyncio.wait_for(switch.over.wait(), seconds)
    except TimeoutError:
        """Long enough."""
    finally:
        switch.waiting -= 1
