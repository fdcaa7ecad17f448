"""Who works in a workspace: the people that an event type can have as hosts."""

from __future__ import annotations

from dataclasses import dataclass

from sqlmodel import col, select

from calendar_app.db.session import reading
from calendar_app.db.tables import Membership, Person
from calendar_app.services.common.permissions import Actor, Role


@dataclass(frozen=True, slots=True)
class ColleagueView:
    """Somebody who works in the workspace."""

    person_id: str
    name: str
    email: str
    role: Role


def list_colleagues(actor: Actor) -> list[ColleagueView]:
    """Everybody of the workspace whom customers can book, by name; the actor alone for plain staff, who host only
    what is theirs.

    :raises Forbidden: customers.
    """
    actor.require(Role.STAFF)
    query = (
        select(Person, Membership.role)
        .join(Membership, col(Membership.person_id) == col(Person.id))
        .where(Membership.workspace_id == actor.workspace_id)
        .order_by(col(Person.name), col(Person.id))
    )
    if actor.role < Role.MANAGER:
        query = query.where(Person.id == actor.person_id)
    with reading() as session:
        people = [
            ColleagueView(person.id, person.name or person.email, person.email, Role(role))
            for person, role in session.exec(query)
        ]
    return [person for person in people if person.role >= Role.STAFF]
