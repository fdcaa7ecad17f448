"""The HTTP API beside the pages: ``/api/v1``, the sign-in forms, and what operators watch.

``/api/v1`` is an application of its own, mounted, so that an unknown address there is a problem document and never the
pages' "not found".
"""

from __future__ import annotations

import importlib
import importlib.util

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute

from calendar_app.api import auth, docs, document, health, problems, second_factors
from calendar_app.api.cors import Cors
from calendar_app.api.middleware import (
    STALL_S,
    BodyLimit,
    HeadAsGet,
    Meter,
    NoStore,
    RequestId,
    StalledBody,
    TellsLimits,
)

PREFIX = "/api/v1"
_ROUTERS = (
    "auth",
    "team",
    "workspaces",
    "connections",
    "calendars",
    "sync",
    "events",
    "calendar_events",
    "appointments",
    "hooks",
    "feeds",
    "schedules",
    "event_types",
    "booking_links",
    "slots",
    "bookings",
    "orders",
    "deviations",
    "webhooks",
    "public",
    "security",
    "admin",
)


def create_api(*, stall_s: float = STALL_S) -> FastAPI:
    """The FastAPI application that stands in front of Reflex's pages; ``stall_s``: see :class:`StalledBody`."""
    outer = FastAPI(title="Almanac", openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    problems.install(outer)
    outer.include_router(auth.forms)
    outer.include_router(second_factors.router)
    outer.include_router(health.router)
    outer.mount(PREFIX, create_v1())
    outer.add_middleware(StalledBody, stall_s=stall_s)
    outer.add_middleware(BodyLimit)
    outer.add_middleware(Meter)
    outer.add_middleware(RequestId)
    return outer


def create_v1() -> FastAPI:
    """Everything under ``/api/v1``; routers name their paths relative to that."""
    v1 = FastAPI(
        title="Almanac",
        version="1",
        openapi_url="/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
    )
    routers = _routers()
    routes = [route for router in routers for route in router.routes if isinstance(route, APIRoute)]
    problems.install(v1, routes)
    document.install(v1, routes)
    for router in routers:
        v1.include_router(router)
    docs.add_docs(v1)

    v1.add_middleware(HeadAsGet)
    v1.add_middleware(NoStore)
    v1.add_middleware(TellsLimits)
    v1.add_middleware(Cors)
    return v1


def _routers() -> list[APIRouter]:
    found = []
    for name in _ROUTERS:
        if importlib.util.find_spec(f"calendar_app.api.{name}") is not None:
            found.append(importlib.import_module(f"calendar_app.api.{name}").router)
    return found
