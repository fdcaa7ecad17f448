"""A slot kept for one visitor while they fill in the form: it runs out by itself, and only who has its id can use it.

The id that a visitor gets ends in a secret of 128 bits whose SHA-256 stands in the row, so neither a list of holds
nor a guess lets anybody else book or drop one. A hold's reservations claim time like a booking's; once they have
run out, nobody honours them, whether or not they have been swept away yet.

A hold is also the key of its booking: who books with it again gets the booking that was made the first time. So its
row outlives its reservations, for :data:`KEPT` where it was booked with and :data:`KEPT_UNUSED` where it was not.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, or_
from sqlmodel import Session, col, select

from calendar_app.db.ids import derived_id, new_id
from calendar_app.db.session import clock, reading, transaction
from calendar_app.db.tables import EventType, Hold, HostReservation
from calendar_app.domain import slots as engine
from calendar_app.domain.hosting import Hosting, pick_host
from calendar_app.domain.timespan import Span, instant, utc
from calendar_app.errors import Conflict, NotFound, SlotUnavailable, TooManyRequests
from calendar_app.services.availability import snapshot as slot_snapshot
from calendar_app.services.availability.slots import check_active, check_moment, check_zone
from calendar_app.services.bookings import reservations
from calendar_app.services.common import rate_limits
from calendar_app.services.common.permissions import Actor
from calendar_app.settings import get_settings

LASTS = timedelta(minutes=10)
KEPT, KEPT_UNUSED = timedelta(days=1), timedelta(hours=1)
PER_MINUTE, ALIVE = "120/minute", "30 per 10 minutes"
"""Holds of one address: tries, and those that stand at once on one event type (they last as long)."""
ALIVE_OF_VISITOR, ALIVE_OF_ADDRESS = "12 per 10 minutes", "120 per 10 minutes"
PER_MINUTE_OF_ADDRESS = "600/minute"
"""Those of one browser that is known by its cookie, and of all such browsers behind one address."""
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
class HoldState:
    """What became of a hold. ``kept``: the time is still kept for its visitor; ``booking_id``: what was booked with
    it. ``seconds`` are left of it. Datetimes are UTC."""

    event_type_id: str
    start: datetime
    end: datetime
    kept: bool
    seconds: int
    booking_id: str | None


@dataclass(frozen=True, slots=True)
class Held:
    """A live hold, as a booking uses it up."""

    id: str
    host_ids: tuple[str, ...]
    reservation_ids: tuple[str, ...]


class AlreadyUsed(Conflict):
    """A booking was made with this hold before: ``booking_id``."""

    code = "hold_used"

    def __init__(self, booking_id: str) -> None:
        super().__init__("This time was booked before with the same hold.")
        self.booking_id = booking_id


@dataclass(frozen=True, slots=True)
class _Wish:
    """What to hold. ``row_id`` names the row to make or to renew; ``keep``: whether time is claimed at all."""

    row_id: str
    event_type_id: str
    at: int
    duration: int
    replaces: tuple[str, ...]
    actor: Actor | None
    keep: bool
    link: str = ""


def create(
    event_type_id: str,
    start: datetime,
    zone: str = "UTC",
    *,
    duration: int | None = None,
    replaces: str | Sequence[str] | None = None,
    key: str = "",
    keep: bool = True,
    actor: Actor | None = None,
    link: str = "",
    client: str = "",
    visitor: str = "",
    now: datetime | None = None,
) -> HoldView:
    """Keep ``start`` (aware) for :data:`LASTS`. ``replaces``: the visitor's earlier holds, which are dropped in the
    same step. ``key``: a random text of the visitor's, with which the same call again finds the same hold; one that
    has run out is renewed.

    ``link``: the token of a private link that opens the event type.

    ``client`` is the visitor's address and ``visitor`` their browser, where it is known, for limits; a hold that really
    replaced one takes no more time than that did, and is not counted among those that stand. With ``keep`` false no
    time is kept: the hold is only the key of its booking.

    An event with seats is not held: its reservation belongs to all its guests. The hold then only says that there
    was room.

    :raises TooManyRequests: nobody may keep a whole calendar for themselves.
    :raises SlotUnavailable: taken or not offered. Other errors as :func:`calendar_app.services.bookings.create`.
    """
    at = instant(check_moment(start, "start"))
    check_zone(zone)
    earlier = (replaces,) if isinstance(replaces, str) else tuple(replaces or ())
    row_id = derived_id("hold", key, event_type_id, str(at), str(duration or 0)) if key else new_id()
    wish = _Wish(row_id, event_type_id, at, duration or 0, earlier, actor, keep, link)
    return _limited(wish, now or clock(), client, visitor)


def renew(
    hold_id: str,
    start: datetime | None = None,
    *,
    link: str = "",
    client: str = "",
    visitor: str = "",
    now: datetime | None = None,
) -> HoldView:
    """Keep the time of a hold once more, or another ``start`` of the same length; the hold keeps its id.

    :raises NotFound: no such hold. :raises AlreadyUsed: it has been booked with. Other errors as :func:`create`.
    """
    with reading() as session:
        row = _owned(session, hold_id)
        if row is None:
            raise NotFound(_GONE)
        if row.booking_id:
            raise AlreadyUsed(row.booking_id)
        minutes = int((row.end_at - row.start_at) / timedelta(minutes=1))
        at = instant(check_moment(start, "start")) if start else instant(row.start_at)
        wish = _Wish(row.id, row.event_type_id, at, minutes, (), None, True, link)
    return _limited(wish, now or clock(), client, visitor)


def _limited(wish: _Wish, now: datetime, client: str, visitor: str) -> HoldView:
    """Hold it within the limits of this visitor and this address."""
    standing = [("holds-alive", f"{client}|{wish.event_type_id}", ALIVE)]
    if visitor:
        standing = [
            ("holds-alive", f"{visitor}|{wish.event_type_id}", ALIVE_OF_VISITOR),
            ("holds-alive-address", f"{client}|{wish.event_type_id}", ALIVE_OF_ADDRESS),
        ]
    if client:
        rate_limits.check("holds", visitor or client, PER_MINUTE)
        if visitor:
            rate_limits.check("holds-of-address", client, PER_MINUTE_OF_ADDRESS)
        if wish.keep and not wish.replaces:
            for limit in standing:
                rate_limits.peek(*limit)
    made, is_more = reservations.retrying(lambda: _create(wish, now))
    if client and wish.keep and is_more:
        try:
            for limit in standing:
                rate_limits.check(*limit)
        except TooManyRequests:
            release(made.id)
            raise
    return made


def _create(wish: _Wish, now: datetime) -> tuple[HoldView, bool]:
    """The hold, and whether it keeps more time than its visitor's earlier ones did."""
    with transaction() as session:
        event_type = slot_snapshot.event_type_for(session, wish.event_type_id, wish.actor, wish.link)
        check_active(event_type)
        people = [person.id for person in slot_snapshot.hosts_of(session, event_type)]
        reservations.lock_hosts(session, [event_type.id], people, now)
        row = session.get(Hold, wish.row_id, populate_existing=True)
        if row is not None and row.booking_id:
            raise AlreadyUsed(row.booking_id)
        if row is not None and instant(row.start_at) == wish.at and _is_kept(session, row, now):
            return _view(row), False
        replaced = row is not None and _is_kept(session, row, now)
        for earlier in (_owned(session, hold_id) for hold_id in wish.replaces):
            if earlier is not None and earlier.id != wish.row_id and not earlier.booking_id:
                replaced |= earlier.event_type_id == event_type.id
                session.delete(earlier)
        session.execute(delete(HostReservation).where(col(HostReservation.hold_id) == wish.row_id))
        session.flush()
        row = row or Hold(
            id=wish.row_id,
            event_type_id=event_type.id,
            visitor=_digest(_secret(wish.row_id)),
            start_at=now,
            end_at=now,
            expires_at=now,
        )
        _claim(session, row, event_type, wish, now)
        return _view(row), not replaced


def _claim(session: Session, row: Hold, event_type: EventType, wish: _Wish, now: datetime) -> None:
    """Write the hold, and claim its time if the engine offers it. :raises SlotUnavailable: it does not."""
    here = Span(wish.at, wish.at + 1)
    snapshot = slot_snapshot.load(session, event_type, here, now, duration=wish.duration)
    found = engine.find_slots(here, snapshot.rules, snapshot.hosts, instant(now), snapshot.hosting)
    if not found:
        raise SlotUnavailable("That time is not available. Please choose another one.")
    slot = found[0]
    chosen = slot.hosts
    if snapshot.hosting is Hosting.ROUND_ROBIN:
        chosen = (pick_host(slot, snapshot.hosts, snapshot.rules),)
    row.start_at, row.end_at, row.expires_at = utc(slot.start), utc(slot.end), now + LASTS
    session.add(row)
    session.flush()
    if event_type.seats == 1 and wish.keep:
        span = snapshot.reserved(wish.at)
        reservations.claim(
            session,
            event_type.id,
            chosen,
            span,
            reservations.HELD,
            expires=row.expires_at,
            hold_id=row.id,
        )


def release(hold_id: str) -> None:
    """Drop a hold before it runs out. :raises NotFound: no such hold, or somebody else's."""
    with transaction() as session:
        row = _owned(session, hold_id)
        if row is None:
            raise NotFound(_GONE)
        session.delete(row)


def state(hold_id: str, now: datetime | None = None) -> HoldState:
    """What became of a hold. :raises NotFound: no such hold, or it ended long ago."""
    now = now or clock()
    with reading() as session:
        row = _owned(session, hold_id)
        if row is None:
            raise NotFound(_GONE)
        left = int((row.expires_at - now).total_seconds())
        kept = not row.booking_id and _is_kept(session, row, now)
        return HoldState(row.event_type_id, row.start_at, row.end_at, kept, max(0, left), row.booking_id)


def find(session: Session, hold_id: str, event_type_id: str, at: int, now: datetime) -> Held | None:
    """The visitor's live hold on this very time, if ``hold_id`` is one; a hold on anything else holds nothing
    here."""
    row = _matching(session, hold_id, event_type_id, at)
    if row is None or row.expires_at <= now:
        return None
    claims = _claims(session, row)
    if not claims:
        return None
    return Held(row.id, tuple(claim.host_id for claim in claims), tuple(claim.id for claim in claims))


def booked(session: Session, hold_id: str, event_type_id: str, at: int) -> str | None:
    """The booking of this very time that was made with this hold."""
    row = _matching(session, hold_id, event_type_id, at)
    return row.booking_id if row is not None else None


def row_id(session: Session, hold_id: str, event_type_id: str, at: int) -> str | None:
    """The id of the hold's row, live or not, if it is on this very time."""
    row = _matching(session, hold_id, event_type_id, at)
    return row.id if row is not None else None


def use(session: Session, row_id: str, booking_id: str) -> None:
    """Use a hold up, in the transaction that books its time and has locked its event type."""
    session.execute(delete(HostReservation).where(col(HostReservation.hold_id) == row_id))
    row = session.get(Hold, row_id, populate_existing=True)
    if row is not None:
        row.booking_id = booking_id
        session.add(row)


def check_unused(session: Session, row_id: str) -> None:
    """:raises AlreadyUsed: somebody has just booked with this hold."""
    row = session.get(Hold, row_id, populate_existing=True)
    if row is not None and row.booking_id:
        raise AlreadyUsed(row.booking_id)


def drop_claims(session: Session, row_id: str) -> None:
    """Give back what the hold claims, so that its booking can claim it."""
    session.execute(delete(HostReservation).where(col(HostReservation.hold_id) == row_id))


def expire(now: datetime | None = None) -> int:
    """Delete holds that ended long enough ago, and the reservations of those that have just ended; how many holds were
    deleted."""
    now = now or clock()
    unused = (col(Hold.expires_at) <= now - KEPT_UNUSED) & col(Hold.booking_id).is_(None)
    ended = or_(unused, col(Hold.expires_at) <= now - KEPT)
    with reading() as session:
        if session.exec(select(Hold.id).where(col(Hold.expires_at) <= now).limit(1)).first() is None:
            return 0
    with transaction() as session:
        reservations.expire_holds(session, now)
        result = session.execute(delete(Hold).where(ended))
        return int(getattr(result, "rowcount", 0))


def hold_id(row_id: str) -> str:
    """The id with its secret, for callers that know the row by other means."""
    return f"{row_id}{_secret(row_id)}"


def _secret(row_id: str) -> str:
    key = get_settings().secret_key.get_secret_value().encode()
    return hmac.new(key, f"almanac.hold {row_id}".encode(), hashlib.sha256).hexdigest()[:32]


def _view(row: Hold) -> HoldView:
    return HoldView(hold_id(row.id), row.event_type_id, row.start_at, row.end_at, row.expires_at)


def _claims(session: Session, row: Hold) -> Sequence[HostReservation]:
    return session.exec(select(HostReservation).where(HostReservation.hold_id == row.id)).all()


def _is_kept(session: Session, row: Hold, now: datetime) -> bool:
    return row.expires_at > now and bool(_claims(session, row))


def _matching(session: Session, hold_id: str, event_type_id: str, at: int) -> Hold | None:
    row = _owned(session, hold_id)
    here = row is not None and (row.event_type_id, instant(row.start_at)) == (event_type_id, at)
    return row if here else None


def _owned(session: Session, hold_id: str) -> Hold | None:
    row = session.get(Hold, hold_id[:_ID_LENGTH])
    secret = _digest(hold_id[_ID_LENGTH:])
    return row if row is not None and hmac.compare_digest(row.visitor, secret) else None


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
