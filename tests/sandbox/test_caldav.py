"""The sandbox's CalDAV server: a real Radicale with an account in it, and the page's hands on it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from calendar_app.errors import AuthExpired
from calendar_app.launcher.checks import free_port
from calendar_app.providers.base import Credentials
from calendar_app.providers.caldav.account import Secret
from calendar_app.providers.caldav.discovery import CalDavSignIn
from calendar_app.providers.caldav.provider import CalDavCalendar
from calendar_app.sandbox.caldav.server import PASSWORD, USERNAME, prepare
from calendar_app.sandbox.caldav.stand_in import CalDavStandIn
from calendar_app.sandbox.environment import caldav_environment
from calendar_app.sandbox.stand_in import StandIn
from calendar_app.settings import Settings

NOW = datetime.now(UTC).replace(microsecond=0)


@dataclass
class Running:
    """The server's process, the settings that lead to it, and the stand-in over it."""

    process: subprocess.Popen[bytes]
    settings: Settings
    url: str
    stand_in: CalDavStandIn

    def provider(self) -> CalDavCalendar:
        """The product's side, signed in as a person would."""
        opened = CalDavSignIn(self.settings).open(Credentials(self.url, USERNAME, PASSWORD))
        return CalDavCalendar(self.settings, Secret.load(opened.secret))


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    """The Procfile's process, on a port of its own."""
    made = caldav_environment(free_port(), "radicale.internal")
    environment = {**os.environ, **made, "DATA_DIR": str(tmp_path)}
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "calendar_app.sandbox.caldav.server"],
            env=environment,
            stdout=log,
            stderr=log,
        )
    url = made["SANDBOX_CALDAV_URL"]
    settings = Settings(ALLOWED_PRIVATE_HOSTS=made["ALLOWED_PRIVATE_HOSTS"])  # type: ignore[call-arg]
    stand_in = CalDavStandIn(url, tmp_path, lambda: NOW)
    try:
        deadline = time.monotonic() + 30
        while not stand_in.accounts()[0].connected:
            assert process.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield Running(process, settings, url, stand_in)
    finally:
        process.terminate()
        process.wait(10)


def test_the_page_and_the_product_see_the_same(running: Running) -> None:
    """The account has calendars with events; what the page changes comes with the product's next delta."""
    stand_in: StandIn = running.stand_in
    (account,) = stand_in.accounts()
    assert PASSWORD in account.hint
    assert {calendar.name for calendar in account.calendars} == {"Personal", "Studio"}
    provider = running.provider()
    calendars = {calendar.name: calendar for calendar in provider.list_calendars()}
    assert {name: calendar.timezone for name, calendar in calendars.items()} == {
        "Personal": "Europe/Berlin",
        "Studio": "Europe/Berlin",
    }
    studio = calendars["Studio"].remote_id
    pages = list(provider.event_pages(studio, None))
    assert {event.summary for page in pages for event in page.events} >= {
        "Studio stand-up",
        "Review with Lena",
    }
    assert any(event.recurrence for page in pages for event in page.events)

    start = NOW + timedelta(days=3)
    made = stand_in.add_event("studio", "Fitting", start, start + timedelta(hours=1))
    stand_in.rename_event("studio", made, "Fitting, second")
    stand_in.move_event("studio", made, start + timedelta(hours=2))
    pages = list(provider.event_pages(studio, pages[-1].cursor))
    (event,) = (event for page in pages for event in page.events)
    assert event.summary == "Fitting, second"
    assert event.start is not None
    assert event.start.value == (start + timedelta(hours=2)).replace(tzinfo=None)
    shown = {one.id: one for one in stand_in.accounts()[0].calendars[1].events}
    assert shown[made].end - shown[made].start == timedelta(hours=1)
    stand_in.delete_event("studio", made)
    assert (
        len([event for page in provider.event_pages(studio, pages[-1].cursor) for event in page.events]) == 1
    )

    for unknown in (
        lambda: stand_in.add_event("nothing", "x", start, start + timedelta(hours=1)),
        lambda: stand_in.delete_event("studio", "nothing.ics"),
        lambda: stand_in.move_event("studio", "nothing.ics", start),
        lambda: stand_in.remove_access("nobody@example.com"),
    ):
        with pytest.raises(KeyError):
            unknown()
    with pytest.raises(ValueError, match="after the start"):
        stand_in.add_event("studio", "x", start, start)
    with pytest.raises(ValueError, match="not moved"):
        stand_in.move_event("studio", "standup.ics", start)


def test_access_is_taken_away_with_the_password(running: Running) -> None:
    """Another password ends what was connected with the old one; the page tells the new one, and survives the end."""
    provider = running.provider()
    running.stand_in.remove_access(USERNAME)
    with pytest.raises(AuthExpired):
        provider.list_calendars()
    (account,) = running.stand_in.accounts()
    assert account.connected
    assert PASSWORD not in account.hint
    running.process.send_signal(signal.SIGTERM)
    running.process.wait(10)
    (account,) = running.stand_in.accounts()
    assert "does not answer" in account.hint


def test_a_second_start_changes_nothing(tmp_path: Path) -> None:
    """Calendars and password are the account's own once they are made; only the port follows the environment."""
    prepare(tmp_path, 1234, NOW)
    users = tmp_path / "radicale" / "users"
    users.write_text("owner@example.com:other\n")
    before = sorted(path.name for path in (tmp_path / "radicale").rglob("*.ics"))
    config = prepare(tmp_path, 4321, NOW + timedelta(days=90))
    assert "127.0.0.1:4321" in config.read_text()
    assert users.read_text() == "owner@example.com:other\n"
    assert sorted(path.name for path in (tmp_path / "radicale").rglob("*.ics")) == before


def test_the_allow_list_keeps_what_the_operator_listed() -> None:
    """The sandbox's server is added to the hosts that are allowed, which stay."""
    made = caldav_environment(5232, "radicale.internal,")
    assert made["ALLOWED_PRIVATE_HOSTS"] == "radicale.internal,127.0.0.1:5232,localhost:5232"
    assert httpx.URL(made["SANDBOX_CALDAV_URL"]).port == 5232
