"""The web processes with pages that are built beforehand: ``almanac web``.

It serves what ``reflex run --env prod --single-port`` serves, by the same server and in the same way, but builds only
when something changed, so that a start takes seconds. As there, the application is imported once and the processes
are forked from it: importing is most of a start, and forks share its memory.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import sys
import tempfile
import threading
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from granian.constants import Interfaces
from granian.log import LogLevels
from granian.server.mp import MPServer

from calendar_app.launcher import first_steps, frontend
from calendar_app.launcher.checks import programs_path
from calendar_app.launcher.environment import anywhere
from calendar_app.launcher.errors import LaunchError
<<<<<<< HEAD
from calendar_app.launcher.processes import MARK
from calendar_app.services.operations import health
from calendar_app.settings import Settings, SettingsError, get_settings
=======
from calendar_app.places import ROOT
from calendar_app.services.operations import health, warm_up
from calendar_app.settings import Settings, SettingsError, get_settings, load_settings
>>>>>>> 6cf17be (launcher: Fork the processes from one that has imported the product)

PRODUCT, WITH_SANDBOX = "calendar_app.calendar_app", "calendar_app.sandbox.web"
"""The modules whose ``app`` is served, the second while the sandbox is on. Neither is imported before it is chosen."""
STOP_S = 20
"""Seconds that requests under way get when the server is asked to stop; it ends with the last of them."""
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
    made.drain_s = float(environment.get("WEB_DRAIN_SECONDS") or 0)
    return made


def preload(*modules: str) -> bool:
    """Import what the processes to be forked need, where forking is the platform's way and safe; false elsewhere."""
    if multiprocessing.get_start_method() != "fork":
        return False
    for module in modules or (PRODUCT,):
        import_module(module)
    warm_up.database()
    if threading.active_count() > 1:
        multiprocessing.set_start_method("spawn", force=True)
        return False
    # Without this, the garbage collectors of the processes would write to every shared page and so copy it.
    gc.collect()
    gc.freeze()
    return True


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
