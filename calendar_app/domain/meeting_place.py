"""Where a booking takes place: by phone, at an address, or online. Pure.

An event type offers one place or several to choose from. Of each, customers see the kind and the name before they book,
and what it takes to get there (:attr:`MeetingPlace.value`: the address, the number, the link) once the booking stands.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

from calendar_app.domain.intake import clean_text
from calendar_app.domain.phone import clean_phone
from calendar_app.errors import InvalidInput

MOST = 10
"""Places that one event type may offer."""
_LONGEST_VALUE, _LONGEST_LABEL = 500, 100
_LINK = re.compile(r"https?://\S+", re.IGNORECASE)
_ID = re.compile(r"[a-z0-9_-]{1,40}", re.ASCII)
_PARTS = frozenset({"id", "kind", "value", "label"})


class PlaceKind(StrEnum):
    """``LINK``: an address on the web that the business gives. A Jitsi room is made by us, the meetings of Google and
    Microsoft by the calendar that a booking is written into."""

    HOST_CALLS = "host_calls"
    CUSTOMER_CALLS = "customer_calls"
    ADDRESS = "address"
    LINK = "link"
    JITSI = "jitsi"
    GOOGLE_MEET = "google_meet"
    MICROSOFT_TEAMS = "microsoft_teams"


MADE_BY_CALENDARS = frozenset({PlaceKind.GOOGLE_MEET, PlaceKind.MICROSOFT_TEAMS})
ONLINE = frozenset({PlaceKind.LINK, PlaceKind.JITSI}) | MADE_BY_CALENDARS
WITH_VALUE = frozenset({PlaceKind.CUSTOMER_CALLS, PlaceKind.ADDRESS, PlaceKind.LINK})


@dataclass(frozen=True, slots=True)
class MeetingPlace:
    """``id`` tells the places of one event type apart. ``value``: the number to call (E.164), the address or the link;
    empty for the other kinds. ``label``: what the business calls it, for everybody to read; may be empty."""

    id: str
    kind: PlaceKind
    value: str = ""
    label: str = ""


def parse_places(documents: object) -> tuple[MeetingPlace, ...]:
    """The places of an event type from their JSON list: objects with ``kind``, and ``value``, ``label`` and ``id`` as
    in :class:`MeetingPlace`. :raises InvalidInput: ``field`` names the part that is wrong."""
    if not isinstance(documents, list | tuple) or len(documents) > MOST:
        raise InvalidInput(f"Meeting places are a list of at most {MOST}.", field="meeting_places")
    found: list[MeetingPlace] = []
    for number, document in enumerate(documents):
        part = f"meeting_places[{number}]"
        place = _place(document, part, {each.id for each in found})
        if any((each.kind, each.label) == (place.kind, place.label) for each in found):
            raise InvalidInput(
                "Two meeting places look the same to customers: give them different names.",
                field=f"{part}.label",
            )
        found.append(place)
    return tuple(found)


def _place(document: object, part: str, taken: set[str]) -> MeetingPlace:
    if not isinstance(document, Mapping):
        raise InvalidInput("A meeting place is an object.", field=part)
    if unknown := set(document) - _PARTS:
        name = str(min(map(str, unknown)))[:64]
        raise InvalidInput(f"{name!r} is not a part of a meeting place.", field=part)
    try:
        kind = PlaceKind(document.get("kind", ""))
    except ValueError:
        known = ", ".join(PlaceKind)
        raise InvalidInput(f"A meeting place's kind is one of {known}.", field=f"{part}.kind") from None
    place_id = document.get("id") or _free_id(kind, taken)
    if not isinstance(place_id, str) or not _ID.fullmatch(place_id) or place_id in taken:
        raise InvalidInput(
            "A meeting place's id is 1 to 40 letters a-z, digits, _ or -, used once.", field=f"{part}.id"
        )
    label = clean_text(document.get("label", ""), f"{part}.label", _LONGEST_LABEL)
    return MeetingPlace(place_id, kind, _value(kind, document.get("value", ""), f"{part}.value"), label)


def _free_id(kind: PlaceKind, taken: set[str]) -> str:
    ids = [kind.value, *(f"{kind}-{number}" for number in range(2, MOST + 2))]
    return next(each for each in ids if each not in taken)


def _value(kind: PlaceKind, given: object, part: str) -> str:
    text = clean_text(given, part, _LONGEST_VALUE)
    if kind not in WITH_VALUE:
        if text:
            raise InvalidInput("Nothing can be given for this kind of meeting place.", field=part)
        return ""
    if kind is PlaceKind.CUSTOMER_CALLS:
        if not (number := clean_phone(text, part)):
            raise InvalidInput("Please enter the phone number that customers call.", field=part)
        return number
    if kind is PlaceKind.LINK and not is_link(text):
        raise InvalidInput("Please enter a link that begins with https://.", field=part)
    if not text:
        raise InvalidInput("Please enter the address.", field=part)
    return text


def is_link(text: str) -> bool:
    """Whether the text is one address on the web, and nothing else."""
    if not _LINK.fullmatch(text):
        return False
    try:
        return bool(urlsplit(text).hostname)
    except ValueError:
        return False


def place_in_text(text: str) -> MeetingPlace | None:
    """The place that a line of text names: a link, or an address; ``None`` for no text."""
    if not text:
        return None
    kind = PlaceKind.LINK if is_link(text) else PlaceKind.ADDRESS
    return MeetingPlace(kind.value, kind, text)


def text_of(place: MeetingPlace) -> str:
    """The place as one line of text, for readers that know of no kinds; empty where there is nothing to say yet."""
    return place.value or place.label
