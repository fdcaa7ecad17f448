"""Appointments at providers that take bookings themselves, over HTTP."""

from __future__ import annotations

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict

from calendar_app.api.deps import CurrentActor
from calendar_app.api.fields import Key
from calendar_app.services.events import provider_bookings

router = APIRouter(tags=["calendars"])


class AppointmentTypeOut(BaseModel):
    """Something that customers can book at the calendar's provider, at ``booking_url``."""

    model_config = ConfigDict(from_attributes=True)

    remote_id: str
    name: str
    minutes: int
    booking_url: str
    description: str
    active: bool


class AppointmentTypeList(BaseModel):
    """All of them; there is no further page."""

    items: list[AppointmentTypeOut]
    next: str | None = None


class CancellationIn(BaseModel):
    """``reason`` is told to those who take part."""

    model_config = ConfigDict(extra="forbid")

    reason: str = ""


@router.get("/calendars/{calendar_id}/appointment-types")
def appointment_types(calendar_id: Key, actor: CurrentActor) -> AppointmentTypeList:
    """What customers can book at the calendar's provider: 422 `no_appointments` where it takes no bookings itself."""
    found = provider_bookings.types(actor, calendar_id)
    return AppointmentTypeList(items=[AppointmentTypeOut.model_validate(one) for one in found])


@router.post("/events/{event_id}/cancel", status_code=204, response_class=Response)
def cancel_event(event_id: Key, actor: CurrentActor, wanted: CancellationIn | None = None) -> None:
    """Call off an event that was booked at its provider, for everybody who takes part: 422 `no_appointments` where the
    provider takes no bookings itself."""
    provider_bookings.cancel(actor, event_id, wanted.reason if wanted else "")
