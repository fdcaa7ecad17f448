"""What can be booked: event types, their rules, questions and hosts.

Staff make event types for themselves; managers for anybody, with several hosts. What the public sees of one is
:class:`PublicEventType`, which tells nothing that the booking page does not need.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from calendar_app.db.ids import new_id
from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import (
    Booking,
    EventType,
    EventTypeHost,
    Membership,
    OrderLine,
    Person,
    Schedule,
    Workspace,
)
from calendar_app.domain.colors import Priority, parse_color
from calendar_app.domain.hosting import EventRules, Hosting
from calendar_app.domain.intake import Question, clean_text, parse_questions
from calendar_app.errors import Conflict, InvalidInput, NotFound
from calendar_app.services import audit
from calendar_app.services.roles import Actor, Role
from calendar_app.settings import get_settings

_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_RULES = (
    "buffer_before",
    "buffer_after",
    "minimum_notice",
    "horizon_days",
    "step_minutes",
    "daily_cap",
    "weekly_cap",
    "seats",
)
_FLAGS = ("requires_approval", "is_public", "is_active")
_LONGEST_NOTICE = 366 * 1440
_EARLIEST_REMINDER, _MOST_REMINDERS = 28 * 1440, 5


@dataclass(frozen=True, slots=True)
class HostView:
    """A host; ``schedule_id`` ``None`` means the person's default schedule."""

    person_id: str
    name: str
    schedule_id: str | None
    weight: int


@dataclass(frozen=True, slots=True)
class EventTypeView:
    """An event type as staff see it. Minutes, but ``horizon_days``; ``url`` is its public booking page.

    ``category`` and ``priority`` choose the colour of its bookings (:mod:`calendar_app.domain.colors`); ``reminders``
    are minutes before the start, the longest first.
    """

    id: str
    slug: str
    title: str
    description: str
    location: str
    color: str
    category: str
    priority: str
    reminders: tuple[int, ...]
    durations: tuple[int, ...]
    buffer_before: int
    buffer_after: int
    minimum_notice: int
    horizon_days: int
    step_minutes: int
    daily_cap: int
    weekly_cap: int
    seats: int
    requires_approval: bool
    hosting: str
    questions: tuple[dict[str, Any], ...]
    cancel_notice: int
    is_public: bool
    is_active: bool
    hosts: tuple[HostView, ...]
    url: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class PublicEventType:
    """An event type as a visitor sees it. ``timezone`` is the first host's; ``hosts`` are names."""

    id: str
    slug: str
    workspace_slug: str
    workspace_name: str
    title: str
    description: str
    location: str
    color: str
    durations: tuple[int, ...]
    questions: tuple[dict[str, Any], ...]
    hosts: tuple[str, ...]
    timezone: str
    seats: int
    horizon_days: int
    cancel_notice: int
    requires_approval: bool
    is_active: bool
    url: str


def list_event_types(actor: Actor) -> list[EventTypeView]:
    """Every event type of the workspace, by title."""
    actor.require(Role.STAFF)
    with reading() as session:
        query = select(EventType).where(EventType.workspace_id == actor.workspace_id)
        rows = session.exec(query.order_by(col(EventType.title), col(EventType.id))).all()
        hosts = _hosts_of(session, [row.id for row in rows])
        slug = session.get_one(Workspace, actor.workspace_id).slug
        return [_view(row, hosts.get(row.id, []), slug) for row in rows]


def get_event_type(actor: Actor, event_type_id: str) -> EventTypeView:
    """:raises NotFound: missing, or another workspace's."""
    actor.require(Role.STAFF)
    with reading() as session:
        return _view_of(session, _owned(session, actor, event_type_id))


def create_event_type(actor: Actor, fields: Mapping[str, Any]) -> EventTypeView:
    """A new event type; the actor is its host unless ``hosts`` (list of ``{person_id, schedule_id?, weight?}``)
    says otherwise.

    ``slug`` is made from the title when it is missing.

    :raises InvalidInput: naming the field. :raises Conflict: the slug is taken.
    """
    actor.require(Role.STAFF)
    with transaction() as session:
        row = EventType(workspace_id=actor.workspace_id, slug="", title="")
        _assign(row, {"slug": _slug_from(fields.get("title")), **fields})
        _check_slug_free(session, row)
        session.add(row)
        session.flush()
        _set_hosts(session, actor, row, fields.get("hosts") or [{"person_id": actor.person_id}])
        audit.record(
            session, actor.workspace_id, actor, "event_type.created", "event_type", row.id, title=row.title
        )
        return _view_of(session, row)


def update_event_type(actor: Actor, event_type_id: str, changes: Mapping[str, Any]) -> EventTypeView:
    """Change the named fields; ``hosts``, ``durations`` and ``questions`` are replaced as a whole. Bookings stay as
    they are.

    :raises InvalidInput: naming the field. :raises NotFound: missing, or another workspace's.
    """
    with transaction() as session:
        row = _owned(session, actor, event_type_id)
        _check_editor(session, actor, row)
        _assign(row, changes)
        _check_slug_free(session, row)
        session.add(row)
        session.flush()
        if "hosts" in changes:
            _set_hosts(session, actor, row, changes["hosts"])
        else:
            _check_hosting(row, len(_hosts_of(session, [row.id]).get(row.id, [])))
        audit.record(
            session,
            actor.workspace_id,
            actor,
            "event_type.changed",
            "event_type",
            row.id,
            changed=sorted(changes),
        )
        return _view_of(session, row)


def delete_event_type(actor: Actor, event_type_id: str) -> None:
    """Delete one that was never booked or ordered. :raises Conflict: it was, so it can only be switched off."""
    with transaction() as session:
        row = _owned(session, actor, event_type_id)
        _check_editor(session, actor, row)
        booked = select(Booking.id).where(Booking.event_type_id == row.id)
        ordered = select(OrderLine.id).where(OrderLine.event_type_id == row.id)
        if any(session.exec(query.limit(1)).first() for query in (booked, ordered)):
            raise Conflict(
                "This event type has bookings, which keep their history: switch it off instead.",
                code="has_bookings",
            )
        session.delete(row)
        audit.record(
            session, actor.workspace_id, actor, "event_type.deleted", "event_type", row.id, title=row.title
        )


def public(workspace_slug: str, slug: str) -> PublicEventType:
    """What ``/book/{workspace}/{event_type}`` shows; an inactive one says so.

    :raises NotFound: no such page, or the event type is not public.
    """
    with reading() as session:
        query = select(EventType, Workspace).join(Workspace, col(Workspace.id) == col(EventType.workspace_id))
        found = session.exec(query.where(Workspace.slug == workspace_slug, EventType.slug == slug)).first()
        if found is None or not found[0].is_public:
            raise NotFound("There is no booking page at this address.")
        return _public(session, *found)


def public_list(workspace_slug: str) -> list[PublicEventType]:
    """What ``/book/{workspace}`` lists: public, active event types by title. :raises NotFound: no such workspace."""
    with reading() as session:
        workspace = session.exec(select(Workspace).where(Workspace.slug == workspace_slug)).first()
        if workspace is None:
            raise NotFound("There is no booking page at this address.")
        query = select(EventType).where(EventType.workspace_id == workspace.id)
        query = query.where(col(EventType.is_public).is_(True), col(EventType.is_active).is_(True))
        rows = session.exec(query.order_by(col(EventType.title), col(EventType.id))).all()
        return [_public(session, row, workspace) for row in rows]


def rules_of(row: EventType, duration: int = 0) -> EventRules:
    """The engine's rules of a stored event type. :raises RulesError: ``duration`` (minutes) is not offered."""
    return EventRules(
        durations=tuple(row.durations), duration=duration, **{name: getattr(row, name) for name in _RULES}
    )


def _assign(row: EventType, fields: Mapping[str, Any]) -> None:
    """Check and set what ``fields`` names."""
    if "title" in fields or not row.title:
        row.title = clean_text(fields.get("title"), "title", 200)
        if not row.title:
            raise InvalidInput("Please give the event type a title.", field="title")
    if "slug" in fields:
        row.slug = _checked_slug(fields["slug"])
    if "description" in fields:
        row.description = clean_text(fields["description"], "description", 5_000, lines=True)
    if "location" in fields:
        row.location = clean_text(fields["location"], "location", 500)
    if "color" in fields:
        color = parse_color(str(fields["color"]))
        if fields["color"] and color is None:
            raise InvalidInput("This colour is not known.", field="color")
        row.color = color.value if color else ""
    if "category" in fields:
        row.category = clean_text(fields["category"], "category", 32).casefold()
    if "priority" in fields:
        row.priority = str(fields["priority"])
        if row.priority and row.priority not in set(Priority):
            raise InvalidInput(f"priority is one of {', '.join(Priority)}, or empty.", field="priority")
    if "reminders" in fields:
        row.reminders = _checked_reminders(fields["reminders"])
    if "questions" in fields:
        row.questions = [_written(question) for question in parse_questions(fields["questions"])]
    if "cancel_notice" in fields:
        notice = fields["cancel_notice"]
        if type(notice) is not int or not 0 <= notice <= _LONGEST_NOTICE:
            raise InvalidInput("cancel_notice is minutes, at most a year.", field="cancel_notice")
        row.cancel_notice = notice
    if "hosting" in fields:
        try:
            row.hosting = Hosting(fields["hosting"]).value
        except ValueError:
            raise InvalidInput(f"hosting is one of {', '.join(Hosting)}.", field="hosting") from None
    for name in _FLAGS:
        if name in fields:
            if not isinstance(fields[name], bool):
                raise InvalidInput(f"{name} is true or false.", field=name)
            setattr(row, name, fields[name])
    if "durations" in fields:
        durations = fields["durations"]
        row.durations = list(durations) if isinstance(durations, list | tuple) else []
    for name in _RULES:
        if name in fields:
            setattr(row, name, fields[name])
    rules_of(row)


def _checked_reminders(value: object) -> list[int]:
    minutes = value if isinstance(value, list | tuple) else None
    if minutes is None or not all(type(m) is int and 0 < m <= _EARLIEST_REMINDER for m in minutes):
        raise InvalidInput("reminders are minutes before the start, at most four weeks.", field="reminders")
    if len(set(minutes)) > _MOST_REMINDERS:
        raise InvalidInput(f"At most {_MOST_REMINDERS} reminders are sent.", field="reminders")
    return sorted(set(minutes), reverse=True)


def _written(question: Question) -> dict[str, Any]:
    """A question as stored: what was understood of it, without what is as by default."""
    kept = {name: getattr(question, name) for name in ("max_length", "minimum", "maximum")}
    if question.options:
        kept["options"] = list(question.options)
    return {
        "id": question.id,
        "label": question.label,
        "type": question.type.value,
        "required": question.required,
        **{
            name: value
            for name, value in kept.items()
            if value is not None and (value or name != "max_length")
        },
    }


def _slug_from(title: object) -> str:
    words = re.sub(r"[^a-z0-9]+", "-", str(title or "").lower()).strip("-")[:60].strip("-")
    return words or "meeting"


def _checked_slug(value: object) -> str:
    slug = str(value)
    if len(slug) > 64 or not _SLUG.fullmatch(slug):
        raise InvalidInput("A slug is up to 64 letters a-z, digits and single dashes.", field="slug")
    return slug


def _check_slug_free(session: Session, row: EventType) -> None:
    query = select(EventType.id).where(EventType.workspace_id == row.workspace_id, EventType.slug == row.slug)
    with session.no_autoflush:
        if session.exec(query.where(EventType.id != row.id)).first():
            raise Conflict(
                "Another event type of this workspace has this address already.", code="slug_taken"
            )


def _check_hosting(row: EventType, hosts: int) -> None:
    if hosts == 0:
        raise InvalidInput("An event type needs at least one host.", field="hosts")
    if hosts > 1 and row.hosting == Hosting.SINGLE:
        raise InvalidInput("Several hosts need hosting round_robin or collective.", field="hosting")
    if row.seats > 1 and row.hosting == Hosting.COLLECTIVE:
        raise InvalidInput("A collective event has one seat.", field="seats")


def _set_hosts(session: Session, actor: Actor, row: EventType, wanted: object) -> None:
    if (
        not isinstance(wanted, Sequence)
        or isinstance(wanted, str)
        or not all(isinstance(h, Mapping) for h in wanted)
    ):
        raise InvalidInput("hosts is a list of objects with person_id.", field="hosts")
    people = [str(host.get("person_id", "")) for host in wanted]
    if len(set(people)) < len(people) or len(people) > 50:
        raise InvalidInput("Each host is named once, and at most 50.", field="hosts")
    _check_hosting(row, len(people))
    if set(people) != {actor.person_id}:
        actor.require(Role.MANAGER)
    members = select(Membership).where(Membership.workspace_id == row.workspace_id)
    staff = {m.person_id for m in session.exec(members) if Role(m.role) >= Role.STAFF}
    session.execute(delete(EventTypeHost).where(col(EventTypeHost.event_type_id) == row.id))
    ids = sorted(new_id() for _ in wanted)  # hosts keep the order in which they were named
    for row_id, host in zip(ids, wanted, strict=True):
        person_id, schedule_id, weight = (
            str(host.get("person_id")),
            host.get("schedule_id"),
            host.get("weight", 1),
        )
        if person_id not in staff:
            raise InvalidInput("A host must work in this workspace.", field="hosts")
        if schedule_id is not None:
            schedule = session.get(Schedule, str(schedule_id))
            if schedule is None or (schedule.person_id, schedule.workspace_id) != (
                person_id,
                row.workspace_id,
            ):
                raise InvalidInput("A host's schedule must be their own.", field="hosts")
        if type(weight) is not int or not 1 <= weight <= 1_000:
            raise InvalidInput("weight is a whole number from 1 to 1000.", field="hosts")
        session.add(
            EventTypeHost(
                id=row_id, event_type_id=row.id, person_id=person_id, schedule_id=schedule_id, weight=weight
            )
        )
    try:
        session.flush()
    except IntegrityError as error:
        raise Conflict("The hosts were changed at the same moment: please try again.") from error


def _check_editor(session: Session, actor: Actor, row: EventType) -> None:
    """Staff edit what only they host."""
    hosts = {host.person_id for host in _hosts_of(session, [row.id]).get(row.id, [])}
    if hosts != {actor.person_id}:
        actor.require(Role.MANAGER)


def _owned(session: Session, actor: Actor, event_type_id: str) -> EventType:
    actor.require(Role.STAFF)
    row = session.get(EventType, event_type_id)
    if row is None or row.workspace_id != actor.workspace_id:
        raise NotFound("There is no such event type.")
    return row


def _hosts_of(session: Session, event_type_ids: Iterable[str]) -> dict[str, list[HostView]]:
    query = (
        select(EventTypeHost, Person.name)
        .join(Person, col(Person.id) == col(EventTypeHost.person_id))
        .where(col(EventTypeHost.event_type_id).in_(list(event_type_ids)))
        .order_by(col(EventTypeHost.id))
    )
    found: dict[str, list[HostView]] = {}
    for host, name in session.exec(query):
        view = HostView(host.person_id, name, host.schedule_id, host.weight)
        found.setdefault(host.event_type_id, []).append(view)
    return found


def _view_of(session: Session, row: EventType) -> EventTypeView:
    slug = session.get_one(Workspace, row.workspace_id).slug
    return _view(row, _hosts_of(session, [row.id]).get(row.id, []), slug)


def _view(row: EventType, hosts: Sequence[HostView], workspace_slug: str) -> EventTypeView:
    return EventTypeView(
        id=row.id,
        slug=row.slug,
        title=row.title,
        description=row.description,
        location=row.location,
        color=row.color,
        category=row.category,
        priority=row.priority,
        reminders=tuple(row.reminders),
        durations=tuple(row.durations),
        **{name: getattr(row, name) for name in _RULES},
        requires_approval=row.requires_approval,
        hosting=row.hosting,
        questions=tuple(row.questions),
        cancel_notice=row.cancel_notice,
        is_public=row.is_public,
        is_active=row.is_active,
        hosts=tuple(hosts),
        url=_url(workspace_slug, row.slug),
        created_at=row.created_at,
    )


def _url(workspace_slug: str, slug: str) -> str:
    return f"{get_settings().public_url}/book/{workspace_slug}/{slug}"


def _public(session: Session, row: EventType, workspace: Workspace) -> PublicEventType:
    query = (
        select(Person, Schedule.timezone)
        .join(EventTypeHost, col(EventTypeHost.person_id) == col(Person.id))
        .outerjoin(Schedule, col(Schedule.id) == col(EventTypeHost.schedule_id))
        .where(EventTypeHost.event_type_id == row.id)
        .order_by(col(EventTypeHost.id))
    )
    hosts = session.exec(query).all()
    timezone = next((zone or person.timezone for person, zone in hosts), workspace.timezone)
    return PublicEventType(
        id=row.id,
        slug=row.slug,
        workspace_slug=workspace.slug,
        workspace_name=workspace.name,
        title=row.title,
        description=row.description,
        location=row.location,
        color=row.color,
        durations=tuple(row.durations),
        questions=tuple(row.questions),
        hosts=tuple(person.name for person, _ in hosts),
        timezone=timezone,
        seats=row.seats,
        horizon_days=row.horizon_days,
        cancel_notice=row.cancel_notice,
        requires_approval=row.requires_approval,
        is_active=row.is_active,
        url=_url(workspace.slug, row.slug),
    )
