"""Working hours: what people keep and edit of :mod:`calendar_app.domain.schedule`.

Everybody edits their own; managers edit anybody's in the workspace. A person who has any schedule in a workspace has
exactly one default there: event types fall back on it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import update
from sqlmodel import Session, col, select

from calendar_app.clock import utc_now
from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import Membership, Person, Schedule
from calendar_app.domain import schedule as working
from calendar_app.domain.intake import clean_text
from calendar_app.domain.timespan import Span, instant
from calendar_app.errors import Conflict, InvalidInput, NotFound
from calendar_app.services.availability import holidays as public_holidays
from calendar_app.services.common import audit_log
from calendar_app.services.common.permissions import Actor, Role


@dataclass(frozen=True, slots=True)
class ScheduleView:
    """``weekly`` and ``overrides`` are JSON as in :meth:`calendar_app.domain.schedule.Schedule.from_json`; ``holidays``
    and ``away`` as in the table."""

    id: str
    person_id: str
    person_name: str
    name: str
    timezone: str
    weekly: dict[str, Any]
    overrides: dict[str, Any]
    holidays: str
    away: list[dict[str, str]]
    is_default: bool
    created_at: datetime


def list_schedules(actor: Actor, *, person_id: str | None = None) -> list[ScheduleView]:
    """The actor's own schedules, or of a manager's whole workspace; the default first, then by name.

    :raises NotFound: ``person_id`` is nobody whose schedules the actor may see.
    """
    actor.require(Role.STAFF)
    with reading() as session:
        if person_id is not None:
            own = person_id == actor.person_id
            if not own and (
                actor.role < Role.MANAGER or not _is_member(session, person_id, actor.workspace_id)
            ):
                raise NotFound("There is no such person in the workspace.", field="person_id")
        query = select(Schedule, Person).join(Person, col(Person.id) == col(Schedule.person_id))
        query = query.where(Schedule.workspace_id == actor.workspace_id)
        if actor.role < Role.MANAGER:
            query = query.where(Schedule.person_id == actor.person_id)
        if person_id is not None:
            query = query.where(Schedule.person_id == person_id)
        order = (col(Person.name), col(Schedule.is_default).desc(), col(Schedule.name), col(Schedule.id))
        return [_view(row, person) for row, person in session.exec(query.order_by(*order))]


def get_schedule(actor: Actor, schedule_id: str) -> ScheduleView:
    """:raises NotFound: missing, or somebody else's."""
    with reading() as session:
        row = _owned(session, actor, schedule_id)
        return _view(row, session.get_one(Person, row.person_id))


def create_schedule(
    actor: Actor,
    *,
    timezone: str,
    weekly: Mapping[str, Any],
    overrides: Mapping[str, Any] | None = None,
    name: str = "Working hours",
    is_default: bool = False,
    person_id: str | None = None,
    holidays: str = "",
    away: Sequence[Mapping[str, str]] = (),
) -> ScheduleView:
    """A new schedule, for the actor or (managers) another member; the first one of a person is the default.

    :raises InvalidInput: naming the part that means nothing.
    """
    actor.require(Role.STAFF)
    owner = actor.person_id if person_id is None else person_id
    if owner != actor.person_id:
        actor.require(Role.MANAGER)
    read = working.Schedule.from_json({"weekly": weekly, "overrides": overrides or {}}, timezone)
    with transaction() as session:
        if not _is_member(session, owner, actor.workspace_id):
            raise InvalidInput("This person is not a member of the workspace.", field="person_id")
        first = not _siblings(session, owner, actor.workspace_id)
        row = Schedule(
            workspace_id=actor.workspace_id,
            person_id=owner,
            name=_name(name),
            holidays=public_holidays.checked_region(holidays),
            away=public_holidays.checked_away(away),
            timezone=timezone,
            is_default=first or is_default,
            **read.to_json(),
        )
        if row.is_default:
            _demote(session, row)
        session.add(row)
        audit_log.record(
            session, actor.workspace_id, actor, "schedule.created", "schedule", row.id, name=row.name
        )
        return _view(row, session.get_one(Person, owner))


def update_schedule(
    actor: Actor,
    schedule_id: str,
    changes: Mapping[str, Any],
    *,
    check: Callable[[ScheduleView], None] | None = None,
) -> ScheduleView:
    """Change any of ``name``, ``timezone``, ``weekly``, ``overrides``, ``away`` (each as a whole), ``holidays`` and
    ``is_default`` (to true).

    :raises InvalidInput: naming the part that means nothing. :raises NotFound: missing, or somebody else's.
    """
    with transaction() as session:
        row = _owned(session, actor, schedule_id)
        _ask(session, row, check)
        document = {
            "weekly": changes.get("weekly", row.weekly),
            "overrides": changes.get("overrides", row.overrides),
        }
        read = working.Schedule.from_json(document, changes.get("timezone", row.timezone))
        if changes.get("is_default") is False and row.is_default:
            raise InvalidInput("Make another schedule the default instead.", field="is_default")
        row.name = _name(changes.get("name", row.name))
        row.timezone, row.weekly, row.overrides = (
            read.zone,
            read.to_json()["weekly"],
            read.to_json()["overrides"],
        )
        if "holidays" in changes:
            row.holidays = public_holidays.checked_region(changes["holidays"])
        if "away" in changes:
            row.away = public_holidays.checked_away(changes["away"])
        if changes.get("is_default"):
            _demote(session, row)
            row.is_default = True
        session.add(row)
        audit_log.record(
            session,
            actor.workspace_id,
            actor,
            "schedule.changed",
            "schedule",
            row.id,
            changed=sorted(changes),
        )
        return _view(row, session.get_one(Person, row.person_id))


def delete_schedule(
    actor: Actor, schedule_id: str, *, check: Callable[[ScheduleView], None] | None = None
) -> None:
    """Event types that used it fall back on the person's default, which cannot be deleted.

    :raises Conflict: it is the default. :raises NotFound: missing, or somebody else's.
    """
    with transaction() as session:
        row = _owned(session, actor, schedule_id)
        _ask(session, row, check)
        if row.is_default:
            raise Conflict(
                "This is the default schedule: make another one the default first.", code="default_schedule"
            )
        session.delete(row)
        audit_log.record(
            session, actor.workspace_id, actor, "schedule.deleted", "schedule", row.id, name=row.name
        )


def _ask(session: Session, row: Schedule, check: Callable[[ScheduleView], None] | None) -> None:
    """Let ``check`` judge the schedule as it stands, with its row locked."""
    if check is not None:
        session.refresh(row, with_for_update=True)
        check(_view(row, session.get_one(Person, row.person_id)))


def dst_preview(actor: Actor, schedule_id: str, *, now: datetime | None = None) -> list[working.DstChange]:
    """The clock changes of the coming 400 days and what each does to these working hours."""
    with reading() as session:
        row = _owned(session, actor, schedule_id)
        read = as_domain(row)
    start = now or utc_now()
    return working.dst_preview(read, Span(instant(start), instant(start + timedelta(days=400))))


def as_domain(row: Schedule) -> working.Schedule:
    """A stored schedule as the engine reads it."""
    return public_holidays.as_schedule(
        row.timezone, row.weekly, row.overrides, row.holidays, row.away, utc_now().year
    )


def _name(value: object) -> str:
    name = clean_text(value, "name", 100)
    if not name:
        raise InvalidInput("Please give the schedule a name.", field="name")
    return name


def _owned(session: Session, actor: Actor, schedule_id: str) -> Schedule:
    actor.require(Role.STAFF)
    row = session.get(Schedule, schedule_id)
    if row is None or row.workspace_id != actor.workspace_id:
        raise NotFound("There is no such schedule.")
    if row.person_id != actor.person_id and actor.role < Role.MANAGER:
        raise NotFound("There is no such schedule.")
    return row


def _is_member(session: Session, person_id: str, workspace_id: str) -> bool:
    query = select(Membership.role).where(
        Membership.person_id == person_id, Membership.workspace_id == workspace_id
    )
    role = session.exec(query).first()
    return role is not None and Role(role) >= Role.STAFF


def _siblings(session: Session, person_id: str, workspace_id: str) -> list[str]:
    query = select(Schedule.id).where(Schedule.person_id == person_id, Schedule.workspace_id == workspace_id)
    return list(session.exec(query))


def _demote(session: Session, winner: Schedule) -> None:
    others = update(Schedule).where(
        col(Schedule.person_id) == winner.person_id,
        col(Schedule.workspace_id) == winner.workspace_id,
        col(Schedule.id) != winner.id,
    )
    session.execute(others.values(is_default=False))


def _view(row: Schedule, person: Person) -> ScheduleView:
    return ScheduleView(
        id=row.id,
        person_id=row.person_id,
        person_name=person.name,
        name=row.name,
        timezone=row.timezone,
        weekly=row.weekly,
        overrides=row.overrides,
        holidays=row.holidays,
        away=row.away,
        is_default=row.is_default,
        created_at=row.created_at,
    )
