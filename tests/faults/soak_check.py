"""What must hold when the soak's troubles are over: first everything comes to rest, then everybody is asked."""

from __future__ import annotations

import re
import time
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlmodel import col, select

from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import Booking, Calendar, CalendarWrite, Connection, Event, Mail, Workspace
from calendar_app.domain.calendar_write import WriteState
from calendar_app.domain.event import CalendarEvent, EventStatus
from calendar_app.domain.recurrence import wallclock
from calendar_app.errors import AlmanacError
from calendar_app.providers.base import CalendarProvider
from calendar_app.services.calendar_sync import requests as sync_requests
from calendar_app.services.calendar_writes import outbox as write_outbox
from calendar_app.services.calendar_writes import planning as write_planning
from calendar_app.services.connections import tokens as connection_tokens
from calendar_app.services.mail import outbox as mail_outbox
from tests.faults.soak_business import Place
from tests.faults.soak_trouble import reconnect
from tests.support.scheduling import assert_consistent

if TYPE_CHECKING:
    from tests.faults.soak import Soak, Wish

SETTLE_S = 1_800
_NAME = re.compile(r"Soaked [0-9a-f]{8}")
HELD = (WriteState.VERIFIED, WriteState.REMOVED)


def backlog() -> int:
    """Writes that are not where they should be."""
    with reading() as session:
        return len(session.exec(select(CalendarWrite.id).where(col(CalendarWrite.state).not_in(HELD))).all())


def _letters_waiting() -> int:
    with reading() as session:
        due = select(Mail.id).where(
            col(Mail.state).in_(mail_outbox.WAITING), col(Mail.next_attempt_at).is_(None)
        )
        tried = select(Mail.id).where(col(Mail.state).in_(mail_outbox.WAITING), Mail.attempts > 0)
        return len(session.exec(due).all()) + len(session.exec(tried).all())


def settle(soak: Soak) -> tuple[int, int]:
    """Wait until nothing is left to do; how many writes had been parked, and how many are left."""
    silently_broken(soak)
    reconnect(soak)
    parked: set[str] = set()
    begun = time.monotonic()
    while left := backlog() + _letters_waiting():
        if time.monotonic() - begun > SETTLE_S:
            return len(parked), left
        parked |= _hurry()
        soak.say(f"settling: {left} left")
        time.sleep(5)
    soak.say("settling: reading every calendar once more")
    asked = datetime.now(UTC)
    for place in soak.places:
        sync_requests.request(place.calendar)
    while unread := [place.email for place in soak.places if not _read_since(place, asked)]:
        if time.monotonic() - begun > SETTLE_S:
            soak.failures.append(f"never read: {unread}")
            break
        time.sleep(1)
        sync_requests.sweep()
    return len(parked), 0


def _hurry() -> set[str]:
    """What an operator can do: retry the parked writes; and the waits of hours are cut short. Ids that were parked."""
    with transaction() as session:
        parked: set[str] = set()
        for workspace in session.exec(select(Workspace.id)).all():
            parked |= set(write_planning.retry_workspace(session, workspace))
        waiting = select(CalendarWrite).where(col(CalendarWrite.state).in_(("queued", "written")))
        for row in session.exec(waiting.with_for_update()):
            row.next_attempt_at = None
            if row.state == WriteState.WRITTEN:
                row.last_error_code = ""
            session.add(row)
        for mail in session.exec(
            select(Mail).where(col(Mail.state).in_(mail_outbox.WAITING), Mail.attempts > 0)
        ):
            mail.next_attempt_at = None
            session.add(mail)
    write_outbox.sweep()
    mail_outbox.sweep()
    return parked


def _read_since(place: Place, asked: datetime) -> bool:
    with reading() as session:
        row = session.get_one(Calendar, place.calendar)
        return row.synced_at is not None and row.synced_at >= asked


def silently_broken(soak: Soak) -> None:
    """Whoever cannot be reached says so."""
    for place in soak.places:
        try:
            connection_tokens.call(place.connection, lambda api: api.list_calendars())
        except AlmanacError as error:
            with reading() as session:
                row = session.get_one(Connection, place.connection)
            if row.status != "needs_reconnect" or not row.last_error:
                soak.failures.append(f"{place.email} does not answer ({error!r}) and is called {row.status}")


def check(soak: Soak) -> list[str]:
    """What does not agree: clients' knowledge, database, calendars, mirror and letters; empty where all holds."""
    assert_consistent()
    with reading() as session:
        rows = {row.id: row for row in session.exec(select(Booking))}
    by_email = Counter(row.email for row in rows.values())
    wrong = list(soak.failures)
    for wish in soak.wishes:
        wrong += _told(wish, rows.get(wish.booking), by_email[wish.email])
    for place in soak.places:
        mine = {row.name: row for row in rows.values() if row.event_type_id == place.kind}
        wrong += _calendar(place, mine)
    return wrong + _letters(soak, rows)


def _told(wish: Wish, row: Booking | None, count: int) -> list[str]:
    """What a client was told, and what is."""
    if wish.outcome in ("ok", "cancelled", "cancelling"):
        if count != 1 or row is None:
            return [f"{wish} was acknowledged and is there {count} times"]
        allowed = {"ok": ("confirmed",), "cancelled": ("cancelled",)}.get(
            wish.outcome, ("confirmed", "cancelled")
        )
        return [] if row.status in allowed else [f"{wish} is {row.status}"]
    if wish.outcome == "unknown":
        return [f"{wish} is there {count} times"] if count > 1 else []
    return [f"{wish} was refused and is there {count} times"] if count else []


def _calendar(place: Place, mine: dict[str, Booking]) -> list[str]:
    """One calendar at its provider: every booking's event once and at its time, and our mirror shows the same."""
    remote = connection_tokens.call(place.connection, lambda api: _listing(api, place))
    held: dict[str, list[CalendarEvent]] = {}
    for event in remote:
        if found := _NAME.search(event.summary):
            held.setdefault(found[0], []).append(event)
    wrong = []
    for name, row in mine.items():
        events, expected = held.pop(name, []), 1 if row.status == "confirmed" else 0
        if len(events) != expected:
            wrong.append(
                f"{place.email}: booking {row.id} ({row.status}) is {len(events)} times in its calendar"
            )
        elif events and wallclock.event_instant(events[0].start, "UTC") != row.start_at:
            wrong.append(
                f"{place.email}: booking {row.id} is at {row.start_at} and its event at {events[0].start}"
            )
    wrong += [f"{place.email}: an event of no booking: {name}" for name in held]
    with reading() as session:
        mirrored = set(session.exec(select(Event.remote_id).where(Event.calendar_id == place.calendar)))
    there = {event.remote_id for event in remote}
    wrong += [f"{place.email}: {len(there - mirrored)} events are not mirrored"] * bool(there - mirrored)
    wrong += [f"{place.email}: {len(mirrored - there)} mirrored events are gone"] * bool(mirrored - there)
    return wrong


def _listing(api: CalendarProvider, place: Place) -> list[CalendarEvent]:
    """Everything that the mirror should hold."""
    with reading() as session:
        remote_id = session.get_one(Calendar, place.calendar).remote_id
    pages = api.event_pages(remote_id, None, since=sync_window())
    return [event for page in pages for event in page.events if event.status is not EventStatus.CANCELLED]


def sync_window() -> datetime:
    """From when on a mirror holds events."""
    from calendar_app.domain.timespan import utc
    from calendar_app.services.calendar_mirror import expansion

    return utc(expansion.window_at(datetime.now(UTC)).start)


def _letters(soak: Soak, rows: dict[str, Booking]) -> list[str]:
    """Everybody who booked has one letter that says so, and whoever cancelled has one more; nobody else has any."""
    with reading() as session:
        sent = session.exec(select(Mail)).all()
    to_guest = Counter((mail.recipient, mail.kind) for mail in sent)
    arrived = Counter(soak.letters)
    wrong = []
    for row in rows.values():
        for kind, expected in (
            ("customer_confirmed", 1),
            ("customer_cancelled", int(row.status == "cancelled")),
        ):
            if (count := to_guest[row.email, kind]) != expected:
                wrong.append(f"booking {row.id} ({row.status}): {count} letters {kind}")
    guests = {row.email for row in rows.values()}
    wrong += [
        f"a letter to {wish.email}, who has no booking"
        for wish in soak.wishes
        if wish.email not in guests and (to_guest[wish.email, "customer_confirmed"])
    ]
    wrong += [
        f"a letter {mail.kind} is {mail.state} and arrived {arrived[mail.message_id]} times"
        for mail in sent
        if (mail.state == mail_outbox.SENT) != bool(arrived[mail.message_id])
    ]
    soak.again = sum(count - 1 for count in arrived.values())
    return wrong
