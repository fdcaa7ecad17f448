"""The API's documentation as a plain page: made of the OpenAPI document, without a script and without another host."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.responses import HTMLResponse
from jinja2 import Environment

_PAGE = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(
    Path(__file__).with_name("docs.html.j2").read_text()
)
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"


def page(document: dict[str, Any]) -> str:
    """The HTML page of an OpenAPI document, operations grouped by their first tag."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            groups.setdefault((operation.get("tags") or ["other"])[0], []).append(
                {
                    "method": method.upper(),
                    "path": path,
                    "summary": operation.get("summary", ""),
                    "description": operation.get("description", ""),
                    "parameters": operation.get("parameters", []),
                    "bodies": _schemas(operation.get("requestBody", {})),
                    "answers": {
                        status: schema
                        for status, answer in operation["responses"].items()
                        for schema in _schemas(answer)
                    },
                }
            )
    schemas = document.get("components", {}).get("schemas", {})
    return _PAGE.render(info=document["info"], groups=groups, schemas=schemas)


def add_docs(app: FastAPI) -> None:
    """Serve the page at ``docs``, under a policy that lets nothing run."""
    router = APIRouter(include_in_schema=False)

    @router.get("/docs")
    def docs() -> HTMLResponse:
        return HTMLResponse(page(app.openapi()), headers={"Content-Security-Policy": _POLICY})

    app.include_router(router)


def _schemas(holder: dict[str, Any]) -> list[dict[str, Any]]:
    return [content["schema"] for content in holder.get("content", {}).values() if content.get("schema")]
