"""Microsoft's own library signs in and refreshes against the stand-in, unchanged."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import msal
import pytest

from calendar_app.sandbox.environment import MICROSOFT_CLIENT_ID, MICROSOFT_CLIENT_SECRET
from tests.sandbox.microsoft.client import OWNER, REDIRECT_URI, Microsoft, ok, running_microsoft
from tests.sandbox.server import SharedServer
from tests.support.clock import Clock

HOST = "login.sandbox.example"


class ToSandbox:
    """An HTTP client as msal takes one: what goes to Entra's host goes to the sandbox, as through a TLS proxy."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client

    def _send(self, method: str, url: str, **options: Any) -> httpx.Response:
        parts = urlsplit(url)
        assert (parts.scheme, parts.hostname) == ("https", HOST)
        headers = {"Host": HOST, "X-Forwarded-Proto": "https"} | (options.get("headers") or {})
        path = f"/sandbox/microsoft{parts.path.removeprefix('/sandbox/microsoft')}"
        return self.client.request(
            method, path, headers=headers, data=options.get("data"), params=options.get("params")
        )

    def get(self, url: str, **options: Any) -> httpx.Response:
        return self._send("GET", url, **options)

    def post(self, url: str, **options: Any) -> httpx.Response:
        return self._send("POST", url, **options)

    def close(self) -> None:
        """msal closes its client; the sandbox's stays open."""


def application(microsoft: Microsoft) -> Any:
    return msal.ConfidentialClientApplication(
        MICROSOFT_CLIENT_ID,
        client_credential=MICROSOFT_CLIENT_SECRET,
        authority=f"https://{HOST}/common",
        validate_authority=False,
        instance_discovery=False,
        http_client=ToSandbox(microsoft.sandbox.client),
    )


# The application reads its callback's query, as with every provider; msal would rather have a form posted.
@pytest.mark.filterwarnings("ignore:response_mode='form_post' is recommended:UserWarning")
def test_msal_signs_in_and_refreshes(server: SharedServer) -> None:
    """Discovery, authorization code with PKCE, ID token, silent refresh with rotation."""
    with running_microsoft(server, clock=Clock(datetime.now(UTC))) as microsoft:
        app = application(microsoft)
        scopes = ["Calendars.ReadWrite", "User.Read"]
        flow = app.initiate_auth_code_flow(scopes, redirect_uri=REDIRECT_URI, login_hint=OWNER)
        asked = dict(parse_qsl(urlsplit(flow["auth_uri"]).query))
        assert asked["code_challenge_method"] == "S256"
        answer = microsoft.decide(**asked)
        tokens = app.acquire_token_by_auth_code_flow(flow, answer)
        assert "error" not in tokens, tokens
        assert tokens["id_token_claims"]["preferred_username"] == OWNER
        assert ok(microsoft.graph(tokens["access_token"]).get("me"))["mail"] == OWNER
        accounts = app.get_accounts()
        assert [account["username"] for account in accounts] == [OWNER]
        for _ in range(2):
            before = tokens["access_token"]
            tokens = app.acquire_token_silent_with_error(scopes, accounts[0], force_refresh=True)
            assert "error" not in tokens, tokens
            assert tokens["access_token"] != before
            ok(microsoft.graph(tokens["access_token"]).get("me/calendars"))


@pytest.mark.filterwarnings("ignore:response_mode='form_post' is recommended:UserWarning")
def test_msal_understands_a_revoked_grant(server: SharedServer) -> None:
    """A refresh after "Remove access" is told as invalid_grant."""
    with running_microsoft(server, clock=Clock(datetime.now(UTC))) as microsoft:
        app = application(microsoft)
        flow = app.initiate_auth_code_flow(["Calendars.Read"], redirect_uri=REDIRECT_URI)
        app.acquire_token_by_auth_code_flow(
            flow, microsoft.decide(**dict(parse_qsl(urlsplit(flow["auth_uri"]).query)))
        )
        microsoft.stand_in.grants.withdraw(OWNER)
        found = app.acquire_token_silent_with_error(
            ["Calendars.Read"], app.get_accounts()[0], force_refresh=True
        )
        assert found["error"] == "invalid_grant"
