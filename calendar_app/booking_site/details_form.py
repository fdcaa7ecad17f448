"""The fields of the form beside name, e-mail and questions, as far as an event type asks for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache, partial

from babel import Locale
from babel.core import get_global

from calendar_app.booking_site import places
from calendar_app.booking_site.forms import Field
from calendar_app.booking_site.visit import Visit
from calendar_app.domain.booking_form import (
    LONGEST_NOTES,
    Asked,
    FormPart,
    GivenDetails,
    check_details,
    choose_place,
    clean_guests,
    parse_asked,
)
from calendar_app.domain.intake import NAME_LENGTH, clean_email
from calendar_app.domain.meeting_place import PlaceKind
from calendar_app.domain.phone import calling_codes, clean_phone
from calendar_app.errors import InvalidInput
from calendar_app.services.event_types.queries import PublicEventType

BOOKER = ("booked_by_name", "booked_by_email")
NAMES = ("meeting_place", "phone", "country", "guests", *BOOKER, "notes")
"""The names of the fields, those of :class:`GivenDetails`."""
_LONGEST_GUESTS = 4_000


def fields(visit: Visit, offer: PublicEventType, zone: str) -> list[Field]:
    """What ``offer`` asks for, empty; the country of phone numbers is that of the customer's IANA ``zone``."""
    _ = visit.language.gettext
    asked, found = parse_asked(offer.form_parts), []
    if len(offer.meeting_places) > 1:
        options = tuple(
            (place.id, places.named(place.kind, place.label, _)) for place in offer.meeting_places
        )
        found.append(Field("meeting_place", _("Where to meet"), "select", required=True, options=options))
    if FormPart.PHONE in asked or _we_may_call(offer):
        required = asked.get(FormPart.PHONE) is Asked.REQUIRED or _we_call(offer)
        found += _phone(visit, zone, required=required, we_call=_we_may_call(offer))
    if FormPart.GUESTS in asked:
        hint = _("E-mail addresses of others who should be invited, separated by commas or lines.")
        required = asked[FormPart.GUESTS] is Asked.REQUIRED
        found.append(
            Field("guests", _("Guests"), "textarea", required=required, most=_LONGEST_GUESTS, hint=hint)
        )
    if FormPart.NOTES in asked:
        required = asked[FormPart.NOTES] is Asked.REQUIRED
        found.append(Field("notes", _("Notes"), "textarea", required=required, most=LONGEST_NOTES))
    if FormPart.BOOKED_BY in asked:
        required = asked[FormPart.BOOKED_BY] is Asked.REQUIRED
        found += [
            Field("booked_by_name", _("Your name"), "text", required=required, most=NAME_LENGTH),
            Field("booked_by_email", _("Your email"), "email", required=required, most=320),
        ]
    return found


def _we_may_call(offer: PublicEventType) -> bool:
    return any(place.kind is PlaceKind.HOST_CALLS for place in offer.meeting_places)


def _we_call(offer: PublicEventType) -> bool:
    return bool(offer.meeting_places) and all(
        place.kind is PlaceKind.HOST_CALLS for place in offer.meeting_places
    )


def _phone(visit: Visit, zone: str, *, required: bool, we_call: bool) -> list[Field]:
    _ = visit.language.gettext
    options = _countries(visit.language.locale)
    home = get_global("zone_territories").get(zone, "")
    return [
        Field(
            "country",
            _("Country of the phone number"),
            "select",
            value=home if home in dict(options) else "",
            options=options,
        ),
        Field(
            "phone",
            _("Phone number"),
            "tel",
            required=required,
            autocomplete="tel",
            most=40,
            hint="" if required or not we_call else _("Needed if we are to call you."),
        ),
    ]


@lru_cache(maxsize=16)
def _countries(locale: Locale) -> tuple[tuple[str, str], ...]:
    """Codes and names of countries with what their numbers begin with, by name."""
    known = [
        (code, f"{locale.territories.get(code, code)} (+{number})")
        for code, number in calling_codes().items()
    ]
    return tuple(sorted(known, key=lambda each: each[1].casefold()))


def given(typed: Mapping[str, str]) -> GivenDetails:
    """What a posted form says of all this."""
    return GivenDetails(**{name: typed.get(name, "") for name in NAMES})


def checks(offer: PublicEventType, typed: Mapping[str, str]) -> list[Callable[[], object]]:
    """One check for each field, and one for all of them together; each raises what is wrong."""
    said, asked = given(typed), parse_asked(offer.form_parts)
    email = _email(typed)
    return [
        partial(choose_place, said.meeting_place, offer.meeting_places),
        partial(clean_phone, said.phone, country=said.country),
        partial(clean_guests, said.guests, email),
        partial(check_details, said, offer.meeting_places, asked, email),
    ]


def _email(typed: Mapping[str, str]) -> str:
    try:
        return clean_email(typed.get("email", ""))
    except InvalidInput:
        return ""
