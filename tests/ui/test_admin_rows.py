"""What the operations and security pages say, in words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from calendar_app.queues import QueueState
from calendar_app.services.common.audit_log import AuditView
from calendar_app.services.external_changes.queries import DeviationView
from calendar_app.ui.pages.admin import rows
from calendar_app.ui.pages.security.rows import browser_name

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def deviation(kind: str, choices: tuple[str, ...], found: datetime | None) -> DeviationView:
    return DeviationView(
        id="d",
        kind=kind,
        booking_id="b",
        title="Intro call",
        name="Grace",
        booked_start=NOW,
        booked_end=NOW + timedelta(minutes=30),
        found_start=found,
        found_end=found + timedelta(minutes=30) if found else None,
        calendar_id="c",
        calendar="Main",
        provider="google",
        provider_title="Google",
        account="ada@example.com",
        sentence="It differs.",
        reason="",
        choices=choices,
        found_at=NOW,
        resolved_at=None,
        resolution="",
    )


@pytest.mark.parametrize(
    ("kind", "found", "words"),
    [
        ("moved", NOW + timedelta(hours=1), ("Move the booking", "Move it back")),
        ("deleted", None, ("Cancel the booking", "Write the event again")),
        ("missing", None, ("Cancel the booking", "Write the event again")),
        ("stray", NOW, ("Move the booking", "Remove the event")),
    ],
)
def test_the_buttons_say_what_will_happen(kind: str, found: datetime | None, words: tuple[str, str]) -> None:
    """Nobody has to know what "follow" and "restore" mean."""
    item = rows.drift_item(deviation(kind, ("follow", "restore", "keep"), found), "Europe/Berlin", False)
    assert (item.follow, item.restore, item.keep) == (*words, True)


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        (("take_in", "remove", "keep"), ("Take it into the bookings", "Remove it")),
        (("take_in", "keep"), ("Take it into the bookings", "")),
    ],
)
def test_an_orphaned_event_has_its_own_buttons(choices: tuple[str, ...], words: tuple[str, str]) -> None:
    """It is taken in or removed; an event that may be another installation's is not offered for removal."""
    item = rows.drift_item(deviation("orphaned", choices, NOW), "Europe/Berlin", False)
    assert (item.take_in, item.remove, item.follow, item.restore) == (*words, "", "")


def test_what_is_no_choice_has_no_button() -> None:
    """A stray event cannot be followed."""
    item = rows.drift_item(deviation("stray", ("restore", "keep"), NOW), "Europe/Berlin", False)
    assert (item.follow, item.title) == ("", "Intro call with Grace")


def test_a_queue_counts_what_there_is() -> None:
    """Failures and later jobs are mentioned where there are any."""
    calm = rows.queue_item(QueueState("sync", 0, 1, 0, 0, None))
    assert (calm.counts, calm.oldest) == ("0 waiting · 1 running", "")
    busy = rows.queue_item(QueueState("sync", 1200, 2, 3, 4, NOW))
    assert busy.counts == "1,200 waiting · 2 running · 3 later · 4 failed"
    assert busy.oldest == "2026-11-21T12:00:00Z"


def test_the_trail_speaks_in_words() -> None:
    """Actions and details without dots, underscores and empty fields; times in the reader's zone."""
    view = AuditView(
        "x",
        NOW,
        "customer",
        "customer",
        "",
        "booking.rescheduled",
        "booking",
        "b",
        {"reason": None, "calendars": ["A", "B"], "moved_by": "2 h"},
    )
    item = rows.audit_item(view, "Europe/Berlin", False)
    assert (item.what, item.who) == ("Booking rescheduled", "a customer")
    assert item.detail == "calendars: A, B · moved by: 2 h"
    assert item.when == "Sat 21 Nov 2026, 13:00"


@pytest.mark.parametrize(
    ("user_agent", "name"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Linux"),
        (
            "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/142.0 Safari/537.36 Edg/142.0",
            "Edge on Windows",
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604.1",
            "Safari on iPhone",
        ),
        ("curl/8.5.0", "curl/8.5.0"),
        ("", "Unknown browser"),
    ],
)
def test_browsers_are_recognised(user_agent: str, name: str) -> None:
    """People know "Firefox on Linux", not a User-Agent header."""
    assert browser_name(user_agent) == name
