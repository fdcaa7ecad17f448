"""Composition root: the Reflex application with its pages, the HTTP API in front of them, and what runs beside them."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import reflex as rx
from starlette.types import ASGIApp

from calendar_app import logs
from calendar_app.api.app import PREFIX, create_api
from calendar_app.api.cors import Cors
from calendar_app.booking_site.app import ErrorPages, mount_site
from calendar_app.booking_site.set_up import SetUpFirst
from calendar_app.edge import Edge, behind_proxies
from calendar_app.services.operations import metrics
from calendar_app.settings import get_settings
from calendar_app.ui import stored
from calendar_app.ui.components.failed import boundary
from calendar_app.ui.components.offline import offline
from calendar_app.ui.errors import show
from calendar_app.ui.routes import add_pages
from calendar_app.ui.sockets import SealedSockets
from calendar_app.ui.theme import STYLESHEETS

STATIC_DIR = Path(".web/build/client")


def _behind_the_edge(application: ASGIApp) -> ASGIApp:
    settings = get_settings()
    edge = Edge(application, STATIC_DIR, https=settings.public_url.startswith("https://"))
    return behind_proxies(edge, settings.trusted_proxies)


@contextlib.asynccontextmanager
async def _watched() -> AsyncIterator[None]:
    """Logs as we write them, also after the server has set up its own, and numbers handed on while it runs."""
    logs.configure(get_settings(), "web")
    stopped = threading.Event()
    numbers = threading.Thread(target=metrics.flush_until, args=(stopped,), name="metrics", daemon=True)
    numbers.start()
    yield
    stopped.set()
    await asyncio.to_thread(numbers.join, 3)


class Application(rx.App):
    """Reflex puts middleware around everything that refuses preflights of other sites; the API's stands before it."""

    def __call__(self) -> ASGIApp:
        return Cors(super().__call__(), PREFIX)


def create_app() -> rx.App:
    """Put the rooms together; nothing is started."""
    api = create_api()
    mount_site(api)
    app = Application(
        api_transformer=[
            api,
            ErrorPages,
            SetUpFirst,
            SealedSockets,
            _behind_the_edge,
        ],
        html_lang="en",
        stylesheets=list(STYLESHEETS),
        backend_exception_handler=show,
        head_components=[rx.el.link(rel="icon", type="image/svg+xml", href="/favicon.svg")],
    )
    add_pages(app)
    stored.register(app)
    app.app_wraps[(55, "ErrorBoundary")] = boundary
    app.app_wraps[(5, "Overlay")] = lambda stateful: offline() if stateful else None
    app.register_lifespan_task(_watched)
    return app


app = create_app()
