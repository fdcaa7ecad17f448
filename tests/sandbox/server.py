"""A sandbox on a free loopback port, for tests of the sandbox and of whatever talks to it.

with running_sandbox() as sandbox:
    client = sandbox.api(sandbox.sign_in())
    client.get("users/me/calendarList")
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
import secrets
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import httpx
import uvicorn
from starlette.applications import Starlette

from calendar_app.sandbox.app import create_app
from calendar_app.sandbox.environment import CALLBACK_PATH, CLIENT_ID, CLIENT_SECRET, sandbox_environment
from calendar_app.settings import Settings
from tests.contracts import ContractTransport
from tests.support.clock import Clock

PUBLIC_URL = "http://localhost:3000"
REDIRECT_URI = f"{PUBLIC_URL}{CALLBACK_PATH}"
CALENDAR_SCOPE = "https://www.googleapis.com/auth/calendar"
OWNER = "owner@example.com"
_TLS = ssl.create_default_context()  # made once: httpx would make one per client
WEDNESDAY = datetime(2026, 11, 18, 9, 0, tzinfo=UTC)


@contextmanager
def serving(app: Any) -> Iterator[str]:
    """Runs an ASGI app in a thread; gives its address."""
    # asyncio sets TCP_NODELAY only where the protocol is named; without it every answer waits 40 ms.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        config = uvicorn.Config(
            app, log_level="warning", lifespan="on", access_log=False, timeout_graceful_shutdown=1
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        wait_until(lambda: server.started or not thread.is_alive())
        assert server.started
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(10)


class SharedServer:
    """One server for many tests: starting one costs more than most tests do. ``use(app)`` serves ``app`` for a while.

    with SharedServer() as server, running_sandbox(server=server) as sandbox: ...
    """

    def __init__(self) -> None:
        self._app: Any = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._serving = serving(self)
        self.url = ""

    def __enter__(self) -> Self:
        self.url = self._serving.__enter__()
        return self

    def __exit__(self, *details: Any) -> None:
        self._serving.__exit__(None, None, None)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            await self._app(scope, receive, send)
            return
        self._loop = asyncio.get_running_loop()
        for phase in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{phase}.complete"})

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """Where requests are handled."""
        assert self._loop is not None
        return self._loop

    def run(self, act: Callable[[], Any]) -> Any:
        """Run ``act`` where requests are handled, as a page of the served application would."""

        async def acted() -> Any:
            return act()

        return asyncio.run_coroutine_threadsafe(acted(), self.loop).result(10)

    @contextmanager
    def use(self, app: Starlette, wrapped: Any) -> Iterator[str]:
        assert self._loop is not None
        self._app = wrapped
        try:
            yield self.url
        finally:
            self._app = None
            asyncio.run_coroutine_threadsafe(_started_and_stopped(app), self._loop).result(10)


async def _started_and_stopped(app: Starlette) -> None:
    async with app.router.lifespan_context(app):
        """Leaving closes what the app opened."""


def wait_until(condition: Callable[[], Any], seconds: float = 5) -> None:
    """Polls until ``condition`` is true; fails at the deadline."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.002)


def pkce() -> tuple[str, str]:
    """A code verifier and its S256 challenge (RFC 7636)."""
    verifier = secrets.token_urlsafe(48)
    return verifier, base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")


@dataclass
class Sandbox:
    """A running sandbox: ``url`` is its own address, ``clock`` its time, ``client`` a plain HTTP client for it."""

    url: str
    clock: Clock
    app: Starlette
    client: httpx.Client
    closing: ExitStack

    @property
    def environment(self) -> dict[str, str]:
        return sandbox_environment(PUBLIC_URL, self.url)

    @property
    def api_url(self) -> str:
        return self.environment["GOOGLE_API_URL"]

    def authorization_query(self, **changes: str | None) -> dict[str, str]:
        """A well-formed authorization request; ``None`` leaves a parameter out."""
        query: dict[str, str | None] = {
            "client_id": CLIENT_ID,
            "redirect_uri": REDIRECT_URI,
            "response_type": "code",
            "scope": f"email profile {CALENDAR_SCOPE}",
            "state": "s t&te",
            "access_type": "offline",
            "prompt": "consent",
        }
        return {name: value for name, value in (query | changes).items() if value is not None}

    def consent_page(self, **changes: str | None) -> httpx.Response:
        return self.client.get("/sandbox/google/o/oauth2/v2/auth", params=self.authorization_query(**changes))

    def decide(
        self, decision: str = "allow", *, email: str = "", untick: str = "", **changes: str | None
    ) -> dict[str, str]:
        """Fills in the consent page and presses a button; gives the parameters of the redirect."""
        page = self.consent_page(**changes)
        assert page.status_code == 200, page.text
        ticked = [
            scope for scope in re.findall(r'name="scope" value="([^"]+)"', page.text) if scope != untick
        ]
        account = re.search(r'value="([^"]+)" checked', page.text)
        request = re.search(r'name="request" value="([^"]+)"', page.text)
        assert request
        form = {
            "request": request[1].replace("&amp;", "&"),
            "account": account[1] if account else "",
            "email": email,
            "scope": ticked,
            "decision": decision,
        }
        return redirected(self.client.post("/sandbox/google/o/oauth2/v2/auth", data=form))

    def token(self, **fields: str) -> httpx.Response:
        """A call of the token endpoint with the client's credentials in the body."""
        form = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "redirect_uri": REDIRECT_URI} | fields
        return self.client.post("/sandbox/google/token", data=form)

    def tokens(self, *, email: str = OWNER, **changes: str | None) -> dict[str, Any]:
        """Consent and exchange; the token endpoint's answer."""
        verifier, challenge = pkce()
        changes = {"code_challenge": challenge, "code_challenge_method": "S256"} | changes
        answer = self.decide(email=email, **changes)
        response = self.token(grant_type="authorization_code", code=answer["code"], code_verifier=verifier)
        assert response.status_code == 200, response.text
        tokens: dict[str, Any] = response.json()
        return tokens

    def sign_in(self, email: str = OWNER, **changes: str | None) -> str:
        """An access token of ``email``."""
        return str(self.tokens(email=email, **changes)["access_token"])

    def api(self, access_token: str, *, checked: bool = True) -> httpx.Client:
        """A client of the Calendar API; ``checked`` holds every exchange against the contract. Closed at the end."""
        transport: httpx.BaseTransport = httpx.HTTPTransport(verify=_TLS)
        client = httpx.Client(
            base_url=f"{self.api_url}/",
            headers={"Authorization": f"Bearer {access_token}"},
            transport=ContractTransport(transport) if checked else transport,
        )
        return self.closing.enter_context(client)

    def rule(self, name: str, on: bool = True, *, provider: str = "google") -> None:
        """Switch a rule of a vendor (:mod:`calendar_app.sandbox.rules`)."""
        path = f"/sandbox/api/{provider}/rules/{name}"
        self.client.put(path, json={"on": on}).raise_for_status()


def redirected(response: httpx.Response) -> dict[str, str]:
    """The query of a redirect to the application's callback."""
    assert response.status_code == 302, response.text
    location = response.headers["location"]
    assert location.startswith(f"{REDIRECT_URI}?")
    return {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}


@contextmanager
def running_sandbox(
    store_path: Path | str = ":memory:",
    *,
    clock: Clock | None = None,
    wrap: Callable[[Starlette], Any] = lambda app: app,
    server: SharedServer | None = None,
    data_dir: Path | None = None,
    **options: Any,
) -> Iterator[Sandbox]:
    """A fresh sandbox, on ``server`` or on one of its own.

    ``options`` go to ``create_app``; ``wrap`` may put ASGI middleware around it. ``data_dir`` is Radicale's, where
    there is one.
    """
    clock = clock or Clock(WEDNESDAY)
    places = {"DATA_DIR": data_dir} if data_dir else {}
    settings = Settings(BASE_URL=PUBLIC_URL, SANDBOX_URL=server.url if server else "", **places)
    app = create_app(settings, store_path=store_path, clock=clock, **options)
    served = server.use(app, wrap(app)) if server else serving(wrap(app))
    with served as url, ExitStack() as closing:
        client = closing.enter_context(httpx.Client(base_url=url, trust_env=False, verify=_TLS))
        yield Sandbox(url, clock, app, client, closing)
