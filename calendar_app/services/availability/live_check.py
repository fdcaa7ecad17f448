"""One more look at the providers, right before a time is given away: has it been taken there since the last sync?

Every account is asked at the same time and all of them together have a few seconds. For what cannot be read in that
time, the mirror's last state is enough while it is not stale, unless the calendar's owner wants their time closed
then. Once it is stale the calendar's policy decides: closed, waiting for approval, or the last state all the same.

Free/busy is asked first, because it is one request for all calendars of an account. It counts what the mirror rightly
does not: invitations that were declined, cancelled occurrences, events that Outlook shows as free. So where it says
busy although the mirror did not, the events of that time are read and judged as the mirror judges them. What free/busy
knows beyond those events stays busy.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import lru_cache

from sqlalchemy import and_, bindparam, or_, select
from sqlmodel import Session, SQLModel, col

from calendar_app.db.session import reading
from calendar_app.db.tables import CalendarWrite
from calendar_app.domain.booking import HOLDING
from calendar_app.domain.calendar_write import WriteState
from calendar_app.domain.event import BOOKING_MARK
from calendar_app.domain.freebusy import StalePolicy
from calendar_app.domain.timespan import Span, instant, subtract, utc
from calendar_app.errors import AlmanacError, AuthExpired, ProviderError
from calendar_app.providers.base import BusyAnswer, CalendarProvider, Capability
from calendar_app.services.availability.conflict_calendars import CalendarState, policy
from calendar_app.services.availability.event_judgement import judge
from calendar_app.services.calendar_mirror.own_events import owner_of
from calendar_app.services.common import viewers
from calendar_app.services.common.viewers import Seen
from calendar_app.services.connections import tokens as connection_tokens
from calendar_app.services.connections.queries import withheld

log = logging.getLogger(__name__)

DEADLINE = 3.0
"""Seconds that all accounts together have to answer."""
_THREADS = 32

# Core tables, and statements that are put together once: a customer waits for them.
_W, _B, _K = (SQLModel.metadata.tables[name].c for name in ("calendar_write", "booking", "connection"))
_OWN = (
    select(_W.calendar_id, _B.start_at, _B.end_at)
    .join(_B.id.table, _B.id == _W.booking_id)
    .where(_W.calendar_id.in_(bindparam("calendars", expanding=True)))
    .where(_B.start_at < bindparam("high"), _B.end_at > bindparam("low"))
    .where(or_(and_(_W.present, _B.status.in_(HOLDING)), and_(~_W.present, _W.state != WriteState.REMOVED)))
)
_SCOPES = select(_K.id, _K.provider, _K.scopes).where(_K.id.in_(bindparam("accounts", expanding=True)))

Answer = Mapping[str, list[Span] | ProviderError]
"""When a calendar is busy for others than our own bookings, or why that is not known, by our id of it."""


@dataclass(frozen=True, slots=True)
class Question:
    """Whether anybody whose calendars these are is busy in ``span``.

    ``own``: spans by calendar id that are our own events there, for which reservations speak. ``withheld``:
    connections whose owners did not allow us to ask for free/busy, but let us read the events: they tell.
    """

    calendars: Sequence[CalendarState]
    span: Span
    own: Mapping[str, Sequence[Span]]
    withheld: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class LiveAnswer:
    """What the providers said of one question.

    ``busy_hosts`` are ids of hosts who are busy then, or who have a calendar that closes their time when it cannot be
    read; ``wary_hosts`` have one that then asks for approval. ``unread`` are ids of calendars.
    """

    busy_hosts: frozenset[str] = frozenset()
    wary_hosts: frozenset[str] = frozenset()
    unread: frozenset[str] = frozenset()


def question(session: Session, calendars: Sequence[CalendarState], span: Span) -> Question:
    """The question whether the calendars' owners are busy in ``span``, with what has to be known to ask it."""
    ids = [calendar.id for calendar in calendars]
    accounts = {calendar.connection_id for calendar in calendars}
    own = _own_spans(session, ids, span) if ids else {}
    scopes = session.execute(_SCOPES, {"accounts": list(accounts)}) if ids else ()
    closed = [id_ for id_, provider, known in scopes if Capability.FREEBUSY in withheld(provider, known)]
    return Question(calendars, span, own, closed)


def ask_providers(questions: Sequence[Question], *, deadline: float = DEADLINE) -> list[LiveAnswer]:
    """Ask the providers all questions at the same time, under one deadline. Call it outside of any transaction."""
    asked: dict[Future[Answer | None], tuple[int, list[CalendarState]]] = {}
    for number, question in enumerate(questions):
        accounts: dict[str, list[CalendarState]] = defaultdict(list)
        for calendar in question.calendars:
            accounts[calendar.connection_id].append(calendar)
        for account, group in accounts.items():
            future = _pool().submit(_ask, account, group, question)
            asked[future] = number, group
    done, late = wait(asked, timeout=deadline)
    busy: dict[int, list[CalendarState]] = defaultdict(list)
    unread: dict[int, list[CalendarState]] = defaultdict(list)
    for future in late:
        future.cancel()
        number, group = asked[future]
        unread[number] += group
    for future in done:
        number, group = asked[future]
        answer = _answer(future)
        if answer is None:
            continue
        for calendar in group:
            spans = answer.get(calendar.id)
            if not isinstance(spans, list):
                unread[number].append(calendar)
            elif any(questions[number].span.overlaps(taken) for taken in spans):
                busy[number].append(calendar)
                viewers.looking_at(Seen.CALENDAR, calendar.id)  # its mirror does not know of that
    return [_seen(busy[number], unread[number]) for number in range(len(questions))]


def _seen(busy: Sequence[CalendarState], unread: Sequence[CalendarState]) -> LiveAnswer:
    closing = [calendar for calendar in unread if policy(calendar) is StalePolicy.CLOSE]
    asking = [one for one in unread if one.freshness.stale and policy(one) is StalePolicy.APPROVE]
    return LiveAnswer(
        frozenset(calendar.person_id for calendar in (*busy, *closing)),
        frozenset(calendar.person_id for calendar in asking),
        frozenset(calendar.id for calendar in unread),
    )


def _own_spans(session: Session, calendar_ids: Collection[str], span: Span) -> dict[str, list[Span]]:
    """Where events of ours stand, or may stand until their removal is carried out, by calendar."""
    asked = {"calendars": list(calendar_ids), "low": utc(span.start), "high": utc(span.end)}
    found: dict[str, list[Span]] = defaultdict(list)
    for calendar_id, start_at, end_at in session.execute(_OWN, asked):
        found[calendar_id].append(Span(instant(start_at), instant(end_at)))
    return found


@lru_cache(maxsize=1)
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_THREADS, thread_name_prefix="recheck")


def _ask(connection_id: str, calendars: Sequence[CalendarState], question: Question) -> Answer | None:
    """``None``: this provider cannot be asked, so the mirror alone speaks for it."""
    span, own = question.span, question.own
    may_ask = connection_id not in question.withheld

    def ask(api: CalendarProvider) -> Answer | None:
        if Capability.FREEBUSY not in api.capabilities:
            return None
        remotes = [calendar.remote_id for calendar in calendars]
        said = api.freebusy(remotes, span) if may_ask else dict.fromkeys(remotes)
        return {
            calendar.id: _busy_spans(
                api, calendar, span, said.get(calendar.remote_id), own.get(calendar.id, ())
            )
            for calendar in calendars
            if calendar.remote_id in said
        }

    return connection_tokens.call(connection_id, ask)


def _busy_spans(
    api: CalendarProvider, calendar: CalendarState, span: Span, said: BusyAnswer, own: Sequence[Span]
) -> list[Span] | ProviderError:
    """When the calendar is busy in ``span`` for others than our own events, by free/busy and by the events."""
    if isinstance(said, ProviderError):
        return said
    taken = subtract(said or (), own)
    if said is not None and not any(span.overlaps(one) for one in taken):
        return taken
    try:
        events = api.events_in(calendar.remote_id, span)
    except AuthExpired:
        raise
    except ProviderError as error:
        return taken or error
    with reading() as session:
        zone = owner_of(session, calendar.id).zone
        behind = _events_behind(session, calendar.id)
    ours = [
        event for event in events if event.remote_id in behind or event.private.get(BOOKING_MARK) in behind
    ]
    judged = judge([event for event in events if event not in ours], zone, span)
    explained = [*judged.known, *judge(ours, zone, span).known]
    return subtract([*subtract(taken, explained), *judged.busy], own)


def _events_behind(session: Session, calendar_id: str) -> set[str]:
    """Ids of our events that still have to be written or taken out, and of their bookings.

    Where such an event stands says nothing: its booking may have been moved since, and will have it moved along.
    """
    query = select(col(CalendarWrite.remote_id), col(CalendarWrite.booking_id)).where(
        col(CalendarWrite.calendar_id) == calendar_id,
        col(CalendarWrite.applied_version) < col(CalendarWrite.desired_version),
        col(CalendarWrite.written_at).is_not(None),
    )
    return {key for row in session.execute(query) for key in row}


def _answer(future: Future[Answer | None]) -> Answer | None:
    error = future.exception()
    if error is None:
        return future.result()
    if not isinstance(error, AlmanacError):
        log.error("asking a provider for free/busy failed", exc_info=error)
    return {}
