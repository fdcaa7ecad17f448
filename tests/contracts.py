"""Holds HTTP exchanges against the providers' machine-readable contracts.

Google's Calendar API is described by its discovery document (https://developers.google.com/discovery/v1/reference/apis),
kept in ``../shared/contracts`` beside the repository, or below ``SHARED_DIR``. A clone without that folder skips.

- :class:`ContractTransport` wraps any httpx transport: a provider's calls are checked as they are made.
- :class:`ContractASGI` wraps a server: it checks the calls of clients we do not control (Google's own).

A breach is an ``AssertionError`` that names the method, the place and what is wrong.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest

from tests.support.recording import recorded

SHARED_DIR = Path(os.environ.get("SHARED_DIR") or Path(__file__).resolve().parents[2] / "shared")
GOOGLE_DOCUMENT = SHARED_DIR / "contracts" / "google-calendar.v3.discovery.json"
BASE = "/calendar/v3/"

requires_google_contract = pytest.mark.skipif(
    not GOOGLE_DOCUMENT.is_file(), reason=f"the Google discovery document is not at {GOOGLE_DOCUMENT}"
)

_RFC3339 = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$")
_LOCAL = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?$")
_DOCUMENTED_BODY_PARTS = {
    # Required by the reference pages, but not annotated in the discovery document.
    "calendar.events.watch": ("id", "type", "address"),
    "calendar.calendarList.watch": ("id", "type", "address"),
    "calendar.channels.stop": ("id", "resourceId"),
    "calendar.freebusy.query": ("timeMin", "timeMax", "items"),
}
_INCOMPATIBLE_WITH_SYNC_TOKEN = {
    "iCalUID",
    "orderBy",
    "privateExtendedProperty",
    "q",
    "sharedExtendedProperty",
    "timeMin",
    "timeMax",
    "updatedMin",
}


@lru_cache(maxsize=1)
def google_document() -> dict[str, Any]:
    """The discovery document; skips the calling test where it is absent."""
    if not GOOGLE_DOCUMENT.is_file():
        pytest.skip(f"the Google discovery document is not at {GOOGLE_DOCUMENT}")
    document: dict[str, Any] = json.loads(GOOGLE_DOCUMENT.read_text())
    return document


@lru_cache(maxsize=1)
def google_contract() -> Contract:
    """The contract made from :func:`google_document`."""
    return Contract(google_document())


@dataclass(frozen=True)
class Method:
    """One API method, its path as a pattern over the part behind the base URL."""

    id: str
    verb: str
    pattern: re.Pattern[str]
    parameters: dict[str, Any]
    request: str
    response: str
    literal: int


class Contract:
    """Checks requests and responses; every ``check_*`` raises ``AssertionError`` on a breach."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.schemas: dict[str, Any] = document["schemas"]
        self.common: dict[str, Any] = document["parameters"]
        self.methods = sorted(_methods(document["resources"]), key=lambda method: -method.literal)

    def method_for(self, verb: str, path: str) -> Method:
        """``path`` as sent, percent-encoded, without the base URL and the query."""
        for method in self.methods:
            if method.verb == verb and method.pattern.fullmatch(path):
                return method
        known = sorted({method.verb for method in self.methods if method.pattern.fullmatch(path)})
        raise AssertionError(
            f"{verb} {path}: no such method in the contract" + (f" (only {known})" if known else "")
        )

    def check_request(
        self,
        verb: str,
        path: str,
        query: Iterable[tuple[str, str]],
        headers: Mapping[str, str],
        body: bytes,
    ) -> Method:
        """Path, query parameters and body of one request."""
        method = self.method_for(verb, path)
        self._check_query(method, list(query))
        if not method.request:
            assert not body.strip(), f"{method.id}: takes no request body, got {body[:80]!r}"
            return method
        assert body, f"{method.id}: the request body is missing"
        kind = headers.get("content-type", "").partition(";")[0]
        assert kind == "application/json", f"{method.id}: content-type is {kind!r}, not application/json"
        content = _json(body, f"{method.id}: request body")
        self._check_value(content, {"$ref": method.request}, f"{method.id} request")
        for part in self._required(method):
            assert content.get(part) not in (None, "", []), f"{method.id} request: {part!r} is required"
        return method

    def check_response(self, method: Method, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Status, content type and body of one answer."""
        where = f"{method.id} response {status}"
        if status >= 400:
            self._check_error(where, status, body)
            return
        if status in (204, 304):
            assert not body, f"{where}: must have no body"
            return
        assert status == 200, f"{where}: Google answers 200 or 204 here"
        assert method.response, f"{where}: has a body, the contract has none (204)"
        kind = headers.get("content-type", "").partition(";")[0]
        assert kind == "application/json", f"{where}: content-type is {kind!r}"
        content = _json(body, where)
        self._check_value(content, {"$ref": method.response}, where)
        assert not ("nextPageToken" in content and "nextSyncToken" in content), (
            f"{where}: nextSyncToken belongs to the last page only, nextPageToken to the others"
        )

    def _required(self, method: Method) -> list[str]:
        properties = self.schemas[method.request]["properties"]
        annotated = [
            n for n, s in properties.items() if method.id in s.get("annotations", {}).get("required", ())
        ]
        return annotated + list(_DOCUMENTED_BODY_PARTS.get(method.id, ()))

    def _check_query(self, method: Method, query: list[tuple[str, str]]) -> None:
        seen: set[str] = set()
        for name, value in query:
            schema = method.parameters.get(name) or self.common.get(name)
            known = schema is not None and schema["location"] == "query"
            assert known, f"{method.id}: unknown query parameter {name!r}"
            assert name not in seen or schema.get("repeated"), (
                f"{method.id}: query parameter {name!r} is repeated"
            )
            seen.add(name)
            _check_parameter(value, schema, f"{method.id} query {name}")
        for name, schema in method.parameters.items():
            if schema["location"] == "query" and schema.get("required"):
                assert name in seen, f"{method.id}: query parameter {name!r} is required"
        if "syncToken" in seen:
            clash = seen & _INCOMPATIBLE_WITH_SYNC_TOKEN
            assert not clash, f"{method.id}: {sorted(clash)} cannot be combined with syncToken"

    def _check_value(self, value: Any, schema: dict[str, Any], where: str) -> None:
        if reference := schema.get("$ref"):
            schema = self.schemas[reference]
        kind = schema.get("type", "any")
        if value is None:
            assert " request" in where, f"{where}: null in an answer"
            return  # clears the field in a patch
        if kind == "object":
            self._check_object(value, schema, where)
        elif kind == "array":
            assert isinstance(value, list), f"{where}: {value!r} is not an array"
            for number, item in enumerate(value):
                self._check_value(item, schema["items"], f"{where}[{number}]")
        elif kind != "any":
            _check_scalar(value, schema, where)

    def _check_object(self, value: Any, schema: dict[str, Any], where: str) -> None:
        assert isinstance(value, dict), f"{where}: {value!r} is not an object"
        properties, others = schema.get("properties", {}), schema.get("additionalProperties")
        for name, item in value.items():
            assert name in properties or others is not None, f"{where}: unknown field {name!r}"
            self._check_value(item, properties.get(name, others), f"{where}.{name}")
        if schema.get("id") == "EventDateTime":
            _check_event_time(value, where)

    def _check_error(self, where: str, status: int, body: bytes) -> None:
        error = _json(body, where).get("error")
        assert isinstance(error, dict), f"{where}: no 'error' object"
        assert error.get("code") == status, f"{where}: code is {error.get('code')!r}"
        assert isinstance(error.get("message"), str), f"{where}: no message"
        items = error.get("errors")
        assert isinstance(items, list), f"{where}: no 'errors' list"
        assert items, f"{where}: 'errors' is empty"
        for item in items:
            missing = {"domain", "reason", "message"} - item.keys()
            assert not missing, f"{where}: an error lacks {sorted(missing)}"


def _methods(resources: dict[str, Any]) -> Iterable[Method]:
    for resource in resources.values():
        for method in resource.get("methods", {}).values():
            template = re.split(r"(\{\w+\})", method["path"])
            pattern = "".join("[^/]+" if part.startswith("{") else re.escape(part) for part in template)
            yield Method(
                id=method["id"],
                verb=method["httpMethod"],
                pattern=re.compile(pattern),
                parameters=method.get("parameters", {}),
                request=method.get("request", {}).get("$ref", ""),
                response=method.get("response", {}).get("$ref", ""),
                literal=sum(len(part) for part in template if not part.startswith("{")),
            )
        yield from _methods(resource.get("resources", {}))


def _json(body: bytes, where: str) -> dict[str, Any]:
    try:
        content = json.loads(body)
    except ValueError as error:
        raise AssertionError(f"{where}: not JSON: {body[:120]!r}") from error
    assert isinstance(content, dict), f"{where}: not a JSON object"
    return content


def _check_parameter(value: str, schema: dict[str, Any], where: str) -> None:
    kind = schema["type"]
    if kind == "boolean":
        assert value in ("true", "false"), f"{where}: {value!r} is not true or false"
    elif kind == "integer":
        assert re.fullmatch(r"-?\d+", value), f"{where}: {value!r} is not an integer"
        low, high = int(schema.get("minimum", -(2**31))), int(schema.get("maximum", 2**31 - 1))
        assert low <= int(value) <= high, f"{where}: {value} is outside {low}..{high}"
    else:
        _check_scalar(value, schema, where)


def _check_scalar(value: Any, schema: dict[str, Any], where: str) -> None:
    kind, form = schema["type"], schema.get("format")
    types: dict[str, type] = {"string": str, "boolean": bool, "integer": int, "number": float}
    right = isinstance(value, types[kind]) and (kind == "boolean" or not isinstance(value, bool))
    assert right, f"{where}: {value!r} is not a {kind}"
    if "enum" in schema:
        assert value in schema["enum"], f"{where}: {value!r} is not one of {schema['enum']}"
    if form == "date-time":
        known = _RFC3339.match(value) or (where.endswith(".dateTime") and _LOCAL.match(value))
        right = known and _parses(datetime.fromisoformat, value)
        assert right, f"{where}: {value!r} is not an RFC 3339 time"
    elif form == "date":
        right = len(value) == 10 and _parses(date.fromisoformat, value)
        assert right, f"{where}: {value!r} is not a date"
    elif form == "int32":
        assert -(2**31) <= value < 2**31, f"{where}: {value} does not fit 32 bits"
    elif form == "int64":
        assert re.fullmatch(r"-?\d+", value), f"{where}: {value!r} is not an int64 in a string"


def _parses(parse: Any, value: str) -> bool:
    try:
        parse(value)
    except ValueError:
        return False
    return True


def _check_event_time(value: dict[str, Any], where: str) -> None:
    moment = value.get("dateTime")
    both = moment is not None and value.get("date") is not None
    assert not both, f"{where}: has both 'date' and 'dateTime'"
    if moment is not None and _LOCAL.match(moment):
        assert value.get("timeZone"), f"{where}: a dateTime without offset needs a timeZone"


def _split(raw_path: str) -> str | None:
    """The part behind the API's base URL; ``None`` for other addresses (tokens, userinfo)."""
    _, found, rest = raw_path.partition(BASE)
    return rest if found else None


class ContractTransport(httpx.BaseTransport):
    """Passes requests on to ``inner`` and checks every exchange below ``/calendar/v3/``; ``checked`` counts them."""

    def __init__(self, inner: httpx.BaseTransport, contract: Contract | None = None) -> None:
        self.inner, self.contract, self.checked = inner, contract or google_contract(), 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        raw_path, _, query = request.url.raw_path.decode().partition("?")
        if (path := _split(raw_path)) is None:
            return self.inner.handle_request(request)
        sent = parse_qsl(query, keep_blank_values=True)
        method = self.contract.check_request(request.method, path, sent, request.headers, request.read())
        response = self.inner.handle_request(request)
        body = response.read()
        if "fields" not in dict(sent):
            self.contract.check_response(method, response.status_code, response.headers, body)
        self.checked += 1
        return response

    def close(self) -> None:
        self.inner.close()


class ContractASGI:
    """Checks what any client sends to ``app`` and gets from it; :meth:`verify` raises what it found."""

    def __init__(self, app: Any, contract: Contract | None = None) -> None:
        self.app, self.contract = app, contract or google_contract()
        self.breaches: list[str] = []
        self.checked: list[str] = []

    def verify(self) -> None:
        """Raises ``AssertionError`` with every breach so far."""
        assert not self.breaches, "\n".join(self.breaches)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        path = _split(scope["raw_path"].decode().partition("?")[0]) if scope["type"] == "http" else None
        if path is None:
            await self.app(scope, receive, send)
            return
        received, start, sent = await recorded(self.app, scope, receive, send)
        query = parse_qsl(scope["query_string"].decode(), keep_blank_values=True)
        try:
            method = self.contract.check_request(
                scope["method"], path, query, _decoded(scope["headers"]), received
            )
            self.checked.append(method.id)
            self.contract.check_response(method, start["status"], _decoded(start["headers"]), sent)
        except AssertionError as breach:
            self.breaches.append(str(breach))


def _decoded(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    return {name.decode().lower(): value.decode("latin-1") for name, value in headers}
