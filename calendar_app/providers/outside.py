"""This installation as others reach it: its own public address, called from this machine.

The address is a setting. Where the environment names it, whoever runs the machine chose it, and it may be a private
one; where it was entered in a page it is called as any typed address is (:mod:`calendar_app.providers.guard`). Nothing
of an answer is shown but its status and our own mark.
"""

from __future__ import annotations

import base64
import os
import socket
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit

import httpx

from calendar_app.errors import ProviderUnavailable
from calendar_app.providers.guard import guarded_client
from calendar_app.providers.http import tls
from calendar_app.providers.vetted import check_address, is_listed, resolve
from calendar_app.settings import Settings

TIMEOUT_S = 8.0
_MOST_BYTES = 64_000
SOCKET_PATH = "/_event/?EIO=4&transport=websocket"
"""Where pages hold their websocket, as Socket.IO's client asks for it (engine.io protocol, revision 4)."""


@dataclass(frozen=True, slots=True)
class Reached:
    """What answered: its status, where that was after redirects (scheme and host), and the mark of the installation."""

    status: int
    origin: str
    installation: str


class Outside:
    """The public address, to be looked at. ``trusted``: it is the environment's. ``transport`` is a seam for tests."""

    def __init__(
        self, settings: Settings, *, trusted: bool, transport: httpx.BaseTransport | None = None
    ) -> None:
        parts = urlsplit(settings.public_url)
        self._url, self._host = settings.public_url, parts.hostname or ""
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        allowed = (*settings.allowed_private_hosts, *([f"{self._host}:{self._port}"] if trusted else []))
        self._allowed = frozenset(allowed)
        self._client = guarded_client(
            settings.model_copy(update={"allowed_private_hosts": allowed}),
            timeout=TIMEOUT_S,
            max_bytes=_MOST_BYTES,
            transport=transport,
        )

    def reach(self) -> Reached:
        """Ask ``/health``. :raises ProviderUnavailable: nothing answers. :raises InvalidInput: it may not be called."""
        answer = self._client.get(f"{self._url}/health")
        try:
            body = answer.json()
        except ValueError:
            body = {}
        mark = body.get("installation") if isinstance(body, dict) else ""
        origin = f"{answer.url.scheme}://{answer.url.netloc.decode('ascii')}"
        return Reached(answer.status_code, origin, str(mark or ""))

    def websocket(self) -> int:
        """The status with which a websocket's opening handshake is answered (RFC 6455 section 4): 101 is success.

        :raises ProviderUnavailable: nothing answers. :raises InvalidInput: it may not be called.
        """
        headers = {
            "connection": "Upgrade",
            "upgrade": "websocket",
            "sec-websocket-version": "13",
            "sec-websocket-key": base64.b64encode(os.urandom(16)).decode(),
            "origin": self._url,
        }
        return self._client.get(f"{self._url}{SOCKET_PATH}", headers=headers).status_code

    def certificate_ends(self, context: ssl.SSLContext | None = None) -> datetime:
        """When the certificate expires. :raises ProviderUnavailable: it is not valid, or nothing answers.

        :raises InvalidInput: the address may not be called.
        """
        addresses = resolve(self._host, self._port)
        if not is_listed(self._allowed, self._host, self._port):
            for address in addresses:
                check_address(self._host, address)
        try:
            with (
                socket.create_connection((addresses[0], self._port), TIMEOUT_S) as plain,
                (context or tls()).wrap_socket(plain, server_hostname=self._host) as secure,
            ):
                found = secure.getpeercert() or {}
        except ssl.SSLCertVerificationError as error:
            raise ProviderUnavailable(
                f"The certificate of {self._host} is not valid ({error.verify_message}).",
                reason="certificate",
            ) from None
        except OSError:
            raise ProviderUnavailable(
                f"{self._host} cannot be reached right now.", reason="network"
            ) from None
        return datetime.fromtimestamp(ssl.cert_time_to_seconds(str(found["notAfter"])), UTC)
