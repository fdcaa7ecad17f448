"""Rendering of the sandbox's pages. Every one of them says that it is a sandbox."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import orjson
from starlette.datastructures import ImmutableMultiDict
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.templating import Jinja2Templates

HERE = Path(__file__).parent
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
}


class Pages:
    """The templates, with the headers that go with every page."""

    def __init__(self) -> None:
        self._templates = Jinja2Templates(directory=HERE / "templates")

    def render(self, request: Request, name: str, status: int = 200, **context: Any) -> Response:
        return self._templates.TemplateResponse(request, name, context, status_code=status, headers=_HEADERS)


async def form_of(request: Request) -> ImmutableMultiDict[str, str]:
    """The fields of an ``application/x-www-form-urlencoded`` body; empty for any other."""
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return ImmutableMultiDict()
    body = (await request.body()).decode("utf-8", "replace")
    return ImmutableMultiDict(parse_qsl(body, keep_blank_values=True))


def refuse_cross_site(request: Request) -> None:
    """:raises HTTPException: 403 where a browser says that another site sent this (Fetch Metadata)."""
    if request.headers.get("sec-fetch-site", "none") == "cross-site":
        raise HTTPException(403, "Only the sandbox's own pages may do this.")


def json_endpoint(
    handler: Callable[[Request, dict[str, Any]], Any],
    refusals: tuple[type[Exception], ...],
    refuse: Callable[[Exception], Response],
) -> Callable[[Request], Awaitable[Response]]:
    """``handler`` gets the JSON object that was sent; it gives the answer's, or status and that, or ``None`` for 204.

    What it raises of ``refusals``, and a body that is no object (``ValueError``), is answered by ``refuse``.
    """

    async def endpoint(request: Request) -> Response:
        refuse_cross_site(request)
        raw = await request.body()
        try:
            body = orjson.loads(raw) if raw else {}
            if not isinstance(body, dict):
                raise ValueError("The body must be a JSON object.")
            answer = handler(request, body)
        except refusals as error:
            return refuse(error)
        if answer is None:
            return Response(status_code=204)
        status, content = answer if isinstance(answer, tuple) else (200, answer)
        return Response(orjson.dumps(content), status, media_type="application/json")

    return endpoint
