"""What the slot engine is told, read from the database as of one moment.

Slots, explanations, holds and bookings all start from :func:`load`, so they cannot disagree on what counts: every
conflict-checked calendar of a host in any workspace, every reservation, and holds that have not run out. A calendar
whose first sync has not finished is busy throughout: unknown is never free. One that could not be read lately
counts as it was last known, unless its owner chose otherwise, and :class:`CalendarState` says how old that is.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from itertools import chain

from sqlalchemy import and_, bindparam, func, or_, select
from sqlmodel import Session, SQLModel, col

from calendar_app.db.busy import spans_by_calendar
from calendar_app.db.tables import (
    Booking,
    BookingHost,
    EventType,
    HostReservation,
)
from calendar_app.domain.booking import HOLDING, Status
from calendar_app.domain.freebusy import (
    BusySource,
    Freshness,
    SourceKind,
    StalePolicy,
    counts,
    freshness,
    needs_approval,
    stale_source,
)
from calendar_app.domain.hosting import EventRules, Group, Host, Hosting, count_by_day
from calendar_app.domain.schedule import Schedule as WorkingHours
from calendar_app.domain.timespan import Span, instant, merge, utc
from calendar_app.domain.zones import MINUTE
from calendar_app.errors import NotFound
from calendar_app.providers import registry
from calendar_app.services import mirror
from calendar_app.services.event_types import rules_of
from calendar_app.services.roles import Actor, Role
from calendar_app.settings import get_settings

COUNTED = (*HOLDING, Status.COMPLETED, Status.NO_SHOW)
"""States of bookings that count for caps and for fairness: those that took, or still take, a host's time."""
_RECENT = timedelta(days=30)
_WEEK = 7 * 86_400
_EXTENDED_EVERY = timedelta(days=2)
"""The mirror's window grows by a daily job; what lies beyond it is not known, and so not free."""


# Core tables, and statements that are put together once: this is what a visitor waits for.
_C, _K = SQLModel.metadata.tables["calendar"].c, SQLModel.metadata.tables["connection"].c
_P, _H = SQLModel.metadata.tables["person"].c, SQLModel.metadata.tables["event_type_host"].c
_S, _R = SQLModel.metadata.tables["schedule"].c, SQLModel.metadata.tables["host_reservation"].c

_HOSTS = (
    select(_P.id, _P.name, _H.weight, _S.timezone, _S.weekly, _S.overrides)
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
_CALENDARS = (
    select(
        _C.id,
        _C.name,
        _C.remote_id,
        _C.connection_id,
        _K.provider,
        _K.person_id,
        _C.workspace_id,
        _C.synced_at,
        _C.stale_policy,
        _C.last_error_code,
        _K.status,
    )
    .join(_K.id.table, _K.id == _C.connection_id)
    .where(_K.person_id.in_(bindparam("people", expanding=True)), _K.status != "disconnected")
    .where(_C.checks_conflicts, _C.removed_at.is_(None))
    .order_by(_C.id)
)
_CLAIMS = select(_R.id, _R.host_id, _R.starts, _R.ends, _R.state).where(
    _R.host_id.in_(bindparam("hosts", expanding=True)),
    _R.starts < bindparam("high"),
    _R.ends > bindparam("low"),
    or_(_R.state != "held", _R.expires > bindparam("now")),
)


@dataclass(frozen=True, slots=True)
class HostPerson:
    """A host before the calendars are looked at."""

    id: str
    name: str
    schedule: WorkingHours
    weight: int = 1


@dataclass(frozen=True, slots=True)
class CalendarState:
    """A conflict-checked calendar of a host.

    ``trouble``: ``never_synced``, ``error``, ``old`` or empty when fresh.
    """

    id: str
    name: str
    remote_id: str
    connection_id: str
    provider: str
    person_id: str
    workspace_id: str
    synced_at: datetime | None
    policy: str
    trouble: str
    freshness: Freshness


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


def event_type_for(session: Session, event_type_id: str, actor: Actor | None) -> EventType:
    """The event type, if it is public or the actor works in its workspace. :raises NotFound: otherwise."""
    row = session.get(EventType, event_type_id)
    if row is None or not (row.is_public or works_at(row, actor)):
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
    detailed: bool = False,
) -> Snapshot:
    """Everything that decides over starts in ``window``.

    ``duration`` in minutes, 0 for the first one offered. ``without``: ids of reservations that do not count (the
    visitor's own hold; the booking that is being moved). ``detailed`` names each booking, for explanations.

    :raises RulesError: ``duration`` is not offered.
    """
    rules = rules_of(row, duration)
    people = hosts_of(session, row)
    hosts, calendars = states(
        session, people, window, now, rules, row, row.workspace_id, without=without, detailed=detailed
    )
    hosts = _with_history(session, hosts, window, now, rules, row, without)
    return Snapshot(row, rules, Hosting(row.hosting), hosts, {p.id: p.name for p in people}, calendars)


def hosts_of(session: Session, row: EventType) -> list[HostPerson]:
    """The event type's hosts in their order, each with the schedule that applies; none at all means no working
    time."""
    found = session.execute(_HOSTS, {"event_type": row.id, "workspace": row.workspace_id})
    return [
        HostPerson(person_id, name, working_hours(zone, weekly, overrides), weight)
        for person_id, name, weight, zone, weekly, overrides in found
    ]


def working_hours(zone: str | None, weekly: object, overrides: object) -> WorkingHours:
    """A stored schedule as the engine reads it; ``zone`` ``None``: there is none, and so no working time."""
    if zone is None:
        return WorkingHours.from_json({}, "UTC")
    return WorkingHours.from_json({"weekly": weekly, "overrides": overrides}, zone)


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
    known_until = mirror.window_at(now - _EXTENDED_EVERY).end
    busy: dict[str, list[BusySource]] = defaultdict(list)
    spans = spans_by_calendar(session, [calendar.id for calendar in calendars], reach)
    for calendar in calendars:
        if not counts(calendar.freshness, policy(calendar)):
            continue
        label = calendar.name if workspace_id == calendar.workspace_id else "of another workspace"
        found = spans.get(calendar.id)
        if found:
            busy[calendar.person_id].append(BusySource(SourceKind.CALENDAR, calendar.id, found, label))
        unread = stale_source(calendar.freshness, policy(calendar), reach, label)
        if unread is None and reach.end > known_until:
            unread = BusySource(SourceKind.STALE, calendar.id, [(known_until, reach.end)], label)
        if unread is not None:
            busy[calendar.person_id].append(unread)
    groups = _groups(session, row, ids, reach) if row is not None and rules.seats > 1 else {}
    known = {group.id for found_groups in groups.values() for group in found_groups} | set(without)
    for host_id, sources in _claims(session, ids, reach, now, known, workspace_id, detailed=detailed).items():
        busy[host_id] += sources
    if not detailed:
        busy = defaultdict(list, {person_id: [_union(sources)] for person_id, sources in busy.items()})
    hosts = tuple(
        Host(person.id, person.schedule, busy[person.id], groups.get(person.id, ()), weight=person.weight)
        for person in people
    )
    return hosts, tuple(calendars)


def _union(sources: Iterable[BusySource]) -> BusySource:
    """All sources as one: the engine then has fewer spans to think about, and comes to the same slots."""
    spans = merge(chain.from_iterable(source.spans for source in sources))
    return BusySource(SourceKind.CALENDAR, "", spans)


def calendars_of(session: Session, person_ids: Collection[str], now: datetime) -> list[CalendarState]:
    """The conflict-checked calendars of these people, whichever workspace they were connected in."""
    max_age = get_settings().fresh_minutes * 60
    never_read = registry.unread()
    found = []
    for row in session.execute(_CALENDARS, {"people": list(person_ids)}):
        age_counts = row.provider not in never_read
        state = freshness(row.id, row.synced_at, now if age_counts else row.synced_at or now, max_age)
        failing = bool(row.last_error_code) or row.status != "connected"
        unread = row.synced_at is None
        trouble = "never_synced" if unread else "error" if failing else "old" if state.stale else ""
        found.append(
            CalendarState(
                row.id,
                row.name,
                row.remote_id,
                row.connection_id,
                row.provider,
                row.person_id,
                row.workspace_id,
                row.synced_at,
                row.stale_policy,
                trouble,
                replace(state, stale=bool(trouble)),
            )
        )
    return found


def asks_for_approval(calendars: Iterable[CalendarState]) -> bool:
    """Whether a booking made now waits for a person, because a calendar that asks for it could not be read lately."""
    return needs_approval((calendar.freshness, policy(calendar)) for calendar in calendars)


def policy(calendar: CalendarState) -> StalePolicy:
    """What the owner chose; a calendar that was never read has no last known state to keep to, so it closes unless it
    is to be ignored."""
    chosen = StalePolicy(calendar.policy)
    return StalePolicy.CLOSE if calendar.synced_at is None and chosen is not StalePolicy.IGNORE else chosen


def _claims(
    session: Session,
    host_ids: Collection[str],
    reach: Span,
    now: datetime,
    known: Collection[str],
    workspace_id: str,
    *,
    detailed: bool,
) -> dict[str, list[BusySource]]:
    """Reservations as busy sources by host: one for all bookings and one for holds, or one each when ``detailed``."""
    asked = {"hosts": list(host_ids), "low": reach.start, "high": reach.end, "now": instant(now)}
    rows = [claim for claim in session.execute(_CLAIMS, asked) if claim.id not in known]
    labels = _labels(session, [claim.id for claim in rows], workspace_id) if detailed else {}
    spans: dict[tuple[str, SourceKind, str], list[tuple[int, int]]] = defaultdict(list)
    for claim in rows:
        kind = SourceKind.HOLD if claim.state == "held" else SourceKind.BOOKING
        spans[claim.host_id, kind, claim.id if detailed else kind.value].append((claim.starts, claim.ends))
    found: dict[str, list[BusySource]] = defaultdict(list)
    for (host_id, kind, name), taken in spans.items():
        found[host_id].append(BusySource(kind, name, taken, labels.get(name, "")))
    return found


def _labels(session: Session, reservation_ids: Collection[str], workspace_id: str) -> dict[str, str]:
    query = (
        select(
            col(BookingHost.reservation_id),
            col(Booking.name),
            col(Booking.workspace_id),
            col(EventType.title),
        )
        .join(Booking, col(Booking.id) == col(BookingHost.booking_id))
        .join(EventType, col(EventType.id) == col(Booking.event_type_id))
        .where(col(BookingHost.reservation_id).in_(reservation_ids))
    )
    return {
        str(id_): f"{title} with {name}" if workspace == workspace_id else "of another workspace"
        for id_, name, workspace, title in session.execute(query)
    }


def _groups(
    session: Session, row: EventType, host_ids: Collection[str], reach: Span
) -> dict[str, list[Group]]:
    """Reservations of this event type that have bookings, by host, with the seats taken."""
    query = (
        select(
            col(HostReservation.id),
            col(HostReservation.host_id),
            col(HostReservation.starts),
            col(HostReservation.ends),
            func.min(Booking.start_at).label("start_at"),
            func.max(Booking.end_at).label("end_at"),
            func.count().label("taken"),
        )
        .join(BookingHost, col(BookingHost.reservation_id) == col(HostReservation.id))
        .join(Booking, col(Booking.id) == col(BookingHost.booking_id))
        .where(col(HostReservation.event_type_id) == row.id, col(HostReservation.host_id).in_(host_ids))
        .where(col(HostReservation.starts) < reach.end, col(HostReservation.ends) > reach.start)
        .where(col(Booking.status).in_(HOLDING))
        .group_by(
            col(HostReservation.id),
            col(HostReservation.host_id),
            col(HostReservation.starts),
            col(HostReservation.ends),
        )
    )
    found: dict[str, list[Group]] = defaultdict(list)
    for group in session.execute(query):
        times = instant(group.start_at), instant(group.end_at)
        found[group.host_id].append(Group(group.id, *times, Span(group.starts, group.ends), group.taken))
    return found


def _with_history(
    session: Session,
    hosts: tuple[Host, ...],
    window: Span,
    now: datetime,
    rules: EventRules,
    row: EventType,
    without: Collection[str],
) -> tuple[Host, ...]:
    """The hosts with what caps and fairness count; nothing is asked of the database where neither applies."""
    if rules.daily_cap or rules.weekly_cap:
        weeks = Span(window.start - _WEEK, window.end + _WEEK)
        counts = _booked(session, row, rules, hosts, weeks, now, without)
        hosts = tuple(replace(host, booked=counts.get(host.id, {})) for host in hosts)
    if row.hosting == Hosting.ROUND_ROBIN:
        recent = _recent(session, row, [host.id for host in hosts], now)
        hosts = tuple(replace(host, recent=recent[host.id]) for host in hosts)
    return hosts


def _booked(
    session: Session,
    row: EventType,
    rules: EventRules,
    hosts: Sequence[Host],
    span: Span,
    now: datetime,
    without: Collection[str],
) -> dict[str, dict[date, int]]:
    ids = [host.id for host in hosts]
    bookings = (
        select(col(BookingHost.person_id), col(Booking.start_at))
        .join(Booking, col(Booking.id) == col(BookingHost.booking_id))
        .where(col(Booking.event_type_id) == row.id, col(Booking.status).in_(COUNTED))
        .where(col(BookingHost.person_id).in_(ids))
        .where(col(Booking.start_at) >= utc(span.start), col(Booking.start_at) < utc(span.end))
        .where(
            or_(col(BookingHost.reservation_id).is_(None), col(BookingHost.reservation_id).not_in(without))
        )
        .distinct()
    )
    holds = (
        select(col(HostReservation.host_id), col(HostReservation.starts))
        .where(col(HostReservation.event_type_id) == row.id, col(HostReservation.host_id).in_(ids))
        .where(col(HostReservation.state) == "held", col(HostReservation.expires) > instant(now))
        .where(col(HostReservation.starts) >= span.start, col(HostReservation.starts) < span.end)
        .where(col(HostReservation.id).not_in(without))
    )
    starts: dict[str, list[int]] = defaultdict(list)
    for host_id, start_at in session.execute(bookings):
        starts[host_id].append(instant(start_at))
    for host_id, begins in session.execute(holds):
        starts[host_id].append(begins + rules.buffer_before * MINUTE)
    return {host.id: count_by_day(starts[host.id], host.schedule.zone) for host in hosts}


def _recent(session: Session, row: EventType, host_ids: Collection[str], now: datetime) -> Counter[str]:
    """Bookings of this event type by host that start from a month ago on."""
    query = (
        select(col(BookingHost.person_id), func.count())
        .join(Booking, col(Booking.id) == col(BookingHost.booking_id))
        .where(col(Booking.event_type_id) == row.id, col(Booking.status).in_(COUNTED))
        .where(col(BookingHost.person_id).in_(host_ids), col(Booking.start_at) >= now - _RECENT)
        .group_by(col(BookingHost.person_id))
    )
    found: Counter[str] = Counter()
    for host_id, count in session.execute(query):
        found[host_id] = count
    return found
