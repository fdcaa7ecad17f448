"""What the mirror says blocks time, for tests that look at it as availability does."""

from __future__ import annotations

from sqlmodel import Session

from calendar_app.db.busy import spans_by_calendar
from calendar_app.domain.timespan import Span


def busy_spans(session: Session, calendar_id: str, span: Span) -> list[Span]:
    """The busy spans of one calendar that overlap ``span``, by start."""
    return sorted(
        Span(*found) for found in spans_by_calendar(session, [calendar_id], span).get(calendar_id, ())
    )
