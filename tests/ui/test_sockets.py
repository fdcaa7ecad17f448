"""A page's stored state belongs to a session: tried with bare websockets on the running application."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Coroutine, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis import Redis
from starlette.types import Message, Receive, Scope, Send

from calendar_app import errors
from calendar_app.launcher.checks import free_port
from calendar_app.services.accounts import authentication, owners
from calendar_app.services.workspaces import team
from calendar_app.settings import Settings
from calendar_app.ui.pages.availability.state import AvailabilityState
from calendar_app.ui.pages.team import PATH, TeamState
from calendar_app.ui.reloading import SAID, Loaded
from calendar_app.ui.sealed import bound, owner
from calendar_app.ui.sockets import OpenSockets, SealedSockets
from tests.support import databases
from tests.support.people import PASSWORD
from tests.support.servers import dying_with_parent
from tests.support.tabs import WITHIN_S, Tab, tab

pytestmark = pytest.mark.timeout(300)
STARTS_WITHIN_S = 120.0
"""However busy the machine is; an idle one needs a few seconds."""

LOAD = f"{TeamState.get_full_name()}.load"
SERVE = """
import os
from calendar_app.launcher import web
os.environ.update({name: value for name, value in web.SERVED_BY_REFLEX.items() if "MOUNT" not in name})
web.preload()
web.server(os.environ).serve()
"""


@dataclass(frozen=True, slots=True)
class Served:
    """The application's web processes, without built pages; ``stores`` are the Redis databases that it uses."""

    url: str
    database_url: str
    redis_url: str
    stores: tuple[str, ...]

    def stored(self) -> bytes:
        """All that Redis keeps of pages."""
        found = b""
        for url in self.stores:
            with closing(Redis.from_url(url)) as client:
                found += b"".join(client.get(key) or b"" for key in client.scan_iter(_type="string"))
        return found


@contextmanager
def _serving(folder: Path, template: Path, redis_url: str, processes: int) -> Iterator[Served]:
    url = f"http://127.0.0.1:{(port := free_port())}"
    database_url = databases.sqlite_copy(template, folder / "almanac.db")
    states = f"{redis_url}?db=2" if redis_url else ""
    given = {name: value for name, value in os.environ.items() if "REDIS" not in name}
    given |= {"DATABASE_URL": database_url, "PORT": str(port), "WEB_CONCURRENCY": str(processes)}
    given |= {
        "SECRET_KEY": "s" * 40,
        "PYTHONPATH": os.getcwd(),
        "REFLEX_STATES_WORKDIR": str(folder / "states"),
    }
    given |= {"REDIS_URL": redis_url, "REFLEX_REDIS_URL": states} if redis_url else {}
    with (folder / "log").open("wb") as log:
        command = dying_with_parent([sys.executable, "-c", SERVE])
        process = subprocess.Popen(command, env=given, stdout=log, stderr=subprocess.STDOUT)
    try:
        _answers(url, process, folder / "log")
        yield Served(url, database_url, redis_url, (states,) if states else ())
    finally:
        process.terminate()
        process.wait(30)


def _answers(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + STARTS_WITHIN_S
    with httpx.Client(base_url=url) as client:
        while process.poll() is None and time.monotonic() < deadline:
            try:
                client.get("/health")
            except httpx.TransportError:
                time.sleep(0.05)
            else:
                return
    raise RuntimeError(f"the application did not start:\n{log.read_text()}")


@pytest.fixture(scope="module", params=["redis", "disk"])
def _served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, _sqlite_template: Path
) -> Iterator[Served]:
    redis_url = request.getfixturevalue("_valkey_url") if request.param == "redis" else ""
    folder = tmp_path_factory.mktemp(request.param)
    with _serving(folder, _sqlite_template, redis_url, 2 if redis_url else 1) as served:
        yield served


@pytest.fixture
def served(_served: Served, configure: Callable[..., Settings]) -> Iterator[Served]:
    """The application: two processes with Redis, or one with states on disk; this process shares its database."""
    given = {"REDIS_URL": _served.redis_url} if _served.redis_url else {}
    configure(DATABASE_URL=_served.database_url, **given)
    with databases.in_use("sqlite", _served.database_url):
        yield _served


def _somebody(email: str) -> tuple[str, authentication.Identity]:
    """Somebody with a business of their own: the cookie of a fresh sign-in, and who that is."""
    try:
        made = authentication.sign_up(email.partition("@")[0], email, PASSWORD, "", "Europe/Berlin")
    except errors.Conflict:
        made = authentication.sign_in(email, PASSWORD)
    return f"{authentication.SESSION_COOKIE}={made.token}", made.identity


async def _team(opened: Tab, email: str) -> None:
    """The team page loads itself, as it does when it stands in a browser."""
    await opened.send(LOAD, PATH, zone="Europe/Berlin", hour12=False)
    await opened.until(email)


def run(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(work(), 2 * WITHIN_S))


def test_a_tabs_token_opens_the_state_of_its_own_session_only(served: Served) -> None:
    """No cookie, a made-up one or somebody else's starts fresh; the session's own socket finds what it left."""
    (ada, _), (bob, _) = _somebody("ada@example.com"), _somebody("bob@example.com")

    async def work() -> None:
        async with tab(served.url, "kept", ada, PATH) as first:
            await _team(first, "ada@example.com")
        async with tab(served.url, "kept", ada, PATH) as again:
            assert "ada@example.com" in again.heard
        for cookie in ("", f"{authentication.SESSION_COOKIE}=made-up", bob):
            async with tab(served.url, "kept", cookie, PATH) as other:
                assert "ada@example.com" not in other.heard
                if cookie == bob:
                    await _team(other, "bob@example.com")
                    assert "ada@example.com" not in other.heard

    run(work)


def test_what_a_page_is_told_of_its_token_opens_nothing_elsewhere(served: Served) -> None:
    """The token under which Reflex keeps the state is in the page; with another session it is just another token."""
    ada, _ = _somebody("ada@example.com")

    async def work() -> None:
        async with tab(served.url, "told", ada, PATH) as first:
            await _team(first, "ada@example.com")
            inner = first.heard.partition('"client_token":"')[2].partition('"')[0]
            assert len(inner) > 32
        async with tab(served.url, inner, "", PATH) as other:
            assert "ada@example.com" not in other.heard

    run(work)


def test_a_second_tab_with_the_same_token_keeps_a_state_of_its_own(served: Served) -> None:
    """A copied tab is given a token, which finds its state again after the socket was lost."""
    ada, _ = _somebody("ada@example.com")

    async def work() -> None:
        async with (
            tab(served.url, "copied", ada, PATH) as first,
            tab(served.url, "copied", ada, PATH) as second,
        ):
            assert "new_token" not in first.heard
            await second.until("new_token")
            given = second.heard.partition('"new_token","')[2].partition('"')[0]
            await _team(second, "ada@example.com")
        async with tab(served.url, given, ada, PATH) as again:
            assert "ada@example.com" in again.heard
        async with tab(served.url, given, "", PATH) as other:
            assert "ada@example.com" not in other.heard

    run(work)


@pytest.mark.parametrize("_served", ["redis"], indirect=True)
def test_an_event_on_a_lost_state_is_not_carried_out(served: Served) -> None:
    """The page hears that its state is gone; once it is loaded again, it may hand in what it held, as its own only."""
    ada, _ = _somebody("ada@example.com")
    hours = AvailabilityState.get_full_name()

    async def work() -> None:
        async with tab(served.url, "lost", ada, PATH) as page:
            await page.send(f"{hours}.load", PATH, zone="Europe/Berlin", hour12=False)
            await page.until("09:00")
            for url in served.stores:
                with closing(Redis.from_url(url)) as client:
                    client.flushdb()
            page.heard = ""
            await page.send(f"{hours}.set_new_date", PATH, value="2031-05-06")
            await page.until(Loaded.get_full_name())
            assert "2031-05-06" not in page.heard
            await page.send(f"{hours}.load", PATH, zone="Europe/Berlin", hour12=False)
            await page.until("09:00")
            mine = page.heard.rpartition('"owner_rx_state_":"')[2].partition('"')[0]
            for owner, day in (("x" * 32, "2031-05-07"), (mine, "2031-05-08")):
                kept = {hours: {"new_date": day, "loaded": False, "week": "nonsense"}}
                await page.send(f"{Loaded.get_full_name()}.restore", PATH, owner=owner, kept=kept)
            await page.until("2031-05-08")
            await page.until(SAID)
            assert "2031-05-07" not in page.heard

    run(work)


@pytest.mark.parametrize("_served", ["redis"], indirect=True)
def test_an_event_that_waited_for_the_connection_needs_a_loaded_state(served: Served) -> None:
    """Over a new socket, to a state that went meanwhile, a press of a button does nothing until the page is loaded."""
    ada, identity = _somebody("ada@example.com")
    press = f"{TeamState.get_full_name()}.invite"

    async def work() -> None:
        async with tab(served.url, "waited", ada, PATH) as page:
            await page.send(press, PATH, form={"email": "early@example.org", "role": "staff"})
            await page.send(LOAD, PATH, zone="Europe/Berlin", hour12=False)
            await page.until("ada@example.com")
            await page.send(press, PATH, form={"email": "late@example.org", "role": "staff"})
            await page.until("late@example.org")
            assert "early@example.org" not in page.heard
        assert [one.email for one in team.invitations(identity.actor())] == ["late@example.org"]

    run(work)


def _sign_out(_who: authentication.Identity, cookie: str, url: str) -> None:
    assert httpx.post(f"{url}/auth/sign-out", headers={"Cookie": cookie}).status_code == 303


def _sign_in_again(who: authentication.Identity, cookie: str, url: str) -> None:
    form = {"email": who.email, "password": PASSWORD}
    assert httpx.post(f"{url}/auth/sign-in", data=form, headers={"Cookie": cookie}).status_code == 303


def _revoke(who: authentication.Identity, _cookie: str, url: str) -> None:
    other, _ = _somebody(who.email)
    answer = httpx.delete(f"{url}/api/v1/sessions/{who.session_id}", headers={"Cookie": other, "Origin": url})
    assert answer.status_code == 204, answer.text


def _end_others(who: authentication.Identity, _cookie: str, url: str) -> None:
    other, _ = _somebody(who.email)
    assert httpx.delete(f"{url}/api/v1/sessions", headers={"Cookie": other, "Origin": url}).status_code == 200


def _change_password(who: authentication.Identity, _cookie: str, url: str) -> None:
    other, _ = _somebody(who.email)
    wish = {"present": PASSWORD, "new": PASSWORD + "!"}
    headers = {"Cookie": other, "Origin": url}
    assert httpx.put(f"{url}/api/v1/me/password", json=wish, headers=headers).status_code == 200


def _reset_password(who: authentication.Identity, _cookie: str, _url: str) -> None:
    """Here, in another process, as an operator does it."""
    assert owners.reset_password(who.email, PASSWORD + "!")


End = Callable[[authentication.Identity, str, str], None]


@pytest.mark.parametrize("end", [_sign_out, _sign_in_again, _revoke, _end_others, _change_password])
def test_the_end_of_a_session_ends_its_pages(served: Served, end: End) -> None:
    """However it ends: its sockets close, what was stored is gone, and its cookie and token find nothing."""
    _ends(served, end)


@pytest.mark.parametrize("_served", ["redis"], indirect=True)
def test_an_operators_new_password_ends_pages(served: Served) -> None:
    """It is set in another process; web processes hear of it through Redis."""
    _ends(served, _reset_password)


def _ends(served: Served, end: End) -> None:
    cookie, who = _somebody(f"{end.__name__.strip('_')}@example.com")

    async def work() -> None:
        async with (
            tab(served.url, "one", cookie, PATH) as one,
            tab(served.url, "two", cookie, PATH) as two,
            tab(served.url, "one", "", PATH) as visitor,
        ):
            await _team(one, who.email)
            await _team(two, who.email)
            await asyncio.to_thread(end, who, cookie, served.url)
            await one.until_closed()
            await two.until_closed()
            await visitor.send(f"{TeamState.get_full_name()}.refresh", PATH)
            await visitor.until("/login")
        async with tab(served.url, "one", cookie, PATH) as after:
            assert who.email not in after.heard

    run(work)
    deadline = time.monotonic() + WITHIN_S
    while who.email.encode() in served.stored():
        assert time.monotonic() < deadline, "the stored state is still there"
        time.sleep(0.05)


class Wire:
    """One side of a websocket as the server hands it to an application: what was sent, and nothing ever comes."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    async def receive(self) -> Message:
        if not self.sent:
            return {"type": "websocket.connect"}
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    async def send(self, message: Message) -> None:
        self.sent.append(message["type"])


def test_a_page_is_closed_when_its_session_expires() -> None:
    """Nobody has to send anything, and what is sent afterwards goes nowhere."""
    sockets, wire, queries = OpenSockets(), Wire(), []

    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        queries.append(scope["query_string"])
        assert (await receive())["type"] == "websocket.connect"
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": "before"})
        assert (await receive())["type"] == "websocket.disconnect"
        await send({"type": "websocket.send", "text": "after"})

    def living(digests: Collection[str]) -> dict[str, datetime]:
        return dict.fromkeys(digests, datetime.now(UTC) + timedelta(milliseconds=20))

    async def work() -> None:
        cookie = f"{authentication.SESSION_COOKIE}=secret".encode()
        scope = {"type": "websocket", "path": "/_event/", "query_string": b"EIO=4&token=abc"}
        application = SealedSockets(page, sockets, living)
        await application({**scope, "headers": [(b"cookie", cookie)]}, wire.receive, wire.send)

    run(work)
    assert wire.sent == ["websocket.accept", "websocket.send", "websocket.close"]
    assert queries == [b"EIO=4&token=" + bound("abc", authentication.digest("secret")).encode()]
    assert (sockets.sessions(), sockets.ended.get_nowait()) == (set(), authentication.digest("secret"))


@given(st.text(), st.text(), st.text())
def test_tokens_of_different_sessions_never_meet(tab_token: str, mine: str, other: str) -> None:
    """Whatever a tab hands in, its token begins with its own session, and what was made for it stays the same."""
    made = bound(tab_token, mine)
    assert made.startswith(f"{owner(mine)}-")
    assert bound(made, mine) == made
    assert (bound(made, other) == made) == (mine == other)
