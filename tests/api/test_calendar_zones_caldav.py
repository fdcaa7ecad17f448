"""Dates and floating times of CalDAV calendars, with and without a zone of their own, at real servers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from calendar_app.services.calendar_sync import requests as sync_requests
from calendar_app.settings import Settings
from tests.services.calendar_sync.test_ics_import import ics
from tests.services.connections.test_calendar_time_zones import AUCKLAND, FILE, busy, expected
from tests.support import dav_servers
from tests.support.databases import Database
from tests.support.dav_servers import PASSWORD, USERNAME, DavServer
from tests.support.people import user

LIMA = "America/Lima"
VTIMEZONE = (
    f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//x//EN\r\nBEGIN:VTIMEZONE\r\nTZID:{LIMA}\r\nBEGIN:STANDARD\r\n"
    "DTSTART:19700101T000000\r\nTZOFFSETFROM:-0500\r\nTZOFFSETTO:-0500\r\nEND:STANDARD\r\nEND:VTIMEZONE\r\n"
    "END:VCALENDAR\r\n"
)
XML = {"content-type": "application/xml; charset=utf-8"}
PROPERTIES = {
    "none": "",
    "definition": f"<C:calendar-timezone>{VTIMEZONE}</C:calendar-timezone>",
    "name": f"<C:calendar-timezone-id>{LIMA}</C:calendar-timezone-id>",
}


@pytest.fixture(params=["radicale", "xandikos"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DavServer]:
    """A server with a calendar for each way to name a zone, all with the same events."""
    with getattr(dav_servers, request.param)(tmp_path) as found:
        with httpx.Client(auth=(USERNAME, PASSWORD)) as client:
            for name, zone in PROPERTIES.items():
                url = f"{found.home}{name}/"
                client.request("MKCALENDAR", url).raise_for_status()
                named = f"<D:displayname>{name}</D:displayname>{zone}"
                client.request("PROPPATCH", url, content=_proppatch(named), headers=XML).raise_for_status()
                _put_each(client, url)
        yield found


def _proppatch(zone: str) -> str:
    return (
        '<D:propertyupdate xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav"><D:set><D:prop>'
        f"{zone}</D:prop></D:set></D:propertyupdate>"
    )


def _put_each(client: httpx.Client, url: str) -> None:
    """The events of the file, each in a resource of its own."""
    for block in FILE.decode().replace("\r", "").split("BEGIN:VEVENT\n")[1:]:
        event = block.partition("END:VEVENT")[0]
        text = ics(f"BEGIN:VEVENT\nDTSTAMP:20260101T000000Z\n{event}END:VEVENT", head="PRODID:-//x//EN")
        uid = block.partition("UID:")[2].partition("\n")[0]
        client.put(
            f"{url}{uid}.ics", content=text, headers={"content-type": "text/calendar"}
        ).raise_for_status()


def test_a_calendars_own_zone_comes_before_its_owners(
    api: httpx.Client, database: Database, server: DavServer, configure: Callable[..., Settings]
) -> None:
    """``calendar-timezone`` and ``calendar-timezone-id`` name the zone; without them the owner's counts."""
    configure(ALLOWED_PRIVATE_HOSTS=httpx.URL(server.url).netloc.decode())
    who = user(timezone=AUCKLAND)
    body = {"url": server.url, "username": USERNAME, "password": PASSWORD}
    answer = api.post("/api/v1/connections/caldav", headers=who.bearer, json=body)
    assert answer.status_code == 201, answer.text
    seen = {}
    for calendar in answer.json()["calendars"]:
        name = calendar["name"]
        if name in PROPERTIES:
            sync_requests.sync_calendar(calendar["id"])
            shown = api.get(f"/api/v1/calendars/{calendar['id']}", headers=who.bearer).json()
            seen[name] = (shown["timezone"], shown["timezone_source"], busy(calendar["id"]))
    assert seen["none"] == (AUCKLAND, "owner", expected(AUCKLAND))
    assert seen["definition"] == (LIMA, "provider", expected(LIMA))
    assert seen["name"] == (LIMA, "provider", expected(LIMA))
