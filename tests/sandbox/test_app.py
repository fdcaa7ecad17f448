"""The sandbox as a process: where it runs, what it keeps, how the web process shows it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse

from calendar_app.sandbox.app import create_app
from calendar_app.sandbox.environment import CLIENT_ID, sandbox_environment
from calendar_app.sandbox.web import WithSandbox
from calendar_app.settings import Settings, SettingsError
from tests.sandbox.server import OWNER, Sandbox, SharedServer, running_sandbox, serving
from tests.sandbox.test_events import EVENTS, timed


def test_production_refuses_the_sandbox() -> None:
    """One sentence, whatever else is set."""
    settings = Settings(
        ALMANAC_ENV="production",
        SECRET_KEY="x" * 32,
        ENCRYPTION_KEYS="eHh4" * 10 + "eHg=",
        BASE_URL="https://app.example",
    )
    with pytest.raises(SettingsError, match="cannot run in production"):
        create_app(settings, store_path=":memory:")


def test_importing_opens_no_file_and_serving_does(tmp_path: Path) -> None:
    """The `app` attribute is made when asked for, in DATA_DIR."""
    script = (
        "import os, pathlib, calendar_app.sandbox.app as module\n"
        "here = pathlib.Path(os.environ['DATA_DIR'])\n"
        "assert not here.exists()\n"
        "module.app\n"
        "assert (here / 'sandbox.db').exists()\n"
    )
    environment = {**os.environ, "DATA_DIR": str(tmp_path / "data"), "ALMANAC_SANDBOX": "on"}
    subprocess.run([sys.executable, "-c", script], env=environment, check=True, timeout=30)


def test_environment_leads_the_application_to_the_sandbox(configure: Callable[..., Settings]) -> None:
    """Settings made from it are complete: browsers go through the public address, servers straight."""
    settings = configure(**sandbox_environment("https://app.example", "http://127.0.0.1:9"))
    assert settings.sandbox
    assert settings.google_client_id == CLIENT_ID
    assert settings.google_auth_url == "https://app.example/sandbox/google/o/oauth2/v2/auth"
    for url in (settings.google_token_url, settings.google_revoke_url, settings.google_userinfo_url):
        assert url.startswith("http://127.0.0.1:9/sandbox/google/")
    assert settings.google_api_url == "http://127.0.0.1:9/sandbox/google/calendar/v3"
    assert settings.sandbox_url == "http://127.0.0.1:9"


def test_everything_survives_a_restart(tmp_path: Path) -> None:
    """Events, tokens, sync tokens and channels are in the file; the seed is planted once."""
    path = tmp_path / "sandbox.db"
    with running_sandbox(path) as sandbox:
        tokens = sandbox.tokens()
        api = sandbox.api(tokens["access_token"])
        sync = api.get(EVENTS).json()["nextSyncToken"]
        api.post(EVENTS, json=timed(id="booking0001"))
    with running_sandbox(path) as sandbox:
        api = sandbox.api(tokens["access_token"])
        assert [item["id"] for item in api.get(EVENTS, params={"syncToken": sync}).json()["items"]] == [
            "booking0001"
        ]
        assert len(sandbox.client.get("/sandbox/api/accounts").json()["items"]) == 1
        fresh = sandbox.token(grant_type="refresh_token", refresh_token=tokens["refresh_token"])
        assert fresh.status_code == 200
    assert tokens["access_token"].encode() not in path.read_bytes()
    assert tokens["refresh_token"].encode() not in path.read_bytes()


def test_token_life_is_a_setting(server: SharedServer) -> None:
    """A shorter life is told and kept."""
    with running_sandbox(server=server, access_token_seconds=30) as sandbox:
        tokens = sandbox.tokens()
        assert tokens["expires_in"] == 29
        sandbox.clock.advance(seconds=30)
        assert sandbox.api(tokens["access_token"]).get(EVENTS).status_code == 401


def test_middleware_may_answer_in_place_of_a_handler(server: SharedServer) -> None:
    """Whatever stands around the app can replace an answer or hide one that was carried out."""

    def wrap(app: Any) -> Any:
        async def around(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http" and scope["path"].endswith("/colors"):
                await PlainTextResponse("busy", 503, headers={"Retry-After": "7"})(scope, receive, send)
                return
            await app(scope, receive, send)

        return around

    with running_sandbox(server=server, wrap=wrap) as sandbox:
        api = sandbox.api(sandbox.sign_in(), checked=False)
        assert api.get("colors").headers["retry-after"] == "7"
        assert api.get(EVENTS).status_code == 200


@pytest.fixture
def fronted(sandbox: Sandbox) -> Iterator[str]:
    """An application that shows the sandbox under its own address."""
    with serving(WithSandbox(FastAPI(), sandbox.url)) as url:
        yield url


def test_proxy_shows_pages_and_api(sandbox: Sandbox, fronted: str) -> None:
    """Pages, redirects, encoded ids, bodies and status codes come through as they are."""
    with httpx.Client(base_url=fronted) as client:
        assert "Olivia Owner" in client.get("/sandbox").text
        assert client.head("/sandbox/static/sandbox.css").status_code == 200
        form = {"calendar": OWNER, "title": "Through", "start": "2026-11-20T09:00", "end": "2026-11-20T10:00"}
        answer = client.post("/sandbox/actions/add-event", data=form)
        assert answer.headers["location"] == "/sandbox?done=added#owner%40example.com"
        token = {"Authorization": f"Bearer {sandbox.sign_in()}"}
        api = f"/sandbox/google/calendar/v3/calendars/{OWNER.replace('@', '%40')}/events"
        assert (
            client.get(api, params={"q": "Through"}, headers=token).json()["items"][0]["summary"] == "Through"
        )
        assert client.post(api, json=timed(id="bad id"), headers=token).status_code == 400
        assert client.get("/sandbox/nothing").status_code == 404
        query = sandbox.authorization_query()
        assert client.get("/sandbox/google/o/oauth2/v2/auth", params=query).status_code == 200


def test_proxy_keeps_the_applications_cookies_to_itself(server: SharedServer) -> None:
    """The stand-in is another party: no cookie goes there, none comes back, nor do hop-by-hop headers."""
    other = FastAPI()

    @other.get("/sandbox/echo")
    async def echo(request: Request) -> PlainTextResponse:
        headers = {
            "Set-Cookie": "session=stolen",
            "Location": f"{request.base_url}sandbox/x",
            "Connection": "x-hop",
        }
        names = ",".join(sorted(request.headers))
        return PlainTextResponse(names, headers=headers | {"X-Hop": "1", "X-Stays": "1"})

    with serving(other) as target, serving(WithSandbox(FastAPI(), target)) as url:
        sent = {"Cookie": "session=secret", "X-Own": "1", "Connection": "x-gone", "X-Gone": "1"}
        answer = httpx.get(f"{url}/sandbox/echo", headers=sent)
    names = answer.text.split(",")
    assert "x-own" in names
    assert "x-forwarded-host" in names
    assert not {"cookie", "x-gone"} & set(names)
    assert "set-cookie" not in answer.headers
    assert "x-hop" not in answer.headers
    assert answer.headers["x-stays"] == "1"
    assert answer.headers["location"] == "/sandbox/x"


def test_proxy_says_when_the_sandbox_is_down() -> None:
    """502 and a sentence."""
    with serving(WithSandbox(FastAPI(), "http://127.0.0.1:9")) as url:
        answer = httpx.get(f"{url}/sandbox")
    assert answer.status_code == 502
    assert answer.text.startswith("The sandbox is not answering.")


def test_only_the_sandboxes_paths_are_forwarded(sandbox: Sandbox) -> None:
    """Every other request is the product's, also one whose path begins alike; both answer with security headers."""
    product = FastAPI()

    @product.get("/{path:path}")
    async def own(path: str) -> PlainTextResponse:
        return PlainTextResponse(f"product at /{path}")

    with serving(WithSandbox(product, sandbox.url)) as url:
        for path in ("/", "/dashboard", "/sandboxes", "/book/sandbox"):
            assert httpx.get(url + path).text == f"product at {path}"
        page = httpx.get(f"{url}/sandbox")
    assert "Olivia Owner" in page.text
    assert page.headers["x-frame-options"] == "DENY"
    assert "script-src 'self'" in page.headers["content-security-policy"]


def test_the_products_lifespan_goes_on_behind_the_sandbox(sandbox: Sandbox) -> None:
    """What the product starts and ends with its server is started and ended."""
    seen: list[str] = []

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        seen.append("started")
        yield
        seen.append("ended")

    with serving(WithSandbox(FastAPI(lifespan=lifespan), sandbox.url)) as url:
        assert httpx.get(f"{url}/sandbox").status_code == 200
        assert seen == ["started"]
    assert seen == ["started", "ended"]
