"""Calendly as the sandbox mounts and shows it: what it holds, and what customers and hosts do there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from starlette.routing import BaseRoute, Mount

from calendar_app.sandbox.calendly.api import Api
from calendar_app.sandbox.calendly.bookings import DEFAULT_ZONE, Account, Bookings
from calendar_app.sandbox.calendly.error import CalendlyError
from calendar_app.sandbox.calendly.oauth import CalendlyGrants, CalendlyOAuth
from calendar_app.sandbox.calendly.rules import RULES
from calendar_app.sandbox.calendly.schema import SCHEMA
from calendar_app.sandbox.calendly.webhooks import Webhooks
from calendar_app.sandbox.delivery import Delivery
from calendar_app.sandbox.grants import SCHEMA as GRANTS
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
from calendar_app.sandbox.store import Clock, Store

OWNER, OWNER_NAME = "owner@example.com", "Olivia Owner"
_COLOR = "#006bff"


class Calendly(OAuthStandIn):
    """:class:`calendar_app.sandbox.stand_in.StandIn` over a store of its own.

    A calendar's id is its account's uuid: Calendly has one list of scheduled events per user. Adding an event is a
    customer's booking, moving one is the customer's rescheduling, which ends it and makes another, and deleting is the
    host's cancellation.
    """

    key, title = "calendly", "Calendly"

    def __init__(
        self,
        store_path: Path | str,
        clock: Clock,
        pages: Pages,
        redirect_uris: Iterable[str],
        *,
        delivery: Delivery | None = None,
        access_token_seconds: int | None = None,
    ) -> None:
        self.store = Store(store_path, clock, GRANTS + SCHEMA)
        self.delivery = delivery or Delivery()
        self.bookings = Bookings(self.store)
        self.grants = CalendlyGrants(self.store, access_token_seconds)
        self.rules = Rules(RULES)
        self.webhooks = Webhooks(self.bookings, self.delivery, self.rules)
        self._oauth = CalendlyOAuth(self.bookings, self.grants, pages, redirect_uris)
        plant(self.bookings)
        self.store.on_change = self.webhooks.changed
        self.grants.on_withdrawn = self.expire_channels

    def routes(self) -> Sequence[BaseRoute]:
        api = Api(self.bookings, self.grants, self.webhooks)
        return [Mount("/api", routes=api.routes()), *self._oauth.routes()]

    def accounts(self, listed: Listed = FOR_THE_PAGE) -> Sequence[HeldAccount]:
        return [
            HeldAccount(
                account.email,
                account.name,
                (self._calendar(account, listed),),
                connected=bool(self.grants.consent(account.email)),
                channels=self.webhooks.count(account.uuid),
                hint="a new event is a customer's booking, another start a rescheduling",
            )
            for account in self.bookings.accounts()
        ]

    def add_event(self, calendar_id: str, title: str, start: datetime, end: datetime) -> str:
        return self.bookings.book(self._account(calendar_id), title.strip() or "Intro call", start, end)

    def move_event(self, calendar_id: str, event_id: str, start: datetime) -> None:
        self._own(calendar_id, event_id)
        try:
            self.bookings.reschedule(event_id, start)
        except CalendlyError as error:
            raise ValueError(str(error)) from error

    def rename_event(self, calendar_id: str, event_id: str, title: str) -> None:
        """:raises ValueError: always; a scheduled event keeps the name of what was booked."""
        self._own(calendar_id, event_id)
        raise ValueError("At Calendly an event keeps the name of what was booked.")

    def delete_event(self, calendar_id: str, event_id: str) -> None:
        account = self._own(calendar_id, event_id)
        try:
            self.bookings.cancel(event_id, by=account.name, reason="Something came up")
        except CalendlyError as error:
            raise ValueError(str(error)) from error

    def remove_access(self, email: str) -> None:
        if self.bookings.by_email(email) is None:
            raise KeyError(email)
        super().remove_access(email)

    def expire_sync_tokens(self, calendar_id: str | None) -> None:
        """Nothing: Calendly has no sync tokens."""

    def expire_channels(self, account: str | None) -> None:
        """Webhook subscriptions are gone, silently."""
        found = self.bookings.by_email(account) if account else None
        self.webhooks.forget(found.uuid if found else account)

    def _account(self, calendar_id: str) -> Account:
        account = self.bookings.account(calendar_id)
        if account is None:
            raise KeyError(calendar_id)
        return account

    def _own(self, calendar_id: str, event_id: str) -> Account:
        account = self._account(calendar_id)
        try:
            owner, _ = self.bookings.event(event_id)
        except CalendlyError:
            raise KeyError(event_id) from None
        if owner != account.uuid:
            raise KeyError(event_id)
        return account

    def _calendar(self, account: Account, listed: Listed) -> HeldCalendar:
        events = tuple(self._event(body) for body in self.bookings.upcoming(account.uuid, listed))
        total = self.store.db.execute(
            "SELECT count(*) FROM event WHERE account = ? AND status = 'active'", (account.uuid,)
        ).fetchone()[0]
        return HeldCalendar(account.uuid, "Scheduled events", DEFAULT_ZONE, _COLOR, events, int(total))

    def _event(self, body: dict[str, Any]) -> HeldEvent:
        uuid = str(body["uri"]).rpartition("/")[2]
        people = tuple(f"booked by {person['name']}" for person in self.bookings.invitees(uuid))
        start, end = (datetime.fromisoformat(body[side]) for side in ("start_time", "end_time"))
        return HeldEvent(uuid, str(body["name"]), start, end, notes=people)


def plant(bookings: Bookings) -> None:
    """Fills an empty store: one host with three appointments, one of them cancelled; does nothing to any other."""
    if bookings.accounts():
        return
    owner = bookings.ensure_account(OWNER, OWNER_NAME)
    zone = ZoneInfo(DEFAULT_ZONE)
    today = bookings.store.now().astimezone(zone).date()
    days = [day for number in range(1, 14) if (day := today + timedelta(days=number)).weekday() < 5]

    def book(number: int, start: time, title: str, minutes: int, name: str, email: str) -> str:
        begin = datetime.combine(days[number], start, zone).astimezone(UTC)
        place = {"type": "google_conference", "status": "pushed", "join_url": "https://meet.example/abc"}
        return bookings.book(
            owner, title, begin, begin + timedelta(minutes=minutes), name=name, email=email, location=place
        )

    book(1, time(11), "Intro call", 30, "Nadia Novak", "nadia.novak@example.net")
    book(4, time(14), "Working session", 60, "Tom Baker", "tom.baker@example.net")
    gone = book(5, time(9, 30), "Intro call", 30, "Iris Lund", "iris.lund@example.net")
    bookings.cancel(gone, by="Iris Lund", reason="No longer needed", canceler_type="invitee")
