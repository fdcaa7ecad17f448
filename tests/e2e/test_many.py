"""Many machines, as far as one can be many: two web servers, a worker and the clock on one PostgreSQL and one Redis."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, expect
from redis import Redis

from calendar_app.launcher.checks import free_port
from calendar_app.launcher.valkey import numbered
from calendar_app.services.accounts import authentication
from calendar_app.settings import Settings, get_settings
from tests.e2e.conftest import new_context, sign_in
from tests.support.databases import Database
from tests.support.people import PASSWORD
from tests.worker.processes import Process, wait_until, worker

OWNER = "owner@many.example.com"


@contextmanager
def web(environment: dict[str, str], port: int, log: Path) -> Iterator[Process]:
    """A web server as another machine would run it, on a port of its own, once it is ready."""
    process = Process(["calendar_app.launcher.web"], environment | {"PORT": str(port)}, log)
    try:
        wait_until(lambda: not process.running or answers(port, "/ready") == 200, 240)
        assert process.running, process.output
        yield process
    finally:
        process.stop()


def answers(port: int, path: str) -> int:
    """The status of an answer, 0 if there is none."""
    try:
        return httpx.get(f"http://localhost:{port}{path}", timeout=5).status_code
    except httpx.HTTPError:
        return 0


def book(port: int, name: str) -> None:
    """A customer books the first time in two days, over one of the servers."""
    with httpx.Client(base_url=f"http://localhost:{port}/api/v1", timeout=20) as api:
        token = api.post("/auth/token", json={"email": OWNER, "password": PASSWORD}).json()["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        (kind,) = api.get("/event-types", headers=headers).json()["items"]
        now = datetime.now(UTC)
        window = {
            "start": (now + timedelta(days=2)).isoformat(),
            "end": (now + timedelta(days=14)).isoformat(),
            "timezone": "Europe/Berlin",
        }
        slots = api.get(f"/event-types/{kind['id']}/slots", params=window).json()["slots"]
        body = {
            "event_type_id": kind["id"],
            "start": slots[0]["start"],
            "timezone": "Europe/Berlin",
            "name": name,
            "email": "guest@example.org",
            "answers": {},
        }
        made = api.post("/bookings", json=body)
        assert made.status_code == 201, made.text


def numbers(port: int) -> str:
    return httpx.get(f"http://localhost:{port}/metrics", timeout=10).text


@pytest.fixture
def environment(database: Database, redis_server: Redis, tmp_path: Path) -> dict[str, str]:
    """What every machine is given."""
    if database.kind == "sqlite":
        pytest.skip("many machines need PostgreSQL")
    settings: Settings = get_settings()
    return {
        "DATA_DIR": str(tmp_path),
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": settings.redis_url,
        "REFLEX_REDIS_URL": numbered(settings.redis_url, 1),
        "SECRET_KEY": settings.secret_key.get_secret_value(),
        "ENCRYPTION_KEYS": settings.encryption_keys[0].get_secret_value(),
        "ALMANAC_SANDBOX": "off",
        "WEB_CONCURRENCY": "1",
        "WEB_DRAIN_SECONDS": "6",
        "LOG_FORMAT": "json",
    }


def test_servers_share_their_work_and_restart_one_by_one(
    environment: dict[str, str], browser: Browser, tmp_path: Path
) -> None:
    """A booking at one server appears on a page of the other; while one restarts, nobody is turned away."""
    authentication.sign_up("Olivia", OWNER, PASSWORD, "Many", "Europe/Berlin")
    one, two = free_port(), free_port()
    with ExitStack() as running:
        running.enter_context(worker(environment, tmp_path / "worker.log"))
        running.enter_context(web(environment, two, tmp_path / "two.log"))
        context = new_context(browser, f"http://localhost:{one}", timezone_id="Europe/Berlin")
        with web(environment, one, tmp_path / "one.log") as first:
            page = context.new_page()
            sign_in(page, OWNER, PASSWORD)
            page.wait_for_url("**/dashboard")
            page.goto("/bookings")
            expect(page.get_by_text("No bookings are coming up")).to_be_visible()
            book(two, "Grace from the other server")
            expect(page.get_by_text("Grace from the other server")).to_be_visible(timeout=5_000)
            wait_until(lambda: 'almanac_jobs_total{job="send_mail",outcome="done"}' in numbers(one))
            booked = 'almanac_http_requests_total{method="POST",route="/api/v1/bookings",status="201"} 1.0'
            wait_until(lambda: booked in numbers(one))
            first.terminate()
            wait_until(lambda: answers(one, "/ready") == 503)
            book(one, "Edsger at a server that is about to stop")
            wait_until(lambda: not first.running, 30)
        assert answers(one, "/ready") == 0
        assert answers(two, "/ready") == 200
        book(two, "Ada during the restart")
        with web(environment, one, tmp_path / "one.log"):
            expect(page.get_by_text("Ada during the restart")).to_be_visible(timeout=30_000)
        context.close()
