"""Microsoft in the contract suite, against the stand-in of the sandbox; exchanges are held against Graph's document."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import httpx

from calendar_app.domain.meeting_place import PlaceKind
from calendar_app.providers.base import CalendarProvider, PushEcho, PushRequest
from calendar_app.providers.http import ProviderHttp, tls
from calendar_app.providers.microsoft.errors import to_error
from calendar_app.providers.microsoft.oauth import microsoft_oauth
from calendar_app.providers.microsoft.provider import MicrosoftCalendar
from calendar_app.providers.microsoft.push import read_push
from calendar_app.sandbox.environment import MICROSOFT_CALLBACK_PATH
from calendar_app.sandbox.microsoft.stand_in import MicrosoftStandIn
from calendar_app.settings import Settings
from tests.openapi_contract import GRAPH_DOCUMENT, ContractTransport, graph_contract
from tests.providers.suite.harness import Harness, Meetings, Series
from tests.sandbox.server import PUBLIC_URL, Sandbox, SharedServer, running_sandbox, serving
from tests.support.clock import Clock

OWNER = "suite@example.com"
REDIRECT_URI = f"{PUBLIC_URL}{MICROSOFT_CALLBACK_PATH}"


async def webhook(scope: Any, receive: Any, send: Any) -> None:
    """Our webhook as far as Graph's check of its address goes."""
    if scope["type"] == "lifespan":
        for phase in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{phase}.complete"})
        return
    query = dict(parse_qsl(scope["query_string"].decode()))
    answer = read_push(PushRequest({}, query, b""))
    text = answer.text if isinstance(answer, PushEcho) else ""
    kind = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "http.response.start", "status": 200, "headers": kind})
    await send({"type": "http.response.body", "body": text.encode()})


class MicrosoftHarness(Harness):
    key = "microsoft"
    meetings = Meetings(
        PlaceKind.MICROSOFT_TEAMS,
        later="teams_later",
        never="teams_never",
        fails="teams_fails",
        refused="teams_refused",
    )

    def __init__(self, sandbox: Sandbox, server: SharedServer) -> None:
        plain: httpx.BaseTransport = httpx.HTTPTransport(verify=tls())
        if GRAPH_DOCUMENT.is_file():
            plain = ContractTransport(plain, graph_contract())
        super().__init__(plain)
        self.sandbox, self.server = sandbox, server
        self.now = sandbox.clock.now
        self.stand_in: MicrosoftStandIn = sandbox.app.state.stand_ins["microsoft"]
        found = sandbox.environment
        environment = {name: found[name] for name in found if name.startswith("MICROSOFT_")}
        self.api_url = environment["MICROSOFT_API_URL"]
        self.authority = microsoft_oauth(Settings.model_validate(environment))
        self.grant = self.sign_in()
        self.refresh_token = self.grant.refresh_token or ""
        self.http = sandbox.closing.enter_context(httpx.Client(transport=self.switch))
        calendars = self.provider().list_calendars()
        self.calendar_id = next(one.remote_id for one in calendars if one.is_primary)

    def sign_in(self) -> Any:
        """Consent and exchange, as our own code asks for it."""
        verifier = "v" * 64
        url = httpx.URL(
            self.authority.authorization_url(state="s", code_verifier=verifier, redirect_uri=REDIRECT_URI)
        )
        page = self.sandbox.client.get(url.path, params=dict(url.params))
        request = re.search(r'name="request" value="([^"]+)"', page.text)
        assert request, page.text
        form = {"request": request[1].replace("&amp;", "&"), "email": OWNER, "decision": "allow"}
        answer = self.sandbox.client.post(url.path, data=form)
        code = parse_qs(urlsplit(answer.headers["location"]).query)["code"][0]
        return self.authority.exchange(code=code, code_verifier=verifier, redirect_uri=REDIRECT_URI)

    @property
    def hook(self) -> str:
        return f"{self.sandbox.closing.enter_context(serving(webhook))}/api/v1/hooks/microsoft"

    def provider(self) -> CalendarProvider:
        http = ProviderHttp(
            self.api_url, self.grant.access_token, to_error, client=self.http, sleep=lambda _seconds: None
        )
        return MicrosoftCalendar(http, self.api_url, now=self.sandbox.clock)

    def add(self, title: str, start: datetime, end: datetime, **more: Any) -> str:
        body = {"subject": title, "start": _time(start), "end": _time(end), **more}
        return str(self._owner("POST", "/me/calendar/events", body)["id"])

    def move(self, remote_id: str, start: datetime) -> str:
        event = self._owner("GET", f"/me/events/{remote_id}")
        begin, end = (datetime.fromisoformat(event[side]["dateTime"][:19]) for side in ("start", "end"))
        body = {"start": _time(start), "end": _time(start + (end - begin))}
        self._owner("PATCH", f"/me/events/{remote_id}", body)
        return remote_id

    def touch(self, remote_id: str) -> None:
        self._owner("PATCH", f"/me/events/{remote_id}", {"subject": "Renamed by its owner"})

    def delete(self, remote_id: str) -> None:
        self._owner("DELETE", f"/me/events/{remote_id}")

    def rule(self, name: str, *, on: bool) -> None:
        self.sandbox.rule(name, on, provider="microsoft")

    def series(self, series: Series) -> bool:
        days = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
        recurrence = {
            "pattern": {"type": "weekly", "interval": 1, "daysOfWeek": [days[series.first.weekday()]]},
            "range": {
                "type": "numbered",
                "startDate": f"{series.first:%Y-%m-%d}",
                "numberOfOccurrences": series.count,
                "recurrenceTimeZone": "UTC",
            },
        }
        master = self.add("Weekly", series.first, series.first + series.length, recurrence=recurrence)
        window = {
            "startDateTime": _plain(series.first),
            "endDateTime": _plain(series.first + timedelta(weeks=9)),
        }
        instances = self._owner("GET", f"/me/events/{master}/instances", params=window)["value"]
        (second,) = [one for one in instances if one["start"]["dateTime"].startswith(_plain(series.was))]
        body = {"start": _time(series.now), "end": _time(series.now + series.length)}
        self._owner("PATCH", f"/me/events/{second['id']}", body)
        return True

    def refuse_cursors(self) -> bool:
        self.server.run(lambda: self.stand_in.expire_sync_tokens(None))
        return True

    def expire(self) -> None:
        self.sandbox.clock.advance(hours=2)

    def revoke(self) -> None:
        self.server.run(lambda: self.stand_in.remove_access(OWNER))

    def renew(self) -> None:
        self.grant = self.authority.refresh(self.refresh_token)
        self.refresh_token = self.grant.refresh_token or self.refresh_token

    def _owner(self, method: str, path: str, body: Any = None, params: Any = None) -> dict[str, Any]:
        """What the account's owner does in Outlook."""
        headers = {"authorization": f"Bearer {self.sign_in().access_token}"}
        answer = self.sandbox.client.request(
            method, f"{self.api_url}{path}", json=body, params=params, headers=headers
        ).raise_for_status()
        return dict(answer.json()) if answer.content else {}


def _plain(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S}"


def _time(moment: datetime) -> dict[str, str]:
    return {"dateTime": _plain(moment), "timeZone": "UTC"}


@contextmanager
def microsoft(server: SharedServer, clock: Clock | None = None) -> Iterator[MicrosoftHarness]:
    with running_sandbox(server=server, clock=clock, strict=True) as sandbox:
        yield MicrosoftHarness(sandbox, server)
