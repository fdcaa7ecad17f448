"""The web processes with pages that are built beforehand: ``almanac web``.

It serves what ``reflex run --env prod --single-port`` serves, by the same server and in the same way, but builds only
when something changed, so that a start takes seconds. As there, the application is imported once and the processes
are forked from it: importing is most of a start, and forks share its memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import multiprocessing
import os
import sys
import tempfile
import threading
from collections.abc import Mapping
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from granian.constants import Interfaces
from granian.log import LogLevels
from granian.server.mp import MPServer
from starlette.types import ASGIApp, Message, Scope

from calendar_app.db.session import get_engine
from calendar_app.launcher import first_steps, frontend
from calendar_app.launcher.checks import programs_path
from calendar_app.launcher.environment import anywhere
from calendar_app.launcher.errors import LaunchError
from calendar_app.launcher.marks import MARK
from calendar_app.places import ROOT
from calendar_app.services.operations import health, warm_up
from calendar_app.settings import Settings, SettingsError, get_settings, load_settings

PRODUCT, WITH_SANDBOX = "calendar_app.calendar_app", "calendar_app.sandbox.web"
"""The modules whose ``app`` is served, the second while the sandbox is on. Neither is imported before it is chosen."""
STOP_S = 20
"""Seconds that requests under way get when the server is asked to stop; it ends with the last of them."""
FIRST_REQUEST_S = 20
_made: dict[str, ASGIApp] = {}
SERVED_BY_REFLEX = {
    # The three switches that `reflex run --env prod --single-port` hands to its own server processes, and one by which
    # it does not link the components' scripts into `assets/`, which the build needs and whoever serves must not write.
    "REFLEX_BACKEND_ONLY": "true",
    "REFLEX_ENV_MODE": "prod",
    "__REFLEX_SKIP_COMPILE": "true",
    "__REFLEX_MOUNT_FRONTEND_COMPILED_APP": "true",
}


class DrainingServer(MPServer):
    """A server that says so for a while before it stops: ``/ready`` is 503 already, and requests are still served.

    A proxy that watches ``/ready`` has then stopped sending requests here before any could be refused. A second
    signal ends the wait.
    """

    drain_s = 0.0
    module = PRODUCT

    def serve(self, *_: Any, **__: Any) -> None:
        """Until asked to stop."""
        super().serve(target_loader=partial(_application, self.module), wrap_loader=False)

    def signal_handler_interrupt(self, *args: Any, **kwargs: Any) -> None:
        """SIGTERM or SIGINT."""
        notice = os.environ.get(health.STOPPING)
        if not self.drain_s or not notice or health.stopping():
            super().signal_handler_interrupt(*args, **kwargs)  # type: ignore[no-untyped-call]
            return
        Path(notice).touch()
        timer = threading.Timer(self.drain_s, super().signal_handler_interrupt)
        timer.daemon = True
        timer.start()


def application(settings: Settings) -> str:
    """The module to serve."""
    return WITH_SANDBOX if settings.sandbox and settings.sandbox_url else PRODUCT


def server(environment: Mapping[str, str], module: str = PRODUCT) -> DrainingServer:
    """Serves ``module`` at ``WEB_HOST`` and ``PORT`` by ``WEB_CONCURRENCY`` processes; one that dies is replaced."""
    made = DrainingServer(
        f"{module}:app",
        factory=True,
        interface=Interfaces.ASGI,
        address=environment.get("WEB_HOST") or "127.0.0.1",
        port=int(environment.get("PORT") or 3000),
        workers=int(environment.get("WEB_CONCURRENCY") or 2),
        respawn_failed_workers=True,
        respawn_interval=1.0,
        workers_kill_timeout=STOP_S,
        log_level=LogLevels.warning,
    )
    made.module = module
    made.drain_s = float(environment.get("WEB_DRAIN_SECONDS") or 0)
    return made


def preload(module: str = PRODUCT, *others: str) -> bool:
    """Make the application that ``module`` has, and import ``others``, for the processes to be forked.

    Only where forking is the platform's way, and safe; false elsewhere. What a first request makes is made, too: the
    API's routes alone are ten megabytes that each process would otherwise have to itself.
    """
    if module in _made:
        return True  # this process was forked from one that had it
    if multiprocessing.get_start_method() != "fork":
        return False
    for other in others:
        import_module(other)
    warm_up.database()
    _made[module] = import_module(module).app()
    asyncio.run(_first_request(_made[module]))
    get_engine().dispose()  # the processes that are forked from here open their own connections
    for thread in set(threading.enumerate()) - {threading.current_thread()}:
        thread.join(1)  # one that read the page from the disk, and has nothing more to do
    if threading.active_count() > 1:
        multiprocessing.set_start_method("spawn", force=True)
        return False
    # Without this, the garbage collectors of the processes would write to every shared page and so copy it.
    gc.collect()
    gc.freeze()
    return True


async def _first_request(application: ASGIApp) -> None:
    """``GET`` of a page that there is not, which asks neither the database nor Redis."""

    came: list[Message] = [
        {"type": "http.disconnect"},
        {"type": "http.request", "body": b"", "more_body": False},
    ]

    async def receive() -> Message:
        return came.pop() if len(came) > 1 else came[0]

    async def send(_message: Message) -> None:
        """Nobody reads it."""

    scope: Scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/nothing-here",
        "raw_path": b"/nothing-here",
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"localhost"), (b"accept", b"text/html")],
        "client": ("127.0.0.1", 0),
        "server": ("127.0.0.1", 0),
    }
    with contextlib.suppress(TimeoutError):  # it saves memory, and must not cost the start
        async with asyncio.timeout(FIRST_REQUEST_S):
            await application(scope, receive, send)


def _application(module: str) -> ASGIApp:
    """What a web process serves: made before it was forked, or made now."""
    made: ASGIApp = _made[module] if module in _made else import_module(module).app()
    return made


def main() -> None:
    """Build if needed, then serve until asked to stop."""
    try:
        environment = {
            **os.environ,
            "PATH": programs_path(os.environ),
            **anywhere(load_settings(), os.environ),
        }
        os.environ.update(environment | SERVED_BY_REFLEX)
        module = application(get_settings())
        frontend.ensure_built(environment)
    except (LaunchError, SettingsError) as error:
        sys.exit(str(error))
    os.chdir(ROOT)
    with tempfile.TemporaryDirectory(prefix="almanac-web-") as folder:
        os.environ[health.STOPPING] = str(Path(folder) / "stopping")
        preload(module)
        if MARK not in os.environ:  # else the launcher says it, once it has migrated
            print(*first_steps.lines_if_ready(), sep="\n", flush=True)
        server(environment, module).serve()


if __name__ == "__main__":
    main()
