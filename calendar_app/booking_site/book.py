"""From a time to a booking: keep it, say who you are, confirm. Every step can be repeated.

A time that is chosen is kept by a hold, and its form has an address of its own, in which a token names the hold. Who is
sent that address can fill in the form, and nothing else: the token neither opens nor changes the booking that is made
(docs/decisions/0018). The hold is the key of the booking, so a form that is sent twice, or again after an answer was
lost, ends in one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request
from starlette.responses import Response

from calendar_app.booking_site import answers, details_form, facts, forms, hold_form, words
from calendar_app.booking_site.choose import closed
from calendar_app.booking_site.forms import Posted
from calendar_app.booking_site.hold_form import HoldForm
from calendar_app.booking_site.visit import Visit, path_of
from calendar_app.errors import AlmanacError, InvalidInput, NotFound, SlotUnavailable, TooManyRequests
from calendar_app.services.bookings import create as booking_create
from calendar_app.services.bookings import holds
from calendar_app.services.bookings import queries as booking_queries
from calendar_app.services.bookings.views import BookingView
from calendar_app.services.common import signed_links
from calendar_app.services.event_types import links as private_links
from calendar_app.services.event_types.queries import PublicEventType

router = APIRouter(include_in_schema=False)


@router.post("/book/{workspace}/{kind}/hold")
def keep(request: Request, workspace: str, kind: str, form: Posted) -> Response:
    """Keep a time, and go on to its form."""
    visit = Visit.of(request, form)
    visit.params = {**visit.params, "hold": form.get("hold", "")}
    offer = private_links.public_or_linked(workspace, kind, visit.private_link)
    path = path_of(offer.workspace_slug, offer.slug)
    zone, start = visit.zone(offer.timezone), _moment(form.get("start", ""))
    try:
        held = _keep(visit, offer, start, zone, form.get("key", ""))
    except holds.AlreadyUsed as used:
        return _after(visit, path, booking_queries.by_token(signed_links.token(used.booking_id)))
    except SlotUnavailable:
        day = start.astimezone(ZoneInfo(zone)).date()
        return answers.see_other(visit, visit.link(path, day=day.isoformat(), taken="1"))
    token = signed_links.hold_token(held.id[:26])
    visit.remember_hold(token, path)
    return answers.see_other(visit, visit.link(f"{path}/hold/{token}"))


def _keep(visit: Visit, offer: PublicEventType, start: datetime, zone: str, key: str) -> holds.HoldView:
    """The hold; without keeping the time where this visitor or address keeps too many."""
    earlier = [holds.hold_id(row) for row in visit.hold_rows]
    visitor = visit.known_visitor()
    for keep_time in (True, False):
        try:
            return holds.create(
                offer.id,
                start,
                zone,
                duration=visit.duration(offer.durations),
                replaces=earlier,
                key=key[:100],
                keep=keep_time,
                link=visit.private_link,
                client=visit.client,
                visitor=visitor,
            )
        except TooManyRequests:
            if not keep_time:
                raise
    raise AssertionError


@router.get("/book/{workspace}/{kind}/hold")
def nothing_kept(request: Request, workspace: str, kind: str) -> Response:
    """Who comes here without a time chooses one."""
    visit = Visit.of(request)
    return answers.see_other(visit, visit.link(path_of(workspace, kind)))


@router.get("/book/{workspace}/{kind}/hold/{token}")
def details(request: Request, workspace: str, kind: str, token: str) -> Response:
    """The form of a time that is kept; once it has been used, the confirmation for the browser that booked."""
    visit = Visit.of(request)
    form = _opened(visit, workspace, kind, token)
    if isinstance(form, Response):
        return form
    if form.state.booking_id:
        if token in visit.holds:
            view = booking_queries.by_token(signed_links.token(form.state.booking_id))
            return _after(visit, path_of(workspace, kind), view)
        return _used(form)
    form.typed = visit.prefill
    form.asks_approval = hold_form.asks_approval(form)
    return hold_form.shown(form)


@router.post("/book/{workspace}/{kind}/hold/{token}/again")
def keep_again(request: Request, workspace: str, kind: str, token: str, posted: Posted) -> Response:
    """Keep the time once more after it ran out, or another ``start`` in its place; what was typed stays."""
    visit = Visit.of(request, posted)
    form = _opened(visit, workspace, kind, token)
    if isinstance(form, Response):
        return form
    form.typed = posted
    asked = posted.get("start", "")
    try:
        start = _moment(asked) if asked else None
        holds.renew(
            form.hold_id, start, link=visit.private_link, client=visit.client, visitor=visit.known_visitor()
        )
        form.state = holds.state(form.hold_id)
    except holds.AlreadyUsed:
        return answers.see_other(visit, visit.link(visit.request.url.path.removesuffix("/again")))
    except SlotUnavailable as error:
        return hold_form.taken(form, error)
    except TooManyRequests as error:
        form.trouble = words.of_error(visit, error)
        return hold_form.shown(form, 429)
    form.asks_approval = hold_form.asks_approval(form)
    return hold_form.shown(form)


@router.post("/book/{workspace}/{kind}/hold/{token}")
def confirm(request: Request, workspace: str, kind: str, token: str, posted: Posted) -> Response:
    """Book the time that is kept; sent again, the same booking."""
    visit = Visit.of(request, posted)
    form = _opened(visit, workspace, kind, token, posted)
    if isinstance(form, Response):
        return form
    form.typed = posted
    if form.state.booking_id:
        return _again(form)
    hold_form.find_errors(form)
    if form.errors:
        return hold_form.shown(form, 422)
    if not posted.get("approval"):
        form.asks_approval = hold_form.asks_approval(form)
        if form.asks_approval:
            return hold_form.shown(form, 409)
    try:
        view = _book(form)
    except SlotUnavailable as error:
        return hold_form.taken(form, error)
    except InvalidInput as error:
        return hold_form.wrong(form, error)
    except AlmanacError as error:
        form.trouble = words.of_error(visit, error)
        return hold_form.shown(form, error.status)
    path = path_of(form.offer.workspace_slug, form.offer.slug)
    visit.remember_hold(token, path)
    return _after(visit, path, view)


@router.get("/book/{workspace}/{kind}/booked/{token}")
def booked(request: Request, workspace: str, kind: str, token: str) -> Response:
    """The confirmation, as often as it is loaded; what became of the booking since is on its own page."""
    visit = Visit.of(request)
    view = booking_queries.by_token(token)
    if (view.workspace_slug, view.event_type_slug) != (workspace, kind):
        raise NotFound("This link does not lead to a booking.")
    shown = facts.of(visit, view)
    if view.status not in ("pending", "confirmed"):
        return answers.see_other(visit, shown.manage)
    return answers.page(
        visit,
        "booked.html",
        embeddable=True,
        secret=True,
        facts=shown,
        view=view,
        path=path_of(workspace, kind),
    )


def _opened(
    visit: Visit, workspace: str, kind: str, token: str, posted: Mapping[str, str] | None = None
) -> HoldForm | Response:
    """The form of a hold, or the page that stands in its place.

    A hold that ended long ago is made anew out of what the form says, so that what was typed can still be sent.
    """
    offer = private_links.public_or_linked(workspace, kind, visit.private_link, ended_too=True)
    if not offer.is_active:
        return closed(visit, offer)
    hold_id = holds.hold_id(signed_links.hold_row_id(token))
    try:
        state = holds.state(hold_id)
    except NotFound:
        if not posted or not posted.get("start"):
            back = visit.link(path_of(offer.workspace_slug, offer.slug))
            return hold_form.page(visit, "ended.html", 410, offer=offer, back=back)
        hold_id, state = _made_anew(visit, offer, token, posted)
    if state.event_type_id != offer.id:
        raise NotFound("This link does not lead to a booking.")
    return HoldForm(visit, offer, token, hold_id, state, visit.zone(offer.timezone))


def _made_anew(
    visit: Visit, offer: PublicEventType, token: str, posted: Mapping[str, str]
) -> tuple[str, holds.HoldState]:
    """A hold in place of one that ended long ago; the same again for the same form."""
    start, minutes = _moment(posted["start"]), visit.duration(offer.durations)
    state = holds.HoldState(offer.id, start, start + timedelta(minutes=minutes), False, 0, None)
    try:
        held = holds.create(
            offer.id,
            start,
            duration=minutes,
            key=token,
            keep=False,
            link=visit.private_link,
            client=visit.client,
        )
    except holds.AlreadyUsed as used:
        return "", replace(state, booking_id=used.booking_id)
    except SlotUnavailable:
        return "", state
    return held.id, holds.state(held.id)


def _book(form: HoldForm) -> BookingView:
    typed, visit, offer = form.typed, form.visit, form.offer
    minutes = int((form.state.end - form.state.start) / timedelta(minutes=1))
    return booking_create.create_booking(
        offer.id,
        form.state.start,
        form.zone,
        typed.get("name", ""),
        typed.get("email", ""),
        forms.answers(typed),
        given=details_form.given(typed),
        duration=minutes if minutes in offer.durations else visit.duration(offer.durations),
        hold_id=form.hold_id or None,
        client=visit.client,
        visitor=visit.known_visitor(),
        campaign=visit.campaign,
        link=visit.private_link,
        language=visit.language.tag,
    )


def _after(visit: Visit, path: str, view: BookingView) -> Response:
    visit.forget_prefill()
    return answers.see_other(visit, visit.link(f"{path}/booked/{view.manage_token}", duration="", link=""))


def _again(form: HoldForm) -> Response:
    """The form came again after its booking was made: whoever sent it knows whom it is for."""
    view = booking_queries.by_token(signed_links.token(form.state.booking_id or ""))
    if form.typed.get("email", "").strip().casefold() == view.email.casefold():
        return _after(form.visit, path_of(form.offer.workspace_slug, form.offer.slug), view)
    return _used(form)


def _used(form: HoldForm) -> Response:
    back = form.visit.link(path_of(form.offer.workspace_slug, form.offer.slug))
    return hold_form.page(form.visit, "used.html", 409, offer=form.offer, back=back)


def _moment(text: str) -> datetime:
    """The start that a button stands for. :raises InvalidInput: it is none."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidInput("This is no time.", field="start") from None
    if found.tzinfo is None:
        raise InvalidInput("This is no time.", field="start")
    return found
