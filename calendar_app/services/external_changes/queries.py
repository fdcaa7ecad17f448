"""Where a booking and a calendar do not say the same: what was found, what people see of it, and what closes it.

A deviation begins as a *sighting* (:attr:`ChangeResolution.CHECKING`): a sync read something about an event of ours
that does not fit, which may also be an old version of it that arrived late. Nobody is shown a sighting; a worker asks
the provider and either opens the deviation or forgets it (:mod:`calendar_app.services.external_changes.resolve`).
While a row is a sighting it names the calendar and the event only: a sync holds rows of the mirror that bookings wait
for, so it must not lock a booking.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, or_
from sqlmodel import Session, col, select

from calendar_app.db.session import reading
from calendar_app.db.tables import Booking, Calendar, Connection, Deviation, EventType
from calendar_app.domain.external_change import ChangeChoice, ChangeKind, ChangeResolution
from calendar_app.errors import NotFound
from calendar_app.services.bookings.queries import visible_to
from calendar_app.services.calendar_mirror.mismatches import is_open
from calendar_app.services.common.permissions import Actor, Role
from calendar_app.services.connections.queries import title

_CHOICES: dict[str, tuple[ChangeChoice, ...]] = {
    ChangeKind.MOVED: (ChangeChoice.FOLLOW, ChangeChoice.RESTORE, ChangeChoice.KEEP),
    ChangeKind.DELETED: (ChangeChoice.FOLLOW, ChangeChoice.RESTORE, ChangeChoice.KEEP),
    ChangeKind.MISSING: (ChangeChoice.FOLLOW, ChangeChoice.RESTORE, ChangeChoice.KEEP),
    ChangeKind.CHANGED: (ChangeChoice.RESTORE, ChangeChoice.KEEP),
    ChangeKind.STRAY: (ChangeChoice.RESTORE, ChangeChoice.KEEP),
    ChangeKind.ORPHANED: (ChangeChoice.TAKE_IN, ChangeChoice.REMOVE, ChangeChoice.KEEP),
}


@dataclass(frozen=True, slots=True)
class DeviationView:
    """One deviation. Times are aware UTC; ``found_start`` is ``None`` where there is no event, or an all-day one.

    ``choices`` are those of :class:`ChangeChoice` that make sense; ``reason`` is a sentence why the
    workspace's rule did not settle it; ``resolution`` is empty while open.
    """

    id: str
    kind: str
    booking_id: str | None
    title: str
    name: str
    booked_start: datetime | None
    booked_end: datetime | None
    found_start: datetime | None
    found_end: datetime | None
    calendar_id: str
    calendar: str
    provider: str
    provider_title: str
    account: str
    sentence: str
    reason: str
    choices: tuple[str, ...]
    found_at: datetime
    resolved_at: datetime | None
    resolution: str


def of_booking(actor: Actor, booking_id: str) -> list[DeviationView]:
    """The open deviations of a booking that the actor may see, oldest first."""
    return listed(actor, Deviation.booking_id == booking_id)


def listed(actor: Actor, *conditions: Any, limit: int = 500) -> list[DeviationView]:
    """Open deviations that the actor may see, oldest first: of their bookings, and for managers all."""
    actor.require(Role.STAFF)
    with reading() as session:
        query = select(Deviation).where(is_open(), visible(actor), *conditions)
        rows = session.exec(query.order_by(col(Deviation.found_at), col(Deviation.id)).limit(limit)).all()
        return views(session, rows)


def visible(actor: Actor) -> ColumnElement[bool]:
    """The condition on deviations that an actor may see: those of their calendars and bookings, for managers all."""
    here = col(Deviation.workspace_id) == actor.workspace_id
    if actor.role >= Role.MANAGER:
        return here
    own = select(Calendar.id).join(Connection, col(Connection.id) == col(Calendar.connection_id))
    mine = select(Booking.id).where(visible_to(actor))
    return here & or_(
        col(Deviation.booking_id).in_(mine),
        col(Deviation.calendar_id).in_(own.where(Connection.person_id == actor.person_id)),
    )


def owned(session: Session, actor: Actor, deviation_id: str) -> Deviation:
    """The row, if the actor may see it. :raises NotFound: otherwise."""
    actor.require(Role.STAFF)
    row = session.exec(
        select(Deviation).where(
            Deviation.id == deviation_id,
            col(Deviation.resolution) != ChangeResolution.CHECKING,
            visible(actor),
        )
    ).first()
    if row is None:
        raise NotFound("There is no such deviation.")
    return row


def bookings_with_one(actor: Actor, booking_ids: Collection[str]) -> set[str]:
    """Those of the bookings that have an open deviation which the actor may see."""
    query = select(Deviation.booking_id).where(
        is_open(), visible(actor), col(Deviation.booking_id).in_(booking_ids)
    )
    with reading() as session:
        return {booking_id for booking_id in session.exec(query) if booking_id is not None}


def choices(row: Deviation) -> tuple[str, ...]:
    """What can be done about it."""
    found = _CHOICES.get(row.kind, (ChangeChoice.KEEP,))
    if row.kind == ChangeKind.MOVED and not row.detail.get("start"):
        return tuple(choice for choice in found if choice != ChangeChoice.FOLLOW)
    if row.kind == ChangeKind.ORPHANED and not row.detail.get("ours"):
        return tuple(choice for choice in found if choice != ChangeChoice.REMOVE)
    return found


def views(session: Session, rows: Sequence[Deviation]) -> list[DeviationView]:
    """The rows as people see them, with a fixed number of queries."""
    bookings = {
        booking.id: (booking, kind_title)
        for booking, kind_title in session.exec(
            select(Booking, EventType.title)
            .join(EventType, col(EventType.id) == col(Booking.event_type_id))
            .where(col(Booking.id).in_([row.booking_id for row in rows if row.booking_id]))
        )
    }
    calendars = {
        found[0]: found
        for found in session.exec(
            select(Calendar.id, Calendar.name, Connection.provider, Connection.account_email)
            .join(Connection, col(Connection.id) == col(Calendar.connection_id))
            .where(col(Calendar.id).in_({row.calendar_id for row in rows}))
        )
    }
    return [_view(row, bookings.get(row.booking_id or ""), calendars[row.calendar_id]) for row in rows]


def _view(
    row: Deviation, booked: tuple[Booking, str] | None, place: tuple[str, str, str, str]
) -> DeviationView:
    booking, kind_title = booked or (None, "")
    _, calendar, provider, account = place
    return DeviationView(
        id=row.id,
        kind=row.kind,
        booking_id=row.booking_id,
        title=kind_title or str(row.detail.get("summary", "")),
        name=booking.name if booking else "",
        booked_start=booking.start_at if booking else None,
        booked_end=booking.end_at if booking else None,
        found_start=moment(row, "start"),
        found_end=moment(row, "end"),
        calendar_id=row.calendar_id,
        calendar=calendar,
        provider=provider,
        provider_title=title(provider),
        account=account,
        sentence=_sentence(row, calendar, title(provider)),
        reason=str(row.detail.get("reason", "")),
        choices=choices(row) if row.resolved_at is None else (),
        found_at=row.found_at,
        resolved_at=row.resolved_at,
        resolution=row.resolution if row.resolved_at else "",
    )


def moment(row: Deviation, name: str) -> datetime | None:
    """A time in the row's detail."""
    text = row.detail.get(name)
    return datetime.fromisoformat(text) if isinstance(text, str) and text else None


def _sentence(row: Deviation, calendar: str, provider: str) -> str:
    where = f"“{calendar}” at {provider}"
    if row.kind == ChangeKind.MOVED and row.detail.get("all_day"):
        return f"The event was made an all-day event in {where}."
    sentences: dict[str, str] = {
        ChangeKind.MOVED: f"The event was moved in {where}.",
        ChangeKind.DELETED: f"The event was deleted in {where}.",
        ChangeKind.CHANGED: f"The event was turned into a series in {where}.",
        ChangeKind.MISSING: f"The event is not in {where}.",
        ChangeKind.ORPHANED: f"An event of a booking stands in {where}, and there is no such booking: it was probably "
        "made after the backup that was put back.",
        ChangeKind.STRAY: f"An event of ours stands in {where} for which there is no booking any more.",
    }
    return sentences.get(row.kind, f"Booking and event differ in {where}.")
