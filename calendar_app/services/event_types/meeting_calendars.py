"""Which online meetings the calendars of an event type's hosts can make, so that it offers only what can be had.

A booking's meeting is made by one of the calendars that it is written into: those of its hosts. Where hosts take turns
each of them must have one that can, else one of them is enough.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from sqlmodel import Session, col, select

from calendar_app.db.session import reading
from calendar_app.db.tables import Calendar, Connection, EventType, Person, Workspace
from calendar_app.domain.connection import ConnectionStatus
from calendar_app.domain.hosting import Hosting
from calendar_app.domain.meeting_place import MADE_BY_CALENDARS, PlaceKind
from calendar_app.errors import InvalidInput
from calendar_app.services.common.permissions import Actor
from calendar_app.services.event_types.meeting_places import TITLES, places_of
from calendar_app.services.event_types.queries import hosts_of, owned

_VENDORS = {PlaceKind.GOOGLE_MEET: "Google", PlaceKind.MICROSOFT_TEAMS: "Microsoft 365"}


def cannot_offer(actor: Actor, event_type_id: str = "") -> dict[PlaceKind, str]:
    """The kinds of meetings that the event type (or one that only the actor hosts) cannot offer, each with what to do
    about it. :raises NotFound: no such event type."""
    with reading() as session:
        hosting, people = Hosting.SINGLE, [actor.person_id]
        if event_type_id:
            row = owned(session, actor, event_type_id)
            hosts = hosts_of(session, [row.id]).get(row.id, [])
            hosting, people = Hosting(row.hosting), [host.person_id for host in hosts]
        return _missing(session, actor.workspace_id, hosting, people, MADE_BY_CALENDARS)


def check_places(session: Session, row: EventType, before: Collection[PlaceKind]) -> None:
    """Hold what the event type offers against its hosts' calendars. ``before``: kinds that it offered to bookings with
    the same hosts, which stay as they are. :raises InvalidInput: nobody could meet there."""
    wanted = {place.kind for place in places_of(row)} & MADE_BY_CALENDARS
    if not wanted - set(before):
        return
    people = [host.person_id for host in hosts_of(session, [row.id]).get(row.id, [])]
    missing = _missing(session, row.workspace_id, Hosting(row.hosting), people, wanted - set(before))
    for kind in sorted(missing):
        raise InvalidInput(missing[kind], field="meeting_places")


def _missing(
    session: Session,
    workspace_id: str,
    hosting: Hosting,
    people: Sequence[str],
    kinds: Collection[PlaceKind],
) -> dict[PlaceKind, str]:
    made = _made_by(session, workspace_id, people)
    found = {}
    for kind in sorted(kinds):
        without = [person for person in people if kind not in made.get(person, ())]
        if without and (hosting is Hosting.ROUND_ROBIN or len(without) == len(people)):
            found[kind] = _what_to_do(session, kind, without)
    return found


def _made_by(session: Session, workspace_id: str, people: Sequence[str]) -> Mapping[str, set[str]]:
    """The meetings that the calendars make into which each person's bookings are written."""
    query = (
        select(Connection.person_id, Calendar.meeting_kinds)
        .join(Calendar, col(Calendar.connection_id) == col(Connection.id))
        .join(Person, col(Person.id) == col(Connection.person_id))
        .join(Workspace, col(Workspace.id) == col(Calendar.workspace_id))
        .where(Calendar.workspace_id == workspace_id, col(Connection.person_id).in_(people))
        .where(col(Calendar.receives_bookings).is_(True), col(Calendar.removed_at).is_(None))
        .where(Connection.status == ConnectionStatus.CONNECTED, col(Calendar.write_lost_at).is_(None))
        .where(col(Workspace.auto_sync_bookings).is_(True), col(Person.calendar_sync_enabled).is_(True))
    )
    made: dict[str, set[str]] = {}
    for person_id, meeting_kinds in session.exec(query):
        made.setdefault(person_id, set()).update(meeting_kinds)
    return made


def _what_to_do(session: Session, kind: PlaceKind, people: Sequence[str]) -> str:
    query = select(Person.name).where(col(Person.id).in_(people)).order_by(col(Person.name))
    names = ", ".join(session.exec(query))
    return (
        f"{TITLES[kind]} needs a {_VENDORS[kind]} calendar that can make its meetings and receives the bookings of "
        f"{names}: connect such an account under Calendars, and choose that calendar for bookings."
    )
