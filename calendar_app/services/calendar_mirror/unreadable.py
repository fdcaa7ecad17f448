"""What of a calendar could not be read: kept beside the calendar and its events, and told to its owner once.

What is unclear of one event stands in that event's row, so that a listing of changes keeps the notes of events that it
does not touch and drops those of events that were mended or are gone. What a listing says beside its events stands in
the calendar's row, and the next full listing replaces it. Both are bounded, whatever strangers write.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import func
from sqlmodel import Session, col, select

from calendar_app.db import mirror as rows
from calendar_app.db.tables import Calendar, Event
from calendar_app.domain.unread import Unread, event_name

MOST = 50
"""Notes kept of one calendar, and as many of what a listing says beside its events."""


def note(
    session: Session, calendar: Calendar, listing: Iterable[Unread] | None = None, *, full: bool = False
) -> None:
    """Bring the calendar's notes to what its events' rows and a listing say; call it after the events are stored.

    ``listing``: what a listing could not read beside its events, everything if it was a ``full`` one; ``None`` where
    nothing was listed.
    """
    if listing is not None:
        held = [] if full else [Unread.kept(one) for one in calendar.listing_unread]
        found = dict.fromkeys([*held, *(Unread.told(one.what, one.why) for one in listing)])
        calendar.listing_unread = [one.document for one in list(found)[:MOST]]
    noted = select(Event).where(col(Event.calendar_id) == calendar.id, col(Event.unread).is_not(None))
    session.flush()
    total = session.exec(select(func.count()).select_from(noted.subquery())).one()
    found = dict.fromkeys(Unread.kept(one) for one in calendar.listing_unread)
    for row in session.exec(noted.order_by(col(Event.id)).limit(MOST)):
        event = rows.from_payload(row.payload)
        name = event_name(event.summary, event.start.value if event.start else None)
        found.update(dict.fromkeys(Unread.told(name, why) for why in row.unread or ()))
    notes = list(found)
    calendar.unread = [one.document for one in notes[:MOST]]
    calendar.unread_count = len(notes) + max(0, total - MOST)
    session.add(calendar)


def notes_of(calendar: Calendar) -> Sequence[Unread]:
    """What could not be read, the first :data:`MOST` of ``calendar.unread_count``."""
    return [Unread.kept(one) for one in calendar.unread]
