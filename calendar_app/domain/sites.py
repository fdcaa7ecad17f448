"""Sites that may show a business's booking pages: origins, as browsers compare them.

A site is written as people write it (``example.com``, ``https://shop.example.com/contact``) and kept as its origin
(RFC 6454), in the form that a Content-Security-Policy takes as a host source (CSP level 3 section 2.3.1).
``https://*.example.com`` stands for every host below ``example.com``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit

import idna

from calendar_app.errors import InvalidInput

MOST = 50
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_LONGEST = 300
_PORTS = {"http": 80, "https": 443}


def parse_sites(given: object) -> list[str]:
    """Origins of what was typed, each once, in its order. :raises InvalidInput: one is none (``allowed_origins``)."""
    if not isinstance(given, Sequence) or isinstance(given, str | bytes) or len(given) > MOST:
        raise InvalidInput(f"Name at most {MOST} sites, one by one.", field="allowed_origins")
    return list(dict.fromkeys(parse_site(each) for each in given))


def parse_site(given: object) -> str:
    """The origin of one site; a path is left out. :raises InvalidInput: it is no site."""
    text = given.strip() if isinstance(given, str) else ""
    wrong = InvalidInput(
        f"“{text[:60]}” is not a site. Write it like https://www.example.com.", field="allowed_origins"
    )
    if not text or len(text) > _LONGEST:
        raise wrong
    try:
        parts = urlsplit(text if "://" in text else f"https://{text}")
        port = parts.port
    except ValueError:
        raise wrong from None
    if parts.scheme not in _PORTS or "@" in parts.netloc:
        raise wrong
    host = _host(parts.hostname or "")
    if host is None:
        raise wrong
    return f"{parts.scheme}://{host}" + (f":{port}" if port not in (None, _PORTS[parts.scheme]) else "")


def _host(name: str) -> str | None:
    """A host as browsers send it, or ``None``; IPv6 addresses cannot be named in a policy."""
    below = name.startswith("*.")
    rest = name.removeprefix("*.").rstrip(".")
    try:
        ascii_name = rest if rest.isascii() else idna.encode(rest, uts46=True).decode()
    except idna.IDNAError:
        return None
    labels = ascii_name.lower().split(".")
    if len(ascii_name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        return None
    if below and len(labels) < 2:
        return None
    return ("*." if below else "") + ".".join(labels)


def allows(sites: Iterable[str], origin: str) -> bool:
    """Whether a page of ``origin`` (as in the header of that name) may; no sites: every page may."""
    wanted = tuple(sites)
    if not wanted:
        return True
    scheme, _, host = origin.partition("://")
    for site in wanted:
        their_scheme, _, their_host = site.partition("://")
        if scheme == their_scheme and (
            host == their_host or (their_host.startswith("*.") and host.endswith(their_host[1:]))
        ):
            return True
    return False
