"""Placing appointments: from what a customer wishes to rows that stand, for one appointment or for an order of several.

There is one way to a booking. The engine says whether the time is on offer; the providers are asked once more, outside
of any transaction and all at the same time; then one transaction locks the event types and the hosts, asks the engine
again on what is true by then, and writes everything or nothing. Appointments of one order are written one after the
other in that transaction, so each sees those before it: they cannot take a host twice, nor exceed a cap together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, TypeVar
from urllib.parse import urlsplit

from sqlmodel import Session

from calendar_app.db.ids import new_id
from calendar_app.db.session import clock, reading, transaction
from calendar_app.db.tables import Booking, BookingHost, EventType
from calendar_app.domain import slots as engine
from calendar_app.domain.booking import Status
from calendar_app.domain.colors import Priority, booking_color
from calendar_app.domain.hosting import Host, Hosting, Slot, joinable, pick_host
from calendar_app.domain.slots import Rule
from calendar_app.domain.timespan import Span, instant, utc
from calendar_app.errors import AlmanacError, InvalidInput, SlotUnavailable
from calendar_app.services.availability import live_check
from calendar_app.services.availability import snapshot as slot_snapshot
from calendar_app.services.availability.conflict_calendars import asks_for_approval, calendars_of
from calendar_app.services.availability.slots import check_active
from calendar_app.services.availability.snapshot import Snapshot
from calendar_app.services.bookings import emails as booking_emails
from calendar_app.services.bookings import holds, reservations
from calendar_app.services.calendar_writes import outbox as write_outbox
from calendar_app.services.common import audit_log, change_events
from calendar_app.services.common.permissions import Actor
from calendar_app.services.event_types.validation import rules_of
from calendar_app.settings import get_settings

Result = TypeVar("Result")

TAKEN = "That time was just taken. Please choose another one."
NOT_OFFERED = "That time is not offered. Please choose one of the times shown."
_ROUNDS = 5
"""How often a round robin turns to other hosts when those it meant to take are gone; once more per further wish."""
_ASKED_AT_ONCE = 3


@dataclass(frozen=True, slots=True)
class Wish:
    """What a customer wants, checked.

    ``at`` is the start's instant; ``duration`` in minutes, 0 for the first offered. ``hold`` still keeps the time;
    ``hold_row``: the id of the hold's row, whether or not it still keeps any.
    """

    event_type_id: str
    at: int
    duration: int
    zone: str
    name: str
    email: str
    answers: dict[str, Any]
    hold: holds.Held | None = None
    hold_row: str | None = None
    order_id: str | None = None


class Refused(Exception):
    """Nothing was placed, because the wish at this ``position`` could not be: ``reason`` says why."""

    def __init__(self, position: int, reason: AlmanacError) -> None:
        super().__init__(reason.detail)
        self.position, self.reason = position, reason


@dataclass(slots=True)
class _Try:
    """One wish on its way: the hosts it means to take or to choose from, and those that turned out to be gone."""

    position: int
    wish: Wish
    turns: bool
    team: list[str] = field(default_factory=list)
    gone: set[str] = field(default_factory=set)
    wary: frozenset[str] = frozenset()


def place(
    wishes: Sequence[Wish],
    actor: Actor | None,
    now: datetime,
    *,
    finish: Callable[[Session, list[Booking]], Result],
    begin: Callable[[Session], None] | None = None,
) -> Result:
    """Make a booking of every wish, or none at all; the answer is what ``finish`` makes of them.

    ``begin`` runs first in the transaction and ``finish`` last; both may run again when the database asks for it.
    ``actor``: somebody of the workspace who books for the customer.

    :raises Refused: a wish cannot be had. :raises SlotUnavailable: too many people book at this moment.
    :raises holds.AlreadyUsed: somebody has just booked with the same hold.
    """
    with reading() as session:
        kinds = [session.get_one(EventType, wish.event_type_id).hosting for wish in wishes]
    tries = [
        _Try(number, wish, kind == Hosting.ROUND_ROBIN)
        for number, (wish, kind) in enumerate(zip(wishes, kinds, strict=True))
    ]
    for _ in range(_ROUNDS + len(tries) - 1):
        _choose_teams(tries, now)
        _ask_providers(tries, now)
        if not all(one.team for one in tries):
            continue
        try:
            return reservations.retrying(partial(_write, tries, actor, now, begin, finish))
        except Refused as refused:
            lost = tries[refused.position]
            if not (lost.turns and isinstance(refused.reason, SlotUnavailable)):
                raise
            lost.gone |= set(lost.team)
    missing = next((one.position for one in tries if one.gone), 0)
    raise Refused(missing, SlotUnavailable(TAKEN))


def _choose_teams(tries: Sequence[_Try], now: datetime) -> None:
    """Whom to ask for each wish: all who must take part, or the few of a round robin whose turn it is."""
    with reading() as session:
        for one in tries:
            with _wish(one.position):
                one.team = _team(session, one, now)


def _team(session: Session, one: _Try, now: datetime) -> list[str]:
    row = session.get_one(EventType, one.wish.event_type_id)
    snapshot = _snapshot(session, row, one.wish, now)
    gone = one.gone
    if one.wish.hold is not None and one.turns:
        gone = gone | (set(snapshot.names) - set(one.wish.hold.host_ids))
    slot, hosts = _offer(snapshot, one.wish.at, now, lambda host: host.id not in gone)
    if not one.turns:
        return list(slot.hosts)
    free = {host.id: host for host in hosts if host.id in slot.hosts}
    turn: list[str] = []
    while free and len(turn) < _ASKED_AT_ONCE:
        turn.append(pick_host(slot, list(free.values()), snapshot.rules))
        del free[turn[-1]]
    return turn


def _snapshot(session: Session, row: EventType, wish: Wish, now: datetime) -> Snapshot:
    without = wish.hold.reservation_ids if wish.hold else ()
    return slot_snapshot.load(
        session, row, Span(wish.at, wish.at + 1), now, duration=wish.duration, without=without
    )


def _offer(
    snapshot: Snapshot, at: int, now: datetime, wanted: Callable[[Host], bool]
) -> tuple[Slot, list[Host]]:
    """The slot at ``at`` among the wanted hosts, as the engine offers it. :raises SlotUnavailable: it does not."""
    hosts = [host for host in snapshot.hosts if wanted(host)]
    complete = snapshot.hosting is Hosting.ROUND_ROBIN or len(hosts) == len(snapshot.hosts)
    found = (
        engine.find_slots(Span(at, at + 1), snapshot.rules, hosts, instant(now), snapshot.hosting)
        if complete
        else []
    )
    if not found:
        raise refusal(snapshot, at, now)
    return found[0], hosts


def refusal(snapshot: Snapshot, at: int, now: datetime) -> AlmanacError:
    """Why the engine does not offer ``at``, in words for a customer."""
    if at <= instant(now):
        return InvalidInput(
            "That time has passed. Please choose a later one.", field="start", code="in_the_past"
        )
    found = engine.explain(at, snapshot.rules, snapshot.hosts, instant(now), snapshot.hosting)
    rules = {reason.rule for reason in found.reasons}
    if rules <= {Rule.BUSY, Rule.SEATS, Rule.DAILY_CAP, Rule.WEEKLY_CAP}:
        return SlotUnavailable(TAKEN)
    if rules == {Rule.NOTICE}:
        return SlotUnavailable("That time is too soon to be booked. Please choose a later one.")
    return SlotUnavailable(NOT_OFFERED)


def _ask_providers(tries: Sequence[_Try], now: datetime) -> None:
    """Take off the teams whoever is busy at a provider; an empty team means that another round is worth it.

    :raises Refused: somebody whom a wish cannot do without is busy.
    """
    questions = []
    with reading() as session:
        for one in tries:
            row = session.get_one(EventType, one.wish.event_type_id)
            span = slot_snapshot.reserved(one.wish.at, rules_of(row, one.wish.duration))
            calendars = calendars_of(session, one.team, now)
            own = live_check.own_spans(session, [calendar.id for calendar in calendars], span)
            questions.append(live_check.Question(calendars, span, own))
    for one, seen in zip(tries, live_check.ask_providers(questions), strict=True):
        lost = seen.busy_hosts & set(one.team)
        if lost and not one.turns:
            raise Refused(one.position, SlotUnavailable(TAKEN))
        one.gone |= lost
        one.wary = seen.wary_hosts
        one.team = [host for host in one.team if host not in lost]


def _write(
    tries: Sequence[_Try],
    actor: Actor | None,
    now: datetime,
    begin: Callable[[Session], None] | None,
    finish: Callable[[Session, list[Booking]], Result],
) -> Result:
    """The one transaction: locked, asked again, and written."""
    with transaction() as session:
        if begin is not None:
            begin(session)
        kinds = {one.wish.event_type_id for one in tries}
        reservations.lock_hosts(session, kinds, {host for one in tries for host in one.team}, now)
        rows = []
        for one in tries:
            with _wish(one.position):
                rows.append(_book(session, one, actor, now))
        return finish(session, rows)


def _book(session: Session, one: _Try, actor: Actor | None, now: datetime) -> Booking:
    wish = one.wish
    row = session.get_one(EventType, wish.event_type_id)
    if wish.hold_row is not None:
        holds.check_unused(session, wish.hold_row)
    check_active(row)
    snapshot = _snapshot(session, row, wish, now)
    slot, hosts = _offer(snapshot, wish.at, now, lambda host: host.id in one.team)
    chosen = slot.hosts
    if snapshot.hosting is Hosting.ROUND_ROBIN:
        chosen = (pick_host(slot, hosts, snapshot.rules),)
    wary = asks_for_approval(c for c in snapshot.calendars if c.person_id in chosen)
    wary = wary or not one.wary.isdisjoint(chosen)
    status = Status.PENDING if row.requires_approval or wary else Status.CONFIRMED
    if wish.hold is not None:
        holds.drop_claims(session, wish.hold.id)
    held = claims(session, snapshot, [h for h in hosts if h.id in chosen], wish.at, status)
    booking = _new_booking(row, wish, slot, status, clock(session))
    session.add(booking)
    session.flush()
    for host_id in chosen:
        session.add(BookingHost(booking_id=booking.id, person_id=host_id, reservation_id=held[host_id]))
    if wish.hold_row is not None:
        holds.use(session, wish.hold_row, booking.id)
    session.flush()
    write_outbox.plan(session, booking)
    by = "staff" if actor else "customer"
    detail = {"by": by, "status": status.value}
    audit_log.record(
        session,
        row.workspace_id,
        actor or audit_log.Party.CUSTOMER,
        "booking.created",
        "booking",
        booking.id,
        **detail,
    )
    booking_emails.booking_changed(
        session, booking, booking_emails.Occasion.BOOKED, by=by, actor=actor, now=now
    )
    change_events.announce(session, row.workspace_id, "bookings")
    return booking


def claims(
    session: Session, snapshot: Snapshot, hosts: Sequence[Host], at: int, status: Status
) -> dict[str, str]:
    """Reservations by host: a seat in a group that is open then, or a claim of its own."""
    found: dict[str, str] = {}
    for host in hosts:
        if at in joinable(snapshot.rules, host):
            found[host.id] = next(group.id for group in host.groups if group.start == at)
    alone = [host.id for host in hosts if host.id not in found]
    state = reservations.PENDING if status is Status.PENDING else reservations.CONFIRMED
    return found | reservations.claim(session, snapshot.row.id, alone, snapshot.reserved(at), state)


def _new_booking(row: EventType, wish: Wish, slot: Slot, status: Status, created_at: datetime) -> Booking:
    booking_id = new_id()
    priority = Priority(row.priority) if row.priority else Priority.NORMAL
    color = booking_color(row.color, row.category, priority).value
    return Booking(
        id=booking_id,
        workspace_id=row.workspace_id,
        event_type_id=row.id,
        status=status.value,
        start_at=utc(slot.start),
        end_at=utc(slot.end),
        timezone=wish.zone,
        name=wish.name,
        email=wish.email,
        answers=wish.answers,
        location=row.location,
        color=color if row.color or row.category or row.priority else "",
        order_id=wish.order_id,
        created_at=created_at,
        uid=f"{booking_id}@{urlsplit(get_settings().public_url).hostname or 'almanac'}",
    )


@contextmanager
def _wish(position: int) -> Iterator[None]:
    """Whatever refuses a wish is said of that one."""
    try:
        yield
    except holds.AlreadyUsed:
        raise
    except AlmanacError as error:
        raise Refused(position, error) from error
