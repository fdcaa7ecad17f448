"""The OpenAPI document: what integrators and the generators of clients rely on."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from calendar_app.api.problem_codes import CODES
from tests.support.api_document import Operation, document, operations
from tests.support.databases import Database
from tests.support.people import problem, user

PROBLEM = {"$ref": "#/components/schemas/Problem"}
BY_NAME = {one.name: one for one in operations()}


def parameters(one: Operation, place: str) -> dict[str, Any]:
    """The operation's parameters in the path, the query or the header, by name."""
    return {each["name"]: each for each in one.spec.get("parameters", []) if each["in"] == place}


def schema_of(one: Operation) -> Any:
    """The schema of the operation's success, references followed; ``None`` where it is no JSON."""
    for status, answer in one.spec["responses"].items():
        schema = answer.get("content", {}).get("application/json", {}).get("schema")
        if status < "300" and schema is not None:
            name = schema.get("$ref", "").rpartition("/")[2]
            return document()["components"]["schemas"].get(name, schema)
    return None


def walked(value: Any) -> Iterator[dict[str, Any]]:
    """Every object of the document."""
    if isinstance(value, dict):
        yield value
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from walked(each)


def test_operations_have_names_that_people_type() -> None:
    """An operation is named like a function, once; it has a known tag, a summary and a description."""
    assert [name for name, number in Counter(one.name for one in operations()).items() if number > 1] == []
    tags = {each["name"] for each in document()["tags"]}
    for one in operations():
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", one.name), one.name
        assert set(one.spec["tags"]) <= tags, one.name
        assert one.spec["summary"], one.name
        assert one.spec["description"], one.name
    assert {"list_event_types", "create_booking", "get_me", "list_slots"} <= set(BY_NAME)


def test_every_error_is_one_problem() -> None:
    """Errors are problem documents that name their codes; limits and outages are told everywhere."""
    for one in operations():
        answers = one.spec["responses"]
        assert {"422", "429", "503"} <= set(answers), one.name
        for status, answer in answers.items():
            if status < "400":
                continue
            assert answer["content"]["application/problem+json"]["schema"] == PROBLEM, one.name
            assert answer["x-codes"], one.name
            assert all(CODES[code][0] == int(status) for code in answer["x-codes"]), one.name
        for status in ("429", "503"):
            assert "Retry-After" in answers[status]["headers"], one.name


def test_every_reference_leads_somewhere_and_every_name_is_plain() -> None:
    """No two schemas share a name (FastAPI would put modules in front), and nothing of FastAPI's errors is left."""
    schemas = document()["components"]["schemas"]
    assert [name for name in schemas if not re.fullmatch(r"[A-Z][A-Za-z]+", name)] == []
    assert not {"HTTPValidationError", "ValidationError"} & set(schemas)
    for each in walked(document()):
        if "$ref" in each:
            _, _, kind, name = each["$ref"].split("/")
            assert name in document()["components"][kind]


def test_sign_in_is_asked_where_it_is_needed() -> None:
    """Public operations say so: no credentials at all, or none besides others."""
    nobodys = {name for name, one in BY_NAME.items() if one.spec["security"] == []}
    visitors = {name for name, one in BY_NAME.items() if {} in one.spec["security"]}
    assert nobodys >= {"create_access_token", "receive_notification", "release_hold", "read_feed"}
    assert visitors >= {"list_slots", "create_hold", "create_booking", "create_order", "finish_connection"}
    assert not (nobodys | visitors) & {"list_bookings", "get_me", "list_event_types", "create_token"}
    for name in set(BY_NAME) - nobodys:
        assert "401" in BY_NAME[name].spec["responses"], name


def test_lists_are_alike() -> None:
    """A list is ``{items, next}`` and takes ``limit`` and ``after``; no answer is a bare array."""
    lists = []
    for one in operations():
        schema = schema_of(one) or {}
        assert schema.get("type") != "array", one.name
        if "items" not in schema.get("properties", {}):
            continue
        lists.append(one.name)
        assert one.name.startswith("list_") or one.name in {"get_sync_status", "get_drift_report"}, one.name
        assert {"items", "next"} <= set(schema["properties"]), one.name
        assert {"limit", "after"} <= set(parameters(one, "query")), one.name
    assert len(lists) > 20


def test_outages_say_when_to_come_back(api: httpx.Client, database: Database) -> None:
    """Every 503 has ``Retry-After``, also where nobody knows how long it lasts."""
    answer = api.post("/api/v1/connections/google/start", headers=user().bearer)
    problem(answer, 503, "provider_not_configured")
    assert int(answer.headers["retry-after"]) >= 1


def test_files_have_their_type() -> None:
    """Calendar files are ``text/calendar``."""
    for name in ("get_booking_ics", "read_feed"):
        assert list(BY_NAME[name].spec["responses"]["200"]["content"]) == ["text/calendar"]


def test_an_unknown_parameter_is_refused(api: httpx.Client, database: Database) -> None:
    """A mistyped name is an error everywhere, never ignored; only providers' own calls may add to theirs."""
    ada = user()
    for one in operations():
        if one.name in ("receive_notification", "finish_connection"):
            continue
        path = re.sub(r"\[\^/\]\+", "x", one.pattern.pattern).replace("\\", "")
        answer = api.request(one.method, f"/api/v1{path}", params={"cursor": "x"}, headers=ada.bearer)
        body = problem(answer, 422, "invalid_input")
        assert body["errors"] == [
            {"field": "cursor", "code": "unknown", "detail": "There is no such parameter."}
        ], one.name


def test_a_body_of_another_kind_is_refused(api: httpx.Client, database: Database) -> None:
    """415 names what is taken, for forms, for text, for JSON that does not say so, and for compressed bodies."""
    ada = user()
    for kind in ("application/x-www-form-urlencoded", "text/plain", "application/xml", ""):
        headers = ada.bearer | ({"Content-Type": kind} if kind else {})
        answer = api.post("/api/v1/event-types", content=b'{"title": "Call"}', headers=headers)
        problem(answer, 415, "unsupported_media_type")
        assert answer.headers["accept"] == "application/json"
    zipped = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    problem(
        api.post("/api/v1/event-types", content=b"x", headers=ada.bearer | zipped),
        415,
        "unsupported_media_type",
    )
    written = {"Content-Type": "application/merge-patch+json; charset=utf-8"}
    made = api.post("/api/v1/event-types", content=b'{"title": "Call"}', headers=ada.bearer | written)
    assert made.status_code == 201, made.text


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/event-types", "GET, HEAD, POST"),
        ("/event-types/x", "DELETE, GET, HEAD, PATCH"),
        ("/bookings/x/cancel", "POST"),
        ("/feeds", "DELETE, GET, HEAD, POST"),
    ],
)
def test_a_wrong_method_is_told_every_right_one(api: httpx.Client, path: str, methods: str) -> None:
    """``Allow`` names the methods of all operations at the address."""
    answer = api.put(f"/api/v1{path}")
    problem(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == methods


def test_head_is_get_without_content(api: httpx.Client, database: Database) -> None:
    """``HEAD`` has the status and headers of ``GET``, of errors too."""
    ada = user()
    for headers, status in ((ada.bearer, 200), ({}, 401)):
        answer = api.head("/api/v1/event-types", headers=headers)
        assert (answer.status_code, answer.content) == (status, b"")
        assert int(answer.headers["content-length"]) > 10


def integers_of(one: Operation) -> Iterator[tuple[str, str]]:
    """The fields of the operation's JSON body that are whole numbers or truth values, with what is no such value."""
    content = one.spec.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    reference = next((each["$ref"] for each in walked(content) if "$ref" in each), "")
    schema = document()["components"]["schemas"].get(reference.rpartition("/")[2], {})
    for field, spec in schema.get("properties", {}).items():
        kinds = {each.get("type") for each in (spec, *spec.get("anyOf", []))}
        if "integer" in kinds or "boolean" in kinds:
            yield field, "integer" if "integer" in kinds else "boolean"


def test_truth_values_are_no_numbers(api: httpx.Client, database: Database) -> None:
    """``true`` is no number and ``1`` no truth value, in the body of every operation."""
    ada, tried = user(), 0
    for one in operations():
        for field, kind in integers_of(one):
            path = re.sub(r"\[\^/\]\+", "x", one.pattern.pattern).replace("\\", "")
            if "calendar_id" in str(one.spec.get("parameters")) and one.name == "create_event":
                continue
            value = True if kind == "integer" else 1
            answer = api.request(one.method, f"/api/v1{path}", json={field: value}, headers=ada.bearer)
            if answer.status_code == 404:  # the object is looked for before the body is read
                continue
            body = problem(answer, 422, "invalid_input")
            assert field in {each["field"] for each in body["errors"]}, (one.name, field)  # type: ignore[attr-defined]
            tried += 1
    assert tried > 15
