"""Log records: one line, with the ids to follow them by, and without a secret however it got there."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calendar_app import logs
from calendar_app.settings import Settings

SECRET = "S3cret-value-nobody-may-see"


@pytest.fixture
def written(
    configure: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch, logging_restored: None
) -> Callable[..., io.StringIO]:
    """``written(LOG_FORMAT="json")`` configures logging as the product does and gives what is written."""

    def start(**environment: str) -> io.StringIO:
        logs.configure(configure(**environment), "worker")
        stream = io.StringIO()
        monkeypatch.setattr("sys.stderr", stream)
        return stream

    return start


def record(stream: io.StringIO) -> dict[str, Any]:
    """The only record that was written."""
    (line,) = stream.getvalue().splitlines()
    found: dict[str, Any] = json.loads(line)
    return found


def test_a_record_carries_the_ids_of_its_request_and_job(written: Callable[..., io.StringIO]) -> None:
    """What happened in one request and its jobs can be found by one search."""
    stream = written(LOG_FORMAT="json")
    with logs.bound(request="request-1", job="sync-42"):
        logging.getLogger("calendar_app.test").warning("slow", extra={"seconds": 3.5, "calendar": "abc"})
    found = record(stream)
    assert (found["request_id"], found["job_id"]) == ("request-1", "sync-42")
    assert (found["level"], found["message"], found["seconds"]) == ("warning", "slow", 3.5)
    assert (found["process"], found["logger"]) == ("worker", "calendar_app.test")
    assert found["time"].endswith("Z")


def test_text_says_the_same_to_people(written: Callable[..., io.StringIO]) -> None:
    """In development a record is one readable line with its fields."""
    stream = written()
    with logs.bound(request="request-1"):
        logging.getLogger("calendar_app.test").info("read", extra={"events": 12})
    (line,) = stream.getvalue().splitlines()
    assert line.endswith("INFO    calendar_app.test: read request_id=request-1 events=12")


def test_the_level_is_the_settings(written: Callable[..., io.StringIO]) -> None:
    """What is less important than LOG_LEVEL is not written."""
    stream = written(LOG_LEVEL="error")
    logging.getLogger("calendar_app.test").warning("no")
    assert stream.getvalue() == ""


@pytest.mark.parametrize(
    "text",
    [
        f"GET /callback?state=x&code={SECRET}",
        f'answer: {{"access_token": "{SECRET}", "expires_in": 3599}}',
        f"{{'refresh_token': '{SECRET}'}}",
        f"Authorization: Bearer {SECRET}",
        f"authorization=Basic {SECRET}",
        f"grant_type=refresh_token&refresh_token={SECRET}&client_secret={SECRET}",
        f"postgresql://almanac:{SECRET}@db.example.com/almanac",
        f"cookie: almanac_session={SECRET}; theme=dark",
        f"password={SECRET}",
        f"GET /manage/{SECRET}",
        f"GET /manage/{SECRET}/move?start=2026-12-03T09:30:00%2B01:00",
        f"GET /manage/order/{SECRET}",
        f"POST /book/demo/intro/hold/{SECRET}?lang=de",
        f"GET /book/demo/intro/booked/{SECRET}",
        f"POST /my/enter/{SECRET}",
        f"GET /api/v1/feeds/{SECRET}.ics",
        f"token alm_{SECRET.replace('.', '')} was refused",
    ],
)
def test_what_looks_like_a_secret_is_hidden(text: str) -> None:
    """Tokens, passwords, codes and private links do not survive, in whatever form they come."""
    assert SECRET not in logs.redact(text)
    assert logs.HIDDEN in logs.redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "the token was refreshed",
        "calendar a1b2c3 was read in 3.5 s",
        "needs_reconnect: password changed at the provider",
        "GET /api/v1/bookings 200",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    """Words about tokens and passwords are not tokens and passwords."""
    assert logs.redact(text) == text


def test_the_settings_secrets_never_show(written: Callable[..., io.StringIO]) -> None:
    """Keys of this installation are hidden by their values: in messages, in fields and in stacks."""
    stream = written(LOG_FORMAT="json", GOOGLE_CLIENT_SECRET=SECRET)
    try:
        raise ValueError(f"refused: {SECRET}")
    except ValueError:
        logging.getLogger("calendar_app.test").exception("with %s", SECRET, extra={"reason": SECRET})
    assert SECRET not in stream.getvalue()
    assert "ValueError: refused: [hidden]" in record(stream)["exception"]


@given(st.text())
def test_redacting_never_fails(text: str) -> None:
    """Whatever is logged, redacting it twice is redacting it once."""
    once = logs.redact(text)
    assert logs.redact(once) == once


@pytest.mark.parametrize(
    "given_id", ["", "short", "x" * 65, "line\nbreak-line", "ünïcödé-id", 'a"quote-in-it']
)
def test_an_id_that_could_do_harm_is_replaced(given_id: str) -> None:
    """A caller's id goes into log lines, so it has to be harmless."""
    assert logs.sane_id(given_id) != given_id
    made = logs.sane_id(given_id)
    assert logs.sane_id(made) == made
