"""Our Google provider, unchanged, against the npm package ``emulate``: somebody else's idea of Google.

It knows neither sync tokens nor our own event ids, so this shows sign-in, list, insert, freebusy and delete only.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from calendar_app.domain.event import EventDraft
from calendar_app.domain.timespan import Span, instant
from calendar_app.errors import GrantRevoked, InvalidRequest
from calendar_app.launcher.checks import free_port
from calendar_app.providers.google.errors import to_error
from calendar_app.providers.google.oauth import google_oauth
from calendar_app.providers.google.provider import GoogleCalendar
from calendar_app.providers.http import ProviderHttp
from calendar_app.settings import Settings

HOME = Path(__file__).parent / "emulate"
PROGRAM = HOME / "node_modules" / ".bin" / "emulate"
REDIRECT = "http://localhost:3000/api/v1/connections/google/callback"
USER = "olivia@example.com"

pytestmark = [
    pytest.mark.emulate,
    pytest.mark.skipif(not PROGRAM.exists(), reason="emulate is not installed; `make test` installs it"),
]


@pytest.fixture(scope="module")
def emulate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A running ``emulate`` with one user, one registered client and one event; its base address."""
    port = free_port()
    seed = tmp_path_factory.mktemp("emulate") / "seed.json"
    seed.write_text(
        json.dumps(
            {
                "google": {
                    "users": [{"email": USER, "name": "Olivia Owner"}],
                    "oauth_clients": [
                        {"client_id": "almanac", "client_secret": "hush", "redirect_uris": [REDIRECT]}
                    ],
                    "calendars": [
                        {
                            "id": "primary",
                            "user_email": USER,
                            "summary": USER,
                            "primary": True,
                            "time_zone": "UTC",
                        }
                    ],
                    "calendar_events": [
                        {
                            "id": "kickoff",
                            "user_email": USER,
                            "calendar_id": "primary",
                            "summary": "Kick-off",
                            "start_date_time": "2030-01-10T09:00:00.000Z",
                            "end_date_time": "2030-01-10T09:30:00.000Z",
                        }
                    ],
                }
            }
        )
    )
    node = Path(sys.executable).with_name("node")
    program = str(node) if node.exists() else shutil.which("node") or "node"
    command = [
        program,
        str(PROGRAM),
        "start",
        "--service",
        "google",
        "--port",
        str(port),
        "--seed",
        str(seed),
    ]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    base = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                httpx.get(base, timeout=1)
                break
            except httpx.TransportError:
                assert process.poll() is None, "emulate ended at once"
                assert time.monotonic() < deadline, "emulate did not start within 30 s"
                time.sleep(0.1)
        yield base
    finally:
        os.killpg(process.pid, signal.SIGTERM)  # PyPI's `node` is a wrapper around the real one
        process.wait(10)


def settings(base: str, secret: str = "hush") -> Settings:
    return Settings(
        GOOGLE_CLIENT_ID="almanac",
        GOOGLE_CLIENT_SECRET=secret,
        GOOGLE_AUTH_URL=f"{base}/o/oauth2/v2/auth",
        GOOGLE_TOKEN_URL=f"{base}/oauth2/token",
        GOOGLE_REVOKE_URL=f"{base}/oauth2/revoke",
        GOOGLE_USERINFO_URL=f"{base}/oauth2/v2/userinfo",
        GOOGLE_API_URL=f"{base}/calendar/v3",
    )


def consent(base: str, url: str) -> str:
    """Press the user's button on the consent page, as a browser would; the code from the redirect."""
    page = httpx.get(url)
    assert page.status_code == 200
    asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    kept = ("redirect_uri", "scope", "state", "client_id", "code_challenge", "code_challenge_method")
    answer = httpx.post(
        f"{base}/o/oauth2/v2/auth/callback", data={"email": USER} | {name: asked[name] for name in kept}
    )
    back = urlsplit(answer.headers["location"])
    query = parse_qs(back.query)
    assert query["state"] == ["st4te"]
    return query["code"][0]


def test_sign_in_list_insert_and_delete(emulate: str) -> None:
    """The path of a booking against a third party's Google: consent, tokens, calendars, event in, busy, event out."""
    oauth = google_oauth(settings(emulate))
    verifier = "a-verifier-that-is-long-enough-for-rfc-7636-0123456789"
    code = consent(
        emulate,
        oauth.authorization_url(
            state="st4te", code_verifier=verifier, redirect_uri=REDIRECT, login_hint=USER
        ),
    )
    grant = oauth.exchange(code=code, code_verifier=verifier, redirect_uri=REDIRECT)
    assert grant.refresh_token
    assert oauth.account(grant.access_token).email == USER
    fresh = oauth.refresh(grant.refresh_token)

    with httpx.Client() as client:
        book_and_remove(
            GoogleCalendar(
                ProviderHttp(f"{emulate}/calendar/v3", fresh.access_token, to_error, client=client)
            )
        )


def book_and_remove(google: GoogleCalendar) -> None:
    (calendar,) = google.list_calendars()
    assert calendar.is_primary
    start = datetime(2030, 1, 11, 9, 0, tzinfo=UTC)
    draft = EventDraft(
        "0a1b2c3d",
        "0a1b2c3d",
        "uid@almanac",
        "Intro with Ada",
        start,
        start + timedelta(minutes=30),
        "Europe/Berlin",
    )
    written = google.put_event(calendar.remote_id, draft)

    listed = [event for page in google.event_pages(calendar.remote_id, None) for event in page.events]
    assert {event.summary for event in listed} == {"Kick-off", "Intro with Ada"}
    span = Span(instant(start), instant(start) + 3600)
    assert google.freebusy([calendar.remote_id], span) == {
        calendar.remote_id: [Span(span.start, span.start + 1800)]
    }

    google.delete_event(calendar.remote_id, written.remote_id)
    google.delete_event(calendar.remote_id, written.remote_id)
    left = [event.summary for page in google.event_pages(calendar.remote_id, None) for event in page.events]
    assert left == ["Kick-off"]


def test_refusals_are_understood(emulate: str) -> None:
    """A wrong verifier, a wrong secret and a dead refresh token become our own errors."""
    oauth = google_oauth(settings(emulate))
    url = oauth.authorization_url(state="st4te", code_verifier="right" * 10, redirect_uri=REDIRECT)
    with pytest.raises(GrantRevoked):
        oauth.exchange(code=consent(emulate, url), code_verifier="wrong" * 10, redirect_uri=REDIRECT)
    with pytest.raises(InvalidRequest, match="operator"):
        google_oauth(settings(emulate, secret="wrong")).refresh("any")
    with pytest.raises(GrantRevoked):
        oauth.refresh("never issued")
