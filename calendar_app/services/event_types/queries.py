"""Event types as staff see them, and as visitors do.

What the public sees of one is :class:`PublicEventType`, which tells nothing that the booking page does not need.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, select

from calendar_app.db.session import reading
from calendar_app.db.tables import EventType, EventTypeHost, Person, Schedule, Workspace
from calendar_app.domain.meeting_place import MeetingPlace
from calendar_app.errors import NotFound
from calendar_app.services.common.permissions import Actor, Role
from calendar_app.services.event_types.meeting_places import places_of
from calendar_app.services.event_types.validation import RULES
from calendar_app.settings import current_settings


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
    are minutes before the start, the longest first. ``location`` is the first of the ``meeting_places`` in one line;
    ``form_parts``: what the form asks besides (:mod:`calendar_app.domain.booking_form`).
    """

    id: str
    slug: str
    title: str
    description: str
    location: str
    meeting_places: tuple[MeetingPlace, ...]
    form_parts: dict[str, str]
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
    """An event type as a visitor sees it. ``timezone`` is the first host's; ``hosts`` are names. The
    ``meeting_places`` are without their values, which only customers with a booking learn."""

    id: str
    slug: str
    workspace_slug: str
    workspace_name: str
    title: str
    description: str
    meeting_places: tuple[MeetingPlace, ...]
    form_parts: dict[str, str]
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
        hosts = hosts_of(session, [row.id for row in rows])
        slug = session.get_one(Workspace, actor.workspace_id).slug
        return [_view(row, hosts.get(row.id, []), slug) for row in rows]


def get_event_type(actor: Actor, event_type_id: str) -> EventTypeView:
    """:raises NotFound: missing, or another workspace's."""
    actor.require(Role.STAFF)
    with reading() as session:
        return view_of(session, owned(session, actor, event_type_id))


def _by_nothing(_session: Session, _row: EventType) -> bool:
    return False


def public(
    workspace_slug: str, slug: str, opened_by: Callable[[Session, EventType], bool] = _by_nothing
) -> PublicEventType:
    """What ``/book/{workspace}/{event_type}`` shows; an inactive one says so. ``opened_by``: whether a private link
    opens it.

    :raises NotFound: no such page, or the event type is not public.
    """
    with reading() as session:
        query = select(EventType, Workspace).join(Workspace, col(Workspace.id) == col(EventType.workspace_id))
        found = session.exec(query.where(Workspace.slug == workspace_slug, EventType.slug == slug)).first()
        if found is None or not (opened_by(session, found[0]) or found[0].is_public):
            raise NotFound("There is no booking page at this address.")
        return _public(session, *found)


def public_by_id(
    event_type_id: str, opened_by: Callable[[Session, EventType], bool] = _by_nothing
) -> PublicEventType:
    """As :func:`public`, for the event type with this id. :raises NotFound: there is none, or it is not public."""
    with reading() as session:
        row = session.get(EventType, event_type_id)
        if row is None or not (opened_by(session, row) or row.is_public):
            raise NotFound("There is no such event type.")
        return _public(session, row, session.get_one(Workspace, row.workspace_id))


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


def owned(session: Session, actor: Actor, event_type_id: str) -> EventType:
    """The row, for staff of its workspace. :raises NotFound: missing, or another workspace's."""
    actor.require(Role.STAFF)
    row = session.get(EventType, event_type_id)
    if row is None or row.workspace_id != actor.workspace_id:
        raise NotFound("There is no such event type.")
    return row


def check_editor(session: Session, actor: Actor, row: EventType) -> None:
    """Staff edit what only they host. :raises Forbidden: others host it."""
    hosts = {host.person_id for host in hosts_of(session, [row.id]).get(row.id, [])}
    if hosts != {actor.person_id}:
        actor.require(Role.MANAGER)


def hosts_of(session: Session, event_type_ids: Iterable[str]) -> dict[str, list[HostView]]:
    """The hosts of each event type, in the order in which they were named."""
    query = (
        select(EventTypeHost, Person.name)
        .join(Person, col(Person.id) == col(EventTypeHost.person_id))
        .where(col(EventTypeHost.event_type_id).in_(list(event_type_ids)))
        .order_by(col(EventTypeHost.id))
    )
    found: dict[str, list[HostView]] = {}
    for host, name in session.exec(query):
        one = HostView(host.person_id, name, host.schedule_id, host.weight)
        found.setdefault(host.event_type_id, []).append(one)
    return found


def view_of(session: Session, row: EventType) -> EventTypeView:
    """The event type as staff see it."""
    slug = session.get_one(Workspace, row.workspace_id).slug
    return _view(row, hosts_of(session, [row.id]).get(row.id, []), slug)


def _view(row: EventType, hosts: Sequence[HostView], workspace_slug: str) -> EventTypeView:
    return EventTypeView(
        id=row.id,
        slug=row.slug,
        title=row.title,
        description=row.description,
        location=row.location,
        meeting_places=places_of(row),
        form_parts=dict(row.form_parts),
        color=row.color,
        category=row.category,
        priority=row.priority,
        reminders=tuple(row.reminders),
        durations=tuple(row.durations),
        **{name: getattr(row, name) for name in RULES},
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
    return f"{current_settings().public_url}/book/{workspace_slug}/{slug}"


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
        meeting_places=tuple(replace(place, value="") for place in places_of(row)),
        form_parts=dict(row.form_parts),
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
