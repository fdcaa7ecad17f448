"""Servers that are known by name, what they do otherwise than the standards say, and what a server was seen to refuse.

Apple's iCloud, as others have observed it, since it is not documented:

* The account's server is ``caldav.icloud.com``; its calendars lie on a partition of it, ``pNN-caldav.icloud.com``, and
  those of accounts that were made in China on ``icloud.com.cn`` (https://github.com/jobisoft/DAV-4-TbSync/issues/316).
  This is the one case in which a password goes to another host than the one it was first sent to.
* It takes app-specific passwords only, and answers 401 to the account's own.
* ``free-busy-query`` is answered with 400, though it is offered.
* ``If-Match: *`` means the opposite of what RFC 9110 §13.1.1 says; it is never sent to anybody.
* A VEVENT without DTEND is refused; every event that we write has one.
* A UID that exists in another of the account's calendars is refused (RFC 4791 §5.3.2.1, ``no-uid-conflict``).
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

_PARTITION = re.compile(r"(p\d{1,4}-)?caldav\.icloud\.com(\.cn)?")


_HINT = "Use an app password, if your account has them, instead of your usual one."


@dataclass(frozen=True, slots=True)
class KnownServer:
    """Where accounts of some e-mail domains are; ``hint``: how their owners come by the password that works there."""

    title: str
    url: str
    domains: frozenset[str]
    hint: str = _HINT


KNOWN = (
    KnownServer(
        "iCloud",
        "https://caldav.icloud.com/",
        frozenset({"icloud.com", "me.com", "mac.com", "icloud.com.cn"}),
        "Apple wants an app-specific password: make one at account.apple.com under Sign-In and Security.",
    ),
    KnownServer(
        "Fastmail",
        "https://caldav.fastmail.com/",
        frozenset({"fastmail.com", "fastmail.fm", "sent.com", "messagingengine.com"}),
        "Fastmail wants an app password: make one in its settings under Privacy & Security.",
    ),
    KnownServer(
        "Yahoo",
        "https://caldav.calendar.yahoo.com/",
        frozenset({"yahoo.com", "ymail.com", "rocketmail.com"}),
        "Yahoo wants an app password: make one in your account’s security settings.",
    ),
    KnownServer("mailbox.org", "https://dav.mailbox.org/", frozenset({"mailbox.org"})),
    KnownServer("Posteo", "https://posteo.de:8443/", frozenset({"posteo.de", "posteo.net"})),
)


def by_domain(domain: str) -> KnownServer | None:
    """The server of an e-mail domain, if it is known."""
    return next((server for server in KNOWN if domain.lower() in server.domains), None)


def by_host(host: str) -> KnownServer | None:
    """The known server that has this host name, or a partition or subdomain of it."""
    host = host.lower()
    for server in KNOWN:
        own = urlsplit(server.url).hostname or ""
        if host == own or (is_icloud(host) and is_icloud(own)) or host.endswith(f".{own}"):
            return server
    return None


ELSEWHERE = {
    "Google": (
        ("gmail.com", "googlemail.com"),
        re.compile(r"(?:.*\.)?(?:google\.com|googleusercontent\.com|googleapis\.com)"),
    ),
    "Microsoft": (
        ("outlook.com", "hotmail.com", "live.com", "msn.com"),
        re.compile(r"(?:.*\.)?(?:office365\.com|office\.com|outlook\.com|live\.com|microsoft\.com)"),
    ),
}
"""Accounts that are connected by a consent page: their e-mail domains, and their hosts. Google's CalDAV takes no
passwords (https://developers.google.com/workspace/calendar/caldav/v2/guide), and Microsoft has none."""


def connected_elsewhere(domain_or_host: str) -> str:
    """The provider that such an account is connected with instead, or an empty string."""
    name = domain_or_host.lower().rstrip(".")
    return next(
        (title for title, (domains, hosts) in ELSEWHERE.items() if name in domains or hosts.fullmatch(name)),
        "",
    )


def is_icloud(host: str) -> bool:
    """Whether it is Apple's calendar server or a partition of it."""
    return _PARTITION.fullmatch(host.lower()) is not None


def password_hint(host: str) -> str:
    """What to say where a password was refused."""
    server = by_host(host)
    return server.hint if server else _HINT


def same_server(first: str, second: str) -> bool:
    """Whether a password for the address ``first`` may go to ``second``: the same origin, or iCloud's partitions."""
    one, other = urlsplit(first), urlsplit(second)
    if (one.scheme, one.hostname, _port(first)) == (other.scheme, other.hostname, _port(second)):
        return True
    https = one.scheme == other.scheme == "https" and _port(first) == _port(second) == 443
    return https and is_icloud(one.hostname or "") and is_icloud(other.hostname or "")


def offers_freebusy(url: str) -> bool:
    """Whether ``free-busy-query`` is worth a try."""
    return not is_icloud(urlsplit(url).hostname or "")


@dataclass
class Refusals:
    """Servers that do not do what they were asked for, remembered for a day by this process: whoever waits for a
    booking's last look should not pay for it each time. ``now`` in seconds."""

    now: Callable[[], float] = time.monotonic
    _until: dict[str, float] = field(default_factory=dict)

    def note(self, url: str) -> None:
        """The server at ``url`` has refused."""
        self._until[_origin(url)] = self.now() + _DAY

    def known(self, url: str) -> bool:
        """Whether it did so lately."""
        return self._until.get(_origin(url), 0.0) > self.now()


_DAY = 86_400.0
NO_FREEBUSY = Refusals()
"""Servers without a free-busy-query that works: SOGo 501, Baïkal 500 (https://github.com/sabre-io/Baikal/issues/697)."""


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}:{_port(url)}"


def _port(url: str) -> int:
    parts = urlsplit(url)
    return parts.port or {"https": 443, "http": 80}.get(parts.scheme, 0)
