"""Guests, who books for whom, and the rest of the form, as it is checked."""

from __future__ import annotations

from typing import Any

import pytest

from calendar_app.domain.booking_form import (
    Asked,
    Booker,
    FormPart,
    GivenDetails,
    check_details,
    clean_guests,
    parse_asked,
)
from calendar_app.domain.meeting_place import parse_places
from calendar_app.errors import InvalidInput

EVERYTHING = dict.fromkeys(FormPart, Asked.OPTIONAL)
PLACES = parse_places([{"kind": "host_calls"}, {"kind": "jitsi"}])
ME = "grace@example.org"


def test_everything_that_is_asked_for() -> None:
    """Guests are addresses, each once and not the customer; whoever books for themselves is no booker."""
    found = check_details(
        GivenDetails(
            meeting_place="host_calls",
            phone="030 1234567",
            country="DE",
            guests="a@example.org, B@example.org\nb@example.org; GRACE@example.org",
            booked_by_name="Ada",
            booked_by_email="ada@example.org",
            notes=" By the lift.\r\nThanks ",
        ),
        PLACES,
        EVERYTHING,
        ME,
    )
    assert found.place == PLACES[0]
    assert (found.phone, found.guests) == ("+49301234567", ("a@example.org", "B@example.org"))
    assert (found.booked_by, found.notes) == (Booker("Ada", "ada@example.org"), "By the lift.\nThanks")
    alone = GivenDetails(meeting_place="jitsi", booked_by_name="Grace", booked_by_email="Grace@example.org")
    assert check_details(alone, PLACES, EVERYTHING, ME).booked_by is None


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"meeting_place": ""}, "meeting_place"),
        ({"meeting_place": "elsewhere"}, "meeting_place"),
        ({"meeting_place": "host_calls"}, "phone"),
        ({"phone": "nothing"}, "phone"),
        ({"guests": [f"g{number}@example.org" for number in range(1000)]}, "guests"),
        ({"guests": "g@example.org " * 1000}, "guests"),
        ({"guests": 7}, "guests"),
        ({"guests": ["a@example.org", "<script>"]}, "guests[1]"),
        ({"guests": [None]}, "guests[0]"),
        ({"booked_by_name": "Ada"}, "booked_by_email"),
        ({"booked_by_email": "ada@example.org"}, "booked_by_name"),
        ({"notes": "x" * 2_001}, "notes"),
        ({"notes": "a\x00b"}, "notes"),
    ],
)
def test_what_cannot_be_is_named(given: dict[str, Any], field: str) -> None:
    """Each refusal names its field."""
    with pytest.raises(InvalidInput) as refused:
        check_details(GivenDetails(**({"meeting_place": "jitsi"} | given)), PLACES, EVERYTHING, ME)
    assert refused.value.field == field


@pytest.mark.parametrize("part", list(FormPart))
def test_what_is_required_and_what_is_not_asked(part: FormPart) -> None:
    """A required part may not be left out; one that is not asked for may not be given."""
    with pytest.raises(InvalidInput):
        check_details(GivenDetails(), (), {part: Asked.REQUIRED}, ME)
    value = {"phone": "+49301234567", "guests": ["a@example.org"], "notes": "x"}.get(part)
    given = {part.value: value} if value else {"booked_by_name": "A", "booked_by_email": "a@example.org"}
    with pytest.raises(InvalidInput, match="not asked"):
        check_details(GivenDetails(**given), (), {}, ME)
    assert check_details(GivenDetails(), (), {part: Asked.OPTIONAL}, ME).guests == ()


def test_what_event_types_may_ask() -> None:
    """Known parts, in one order; everything else is refused."""
    assert list(parse_asked({"notes": "required", "guests": "optional"})) == [FormPart.GUESTS, FormPart.NOTES]
    for wrong in ([], {"shoe_size": "optional"}, {"guests": "maybe"}, {"guests": ["optional"]}):
        with pytest.raises(InvalidInput):
            parse_asked(wrong)
    assert clean_guests([]) == ()
