"""What pages that are not there answer: holes that were found, and stay closed."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import httpx
import pytest
from sqlalchemy.exc import OperationalError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from calendar_app.api import pages
from calendar_app.services.event_types import commands as event_type_commands
from tests.support.databases import Database
from tests.support.fake_provider import FakeProvider
from tests.support.scheduling import Place, bookable
from tests.support.web import served


def _shell(request: Request) -> Response:
    return PlainTextResponse("the shell")


@pytest.fixture
def browser(database: Database) -> Iterator[httpx.Client]:
    app = Starlette(routes=[Route("/{path:path}", _shell, methods=["GET", "POST"])])
    with served(pages.MissingPages(app)) as url, httpx.Client(base_url=url, timeout=30) as client:
        yield client


@pytest.fixture
def place(database: Database) -> Iterator[Place]:
    with FakeProvider().installed() as fake:
        yield bookable(fake)


def test_pages_that_lead_nowhere_are_404(browser: httpx.Client, place: Place) -> None:
    """The page is the same; what exists is 200, what does not or is not public is 404, and forged links are."""
    slug, kind = place.workspace.slug, place.event_type.slug
    link = f"/manage/{place.book(place.at(10)).manage_token}"
    for path in (
        f"/book/{slug}",
        f"/book/{slug}/{kind}",
        f"/book/{slug}/{kind}/",
        link,
        "/book",
        "/dashboard",
    ):
        assert browser.get(path).status_code == 200, path
    missing = [
        f"/book/{slug}x",
        f"/book/{slug}/{kind}x",
        "/book/%00/%ff",
        f"{link}x",
        "/manage/%00",
        "/manage/x",
    ]
    event_type_commands.update_event_type(place.owner, place.event_type.id, {"is_public": False})
    for path in (*missing, f"/book/{slug}/{kind}"):
        answer = browser.get(path)
        assert (answer.status_code, answer.text) == (404, "the shell"), path
    assert browser.post("/manage/x").status_code == 200


def test_a_page_is_shown_when_the_database_is_not_there(
    browser: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error or silence of the database is no reason to say that a page does not exist, nor to keep it back."""
    over = threading.Event()
    monkeypatch.setattr(pages, "PATIENCE_S", 0.2)
    for trouble in (lambda *_: over.wait(20), lambda *_: _raise()):
        monkeypatch.setattr(event_type_commands, "public_list", trouble)
        assert browser.get("/book/x").status_code == 200
    over.set()


def _raise() -> None:
    raise OperationalError("SELECT", {}, Exception("gone"))
