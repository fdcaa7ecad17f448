"""The stand-in for Calendly on a loopback port, for its own tests and for the provider's.

with running_calendly(server) as calendly:
    tokens = calendly.tokens()
    calendly.api(tokens["access_token"]).get("users/me")
    calendly.do(lambda: calendly.stand_in.add_event(...))     # a customer books
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

import httpx
from starlette.applications import Starlette
from starlette.routing import Mount

from calendar_app.providers.http import tls
from calendar_app.sandbox.calendly.stand_in import OWNER, Calendly
from calendar_app.sandbox.delivery import Delivery as Sender
from calendar_app.sandbox.delivery import Reply
from calendar_app.sandbox.environment import (
    CALENDLY_CALLBACK_PATH,
    CALENDLY_CLIENT_ID,
    CALENDLY_CLIENT_SECRET,
    sandbox_environment,
)
from calendar_app.sandbox.pages import Pages
from calendar_app.settings import Settings
from tests.openapi_contract import ContractTransport, calendly_contract
from tests.sandbox.server import PUBLIC_URL, WEDNESDAY, SharedServer, pkce
from tests.support.clock import Clock

REDIRECT_URI = f"{PUBLIC_URL}{CALENDLY_CALLBACK_PATH}"
EVERYTHING = (
    "users:read organizations:read event_types:read scheduled_events:write availability:read webhooks:write"
)

Result = TypeVar("Result")


@dataclass(frozen=True)
class Delivery:
    """A webhook as it was sent."""

    address: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """Takes webhooks in memory; ``answers`` are the statuses of the next ones, then 202."""

    deliveries: list[Delivery] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)

    async def __call__(self, address: str, headers: Mapping[str, str], body: bytes) -> Reply:
        self.deliveries.append(Delivery(address, dict(headers), body))
        return Reply(self.answers.pop(0) if self.answers else 202)


@dataclass
class RunningCalendly:
    """A running stand-in: ``url`` is the server's address, ``clock`` its time, ``client`` a plain client for it."""

    url: str
    clock: Clock
    stand_in: Calendly
    receiver: Receiver
    client: httpx.Client
    closing: ExitStack
    server: SharedServer

    @property
    def base(self) -> str:
        return f"{self.url}/sandbox/calendly/api/"

    @property
    def environment(self) -> dict[str, str]:
        """What to set so that the application talks to this Calendly."""
        found = sandbox_environment(PUBLIC_URL, self.url)
        return {name: found[name] for name in found if name.startswith("CALENDLY_")}

    @property
    def settings(self) -> Settings:
        return Settings.model_validate(self.environment)

    def do(self, act: Callable[[], Result]) -> Result:
        """Run ``act`` where requests are handled, as the sandbox's page would."""
        found: Result = self.server.run(act)
        return found

    def calendar_id(self, email: str = OWNER) -> str:
        account = self.do(lambda: self.stand_in.bookings.by_email(email))
        assert account is not None
        return account.uuid

    def query(self, **changes: str | None) -> dict[str, str]:
        """A well-formed authorization request; ``None`` leaves a parameter out."""
        query: dict[str, str | None] = {
            "client_id": CALENDLY_CLIENT_ID,
            "redirect_uri": REDIRECT_URI,
            "response_type": "code",
            "scope": EVERYTHING,
            "state": "s t&te",
        }
        return {name: value for name, value in (query | changes).items() if value is not None}

    def consent_page(self, **changes: str | None) -> httpx.Response:
        return self.client.get("/sandbox/calendly/oauth/authorize", params=self.query(**changes))

    def decide(self, decision: str = "allow", *, email: str = OWNER, **changes: str | None) -> dict[str, str]:
        """Fills in the consent page and presses a button; the parameters of the redirect."""
        page = self.consent_page(**changes)
        assert page.status_code == 200, page.text
        request = re.search(r'name="request" value="([^"]+)"', page.text)
        assert request
        form = {"request": request[1].replace("&amp;", "&"), "email": email, "decision": decision}
        answer = self.client.post("/sandbox/calendly/oauth/authorize", data=form)
        assert answer.status_code == 302, answer.text
        location = answer.headers["location"]
        assert location.startswith(f"{REDIRECT_URI}?")
        return {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}

    def token(self, **fields: str) -> httpx.Response:
        """A call of the token endpoint with the client's credentials in the body."""
        own = {"client_id": CALENDLY_CLIENT_ID, "client_secret": CALENDLY_CLIENT_SECRET}
        return self.client.post("/sandbox/calendly/oauth/token", data=own | fields)

    def tokens(self, *, email: str = OWNER, **changes: str | None) -> dict[str, Any]:
        """Consent and exchange; the token endpoint's answer."""
        verifier, challenge = pkce()
        changes = {"code_challenge": challenge, "code_challenge_method": "S256"} | changes
        code = self.decide(email=email, **changes)["code"]
        answer = self.token(
            grant_type="authorization_code", code=code, code_verifier=verifier, redirect_uri=REDIRECT_URI
        )
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def api(self, access_token: str, *, checked: bool = True) -> httpx.Client:
        """A client of the API; ``checked`` holds every exchange against the contract. Closed at the end."""
        plain: httpx.BaseTransport = httpx.HTTPTransport(verify=tls())
        transport = ContractTransport(plain, calendly_contract(), base=self.base) if checked else plain
        return self.closing.enter_context(
            httpx.Client(
                base_url=self.base, headers={"Authorization": f"Bearer {access_token}"}, transport=transport
            )
        )


@contextmanager
def running_calendly(
    server: SharedServer,
    *,
    clock: Clock | None = None,
    receiver: Receiver | None = None,
    wrap: Callable[[Starlette], Any] = lambda app: app,
) -> Iterator[RunningCalendly]:
    """A fresh stand-in on ``server``; its webhooks go to :class:`Receiver` and are tried three times at once.

    ``wrap`` may put ASGI middleware around it.
    """
    clock, receiver = clock or Clock(WEDNESDAY), receiver or Receiver()
    stand_in = Calendly(
        ":memory:", clock, Pages(), {REDIRECT_URI}, delivery=Sender(deliver=receiver, retry_after=(0.0, 0.0))
    )

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        yield
        await stand_in.close()

    app = Starlette(routes=[Mount("/sandbox/calendly", routes=stand_in.routes())], lifespan=lifespan)
    with server.use(app, wrap(app)) as url, ExitStack() as closing:
        client = closing.enter_context(httpx.Client(base_url=url, trust_env=False, verify=tls()))
        yield RunningCalendly(url, clock, stand_in, receiver, client, closing, server)
