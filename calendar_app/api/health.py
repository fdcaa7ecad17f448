"""For whoever watches over the processes: ``/health``, ``/ready`` and ``/metrics``, at the root of the server.

None of them names a person; still ``/metrics`` is only for this machine and for who knows ``METRICS_TOKEN``.
"""

from __future__ import annotations

import asyncio
import ipaddress
import secrets
from concurrent.futures import ThreadPoolExecutor

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from calendar_app.errors import NotSignedIn
from calendar_app.services.doctor import reachability
from calendar_app.services.operations import health, metrics
from calendar_app.services.operations.health import Check
from calendar_app.settings import get_settings

router = APIRouter(tags=["operations"])
_lookouts = ThreadPoolExecutor(2, "health")
"""Threads of their own: all others may be waiting for a database or a Redis that does not answer."""
_STOPPING = Check("process", health.Status.FAILED, "This process is being stopped.", serving=True)
_UNCACHED = {"Cache-Control": "no-store"}


@router.get("/health")
async def alive() -> JSONResponse:
    """200 as long as the process serves; `checks` say how the rest is. Restart nothing because of them."""
    return _answer(await _looked(), 200)


@router.get("/ready")
async def ready() -> JSONResponse:
    """503 while the database (at this version's schema) or Redis is missing: send no traffic here."""
    found = await _looked()
    return _answer(found, 200 if health.serves(found) else 503)


@router.get("/metrics")
async def numbers(request: Request) -> Response:
    """Prometheus's text format, for the whole installation whichever process is asked."""
    _require_watcher(request)
    return Response(
        await asyncio.to_thread(metrics.exposition), media_type=metrics.CONTENT_TYPE, headers=_UNCACHED
    )


async def _looked() -> tuple[Check, ...]:
    found = await asyncio.get_running_loop().run_in_executor(_lookouts, health.checks)
    return (*found, _STOPPING) if health.stopping() else found


def _answer(found: tuple[Check, ...], status: int) -> JSONResponse:
    body = {
        "status": health.verdict(found).value,
        "ready": health.serves(found),
        "installation": reachability.installation_mark(),
        "checks": [
            {"name": one.name, "status": one.status.value, "detail": one.detail, "required": one.serving}
            for one in found
        ],
    }
    return JSONResponse(body, status, headers=_UNCACHED)


def _require_watcher(request: Request) -> None:
    """:raises NotSignedIn: neither this machine, by itself, nor the token."""
    wanted = get_settings().metrics_token.get_secret_value()
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if wanted and scheme.lower() == "bearer" and secrets.compare_digest(given.encode(), wanted.encode()):
        return
    # A proxy on this machine speaks for others, and says so.
    forwarded = any(name in request.headers for name in ("x-forwarded-for", "forwarded", "via"))
    peer = request.client.host if request.client else ""
    if not wanted and not forwarded and _is_local(peer):
        return
    raise NotSignedIn("Send METRICS_TOKEN as `Authorization: Bearer`.")


def _is_local(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
