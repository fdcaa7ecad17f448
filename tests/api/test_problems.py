"""Whatever goes wrong, the API answers with a problem document, and gives nothing away."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy.exc import InterfaceError, OperationalError

from calendar_app.api import problems
from calendar_app.api.middleware import MAX_BODY, RequestId
from calendar_app.errors import ProviderUnavailable, RateLimited, TooManyRequests
from calendar_app.settings import Settings
from tests.support.databases import Database
from tests.support.people import problem, user
from tests.support.web import served


def test_an_unknown_address_is_a_problem(api: httpx.Client) -> None:
    """Under `/api/v1` nothing falls through to the pages."""
    problem(api.get("/api/v1/no/such/thing"), 404, "not_found")


def test_a_wrong_method_names_the_right_ones(api: httpx.Client) -> None:
    """405 comes with `Allow`."""
    response = api.put("/api/v1/me")
    problem(response, 405, "method_not_allowed")
    assert response.headers["allow"] == "GET, HEAD, PATCH"


def test_bad_input_names_the_fields_and_repeats_no_value(api: httpx.Client) -> None:
    """A 422 says which field and why; what was sent, perhaps a password, is not echoed."""
    response = api.post(
        "/api/v1/auth/token", json={"email": "ada@example.com", "password": ["hunter2hunter2"]}
    )
    body = problem_without_period(response, 422)
    assert body["errors"] == [
        {"field": "password", "code": "invalid", "detail": "Input should be a valid string."}
    ]
    assert "hunter2" not in response.text


def problem_without_period(response: httpx.Response, status: int) -> dict[str, object]:
    assert response.headers["content-type"] == "application/problem+json"
    assert response.status_code == status
    return dict(response.json())


@pytest.mark.parametrize("body", [b"{", b"\xff\xfe", b"[]", b"", b'{"email": 1e999}', b"nul\x00l"])
def test_broken_bodies_are_bad_input(api: httpx.Client, body: bytes) -> None:
    """No body makes the server fall over."""
    response = api.post("/api/v1/auth/token", content=body, headers={"content-type": "application/json"})
    assert problem_without_period(response, 422)["code"] == "invalid_input"


def test_broken_json_is_said_to_be_that(api: httpx.Client) -> None:
    """The parser's position is no field of the request."""
    response = api.post(
        "/api/v1/auth/token", content=b'{"email":', headers={"content-type": "application/json"}
    )
    problem(response, 422, "invalid_input")
    assert response.json()["errors"] == [
        {"field": "body", "code": "invalid_json", "detail": "This is not valid JSON."}
    ]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/bookings?start=0001-01-01T00:00:00%2B14:00", None),
        ("GET", "/bookings?end=9999-12-31T23:59:59-14:00", None),
        ("GET", "/connections/%00", None),
        ("GET", "/connections/go%00ogle/status", None),
        ("POST", "/connections/google/start", {"connection_id": "\x00"}),
        ("DELETE", "/connections/x?move_to=%00", None),
        ("GET", "/events?calendar_id=%00", None),
        ("POST", "/sync", {"calendar_id": "\x00"}),
        ("POST", "/sync", {"connection_id": "\x00"}),
        ("POST", "/sync/%00/accept-removals", None),
    ],
)
def test_what_no_database_holds_is_bad_input(
    api: httpx.Client, database: Database, method: str, path: str, body: dict[str, str] | None
) -> None:
    """NUL, which PostgreSQL's text refuses, and times at the ends of the calendar, which have no UTC."""
    person = user()
    response = api.request(method, f"/api/v1{path}", json=body, headers=person.bearer)
    assert (response.status_code, response.json()["code"]) == (422, "invalid_input")


@pytest.mark.parametrize("chunked", [False, True])
def test_a_huge_body_is_refused(api: httpx.Client, chunked: bool) -> None:
    """Announced or streamed, more than a megabyte is not read into memory."""

    def pieces() -> Iterator[bytes]:
        for _ in range(30):
            yield b" " * 100_000

    content = pieces() if chunked else b" " * (MAX_BODY + 1)
    response = api.post("/api/v1/auth/token", content=content, headers={"content-type": "application/json"})
    problem(response, 413, "too_large")


def test_requests_have_ids(api: httpx.Client) -> None:
    """The caller's own id comes back if it is harmless, else a fresh one; problems name it."""
    response = api.get("/api/v1/nothing", headers={"X-Request-Id": "my-request-1"})
    assert response.headers["x-request-id"] == "my-request-1"
    assert response.json()["instance"] == "urn:almanac:request:my-request-1"
    for bad in ("short", "x" * 65, "<script>alert(1)</script>"):
        assert api.get("/health", headers={"X-Request-Id": bad}).headers["x-request-id"] != bad


def test_answers_stay_out_of_caches(api: httpx.Client, database: Database) -> None:
    """Personal answers and problems carry `no-store`."""
    assert api.get("/api/v1/me", headers=user().bearer).headers["cache-control"] == "no-store"
    assert api.get("/api/v1/me").headers["cache-control"] == "no-store"


@pytest.fixture
def failing() -> Iterator[Callable[[Exception], httpx.Response]]:
    """What the API answers to an exception."""
    app = FastAPI()
    problems.install(app)
    app.add_middleware(RequestId)
    raised: list[Exception] = []

    @app.get("/")
    def fail() -> None:
        raise raised[-1]

    with served(app) as url, httpx.Client(base_url=url) as client:

        def answer(error: Exception) -> httpx.Response:
            raised.append(error)
            return client.get("/")

        yield answer


@pytest.mark.parametrize(
    ("error", "status", "code", "retry_after"),
    [
        (TooManyRequests("Slow down.", retry_after=7), 429, "rate_limited", "7"),
        (RateLimited("The provider is busy.", retry_after=2.4), 503, "provider_rate_limited", "2"),
        (ProviderUnavailable("The provider is down."), 503, "provider_unavailable", "30"),
    ],
)
def test_waiting_times_are_passed_on(
    failing: Callable[[Exception], httpx.Response],
    error: Exception,
    status: int,
    code: str,
    retry_after: str | None,
) -> None:
    """`Retry-After` is there when it is known."""
    response = failing(error)
    problem(response, status, code)
    assert response.headers.get("retry-after") == retry_after


@pytest.mark.parametrize("kind", [OperationalError, InterfaceError])
def test_a_database_that_is_away_is_no_mistake_of_ours(
    failing: Callable[[Exception], httpx.Response], kind: type[OperationalError]
) -> None:
    """Programs are told to come again, and nothing of the statement or the server."""
    response = failing(kind("SELECT secret", {}, Exception("server closed the connection")))
    problem(response, 503, "unavailable")
    assert response.headers["retry-after"] == "3"
    assert "secret" not in response.text
    assert "closed" not in response.text


def test_an_unforeseen_failure_gives_nothing_away(
    failing: Callable[[Exception], httpx.Response], caplog: pytest.LogCaptureFixture
) -> None:
    """No stack, no message, no name of an exception in the body; the log has them."""
    response = failing(RuntimeError("a secret"))
    problem(response, 500, "internal_error")
    assert "secret" not in response.text
    assert "RuntimeError" not in response.text
    deadline = time.monotonic() + 10
    while "a secret" not in caplog.text:  # the server logs after it has answered
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_the_documentation_needs_nobody_else(api: httpx.Client, settings: Settings) -> None:
    """OpenAPI lists the operations; the page shows them without a script or another host."""
    document = api.get("/api/v1/openapi.json").json()
    assert document["openapi"].startswith("3.")
    assert document["servers"] == [{"url": "/api/v1"}]
    assert {"/connections/{provider}/start", "/calendars/{calendar_id}", "/me"} <= set(document["paths"])
    page = api.get("/api/v1/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    assert "<script" not in page.text
    assert "//" not in page.text.replace("</", "").partition("</style>")[2]
    assert "/connections/{provider}/callback" in page.text
