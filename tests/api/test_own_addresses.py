"""The addresses that the owner of a CalDAV account gives where the server tells none: what they declined is free."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from calendar_app.db.session import transaction
from calendar_app.db.tables import Calendar, Connection
from calendar_app.domain.timespan import Span, instant
from calendar_app.services.calendar_sync import requests as sync_requests
from calendar_app.services.connections import tokens as connection_tokens
from calendar_app.settings import Settings
from tests.support import dav_servers, factories
from tests.support.databases import Database
from tests.support.dav_servers import PASSWORD, DavServer
from tests.support.mirrored import busy_spans
from tests.support.people import User, problem, user

NOON = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) + timedelta(days=3)
AROUND = Span(instant(NOON), instant(NOON) + 3600)
INVITATION = (
    "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nBEGIN:VEVENT\r\nUID:choir@example.com\r\n"
    f"DTSTAMP:20260101T000000Z\r\nDTSTART:{NOON:%Y%m%dT%H%M%SZ}\r\nDURATION:PT1H\r\nSUMMARY:Choir\r\n"
    "ORGANIZER:mailto:grace@example.com\r\nATTENDEE;PARTSTAT=DECLINED:mailto:Ada@Home.lan\r\n"
    "END:VEVENT\r\nEND:VCALENDAR\r\n"
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DavServer]:
    """A server that tells no address, with an invitation that was declined."""
    with dav_servers.xandikos(tmp_path_factory.mktemp("xandikos")) as found:
        httpx.put(
            f"{found.home}calendar/choir.ics", content=INVITATION, headers={"content-type": "text/calendar"}
        ).raise_for_status()
        yield found


class Account:
    """The account as its owner sees it over HTTP."""

    def __init__(self, api: httpx.Client, server: DavServer) -> None:
        self.api, self.who = api, user()
        self.typed = {"url": server.url, "username": "ada", "password": PASSWORD}
        body = self.connect()
        self.id: str = body["connection"]["id"]
        self.path = f"/api/v1/connections/{self.id}"
        self.calendars = [calendar["id"] for calendar in body["calendars"]]

    def connect(self) -> dict[str, Any]:
        answer = self.api.post("/api/v1/connections/caldav", headers=self.who.bearer, json=self.typed)
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def give(self, *addresses: str, who: User | None = None) -> httpx.Response:
        of = who or self.who
        return self.api.patch(self.path, headers=of.bearer, json={"addresses": list(addresses)})

    def busy(self) -> list[Span]:
        """What counts after each calendar was read."""
        for calendar_id in self.calendars:
            assert sync_requests.sync_calendar(calendar_id).outcome == "done"
        with transaction() as session:
            return [span for one in self.calendars for span in busy_spans(session, one, AROUND)]


@pytest.fixture
def account(
    api: httpx.Client, database: Database, server: DavServer, configure: Callable[..., Settings]
) -> Account:
    configure(ALLOWED_PRIVATE_HOSTS=httpx.URL(server.url).netloc.decode())
    return Account(api, server)


def test_what_was_declined_under_an_address_that_the_owner_gives_is_free(account: Account) -> None:
    """It counts until the address is given, everything is read anew, and the last look judges alike."""
    assert account.busy() == [AROUND]
    answer = account.give("someone@example.com", " mailto:ADA@home.lan ", "ada@home.lan")
    assert (answer.status_code, answer.json()["addresses"]) == (200, ["someone@example.com", "ada@home.lan"])
    assert account.busy() == []
    with transaction() as session:
        places = [session.get_one(Calendar, one).remote_id for one in account.calendars]
    (event,) = connection_tokens.call(
        account.id, lambda api: [found for place in places for found in api.events_in(place, AROUND)]
    )
    assert not event.blocks_time
    account.connect()
    shown = account.api.get(account.path, headers=account.who.bearer).json()
    assert shown["addresses"] == ["someone@example.com", "ada@home.lan"]
    assert account.busy() == []
    assert account.give().json()["addresses"] == []
    assert account.busy() == [AROUND]


def test_a_reading_that_judged_by_the_old_addresses_is_not_kept(account: Account) -> None:
    """New addresses end readings that are under way; the same ones change nothing."""
    account.busy()

    def fences() -> list[tuple[int, bool]]:
        with transaction() as session:
            rows = [session.get_one(Calendar, one) for one in account.calendars]
            return [(row.sync_fence, row.sync_cursor is None) for row in rows]

    before = fences()
    account.give("ada@home.lan")
    assert fences() == [(fence + 1, True) for fence, _ in before]
    account.busy()
    before = fences()
    account.give("ada@home.lan")
    assert fences() == before


@pytest.mark.parametrize(
    "addresses", [["ada"], ["ada@", "ada@home.lan"], ["a b@home.lan"], ["a@b.lan\nc@d.lan"]]
)
def test_what_is_no_address_is_refused(account: Account, addresses: list[str]) -> None:
    """Nothing of it is kept."""
    problem(account.give(*addresses), 422, "invalid_email")
    assert account.api.get(account.path, headers=account.who.bearer).json()["addresses"] == []


def test_too_many_addresses_are_refused(account: Account) -> None:
    """Twenty are enough for anybody."""
    assert account.give(*(f"ada{number}@home.lan" for number in range(21))).status_code == 422


def test_addresses_are_their_owners(account: Account, api: httpx.Client) -> None:
    """Strangers find no such connection, and providers that tell the answers are not asked."""
    assert account.give("ada@home.lan", who=user("eve@example.com")).status_code == 404
    actor = account.who.identity.actor()
    row = factories.save(
        Connection(
            workspace_id=actor.workspace_id, person_id=actor.person_id, provider="google", account_id="ada"
        )
    )
    answer = api.patch(
        f"/api/v1/connections/{row.id}", headers=account.who.bearer, json={"addresses": ["a@example.com"]}
    )
    problem(answer, 409, "addresses_not_asked")
