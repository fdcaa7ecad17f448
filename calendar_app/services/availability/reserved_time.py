"""What bookings and holds take of hosts' time, and what caps and fairness count of it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta

from sqlalchemy import bindparam, func, or_, select
from sqlmodel import Session, SQLModel, col

from calendar_app.db.tables import Booking, BookingHost, EventType, EventTypeHost, HostReservation
from calendar_app.domain.booking import HOLDING, Status
from calendar_app.domain.freebusy import BusySource, SourceKind
from calendar_app.domain.hosting import EventRules, Group, Host, Hosting, count_by_day
from calendar_app.domain.timespan import Span, instant, utc
from calendar_app.domain.zones import MINUTE

_COUNTED = (*HOLDING, Status.COMPLETED, Status.NO_SHOW)
"""States of bookings that count for caps and for fairness: those that took, or still take, a host's time."""
_RECENT = timedelta(days=30)
_WEEK = 7 * 86_400

# A Core table, and a statement that is put together once: this is what a visitor waits for.
_R = SQLModel.metadata.tables["host_reservation"].c
_CLAIMS = select(_R.id, _R.host_id, _R.starts, _R.ends, _R.state).where(
    _R.host_id.in_(bindparam("hosts", expanding=True)),
    _R.starts < bindparam("high"),
    _R.ends > bindparam("low"),
    or_(_R.state != "held", _R.expires > bindparam("now")),
)


def claims_by_host(
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


def groups_by_host(
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


def with_history(
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
        recent = _recent(session, row, [host.id for host in hosts], now, without)
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
        .where(col(Booking.event_type_id) == row.id, col(Booking.status).in_(_COUNTED))
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


def _recent(
    session: Session, row: EventType, host_ids: Collection[str], now: datetime, without: Collection[str]
) -> Counter[str]:
    """Bookings of this event type by host that start from a month ago on, and times that visitors hold.

    What was booked before the last of the hosts joined, or got another weight, does not count: all start level then.
    """
    host = EventTypeHost
    since = session.scalar(select(func.max(col(host.share_since))).where(col(host.event_type_id) == row.id))
    bookings = (
        select(col(BookingHost.person_id), func.count())
        .join(Booking, col(Booking.id) == col(BookingHost.booking_id))
        .where(col(Booking.event_type_id) == row.id, col(Booking.status).in_(_COUNTED))
        .where(col(BookingHost.person_id).in_(host_ids), col(Booking.start_at) >= now - _RECENT)
        .group_by(col(BookingHost.person_id))
    )
    if since is not None:
        bookings = bookings.where(col(Booking.created_at) >= since)
    holds = (
        select(col(HostReservation.host_id), func.count())
        .where(col(HostReservation.event_type_id) == row.id, col(HostReservation.host_id).in_(host_ids))
        .where(col(HostReservation.state) == "held", col(HostReservation.expires) > instant(now))
        .where(col(HostReservation.id).not_in(without))
        .group_by(col(HostReservation.host_id))
    )
    found: Counter[str] = Counter()
    for query in (bookings, holds):
        for host_id, count in session.execute(query):
            found[host_id] += count
    return found
