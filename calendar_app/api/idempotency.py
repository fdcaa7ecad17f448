"""``Idempotency-Key`` for routes that create something.

    @router.post("/calendars/{id}/events", status_code=201)
    def create(body: EventIn, idempotent: Idempotent) -> Response:
        return idempotent.run(201, lambda: calendar_events.create(...))

    @router.post("/bookings", status_code=201)
    def create(body: BookingIn, idempotent: Idempotent) -> Response:
        return idempotent.run_in_transaction(201, lambda keep: bookings.create(..., keep=keep), BookingOut.of)

The same key and body from the same caller get the first answer again, with ``Idempotency-Replayed: true``; another body
is a 422, a second request while the first runs a 409. Without the header the work is simply done. Visitors should send
random keys of 16 characters or more (a UUID, say), which hold also when their address changes between two tries.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Header, Request, Response
from fastapi.encoders import jsonable_encoder

from calendar_app.api.deps import OptionalCaller, client_address
from calendar_app.services.common import idempotency

UNGUESSABLE = 16
"""Characters from which on a visitor's key is taken for a random one."""
Result = TypeVar("Result")
Keep = Callable[[Any, Result], None]
"""Takes the session of the transaction that does the work, and the result."""


@dataclass(frozen=True, slots=True)
class Idempotency:
    """One request's key (``None``: none was sent), who sent it where, and its body."""

    key: str | None
    scope: str
    body: bytes

    @property
    def fingerprint(self) -> str | None:
        """One value for all repetitions of the request, for work whose effects outside can be told apart by it."""
        if self.key is None:
            return None
        return f"{self.scope}\n{self.key}\n{hashlib.sha256(self.body).hexdigest()}"

    def run(self, status: int, work: Callable[[], Any]) -> Response:
        """Answer with ``status`` and what ``work`` returns as JSON, or with what was answered before."""
        begun = self._begin()
        if isinstance(begun, Response):
            return begun
        with _forgotten_on_failure(begun):
            content = _content(work())
        if begun is not None:
            idempotency.keep(begun, idempotency.Answer(status, content))
        return _answer(status, content)

    def run_in_transaction(
        self,
        status: int,
        work: Callable[[Keep[Result] | None], Result],
        shown: Callable[[Result], Any],
    ) -> Response:
        """As :meth:`run`, for work that is one transaction: in it, it calls what it is given with its result, and so
        the answer stands as soon as the work does. Without a key it is given nothing to call.

        ``shown`` makes the answer's JSON of the result.
        """
        begun = self._begin()
        if isinstance(begun, Response):
            return begun
        if begun is None:
            return _answer(status, _content(shown(work(None))))

        content = ""

        def keep(session: Any, result: Result) -> None:
            nonlocal content
            content = _content(shown(result))
            idempotency.keep_in(session, begun, idempotency.Answer(status, content))

        with _forgotten_on_failure(begun):
            result = work(keep)
        if not content:  # there was nothing to do, and so no transaction
            content = _content(shown(result))
            idempotency.keep(begun, idempotency.Answer(status, content))
        return _answer(status, content)

    def _begin(self) -> Response | str | None:
        """The answer of before, the id of the record of this request, or ``None`` where no key was sent."""
        if self.key is None:
            return None
        begun = idempotency.begin(self.scope, self.key, self.body)
        if isinstance(begun, idempotency.Answer):
            return _answer(begun.status, begun.content, replayed=True)
        return begun


@contextmanager
def _forgotten_on_failure(record_id: str | None) -> Iterator[None]:
    """Work that fails leaves no record."""
    try:
        yield
    except BaseException:
        if record_id is not None:
            idempotency.drop(record_id)
        raise


def _visitor(request: Request, key: str) -> str:
    """Who sent a key without an account. A long one stands for itself, as its sender may have changed networks between
    two tries; a short one could be somebody else's or guessed, and counts together with the address."""
    return "visitor" if len(key) >= UNGUESSABLE else f"visitor {client_address(request)}"


def _content(result: Any) -> str:
    return json.dumps(jsonable_encoder(result), ensure_ascii=False, separators=(",", ":"))


def _answer(status: int, content: str, *, replayed: bool = False) -> Response:
    headers = {"Idempotency-Replayed": "true"} if replayed else {}
    return Response(content, status, headers=headers, media_type="application/json")


_Key = Annotated[
    str | None, Header(max_length=idempotency.LONGEST, description="Makes a repetition harmless for a day")
]


async def of_visitor(request: Request, idempotency_key: _Key = None) -> Idempotency:
    """For operations that look at no credentials."""
    scope = f"{_visitor(request, idempotency_key or '')} {request.method} {request.url.path}"
    return Idempotency(idempotency_key, scope, await request.body())


async def of_request(request: Request, caller: OptionalCaller, idempotency_key: _Key = None) -> Idempotency:
    who = (
        (caller.identity.person_id or caller.identity.session_id)
        if caller
        else _visitor(request, idempotency_key or "")
    )
    return Idempotency(idempotency_key, f"{who} {request.method} {request.url.path}", await request.body())


Idempotent = Annotated[Idempotency, Depends(of_request)]
IdempotentVisitor = Annotated[Idempotency, Depends(of_visitor)]
