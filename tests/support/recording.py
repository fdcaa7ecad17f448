"""What passes between a server and its client, for checkers that stand between the two."""

from __future__ import annotations

from typing import Any


async def recorded(app: Any, scope: Any, receive: Any, send: Any) -> tuple[bytes, dict[str, Any], bytes]:
    """Let the ASGI application answer; the request's body, the start of the response, and the response's body."""
    received, sent = bytearray(), bytearray()
    start: dict[str, Any] = {}

    async def listen() -> Any:
        message = await receive()
        received.extend(message.get("body", b""))
        return message

    async def answer(message: Any) -> None:
        if message["type"] == "http.response.start":
            start.update(message)
        sent.extend(message.get("body", b""))
        await send(message)

    await app(scope, listen, answer)
    return bytes(received), start, bytes(sent)
