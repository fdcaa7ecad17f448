"""Copies of events in the calendars of attendees, at the stand-ins for Google and Microsoft."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.sandbox.microsoft.client import Microsoft, meeting, running_microsoft
from tests.sandbox.server import Sandbox, running_sandbox

GUEST = "gina.guest@example.org"
TIMES = {
    "start": {"dateTime": "2026-11-20T09:00:00Z", "timeZone": "Europe/Berlin"},
    "end": {"dateTime": "2026-11-20T10:00:00Z", "timeZone": "Europe/Berlin"},
}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with running_sandbox() as running:
        yield running


def _copies(guest: httpx.Client, uid: str) -> list[dict[str, Any]]:
    answer = guest.get("calendars/primary/events", params={"iCalUID": uid})
    return list(answer.json()["items"])


@pytest.mark.parametrize("updates", ["none", "all"])
def test_an_attendee_with_an_account_has_the_event(sandbox: Sandbox, updates: str) -> None:
    """Google copies it whatever sendUpdates says: own UID, the organizer's name, no private properties; it follows,
    and goes when the attendee or the event does."""
    guest, host = sandbox.api(sandbox.sign_in(GUEST)), sandbox.api(sandbox.sign_in())
    quiet = {"sendUpdates": updates}
    private = {"extendedProperties": {"private": {"secret": "1"}}}
    body = {"summary": "Talk", **TIMES, **private, "attendees": [{"email": GUEST}]}
    made = host.post("calendars/primary/events", params=quiet, json=body).json()
    path = f"calendars/primary/events/{made['id']}"
    (copy,) = _copies(guest, made["iCalUID"])
    assert copy["iCalUID"].endswith("@google.com")
    assert (copy["organizer"], copy["attendees"][0]["self"]) == ({"email": "owner@example.com"}, True)
    assert "extendedProperties" not in copy
    host.patch(path, params=quiet, json={"summary": "Later"})
    assert [one["summary"] for one in _copies(guest, made["iCalUID"])] == ["Later"]
    host.patch(path, params=quiet, json={"attendees": []})
    assert _copies(guest, made["iCalUID"]) == []
    host.patch(path, params=quiet, json={"attendees": [{"email": GUEST}]})
    assert len(_copies(guest, made["iCalUID"])) == 1
    assert host.delete(path, params=quiet).status_code == 204
    assert _copies(guest, made["iCalUID"]) == []


@pytest.fixture(scope="module")
def microsoft() -> Iterator[Microsoft]:
    with running_microsoft() as running:
        yield running


def test_exchange_puts_a_meeting_into_every_mailbox(microsoft: Microsoft) -> None:
    """A copy with the organizer's iCalUId, tentative and unanswered; it follows, and goes when the meeting does."""
    guest = microsoft.graph(microsoft.tokens(email=GUEST)["access_token"])
    host = microsoft.graph(microsoft.tokens()["access_token"])
    person = {"emailAddress": {"address": GUEST, "name": "Gina"}, "type": "required"}
    made = host.post("me/events", json=meeting(subject="Talk", attendees=[person])).json()

    def copies() -> list[dict[str, Any]]:
        return [one for one in guest.get("me/events").json()["value"] if one["iCalUId"] == made["iCalUId"]]

    (copy,) = copies()
    assert copy["organizer"]["emailAddress"]["address"] == "owner@example.com"
    assert (copy["isOrganizer"], copy["showAs"], copy["responseStatus"]["response"]) == (
        False,
        "tentative",
        "notResponded",
    )
    host.patch(f"me/events/{made['id']}", json={"subject": "Later"})
    assert [one["subject"] for one in copies()] == ["Later"]
    assert host.delete(f"me/events/{made['id']}").status_code == 204
    assert copies() == []
