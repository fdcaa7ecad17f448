"""Meeting places in the customer's words: what they are called before a booking, and what is told of them after it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from calendar_app.domain.booking import Status
from calendar_app.domain.meeting_place import MeetingPlace, PlaceKind
from calendar_app.services.event_types.meeting_places import PlaceView

Translate = Callable[[str], str]


def named(kind: str, label: str, _: Translate) -> str:
    """What the business calls a place, else its kind; empty for no place."""
    if label or not kind:
        return label
    return {
        PlaceKind.HOST_CALLS: _("Phone: we call you"),
        PlaceKind.CUSTOMER_CALLS: _("Phone: you call us"),
        PlaceKind.ADDRESS: _("In person"),
        PlaceKind.LINK: _("Online"),
        PlaceKind.JITSI: "Jitsi Meet",
        PlaceKind.GOOGLE_MEET: "Google Meet",
        PlaceKind.MICROSOFT_TEAMS: "Microsoft Teams",
    }[PlaceKind(kind)]


def names(offered: Iterable[MeetingPlace], _: Translate) -> list[str]:
    """The places of an event type."""
    return [named(place.kind, place.label, _) for place in offered]


def told(place: PlaceView, status: str, _: Translate, *, link_follows: bool = False) -> str:
    """A line about the place of a booking; empty where its kind says it all, or where it has a link to show."""
    if status == Status.PENDING and place.kind:
        return _("You learn the details once the booking is confirmed.")
    if link_follows:
        return _("The link follows by e-mail.")
    if not place.where:
        return ""
    match place.kind:
        case PlaceKind.HOST_CALLS:
            return _("We call you at %(number)s.") % {"number": place.where}
        case PlaceKind.CUSTOMER_CALLS:
            return _("Please call %(number)s.") % {"number": place.where}
        case _:
            return place.where
