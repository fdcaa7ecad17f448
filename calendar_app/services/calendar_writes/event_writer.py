"""The provider's side of a booking's event: written so that what its owner changed stays, and read back afterwards.

Nothing here knows of rows and claims (:mod:`calendar_app.services.calendar_writes`).
"""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum

from calendar_app.domain.event import BOOKING_MARK, CalendarEvent, EventDraft
from calendar_app.domain.event_texts import TEXTS, edited
from calendar_app.domain.meeting import Meeting
from calendar_app.domain.recurrence import wallclock
from calendar_app.errors import EventNotFound, NotFound, PreconditionFailed, ProviderError
from calendar_app.providers.base import CalendarProvider, WrittenEvent
from calendar_app.services.connections import tokens as connection_tokens

_MERGES = 3


class Seen(StrEnum):
    """What the provider shows when a written event is read back."""

    SAME = "same"
    OTHER = "other"
    MISSING = "missing"
    UNREAD = "unread"


def put(api: CalendarProvider, calendar: str, draft: EventDraft, etag: str) -> WrittenEvent:
    """Write, keeping what the calendar's owner wrote into the event. ``etag``: that of our last write, if any.

    The event is read first: its version alone does not tell whether a person changed it, nor does it remember what
    was kept at an earlier write.
    """
    exists, tries = bool(etag), 0
    while True:
        try:
            if not exists:
                return api.put_event(calendar, draft)
            current = api.get_event(calendar, draft.remote_id)
            return api.put_event(calendar, merged(draft, current, etag), etag=current.etag)
        except (EventNotFound, PreconditionFailed) as error:
            tries += 1
            if tries > _MERGES:
                raise
            exists = isinstance(error, PreconditionFailed)
            if not exists:  # also where what changed the version was its deletion
                draft = replace(draft, remote_id=draft.key)


def remove(api: CalendarProvider, calendar: str, remote_id: str) -> None:
    """Take the event out. Where the provider answers that this does not fit what stands there, that is read: what is
    gone is done, and what still stands is taken out once more."""
    for _ in range(_MERGES):
        try:
            api.delete_event(calendar, remote_id)
            return
        except PreconditionFailed:
            try:
                api.get_event(calendar, remote_id)
            except EventNotFound:
                return
    api.delete_event(calendar, remote_id)


def merged(draft: EventDraft, current: CalendarEvent, etag: str) -> EventDraft:
    """``draft`` with what the owner of the calendar wrote into our event; time and place in the booking's life stay
    ours.

    A title, description, location or colour that we did not write is the owner's and stays. Where an event does not
    say what we wrote (it is older than that mark), all of them are the owner's once its version is not that of our last
    write. Attendees are not written at all, so those whom the owner added stay as they are, and so does the customer of
    an event that was written when customers were attendees: providers change only what they are told to.
    """
    theirs = edited(current)
    if theirs is None:
        theirs = frozenset() if current.etag == etag else frozenset(TEXTS)
    kept = {name: text for name in theirs if (text := getattr(current, name))}
    return replace(draft, **kept, private={**current.private, **draft.private})


def read_back(
    connection_id: str, calendar: str, remote_id: str, draft: EventDraft
) -> tuple[Seen, Meeting | None]:
    """What the provider shows of the event now, and of its online meeting; trouble in reading is no news about what was
    written."""
    try:
        event = connection_tokens.call(connection_id, lambda api: api.get_event(calendar, remote_id))
    except EventNotFound:
        return Seen.MISSING, None
    except (ProviderError, NotFound):
        return Seen.UNREAD, None
    times = wallclock.event_instant(event.start, draft.zone), wallclock.event_instant(event.end, draft.zone)
    same = (
        times == (draft.start, draft.end) and event.private.get(BOOKING_MARK) == draft.private[BOOKING_MARK]
    )
    return Seen.SAME if same else Seen.OTHER, event.meeting
