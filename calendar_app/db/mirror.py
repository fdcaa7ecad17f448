"""The mirror's rows: :class:`CalendarEvent` as JSON, and the bulk statements that put events and occurrences in place.

A payload leaves out every field that has its default, so that ordinary events stay small. Text is cleaned on the way
in: PostgreSQL takes neither NUL nor lone surrogates, and no calendar needs them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from datetime import date, datetime
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, SQLModel, col

from calendar_app.db.tables import Event, Occurrence
from calendar_app.domain.event import Attendee, CalendarEvent, EventStatus, EventTime, Response, ShowAs

T = TypeVar("T")
Payload = dict[str, Any]

BATCH = 500
"""Rows a statement: well below the parameter limits of both databases."""

_EVENTS, _OCCURRENCES = SQLModel.metadata.tables["event"], SQLModel.metadata.tables["occurrence"]
# Core tables: statements on the mapped classes would take the ORM's longer way for each of thousands of rows.

_DEFAULTS = {
    field.name: field.default_factory() if field.default_factory is not MISSING else field.default
    for field in fields(CalendarEvent)
}


def to_payload(event: CalendarEvent) -> Payload:
    """The event as JSON types; :func:`from_payload` turns it back into an equal one (but for unusable characters)."""
    found: Payload = {}
    for name, default in _DEFAULTS.items():
        value = getattr(event, name)
        if value != default:
            found[name] = _plain(value)
    return found


def from_payload(payload: Mapping[str, Any]) -> CalendarEvent:
    """The event that :func:`to_payload` was given."""
    known = {name: value for name, value in payload.items() if name in _DEFAULTS}
    for name, read in _READERS.items():
        if name in known:
            known[name] = read(known[name])
    return CalendarEvent(**known)


def clean(text: str) -> str:
    """The text without what a database cannot hold: NUL and lone surrogates."""
    if text.isascii() and "\x00" not in text:
        return text
    return text.encode("utf-8", "replace").decode().replace("\x00", "")


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, EventTime):
        fold = getattr(value.value, "fold", 0)
        return [value.value.isoformat(), value.zone, fold] if fold else [value.value.isoformat(), value.zone]
    if isinstance(value, Attendee):
        return [clean(value.email), clean(value.name), value.response, value.optional]
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {clean(str(name)): clean(str(item)) for name, item in value.items()}
    return value


def _time(value: Sequence[Any]) -> EventTime:
    text, zone, *fold = value
    if "T" not in text:
        return EventTime(date.fromisoformat(text), zone)
    return EventTime(datetime.fromisoformat(text).replace(fold=fold[0] if fold else 0), zone)


_READERS: dict[str, Any] = {
    "status": EventStatus,
    "show_as": ShowAs,
    "response": Response,
    "start": _time,
    "end": _time,
    "original_start": _time,
    "updated": datetime.fromisoformat,
    "recurrence": tuple,
    "unread": tuple,
    "attendees": lambda rows: tuple(
        Attendee(email, name, Response(response), optional) for email, name, response, optional in rows
    ),
}


def batches(items: Iterable[T], size: int = BATCH) -> Iterator[list[T]]:
    """Lists of at most ``size`` items, in order."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch


def upsert_events(session: Session, rows: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Insert event rows of one calendar or bring them up to date; row ids by ``remote_id``, each of which occurs once.

    Each row has every column of :class:`Event` but ``id``.
    """
    if not rows:
        return {}
    is_postgres = session.get_bind().dialect.name == "postgresql"
    statement = (postgresql.insert if is_postgres else sqlite.insert)(_EVENTS)
    changes = {
        name: statement.excluded[name] for name in rows[0] if name not in ("id", "calendar_id", "remote_id")
    }
    answer = session.execute(
        statement.on_conflict_do_update(index_elements=["calendar_id", "remote_id"], set_=changes).returning(
            col(Event.remote_id), col(Event.id)
        ),
        list(rows),
    )
    return {remote_id: row_id for remote_id, row_id in answer}  # noqa: C416  # dict() of rows does not type


def replace_occurrences(
    session: Session, event_ids: Collection[int], rows: Sequence[Mapping[str, Any]]
) -> None:
    """Put ``rows`` (every column of :class:`Occurrence` but ``id``) where the events' occurrences were."""
    for some in batches(event_ids):
        session.execute(delete(Occurrence).where(col(Occurrence.event_id).in_(some)))
    for batch in batches(rows):
        session.execute(insert(_OCCURRENCES), batch)


def note_unread(session: Session, row_id: int, sentences: list[str] | None) -> None:
    """Put sentences about what was not understood into an event's row; ``None`` for nothing."""
    session.execute(update(_EVENTS).where(_EVENTS.c.id == row_id).values(unread=sentences))


def delete_events(session: Session, event_ids: Collection[int]) -> None:
    """Delete events and their occurrences."""
    for some in batches(event_ids):
        session.execute(delete(Occurrence).where(col(Occurrence.event_id).in_(some)))
        session.execute(delete(Event).where(col(Event.id).in_(some)))


def delete_all(session: Session, calendar_id: str) -> None:
    """Delete everything that is mirrored of a calendar."""
    session.execute(delete(Occurrence).where(col(Occurrence.calendar_id) == calendar_id))
    session.execute(delete(Event).where(col(Event.calendar_id) == calendar_id))


@dataclass(frozen=True, slots=True)
class Stored:
    """An event together with its row's id, the booking it was written for, and what its row says was not understood."""

    row_id: int
    event: CalendarEvent
    booking_id: str | None
    unread: list[str] | None


def stored_events(session: Session, calendar_id: str) -> Iterator[list[Stored]]:
    """Every event row of a calendar, a portion at a time."""
    last = 0
    while True:
        portion = session.execute(
            select(col(Event.id), col(Event.booking_id), col(Event.payload), col(Event.unread))
            .where(col(Event.calendar_id) == calendar_id, col(Event.id) > last)
            .order_by(col(Event.id))
            .limit(BATCH)
        ).all()
        if not portion:
            return
        yield [Stored(one.id, from_payload(one.payload), one.booking_id, one.unread) for one in portion]
        last = portion[-1].id


def series_rows(session: Session, calendar_id: str, masters: Collection[str]) -> dict[str, list[Stored]]:
    """Every row of the named series by the master's remote id: the master, where there is one, and its exceptions."""
    found: dict[str, list[Stored]] = {}
    columns = (col(Event.id), col(Event.booking_id), col(Event.payload), col(Event.unread))
    for some in batches(masters):
        in_calendar = col(Event.calendar_id) == calendar_id
        own = select(col(Event.remote_id), *columns).where(
            in_calendar, col(Event.remote_id).in_(some), col(Event.master_id).is_(None)
        )
        exceptions = select(col(Event.master_id), *columns).where(in_calendar, col(Event.master_id).in_(some))
        for statement in (own, exceptions):
            for series, row_id, booking_id, payload, unread in session.execute(statement):
                found.setdefault(series, []).append(Stored(row_id, from_payload(payload), booking_id, unread))
    return found
