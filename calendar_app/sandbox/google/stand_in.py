"""The stand-in for Google as the sandbox's page, control interface and fault switches see it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import orjson
from starlette.routing import BaseRoute, Mount

from calendar_app.sandbox.delivery import Delivery
from calendar_app.sandbox.google.calendar_api import CalendarApi
from calendar_app.sandbox.google.calendars import ROLES, Account, CalendarRow, Calendars
from calendar_app.sandbox.google.channels import Channels
from calendar_app.sandbox.google.error import GoogleError
from calendar_app.sandbox.google.events import Events
from calendar_app.sandbox.google.listing import Listing, Query
from calendar_app.sandbox.google.oauth import GoogleGrants, GoogleOAuth
from calendar_app.sandbox.google.recurrence import instant_of, written_in
from calendar_app.sandbox.google.rules import RULES
from calendar_app.sandbox.google.seed import plant
from calendar_app.sandbox.pages import Pages
from calendar_app.sandbox.rules import Rules
from calendar_app.sandbox.stand_in import (
    FOR_THE_PAGE,
    HeldAccount,
    HeldCalendar,
    HeldEvent,
    Listed,
    OAuthStandIn,
)
from calendar_app.sandbox.store import Store

Json = dict[str, Any]


def shifted(event: Json, zone: str, *, start: datetime | None = None, minutes: int = 0) -> Json:
    """A patch that moves ``event`` to ``start`` (aware) or by ``minutes``, keeping its length."""
    if "date" in event["start"]:
        first, last = (date.fromisoformat(event[side]["date"]) for side in ("start", "end"))
        by = start.astimezone(ZoneInfo(zone)).date() - first if start else timedelta(days=minutes // 1440)
        return {side: {"date": (day + by).isoformat()} for side, day in (("start", first), ("end", last))}
    first_s, last_s = (instant_of(event[side], zone) for side in ("start", "end"))
    by_s = int(start.timestamp()) - first_s if start else minutes * 60
    return {
        side: {"dateTime": written_in(at + by_s, zone), "timeZone": event[side].get("timeZone", zone)}
        for side, at in (("start", first_s), ("end", last_s))
    }


def _plainly(error: GoogleError) -> Exception:
    """Google's refusal in the words of :class:`~calendar_app.sandbox.stand_in.StandIn`."""
    return KeyError(str(error)) if error.status in (404, 410) else ValueError(str(error))


class GoogleStandIn(OAuthStandIn):
    """Everything of the stand-in over one store, which the sandbox's mailbox shares; ``push`` sends a notification, or
    spoils it."""

    key = "google"
    title = "Google"
    roles = ROLES

    def __init__(
        self,
        store: Store,
        pages: Pages,
        *,
        public_url: str,
        redirect_uris: Iterable[str],
        delivery: Delivery,
        access_token_seconds: int | None = None,
    ) -> None:
        self.store, self.delivery = store, delivery
        self.rules = Rules(RULES)
        self.calendars, self.events = Calendars(store), Events(store, public_url, self.rules)
        self.grants = GoogleGrants(store, access_token_seconds)
        self.channels = Channels(store, delivery, self.rules)
        self._oauth = GoogleOAuth(self.calendars, self.grants, pages, redirect_uris, self.rules)
        plant(self.calendars, self.events)
        store.on_change = self.channels.changed
        self.grants.on_withdrawn = self.channels.expire

    def routes(self) -> Sequence[BaseRoute]:
        api = CalendarApi(self.calendars, self.events, self.grants, self.channels, self.rules)
        return [Mount("/calendar/v3", routes=api.routes()), *self._oauth.routes()]

    def accounts(self, listed: Listed = FOR_THE_PAGE) -> Sequence[HeldAccount]:
        return [self._account(account, listed) for account in self.calendars.accounts()]

    def add_event(self, calendar_id: str, title: str, start: datetime, end: datetime) -> str:
        return self.add_special(calendar_id, title, start, end, all_day=False, weekly=False)

    def add_special(
        self,
        calendar_id: str,
        title: str,
        start: datetime,
        end: datetime,
        *,
        all_day: bool,
        weekly: bool,
    ) -> str:
        row = self._row(calendar_id)
        zone = row.body["timeZone"]
        bounds = {
            side: {"date": moment.astimezone(ZoneInfo(zone)).date().isoformat()}
            if all_day
            else {"dateTime": moment.isoformat(), "timeZone": zone}
            for side, moment in (("start", start), ("end", end))
        }
        repeat = {"recurrence": ["RRULE:FREQ=WEEKLY"]} if weekly else {}
        try:
            return str(self.events.insert(row.ref, {"summary": title, **bounds, **repeat})["id"])
        except GoogleError as error:
            raise _plainly(error) from error

    def move_event(self, calendar_id: str, event_id: str, start: datetime) -> None:
        row = self._row(calendar_id)
        try:
            event = self.events.get(row.ref, event_id)
            self.events.patch(row.ref, event_id, shifted(event, row.body["timeZone"], start=start))
        except GoogleError as error:
            raise _plainly(error) from error

    def rename_event(self, calendar_id: str, event_id: str, title: str) -> None:
        try:
            self.events.patch(self._row(calendar_id).ref, event_id, {"summary": title})
        except GoogleError as error:
            raise _plainly(error) from error

    def delete_event(self, calendar_id: str, event_id: str) -> None:
        try:
            self.events.delete(self._row(calendar_id).ref, event_id)
        except GoogleError as error:
            raise _plainly(error) from error

    def set_role(self, calendar_id: str, role: str) -> None:
        self.calendars.set_role(self._row(calendar_id), role)

    def expire_sync_tokens(self, calendar_id: str | None) -> None:
        self.calendars.expire_sync_tokens(calendar_id)

    def expire_channels(self, account: str | None) -> None:
        self.channels.expire(account)

    def _row(self, calendar_id: str) -> CalendarRow:
        row = self.calendars.find(calendar_id)
        if row is None:
            raise KeyError("That calendar is gone.")
        return row

    def _account(self, account: Account, listed: Listed) -> HeldAccount:
        return HeldAccount(
            account.email,
            account.name,
            tuple(self._calendar(row, listed) for row in self.calendars.of(account.email, unshared=True)),
            connected=bool(self.grants.consent(account.email)),
            channels=len(self.channels.of(account.email)),
        )

    def _calendar(self, row: CalendarRow, listed: Listed) -> HeldCalendar:
        zone, name, color = row.body["timeZone"], row.body["summary"], row.body["backgroundColor"]
        if row.role == "none":
            return HeldCalendar(row.id, name, zone, color, (), 0, role="none")
        midnight = (
            self.store.now().astimezone(ZoneInfo(zone)).replace(hour=0, minute=0, second=0, microsecond=0)
        )
        start = int(midnight.timestamp())
        query = Query(
            single=True,
            order="startTime",
            time_min=start,
            time_max=start + listed.days * 86_400,
            limit=listed.limit,
        )
        total = self.store.db.execute(
            "SELECT count(*) FROM event WHERE calendar = ? AND status != 'cancelled'", (row.id,)
        ).fetchone()[0]
        events = tuple(
            _held(orjson.loads(orjson.dumps(item)), zone)
            for item in Listing(self.store, row, query).page()["items"]
        )
        return HeldCalendar(row.id, name, zone, color, events, total, role=row.role)


def _held(event: Json, zone: str) -> HeldEvent:
    notes = [
        *(["repeats"] if "recurringEventId" in event else []),
        *(["shown as free"] if event.get("transparency") == "transparent" else []),
        *(["tentative"] if event["status"] == "tentative" else []),
        *(p.get("displayName") or p["email"] for p in event.get("attendees", ()) if not p.get("self")),
    ]
    start, end = (
        datetime.fromtimestamp(instant_of(event[side], zone), ZoneInfo(zone)) for side in ("start", "end")
    )
    return HeldEvent(
        event["id"],
        event.get("summary") or "(no title)",
        start,
        end,
        all_day="date" in event["start"],
        notes=tuple(notes),
        series=event.get("recurringEventId", ""),
    )
