"""The outermost layer: headers on every answer, prerendered pages at their own address."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from calendar_app.edge import Edge, behind_proxies, script_hashes
from tests.support.web import served

INLINE = "document.title='a'"
PAGE = f'<html><script>{INLINE}</script><script type="module" src="/assets/a.js"></script></html>'


@pytest.fixture
def static(tmp_path: Path) -> Path:
    (tmp_path / "dashboard").mkdir()
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text(PAGE)
    (tmp_path / "dashboard" / "index.html").write_text(PAGE)
    (tmp_path / "assets" / "entry-Ab3_xY9z.js").write_text("1")
    return tmp_path


@contextmanager
def client(static: Path, *, https: bool = False) -> Iterator[httpx.Client]:
    def own(_request: Request) -> Response:
        return HTMLResponse(
            "<p>", headers={"Content-Security-Policy": "default-src 'none'", "X-Frame-Options": "SAMEORIGIN"}
        )

    async def echo(request: Request) -> Response:
        return PlainTextResponse(request.url.path)

    app = Starlette(
        routes=[
            Route("/own", own),
            Route("/dashboard", echo, methods=["POST"]),
            Mount("/", StaticFiles(directory=static, html=True)),
        ]
    )
    with served(Edge(app, static, https=https)) as url, httpx.Client(base_url=url) as browser:
        yield browser


def policy(answer: httpx.Response) -> str:
    return str(answer.headers["content-security-policy"])


def test_every_answer_has_the_headers(static: Path) -> None:
    """Pages, files and misses alike forbid framing and sniffing."""
    with client(static) as browser:
        for path in ("/", "/assets/entry-Ab3_xY9z.js", "/missing"):
            headers = browser.get(path).headers
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["x-frame-options"] == "DENY"
            assert "strict-transport-security" not in headers


@pytest.mark.parametrize(
    ("trusted", "peer", "seen"),
    [
        ("127.0.0.1", "127.0.0.1", "203.0.113.9"),
        ("10.0.0.0/8", "10.1.2.3", "203.0.113.9"),
        ("127.0.0.1", "198.51.100.7", "198.51.100.7"),
        ("", "127.0.0.1", "127.0.0.1"),
    ],
)
def test_only_a_trusted_proxy_names_the_visitor(trusted: str, peer: str, seen: str) -> None:
    """Limits count by the visitor's address behind the operator's proxy, and nobody can invent one."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse(Request(scope).client.host)(scope, receive, send)  # type: ignore[union-attr]

    async def ask() -> str:
        transport = httpx.ASGITransport(behind_proxies(app, trusted), client=(peer, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as visitor:
            return (await visitor.get("/", headers={"X-Forwarded-For": "192.0.2.1, 203.0.113.9"})).text

    assert asyncio.run(ask()) == seen


def test_https_asks_for_https(static: Path) -> None:
    """A site that is reached over TLS says that it always will be."""
    with client(static, https=True) as browser:
        assert "max-age=" in browser.get("/").headers["strict-transport-security"]


def test_only_the_builds_own_scripts_may_run(static: Path) -> None:
    """The policy names the hash of the page's inline script and allows no other inline script."""
    digest = base64.b64encode(hashlib.sha256(INLINE.encode()).digest()).decode()
    with client(static) as browser:
        answer = browser.get("/")
    scripts = next(part for part in policy(answer).split("; ") if part.startswith("script-src"))
    assert scripts == f"script-src 'self' 'sha256-{digest}'"
    assert "connect-src 'self'" in policy(answer)


def test_external_scripts_need_no_hash(tmp_path: Path) -> None:
    """A script with a source is covered by its address."""
    page = tmp_path / "page.html"
    page.write_text('<script defer src="/a.js"></script><script\ntype="module">x</script>')
    assert len(script_hashes([page])) == 1


def test_a_prerendered_page_is_served_where_it_was_asked_for(static: Path) -> None:
    """No redirect to a trailing slash, which would name the wrong scheme behind a proxy."""
    with client(static) as browser:
        answer = browser.get("/dashboard")
    assert answer.status_code == 200
    assert answer.text == PAGE


def test_only_reads_are_sent_to_the_page(static: Path) -> None:
    """A POST keeps its path."""
    with client(static) as browser:
        assert browser.post("/dashboard").text == "/dashboard"


def test_a_route_may_set_its_own_policy(static: Path) -> None:
    """The layer fills in what is missing and replaces nothing."""
    with client(static) as browser:
        answer = browser.get("/own")
    assert policy(answer) == "default-src 'none'"
    assert answer.headers["x-frame-options"] == "SAMEORIGIN"


def test_fingerprinted_files_are_kept_for_good_and_pages_asked_for_again(static: Path) -> None:
    """A file whose name holds its hash never changes; a page may."""
    with client(static) as browser:
        assert "immutable" in browser.get("/assets/entry-Ab3_xY9z.js").headers["cache-control"]
        assert browser.get("/").headers["cache-control"] == "no-cache"


def test_without_a_build_there_are_still_headers(tmp_path: Path) -> None:
    """A backend without pages is no reason to fail."""
    with client(tmp_path) as browser:
        answer = browser.get("/missing")
    assert answer.status_code == 404
    assert answer.headers["x-frame-options"] == "DENY"
