"""When people can be booked: slots for visitors, reasons for staff, and a yes or no for one time.

All three ask the same engine about the same :mod:`snapshot <calendar_app.services.availability.snapshot>`; a booking
asks it once more inside its transaction.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property, reduce
from itertools import chain
from typing import NamedTuple
from zoneinfo import ZoneInfo

from sqlmodel import Session, col, select

from calendar_app.clock import utc_now
from calendar_app.db.session import reading
from calendar_app.db.tables import EventType, HostReservation, Schedule
from calendar_app.domain import slots as engine
from calendar_app.domain.freebusy import StalePolicy
from calendar_app.domain.hosting import EventRules, Host, Hosting, seats_left
from calendar_app.domain.timespan import Span, instant, merge, subtract, utc
from calendar_app.domain.zones import is_zone
from calendar_app.errors import Conflict, InvalidInput
from calendar_app.services.availability import snapshot as slot_snapshot
from calendar_app.services.availability.conflict_calendars import CalendarState, policy, was_read_lately
from calendar_app.services.availability.snapshot import HostPerson, Snapshot
from calendar_app.services.common import viewers
from calendar_app.services.common.permissions import Actor, Role
from calendar_app.services.common.viewers import Seen

_LONGEST_WINDOW = timedelta(days=366)
_EARLIEST, _LATEST = datetime(1970, 1, 2, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)


class SlotView(NamedTuple):
    """``[start, end)``, aware, in the zone that was asked for; ``hosts`` are the ids of those who could take it."""

    start: datetime
    end: datetime
    hosts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CalendarAge:
    """How old our knowledge of a calendar is.

    ``trouble``: ``never_synced``, ``error``, ``old``, or empty when fresh. ``policy``: what it does to slots while it
    is stale, see :class:`calendar_app.domain.freebusy.StalePolicy`.
    """

    calendar_id: str
    name: str
    synced_at: datetime | None
    age_seconds: int | None
    stale: bool
    trouble: str
    policy: StalePolicy


@dataclass(frozen=True, slots=True)
class FreshnessView:
    """How old the oldest calendar's state is. ``message`` is a sentence for the page, empty when all are fresh;
    ``needs_approval``: what is booked now waits for approval, because a calendar is stale.

    ``synced_at`` and ``age_seconds`` are ``None`` when there is no calendar, or one was never read.
    """

    stale: bool
    synced_at: datetime | None
    age_seconds: int | None
    message: str
    needs_approval: bool
    calendars: tuple[CalendarAge, ...]


@dataclass(frozen=True)
class SlotsView:
    """Bookable slots in order; merged times in which nobody can be booked, without what keeps them busy; and how far
    both can be trusted. ``zone`` is the viewer's.

    ``found`` and ``busy`` are instants; ``slots`` are those found with datetimes. ``seats`` says how many are left at a
    start, where an event has several.
    """

    found: Sequence[engine.Slot]
    busy: Sequence[Span]
    window: Span
    freshness: FreshnessView
    zone: str
    workspace_id: str
    seats: Mapping[int, int] = field(default_factory=dict)

    @cached_property
    def slots(self) -> tuple[SlotView, ...]:
        tz, at = ZoneInfo(self.zone), datetime.fromtimestamp
        return tuple([SlotView(at(slot.start, tz), at(slot.end, tz), slot.hosts) for slot in self.found])


@dataclass(frozen=True, slots=True)
class ReasonView:
    """One rule that keeps a host from being booked.

    ``source`` names the calendar or booking; times are the viewer's.
    """

    rule: str
    text: str
    source_kind: str = ""
    source: str = ""
    start: datetime | None = None
    end: datetime | None = None


@dataclass(frozen=True, slots=True)
class HostVerdict:
    host_id: str
    name: str
    available: bool
    reasons: tuple[ReasonView, ...]


@dataclass(frozen=True, slots=True)
class ExplanationView:
    """Why ``[start, end)`` is offered or not, host by host."""

    start: datetime
    end: datetime
    available: bool
    hosts: tuple[HostVerdict, ...]
    freshness: FreshnessView


class CheckView(NamedTuple):
    """Yes or no, and the sentences that say why not."""

    available: bool
    reasons: tuple[str, ...]


def slots(
    event_type_id: str,
    start: datetime,
    end: datetime,
    *,
    zone: str = "UTC",
    duration: int | None = None,
    own_holds: Collection[str] = (),
    actor: Actor | None = None,
    link: str = "",
    now: datetime | None = None,
) -> SlotsView:
    """Every slot that starts in ``[start, end)`` (aware, at most 366 days) and is open to be booked at ``now``.

    ``duration`` is one of the event type's, in minutes; the first by default. ``own_holds``: ids of the rows of the
    visitor's own holds, whose time is theirs to choose. Without ``actor`` only public event types, and those
    that ``link``, the token of a private link, opens.

    :raises NotFound: no such event type for this viewer. :raises InvalidInput: window, zone or duration.
    :raises Conflict: the event type is switched off.
    """
    now = now or utc_now()
    window = check_window(start, end)
    check_zone(zone)
    with reading() as session:
        row = slot_snapshot.event_type_for(session, event_type_id, actor, link)
        check_active(row)
        without = _claims_of(session, own_holds)
        snapshot = slot_snapshot.load(session, row, window, now, duration=duration or 0, without=without)
    staff = actor is not None and actor.role >= Role.STAFF and actor.workspace_id == row.workspace_id
    found = engine.find_slots(window, snapshot.rules, snapshot.hosts, instant(now), snapshot.hosting)
    if any(not was_read_lately(calendar, now) for calendar in snapshot.calendars):
        viewers.looking_at(Seen.EVENT_TYPE, row.id)
    return SlotsView(
        found,
        _nobody_free(snapshot.hosts, snapshot.hosting, window),
        window,
        freshness_of(snapshot.calendars, now, names=staff),
        zone,
        row.workspace_id,
        _seats(found, snapshot),
    )


def _claims_of(session: Session, holds: Collection[str]) -> Sequence[str]:
    if not holds:
        return ()
    return session.exec(select(HostReservation.id).where(col(HostReservation.hold_id).in_(list(holds)))).all()


def _seats(found: Sequence[engine.Slot], snapshot: Snapshot) -> dict[int, int]:
    """Seats left by start: those of all hosts who are free then, of whom a booking takes one."""
    if snapshot.rules.seats == 1:
        return {}
    hosts = {host.id: host for host in snapshot.hosts}
    return {
        slot.start: sum(seats_left(slot.start, snapshot.rules, hosts[host]) for host in slot.hosts)
        for slot in found
    }


def explain(
    actor: Actor,
    event_type_id: str,
    start: datetime,
    *,
    zone: str | None = None,
    duration: int | None = None,
    now: datetime | None = None,
) -> ExplanationView:
    """Why a start is offered or not: every rule, calendar and booking that stands against it, host by host.

    :raises Forbidden: customers. :raises NotFound: another workspace's event type.
    """
    actor.require(Role.STAFF)
    now = now or utc_now()
    at = instant(check_moment(start, "start"))
    tz = ZoneInfo(check_zone(zone or actor.timezone))
    with reading() as session:
        row = slot_snapshot.event_type_for(session, event_type_id, actor)
        if row.workspace_id != actor.workspace_id:
            raise slot_snapshot.refused()
        snapshot = slot_snapshot.load(
            session, row, Span(at, at + 1), now, duration=duration or 0, detailed=True
        )
    found = engine.explain(at, snapshot.rules, snapshot.hosts, instant(now), snapshot.hosting)
    return ExplanationView(
        datetime.fromtimestamp(found.start, tz),
        datetime.fromtimestamp(found.end, tz),
        found.offered and row.is_active,
        tuple(
            HostVerdict(
                verdict.host,
                snapshot.names[verdict.host],
                not verdict.reasons,
                tuple(_reason(reason, tz) for reason in verdict.reasons),
            )
            for verdict in found.verdicts
        ),
        freshness_of(snapshot.calendars, now, names=True),
    )


def check(
    actor: Actor,
    day: date,
    start_time: time,
    duration_minutes: int,
    zone: str,
    *,
    now: datetime | None = None,
) -> CheckView:
    """Whether the actor is free at a wall-clock time of ``zone``, by their default working hours and all their
    calendars.

    :raises InvalidInput: unknown zone, a length out of bounds, or a time that the clocks skip on that day.
    """
    actor.require(Role.STAFF)
    now = now or utc_now()
    at = instant(check_moment(_on_the_clock(day, start_time, zone), "date"))
    rules = EventRules(durations=(duration_minutes,), step_minutes=1, horizon_days=3_660)
    with reading() as session:
        person = _myself(session, actor)
        hosts, _ = slot_snapshot.states(
            session, [person], Span(at, at + 1), now, rules, None, actor.workspace_id, detailed=True
        )
    found = engine.explain(at, rules, hosts, instant(now))
    return CheckView(found.offered, tuple(reason.text for reason in found.reasons))


def check_zone(zone: str, field: str = "timezone") -> str:
    """:raises InvalidInput: ``zone`` is no IANA zone."""
    if not is_zone(zone):
        raise InvalidInput(
            f"{str(zone)[:64]!r} is not a known time zone; use a name like Europe/Berlin.",
            field=field,
            code="unknown_timezone",
        )
    return zone


def check_moment(moment: datetime, field: str) -> datetime:
    """:raises InvalidInput: naive, or so far off that nobody means it."""
    if moment.tzinfo is None:
        raise InvalidInput("Times need an offset, like 2030-01-31T09:00:00+01:00.", field=field)
    if not _EARLIEST <= moment < _LATEST:
        raise InvalidInput("This time is too far away.", field=field)
    return moment


def check_active(row: EventType) -> None:
    """:raises Conflict: nothing can be booked with this event type at present."""
    if not row.is_active:
        raise Conflict("This event type is not open for bookings at the moment.", code="event_type_inactive")


def freshness_of(calendars: Iterable[CalendarState], now: datetime, *, names: bool = False) -> FreshnessView:
    """What these calendars' states say of how far slots can be trusted; ``names`` for staff only."""
    shown = list(calendars)
    ages = tuple(_age(calendar, now, names=names) for calendar in shown)
    known = {calendar.id for calendar in shown if calendar.freshness.ahead_until is not None}
    stale = [age for age in ages if age.stale and age.calendar_id not in known]
    read = [age.synced_at for age in ages if age.synced_at]
    oldest = min(read) if read and len(read) == len(ages) else None
    age = max(0, int((now - oldest).total_seconds())) if oldest else None
    asks = any(age.policy is StalePolicy.APPROVE for age in stale)
    return FreshnessView(bool(stale), oldest, age, _message(stale), asks, ages)


def _age(calendar: CalendarState, now: datetime, *, names: bool) -> CalendarAge:
    synced_at = calendar.synced_at
    age = max(0, int((now - synced_at).total_seconds())) if synced_at else None
    return CalendarAge(
        calendar.id,
        calendar.name if names else "",
        synced_at,
        age,
        calendar.freshness.stale,
        calendar.trouble,
        policy(calendar),
    )


def _message(stale: Sequence[CalendarAge]) -> str:
    """What stale calendars do, the strictest of them first."""
    policies = {age.policy for age in stale}
    if not stale:
        return ""
    if any(age.trouble == "never_synced" and age.policy is StalePolicy.CLOSE for age in stale):
        return "A calendar is still being read for the first time: until then its owner's times stay closed."
    if StalePolicy.CLOSE in policies:
        return (
            "A calendar could not be read lately: its owner's times stay closed until it can be read again."
        )
    if policies == {StalePolicy.IGNORE}:
        return "A calendar could not be read lately, so its events do not count; each time is checked again."
    kept = (age.age_seconds or 0 for age in stale if age.policy is not StalePolicy.IGNORE)
    minutes = max(kept) // 60
    old = f"{minutes} minutes" if minutes != 1 else "a minute"
    then = "bookings wait for approval" if StalePolicy.APPROVE in policies else "each time is checked again"
    return f"A calendar could not be read lately: its state of {old} ago is used, and {then}."


def check_window(start: datetime, end: datetime) -> Span:
    """:raises InvalidInput: naive, the wrong way round, or longer than 366 days."""
    check_moment(start, "start")
    check_moment(end, "end")
    if end <= start:
        raise InvalidInput("The end must lie after the start.", field="end")
    if end - start > _LONGEST_WINDOW:
        raise InvalidInput("Ask for at most 366 days at a time.", field="end")
    return Span(instant(start), instant(end))


def _nobody_free(hosts: Sequence[Host], hosting: Hosting, window: Span) -> list[Span]:
    """When a booking would find nobody: in a round robin while all hosts are busy, otherwise while any is."""
    each = [_within(merge(chain.from_iterable(s.spans for s in host.busy)), window) for host in hosts]
    if hosting is Hosting.ROUND_ROBIN and each:
        return reduce(lambda left, right: subtract(left, subtract(left, right)), each)
    return each[0] if len(each) == 1 else merge(span for spans in each for span in spans)


def _within(merged: Sequence[Span], window: Span) -> list[Span]:
    """Merged spans cut to the window: only the first and the last can reach over it."""
    inside = [span for span in merged if span[0] < window.end and span[1] > window.start]
    if inside:
        inside[0] = Span(max(inside[0].start, window.start), inside[0].end)
        inside[-1] = Span(inside[-1].start, min(inside[-1].end, window.end))
    return inside


def _reason(reason: engine.Reason, tz: ZoneInfo) -> ReasonView:
    source, span = reason.source, reason.span
    return ReasonView(
        rule=reason.rule.value,
        text=reason.text,
        source_kind=source.kind.value if source else "",
        source=(source.label or source.id) if source else "",
        start=utc(span.start).astimezone(tz) if span else None,
        end=utc(span.end).astimezone(tz) if span else None,
    )


def _on_the_clock(day: date, start_time: time, zone: str) -> datetime:
    tz = ZoneInfo(check_zone(zone))
    if start_time.tzinfo is not None:
        raise InvalidInput(
            "Give the time without an offset: it is read in the given time zone.", field="start_time"
        )
    moment = datetime.combine(day, start_time, tz)
    if not 1971 <= day.year <= 2199:
        raise InvalidInput("This date is too far away.", field="date")
    if moment.astimezone(UTC).astimezone(tz).replace(tzinfo=None) != moment.replace(tzinfo=None):
        raise InvalidInput("The clocks skip this time on that day.", field="start_time")
    return moment


def _myself(session: Session, actor: Actor) -> HostPerson:
    query = select(Schedule).where(
        Schedule.person_id == actor.person_id,
        Schedule.workspace_id == actor.workspace_id,
        col(Schedule.is_default).is_(True),
    )
    found = session.exec(query).first()
    if found is None:
        hours = slot_snapshot.working_hours(None, None, None, None, None)
    else:
        stored = found.timezone, found.weekly, found.overrides, found.holidays, found.away
        hours = slot_snapshot.working_hours(*stored)
    return HostPerson(actor.person_id, actor.name, hours)
