"""The site put together: its routes, its files, and its own pages for errors.

It stands in front of the staff's pages under the addresses of :data:`PREFIXES`, and behind what the API's application
does for every request (an id, limits on bodies, numbers). What those refuse there becomes a page as well.
"""

from __future__ import annotations

import logging
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from calendar_app.booking_site import answers, book, choose, looks, manage, my, set_up, words
from calendar_app.booking_site.visit import Visit
from calendar_app.errors import AlmanacError, NotFound, TooManyRequests
from calendar_app.services.common.outages import DATABASE_AWAY
from calendar_app.services.workspaces.settings import Look

log = logging.getLogger(__name__)

PREFIXES = ("/book", "/manage", "/my", "/setup", answers.STATIC, "/embed.js")


def create_site() -> FastAPI:
    """The application of the customers' pages."""
    site = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    for room in (choose, book, manage, my, set_up):
        site.include_router(room.router)
    site.include_router(looks.router)
    site.get(f"{answers.STATIC}/{{version}}/{{name}}", include_in_schema=False)(static)
    _install_errors(site)
    return site


def mount_site(app: FastAPI) -> None:
    """Have ``app`` answer with the site under its addresses, before anything else that it knows."""
    app.router.routes.insert(0, _SiteRoute(create_site()))


def belongs(path: str) -> bool:
    """Whether a path is one of the site's."""
    return any(path == prefix or path.startswith(f"{prefix}/") for prefix in PREFIXES)


class _SiteRoute(BaseRoute):
    """Hands every request for one of the site's addresses to the site."""

    def __init__(self, site: ASGIApp) -> None:
        self.site = site

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        return (Match.FULL if scope["type"] == "http" and belongs(scope["path"]) else Match.NONE), {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        if "\x00" in scope["path"]:  # which PostgreSQL cannot even look for
            scope = {**scope, "path": "/book"}
        if scope["method"] == "HEAD":  # RFC 9110 section 9.3.2: as GET, without the content
            scope, send = {**scope, "method": "GET"}, _without_content(send)
        await self.site(scope, receive, send)


def _without_content(send: Send) -> Send:
    async def send_head(message: Message) -> None:
        if message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await send(message)

    return send_head


def static(request: Request, version: str, name: str) -> Response:
    """One of the site's files. Its address changes with it, so it is kept for ever; another version's is the newest."""
    found = answers.static_file(name)
    if found is None:
        raise NotFound("There is no such file.")
    content, compressed, media = found
    if f"{answers.STATIC}/{version}/{name}" != answers.asset(name):
        return RedirectResponse(answers.asset(name), 302, headers={"Cache-Control": "no-store"})
    headers = {"Cache-Control": looks.YEAR, "Vary": "Accept-Encoding"}
    if answers.takes_gzip(request.headers):
        content, headers["Content-Encoding"] = compressed, "gzip"
    return Response(content, headers=headers, media_type=media)


def error_page(request: Request, status: int, error: AlmanacError | None = None) -> Response:
    """The page of an error, in the visitor's language."""
    visit = Visit.of(request)
    if request.url.path.startswith("/book/"):
        visit.workspace = request.url.path.split("/")[2]
    if status >= 500:
        visit.look = Look()  # the database may be what is away
    headers = {"Cache-Control": "no-store"}
    if isinstance(error, TooManyRequests):
        headers["Retry-After"] = str(max(1, error.retry_after))
    elif status == 503:
        headers["Retry-After"] = "3"
    sentence = words.of_error(visit, error) if error else ""
    return answers.page(
        visit,
        "error.html",
        status=status,
        embeddable=request.url.path.startswith("/book"),
        secret=True,
        headers=headers,
        code=status,
        sentence=sentence,
        again=quote(request.scope["path"]) if request.method == "GET" else "",
    )


def _install_errors(site: FastAPI) -> None:
    @site.exception_handler(AlmanacError)
    def ours(request: Request, error: AlmanacError) -> Response:
        return error_page(request, error.status, error)

    @site.exception_handler(RequestValidationError)
    def invalid(request: Request, _error: RequestValidationError) -> Response:
        return error_page(request, 422)

    @site.exception_handler(HTTPException)
    def starlettes(request: Request, error: HTTPException) -> Response:
        response = error_page(request, error.status_code)
        response.headers.update(error.headers or {})
        return response

    def no_database(request: Request, _error: Exception) -> Response:
        log.warning("page failed: the database is out of reach", exc_info=True)
        return error_page(request, 503)

    for away in DATABASE_AWAY:
        site.add_exception_handler(away, no_database)

    @site.exception_handler(Exception)
    def unforeseen(request: Request, _error: Exception) -> Response:
        return error_page(request, 500)  # Starlette logs the exception with its stack after this answer


class ErrorPages:
    """ASGI middleware around the whole application: a problem document under one of the site's addresses, from what
    stands in front of the site, becomes a page."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not belongs(scope["path"]):
            await self.app(scope, receive, send)
            return
        replaced = False

        async def send_page(message: Message) -> None:
            nonlocal replaced
            if message["type"] == "http.response.start":
                headers = Headers(raw=message["headers"])
                replaced = headers.get("content-type", "").startswith("application/problem+json")
                if replaced:
                    page = error_page(Request(scope), message["status"])
                    if headers.get("connection") == "close":
                        page.headers["Connection"] = "close"
                    await page(scope, receive, send)
            if not replaced:
                await send(message)

        await self.app(scope, receive, send_page)
