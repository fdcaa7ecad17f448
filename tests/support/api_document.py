"""Holds the answers of our own HTTP API against its OpenAPI document.

The ``api`` fixture checks every answer that a test gets: status, media type, problem code and body have to be those
that the document promises for the operation. A breach is an ``AssertionError``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

import httpx
import jsonschema_rs

from calendar_app.api.app import PREFIX, create_v1

Json = dict[str, Any]
_UNDOCUMENTED_PATHS = ("/docs", "/openapi.json")


@dataclass(frozen=True)
class Operation:
    """One method of one path; ``literal`` is how many of its characters stand as they are."""

    name: str
    method: str
    pattern: re.Pattern[str]
    literal: int
    spec: Json


@cache
def document() -> Json:
    """The document of this version."""
    return create_v1().openapi()


@cache
def operations() -> tuple[Operation, ...]:
    """Every operation, those with fewer parameters first."""
    found = [
        Operation(
            spec["operationId"],
            method.upper(),
            re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path))),
            len(re.sub(r"\{\w+\}", "", path)),
            spec,
        )
        for path, methods in document()["paths"].items()
        for method, spec in methods.items()
    ]
    return tuple(sorted(found, key=lambda one: -one.literal))


def operation_of(method: str, path: str) -> Operation | None:
    """The operation that serves a request; ``path`` is below ``/api/v1``."""
    for one in operations():
        if one.method == method and one.pattern.fullmatch(path):
            return one
    return None


@cache
def _validator(operation: str, status: str, media_type: str) -> Any:
    spec = next(one.spec for one in operations() if one.name == operation)
    schema = spec["responses"][status]["content"][media_type].get("schema", {})
    return jsonschema_rs.validator_for(
        {**schema, "components": document()["components"]}, validate_formats=True
    )


def verify(response: httpx.Response) -> None:
    """:raises AssertionError: the answer is not one that the document promises."""
    request = response.request
    path = request.url.path.removeprefix(PREFIX)
    if not request.url.path.startswith(PREFIX) or path in _UNDOCUMENTED_PATHS or request.method == "HEAD":
        return
    served = operation_of(request.method, path)
    if served is None:
        assert response.status_code in (204, 404, 405, 413, 408), f"{request.method} {path} is no operation"
        return
    status, place = str(response.status_code), f"{served.name} answered {response.status_code}"
    promised = served.spec["responses"].get(status)
    response.read()
    assert promised is not None, f"{place}, which it does not promise: {response.text[:300]}"
    content = promised.get("content", {})
    media_type = response.headers.get("content-type", "").partition(";")[0]
    if not content:
        assert not response.content, f"{place} with a body: {response.text[:200]}"
        return
    assert media_type in content, f"{place} as {media_type!r}, not as {list(content)}"
    if not media_type.endswith("json"):
        return
    body = response.json()
    for error in _validator(served.name, status, media_type).iter_errors(body):
        raise AssertionError(f"{place}: {list(error.instance_path)}: {error.message[:300]}")
    if media_type == "application/problem+json":
        assert body["code"] in promised["x-codes"], (
            f"{place} {body['code']}: its codes are {promised['x-codes']}"
        )
