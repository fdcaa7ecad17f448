"""A calendar event as every part of the product sees it, whichever provider it came from.

Provider mappings translate vendor JSON or iCalendar into :class:`CalendarEvent` and back from :class:`EventDraft`;
nothing outside a mapping knows a vendor's field names.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from enum import StrEnum
from types import MappingProxyType

from calendar_app.domain.meeting import Meeting
from calendar_app.domain.meeting_place import PlaceKind

BOOKING_MARK = "almanac_booking"
"""Key in :attr:`CalendarEvent.private` under which our own events carry their booking's id."""
ORIGIN_MARK = "almanac_origin"
"""Key under which they say where they come from; see :mod:`calendar_app.services.common.installation`."""

_KEY = re.compile(r"[0-9a-v]{52}")

_EMPTY: Mapping[str, str] = MappingProxyType({})


def write_key(*parts: str) -> str:
    """A stable id of our own for an event that we write: 52 characters of base32hex (RFC 4648 §7), as Google's ids
    demand and every other provider bears."""
    digest = hashlib.sha256(":".join(parts).encode()).digest()
    return base64.b32hexencode(digest).decode().rstrip("=").lower()


def is_write_key(remote_id: str) -> bool:
    """Whether the id is one of :func:`write_key`, not one that a provider chose."""
    return _KEY.fullmatch(remote_id) is not None


class EventStatus(StrEnum):
    """RFC 5545 §3.8.1.11 STATUS."""

    CONFIRMED = "confirmed"
    TENTATIVE = "tentative"
    CANCELLED = "cancelled"


class ShowAs(StrEnum):
    """What the event says of its owner's time: TRANSP, Graph ``showAs``, Google ``transparency`` and ``eventType``."""

    FREE = "free"
    TENTATIVE = "tentative"
    BUSY = "busy"
    OUT_OF_OFFICE = "oof"
    WORKING_ELSEWHERE = "working_elsewhere"


class Response(StrEnum):
    """The calendar owner's own answer to an invitation (RFC 5545 §3.2.12 PARTSTAT)."""

    NONE = "none"
    NEEDS_ACTION = "needs_action"
    ACCEPTED = "accepted"
    TENTATIVE = "tentative"
    DECLINED = "declined"


@dataclass(frozen=True, slots=True)
class EventTime:
    """A DTSTART/DTEND as written: wall-clock time and zone, so that recurrence can follow the wall clock.

    ``value`` is a ``date`` for all-day events, else a *naive* ``datetime`` (``fold`` kept) in ``zone``.
    ``zone`` is an IANA name (``"UTC"`` for UTC) or one that carries a definition (``defined:…``, see
    :mod:`calendar_app.domain.recurrence.definition`); ``None`` means floating (RFC 5545 §3.3.5 form 1) and is read in
    the calendar's own zone. The end of an all-day event is exclusive, as in RFC 5545 §3.6.1.
    """

    value: date | datetime
    zone: str | None = None

    @property
    def all_day(self) -> bool:
        return not isinstance(self.value, datetime)


@dataclass(frozen=True, slots=True)
class Attendee:
    email: str
    name: str = ""
    response: Response = Response.NEEDS_ACTION
    optional: bool = False


@dataclass(frozen=True, slots=True)
class CalendarEvent:
    """One event, recurring master, or changed occurrence at a provider.

    * ``recurrence``: RFC 5545 content lines (``RRULE:…``, ``RDATE…``, ``EXDATE…``) of a master, else empty.
    * ``master_id`` and ``original_start``: set on a changed or cancelled occurrence; ``original_start`` is the
      RECURRENCE-ID. ``this_and_future`` is RANGE=THISANDFUTURE (RFC 5545 §3.2.13).
    * ``nominal_days``: the days and weeks of an iCalendar DURATION, which follow the wall clock in every occurrence
      (RFC 5545 §3.8.5.3); 0 where the event has an end of its own, whose exact distance counts.
    * a cancelled occurrence may carry no times of its own: ``start`` and ``end`` are ``None`` then.
    * ``unread``: sentences about what of the event could not be understood; it is busy where it might be.
    * ``meeting``: the online meeting that its calendar made for it, ``None`` where the provider says of none.
    * ``private``: our own marks (Google ``extendedProperties.private``, Graph extended properties, ``X-`` properties).
    """

    remote_id: str
    status: EventStatus = EventStatus.CONFIRMED
    start: EventTime | None = None
    end: EventTime | None = None
    summary: str = ""
    description: str = ""
    location: str = ""
    html_link: str = ""
    color: str = ""
    ical_uid: str = ""
    etag: str = ""
    sequence: int = 0
    updated: datetime | None = None
    show_as: ShowAs = ShowAs.BUSY
    response: Response = Response.NONE
    recurrence: tuple[str, ...] = ()
    master_id: str | None = None
    original_start: EventTime | None = None
    this_and_future: bool = False
    nominal_days: int = 0
    organizer_email: str = ""
    attendees: tuple[Attendee, ...] = ()
    unread: tuple[str, ...] = ()
    meeting: Meeting | None = None
    private: Mapping[str, str] = field(default_factory=lambda: _EMPTY)

    @property
    def blocks_time(self) -> bool:
        """Whether the event makes its owner busy: not cancelled, not declined, not shown as free.

        Tentative and out-of-office count as busy; "working elsewhere" does not (Graph's getSchedule treats it so).
        """
        return (
            self.status is not EventStatus.CANCELLED
            and self.response is not Response.DECLINED
            and self.show_as not in (ShowAs.FREE, ShowAs.WORKING_ELSEWHERE)
        )


LOST_PART = "#unread"


def time_lost(event: CalendarEvent) -> bool:
    """Whether the event takes place and no time of it could be read: what was last known of it counts."""
    return event.start is None and event.status is not EventStatus.CANCELLED


def part_lost(event: CalendarEvent) -> CalendarEvent:
    """An event without a time that stands for a part of the event with its id, such as a changed occurrence of it."""
    return replace(event, remote_id=f"{event.remote_id}{LOST_PART}", master_id=event.remote_id)


@dataclass(frozen=True, slots=True)
class EventDraft:
    """What we want to stand at a provider: the desired state of one event that we own.

    ``key`` is chosen by us and stable (:func:`write_key`), so that repeating the write cannot double the event;
    ``remote_id`` equals it until a provider that chooses ids itself has named its own. ``start`` and ``end`` are aware;
    ``zone`` is the IANA zone they are shown in. ``color`` is a provider-neutral colour name (see ``domain.colors``),
    ``private`` our marks by which we recognise the event again. ``meeting``: the kind of online meeting that the
    calendar is to make for the event; an event that has one keeps it, whatever stands here.
    """

    remote_id: str
    key: str
    uid: str
    summary: str
    start: datetime
    end: datetime
    zone: str
    description: str = ""
    location: str = ""
    color: str = ""
    sequence: int = 0
    attendees: tuple[Attendee, ...] = ()
    private: Mapping[str, str] = field(default_factory=lambda: _EMPTY)
    meeting: PlaceKind | None = None
