"""The online meeting of a booking that a calendar makes: which calendar, and what follows once its link is there.

One of the calendars that a booking is written into makes the meeting, all others carry its link. Several bookings of a
group event have one meeting: one calendar of one of them makes it. The link comes with the event or some time after it,
and then stands in the bookings as the place where they take place; until then their e-mails wait, see
:mod:`calendar_app.services.booking_emails.occasions`. A meeting goes with its event: when that moves it stays, and when
that is taken out, another of the group's calendars makes one anew.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

from sqlmodel import Session, col, select

from calendar_app.db.tables import Booking, BookingHost, CalendarWrite
from calendar_app.domain.booking import STANDING
from calendar_app.domain.meeting import Meeting, MeetingState
from calendar_app.domain.meeting_place import MADE_BY_CALENDARS, PlaceKind
from calendar_app.services.calendar_writes.rows import rewrite_all
from calendar_app.services.common import change_events
from calendar_app.services.event_types.meeting_places import TITLES
from calendar_app.services.mail import follow_ups

PATIENCE = timedelta(hours=1)
"""How long a calendar may take for a meeting after its event was written."""
_SHORTEST, _LONGEST = timedelta(seconds=2), timedelta(minutes=5)
"""Between two looks at an event whose meeting is still being made."""


def is_made_by_calendar(booking: Booking) -> bool:
    """Whether the booking takes place in an online meeting that a calendar makes."""
    return booking.place_kind in MADE_BY_CALENDARS


def share(
    session: Session,
    booking: Booking,
    hosts: Collection[str],
    able: Mapping[str, Sequence[str]],
    now: datetime,
    *,
    before: datetime | None = None,
) -> None:
    """Say which calendar makes the meeting of the booking and of those who meet with it; and of those whom it has left,
    at the time ``before`` its move, or by being cancelled.

    ``able``: ids of calendars that bookings can be written into now, with the kinds of meetings that each makes. Call
    it once the booking's writes are planned.
    """
    if booking.place_kind == PlaceKind.JITSI:
        _share_room(session, booking, hosts)
    if not is_made_by_calendar(booking):
        return
    session.flush()
    if booking.status in STANDING:
        _assign(session, [*_mates(session, booking, hosts, booking.start_at), booking], able, now, booking.id)
    else:
        booking.location = booking.meeting_error = ""
        session.add(booking)
    if booking.status not in STANDING or before is not None:
        left = _mates(session, booking, hosts, before or booking.start_at)
        if left:
            _assign(session, left, able, now)


def _mates(session: Session, booking: Booking, hosts: Collection[str], start: datetime) -> list[Booking]:
    """The other bookings of a group event, locked: one host has no two bookings at a time unless they are of one."""
    hosted = select(BookingHost.booking_id).where(col(BookingHost.person_id).in_(hosts))
    query = select(Booking).where(
        Booking.event_type_id == booking.event_type_id,
        Booking.start_at == start,
        Booking.place_kind == booking.place_kind,
        col(Booking.status).in_(STANDING),
        col(Booking.id).in_(hosted),
        Booking.id != booking.id,
    )
    return list(session.exec(query.order_by(col(Booking.id)).with_for_update()))


def _share_room(session: Session, booking: Booking, hosts: Collection[str]) -> None:
    """A group meets in one room: that of whoever was there first."""
    if booking.status in STANDING and (mates := _mates(session, booking, hosts, booking.start_at)):
        booking.location = mates[0].location
        session.add(booking)


def _assign(
    session: Session,
    group: Sequence[Booking],
    able: Mapping[str, Sequence[str]],
    now: datetime,
    planned: str = "",
) -> None:
    """Have exactly one of the group's calendars make its meeting. ``planned``: the booking, last in the group, whose
    own writes and e-mails are about to go out anyway.

    The one that does goes on, those who were there first before others. Else it is the first that is able, in the order
    of bookings and calendars, so that the same state always leads to the same one.
    """
    kind = group[0].place_kind
    order = {booking.id: number for number, booking in enumerate(group)}
    query = select(CalendarWrite).where(
        col(CalendarWrite.booking_id).in_(order), col(CalendarWrite.present).is_(True)
    )
    rows = sorted(session.exec(query), key=lambda row: (order[row.booking_id], row.calendar_id))
    fit = [row for row in rows if kind in able.get(row.calendar_id, ())]
    making = [row for row in rows if row.meeting]
    ready = [row for row in making if row.meeting_state == MeetingState.READY]
    maker = next(iter((*ready, *(row for row in making if row in fit), *fit, *making)), None)
    for row in making:
        if row is not maker:
            row.meeting = row.meeting_state = ""
            session.add(row)
    if maker is None:
        for booking in group:
            _end(session, booking, _without_calendar(kind))
            if booking.id != planned and booking.end_at > now:
                follow_ups.tell_hosts(session, booking, follow_ups.NO_LINK, now)
        return
    is_new = not maker.meeting
    if is_new or (maker.meeting_state == MeetingState.FAILED and maker.booking_id == planned):
        maker.meeting, maker.meeting_state = kind, MeetingState.PENDING
    if is_new and maker.booking_id != planned:
        rewrite_all(session, [maker])
    session.add(maker)
    holder = next(booking for booking in group if booking.id == maker.booking_id)
    link = holder.location if maker.meeting_state == MeetingState.READY else ""
    error = holder.meeting_error if maker.meeting_state == MeetingState.FAILED else ""
    for booking in group:
        booking.location, booking.meeting_error = link, error
        session.add(booking)


def _without_calendar(kind: str) -> str:
    return f"None of the hosts’ calendars that receive bookings makes meetings of {TITLES[PlaceKind(kind)]}."


def bookings_of(session: Session, booking_id: str) -> list[Booking]:
    """The booking and those who meet with it, locked, for :func:`record`; none where no calendar makes its meeting."""
    booking = session.get(Booking, booking_id)
    if booking is None or not is_made_by_calendar(booking):
        return []
    hosts = session.exec(select(BookingHost.person_id).where(BookingHost.booking_id == booking_id)).all()
    found = [booking.id, *(mate.id for mate in _mates(session, booking, hosts, booking.start_at))]
    query = select(Booking).where(col(Booking.id).in_(found)).order_by(col(Booking.id)).with_for_update()
    return list(session.exec(query.execution_options(populate_existing=True)))


def record(
    session: Session, row: CalendarWrite, group: Sequence[Booking], meeting: Meeting | None, now: datetime
) -> None:
    """Keep what the calendar says of the meeting that it makes, after its event was written or read.

    ``group``: of :func:`bookings_of`; ``meeting`` ``None``: nothing is known. What is still being made is looked at
    again, soon at first and then less often, for as long as :data:`PATIENCE`.
    """
    if not row.meeting or not row.present:
        return
    if meeting is None:
        meeting = Meeting(MeetingState(row.meeting_state or MeetingState.PENDING))
        if meeting.state is not MeetingState.PENDING:
            return
    since = now - (row.written_at or now)
    if meeting.state is MeetingState.PENDING and since < PATIENCE:
        row.meeting_state = MeetingState.PENDING
        row.tried_at, row.next_attempt_at = now, now + min(max(since / 4, _SHORTEST), _LONGEST)
    elif meeting.state is MeetingState.READY:
        row.meeting_state = MeetingState.READY
        for booking in group:
            if (booking.location, booking.meeting_error) != (meeting.link, ""):
                _begin(session, booking, row, meeting.link, now)
    else:
        title = TITLES[PlaceKind(row.meeting)]
        failed = meeting.state is MeetingState.FAILED
        how = "made no link for this booking" if failed else "has made no link within an hour"
        give_up(session, row, group, f"{title} {how}.", now)


def give_up(
    session: Session, row: CalendarWrite, group: Sequence[Booking], reason: str, now: datetime
) -> None:
    """The calendar makes no meeting, for the ``reason``; hosts are told, and a later write asks for one again."""
    if not row.meeting or not row.present:
        return
    row.meeting_state = MeetingState.FAILED
    for booking in group:
        if booking.meeting_error != reason:
            _end(session, booking, reason)
            if booking.end_at > now:
                follow_ups.tell_hosts(session, booking, follow_ups.NO_LINK, now)


def _begin(session: Session, booking: Booking, row: CalendarWrite, link: str, now: datetime) -> None:
    """The link is there: it goes into the other calendars and out to everybody."""
    booking.location, booking.meeting_error, booking.changed_at = link, "", now
    session.add(booking)
    _rewrite_others(session, booking)
    if booking.end_at > now:
        follow_ups.tell_everybody(session, booking, follow_ups.LINK, now)
    change_events.announce(session, booking.workspace_id, "bookings")


def _end(session: Session, booking: Booking, reason: str) -> None:
    """There is no link, or no longer, for the ``reason``."""
    had, booking.location, booking.meeting_error = booking.location, "", reason
    session.add(booking)
    if had:
        _rewrite_others(session, booking)
    change_events.announce(session, booking.workspace_id, "bookings")


def _rewrite_others(session: Session, booking: Booking) -> None:
    """Write the booking once more into those of its calendars that carry the link."""
    query = select(CalendarWrite).where(
        CalendarWrite.booking_id == booking.id,
        col(CalendarWrite.present).is_(True),
        CalendarWrite.meeting == "",
    )
    rewrite_all(session, session.exec(query.order_by(col(CalendarWrite.id)).with_for_update()))
