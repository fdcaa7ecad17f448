"""What can be booked: event types, their rules, questions and hosts.

Staff make event types for themselves; managers for anybody, with several hosts. The rules of each field are told in
:mod:`calendar_app.services.event_types.validation`, how event types are shown in
:mod:`calendar_app.services.event_types.queries`; callers find both here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import delete
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from calendar_app.db.ids import new_id
from calendar_app.db.session import clock, transaction
from calendar_app.db.tables import Booking, EventType, EventTypeHost, Membership, OrderLine, Schedule
from calendar_app.domain.hosting import Hosting
from calendar_app.domain.meeting_place import PlaceKind
from calendar_app.errors import Conflict, InvalidInput
from calendar_app.services.common import audit_log
from calendar_app.services.common.permissions import Actor, Role
from calendar_app.services.event_types import meeting_calendars
from calendar_app.services.event_types.meeting_places import places_of
from calendar_app.services.event_types.queries import (
    EventTypeView,
    HostView,
    PublicEventType,
    check_editor,
    get_event_type,
    hosts_of,
    list_event_types,
    owned,
    public,
    public_list,
    view_of,
)
from calendar_app.services.event_types.validation import assign, slug_from

__all__ = [
    "EventTypeView",
    "HostView",
    "PublicEventType",
    "create_event_type",
    "delete_event_type",
    "get_event_type",
    "list_event_types",
    "public",
    "public_list",
    "update_event_type",
]


def create_event_type(actor: Actor, fields: Mapping[str, Any]) -> EventTypeView:
    """A new event type; the actor is its host unless ``hosts`` (list of ``{person_id, schedule_id?, weight?}``)
    says otherwise.

    ``slug`` is made from the title when it is missing.

    :raises InvalidInput: naming the field. :raises Conflict: the slug is taken.
    """
    actor.require(Role.STAFF)
    with transaction() as session:
        row = EventType(workspace_id=actor.workspace_id, slug="", title="")
        assign(row, {"slug": slug_from(fields.get("title")), **fields})
        _check_slug_free(session, row)
        session.add(row)
        session.flush()
        _set_hosts(session, actor, row, fields.get("hosts") or [{"person_id": actor.person_id}])
        meeting_calendars.check_places(session, row, ())
        audit_log.record(
            session, actor.workspace_id, actor, "event_type.created", "event_type", row.id, title=row.title
        )
        return view_of(session, row)


def update_event_type(
    actor: Actor,
    event_type_id: str,
    changes: Mapping[str, Any],
    *,
    check: Callable[[EventTypeView], None] | None = None,
) -> EventTypeView:
    """Change the named fields; ``hosts``, ``durations`` and ``questions`` are replaced as a whole. Bookings stay as
    they are.

    :raises InvalidInput: naming the field. :raises NotFound: missing, or another workspace's.
    """
    with transaction() as session:
        row = owned(session, actor, event_type_id)
        check_editor(session, actor, row)
        _ask(session, row, check)
        offered = _met_at(session, row)
        assign(row, changes)
        _check_slug_free(session, row)
        session.add(row)
        session.flush()
        if "hosts" in changes:
            _set_hosts(session, actor, row, changes["hosts"])
        else:
            _check_hosting(row, len(hosts_of(session, [row.id]).get(row.id, [])))
        same = offered[1:] == _met_at(session, row)[1:]
        meeting_calendars.check_places(session, row, offered[0] if same else ())
        audit_log.record(
            session,
            actor.workspace_id,
            actor,
            "event_type.changed",
            "event_type",
            row.id,
            changed=sorted(changes),
        )
        return view_of(session, row)


def _met_at(session: Session, row: EventType) -> tuple[set[PlaceKind], str, set[str]]:
    """The kinds of places that are offered, and whose calendars they depend on."""
    hosts = {host.person_id for host in hosts_of(session, [row.id]).get(row.id, [])}
    return {place.kind for place in places_of(row)}, row.hosting, hosts


def delete_event_type(
    actor: Actor, event_type_id: str, *, check: Callable[[EventTypeView], None] | None = None
) -> None:
    """Delete one that was never booked or ordered. :raises Conflict: it was, so it can only be switched off."""
    with transaction() as session:
        row = owned(session, actor, event_type_id)
        check_editor(session, actor, row)
        _ask(session, row, check)
        booked = select(Booking.id).where(Booking.event_type_id == row.id)
        ordered = select(OrderLine.id).where(OrderLine.event_type_id == row.id)
        if any(session.exec(query.limit(1)).first() for query in (booked, ordered)):
            raise Conflict(
                "This event type has bookings, which keep their history: switch it off instead.",
                code="has_bookings",
            )
        session.delete(row)
        audit_log.record(
            session, actor.workspace_id, actor, "event_type.deleted", "event_type", row.id, title=row.title
        )


def _ask(session: Session, row: EventType, check: Callable[[EventTypeView], None] | None) -> None:
    """Let ``check`` judge the event type as it stands, with its row locked."""
    if check is not None:
        session.refresh(row, with_for_update=True)
        check(view_of(session, row))


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
    present = clock(session)
    hosts = session.exec(select(EventTypeHost).where(EventTypeHost.event_type_id == row.id))
    since = {(host.person_id, host.weight): host.share_since for host in hosts}
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
                id=row_id,
                event_type_id=row.id,
                person_id=person_id,
                schedule_id=schedule_id,
                weight=weight,
                share_since=since.get((person_id, weight), present),
            )
        )
    try:
        session.flush()
    except IntegrityError as error:
        raise Conflict("The hosts were changed at the same moment: please try again.") from error
