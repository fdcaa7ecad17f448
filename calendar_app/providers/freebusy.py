"""Asking calendars one by one when they are busy: one that cannot be read does not spoil the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from calendar_app.domain.timespan import Span
from calendar_app.errors import AuthExpired, CalendarNotFound, EventNotFound, ProviderError
from calendar_app.providers.base import BusyAnswer


def one_by_one(
    calendar_ids: Sequence[str], busy: Callable[[str], list[Span] | None]
) -> dict[str, BusyAnswer]:
    """What ``busy`` says of each calendar, or why it could not. :raises AuthExpired: that is the account's, and whoever
    asked has to learn of it."""
    found: dict[str, BusyAnswer] = {}
    for calendar_id in calendar_ids:
        try:
            found[calendar_id] = busy(calendar_id)
        except AuthExpired:
            raise
        except EventNotFound as error:
            found[calendar_id] = CalendarNotFound(reason=error.reason)
        except ProviderError as error:
            found[calendar_id] = error
    return found
