"""Connections to addresses of the public internet only, for :mod:`calendar_app.providers.guard`.

A name is resolved once, every address it has is looked at, and the connection goes to one of these: nobody asks the DNS
a second time, when it could answer otherwise (DNS rebinding). No wait outlasts the call it serves, the one for a name
included: the system's resolver knows no limit, so it is asked in a thread that is left behind when the time is up. All
who want one name wait for one look-up, so that names that never answer cost a thread each and keep no other waiting.
"""

from __future__ import annotations

import atexit
import ipaddress
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

import httpcore
import httpx

from calendar_app.errors import InvalidInput, ProviderUnavailable
from calendar_app.providers.http import tls

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_REFUSED = tuple(
    ipaddress.ip_network(text)
    for text in (
        "192.88.99.0/24",  # 6to4 relays, RFC 7526
        "::/96",  # IPv4-compatible, RFC 4291 §2.5.5.1
        "64:ff9b:1::/48",  # NAT64 inside a network, RFC 8215
        "2001::/32",  # Teredo
        "fec0::/10",  # site-local, RFC 3879
    )
)

MOST_LOOKUPS = 512
"""Names that are looked up at once, those that nobody waits for any more included. Callers bound the others."""
STUCK_S = 60.0
"""Seconds after which a look-up that has not ended is not waited for any more, and the name is looked up anew."""
Resolve = Callable[[str, int], Sequence[str]]
_deadline: ContextVar[float] = ContextVar("guard_deadline")


@lru_cache(maxsize=4)
def network(allowed: frozenset[str]) -> Network:
    """The process's connections. They may be shared: each was vetted when it was made, for the name it serves."""
    found = Network(VettedBackend(allowed))
    atexit.register(found.close)
    return found


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Whatever waits in the block ends when the time is used up."""
    token = _deadline.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _deadline.reset(token)


def time_left(timeout: float | None = None) -> float:
    """Seconds that a wait may take. :raises httpcore.ReadTimeout: the call's time is used up."""
    left = _deadline.get() - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout("the call took too long")
    return left if timeout is None else min(left, timeout)


def check_address(host: str, address: str) -> None:
    """:raises InvalidInput: ``address``, which belongs to ``host``, is not one of the public internet."""
    if not _is_public(ipaddress.ip_address(address)):
        raise refused(f"{host} is an address inside a private network, which may not be called from here.")


def code_of(reason: str) -> str:
    """The public code of a server's trouble that comes of an address which somebody typed."""
    return "calendar_too_large" if reason == "too_large" else reason


def resolve(host: str, port: int) -> list[str]:
    """The addresses of a name, by the system's resolver. :raises ProviderUnavailable: it has none."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise ProviderUnavailable(f"No server called {host} can be found.", reason="dns") from None
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class Lookups:
    """Names that are being looked up, each in a thread of its own."""

    def __init__(self, most: int = MOST_LOOKUPS) -> None:
        self._most = most
        self.forget()

    def forget(self) -> None:
        """Begin anew: in a process that was just forked no thread looks up anything."""
        self._lock = threading.Lock()
        self._running: dict[object, tuple[float, Future[Sequence[str]]]] = {}
        self._places = threading.BoundedSemaphore(self._most)

    def answer(self, name: object, work: Callable[[], Sequence[str]], seconds: float) -> Sequence[str]:
        """What ``work`` comes to for ``name``, or the ``work`` of somebody who asked for it before.

        :raises httpcore.ConnectTimeout: not within ``seconds``; it goes on by itself then.
        """
        with self._lock:
            began, answer = self._running.get(name, (0.0, None))
            if answer is None or time.monotonic() - began > STUCK_S:
                answer = self._start(name, work)
        try:
            return answer.result(max(0.0, seconds))
        except FutureTimeout:
            raise httpcore.ConnectTimeout("the name was not found in time") from None

    def _start(self, name: object, work: Callable[[], Sequence[str]]) -> Future[Sequence[str]]:
        if not self._places.acquire(blocking=False):
            raise httpcore.ConnectTimeout("too many names are being looked up")
        answer: Future[Sequence[str]] = Future()
        self._running[name] = (time.monotonic(), answer)

        def run() -> None:
            try:
                found, error = work(), None
            except Exception as failure:  # noqa: BLE001  # told to whoever waits
                found, error = (), failure
            with self._lock:
                if self._running.get(name, (0.0, None))[1] is answer:
                    del self._running[name]
            self._places.release()
            if error is None:
                answer.set_result(found)
            else:
                answer.set_exception(error)

        threading.Thread(target=run, name="resolve", daemon=True).start()
        return answer


lookups = Lookups()
os.register_at_fork(after_in_child=lookups.forget)


def is_listed(allowed: frozenset[str], host: str, port: int) -> bool:
    name = host.lower()
    return name in allowed or f"{name}:{port}" in allowed


def refused(detail: str) -> InvalidInput:
    return InvalidInput(detail, field="address", code="address_refused")


class VettedBackend(httpcore.NetworkBackend):
    """Opens connections to addresses that were looked at. TLS still checks the name: only the dialling is done here."""

    def __init__(
        self, allowed: frozenset[str], resolve: Resolve = resolve, lookups: Lookups = lookups
    ) -> None:
        self._allowed = allowed
        self._resolve = resolve
        self._lookups = lookups
        self._sockets = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """:raises InvalidInput: the name has an address that is not public, and is not listed."""
        name = (self._resolve, host.lower(), port)
        addresses = self._lookups.answer(name, lambda: self._resolve(host, port), time_left(timeout))
        if not is_listed(self._allowed, host, port):
            for address in addresses:
                check_address(host, address)
        failure: Exception = httpcore.ConnectError("no address")
        for address in addresses:
            try:
                stream = self._sockets.connect_tcp(
                    address, port, time_left(timeout), local_address, socket_options
                )
                return _TimedStream(stream)
            except httpcore.ConnectError as error:
                failure = error
        raise failure


class _TimedStream(httpcore.NetworkStream):
    """A connection on which no wait outlasts the call it serves."""

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, time_left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, time_left(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _TimedStream(self._stream.start_tls(ssl_context, server_hostname, time_left(timeout)))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class Network(httpx.BaseTransport):
    """httpcore's pool behind httpx, whose own transport takes no network backend."""

    def __init__(self, backend: httpcore.NetworkBackend) -> None:
        self._pool = httpcore.ConnectionPool(
            ssl_context=tls(),
            max_connections=None,  # one that is being looked up or dialled keeps nobody else waiting
            max_keepalive_connections=20,
            keepalive_expiry=30.0,
            network_backend=backend,
        )

    def close(self) -> None:
        self._pool.close()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        url = httpcore.URL(
            scheme=request.url.raw_scheme,
            host=request.url.raw_host,
            port=request.url.port,
            target=request.url.raw_path,
        )
        assert isinstance(request.stream, httpx.SyncByteStream)
        answer = self._pool.handle_request(
            httpcore.Request(
                request.method,
                url,
                headers=request.headers.raw,
                content=request.stream,
                extensions=request.extensions,
            )
        )
        return httpx.Response(answer.status, headers=answer.headers, stream=_Body(answer))


class _Body(httpx.SyncByteStream):
    def __init__(self, answer: httpcore.Response) -> None:
        self._answer = answer

    def __iter__(self) -> Iterator[bytes]:
        return self._answer.iter_stream()

    def close(self) -> None:
        self._answer.close()


def _is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Whether it is somewhere out there; for an IPv6 address that carries an IPv4 one, whether that is."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
        if inner is not None:
            return _is_public(inner)
    return (
        address.is_global
        and not address.is_multicast
        and not address.is_reserved
        and not address.is_unspecified
        and not any(address in network for network in _REFUSED)
    )
