"""A person's own settings, the same in every workspace: name, time zone, language, whether bookings are written into
their calendars. The e-mail address changes by a link (:mod:`calendar_app.services.accounts.email_proof`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session

from calendar_app import translations
from calendar_app.clock import utc_now
from calendar_app.db.locks import locked_one
from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import Person
from calendar_app.domain.intake import clean_text
from calendar_app.errors import Forbidden, InvalidInput
from calendar_app.services.accounts import authentication
from calendar_app.services.accounts.authentication import Identity
from calendar_app.services.common import audit_log
from calendar_app.services.connections import calendar_time_zones

FIELDS = ("name", "timezone", "language", "calendar_sync_enabled")


@dataclass(frozen=True, slots=True)
class ProfileView:
    """What a person may change of themselves. ``timezone`` is an IANA name; ``language`` is a tag (``de``), empty for
    the workspace's; ``calendar_sync_enabled``: bookings are written into their calendars by themselves."""

    name: str
    email: str
    email_proven: bool
    timezone: str
    language: str
    calendar_sync_enabled: bool


def get(identity: Identity) -> ProfileView:
    """The person's own settings. :raises Forbidden: a customer without an account."""
    _require_account(identity)
    with reading() as session:
        return _view(session.get_one(Person, identity.person_id))


def update(identity: Identity, changes: Mapping[str, Any], *, now: datetime | None = None) -> ProfileView:
    """Change what is named of :data:`FIELDS`. Calendars that follow their owner's time zone follow it.

    :raises InvalidInput: naming the field. :raises Forbidden: a customer without an account.
    """
    _require_account(identity)
    values = _checked(changes)
    with transaction() as session:
        person = locked_one(session, Person, identity.person_id)
        changed = sorted(name for name, value in values.items() if getattr(person, name) != value)
        for name in changed:
            setattr(person, name, values[name])
        session.add(person)
        if changed:
            _note(session, identity, changed)
        if "timezone" in changed:
            session.flush()
            calendar_time_zones.follow_owner(session, person.id, now or utc_now())
        return _view(person)


def _checked(changes: Mapping[str, Any]) -> dict[str, Any]:
    values = {name: changes[name] for name in FIELDS if name in changes}
    if "name" in values:
        values["name"] = clean_text(" ".join(str(values["name"]).split()), "name", 120)
        if not values["name"]:
            raise InvalidInput("This needs between 1 and 120 characters.", field="name")
    if "timezone" in values:
        authentication.zone(str(values["timezone"]))
    if values.get("language"):
        values["language"] = translations.offered_tag(str(values["language"]))
        if not values["language"]:
            raise InvalidInput("This language is not offered.", field="language")
    return values


def _note(session: Session, identity: Identity, changed: list[str]) -> None:
    audit_log.record_everywhere(
        session, identity.actors(), "profile.changed", "person", identity.person_id, fields=changed
    )


def _require_account(identity: Identity) -> None:
    if not identity.person_id:
        raise Forbidden("This is for people with an account.")


def _view(row: Person) -> ProfileView:
    return ProfileView(
        row.name,
        row.email,
        row.email_proven_at is not None,
        row.timezone,
        row.language,
        row.calendar_sync_enabled,
    )
