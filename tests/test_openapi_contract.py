"""The checker of OpenAPI documents catches broken exchanges, and its corrections fit the documents."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from tests.openapi_contract import (
    ContractASGI,
    ContractTransport,
    calendly_contract,
    graph_contract,
    requires_calendly_contract,
    requires_graph_contract,
)

GRAPH = "https://graph.microsoft.com/v1.0"
START = {"dateTime": "2026-11-20T09:00:00", "timeZone": "W. Europe Standard Time"}
EVENT: dict[str, Any] = {"subject": "Visit", "start": START, "end": START}
WINDOW = {"startDateTime": "2026-11-20T00:00:00Z", "endDateTime": "2026-11-27T00:00:00Z"}
HOOK = {"changeType": "created", "notificationUrl": "https://a.example", "resource": "me/events"}
ERROR = {"error": {"code": "ErrorItemNotFound", "message": "Not found.", "innerError": {"date": "x"}}}


def graph(verb: str, path: str, answer: Any = None, status: int = 200, **request: Any) -> None:
    """One exchange with a Graph that answers ``answer``."""

    def server(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(status) if answer is None else httpx.Response(status, json=answer)

    transport = ContractTransport(httpx.MockTransport(server), graph_contract())
    with httpx.Client(transport=transport) as client:
        client.request(verb, f"{GRAPH}/{path}", **request)
    assert transport.checked == 1


@requires_graph_contract
@pytest.mark.parametrize(
    ("verb", "path", "request_", "says"),
    [
        ("GET", "me/calendarz", {}, "not in the contract"),
        ("PUT", "me/events", {}, r"not in the contract \(only \['GET', 'POST'\]\)"),
        ("GET", "me/events", {"params": {"top": "5"}}, "unknown query parameter 'top'"),
        ("GET", "me/events", {"params": {"$top": "many"}}, "not an integer"),
        ("GET", "me/events", {"params": {"$top": "-1"}}, "minimum"),
        ("GET", "me/events", {"params": {"$count": "yes"}}, "not true or false"),
        ("GET", "me/events", {"params": {"$select": "id,title"}}, '"title" is not one of'),
        ("GET", "me/events", {"params": {"$select": ["id", "subject"]}}, "is repeated"),
        ("GET", "me/events", {"params": {"$orderby": "start"}}, "is not one of"),
        ("GET", "me/calendarView", {"params": {"$top": "1"}}, "'startDateTime' is required"),
        ("GET", "me/events", {"content": b"{1}"}, "takes no request body"),
        ("POST", "me/events", {}, "request body is missing"),
        ("POST", "me/events", {"content": json.dumps(EVENT)}, "content-type"),
        ("POST", "me/events", {"json": []}, "is not of type"),
        ("POST", "me/events", {"json": EVENT | {"title": "x"}}, "'title' was unexpected"),
        ("POST", "me/events", {"json": EVENT | {"subject": 5}}, "at subject"),
        ("POST", "me/events", {"json": EVENT | {"showAs": "away"}}, "at showAs"),
        ("POST", "me/events", {"json": EVENT | {"start": {"dateTime": "x", "zone": "y"}}}, "at start"),
        ("POST", "me/events", {"json": EVENT | {"singleValueExtendedProperties": [{"id": "x"}]}}, "value"),
        ("PATCH", "me/events/a", {"json": {"isAllDay": "true"}}, "at isAllDay"),
        ("POST", "subscriptions", {"json": HOOK}, '"expirationDateTime" is a required'),
        ("POST", "subscriptions", {"json": HOOK | {"expirationDateTime": "soon"}}, "date-time"),
        ("POST", "me/calendar/getSchedule", {"json": {"schedules": ["a"]}}, '"startTime" is a required'),
    ],
)
def test_a_broken_request_is_caught(verb: str, path: str, request_: dict[str, Any], says: str) -> None:
    """Paths, methods, parameters and bodies are all held against Graph's document."""
    with pytest.raises(AssertionError, match=says):
        graph(verb, path, {"value": []}, **request_)


@requires_graph_contract
@pytest.mark.parametrize(
    ("verb", "path", "answer", "status", "says"),
    [
        ("GET", "me/events", {"value": {}}, 200, "at value"),
        ("GET", "me/events", {"value": [{"id": 1}]}, 200, "at value/0/id"),
        ("GET", "me/events", {"value": [], "next": "x"}, 200, "'next' was unexpected"),
        ("GET", "me/events", {"value": []}, 202, "undocumented"),
        ("GET", "me/events", None, 200, "content-type"),
        ("GET", "me/events", {"error": "gone"}, 404, "at error"),
        ("GET", "me/events/a", {"id": "a", "recurrence": {"rule": 1}}, 200, "at recurrence"),
        ("GET", "me/events/a", {"id": "a", "createdDateTime": "2026-11-20T09:00:00"}, 200, "date-time"),
        ("DELETE", "me/events/a", {"id": "a"}, 204, "must have no body"),
        ("GET", "me", {"id": "a", "email": "x"}, 200, "'email' was unexpected"),
    ],
)
def test_a_broken_answer_is_caught(verb: str, path: str, answer: Any, status: int, says: str) -> None:
    """Status, content type and body of the answer are held against Graph's document."""
    with pytest.raises(AssertionError, match=says):
        graph(verb, path, answer, status)


@requires_graph_contract
@pytest.mark.parametrize(
    ("verb", "path", "answer", "status", "request_"),
    [
        ("GET", "me/events", {"value": [], "@odata.nextLink": "x"}, 200, {"params": {"$top": "5"}}),
        ("GET", "me/events", ERROR, 429, {}),
        ("GET", "me/events", ERROR, 503, {}),
        ("GET", "me/calendarView/delta", {"value": [{"id": "a", "@removed": {"reason": "deleted"}}]}, 200,
         {"params": WINDOW}),
        ("GET", "me/calendarView/delta", {"value": [], "@odata.deltaLink": "x"}, 200,
         {"params": {"$deltatoken": "t"}}),
        ("GET", "me/events/a", {"id": "a", "@odata.etag": "x", "singleValueExtendedProperties": []}, 200,
         {"params": {"$expand": "singleValueExtendedProperties($filter=id eq 'String {a,b} Name x')"}}),
        ("POST", "me/events", {"id": "a"} | EVENT, 201, {"json": EVENT | {"transactionId": "t"}}),
        ("PATCH", "me/events/a", {"id": "a"}, 200, {"json": {"recurrence": None}}),
        ("DELETE", "me/events/a", None, 204, {}),
        ("POST", "me/calendar/getSchedule", {"value": [{"scheduleId": "a", "workingHours": {
            "startTime": "08:00:00.0000000", "timeZone": {"name": "W. Europe Standard Time"}}}]}, 200,
         {"json": {"schedules": ["a"], "startTime": START, "endTime": START}}),
        ("GET", "me", {"id": "a", "mail": None}, 200, {"params": {"$select": "id,mail"}}),
    ],
)  # fmt: skip
def test_right_exchanges_pass(
    verb: str, path: str, answer: Any, status: int, request_: dict[str, Any]
) -> None:
    """What the reference documents goes through, where needed by a correction of the document."""
    graph(verb, path, answer, status, **request_)


@requires_graph_contract
def test_other_addresses_are_left_alone() -> None:
    """The token endpoint is not the contract's business."""
    transport = ContractTransport(httpx.MockTransport(lambda _request: httpx.Response(200)), graph_contract())
    with httpx.Client(transport=transport) as client:
        client.post("https://login.microsoftonline.com/common/oauth2/v2.0/token")
    assert transport.checked == 0


@requires_graph_contract
def test_a_server_is_held_to_its_answers() -> None:
    """Behind ContractASGI a served breach is collected, and a refused one is not."""
    answers = iter([(200, {"value": [], "extra": 1}), (400, ERROR), (200, {"value": []})])

    async def server(_scope: Any, _receive: Any, send: Any) -> None:
        status, content = next(answers)
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(content).encode()})

    app = ContractASGI(server, graph_contract())

    async def talk() -> None:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=GRAPH) as client:
            await client.get("/me/events")
            await client.get("/me/events", params={"$top": "x"})
            await client.get("/me/events", params={"unknown": "x"})

    asyncio.run(talk())
    assert app.checked == ["GET /me/events", "GET /me/events"]
    with pytest.raises(
        AssertionError, match=r"'extra' was unexpected[\s\S]*unknown query parameter 'unknown'"
    ):
        app.verify()


USER = {
    "resource": {
        "uri": "https://api.calendly.com/users/A",
        "name": "O",
        "slug": "o",
        "email": "owner@example.com",
        "scheduling_url": "https://calendly.com/o",
        "timezone": "Europe/Berlin",
        "avatar_url": None,
        "created_at": "2019-01-02T03:04:05.678123Z",
        "updated_at": "2019-01-02T03:04:05.678123Z",
        "current_organization": "https://api.calendly.com/organizations/A",
    }
}


@requires_calendly_contract
def test_calendly_is_held_to_its_document() -> None:
    """YAML, nullable fields, allOf in errors and a sandbox's own prefix."""
    content: Any = USER
    status = 200
    server = httpx.MockTransport(lambda _request: httpx.Response(status, json=content))
    base = "http://127.0.0.1:1/sandbox/calendly/api/"
    transport = ContractTransport(server, calendly_contract(), base=base)
    with httpx.Client(transport=transport, base_url=base) as client:
        client.get("users/me")
        with pytest.raises(AssertionError, match="unknown query parameter 'page'"):
            client.get("users/me", params={"page": "2"})
        content = {"resource": USER["resource"] | {"nickname": "x"}}
        with pytest.raises(AssertionError, match="'nickname' was unexpected"):
            client.get("users/me")
        status, content = 404, {"title": "Resource Not Found", "message": "Not there."}
        client.get("users/x")
        status = 418
        with pytest.raises(AssertionError, match="undocumented"):
            client.get("users/x")
    assert transport.operations == ["GET /users/me", "GET /users/{uuid}"]
