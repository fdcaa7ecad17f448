"""The public address, as browsers and providers reach it: called from this machine."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from calendar_app.clock import utc_now
from calendar_app.db import entered
from calendar_app.errors import AlmanacError, InvalidInput
from calendar_app.providers.outside import Outside
from calendar_app.services.doctor.findings import Finding, error, ok, warning
from calendar_app.settings import Settings, current_settings, get_settings

CERTIFICATE_ENDS = timedelta(days=14)
"""Certificates that renew themselves are renewed earlier than this."""
_LOCAL = ("localhost", "127.0.0.1", "::1")
_PROXY = "See that the proxy in front forwards this host to PORT, and that its name and firewall lead to it."

Looker = Callable[[Settings], Outside]


def installation_mark() -> str:
    """By what an answer of this installation is known; it tells nothing about the key that it is made with."""
    key = get_settings().secret_key.get_secret_value().encode()
    return hmac.new(key, b"installation", hashlib.sha256).hexdigest()[:16]


def outside(settings: Settings) -> Outside:
    """The public address; one that was entered in a page is called as a typed address is."""
    return Outside(settings, trusted=entered.from_environment(get_settings(), entered.Group.SITE))


def reachability(look: Looker = outside, now: Callable[[], datetime] = utc_now) -> list[Finding]:
    """Address, TLS, websocket, and whether providers can push here."""
    settings = current_settings()
    if _is_local(settings):
        return [
            warning(
                "address",
                f"{settings.public_url} is this machine only: nobody else can follow a link that is sent.",
                "Set BASE_URL to the address that people use, or enter it under Operations → Installation.",
            ),
            _push(settings),
        ]
    there = look(settings)
    try:
        found = [_address(there, settings)]
    except InvalidInput as refusal:
        return [_not_called(settings, refusal), _push(settings)]
    if settings.public_url.startswith("https://"):
        found.append(_certificate(there, now()))
    return [*found, _websocket(there), _push(settings)]


def _is_local(settings: Settings) -> bool:
    # An address that the environment names is looked at even so: somebody meant it.
    host = urlsplit(settings.public_url).hostname or ""
    return not settings.base_url and host in _LOCAL


def _address(there: Outside, settings: Settings) -> Finding:
    url = settings.public_url
    try:
        seen = there.reach()
    except InvalidInput:
        raise
    except AlmanacError as trouble:
        return error("address", f"{url} cannot be reached from here: {trouble.detail}", _PROXY)
    if seen.installation != installation_mark():
        return error(
            "address",
            f"{url} is answered (with {seen.status}) by something else than this installation.",
            f"{_PROXY} Other web processes of this installation need the same SECRET_KEY.",
        )
    if seen.origin != url:
        return warning(
            "address",
            f"{url} leads on to {seen.origin}.",
            f"Set BASE_URL to {seen.origin}, where people end up.",
        )
    return ok("address", f"{url} leads here.")


def _not_called(settings: Settings, refusal: InvalidInput) -> Finding:
    """An address that was entered in a page is private: whoever entered it shall not have this machine call there."""
    host = urlsplit(settings.public_url).netloc
    return warning(
        "address",
        f"{settings.public_url} was entered in a page and is not called from here: {refusal.detail}",
        f"If it is right, set BASE_URL to it in the environment, or name {host} in ALLOWED_PRIVATE_HOSTS.",
    )


def _certificate(there: Outside, now: datetime) -> Finding:
    try:
        ends = there.certificate_ends()
    except AlmanacError as trouble:
        return error("tls", trouble.detail, "Install a certificate for this name, with the whole chain.")
    days = (ends - now).days
    if ends <= now:
        return error("tls", f"The certificate expired on {ends:%Y-%m-%d}.", "Renew it now.")
    if ends - now < CERTIFICATE_ENDS:
        return warning(
            "tls",
            f"The certificate expires in {days} days, on {ends:%Y-%m-%d}.",
            "Renew it, and see why that did not happen by itself.",
        )
    return ok("tls", f"The certificate is valid until {ends:%Y-%m-%d}.")


def _websocket(there: Outside) -> Finding:
    advice = "Let the proxy pass the headers Upgrade and Connection on (nginx: proxy_set_header; Caddy does)."
    try:
        status = there.websocket()
    except AlmanacError as trouble:
        return error("websocket", f"No websocket can be opened: {trouble.detail}", advice)
    if status == 101:
        return ok("websocket", "Websockets come through: open pages are kept up to date.")
    return error(
        "websocket", f"A websocket is answered with {status} instead of 101: pages do not come alive.", advice
    )


def _push(settings: Settings) -> Finding:
    parts = urlsplit(settings.public_url)
    if parts.scheme == "https" and parts.hostname not in _LOCAL:
        return ok("push", "Providers can push to this address, if it is public.")
    return warning(
        "push",
        f"Providers push to public https addresses only, and this is {settings.public_url}: changes are polled "
        f"every {settings.poll_minutes} minutes.",
        "Put a proxy with TLS in front, and set BASE_URL to its https address, or enter that.",
    )
