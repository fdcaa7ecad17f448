"""Meeting places and phone numbers as they are read."""

from __future__ import annotations

from typing import Any

import pytest

from calendar_app.domain.meeting_place import MOST, MeetingPlace, PlaceKind, parse_places, place_in_text
from calendar_app.domain.phone import calling_codes, clean_phone, readable_phone
from calendar_app.errors import InvalidInput


def test_places_get_ids_and_keep_what_was_given() -> None:
    """A place without an id is named after its kind; numbers are kept as E.164 writes them."""
    found = parse_places(
        [
            {"kind": "address", "value": " Main Street 1 "},
            {"kind": "address", "value": "High Street 2", "label": "Branch"},
            {"kind": "customer_calls", "value": "+49 30 1234567", "id": "hotline"},
            {"kind": "jitsi"},
        ]
    )
    assert found == (
        MeetingPlace("address", PlaceKind.ADDRESS, "Main Street 1"),
        MeetingPlace("address-2", PlaceKind.ADDRESS, "High Street 2", "Branch"),
        MeetingPlace("hotline", PlaceKind.CUSTOMER_CALLS, "+49301234567"),
        MeetingPlace("jitsi", PlaceKind.JITSI),
    )


@pytest.mark.parametrize(
    ("documents", "field"),
    [
        ("online", "meeting_places"),
        ([{"kind": "jitsi", "label": str(number)} for number in range(MOST + 1)], "meeting_places"),
        (["address"], "meeting_places[0]"),
        ([{"kind": "jitsi", "color": "red"}], "meeting_places[0]"),
        ([{"kind": "moon"}], "meeting_places[0].kind"),
        ([{"kind": ["jitsi"]}], "meeting_places[0].kind"),
        ([{"kind": "address"}], "meeting_places[0].value"),
        ([{"kind": "jitsi", "value": "x"}], "meeting_places[0].value"),
        ([{"kind": "link", "value": "javascript:alert(1)"}], "meeting_places[0].value"),
        ([{"kind": "link", "value": "https://"}], "meeting_places[0].value"),
        ([{"kind": "customer_calls", "value": "030 1234567"}], "meeting_places[0].value"),
        ([{"kind": "jitsi", "id": "A b"}], "meeting_places[0].id"),
        ([{"kind": "jitsi", "id": "a"}, {"kind": "jitsi", "label": "b", "id": "a"}], "meeting_places[1].id"),
        ([{"kind": "jitsi"}, {"kind": "jitsi"}], "meeting_places[1].label"),
        ([{"kind": "jitsi", "label": "x" * 101}], "meeting_places[0].label"),
    ],
)
def test_what_is_no_place_is_refused(documents: Any, field: str) -> None:
    """The part that is wrong is named."""
    with pytest.raises(InvalidInput) as refused:
        parse_places(documents)
    assert refused.value.field == field


@pytest.mark.parametrize(
    ("text", "kind"),
    [("https://meet.example.org/x", "link"), ("Room 1", "address"), ("https://a.test, then ring", "address")],
)
def test_a_line_of_text_is_a_link_or_an_address(text: str, kind: str) -> None:
    """What event types had before there were kinds."""
    assert place_in_text(text) == MeetingPlace(kind, PlaceKind(kind), text)
    assert place_in_text("") is None


@pytest.mark.parametrize(
    ("text", "country", "kept"),
    [
        ("0664 1234567", "AT", "+436641234567"),
        ("020 7946 0000", "GB", "+442079460000"),
        ("06 12 34 56 78", "fr", "+33612345678"),
        ("+81 3 1234 5678", "", "+81312345678"),
        ("+49 111 1111111", "", None),
        ("1234567", "DE", None),
        ("+1 555 0100", "", None),
        ("+1 123 456 7890", "", None),
        ("+33 0 12 34 56 78", "", None),
        ("+49 30 1234567 ext. 5", "", None),
    ],
)
def test_phone_numbers_are_ones_that_their_country_gives_out(
    text: str, country: str, kept: str | None
) -> None:
    """A number of the right length is not enough: it has to begin as numbers there do."""
    if kept is not None:
        assert clean_phone(text, country=country) == kept
        return
    with pytest.raises(InvalidInput, match="phone number"):
        clean_phone(text, country=country)


def test_phone_numbers_have_a_country() -> None:
    """By ``+``, or by the country that was chosen; anything else is refused."""
    assert clean_phone("+49 (30) 1234567") == "+49301234567"
    assert clean_phone("030 1234567", country="DE") == "+49301234567"
    assert clean_phone("+1 212 555 0123", country="DE") == "+12125550123"
    assert clean_phone("") == ""
    assert readable_phone("+49301234567") == "+49 30 1234567"
    assert calling_codes()["DE"] == 49
    for wrong in ("030 1234567", "+49 1", "call me", "+999 123456", "<b>+4930</b>", "+49301234567\n", 7):
        if wrong == "+49301234567\n":
            assert clean_phone(wrong) == "+49301234567"
            continue
        with pytest.raises(InvalidInput, match=r"phone number|text"):
            clean_phone(wrong)
