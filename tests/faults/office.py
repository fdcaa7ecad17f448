"""A business whose calendar is at the sandbox's Google, behind fault switches, reached over real HTTP."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlmodel import col, select

from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import Calendar, CalendarWrite, Connection, Event, IdempotencyRecord
from calendar_app.domain.event import BOOKING_MARK
from calendar_app.services.bookings import BookingView
from tests.sandbox.server import OWNER, Sandbox
from tests.support import factories
from tests.support.scheduling import ZONE, Place, next_monday

LONG = os.environ.get("FAULTS") == "long"
"""Every variant on both databases, instead of the hardest ones on one."""
DAYS = {day: [["00:00", "24:00"]] for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")}
FAULTS = "/sandbox/api/faults"


@dataclass
class Office:
    """The business, and what the provider holds of it. ``place`` books; ``sandbox`` is the provider."""

    sandbox: Sandbox
    place: Place
    connection: Connection
    calendar: Calendar

    def fault(self, kind: str, operation: str = "", **fields: Any) -> str:
        """Switch a fault on; its id."""
        body = {"provider": "google", "kind": kind, "operation": operation} | fields
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
        assert self.sandbox.client.delete(path).status_code == 204

    def _state(self, fault: str) -> dict[str, Any]:
        items = self.sandbox.client.get(FAULTS).json()["items"]
        return next(item for item in items if item["id"] == fault)

    def remote(self) -> list[dict[str, Any]]:
        """Every standing event of the calendar, as Google holds it."""
        path = f"/sandbox/api/calendars/{OWNER}/events"
        items: list[dict[str, Any]] = self.sandbox.client.get(
            path, params={"limit": "100000"}, timeout=60
        ).json()["items"]
        return items

    def ours(self) -> dict[str, dict[str, Any]]:
        """Events of bookings, by booking; two of one booking are a failure."""
        found = [(mark, item) for item in self.remote() if (mark := _mark(item))]
        doubled = [mark for mark, count in Counter(mark for mark, _ in found).items() if count > 1]
        assert not doubled, f"doubled events of bookings {doubled}"
        return dict(found)

    def times(self, event: dict[str, Any]) -> tuple[datetime, datetime]:
        """Start and end of an event at Google."""
        start, end = (datetime.fromisoformat(event[side]["dateTime"]) for side in ("start", "end"))
        return start, end

    def add_remote(self, count: int, days: int = 300) -> None:
        """Many outside events at once."""
        body = {"count": count, "days": days}
        path = f"/sandbox/api/calendars/{OWNER}/generate"
        assert self.sandbox.client.post(path, json=body, timeout=60).status_code == 200

    def change_remote(self, event_id: str, **patch: Any) -> None:
        """An outside change to one event."""
        answer = self.sandbox.client.patch(f"/sandbox/api/calendars/{OWNER}/events/{event_id}", json=patch)
        assert answer.status_code == 200, answer.text

    def mirrored(self) -> Counter[str]:
        """Ids in our mirror of the calendar, with how often each is there."""
        with reading() as session:
            mine = col(Event.calendar_id) == self.calendar.id
            return Counter(session.exec(select(Event.remote_id).where(mine)).all())

    def assert_mirrored(self) -> None:
        """Our mirror holds exactly what the provider holds."""
        assert self.mirrored() == Counter(item["id"] for item in self.remote())

    def row(self) -> Calendar:
        with reading() as session:
            return session.get_one(Calendar, self.calendar.id)

    def account(self) -> Connection:
        with reading() as session:
            return session.get_one(Connection, self.connection.id)

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


def opened(sandbox: Sandbox) -> Office:
    """A workspace whose owner has connected the sandbox's account; open around the clock, half an hour each."""
    workspace = factories.workspace(timezone=ZONE)
    person = factories.person(timezone=ZONE, email=OWNER)
    factories.membership(person, workspace)
    factories.schedule(person, workspace, weekly=DAYS)
    tokens = sandbox.tokens()
    connection = factories.connection(
        person,
        workspace,
        provider="google",
        account_email=OWNER,
        access_token=tokens["access_token"],
        refresh_token=tokens["refresh_token"],
    )
    calendar = factories.calendar(
        connection, remote_id=OWNER, is_primary=True, receives_bookings=True, checks_conflicts=True
    )
    kind = factories.event_type(workspace, person, title="Intro call", durations=[30], step_minutes=30)
    owner = factories.actor(person, workspace)
    clear = next_monday() + timedelta(weeks=3)  # of what the provider's newcomer finds
    place = Place(workspace, kind, (person,), (calendar,), owner, clear)
    return Office(sandbox, place, connection, calendar)


def _mark(item: dict[str, Any]) -> str:
    private = item.get("extendedProperties", {}).get("private", {})
    return str(private.get(BOOKING_MARK, ""))
