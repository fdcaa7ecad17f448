"""The public address, called on a real loopback port: whose it is, its certificate, websockets, and pushes."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from calendar_app.db import entered
from calendar_app.db.tables import EnteredSetting
from calendar_app.errors import InvalidInput, ProviderUnavailable
from calendar_app.providers.outside import Outside, Reached
from calendar_app.services.doctor import reachability
from calendar_app.services.doctor.findings import Finding, Level
from calendar_app.settings import Settings, current_settings
from tests.support import factories
from tests.support.databases import Database

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
NOW = datetime(2030, 5, 1, tzinfo=UTC)


@contextmanager
def front(*, mark: str, upgrades: bool = True, moved_to: str = "") -> Iterator[str]:
    """A proxy's front: ``/health`` with a mark, and a websocket's handshake if it passes those on."""

    class Answers(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if moved_to:
                return self._send(301, b"", Location=f"{moved_to}{self.path}")
            if self.path == "/health":
                return self._send(200, json.dumps({"installation": mark}).encode())
            if not upgrades or self.headers["Upgrade"] != "websocket":
                return self._send(400, b"no upgrade")
            key = hashlib.sha1(self.headers["Sec-WebSocket-Key"].encode() + _GUID).digest()  # noqa: S324  # RFC 6455
            self.send_response(101)
            self.send_header("Upgrade", "websocket")
            self.send_header("Connection", "Upgrade")
            self.send_header("Sec-WebSocket-Accept", base64.b64encode(key).decode())
            self.end_headers()
            self.close_connection = True
            return None

        def _send(self, status: int, body: bytes, **headers: str) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: Any) -> None:
            """Nothing on stderr."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join(10)


def looked(configure: Callable[..., Settings], url: str) -> dict[str, Finding]:
    """What is found of an address that the environment names."""
    configure(BASE_URL=url)
    return {one.name: one for one in reachability.reachability()}


def test_the_address_leads_here(configure: Callable[..., Settings]) -> None:
    """Our own mark comes back and a websocket is opened; plain http is polled, not pushed to."""
    configure()
    with front(mark=reachability.installation_mark()) as url:
        found = looked(configure, url)
    assert {name: one.level for name, one in found.items()} == {
        "address": Level.OK,
        "websocket": Level.OK,
        "push": Level.WARNING,
    }


def test_somebody_else_answers(configure: Callable[..., Settings]) -> None:
    """Another installation, or a proxy's own page, is not taken for ours."""
    with front(mark="somebody-else") as url:
        found = looked(configure, url)
    assert found["address"].level is Level.ERROR
    assert "something else" in found["address"].detail


def test_a_proxy_that_drops_upgrades(configure: Callable[..., Settings]) -> None:
    """The handshake's status and the headers to pass on are named."""
    configure()
    with front(mark=reachability.installation_mark(), upgrades=False) as url:
        found = looked(configure, url)["websocket"]
    assert (found.level, "400" in found.detail, "Upgrade" in found.advice) == (Level.ERROR, True, True)


def test_the_address_leads_on(configure: Callable[..., Settings]) -> None:
    """Where people end up is what BASE_URL should be."""
    configure()
    with (
        front(mark=reachability.installation_mark()) as there,
        front(mark="", moved_to=there) as url,
    ):
        configure(ALLOWED_PRIVATE_HOSTS=there.removeprefix("http://"))
        found = looked(configure, url)["address"]
    assert (found.level, there in found.advice) == (Level.WARNING, True)


def test_nobody_answers(configure: Callable[..., Settings]) -> None:
    """A closed port is an error with what to look at."""
    with front(mark="") as url:
        pass
    found = looked(configure, url)
    assert found["address"].level is found["websocket"].level is Level.ERROR
    assert "proxy" in found["address"].advice


def test_this_machine_only(settings: Settings) -> None:
    """Without a public address nothing is called, and both consequences are told."""
    found = {one.name: one.level for one in reachability.reachability()}
    assert found == {"address": Level.WARNING, "push": Level.WARNING}


def test_an_entered_address_is_called_as_a_typed_one(configure: Callable[..., Settings]) -> None:
    """Whoever enters an address in a page cannot have this machine call its own network."""
    settings = configure().model_copy(update={"base_url": "http://127.0.0.1:9"})
    with pytest.raises(InvalidInput):
        Outside(settings, trusted=False).reach()
    secure = settings.model_copy(update={"base_url": "https://127.0.0.1:9"})
    with pytest.raises(InvalidInput):
        Outside(secure, trusted=False).certificate_ends()


@pytest.mark.parametrize("address", ["http://127.0.0.1:9", "https://192.168.1.5", "http://cal.example.com"])
def test_an_entered_private_address_is_not_called(database: Database, address: str) -> None:
    """That is said with what to do, and is no error: inside of a network it may well be right."""
    factories.save(EnteredSetting(name="BASE_URL", value=address))
    entered.forget()
    found = {one.name: one for one in reachability.reachability()}
    assert found["address"].level is Level.WARNING
    assert "ALLOWED_PRIVATE_HOSTS" in found["address"].advice
    assert "websocket" not in found


class Fake(Outside):
    """An address over TLS: ``ends`` is what its certificate says."""

    def __init__(self, ends: datetime | str) -> None:
        self.ends = ends

    def reach(self) -> Reached:
        return Reached(200, current_settings().public_url, reachability.installation_mark())

    def websocket(self) -> int:
        return 101

    def certificate_ends(self, context: object = None) -> datetime:
        if isinstance(self.ends, str):
            raise ProviderUnavailable(self.ends)
        return self.ends


@pytest.mark.parametrize(
    ("ends", "level"),
    [
        (NOW + timedelta(days=60), Level.OK),
        (NOW + timedelta(days=5), Level.WARNING),
        (NOW - timedelta(days=1), Level.ERROR),
        ("The certificate of calendar.example.com is not valid (self-signed certificate).", Level.ERROR),
    ],
)
def test_a_certificate_that_ends(
    configure: Callable[..., Settings], ends: datetime | str, level: Level
) -> None:
    """One that should have renewed itself is a warning, an expired or unknown one an error; pushes come to https."""
    configure(BASE_URL="https://calendar.example.com")
    found = {one.name: one for one in reachability.reachability(lambda _: Fake(ends), lambda: NOW)}
    assert found["tls"].level is level
    assert found["push"].level is found["address"].level is Level.OK


def test_health_carries_the_mark(database: Database, api: httpx.Client) -> None:
    """What the address is known by is what ``/health`` answers, and it is not the key."""
    mark = api.get("/health").json()["installation"]
    assert mark == reachability.installation_mark()
    assert mark not in current_settings().secret_key.get_secret_value()
