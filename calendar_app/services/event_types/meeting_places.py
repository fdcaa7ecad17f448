"""Where an event type's bookings take place: what is offered, what a booking has, and what is told of it.

``location`` stands beside ``meeting_places`` in a row, because the release before knows nothing else: it shows the
first place as text, and where it differs from that, the release before has changed it, and the text counts.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from calendar_app.db.tables import Booking, EventType
from calendar_app.domain.booking_form import Details
from calendar_app.domain.meeting_place import (
    ONLINE,
    MeetingPlace,
    PlaceKind,
    parse_places,
    place_in_text,
    text_of,
)
from calendar_app.domain.phone import readable_phone
from calendar_app.settings import get_settings

TITLES = {
    PlaceKind.HOST_CALLS: "Phone: the host calls",
    PlaceKind.CUSTOMER_CALLS: "Phone: the customer calls",
    PlaceKind.ADDRESS: "In person",
    PlaceKind.LINK: "Online",
    PlaceKind.JITSI: "Jitsi Meet",
    PlaceKind.GOOGLE_MEET: "Google Meet",
    PlaceKind.MICROSOFT_TEAMS: "Microsoft Teams",
}
"""What staff read of each kind, in English."""


@dataclass(frozen=True, slots=True)
class PlaceView:
    """Where a booking takes place. ``where``: the address, the link or the phone number, empty where its
    reader may not know it."""

    kind: str = ""
    label: str = ""
    where: str = ""

    @property
    def link(self) -> str:
        """The address of an online meeting; empty for other places."""
        return self.where if self.kind in ONLINE else ""


def places_of(row: EventType) -> tuple[MeetingPlace, ...]:
    """The places that a stored event type offers."""
    places = parse_places(row.meeting_places)
    if row.location == _line(places):
        return places
    place = place_in_text(row.location)
    return (place,) if place else ()


def assign_places(row: EventType, places: Sequence[MeetingPlace]) -> None:
    """Set what an event type offers."""
    row.meeting_places = [
        {"id": place.id, "kind": place.kind.value, "value": place.value, "label": place.label}
        for place in places
    ]
    row.location = _line(places)


def _line(places: Sequence[MeetingPlace]) -> str:
    return text_of(places[0]) if places else ""


def place_booking(booking: Booking, details: Details) -> None:
    """Give a new booking its place. A Jitsi room is one that nobody can guess, and no other booking's."""
    place = details.place
    if place is None:
        return
    booking.place_kind, booking.place_label = place.kind.value, place.label
    booking.location = place.value
    if place.kind is PlaceKind.JITSI:
        booking.location = f"{get_settings().jitsi_url}/{secrets.token_hex(16)}"
    elif place.kind is PlaceKind.HOST_CALLS:
        booking.location = details.phone


def place_of(booking: Booking, *, told: bool) -> PlaceView:
    """Where a booking takes place, for a reader who may be ``told``, or who sees only which kind of place it is."""
    kind = booking.place_kind
    if not kind:
        known = place_in_text(booking.location)
        kind = known.kind.value if known else ""
    where = booking.location if told else ""
    if kind in (PlaceKind.HOST_CALLS, PlaceKind.CUSTOMER_CALLS):
        where = readable_phone(where)
    return PlaceView(kind, booking.place_label, where)


def place_in_words(place: PlaceView, *, for_host: bool, _: Callable[[str], str] = str) -> str:
    """One line about a place, for emails and calendars, in English or as ``_`` translates it; empty where there is none
    to tell."""
    number = {"number": place.where}
    match place.kind:
        case PlaceKind.HOST_CALLS if place.where:
            line = _("Phone: call %(number)s") if for_host else _("Phone: we call you at %(number)s")
            return line % number
        case PlaceKind.CUSTOMER_CALLS if place.where:
            line = _("Phone: the customer calls %(number)s") if for_host else _("Phone: call %(number)s")
            return line % number
        case PlaceKind.ADDRESS | PlaceKind.LINK if place.label and place.where:
            return f"{place.label}: {place.where}"
        case _:
            return place.where
