"""What the form asks beside name, e-mail and questions: guests, who books for whom, a phone number, notes. Pure.

An event type says which of these it asks for, and whether an answer is required.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from calendar_app.domain.intake import clean_email, clean_name, clean_text
from calendar_app.domain.meeting_place import MeetingPlace, PlaceKind
from calendar_app.domain.phone import clean_phone
from calendar_app.errors import InvalidInput

MOST_GUESTS = 10
LONGEST_NOTES = 2_000
_LONGEST_LIST = 4_000
_BETWEEN = re.compile(r"[,;\s]+")


class FormPart(StrEnum):
    """``BOOKED_BY``: whoever fills in the form may book for somebody else."""

    GUESTS = "guests"
    BOOKED_BY = "booked_by"
    PHONE = "phone"
    NOTES = "notes"


class Asked(StrEnum):
    """How a part is asked for. A part that is not asked for is not named at all."""

    OPTIONAL = "optional"
    REQUIRED = "required"


@dataclass(frozen=True, slots=True)
class Booker:
    """Who booked for somebody else."""

    name: str
    email: str


@dataclass(frozen=True, slots=True)
class Details:
    """What was entered, checked. ``phone`` is E.164; ``guests`` are e-mail addresses, each once."""

    place: MeetingPlace | None = None
    phone: str = ""
    guests: tuple[str, ...] = ()
    booked_by: Booker | None = None
    notes: str = ""


@dataclass(frozen=True, slots=True)
class GivenDetails:
    """What was entered, as it came. ``meeting_place`` is an id; ``country``: of a phone number without ``+``;
    ``guests``: a list, or text with commas or line ends between the addresses."""

    meeting_place: object = ""
    phone: object = ""
    country: str = ""
    guests: object = ()
    booked_by_name: object = ""
    booked_by_email: object = ""
    notes: object = ""


NOTHING_GIVEN = GivenDetails()


def parse_asked(document: object) -> dict[FormPart, Asked]:
    """``{"guests": "optional"}``: what an event type asks for. :raises InvalidInput: it is no such object."""
    if not isinstance(document, Mapping):
        raise InvalidInput("form_parts is an object.", field="form_parts")
    try:
        found = {FormPart(part): Asked(how) for part, how in document.items()}
    except (ValueError, TypeError):
        raise InvalidInput(
            f"form_parts names {', '.join(FormPart)}, each {' or '.join(Asked)}.", field="form_parts"
        ) from None
    return {part: found[part] for part in FormPart if part in found}


def check_details(
    given: GivenDetails, places: Sequence[MeetingPlace], asked: Mapping[FormPart, Asked], email: str
) -> Details:
    """What was entered, held against what an event type asks for. ``email``: the customer's, who is no guest besides.

    :raises InvalidInput: ``field`` is the name in :class:`GivenDetails`, or ``guests[2]``.
    """
    place = choose_place(given.meeting_place, places)
    found = Details(
        place=place,
        phone=clean_phone(given.phone, country=given.country),
        guests=clean_guests(given.guests, email),
        booked_by=_booker(given, email),
        notes=clean_text(given.notes, "notes", LONGEST_NOTES, lines=True),
    )
    must_call = place is not None and place.kind is PlaceKind.HOST_CALLS
    for part in FormPart:
        answer, how = getattr(found, part), asked.get(part)
        if must_call and part is FormPart.PHONE:
            how = Asked.REQUIRED
        if answer and how is None:
            if part is FormPart.PHONE and any(each.kind is PlaceKind.HOST_CALLS for each in places):
                continue
            raise InvalidInput("This is not asked for here.", field=part.value)
        if not answer and how is Asked.REQUIRED:
            field = "booked_by_name" if part is FormPart.BOOKED_BY else part.value
            raise InvalidInput(_MISSING[part], field=field)
    return found


_MISSING = {
    FormPart.GUESTS: "Please enter the e-mail address of at least one guest.",
    FormPart.BOOKED_BY: "Please enter who books.",
    FormPart.PHONE: "Please enter a phone number with its country, like +49 30 1234567.",
    FormPart.NOTES: "Please fill this in.",
}


def choose_place(chosen: object, places: Sequence[MeetingPlace]) -> MeetingPlace | None:
    """The place of that id, or the only one there is. :raises InvalidInput: none was chosen, or it is not offered."""
    if not chosen:
        if len(places) > 1:
            raise InvalidInput("Please choose where to meet.", field="meeting_place")
        return places[0] if places else None
    found = next((place for place in places if place.id == chosen), None)
    if found is None:
        raise InvalidInput("This meeting place is not offered. Please choose another.", field="meeting_place")
    return found


def clean_guests(given: object, email: str = "") -> tuple[str, ...]:
    """The guests' addresses, each once and without ``email``. :raises InvalidInput: too many, or not an address."""
    if isinstance(given, str):
        if len(given) > _LONGEST_LIST:
            raise InvalidInput(f"At most {MOST_GUESTS} guests can be added.", field="guests")
        given = [part for part in _BETWEEN.split(given) if part]
    if not isinstance(given, list | tuple):
        raise InvalidInput("Guests are a list of e-mail addresses.", field="guests")
    if len(given) > MOST_GUESTS:
        raise InvalidInput(f"At most {MOST_GUESTS} guests can be added.", field="guests")
    found: dict[str, str] = {}
    for number, address in enumerate(given):
        try:
            cleaned = clean_email(address)
        except InvalidInput:
            raise InvalidInput(
                f"Guest {number + 1}: please enter an e-mail address like name@example.com.",
                field=f"guests[{number}]",
            ) from None
        if cleaned.casefold() != email.casefold():
            found.setdefault(cleaned.casefold(), cleaned)
    return tuple(found.values())


def _booker(given: GivenDetails, email: str) -> Booker | None:
    if not given.booked_by_name and not given.booked_by_email:
        return None
    try:
        found = Booker(clean_name(given.booked_by_name), clean_email(given.booked_by_email))
    except InvalidInput as error:
        raise InvalidInput(error.detail, field=f"booked_by_{error.field}") from None
    return found if found.email.casefold() != email.casefold() else None
