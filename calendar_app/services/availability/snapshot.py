"""What the slot engine is told, read from the database as of one moment.

Slots, explanations, holds and bookings all start from :func:`load`, so they cannot disagree on what counts: every
conflict-checked calendar of a host in any workspace (:mod:`calendar_app.services.availability.conflict_calendars`),
every reservation, and holds that have not run out (:mod:`calendar_app.services.availability.reserved_time`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from types import MappingProxyType

from sqlalchemy import and_, bindparam, or_, select
from sqlmodel import Session, SQLModel

from calendar_app.clock import utc_now
from calendar_app.db.busy import spans_by_calendar
from calendar_app.db.tables import EventType
from calendar_app.domain.freebusy import BusySource, SourceKind, counts, stale_source
from calendar_app.domain.hosting import EventRules, Host, Hosting
from calendar_app.domain.schedule import Schedule as WorkingHours
from calendar_app.domain.timespan import Span, merge
from calendar_app.domain.zones import MINUTE
from calendar_app.errors import NotFound
from calendar_app.services.availability import holidays
from calendar_app.services.availability.conflict_calendars import CalendarState, calendars_of, policy
from calendar_app.services.availability.reserved_time import claims_by_host, groups_by_host, with_history
from calendar_app.services.calendar_mirror.expansion import window_at
from calendar_app.services.common.permissions import Actor, Role
from calendar_app.services.connections import queries as connection_queries
from calendar_app.services.event_types import links
from calendar_app.services.event_types.validation import rules_of

_EXTENDED_EVERY = timedelta(days=2)
"""The mirror's window grows by a daily job; what lies beyond it is not known, and so not free."""


# Core tables, and a statement that is put together once: this is what a visitor waits for.
_P, _H, _S = (SQLModel.metadata.tables[name].c for name in ("person", "event_type_host", "schedule"))

_HOSTS = (
    select(_P.id, _P.name, _H.weight, _S.timezone, _S.weekly, _S.overrides, _S.holidays, _S.away)
    .join(_H.id.table, _H.person_id == _P.id)
    .outerjoin(
        _S.id.table,
        or_(
            _S.id == _H.schedule_id,
            and_(
                _H.schedule_id.is_(None),
                _S.person_id == _H.person_id,
                _S.workspace_id == bindparam("workspace"),
                _S.is_default,
            ),
        ),
    )
    .where(_H.event_type_id == bindparam("event_type"))
    .order_by(_H.id)
)


@dataclass(frozen=True, slots=True)
class HostPerson:
    """A host before the calendars are looked at."""

    id: str
    name: str
    schedule: WorkingHours
    weight: int = 1


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An event type and its hosts. ``row`` is detached: read its columns only. ``names`` by host id."""

    row: EventType
    rules: EventRules
    hosting: Hosting
    hosts: tuple[Host, ...]
    names: Mapping[str, str]
    calendars: tuple[CalendarState, ...]

    def reserved(self, start: int) -> Span:
        """What a booking at ``start`` claims of its hosts' time: the slot with its buffers."""
        return reserved(start, self.rules)


def reserved(start: int, rules: EventRules) -> Span:
    """A slot with the buffers around it."""
    return Span(start - rules.buffer_before * MINUTE, start + rules.length + rules.buffer_after * MINUTE)


def event_type_for(session: Session, event_type_id: str, actor: Actor | None, link: str = "") -> EventType:
    """The event type, if it is public, or the actor works in its workspace, or ``link``, the token of a private link,
    opens it. :raises NotFound: otherwise. :raises links.LinkUsed: the link has ended."""
    row = session.get(EventType, event_type_id)
    if row is None or not (links.opens(session, link, row) or row.is_public or works_at(row, actor)):
        raise refused()
    return row


def works_at(row: EventType, actor: Actor | None) -> bool:
    """Whether the actor is staff of the event type's workspace; to every other business they are a visitor."""
    return actor is not None and actor.workspace_id == row.workspace_id and actor.role >= Role.STAFF


def colleague(session: Session, event_type_id: str, actor: Actor | None) -> Actor | None:
    """The actor, if they :func:`work <works_at>` where the event type belongs."""
    row = session.get(EventType, event_type_id) if actor else None
    return actor if row is not None and works_at(row, actor) else None


def refused() -> NotFound:
    """The answer to an event type that does not exist, or not for this person."""
    return NotFound("There is no such event type.")


def load(
    session: Session,
    row: EventType,
    window: Span,
    now: datetime,
    *,
    duration: int = 0,
    without: Collection[str] = (),
    own_events: Mapping[str, Sequence[Span]] = MappingProxyType({}),
    detailed: bool = False,
) -> Snapshot:
    """Everything that decides over starts in ``window``.

    ``duration`` in minutes, 0 for the first one offered. ``without``: ids of reservations that do not count (the
    visitor's own hold; the booking that is being moved). ``own_events``: by calendar, where events stand that do not
    count (those of the booking that is being moved). ``detailed`` names each booking, for explanations.

    :raises RulesError: ``duration`` is not offered.
    """
    rules = rules_of(row, duration)
    people = hosts_of(session, row)
    hosts, calendars = states(
        session,
        people,
        window,
        now,
        rules,
        row,
        row.workspace_id,
        without=without,
        own_events=own_events,
        detailed=detailed,
    )
    hosts = with_history(session, hosts, window, now, rules, row, without)
    return Snapshot(row, rules, Hosting(row.hosting), hosts, {p.id: p.name for p in people}, calendars)


def hosts_of(session: Session, row: EventType) -> list[HostPerson]:
    """The event type's hosts in their order, each with the schedule that applies; none at all means no working
    time."""
    found = session.execute(_HOSTS, {"event_type": row.id, "workspace": row.workspace_id})
    return [
        HostPerson(person_id, name, working_hours(*stored), weight)
        for person_id, name, weight, *stored in found
    ]


def working_hours(
    zone: str | None,
    weekly: object,
    overrides: object,
    region: str | None,
    away: Sequence[Mapping[str, str]] | None,
) -> WorkingHours:
    """A stored schedule as the engine reads it; ``zone`` ``None``: there is none, and so no working time."""
    if zone is None:
        return WorkingHours.from_json({}, "UTC")
    return holidays.as_schedule(zone, weekly, overrides, region or "", away or (), utc_now().year)


def states(
    session: Session,
    people: Sequence[HostPerson],
    window: Span,
    now: datetime,
    rules: EventRules,
    row: EventType | None,
    workspace_id: str,
    *,
    without: Collection[str] = (),
    own_events: Mapping[str, Sequence[Span]] = MappingProxyType({}),
    detailed: bool = False,
) -> tuple[tuple[Host, ...], tuple[CalendarState, ...]]:
    """The people as hosts: what keeps each of them busy around ``window``; and their calendars' freshness.

    ``row`` is the event type whose groups can be joined, ``None`` where that is not asked. What belongs to another
    workspace than ``workspace_id`` is not named. Unless ``detailed``, all that keeps somebody busy is one source.
    """
    ids = [person.id for person in people]
    reach = Span(
        window.start - rules.buffer_before * MINUTE, window.end + rules.length + rules.buffer_after * MINUTE
    )
    calendars = calendars_of(session, ids, now)
    known_until = window_at(now - _EXTENDED_EVERY).end
    busy: dict[str, list[BusySource]] = defaultdict(list)
    spans = spans_by_calendar(session, [calendar.id for calendar in calendars], reach)
    for calendar in calendars:
        if not counts(calendar.freshness, policy(calendar)):
            continue
        label = "of another workspace"
        if workspace_id == calendar.workspace_id:
            label = _named(calendar) if detailed else calendar.name
        found = spans.get(calendar.id, [])
        for own in own_events.get(calendar.id, ()):
            if own in found:
                found.remove(own)
        if found:
            busy[calendar.person_id].append(BusySource(SourceKind.CALENDAR, calendar.id, found, label))
        unread = stale_source(calendar.freshness, policy(calendar), reach, label)
        if unread is None and reach.end > known_until:
            unread = BusySource(SourceKind.STALE, calendar.id, [(known_until, reach.end)], label)
        if unread is not None:
            busy[calendar.person_id].append(unread)
    groups = groups_by_host(session, row, ids, reach) if row is not None and rules.seats > 1 else {}
    known = {group.id for found_groups in groups.values() for group in found_groups} | set(without)
    for host_id, sources in claims_by_host(
        session, ids, reach, now, known, workspace_id, detailed=detailed
    ).items():
        busy[host_id] += sources
    if not detailed:
        busy = defaultdict(list, {person_id: [_union(sources)] for person_id, sources in busy.items()})
    hosts = tuple(
        Host(person.id, person.schedule, busy[person.id], groups.get(person.id, ()), weight=person.weight)
        for person in people
    )
    return hosts, tuple(calendars)


def _named(calendar: CalendarState) -> str:
    """``Personal (Google)``."""
    return f"{calendar.name} ({connection_queries.title(calendar.provider)})"


def _union(sources: Iterable[BusySource]) -> BusySource:
    """All sources as one: the engine then has fewer spans to think about, and comes to the same slots."""
    spans = merge(chain.from_iterable(source.spans for source in sources))
    return BusySource(SourceKind.CALENDAR, "", spans)
