"""What other programs are told of bookings (:mod:`calendar_app.services.webhooks.messages`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlmodel import Session

from calendar_app.db.tables import Booking
from calendar_app.domain.booking import Status
from calendar_app.domain.webhook import WebhookEvent
from calendar_app.services.bookings.views import BookingView, view
from calendar_app.services.webhooks import messages

OF_STATUS = {
    Status.CONFIRMED: WebhookEvent.BOOKING_CONFIRMED,
    Status.DECLINED: WebhookEvent.BOOKING_DECLINED,
    Status.CANCELLED: WebhookEvent.BOOKING_CANCELLED,
    Status.NO_SHOW: WebhookEvent.BOOKING_NO_SHOW,
    Status.COMPLETED: WebhookEvent.BOOKING_COMPLETED,
}
"""What it is called when a booking comes into a state."""
_ONLY_FOR_PAGES = (
    "workspace_id",
    "workspace_name",
    "workspace_language",
    "answers_in_words",
    "manage_token",
    "uid",
    "changed_at",
)
"""What the API leaves out of a booking, too."""


def booking_changed(
    session: Session, row: Booking, event: WebhookEvent, *, before: tuple[datetime, datetime] | None = None
) -> None:
    """Tell of a booking as it stands now, in the transaction that changed it and holds its row. ``before``: the start
    and end that it was moved away from."""

    def data() -> Mapping[str, Any]:
        session.flush()
        told: dict[str, Any] = {"booking": as_told(view(session, row, full=True))}
        if before is not None:
            told["before"] = {"start": before[0], "end": before[1]}
        return told

    messages.record(session, row.workspace_id, event, row.id, data)


def as_told(found: BookingView) -> dict[str, Any]:
    """A booking as the API answers it to the business."""
    told = {name: value for name, value in asdict(found).items() if name not in _ONLY_FOR_PAGES}
    told["updated_at"] = found.changed_at
    told["hosts"] = [{"id": host.id, "name": host.name} for host in found.hosts]
    return told
