"""``Idempotency-Key`` for routes that create something.

    @router.post("/bookings", status_code=201)
    def create(body: BookingIn, idempotent: Idempotent) -> Response:
        return idempotent.run(201, lambda: bookings.create(...))

The same key and body from the same caller get the first answer again, with ``Idempotency-Replayed: true``; another body
is a 422, a second request while the first runs a 409. Without the header the work is simply done.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Header, Request
from fastapi.encoders import jsonable_encoder
from fastapi.responses import JSONResponse

from calendar_app.api.deps import OptionalCaller, client_address
from calendar_app.services import idempotency


@dataclass(frozen=True, slots=True)
class Idempotency:
    """One request's key (``None``: none was sent), who sent it where, and its body."""

    key: str | None
    scope: str
    body: bytes

    def run(self, status: int, work: Callable[[], Any]) -> JSONResponse:
        """Answer with ``status`` and what ``work`` returns as JSON, or with what was answered before."""
        if self.key is None:
            return JSONResponse(jsonable_encoder(work()), status)
        begun = idempotency.begin(self.scope, self.key, self.body)
        if isinstance(begun, idempotency.Answer):
            return JSONResponse(begun.body, begun.status, headers={"Idempotency-Replayed": "true"})
        try:
            body = jsonable_encoder(work())
        except BaseException:
            idempotency.drop(begun)
            raise
        idempotency.keep(begun, idempotency.Answer(status, body))
        return JSONResponse(body, status)


async def _of_request(
    request: Request,
    caller: OptionalCaller,
    idempotency_key: Annotated[
        str | None,
        Header(max_length=idempotency.LONGEST, description="Makes a repetition harmless for a day"),
    ] = None,
) -> Idempotency:
    who = caller.identity.person_id if caller else f"visitor {client_address(request)}"
    return Idempotency(idempotency_key, f"{who} {request.method} {request.url.path}", await request.body())


Idempotent = Annotated[Idempotency, Depends(_of_request)]
