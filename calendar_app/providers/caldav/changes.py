"""Which calendars of an account have not changed, in one request for all that lie in one collection.

Beside its members' names a collection tells their ``sync-token`` (RFC 6578 §4) and ``getctag`` (calendarserver's
caldav-ctag-03 §4). One that is still what the cursor holds says that there is nothing to read. Of tokens that are mere
counts that is not believed, as another calendar under the same address could have the same
(:mod:`calendar_app.providers.caldav.listing`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

from calendar_app.errors import SyncTokenInvalid
from calendar_app.providers.caldav import xml
from calendar_app.providers.caldav.dav import Dav
from calendar_app.providers.caldav.listing import CTAG, Cursor, is_a_count

_TOKEN = f"{xml.DAV}sync-token"


def unchanged(dav: Dav, cursors: Mapping[str, str]) -> set[str]:
    """Those of the calendars, by address, that are as they were when these cursors were given; a calendar that lies in
    a collection alone is not asked about, as a reading costs no more. Errors are those of any call."""
    homes: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for url, cursor in cursors.items():
        homes[f"{url.rstrip('/').rpartition('/')[0]}/"][url] = cursor
    found: set[str] = set()
    for home, inside in homes.items():
        if len(inside) < 2:
            continue
        answer = dav.propfind(home, "D:sync-token", "CS:getctag", depth="1")
        told = {
            _place(xml.absolute(answer.url, member.href)): (member.text(_TOKEN), member.text(CTAG))
            for member in answer.members
            if member.status == 200
        }
        found |= {url for url, cursor in inside.items() if _is_same(cursor, *told.get(_place(url), ("", "")))}
    return found


def _place(url: str) -> tuple[str, str]:
    """What two spellings of an address have in common."""
    parts = urlsplit(url)
    return parts.netloc, unquote(parts.path).rstrip("/")


def _is_same(cursor: str, token: str, ctag: str) -> bool:
    try:
        known = Cursor.load(cursor)
    except SyncTokenInvalid:
        return False
    held, now = (known.token, token) if known.token else (known.ctag, ctag)
    return bool(held) and held == now and not is_a_count(held)
