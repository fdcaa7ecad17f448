"""The sandbox: stand-ins for calendar providers in one process of their own, for demonstrations and tests.

    uvicorn calendar_app.sandbox.app:app --host 127.0.0.1 --port $SANDBOX_PORT

Google lives below ``/sandbox/google`` (OAuth, userinfo, Calendar API v3), the page at ``/sandbox``, the control
interface below ``/sandbox/api``; a mail server on a port of its own shows what it took at ``/sandbox/mail``. Everything
starts with ``/sandbox`` because the web process forwards that path (:mod:`calendar_app.sandbox.proxy`). The state is
one file, ``DATA_DIR/sandbox.db``. No real provider is ever contacted.

Anything that should answer in a handler's place is ASGI middleware: ``create_app(...).add_middleware(...)``.

Environment: ``SANDBOX_REDIRECT_URIS`` (comma-separated, beside the application's own callback),
``SANDBOX_ACCESS_TOKEN_SECONDS`` (3600) and ``SANDBOX_SMTP_PORT`` (no mail server without it).
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from starlette.applications import Starlette
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from calendar_app.sandbox.calendly.stand_in import Calendly
from calendar_app.sandbox.control import Control
from calendar_app.sandbox.environment import CALENDLY_CALLBACK_PATH, CALLBACK_PATH
from calendar_app.sandbox.google.calendar_api import CalendarApi
from calendar_app.sandbox.google.calendars import Calendars
from calendar_app.sandbox.google.channels import RETRY_AFTER_S, Channels, Deliver, HttpDelivery
from calendar_app.sandbox.google.events import Events
from calendar_app.sandbox.google.grants import ACCESS_TOKEN_LIFE_S, Grants
from calendar_app.sandbox.google.oauth import OAuth
from calendar_app.sandbox.google.schema import SCHEMA
from calendar_app.sandbox.google.seed import plant
from calendar_app.sandbox.mailbox import Mailbox
from calendar_app.sandbox.page import SandboxPage
from calendar_app.sandbox.pages import HERE, Pages
from calendar_app.sandbox.smtp import mail_server
from calendar_app.sandbox.store import Clock, Store
from calendar_app.settings import Settings, SettingsError, get_settings


def create_app(
    settings: Settings | None = None,
    *,
    store_path: Path | str | None = None,
    clock: Clock = lambda: datetime.now(UTC),
    deliver: Deliver | None = None,
    push_retry_after: tuple[float, ...] = RETRY_AFTER_S,
    redirect_uris: Iterable[str] = (),
    access_token_seconds: int = ACCESS_TOKEN_LIFE_S,
    smtp_port: int | None = None,
) -> Starlette:
    """The sandbox over the store at ``store_path`` (``":memory:"`` for one that forgets).

    ``smtp_port`` is the mail server's, 0 for any that is free (``app.state.smtp_port`` says which), ``None`` for none.

    :raises SettingsError: in production.
    """
    settings = settings or get_settings()
    if settings.production:
        raise SettingsError("The sandbox cannot run in production: ALMANAC_ENV is set to production.")
    store = Store(store_path or settings.data_dir / "sandbox.db", clock, SCHEMA)
    calendars, events = Calendars(store), Events(store, settings.public_url)
    grants, pages = Grants(store, access_token_seconds), Pages()
    mailbox = Mailbox(store, pages)
    http = HttpDelivery()
    channels = Channels(store, deliver or http, push_retry_after)
    calendly = Calendly(
        store_path
        if store_path == ":memory:"
        else Path(store_path or settings.data_dir / "x").with_name("sandbox-calendly.db"),
        clock,
        pages,
        {f"{settings.public_url}{CALENDLY_CALLBACK_PATH}", *redirect_uris},
    )
    plant(calendars, events)
    store.on_change = channels.changed
    registered = frozenset({f"{settings.public_url}{CALLBACK_PATH}", *redirect_uris})

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with AsyncExitStack() as running:
            if smtp_port is not None:
                app.state.smtp_port = await running.enter_async_context(mail_server(mailbox, smtp_port))
            yield
        await channels.close()
        await http.close()
        await calendly.close()
        store.close()

    page = SandboxPage(calendars, events, grants, channels, pages)
    routes = [
        Route("/sandbox", page.show, methods=["GET"]),
        Mount("/sandbox/static", StaticFiles(directory=HERE / "static")),
        Mount(
            "/sandbox/api",
            routes=[*Control(calendars, events, grants, channels).routes(), *mailbox.api_routes()],
        ),
        Mount(
            "/sandbox/google/calendar/v3", routes=CalendarApi(calendars, events, grants, channels).routes()
        ),
        Mount("/sandbox/google", routes=OAuth(calendars, grants, pages, registered).routes()),
        Mount("/sandbox/calendly", routes=calendly.routes()),
        Mount("/sandbox", routes=[*page.routes(), *mailbox.page_routes()]),
    ]
    return Starlette(routes=routes, lifespan=lifespan)


def __getattr__(name: str) -> Starlette:
    """``app``, made when a server asks for it, so that importing this module opens no file."""
    if name != "app":
        raise AttributeError(name)
    extra = os.environ.get("SANDBOX_REDIRECT_URIS", "")
    smtp_port = os.environ.get("SANDBOX_SMTP_PORT")
    return create_app(
        redirect_uris=[uri.strip() for uri in extra.split(",") if uri.strip()],
        access_token_seconds=int(os.environ.get("SANDBOX_ACCESS_TOKEN_SECONDS", ACCESS_TOKEN_LIFE_S)),
        smtp_port=int(smtp_port) if smtp_port else None,
    )
