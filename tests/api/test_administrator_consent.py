"""An organization whose administrator has to consent: from the refusal to the connection, over HTTP, with Microsoft's
stand-in."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from sqlmodel import select

from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import AuditEntry, Connection, Mail, OAuthAttempt
from calendar_app.services.connection_lifecycle import administrator_consent
from calendar_app.settings import Settings, get_settings
from tests.sandbox.microsoft.client import OWNER, Microsoft, redirected, running_microsoft
from tests.support.databases import Database
from tests.support.people import User, problem, user

CALLBACK = "/api/v1/connections/microsoft/callback"
LINK = "/api/v1/connections/microsoft/administrator-link"
JSON = {"Accept": "application/json"}
ANSWER = {"admin_consent": "True", "tenant": "72f988bf-86f1-41af-91ab-2d7cd011db47"}


@pytest.fixture
def microsoft(database: Database, configure: Callable[..., Settings]) -> Iterator[Microsoft]:
    """Microsoft, where organizations let only their administrators consent."""
    with running_microsoft() as running:
        configure(**running.sandbox.environment)
        running.stand_in.rules.switch("administrator", on=True)
        running.stand_in.rules.switch("approval", on=True)
        yield running


@pytest.fixture
def ada(microsoft: Microsoft) -> User:
    return user()


def start(api: httpx.Client, who: User) -> dict[str, str]:
    """Press "Connect"; what Microsoft is asked for."""
    url = api.post("/api/v1/connections/microsoft/start", headers=who.cookie).json()["authorization_url"]
    return dict(parse_qsl(urlsplit(url).query))


def stopped(microsoft: Microsoft, asked: dict[str, str], decision: str, email: str = OWNER) -> dict[str, str]:
    """Allow, be told that an administrator is needed, and press a button there; what the browser brings back."""
    action, form = _form(microsoft.consent_page(**asked))
    page = microsoft.sandbox.client.post(action, data=form | {"email": email, "decision": "allow"})
    assert "Need admin approval" in page.text
    action, form = _form(page)
    return redirected(microsoft.sandbox.client.post(action, data=form | {"decision": decision}))


def administrator(microsoft: Microsoft, url: str, decision: str = "allow") -> dict[str, str]:
    """The administrator opens the link and decides; what their browser brings back."""
    parts = urlsplit(url)
    action, form = _form(microsoft.sandbox.client.get(f"{parts.path}?{parts.query}"))
    answer = {"email": "admin@example.com", "decision": decision}
    return redirected(microsoft.sandbox.client.post(action, data=form | answer))


def _form(page: httpx.Response) -> tuple[str, dict[str, str]]:
    assert page.status_code == 200, page.text
    asked = re.search(r'name="request" value="([^"]+)"', page.text)
    action = re.search(r'action="([^"]+)"', page.text)
    assert asked
    assert action
    return action[1], {"request": asked[1].replace("&amp;", "&")}


def letters() -> list[Mail]:
    """The emails that were queued because an administrator agreed."""
    with reading() as session:
        return list(session.exec(select(Mail).where(Mail.kind == "administrator_agreed")))


def where(answer: httpx.Response) -> str:
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def test_from_the_refusal_to_the_connection(api: httpx.Client, microsoft: Microsoft, ada: User) -> None:
    """A person is stopped, sends the link, the administrator agrees in a browser of their own, the person connects."""
    refusal = stopped(microsoft, start(api, ada), "deny")
    location = where(api.get(CALLBACK, params=refusal, headers=ada.cookie))
    assert location == "/settings/calendars?error=consent_declined"
    requested = stopped(microsoft, start(api, ada), "request")
    problem(api.get(CALLBACK, params=requested, headers=ada.cookie | JSON), 400, "admin_consent_requested")
    made = api.post(LINK, headers=ada.cookie)
    assert (made.status_code, made.headers["cache-control"]) == (201, "no-store")
    answer = administrator(microsoft, made.json()["url"])
    assert answer["admin_consent"] == "True"
    assert "code" not in answer
    assert where(api.get(CALLBACK, params=answer)) == "/administrator/agreed"
    with reading() as session:
        assert "connection.administrator_agreed" in session.exec(select(AuditEntry.action)).all()
        assert session.exec(select(Connection)).all() == []
    (letter,) = letters()
    assert (letter.recipient, letter.subject) == (ada.identity.email, "You can connect Microsoft now")
    assert f"{get_settings().public_url}/settings/calendars" in letter.body
    again = administrator(microsoft, api.post(LINK, headers=ada.cookie).json()["url"])
    assert where(api.get(CALLBACK, params=again)) == "/administrator/agreed"
    assert len(letters()) == 1
    allowed = microsoft.decide(email=OWNER, **start(api, ada))
    body = api.get(CALLBACK, params=allowed, headers=ada.cookie | JSON).json()
    assert (body["success"], body["missing_features"]) == (True, [])


def test_personal_accounts_need_no_administrator(api: httpx.Client, microsoft: Microsoft, ada: User) -> None:
    """Somebody at outlook.com decides alone."""
    allowed = microsoft.decide(email="ada@outlook.com", **start(api, ada))
    assert api.get(CALLBACK, params=allowed, headers=ada.cookie | JSON).status_code == 200


def test_who_is_their_own_administrator_goes_on_at_once(
    api: httpx.Client, microsoft: Microsoft, ada: User
) -> None:
    """In the browser of the person who asked, the answer leads back to the calendars; nobody has to email them."""
    answer = administrator(microsoft, api.post(LINK, headers=ada.cookie).json()["url"])
    assert (
        where(api.get(CALLBACK, params=answer, headers=ada.cookie)) == "/settings/calendars?agreed=microsoft"
    )
    assert letters() == []


def test_an_administrator_who_declines(api: httpx.Client, microsoft: Microsoft, ada: User) -> None:
    """The page says that nothing changed; the link is spent, in JSON too; nobody is told that they can connect."""
    answer = administrator(microsoft, api.post(LINK, headers=ada.cookie).json()["url"], "deny")
    assert answer["error"] == "access_denied"
    assert where(api.get(CALLBACK, params=answer)) == "/administrator/refused"
    assert where(api.get(CALLBACK, params=answer)) == "/administrator/again"
    answer = administrator(microsoft, api.post(LINK, headers=ada.cookie).json()["url"], "deny")
    problem(api.get(CALLBACK, params=answer, headers=JSON), 400, "admin_consent_refused")
    assert letters() == []


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        ("assigned", "not_assigned"),
        ("conditional_access", "blocked_by_policy"),
        ("managed_device", "blocked_by_policy"),
    ],
)
def test_a_sign_in_that_a_rule_of_the_organization_blocks(
    api: httpx.Client, microsoft: Microsoft, ada: User, rule: str, why: str
) -> None:
    """Not assigned, blocked by Conditional Access, or only when tokens are asked for: the page says which, and nothing
    is connected; once the rule is gone the same person connects."""
    microsoft.stand_in.rules.switch("administrator", on=False)
    microsoft.stand_in.rules.switch(rule, on=True)
    answer = microsoft.decide(email=OWNER, **start(api, ada))
    assert where(api.get(CALLBACK, params=answer, headers=ada.cookie)) == f"/settings/calendars?error={why}"
    answer = microsoft.decide(email=OWNER, **start(api, ada))
    problem(api.get(CALLBACK, params=answer, headers=ada.cookie | JSON), 400, why)
    with reading() as session:
        assert session.exec(select(Connection)).all() == []
    microsoft.stand_in.rules.switch(rule, on=False)
    answer = microsoft.decide(email=OWNER, **start(api, ada))
    assert api.get(CALLBACK, params=answer, headers=ada.cookie | JSON).status_code == 200


def test_states_are_worth_nothing_elsewhere(api: httpx.Client, microsoft: Microsoft, ada: User) -> None:
    """No state, an unknown, a spent, an old, an ordinary one, one of another provider, one with a code: all refused."""

    def refused(**params: str) -> None:
        for headers in ({}, ada.cookie):
            problem(api.get(CALLBACK, params=params, headers=headers | JSON), 400, "state_invalid")

    state = dict(parse_qsl(urlsplit(api.post(LINK, headers=ada.cookie).json()["url"]).query))["state"]
    refused(**ANSWER)
    refused(**ANSWER, state="unknown")
    refused(**ANSWER, state=state, code="code")
    refused(state=state, code="code")
    refused(state=state, error="access_denied")
    refused(**ANSWER, state=start(api, ada)["state"])
    google = CALLBACK.replace("microsoft", "google")
    problem(api.get(google, params=ANSWER | {"state": state}, headers=JSON), 400, "state_invalid")
    assert api.get(CALLBACK, params=ANSWER | {"state": state}, headers=JSON).json()["success"] is True
    refused(**ANSWER, state=state)
    late = dict(parse_qsl(urlsplit(api.post(LINK, headers=ada.cookie).json()["url"]).query))["state"]
    with transaction() as session:
        for row in session.exec(select(OAuthAttempt)):
            row.expires_at -= administrator_consent.LINK_LIFE + timedelta(seconds=1)
            session.add(row)
    refused(**ANSWER, state=late)
    with reading() as session:
        assert session.exec(select(Connection)).all() == []


def test_only_who_can_connect_gets_a_link(api: httpx.Client, microsoft: Microsoft, ada: User) -> None:
    """Nobody without a sign-in; no provider that asks no administrator."""
    assert api.post(LINK).status_code == 401
    problem(api.post(LINK.replace("microsoft", "google"), headers=ada.cookie), 404, "not_found")
