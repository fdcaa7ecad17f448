"""Receivers of webhooks, as others write them: on a loopback port, built with the ``standardwebhooks`` libraries."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook


@dataclass(frozen=True, slots=True)
class Reply:
    """What a receiver answers; after ``seconds``, with ``body`` so many times in a row. Status 0: it hangs up."""

    status: int = 204
    body: bytes = b""
    times: int = 1
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Got:
    """A request as it came; ``reply`` is what it was answered."""

    id: str
    headers: dict[str, str]
    body: bytes
    reply: Reply

    @property
    def payload(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found


class Receiver:
    """A receiver at ``url``. ``choose`` says how to answer a request; ``got`` are all, in the order of their coming."""

    def __init__(self) -> None:
        self.got: list[Got] = []
        self.choose: Callable[[dict[str, Any]], Reply] = lambda _payload: Reply()
        self.url = ""
        self._lock = threading.Lock()

    def answer(self, *replies: Reply) -> None:
        """Answer in this order, and with the last one from then on."""
        left = list(replies)
        self.choose = lambda _payload: left.pop(0) if len(left) > 1 else left[0]

    @property
    def taken(self) -> list[Got]:
        """Those that were answered with success."""
        return [one for one in self.got if 200 <= one.reply.status < 300]

    def verified(self, secret: str) -> list[dict[str, Any]]:
        """Every payload, its signature checked. :raises standardwebhooks.WebhookVerificationError: one is wrong."""
        return [Webhook(secret).verify(one.body.decode(), one.headers) for one in self.got]

    def _receive(self, headers: dict[str, str], body: bytes) -> Reply:
        with self._lock:
            reply = self.choose(json.loads(body))
            self.got.append(Got(headers["webhook-id"], headers, body, reply))
        return reply


@contextmanager
def receiver(host: str = "127.0.0.1") -> Iterator[Receiver]:
    """A running receiver; ``host`` must be among ALLOWED_PRIVATE_HOSTS."""
    made = Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            length = int(self.headers.get("content-length", "0"))
            body = self.rfile.read(length)
            if len(body) < length:  # the sender died
                self.close_connection = True
                return
            reply = made._receive({name.lower(): value for name, value in self.headers.items()}, body)
            time.sleep(reply.seconds)
            if not reply.status:
                self.close_connection = True
                return
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            if reply.status not in (204, 304):
                self.send_header("content-length", str(len(reply.body) * reply.times))
            self.end_headers()
            try:
                for _ in range(reply.times):
                    self.wfile.write(reply.body)
            except OSError:  # enough was read
                self.close_connection = True

        def log_message(self, format: str, *arguments: Any) -> None:
            """Nothing: the tests tell."""

    server = ThreadingHTTPServer((host, 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    made.url = f"http://{host}:{server.server_address[1]}/hook"
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
