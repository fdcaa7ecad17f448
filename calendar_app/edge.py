"""The outermost ASGI layer: security headers on every answer, and pages at their own address.

It wraps the HTTP API, Reflex's websocket and the static pages alike, so that no route can forget a header. The
Content-Security-Policy allows only the inline scripts that the build wrote, by their hashes (CSP level 3 §6.7.3);
inline styles must be allowed, because Emotion and Radix set them at run time.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

_INLINE_SCRIPT = re.compile(r"<script(?![^>]*\ssrc=)[^>]*>(.*?)</script>", re.DOTALL)
_FINGERPRINTED = re.compile(r"^/assets/[^/]+-[A-Za-z0-9_-]{8}\.(?:js|css)$")

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "strict-origin-when-cross-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def script_hashes(pages: Iterable[Path]) -> tuple[str, ...]:
    """CSP source expressions of every inline script in the HTML files, sorted."""
    found = set()
    for page in pages:
        for script in _INLINE_SCRIPT.findall(page.read_text(encoding="utf-8")):
            digest = hashlib.sha256(script.encode()).digest()
            found.add(f"'sha256-{base64.b64encode(digest).decode()}'")
    return tuple(sorted(found))


def content_security_policy(hashes: Iterable[str]) -> str:
    """The policy of a page whose inline scripts have these hashes."""
    return "; ".join(
        (
            "default-src 'self'",
            f"script-src 'self' {' '.join(hashes)}".rstrip(),
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data:",
            "font-src 'self' data:",
            "connect-src 'self'",
            "object-src 'none'",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        )
    )


def behind_proxies(app: ASGIApp, trusted: str) -> ASGIApp:
    """``app``, told the visitor's own address by ``X-Forwarded-For``, where a proxy of ``trusted`` sent the request.

    ``trusted`` are addresses and networks separated by commas, or ``*``. The server itself reads no such header, and
    without it every visitor would share the proxy's limits. Nobody else's header counts.
    """
    # uvicorn types ASGI more narrowly than starlette; the protocol is the same.
    return cast(ASGIApp, ProxyHeadersMiddleware(cast(Any, app), trusted)) if trusted else app


class Edge:
    """ASGI middleware for the whole application.

    ``static_dir`` is the built frontend; an absent one (tests, a backend without pages) only means no page rules.
    ``https`` adds HSTS. A route may set its own header of any of these names; it is left alone, and an empty one of
    ``X-Frame-Options``, which has no value that allows framing, is taken out.
    """

    def __init__(self, app: ASGIApp, static_dir: Path, *, https: bool = False) -> None:
        self.app = app
        pages = sorted(static_dir.rglob("*.html")) if static_dir.is_dir() else []
        self._policy = content_security_policy(script_hashes(pages))
        self._folders = {
            f"/{page.parent.relative_to(static_dir).as_posix()}"
            for page in pages
            if page.name == "index.html" and page.parent != static_dir
        }
        self._headers = _HEADERS | ({"Strict-Transport-Security": "max-age=31536000"} if https else {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        path: str = scope["path"]
        if path in self._folders and scope["method"] in {"GET", "HEAD"}:
            # A prerendered page is a folder; serve it where it was asked for instead of redirecting to "path/".
            scope = {**scope, "path": f"{path}/", "raw_path": f"{path}/".encode()}

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._complete(MutableHeaders(scope=message), path)
            await send(message)

        await self.app(scope, receive, send_with_headers)

    def _complete(self, headers: MutableHeaders, path: str) -> None:
        for name, value in self._headers.items():
            headers.setdefault(name, value)
        if not headers["X-Frame-Options"]:
            del headers["X-Frame-Options"]
        if headers.get("content-type", "").startswith("text/html"):
            headers.setdefault("Content-Security-Policy", self._policy)
            headers.setdefault("Cache-Control", "no-cache")
        elif _FINGERPRINTED.match(path):
            headers.setdefault("Cache-Control", "public, max-age=31536000, immutable")
