"""A TypeScript client of the OpenAPI document: types by openapi-typescript, calls by openapi-fetch.

A program that calls every operation is checked by the compiler against the generated types, and run against the
application. It needs Node and ``npm ci`` in ``tests/clients/typescript`` (``make test`` does that).
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest

from calendar_app.api.app import PREFIX
from tests.clients.sample import sample
from tests.support.api_document import Operation, document, operations
from tests.support.databases import Database
from tests.support.people import user

TOOLS = Path(__file__).parent / "typescript"
MODULES = TOOLS / "node_modules"
pytestmark = [
    pytest.mark.timeout(180),
    pytest.mark.skipif(
        not (MODULES / "openapi-fetch").is_dir() or shutil.which("node") is None,
        reason="needs Node and npm ci in tests/clients/typescript",
    ),
]
_HEAD = """
import createClient from "openapi-fetch";
import type { components, paths } from "./schema";

type Problem = components["schemas"]["Problem"];
const [address, token] = process.argv.slice(2);
const client = createClient<paths>({ baseUrl: address, headers: { Authorization: `Bearer ${token}` } });
const answers: Record<string, number> = {};

function note(name: string, response: Response, problem: Problem | undefined): void {
  if (problem !== undefined && problem.status !== response.status) throw new Error(`${name}: ${problem.detail}`);
  if (problem === undefined && response.status >= 400) throw new Error(`${name}: no problem`);
  answers[name] = response.status;
}
"""


def _call(one: Operation, path: str, known: dict[str, str]) -> str:
    """The line that calls an operation with samples of what it has to be given."""
    wanted: dict[str, Any] = {"params": {}}
    for each in one.spec.get("parameters", []):
        if each.get("required"):
            value = known.get(each["name"], sample(each["schema"]))
            wanted["params"].setdefault(each["in"], {})[each["name"]] = value
    content = one.spec.get("requestBody", {}).get("content", {})
    if "application/json" in content:
        wanted["body"] = sample(content["application/json"]["schema"])
    if not wanted["params"]:
        del wanted["params"]
    options = json.dumps(wanted, indent=1)
    call = f"client.{one.method}({json.dumps(path)}, {options})"
    return f"{{ const {{ error, response }} = await {call}; note({json.dumps(one.name)}, response, error); }}"


def _program(known: dict[str, str]) -> tuple[str, list[str]]:
    """The program, and the operations that it calls: those with JSON bodies or none."""
    last = ("end_other_sessions", "revoke_session", "revoke_token", "change_password")
    found: list[tuple[Operation, str]] = []
    for path, methods in document()["paths"].items():
        for method, spec in methods.items():
            kinds = spec.get("requestBody", {}).get("content", {"application/json": {}})
            one = next(each for each in operations() if each.name == spec["operationId"])
            if "application/json" in kinds and method != "head":
                found.append((one, path))
    found.sort(key=lambda each: each[0].name in last)
    lines = [_call(one, path, known) for one, path in found]
    tail = "console.log(JSON.stringify(answers));"
    return "\n".join([_HEAD, *lines, tail]), [one.name for one, _ in found]


def _run(folder: Path, *command: str) -> str:
    done = subprocess.run(command, check=False, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, (done.stdout + done.stderr)[:4_000]
    return done.stdout


def test_every_operation_is_typed_and_called(api: httpx.Client, database: Database, tmp_path: Path) -> None:
    """Every operation compiles with what its schema asks for, its errors are problems, and its answers arrive."""
    if database.kind == "postgresql":
        pytest.skip("the client is the same: on SQLite alone")
    ada = user()
    program, names = _program({"workspace_id": ada.workspace_id, "provider": "google"})
    (tmp_path / "node_modules").symlink_to(MODULES)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "openapi.json").write_text(json.dumps(document()))
    (tmp_path / "walk.ts").write_text(program)
    binaries = MODULES / ".bin"
    _run(tmp_path, str(binaries / "openapi-typescript"), "openapi.json", "-o", "schema.d.ts")
    strict = ["--strict", "--module", "esnext", "--target", "es2022", "--moduleResolution", "bundler"]
    (tmp_path / "globals.d.ts").write_text("declare const process: { argv: string[] };\n")
    _run(tmp_path, str(binaries / "tsc"), *strict, "--skipLibCheck", "walk.ts", "globals.d.ts")
    token = ada.bearer["Authorization"].removeprefix("Bearer ")
    address = f"{str(api.base_url).rstrip('/')}{PREFIX}"
    answers: dict[str, int] = json.loads(_run(tmp_path, "node", "walk.js", address, token))
    assert list(answers) == names
    assert {200, 201, 404, 422} <= set(answers.values())
