"""Taking bookings: what a customer asks for is checked, and then placed.

How a booking is made is told in :mod:`calendar_app.services.bookings.placement`, what may happen to it afterwards in
:mod:`calendar_app.services.bookings.transitions` and :mod:`calendar_app.services.bookings.reschedule`, and how it is
shown in :mod:`calendar_app.services.bookings.queries`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime

from sqlmodel import Session

from calendar_app.db.session import clock, reading
from calendar_app.db.tables import Booking, EventType
from calendar_app.domain.booking_form import NOTHING_GIVEN, GivenDetails, check_details, parse_asked
from calendar_app.domain.intake import clean_answers, clean_campaign, clean_email, clean_name, parse_questions
from calendar_app.domain.timespan import instant
from calendar_app.services.availability import snapshot as slot_snapshot
from calendar_app.services.availability.slots import check_active, check_moment, check_zone
from calendar_app.services.bookings import holds, placement
from calendar_app.services.bookings.placement import Placed, Wish
from calendar_app.services.bookings.views import BookingView, view
from calendar_app.services.common import rate_limits
from calendar_app.services.common.languages import clean_language
from calendar_app.services.common.permissions import Actor
from calendar_app.services.event_types.meeting_places import places_of
from calendar_app.settings import get_settings


def create_booking(
    event_type_id: str,
    start: datetime,
    zone: str,
    name: str,
    email: str,
    answers: Mapping[str, object] | None = None,
    *,
    given: GivenDetails = NOTHING_GIVEN,
    duration: int | None = None,
    hold_id: str | None = None,
    actor: Actor | None = None,
    client: str = "",
    visitor: str = "",
    campaign: Mapping[str, object] | None = None,
    link: str = "",
    language: str = "",
    keep: Callable[[Session, BookingView], None] | None = None,
    now: datetime | None = None,
) -> BookingView:
    """Book ``start`` (aware) for a customer whose IANA zone is ``zone``; pending if it has to be approved first.

    ``given``: the meeting place, guests and whatever else the form of the event type asks for.

    ``hold_id`` is the id that :func:`calendar_app.services.bookings.holds.create` gave this visitor; with one that has
    been booked with, the answer is the booking that was made then. ``actor``: whoever is signed in; one who works in
    the workspace books for the customer, may use event types that are not public, and is not counted under ``client``,
    the visitor's address, and ``visitor``, their browser where it is known. ``campaign``: where they came from, see
    :func:`calendar_app.domain.intake.clean_campaign`. ``link``: the token of a private link, which is used up if it is
    for one booking. ``language``: the customer's, in which they are written to, see
    :func:`calendar_app.services.common.languages.clean_language`. ``keep`` runs last in the transaction, with the
    answer.

    :raises InvalidInput: the zone, the language, the person, the answers or what else was given; or the time has passed
        (``in_the_past``).
    :raises SlotUnavailable: taken meanwhile, at a provider too, or not offered.
    :raises NotFound: no such event type. :raises Conflict: it is switched off (``event_type_inactive``).
    :raises TooManyRequests: this visitor tries or books too often.
    """

    def write(session: Session, book: Callable[[], list[Placed]]) -> BookingView:
        (placed,) = book()
        made = placed.view(full=actor is not None)
        if keep is not None:
            keep(session, made)
        return made

    try:
        with reading() as session:
            now = now or clock(session)
            actor = slot_snapshot.colleague(session, event_type_id, actor)
            if made_before := _booked_with(session, hold_id, event_type_id, start, actor):
                return made_before
            if client and actor is None:
                allow(client, email, visitor)
            row = slot_snapshot.event_type_for(session, event_type_id, actor, link)
            wish = _wish(session, row, start, zone, name, email, answers or {}, given, duration, hold_id, now)
            wish = replace(
                wish,
                campaign=clean_campaign(campaign or {}),
                link=link,
                language=clean_language(language),
            )
            if client and actor is None:
                allow_letters(wish)
            tries = placement.prepare(session, [wish], now)
        made = placement.place(tries, actor, now, write)
    except (placement.Refused, holds.AlreadyUsed) as refused:
        # The same request may have come twice: the time is then taken by the visitor's own booking.
        with reading() as session:
            if made_before := _booked_with(session, hold_id, event_type_id, start, actor):
                return made_before
        raise (refused.reason if isinstance(refused, placement.Refused) else refused) from None
    if client and actor is None:
        booked(client, email, visitor=visitor)
        count_letters(wish)
    return made


def allow_letters(wish: Wish) -> None:
    """Let a visitor's booking be told to others than the customer.

    :raises TooManyRequests: one of them was told of too many.
    """
    for address in _others_told(wish):
        rate_limits.peek("bookings-for", _inbox(address), _most_letters())


def count_letters(wish: Wish) -> None:
    """A visitor's booking was told to others than the customer."""
    for address in _others_told(wish):
        rate_limits.count("bookings-for", _inbox(address), _most_letters())


def _others_told(wish: Wish) -> Iterator[str]:
    """Who hears of the booking besides the customer."""
    if wish.details is not None:
        yield from wish.details.guests
        if wish.details.booked_by is not None:
            yield wish.details.booked_by.email


def _most_letters() -> str:
    """How often visitors may book for whoever reads one address."""
    return f"{2 * get_settings().bookings_per_minute}/hour"


def _booked_with(
    session: Session, hold_id: str | None, event_type_id: str, start: datetime, actor: Actor | None
) -> BookingView | None:
    """The booking of this very time that was made with the hold before."""
    if not hold_id or start.tzinfo is None:
        return None
    booking_id = holds.booked(session, hold_id, event_type_id, instant(start))
    row = session.get(Booking, booking_id) if booking_id else None
    return view(session, row, full=actor is not None) if row else None


def allow(client: str, email: str, visitor: str = "") -> None:
    """Let ``client`` try to book once more for whoever reads ``email``; ``visitor`` is a browser that is known by its
    cookie: those behind one address are then counted each by itself, and all of them loosely.

    :raises TooManyRequests: it tries, or has booked, too often; or that person has got too many letters by visitors.
    """
    most = get_settings().bookings_per_minute
    rate_limits.check("booking-tries", visitor or client, f"{10 * most}/minute")
    for who, at_most in _counted(client, visitor, most):
        rate_limits.peek("bookings", who, f"{at_most}/minute")
    rate_limits.peek("bookings-for", _inbox(email), _most_letters())


def _counted(client: str, visitor: str, most: int) -> list[tuple[str, int]]:
    """Whom bookings are counted for, each with how many of them a minute may be made."""
    return [(visitor, most), (f"all of {client}", 10 * most)] if visitor else [(client, most)]


def booked(client: str, email: str, count: int = 1, *, visitor: str = "") -> None:
    """``client`` has made so many bookings for whoever reads ``email``; ``visitor`` as in :func:`allow`."""
    most = get_settings().bookings_per_minute
    for _ in range(count):
        for who, at_most in _counted(client, visitor, most):
            rate_limits.count("bookings", who, f"{at_most}/minute")
        rate_limits.count("bookings-for", _inbox(email), _most_letters())


def _inbox(email: str) -> str:
    """Where letters to ``email`` arrive, as far as its text tells: ``me+anything@`` is ``me@``."""
    local, _, domain = email.strip().lower()[:320].rpartition("@")
    return f"{local.partition('+')[0]}@{domain}"


def _wish(
    session: Session,
    row: EventType,
    start: datetime,
    zone: str,
    name: str,
    email: str,
    answers: Mapping[str, object],
    given: GivenDetails,
    duration: int | None,
    hold_id: str | None,
    now: datetime,
) -> Wish:
    """What is wanted, checked. Errors as :func:`create_booking`."""
    at = instant(check_moment(start, "start"))
    check_zone(zone)
    check_active(row)
    address = clean_email(email)
    return Wish(
        row.id,
        at,
        duration or 0,
        zone,
        clean_name(name),
        address,
        clean_answers(parse_questions(row.questions), answers),
        holds.find(session, hold_id, row.id, at, now) if hold_id else None,
        holds.row_id(session, hold_id, row.id, at) if hold_id else None,
        details=check_details(given, places_of(row), parse_asked(row.form_parts), address),
    )
