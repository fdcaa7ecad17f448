"""The claim on people's time, which the database enforces: no two reservations of one host overlap, whoever asks.

Everybody who claims first locks the hosts, in the order of their ids, and then looks and inserts. On PostgreSQL
that is a row lock on each person (``FOR NO KEY UPDATE``: claims queue up, while foreign keys to a person do not
wait); on SQLite ``transaction()`` is ``BEGIN IMMEDIATE``, which is a lock on everything. The exclusion constraint,
or SQLite's trigger, is the backstop for a claim that came another way. The constraint alone would not do: waiting
on each other's uncommitted index entries, many simultaneous claims deadlock.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from sqlalchemy import bindparam, delete, select, update
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlmodel import Session, col

from calendar_app.clock import jitter
from calendar_app.db.tables import EventType, HostReservation, Person
from calendar_app.domain.timespan import Span, instant
from calendar_app.errors import SlotUnavailable

T = TypeVar("T")

NO_OVERLAP = "host_reservation_no_overlap"
HELD, PENDING, CONFIRMED = "held", "pending", "confirmed"
_TRANSIENT = frozenset({"40001", "40P01"})
"""PostgreSQL's serialization_failure and deadlock_detected: the transaction did nothing and may be tried again."""
_TRIES = 6


@dataclass(frozen=True, slots=True)
class Locked:
    """Rows, by id, that nobody else books or claims until the transaction ends; as they stand now."""

    event_types: Mapping[str, EventType]
    hosts: Mapping[str, Person]


# Statements that are put together once: a customer waits for them, and others wait for the locks.
_KINDS = (
    select(EventType)
    .where(col(EventType.id).in_(bindparam("ids", expanding=True)))
    .order_by(col(EventType.id))
    .with_for_update(key_share=True)
)
_PEOPLE = (
    select(Person)
    .where(col(Person.id).in_(bindparam("ids", expanding=True)))
    .order_by(col(Person.id))
    .with_for_update(key_share=True)
)
_EXPIRED = delete(HostReservation).where(
    col(HostReservation.host_id).in_(bindparam("ids", expanding=True)),
    col(HostReservation.state) == HELD,
    col(HostReservation.expires) <= bindparam("now"),
)
_AS_THEY_STAND = {"populate_existing": True}


def lock_hosts(
    session: Session, event_type_ids: Collection[str], host_ids: Collection[str], now: datetime
) -> Locked:
    """Let nobody else claim time of these hosts, nor book these event types, until the transaction ends.

    The event types come first (their caps count bookings of all hosts), then the hosts, both in the order of their
    ids, so that no two claims wait for each other, however many event types and hosts each of them needs. Call it
    once in a transaction. Expired holds of the hosts are deleted: they hold nothing any more.
    """
    kinds = session.scalars(_KINDS, {"ids": sorted(event_type_ids)}, execution_options=_AS_THEY_STAND).all()
    people = session.scalars(_PEOPLE, {"ids": sorted(host_ids)}, execution_options=_AS_THEY_STAND).all()
    session.execute(
        _EXPIRED,
        {"ids": sorted(host_ids), "now": instant(now)},
        execution_options={"synchronize_session": False},
    )
    return Locked({row.id: row for row in kinds}, {row.id: row for row in people})


def claim(
    session: Session,
    event_type_id: str,
    host_ids: Iterable[str],
    span: Span,
    state: str,
    *,
    expires: datetime | None = None,
    hold_id: str | None = None,
) -> dict[str, str]:
    """Reserve ``span`` (buffers included) for every host, or for none; reservation ids by host.

    :raises SlotUnavailable: one of them is reserved then already.
    """
    made: dict[str, str] = {}
    for host_id in sorted(host_ids):
        row = HostReservation(
            host_id=host_id,
            event_type_id=event_type_id,
            starts=span.start,
            ends=span.end,
            state=state,
            hold_id=hold_id,
            expires=None if expires is None else instant(expires),
        )
        session.add(row)
        made[host_id] = row.id
    _flush(session)
    return made


def confirm(session: Session, reservation_ids: Collection[str]) -> None:
    """Turn held or pending reservations into confirmed ones, which do not expire."""
    rows = col(HostReservation.id).in_(reservation_ids)
    session.execute(update(HostReservation).where(rows).values(state=CONFIRMED, expires=None))


def release(session: Session, reservation_ids: Collection[str]) -> None:
    """Give the time back."""
    session.execute(delete(HostReservation).where(col(HostReservation.id).in_(reservation_ids)))


def expire_holds(session: Session, now: datetime) -> int:
    """Delete every hold that has run out; how many there were. Nothing depends on it but the table's size."""
    expired = delete(HostReservation).where(col(HostReservation.state) == HELD)
    result = session.execute(expired.where(col(HostReservation.expires) <= instant(now)))
    return int(getattr(result, "rowcount", 0))


def retrying(work: Callable[[], T]) -> T:
    """Run ``work`` (one whole transaction); when the database gave it up for another one's sake, run it again.

    A few tries with jitter; the last refusal is answered as a slot that is gone, never as a server error.

    :raises SlotUnavailable: the database refused every try.
    """
    for attempt in range(_TRIES):
        try:
            return work()
        except DBAPIError as error:
            if not _transient(error):
                raise
            if attempt == _TRIES - 1:
                break
            time.sleep(jitter(0.2, 1.0) * 0.02 * 2**attempt)
    raise SlotUnavailable(
        "Many people are booking right now and this time could not be claimed. Please try again."
    )


def _transient(error: DBAPIError) -> bool:
    if getattr(error.orig, "sqlstate", None) in _TRANSIENT:
        return True
    return isinstance(error, OperationalError) and "database is locked" in str(error.orig)


def _flush(session: Session) -> None:
    try:
        session.flush()
    except (IntegrityError, OperationalError) as error:
        raise _taken(error) from error


def _taken(error: DBAPIError) -> Exception:
    """What a refused statement means: an overlap is a taken slot; anything else stays what it is."""
    return (
        SlotUnavailable("That time was just taken. Please choose another one.")
        if NO_OVERLAP in str(error.orig)
        else error
    )
