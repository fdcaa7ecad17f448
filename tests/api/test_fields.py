"""Types of parameters, and the writing of times."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calendar_app.api.fields import rfc3339
from calendar_app.domain.timespan import Span

YEARS = st.integers(946_684_800, 4_102_444_800)
"""2000 to 2100."""


@given(st.sampled_from(sorted(available_timezones())), YEARS, st.integers(1, 400 * 86_400), st.data())
def test_times_are_written_as_datetime_would(zone: str, start: int, length: int, data: st.DataObject) -> None:
    """Every instant of a window, its end included, equals ``datetime.isoformat()`` in that zone."""
    window = Span(start, start + length)
    write = rfc3339(zone, window)
    for at in [window.start, window.end, *data.draw(st.lists(st.integers(*window), max_size=5))]:
        assert write(at) == datetime.fromtimestamp(at, ZoneInfo(zone)).isoformat()


def test_an_instant_outside_is_refused() -> None:
    """The window's offsets say nothing of later instants."""
    with pytest.raises(ValueError, match="outside"):
        rfc3339("UTC", Span(0, 10))(12)
