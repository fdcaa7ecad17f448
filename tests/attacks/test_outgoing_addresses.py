"""Addresses that strangers name: a slow name server, links of calendar files."""

from __future__ import annotations

import threading
import time

import pytest

from calendar_app.domain.ics.reader import read_calendar
from calendar_app.errors import ProviderUnavailable
from calendar_app.providers.guard import GuardedClient
from calendar_app.providers.vetted import Network, VettedBackend


def test_a_name_server_that_does_not_answer_costs_no_more_than_the_call_may() -> None:
    """Whoever runs the name server of a typed address does not decide how long a request or a worker waits."""
    over = threading.Event()

    def resolve(_host: str, _port: int) -> list[str]:
        over.wait(20)
        return ["93.184.216.34"]

    network = Network(VettedBackend(frozenset(), resolve))
    began = time.monotonic()
    try:
        with (
            GuardedClient(network, allowed=frozenset(), timeout=0.3, max_bytes=1_000) as client,
            pytest.raises(ProviderUnavailable) as caught,
        ):
            client.get("https://slow.example/")
    finally:
        over.set()
        network.close()
    assert caught.value.reason == "timeout"
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("javascript:alert(document.cookie)", ""),
        (" JaVaScRiPt:alert(1)//https://", ""),
        ("data:text/html,<script>alert(1)</script>", ""),
        ("vbscript:x", ""),
        ("//evil.example", ""),
        ("https://calendar.example/e/1", "https://calendar.example/e/1"),
    ],
)
def test_a_calendar_file_links_to_the_web_only(url: str, shown: str) -> None:
    """The URL of an event is shown as a link."""
    lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:x",
        "BEGIN:VEVENT",
        "UID:1",
        "DTSTART:20261125T100000Z",
    ]
    text = "\r\n".join([*lines, f"URL:{url}", "END:VEVENT", "END:VCALENDAR", ""])
    (event,) = read_calendar(text.encode(), max_bytes=10_000).events
    assert event.html_link == shown
