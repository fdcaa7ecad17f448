"""Making bookings: from what a customer wishes to rows that stand, one booking or an order of several.

There is one way to a booking, and it is straight:

1. :func:`prepare` reads once what decides over the wishes; the engine says whether the times are on offer, and whom to
   ask for.
2. :func:`place` asks their providers, outside of any transaction and all at the same time.
3. Then one transaction locks the event types and the hosts, asks the engine again on what is true by then, and writes
   everything or nothing. What the answer shows is put together from the rows that were written.

The bookings of one order are written one after the other in that transaction, so each sees those before it: they cannot
take a host twice, nor exceed a cap together.
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
from calendar_app.db.tables import Booking, BookingHost, EventType, Person, Workspace
from calendar_app.domain import slots as engine
from calendar_app.domain.booking import Status
from calendar_app.domain.booking_form import Details
from calendar_app.domain.colors import Priority, booking_color
from calendar_app.domain.hosting import Host, Hosting, Slot, joinable, pick_host
from calendar_app.domain.slots import Rule
from calendar_app.domain.timespan import Span, instant, utc
from calendar_app.domain.webhook import WebhookEvent
from calendar_app.errors import AlmanacError, InvalidInput, SlotUnavailable
from calendar_app.services.availability import live_check
from calendar_app.services.availability import snapshot as slot_snapshot
from calendar_app.services.availability.conflict_calendars import asks_for_approval
from calendar_app.services.availability.live_check import Question
from calendar_app.services.availability.slots import check_active
from calendar_app.services.availability.snapshot import Snapshot
from calendar_app.services.booking_emails import occasions as booking_emails
from calendar_app.services.bookings import holds, reservations, webhook_events
from calendar_app.services.bookings.reservations import Locked
from calendar_app.services.bookings.views import BookingView, view_of_new
from calendar_app.services.calendar_writes import planning as write_planning
from calendar_app.services.calendar_writes.planning import Planned
from calendar_app.services.common import audit_log, change_events
from calendar_app.services.common.permissions import Actor
from calendar_app.services.event_types import links as private_links
from calendar_app.services.event_types.meeting_places import place_booking, places_of
from calendar_app.settings import current_settings

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
    ``hold_row``: the id of the hold's row, whether or not it still keeps any. ``details``: what else was entered;
    without them the booking takes place where the event type's first place is. ``language``: the customer's, as a tag.
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
    campaign: dict[str, str] = field(default_factory=dict)
    details: Details | None = None
    link: str = ""
    language: str = ""


class Refused(Exception):
    """Nothing was placed, because the wish at this ``position`` could not be: ``reason`` says why."""

    def __init__(self, position: int, reason: AlmanacError) -> None:
        super().__init__(reason.detail)
        self.position, self.reason = position, reason


@dataclass(slots=True)
class Try:
    """One wish on its way: the hosts it means to take or to choose from, and those that turned out to be busy."""

    position: int
    wish: Wish
    row: EventType
    workspace: Workspace
    team: list[str] = field(default_factory=list)
    busy: set[str] = field(default_factory=set)
    wary: frozenset[str] = frozenset()
    question: Question | None = None

    @property
    def chooses(self) -> bool:
        """Whether other hosts can stand in for those that are busy."""
        return self.row.hosting == Hosting.ROUND_ROBIN


@dataclass(frozen=True, slots=True)
class Placed:
    """A booking that the transaction has written, with the rows around it."""

    booking: Booking
    event_type: EventType
    workspace: Workspace
    hosts: Sequence[Person]
    planned: Sequence[Planned]

    def view(self, *, full: bool) -> BookingView:
        """As :func:`calendar_app.services.bookings.views.view` would show it, without a query."""
        return view_of_new(self.booking, self.event_type, self.workspace, self.hosts, self.planned, full=full)


Write = Callable[[Session, Callable[[], list[Placed]]], Result]
"""The caller's part of the transaction: calls what it is given, which makes the bookings, and does what is true with
them. It runs again when the database asks for it."""


def prepare(session: Session, wishes: Sequence[Wish], now: datetime) -> list[Try]:
    """Read what decides over the wishes, and whom to ask. :raises Refused: a wish cannot be had."""
    tries = []
    for position, wish in enumerate(wishes):
        row = session.get_one(EventType, wish.event_type_id)
        tries.append(Try(position, wish, row, session.get_one(Workspace, row.workspace_id)))
    _choose_teams(session, tries, now)
    return tries


def place(tries: Sequence[Try], actor: Actor | None, now: datetime, write: Write[Result]) -> Result:
    """Make a booking of every wish, or none at all; the answer is what ``write`` makes of them.

    ``actor``: somebody of the workspace who books for the customer.

    :raises Refused: a wish cannot be had. :raises SlotUnavailable: too many people book at this moment.
    :raises holds.AlreadyUsed: somebody has just booked with the same hold.
    """
    for _ in range(_ROUNDS + len(tries) - 1):
        _ask_providers(tries)
        if all(one.team for one in tries):
            try:
                return reservations.retrying(partial(_write, tries, actor, now, write))
            except Refused as refused:
                missed = tries[refused.position]
                if not (missed.chooses and isinstance(refused.reason, SlotUnavailable)):
                    raise
                missed.busy |= set(missed.team)
        with reading() as session:
            _choose_teams(session, tries, now)
    missing = next((one.position for one in tries if one.busy), 0)
    raise Refused(missing, SlotUnavailable(TAKEN))


def _choose_teams(session: Session, tries: Sequence[Try], now: datetime) -> None:
    """Whom to ask for each wish: all who must take part, or the few of a round robin whose turn it is."""
    for one in tries:
        with _wish(one.position):
            snapshot = _snapshot(session, one.row, one.wish, now)
            one.team = _team(snapshot, one, now)
            calendars = [calendar for calendar in snapshot.calendars if calendar.person_id in one.team]
            one.question = live_check.question(session, calendars, snapshot.reserved(one.wish.at))


def _team(snapshot: Snapshot, one: Try, now: datetime) -> list[str]:
    unavailable = one.busy
    if one.wish.hold is not None and one.chooses:
        unavailable = unavailable | (set(snapshot.names) - set(one.wish.hold.host_ids))
    slot, hosts = _offer(snapshot, one.wish.at, now, lambda host: host.id not in unavailable)
    if not one.chooses:
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


def _ask_providers(tries: Sequence[Try]) -> None:
    """Take off the teams whoever is busy at a provider; an empty team means that another round is worth it.

    :raises Refused: somebody whom a wish cannot do without is busy.
    """
    questions = [one.question for one in tries if one.question is not None]
    for one, seen in zip(tries, live_check.ask_providers(questions), strict=True):
        busy = seen.busy_hosts & set(one.team)
        if busy and not one.chooses:
            raise Refused(one.position, SlotUnavailable(TAKEN))
        one.busy |= busy
        one.wary = seen.wary_hosts
        one.team = [host for host in one.team if host not in busy]


def _write(tries: Sequence[Try], actor: Actor | None, now: datetime, write: Write[Result]) -> Result:
    """The one transaction: locked, asked again, and written."""
    with transaction() as session:

        def book() -> list[Placed]:
            kinds = {one.wish.event_type_id for one in tries}
            team = {host for one in tries for host in one.team}
            locked = reservations.lock_hosts(session, kinds, team, now)
            placed = []
            for one in tries:
                with _wish(one.position):
                    placed.append(_book(session, one, locked, actor, now))
            return placed

        return write(session, book)


def _book(session: Session, one: Try, locked: Locked, actor: Actor | None, now: datetime) -> Placed:
    """One booking with all that belongs to it, if the engine still offers its time."""
    wish = one.wish
    if (row := locked.event_types.get(wish.event_type_id)) is None:
        raise slot_snapshot.refused()
    if wish.hold_row is not None:
        holds.check_unused(session, wish.hold_row)
    check_active(row)
    snapshot = _snapshot(session, row, wish, now)
    slot, offered = _offer(snapshot, wish.at, now, lambda host: host.id in one.team)
    chosen = slot.hosts
    if snapshot.hosting is Hosting.ROUND_ROBIN:
        chosen = (pick_host(slot, offered, snapshot.rules),)
    wary = asks_for_approval(c for c in snapshot.calendars if c.person_id in chosen)
    wary = wary or not one.wary.isdisjoint(chosen)
    status = Status.PENDING if row.requires_approval or wary else Status.CONFIRMED
    if wish.hold is not None:
        holds.drop_claims(session, wish.hold.id)
    held = claims(session, snapshot, [h for h in offered if h.id in chosen], wish.at, status)
    booking = _new_booking(row, wish, slot, status, clock(session))
    session.add(booking)
    session.flush()
    links = sorted(
        (BookingHost(booking_id=booking.id, person_id=id_, reservation_id=held[id_]) for id_ in chosen),
        key=lambda link: link.id,
    )
    session.add_all(links)
    if wish.hold_row is not None:
        holds.use(session, wish.hold_row, booking.id)
    if wish.link:
        private_links.use(session, wish.link, row.id, booking.id, now)
    hosts = [locked.hosts[link.person_id] for link in links]
    planned = write_planning.plan_new(session, booking, chosen)
    _record(session, booking, actor, now, hosts)
    return Placed(booking, row, one.workspace, hosts, planned)


def _record(
    session: Session, booking: Booking, actor: Actor | None, now: datetime, hosts: Sequence[Person]
) -> None:
    """Say that the booking was made: to the audit trail, to everybody by email, and to open pages."""
    by = "staff" if actor else "customer"
    audit_log.record(
        session,
        booking.workspace_id,
        actor or audit_log.Party.CUSTOMER,
        "booking.created",
        "booking",
        booking.id,
        by=by,
        status=booking.status,
    )
    session.flush()
    booking_emails.booking_changed(
        session,
        booking,
        booking_emails.Occasion.BOOKED,
        hosts=[booking_emails.HostAddress(host.id, host.email) for host in hosts],
        by=by,
        actor=actor,
        now=now,
    )
    webhook_events.booking_changed(session, booking, WebhookEvent.BOOKING_CREATED)
    change_events.announce(session, booking.workspace_id, "bookings")


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
    details = wish.details or Details(next(iter(places_of(row)), None))
    booking = Booking(
        id=booking_id,
        workspace_id=row.workspace_id,
        event_type_id=row.id,
        status=status.value,
        start_at=utc(slot.start),
        end_at=utc(slot.end),
        timezone=wish.zone,
        language=wish.language,
        name=wish.name,
        email=wish.email,
        answers=wish.answers,
        phone=details.phone,
        guests=list(details.guests),
        booked_by_name=details.booked_by.name if details.booked_by else "",
        booked_by_email=details.booked_by.email if details.booked_by else "",
        notes=details.notes,
        color=color if row.color or row.category or row.priority else "",
        order_id=wish.order_id,
        campaign=wish.campaign,
        created_at=created_at,
        uid=f"{booking_id}@{urlsplit(current_settings().public_url).hostname or 'almanac'}",
    )
    place_booking(booking, details)
    return booking


@contextmanager
def _wish(position: int) -> Iterator[None]:
    """Whatever refuses a wish is said of that one."""
    try:
        yield
    except holds.AlreadyUsed:
        raise
    except AlmanacError as error:
        raise Refused(position, error) from error
