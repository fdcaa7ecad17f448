"""CalDAV servers as others have recorded them: where they are found, and with which statuses they answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx

from calendar_app.providers.caldav.discovery import Service
from tests.support.scripted_dav import CountingServer, found, multi

BASIC = 'Basic realm="calendars"'
DIGEST = 'Digest realm="calendars", nonce="n", qop="auth", algorithm=MD5'


@dataclass(frozen=True)
class Recorded:
    """One server. ``email`` and ``addresses`` are what a person may type; ``services`` what the domain's DNS says.

    ``start`` is where the calendars' service begins; ``root`` is the status at ``/``, which may be the same place, and
    ``well_known`` whether ``/.well-known/caldav`` leads to ``start``. ``challenge`` is the 401's, empty for none.
    ``principal`` is a path, ``home`` a path or an address. ``refuses`` and ``suffix`` as in :class:`CountingServer`.
    """

    name: str
    source: str
    email: str
    addresses: tuple[str, ...]
    host: str
    start: str
    principal: str
    home: str
    root: int = 401
    well_known: bool = True
    challenge: str = BASIC
    services: Sequence[Service] = ()
    refuses: dict[str, int] = field(default_factory=dict)
    suffix: str = ""
    asks_freebusy: bool = True

    @property
    def calendar(self) -> str:
        """The address of the account's one calendar."""
        home = self.home if "://" in self.home else f"https://{self.host}{self.home}"
        return f"{home}work/"


_MAIL = (Service("mail.example.org"),)
_DAV = (Service("dav.example.org"),)
RECORDED = (
    Recorded(
        "Fastmail",
        "https://github.com/mrvladus/Errands/issues/309",
        "ada@fastmail.com",
        ("caldav.fastmail.com", "https://caldav.fastmail.com/", "https://caldav.fastmail.com/dav/calendars"),
        "caldav.fastmail.com",
        "/dav/calendars",
        "/dav/principals/user/ada@fastmail.com/",
        "/dav/calendars/user/ada@fastmail.com/",
        root=404,
    ),
    Recorded(
        "Yahoo",
        "https://github.com/python-caldav/caldav/issues/713",
        "ada@yahoo.com",
        ("caldav.calendar.yahoo.com",),
        "caldav.calendar.yahoo.com",
        "/",
        "/principals/users/ada@yahoo.com/",
        "/dav/ada@yahoo.com/Calendar/",
        well_known=False,
        challenge="",
        refuses={"free-busy-query": 500, "sync-collection": 403},
    ),
    Recorded(
        "iCloud",
        "https://github.com/python-caldav/caldav/issues/3",
        "ada@icloud.com",
        ("caldav.icloud.com", "https://p42-caldav.icloud.com/"),
        "caldav.icloud.com",
        "/",
        "/1/principal/",
        "https://p42-caldav.icloud.com/1/calendars/",
        well_known=False,
        refuses={"free-busy-query": 400},
        asks_freebusy=False,
    ),
    Recorded(
        "iCloud in China",
        "https://github.com/jobisoft/DAV-4-TbSync/issues/316",
        "ada@icloud.com",
        ("caldav.icloud.com.cn", "https://caldav.icloud.com.cn/"),
        "caldav.icloud.com.cn",
        "/",
        "/1/principal/",
        "https://p205-caldav.icloud.com.cn:443/1/calendars/",
        well_known=False,
        refuses={"free-busy-query": 400},
        asks_freebusy=False,
    ),
    Recorded(
        "SOGo",
        "https://github.com/mailcow/mailcow-dockerized/issues/4091",
        "ada@example.org",
        ("mail.example.org", "https://mail.example.org/SOGo/dav/"),
        "mail.example.org",
        "/SOGo/dav/",
        "/SOGo/dav/ada@example.org/",
        "/SOGo/dav/ada@example.org/Calendar/",
        root=200,
        services=_MAIL,
        refuses={"free-busy-query": 501},
    ),
    Recorded(
        "Baïkal",
        "https://github.com/sabre-io/Baikal/issues/697",
        "ada@example.org",
        ("https://dav.example.org/dav.php/", "https://dav.example.org/dav.php"),
        "dav.example.org",
        "/dav.php/",
        "/dav.php/principals/ada/",
        "/dav.php/calendars/ada/",
        root=200,
        challenge=DIGEST,
        services=(Service("dav.example.org", 443, "/dav.php/"),),
        refuses={"free-busy-query": 500},
    ),
    Recorded(
        "Nextcloud behind Apache, which compresses",
        "https://github.com/super-productivity/super-productivity/pull/9240",
        "ada@example.org",
        ("dav.example.org", "https://dav.example.org/remote.php/dav/"),
        "dav.example.org",
        "/remote.php/dav/",
        "/remote.php/dav/principals/users/ada/",
        "/remote.php/dav/calendars/ada/",
        root=302,
        services=_DAV,
        suffix="-gzip",
    ),
)


class Recording:
    """The network of one recorded server; ``asked`` holds method, host and path of every request."""

    def __init__(self, server: Recorded) -> None:
        self.server = server
        self.asked: list[tuple[str, str, str]] = []
        self.more_addresses: list[str] = []
        self.calendar = CountingServer(
            refuses=dict(server.refuses), suffix=server.suffix, base=urlsplit(server.calendar).path
        )

    def __call__(self, request: httpx.Request) -> httpx.Response:
        server, path = self.server, request.url.path
        self.asked.append((request.method, request.url.host, path))
        home = urlsplit(server.calendar)
        if request.url.host not in (server.host, home.hostname, *self._others()):
            raise httpx.ConnectError("no such host", request=request)
        if path == "/.well-known/caldav":
            where = {"location": server.start}
            return httpx.Response(301, headers=where) if server.well_known else httpx.Response(404)
        if path == "/" and server.start != "/":
            where = {"location": "/login"} if server.root in (301, 302) else {}
            return httpx.Response(server.root, headers=where, html="<html>Welcome</html>")
        if not path.startswith((server.start, server.principal, urlsplit(server.home).path)):
            return httpx.Response(404)
        if "authorization" not in request.headers:
            challenge = {"www-authenticate": server.challenge} if server.challenge else {}
            return httpx.Response(401, headers=challenge)
        if path.startswith(home.path):
            return self.calendar(request)
        return self._account(request)

    def _others(self) -> tuple[str, ...]:
        """Other hosts that answer for the account: Apple's lead to the same one."""
        apple = ("caldav.icloud.com", "p42-caldav.icloud.com")
        return apple if "icloud" in self.server.host else ()

    def _account(self, request: httpx.Request) -> httpx.Response:
        server, body = self.server, request.content.decode()
        if "current-user-principal" in body:
            who = f"<D:href>{server.principal}</D:href>"
            return multi(found(request.url.path, **{"current-user-principal": who}))
        if request.headers["depth"] == "1":
            kind = {"resourcetype": "<D:collection/><C:calendar/>", "displayname": "Work"}
            home = urlsplit(server.home).path
            return multi(found(home, resourcetype="<D:collection/>"), found(f"{home}work/", **kind))
        told = (f"mailto:{server.email}", *self.more_addresses)
        names = {
            "C_calendar-home-set": f"<D:href>{server.home}</D:href>",
            "C_calendar-user-address-set": "".join(f"<D:href>{one}</D:href>" for one in told),
        }
        return multi(found(server.principal, displayname="Ada", **names))
