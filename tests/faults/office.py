"""A business whose calendar is at one of the sandbox's providers, behind fault switches, reached over real HTTP."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from sqlmodel import col, select

from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import Calendar, CalendarWrite, Connection, Event, IdempotencyRecord
from calendar_app.db.tables.connections import WITH_TOKENS
from calendar_app.providers import registry
from calendar_app.providers.base import Capability
from calendar_app.services.bookings.views import BookingView
from calendar_app.services.connections import budget
from tests.faults.vendors import VENDORS, Held, Vendor
from tests.sandbox.server import OWNER, Sandbox
from tests.support import factories
from tests.support.scheduling import ZONE, Place, next_monday

DAYS = {day: [["00:00", "24:00"]] for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")}
FAULTS = "/sandbox/api/faults"


@dataclass
class Office:
    """The business, and what the provider holds of it. ``place`` books; ``vendor`` is the account in ``sandbox``."""

    sandbox: Sandbox
    place: Place
    connection: Connection
    calendar: Calendar
    vendor: Vendor

    def fault(self, kind: str, operation: str = "", **fields: Any) -> str:
        """Switch a fault on; its id."""
        body = {"provider": self.vendor.key, "kind": kind, "operation": operation} | fields
        answer = self.sandbox.client.post(FAULTS, json=body)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def met(self, fault: str) -> int:
        """How many calls the fault has met."""
        return int(self._state(fault)["hits"])

    def held(self, fault: str) -> int:
        """How many calls it holds right now."""
        return int(self._state(fault)["waiting"])

    def mend(self, fault: str = "") -> None:
        """Switch one fault off, or all."""
        path = f"{FAULTS}/{fault}" if fault else FAULTS
        budget.forget()
        assert self.sandbox.client.delete(path).status_code == 204

    def _state(self, fault: str) -> dict[str, Any]:
        items = self.sandbox.client.get(FAULTS).json()["items"]
        return next(item for item in items if item["id"] == fault)

    def remote(self) -> list[Held]:
        """Every standing event of the calendar, as the provider holds it."""
        return self.vendor.held()

    def ours(self) -> dict[str, Held]:
        """Events of bookings, by booking; two of one booking are a failure."""
        found = [held for held in self.remote() if held.booking]
        counts = Counter(held.booking for held in found)
        assert max(counts.values(), default=1) == 1, f"doubled events of bookings {counts}"
        return {held.booking: held for held in found}

    def times(self, event: Held) -> tuple[datetime, datetime]:
        """Start and end of an event at the provider."""
        return event.start, event.end

    def add_remote(self, count: int, days: int = 300) -> None:
        """Many outside events at once, at Google."""
        body = {"count": count, "days": days}
        path = f"/sandbox/api/calendars/{OWNER}/generate"
        assert self.sandbox.client.post(path, json=body, timeout=60).status_code == 200

    def add_outside(self, title: str, start: datetime, minutes: int = 30) -> str:
        """An event that its owner makes; its id."""
        end = start + timedelta(minutes=minutes)
        body = {"title": title, "start": start.isoformat(), "end": end.isoformat()}
        answer = self.sandbox.client.post(self._events, json=body)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def rename_outside(self, event_id: str, title: str) -> None:
        """The owner gives an event another title."""
        answer = self.sandbox.client.patch(
            f"{self._events}/{quote(event_id, safe='')}", json={"title": title}
        )
        assert answer.status_code == 204, answer.text

    def move_outside(self, event_id: str, start: datetime) -> None:
        """The owner drags an event to another time; it keeps its length."""
        answer = self.sandbox.client.patch(
            f"{self._events}/{quote(event_id, safe='')}", json={"start": start.isoformat()}
        )
        assert answer.status_code == 204, answer.text

    def remove_outside(self, event_id: str) -> None:
        """The owner deletes an event."""
        answer = self.sandbox.client.delete(f"{self._events}/{quote(event_id, safe='')}")
        assert answer.status_code == 204, answer.text

    @property
    def _events(self) -> str:
        return f"/sandbox/api/{self.vendor.key}/calendars/{quote(self.vendor.shown, safe='')}/events"

    def mirrored(self) -> Counter[str]:
        """Ids in our mirror of the calendar, with how often each is there."""
        with reading() as session:
            mine = col(Event.calendar_id) == self.calendar.id
            return Counter(session.exec(select(Event.remote_id).where(mine)).all())

    def assert_mirrored(self) -> None:
        """Our mirror holds exactly what the provider holds."""
        assert self.mirrored() == Counter(held.id for held in self.remote())

    def row(self) -> Calendar:
        with reading() as session:
            return session.get_one(Calendar, self.calendar.id)

    def account(self) -> Connection:
        with reading() as session:
            return session.get_one(Connection, self.connection.id, options=WITH_TOKENS)

    def age_token(self) -> None:
        """Let the access token be over, by our own books."""
        with transaction() as session:
            row = session.get_one(Connection, self.connection.id)
            row.access_expires_at = datetime.now(UTC) - timedelta(seconds=1)
            session.add(row)

    def write_of(self, booking: BookingView | str) -> CalendarWrite:
        key = booking if isinstance(booking, str) else booking.id
        with reading() as session:
            return session.exec(select(CalendarWrite).where(CalendarWrite.booking_id == key)).one()

    def pass_time(self, *, leases: bool = True) -> None:
        """Waiting times are over, as if hours had gone by; ``leases``: claims as well."""
        with transaction() as session:
            for record in session.exec(select(IdempotencyRecord)):
                record.created_at -= timedelta(minutes=5)
                session.add(record)
            for row in session.exec(select(CalendarWrite)):
                row.next_attempt_at = None
                if leases:
                    row.lease_until = None
                session.add(row)
            if not leases:
                return
            for calendar in session.exec(select(Calendar)):
                if calendar.sync_lease_until is not None:
                    calendar.sync_lease_until = datetime.now(UTC) - timedelta(seconds=1)
                if calendar.sync_retry_at is not None:
                    calendar.sync_retry_at = datetime.now(UTC) - timedelta(seconds=1)
                session.add(calendar)
            for connection in session.exec(select(Connection)):
                if connection.refresh_lease_until is not None:
                    connection.refresh_lease_until = datetime.now(UTC) - timedelta(seconds=1)
                session.add(connection)


def opened(sandbox: Sandbox, provider: str = "google", radicale: str = "") -> Office:
    """A workspace whose owner has connected the account; open around the clock, half an hour each.

    ``radicale``: the address behind the sandbox's CalDAV, where the provider is over that.
    """
    workspace = factories.workspace(timezone=ZONE)
    person = factories.person(timezone=ZONE, email=OWNER)
    factories.membership(person, workspace)
    factories.schedule(person, workspace, weekly=DAYS)
    vendor = VENDORS[provider](sandbox, radicale)
    connection = factories.connection(
        person, workspace, provider=provider, account_email=OWNER, **vendor.columns()
    )
    writes = Capability.WRITE in registry.kind(provider).capabilities
    calendar = factories.calendar(
        connection,
        remote_id=vendor.calendar,
        is_primary=True,
        receives_bookings=writes,
        checks_conflicts=True,
        access_role="owner" if writes else "reader",
    )
    kind = factories.event_type(workspace, person, title="Intro call", durations=[30], step_minutes=30)
    owner = factories.actor(person, workspace)
    clear = next_monday() + timedelta(weeks=3)  # of what the provider's newcomer finds
    place = Place(workspace, kind, (person,), (calendar,), owner, clear)
    return Office(sandbox, place, connection, calendar, vendor)
