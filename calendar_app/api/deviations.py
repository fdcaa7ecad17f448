"""Where bookings and calendars differ: what was found, what to do about it, and the rule that does it by itself."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from calendar_app.api.deps import CurrentActor
from calendar_app.api.fields import Body, Key
from calendar_app.api.paging import After, Limit, at, cut
from calendar_app.api.problem_codes import AT_PROVIDER, TRANSITION, fails
from calendar_app.api.routing import Router
from calendar_app.services.bookings import queries as booking_queries
from calendar_app.services.external_changes import drift_report as drift
from calendar_app.services.external_changes import queries as external_change_queries
from calendar_app.services.external_changes import resolve as external_change_resolve
from calendar_app.services.external_changes.drift_report import UnreadAccount
from calendar_app.services.external_changes.queries import DeviationView

router = Router(tags=["deviations"])


class DeviationList(BaseModel):
    """Open deviations, oldest first."""

    items: list[DeviationView]
    next: str | None = None


class DriftOut(BaseModel):
    """What is open, oldest first; when calendars were last held against bookings, how many events were `checked`, and
    which accounts could not be read."""

    items: list[DeviationView]
    next: str | None = None
    checked_at: datetime | None
    checked: int
    unread: list[UnreadAccount]


class ResolveIn(Body):
    """`follow`: the booking takes the calendar's time, or is cancelled; `restore`: the calendar is put back; `keep`:
    both stay as they are. Of an orphaned event, `take_in`: a booking is made of it, `remove`: it goes. Each deviation
    names its `choices`."""

    how: Literal["follow", "restore", "keep", "take_in", "remove"]


class DriftStarted(BaseModel):
    """How many connections will be looked at."""

    connections: int


class RuleBody(Body):
    """What follows when somebody changes a booking's event at the provider."""

    outside_moves: Literal["flag", "reschedule", "restore"] | None = Field(
        default=None, description="`reschedule`: the booking follows; `restore`: the event is put back"
    )
    outside_deletes: Literal["flag", "cancel", "restore"] | None = None


class RuleOut(BaseModel):
    """The workspace's rule."""

    outside_moves: Literal["flag", "reschedule", "restore"]
    outside_deletes: Literal["flag", "cancel", "restore"]


@router.get("/deviations")
def list_deviations(
    actor: CurrentActor, booking_id: Key | None = None, limit: Limit = 100, after: After = None
) -> DeviationList:
    """Bookings and calendars that do not say the same: of your bookings, for managers all."""
    if booking_id is not None:
        booking_queries.require(actor, booking_id, field="booking_id")
        found = external_change_queries.of_booking(actor, booking_id)
    else:
        found = external_change_queries.listed(actor)
    items, more = cut(found, limit, after, _place)
    return DeviationList(items=items, next=more)


@router.post(
    "/deviations/{deviation_id}/resolve",
    responses=fails(*AT_PROVIDER, *TRANSITION, "slot_unavailable"),
)
def resolve_deviation(deviation_id: Key, body: ResolveIn, actor: CurrentActor) -> DeviationView:
    """Settle one by hand."""
    return external_change_resolve.resolve(actor, deviation_id, body.how)


@router.get("/admin/drift")
def get_drift_report(actor: CurrentActor, limit: Limit = 100, after: After = None) -> DriftOut:
    """The drift report: what is open, and when calendars were last held against bookings."""
    found = drift.report(actor)
    items, more = cut(found.items, limit, after, _place)
    return DriftOut(
        items=items,
        next=more,
        checked_at=found.checked_at,
        checked=found.checked,
        unread=list(found.unread),
    )


@router.post("/admin/drift/run", status_code=202)
def start_drift_run(actor: CurrentActor) -> DriftStarted:
    """Ask the providers for every event that should stand; what is found joins the report as it comes."""
    return DriftStarted(connections=drift.run(actor))


@router.post(
    "/admin/drift/{deviation_id}",
    responses=fails(*AT_PROVIDER, *TRANSITION, "slot_unavailable"),
)
def resolve_drift(deviation_id: Key, body: ResolveIn, actor: CurrentActor) -> DeviationView:
    """Settle one of the report."""
    return drift.fix(actor, deviation_id, body.how)


@router.get("/workspace")
def get_workspace_rule(actor: CurrentActor) -> RuleOut:
    """The workspace's rule for changes at providers."""
    found = external_change_resolve.policy(actor)
    return RuleOut.model_validate({"outside_moves": found.moves, "outside_deletes": found.deletes})


@router.patch("/workspace")
def update_workspace_rule(body: RuleBody, actor: CurrentActor) -> RuleOut:
    """Change it; what is left out stays. For admins and the owner."""
    found = external_change_resolve.set_policy(actor, moves=body.outside_moves, deletes=body.outside_deletes)
    return RuleOut.model_validate({"outside_moves": found.moves, "outside_deletes": found.deletes})


def _place(one: DeviationView) -> tuple[int, str]:
    return at(one.found_at), one.id
