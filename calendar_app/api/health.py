"""For whoever watches over the processes: ``/health`` (this one runs) and ``/ready`` (it can do its work)."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from calendar_app.services import health

router = APIRouter(tags=["operations"])


@router.get("/health")
def alive() -> dict[str, str]:
    """Answers as long as the process does."""
    return {"status": "ok"}


@router.get("/ready")
def ready() -> JSONResponse:
    """503 with reasons while the database or Redis is missing: send no traffic here."""
    missing = health.failures()
    body = {"status": "unavailable" if missing else "ok", "failures": missing}
    return JSONResponse(body, 503 if missing else 200, headers={"Cache-Control": "no-store"})
