"""Holds and bookings over HTTP.

Anybody may hold and book what is public. A booking's manage token, from its ``manage_url``, stands in for an account
where a customer acts: as ``?token=``, for reading, cancelling, moving and the ``.ics``.
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Self

from fastapi import Query, Request, Response
from pydantic import BaseModel, Field

from calendar_app.api.cors import check_site
from calendar_app.api.deps import CurrentActor, MayChange, OptionalActor, client_address
from calendar_app.api.fields import Body, Instant, Key, Whole, Words
from calendar_app.api.idempotency import Idempotent, Keep
from calendar_app.api.paging import After, Limit, at, cut
from calendar_app.api.problem_codes import BOOKING, TRANSITION, fails
from calendar_app.api.routing import CALENDAR_FILE, Router
from calendar_app.domain.booking import Status as BookingStatus
from calendar_app.domain.booking_form import GivenDetails
from calendar_app.domain.calendar_write import WriteState
from calendar_app.domain.intake import CAMPAIGN_LENGTH
from calendar_app.errors import NotFound, NotSignedIn
from calendar_app.services.bookings import create as booking_create
from calendar_app.services.bookings import holds, ics, transitions
from calendar_app.services.bookings import queries as booking_queries
from calendar_app.services.bookings import reschedule as booking_reschedule
from calendar_app.services.bookings.views import BookingView
from calendar_app.services.common.permissions import Actor, Role

router = Router(tags=["bookings"])

Token = Annotated[str | None, Query(description="The token of the booking's manage link", max_length=4_000)]


class HoldIn(Body):
    """``replaces``: an earlier hold of yours that is dropped in the same step."""

    event_type_id: Key
    start: Instant
    timezone: str = "UTC"
    duration: Whole | None = None
    replaces: Key | None = None


class HoldOut(BaseModel):
    """``id`` is secret: whoever has it can book the time."""

    id: str
    event_type_id: str
    start: datetime
    end: datetime
    expires_at: datetime


class CampaignIn(Body):
    """Where the customer came from, as links of campaigns say it."""

    utm_source: str = Field(default="", max_length=CAMPAIGN_LENGTH)
    utm_medium: str = Field(default="", max_length=CAMPAIGN_LENGTH)
    utm_campaign: str = Field(default="", max_length=CAMPAIGN_LENGTH)
    utm_term: str = Field(default="", max_length=CAMPAIGN_LENGTH)
    utm_content: str = Field(default="", max_length=CAMPAIGN_LENGTH)


class BookerIn(Body):
    name: str
    email: str


class DetailsIn(Body):
    """``meeting_place``: the id of one of the event type's, needed where there are several. ``guests``: e-mail
    addresses. ``booked_by``: who books, where that is not the customer. ``phone``: with its country."""

    meeting_place: Key = ""
    phone: str = ""
    guests: list[str] = Field(default=[])
    booked_by: BookerIn | None = None
    notes: str = ""

    def details(self) -> GivenDetails:
        """What it says besides name, e-mail and answers."""
        return GivenDetails(
            meeting_place=self.meeting_place,
            phone=self.phone,
            guests=self.guests,
            booked_by_name=self.booked_by.name if self.booked_by else "",
            booked_by_email=self.booked_by.email if self.booked_by else "",
            notes=self.notes,
        )


class BookingIn(DetailsIn):
    """``timezone`` is the customer's; ``answers`` by question id; ``duration`` in minutes, the first by default.

    ``meeting_place``: the id of one of the event type's, needed where there are several. ``guests``: e-mail addresses.
    ``booked_by``: who books, where that is not the customer. ``phone``: with its country, ``+49 30 1234567``.
    ``language``: the customer's, in which e-mails to them are written, ``de`` or ``en-GB``; the workspace's by default.
    """

    event_type_id: Key
    start: Instant
    timezone: str
    language: Key = ""
    name: str
    email: str
    answers: dict[str, Any] = Field(default={})
    campaign: CampaignIn | None = None
    duration: Whole | None = None
    hold_id: Key | None = None

    def book(
        self,
        keep: Keep[BookingView] | None,
        *,
        client: str,
        actor: Actor | None = None,
        visitor: str = "",
        link: str = "",
    ) -> BookingView:
        """Make the booking; who books, and by which private link, as :func:`booking_create.create_booking` says."""
        return booking_create.create_booking(
            self.event_type_id,
            self.start,
            self.timezone,
            self.name,
            self.email,
            self.answers,
            given=self.details(),
            duration=self.duration,
            hold_id=self.hold_id,
            campaign=self.campaign.model_dump() if self.campaign else None,
            language=self.language,
            keep=keep,
            client=client,
            actor=actor,
            visitor=visitor,
            link=link,
        )


class ReasonIn(Body):
    reason: str = ""


class RescheduleIn(Body):
    """``reason``: what is said about it, at most 1,000 characters."""

    start: Instant
    timezone: str | None = None
    reason: str = ""


class BookingHostOut(BaseModel):
    id: str
    name: str


class ReceiptOut(BaseModel):
    """How far one calendar has come. ``state``: ``queued``, ``written``, ``verified``, ``failed`` or ``removed``."""

    calendar: str
    calendar_id: str
    provider: str
    account: str
    state: WriteState
    attempts: int
    last_error: str
    next_attempt_at: datetime | None
    written_at: datetime | None
    verified_at: datetime | None
    html_link: str


class BookingPlaceOut(BaseModel):
    """Where a booking takes place. ``where``: the address, link or phone number, which customers are told while the
    booking stands."""

    kind: str
    label: str
    where: str


class BookingOut(BaseModel):
    """A booking. ``calendar_event_id`` (by provider) and ``sync`` (by calendar) are told to staff only. ``language``
    is empty where nothing is known of the customer's. ``link_follows``: a calendar makes the online meeting, and its
    link is not there yet; ``meeting_error`` tells staff why there is none. ``manage_url`` is empty for API tokens that
    may only read."""

    id: str
    status: BookingStatus
    event_type_id: str
    event_type_slug: str
    workspace_slug: str
    title: str
    start: datetime
    end: datetime
    timezone: str
    language: str
    name: str
    email: str
    answers: dict[str, Any]
    campaign: dict[str, str]
    location: str
    place: BookingPlaceOut
    link_follows: bool
    meeting_error: str
    phone: str
    guests: list[str]
    booked_by_name: str
    booked_by_email: str
    notes: str
    color: str
    hosts: list[BookingHostOut]
    manage_url: str
    calendar_event_id: dict[str, str]
    sync: list[ReceiptOut]
    version: int
    sequence: int
    created_at: datetime
    updated_at: datetime
    cancelled_at: datetime | None
    cancelled_by: str
    cancel_reason: str
    change_deadline: datetime

    @classmethod
    def of(cls, view: BookingView, *, links: bool = True) -> Self:
        """The service's view without what only pages need; ``links``: with what lets its reader change the booking."""
        found = cls.model_validate(asdict(view) | {"updated_at": view.changed_at})
        return found if links else found.model_copy(update={"manage_url": ""})


class BookingList(BaseModel):
    items: list[BookingOut]
    next: str | None


class HistoryOut(BaseModel):
    id: str
    at: datetime
    who: str
    action: str
    detail: dict[str, Any]


class HistoryList(BaseModel):
    items: list[HistoryOut]
    next: str | None = None


@router.post("/holds", status_code=201, response_model=HoldOut, responses=fails(*BOOKING, "site_not_allowed"))
def create_hold(request: Request, actor: OptionalActor, body: HoldIn, idempotent: Idempotent) -> Response:
    """Keep a slot for ten minutes while the form is filled in."""
    check_site(request, body.event_type_id)

    def work() -> HoldOut:
        made = holds.create(
            body.event_type_id,
            body.start,
            body.timezone,
            duration=body.duration,
            replaces=body.replaces,
            actor=actor,
            client=client_address(request),
        )
        return HoldOut(**asdict(made))

    return idempotent.run(201, work)


@router.delete("/holds/{hold_id}", status_code=204)
def release_hold(hold_id: Key) -> None:
    """Let a held slot go."""
    holds.release(hold_id)


@router.post(
    "/bookings", status_code=201, response_model=BookingOut, responses=fails(*BOOKING, "site_not_allowed")
)
def create_booking(
    request: Request, actor: OptionalActor, body: BookingIn, idempotent: Idempotent
) -> Response:
    """Book a slot: 409 ``slot_unavailable`` if it was taken meanwhile, here or at a provider, or is not offered."""
    check_site(request, body.event_type_id)

    def work(keep: Keep[BookingView] | None) -> BookingView:
        return body.book(keep, actor=actor, client=client_address(request))

    return idempotent.run_in_transaction(201, work, BookingOut.of)


@router.get("/bookings")
def list_bookings(
    actor: CurrentActor,
    links: MayChange,
    status: Annotated[list[BookingStatus] | None, Query()] = None,
    start: Annotated[Instant | None, Query(description="Bookings that start at or after this")] = None,
    end: Annotated[Instant | None, Query(description="Bookings that start before this")] = None,
    event_type_id: Key | None = None,
    host_id: Key | None = None,
    q: Annotated[Words, Query(description="Part of the customer's name or address")] = "",
    updated_since: Annotated[
        Instant | None, Query(description="Bookings made or changed then or later, the oldest change first")
    ] = None,
    newest_first: bool = False,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    after: Annotated[Key | None, Query(description="`next` of the page before")] = None,
) -> BookingList:
    """Bookings by start: all for managers, their own for staff and customers."""
    found = booking_queries.list_bookings(
        actor,
        status=status or (),
        start=start,
        end=end,
        event_type_id=event_type_id,
        host_id=host_id,
        search=q,
        updated_since=updated_since,
        newest_first=newest_first,
        limit=limit,
        after=after,
    )
    return BookingList(items=[BookingOut.of(view, links=links) for view in found.items], next=found.next)


@router.get(
    "/bookings/{booking_id}.ics", response_class=Response, responses=CALENDAR_FILE | fails("not_signed_in")
)
def get_booking_ics(booking_id: Key, actor: OptionalActor, token: Token = None) -> Response:
    """The booking as an iCalendar file, with what its reader may know."""
    view = _read(booking_id, actor, token)
    reader = actor.role if token is None and actor is not None else Role.CUSTOMER
    return Response(
        ics.ics(view, reader),
        media_type="text/calendar; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{view.event_type_slug}.ics"'},
    )


@router.get("/bookings/{booking_id}", responses=fails("not_signed_in"))
def get_booking(booking_id: Key, actor: OptionalActor, links: MayChange, token: Token = None) -> BookingOut:
    """One booking, with its receipts for staff."""
    return BookingOut.of(_read(booking_id, actor, token), links=links)


@router.get("/bookings/{booking_id}/history")
def list_booking_history(
    booking_id: Key, actor: CurrentActor, limit: Limit = 100, after: After = None
) -> HistoryList:
    """Who did what to the booking, oldest first."""
    found = booking_queries.history(actor, booking_id)
    items, more = cut(found, limit, after, lambda entry: (at(entry.at), entry.id))
    return HistoryList(items=[HistoryOut(**asdict(entry)) for entry in items], next=more)


@router.post("/bookings/{booking_id}/confirm", responses=fails(*TRANSITION, "slot_unavailable"))
def confirm_booking(booking_id: Key, actor: CurrentActor) -> BookingOut:
    """Approve a pending booking."""
    return BookingOut.of(transitions.confirm(actor, booking_id))


@router.post("/bookings/{booking_id}/decline", responses=fails(*TRANSITION))
def decline_booking(booking_id: Key, actor: CurrentActor, body: ReasonIn | None = None) -> BookingOut:
    """Refuse a pending booking."""
    return BookingOut.of(transitions.decline(actor, booking_id, body.reason if body else ""))


@router.post("/bookings/{booking_id}/cancel", responses=fails("not_signed_in", *TRANSITION))
def cancel_booking(
    booking_id: Key, actor: OptionalActor, body: ReasonIn | None = None, token: Token = None
) -> BookingOut:
    """Cancel; doing it again changes nothing. Customers are bound by the event type's notice."""
    reason = body.reason if body else ""
    if token is not None:
        _same(booking_id, token)
        return BookingOut.of(transitions.cancel_by_token(token, reason))
    return BookingOut.of(transitions.cancel(_signed_in(actor), booking_id, reason))


@router.post("/bookings/{booking_id}/reschedule", responses=fails(*BOOKING, *TRANSITION, "not_signed_in"))
def reschedule_booking(
    booking_id: Key, actor: OptionalActor, body: RescheduleIn, token: Token = None
) -> BookingOut:
    """Move to another time with the same hosts and length. Customers only to what is offered."""
    if token is not None:
        _same(booking_id, token)
        return BookingOut.of(
            booking_reschedule.reschedule_by_token(token, body.start, zone=body.timezone, reason=body.reason)
        )
    return BookingOut.of(
        booking_reschedule.reschedule(
            _signed_in(actor), booking_id, body.start, zone=body.timezone, reason=body.reason
        )
    )


@router.post("/bookings/{booking_id}/no-show", responses=fails(*TRANSITION))
def mark_no_show(booking_id: Key, actor: CurrentActor) -> BookingOut:
    """Mark that the customer did not come."""
    return BookingOut.of(transitions.no_show(actor, booking_id))


@router.post("/bookings/{booking_id}/sync/retry", responses=fails("conflict"))
def retry_booking_sync(booking_id: Key, actor: CurrentActor) -> BookingOut:
    """Take failed calendar writes up again."""
    return BookingOut.of(transitions.retry_sync(actor, booking_id))


def _read(booking_id: Key, actor: Actor | None, token: str | None) -> BookingView:
    if token is None:
        return booking_queries.get(_signed_in(actor), booking_id)
    _same(booking_id, token)
    return booking_queries.by_token(token)


def _same(booking_id: str, token: str) -> None:
    """A token opens its own booking only. :raises NotFound: it is another one's, or none at all."""
    if booking_queries.by_token(token).id != booking_id:
        raise NotFound("There is no such booking.")


def _signed_in(actor: Actor | None) -> Actor:
    if actor is None:
        raise NotSignedIn("Sign in, or use the booking's manage link.")
    return actor
