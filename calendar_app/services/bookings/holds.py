"""A slot kept for one visitor while they fill in the form: it runs out by itself, and only who has its id can use it.

The id that a visitor gets ends in a secret of 128 bits whose SHA-256 stands in the row, so neither a list of holds
nor a guess lets anybody else book or drop one. A hold's reservations claim time like a booking's; once they have
run out, nobody honours them, whether or not they have been swept away yet.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete
from sqlmodel import Session, col, select

from calendar_app.db.ids import new_id
from calendar_app.db.session import clock, reading, transaction
from calendar_app.db.tables import Hold, HostReservation
from calendar_app.domain import slots as engine
from calendar_app.domain.hosting import Hosting, pick_host
from calendar_app.domain.timespan import Span, instant, utc
from calendar_app.errors import NotFound, SlotUnavailable, TooManyRequests
from calendar_app.services.availability import snapshot as slot_snapshot
from calendar_app.services.availability.slots import check_active, check_moment, check_zone
from calendar_app.services.bookings import reservations
from calendar_app.services.common import rate_limits
from calendar_app.services.common.permissions import Actor

LASTS = timedelta(minutes=10)
PER_MINUTE, ALIVE = "120/minute", "30 per 10 minutes"
"""Holds of one address: tries, and those that stand at once on one event type (they last as long)."""
_ID_LENGTH = 26
_GONE = "This hold does not exist, or has run out."


@dataclass(frozen=True, slots=True)
class HoldView:
    """A hold as its visitor gets it; ``id`` carries the secret. Datetimes are UTC."""

    id: str
    event_type_id: str
    start: datetime
    end: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Held:
    """A live hold, as a booking uses it up."""

    id: str
    host_ids: tuple[str, ...]
    reservation_ids: tuple[str, ...]


def create(
    event_type_id: str,
    start: datetime,
    zone: str = "UTC",
    *,
    duration: int | None = None,
    replaces: str | None = None,
    actor: Actor | None = None,
    client: str = "",
    now: datetime | None = None,
) -> HoldView:
    """Keep ``start`` (aware) for :data:`LASTS`. ``replaces``: the visitor's earlier hold, which is dropped in the
    same step. ``client`` is the visitor's address, for limits; a hold that really replaced one takes no more time
    than that did, and is not counted among those that stand.

    An event with seats is not held: its reservation belongs to all its guests. The hold then only says that there
    was room.

    :raises TooManyRequests: nobody may keep a whole calendar for themselves.
    :raises SlotUnavailable: taken or not offered. Other errors as :func:`calendar_app.services.bookings.create`.
    """
    now = now or clock()
    at = instant(check_moment(start, "start"))
    check_zone(zone)
    secret = secrets.token_hex(16)
    standing = ("holds-alive", f"{client}|{event_type_id}", ALIVE)
    if client:
        rate_limits.check("holds", client, PER_MINUTE)
        if not replaces:
            rate_limits.peek(*standing)
    made, replaced = reservations.retrying(
        lambda: _create(event_type_id, at, duration or 0, replaces, actor, now, secret)
    )
    if client and not replaced:
        try:
            rate_limits.check(*standing)
        except TooManyRequests:
            release(made.id)
            raise
    return made


def _create(
    event_type_id: str,
    at: int,
    duration: int,
    replaces: str | None,
    actor: Actor | None,
    now: datetime,
    secret: str,
) -> tuple[HoldView, bool]:
    """The hold, and whether it took the place of another one on the same event type."""
    with transaction() as session:
        row = slot_snapshot.event_type_for(session, event_type_id, actor)
        check_active(row)
        people = [person.id for person in slot_snapshot.hosts_of(session, row)]
        reservations.lock_hosts(session, [row.id], people, now)
        replaced = False
        if replaces is not None and (earlier := _owned(session, replaces)) is not None:
            replaced = earlier.event_type_id == row.id
            session.delete(earlier)
            session.flush()
        snapshot = slot_snapshot.load(session, row, Span(at, at + 1), now, duration=duration)
        found = engine.find_slots(
            Span(at, at + 1), snapshot.rules, snapshot.hosts, instant(now), snapshot.hosting
        )
        if not found:
            raise SlotUnavailable("That time is not available. Please choose another one.")
        slot = found[0]
        chosen = slot.hosts
        if snapshot.hosting is Hosting.ROUND_ROBIN:
            chosen = (pick_host(slot, snapshot.hosts, snapshot.rules),)
        hold = Hold(
            id=new_id(),
            event_type_id=row.id,
            visitor=_digest(secret),
            start_at=utc(slot.start),
            end_at=utc(slot.end),
            expires_at=now + LASTS,
        )
        session.add(hold)
        session.flush()
        if row.seats == 1:
            reservations.claim(
                session,
                row.id,
                chosen,
                snapshot.reserved(at),
                reservations.HELD,
                expires=hold.expires_at,
                hold_id=hold.id,
            )
        made = HoldView(f"{hold.id}{secret}", row.id, hold.start_at, hold.end_at, hold.expires_at)
        return made, replaced


def release(hold_id: str) -> None:
    """Drop a hold before it runs out. :raises NotFound: no such hold, or somebody else's."""
    with transaction() as session:
        row = _owned(session, hold_id)
        if row is None:
            raise NotFound(_GONE)
        session.delete(row)


def find(session: Session, hold_id: str, event_type_id: str, at: int, now: datetime) -> Held | None:
    """The visitor's live hold on this very time, if ``hold_id`` is one; a hold on anything else holds nothing
    here."""
    row = _owned(session, hold_id)
    if (
        row is None
        or row.expires_at <= now
        or (row.event_type_id, instant(row.start_at)) != (event_type_id, at)
    ):
        return None
    claims: Sequence[HostReservation] = session.exec(
        select(HostReservation).where(HostReservation.hold_id == row.id)
    ).all()
    if not claims:
        return None
    return Held(row.id, tuple(claim.host_id for claim in claims), tuple(claim.id for claim in claims))


def drop(session: Session, held: Held) -> None:
    """Use a hold up, in the transaction that books its time."""
    session.execute(delete(HostReservation).where(col(HostReservation.hold_id) == held.id))
    session.execute(delete(Hold).where(col(Hold.id) == held.id))


def expire(now: datetime | None = None) -> int:
    """Delete holds that have run out, with their reservations; how many there were."""
    now = now or clock()
    with reading() as session:
        if session.exec(select(Hold.id).where(col(Hold.expires_at) <= now).limit(1)).first() is None:
            return 0
    with transaction() as session:
        reservations.expire_holds(session, now)
        result = session.execute(delete(Hold).where(col(Hold.expires_at) <= now))
        return int(getattr(result, "rowcount", 0))


def _owned(session: Session, hold_id: str) -> Hold | None:
    row = session.get(Hold, hold_id[:_ID_LENGTH])
    secret = _digest(hold_id[_ID_LENGTH:])
    return row if row is not None and hmac.compare_digest(row.visitor, secret) else None


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
