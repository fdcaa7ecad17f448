"""Holds HTTP exchanges against OpenAPI 3.0 documents: Microsoft Graph and Calendly.

The documents stand in ``../shared/contracts`` beside the repository, or below ``SHARED_DIR``; a clone without that
folder skips. Google's API has a format of its own: :mod:`tests.contracts`.

A breach is an ``AssertionError`` that names the operation, the place and what is wrong: an unknown path, method, query
parameter or body field, a value of the wrong type, a missing required part, an undocumented status or answer. Values
are judged by :mod:`tests.openapi_schemas`.

What the documents themselves get wrong or leave out is put right in :mod:`tests.openapi_corrections`, one commented
edit each. Nothing else passes.

A provider's own calls, checked as they are made::

    transport = ContractTransport(httpx.MockTransport(answer), graph_contract())
    client = httpx.Client(transport=transport)            # addresses with "/v1.0/" in them are checked
    ...
    assert transport.checked == 3

A server's answers to clients we do not control::

    app = ContractASGI(create_app(...), graph_contract())
    ...                                                   # serve it, talk to it
    app.verify()                                          # raises what it found
    assert "POST /me/events" in app.checked

Calendly's addresses have no prefix of their own, so say where the API begins::

    ContractTransport(inner, calendly_contract(), base="https://api.calendly.com/")
    ContractASGI(app, calendly_contract(), base="/sandbox/calendly/api/")
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest
import yaml

from tests.contracts import SHARED_DIR
from tests.openapi_corrections import CALENDLY_CORRECTIONS, GRAPH_CORRECTIONS, Correction
from tests.openapi_schemas import Schemas
from tests.support.recording import recorded

Json = dict[str, Any]

GRAPH_DOCUMENT = SHARED_DIR / "contracts" / "msgraph-calendar-openapi.json"
GRAPH_REQUESTS = SHARED_DIR / "contracts" / "msgraph-calendar-requests.json"
CALENDLY_DOCUMENT = SHARED_DIR / "contracts" / "calendly-openapi.yaml"


def _requires(*files: Path) -> pytest.MarkDecorator:
    missing = [str(file) for file in files if not file.is_file()]
    return pytest.mark.skipif(bool(missing), reason=f"no OpenAPI document at {', '.join(missing)}")


requires_graph_contract = _requires(GRAPH_DOCUMENT, GRAPH_REQUESTS)
requires_calendly_contract = _requires(CALENDLY_DOCUMENT)


@dataclass(frozen=True)
class Operation:
    """One method of one path; ``id`` is like ``GET /me/events/{id_1}``."""

    id: str
    verb: str
    pattern: re.Pattern[str]
    literal: int
    parameters: dict[str, Json]
    body: Json | None
    responses: dict[str, Json]


class Contract:
    """Checks requests and responses; every ``check_*`` raises ``AssertionError`` on a breach.

    ``base``: what stands before the document's paths in an address. ``notes``: a pattern of field names that the
    protocol allows in any object (OData's control information). ``continuations``: query parameters that carry on an
    earlier request, which makes other required ones needless. ``further_bodies``: a second set of body schemas by
    operation, with path parameters as ``:name``.
    """

    def __init__(
        self,
        document: Json,
        *,
        base: str,
        notes: str = "",
        continuations: frozenset[str] = frozenset(),
        further_bodies: Mapping[str, Json] | None = None,
    ) -> None:
        self.document, self.base, self.continuations = document, base, continuations
        self._schemas = Schemas(document["components"].get("schemas", {}), notes)
        self.operations = sorted(self._read_operations(), key=lambda found: -found.literal)
        self._further = {_shape(id): schema for id, schema in (further_bodies or {}).items()}

    def operation_for(self, verb: str, path: str) -> Operation:
        """``path`` as sent, percent-encoded, with a leading slash, without the query."""
        for operation in self.operations:
            if operation.verb == verb and operation.pattern.fullmatch(path):
                return operation
        known = sorted({found.verb for found in self.operations if found.pattern.fullmatch(path)})
        raise AssertionError(f"{verb} {path}: not in the contract" + (f" (only {known})" if known else ""))

    def check_request(
        self,
        verb: str,
        path: str,
        query: Iterable[tuple[str, str]],
        headers: Mapping[str, str],
        body: bytes,
    ) -> Operation:
        """Path, query parameters and body of one request; gives the operation it belongs to."""
        operation = self.operation_for(verb, path)
        self._check_query(operation, list(query))
        if operation.body is None:
            # A POST without parameters may carry an empty object.
            assert body.strip() in (b"", b"{}"), f"{operation.id}: takes no request body, got {body[:80]!r}"
            return operation
        if not body:
            assert not operation.body.get("required"), f"{operation.id}: the request body is missing"
            return operation
        _json_kind(headers, f"{operation.id} request")
        content = _json(body, f"{operation.id} request")
        schema = operation.body["content"]["application/json"]["schema"]
        self._schemas.check((operation.id, "request"), content, schema)
        if further := self._further.get(_shape(operation.id)):
            self._schemas.check((operation.id, "request, second document"), content, further, plain=False)
        return operation

    def check_response(
        self, operation: Operation, status: int, headers: Mapping[str, str], body: bytes
    ) -> None:
        """Status, content type and body of one answer."""
        where = f"{operation.id} response {status}"
        documented = operation.responses
        found = (
            documented.get(str(status)) or documented.get(f"{status // 100}XX") or documented.get("default")
        )
        assert found is not None, f"{where}: undocumented, known are {sorted(documented)}"
        content = found.get("content", {}).get("application/json")
        if content is None:
            assert not body, f"{where}: must have no body, has {body[:80]!r}"
            return
        _json_kind(headers, where)
        self._schemas.check((operation.id, str(status)), _json(body, where), content["schema"])

    def _check_query(self, operation: Operation, query: list[tuple[str, str]]) -> None:
        given: dict[str, list[str]] = {}
        for name, text in query:
            assert name in operation.parameters, f"{operation.id}: unknown query parameter {name!r}"
            given.setdefault(name, []).append(text)
        for name, values in given.items():
            parameter = operation.parameters[name]
            schema, where = parameter.get("schema", {}), f"{operation.id} query {name}"
            if schema.get("type") == "array":
                separate = _listed(values[0]) if parameter.get("explode") is False else values
                assert len(values) == 1 or separate is values, f"{where}: is repeated"
                value: Any = [_typed(item, schema.get("items", {}), where) for item in separate]
            else:
                assert len(values) == 1, f"{where}: is repeated"
                value = _typed(values[0], schema, where)
            self._schemas.check((operation.id, f"query {name}"), value, schema)
        if self.continuations & given.keys():
            return
        for name, parameter in operation.parameters.items():
            assert not parameter.get("required") or name in given, (
                f"{operation.id}: query parameter {name!r} is required"
            )

    def _read_operations(self) -> Iterable[Operation]:
        for path, item in self.document["paths"].items():
            parts = re.split(r"(\{\w+\})", path)
            pattern = re.compile("".join("[^/]+" if part[:1] == "{" else re.escape(part) for part in parts))
            literal = sum(len(part) for part in parts if part[:1] != "{")
            for verb in item.keys() & {"get", "post", "put", "patch", "delete"}:
                content = item[verb]
                declared = [*item.get("parameters", ()), *content.get("parameters", ())]
                resolved = [self._resolved(parameter) for parameter in declared]
                body = content.get("requestBody")
                yield Operation(
                    id=f"{verb.upper()} {path}",
                    verb=verb.upper(),
                    pattern=pattern,
                    literal=literal,
                    parameters={entry["name"]: entry for entry in resolved if entry["in"] == "query"},
                    body=self._resolved(body) if body else None,
                    responses={
                        str(status): self._resolved(answer) for status, answer in content["responses"].items()
                    },
                )

    def _resolved(self, node: Json) -> Json:
        while "$ref" in node:
            _, _, kind, name = node["$ref"].split("/")
            node = self.document["components"][kind][name]
        return node


def _shape(id: str) -> str:
    """An operation's id with anonymous path parameters, without the empty brackets of OData functions."""
    return re.sub(r"\{\w+\}|:\w+", "{}", id).replace("()", "")


def _listed(value: str) -> list[str]:
    """The items of an OData list: ``a,b($filter=c,d)`` is ``[a, b]``, as the documents name only the outer words."""
    depth, words = 0, [""]
    for letter in value:
        depth += (letter == "(") - (letter == ")")
        if letter == "," and not depth:
            words.append("")
        elif not depth and letter != ")":
            words[-1] += letter
    return words


def _typed(value: str, schema: Json, where: str) -> Any:
    kind = schema.get("type")
    if kind == "boolean":
        assert value in ("true", "false"), f"{where}: {value!r} is not true or false"
        return value == "true"
    if kind == "integer":
        assert re.fullmatch(r"-?\d+", value), f"{where}: {value!r} is not an integer"
        return int(value)
    if kind == "number":
        assert re.fullmatch(r"-?\d+(\.\d+)?", value), f"{where}: {value!r} is not a number"
        return float(value)
    return value


def _json(body: bytes, where: str) -> Any:
    try:
        return json.loads(body)
    except ValueError as error:
        raise AssertionError(f"{where}: not JSON: {body[:120]!r}") from error


def _json_kind(headers: Mapping[str, str], where: str) -> None:
    kind = headers.get("content-type", "").partition(";")[0]
    assert kind == "application/json", f"{where}: content-type is {kind!r}, not application/json"


def _corrected(document: Json, corrections: Iterable[Correction]) -> Json:
    document = deepcopy(document)
    for correct in corrections:
        correct(document)
    return document


@lru_cache(maxsize=1)
def graph_contract() -> Contract:
    """Microsoft Graph v1.0, as far as calendars and subscriptions go; skips the calling test where it is absent."""
    for file in (GRAPH_DOCUMENT, GRAPH_REQUESTS):
        if not file.is_file():
            pytest.skip(f"no OpenAPI document at {file}")
    requests = json.loads(GRAPH_REQUESTS.read_text())
    return Contract(
        _corrected(json.loads(GRAPH_DOCUMENT.read_text()), GRAPH_CORRECTIONS),
        base="/v1.0/",
        notes=r"^([A-Za-z]+)?@(odata\.[A-Za-z.]+|removed)$",
        continuations=frozenset({"$skiptoken", "$deltatoken"}),
        further_bodies={id: entry["body"] for id, entry in requests.items() if "body" in entry},
    )


@lru_cache(maxsize=1)
def calendly_contract() -> Contract:
    """Calendly's API v2; skips the calling test where it is absent."""
    if not CALENDLY_DOCUMENT.is_file():
        pytest.skip(f"no OpenAPI document at {CALENDLY_DOCUMENT}")
    document = yaml.load(CALENDLY_DOCUMENT.read_text(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506  # a safe loader
    return Contract(_corrected(document, CALENDLY_CORRECTIONS), base="https://api.calendly.com/")


class ContractTransport(httpx.BaseTransport):
    """Passes requests on to ``inner`` and checks every exchange whose address contains ``base`` (the contract's, if not
    given); the path begins behind it. ``checked`` counts, ``operations`` names them."""

    def __init__(self, inner: httpx.BaseTransport, contract: Contract, *, base: str = "") -> None:
        self.inner, self.contract, self.base = inner, contract, base or contract.base
        self.operations: list[str] = []

    @property
    def checked(self) -> int:
        return len(self.operations)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        raw_path, _, query = request.url.raw_path.decode().partition("?")
        origin = f"{request.url.scheme}://{request.url.netloc.decode()}"
        _, found, path = f"{origin}{raw_path}".partition(self.base)
        if not found:
            return self.inner.handle_request(request)
        sent = parse_qsl(query, keep_blank_values=True)
        operation = self.contract.check_request(
            request.method, f"/{path}", sent, request.headers, request.read()
        )
        response = self.inner.handle_request(request)
        self.contract.check_response(operation, response.status_code, response.headers, response.read())
        self.operations.append(operation.id)
        return response

    def close(self) -> None:
        self.inner.close()


class ContractASGI:
    """Checks what any client sends to ``app`` and gets from it, where the path contains ``base``; :meth:`verify` raises
    what it found.

    Requests that the server refuses with 4xx may break the contract (that is why they were refused): of these only the
    answer is checked. ``checked`` names the operations.
    """

    def __init__(self, app: Any, contract: Contract, *, base: str = "") -> None:
        self.app, self.contract, self.base = app, contract, base or contract.base
        self.breaches: list[str] = []
        self.checked: list[str] = []

    def verify(self) -> None:
        """Raises ``AssertionError`` with every breach so far."""
        assert not self.breaches, "\n".join(self.breaches)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        raw = scope["raw_path"].decode().partition("?")[0] if scope["type"] == "http" else ""
        _, found, path = raw.partition(self.base)
        if not found:
            await self.app(scope, receive, send)
            return
        received, start, sent = await recorded(self.app, scope, receive, send)
        try:
            self._check(scope, f"/{path}", received, start, sent)
        except AssertionError as breach:
            self.breaches.append(str(breach))

    def _check(self, scope: Any, path: str, received: bytes, start: Json, sent: bytes) -> None:
        query = parse_qsl(scope["query_string"].decode(), keep_blank_values=True)
        refused = 400 <= start["status"] < 500
        try:
            operation = self.contract.check_request(
                scope["method"], path, query, _decoded(scope["headers"]), received
            )
        except AssertionError:
            if not refused:
                raise
            try:
                operation = self.contract.operation_for(scope["method"], path)
            except AssertionError:
                return  # no such operation, and the server says so too
        self.checked.append(operation.id)
        self.contract.check_response(operation, start["status"], _decoded(start["headers"]), sent)


def _decoded(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    return {name.decode().lower(): value.decode("latin-1") for name, value in headers}
