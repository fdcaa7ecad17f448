"""The whole product as a newcomer starts it, and a headless browser to walk it with.

One product serves the session: its own ``DATA_DIR`` and port, the launcher of ``make run``. Tests share it, so each
uses times or accounts of its own.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from calendar_app.launcher.checks import free_port

ROOT = Path(__file__).resolve().parents[2]
SHOTS = ROOT / "test-results"
READY_WITHIN_S = 240.0
RECEIVERS = "127.0.0.2"
"""Where receivers of webhooks may be; the rest of this machine stays out of the reach of typed addresses."""
WIDE = {"width": 1280, "height": 800}
NARROW = {"width": 390, "height": 844}
expect.set_options(timeout=30_000)
CHROMIUM = next((p for p in ("/usr/bin/chromium", "/usr/bin/chromium-browser") if Path(p).exists()), None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here needs a browser and the time to start the product."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.e2e)
            item.add_marker(pytest.mark.serial)
            item.add_marker(pytest.mark.timeout(420))


@dataclass(frozen=True, slots=True)
class Product:
    """A running product: where it is, how to sign in, and the sandbox behind it."""

    url: str
    email: str
    password: str
    data_dir: Path

    @property
    def google(self) -> httpx.Client:
        """The sandbox's control interface: what its "Google" holds."""
        return httpx.Client(base_url=f"{self.url}/sandbox/api", timeout=10)


@contextmanager
def running(data_dir: Path) -> Iterator[Product]:
    """``make run`` without make: the launcher on a free port, until it says that it is ready."""
    port = free_port()
    environment = {
        name: value
        for name, value in os.environ.items()
        if name
        not in ("DATABASE_URL", "REDIS_URL", "REFLEX_REDIS_URL", "BASE_URL", "SECRET_KEY", "ENCRYPTION_KEYS")
    }
    environment |= {"PORT": str(port), "DATA_DIR": str(data_dir), "WEB_CONCURRENCY": "2"}
    environment |= {"ALLOWED_PRIVATE_HOSTS": RECEIVERS}
    output = data_dir / "launcher.out"
    with output.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "calendar_app.launcher"],
            cwd=ROOT,
            env=environment,
            stdout=out,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    try:
        yield _ready(process, output, data_dir)
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)


def _ready(process: subprocess.Popen[bytes], output: Path, data_dir: Path) -> Product:
    deadline = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < deadline:
        said = output.read_text()
        ready = re.search(r"^Ready: (\S+)", said, re.M)
        email, password = re.search(r"sign in: (\S+)", said), re.search(r"password: (\S+)", said)
        if ready and email and password:
            return Product(ready[1].rstrip("/"), email[1], password[1], data_dir)
        if process.poll() is not None:
            pytest.fail(f"the product did not start:\n{said}")
        time.sleep(0.1)
    pytest.fail(f"the product was not ready in {READY_WITHIN_S:.0f} s:\n{output.read_text()}")


@pytest.fixture(scope="session")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """The product that most tests share."""
    with running(tmp_path_factory.mktemp("product")) as started:
        yield started


@pytest.fixture
def first_day(
    browser: Browser, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[tuple[Product, Visitors]]:
    """A product that nobody has used, and browsers for it."""
    with running(tmp_path) as started, _visitors(browser, started, request) as made:
        yield started, made


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Headless Chromium, the system's own where there is one."""
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=CHROMIUM,
            env={name: value for name, value in os.environ.items() if name != "LD_PRELOAD"},
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield launched
        launched.close()


def new_context(browser: Browser, url: str, **options: Any) -> BrowserContext:
    """A browser with nothing in it, whose clock is this process's: ``tests/clocks`` runs tests under other ones."""
    context = browser.new_context(**({"base_url": url, "viewport": WIDE, "locale": "en-GB"} | options))
    if "TEST_CLOCK" in os.environ:
        context.clock.install(time=datetime.now(UTC))
    return context


class Visitors:
    """Hands out browsers with nothing in them, and keeps pictures of those whose test failed."""

    def __init__(self, browser: Browser, product: Product, name: str) -> None:
        self._browser, self.product, self._name = browser, product, name
        self.contexts: list[BrowserContext] = []

    def new(self, *, phone: bool = False, dark: bool = False, zone: str = "Europe/Berlin") -> Page:
        """A page in a browser of its own."""
        context = new_context(
            self._browser,
            self.product.url,
            viewport=NARROW if phone else WIDE,
            color_scheme="dark" if dark else "light",
            timezone_id=zone,
        )
        context.set_default_timeout(20_000)
        self.contexts.append(context)
        return context.new_page()

    def owner(self, *, phone: bool = False, dark: bool = False) -> Page:
        """A page on which the owner is signed in, at the dashboard."""
        page = self.new(phone=phone, dark=dark)
        sign_in(page, self.product.email, self.product.password)
        page.wait_for_url("**/dashboard")
        return page

    def picture(self) -> None:
        SHOTS.mkdir(exist_ok=True)
        for index, context in enumerate(self.contexts):
            for page in context.pages:
                page.screenshot(path=SHOTS / f"{self._name}-{index}.png")

    def close(self) -> None:
        for context in self.contexts:
            context.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Remember whether the test itself failed, for the fixture that takes the pictures."""
    report = yield
    if report.when == "call":
        item.stash[_FAILED] = report.failed
    return report


_FAILED = pytest.StashKey[bool]()


@contextmanager
def _visitors(browser: Browser, product: Product, request: pytest.FixtureRequest) -> Iterator[Visitors]:
    made = Visitors(browser, product, re.sub(r"\W+", "-", request.node.name))
    yield made
    if request.node.stash.get(_FAILED, False):
        made.picture()
    made.close()


@pytest.fixture
def visitors(browser: Browser, product: Product, request: pytest.FixtureRequest) -> Iterator[Visitors]:
    """Browsers of this test, on the shared product."""
    with _visitors(browser, product, request) as made:
        yield made


def sign_in(page: Page, email: str, password: str) -> None:
    """Fill in the form and send it."""
    page.goto("/login")
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in", exact=True).click()


NEW_PASSWORD = "correct horse battery staple"


def sign_up(page: Page, product: Product, name: str, email: str, business: str = "") -> None:
    """Make an account: the form, the e-mail that proves the address, and a password; then the dashboard."""
    page.goto("/signup")
    expect(page.get_by_text("the link in it lets you choose a password")).to_be_visible()  # then it is still
    page.get_by_label("Your name").fill(name)
    page.get_by_label("Email").fill(email)
    page.get_by_label("Business name").fill(business)
    page.get_by_role("button", name="Create account").click()
    expect(page.get_by_text("Look into your mailbox")).to_be_visible()
    page.goto(link_in_email(product, email))
    page.get_by_label("Password").fill(NEW_PASSWORD)
    page.get_by_role("button", name="Create my account").click()
    page.wait_for_url("**/dashboard")


def link_in_email(product: Product, email: str) -> str:
    """The path of the link in the latest e-mail to an address that has one."""
    with product.google as sandbox, within(60) as waiting:
        while waiting():
            items = sandbox.get("mail", params={"to": email}).json()["items"]
            found = [re.search(r"/confirm/[\w-]+", item["text"]) for item in items]
            if links := [one[0] for one in found if one]:
                return links[0]
    pytest.fail(f"no link was sent to {email}")


@pytest.fixture
def connected(product: Product, visitors: Visitors) -> Page:
    """The owner's dashboard with the Google account connected and its first sync done."""
    page = visitors.owner()
    connect = page.get_by_role("button", name="Connect Google")
    expect(page.get_by_role("button", name="Sync now").or_(connect).first).to_be_visible()
    if connect.is_visible():
        allow_google(page)
    expect(page.get_by_text("synced", exact=False).first).to_be_visible(timeout=60_000)
    return page


def allow_google(page: Page) -> None:
    """From "Connect Google" through the consent page and back."""
    page.get_by_role("button", name="Connect Google").first.click()
    page.get_by_role("button", name="Allow").click()
    page.wait_for_url("**/dashboard?connected=*")


@contextmanager
def within(seconds: float) -> Iterator[Callable[[], bool]]:
    """A deadline to poll against: ``while waiting(): …``; the loop's body pauses a little each time."""
    deadline = time.monotonic() + seconds

    def waiting() -> bool:
        time.sleep(0.05)
        return time.monotonic() < deadline

    yield waiting
