"""The HTTP API beside the pages."""

from __future__ import annotations

from fastapi import FastAPI


def create_api() -> FastAPI:
    """The FastAPI application that stands in front of Reflex's pages."""
    api = FastAPI(
        title="Almanac", openapi_url="/api/v1/openapi.json", docs_url="/api/v1/docs", redoc_url=None
    )

    @api.get("/health", tags=["operations"])
    def health() -> dict[str, str]:
        return {"status": "ok"}

    return api
