"""What web processes and workers import, loaded for :mod:`tests.support.forks`; no setting is read and nothing runs."""

from __future__ import annotations

from importlib import import_module

from sqlalchemy.orm import configure_mappers

for name in (
    "calendar_app.api.app",
    "calendar_app.worker.jobs",
    "calendar_app.worker.runner",
    "psycopg",
    "rq.cli",
    "uvicorn",
    "uvicorn.lifespan.on",
    "uvicorn.loops.auto",
    "uvicorn.protocols.http.auto",
):
    import_module(name)
configure_mappers()
