"""What a customer's booking page costs: bytes and requests, the server's time, pages a second, and what visitors leave.

    python -m benchmarks.booking_pages [--rounds 300] [--visitors 10000]

It fills a database of its own and starts one web process with the API and the site, a Redis-protocol server, and
Chromium. Aims: a cold page at most 60 KB over the wire in at most 8 requests, and its largest part painted within a
second on a line of 1.6 Mbit/s with 300 ms there and back; p50 under 20 ms with 5 calendars of 5,000 events; 200 pages a
second on 2 processors, reckoned from the processor time that the web process needs for one; under 1 ms of it for
"nothing has changed"; visitors who look and leave add nothing to Redis but counters that expire. ``DATABASE_URL``
chooses another, empty, database (PostgreSQL). Exit status 1 when an aim is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import httpx
import psutil
from playwright.sync_api import sync_playwright
from redis import Redis
from starlette.types import ASGIApp

from benchmarks.product import chromium
from benchmarks.slots_http import fill, web
from tests.support.servers import valkey_server

APPLICATION = "benchmarks.booking_pages:application"
BYTES, REQUESTS, PAINT_MS = 60_000, 8, 1_000
P50_MS, PAGES_A_SECOND, UNCHANGED_MS = 20.0, 200.0, 1.0
CORES = 2
ICON = Path(__file__).parents[1] / "assets" / "favicon.svg"
ASKED = {"accept-encoding": "gzip", "accept-language": "en-GB"}


def application() -> ASGIApp:
    """The API with the customers' pages in front, as in the product but for the staff's pages."""
    from calendar_app.api.app import create_api
    from calendar_app.booking_site.app import ErrorPages, mount_site
    from calendar_app.edge import Edge

    api = create_api()
    mount_site(api)
    return Edge(ErrorPages(api), Path("no-pages"))


def wire(client: httpx.Client, path: str) -> dict[str, object]:
    """Bytes and requests of a cold page: what it names is fetched too, and the times once more for another zone."""
    page = client.get(path)
    page.raise_for_status()
    files = re.findall(r'(?:href|src)="(/site/[^"]+)"', page.text)
    sizes = {"page": _size(page)}
    for file in files:
        sizes[file.rpartition("/")[2]] = _size(client.get(file))
    sizes["times in another zone"] = _size(client.get(f"{path}/times?tz=Asia/Tokyo"))
    sizes["icon"] = ICON.stat().st_size
    return {"bytes": sum(sizes.values()), "requests": len(sizes), **sizes}


def _size(answer: httpx.Response) -> int:
    """Bytes on the wire, headers included."""
    head = sum(len(name) + len(value) + 4 for name, value in answer.headers.raw) + 20
    return head + answer.num_bytes_downloaded


def timed(process: psutil.Process, rounds: int, ask: Callable[[], int]) -> dict[str, float]:
    """Milliseconds of one request: the median, the 95th percentile, and the web process's own processor time."""
    for _ in range(20):
        ask()
    before = process.cpu_times()
    times = []
    for _ in range(rounds):
        begun = time.perf_counter()
        ask()
        times.append((time.perf_counter() - begun) * 1000)
    after = process.cpu_times()
    cpu = (after.user + after.system - before.user - before.system) / rounds * 1000
    cuts = statistics.quantiles(times, n=100)
    return {"p50_ms": round(cuts[49], 2), "p95_ms": round(cuts[94], 2), "cpu_ms": round(cpu, 2)}


def painted(url: str, path: str) -> dict[str, object]:
    """Milliseconds until the largest part of a cold page is painted, on a slow phone line; the median of five."""
    script = """() => new Promise((done) => new PerformanceObserver((list) => done(list.getEntries().at(-1).startTime))
        .observe({ type: "largest-contentful-paint", buffered: true }))"""
    found = []
    with sync_playwright() as playwright:
        browser = chromium(playwright)
        for _ in range(5):
            page = browser.new_page(locale="en-GB", viewport={"width": 390, "height": 844})
            session = page.context.new_cdp_session(page)
            line = {"latency": 300, "downloadThroughput": 200_000, "uploadThroughput": 100_000}
            session.send("Network.emulateNetworkConditions", {"offline": False, **line})
            page.goto(f"{url}{path}")
            found.append(page.evaluate(script))
            page.close()
        browser.close()
    return {"largest_paint_ms": round(statistics.median(found))}


def _web_process() -> psutil.Process:
    """The one child that serves."""
    (child,) = [each for each in psutil.Process().children() if "uvicorn" in " ".join(each.cmdline())]
    return child


def left_in_redis(redis: Redis, url: str, path: str, visitors: int) -> dict[str, object]:
    """What stands in Redis after so many visitors, each with cookies of their own, have looked at times and left."""
    redis.flushall()
    for _ in range(visitors):
        httpx.get(f"{url}{path}", headers=ASKED)
    keys = list(redis.scan_iter())
    lasting = [key.decode() for key in keys if redis.ttl(key) < 0 and b"rq:" not in key]
    return {"visitors": visitors, "keys": len(keys), "that do not expire": lasting}


def main() -> int:
    """Print one line of JSON per measurement; exit status 1 when an aim is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--visitors", type=int, default=10_000)
    options = parser.parse_args()
    missed = []

    def tell(what: str, found: dict[str, object], **aims: bool) -> None:
        print(json.dumps({"benchmark": f"booking page: {what}"} | found), flush=True)
        missed.extend(f"{what}: {name}" for name, kept in aims.items() if not kept)

    with tempfile.TemporaryDirectory() as folder, valkey_server() as redis_url:
        os.environ["DATA_DIR"] = folder
        os.environ.setdefault("DATABASE_URL", f"sqlite:///{folder}/bench.db")
        os.environ["REDIS_URL"] = redis_url
        from calendar_app.db import migrate
        from calendar_app.db.session import get_engine

        with get_engine().execution_options(sqlite_begin="IMMEDIATE").begin() as connection:
            migrate.upgrade(connection)
        now = datetime.now(UTC).replace(microsecond=0)
        fill(1, 50, 60, now)
        fill(5, 5_000, 365, now)
        plain, full = "/book/bench-1-50-60/slots", "/book/bench-5-5000-365/slots"
        with web(APPLICATION) as url, httpx.Client(base_url=url, headers=ASKED) as client:
            process = _web_process()
            cold = wire(client, plain)
            tell(
                "cold, over the wire",
                cold,
                bytes=cold["bytes"] <= BYTES,
                requests=cold["requests"] <= REQUESTS,
            )  # type: ignore[operator]
            paint = painted(url, plain)
            tell("on a slow phone line", paint, paint=paint["largest_paint_ms"] < PAINT_MS)  # type: ignore[operator]
            one = timed(process, options.rounds, lambda: client.get(plain).status_code)
            pages = CORES / (one["cpu_ms"] / 1000)
            tell(
                f"one calendar, {CORES} processors",
                {**one, "pages_a_second": round(pages)},
                pages=pages >= PAGES_A_SECOND,
            )
            many = timed(process, options.rounds, lambda: client.get(full).status_code)
            tell("5 calendars of 5,000 events", dict(many), p50=many["p50_ms"] < P50_MS)
            etag = client.get(f"{plain}/times").headers["etag"]
            headers = {"if-none-match": etag}
            same = timed(
                process,
                10 * options.rounds,
                lambda: client.get(f"{plain}/times", headers=headers).status_code,
            )
            tell("nothing has changed (304)", dict(same), cpu=same["cpu_ms"] < UNCHANGED_MS)
            left = left_in_redis(Redis.from_url(redis_url), url, plain, options.visitors)
            tell("left in Redis", left, nothing=not left["that do not expire"])
    for what in missed:
        print(f"missed: {what}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
