"""Fault switches of the stand-ins: what a provider may do wrong, brought about on demand.

One middleware stands before every stand-in; a switched-on :class:`Fault` decides by provider, operation, method, path,
account and page which calls it meets, and how often. Operators rehearse with it on ``/sandbox/faults``; tests and
rehearsal scripts use JSON below ``/sandbox/api``:

========  ==================  ==========================================================================================
method    path                what
========  ==================  ==========================================================================================
GET       ``faults``          ``{"items": [fault…], "kinds": {name: text}, "operations": {provider: [name…]}}``
POST      ``faults``          switches one on, 201 with the fault as it stands
DELETE    ``faults``          switches all off; calls that are held go on
DELETE    ``faults/{id}``     switches one off
========  ==================  ==========================================================================================

A fault, with what each field is when it is left out::

    {"provider": "google",    # google, microsoft, calendly, caldav (must be given)
     "kind": "throttled",     # a name from "kinds" (must be given)
     "operation": "",         # "" any, else one of the provider's "operations": token, list, create, …
     "method": "",            # "" any, else an HTTP method
     "path": "",              # a part of the path below /sandbox/<provider>
     "account": "",           # "" any, else the account's e-mail address (calls with a token only)
     "page": 0,               # 0 any, else only the n-th page of a listing
     "times": 1,              # how many calls it meets; null: until it is switched off
     "probability": 1.0,      # of each such call
     "after": false,          # true: the call takes effect first, then its answer is replaced or withheld
     "retry_after": "",       # "7": seconds, "date:7": HTTP-date, "": no such header
     "seconds": 30.0}         # how long hang, hold, drip and push_late take at most

Answers add ``id``, ``hits`` (calls met) and ``waiting`` (calls held right now). ``gone`` meets listings only where they
present a sync token. Faults live in the sandbox's memory: a restart switches all off.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from calendar_app.sandbox.fault_answers import error_answer, retry_header
from calendar_app.sandbox.fault_operations import PROVIDERS, Call, call_of, operations

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
    "full": "507: no room (Google: 403 quota)",
    "hang": "No answer for a while, then 504",
    "hold": "Hold the call, then go on as if nothing had happened",
    "cut": "The answer breaks off in the middle",
    "malformed": "The answer is complete but not well-formed",
    "drip": "The answer comes byte by byte",
    "push_lost": "Push: never sent",
    "push_duplicate": "Push: sent twice",
    "push_late": "Push: sent late",
    "push_reordered": "Push: sent after the next one",
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
        if self.kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}.")
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
        if self.kind == "gone" and call.operation == "list" and not call.incremental:
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
        self.account_of: dict[str, AccountOf] = {}

    def all(self) -> list[Switch]:
        """Newest last; those that have met all their calls stay to be looked at."""
        return list(self._switches.values())

    def switch_on(self, fault: Fault) -> Switch:
        if len(self._switches) >= MOST_FAULTS:
            spent = next((s for s in self.all() if s.used and not s.waiting), self.all()[0])
            self.switch_off(spent.id)
        switch = Switch(str(next(self._numbers)), fault)
        self._switches[switch.id] = switch
        return switch

    def switch_off(self, switch_id: str | None = None) -> None:
        """One, or all. :raises KeyError: no such fault."""
        for key in list(self._switches) if switch_id is None else [switch_id]:
            self._switches.pop(key).over.set()

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
            return switch
        return None

    async def push(self, provider: str, send: Callable[[], Awaitable[int]]) -> int:
        """Send one notification, or do to it what a push fault says; the receiver's status."""
        for switch in self._switches.values():
            fault = switch.fault
            mine = fault.provider == provider and fault.is_push and not switch.used
            if mine and random.random() < fault.probability:
                switch.hits += 1
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
        if call.operation != "list":
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


class FaultMiddleware:
    """Answers in a stand-in's place, or spoils its answer, where a switch says so."""

    def __init__(self, app: ASGIApp, faults: Faults) -> None:
        self.app, self.faults = app, faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        call = call_of(scope)
        switch = self.faults.meeting(call, Headers(scope=scope)) if call else None
        if call is None or switch is None:
            await self.app(scope, receive, send)
            return
        fault = switch.fault
        if fault.kind in ("cut", "malformed", "drip"):
            await _spoil(fault, await self._carried_out(scope, receive), send)
            return
        if fault.kind == "hold":
            receive = await _in_full(receive)  # the caller may be gone when its call goes on
            held = await self._carried_out(scope, receive) if fault.after else None
            await waited(switch, fault.seconds)
            if held is None:
                held = await self._carried_out(scope, receive)
            for message in held:
                await send(message)
            return
        if fault.after:
            await self._carried_out(scope, receive)
        if fault.kind == "hang":
            await waited(switch, fault.seconds)
        answer = error_answer(call.provider, fault.kind, call.operation, retry_after=fault.retry_after)
        await answer(scope, receive, send)

    async def _carried_out(self, scope: Scope, receive: Receive) -> list[Message]:
        """Let the stand-in do its work; what it would have answered."""
        messages: list[Message] = []

        async def keep(message: Message) -> None:
            messages.append(message)

        await self.app(scope, receive, keep)
        return messages


async def _in_full(receive: Receive) -> Receive:
    """The request as it came, however long one takes to read it."""
    messages = [await receive()]
    while messages[-1].get("more_body"):
        messages.append(await receive())

    async def again() -> Message:
        return messages.pop(0) if messages else await receive()

    return again


async def _spoil(fault: Fault, messages: list[Message], send: Send) -> None:
    body = b"".join(m.get("body", b"") for m in messages if m["type"] == "http.response.body")
    start = dict(next(m for m in messages if m["type"] == "http.response.start"))
    headers = [(name, value) for name, value in start["headers"] if name.lower() != b"content-length"]
    if not body:
        for message in messages:
            await send(message)
        return
    half = body[: len(body) // 2]
    if fault.kind == "malformed":
        body = half + b"\x00{<"
    start["headers"] = [*headers, (b"content-length", str(len(body)).encode())]
    await send(start)
    if fault.kind == "cut":
        await send({"type": "http.response.body", "body": half, "more_body": True})
        return  # the server closes the connection where the promised length never came
    if fault.kind == "drip":
        steps = max(min(len(body), int(fault.seconds * 4)), 1)
        size = -(-len(body) // steps)
        for at in range(0, len(body), size or 1):
            await asyncio.sleep(fault.seconds / steps)
            await send({"type": "http.response.body", "body": body[at : at + size], "more_body": True})
        body = b""
    await send({"type": "http.response.body", "body": body, "more_body": False})
