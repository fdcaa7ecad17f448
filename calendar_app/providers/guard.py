"""Calls to addresses that people typed: CalDAV servers and calendar feeds.

Whoever types an address makes this server call it, and could so reach what only this server can: itself, its network,
its cloud's metadata (OWASP ASVS 5, V1.3; server-side request forgery). So a name is resolved here, every address it has
must be a public one, and the connection goes to exactly an address that was looked at: a second DNS answer is never
asked for. Each redirect is such a call anew; a password goes to the origin it was typed for and to no other. Bodies are
bounded after decompression, and a call as a whole has a time limit, however slowly an answer drips in. The dialling is
done by :mod:`calendar_app.providers.vetted`.

Hosts in ``ALLOWED_PRIVATE_HOSTS`` are the operator's exception: they may be private and speak plain http.
"""

from __future__ import annotations

import ssl
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Self

import httpcore
import httpx

from calendar_app.errors import InvalidInput, ProviderUnavailable
from calendar_app.providers.http import MeteredClient
from calendar_app.providers.vetted import (
    check_address,
    is_listed,
    lookups,
    network,
    refused,
    resolve,
    time_left,
    time_limit,
)
from calendar_app.settings import Settings

MAX_REDIRECTS = 5
MAX_URL = 2_000
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_READING = frozenset({"GET", "HEAD", "OPTIONS", "PROPFIND", "REPORT"})


def guarded_client(
    settings: Settings,
    *,
    timeout: float,
    max_bytes: int,
    auth: httpx.Auth | None = None,
    transport: httpx.BaseTransport | None = None,
    redirects: int = MAX_REDIRECTS,
    cut: bool = False,
) -> GuardedClient:
    """A client for typed addresses. ``timeout`` in seconds is for a whole call with its redirects, ``max_bytes`` for
    each body as decompressed: a longer one is refused or, with ``cut``, its beginning is the answer. So many
    ``redirects`` are followed; with none, they are answers. ``transport`` is a seam for tests: it replaces the network,
    not the rules for addresses.
    """
    allowed = frozenset(settings.allowed_private_hosts)
    return GuardedClient(
        transport or network(allowed),
        allowed=allowed,
        timeout=timeout,
        max_bytes=max_bytes,
        auth=auth,
        redirects=redirects,
        cut=cut,
    )


def check_typed_address(settings: Settings, url: str, *, seconds: float = 2.0) -> None:
    """Refuse an address that could not be called whatever answers there, when somebody types it. A name that the DNS
    does not know, or not in time, is let through: it is looked at again with each call.

    :raises InvalidInput: ``address_refused``.
    """
    allowed = frozenset(settings.allowed_private_hosts)
    target = check_url(url, allowed)
    port = _origin(target)[2]
    if is_listed(allowed, target.host, port):
        return
    with suppress(ProviderUnavailable, httpcore.ConnectTimeout):
        for address in lookups.answer(
            (resolve, target.host, port), lambda: resolve(target.host, port), seconds
        ):
            check_address(target.host, address)


class GuardedClient:
    """Requests whose answers have been read completely. Every error is :class:`InvalidInput` (the address may not be
    called) or :class:`ProviderUnavailable` (``reason``: dns, network, timeout, certificate, too_large, redirects,
    bad_body); answers of any status are answers."""

    def __init__(
        self,
        transport: httpx.BaseTransport,
        *,
        allowed: frozenset[str],
        timeout: float,
        max_bytes: int,
        auth: httpx.Auth | None = None,
        redirects: int = MAX_REDIRECTS,
        cut: bool = False,
    ) -> None:
        self._allowed = allowed
        self._timeout = timeout
        self._auth = auth
        self._redirects = redirects
        self._client = MeteredClient(
            transport=_Bounded(transport, max_bytes, cut=cut),
            timeout=httpx.Timeout(timeout, connect=min(timeout, 5.0)),
            headers={"user-agent": "Almanac-Calendar/1", "accept-encoding": "gzip"},
            follow_redirects=False,
            trust_env=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to give back: connections belong to the process, and end when they idle."""

    def get(self, url: str, *, headers: Mapping[str, str] | None = None) -> httpx.Response:
        """:meth:`request` with GET."""
        return self.request("GET", url, headers=headers)

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        timeout: float | None = None,
    ) -> httpx.Response:
        """The answer at the end of all redirects; ``response.url`` tells where that was. ``timeout`` in seconds is for
        a call that may take longer or shorter than others.

        Redirects keep method and body (303 turns to GET). To another origin only reading methods follow, without
        credentials; where credentials were wanted there, the error says so.

        :raises InvalidInput: ``address_refused``, ``redirect_refused``. :raises ProviderUnavailable: see the class.
        """
        target = check_url(url, self._allowed)
        origin = _origin(target)
        with time_limit(timeout or self._timeout):
            for _ in range(self._redirects + 1):
                at_home = _origin(target) == origin
                response = self._send(method, target, headers, content, timeout, authenticated=at_home)
                is_redirect = response.status_code in _REDIRECTS and "location" in response.headers
                if not is_redirect or not self._redirects:
                    if response.status_code == 401 and self._auth is not None and not at_home:
                        raise _withheld(target)
                    return response
                target = self._next(response, method, origin)
                if response.status_code == 303 and method != "HEAD":
                    method, content = "GET", None
        raise ProviderUnavailable("The server sends us round in circles.", reason="redirects")

    def _send(
        self,
        method: str,
        url: httpx.URL,
        headers: Mapping[str, str] | None,
        content: bytes | None,
        timeout: float | None,
        *,
        authenticated: bool,
    ) -> httpx.Response:
        request = self._client.build_request(method, url, headers=dict(headers or {}), content=content)
        if timeout is not None:
            request.extensions["timeout"] = httpx.Timeout(timeout, connect=5.0).as_dict()
        if not authenticated:
            for name in ("authorization", "cookie"):
                request.headers.pop(name, None)
        with _plain_errors(url.host):
            return self._client.send(request, auth=self._auth if authenticated else httpx.Auth())

    def _next(self, response: httpx.Response, method: str, origin: tuple[str, str, int]) -> httpx.URL:
        """Where a redirect leads, if we may go there."""
        try:
            target = response.url.join(response.headers["location"])
        except (httpx.InvalidURL, ValueError):
            raise ProviderUnavailable(
                "The server sends us on to an address that cannot be read.", reason="redirects"
            ) from None
        if response.url.scheme == "https" and target.scheme == "http":
            raise InvalidInput(
                f"The server sends us on from https to http at {target.host}, which is not safe.",
                code="redirect_refused",
            )
        target = check_url(str(target.copy_with(fragment=None)), self._allowed)
        if _origin(target) != origin and method not in _READING:
            raise _withheld(target)
        return target


class _Bounded(httpx.BaseTransport):
    """Reads every body at once and within a bound; also those that an authentication scheme throws away."""

    def __init__(self, inner: httpx.BaseTransport, max_bytes: int, *, cut: bool) -> None:
        self._inner = inner
        self._max_bytes = max_bytes
        self._cut = cut

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = self._inner.handle_request(request)
        try:
            content = b"" if request.method == "HEAD" else self._content(answer)
        finally:
            answer.close()
        headers = [
            (name, value)
            for name, value in answer.headers.multi_items()
            if name not in ("content-encoding", "content-length", "transfer-encoding")
        ]
        return httpx.Response(answer.status_code, headers=headers, content=content)

    def _content(self, answer: httpx.Response) -> bytes:
        encoding = answer.headers.get("content-encoding", "identity").strip().lower()
        if encoding not in ("identity", "", "gzip", "x-gzip"):
            raise _bad_body()
        inflate = zlib.decompressobj(wbits=31) if "gzip" in encoding else None
        received, parts = 0, bytearray()
        assert isinstance(answer.stream, httpx.SyncByteStream)
        for chunk in answer.stream:
            time_left()
            received += len(chunk)
            try:
                parts += inflate.decompress(chunk, self._max_bytes - len(parts) + 1) if inflate else chunk
            except zlib.error:
                raise _bad_body() from None
            if max(received, len(parts)) > self._max_bytes:
                if self._cut:
                    return bytes(parts[: self._max_bytes])
                raise ProviderUnavailable(
                    f"The server’s answer is larger than {_in_words(self._max_bytes)}.", reason="too_large"
                )
        if inflate is not None and parts and not inflate.eof:
            raise _bad_body()
        return bytes(parts)


def check_url(text: str, allowed: frozenset[str]) -> httpx.URL:
    """An address that may be called as far as its text tells; the rest is told by its name's addresses.

    :raises InvalidInput: ``address_refused``.
    """
    try:
        url = httpx.URL(text) if len(text) <= MAX_URL else None
    except (httpx.InvalidURL, ValueError):
        url = None
    if url is None or not url.host or not 0 < _origin(url)[2] < 65_536:
        raise refused("This is not a web address.")
    if url.scheme not in ("http", "https"):
        raise refused("The address must begin with https://.")
    if url.userinfo:
        raise refused("Leave user name and password out of the address.")
    if not is_listed(allowed, *_origin(url)[1:]):
        if url.scheme == "http":
            raise refused("The address must begin with https://: http is not safe.")
        _check_literal(url.host)
    return url


def _check_literal(host: str) -> None:
    try:
        check_address(host, host)
    except ValueError:
        return


def _origin(url: httpx.URL) -> tuple[str, str, int]:
    return (
        url.scheme,
        url.raw_host.decode("ascii").lower(),
        url.port or (443 if url.scheme == "https" else 80),
    )


@contextmanager
def _plain_errors(host: str) -> Iterator[None]:
    try:
        yield
    except (httpcore.TimeoutException, httpx.TimeoutException):
        raise ProviderUnavailable(f"{host} did not answer in time.", reason="timeout") from None
    except (httpcore.ConnectError, httpx.ConnectError) as error:
        cause = error.__cause__ or error.__context__
        if isinstance(cause, ssl.SSLCertVerificationError):
            raise ProviderUnavailable(
                f"The certificate of {host} is not valid ({cause.verify_message}), so nothing was sent there.",
                reason="certificate",
            ) from None
        if isinstance(cause, ssl.SSLError):
            raise ProviderUnavailable(
                f"No secure connection to {host} can be made: is it the right address and port?",
                reason="certificate",
            ) from None
        raise ProviderUnavailable(f"{host} cannot be reached right now.", reason="network") from None
    except (httpcore.ProtocolError, httpx.ProtocolError, httpx.DecodingError):
        raise _bad_body() from None
    except (
        httpcore.NetworkError,
        httpcore.ProxyError,
        httpcore.UnsupportedProtocol,
        httpx.HTTPError,
        httpx.InvalidURL,
    ):
        raise ProviderUnavailable(f"{host} cannot be reached right now.", reason="network") from None


def _withheld(target: httpx.URL) -> InvalidInput:
    return InvalidInput(
        f"The server sends us on to {target.host}, another host, to which your password was not sent. "
        f"If that is the right one, enter its address instead.",
        field="address",
        code="redirect_refused",
    )


def _bad_body() -> ProviderUnavailable:
    return ProviderUnavailable("The server sent an answer that cannot be read.", reason="bad_body")


def _in_words(size: int) -> str:
    return f"{size // 2**20} MiB" if size >= 2**20 else f"{size} bytes"
