"""The list for whoever first has real credentials of a provider, as the operator's command prints it."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from calendar_app import cli
from calendar_app.providers import registry
from calendar_app.providers.base import Capability
from calendar_app.settings import Settings

pytestmark = pytest.mark.usefixtures("logging_restored")


def printed(provider: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert cli.main(["check-provider", provider]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("provider", ["google", "microsoft", "calendly", "caldav"])
def test_half_an_hour_for_each_provider(
    provider: str, configure: Callable[..., Settings], capsys: pytest.CaptureFixture[str]
) -> None:
    """Steps with something to do and something to look at, thirty minutes at most, by what the provider can do."""
    configure(BASE_URL="https://almanac.example.com")
    text = printed(provider, capsys)
    kind = registry.kind(provider)
    minutes = [int(found) for found in re.findall(r"^\d\..*\((\d+) minutes\)$", text, re.M)]
    assert sum(minutes) <= 30
    assert f"the first {sum(minutes)} minutes" in text
    steps = re.split(r"^\d\. ", text, flags=re.M)[1:]
    assert len(steps) == len(minutes) >= 5
    assert all("\n   - " in step and "\n   [ ] " in step for step in steps)
    assert ("\n   [ ] Bookings shows the receipt as verified." in text) is (
        Capability.WRITE in kind.capabilities
    )
    assert ("names a last push" in text) is (Capability.PUSH in kind.capabilities)
    assert (f"https://almanac.example.com/api/v1/connections/{provider}/callback" in text) is (
        provider != "caldav"
    )


def test_what_is_missing_is_said_first(
    configure: Callable[..., Settings], capsys: pytest.CaptureFixture[str]
) -> None:
    """Credentials that are not set, the sandbox, and an address to which nobody pushes."""
    configure(
        BASE_URL="http://localhost:3000", ALMANAC_SANDBOX="on", GOOGLE_CLIENT_ID="", GOOGLE_CLIENT_SECRET=""
    )
    text = printed("google", capsys)
    assert "Not set: GOOGLE_CLIENT_ID, GOOGLE_CLIENT_SECRET" in text
    assert "talks to the sandbox" in text
    assert "changes will be polled" in text
    configure(
        BASE_URL="https://almanac.example.com",
        ALMANAC_SANDBOX="off",
        GOOGLE_CLIENT_ID="a",
        GOOGLE_CLIENT_SECRET="b",
    )
    text = printed("google", capsys)
    assert not re.search("Not set|sandbox|polled", text)


def test_a_provider_without_a_list(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    """The providers that have one are named."""
    assert cli.main(["check-provider", "file"]) == 1
    assert "caldav, calendly, google, microsoft" in capsys.readouterr().err
