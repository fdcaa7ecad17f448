"""Reading calendars over HTTP: ask for it, and see how it goes."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict

from calendar_app.api.deps import CurrentActor
from calendar_app.api.fields import Body, Key
from calendar_app.api.paging import After, Limit, cut
from calendar_app.api.problem_codes import fails
from calendar_app.api.routing import Router
from calendar_app.services.calendar_sync import requests as sync_requests
from calendar_app.services.calendar_sync.requests import SyncState

router = Router(prefix="/sync", tags=["sync"])


class SyncIn(Body):
    """What to read: one connection's calendars, one calendar, or (empty) all of them."""

    connection_id: Key | None = None
    calendar_id: Key | None = None


class SyncAccepted(BaseModel):
    """The calendars that will be read; watch them at ``/sync/status``."""

    calendar_ids: list[str]


class SyncOut(BaseModel):
    """How a calendar's mirror stands. ``progress`` counts the events that a running sync has read.

    A calendar that is not ``used`` (it checks for no conflicts, receives no bookings and is not shown) is not read.
    ``needs_confirmation``: most of the calendar vanished at the provider and is kept until somebody confirms it.
    """

    model_config = ConfigDict(from_attributes=True)

    calendar_id: str
    calendar_name: str
    connection_id: str
    provider: str
    account_email: str
    used: bool
    state: SyncState
    progress: int
    synced_at: datetime | None
    full_synced_at: datetime | None
    next_sync_at: datetime | None
    failures: int
    last_error_code: str
    last_error: str
    needs_confirmation: bool
    push: bool
    push_note: str


class SyncList(BaseModel):
    """Every calendar's mirror."""

    items: list[SyncOut]
    next: str | None = None


@router.post("", status_code=202, responses=fails("needs_reconnect", "calendar_not_used"))
def request_sync(actor: CurrentActor, body: SyncIn | None = None) -> SyncAccepted:
    """Read calendars soon: all, those of ``connection_id``, or ``calendar_id``. 409 ``needs_reconnect``,
    or ``calendar_not_used`` where the calendar that is named is used for nothing."""
    chosen = body or SyncIn()
    return SyncAccepted(
        calendar_ids=sync_requests.request_for(
            actor, connection_id=chosen.connection_id, calendar_id=chosen.calendar_id
        )
    )


@router.get("/status")
def get_sync_status(actor: CurrentActor, limit: Limit = 100, after: After = None) -> SyncList:
    """Progress and last result of every calendar."""
    found = sync_requests.status(actor)
    items, more = cut(
        found, limit, after, lambda one: (one.connection_id, one.calendar_name, one.calendar_id)
    )
    return SyncList(items=[SyncOut.model_validate(one) for one in items], next=more)


@router.post(
    "/{calendar_id}/accept-removals",
    status_code=202,
    responses=fails("needs_reconnect", "calendar_not_used", "conflict"),
)
def accept_removals(calendar_id: Key, actor: CurrentActor) -> SyncAccepted:
    """Confirm that the events which vanished at the provider really are gone."""
    sync_requests.accept_mass_delete(actor, calendar_id)
    return SyncAccepted(calendar_ids=[calendar_id])
