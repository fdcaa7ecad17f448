"""Bookings over HTTP: statuses, problem documents, who may do what, and repetitions."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import icalendar
import pytest

from calendar_app.db.tables import AuthSession
from calendar_app.services.accounts import authentication
from calendar_app.settings import Settings
from tests.support import factories
from tests.support.fake_provider import FakeProvider
from tests.support.people import problem
from tests.support.scheduling import ZONE, Place, bearer, bookable, carry_out, reservations, writes

BOOKINGS = "/api/v1/bookings"


def _body(place: Place, start: datetime, /, **changes: Any) -> dict[str, Any]:
    return {
        "event_type_id": place.event_type.id,
        "start": start.isoformat(),
        "timezone": ZONE,
        "name": "Grace Hopper",
        "email": "grace@example.org",
        "answers": {},
    } | changes


def _booked(api: httpx.Client, place: Place, start: datetime, /, **changes: Any) -> dict[str, Any]:
    response = api.post(BOOKINGS, json=_body(place, start, **changes))
    assert response.status_code == 201, response.text
    return dict(response.json())


def _token(booking: dict[str, Any]) -> dict[str, str]:
    return {"token": booking["manage_url"].rsplit("/", 1)[-1]}


def test_a_visitor_books_and_cancels(api: httpx.Client, place: Place, fake: FakeProvider) -> None:
    """201 with a manage link; the same time again is 409; the link cancels, twice without harm."""
    made = _booked(api, place, place.at(10))
    assert (made["status"], made["sync"], made["calendar_event_id"]) == ("confirmed", [], {})
    again = api.post(BOOKINGS, json=_body(place, place.at(10)))
    assert "choose another" in str(problem(again, 409, "slot_unavailable")["detail"])
    path = f"{BOOKINGS}/{made['id']}"
    problem(api.post(f"{path}/cancel", json={}), 401, "not_signed_in")
    for _ in range(2):
        answer = api.post(f"{path}/cancel", params=_token(made), json={"reason": "ill"})
        assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    assert api.get(path, params=_token(made)).json()["cancel_reason"] == "ill"


def test_staff_see_the_receipt(api: httpx.Client, place: Place) -> None:
    """Receipts and remote ids by provider, for staff only; the list pages."""
    made = [_booked(api, place, place.at(hour)) for hour in (10, 11, 12)]
    carry_out()
    headers = bearer(place.people[0])
    seen = api.get(f"{BOOKINGS}/{made[0]['id']}", headers=headers).json()
    assert [receipt["state"] for receipt in seen["sync"]] == ["verified"]
    assert set(seen["calendar_event_id"]) == {"fake"}
    first = api.get(BOOKINGS, headers=headers, params={"limit": 2}).json()
    rest = api.get(BOOKINGS, headers=headers, params={"limit": 2, "after": first["next"]}).json()
    assert [b["id"] for b in first["items"] + rest["items"]] == [b["id"] for b in made]
    assert rest["next"] is None
    problem(api.get(BOOKINGS), 401, "not_signed_in")
    problem(api.get(BOOKINGS, headers=headers, params={"after": "x"}), 422, "invalid_input")


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"timezone": "Mars/Olympus"}, 422, "unknown_timezone"),
        ({"start": "2031-01-06T10:00:00"}, 422, "invalid_input"),
        ({"start": "not a time"}, 422, "invalid_input"),
        ({"start": "2001-01-01T10:00:00Z"}, 422, "in_the_past"),
        ({"start": "9999-12-31T23:59:59Z"}, 422, "invalid_input"),
        ({"start": "0001-01-01T00:00:00+14:00"}, 422, "invalid_input"),
        ({"email": "grace"}, 422, "invalid_input"),
        ({"name": ""}, 422, "invalid_input"),
        ({"name": "a\r\nBcc: x"}, 422, "invalid_input"),
        ({"duration": 31}, 422, "invalid_input"),
        ({"duration": 10**30}, 422, "invalid_input"),
        ({"answers": {"x": [1]}}, 422, "invalid_input"),
        ({"event_type_id": "nothing"}, 404, "not_found"),
        ({"event_type_id": "\x00"}, 422, "invalid_input"),
        ({"surprise": 1}, 422, "invalid_input"),
    ],
)
def test_bad_requests_are_problems(
    api: httpx.Client, place: Place, change: dict[str, Any], status: int, code: str
) -> None:
    """No bad input is a server error, and none leaves anything behind."""
    problem(api.post(BOOKINGS, json=_body(place, place.at(10), **change)), status, code)
    assert (reservations(), writes()) == ([], [])


def test_a_repetition_gets_the_first_answer(api: httpx.Client, place: Place) -> None:
    """One key and body is one booking; another body is refused; a repetition says that it is one."""
    headers = {"Idempotency-Key": "visit-1"}
    first = api.post(BOOKINGS, json=_body(place, place.at(10)), headers=headers)
    again = api.post(BOOKINGS, json=_body(place, place.at(10)), headers=headers)
    assert (first.status_code, first.json()) == (again.status_code, again.json()) == (201, first.json())
    assert again.headers["Idempotency-Replayed"] == "true"
    other = api.post(BOOKINGS, json=_body(place, place.at(11)), headers=headers)
    problem(other, 422, "idempotency_key_reused")
    assert len(reservations()) == 1


def test_two_repetitions_in_flight_make_one_booking(api: httpx.Client, place: Place) -> None:
    """Equal requests at the same moment: one works, the others are told to wait or get its answer."""
    answers: list[httpx.Response] = []
    barrier = threading.Barrier(6)

    def post() -> None:
        barrier.wait()
        answers.append(
            api.post(BOOKINGS, json=_body(place, place.at(10)), headers={"Idempotency-Key": "twice"})
        )

    threads = [threading.Thread(target=post) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    good = [answer for answer in answers if answer.status_code == 201]
    assert good
    assert len({answer.json()["id"] for answer in good}) == 1
    assert all(a.json()["code"] == "request_in_flight" for a in answers if a.status_code != 201)
    assert len(reservations()) == 1


def test_holds_over_http(api: httpx.Client, place: Place) -> None:
    """A hold keeps the time from others; its id books it, or lets it go."""
    body = {"event_type_id": place.event_type.id, "start": place.at(10).isoformat(), "timezone": ZONE}
    hold = api.post("/api/v1/holds", json=body).json()
    assert datetime.fromisoformat(hold["expires_at"]) > datetime.now(UTC) + timedelta(minutes=5)
    problem(api.post("/api/v1/holds", json=body), 409, "slot_unavailable")
    problem(api.post(BOOKINGS, json=_body(place, place.at(10))), 409, "slot_unavailable")
    assert _booked(api, place, place.at(10), hold_id=hold["id"])["status"] == "confirmed"
    other = api.post("/api/v1/holds", json=body | {"start": place.at(11).isoformat()}).json()
    problem(api.delete(f"/api/v1/holds/{other['id'][:-1]}"), 404, "not_found")
    assert api.delete(f"/api/v1/holds/{other['id']}").status_code == 204
    assert _booked(api, place, place.at(11))["status"] == "confirmed"


def test_moving_over_http(api: httpx.Client, place: Place) -> None:
    """The manage token moves its own booking, and no other one."""
    made, other = _booked(api, place, place.at(10)), _booked(api, place, place.at(11))
    path = f"{BOOKINGS}/{made['id']}/reschedule"
    body = {"start": place.at(14).isoformat()}
    problem(api.post(path, params=_token(other), json=body), 404, "not_found")
    moved = api.post(path, params=_token(made), json=body)
    assert datetime.fromisoformat(moved.json()["start"]) == place.at(14)
    taken = api.post(path, params=_token(made), json={"start": place.at(11).isoformat()})
    problem(taken, 409, "slot_unavailable")
    history = api.get(f"{BOOKINGS}/{made['id']}/history", headers=bearer(place.people[0])).json()["items"]
    assert [entry["action"] for entry in history] == ["created", "rescheduled"]


def test_approval_over_http(api: httpx.Client, fake: FakeProvider) -> None:
    """Confirm, decline and no-show are staff's; a state that forbids them is a 409."""
    place = bookable(fake, requires_approval=True)
    headers = bearer(place.people[0])
    one, two = _booked(api, place, place.at(10)), _booked(api, place, place.at(11))
    assert one["status"] == "pending"
    problem(api.post(f"{BOOKINGS}/{one['id']}/confirm"), 401, "not_signed_in")
    assert api.post(f"{BOOKINGS}/{one['id']}/confirm", headers=headers).json()["status"] == "confirmed"
    refused = api.post(f"{BOOKINGS}/{two['id']}/decline", headers=headers, json={"reason": "full"})
    assert refused.json()["status"] == "declined"
    problem(api.post(f"{BOOKINGS}/{two['id']}/confirm", headers=headers), 409, "transition_refused")
    problem(api.post(f"{BOOKINGS}/{one['id']}/no-show", headers=headers), 409, "transition_refused")


def test_other_workspaces_get_nothing(api: httpx.Client, place: Place, fake: FakeProvider) -> None:
    """Every route answers 404 to somebody of another workspace."""
    made = _booked(api, place, place.at(10))
    headers = bearer(bookable(fake).people[0])
    path = f"{BOOKINGS}/{made['id']}"
    for method, route, body in (
        ("GET", path, None),
        ("GET", f"{path}.ics", None),
        ("GET", f"{path}/history", None),
        ("POST", f"{path}/cancel", {}),
        ("POST", f"{path}/confirm", None),
        ("POST", f"{path}/decline", {}),
        ("POST", f"{path}/no-show", None),
        ("POST", f"{path}/reschedule", {"start": place.at(12).isoformat()}),
        ("POST", f"{path}/sync/retry", None),
    ):
        problem(api.request(method, route, json=body, headers=headers), 404, "not_found")
    assert api.get(BOOKINGS, headers=headers).json()["items"] == []
    assert api.get(path, params=_token(made)).json()["status"] == "confirmed"


def test_the_file_tells_each_reader_their_own(api: httpx.Client, place: Place) -> None:
    """Customers get the manage link and not the answers; staff get the guest; both the same UID."""
    made = _booked(api, place, place.at(10))
    path = f"{BOOKINGS}/{made['id']}.ics"
    problem(api.get(path), 401, "not_signed_in")
    files = [api.get(path, params=_token(made)), api.get(path, headers=bearer(place.people[0]))]
    theirs, ours = (icalendar.Calendar.from_ical(file.text).walk("VEVENT")[0] for file in files)
    assert files[0].headers["content-type"].startswith("text/calendar")
    assert theirs["UID"] == ours["UID"]
    assert made["manage_url"] in theirs["DESCRIPTION"]
    assert made["manage_url"] not in ours["DESCRIPTION"]
    assert "grace@example.org" in ours["DESCRIPTION"]
    assert theirs.decoded("DTSTART") == place.at(10)
    api.post(f"{BOOKINGS}/{made['id']}/cancel", params=_token(made))
    cancelled = icalendar.Calendar.from_ical(api.get(path, params=_token(made)).text).walk("VEVENT")[0]
    assert (cancelled["STATUS"], cancelled["SEQUENCE"]) == ("CANCELLED", 1)


def test_a_foreign_sites_page_cannot_cancel(api: httpx.Client, place: Place) -> None:
    """A signed-in browser's request that another site's page sent is refused."""
    made = _booked(api, place, place.at(10))
    factories.save(
        AuthSession(
            person_id=place.people[0].id,
            token_hash=authentication.digest("secret"),
            expires_at=datetime.now(UTC) + timedelta(days=1),
        )
    )
    cookie = {"Cookie": f"{authentication.SESSION_COOKIE}=secret"}
    path = f"{BOOKINGS}/{made['id']}/cancel"
    problem(api.post(path, json={}, headers=cookie | {"Sec-Fetch-Site": "cross-site"}), 403, "cross_site")
    assert api.post(path, json={}, headers=cookie | {"Sec-Fetch-Site": "same-origin"}).status_code == 200


def test_one_address_cannot_book_without_end(
    api: httpx.Client, place: Place, configure: Callable[..., Settings]
) -> None:
    """Over the limit the answer is 429 with Retry-After, for visitors and not for staff; tries count as well."""
    configure(BOOKINGS_PER_MINUTE="2")
    for _ in range(60):  # a minute that begins in between takes some more
        limited = api.post(BOOKINGS, json=_body(place, place.at(10)))
        if limited.status_code == 429:
            break
    problem(limited, 429, "rate_limited")
    assert int(limited.headers["Retry-After"]) > 0
    allowed = api.post(BOOKINGS, json=_body(place, place.at(11)), headers=bearer(place.people[0]))
    assert allowed.status_code == 201


@pytest.mark.parametrize(("key", "same"), [("d2719cb1-9c8d-4b7f-a7a5-1f7ac46ed8a9", True), ("short", False)])
def test_a_visitor_may_change_networks(api: httpx.Client, place: Place, key: str, same: bool) -> None:
    """A random key stands for its sender from whatever address; a short one belongs to its address."""
    first, second = (
        api.post(
            BOOKINGS,
            json=_body(place, place.at(10)),
            headers={"Idempotency-Key": key, "X-Forwarded-For": address},
        )
        for address in ("192.0.2.1", "198.51.100.2")
    )
    assert first.status_code == 201
    assert (second.status_code, second.content == first.content) == ((201, True) if same else (409, False))
