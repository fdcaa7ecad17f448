"""A signed-in client of the stand-in for Microsoft 365, every Graph exchange held against Microsoft's document."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from calendar_app.sandbox.environment import (
    MICROSOFT_CALLBACK_PATH,
    MICROSOFT_CLIENT_ID,
    MICROSOFT_CLIENT_SECRET,
)
from calendar_app.sandbox.microsoft.stand_in import MicrosoftStandIn
from tests.openapi_contract import GRAPH_DOCUMENT, ContractASGI, graph_contract
from tests.sandbox.server import PUBLIC_URL, Sandbox, SharedServer, pkce, running_sandbox

Json = dict[str, Any]

REDIRECT_URI = f"{PUBLIC_URL}{MICROSOFT_CALLBACK_PATH}"
OWNER = "owner@example.com"
SCOPES = "offline_access User.Read MailboxSettings.Read Calendars.ReadWrite"
WITH_ID_TOKEN = f"openid profile email {SCOPES}"  # its key takes a while to make, so most tests do without
ENTRA = "/sandbox/microsoft/common/oauth2/v2.0"
BERLIN = "W. Europe Standard Time"
_TLS = ssl.create_default_context()  # made once: httpx would make one per client
MARK = "String {66f5a359-4659-4830-9070-00047ec6ac6e} Name almanacKey"


def at(day: str, clock: str = "00:00", zone: str = BERLIN) -> Json:
    """A ``dateTimeTimeZone``."""
    return {"dateTime": f"{day}T{clock}:00", "timeZone": zone}


def meeting(day: str = "2026-11-20", start: str = "09:00", end: str = "10:00", **more: Any) -> Json:
    """An event body on Berlin's wall clock."""
    return {"subject": "Visit", "start": at(day, start), "end": at(day, end), **more}


def weekly(day: str, **bounds: Any) -> Json:
    """A recurrence on the weekday of ``day``."""
    name = f"{datetime.fromisoformat(day):%A}".lower()
    span = {"type": "noEnd", "startDate": day} | bounds
    return {"pattern": {"type": "weekly", "interval": 1, "daysOfWeek": [name]}, "range": span}


@dataclass
class Microsoft:
    """The running stand-in: ``stand_in`` is the object itself, ``sandbox`` the process around it."""

    sandbox: Sandbox
    contract: ContractASGI | None

    @property
    def stand_in(self) -> MicrosoftStandIn:
        found: MicrosoftStandIn = self.sandbox.app.state.stand_ins["microsoft"]
        return found

    @property
    def api_url(self) -> str:
        return self.sandbox.environment["MICROSOFT_API_URL"]

    def query(self, **changes: str | None) -> dict[str, str]:
        """A well-formed authorization request; ``None`` leaves a parameter out."""
        query: dict[str, str | None] = {
            "client_id": MICROSOFT_CLIENT_ID,
            "redirect_uri": REDIRECT_URI,
            "response_type": "code",
            "scope": SCOPES,
            "state": "s t&te",
            "code_challenge": pkce()[1],
            "code_challenge_method": "S256",
        }
        return {name: value for name, value in (query | changes).items() if value is not None}

    def consent_page(self, **changes: str | None) -> httpx.Response:
        return self.sandbox.client.get(f"{ENTRA}/authorize", params=self.query(**changes))

    def decide(self, decision: str = "allow", *, email: str = "", **changes: str | None) -> dict[str, str]:
        """Presses a button of the consent page; the parameters of the redirect."""
        page = self.consent_page(**changes)
        assert page.status_code == 200, page.text
        asked = re.search(r'name="request" value="([^"]+)"', page.text)
        chosen = re.search(r'value="([^"]+)" checked', page.text)
        action = re.search(r'action="([^"]+)"', page.text)
        assert asked
        assert action
        form = {
            "request": asked[1].replace("&amp;", "&"),
            "account": chosen[1] if chosen else "",
            "email": email,
            "decision": decision,
        }
        return redirected(self.sandbox.client.post(action[1], data=form))

    def token(self, **fields: str) -> httpx.Response:
        """A call of the token endpoint with the client's credentials in the body."""
        form = {"client_id": MICROSOFT_CLIENT_ID, "client_secret": MICROSOFT_CLIENT_SECRET} | fields
        return self.sandbox.client.post(f"{ENTRA}/token", data=form)

    def tokens(self, *, email: str = OWNER, **changes: str | None) -> Json:
        """Consent and exchange; the token endpoint's answer."""
        verifier, challenge = pkce()
        code = self.decide(email=email, code_challenge=challenge, **changes)["code"]
        answer = self.token(
            grant_type="authorization_code", code=code, redirect_uri=REDIRECT_URI, code_verifier=verifier
        )
        assert answer.status_code == 200, answer.text
        found: Json = answer.json()
        return found

    def graph(self, access_token: str = "", **headers: str) -> httpx.Client:
        """A client of Graph; the owner's, if no token is given."""
        token = access_token or self.tokens()["access_token"]
        client = httpx.Client(
            base_url=f"{self.api_url}/",
            headers={"Authorization": f"Bearer {token}", **headers},
            trust_env=False,
            verify=_TLS,
        )
        return self.sandbox.closing.enter_context(client)


@contextmanager
def running_microsoft(server: SharedServer | None = None, **options: Any) -> Iterator[Microsoft]:
    """A fresh stand-in; at the end every exchange must have kept the contract (where its documents are)."""
    contract: ContractASGI | None = None

    def wrap(app: Any) -> Any:
        nonlocal contract
        if not GRAPH_DOCUMENT.is_file():
            return app
        contract = ContractASGI(app, graph_contract())
        return contract

    with running_sandbox(server=server, wrap=wrap, **options) as sandbox:
        yield Microsoft(sandbox, contract)
        if contract is not None:
            contract.verify()


def redirected(response: httpx.Response) -> dict[str, str]:
    """The query of a redirect to the application's callback."""
    assert response.status_code == 302, response.text
    location = response.headers["location"]
    assert location.startswith(f"{REDIRECT_URI}?")
    return {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}


def ok(response: httpx.Response, status: int = 200) -> Json:
    """The body of an answer that must have ``status``."""
    assert response.status_code == status, response.text
    found: Json = response.json() if response.content else {}
    return found


def refused(response: httpx.Response, status: int, code: str) -> str:
    """The message of a refusal in Graph's shape."""
    assert response.status_code == status, response.text
    error = response.json()["error"]
    assert error["code"] == code
    assert error["innerError"]["request-id"] == response.headers["request-id"]
    return str(error["message"])


def subjects(found: Json) -> list[str]:
    return [item["subject"] for item in found["value"]]


def utc(text: str, *, minutes: int = 0) -> str:
    """``text`` (ISO 8601 without offset) plus minutes, as a query parameter in UTC."""
    return f"{datetime.fromisoformat(text) + timedelta(minutes=minutes):%Y-%m-%dT%H:%M:%SZ}"
