"""What a workspace is called, how its booking pages look, and which sites may embed them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlmodel import Session, col, select

from calendar_app import translations
from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import EventType, Workspace, WorkspaceLogo
from calendar_app.domain.accent import parse_accent
from calendar_app.domain.intake import clean_text
from calendar_app.domain.sites import parse_sites
from calendar_app.domain.zones import is_zone
from calendar_app.errors import InvalidInput, NotFound
from calendar_app.services.common import audit_log, change_events
from calendar_app.services.common.permissions import Actor, Role
from calendar_app.services.workspaces import logo
from calendar_app.settings import current_settings

FIELDS = (
    "name",
    "timezone",
    "language",
    "accent",
    "auto_sync_bookings",
    "allowed_origins",
    "confirmation_text",
    "shows_credit",
)
"""What can be changed."""
MOST_WORDS = 2_000
LOGO_PATH = "/site/logo"


@dataclass(frozen=True, slots=True)
class WorkspaceView:
    """A workspace as its staff see it. ``allowed_origins``: none means every site. ``logo_url``: empty for none."""

    id: str
    name: str
    slug: str
    timezone: str
    language: str
    accent: str
    logo_url: str
    auto_sync_bookings: bool
    allowed_origins: tuple[str, ...]
    confirmation_text: str
    shows_credit: bool


@dataclass(frozen=True, slots=True)
class Look:
    """How the pages of a workspace look to its customers. ``logo``: the path of an image of ``width`` by ``height``
    pixels, empty for none."""

    name: str = ""
    language: str = ""
    accent: str = ""
    logo: str = ""
    width: int = 0
    height: int = 0
    sites: tuple[str, ...] = ()
    confirmation_text: str = ""
    shows_credit: bool = True


def get(actor: Actor) -> WorkspaceView:
    """The workspace that the actor works in. :raises Forbidden: customers."""
    actor.require(Role.STAFF)
    with reading() as session:
        return _view(session.get_one(Workspace, actor.workspace_id))


def update(
    actor: Actor, changes: Mapping[str, Any], *, check: Callable[[WorkspaceView], None] | None = None
) -> WorkspaceView:
    """Change what is named of :data:`FIELDS`; lists are replaced as a whole. ``check`` is asked, with the row locked,
    about the workspace as it stands.

    :raises Forbidden: below admin. :raises InvalidInput: naming the field.
    """
    actor.require(Role.ADMIN)
    values = _checked(changes)
    with transaction() as session:
        row = _locked(session, actor)
        if check is not None:
            check(_view(row))
        changed = sorted(name for name, value in values.items() if getattr(row, name) != value)
        for name in changed:
            setattr(row, name, values[name])
        if changed:
            _note(session, actor, row, changed)
        return _view(row)


def set_logo(actor: Actor, content: bytes) -> WorkspaceView:
    """Take an image as the logo; what is kept is made anew from its pixels.

    :raises InvalidInput: no image that is taken (``logo``). Other errors as :func:`update`.
    """
    actor.require(Role.ADMIN)
    image = logo.encode(content)
    with transaction() as session:
        row = _locked(session, actor)
        session.merge(WorkspaceLogo(workspace_id=row.id, name=image.name, content=image.content))
        row.logo = image.name
        _note(session, actor, row, ["logo"])
        return _view(row)


def remove_logo(actor: Actor) -> WorkspaceView:
    """Show no logo any more. Errors as :func:`update`."""
    actor.require(Role.ADMIN)
    with transaction() as session:
        row = _locked(session, actor)
        kept = session.get(WorkspaceLogo, row.id)
        if kept is not None:
            session.delete(kept)
            row.logo = ""
            _note(session, actor, row, ["logo"])
        return _view(row)


def look(slug: str) -> Look:
    """How the pages of a business look; as they do without any setting where there is no such business."""
    with reading() as session:
        row = session.exec(select(Workspace).where(Workspace.slug == slug)).first() if slug else None
    if row is None:
        return Look()
    width, height = logo.size_of(row.logo)
    return Look(
        row.name,
        row.language,
        row.accent,
        f"{LOGO_PATH}/{row.logo}" if row.logo else "",
        width,
        height,
        tuple(row.sites),
        row.confirmation_text,
        row.shows_credit,
    )


def logo_image(name: str) -> bytes:
    """A logo as PNG, by its name. :raises NotFound: there is none of that name, or not any more."""
    with reading() as session:
        found = session.exec(select(WorkspaceLogo.content).where(WorkspaceLogo.name == name)).first()
    if found is None:
        raise NotFound("There is no such image.")
    return found


def sites_of(event_type_id: str) -> tuple[str, ...]:
    """Sites that may show an event type or book it from their pages; none: every site."""
    query = select(Workspace.sites).join(EventType, col(EventType.workspace_id) == col(Workspace.id))
    with reading() as session:
        return tuple(session.exec(query.where(EventType.id == event_type_id)).first() or ())


def sites_of_workspace(slug: str) -> tuple[str, ...]:
    """As :func:`sites_of`, of the workspace with this slug."""
    with reading() as session:
        return tuple(session.exec(select(Workspace.sites).where(Workspace.slug == slug)).first() or ())


def _locked(session: Session, actor: Actor) -> Workspace:
    return session.get_one(Workspace, actor.workspace_id, with_for_update=True)


def _note(session: Session, actor: Actor, row: Workspace, changed: list[str]) -> None:
    session.add(row)
    audit_log.record(session, row.id, actor, "workspace.changed", "workspace", row.id, changed=changed)
    change_events.announce(session, row.id, "team")


def _checked(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Values by column, each checked."""
    found: dict[str, Any] = {}
    for field, value in changes.items():
        if field == "allowed_origins":
            found["sites"] = parse_sites(value)
        elif field == "accent":
            found[field] = parse_accent(value)
        elif field == "name":
            found[field] = clean_text(value, "name", 100)
            if not found[field]:
                raise InvalidInput("Please give the business a name.", field="name")
        elif field == "confirmation_text":
            found[field] = clean_text(value, field, MOST_WORDS, lines=True)
        elif field == "timezone":
            if not is_zone(str(value)):
                raise InvalidInput(
                    "This is no time zone; use a name like Europe/Berlin.",
                    field=field,
                    code="unknown_timezone",
                )
            found[field] = value
        elif field == "language":
            if value not in ("", *translations.NAMES):
                known = ", ".join(translations.NAMES)
                raise InvalidInput(f"language is one of {known}, or empty.", field="language")
            found[field] = value
        elif field in ("auto_sync_bookings", "shows_credit"):
            if not isinstance(value, bool):
                raise InvalidInput(f"{field} is true or false.", field=field)
            found[field] = value
        else:
            raise InvalidInput(f"{field[:64]!r} cannot be changed here.", field=field[:64])
    return found


def _view(row: Workspace) -> WorkspaceView:
    return WorkspaceView(
        id=row.id,
        name=row.name,
        slug=row.slug,
        timezone=row.timezone,
        language=row.language,
        accent=row.accent,
        logo_url=f"{current_settings().public_url}{LOGO_PATH}/{row.logo}" if row.logo else "",
        auto_sync_bookings=row.auto_sync_bookings,
        allowed_origins=tuple(row.sites),
        confirmation_text=row.confirmation_text,
        shows_credit=row.shows_credit,
    )
