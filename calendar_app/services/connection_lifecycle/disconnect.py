"""Disconnecting an account: what hangs on it, and the beginning of its end.

What is asked for is a row (:class:`calendar_app.db.tables.Disconnection`); carrying it out is
:mod:`calendar_app.services.connection_lifecycle.disconnect_job`, at once while that is quick, by a worker where many
bookings have to move or to be cancelled.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session, col, select
from sqlmodel.sql.expression import Select, SelectOfScalar

from calendar_app.clock import utc_now
from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import Calendar, Connection, Disconnection
from calendar_app.domain.connection import USABLE, ConnectionStatus
from calendar_app.errors import InvalidInput, NotFound
from calendar_app.providers import registry
from calendar_app.providers.base import AccessRole, SignIn
from calendar_app.services.common.permissions import Actor, Role
from calendar_app.services.connection_lifecycle import disconnect_job
from calendar_app.services.connection_lifecycle.disconnect_job import DONE, RUNNING, AffectedBooking, affected
from calendar_app.services.connections import calendars
from calendar_app.services.connections.calendars import CalendarView
from calendar_app.services.connections.queries import owned, title

CHOICES = ("leave", "move", "cancel")
"""What may become of future bookings: their events stay, move to another calendar, or the bookings are cancelled."""
AT_ONCE_S = 4.0
"""Seconds that the caller waits for the work before a worker goes on with it."""


@dataclass(frozen=True, slots=True)
class DisconnectPreview:
    """What disconnecting would touch, and the calendars that its bookings could move to."""

    bookings: list[AffectedBooking]
    move_targets: list[CalendarView]


@dataclass(frozen=True, slots=True)
class DisconnectResult:
    """What was done so far. ``state`` is ``done``, or ``running`` while a worker goes on with it.

    ``revoked`` at the end: the provider has ended our access. Where it has not, ``message`` says why, and what to do.
    """

    connection_id: str
    moved: int
    cancelled: int
    revoked: bool
    message: str
    id: str = ""
    state: str = DONE
    total: int = 0
    done: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class DisconnectionView:
    """How far a disconnection is: ``done`` and ``failed`` of ``total`` bookings; ``state`` ``running`` or ``done``."""

    id: str
    connection_id: str
    bookings: str
    move_to: str | None
    total: int
    done: int
    failed: int
    revoked: bool
    state: str
    last_error: str
    message: str
    created_at: datetime
    finished_at: datetime | None


def disconnect_preview(actor: Actor, connection_id: str, *, now: datetime | None = None) -> DisconnectPreview:
    """Which future bookings live there, earliest first. :raises NotFound: no such connection."""
    now = now or utc_now()
    with reading() as session:
        row = owned(session, actor, connection_id)
        bookings = affected(session, row.id, now)
        targets = session.exec(_targets(row)).all()
        return DisconnectPreview(
            bookings, [calendars.view(one, connection, now) for one, connection in targets]
        )


def disconnect(
    actor: Actor,
    connection_id: str,
    *,
    bookings: str = "leave",
    move_to: str | None = None,
    at_once: float = AT_ONCE_S,
    now: datetime | None = None,
) -> DisconnectResult:
    """End the connection; doing it twice is success. ``bookings`` is one of :data:`CHOICES`.

    Waits ``at_once`` seconds for the work at most; what is left then goes on by itself
    (:func:`disconnection` says how far it is).

    :raises NotFound: no such connection. :raises InvalidInput: no such choice, or nothing to move to.
    """
    now = now or utc_now()
    if bookings not in CHOICES:
        raise InvalidInput(f"Choose one of {', '.join(CHOICES)} for the bookings.", field="bookings")
    with transaction() as session:
        row = owned(session, actor, connection_id, lock=True)
        work = session.exec(_of(connection_id).where(Disconnection.state == RUNNING)).first()
        if (
            work is None
            and row.status == ConnectionStatus.DISCONNECTED
            and row.refresh_token is None
            and row.access_token is None
        ):
            last = session.exec(_latest(connection_id)).first()
            revoked = last is None or last.revoked
            return DisconnectResult(connection_id, 0, 0, revoked, _message(session, row, revoked=revoked))
        if work is None:
            target = _target(session, row, move_to) if bookings == "move" else None
            count = len({one.id for one in affected(session, row.id, now)}) if bookings != "leave" else 0
            work = Disconnection(
                workspace_id=row.workspace_id,
                connection_id=row.id,
                person_id=actor.person_id,
                bookings=bookings,
                move_to=target.id if target else None,
                total=count,
            )
            session.add(work)
            session.flush()
        work_id = work.id
    disconnect_job.carry_on(work_id, budget=at_once, now=now)
    with reading() as session:
        done, connection = session.get_one(Disconnection, work_id), session.get_one(Connection, connection_id)
        return DisconnectResult(
            connection_id,
            done.done if done.bookings == "move" else 0,
            done.done if done.bookings == "cancel" else 0,
            done.revoked,
            _ended(session, connection, done) if done.state == DONE else _running(connection, done),
            done.id,
            done.state,
            done.total,
            done.done,
            done.failed,
        )


def disconnection(actor: Actor, connection_id: str) -> DisconnectionView:
    """The latest disconnection of a connection. :raises NotFound: no such connection, or never asked for."""
    with reading() as session:
        connection = owned(session, actor, connection_id)
        row = session.exec(_latest(connection_id)).first()
        if row is None:
            raise NotFound("Nobody has disconnected this account.")
        finished = row.state == DONE
        return DisconnectionView(
            id=row.id,
            connection_id=connection_id,
            bookings=row.bookings,
            move_to=row.move_to,
            total=row.total,
            done=row.done,
            failed=row.failed,
            revoked=row.revoked,
            state=row.state,
            last_error=row.last_error,
            message=_ended(session, connection, row) if finished else _running(connection, row),
            created_at=row.created_at,
            finished_at=row.finished_at,
        )


def running(actor: Actor) -> dict[str, str]:
    """How far each disconnection of the workspace is that still goes on, by connection, in one sentence.

    :raises Forbidden: customers.
    """
    actor.require(Role.STAFF)
    query = (
        select(Connection, Disconnection)
        .join(Disconnection, col(Disconnection.connection_id) == col(Connection.id))
        .where(Disconnection.workspace_id == actor.workspace_id, Disconnection.state == RUNNING)
    )
    if actor.role < Role.MANAGER:
        query = query.where(Connection.person_id == actor.person_id)
    with reading() as session:
        return {row.id: _running(row, work) for row, work in session.exec(query)}


def _of(connection_id: str) -> SelectOfScalar[Disconnection]:
    return select(Disconnection).where(Disconnection.connection_id == connection_id)


def _latest(connection_id: str) -> SelectOfScalar[Disconnection]:
    return _of(connection_id).order_by(col(Disconnection.created_at).desc(), col(Disconnection.id).desc())


def _targets(row: Connection) -> Select[Calendar, Connection]:
    """Calendars of the same person, on other live connections, that can be written."""
    return (
        select(Calendar, Connection)
        .join(Connection, col(Connection.id) == col(Calendar.connection_id))
        .where(Calendar.workspace_id == row.workspace_id)
        .where(Connection.person_id == row.person_id)
        .where(Connection.id != row.id)
        .where(col(Connection.status).in_(USABLE))
        .where(col(Calendar.removed_at).is_(None))
        .where(col(Calendar.access_role).in_([role.value for role in AccessRole if role.can_write]))
        .order_by(col(Calendar.is_primary).desc(), col(Calendar.name))
    )


def _target(session: Session, row: Connection, move_to: str | None) -> Calendar:
    for calendar, _ in session.exec(_targets(row)):
        if calendar.id == move_to:
            return calendar
    raise InvalidInput(
        "Choose a calendar of another connected account that bookings can be written to.", field="move_to"
    )


_FORGOTTEN = {
    SignIn.PASSWORD: "Its password is forgotten here; if it was made for Almanac, delete it at the server, too.",
    SignIn.ADDRESS: "The link is forgotten here; it goes on to work for whoever has it.",
    SignIn.FILE: "",
}


def _message(session: Session, row: Connection, *, revoked: bool) -> str:
    name = title(row.provider)
    ended = f"{name} account {row.account_email} is disconnected."
    if revoked:
        return ended
    kind = next((kind for kind in registry.kinds() if kind.key == row.provider), None)
    if kind is not None and kind.sign_in in _FORGOTTEN:
        return f"{ended} {_FORGOTTEN[kind.sign_in]}".rstrip()
    if session.exec(disconnect_job.others(row)).first() is not None:
        return f"{ended} {name} goes on to let Almanac in, because the account is connected here once more."
    page = kind.access_page if kind else ""
    where = f"yourself, at {page}" if page else f"in the account’s own security settings at {name}"
    return (
        f"{name} account {row.account_email} is disconnected here, but {name} could not be told: "
        f"remove Almanac’s access {where}."
    )


def _ended(session: Session, row: Connection, work: Disconnection) -> str:
    parts = [_message(session, row, revoked=work.revoked), work.last_error]
    target = session.get(Calendar, work.move_to) if work.move_to else None
    if target is not None:
        parts.insert(1, f"Bookings are written to “{target.name}” from now on.")
    return " ".join(filter(None, parts))


def _running(row: Connection, work: Disconnection) -> str:
    return (
        f"{title(row.provider)} account {row.account_email} is being disconnected: "
        f"{work.done + work.failed} of {work.total} bookings are done."
    )
