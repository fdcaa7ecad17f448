"""Calendly in the contract suite, against the stand-in of the sandbox, every exchange held against its contract."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import httpx

from calendar_app.providers.base import CalendarProvider
from calendar_app.providers.calendly.errors import to_error
from calendar_app.providers.calendly.oauth import calendly_oauth
from calendar_app.providers.calendly.provider import CalendlyCalendar
from calendar_app.providers.http import ProviderHttp, tls
from tests.openapi_contract import CALENDLY_DOCUMENT, ContractTransport, calendly_contract
from tests.providers.suite.harness import Harness
from tests.sandbox.calendly_server import REDIRECT_URI, RunningCalendly, running_calendly
from tests.sandbox.server import SharedServer
from tests.support.clock import Clock

OWNER = "suite@example.com"


class CalendlyHarness(Harness):
    """Nothing recurs at Calendly, and an event that is moved is cancelled and made anew."""

    key = "calendly"

    def __init__(self, running: RunningCalendly) -> None:
        plain: httpx.BaseTransport = httpx.HTTPTransport(verify=tls())
        if CALENDLY_DOCUMENT.is_file():
            plain = ContractTransport(plain, calendly_contract(), base=running.base)
        super().__init__(plain)
        self.running = running
        self.now = running.clock.now
        self.authority = calendly_oauth(running.settings)
        verifier = "v" * 64
        url = httpx.URL(
            self.authority.authorization_url(state="s", code_verifier=verifier, redirect_uri=REDIRECT_URI)
        )
        answer = running.decide(email=OWNER, **dict(url.params))
        self.grant = self.authority.exchange(
            code=answer["code"], code_verifier=verifier, redirect_uri=REDIRECT_URI
        )
        self.refresh_token = self.grant.refresh_token or ""
        self.account = running.calendar_id(OWNER)
        self.calendar_id = f"https://api.calendly.com/users/{self.account}"
        self.http = running.closing.enter_context(httpx.Client(transport=self.switch))

    def provider(self) -> CalendarProvider:
        http = ProviderHttp(
            self.running.base,
            self.grant.access_token,
            to_error,
            client=self.http,
            sleep=lambda _seconds: None,
        )
        return CalendlyCalendar(http, now=self.running.clock)

    def add(self, title: str, start: datetime, end: datetime) -> str:
        return self.running.do(lambda: self.running.stand_in.add_event(self.account, title, start, end))

    def move(self, remote_id: str, start: datetime) -> str:
        return self.running.do(lambda: self.running.stand_in.bookings.reschedule(remote_id, start))

    def delete(self, remote_id: str) -> None:
        self.running.do(lambda: self.running.stand_in.delete_event(self.account, remote_id))

    def expire(self) -> None:
        self.running.clock.advance(hours=3)

    def revoke(self) -> None:
        self.running.do(lambda: self.running.stand_in.remove_access(OWNER))

    def renew(self) -> None:
        self.grant = self.authority.refresh(self.refresh_token)
        assert self.grant.refresh_token, "a refresh token works once"
        self.refresh_token = self.grant.refresh_token

    def rate_limited(self, request: httpx.Request) -> httpx.Response:
        headers = {"x-ratelimit-limit": "500", "x-ratelimit-remaining": "0", "x-ratelimit-reset": "60"}
        return httpx.Response(429, headers=headers, json={}, request=request)


@contextmanager
def calendly(server: SharedServer, clock: Clock | None = None) -> Iterator[CalendlyHarness]:
    with running_calendly(server, clock=clock) as running:
        yield CalendlyHarness(running)
