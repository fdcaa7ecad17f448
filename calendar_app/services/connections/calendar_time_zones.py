"""The zone in which a calendar's dates and floating times are read, and where it comes from.

Such times are the observer's (RFC 5545 §3.3.4, §3.3.5): the calendar's own zone if its provider names one, else its
owner's, unless somebody has chosen another for this calendar. When the zone changes, what is stored is expanded anew;
the provider is not asked.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlmodel import Session, col, select

from calendar_app.db.locks import locked_one
from calendar_app.db.tables import Calendar, Connection, Person
from calendar_app.errors import InvalidInput
from calendar_app.services.accounts.authentication import zone as checked_zone
from calendar_app.services.calendar_mirror import mirror, unreadable
from calendar_app.services.common import change_events


class ZoneSource(StrEnum):
    """Where a calendar's zone comes from: its provider names it, it is its owner's, or a person set it."""

    PROVIDER = "provider"
    OWNER = "owner"
    SET = "set"


def take_named(session: Session, calendar: Calendar, named: str, now: datetime) -> bool:
    """The provider names this IANA zone, or none (empty): follow that unless a person chose; whether the zone changed.

    The calendar's row may be new, and is flushed.
    """
    kept_to_owner = calendar.timezone_source == ZoneSource.OWNER and calendar.provider_timezone != ""
    calendar.provider_timezone = named
    if calendar.timezone_source != ZoneSource.SET and not kept_to_owner:
        calendar.timezone_source = ZoneSource.PROVIDER if named else ZoneSource.OWNER
    return _apply(session, calendar, now)


def take_listed(
    session: Session, calendar: Calendar, named: str | None, now: datetime, *, full: bool
) -> None:
    """A listing of events named this zone, or said nothing of one (``None``). Of a calendar at which nobody has looked
    yet, a full listing that says nothing leaves the zone that its account listed."""
    if named is None and full and not calendar.timezone_source:
        named = calendar.timezone
    if named is not None:
        take_named(session, calendar, named, now)
    elif calendar.timezone_source:
        _apply(session, calendar, now)


def choose(
    session: Session, calendar: Calendar, now: datetime, *, zone: str | None = None, source: str | None = None
) -> bool:
    """A person sets the zone, or says whose it is to be; an empty ``zone`` goes back to what it would be by itself.
    Whether anything changed.

    :raises InvalidInput: ``unknown_timezone``, or a source that has no zone to give.
    """
    before = calendar.timezone, calendar.timezone_source
    if zone:
        if source not in (None, ZoneSource.SET):
            raise InvalidInput(
                "A zone of your choice has the source “set”.",
                field="timezone_source",
                code="zone_contradicts",
            )
        calendar.timezone_source = ZoneSource.SET
        _apply(session, calendar, now, chosen=checked_zone(zone))
    elif zone is not None:
        calendar.timezone_source = ZoneSource.PROVIDER if calendar.provider_timezone else ZoneSource.OWNER
        _apply(session, calendar, now)
    elif source is not None:
        if source not in set(ZoneSource):
            raise InvalidInput(f"timezone_source is one of {', '.join(ZoneSource)}.", field="timezone_source")
        if source == ZoneSource.PROVIDER and not calendar.provider_timezone:
            raise InvalidInput(
                f"“{calendar.name}” names no time zone of its own.",
                field="timezone_source",
                code="zone_not_named",
            )
        calendar.timezone_source = source
        _apply(session, calendar, now)
    return (calendar.timezone, calendar.timezone_source) != before


def follow_owner(session: Session, person_id: str, now: datetime) -> int:
    """A person's own zone changed: bring their calendars that follow it after; how many. Call it in the transaction
    that changed it."""
    followers = (
        select(Calendar)
        .join(Connection, col(Connection.id) == col(Calendar.connection_id))
        .where(Connection.person_id == person_id, Calendar.timezone_source == ZoneSource.OWNER)
        .order_by(col(Calendar.id))
    )
    return sum(_apply(session, calendar, now) for calendar in session.exec(followers).all())


def _apply(session: Session, calendar: Calendar, now: datetime, *, chosen: str = "") -> bool:
    """Let the zone be what its source says, and place the calendar's events in it."""
    zone = chosen or calendar.timezone
    if calendar.timezone_source == ZoneSource.PROVIDER:
        zone = calendar.provider_timezone
    elif calendar.timezone_source == ZoneSource.OWNER:
        zone = _owner_zone(session, calendar.connection_id)
    changed = zone != calendar.timezone
    calendar.timezone = zone
    session.add(calendar)
    session.flush()
    if changed:
        locked_one(session, Calendar, calendar.id)
        mirror.expand_again(session, calendar.id, now)
        unreadable.note(session, calendar)
        for topic in ("connections", "events"):
            change_events.announce(session, calendar.workspace_id, topic)
    return changed


def _owner_zone(session: Session, connection_id: str) -> str:
    owner = select(Person.timezone).join(Connection, col(Connection.person_id) == col(Person.id))
    return session.exec(owner.where(Connection.id == connection_id)).one()
