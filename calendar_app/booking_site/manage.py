"""What a customer can do with a booking or an order, by the signed link from the confirmation."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request
from markupsafe import Markup
from starlette.responses import Response

from calendar_app.booking_site import answers, facts, places, times, words
from calendar_app.booking_site.choose import zone_page
from calendar_app.booking_site.forms import Posted
from calendar_app.booking_site.visit import Visit, path_of
from calendar_app.errors import AlmanacError, InvalidInput, NotFound, SlotUnavailable
from calendar_app.services.availability.slots import SlotsView
from calendar_app.services.bookings import ics as booking_ics
from calendar_app.services.bookings import queries as booking_queries
from calendar_app.services.bookings import reschedule as booking_reschedule
from calendar_app.services.bookings import reschedule_times, transitions
from calendar_app.services.bookings.views import BookingView
from calendar_app.services.common.permissions import Role
from calendar_app.services.event_types import queries as event_type_queries
from calendar_app.services.orders import commands as order_commands
from calendar_app.services.orders import queries as order_queries
from calendar_app.translations import formats, zones

router = APIRouter(include_in_schema=False, prefix="/manage")

_DONE = ("moved", "requested", "cancelled", "confirmed")


@router.get("/order/{token}")
def order(request: Request, token: str) -> Response:
    """All appointments of an order."""
    return _order(Visit.of(request), token)


@router.post("/order/{token}/confirm")
def confirm_order(request: Request, token: str) -> Response:
    """Make all bookings of a draft, or none; again, nothing more."""
    visit = Visit.of(request)
    try:
        order_commands.confirm_by_token(token, client=visit.client, language=visit.language.tag)
    except NotFound:
        raise
    except AlmanacError as error:
        return _order(visit, token, words.of_error(visit, error), error.status)
    return answers.see_other(visit, visit.link(f"/manage/order/{token}", done="confirmed"))


@router.post("/order/{token}/cancel")
def cancel_order(request: Request, token: str, posted: Posted) -> Response:
    """Cancel what still holds time of an order."""
    visit = Visit.of(request, posted)
    try:
        order_commands.cancel_by_token(token, posted.get("reason", ""))
    except NotFound:
        raise
    except AlmanacError as error:
        return _order(visit, token, words.of_error(visit, error), error.status)
    return answers.see_other(visit, visit.link(f"/manage/order/{token}", done="cancelled"))


@router.get("/{token}")
def booking(request: Request, token: str) -> Response:
    """The booking, and what can be done with it."""
    visit = Visit.of(request)
    return _booking(visit, _read(visit, token))


@router.get("/{token}/booking.ics")
def calendar_file(token: str) -> Response:
    """The booking as an iCalendar file for its customer."""
    view = booking_queries.by_token(token)
    return Response(
        booking_ics.ics(view, Role.CUSTOMER),
        media_type="text/calendar; charset=utf-8",
        headers={
            "Content-Disposition": f'attachment; filename="{view.event_type_slug}.ics"',
            "Cache-Control": "no-store",
        },
    )


@router.get("/{token}/cancel")
def ask_cancel(request: Request, token: str) -> Response:
    """Whether it is meant, and why."""
    visit = Visit.of(request)
    return _cancel(visit, _read(visit, token))


@router.post("/{token}/cancel")
def cancel(request: Request, token: str, posted: Posted) -> Response:
    """Cancel the booking; again, nothing more happens."""
    visit = Visit.of(request, posted)
    try:
        transitions.cancel_by_token(token, posted.get("reason", ""))
    except InvalidInput as error:
        _name, sentence = words.of_field(visit, error, ())
        return _cancel(visit, _read(visit, token), posted, sentence)
    except NotFound:
        raise
    except AlmanacError as error:
        return _booking(visit, _read(visit, token), words.of_error(visit, error), error.status)
    return answers.see_other(visit, visit.link(f"/manage/{token}", done="cancelled"))


@router.get("/{token}/move")
def choose_time(request: Request, token: str) -> Response:
    """The times that the booking could go to; with ``start``, whether that one is meant."""
    visit = Visit.of(request)
    view = _read(visit, token)
    if not facts.of(visit, view).changeable:
        return answers.see_other(visit, visit.link(f"/manage/{token}"))
    if visit.params.get("start"):
        return _sure(visit, view, _moment(visit.params["start"]))
    fragment = _fragment(visit, view, token)
    return answers.page(
        visit,
        "move.html",
        secret=True,
        facts=facts.of(visit, view),
        fragment=Markup(fragment),  # noqa: S704 - a rendered template
        etag=answers.digest(fragment),
        taken=bool(visit.params.get("taken")),
    )


@router.get("/{token}/move/times")
def refreshed(request: Request, token: str) -> Response:
    """The part of that page that changes, as on the booking page."""
    visit = Visit.of(request)
    text = _fragment(visit, _read(visit, token), token)
    etag = answers.digest(text)
    headers = {"ETag": f'"{etag}"', "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
    if request.headers.get("if-none-match", "").removeprefix("W/").strip('"') == etag:
        return Response(status_code=304, headers=headers)
    return answers.html(visit, text, 200, headers)


@router.get("/{token}/move/zones")
def choose_zone(request: Request, token: str) -> Response:
    """Time zones by city and country, as links back to the times."""
    visit = Visit.of(request)
    view = _read(visit, token)
    return zone_page(visit, f"/manage/{token}/move", view.timezone, secret=True)


@router.post("/{token}/move")
def move(request: Request, token: str, posted: Posted) -> Response:
    """Move the booking; again, nothing more happens."""
    visit = Visit.of(request, posted)
    start, path = _moment(posted.get("start", "")), f"/manage/{token}"
    zone = facts.zone_of(visit, _read(visit, token))
    try:
        view = booking_reschedule.reschedule_by_token(
            token, start, zone=zone, reason=posted.get("reason", "")
        )
    except SlotUnavailable:
        day = start.astimezone(ZoneInfo(zone)).date().isoformat()
        return answers.see_other(visit, visit.link(f"{path}/move", day=day, taken="1"))
    except InvalidInput as error:
        if error.field != "reason":
            return _booking(visit, _read(visit, token), words.of_error(visit, error), error.status)
        _name, sentence = words.of_field(visit, error, ())
        return _sure(visit, _read(visit, token), start, posted, sentence)
    except NotFound:
        raise
    except AlmanacError as error:
        return _booking(visit, _read(visit, token), words.of_error(visit, error), error.status)
    done = "requested" if view.status == "pending" else "moved"
    return answers.see_other(visit, visit.link(path, tz="", done=done))


def _read(visit: Visit, token: str) -> BookingView:
    """The booking of a link; its page has the look of its business."""
    view = booking_queries.by_token(token)
    visit.workspace = view.workspace_slug
    return view


def _booking(visit: Visit, view: BookingView, trouble: str = "", status: int = 200) -> Response:
    shown = facts.of(visit, view)
    return answers.page(
        visit,
        "manage.html",
        status=status,
        secret=True,
        facts=shown,
        trouble=trouble,
        done=_done(visit, view),
        move=visit.link(f"/manage/{view.manage_token}/move"),
        cancel=visit.link(f"/manage/{view.manage_token}/cancel"),
        again=visit.link(path_of(view.workspace_slug, view.event_type_slug), tz="", duration=""),
    )


def _done(visit: Visit, view: BookingView) -> str:
    """What has just been done, as the address says, if it is still so."""
    done = visit.params.get("done", "")
    if done not in _DONE or (done == "cancelled") != (view.status == "cancelled"):
        return ""
    return done


def _cancel(
    visit: Visit, view: BookingView, typed: Mapping[str, str] | None = None, error: str = ""
) -> Response:
    shown = facts.of(visit, view)
    if not shown.changeable:
        return answers.see_other(visit, visit.link(f"/manage/{view.manage_token}"))
    return answers.page(
        visit,
        "cancel.html",
        status=422 if error else 200,
        secret=True,
        facts=shown,
        reason=(typed or {}).get("reason", "")[:2_000],
        error=error,
        action=visit.link(f"/manage/{view.manage_token}/cancel"),
    )


def _fragment(visit: Visit, view: BookingView, token: str) -> str:
    zone, path = facts.zone_of(visit, view), f"/manage/{token}/move"
    ask = partial(_ask, token, zone)
    try:
        horizon = event_type_queries.public(view.workspace_slug, view.event_type_slug).horizon_days
    except NotFound:
        horizon = times.LONGEST.days
    month = times.month(visit, path, ask, zone=zone, horizon_days=horizon)
    return answers.render(
        visit,
        "_times.html",
        month=month,
        minutes=0,
        path=path,
        zones_path=f"{path}/zones",
        pick=visit.link(path, tz=zone),
        waits=False,
        horizon=horizon,
        hold="",
    )


def _ask(token: str, zone: str, start: datetime, end: datetime) -> SlotsView:
    return reschedule_times.slots_by_token(token, start, end, zone=zone)


def _sure(
    visit: Visit,
    view: BookingView,
    start: datetime,
    typed: Mapping[str, str] | None = None,
    error: str = "",
) -> Response:
    """Whether this time is meant; it is not kept until then."""
    zone, token = facts.zone_of(visit, view), view.manage_token
    around = reschedule_times.slots_by_token(token, start, start + timedelta(minutes=1), zone=zone)
    day = start.astimezone(ZoneInfo(zone)).date()
    if not around.found and start != view.start:
        return answers.see_other(visit, visit.link(f"/manage/{token}/move", day=day.isoformat(), taken="1"))
    locale = visit.language.locale
    try:
        asks = event_type_queries.public(view.workspace_slug, view.event_type_slug).requires_approval
    except NotFound:
        asks = False
    end = start + (view.end - view.start)
    return answers.page(
        visit,
        "move_sure.html",
        status=422 if error else 200,
        secret=True,
        facts=facts.of(visit, view),
        start=times.rfc3339(start),
        day=formats.full_date(day, locale),
        time=formats.span(start, end, zone, locale, visit.hour12),
        zone=zones.described(zone, start, locale),
        zone_id=zone,
        asks=asks or around.freshness.needs_approval,
        reason=(typed or {}).get("reason", "")[:2_000],
        error=error,
        action=visit.link(f"/manage/{token}/move"),
        back=visit.link(f"/manage/{token}/move", day=day.isoformat()),
    )


def _order(visit: Visit, token: str, trouble: str = "", status: int = 200) -> Response:
    view = order_queries.by_token(token)
    visit.workspace = view.workspace_slug
    path = f"/manage/order/{token}"
    made = [facts.of(visit, each) for each in view.bookings]
    locale = visit.language.locale
    zone = zones.current(visit.params.get("tz", "")) or zones.current(view.timezone) or "UTC"
    wanted = [
        (
            line.title,
            formats.full_date(line.start.astimezone(ZoneInfo(zone)).date(), locale),
            formats.span(line.start, line.end, zone, locale, visit.hour12),
            places.named(line.place.kind, line.place.label, visit.language.gettext),
        )
        for line in view.lines
    ]
    return answers.page(
        visit,
        "order.html",
        status=status,
        secret=True,
        order=view,
        bookings=made,
        wanted=wanted,
        zone=zones.described(zone, visit.now, locale),
        trouble=trouble,
        done=visit.params.get("done", "") if visit.params.get("done") in _DONE else "",
        confirm=visit.link(f"{path}/confirm"),
        cancel=visit.link(f"{path}/cancel"),
        cancellable=view.status == "draft" or any(each.changeable for each in made),
    )


def _moment(text: str) -> datetime:
    """The start that a link or a button stands for. :raises NotFound: it is none."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = datetime.min  # noqa: DTZ901 - no time at all
    if found.tzinfo is None:
        raise NotFound("There is no such time.")
    return found
