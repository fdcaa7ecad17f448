"""The stand-in for Microsoft 365 as the sandbox's page, control interface and fault switches see it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from starlette.routing import BaseRoute, Mount

from calendar_app.sandbox.delivery import Delivery
from calendar_app.sandbox.grants import SCHEMA as GRANTS
from calendar_app.sandbox.microsoft import ids
from calendar_app.sandbox.microsoft.error import GraphError
from calendar_app.sandbox.microsoft.events import Events
from calendar_app.sandbox.microsoft.graph_api import GraphApi
from calendar_app.sandbox.microsoft.mailboxes import COLORS, Calendar, Mailbox, Mailboxes
from calendar_app.sandbox.microsoft.oauth import MicrosoftGrants, MicrosoftOAuth
from calendar_app.sandbox.microsoft.resource import Stored
from calendar_app.sandbox.microsoft.rules import RULES
from calendar_app.sandbox.microsoft.schema import SCHEMA
from calendar_app.sandbox.microsoft.seed import plant
from calendar_app.sandbox.microsoft.seed import weekly as every_week
from calendar_app.sandbox.microsoft.subscriptions import Subscriptions
from calendar_app.sandbox.microsoft.zones import windows_name, written
from calendar_app.sandbox.pages import Pages
from calendar_app.sandbox.rules import Rules
from calendar_app.sandbox.stand_in import (
    FOR_THE_PAGE,
    ROLES,
    HeldAccount,
    HeldCalendar,
    HeldEvent,
    Listed,
    OAuthStandIn,
)
from calendar_app.sandbox.store import Clock, Store

Json = dict[str, Any]

_OUTLOOK_BLUE = "#0f6cbd"
_NOTICES = {
    "reauthorizationRequired": "Reauthorization required",
    "missed": "Notifications were missed",
    "subscriptionRemoved": "Subscription removed",
}


class MicrosoftStandIn(OAuthStandIn):
    """:class:`calendar_app.sandbox.stand_in.StandIn` over a store of its own.

    ``api.gate.latency`` makes Graph's answers slower, so that parallel calls can meet its limit.
    """

    key, title = "microsoft", "Microsoft 365"
    roles = ROLES

    def __init__(
        self,
        store_path: Path | str,
        clock: Clock,
        pages: Pages,
        redirect_uris: Iterable[str],
        *,
        public_url: str,
        delivery: Delivery | None = None,
        access_token_seconds: int | None = None,
    ) -> None:
        self.store = Store(store_path, clock, GRANTS + SCHEMA)
        self.delivery = delivery or Delivery()
        self.rules = Rules(RULES)
        self.mailboxes = Mailboxes(self.store)
        self.events = Events(self.store, self.mailboxes, self.rules)
        self.grants = MicrosoftGrants(self.store, access_token_seconds)
        self.subscriptions = Subscriptions(
            self.store, self.mailboxes, self.delivery, self.events.etag_of, self.rules
        )
        self.api = GraphApi(
            self.mailboxes, self.events, self.grants, self.subscriptions, public_url, self.rules
        )
        self._oauth = MicrosoftOAuth(self.mailboxes, self.grants, pages, redirect_uris, self.rules)
        plant(self.mailboxes, self.events)
        self.store.on_change = self.subscriptions.changed
        self.grants.on_withdrawn = lambda email: self.send_notice("subscriptionRemoved", email)

    def routes(self) -> Sequence[BaseRoute]:
        return [Mount("/graph/v1.0", routes=self.api.routes()), *self._oauth.routes()]

    def accounts(self, listed: Listed = FOR_THE_PAGE) -> Sequence[HeldAccount]:
        return [self._account(mailbox, listed) for mailbox in self.mailboxes.all()]

    def add_event(self, calendar_id: str, title: str, start: datetime, end: datetime) -> str:
        return self.add_special(calendar_id, title, start, end, all_day=False, weekly=False)

    def add_special(
        self, calendar_id: str, title: str, start: datetime, end: datetime, *, all_day: bool, weekly: bool
    ) -> str:
        calendar = self._calendar(calendar_id)
        zone = self.mailboxes.get(calendar.mailbox).zone
        body = {"subject": title, "isAllDay": all_day, **_sides(start, end, zone)}
        if weekly:
            body["recurrence"] = every_week(start.astimezone(ZoneInfo(zone)).date())
        try:
            return ids.shown(self.events.insert(calendar, body).id)
        except GraphError as error:
            raise _plainly(error) from error

    def add_many(self, calendar_id: str, bodies: list[Json]) -> int:
        """Adds Graph event bodies in one change; how many."""
        return len(self.events.insert_many(self._calendar(calendar_id), bodies))

    def move_event(self, calendar_id: str, event_id: str, start: datetime) -> None:
        email = self._calendar(calendar_id).mailbox
        try:
            event = self.events.get(email, event_id)
            zone = self.mailboxes.get(email).zone
            by = int(start.timestamp()) - event.starts
            first, last = (datetime.fromtimestamp(at + by, UTC) for at in (event.starts, event.ends))
            if event.body["isAllDay"]:
                # Days are counted on the calendar, where one may have 23 or 25 hours.
                first = start.astimezone(ZoneInfo(zone))
                last = first + timedelta(days=round((event.ends - event.starts) / 86_400))
            self.events.patch(email, event_id, _sides(first, last, zone))
        except GraphError as error:
            raise _plainly(error) from error

    def rename_event(self, calendar_id: str, event_id: str, title: str) -> None:
        try:
            self.events.patch(self._calendar(calendar_id).mailbox, event_id, {"subject": title})
        except GraphError as error:
            raise _plainly(error) from error

    def delete_event(self, calendar_id: str, event_id: str) -> None:
        try:
            self.events.delete(self._calendar(calendar_id).mailbox, event_id)
        except GraphError as error:
            raise _plainly(error) from error

    def call_off(self, calendar_id: str, event_id: str) -> None:
        """The organizer cancels a meeting that the calendar's owner was invited to."""
        try:
            self.events.call_off(self._calendar(calendar_id).mailbox, event_id)
        except GraphError as error:
            raise _plainly(error) from error

    def set_role(self, calendar_id: str, role: str) -> None:
        self.mailboxes.set_role(self._calendar(calendar_id), role)

    def expire_sync_tokens(self, calendar_id: str | None) -> None:
        self.mailboxes.expire_sync_tokens(self._calendar(calendar_id).id if calendar_id else None)

    def expire_channels(self, account: str | None) -> None:
        self.subscriptions.expire(account)

    def notices(self) -> Mapping[str, str]:
        return _NOTICES

    def send_notice(self, kind: str, account: str | None = None) -> int:
        return self.subscriptions.lifecycle(kind, account)

    def _calendar(self, calendar_id: str) -> Calendar:
        try:
            found = self.mailboxes.calendar_by_own_id(ids.own(calendar_id))
        except GraphError as error:
            raise KeyError(str(error)) from error
        if found is None:
            raise KeyError("That calendar is gone.")
        return found

    def _account(self, mailbox: Mailbox, listed: Listed) -> HeldAccount:
        return HeldAccount(
            mailbox.email,
            mailbox.name,
            (
                *(
                    self._held_calendar(row, mailbox, listed)
                    for row in self.mailboxes.calendars(mailbox.email)
                ),
                *(
                    HeldCalendar(
                        ids.shown(row.id), row.name, mailbox.zone, _color(row), (), 0, False, role="none"
                    )
                    for row in self.mailboxes.unshared(mailbox.email)
                ),
            ),
            connected=bool(self.grants.consent(mailbox.email)),
            channels=len(self.subscriptions.of(mailbox.email)),
        )

    def _held_calendar(self, row: Calendar, mailbox: Mailbox, listed: Listed) -> HeldCalendar:
        zone = ZoneInfo(mailbox.zone)
        midnight = self.store.now().astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
        start = int(midnight.timestamp())
        found = self.events.view(row, start, start + listed.days * 86_400)[: listed.limit]
        total = self.store.db.execute(
            "SELECT count(*) FROM event WHERE calendar = ? AND status = 'live'", (row.id,)
        ).fetchone()[0]
        events = tuple(_held(event, zone) for event in found)
        role = "owner" if row.can_edit else "reader"
        return HeldCalendar(
            ids.shown(row.id), row.name, mailbox.zone, _color(row), events, total, row.can_edit, role
        )


def _color(row: Calendar) -> str:
    return COLORS[row.color] or _OUTLOOK_BLUE


def _sides(start: datetime, end: datetime, zone: str) -> Json:
    named = windows_name(zone)
    return {
        side: {"dateTime": written(int(moment.timestamp()), named)["dateTime"], "timeZone": named}
        for side, moment in (("start", start), ("end", end))
    }


def _held(event: Stored, zone: ZoneInfo) -> HeldEvent:
    words = {"free": "shown as free", "tentative": "tentative", "oof": "out of office"}
    notes = [
        *(["repeats"] if event.series else []),
        *([words[event.body["showAs"]]] if event.body["showAs"] in words else []),
        *(
            person["emailAddress"].get("name") or person["emailAddress"]["address"]
            for person in event.body["attendees"]
        ),
    ]
    start, end = (datetime.fromtimestamp(at, zone) for at in (event.starts, event.ends))
    return HeldEvent(
        ids.shown(event.id),
        event.body["subject"] or "(no title)",
        start,
        end,
        all_day=event.body["isAllDay"],
        notes=tuple(notes),
        series=ids.shown(event.series) if event.series else "",
    )


def _plainly(error: GraphError) -> Exception:
    """Graph's refusal in the words of :class:`~calendar_app.sandbox.stand_in.StandIn`."""
    return (
        KeyError(str(error))
        if error.status == 404 or error.code == "ErrorInvalidIdMalformed"
        else ValueError(str(error))
    )
