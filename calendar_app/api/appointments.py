"""Appointments at providers that take bookings themselves, over HTTP."""

from __future__ import annotations

from fastapi import Response
from pydantic import BaseModel, ConfigDict

from calendar_app.api.deps import CurrentActor
from calendar_app.api.fields import Body, Key
from calendar_app.api.paging import After, Limit, cut
from calendar_app.api.problem_codes import AT_PROVIDER, fails
from calendar_app.api.routing import Router
from calendar_app.services.events import provider_bookings

router = Router(tags=["calendars"])


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


class CancellationIn(Body):
    """``reason`` is told to those who take part."""

    reason: str = ""


@router.get("/calendars/{calendar_id}/appointment-types", responses=fails(*AT_PROVIDER, "no_appointments"))
def list_appointment_types(
    calendar_id: Key, actor: CurrentActor, limit: Limit = 100, after: After = None
) -> AppointmentTypeList:
    """What customers can book at the calendar's provider: 422 `no_appointments` where it takes no bookings itself."""
    found = provider_bookings.types(actor, calendar_id)
    items, more = cut(found, limit, after, lambda one: (one.name, one.remote_id))
    return AppointmentTypeList(items=[AppointmentTypeOut.model_validate(one) for one in items], next=more)


@router.post(
    "/events/{event_id}/cancel",
    status_code=204,
    response_class=Response,
    responses=fails(*AT_PROVIDER, "no_appointments"),
)
def cancel_event(event_id: Key, actor: CurrentActor, wanted: CancellationIn | None = None) -> None:
    """Call off an event that was booked at its provider, for everybody who takes part: 422 `no_appointments` where the
    provider takes no bookings itself."""
    provider_bookings.cancel(actor, event_id, wanted.reason if wanted else "")
