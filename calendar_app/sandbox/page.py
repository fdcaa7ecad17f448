"""The page ``/sandbox``: what "Google" holds, and forms that change it behind the application's back."""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

import orjson
from starlette.datastructures import ImmutableMultiDict
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from calendar_app.sandbox.google.calendars import Account, CalendarRow, Calendars
from calendar_app.sandbox.google.channels import Channels
from calendar_app.sandbox.google.error import GoogleError, invalid
from calendar_app.sandbox.google.events import Events
from calendar_app.sandbox.google.grants import Grants
from calendar_app.sandbox.google.listing import Listing, Query
from calendar_app.sandbox.google.recurrence import instant_of, written_in
from calendar_app.sandbox.pages import Pages, form_of, refuse_cross_site

Json = dict[str, Any]
Form = ImmutableMultiDict[str, str]

SHOWN_PER_CALENDAR = 25
_DONE = {
    "added": "Event added.",
    "moved": "Event moved.",
    "renamed": "Title saved.",
    "deleted": "Event deleted.",
    "removed": "Access removed. The application can no longer read or write this account.",
}


@dataclass(frozen=True, slots=True)
class EventView:
    """One line of the page; ``start_value`` fills a date or date-time field, in the calendar's zone."""

    id: str
    title: str
    when: str
    start_value: str
    all_day: bool
    series: str
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CalendarView:
    id: str
    name: str
    zone: str
    color: str
    events: tuple[EventView, ...]
    more: bool
    total: int


@dataclass(frozen=True, slots=True)
class AccountView:
    account: Account
    calendars: tuple[CalendarView, ...]
    scopes: tuple[str, ...]
    channels: tuple[Json, ...]


def shifted(event: Json, zone: str, *, start: str = "", minutes: int = 0) -> Json:
    """A patch that moves ``event`` to ``start`` (as a form field says it, wall clock of ``zone``) or by ``minutes``.

    :raises GoogleError: 400 for a value that is no date or time.
    """
    try:
        if "date" in event["start"]:
            first, last = (date.fromisoformat(event[side]["date"]) for side in ("start", "end"))
            by = date.fromisoformat(start[:10]) - first if start else timedelta(days=minutes // 1440)
            return {side: {"date": (day + by).isoformat()} for side, day in (("start", first), ("end", last))}
        first_s, last_s = (instant_of(event[side], zone) for side in ("start", "end"))
        by_s = instant_of({"dateTime": start, "timeZone": zone}, zone) - first_s if start else minutes * 60
    except ValueError as error:
        raise invalid("That is not a date or time.") from error
    return {
        side: {"dateTime": written_in(at + by_s, zone), "timeZone": event[side].get("timeZone", zone)}
        for side, at in (("start", first_s), ("end", last_s))
    }


class SandboxPage:
    """The page and its form actions; each action is an outside change, so open channels hear of it."""

    def __init__(
        self, calendars: Calendars, events: Events, grants: Grants, channels: Channels, pages: Pages
    ) -> None:
        self.calendars, self.events, self.grants = calendars, events, grants
        self.channels, self.pages = channels, pages

    def routes(self) -> list[Route]:
        actions: dict[str, Callable[[Form], str]] = {
            "add-event": self.add,
            "move-event": self.move,
            "rename-event": self.rename,
            "delete-event": self.delete,
            "remove-access": self.remove_access,
        }
        forms = [
            Route(f"/actions/{name}", self._form(act), methods=["POST"]) for name, act in actions.items()
        ]
        return [Route("/", self.show, methods=["GET"]), *forms]

    async def show(self, request: Request) -> Response:
        return self._render(request, done=_DONE.get(request.query_params.get("done", ""), ""))

    def _form(self, act: Callable[[Form], str]) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            refuse_cross_site(request)
            form = await form_of(request)
            try:
                done = act(form)
            except GoogleError as error:
                return self._render(request, problem=str(error), status=400)
            place = quote(form.get("calendar", ""), safe="")
            return RedirectResponse(f"/sandbox?done={done}#{place}", 303)

        return endpoint

    def add(self, form: Form) -> str:
        calendar = self._calendar(form)
        zone = calendar.body["timeZone"]
        start, end = form.get("start", ""), form.get("end", "")
        if form.get("all_day"):
            try:
                last = date.fromisoformat((end or start)[:10]) + timedelta(days=1)
            except ValueError as error:
                raise invalid("Enter the first and the last day.") from error
            bounds: Json = {"start": {"date": start[:10]}, "end": {"date": last.isoformat()}}
        else:
            bounds = {
                "start": {"dateTime": start, "timeZone": zone},
                "end": {"dateTime": end, "timeZone": zone},
            }
        repeat = {"recurrence": ["RRULE:FREQ=WEEKLY"]} if form.get("weekly") else {}
        self.events.insert(calendar.ref, {"summary": form.get("title", "").strip(), **bounds, **repeat})
        return "added"

    def move(self, form: Form) -> str:
        calendar, event_id = self._calendar(form), form.get("event", "")
        event = self.events.get(calendar.ref, event_id)
        shift = form.get("shift", "")
        minutes = int(shift) if shift.lstrip("-").isdigit() else 0
        start = "" if minutes else form.get("start", "")
        patch = shifted(event, calendar.body["timeZone"], start=start, minutes=minutes)
        self.events.patch(calendar.ref, event_id, patch)
        return "moved"

    def rename(self, form: Form) -> str:
        self.events.patch(
            self._calendar(form).ref, form.get("event", ""), {"summary": form.get("title", "").strip()}
        )
        return "renamed"

    def delete(self, form: Form) -> str:
        event_id = form.get("series", "") if form.get("whole_series") else form.get("event", "")
        self.events.delete(self._calendar(form).ref, event_id)
        return "deleted"

    def remove_access(self, form: Form) -> str:
        self.grants.withdraw(form.get("account", ""))
        return "removed"

    def _calendar(self, form: Form) -> CalendarRow:
        row = self.calendars.find(form.get("calendar", ""))
        if row is None:
            raise invalid("That calendar is gone.")
        return row

    def _render(self, request: Request, *, done: str = "", problem: str = "", status: int = 200) -> Response:
        accounts = [self._account_view(account) for account in self.calendars.accounts()]
        return self.pages.render(
            request,
            "sandbox.html",
            status,
            accounts=accounts,
            selected=_selected(request.query_params.get("eid", "")),
            sequence=self.calendars.store.sequence(),
            done=done,
            problem=problem,
        )

    def _account_view(self, account: Account) -> AccountView:
        consent = self.grants.consent(account.email)
        now_ms = self.calendars.store.now_ms()
        channels = [
            {**row, "minutes_left": (row["expires"] - now_ms) // 60_000}
            for row in self.channels.of(account.email)
        ]
        return AccountView(
            account,
            tuple(self._calendar_view(row) for row in self.calendars.of(account.email)),
            tuple(sorted(consent.scopes)) if consent else (),
            tuple(channels),
        )

    def _calendar_view(self, row: CalendarRow) -> CalendarView:
        store, zone = self.calendars.store, row.body["timeZone"]
        midnight = store.now().astimezone(ZoneInfo(zone)).replace(hour=0, minute=0, second=0, microsecond=0)
        start = int(midnight.timestamp())
        query = Query(
            single=True,
            order="startTime",
            time_min=start,
            time_max=start + 60 * 86_400,
            limit=SHOWN_PER_CALENDAR,
        )
        listed = Listing(store, row, query).page()
        total = store.db.execute(
            "SELECT count(*) FROM event WHERE calendar = ? AND status != 'cancelled'", (row.id,)
        ).fetchone()[0]
        views = tuple(_event_view(orjson.loads(orjson.dumps(item)), zone) for item in listed["items"])
        name, color = row.body["summary"], row.body["backgroundColor"]
        return CalendarView(row.id, name, zone, color, views, "nextPageToken" in listed, total)


def _event_view(event: Json, zone: str) -> EventView:
    is_all_day = "date" in event["start"]
    notes = []
    if "recurringEventId" in event:
        notes.append("repeats")
    if event.get("transparency") == "transparent":
        notes.append("shown as free")
    if event["status"] == "tentative":
        notes.append("tentative")
    notes += [
        person.get("displayName") or person["email"]
        for person in event.get("attendees", ())
        if not person.get("self")
    ]
    if is_all_day:
        first = date.fromisoformat(event["start"]["date"])
        last = date.fromisoformat(event["end"]["date"]) - timedelta(days=1)
        when = (
            f"{first:%a %d %b}, all day" if first == last else f"{first:%a %d %b} to {last:%a %d %b}, all day"
        )
        value = first.isoformat()
    else:
        start, end = (
            datetime.fromtimestamp(instant_of(event[side], zone), ZoneInfo(zone)) for side in ("start", "end")
        )
        until = f"{end:%H:%M}" if end.date() == start.date() else f"{end:%a %d %b %H:%M}"
        when, value = f"{start:%a %d %b, %H:%M} to {until}", f"{start:%Y-%m-%dT%H:%M}"
    title = event.get("summary") or "(no title)"
    return EventView(
        event["id"], title, when, value, is_all_day, event.get("recurringEventId", ""), tuple(notes)
    )


def _selected(eid: str) -> str:
    """The event id in an ``htmlLink``."""
    try:
        return urlsafe_b64decode(eid + "=" * (-len(eid) % 4)).decode().partition(" ")[0]
    except (ValueError, binascii.Error):
        return ""
