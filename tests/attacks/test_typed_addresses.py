"""Addresses that people type, over real HTTP: whatever they lead to, nothing inside is called (OWASP ASVS 5 V1.3).

``Evil`` is a server that the operator allows, so that it can be called on loopback; it redirects, and answers with
bombs. ``Inside`` is what it would reach: whatever arrives there is a hole.
"""

from __future__ import annotations

import gzip
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from sqlmodel import select

from calendar_app.db.session import reading
from calendar_app.db.tables import Connection
from calendar_app.providers import http
from calendar_app.services.common import rate_limits
from calendar_app.settings import Settings
from tests.support.databases import Database
from tests.support.long_form import LONG
from tests.support.people import User, user

pytestmark = pytest.mark.timeout(180)

PASSWORD = "app-password-of-ada"
INSIDE = [
    "https://127.0.0.1/",
    "https://127.1/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0177.0.0.1/",
    "https://0/",
    "https://localhost/",
    "https://[::1]/",
    "https://[::]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:a9fe:a9fe]/",
    "https://[64:ff9b::a9fe:a9fe]/",
    "https://[fe80::1]/",
    "https://[fd00::1]/",
    "https://10.1.2.3/",
    "https://172.16.0.1/",
    "https://192.168.1.1/",
    "https://100.64.0.1/",
    "https://169.254.169.254/latest/meta-data/",
    "https://2852039166/latest/meta-data/",
    "https://0.0.0.0/",
    "http://example.com/",
    "http://169.254.169.254/",
    "file:///etc/passwd",
    "ftp://example.com/",
    "gopher://127.0.0.1:6379/_FLUSHALL",
    "https://ada:secret@example.com/",
    "https://127.0.0.1:99999/",
]
BOMB = 256 * 2**20
ENTITIES = "".join(f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 20}">' for n in range(12))
LAUGHS = (
    f'<?xml version="1.0"?><!DOCTYPE m [<!ENTITY a "{"lol" * 20}">{ENTITIES}]>'
    '<D:multistatus xmlns:D="DAV:">&m;</D:multistatus>'
)
SHORT = ("gzip", "a billion laughs", "an external entity")
EXTERNAL = (
    '<?xml version="1.0"?><!DOCTYPE m [<!ENTITY x SYSTEM "{inside}">]>'
    '<D:multistatus xmlns:D="DAV:"><D:response><D:href>&x;</D:href></D:response></D:multistatus>'
)


class Server:
    """A web server on loopback that does with each request what ``answer`` says, and remembers it."""

    def __init__(self, answer: Callable[[BaseHTTPRequestHandler], None]) -> None:
        self.seen: list[tuple[str, str, str]] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do(self) -> None:
                self.rfile.read(int(self.headers.get("content-length") or 0))
                server.seen.append((self.command, self.path, self.headers.get("authorization", "")))
                answer(self)

            do_GET = do_HEAD = do_OPTIONS = do_PROPFIND = do_REPORT = do_PUT = do_POST = do

            def log_message(self, format: str, *args: Any) -> None:
                """Quiet."""

        class Quiet(ThreadingHTTPServer):
            def handle_error(self, request: Any, client_address: Any) -> None:
                """Who hangs up on a bomb is right to."""

        self._server = Quiet(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self._server.server_port}"

    @contextmanager
    def running(self) -> Iterator[Server]:
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            thread.join()
            self._server.server_close()


def reply(to: BaseHTTPRequestHandler, status: int, body: bytes = b"", **headers: str) -> None:
    try:
        to.send_response(status)
        for name, value in headers.items():
            to.send_header(name.replace("_", "-"), value)
        to.send_header("content-length", str(len(body)))
        to.end_headers()
        if to.command != "HEAD":
            to.wfile.write(body)
    except OSError:
        """The other side has hung up on a bomb."""


@pytest.fixture
def ada(database: Database, configure: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch) -> User:
    if database.kind == "postgresql" and not LONG:
        pytest.skip("on SQLite alone, but in the long form")
    monkeypatch.setattr(http, "BACKOFF", (0.01, 0.02, 0.04))
    return user()


@pytest.fixture
def inside() -> Iterator[Server]:
    with Server(lambda request: reply(request, 200, b"the crown jewels")).running() as server:
        yield server


def _connect(api: httpx.Client, who: User, kind: str, address: str) -> httpx.Response:
    rate_limits.forget()
    body = {"url": address}
    if kind == "caldav":
        body |= {"username": "ada", "password": PASSWORD}
    return api.post(f"/api/v1/connections/{kind}", headers=who.bearer, json=body)


def _nothing_came_of_it(answer: httpx.Response) -> None:
    """An error in words, without what was found there."""
    assert 400 <= answer.status_code < 500 or answer.status_code in (502, 503), answer.text
    body = answer.json()
    assert body["detail"].endswith((".", "?"))
    assert "crown jewels" not in answer.text
    assert PASSWORD not in answer.text
    with reading() as session:
        assert not session.exec(select(Connection)).all()


@pytest.mark.parametrize("kind", ["caldav", "ics"])
def test_addresses_inside_are_refused(
    api: httpx.Client, ada: User, kind: str, record_property: Callable[[str, object], None], inside: Server
) -> None:
    """However they are written, by name, decimal, octal, mapped into IPv6, with another scheme or credentials."""
    port = inside.host.rpartition(":")[2]
    addresses = [*INSIDE, *(f"http://{host}:{port}/" for host in ("127.0.0.1", "localhost", "[::1]"))]
    addresses += [f"https://{host}:{port}/" for host in ("127.0.0.1", "2130706433", "[::ffff:127.0.0.1]")]
    for address in addresses:
        answer = _connect(api, ada, kind, address)
        _nothing_came_of_it(answer)
        assert answer.status_code == 422, (address, answer.text)
    assert inside.seen == []
    record_property("count", f"{kind}: {len(addresses)} addresses refused")


@pytest.mark.parametrize("kind", ["caldav", "ics"])
def test_redirects_lead_nowhere_inside(
    api: httpx.Client, ada: User, kind: str, inside: Server, configure: Callable[..., Settings]
) -> None:
    """A server that may be called sends us to one that may not, down to http, or to itself for ever; a password goes to
    no other origin."""
    targets = [
        f"http://{inside.host}/",
        f"https://{inside.host}/",
        f"//{inside.host}/",
        *INSIDE[:6],
        "/again",
    ]
    for status in (301, 302, 303, 307, 308) if LONG else (302, 307):
        for target in targets:
            evil = Server(lambda request, to=target, s=status: reply(request, s, location=to))  # type: ignore[misc]
            with evil.running():
                configure(ALLOWED_PRIVATE_HOSTS=evil.host)
                _nothing_came_of_it(_connect(api, ada, kind, f"http://{evil.host}/calendar"))
            assert evil.seen, "the server that may be called was not"
    assert inside.seen == []


def test_a_password_reaches_no_other_host(
    api: httpx.Client, ada: User, configure: Callable[..., Settings]
) -> None:
    """Also where both servers may be called."""
    second = Server(lambda request: reply(request, 401, www_authenticate='Basic realm="x"'))
    with second.running():
        first = Server(lambda request: reply(request, 302, location=f"http://{second.host}/"))
        with first.running():
            configure(ALLOWED_PRIVATE_HOSTS=f"{first.host},{second.host}")
            _nothing_came_of_it(_connect(api, ada, "caldav", f"http://{first.host}/"))
    assert second.seen, "the redirect was not followed"
    assert not [seen for seen in second.seen if seen[2]]


@cache
def _packed(start: bytes = b"") -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    parts = [packer.compress(start), *(packer.compress(bytes(2**20)) for _ in range(BOMB // 2**20))]
    return b"".join([*parts, packer.flush()])


def _bombs(inside: str) -> dict[str, tuple[bytes, dict[str, str]]]:
    deep = b'<D:multistatus xmlns:D="DAV:">' + b"<D:a>" * 200_000
    ics = b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nX-A:"
    return {
        "gzip": (_packed(), {"content_encoding": "gzip"}),
        "gzip in gzip": (gzip.compress(_packed()), {"content_encoding": "gzip, gzip"}),
        "gzip of a calendar": (_packed(ics) if LONG else b"", {"content_encoding": "gzip"}),
        "a billion laughs": (LAUGHS.encode(), {}),
        "an external entity": (EXTERNAL.format(inside=f"http://{inside}/").encode(), {}),
        "a file entity": (EXTERNAL.format(inside="file:///etc/passwd").encode(), {}),
        "too deep": (deep, {}),
    }


@pytest.mark.parametrize("kind", ["caldav", "ics"])
def test_bombs_are_bounded(
    api: httpx.Client,
    ada: User,
    kind: str,
    inside: Server,
    configure: Callable[..., Settings],
    record_property: Callable[[str, object], None],
) -> None:
    """Compressed bombs, entities that grow or that fetch, and depth: refused soon, within memory, and nothing is
    fetched or read from this machine."""
    longest = 0.0
    bombs = {name: bomb for name, bomb in _bombs(inside.host).items() if LONG or name in SHORT}
    for name, (body, headers) in bombs.items():
        content_type = "text/calendar" if kind == "ics" else "application/xml; charset=utf-8"
        given = {"content_type": content_type, **headers}
        evil = Server(
            lambda request, b=body, h=given: reply(request, 207 if kind == "caldav" else 200, b, **h)
        )  # type: ignore[misc]
        with evil.running():
            configure(ALLOWED_PRIVATE_HOSTS=evil.host)
            before, began = _peak(reset=True), time.process_time()
            answer = _connect(api, ada, kind, f"http://{evil.host}/calendar")
            took, grown = time.process_time() - began, _peak() - before
        _nothing_came_of_it(answer)
        assert "root:" not in answer.text
        assert evil.seen, name
        assert took < 6, f"{name}: {took:.1f} s"
        assert grown < 200 * 2**20, f"{name}: {grown / 2**20:.0f} MB"
        longest = max(longest, took)
    assert inside.seen == []
    record_property("count", f"{kind}: {len(bombs)} bombs, {longest:.1f} s of CPU at most")


def _peak(*, reset: bool = False) -> int:
    """Bytes that this process, which serves the API here, had in memory at most since the last reset."""
    if reset:
        with open("/proc/self/clear_refs", "w") as clear:
            clear.write("5")
    with open("/proc/self/status") as status:
        (line,) = (line for line in status if line.startswith("VmRSS" if reset else "VmHWM"))
    return int(line.split()[1]) * 1024
