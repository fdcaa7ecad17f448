"""Phone numbers with their country, kept as ITU-T E.164 writes them: ``+493012345678``.

Whether a number can exist is judged by the numbering plans of Google's libphonenumber: its length, and whether its
country has given out numbers that begin so (``is_valid_number``;
https://github.com/google/libphonenumber/blob/master/FAQ.md). Whether somebody answers it, nobody can tell. Plans
change, and the library with them several times a year.
"""

from __future__ import annotations

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberFormat

from calendar_app.domain.intake import clean_text
from calendar_app.errors import InvalidInput

_EXAMPLE = "Please enter a phone number with its country, like +49 30 1234567."


def clean_phone(value: object, part: str = "phone", *, country: str = "") -> str:
    """The number, or ``""`` for nothing. ``country``: the ISO 3166 code that a number without ``+`` belongs to.

    :raises InvalidInput: it is no number, or nobody can tell its country; ``field`` is ``part``.
    """
    text = clean_text(value, part, 40)
    if not text:
        return ""
    try:
        number = phonenumbers.parse(text, country.upper() or None)
    except NumberParseException:
        raise InvalidInput(_EXAMPLE, field=part) from None
    if not phonenumbers.is_valid_number(number) or number.extension:
        raise InvalidInput(_EXAMPLE, field=part)
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)


def readable_phone(number: str) -> str:
    """``+49 30 12345678``: a number of :func:`clean_phone` as people read it."""
    try:
        parsed = phonenumbers.parse(number)
    except NumberParseException:
        return number
    return phonenumbers.format_number(parsed, PhoneNumberFormat.INTERNATIONAL)


def calling_codes() -> dict[str, int]:
    """``{"DE": 49, …}``: every country, with what its numbers begin with."""
    return {region: phonenumbers.country_code_for_region(region) for region in phonenumbers.SUPPORTED_REGIONS}
