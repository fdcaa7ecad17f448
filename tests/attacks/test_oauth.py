"""Attacks on connecting an account, over real HTTP against the stand-ins of Google and Microsoft (RFC 9700).

Every answer of a provider is tried without its state, with somebody else's, twice, at another provider's address, and
with a code that belongs to another attempt; nothing of it connects anything or reaches a token endpoint in vain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import parse_qs, parse_qsl, urlsplit

import httpx
import pytest
from sqlmodel import select

from calendar_app.db.session import reading
from calendar_app.db.tables import Connection
from calendar_app.providers import registry
from calendar_app.providers.base import SignIn
from calendar_app.settings import Settings
from tests.sandbox.microsoft.client import Microsoft
from tests.sandbox.server import OWNER, Sandbox, running_sandbox
from tests.support.databases import Database
from tests.support.long_form import LONG
from tests.support.people import User, problem, user

pytestmark = pytest.mark.timeout(120)

ELSEWHERE = [
    "//evil.example",
    "///evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "https:evil.example",
    "https://evil.example",
    "javascript:alert(1)",
    "/%09/evil.example",
    "/\t/evil.example",
    "/a\r\nLocation: https://evil.example",
    "data:text/html,x",
]

JSON = {"Accept": "application/json"}
KINDS = [kind.key for kind in registry.kinds() if kind.sign_in is SignIn.OAUTH]
TRIED = ("google", "microsoft")
OTHER = {"google": "microsoft", "microsoft": "google"}
ISSUERS = {
    "google": "https://accounts.google.com",
    "microsoft": "https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0",
    "attacker": "https://accounts.evil.example",
}
CONSUMERS = "9188040d-6c67-4c5b-b112-36a304b66dad"


@dataclass(frozen=True)
class Town:
    """Our API, the providers behind it, and two people in browsers of their own."""

    api: httpx.Client
    sandbox: Sandbox
    ada: User
    eve: User

    def start(self, who: User, provider: str, next_path: str = "/settings/calendars") -> dict[str, str]:
        """Press "Connect"; what the provider is asked for."""
        path = f"/api/v1/connections/{provider}/start"
        answer = self.api.post(path, headers=who.cookie, json={"next": next_path})
        assert answer.status_code == 200, answer.text
        return dict(parse_qsl(urlsplit(answer.json()["authorization_url"]).query))

    def allow(self, provider: str, asked: dict[str, str], decision: str = "allow") -> dict[str, str]:
        """Press "Allow" at the provider; what the browser brings back."""
        if provider == "google":
            return self.sandbox.decide(decision, email=OWNER, **asked)
        return Microsoft(self.sandbox, None).decide(decision, email=OWNER, **asked)

    def answer(self, who: User, provider: str) -> dict[str, str]:
        return self.allow(provider, self.start(who, provider))

    def bring(self, who: User | None, provider: str, answer: dict[str, str], **accept: str) -> httpx.Response:
        """The browser arrives at the callback."""
        headers = (who.cookie if who else {}) | (accept or JSON)
        return self.api.get(f"/api/v1/connections/{provider}/callback", params=answer, headers=headers)

    def refused(self, who: User | None, provider: str, answer: dict[str, str]) -> None:
        """As a problem and as a page, and nothing is connected."""
        problem(self.bring(who, provider, answer), 400, "state_invalid")
        page = self.bring(who, provider, answer, Accept="text/html")
        assert page.status_code == 303
        assert urlsplit(page.headers["location"])[:2] == ("", "")
        with reading() as session:
            assert not session.exec(select(Connection)).all()


@pytest.fixture
def town(api: httpx.Client, database: Database, configure: Callable[..., Settings]) -> Iterator[Town]:
    if database.kind == "postgresql" and not LONG:
        pytest.skip("on SQLite alone, but in the long form")
    with running_sandbox() as sandbox:
        configure(**sandbox.environment)
        yield Town(api, sandbox, user(), user("eve@example.com"))


@pytest.mark.parametrize("provider", KINDS)
def test_every_consent_is_asked_for_with_pkce(town: Town, provider: str) -> None:
    """S256 with a challenge of its own each time, and a state of at least 128 bits; the verifier stays here."""
    seen = [town.start(town.ada, provider) for _ in range(3)]
    for asked in seen:
        assert asked["code_challenge_method"] == "S256"
        assert len(asked["code_challenge"]) == 43
        assert len(asked["state"]) >= 22
        assert "code_verifier" not in asked
        assert asked["response_type"] == "code"
    assert len({asked["code_challenge"] for asked in seen}) == len({asked["state"] for asked in seen}) == 3


@pytest.mark.parametrize("provider", TRIED)
def test_a_state_is_ones_own(
    town: Town, provider: str, record_property: Callable[[str, object], None]
) -> None:
    """Missing, empty, invented, cut, somebody else's, without a session, in another session of the same person."""
    answer = town.answer(town.ada, provider)
    wrong = [{"state": ""}, {"state": "x" * 43}, {"state": answer["state"][:-1]}, {"state": "x" * 10_000}]
    for changes in wrong:
        town.refused(town.ada, provider, answer | changes)
    town.refused(town.ada, provider, {name: value for name, value in answer.items() if name != "state"})
    theirs = town.answer(town.eve, provider)
    town.refused(town.ada, provider, theirs)
    town.refused(town.eve, provider, answer)
    town.refused(None, provider, answer)
    record_property("count", f"{provider}: {len(wrong) + 4} forged states")
    assert town.bring(town.ada, provider, answer).status_code == 200
    problem(town.bring(town.ada, provider, answer), 400, "state_invalid")
    problem(
        town.bring(town.ada, provider, town.answer(town.ada, provider) | {"code": answer["code"]}),
        400,
        "state_invalid",
    )


@pytest.mark.parametrize("provider", TRIED)
def test_a_code_of_another_attempt_is_worthless(town: Town, provider: str) -> None:
    """Eve's code in Ada's browser, under Ada's own state: the verifier does not fit it."""
    stolen = town.answer(town.eve, provider)["code"]
    mine = town.answer(town.ada, provider)
    problem(town.bring(town.ada, provider, mine | {"code": stolen}), 400, "state_invalid")
    with reading() as session:
        assert not session.exec(select(Connection)).all()


@pytest.mark.parametrize("provider", TRIED)
def test_providers_are_not_mixed_up(town: Town, provider: str, configure: Callable[..., Settings]) -> None:
    """An answer at the other provider's address, or that names another issuer, ends the attempt (RFC 9207)."""
    configure(**town.sandbox.environment)
    answer = town.answer(town.ada, provider)
    town.refused(town.ada, OTHER[provider], answer)
    if provider == "google":  # Microsoft sends no `iss`; with tenant `common` it could be any tenant's
        assert answer["iss"] == ISSUERS["google"]
        for name in ("microsoft", "attacker"):
            town.refused(town.ada, provider, town.answer(town.ada, provider) | {"iss": ISSUERS[name]})
        return
    environment = town.sandbox.environment
    configure(**environment | {"MICROSOFT_TENANT": CONSUMERS})
    for name in ("google", "attacker"):
        town.refused(town.ada, provider, town.answer(town.ada, provider) | {"iss": ISSUERS[name]})
    right = town.answer(town.ada, provider) | {"iss": ISSUERS["microsoft"]}
    assert town.bring(town.ada, provider, right).status_code == 200


def test_nobody_is_sent_elsewhere(town: Town) -> None:
    """Wherever somebody wishes to go on to, the browser stays on this site: after consent, after a refusal, after
    signing in, after an error of the form."""
    for number, target in enumerate(ELSEWHERE):
        for decision in ("deny", "allow"):
            answer = town.allow("google", town.start(town.ada, "google", target), decision)
            _stays(town.bring(town.ada, "google", answer, Accept="text/html"))
        state = town.start(town.ada, "google", target)["state"]
        _stays(town.bring(town.ada, "google", {"state": state, "error": target}, Accept="text/html"))
        for password in ("correct horse battery", f"wrong {number}")[: 1 if number > 3 else 2]:
            form = {"email": "ada@example.com", "password": password, "next": target}
            _stays(town.api.post("/auth/sign-in", data=form))
        town.api.cookies.clear()


def _stays(answer: httpx.Response) -> None:
    assert answer.status_code == 303
    location = answer.headers["location"]
    parts = urlsplit(location)
    assert (parts.scheme, parts.netloc) == ("", "")
    assert location.startswith("/")
    assert not location.startswith(("//", "/\\"))
    assert not set(location) & set("\t\r\n\\")
    assert all(value.startswith("/") for value in parse_qs(parts.query).get("next", []))
