"""In which language somebody is written to: customers in that of their booking, staff in that of their workspace."""

from __future__ import annotations

from calendar_app import translations
from calendar_app.errors import InvalidInput
from calendar_app.settings import get_settings


def clean_language(tag: str) -> str:
    """A tag like ``de`` or ``de-AT`` as it is kept; empty stays empty, and means the workspace's language.

    :raises InvalidInput: there is nothing in this language (``language``).
    """
    if not tag:
        return ""
    found = translations.offered_tag(tag, pseudo=not get_settings().production)
    if not found:
        known = " or ".join(translations.NAMES)
        raise InvalidInput(f"A language is {known}, with or without a region, like en-GB.", field="language")
    return found
