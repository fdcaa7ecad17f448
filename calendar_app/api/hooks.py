"""Where providers tell us that something changed. Nothing is believed but that it may be time to look."""

from __future__ import annotations

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import PlainTextResponse, Response

from calendar_app.api.fields import Key
from calendar_app.api.problem_codes import fails
from calendar_app.api.routing import Router
from calendar_app.services.calendar_sync import push_channels

router = Router(prefix="/hooks", tags=["hooks"])


@router.post(
    "/{provider}",
    status_code=202,
    response_class=Response,
    openapi_extra={"x-any-query": True},
    responses=fails("forbidden")
    | {
        200: {
            "description": "The provider’s text, where it only checks the address",
            "content": {"text/plain": {"schema": {"type": "string"}}},
        }
    },
)
async def receive_notification(provider: Key, request: Request) -> Response:
    """A notification of `google`, `microsoft` or `calendly`: 404 unknown channel, 403 not from the provider.

    A provider that only checks the address gets its text back, as plain text.
    """
    sent = dict(request.headers), dict(request.query_params), await request.body()
    received = await run_in_threadpool(push_channels.receive, provider, *sent)
    if received.echo:
        return PlainTextResponse(received.echo, headers={"X-Content-Type-Options": "nosniff"})
    return Response(status_code=202)
