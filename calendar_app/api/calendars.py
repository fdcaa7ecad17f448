"""Calendars over HTTP: the list, what each is used for, and new events in one."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Literal, Self

from fastapi import File, Form, Query, UploadFile
from pydantic import BaseModel, Field

from calendar_app.api.deps import CurrentActor
from calendar_app.api.fields import Body, Flag, Key
from calendar_app.api.paging import After, Limit, cut
from calendar_app.api.problem_codes import fails
from calendar_app.api.routing import Router
from calendar_app.api.versions import IfMatch, Tag, Tagger, etag
from calendar_app.domain.connection import ConnectionStatus
from calendar_app.domain.freebusy import StalePolicy
from calendar_app.services.calendar_sync import calendar_use, ics_import
from calendar_app.services.connections import calendars
from calendar_app.services.connections.calendar_time_zones import ZoneSource
from calendar_app.services.connections.calendars import CalendarView
from calendar_app.services.connections.queries import title

router = Router(prefix="/calendars", tags=["calendars"])


class ProviderDetails(BaseModel):
    """A provider by key, and by its name for people."""

    key: str
    title: str


class UnreadOut(BaseModel):
    """Something in a calendar that could not be read: what it is, and why, in words for its owner."""

    what: str
    why: str


class CalendarOut(BaseModel):
    """A calendar. ``sync_progress`` counts the events that a running sync has read.

    ``used``: it checks for conflicts, receives bookings or is shown on the dashboard, and so in ``/events``. One that
    is not used is not read, and nothing of it is kept.

    ``stale_policy``: once it could not be read for a quarter of an hour, bookings wait for approval (``approve``, the
    default), its last known state counts (``keep``), its owner's times are closed (``close``), or it does not count
    (``ignore``).

    Dates and times without a zone are read in ``timezone``, which the provider names, is the owner's, or was set here
    (``timezone_source``); ``provider_timezone`` is what the provider names, empty for none.

    ``unread`` names the first of ``unread_count`` things that could not be read.
    """

    id: str
    connection_id: str
    connection_status: ConnectionStatus
    provider: str
    provider_details: ProviderDetails
    name: str
    color: str
    timezone: str
    timezone_source: ZoneSource
    provider_timezone: str
    access_role: Literal["freebusy", "reader", "writer", "owner"]
    is_primary: bool
    checks_conflicts: bool
    receives_bookings: bool
    shown_on_dashboard: bool
    used: bool
    stale_policy: StalePolicy
    synced_at: datetime | None
    syncing: bool
    sync_progress: int
    last_error: str
    unread: list[UnreadOut]
    unread_count: int

    @classmethod
    def of(cls, view: CalendarView) -> Self:
        """The service's view with the provider spelled out."""
        return cls(
            **asdict(view), provider_details=ProviderDetails(key=view.provider, title=title(view.provider))
        )


class SkippedOut(BaseModel):
    """A part of a file that could not be used; ``kept``: only a line of it was left out."""

    line: int
    component: str
    summary: str
    reason: str
    kept: bool


class ImportOut(BaseModel):
    """What came of a file. ``past`` events, cancelled or long over, are not taken over; ``skipped`` names the first of
    ``skipped_count`` parts."""

    calendar: CalendarOut
    imported: int
    past: int
    skipped: list[SkippedOut]
    skipped_count: int


class CalendarList(BaseModel):
    """A page of calendars."""

    items: list[CalendarOut]
    next: str | None = None


class CalendarIn(Body):
    """What to change; what is left out stays.

    A ``timezone`` is set for this calendar; ``null`` goes back to the provider's, or the owner's where it names none.
    ``timezone_source`` alone picks one of the two.
    """

    checks_conflicts: Flag | None = None
    receives_bookings: Flag | None = None
    shown_on_dashboard: Flag | None = None
    stale_policy: Literal["keep", "close", "approve", "ignore"] | None = None
    timezone: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    timezone_source: ZoneSource | None = None


@router.get("")
def list_calendars(
    actor: CurrentActor,
    connection_id: Key | None = None,
    limit: Limit = 100,
    after: After = None,
) -> CalendarList:
    """Your calendars; for managers, everybody's."""
    found = calendars.list_calendars(actor, connection_id=connection_id)
    items, more = cut(
        found, limit, after, lambda one: (one.connection_id, not one.is_primary, one.name, one.id)
    )
    return CalendarList(items=[CalendarOut.of(view) for view in items], next=more)


@router.get("/{calendar_id}")
def get_calendar(calendar_id: Key, actor: CurrentActor, tag: Tag) -> CalendarOut:
    """One calendar. Its `ETag` is of what people set of it, not of what readings find."""
    return _tagged(tag, calendars.get_calendar(actor, calendar_id))


@router.post(
    "/import",
    status_code=201,
    responses=fails("not_a_calendar", "calendar_too_large", "calendar_not_imported"),
)
def import_calendar(
    actor: CurrentActor,
    file: Annotated[UploadFile, File(description="An .ics file of at most 10 MiB")],
    name: Annotated[str, Form(max_length=500)] = "",
    calendar_id: Annotated[Key | None, Query(description="The imported calendar that it replaces")] = None,
) -> ImportOut:
    """Import a calendar file as a read-only calendar. What of it cannot be used is named, the rest is kept."""
    content = file.file.read(ics_import.MAX_BYTES + 1)
    given = name or (file.filename or "").removesuffix(".ics")
    result = ics_import.import_file(
        actor, content, name=name if calendar_id else given, calendar_id=calendar_id
    )
    return ImportOut(
        calendar=CalendarOut.of(result.calendar),
        imported=result.imported,
        past=result.past,
        skipped=[SkippedOut.model_validate(asdict(part)) for part in result.skipped],
        skipped_count=result.skipped_count,
    )


@router.delete("/{calendar_id}", status_code=204, responses=fails("calendar_of_account"))
def delete_calendar(calendar_id: Key, actor: CurrentActor) -> None:
    """Remove an imported calendar, or one that is followed by its link."""
    ics_import.delete_calendar(actor, calendar_id)


@router.patch(
    "/{calendar_id}",
    responses=fails(
        "calendar_read_only", "unknown_timezone", "zone_contradicts", "zone_not_named", "conflict"
    ),
)
def update_calendar(
    calendar_id: Key, actor: CurrentActor, body: CalendarIn, unless_changed: IfMatch, tag: Tag
) -> CalendarOut:
    """Say whether the calendar blocks time, whether bookings are written into it, whether its events are shown, what it
    does to slots while it cannot be read, and in which zone its dates and times without a zone are read. A calendar
    that is used again is read at once, and counts as busy until then."""
    reset = "timezone" in body.model_fields_set and body.timezone is None and body.timezone_source is None
    return _tagged(
        tag,
        calendar_use.update_calendar(
            actor,
            calendar_id,
            checks_conflicts=body.checks_conflicts,
            receives_bookings=body.receives_bookings,
            shown_on_dashboard=body.shown_on_dashboard,
            stale_policy=body.stale_policy,
            timezone="" if reset else body.timezone,
            timezone_source=body.timezone_source,
            check=unless_changed.check_for(lambda settings: settings),
        ),
    )


def _tagged(tag: Tagger, view: CalendarView) -> CalendarOut:
    tag.response.headers["ETag"] = etag({name: getattr(view, name) for name in calendar_use.SETTABLE})
    return CalendarOut.of(view)
