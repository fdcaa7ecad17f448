"""A line between a browser and the server that breaks: a loopback proxy that cuts connections where it is told to.

``before``: nothing of the request arrives. ``request``: half of it. ``answer``: all of it, and nothing comes back.
``half``: half of the answer comes back. ``whole``: the line holds.
"""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

CUTS = ("before", "request", "answer", "half")
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class CutLine:
    """One request to a connection. ``plan`` says how the next one goes."""

    def __init__(self, target: str, plan: Callable[[], str]) -> None:
        parts = urlsplit(target)
        self._target = (parts.hostname or "", parts.port or 80)
        self._plan = plan
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def serve(self) -> None:
        """Until the listener is closed."""
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._carry, args=(client, self._plan()), daemon=True).start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _carry(self, client: socket.socket, cut: str) -> None:
        with client, suppress(OSError):
            client.settimeout(20)
            request = _message(client)
            if cut == "before" or not request:
                return
            with socket.create_connection(self._target, timeout=20) as server:
                if cut == "request":
                    server.sendall(request[: len(request) // 2])
                    return
                server.sendall(request)
                answer = _message(server)
            if cut == "half":
                client.sendall(answer[: len(answer) // 2])
            elif cut == "whole":
                client.sendall(answer)


def _message(side: socket.socket) -> bytes:
    """One HTTP message with a length, as uvicorn and httpx send them here."""
    found = b""
    while b"\r\n\r\n" not in found:
        more = side.recv(65_536)
        if not more:
            return found
        found += more
    head, _, body = found.partition(b"\r\n\r\n")
    match = _LENGTH.search(head)
    missing = (int(match[1]) if match else 0) - len(body)
    while missing > 0:
        more = side.recv(65_536)
        if not more:
            break
        found, missing = found + more, missing - len(more)
    return found


@contextmanager
def cut_line(target: str, plan: Callable[[], str]) -> Iterator[str]:
    """A line to ``target``; yields its address."""
    line = CutLine(target, plan)
    thread = threading.Thread(target=line.serve, daemon=True)
    thread.start()
    try:
        yield line.url
    finally:
        line.close()
        thread.join(10)
