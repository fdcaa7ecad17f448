"""Calendar files that people import: read once, kept as a read-only calendar, replaced by importing again.

A file's good parts are kept and its bad parts named. Whatever the file holds, it is read within bounds of size, depth
and repetition (:mod:`calendar_app.domain.ics`), and nothing of it is stored before all of it was read.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from sqlmodel import Session, col, func, select

from calendar_app.clock import utc_now
from calendar_app.db.ids import new_id
from calendar_app.db.locks import locked_one
from calendar_app.db.mirror import delete_all, from_payload
from calendar_app.db.session import transaction
from calendar_app.db.tables import Calendar, Connection, Event, Person
from calendar_app.domain.connection import ConnectionStatus
from calendar_app.domain.event import CalendarEvent, time_lost
from calendar_app.domain.ics import CalendarFile, CalendarFileError, Problem, TooLarge, read_calendar
from calendar_app.domain.ics.density import Density
from calendar_app.domain.unread import one_line
from calendar_app.errors import Conflict, InvalidInput
from calendar_app.providers import registry
from calendar_app.providers.base import AccessRole, SignIn
from calendar_app.services.calendar_mirror import expansion, mirror, unreadable
from calendar_app.services.common import audit_log, change_events, rate_limits
from calendar_app.services.common.permissions import Actor, Role
from calendar_app.services.connections import calendar_time_zones, calendars
from calendar_app.services.connections import emails as connection_emails
from calendar_app.services.connections.calendars import CalendarView

MAX_BYTES = 10 * 2**20
MAX_EVENTS = 20_000
MOST_NAMED = 200
"""How many of the parts that were left out are named."""
_PROVIDER, _ACCOUNT, _TITLE = "file", "imports", "Imported calendars"
_RATE = "30/10 minutes"


@dataclass(frozen=True, slots=True)
class Skipped:
    """A part of the file that was left out, and why: the line it begins in, what it is, its title.

    ``kept`` means that only a line of it was.
    """

    line: int
    component: str
    summary: str
    reason: str
    kept: bool


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What came of a file. ``imported`` counts the events that the calendar now holds; ``past`` those that were not
    taken over because they are cancelled or ended more than a month ago. ``skipped`` names the first
    :data:`MOST_NAMED` of ``skipped_count`` parts that could not be used."""

    calendar: CalendarView
    imported: int
    past: int
    skipped: tuple[Skipped, ...]
    skipped_count: int


def import_file(
    actor: Actor,
    content: bytes,
    *,
    name: str = "",
    file_name: str = "",
    calendar_id: str | None = None,
    now: datetime | None = None,
) -> ImportResult:
    """Make a calendar of a file, or put the file in the place of what was imported into ``calendar_id`` before.

    It is called ``name``, else as the file calls itself, else ``file_name``.

    :raises Forbidden: customers import nothing. :raises NotFound: no such calendar. :raises Conflict: it is not an
        imported one. :raises InvalidInput: ``not_a_calendar``, ``calendar_too_large``.
    :raises TooManyRequests: too often.
    """
    actor.require(Role.STAFF)
    rate_limits.check("calendar-import", actor.person_id, _RATE)
    now = now or utc_now()
    file = _read(content, actor.email, now)
    # What marks our own events has no place in a stranger's.
    events = [replace(event, private={}) if event.private else event for event in file.events]
    named = _title(name) or _title(file.name) or _title(file_name)
    with transaction() as session:
        if calendar_id is None:
            connection = _connection(session, actor)
            calendar = _new_calendar(connection, named or "Imported calendar")
        else:
            calendar, connection = _imported(session, actor, calendar_id)
            calendar.name = named or calendar.name
        calendar_time_zones.take_named(session, calendar, file.zone or "", now)
        _store(session, calendar, events, now)
        unreadable.note(session, calendar, file.unread, full=True)
        connection_emails.tell_unread(session, calendar, now)
        connection.last_sync_at = now
        session.add(connection)
        held = _held(session, calendar)
        audit_log.record(
            session, actor.workspace_id, actor, "calendar.imported", "calendar", calendar.id, events=held
        )
        for topic in ("connections", "events"):
            change_events.announce(session, actor.workspace_id, topic)
        view = calendars.view(calendar, connection, now)
    problems = [*file.problems, *file.others]
    return ImportResult(
        view,
        held,
        sum(not time_lost(event) for event in events) - held,
        tuple(_skipped(problem) for problem in sorted(problems, key=lambda one: one.line)[:MOST_NAMED]),
        len(problems),
    )


def delete_calendar(actor: Actor, calendar_id: str) -> None:
    """Remove an imported calendar or one that is followed by its link, with all that was mirrored of it.

    :raises NotFound: no such calendar. :raises Conflict: ``calendar_of_account``, it belongs to a connected account.
    """
    with transaction() as session:
        calendar, connection = calendars.owned_calendar(session, actor, calendar_id)
        if registry.kind(connection.provider).sign_in not in (SignIn.FILE, SignIn.ADDRESS):
            raise Conflict(
                f"“{calendar.name}” belongs to a connected account: disconnect the account, or choose what the "
                "calendar is used for.",
                code="calendar_of_account",
            )
        audit_log.record(
            session,
            actor.workspace_id,
            actor,
            "calendar.deleted",
            "calendar",
            calendar.id,
            name=calendar.name,
        )
        _remove(session, calendar)
        others = select(Calendar.id).where(Calendar.connection_id == connection.id)
        if session.exec(others).first() is None:
            session.delete(connection)
        for topic in ("connections", "events"):
            change_events.announce(session, actor.workspace_id, topic)


def _read(content: bytes, email: str, now: datetime) -> CalendarFile:
    density = Density(expansion.window_at(now))
    try:
        file = read_calendar(content, max_bytes=MAX_BYTES, owners=(email,))
    except TooLarge as error:
        raise InvalidInput(str(error), field="file", code="calendar_too_large") from None
    except CalendarFileError as error:
        raise InvalidInput(str(error), field="file", code="not_a_calendar") from None
    if len(file.events) > MAX_EVENTS:
        raise InvalidInput(
            f"The calendar has more than {MAX_EVENTS:,} events.", field="file", code="calendar_too_large"
        )
    if not file.events:
        raise InvalidInput("There are no events in this file.", field="file", code="not_a_calendar")
    return replace(file, events=(*map(density.bounded, file.events), *file.unreadable))


def _title(text: str) -> str:
    return one_line(text, 200)


def _connection(session: Session, actor: Actor) -> Connection:
    """The person's connection for imported files, made on first use. One that was disconnected starts empty."""
    locked_one(session, Person, actor.person_id)
    row = session.exec(
        select(Connection)
        .where(Connection.workspace_id == actor.workspace_id, Connection.person_id == actor.person_id)
        .where(Connection.provider == _PROVIDER, Connection.account_id == _ACCOUNT)
    ).first()
    if row is not None and row.status == ConnectionStatus.DISCONNECTED:
        for calendar in session.exec(select(Calendar).where(Calendar.connection_id == row.id)).all():
            _remove(session, calendar)
        row.status, row.disconnected_at = ConnectionStatus.CONNECTED, None
    row = row or Connection(
        workspace_id=actor.workspace_id,
        person_id=actor.person_id,
        provider=_PROVIDER,
        account_id=_ACCOUNT,
        account_email=_TITLE,
    )
    session.add(row)
    session.flush()
    return row


def _new_calendar(connection: Connection, name: str) -> Calendar:
    return Calendar(
        workspace_id=connection.workspace_id,
        connection_id=connection.id,
        remote_id=new_id(),
        name=name,
        access_role=AccessRole.READER.value,
        checks_conflicts=True,
    )


def _imported(session: Session, actor: Actor, calendar_id: str) -> tuple[Calendar, Connection]:
    calendar, connection = calendars.owned_calendar(session, actor, calendar_id)
    if connection.provider != _PROVIDER:
        raise Conflict(
            f"“{calendar.name}” was not imported from a file, so a file cannot replace it.",
            code="calendar_not_imported",
        )
    locked_one(session, Calendar, calendar.id)
    return calendar, connection


def _store(session: Session, calendar: Calendar, events: list[CalendarEvent], now: datetime) -> None:
    mirror.apply(session, calendar.id, events, full=True, now=now, accept_removals=True)
    calendar.synced_at = calendar.full_synced_at = now
    session.add(calendar)


def _held(session: Session, calendar: Calendar) -> int:
    """How many events the calendar holds, without those of which no time was ever read."""
    mine = select(Event.payload).where(Event.calendar_id == calendar.id)
    unclear = session.exec(mine.where(col(Event.unread).is_not(None)))
    total = session.exec(select(func.count()).where(Event.calendar_id == calendar.id)).one()
    return total - sum(time_lost(from_payload(payload)) for payload in unclear)


def _remove(session: Session, calendar: Calendar) -> None:
    delete_all(session, calendar.id)
    session.delete(calendar)
    session.flush()


def _skipped(problem: Problem) -> Skipped:
    return Skipped(problem.line, problem.component, problem.summary, f"{problem.reason}.", problem.kept)
