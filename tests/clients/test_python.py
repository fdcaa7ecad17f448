"""A Python client that openapi-python-client makes of the OpenAPI document: every operation, every answer."""

from __future__ import annotations

import datetime
import importlib
import inspect
import json
import subprocess
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import httpx
import pytest

from calendar_app.api.app import PREFIX
from tests.clients.sample import sample
from tests.support.api_document import Operation, document, operation_of, operations, verify
from tests.support.databases import Database
from tests.support.people import User, user

HERE = Path(__file__).parent
PACKAGE = "almanac_client"
pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="session")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """The generated package; nothing of the document may have been left out of it."""
    folder = tmp_path_factory.mktemp("python")
    (folder / "openapi.json").write_text(json.dumps(document()))
    command = ["openapi-python-client", "generate", "--path", "openapi.json", "--output-path", PACKAGE]
    options = ["--meta", "none", "--config", str(HERE / "generator.yaml"), "--fail-on-warning"]
    program = Path(sys.executable).with_name(command[0])
    made = subprocess.run(
        [program, *command[1:], *options], check=False, cwd=folder, capture_output=True, text=True
    )
    assert made.returncode == 0, made.stdout + made.stderr
    sys.path.insert(0, str(folder))
    yield importlib.import_module(PACKAGE)
    sys.path.remove(str(folder))


def call_of(one: Operation) -> ModuleType:
    """The generated module of an operation."""
    return importlib.import_module(f"{PACKAGE}.api.{one.spec['tags'][0]}.{one.name}")


def _value(schema: dict[str, Any]) -> Any:
    found = sample(schema)
    if schema.get("format") == "date-time":
        return datetime.datetime.fromisoformat(found)
    if schema.get("format") == "date":
        return datetime.date.fromisoformat(found)
    return found


def arguments(one: Operation, module: ModuleType, **known: str) -> dict[str, Any]:
    """What the generated function has to be given: samples of the parameters, ``known`` ids among them, and a body."""
    specs = {each["name"]: each["schema"] for each in one.spec.get("parameters", [])}
    found: dict[str, Any] = {}
    for name, parameter in inspect.signature(module.sync_detailed).parameters.items():
        if name == "client":
            continue
        if name == "body":
            found[name] = _body(one, parameter.annotation)
        elif parameter.default is inspect.Parameter.empty:
            found[name] = known.get(name, _value(specs[name.removesuffix("_")]))
    return found


def _body(one: Operation, annotation: Any) -> Any:
    """A body as the function takes it: a model with a sample, or a file."""
    file_type = importlib.import_module(f"{PACKAGE}.types").File
    content = next(iter(one.spec["requestBody"]["content"].values()))
    models = [one for one in get_args(annotation) or (annotation,) if hasattr(one, "from_dict")]
    model = models[0] if models else file_type
    if model is file_type:
        return file_type(payload=BytesIO(b"x"))
    given = sample(content["schema"])
    if "file" in given:
        return model(file=file_type(payload=BytesIO(b"x"), file_name="x.ics"))
    return model.from_dict(given)


def test_every_documented_answer_is_read(client: ModuleType) -> None:
    """Each operation is sent as the document says, and each of its answers becomes what it promises: its own shape, or
    a ``Problem`` with its code."""
    answers = 0
    for one in operations():
        module = call_of(one)
        for status, answer in one.spec["responses"].items():
            kind, content = next(iter(answer.get("content", {}).items()), ("", {}))
            body = sample(content.get("schema", {})) if kind else ""
            if kind.endswith("problem+json"):
                body |= {"status": int(status), "code": answer["x-codes"][0]}

            def reply(
                request: httpx.Request,
                one: Operation = one,
                status: str = status,
                kind: str = kind,
                body: Any = body,
            ) -> httpx.Response:
                served = operation_of(request.method, request.url.path.removeprefix(PREFIX))
                assert served is not None
                assert served.name == one.name
                text = json.dumps(body) if kind.endswith("json") else str(body)
                return httpx.Response(int(status), text=text, headers={"content-type": kind} if kind else {})

            caller = client.Client(
                base_url=f"http://api.invalid{PREFIX}", httpx_args={"transport": httpx.MockTransport(reply)}
            )
            got = module.sync_detailed(client=caller, **arguments(one, module))
            assert got.status_code == int(status), one.name
            if kind.endswith("problem+json"):
                assert type(got.parsed).__name__ == "Problem", (one.name, status)
                assert got.parsed.code == answer["x-codes"][0]
            elif kind == "application/json":
                assert got.parsed is not None, (one.name, status)
                assert got.parsed.to_dict().keys() >= body.keys(), (one.name, status)
            answers += 1
    assert answers > 800


@pytest.fixture
def ada(database: Database) -> User:
    if database.kind == "postgresql":
        pytest.skip("the client is the same: on SQLite alone")
    return user()


def test_every_operation_is_called(client: ModuleType, api: httpx.Client, ada: User) -> None:
    """Each operation against the application, signed in and not: what comes is documented, and the client reads it."""
    token = ada.bearer["Authorization"].removeprefix("Bearer ")
    known = {"workspace_id": ada.workspace_id, "provider": "google"}
    hooks = {"event_hooks": {"response": [verify]}}
    address = f"{str(api.base_url).rstrip('/')}{PREFIX}"
    signed_in = client.AuthenticatedClient(
        base_url=address,
        token=token,
        httpx_args=hooks,
        raise_on_unexpected_status=True,
    )
    visitor = client.Client(base_url=address, httpx_args=hooks, raise_on_unexpected_status=True)
    statuses: set[int] = set()
    last = ("end_other_sessions", "revoke_session", "revoke_token", "change_password")
    with visitor, signed_in:
        for one in sorted(operations(), key=lambda each: each.name in last):
            module = call_of(one)
            for caller in (visitor, signed_in):
                got = module.sync_detailed(client=caller, **arguments(one, module, **known))
                statuses.add(int(got.status_code))
                if got.status_code >= 400:
                    assert got.parsed.status == got.status_code, one.name
                if caller is visitor and one.spec["security"] and {} not in one.spec["security"]:
                    assert got.status_code == 401, one.name
    assert {200, 201, 204, 401, 404, 422} <= statuses
