"""The contract checker catches broken exchanges, and the stand-in's own tables agree with the contract."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from calendar_app.sandbox.google.scopes import BY_METHOD
from tests.contracts import Contract, ContractASGI, ContractTransport, google_contract, google_document
from tests.contracts import requires_google_contract as _required

pytestmark = _required

EVENT = {"start": {"date": "2026-11-20"}, "end": {"date": "2026-11-21"}}
CHANNEL = {"id": "c", "type": "web_hook", "address": "https://x.example"}
BASE = "http://sandbox/sandbox/google/calendar/v3"


def exchange(verb: str, path: str, answer: Any = None, status: int = 200, **request: Any) -> None:
    """One exchange through the checking transport with a server that answers ``answer``."""

    def server(_request: httpx.Request) -> httpx.Response:
        if answer is None:
            return httpx.Response(204)
        return httpx.Response(status, json=answer)

    transport = ContractTransport(httpx.MockTransport(server))
    with httpx.Client(transport=transport) as client:
        client.request(verb, f"{BASE}/{path}", **request)
    assert transport.checked == 1


@pytest.mark.parametrize(
    ("verb", "path", "request_", "says"),
    [
        ("GET", "calendars/primary/event", {}, "no such method"),
        ("PUT", "calendars/primary/events", {}, r"no such method in the contract \(only \['GET', 'POST'\]\)"),
        ("GET", "calendars/primary/events", {"params": {"max": 5}}, "unknown query parameter 'max'"),
        ("GET", "calendars/primary/events", {"params": {"maxResults": "many"}}, "not an integer"),
        ("GET", "calendars/primary/events", {"params": {"maxResults": 0}}, "outside 1"),
        ("GET", "calendars/primary/events", {"params": {"singleEvents": "True"}}, "not true or false"),
        ("GET", "calendars/primary/events", {"params": {"orderBy": "start"}}, "not one of"),
        ("GET", "calendars/primary/events", {"params": {"timeMin": "2026-11-20"}}, "not an RFC 3339 time"),
        (
            "GET",
            "calendars/primary/events",
            {"params": {"timeMin": "2026-11-20T00:00:00"}},
            "not an RFC 3339 time",
        ),
        ("GET", "calendars/primary/events", {"params": {"q": ["a", "b"]}}, "'q' is repeated"),
        ("GET", "calendars/primary/events", {"params": {"syncToken": "x", "q": "y"}}, "cannot be combined"),
        ("POST", "calendars/a/events/b/move", {}, "'destination' is required"),
        ("GET", "calendars/primary/events", {"content": b"{}"}, "takes no request body"),
        ("POST", "calendars/primary/events", {}, "request body is missing"),
        ("POST", "calendars/primary/events", {"content": json.dumps(EVENT)}, "content-type"),
        ("POST", "calendars/primary/events", {"json": []}, "not a JSON object"),
        ("POST", "calendars/primary/events", {"json": {"start": EVENT["start"]}}, "'end' is required"),
        ("POST", "calendars/primary/events/import", {"json": EVENT}, "'iCalUID' is required"),
        ("POST", "calendars/primary/events", {"json": EVENT | {"title": "x"}}, "unknown field 'title'"),
        ("POST", "calendars/primary/events", {"json": EVENT | {"summary": 5}}, "5 is not a string"),
        ("POST", "calendars/primary/events", {"json": EVENT | {"sequence": "1"}}, "not a integer"),
        ("POST", "calendars/primary/events", {"json": EVENT | {"sequence": 2**31}}, "32 bits"),
        ("POST", "calendars/primary/events", {"json": EVENT | {"locked": 1}}, "not a boolean"),
        ("POST", "calendars/primary/events", {"json": EVENT | {"attendees": {}}}, "not an array"),
        ("POST", "calendars/primary/events", {"json": EVENT | {"attendees": [{"mail": "x"}]}}, "'mail'"),
        (
            "POST",
            "calendars/primary/events",
            {"json": EVENT | {"extendedProperties": {"private": {"n": 1}}}},
            "1 is not a string",
        ),
        ("PATCH", "calendars/a/events/b", {"json": {"start": {"date": "20261120"}}}, "not a date"),
        (
            "PATCH",
            "calendars/a/events/b",
            {"json": {"start": {"dateTime": "2026-11-20T09:00:00"}}},
            "needs a timeZone",
        ),
        (
            "PATCH",
            "calendars/a/events/b",
            {"json": {"start": {"date": "2026-11-20", "dateTime": "2026-11-20T09:00:00Z"}}},
            "both",
        ),
        ("POST", "calendars/a/events/watch", {"json": {"id": "c"}}, "'type' is required"),
        ("POST", "calendars/a/events/watch", {"json": CHANNEL | {"expiration": 17}}, "not a string"),
        ("POST", "calendars/a/events/watch", {"json": CHANNEL | {"expiration": "x"}}, "int64"),
        ("POST", "freeBusy", {"json": {"timeMin": "2026-11-20T00:00:00Z"}}, "'timeMax' is required"),
    ],
)
def test_broken_requests_are_caught(verb: str, path: str, request_: dict[str, Any], says: str) -> None:
    """Each breach raises before the request leaves, and says what is wrong."""
    with pytest.raises(AssertionError, match=says):
        exchange(verb, path, answer={}, **request_)


LIST = ("GET", "calendars/primary/events")


@pytest.mark.parametrize(
    ("call", "answer", "status", "says"),
    [
        (LIST, {"events": []}, 200, "unknown field 'events'"),
        (LIST, {"items": [{"id": 5}]}, 200, r"items\[0\]\.id: 5 is not a string"),
        (LIST, {"items": [{"summary": None}]}, 200, "null in an answer"),
        (LIST, {"items": [{"updated": "yesterday"}]}, 200, "not an RFC 3339 time"),
        (LIST, {"nextPageToken": "a", "nextSyncToken": "b"}, 200, "last page"),
        (LIST, [], 200, "not a JSON object"),
        (LIST, {}, 201, "Google answers 200 or 204"),
        (LIST, {"error": "no"}, 403, "no 'error' object"),
        (LIST, {"error": {"code": 404, "message": "x", "errors": []}}, 403, "code is 404"),
        (LIST, {"error": {"code": 403, "message": "x", "errors": []}}, 403, "'errors' is empty"),
        (LIST, {"error": {"code": 403, "message": "x", "errors": [{"reason": "y"}]}}, 403, "lacks"),
        (("DELETE", "calendars/primary/events/abcde"), {}, 200, "the contract has none"),
    ],
)
def test_broken_answers_are_caught(call: tuple[str, str], answer: Any, status: int, says: str) -> None:
    """The server's side is held to the contract as well."""
    with pytest.raises(AssertionError, match=says):
        exchange(*call, answer=answer, status=status)


def test_right_exchanges_pass() -> None:
    """Repeated parameters, percent-encoded ids, patches that clear, and answers without a body."""
    properties = {"privateExtendedProperty": ["a=b", "c=d"], "singleEvents": "true"}
    exchange(
        "GET",
        "calendars/de.german%23holiday@group.v.calendar.google.com/events",
        {"items": []},
        params=properties,
    )
    exchange(
        "PATCH",
        "calendars/a/events/b",
        {"id": "b"},
        json={"summary": None, "attendees": [{"email": "a@b.c"}]},
    )
    exchange("DELETE", "calendars/a/events/b", params={"sendUpdates": "all"})
    exchange("POST", "calendars/a/events/watch", {"kind": "api#channel"}, json=CHANNEL | {"expiration": "17"})


def test_other_addresses_are_not_judged() -> None:
    """Token and userinfo calls pass through unchecked."""
    transport = ContractTransport(httpx.MockTransport(lambda _request: httpx.Response(200, text="ok")))
    with httpx.Client(transport=transport) as client:
        assert client.post("http://sandbox/token").text == "ok"
    assert transport.checked == 0


async def _answering(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b'{"items": [], "surprise": 1}'})


def test_server_side_checker_collects_breaches() -> None:
    """Breaches of clients we do not control are raised by verify()."""
    app = ContractASGI(_answering, google_contract())

    async def ask() -> None:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as client:
            await client.get(f"{BASE}/calendars/primary/events", params={"max": 1})
            await client.get(f"{BASE}/calendars/primary/events")

    asyncio.run(ask())
    with pytest.raises(AssertionError, match=r"(?s)unknown query parameter 'max'.*unknown field 'surprise'"):
        app.verify()


def test_scopes_are_those_of_the_contract() -> None:
    """Every method's accepting scopes are among the ones Google names."""
    named: dict[str, set[str]] = {}

    def collect(resources: dict[str, Any]) -> None:
        for resource in resources.values():
            for method in resource.get("methods", {}).values():
                named[method["id"]] = set(method["scopes"])

    collect(google_document()["resources"])
    assert [method for method, scopes in BY_METHOD.items() if not scopes <= named[method]] == []


def test_every_schema_reference_resolves() -> None:
    """The checker can follow the whole document."""
    contract = Contract(google_document())
    names = {method.request for method in contract.methods} | {method.response for method in contract.methods}
    assert names - {""} <= contract.schemas.keys()
    assert len(contract.methods) == 38
