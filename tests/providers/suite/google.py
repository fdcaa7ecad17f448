"""Google in the contract suite, against the stand-in of the sandbox; exchanges are held against Google's document."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import httpx

from calendar_app.domain.meeting_place import PlaceKind
from calendar_app.providers.base import CalendarProvider
from calendar_app.providers.google.errors import to_error
from calendar_app.providers.google.mapping import rfc3339
from calendar_app.providers.google.oauth import google_oauth
from calendar_app.providers.google.provider import GoogleCalendar
from calendar_app.providers.http import ProviderHttp, tls
from calendar_app.settings import Settings
from tests.contracts import GOOGLE_DOCUMENT, ContractTransport
from tests.providers.suite.harness import Harness, Meetings, Series
from tests.sandbox.server import REDIRECT_URI, Sandbox, SharedServer, running_sandbox
from tests.support.clock import Clock

OWNER = "suite@example.com"


class GoogleHarness(Harness):
    key = "google"
    meetings = Meetings(
        PlaceKind.GOOGLE_MEET,
        later="meet_later",
        never="meet_never",
        fails="meet_fails",
        refused="meet_refused",
    )
    calendar_id = OWNER

    def __init__(self, sandbox: Sandbox) -> None:
        super().__init__(
            ContractTransport(httpx.HTTPTransport(verify=tls())) if GOOGLE_DOCUMENT.is_file() else None
        )
        self.sandbox = sandbox
        self.now = sandbox.clock.now
        environment = {
            name: value for name, value in sandbox.environment.items() if name.startswith("GOOGLE_")
        }
        self.authority = google_oauth(Settings.model_validate(environment))
        verifier = "v" * 64
        url = httpx.URL(
            self.authority.authorization_url(state="s", code_verifier=verifier, redirect_uri=REDIRECT_URI)
        )
        answer = sandbox.decide(email=OWNER, **dict(url.params))
        self.grant = self.authority.exchange(
            code=answer["code"], code_verifier=verifier, redirect_uri=REDIRECT_URI
        )
        self.refresh_token = self.grant.refresh_token or ""
        self.http = sandbox.closing.enter_context(httpx.Client(transport=self.switch))

    @property
    def owner(self) -> httpx.Client:
        """The account's owner at the provider's own page, so to say."""
        return self.sandbox.api(self.sandbox.sign_in(OWNER), checked=False)

    def provider(self) -> CalendarProvider:
        return GoogleCalendar(
            ProviderHttp(
                self.sandbox.api_url,
                self.grant.access_token,
                to_error,
                client=self.http,
                sleep=lambda _seconds: None,
            )
        )

    def add(self, title: str, start: datetime, end: datetime, **more: object) -> str:
        body = {"summary": title, "start": _time(start), "end": _time(end), **more}
        return str(self.owner.post("calendars/primary/events", json=body).raise_for_status().json()["id"])

    def move(self, remote_id: str, start: datetime) -> str:
        event = self.owner.get(f"calendars/primary/events/{remote_id}").raise_for_status().json()
        begin, end = (datetime.fromisoformat(event[side]["dateTime"]) for side in ("start", "end"))
        self._patch(remote_id, {"start": _time(start), "end": _time(start + (end - begin))})
        return remote_id

    def touch(self, remote_id: str) -> None:
        self._patch(remote_id, {"summary": "Renamed by its owner"})

    def delete(self, remote_id: str) -> None:
        self.owner.delete(f"calendars/primary/events/{remote_id}").raise_for_status()

    def rule(self, name: str, *, on: bool) -> None:
        self.sandbox.rule(name, on, provider="google")

    def series(self, series: Series) -> bool:
        end = series.first + series.length
        rule = f"RRULE:FREQ=WEEKLY;COUNT={series.count}"
        master = self.add("Weekly", series.first, end, recurrence=[rule])
        instance = f"{master}_{series.was.astimezone(UTC):%Y%m%dT%H%M%SZ}"
        self._patch(instance, {"start": _time(series.now), "end": _time(series.now + series.length)})
        return True

    def refuse_cursors(self) -> bool:
        self.sandbox.client.post("/sandbox/api/expire-sync-tokens", json={}).raise_for_status()
        return True

    def expire(self) -> None:
        self.sandbox.clock.advance(hours=2)

    def revoke(self) -> None:
        form = {"token": self.refresh_token}
        self.sandbox.client.post("/sandbox/google/revoke", data=form).raise_for_status()

    def renew(self) -> None:
        self.grant = self.authority.refresh(self.refresh_token)
        self.refresh_token = self.grant.refresh_token or self.refresh_token

    def _patch(self, remote_id: str, body: dict[str, object]) -> None:
        self.owner.patch(f"calendars/primary/events/{remote_id}", json=body).raise_for_status()


def _time(moment: datetime) -> dict[str, str]:
    return {"dateTime": rfc3339(moment), "timeZone": "UTC"}


@contextmanager
def google(server: SharedServer, clock: Clock | None = None) -> Iterator[GoogleHarness]:
    with running_sandbox(server=server, clock=clock, strict=True) as sandbox:
        yield GoogleHarness(sandbox)
