"""Who may do what: one entry for every operation of the OpenAPI document.

``PUBLIC`` needs no credentials (the object's own secret may be asked for), ``OWN`` any signed-in person and concerns
only their own account; the others need at least that role in the workspace. A new operation without an entry fails
``test_every_operation_has_an_entry``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

PUBLIC, OWN, STAFF, MANAGER, ADMIN = "public", "own", "staff", "manager", "admin"


@dataclass(frozen=True, slots=True)
class Entry:
    """The least role, and what makes a request valid but for the caller."""

    role: str
    body: Any = None
    query: dict[str, str] | None = None


_START = "2031-03-03T10:00:00Z"
_RESOLVE = {"how": "keep"}
_EVENT = {"summary": "x", "start": _START, "end": "2031-03-03T11:00:00Z"}
_SPAN = {"start": _START, "end": "2031-03-04T10:00:00Z"}
_WEBHOOK = {"url": "https://hooks.example/", "events": ["booking.created"]}
_BOOKING = {"start": _START, "timezone": "Europe/Berlin", "name": "Eve", "email": "eve@example.org"}

ENTRIES: dict[str, Entry] = {
    "GET /admin/channels": Entry(MANAGER),
    "GET /admin/connections": Entry(MANAGER),
    "GET /admin/dead-letters": Entry(MANAGER),
    "POST /admin/dead-letters/retry": Entry(MANAGER, {}),
    "GET /admin/drift": Entry(MANAGER),
    "POST /admin/drift/run": Entry(MANAGER),
    "POST /admin/drift/{deviation_id}": Entry(MANAGER, _RESOLVE),
    "GET /admin/jobs": Entry(MANAGER),
    "GET /audit": Entry(MANAGER),
    "POST /auth/token": Entry(PUBLIC, {"email": "nobody@example.org", "password": "wrong"}),
    "GET /availability": Entry(
        STAFF,
        query={"date": "2031-03-03", "start_time": "10:00", "duration_minutes": "30", "timezone": "UTC"},
    ),
    "POST /bookings": Entry(PUBLIC, {"event_type_id": "none", **_BOOKING}),
    "GET /bookings": Entry(STAFF),
    "GET /bookings/{booking_id}": Entry(PUBLIC),
    "GET /bookings/{booking_id}.ics": Entry(PUBLIC),
    "POST /bookings/{booking_id}/cancel": Entry(PUBLIC, {}),
    "POST /bookings/{booking_id}/confirm": Entry(STAFF),
    "POST /bookings/{booking_id}/decline": Entry(STAFF, {}),
    "GET /bookings/{booking_id}/history": Entry(STAFF),
    "POST /bookings/{booking_id}/no-show": Entry(STAFF),
    "POST /bookings/{booking_id}/reschedule": Entry(PUBLIC, {"start": _START}),
    "POST /bookings/{booking_id}/sync/retry": Entry(STAFF),
    "GET /calendars": Entry(STAFF),
    "POST /calendars/import": Entry(STAFF),
    "DELETE /calendars/{calendar_id}": Entry(STAFF),
    "GET /calendars/{calendar_id}": Entry(STAFF),
    "PATCH /calendars/{calendar_id}": Entry(STAFF, {"checks_conflicts": False}),
    "GET /calendars/{calendar_id}/appointment-types": Entry(STAFF),
    "POST /calendars/{calendar_id}/events": Entry(STAFF, _EVENT),
    "GET /connections": Entry(STAFF),
    "POST /connections/caldav": Entry(
        STAFF, {"address": "https://dav.example.org", "username": "x", "password": "x"}
    ),
    "POST /connections/ics": Entry(STAFF, {"url": "https://127.0.0.1/x.ics"}),
    "GET /connections/{connection_id}": Entry(STAFF),
    "PATCH /connections/{connection_id}": Entry(STAFF, {"addresses": []}),
    "DELETE /connections/{connection_id}": Entry(STAFF),
    "GET /connections/{connection_id}/disconnect-preview": Entry(STAFF),
    "GET /connections/{connection_id}/disconnection": Entry(STAFF),
    "POST /connections/{connection_id}/refresh": Entry(STAFF),
    "POST /connections/{connection_id}/test": Entry(STAFF),
    "GET /connections/{provider}/callback": Entry(PUBLIC, query={"state": "made-up", "code": "x"}),
    "POST /connections/{provider}/administrator-link": Entry(STAFF),
    "POST /connections/{provider}/start": Entry(STAFF, {}),
    "GET /connections/{provider}/status": Entry(OWN),
    "GET /deviations": Entry(STAFF),
    "POST /deviations/{deviation_id}/resolve": Entry(STAFF, _RESOLVE),
    "GET /event-types": Entry(STAFF),
    "POST /event-types": Entry(STAFF, {"title": "Mine"}),
    "GET /event-types/{event_type_id}": Entry(STAFF),
    "PATCH /event-types/{event_type_id}": Entry(STAFF, {"title": "Taken over"}),
    "DELETE /event-types/{event_type_id}": Entry(STAFF),
    "GET /event-types/{event_type_id}/links": Entry(STAFF),
    "POST /event-types/{event_type_id}/links": Entry(STAFF, {"label": "Mine"}),
    "DELETE /event-types/{event_type_id}/links/{link_id}": Entry(STAFF),
    "GET /event-types/{event_type_id}/slots": Entry(
        PUBLIC, query={"start": _START, "end": "2031-03-04T10:00:00Z"}
    ),
    "GET /event-types/{event_type_id}/slots/explain": Entry(STAFF, query={"start": _START}),
    "GET /events": Entry(STAFF, query={"start": _START, "end": "2031-03-04T10:00:00Z"}),
    "GET /events/upcoming": Entry(STAFF),
    "GET /events/{event_id}": Entry(STAFF),
    "PATCH /events/{event_id}": Entry(STAFF, {"summary": "Taken over"}),
    "DELETE /events/{event_id}": Entry(STAFF),
    "PUT /calendars/{calendar_id}/events/{own_id}": Entry(STAFF, _EVENT),
    "POST /events/{event_id}/cancel": Entry(STAFF, {}),
    "GET /feeds": Entry(STAFF),
    "POST /feeds": Entry(STAFF),
    "DELETE /feeds": Entry(STAFF),
    "GET /feeds/{secret}.ics": Entry(PUBLIC),
    "POST /holds": Entry(PUBLIC, {"event_type_id": "none", "start": _START}),
    "DELETE /holds/{hold_id}": Entry(PUBLIC),
    "POST /hooks/{provider}": Entry(PUBLIC),
    "GET /me": Entry(OWN),
    "PATCH /me": Entry(OWN, {}),
    "PUT /me/password": Entry(OWN, {"present": "wrong", "new": "correct horse battery"}),
    "POST /orders": Entry(
        PUBLIC, {"name": "Eve", "email": "eve@example.org", "timezone": "UTC", "lines": []}
    ),
    "GET /orders": Entry(STAFF),
    "GET /orders/{order_id}": Entry(PUBLIC),
    "POST /orders/{order_id}/cancel": Entry(PUBLIC, {}),
    "POST /orders/{order_id}/confirm": Entry(PUBLIC),
    "GET /schedules": Entry(STAFF),
    "POST /schedules": Entry(STAFF, {"timezone": "UTC", "weekly": {}}),
    "GET /schedules/{schedule_id}": Entry(STAFF),
    "PATCH /schedules/{schedule_id}": Entry(STAFF, {"timezone": "UTC"}),
    "DELETE /schedules/{schedule_id}": Entry(STAFF),
    "GET /schedules/{schedule_id}/clock-changes": Entry(STAFF),
    "GET /sessions": Entry(OWN),
    "DELETE /sessions": Entry(OWN),
    "DELETE /sessions/{session_id}": Entry(OWN),
    "POST /sync": Entry(STAFF, {}),
    "GET /sync/status": Entry(STAFF),
    "POST /sync/{calendar_id}/accept-removals": Entry(STAFF),
    "GET /team": Entry(STAFF),
    "GET /team/invitations": Entry(ADMIN),
    "POST /team/invitations": Entry(ADMIN, {"email": "new@example.org", "role": "staff"}),
    "DELETE /team/invitations/{invitation_id}": Entry(ADMIN),
    "PATCH /team/{person_id}": Entry(ADMIN, {"role": "staff"}),
    "DELETE /team/{person_id}": Entry(ADMIN),
    "GET /tokens": Entry(OWN),
    "POST /tokens": Entry(OWN, {"name": "x"}),
    "DELETE /tokens/{token_id}": Entry(OWN),
    "GET /workspace": Entry(STAFF),
    "PATCH /workspace": Entry(MANAGER, {}),
    "GET /workspaces/{workspace_id}": Entry(STAFF),
    "PATCH /workspaces/{workspace_id}": Entry(ADMIN, {}),
    "DELETE /workspaces/{workspace_id}/logo": Entry(ADMIN),
    "PUT /workspaces/{workspace_id}/logo": Entry(ADMIN),
    "GET /webhooks": Entry(MANAGER),
    "POST /webhooks": Entry(MANAGER, _WEBHOOK),
    "DELETE /webhooks/{webhook_id}": Entry(MANAGER),
    "GET /webhooks/{webhook_id}": Entry(MANAGER),
    "PATCH /webhooks/{webhook_id}": Entry(MANAGER, {"description": "Mine"}),
    "GET /webhooks/{webhook_id}/deliveries": Entry(MANAGER),
    "GET /webhooks/{webhook_id}/deliveries/{delivery_id}": Entry(MANAGER),
    "POST /webhooks/{webhook_id}/deliveries/{delivery_id}/replay": Entry(MANAGER),
    "POST /webhooks/{webhook_id}/replay": Entry(MANAGER, {"since": _START}),
    "POST /webhooks/{webhook_id}/secret": Entry(MANAGER),
    "POST /webhooks/{webhook_id}/test": Entry(MANAGER),
    "GET /public/workspaces/{workspace_slug}/event-types": Entry(PUBLIC),
    "GET /public/event-types/{event_type_id}": Entry(PUBLIC),
    "GET /public/event-types/{event_type_id}/slots": Entry(PUBLIC, query=_SPAN),
    "POST /public/holds": Entry(PUBLIC, {"event_type_id": "none", "start": _START}),
    "DELETE /public/holds/{hold_id}": Entry(PUBLIC),
    "POST /public/bookings": Entry(PUBLIC, {"event_type_id": "none", **_BOOKING}),
    "GET /public/bookings/{booking_id}": Entry(PUBLIC, query={"token": "made-up"}),
    "GET /public/bookings/{booking_id}/times": Entry(PUBLIC, query={"token": "made-up", **_SPAN}),
    "POST /public/bookings/{booking_id}/cancel": Entry(PUBLIC, {}, {"token": "made-up"}),
    "POST /public/bookings/{booking_id}/reschedule": Entry(PUBLIC, {"start": _START}, {"token": "made-up"}),
}
