"""Two hundred open dashboards: from a change at the provider to every one of them, and what they cost in memory.

    python -m benchmarks.live_many [--dashboards 200] [--changes 30] [--browsers 4]

The product runs as `make run` runs it, with its usual number of web processes. Two cases: all dashboards in ONE
workspace, of as many people, so that each change is for everybody; and spread over workspaces that change in turn.
Most dashboards are websockets that speak what the page speaks (:mod:`benchmarks.open_dashboards`): the clock runs
from just before the change is posted at the sandbox's Google to the arrival of the event's title at each of them. A few
are headless Chromiums, where it runs until a MutationObserver sees the title. Then all are closed and opened again,
to see what stays behind. For comparison: a page that polls each minute, as the peers' do, is 30 s late on average.
"""

from __future__ import annotations

import argparse
import html
import os
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import httpx
import psutil
from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.live import WATCH
from benchmarks.product import Product, chromium, running

TARGET_MS = 500
SPREAD_OVER = 20
PAUSE_S = 0.5
ROOM, SETTLE_S = 10, 3.0
GIVE_UP_S = 20.0
POLL_S = 60


@dataclass(frozen=True)
class Place:
    """A workspace whose owner has connected Google as ``account``, and the session cookies of its people."""

    account: str
    cookies: list[str]


@dataclass(frozen=True)
class Outcome:
    """Milliseconds of every delivery and of every change in a real page, ``inf`` for what never came; CPU in ms.

    ``own_ms`` is what all dashboards take to read for themselves at once, ``own_cpu_ms`` the CPU of one such reading.
    Memory is (RSS, PSS) in KB of each web process: with a tenth of the dashboards, and with all.
    """

    sockets: list[float]
    pages: list[float]
    web_cpu_ms: float
    all_cpu_ms: float
    own_ms: float
    own_cpu_ms: float
    few: list[tuple[int, int]]
    full: list[tuple[int, int]]


def processes(product: Product) -> list[psutil.Process]:
    """Everything that the launcher runs."""
    return psutil.Process(product.pid).children(recursive=True)


def web_processes(product: Product) -> list[psutil.Process]:
    """The processes that serve: of the launcher's ``web``, those without children."""
    found = []
    for process in processes(product):
        with suppress(psutil.NoSuchProcess):  # a worker's job has a process of its own, for a moment
            is_web = process.environ().get("ALMANAC_PROCESS") == "web"
            if is_web and process.cmdline() and not process.children():
                found.append(process)
    return found


def memory_kb(process: psutil.Process) -> tuple[int, int]:
    """RSS and PSS, see proc_pid_smaps_rollup(5)."""
    text = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
    return tuple(int(re.search(rf"^{name}:\s+(\d+)", text, re.M)[1]) for name in ("Rss", "Pss"))  # type: ignore[index, return-value]


def cpu_ms(found: Sequence[psutil.Process]) -> float:
    """What the processes have used so far, those that ended left out."""
    used = 0.0
    for process in found:
        try:
            times = process.cpu_times()
        except psutil.Error:
            continue
        used += times.user + times.system + times.children_user + times.children_system
    return used * 1000


def take_environment(product: Product) -> None:
    """Make this process one of the product's, so that services work on its database and queues."""
    os.environ.update(web_processes(product)[0].environ())


def place(product: Product, name: str, people: int) -> Place:
    """A workspace with so many signed-in managers; rows, because signing up hundreds is not what is measured."""
    from calendar_app.db.session import transaction
    from calendar_app.db.tables import AuthSession, Membership, Person
    from calendar_app.services.accounts import authentication, new_workspace

    account = f"{name}@example.com"
    cookies = [f"{name}-{number}-{os.urandom(16).hex()}" for number in range(people)]
    with transaction() as session:
        everybody = [
            Person(
                email=account if number == 0 else f"{name}-{number}@example.com",
                name=f"{name.title()} {number}",
                timezone="Europe/Berlin",
                password_hash="",
            )
            for number in range(people)
        ]
        session.add_all(everybody)
        session.flush()
        workspace = new_workspace.new_workspace(session, everybody[0], name.title())
        session.add_all(
            Membership(workspace_id=workspace.id, person_id=person.id, role="manager")
            for person in everybody[1:]
        )
        session.add_all(
            AuthSession(
                person_id=person.id,
                token_hash=authentication.digest(cookie),
                user_agent="benchmark",
                expires_at=datetime.now(UTC) + timedelta(days=1),
            )
            for person, cookie in zip(everybody, cookies, strict=True)
        )
    _connect(product, account, cookies[0])
    return Place(account, cookies)


def _connect(product: Product, account: str, cookie: str) -> None:
    """Connect Google through the sandbox's consent page, and wait for the first sync."""
    from calendar_app.services.accounts import authentication
    from calendar_app.services.connection_lifecycle import oauth as connection_oauth
    from calendar_app.services.connections import calendars

    identity = authentication.identify(cookie)
    assert identity is not None
    actor = identity.actor()
    address = urlsplit(connection_oauth.start(actor, "google", binding="benchmark"))
    consent = f"{product.url}{address.path}"
    page = httpx.get(consent, params=dict(parse_qsl(address.query))).text
    request = re.search(r'name="request" value="([^"]+)"', page)
    assert request, page
    scopes = [html.unescape(scope) for scope in re.findall(r'name="scope" value="([^"]+)"', page)]
    form = {
        "request": html.unescape(request[1]),
        "account": "",
        "email": account,
        "scope": scopes,
        "decision": "allow",
    }
    query = parse_qs(urlsplit(httpx.post(consent, data=form).headers["location"]).query)
    connection_oauth.finish(
        bindings=["benchmark"], provider="google", state=query["state"][0], code=query["code"][0]
    )
    deadline = time.monotonic() + 60
    while not all(calendar.synced_at for calendar in calendars.list_calendars(actor)):
        if time.monotonic() > deadline:
            raise SystemExit("A calendar was not read.")
        time.sleep(0.1)


@contextmanager
def real_pages(browser: Browser, product: Product, cookies: Sequence[str]) -> Iterator[list[Page]]:
    """A dashboard in a browser context of its own for each cookie."""
    from calendar_app.services.accounts.authentication import SESSION_COOKIE

    contexts = []
    pages = []
    for cookie in cookies:
        # The page's own policy forbids eval, which this measurement puts its observer in with.
        context = browser.new_context(bypass_csp=True)
        contexts.append(context)
        context.add_cookies([{"name": SESSION_COOKIE, "value": cookie, "url": product.url}])
        page = context.new_page()
        page.goto(f"{product.url}/dashboard")
        page.get_by_text("Synced").first.wait_for()
        pages.append(page)
    yield pages
    for context in contexts:
        context.close()


def change(product: Product, account: str, title: str, added: list[str]) -> float:
    """Add an event from outside, within the hour, and its address to ``added``; when it was posted, ms since 1970."""
    start = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=30)
    body = {
        "summary": title,
        "start": {"dateTime": start.isoformat()},
        "end": {"dateTime": (start + timedelta(minutes=15)).isoformat()},
    }
    posted = time.time() * 1000
    events = f"{product.url}/sandbox/api/calendars/{account}/events"
    answer = httpx.post(events, json=body)
    answer.raise_for_status()
    added.append(f"{events}/{answer.json()['id']}")
    return posted


def tidy(added: list[str]) -> None:
    """Take the changes away again, so that the list of what is coming stays short enough to show the next one."""
    while added:
        httpx.delete(added.pop()).raise_for_status()
    time.sleep(SETTLE_S)


def measure(
    product: Product, places: Sequence[Place], changes: int, browser: Browser, browsers: int
) -> Outcome:
    """Changes in turn over ``places``, each seen by everybody there before the next."""
    from benchmarks.open_dashboards import Dashboards

    watched, others = places[0].cookies[:browsers], [c for p in places for c in p.cookies][browsers:]
    homes = [home for home in places for _ in home.cookies][browsers:]
    tenth = len(others) // 10
    web = web_processes(product)
    with real_pages(browser, product, watched) as pages, Dashboards(product.url, others[:tenth]) as some:
        few = [memory_kb(process) for process in web]
        with Dashboards(product.url, others[tenth:]) as rest:
            time.sleep(SETTLE_S)
            full = [memory_kb(process) for process in web]
            audience = list(zip([*some.all, *rest.all], homes, strict=True))
            everything = processes(product)
            web_before, all_before = cpu_ms(web), cpu_ms(everything)
            sockets, shown = _deliver(product, places, changes, audience, pages)
            web_cpu, all_cpu = cpu_ms(web) - web_before, cpu_ms(everything) - all_before
            time.sleep(SETTLE_S)
            web_before, started = cpu_ms(web), time.monotonic()
            if not rest.refresh():
                raise SystemExit("A dashboard was not answered.")
            own_ms, own_cpu = (time.monotonic() - started) * 1000, cpu_ms(web) - web_before
    return Outcome(sockets, shown, web_cpu, all_cpu, own_ms, own_cpu / len(rest.all), few, full)


def _deliver(
    product: Product,
    places: Sequence[Place],
    changes: int,
    audience: Sequence[tuple[Any, Place]],
    pages: Sequence[Page],
) -> tuple[list[float], list[float]]:
    """Milliseconds to each dashboard, and to each real page, which are of the first place."""
    added: dict[str, list[str]] = {home.account: [] for home in places}
    sockets: list[float] = []
    shown: list[float] = []
    for number in range(changes):
        home = places[number % len(places)]
        title = f"Change {number:04}"
        observed = pages if home is places[0] else []
        for page in observed:
            page.evaluate("([watch, title]) => { window.seen = eval(watch)(title) }", [WATCH, title])
        posted = change(product, home.account, title, added[home.account])
        sockets += [at - posted for at in _arrivals([one for one, at in audience if at is home], title)]
        for page in observed:
            at = page.evaluate("() => window.seen")
            shown.append(at - posted if at else float("inf"))
        if len(added[home.account]) == ROOM:
            tidy(added[home.account])
        time.sleep(PAUSE_S)
    tidy([url for urls in added.values() for url in urls])
    return sockets, shown


def _arrivals(audience: Sequence[Any], title: str) -> list[float]:
    deadline = time.monotonic() + GIVE_UP_S
    while time.monotonic() < deadline and not all(title in dashboard.seen for dashboard in audience):
        time.sleep(0.01)
    return [dashboard.seen.get(title, float("inf")) for dashboard in audience]


def percentile(figures: Sequence[float], part: float) -> float:
    """The value that ``part`` of the figures do not exceed."""
    return sorted(figures)[min(int(len(figures) * part), len(figures) - 1)]


def line(name: str, figures: Sequence[float]) -> str:
    """One line of the report, in ms."""
    middle, p95, worst = (percentile(figures, part) for part in (0.5, 0.95, 1))
    return f"  {name:<22} {len(figures):>6} times   median {middle:5.0f} ms   p95 {p95:5.0f} ms   max {worst:5.0f} ms"


def report(title: str, outcome: Outcome) -> bool:
    """Print what was measured; whether it holds."""
    print(f"{title}\n{line('to the websocket', outcome.sockets)}")
    if outcome.pages:
        print(line("to the DOM", outcome.pages))
    delivered = len(outcome.sockets) + len(outcome.pages)
    print(
        f"  CPU per delivered update: {outcome.web_cpu_ms / delivered:.2f} ms in web processes, "
        f"{outcome.all_cpu_ms / delivered:.2f} ms in all of the product's"
    )
    held = max(percentile(outcome.sockets, 0.95), percentile(outcome.pages or [0], 0.95)) < TARGET_MS
    late = [figure for figure in [*outcome.sockets, *outcome.pages] if figure == float("inf")]
    print(
        f"  aim: p95 under {TARGET_MS} ms: {'held' if held else 'MISSED'}; never arrived: {len(late)}",
        flush=True,
    )
    return held and not late


def report_memory(name: str, memory: Sequence[tuple[int, int]]) -> None:
    """One line: what each web process holds."""
    each = ", ".join(f"{rss / 1024:.0f} MB RSS ({pss / 1024:.0f} PSS)" for rss, pss in memory)
    print(f"  {name:<22} {each}", flush=True)


def main() -> int:
    """Exit status 1 when an update never arrived, or the 95th percentile misses its aim."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dashboards", type=int, default=200)
    parser.add_argument("--changes", type=int, default=30)
    parser.add_argument("--browsers", type=int, default=4)
    arguments = parser.parse_args()
    count, browsers = arguments.dashboards, arguments.browsers
    with running() as product, sync_playwright() as playwright, chromium(playwright) as browser:
        take_environment(product)
        wall = [place(product, "wall", count)]
        spread = [place(product, f"place{n:02}", count // SPREAD_OVER) for n in range(SPREAD_OVER)]
        web = web_processes(product)
        idle = [memory_kb(process) for process in web]
        together = measure(product, wall, arguments.changes, browser, browsers)
        holds = report(f"change at the provider -> {count} dashboards of ONE workspace", together)
        closed = [memory_kb(process) for process in web]
        apart = measure(product, spread, arguments.changes * 2, browser, browsers)
        holds &= report(f"change at the provider -> {count} dashboards over {SPREAD_OVER} workspaces", apart)
        end = [memory_kb(process) for process in web]
    print(f"memory of the {len(web)} web processes")
    report_memory("no dashboard yet", idle)
    report_memory(f"{count // 10} dashboards", together.few)
    report_memory(f"{count} dashboards", together.full)
    grown = sum(pss for _, pss in together.full) - sum(pss for _, pss in together.few)
    print(f"    {grown / (count - browsers) / 0.9:.0f} KB PSS for each after the first tenth")
    report_memory("all closed", closed)
    report_memory(f"{count} others", apart.full)
    report_memory("all closed again", end)
    late = POLL_S * 1000 / 2
    print(
        f"a page that polls each minute instead: {late:.0f} ms late on average, "
        f"{late / percentile(together.sockets, 0.5):.0f} times as long as here;\n"
        f"  were all {count} to read for themselves at once: {together.own_ms:.0f} ms until the last is answered, "
        f"{together.own_cpu_ms:.1f} ms of CPU each"
    )
    return 0 if holds else 1


if __name__ == "__main__":
    raise SystemExit(main())
