"""A Calendly account through our routes, jobs and webhook room, against the stand-in for Calendly, over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from redis import Redis
from rq import Queue
from sqlmodel import select

from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import Channel, Connection
from calendar_app.db.tables.connections import WITH_SECRET, WITH_TOKENS
from calendar_app.errors import GrantRevoked
from calendar_app.providers.http import shared_client
from calendar_app.sandbox.calendly.stand_in import OWNER
from calendar_app.sandbox.calendly.webhooks import signature
from calendar_app.services.calendar_sync import push_channels
from calendar_app.services.calendar_sync import requests as sync_requests
from calendar_app.services.connections import tokens as connection_tokens
from calendar_app.settings import Settings
from tests.openapi_contract import ContractASGI, calendly_contract, requires_calendly_contract
from tests.sandbox.calendly_server import Delivery, RunningCalendly, running_calendly
from tests.sandbox.server import PUBLIC_URL, SharedServer, wait_until
from tests.support.clock import Clock
from tests.support.databases import Database
from tests.support.people import User, problem, user

CALLBACK = "/api/v1/connections/calendly/callback"
JSON = {"Accept": "application/json"}

pytestmark = requires_calendly_contract


@pytest.fixture(scope="module")
def server() -> Iterator[SharedServer]:
    with SharedServer() as shared:
        yield shared


@pytest.fixture
def calendly(
    database: Database, configure: Callable[..., Settings], server: SharedServer
) -> Iterator[RunningCalendly]:
    """The stand-in at the present time; whatever our code says to it keeps to Calendly's contract."""
    checked: list[ContractASGI] = []

    def wrap(app: Any) -> ContractASGI:
        checked.append(ContractASGI(app, calendly_contract(), base="/sandbox/calendly/api/"))
        return checked[0]

    with running_calendly(server, clock=Clock(), wrap=wrap) as running:
        configure(BASE_URL=PUBLIC_URL, **running.environment)
        yield running
        shared_client().close()
        shared_client.cache_clear()
    checked[0].verify()
    assert checked[0].checked


@pytest.fixture
def ada(calendly: RunningCalendly) -> User:
    return user()


@dataclass(frozen=True)
class Connected:
    """Ada's connection and its one calendar, as the API tells them."""

    connection: dict[str, Any]
    calendar: dict[str, Any]

    @property
    def id(self) -> str:
        return str(self.connection["id"])

    @property
    def calendar_id(self) -> str:
        return str(self.calendar["id"])


@pytest.fixture
def account(api: httpx.Client, calendly: RunningCalendly, ada: User) -> Connected:
    """Connected through the consent page, and read once."""
    start = api.post("/api/v1/connections/calendly/start", headers=ada.cookie).json()
    answer = calendly.decide(**dict(parse_qsl(urlsplit(start["authorization_url"]).query)))
    response = api.get(CALLBACK, params=answer, headers=ada.cookie | JSON)
    assert response.status_code == 200, response.text
    (calendar,) = response.json()["calendars"]
    assert sync_requests.sync_calendar(calendar["id"]).error == ""
    return Connected(response.json()["connection"], calendar)


def titles(api: httpx.Client, ada: User) -> list[str]:
    items = api.get("/api/v1/events", headers=ada.bearer).json()["items"]
    return [item["title"] for item in items]


def book(calendly: RunningCalendly, title: str = "Fresh booking", days: int = 3) -> str:
    """A customer books at Calendly; the event's id."""
    start = (datetime.now(UTC) + timedelta(days=days)).replace(minute=0, second=0, microsecond=0)
    calendar_id = calendly.calendar_id()
    end = start + timedelta(minutes=30)
    return calendly.do(lambda: calendly.stand_in.add_event(calendar_id, title, start, end))


def deliver(api: httpx.Client, delivery: Delivery, **headers: str) -> httpx.Response:
    """Calendly's webhook arrives at our webhook room."""
    address = delivery.address.removeprefix(PUBLIC_URL)
    return api.post(address, headers=delivery.headers | headers, content=delivery.body)


def test_a_connected_calendar_is_read_only_checked_and_mirrored(
    api: httpx.Client, ada: User, account: Connected
) -> None:
    """It blocks time, bookings are not written there, and its seed is on the agenda without the cancelled one."""
    assert account.connection["account_email"] == OWNER
    assert account.connection["missing_features"] == []
    assert account.calendar["checks_conflicts"] is True
    assert account.calendar["receives_bookings"] is False
    assert sorted(titles(api, ada)) == ["Intro call", "Working session"]
    path = f"/api/v1/calendars/{account.calendar_id}"
    problem(api.patch(path, headers=ada.bearer, json={"receives_bookings": True}), 422, "calendar_read_only")


def test_a_webhook_brings_a_booking_at_once_and_only_once(
    api: httpx.Client, calendly: RunningCalendly, ada: User, account: Connected, redis_server: Redis
) -> None:
    """Signed and fresh: queued. Forged, old, for another channel: refused. The same again: taken, and nothing done."""
    assert push_channels.ensure(account.calendar_id)
    book(calendly)
    wait_until(lambda: calendly.receiver.deliveries)
    (delivery,) = calendly.receiver.deliveries
    queue = Queue("sync", connection=redis_server)
    redis_server.flushall()

    forged = signature("guessed", int(datetime.now(UTC).timestamp()), delivery.body)
    problem(deliver(api, delivery, **{"Calendly-Webhook-Signature": forged}), 403, "forbidden")
    with reading() as session:
        (channel,) = session.exec(select(Channel).options(*WITH_SECRET)).all()
    hour_ago = int(datetime.now(UTC).timestamp()) - 3600
    old = signature(channel.secret, hour_ago, delivery.body)
    problem(deliver(api, delivery, **{"Calendly-Webhook-Signature": old}), 403, "forbidden")
    elsewhere = Delivery(f"{PUBLIC_URL}/api/v1/hooks/calendly?channel=nope", delivery.headers, delivery.body)
    problem(deliver(api, elsewhere), 404, "not_found")
    nameless = Delivery(f"{PUBLIC_URL}/api/v1/hooks/calendly", delivery.headers, delivery.body)
    problem(deliver(api, nameless), 422, "invalid_input")
    assert queue.job_ids == []

    assert deliver(api, delivery).status_code == 202
    (job_id,) = queue.job_ids
    push_channels.pushed(channel.id, 0)
    assert "Fresh booking" in titles(api, ada)
    queue.empty()
    redis_server.delete(f"rq:job:{job_id}")
    assert deliver(api, delivery).status_code == 202
    assert queue.job_ids == []


def test_webhooks_that_the_app_s_key_signs(
    api: httpx.Client,
    calendly: RunningCalendly,
    ada: User,
    account: Connected,
    configure: Callable[..., Settings],
) -> None:
    """With the key they are believed. Without, push is not said to work: its state says what to do, once, until a
    webhook is believed."""
    calendly.stand_in.rules.switch("app_signed", on=True)
    assert push_channels.ensure(account.calendar_id)
    book(calendly)
    wait_until(lambda: calendly.receiver.deliveries)
    (delivery,) = calendly.receiver.deliveries

    def told() -> tuple[bool, str]:
        (found,) = api.get("/api/v1/sync/status", headers=ada.bearer).json()["items"]
        return found["push"], found["push_note"]

    assert told() == (True, "")
    configure(BASE_URL=PUBLIC_URL, **calendly.environment | {"CALENDLY_WEBHOOK_KEY": ""})
    problem(deliver(api, delivery), 403, "forbidden")
    with reading() as session:
        (channel,) = session.exec(select(Channel).options(*WITH_SECRET)).all()
    push_channels.pushed(channel.id, 0, "unproven")
    pushes, note = told()
    assert not pushes
    assert "CALENDLY_WEBHOOK_KEY" in note
    (shown,) = api.get("/api/v1/admin/channels", headers=ada.bearer).json()["items"]
    assert shown["state"] == "unproven"
    assert shown["reason"] in note
    configure(BASE_URL=PUBLIC_URL, **calendly.environment)
    assert deliver(api, delivery).status_code == 202
    push_channels.pushed(channel.id, 0)
    assert told() == (True, "")


def test_a_plan_without_webhooks_is_told(
    api: httpx.Client, calendly: RunningCalendly, ada: User, account: Connected
) -> None:
    """Nothing ends: the calendar is polled, and its state says why."""
    calendly.stand_in.rules.switch("no_webhooks", on=True)
    assert not push_channels.ensure(account.calendar_id)
    (found,) = api.get("/api/v1/sync/status", headers=ada.bearer).json()["items"]
    assert not found["push"]
    assert "This Calendly plan has no webhooks" in found["push_note"]
    assert "every 5 minutes" in found["push_note"]


def test_rescheduling_and_cancelling_at_calendly_move_and_remove(
    api: httpx.Client, calendly: RunningCalendly, ada: User, account: Connected
) -> None:
    """The old time is free again at once, the new one is taken; a cancelled event is gone."""
    event = book(calendly)
    sync_requests.sync_calendar(account.calendar_id)
    later = datetime.now(UTC).replace(microsecond=0) + timedelta(days=5)
    moved = calendly.do(lambda: calendly.stand_in.bookings.reschedule(event, later))
    sync_requests.sync_calendar(account.calendar_id)
    found = api.get("/api/v1/events", headers=ada.bearer).json()["items"]
    starts = [datetime.fromisoformat(item["start"]) for item in found if item["title"] == "Fresh booking"]
    assert starts == [later]
    calendar_id = calendly.calendar_id()
    calendly.do(lambda: calendly.stand_in.delete_event(calendar_id, moved))
    sync_requests.sync_calendar(account.calendar_id)
    assert "Fresh booking" not in titles(api, ada)


def test_what_can_be_booked_there_and_calling_an_appointment_off(
    api: httpx.Client, calendly: RunningCalendly, ada: User, account: Connected
) -> None:
    """Event types come with their links; cancelling with a reason reaches Calendly, and the agenda follows."""
    path = f"/api/v1/calendars/{account.calendar_id}/appointment-types"
    offered = api.get(path, headers=ada.bearer).json()["items"]
    assert [(one["name"], one["minutes"]) for one in offered] == [("Intro call", 30), ("Working session", 60)]
    assert all(one["booking_url"].startswith("https://calendly.com/owner/") for one in offered)
    event = book(calendly)
    sync_requests.sync_calendar(account.calendar_id)
    items = api.get("/api/v1/events", headers=ada.bearer).json()["items"]
    (event_id,) = [item["event_id"] for item in items if item["title"] == "Fresh booking"]
    stranger = user("eve@example.com")
    path = f"/api/v1/events/{event_id}/cancel"
    problem(api.post(path, headers=stranger.bearer), 404, "not_found")
    problem(api.post("/api/v1/events/nope/cancel", headers=ada.bearer), 404, "not_found")
    problem(api.post(path, headers=ada.bearer, json={"reason": "x" * 1001}), 422, "invalid_input")
    assert api.post(path, headers=ada.bearer, json={"reason": "I am ill"}).status_code == 204
    _, body = calendly.do(lambda: calendly.stand_in.bookings.event(event))
    assert body["cancellation"] == {
        "canceled_by": "Olivia Owner",
        "reason": "I am ill",
        "canceler_type": "host",
    }
    sync_requests.sync_calendar(account.calendar_id)
    assert "Fresh booking" not in titles(api, ada)


def test_parallel_refreshes_use_a_single_use_token_once(
    calendly: RunningCalendly, account: Connected
) -> None:
    """Ten callers with an expired token: one refresh, one new refresh token, and the grant lives on."""
    first = _row(account.id).refresh_token
    for round_ in (1, 2):
        with transaction() as session:
            row = session.get_one(Connection, account.id)
            row.access_expires_at = datetime.now(UTC)
            session.add(row)
        before = _row(account.id).token_version
        with ThreadPoolExecutor(10) as pool:
            found = list(pool.map(lambda _n: connection_tokens.call(account.id, _list), range(10)))
        assert found == [["Calendly"]] * 10
        assert _row(account.id).token_version == before + 1, round_
    assert _row(account.id).refresh_token != first
    reused = calendly.token(grant_type="refresh_token", refresh_token=first or "")
    assert (reused.status_code, reused.json()["error"]) == (400, "invalid_grant")
    assert connection_tokens.call(account.id, _list) == ["Calendly"]


def test_access_removed_at_calendly_asks_for_a_new_connection(
    api: httpx.Client, calendly: RunningCalendly, ada: User, account: Connected
) -> None:
    """The next call finds the grant dead; the connection says so, and disconnecting it needs no Calendly."""
    calendly.do(lambda: calendly.stand_in.remove_access(OWNER))
    with pytest.raises(GrantRevoked):
        connection_tokens.call(account.id, _list)
    path = f"/api/v1/connections/{account.id}"
    assert api.get(path, headers=ada.bearer).json()["status"] == "needs_reconnect"
    assert api.delete(path, headers=ada.bearer).status_code == 200


def _list(provider: Any) -> list[str]:
    return [calendar.name for calendar in provider.list_calendars()]


def _row(connection_id: str) -> Connection:
    with reading() as session:
        return session.get_one(Connection, connection_id, options=WITH_TOKENS)


def test_a_time_booked_at_calendly_a_moment_ago_is_not_given_away(
    api: httpx.Client, calendly: RunningCalendly, ada: User, account: Connected
) -> None:
    """No push, no sync yet: the look at Calendly's busy times before confirming finds it; another time is free."""
    made = api.post("/api/v1/event-types", headers=ada.bearer, json={"title": "Consultation"}).json()
    begin = datetime.now(UTC) + timedelta(days=6)
    window = {"start": begin.isoformat(), "end": (begin + timedelta(days=5)).isoformat()}
    slots = api.get(f"/api/v1/event-types/{made['id']}/slots", params=window).json()["slots"]
    first, other = (datetime.fromisoformat(slots[number]["start"]) for number in (0, -1))

    def attempt(start: datetime) -> httpx.Response:
        guest = {"name": "Grace", "email": "grace@example.org", "timezone": "Europe/London", "answers": {}}
        body = guest | {"event_type_id": made["id"], "start": start.isoformat()}
        return api.post("/api/v1/bookings", json=body)

    calendar_id = calendly.calendar_id()
    calendly.do(
        lambda: calendly.stand_in.add_event(calendar_id, "Quicker", first, first + timedelta(minutes=30))
    )
    problem(attempt(first), 409, "slot_unavailable")
    assert attempt(other).status_code == 201
