"""The page ``/sandbox``: what every stand-in holds, forms that change it behind the application's back, and faults."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from starlette.datastructures import ImmutableMultiDict
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from calendar_app.sandbox.fault_operations import operations
from calendar_app.sandbox.faults import Faults, Switch, fault_from, kinds
from calendar_app.sandbox.google.links import selected_event
from calendar_app.sandbox.pages import Pages, form_of, refuse_cross_site
from calendar_app.sandbox.rules import rules_of
from calendar_app.sandbox.stand_in import (
    Expires,
    HeldCalendar,
    HeldEvent,
    KeepsRights,
    KeepsSeries,
    SendsNotices,
    StandIn,
    let_expire,
    send_notice,
    set_role,
)

Form = ImmutableMultiDict[str, str]

_DONE = {
    "added": "Event added.",
    "moved": "Event moved.",
    "renamed": "Title saved.",
    "deleted": "Event deleted.",
    "removed": "Access ended. The application can no longer read or write this account.",
    "broken": "Fault switched on.",
    "mended": "Fault switched off.",
    "expired": "Expired. The application will meet it at its next call.",
    "noticed": "Notice sent to every open push channel.",
    "switched": "The rule was switched.",
    "shared": "What the account may do was changed.",
    "unheard": "No notice was sent: no push channel is open.",
}
_ROLE_NAMES = {
    "owner": "owner: everything",
    "writer": "writer: read and change events",
    "writerWithoutPrivateAccess": "writerWithoutPrivateAccess: as writer, private events as busy only",
    "reader": "reader: read only",
    "freeBusyReader": "freeBusyReader: busy times only",
    "none": "none: no longer shared",
}
_EXPIRING = {
    "tokens": "Access tokens",
    "sync": "Sync tokens",
    "channels": "Push channels",
}


@dataclass(frozen=True, slots=True)
class EventLine:
    """One line of the page; ``start_value`` fills a date or date-time field, in the calendar's zone."""

    event: HeldEvent
    when: str
    start_value: str


@dataclass(frozen=True, slots=True)
class Tab:
    """One provider's part of the page; ``here`` is its address."""

    key: str
    title: str
    here: str
    stand_in: StandIn


class SandboxPage:
    """The page and its form actions; each change is an outside change, so open channels hear of it."""

    def __init__(
        self,
        stand_ins: Mapping[str, StandIn],
        faults: Faults,
        pages: Pages,
        sequence: Callable[[], int],
    ) -> None:
        self.stand_ins, self.faults, self.pages, self.sequence = stand_ins, faults, pages, sequence
        self._first = next(iter(stand_ins))
        self._tabs = [
            Tab(key, one.title, "/sandbox" if key == self._first else f"/sandbox?provider={key}", one)
            for key, one in stand_ins.items()
        ]

    def routes(self) -> list[Route]:
        actions: dict[str, Callable[[Form], str]] = {
            "add-event": self.add,
            "move-event": self.move,
            "rename-event": self.rename,
            "delete-event": self.delete,
            "remove-access": self.remove_access,
            "expire": self.expire,
            "notice": self.notice,
            "fault": self.switch_on,
            "fault-off": self.switch_off,
            "rule": self.switch_rule,
            "role": self.change_role,
        }
        forms = [
            Route(f"/actions/{name}", self._form(act), methods=["POST"]) for name, act in actions.items()
        ]
        return [Route("/", self.show, methods=["GET"]), *forms]

    async def show(self, request: Request) -> Response:
        query = request.query_params
        return self._render(request, query.get("provider", ""), done=_DONE.get(query.get("done", ""), ""))

    def _form(self, act: Callable[[Form], str]) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            refuse_cross_site(request)
            form = await form_of(request)
            provider = form.get("provider", "")
            try:
                done = act(form)
            except (KeyError, ValueError) as error:
                return self._render(request, provider, problem=str(error.args[0]), status=400)
            place = quote(form.get("calendar", "") or form.get("place", ""), safe="")
            tab = f"&provider={quote(provider, safe='')}" if provider and provider != self._first else ""
            return RedirectResponse(f"/sandbox?done={done}{tab}#{place}", 303)

        return endpoint

    def add(self, form: Form) -> str:
        stand_in, calendar = self._calendar(form)
        zone = ZoneInfo(calendar.timezone)
        title, start, end = form.get("title", "").strip(), form.get("start", ""), form.get("end", "")
        all_day, weekly = bool(form.get("all_day")), bool(form.get("weekly"))
        if all_day:
            first, last = (_day(text, "Enter the first and the last day.") for text in (start, end or start))
            begins, ends = (_midnight(day, zone) for day in (first, last + timedelta(days=1)))
        else:
            begins, ends = (
                _moment(start, zone, "Invalid start time."),
                _moment(end, zone, "Invalid end time."),
            )
        if ends <= begins:
            raise ValueError("The specified time range is empty.")
        if not (all_day or weekly):
            stand_in.add_event(calendar.id, title, begins, ends)
        elif isinstance(stand_in, KeepsSeries):
            stand_in.add_special(calendar.id, title, begins, ends, all_day=all_day, weekly=weekly)
        else:
            raise ValueError(f"{stand_in.title} takes neither whole days nor repetition here.")
        return "added"

    def move(self, form: Form) -> str:
        stand_in, calendar = self._calendar(form)
        start = _moment(form.get("start", ""), ZoneInfo(calendar.timezone), "That is not a date or time.")
        shift = form.get("shift", "")
        if shift.lstrip("-").isdigit():
            minutes = max(-525_600, min(int(shift), 525_600))
            days = minutes % 1440 == 0
            by = timedelta(minutes=minutes)  # whole days on the wall clock, else of real time
            start = start + by if days else (start.astimezone(UTC) + by).astimezone(start.tzinfo)
        stand_in.move_event(calendar.id, form.get("event", ""), start)
        return "moved"

    def rename(self, form: Form) -> str:
        stand_in, calendar = self._calendar(form)
        stand_in.rename_event(calendar.id, form.get("event", ""), form.get("title", "").strip())
        return "renamed"

    def delete(self, form: Form) -> str:
        stand_in, calendar = self._calendar(form)
        event_id = form.get("series", "") if form.get("whole_series") else form.get("event", "")
        stand_in.delete_event(calendar.id, event_id)
        return "deleted"

    def remove_access(self, form: Form) -> str:
        self._stand_in(form).remove_access(form.get("account", ""))
        return "removed"

    def expire(self, form: Form) -> str:
        let_expire(self._stand_in(form), form.get("what", ""), form.get("account", "").strip())
        return "expired"

    def notice(self, form: Form) -> str:
        sent = send_notice(self._stand_in(form), form.get("what", ""), form.get("account", "").strip())
        return "noticed" if sent else "unheard"

    def switch_on(self, form: Form) -> str:
        body: dict[str, Any] = {
            name: form.get(name, "").strip()
            for name in ("provider", "kind", "operation", "account", "retry_after")
        }
        try:
            if form.get("often", "once") == "always":
                body["times"] = None
            else:
                body["times"] = int(form.get("times", "") or 1)
            body["page"] = int(form.get("page", "") or 0)
            body["probability"] = int(form.get("percent", "") or 100) / 100
            body["seconds"] = float(form.get("seconds", "") or 30)
        except ValueError as error:
            raise ValueError("Counts, pages, percent and seconds are numbers.") from error
        self.faults.switch_on(fault_from({**body, "after": bool(form.get("after"))}))
        return "broken"

    def switch_off(self, form: Form) -> str:
        for switch in self._switches(form.get("provider", "")):
            if form.get("fault", "") in ("", switch.id):
                self.faults.switch_off(switch.id)
        return "mended"

    def switch_rule(self, form: Form) -> str:
        rules_of(self._stand_in(form)).switch(form.get("rule", ""), on=bool(form.get("on")))
        return "switched"

    def change_role(self, form: Form) -> str:
        stand_in, calendar = self._calendar(form)
        set_role(stand_in, calendar.id, form.get("role", ""))
        return "shared"

    def _switches(self, provider: str) -> list[Switch]:
        return [switch for switch in self.faults.all() if switch.fault.provider == provider]

    def _stand_in(self, form: Form) -> StandIn:
        found = self.stand_ins.get(form.get("provider", "") or self._first)
        if found is None:
            raise ValueError("There is no such provider here.")
        return found

    def _calendar(self, form: Form) -> tuple[StandIn, HeldCalendar]:
        stand_in = self._stand_in(form)
        for account in stand_in.accounts():
            for calendar in account.calendars:
                if calendar.id == form.get("calendar", ""):
                    return stand_in, calendar
        raise ValueError("That calendar is gone.")

    def _render(
        self, request: Request, provider: str, *, done: str = "", problem: str = "", status: int = 200
    ) -> Response:
        tab = next((tab for tab in self._tabs if tab.key == provider), self._tabs[0])
        stand_in = tab.stand_in
        return self.pages.render(
            request,
            "sandbox.html",
            status,
            tabs=self._tabs,
            tab=tab,
            accounts=stand_in.accounts(),
            lines=_lines,
            keeps_series=isinstance(stand_in, KeepsSeries),
            roles=_roles(stand_in),
            can_expire=isinstance(stand_in, Expires),
            notices=_notices(stand_in),
            expiring=_EXPIRING,
            rules=rules_of(stand_in).all(),
            kinds=kinds(tab.key),
            operations=operations(tab.key),
            switches=self._switches(tab.key),
            broken={s.fault.provider for s in self.faults.all() if not s.used or s.waiting},
            selected=selected_event(request.query_params.get("eid", "")),
            sequence=self.sequence(),
            done=done,
            problem=problem,
        )


def _notices(stand_in: StandIn) -> Mapping[str, str]:
    if isinstance(stand_in, SendsNotices):
        return stand_in.notices()
    return {}


def _roles(stand_in: StandIn) -> Mapping[str, str]:
    """The roles that a calendar's account can have, and what the page calls them."""
    if isinstance(stand_in, KeepsRights):
        return {role: _ROLE_NAMES[role] for role in stand_in.roles}
    return {}


def _moment(text: str, zone: ZoneInfo, problem: str) -> datetime:
    """What a date or date-time field says on ``zone``'s wall clock."""
    try:
        return datetime.fromisoformat(text).replace(tzinfo=zone)
    except ValueError as error:
        raise ValueError(problem) from error


def _day(text: str, problem: str) -> date:
    try:
        return date.fromisoformat(text[:10])
    except ValueError as error:
        raise ValueError(problem) from error


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone)


def _lines(calendar: HeldCalendar) -> Sequence[EventLine]:
    return [_line(event, ZoneInfo(calendar.timezone)) for event in calendar.events]


def _line(event: HeldEvent, zone: ZoneInfo) -> EventLine:
    if event.all_day:
        first, last = event.start.date(), event.end.date() - timedelta(days=1)
        until = "" if last <= first else f" to {last:%a %d %b}"
        return EventLine(event, f"{first:%a %d %b}{until}, all day", first.isoformat())
    start, end = event.start.astimezone(zone), event.end.astimezone(zone)
    until = f"{end:%H:%M}" if end.date() == start.date() else f"{end:%a %d %b %H:%M}"
    return EventLine(event, f"{start:%a %d %b, %H:%M} to {until}", f"{start:%Y-%m-%dT%H:%M}")
