"""What a new workspace starts with, so that a newcomer can be booked at once: working hours and one event type."""

from __future__ import annotations

import re
import secrets
import unicodedata

from sqlmodel import Session, select

from calendar_app.db.tables import EventType, EventTypeHost, Membership, Person, Schedule, Workspace
from calendar_app.services.common.permissions import Role

WEEKLY = {day: [["09:00", "17:00"]] for day in ("mon", "tue", "wed", "thu", "fri")}
"""Monday to Friday, nine to five, in the form of :meth:`calendar_app.domain.schedule.Schedule.to_json`."""


def new_workspace(session: Session, owner: Person, name: str, *, slug: str | None = None) -> Workspace:
    """A workspace in the owner's zone with default hours and the public event type ``intro``; the caller commits."""
    workspace = Workspace(slug=slug or free_slug(session, name), name=name, timezone=owner.timezone)
    session.add(workspace)
    session.flush()
    intro = EventType(
        workspace_id=workspace.id,
        slug="intro",
        title="Intro call",
        description="A first conversation.",
        durations=[30],
    )
    session.add_all(
        [
            Membership(workspace_id=workspace.id, person_id=owner.id, role=Role.OWNER.value),
            Schedule(workspace_id=workspace.id, person_id=owner.id, timezone=owner.timezone, weekly=WEEKLY),
            intro,
        ]
    )
    session.flush()
    session.add(EventTypeHost(event_type_id=intro.id, person_id=owner.id))
    return workspace


def free_slug(session: Session, name: str) -> str:
    """An address for ``/book/…`` made of the name; where it is taken, with a random ending."""
    ascii_only = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    base = re.sub(r"[^a-z0-9]+", "-", ascii_only).strip("-")[:48].strip("-") or "workspace"
    slug = base
    while session.exec(select(Workspace.id).where(Workspace.slug == slug)).first() is not None:
        slug = f"{base}-{secrets.token_hex(2)}"
    return slug
