"""Working hours over HTTP, and what clock changes do to them."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, date, datetime
from typing import Any

from fastapi import Response
from pydantic import BaseModel, Field

from calendar_app.api.deps import CurrentActor
from calendar_app.api.fields import Body, Flag, Key
from calendar_app.api.idempotency import Idempotent
from calendar_app.api.paging import After, Limit, cut
from calendar_app.api.problem_codes import fails
from calendar_app.api.routing import Router
from calendar_app.api.versions import IfMatch, Tag
from calendar_app.services.availability import holidays as public_holidays
from calendar_app.services.availability import working_hours
from calendar_app.services.availability.working_hours import ScheduleView

router = Router(tags=["scheduling"])

Ranges = list[tuple[str, str]]


class Away(Body):
    """Days on which the person is away, the last one included."""

    first: date
    last: date
    note: str = Field(default="", max_length=public_holidays.LONGEST_NOTE)


class ScheduleIn(Body):
    """``weekly``: ``{"mon": [["09:00", "17:00"]], …}``; ``overrides``: ``{"2026-12-24": []}``; ``holidays``: the region
    whose public holidays are closed (ISO 3166, ``DE`` or ``DE-BY``)."""

    timezone: str
    weekly: dict[str, Ranges] = Field(examples=[{"mon": [["09:00", "12:00"], ["13:00", "17:00"]]}])
    overrides: dict[str, Ranges] = Field(default={})
    name: str = "Working hours"
    is_default: Flag = False
    person_id: Key | None = None
    holidays: str = Field(default="", max_length=16, examples=["DE-BY"])
    away: list[Away] = Field(default=[], max_length=public_holidays.MOST_SPANS)


class ScheduleChange(Body):
    """What to change; ``weekly``, ``overrides`` and ``away`` are replaced as a whole."""

    timezone: str = ""
    weekly: dict[str, Ranges] = Field(default={})
    overrides: dict[str, Ranges] = Field(default={})
    name: str = ""
    is_default: Flag = True
    holidays: str = Field(default="", max_length=16)
    away: list[Away] = Field(default=[], max_length=public_holidays.MOST_SPANS)


class ScheduleOut(BaseModel):
    id: str
    person_id: str
    person_name: str
    name: str
    timezone: str
    weekly: dict[str, Any]
    overrides: dict[str, Any]
    holidays: str
    away: list[Away]
    is_default: bool
    created_at: datetime


class ScheduleList(BaseModel):
    items: list[ScheduleOut]
    next: str | None = None


class EffectOut(BaseModel):
    """A working range on the day of a clock change; lengths in minutes."""

    day: date
    range: str
    nominal: float
    actual: float


class ClockChangeOut(BaseModel):
    """A clock change; offsets in seconds east of UTC."""

    at: datetime
    before: int
    after: int
    effects: list[EffectOut]


class ClockChangeList(BaseModel):
    items: list[ClockChangeOut]
    next: str | None = None


@router.get("/schedules")
def list_schedules(
    actor: CurrentActor, person_id: Key | None = None, limit: Limit = 100, after: After = None
) -> ScheduleList:
    """Your working hours; for managers, everybody's."""
    found = working_hours.list_schedules(actor, person_id=person_id)
    items, more = cut(
        found,
        limit,
        after,
        lambda one: (one.person_name, one.person_id, not one.is_default, one.name, one.id),
    )
    return ScheduleList(items=[ScheduleOut(**asdict(view)) for view in items], next=more)


@router.post("/schedules", status_code=201, response_model=ScheduleOut, responses=fails("unknown_timezone"))
def create_schedule(actor: CurrentActor, body: ScheduleIn, idempotent: Idempotent) -> Response:
    """Add working hours; a person's first schedule is their default."""
    return idempotent.run(
        201, lambda: ScheduleOut(**asdict(working_hours.create_schedule(actor, **body.model_dump())))
    )


@router.get("/schedules/{schedule_id}")
def get_schedule(schedule_id: Key, actor: CurrentActor, tag: Tag) -> ScheduleOut:
    """One schedule."""
    return tag(_shown(working_hours.get_schedule(actor, schedule_id)))


@router.patch("/schedules/{schedule_id}", responses=fails("unknown_timezone", "default_schedule"))
def update_schedule(
    schedule_id: Key, actor: CurrentActor, body: ScheduleChange, unless_changed: IfMatch, tag: Tag
) -> ScheduleOut:
    """Change what is sent."""
    check = unless_changed.check_for(_shown)
    return tag(_shown(working_hours.update_schedule(actor, schedule_id, body.given(), check=check)))


@router.delete("/schedules/{schedule_id}", status_code=204, responses=fails("default_schedule"))
def delete_schedule(schedule_id: Key, actor: CurrentActor, unless_changed: IfMatch) -> None:
    """Delete one that is not the default."""
    working_hours.delete_schedule(actor, schedule_id, check=unless_changed.check_for(_shown))


@router.get("/schedules/{schedule_id}/clock-changes")
def list_clock_changes(
    schedule_id: Key, actor: CurrentActor, limit: Limit = 100, after: After = None
) -> ClockChangeList:
    """The clock changes of the coming 400 days, and what each does to these working hours."""
    found = working_hours.dst_preview(actor, schedule_id)
    changes, more = cut(found, limit, after, lambda change: (change.at,))
    items = [
        ClockChangeOut(
            at=datetime.fromtimestamp(change.at, UTC),
            before=change.before,
            after=change.after,
            effects=[
                EffectOut(
                    day=effect.day, range=str(effect.range), nominal=effect.nominal, actual=effect.actual
                )
                for effect in change.effects
            ],
        )
        for change in changes
    ]
    return ClockChangeList(items=items, next=more)


def _shown(view: ScheduleView) -> ScheduleOut:
    return ScheduleOut(**asdict(view))
