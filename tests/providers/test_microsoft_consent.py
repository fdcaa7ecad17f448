"""What Entra's refusals mean, where an administrator consents, and which cloud's names are used."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from calendar_app.errors import GrantRevoked, InvalidRequest
from calendar_app.providers import registry
from calendar_app.providers.base import ConsentRefusal, Grant
from calendar_app.providers.microsoft.clouds import entra_of, resource_of
from calendar_app.providers.microsoft.consent import administrators_address, refused
from calendar_app.providers.microsoft.oauth import SCOPES, _named, issuer_of, microsoft_oauth
from calendar_app.settings import Settings

CHINA = {
    "MICROSOFT_AUTH_URL": "https://login.partner.microsoftonline.cn/common/oauth2/v2.0/authorize",
    "MICROSOFT_TOKEN_URL": "https://login.partner.microsoftonline.cn/common/oauth2/v2.0/token",
    "MICROSOFT_API_URL": "https://microsoftgraph.chinacloudapi.cn/v1.0",
}


@pytest.mark.parametrize(
    ("error", "description", "why"),
    [
        (
            "access_denied",
            "AADSTS65001: The user or administrator has not consented.",
            "admin_consent_required",
        ),
        ("access_denied", "AADSTS90093: You are not authorized to grant.", "admin_consent_required"),
        ("invalid_client", "AADSTS90094: Admin consent is required.", "admin_consent_required"),
        ("access_denied", "AADSTS90095: requested", "admin_consent_requested"),
        ("access_denied", "AADSTS65004: User declined to consent.", "consent_declined"),
        ("access_denied", "", "consent_declined"),
        ("access_denied", "AADSTS999999: News.", "consent_declined"),
        ("consent_required", "AADSTS65004: Declined.", "consent_declined"),
        ("consent_required", "", "admin_consent_required"),
        ("access_denied", "AADSTS50105: not assigned to a role", "not_assigned"),
        ("invalid_grant", "AADSTS53003: Blocked by Conditional Access.", "blocked_by_policy"),
        ("invalid_grant", "AADSTS530003: Your device is required to be managed.", "blocked_by_policy"),
        ("access_denied", "AADSTS53000: Your device must be compliant.", "blocked_by_policy"),
        ("interaction_required", "", "sign_in_again"),
        ("interaction_required", "AADSTS50079: multi-factor", "sign_in_again"),
        ("invalid_grant", "AADSTS54005: OAuth2 Authorization code was already redeemed.", None),
        ("invalid_request", "AADSTS900144: missing", None),
        ("server_error", "", None),
    ],
)
def test_what_a_refusal_means(error: str, description: str, why: str | None) -> None:
    """A number that is known chooses the sentence, whatever the error; else the error of RFC 6749 does."""
    assert refused(error, description) == (None if why is None else ConsentRefusal(why))


@pytest.mark.parametrize(
    ("authorize", "address"),
    [
        (
            "https://login.microsoftonline.com/common/oauth2/v2.0/authorize",
            "https://login.microsoftonline.com/organizations/v2.0/adminconsent",
        ),
        (
            "https://login.microsoftonline.us/contoso.com/oauth2/v2.0/authorize",
            "https://login.microsoftonline.us/contoso.com/v2.0/adminconsent",
        ),
        (
            "http://localhost:3000/sandbox/microsoft/common/oauth2/v2.0/authorize",
            "http://localhost:3000/sandbox/microsoft/organizations/v2.0/adminconsent",
        ),
        ("https://login.microsoftonline.com/consumers/oauth2/v2.0/authorize", ""),
        ("https://proxy.example/microsoft", ""),
    ],
)
def test_where_an_administrator_consents(authorize: str, address: str) -> None:
    """Beside the authorization endpoint, for organizations where it is for everybody; personal accounts have none."""
    assert administrators_address(authorize) == address


def test_the_administrator_is_asked_for_what_people_are_asked_for() -> None:
    """Every scope by its full name, our registered address, our state; in a national cloud by that cloud's names."""
    settings = Settings(MICROSOFT_CLIENT_ID="app", **CHINA)
    url = urlsplit(
        microsoft_oauth(settings).administrator_url(state="s t", redirect_uri="https://a.example/cb")
    )
    assert f"{url.scheme}://{url.netloc}{url.path}" == (
        "https://login.partner.microsoftonline.cn/organizations/v2.0/adminconsent"
    )
    query = {name: values[0] for name, values in parse_qs(url.query).items()}
    graph = "https://microsoftgraph.chinacloudapi.cn/"
    assert query == {
        "client_id": "app",
        "state": "s t",
        "redirect_uri": "https://a.example/cb",
        "scope": " ".join(
            need.scope if need.scope == "offline_access" else graph + need.scope for need in SCOPES
        ),
    }


def test_names_follow_the_cloud() -> None:
    """Issuer and permissions are those of the configured cloud; a proxy's address stands for the global one."""
    tenant = "72f988bf-86f1-41af-91ab-2d7cd011db47"
    assert issuer_of(tenant, entra_of(CHINA["MICROSOFT_AUTH_URL"])) == (
        f"https://login.partner.microsoftonline.cn/{tenant}/v2.0"
    )
    assert issuer_of(tenant, entra_of("https://proxy.example/authorize")) == (
        f"https://login.microsoftonline.com/{tenant}/v2.0"
    )
    assert microsoft_oauth(Settings(MICROSOFT_TENANT=tenant, **CHINA)).issuer.startswith(
        "https://login.partner."
    )
    assert resource_of("https://dod-graph.microsoft.us/v1.0") == "https://dod-graph.microsoft.us/"
    assert resource_of("http://127.0.0.1:1/graph") == "https://graph.microsoft.com/"
    given = (
        "https://microsoftgraph.chinacloudapi.cn/calendars.readwrite",
        "https://graph.microsoft.us/User.Read",
    )
    assert _named(Grant("a", "r", None, given)).scopes == (
        "offline_access",
        "Calendars.ReadWrite",
        "User.Read",
    )


@pytest.mark.parametrize(
    ("addresses", "page"),
    [
        (
            {},
            "https://myapps.microsoft.com (work or school) or https://account.live.com/consent/Manage (personal)",
        ),
        (CHINA, "https://myapps.windowsazure.cn"),
        (
            {"MICROSOFT_AUTH_URL": "https://login.chinacloudapi.cn/common/oauth2/v2.0/authorize"},
            "https://myapps.windowsazure.cn",
        ),
        ({"MICROSOFT_API_URL": "https://dod-graph.microsoft.us/v1.0"}, "https://myapps.microsoft.us"),
        (
            {
                "MICROSOFT_AUTH_URL": "https://proxy.example/authorize",
                "MICROSOFT_API_URL": "https://proxy.example/graph",
            },
            "https://myapps.microsoft.com (work or school) or https://account.live.com/consent/Manage (personal)",
        ),
    ],
)
def test_where_people_end_our_access(
    configure: Callable[..., Settings], addresses: dict[str, str], page: str
) -> None:
    """The page of the configured cloud, wherever it is named; personal accounts are in the global one only."""
    settings = configure(MICROSOFT_CLIENT_ID="app", **addresses)
    assert registry.kind("microsoft").access_page == page
    with pytest.raises(InvalidRequest) as caught:
        microsoft_oauth(settings).revoke("token")
    assert f"at {page}." in caught.value.detail


@pytest.mark.parametrize(
    ("number", "why"), [("53003", "blocked_by_policy"), ("65001", "admin_consent_required"), ("54005", "")]
)
def test_the_token_endpoint_says_why_too(number: str, why: str) -> None:
    """Entra may refuse only when the code is exchanged; the reason comes along with the end of the grant."""
    body = {"error": "invalid_grant", "error_description": f"AADSTS{number}: No. Trace ID: 1"}
    transport = httpx.MockTransport(lambda _request: httpx.Response(400, json=body))
    oauth = microsoft_oauth(Settings(MICROSOFT_CLIENT_ID="app"), transport=transport)
    with pytest.raises(GrantRevoked) as caught:
        oauth.exchange(code="c", code_verifier="v" * 43, redirect_uri="https://a.example/cb")
    assert caught.value.reason == why
