"""The product's web application with the sandbox under its address: what the launcher serves while the sandbox is on.

The product knows nothing of this module. In production its own application is served
(:mod:`calendar_app.calendar_app`), and nothing of the sandbox is loaded.
"""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from calendar_app import calendar_app as product
from calendar_app.edge import Edge
from calendar_app.sandbox.proxy import Proxy
from calendar_app.settings import get_settings


class WithSandbox:
    """ASGI: requests to ``/sandbox`` and below go to ``sandbox_url``, all others to the product's ``application``.

    The sandbox's pages get the security headers of the product's own.
    """

    def __init__(self, application: ASGIApp, sandbox_url: str) -> None:
        self._application = application
        self._proxy = Proxy(sandbox_url)
        self._sandbox = Edge(self._proxy, product.STATIC_DIR)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            try:
                await self._application(scope, receive, send)
            finally:
                await self._proxy.close()
        elif scope["type"] == "http" and f"{scope['path']}/".startswith("/sandbox/"):
            await self._sandbox(scope, receive, send)
        else:
            await self._application(scope, receive, send)


def app() -> WithSandbox:
    """What the server calls in each of its processes; the sandbox is at ``SANDBOX_URL``."""
    return WithSandbox(product.app(), get_settings().sandbox_url)
