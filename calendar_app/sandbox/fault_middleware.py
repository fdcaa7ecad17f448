"""What a fault does to a call: an answer in the stand-in's place, or the stand-in's own answer late or spoilt."""

from __future__ import annotations

import asyncio

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from calendar_app.sandbox.fault_answers import error_answer
from calendar_app.sandbox.fault_operations import call_of, says_more
from calendar_app.sandbox.faults import Fault, Faults, waited

SCOPE_KEY = "almanac.fault"
"""Where a stand-in finds the kind of a fault that it carries out itself."""
_ITS_OWN = ("truncated", "weak_etag")


class FaultMiddleware:
    """Answers in a stand-in's place, or spoils its answer, where a switch says so."""

    def __init__(self, app: ASGIApp, faults: Faults) -> None:
        self.app, self.faults = app, faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = b""
        if says_more(scope):
            body, receive = await _in_full(receive)
        call = call_of(scope, body)
        switch = self.faults.meeting(call, Headers(scope=scope)) if call else None
        if call is None or switch is None:
            await self.app(scope, receive, send)
            return
        fault = switch.fault
        if fault.kind in _ITS_OWN:
            await self.app({**scope, SCOPE_KEY: fault.kind}, receive, send)
            return
        if fault.kind in ("cut", "malformed", "drip"):
            await _spoil(fault, await self._carried_out(scope, receive), send)
            return
        if fault.kind == "hold":
            _, receive = await _in_full(receive)  # the caller may be gone when its call goes on
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


async def _in_full(receive: Receive) -> tuple[bytes, Receive]:
    """The request's body, and the request as it came, however long one takes to read it."""
    messages = [await receive()]
    while messages[-1].get("more_body"):
        messages.append(await receive())

    async def again() -> Message:
        return messages.pop(0) if messages else await receive()

    return b"".join(message.get("body", b"") for message in messages), again


async def _spoil(fault: Fault, messages: list[Message], send: Send) -> None:
    body = b"".join(m.get("body", b"") for m in messages if m["type"] == "http.response.body")
    start = dict(next(m for m in messages if m["type"] == "http.response.start"))
    if fault.kind == "cut" and not body and start["status"] != 304:
        body = b"  "  # an answer without a body breaks off before it says so
        start["status"] = 200 if start["status"] == 204 else start["status"]
    headers = [(name, value) for name, value in start["headers"] if name.lower() != b"content-length"]
    if not body:
        for message in messages:
            await send(message)
        return
    if fault.kind == "malformed":
        body = body[: len(body) // 2] + b"\x00{<"
    start["headers"] = [*headers, (b"content-length", str(len(body)).encode())]
    await send(start)
    if fault.kind == "cut":
        await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
        return  # the server closes the connection where the promised length never came
    if fault.kind == "drip":
        await _drip(body, fault.seconds, send)
        body = b""
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def _drip(body: bytes, seconds: float, send: Send) -> None:
    steps = max(min(len(body), int(seconds * 4)), 1)
    size = -(-len(body) // steps)
    for at in range(0, len(body), size):
        await asyncio.sleep(seconds / steps)
        await send({"type": "http.response.body", "body": body[at : at + size], "more_body": True})
