"""The CalDAV account as the sandbox's page sees and edits it: over HTTP, as any other program would.

The page asks Radicale itself, and so works while faults are on; the application goes through
:mod:`calendar_app.sandbox.caldav.proxy`. The password is the account's only grant, so taking access away means another
password.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote
from xml.etree import ElementTree  # the answers are our own Radicale's
from zoneinfo import ZoneInfo

import httpx
from dateutil.rrule import rrulestr
from icalendar import Calendar, Event
from starlette.datastructures import Headers
from starlette.routing import BaseRoute, Mount

from calendar_app.sandbox.caldav.proxy import PREFIX, RadicaleProxy
from calendar_app.sandbox.caldav.seed import ZONE, calendar_with
from calendar_app.sandbox.caldav.server import USERNAME, folder_of, users_file
from calendar_app.sandbox.stand_in import FOR_THE_PAGE, ROLES, HeldAccount, HeldCalendar, HeldEvent, Listed
from calendar_app.sandbox.store import Clock

_GREY = "#808080"
DAV, CAL = "{DAV:}", "{urn:ietf:params:xml:ns:caldav}"
_LIST = (
    '<D:propfind xmlns:D="DAV:" xmlns:A="http://apple.com/ns/ical/"><D:prop><D:resourcetype/><D:displayname/>'
    "<A:calendar-color/></D:prop></D:propfind>"
)
_EVENTS = (
    '<C:calendar-query xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav"><D:prop><C:calendar-data/></D:prop>'
    '<C:filter><C:comp-filter name="VCALENDAR"/></C:filter></C:calendar-query>'
)


class CalDavStandIn:
    """:class:`calendar_app.sandbox.stand_in.StandIn` over the Radicale at ``url``.

    ``origin`` is the sandbox's own address as the application calls it.
    """

    key, title = "caldav", "CalDAV"
    roles = ROLES

    def __init__(self, url: str, data_dir: Path, clock: Clock, origin: str = "") -> None:
        self._url, self._data_dir, self._clock = url, data_dir, clock
        self._address = f"{origin}{PREFIX}/"
        self._proxy = RadicaleProxy(url, self._changed)
        self._home = f"/{quote(USERNAME)}/"
        self._http = httpx.Client(base_url=url, timeout=5, trust_env=False)
        self._changes = 0

    def routes(self) -> Sequence[BaseRoute]:
        """Everything goes through to Radicale."""
        return (Mount("/", app=self._proxy),)

    def sequence(self) -> int:
        """Counts what was changed here and through the proxy."""
        return self._changes

    def account_of(self, headers: Headers) -> str:
        """The user name of Basic authentication (RFC 7617)."""
        scheme, _, credentials = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return ""
        try:
            return base64.b64decode(credentials).decode().partition(":")[0]
        except ValueError:
            return ""

    def published(self, calendar_id: str) -> tuple[bytes, str]:
        """A whole calendar as one file, and its entity tag. :raises KeyError: there is no such calendar."""
        content = self._ask("GET", f"{self._home}{quote(calendar_id)}/").content
        return content, f'"{hashlib.sha256(content).hexdigest()[:32]}"'

    def accounts(self, listed: Listed = FOR_THE_PAGE) -> Sequence[HeldAccount]:
        """The one account, or nothing while Radicale does not answer."""
        hint = f"Server {self._address}, user name {USERNAME}, password {self._password()}"
        try:
            held = (
                *(self._calendar(element, listed) for element in self._collections()),
                *(
                    HeldCalendar(name, name, ZONE, _GREY, (), 0, False, role="none")
                    for name in self._unshared()
                ),
            )
        except httpx.HTTPError:
            held, hint = (), f"Radicale does not answer at {self._url}"
        return [
            HeldAccount(
                USERNAME,
                "Olivia Owner",
                held,
                connected=bool(held),
                hint=hint,
                access="open to whoever has the password",
                end_access="Change the password",
            )
        ]

    def add_event(self, calendar_id: str, title: str, start: datetime, end: datetime) -> str:
        if end <= start:
            raise ValueError("The end must lie after the start.")
        event = Event()
        name = f"{secrets.token_hex(8)}.ics"
        event.add("uid", f"{name}@sandbox.example")
        event.add("summary", title)
        event.add("dtstart", start.astimezone(UTC))
        event.add("dtend", end.astimezone(UTC))
        self._put(calendar_id, name, calendar_with(event))
        return name

    def move_event(self, calendar_id: str, event_id: str, start: datetime) -> None:
        calendar, event = self._main(calendar_id, event_id)
        before, end = event["dtstart"].dt, self._end(event)
        if not isinstance(before, datetime) or "rrule" in event:
            raise ValueError("Whole days and series are not moved here.")
        for name in ("dtstart", "dtend", "duration"):
            event.pop(name, None)
        event.add("dtstart", start.astimezone(UTC))
        event.add("dtend", start.astimezone(UTC) + (end - before))
        self._put(calendar_id, event_id, calendar)

    def rename_event(self, calendar_id: str, event_id: str, title: str) -> None:
        calendar, event = self._main(calendar_id, event_id)
        event.pop("summary", None)
        event.add("summary", title)
        self._put(calendar_id, event_id, calendar)

    def delete_event(self, calendar_id: str, event_id: str) -> None:
        self._ask("DELETE", f"{self._home}{quote(calendar_id)}/{quote(event_id)}")
        self._changed()

    def set_role(self, calendar_id: str, role: str) -> None:
        """``none`` takes the collection out of Radicale's storage, with everything in it, until it is given back."""
        here = folder_of(self._data_dir) / "collections" / "collection-root" / USERNAME / calendar_id
        taken = self._taken / calendar_id
        if not (here.is_dir() or taken.is_dir()):
            raise KeyError(calendar_id)
        taken.parent.mkdir(exist_ok=True)
        if role == "none" and here.is_dir():
            here.rename(taken)
        elif role != "none" and taken.is_dir():
            taken.rename(here)
        if role == "reader":
            self._proxy.read_only.add(calendar_id)
        else:
            self._proxy.read_only.discard(calendar_id)
        self._changed()

    @property
    def _taken(self) -> Path:
        """Where collections lie that are not shared any more."""
        return folder_of(self._data_dir) / "taken"

    def _unshared(self) -> list[str]:
        return sorted(one.name for one in self._taken.iterdir()) if self._taken.is_dir() else []

    def remove_access(self, email: str) -> None:
        if email != USERNAME:
            raise KeyError(email)
        users_file(self._data_dir).write_text(f"{USERNAME}:{secrets.token_urlsafe(9)}\n")
        self._changed()

    async def close(self) -> None:
        await self._proxy.close()
        self._http.close()

    def _changed(self) -> None:
        self._changes += 1

    def _password(self) -> str:
        try:
            return users_file(self._data_dir).read_text().strip().partition(":")[2]
        except OSError:
            return ""

    def _ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        """:raises KeyError: there is nothing at the path."""
        answer = self._http.request(method, path, auth=(USERNAME, self._password()), **options)
        if answer.status_code == 404:
            raise KeyError(path)
        return answer.raise_for_status()

    def _responses(self, method: str, path: str, body: str) -> list[ElementTree.Element]:
        answer = self._ask(method, path, content=body, headers={"depth": "1"})
        return ElementTree.fromstring(answer.content).findall(f"{DAV}response")  # noqa: S314  # our own Radicale's

    def _collections(self) -> list[ElementTree.Element]:
        found = self._responses("PROPFIND", self._home, _LIST)
        return [element for element in found if element.find(f".//{CAL}calendar") is not None]

    def _calendar(self, element: ElementTree.Element, listed: Listed) -> HeldCalendar:
        path = element.findtext(f"{DAV}href") or ""
        own_id = unquote(path.rstrip("/").rpartition("/")[2])
        color = element.findtext(".//{http://apple.com/ns/ical/}calendar-color") or _GREY
        now = self._clock()
        until = now + timedelta(days=listed.days)
        events = []
        for response in self._responses("REPORT", path, _EVENTS):
            name = unquote((response.findtext(f"{DAV}href") or "").rpartition("/")[2])
            text = response.findtext(f".//{CAL}calendar-data") or ""
            for event in Calendar.from_ical(text).walk("VEVENT"):
                if "recurrence-id" not in event:
                    events.append(self._held(name, event, now))
        soon = sorted(
            (one for one in events if now <= one.end and one.start < until), key=lambda one: one.start
        )
        return HeldCalendar(
            id=own_id,
            name=element.findtext(f".//{DAV}displayname") or "Calendar",
            timezone=ZONE,
            color=color[:7],
            events=tuple(soon[: listed.limit]),
            total=len(events),
            role="reader" if own_id in self._proxy.read_only else "owner",
        )

    def _held(self, name: str, event: Any, now: datetime) -> HeldEvent:
        start, end = event["dtstart"].dt, self._end(event)
        all_day = not isinstance(start, datetime)
        begins, ends = _moment(start), _moment(end)
        notes = []
        if "rrule" in event:
            rule = rrulestr(event["rrule"].to_ical().decode(), dtstart=begins)
            following = rule.after(now - (ends - begins)) or begins
            begins, ends = following, following + (ends - begins)
            notes.append("repeats")
        if any(key.startswith("X-ALMANAC") for key in event):
            notes.append("from Almanac")
        return HeldEvent(name, str(event.get("summary", "")), begins, ends, all_day, tuple(notes))

    def _end(self, event: Any) -> datetime | date:
        if "dtend" in event:
            end: datetime | date = event["dtend"].dt
            return end
        start: datetime | date = event["dtstart"].dt
        length: timedelta = event["duration"].dt if "duration" in event else timedelta(0)
        return start + length

    def _main(self, calendar_id: str, event_id: str) -> tuple[Calendar, Any]:
        answer = self._ask("GET", f"{self._home}{quote(calendar_id)}/{quote(event_id)}")
        calendar = Calendar.from_ical(answer.text)
        for event in calendar.walk("VEVENT"):
            if "recurrence-id" not in event:
                return calendar, event
        raise KeyError(event_id)

    def _put(self, calendar_id: str, name: str, calendar: Calendar) -> None:
        for event in calendar.walk("VEVENT"):
            event.pop("dtstamp", None)
            event.add("dtstamp", self._clock())
        held = (one for account in self.accounts() for one in account.calendars)
        if calendar_id not in {one.id for one in held if one.role != "none"}:
            raise KeyError(calendar_id)
        path = f"{self._home}{quote(calendar_id)}/{quote(name)}"
        self._ask("PUT", path, content=calendar.to_ical(), headers={"content-type": "text/calendar"})
        self._changed()


def _moment(value: datetime | date) -> datetime:
    """An instant; whole days begin at midnight in the calendars' zone."""
    if not isinstance(value, datetime):
        return datetime.combine(value, time(), ZoneInfo(ZONE))
    return value if value.tzinfo else value.replace(tzinfo=ZoneInfo(ZONE))
