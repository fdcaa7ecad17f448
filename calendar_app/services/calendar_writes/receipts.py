"""How far calendars have come with a booking, for people and other programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session

from calendar_app.db.tables import Calendar, CalendarWrite, Connection
from calendar_app.domain.calendar_write import WriteState
from calendar_app.domain.webhook import WebhookEvent
from calendar_app.services.webhooks import messages

_EVENTS = {
    WriteState.VERIFIED: WebhookEvent.CALENDAR_WRITE_VERIFIED,
    WriteState.FAILED: WebhookEvent.CALENDAR_WRITE_FAILED,
}


@dataclass(frozen=True, slots=True)
class ReceiptView:
    """How far one calendar has come with a booking.

    ``state``: ``queued``, ``written``, ``verified``, ``failed``, ``removed``.
    """

    calendar: str
    calendar_id: str
    provider: str
    account: str
    state: str
    attempts: int
    last_error: str
    next_attempt_at: datetime | None
    written_at: datetime | None
    verified_at: datetime | None
    html_link: str


def receipt(write: CalendarWrite, calendar: str, provider: str, account: str) -> ReceiptView:
    """The row as it is shown, with its calendar's and its account's names."""
    return ReceiptView(
        calendar=calendar,
        calendar_id=write.calendar_id,
        provider=provider,
        account=account,
        state=write.state,
        attempts=write.attempts,
        last_error=write.last_error,
        next_attempt_at=write.next_attempt_at,
        written_at=write.written_at,
        verified_at=write.verified_at,
        html_link=write.html_link,
    )


def tell(session: Session, row: CalendarWrite, calendar: Calendar, before: str) -> None:
    """Tell other programs that a write has come to an end, in the transaction that brought it there from ``before``."""
    event = _EVENTS.get(WriteState(row.state))
    if event is None or row.state == before:
        return

    def data() -> Mapping[str, Any]:
        connection = session.get_one(Connection, calendar.connection_id)
        shown = receipt(row, calendar.name, connection.provider, connection.account_email)
        return {"booking_id": row.booking_id, "receipt": asdict(shown)}

    messages.record(session, calendar.workspace_id, event, row.booking_id, data)
