"""The sandbox: stand-ins for calendar providers in one process of their own, for demonstrations and tests.

    uvicorn calendar_app.sandbox.app:app --host 127.0.0.1 --port $SANDBOX_PORT

Each stand-in lives below ``/sandbox/<provider>`` (Google: OAuth, userinfo, Calendar API v3), the page at ``/sandbox``.
CalDAV and calendar links are a real Radicale in a process of its own, reached through this one. The control interface
is below ``/sandbox/api``; a mail server on a port of its own shows what came at ``/sandbox/mail``. Everything starts
with ``/sandbox`` because the web process forwards that path (:mod:`calendar_app.sandbox.proxy`). The state is a file
per stand-in: ``DATA_DIR/sandbox.db`` (Google), ``DATA_DIR/sandbox-microsoft.db``. No real provider is ever contacted.

Before all stand-ins stand the fault switches (:mod:`calendar_app.sandbox.faults`).

Environment: ``SANDBOX_REDIRECT_URIS`` (comma-separated, beside the application's own callback),
``SANDBOX_ACCESS_TOKEN_SECONDS`` (3600) and ``SANDBOX_SMTP_PORT`` (no mail server without it).
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from calendar_app.sandbox.caldav.feed import FeedStandIn
from calendar_app.sandbox.caldav.proxy import PREFIX as CALDAV
from calendar_app.sandbox.caldav.proxy import WELL_KNOWN
from calendar_app.sandbox.caldav.stand_in import CalDavStandIn
from calendar_app.sandbox.calendly.stand_in import Calendly
from calendar_app.sandbox.control import Control
from calendar_app.sandbox.delivery import RETRY_AFTER_S, Deliver, Delivery
from calendar_app.sandbox.environment import CALENDLY_CALLBACK_PATH, CALLBACK_PATH, MICROSOFT_CALLBACK_PATH
from calendar_app.sandbox.fault_middleware import FaultMiddleware
from calendar_app.sandbox.faults import Faults
from calendar_app.sandbox.google.schema import SCHEMA
from calendar_app.sandbox.google.stand_in import GoogleStandIn
from calendar_app.sandbox.grants import ACCESS_TOKEN_LIFE_S
from calendar_app.sandbox.grants import SCHEMA as GRANTS
from calendar_app.sandbox.mailbox import Mailbox
from calendar_app.sandbox.microsoft.stand_in import MicrosoftStandIn
from calendar_app.sandbox.page import SandboxPage
from calendar_app.sandbox.pages import HERE, Pages
from calendar_app.sandbox.rules import rules_of
from calendar_app.sandbox.smtp import mail_server
from calendar_app.sandbox.stand_in import Counts, Recognises, StandIn
from calendar_app.sandbox.stand_in_control import StandInControl
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
    caldav_url: str = "",
    strict: bool = False,
) -> Starlette:
    """The sandbox over the store at ``store_path`` (``":memory:"`` for one that forgets).

    ``smtp_port`` is the mail server's, 0 for any that is free (``app.state.smtp_port`` says which), ``None`` for none.
    ``caldav_url`` is the Radicale behind the stand-ins for CalDAV and for calendar links; empty for neither.
    ``strict`` switches every strict rule of every stand-in on (:mod:`.rules`).

    :raises SettingsError: in production.
    """
    settings = settings or get_settings()
    if settings.production:
        raise SettingsError("The sandbox cannot run in production: ALMANAC_ENV is set to production.")
    store = Store(store_path or settings.data_dir / "sandbox.db", clock, GRANTS + SCHEMA)
    pages, faults = Pages(), Faults()

    def delivery(provider: str) -> Delivery:
        return Delivery(partial(faults.push, provider), deliver, push_retry_after)

    mailbox = Mailbox(store, pages)
    google = GoogleStandIn(
        store,
        pages,
        public_url=settings.public_url,
        redirect_uris={f"{settings.public_url}{CALLBACK_PATH}", *redirect_uris},
        delivery=delivery("google"),
        access_token_seconds=access_token_seconds,
    )
    home = Path(store_path).parent if store_path else settings.data_dir
    microsoft = MicrosoftStandIn(
        ":memory:" if store_path == ":memory:" else home / "sandbox-microsoft.db",
        clock,
        pages,
        {f"{settings.public_url}{MICROSOFT_CALLBACK_PATH}", *redirect_uris},
        public_url=settings.public_url,
        delivery=delivery("microsoft"),
        access_token_seconds=access_token_seconds,
    )
    calendly = Calendly(
        ":memory:" if store_path == ":memory:" else home / "sandbox-calendly.db",
        clock,
        pages,
        {f"{settings.public_url}{CALENDLY_CALLBACK_PATH}", *redirect_uris},
        delivery=delivery("calendly"),
        access_token_seconds=access_token_seconds,
    )
    stand_ins: dict[str, StandIn] = {one.key: one for one in (google, microsoft, calendly)}
    routes: list[BaseRoute] = []
    if caldav_url:
        caldav = CalDavStandIn(caldav_url, settings.data_dir, clock, settings.sandbox_url)
        feed = FeedStandIn(caldav, settings.sandbox_url, settings.data_dir)
        stand_ins |= {caldav.key: caldav, feed.key: feed}
        routes.append(Route(WELL_KNOWN, _to_caldav, methods=["GET", "HEAD", "OPTIONS", "PROPFIND"]))
    for one in stand_ins.values():
        if strict:
            rules_of(one).be_strict()
    faults.account_of |= {
        key: one.account_of for key, one in stand_ins.items() if isinstance(one, Recognises)
    }

    def sequence() -> int:
        switched = faults.sequence() + sum(rules_of(one).sequence() for one in stand_ins.values())
        return switched + sum(one.sequence() for one in stand_ins.values() if isinstance(one, Counts))

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with AsyncExitStack() as running:
            if smtp_port is not None:
                app.state.smtp_port = await running.enter_async_context(mail_server(mailbox, smtp_port))
            yield
        for one in stand_ins.values():
            await one.close()

    page = SandboxPage(stand_ins, faults, pages, sequence)
    control = Control(google.calendars, google.events, google.grants, google.channels)
    api = [
        *mailbox.api_routes(),
        *control.routes(),
        *StandInControl(stand_ins, faults, sequence).routes(),
    ]
    routes += [
        Route("/sandbox", page.show, methods=["GET"]),
        Mount("/sandbox/static", StaticFiles(directory=HERE / "static")),
        Mount("/sandbox/api", routes=api),
        *(Mount(f"/sandbox/{key}", routes=list(one.routes())) for key, one in stand_ins.items()),
        Mount("/sandbox", routes=[*page.routes(), *mailbox.page_routes()]),
    ]
    app = Starlette(routes=routes, lifespan=lifespan)
    app.add_middleware(FaultMiddleware, faults=faults)
    app.state.stand_ins = stand_ins
    return app


def _to_caldav(_request: Request) -> RedirectResponse:
    """Where RFC 6764 §5 has a client look."""
    return RedirectResponse(f"{CALDAV}/", 301)


def main() -> None:
    """Serve it on the loopback interface until asked to stop."""
    port = int(os.environ.get("SANDBOX_PORT") or 4100)
    # One process: WEB_CONCURRENCY is the product's.
    uvicorn.run(
        __getattr__("app"), host="127.0.0.1", port=port, workers=1, access_log=False, log_level="warning"
    )


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
        caldav_url=os.environ.get("SANDBOX_CALDAV_URL", ""),
    )
