"""The soak's business: seven people, each with a calendar at one of the stand-ins and an event type of their own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from calendar_app.db.session import reading
from calendar_app.db.tables import Calendar, Connection
from calendar_app.domain.schedule import WEEKDAYS
from calendar_app.providers import registry
from calendar_app.providers.base import Credentials
from calendar_app.sandbox.caldav.server import PASSWORD, USERNAME
from calendar_app.services.calendar_sync import requests as sync_requests
from tests.sandbox.microsoft.client import Microsoft
from tests.sandbox.server import Sandbox
from tests.support import factories

ACCOUNTS = (*(("google", f"host{n}@example.com") for n in range(4)), ("microsoft", "ada@contoso.example"))
ACCOUNTS += (("microsoft", "owner@example.com"), ("caldav", USERNAME))
ALWAYS = {day: [["00:00", "24:00"]] for day in WEEKDAYS}


@dataclass(frozen=True)
class Place:
    """Where one person's bookings go. ``held`` is the calendar's id at the stand-in's control interface."""

    provider: str
    email: str
    kind: str
    connection: str
    calendar: str
    held: str


@contextmanager
def _stand_ins(url: str) -> Iterator[tuple[Sandbox, Microsoft]]:
    with httpx.Client(base_url=url, timeout=30) as client, ExitStack() as closing:
        sandbox = Sandbox(url, None, None, client, closing)  # type: ignore[arg-type]  # its clock is its own
        yield sandbox, Microsoft(sandbox, None)


def tokens(url: str, provider: str, email: str) -> dict[str, Any]:
    """What a consent brings: the columns of a connection."""
    if provider == "caldav":
        typed = Credentials(f"{url}/sandbox/caldav/", USERNAME, PASSWORD)
        secret = registry.credential_client("caldav").open(typed).secret
        return {"access_token": secret, "refresh_token": None, "access_expires_at": None}
    with _stand_ins(url) as (google, microsoft):
        found = google.tokens(email=email) if provider == "google" else microsoft.tokens(email=email)
    return {"access_token": found["access_token"], "refresh_token": found["refresh_token"]}


def opened(url: str) -> list[Place]:
    """Open for business, around the clock; every calendar is to be read, checked and written to."""
    workspace = factories.workspace(timezone="Europe/Berlin")
    places = []
    for number, (provider, email) in enumerate(ACCOUNTS):
        person = factories.person(timezone="UTC", email=f"person-{number}@example.com")
        factories.membership(person, workspace)
        factories.schedule(person, workspace, weekly=ALWAYS, timezone="UTC")
        columns = tokens(url, provider, email) | {"provider": provider, "account_email": email}
        account = factories.connection(person, workspace, account_id=f"{provider}-{email}", **columns)
        listed = registry.calendar_provider(provider, account.access_token or "").list_calendars()
        main = next((one for one in listed if one.is_primary), listed[0])
        calendar = factories.calendar(
            account,
            remote_id=main.remote_id,
            timezone=main.timezone or "UTC",
            is_primary=True,
            receives_bookings=True,
            checks_conflicts=True,
        )
        kind = factories.event_type(workspace, person, durations=[30], step_minutes=30)
        places.append(
            Place(
                provider, email, kind.id, account.id, calendar.id, _held(url, provider, email, main.remote_id)
            )
        )
    return places


def ask_for_all(places: list[Place]) -> None:
    """Have every calendar read."""
    for place in places:
        sync_requests.request(place.calendar)


def connections() -> list[Connection]:
    with reading() as session:
        return list(session.query(Connection))


def calendar(place: Place) -> Calendar:
    with reading() as session:
        return session.get_one(Calendar, place.calendar)


def _held(url: str, provider: str, email: str, remote_id: str) -> str:
    if provider == "google":
        return remote_id
    items = httpx.get(f"{url}/sandbox/api/{provider}/accounts", timeout=30).json()["items"]
    mine = next(item["calendars"] for item in items if item["email"] == email)
    same = [one["id"] for one in mine if one["id"] == remote_id or f"/{one['id']}/" in remote_id]
    return str((same or [mine[0]["id"]])[0])
